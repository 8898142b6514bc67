"""What all grammars of one vocabulary share: the token tree, the leaf automata, their records, the dense mask rows.

A leaf DFA is registered once by its digest, so equal leaves of different grammars are one, with their records. Of a
sparse one the store holds the addresses alone: whoever registers it keeps it alive as long as kernels may step it. The
store also owns the scratch of walks, and with it the writers' lock: whoever expands, steps anew or makes a mask for any
grammar of the vocabulary holds `lock`; what is memoised is read without.

A store is never emptied: when it has outgrown its budget, the vocabulary gets a new one (shared_stores.py), machines
made from then on use that, and the old one is freed with the last machine that refers to it.
"""

from __future__ import annotations

import ctypes
import threading
import weakref

import numpy as np

from .byte_dfa import ByteDfa
from .errors import LimitError
from .expand_kernels import reindex, reindex_dense
from .greedy_dfa import GreedyDfa
from .growing_tables import GrowingTables
from .kernel import load_kernels
from .leaf_kernels import mark_wide, measure_body, write_leaf
from .record_kernels import make_record
from .sparse_dfa import SparseDfa
from .table_kernels import (
    ACCEPTS,
    BYTE_COUNTS,
    DEFERRED,
    DENSE,
    DENSE_INDEX,
    F_ACCEPTING,
    F_BASE,
    FRAMES,
    FULL,
    GREEDY,
    JOINED_INDEX,
    JOINED_PLACES,
    JOINED_WAYS,
    L_FLAGS,
    L_HOLD,
    LEAF,
    LEAF_CLASSES,
    LEAF_INFO,
    LEAF_WIDTH,
    LEAVES,
    LENIENT,
    M_BASE,
    M_DEEPEST,
    M_SPACE,
    M_WALKING,
    M_WORDS,
    MISC,
    MOST_BASES,
    OUT,
    PAGE_BITS,
    RECORD_INDEX,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    S_LONGEST,
    SEEN,
    SLOTS,
    SPACES,
    SPARSE,
    SPARSE_LEAVES,
    SPARSE_PAGES,
    SPARSE_WIDTH,
    STOPS,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_FOLLOW,
    T_HEIGHT,
    T_PARENT,
    T_QUOTES,
    T_SLASHES,
    T_TOKEN_FIRST,
    T_TOKENS,
    TOKEN_BYTES,
    TOKEN_OFFSETS,
    WORK,
)
from .token_trie import TokenTrie
from .tree_kernels import count_marks
from .vocabulary import Vocabulary

__all__ = ["Store"]

_SPACE = b" \t\n\r"
# Pages of numbers for the states of sparse leaves; a row, LEAF above them, is an int32.
_PAGES = ((1 << 31) - LEAF - SPARSE) >> PAGE_BITS


class Store:
    """Tables of one vocabulary. `context` is what kernels take; its address lies in every machine's context."""

    __slots__ = (
        "__weakref__", "_bodies", "_leaves", "_memory", "_misc", "_pages", "_sparse", "_sparse_leaves", "address",
        "context", "lock", "tables",
    )  # fmt: skip

    def __init__(self, vocabulary: Vocabulary) -> None:
        load_kernels()
        self.lock = threading.RLock()
        # Not the vocabulary itself, which would never be freed: stores are kept by it.
        self._memory = vocabulary.memory
        self._leaves: dict[bytes, int] = {}
        self._bodies: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._sparse: dict[bytes, tuple[int, weakref.ref[SparseDfa]]] = {}
        words = (vocabulary.size + 31) // 32
        trie = vocabulary.trie
        self.tables = GrowingTables(
            SLOTS,
            {
                # Room for the large automata of formats, and for scans of the whole tree, which would otherwise grow
                # tables in the middle of a request: pages that are not written to take no memory.
                LEAVES: 1 << 20,
                LEAF_INFO: LEAF_WIDTH << 15,
                LEAF_CLASSES: 256 << 7,
                RECORDS: RECORD_WIDTH << 12,
                RECORD_INDEX: (1 << 13) + 1,
                RECORD_INTS: 8 * trie.n_nodes,
                DENSE: 128 * words,
                DENSE_INDEX: (1 << 9) + 1,
                WORK: 1 << 13,
                DEFERRED: 1 << 10,
                FRAMES: 1 << 12,
                OUT: 5 * max(len(vocabulary.tokens), trie.n_nodes) + 2 * words + 1024,
                SEEN: words,
                SPARSE_PAGES: 1 << 8,
                JOINED_PLACES: 1 << 12,
                JOINED_WAYS: 1 << 12,
                JOINED_INDEX: (1 << 9) + 1,
                BYTE_COUNTS: 257,
            },
            {
                RECORD_INDEX: lambda tables, slots: reindex(tables.context, RECORDS, RECORD_WIDTH, slots),
                DENSE_INDEX: lambda tables, slots: reindex_dense(tables.context, DENSE, words, slots),
                JOINED_INDEX: lambda tables, slots: reindex(tables.context, JOINED_PLACES, 0, slots),
            },
        )
        self.context = self.tables.context
        self.address: int = self.context.ctypes.data
        # Leaf state 0 is dead: its row and its classes are zeros.
        self.context[3 * LEAVES + 2] = 1
        self.context[3 * LEAF_INFO + 2] = LEAF_WIDTH
        self.context[3 * LEAF_CLASSES + 2] = 256
        self._put_vocabulary(vocabulary, trie)
        self._misc = np.zeros(M_BASE + MOST_BASES, np.int64)
        self._misc[M_WORDS] = words
        self._misc[M_SPACE] = self.tables.view(SPACES)[S_LONGEST]
        self._misc[M_DEEPEST] = vocabulary.max_token_bytes
        self._misc[M_WALKING] = -1
        self.tables.put(MISC, self._misc)
        self._sparse_leaves = np.zeros((0, SPARSE_WIDTH), np.int64)
        self._pages = 0  # of numbers that are given; asked for with every new mask

    def _put_vocabulary(self, vocabulary: Vocabulary, trie: TokenTrie) -> None:
        quotes, slashes, heights, follow = np.zeros((4, trie.n_nodes), np.int32)
        count_marks(trie.byte, trie.parent, quotes, slashes, heights, follow)
        arrays: dict[int, np.ndarray] = {
            T_BYTE: trie.byte,
            T_END: trie.subtree_end,
            T_DEPTH: trie.depth,
            T_TOKEN_FIRST: trie.token_first,
            T_TOKENS: trie.token_ids,
            T_CHILD_FIRST: trie.child_first,
            T_CHILD_BYTE: trie.child_byte,
            T_CHILD_NODE: trie.child_node,
            T_PARENT: trie.parent,
            T_QUOTES: quotes,
            T_SLASHES: slashes,
            T_HEIGHT: heights,
            T_FOLLOW: follow,
            TOKEN_OFFSETS: vocabulary.token_offsets,
            TOKEN_BYTES: vocabulary.token_bytes,
            STOPS: np.array(vocabulary.stop_token_ids, np.int32),
            SPACES: _space_runs(trie),
        }
        for slot, array in arrays.items():
            self.tables.put(slot, array)

    def leaf(self, dfa: ByteDfa | GreedyDfa) -> int:
        """Row of a leaf DFA's start state, registered if new. The caller holds the lock."""
        known = self._leaves.get(dfa.digest)
        if known is not None:
            return known
        row = self._leaves[dfa.digest] = self._written(dfa)
        return row

    def body(self, dfa: ByteDfa, unit: ByteDfa) -> tuple[int, int]:
        """(row of the start state of a counted body, the most iterations that any of its states needs).

        unit : as in fragment.Text. The caller holds the lock.
        """
        known = self._bodies.get((dfa.digest, unit.digest))
        if known is not None:
            return known
        row = self._written(dfa)
        start = row if dfa == unit else self.leaf(unit)
        n = dfa.n_states - 1
        scratch = np.zeros((2, n), np.int32)
        near = measure_body(self.address, row - LEAF, n, start - LEAF, scratch[0], scratch[1])
        if near < 0:
            raise ValueError("a state of a counted body is in different places of an iteration")
        self._bodies[dfa.digest, unit.digest] = row, near
        return row, near

    def _written(self, dfa: ByteDfa | GreedyDfa) -> int:
        """Row of the start state of an automaton that is new."""
        table = dfa.table
        first = self.tables.count(LEAF_INFO) // LEAF_WIDTH
        row = self._extend(LEAVES, table.size - table.shape[1])
        class_at = self._extend(LEAF_CLASSES, 256)
        self._extend(LEAF_INFO, LEAF_WIDTH * (dfa.n_states - 1))
        leaves, info, classes = self.tables.view(LEAVES), self.tables.view(LEAF_INFO), self.tables.view(LEAF_CLASSES)
        flags = 0
        if isinstance(dfa, GreedyDfa):
            flags = GREEDY | LENIENT if dfa.lenient else GREEDY
        write_leaf(leaves, info, classes, table, dfa.accepting, dfa.byte_class, first, row, class_at, flags)
        if isinstance(dfa, GreedyDfa):
            holds = info[LEAF_WIDTH * first + L_HOLD : LEAF_WIDTH * (first + dfa.n_states - 1) : LEAF_WIDTH]
            holds[:] = first - 1 + dfa.alike()
        return LEAF + first

    def _extend(self, slot: int, n: int) -> int:
        """Counts n more elements of a table, which grows for them; returns where they begin."""
        context, at = self.context, 3 * slot
        begin = int(context[at + 2])
        if begin + n > context[at + 1]:
            self.tables.grow(slot, n)
        context[at + 2] = begin + n
        return begin

    def leaf_like(self, dfa: ByteDfa, content: ByteDfa, *, quoted: bool = True) -> int:
        """As `leaf`, of an automaton that may resemble `content` in quotes, or from behind the opening one on.

        The caller holds the lock.
        """
        known = self._leaves.get(dfa.digest)
        if known is not None:
            return known
        start = self.body(content, content)[0] - LEAF
        row = self.leaf(dfa)
        n = dfa.n_states - 1
        scratch = np.zeros((2, n), np.int32)
        mark_wide(self.address, row - LEAF, n, int(quoted), start, scratch[0], scratch[1])
        return row

    def sparse_leaf(self, dfa: SparseDfa) -> tuple[int, SparseDfa]:
        """Row of a sparse leaf DFA's start state, registered if new, and the object that the caller has to keep alive
        as long as it uses the row. The caller holds the lock.

        Numbers stay those of the digest when the object is gone and an equal one comes: records are as good for it.
        """
        k, known = self._sparse.get(dfa.digest, (-1, None))
        if known is None:
            k = len(self._sparse)
            self._number(dfa, k)
        alive = None if known is None else known()
        if alive is None:
            arrays = (dfa.first, dfa.label, dfa.target, dfa.accepting)
            self._sparse_leaves[k, : len(arrays)] = [array.ctypes.data for array in arrays]
            self._sparse[dfa.digest] = k, weakref.ref(dfa)
            alive = dfa
        return LEAF + SPARSE + int(self._sparse_leaves[k, F_BASE]) + dfa.start, alive

    def _number(self, dfa: SparseDfa, k: int) -> None:
        """Gives the states of the k-th sparse automaton their numbers."""
        if k == len(self._sparse_leaves):
            self._sparse_leaves = np.concatenate((self._sparse_leaves, np.zeros((k + 64, SPARSE_WIDTH), np.int64)))
            self.tables.put(SPARSE_LEAVES, self._sparse_leaves.reshape(-1))
        pages = ((dfa.n_states - 1) >> PAGE_BITS) + 1
        if self._pages + pages > _PAGES:
            raise LimitError("states of sparse automata", (self._pages + pages) << PAGE_BITS, _PAGES << PAGE_BITS)
        self._pages += pages
        page = self._extend(SPARSE_PAGES, pages)
        self.tables.view(SPARSE_PAGES)[page : page + pages] = k
        self._sparse_leaves[k, F_BASE] = page << PAGE_BITS

    def accepts(self, q: int) -> bool:
        """Whether a leaf may end in state q, the row less LEAF. The caller holds the lock."""
        if q < SPARSE:
            return bool(self.tables.view(LEAF_INFO)[LEAF_WIDTH * q + L_FLAGS] & ACCEPTS)
        k = int(self.tables.view(SPARSE_PAGES)[(q - SPARSE) >> PAGE_BITS])
        state = q - SPARSE - int(self._sparse_leaves[k, F_BASE])
        return ctypes.c_uint8.from_address(int(self._sparse_leaves[k, F_ACCEPTING]) + state).value != 0

    def sparse_start(self, row: int) -> int:
        """Row of the first state of the sparse leaf DFA that a row is of: what all its states have in common."""
        k = int(self.tables.view(SPARSE_PAGES)[(row - LEAF - SPARSE) >> PAGE_BITS])
        return LEAF + SPARSE + int(self._sparse_leaves[k, F_BASE])

    @property
    def n_nodes(self) -> int:
        """The number of nodes of the token tree; places from here on are joined ones."""
        return self.tables.view(T_END).size

    @property
    def leaf_rows(self) -> dict[bytes, int]:
        """Digest of each leaf DFA, in the order of their registration, and the row of its start state."""
        return self._leaves

    @property
    def body_rows(self) -> dict[tuple[bytes, bytes], tuple[int, int]]:
        """Digests of each counted body and of its unit, in the order of their registration, and what `body` says."""
        return self._bodies

    def make_record(self, row: int, stop: int) -> None:
        """Makes the record of a leaf state for the whole token tree. The caller holds the lock."""
        while make_record(self.address, row - LEAF, stop) < 0:
            self.make_room()

    def make_room(self) -> None:
        """Grows the table that a kernel had no room in."""
        n = int(self.context[3 * FULL + 1])
        if n:
            self.context[3 * FULL + 1] = 0
            self.tables.grow(int(self.context[3 * FULL]), n)

    def forget_walk(self) -> None:
        """Drops a walk that was given up half-way. The caller holds the lock."""
        self._misc[M_WALKING] = -1

    @property
    def nbytes(self) -> int:
        """Bytes of the tables that grow with use."""
        return self.tables.nbytes

    @property
    def is_full(self) -> bool:
        """Whether the tables have outgrown the vocabulary's budget, or sparse leaves half of their numbers."""
        return self.tables.nbytes > self._memory.bytes or self._pages > _PAGES // 2

    @property
    def budget(self) -> int:
        """Bytes that the tables may take."""
        return self._memory.bytes


def _space_runs(trie: TokenTrie) -> np.ndarray:
    """The tree places that are reached by white space alone, as SPACES holds them."""
    runs: list[tuple[int, int]] = []
    followed: list[tuple[int, int]] = []
    waiting = [0]
    while waiting:
        t = waiting.pop()
        below = range(int(trie.child_first[t]), int(trie.child_first[t + 1]))
        spaces = [int(trie.child_node[i]) for i in below if int(trie.child_byte[i]) in _SPACE]
        waiting.extend(spaces)
        if t:
            runs.append((t, int(trie.depth[t])))
            if len(spaces) < len(below):
                followed.append(runs[-1])
    longest = max((length for _, length in runs), default=0)
    entries = [value for run in sorted(followed) + sorted(runs) for value in run]
    return np.array([len(runs), len(followed), longest, *[-1] * (longest + 1), *entries], np.int32)
