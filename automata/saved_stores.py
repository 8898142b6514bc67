"""A store's tables as arrays: what files keep of the leaves, records and rows of a vocabulary.

Tables are only appended to, so what a store held at some time is a prefix of each, and a `StoreExtent` is how long they
were. Hash indexes are not kept; they are filled anew. Nor are sparse automata, joined places, and the records that
are of their states or at them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .growing_tables import GrowingTables
from .place_kernels import ROOT_PARTS
from .record_table_kernels import JOINED, P_MOST, P_PLACE, P_ROWS, P_STATE, P_STOP, P_WITH_EXITS
from .store import Store
from .table_kernels import (
    DENSE,
    DENSE_INDEX,
    LEAF_CLASSES,
    LEAF_INFO,
    LEAVES,
    M_WORDS,
    MISC,
    RECORD_INDEX,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    SPARSE,
)
from .vocabulary import Vocabulary

__all__ = ["STORE_TABLES", "SavedStore", "StoreExtent", "fill_index", "fill_table"]

STORE_TABLES = {
    "leaves": LEAVES, "leaf_classes": LEAF_CLASSES, "leaf_info": LEAF_INFO, "records": RECORDS,
    "record_ints": RECORD_INTS, "dense": DENSE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoreExtent:
    """How long the tables of a store were. The caller of its methods holds the store's lock."""

    counts: dict[str, int]
    leaves: int
    bodies: int

    @classmethod
    def of(cls, store: Store) -> StoreExtent:
        """All that a store holds now."""
        counts = {name: store.tables.count(slot) for name, slot in STORE_TABLES.items()}
        return cls(counts, len(store.leaf_rows), len(store.body_rows))

    def arrays(self, store: Store) -> dict[str, np.ndarray]:
        """Copies of the tables as they were, and which automata the leaves are."""
        found = {name: store.tables.view(slot)[: self.counts[name]].copy() for name, slot in STORE_TABLES.items()}
        leaves = list(store.leaf_rows.items())[: self.leaves]
        bodies = list(store.body_rows.items())[: self.bodies]
        found["leaf_digests"] = np.frombuffer(b"".join(digest for digest, _ in leaves), np.uint8)
        found["leaf_rows"] = np.array([row for _, row in leaves], np.int32)
        found["body_digests"] = np.frombuffer(b"".join(body + unit for (body, unit), _ in bodies), np.uint8)
        found["body_rows"] = np.array([number for _, told in bodies for number in told], np.int32)
        found["records"] = _lasting(found["records"], store.n_nodes)
        _forget_later_rows(found, int(store.tables.view(MISC)[M_WORDS]))
        return found


def _lasting(records: np.ndarray, n_nodes: int) -> np.ndarray:
    """The records but for those of sparse leaf states and at joined places. No other table names a record."""
    table = records.reshape(-1, RECORD_WIDTH)
    place = table[:, P_PLACE]
    of_tree = (place < n_nodes) & ((place >= -n_nodes) | (place <= ROOT_PARTS))
    kept = (table[:, P_STATE] < SPARSE) & of_tree | (table[:, P_STOP] == JOINED)
    return records if kept.all() else table[kept].reshape(-1)


def _forget_later_rows(found: dict[str, np.ndarray], words: int) -> None:
    """Forgets, in copies, joined places, and the dense rows that records have come to know behind the extent."""
    table, ints = found["records"].reshape(-1, RECORD_WIDTH), found["record_ints"]
    with_exits = table[:, P_WITH_EXITS]
    with_exits[(with_exits > len(found["dense"]) // words) | (table[:, P_STOP] == -1)] = 0
    for first, most in table[table[:, P_MOST] > 0][:, [P_ROWS, P_MOST]].tolist():
        known = ints[first : first + most + 1]
        known[known >= len(found["dense"]) // words] = -1


class SavedStore(Store):
    """A store that begins with the leaves, records and rows of a file."""

    __slots__ = ()

    def __init__(self, vocabulary: Vocabulary, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(vocabulary)
        for name, slot in STORE_TABLES.items():
            fill_table(self.tables, slot, arrays[name], self.tables.grow)
        words = int(self._misc[M_WORDS])
        fill_index(self.tables, RECORD_INDEX, len(arrays["records"]) // RECORD_WIDTH)
        fill_index(self.tables, DENSE_INDEX, len(arrays["dense"]) // words)
        digests, rows = arrays["leaf_digests"].tobytes(), arrays["leaf_rows"].tolist()
        self._leaves.update((digests[16 * k : 16 * k + 16], row) for k, row in enumerate(rows))
        digests, rows = arrays["body_digests"].tobytes(), arrays["body_rows"].reshape(-1, 2).tolist()
        for k, (row, near) in enumerate(rows):
            self._bodies[digests[32 * k : 32 * k + 16], digests[32 * k + 16 : 32 * k + 32]] = row, near


def fill_table(tables: GrowingTables, slot: int, array: np.ndarray, grow: Callable[[int, int], None]) -> None:
    """Makes an array the used part of a table."""
    if array.size > tables.view(slot).size:
        grow(slot, array.size)
    tables.view(slot)[: array.size] = array
    tables.context[3 * slot + 2] = array.size


def fill_index(tables: GrowingTables, slot: int, entries: int) -> None:
    """Fills a hash index from its table."""
    tables.context[3 * slot + 2] = 0
    tables.grow(slot, entries)
    tables.context[3 * slot + 2] = entries
