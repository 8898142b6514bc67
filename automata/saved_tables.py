"""A machine and its store as one file: what `Compiled.save` writes, and what comes back of it.

Idea. Tables are only appended to, so what a search has made is a prefix of each, and an `Extent` is how long they were
when it ended. Matchers go on to write behind it what their texts need, and none of that is in a file: the memos that
point behind the extent are cleared in the copy, and rows that were expanded later are unexpanded there.

A file (cache_dir.py: magic, checksum, arrays of plain integers) holds the tables, the digests of the leaf automata, and
a JSON text with the vocabulary's fingerprint, bridle's own digest, the limits and the *recipe* of the grammar. Hash
indexes are not in it; they are filled anew.

Payloads are Python objects and not in it, either. A row that is unexpanded in the file is wanted at last by a text that
goes beyond what was precomputed; then the grammar is made again by its recipe, and the *log*, the rows in the order of
their expansion, is gone through once more on a machine beside this one. It has to write the same rows, number by
number, and then its payloads are those that are missing.

INVARIANT: nothing that a file says is executed, and every number in it that a kernel follows is looked at
(saved_checks.py) before one does. A checksum is no signature: who may write the file may say what the grammar is.

Cost: 14 MB are read, checked and indexed in 20 ms; a file of 1 MB in 3.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .cache_dir import MAGIC, sealed, unsealed
from .errors import BridleError, SavedGrammarError, VocabularyError
from .fragment import Target
from .growing_tables import GrowingTables
from .limits import Limits
from .machine import Machine
from .saved_checks import check_saved, set_starts
from .saved_stores import SavedStore, StoreExtent, fill_index, fill_table
from .table_kernels import (
    CALLS,
    CELL_INDEX,
    CELL_STRING,
    CELLS,
    CONTEXT_INDEX,
    CONTEXT_MASK,
    CONTEXTS,
    DATA,
    EDGES,
    EMPTY_STRING,
    MASK_INTS,
    MASK_WIDTH,
    MASKS,
    NODE_INDEX,
    NODE_MASK,
    NODES,
    ROW_WIDTH,
    ROWS,
    SET_INDEX,
    SET_MASK,
    SETS,
    STEP_INDEX,
    STEPS,
)
from .vocabulary import Vocabulary

__all__ = ["Extent", "Saved", "SavedMachine", "bridle_digest", "read_saved", "write_saved"]

_KIND = "compiled grammar 1"
_MACHINE = {
    "rows": ROWS, "edges": EDGES, "calls": CALLS, "data": DATA, "nodes": NODES, "sets": SETS, "cells": CELLS,
    "steps": STEPS, "contexts": CONTEXTS, "masks": MASKS, "mask_ints": MASK_INTS,
}  # fmt: skip
# Memos that run along another table: memo, table, elements of the table for one of its own.
_MEMOS = {
    "node_mask": (NODE_MASK, "nodes", 4),
    "set_mask": (SET_MASK, "sets", 1),
    "context_mask": (CONTEXT_MASK, "contexts", 4),
}
# Hash indexes, and the tables of quadruples that they are of.
_INDEXES = {NODE_INDEX: NODES, CELL_INDEX: CELLS, CONTEXT_INDEX: CONTEXTS, STEP_INDEX: STEPS}


@dataclass(frozen=True, slots=True)
class Extent:
    """How long the tables of a machine and its store were: what may be saved of them."""

    machine: Machine
    counts: dict[str, int]
    store: StoreExtent
    log: int

    @classmethod
    def of(cls, machine: Machine) -> Extent:
        """All that a machine holds now."""
        with machine.store.lock:
            counts = {name: machine.tables.count(slot) for name, slot in _MACHINE.items()}
            return cls(machine, counts, StoreExtent.of(machine.store), len(machine.log))

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of the tables as they were."""
        machine, store = self.machine, self.machine.store
        with store.lock:
            found = {name: machine.tables.view(slot)[: self.counts[name]].copy() for name, slot in _MACHINE.items()}
            found |= self.store.arrays(store)
            for name, (slot, of, each) in _MEMOS.items():
                found[name] = machine.tables.view(slot)[: self.counts[of] // each].copy()
            found["log"] = np.array(machine.log[: self.log], np.int32)
            later = [row for row in machine.log[self.log :] if row < self.counts["rows"] // ROW_WIDTH]
        found["rows"].reshape(-1, ROW_WIDTH)[later] = 0
        found["start"] = np.array([machine.start], np.int64)
        _clear_later(found)
        return found


def _clear_later(found: dict[str, np.ndarray]) -> None:
    """Forgets, in copies, what elements within the extent have come to know behind it."""
    masks = len(found["masks"]) // MASK_WIDTH
    for name in _MEMOS:
        found[name][found[name] > masks] = 0


def write_saved(path: Path, extent: Extent, recipe: Mapping[str, Any], vocabulary: Vocabulary, limits: Limits) -> None:
    """Writes a file, whole or not at all. Raises OSError."""
    about = {
        "bridle": bridle_digest(),
        "vocabulary": vocabulary.fingerprint,
        "vocabulary_shown": repr(vocabulary),
        "limits": asdict(limits),
        "recipe": dict(recipe),
    }
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), **extent.arrays()}
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        partial.write_bytes(sealed(_KIND, arrays))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file says, checked."""

    recipe: dict[str, Any]
    limits: Limits
    arrays: dict[str, np.ndarray]


def read_saved(path: Path, vocabulary: Vocabulary) -> Saved:
    """Reads a file. Raises SavedGrammarError, VocabularyError for another vocabulary, OSError."""
    content = path.read_bytes()
    if content[: len(MAGIC)] != MAGIC:
        raise SavedGrammarError(f"{path} is no saved grammar: it does not begin as a file of bridle")
    arrays = unsealed(content, _KIND)
    if arrays is None:
        raise SavedGrammarError(
            f"{path} is damaged or cut short, or another kind of file of bridle: its {len(content)} bytes are not what"
            " their checksum and header say; save the grammar again"
        )
    try:
        about = json.loads(arrays["about"].tobytes())
        made_by, fingerprint, shown = about["bridle"], about["vocabulary"], about["vocabulary_shown"]
        limits, recipe = Limits(**about["limits"]), dict(about["recipe"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise SavedGrammarError(f"{path} does not say what it holds: {error!r}") from None
    if made_by != bridle_digest():
        raise SavedGrammarError(
            f"{path} was written by another version of bridle ({made_by}; this is {bridle_digest()}), whose tables this"
            " one does not read; save the grammar again"
        )
    if fingerprint != vocabulary.fingerprint:
        raise VocabularyError(
            f"{path} was saved for another vocabulary, {shown}; this is {vocabulary!r}. Compile the grammar for it"
        )
    check_saved(path, arrays, vocabulary)
    return Saved(recipe, limits, arrays)


@cache
def bridle_digest() -> str:
    """Of all that decides what the tables of a grammar hold: the source of both packages, and Unicode's version."""
    digest = hashlib.sha256(unicodedata.unidata_version.encode())
    root = __package__.rpartition(".")[0]
    for package in ("automata", "grammar"):
        spec = importlib.util.find_spec(f"{root}.{package}")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).glob("*.py")):
                digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


# ------------------------------------------------------------------------------------------------ what comes back


class SavedMachine(Machine):
    """A machine that begins with the tables of a file, and makes the grammar when a row is wanted that has none."""

    __slots__ = ("_root",)

    def __init__(self, saved: Saved, vocabulary: Vocabulary, root: Callable[[], Target]) -> None:
        """root : makes the grammar's first state anew."""
        arrays = saved.arrays
        self._set_up(SavedStore(vocabulary, arrays), saved.limits)
        self._root: Callable[[], Target] | None = root
        self.start = int(arrays["start"][0])
        self.log.extend(arrays["log"].tolist())
        tables = self._tables
        for name, slot in _MACHINE.items():
            fill_table(tables, slot, arrays[name], self._grow)
        for name, (slot, _, _) in _MEMOS.items():
            tables.view(slot)[: len(arrays[name])] = arrays[name]
        for index, slot in _INDEXES.items():
            fill_index(tables, index, tables.count(slot) // 4)
        fill_index(tables, SET_INDEX, len(set_starts(arrays["sets"])))

    def _expand(self, row: int) -> None:
        self._remember()
        super()._expand(row)

    @property
    def warm_rows(self) -> dict[int, float]:
        self._remember()
        return self._warm_rows

    def _remember(self) -> None:
        """Makes the grammar, unless it was."""
        if self._root is not None:
            self._recall(self._root)
            self._root = None

    def _recall(self, root: Callable[[], Target]) -> None:
        """Finds the payloads of all rows, by going through the log on a twin."""
        twin = Machine(root(), self.store, self.limits)
        for row in self.log:
            # What was met then is met again; the row is as unexpanded as it was.
            with contextlib.suppress(BridleError):
                Machine._expand(twin, row)
        if not all(_is_same(self._tables, twin.tables, slot) for slot in (ROWS, EDGES, CALLS, DATA)):
            raise SavedGrammarError("what the file says that the grammar was made from makes another grammar")
        self._payloads, self._rows, self._warm_rows = twin._payloads, twin._rows, twin._warm_rows


def _is_same(one: GrowingTables, other: GrowingTables, slot: int) -> bool:
    """Whether a table of two machines is the same, but that descriptors name strings by their cells."""
    n = one.count(slot)
    if other.count(slot) != n:
        return False
    a, b = one.view(slot)[:n], other.view(slot)[:n]
    differing = np.flatnonzero(a != b)
    if not len(differing) or slot != DATA:
        return not len(differing)
    strings = _strings_of(one), _strings_of(other)
    return all(
        (found := strings[0].get(x)) is not None and found == strings[1].get(y)
        for x, y in zip(a[differing].tolist(), b[differing].tolist(), strict=True)
    )


def _strings_of(tables: GrowingTables) -> dict[int, bytes]:
    """The text of every string cell: that of an earlier one, and a byte."""
    strings = {EMPTY_STRING: b""}
    cells = tables.view(CELLS)[: tables.count(CELLS)].reshape(-1, 4)
    for k in np.flatnonzero(cells[:, 3] == CELL_STRING).tolist():
        if k > EMPTY_STRING:
            strings[k] = strings[int(cells[k, 0])] + bytes((int(cells[k, 1]),))
    return strings
