"""The lazily expanded pushdown automaton of one compiled grammar: payloads become rows when a kernel asks for them.

A machine owns the states, the persistent stack and the memos of one grammar. Kernels that meet an unexpanded row or a
full table say so and return; `_serve` expands or grows, and the kernel goes on. Everything that writes runs under the
store's lock; what is memoised is read without it.

Its memory is bounded by replacement: a machine that has outgrown its allowance is left as it is, its grammar gets a
new, empty one, and each matcher moves over by replaying its text the next time it needs something that is not memoised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate, count
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .byte_dfa import ByteDfa
from .errors import LimitError, nested_too_deeply
from .expand_kernels import (
    CLASS_ROWS,
    ITEM_ROWS,
    MEMBER_ROWS,
    begin_tables,
    reindex,
    root_node,
    write_fragment,
    write_items,
    write_members,
    write_one_string,
    write_text,
)
from .fragment import Fragment, Items, Layout, Members, OneString, Selection, Strings, Target, Text, Warmth
from .greedy_dfa import GreedyDfa
from .growing_tables import GrowingTables
from .limits import Limits
from .mask_kernels import allowed_bytes, make_mask, reference_mask
from .name_counts import MOST, name_counts
from .sparse_dfa import SparseDfa
from .step_kernels import DEAD_AT, SCRATCH_SIZE, UNKNOWN, may_end, remember_choice, step_bytes, step_token
from .table_kernels import (
    CALLS,
    CELL_INDEX,
    CELLS,
    CHOSEN,
    CONTEXT_INDEX,
    CONTEXT_MASK,
    CONTEXTS,
    DATA,
    EDGES,
    ENDS,
    FULL,
    LEAF,
    MASK_INTS,
    MASKS,
    NODE_INDEX,
    NODE_MASK,
    NODES,
    OK,
    R_FIRST,
    R_FLAGS,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    SET_INDEX,
    SET_MASK,
    SETS,
    SLOTS,
    STEP_INDEX,
    STEPS,
    STORE,
    TOO_AMBIGUOUS,
    WANTED,
    WANTS_ROWS,
    WIDTH,
)

if TYPE_CHECKING:
    from .store import Store

__all__ = ["Machine"]


_CAPACITIES = {
    ROWS: 128 * ROW_WIDTH,
    EDGES: 1024,
    CALLS: 512,
    DATA: 2048,
    NODES: 24 * WIDTH,
    NODE_INDEX: (1 << 12) + 1,
    SETS: 20 * WIDTH,
    SET_INDEX: (1 << 11) + 1,
    CELLS: 40 * WIDTH,
    CELL_INDEX: (1 << 13) + 1,
    STEPS: 1 << 12,
    STEP_INDEX: (1 << 12) + 1,
    NODE_MASK: 6 * WIDTH,
    SET_MASK: 20 * WIDTH,
    CONTEXTS: 1 << 11,
    CONTEXT_INDEX: (1 << 11) + 1,
    CONTEXT_MASK: 1 << 9,
    MASKS: 1 << 10,
    MASK_INTS: 1 << 13,
    WANTED: 256,
    SCRATCH: SCRATCH_SIZE,
}
_INDEXES = {
    NODE_INDEX: lambda tables, slots: reindex(tables.context, NODES, 4, slots),
    CELL_INDEX: lambda tables, slots: reindex(tables.context, CELLS, 4, slots),
    CONTEXT_INDEX: lambda tables, slots: reindex(tables.context, CONTEXTS, 4, slots),
    STEP_INDEX: lambda tables, slots: reindex(tables.context, STEPS, 2, slots),
    SET_INDEX: lambda tables, slots: reindex(tables.context, SETS, 0, slots),
}
# Memos that are as long as the table whose elements they are about: (memo, elements of the table for one of its own).
_FOLLOWERS = {NODES: (NODE_MASK, 4), SETS: (SET_MASK, 1), CONTEXTS: (CONTEXT_MASK, 4)}
# A grammar notes what it finds out about itself, and machines with other locks may be made of the same one.
_expanding = threading.RLock()
_NO_INTS = np.zeros(0, np.int32)
_numbers = count(1)
_BARE = Layout()


class Machine:
    """States, stack and memos of one grammar over one store, and the sparse automata that it refers to.

    start : the configuration of the empty text. log : rows in the order of their expansion, which decides what number
    every row has. number : this machine's, and no other's of the process. temperatures : of configurations that were
    asked for, see temperature.py. plans : what budgets of tokens have found out, see token_budget.py.
    """

    __slots__ = (
        "_allowance", "_firsts", "_held", "_payloads", "_rows", "_selections", "_tables", "_warm_rows", "address",
        "context", "limits", "log", "number", "plans", "sparse", "start", "store", "temperatures",
    )  # fmt: skip

    def __init__(self, root: Target, store: Store, limits: Limits) -> None:
        self._set_up(store, limits)
        begin_tables(self.address)
        with store.lock:
            self.start: int = root_node(self.address, self._row(root))

    def _set_up(self, store: Store, limits: Limits) -> None:
        """Makes the tables, empty."""
        self.store = store
        self.limits = limits
        self.number = next(_numbers)
        self._tables = GrowingTables(SLOTS, _CAPACITIES, _INDEXES)
        self._allowance = self._tables.nbytes + limits.memory
        self.context = self._tables.context
        self.context[3 * STORE] = store.address
        self.address: int = self.context.ctypes.data
        self._payloads: dict[int, Any] = {}
        self._rows: dict[Any, int] = {None: 0}
        self._selections: dict[int, tuple[Selection, int]] = {}
        self._warm_rows: dict[int, float] = {}
        self._firsts: dict[int, int] = {}
        self.temperatures: dict[int, float | None] = {}
        self.plans: Any = None
        self.sparse: list[SparseDfa] = []
        self._held = 0
        self.log: list[int] = []

    def begin(self, root: Target) -> int:
        """The configuration of the empty text in a state: of a text that goes on behind one from outside."""
        tables = self._tables
        with self.store.lock:
            row = self._row(root)
            if tables.count(NODES) + 4 > tables.view(NODES).size:
                self._grow(NODES, 4)
            if 2 * (tables.count(NODE_INDEX) + 1) >= tables.view(NODE_INDEX).size:
                tables.grow(NODE_INDEX, 1)
            return int(root_node(self.address, row))

    # ------------------------------------------------------------------------------------------------ questions

    def step(self, ref: int, token: int) -> int:
        """The configuration after a token with bytes, or DEAD."""
        address = self.address
        with self.store.lock:
            while (to := step_token(address, ref, token)) >= UNKNOWN:
                self._serve(to - UNKNOWN)
        return to

    def step_bytes(self, ref: int, data: bytes) -> tuple[int, int]:
        """(configuration, len(data)), or (the last living one, offset of the byte that is not allowed)."""
        array = np.frombuffer(data, np.uint8)
        address = self.address
        with self.store.lock:
            while (to := step_bytes(address, ref, array, 0)) >= UNKNOWN:
                if to >= DEAD_AT:
                    at = to - DEAD_AT
                    return (self.step_bytes(ref, data[:at])[0] if at else ref), at
                self._serve(to - UNKNOWN)
        return to, len(data)

    def may_end(self, ref: int) -> bool:
        """Whether the text is a sentence."""
        address = self.address
        with self.store.lock:
            while (answer := may_end(address, ref)) >= UNKNOWN:
                self._serve(answer - UNKNOWN)
        return bool(answer)

    def make_mask(self, ref: int) -> None:
        """Makes and memoises the configuration's mask."""
        with self.store.lock:
            # PERF: most masks need nothing, and the general way costs as much as a small walk.
            if make_mask(self.address, ref) != OK:
                self.run(lambda: make_mask(self.address, ref))

    def write_reference_mask(self, ref: int, bitmask: np.ndarray, row: int) -> None:
        """Writes the configuration's mask as steps by single bytes tell it, and memoises none."""
        self.run(lambda: reference_mask(self.address, ref, bitmask, row))

    def next_bytes(self, ref: int) -> np.ndarray:
        """int32[257]: 1 for each byte that may come next; [256]: whether the text may end."""
        out = np.zeros(257, np.int32)
        self.run(lambda: allowed_bytes(self.address, ref, out))
        return out

    def run(self, kernel: Callable[[], int]) -> int:
        """Calls a kernel until it wants nothing more of this machine; the status that is left."""
        with self.store.lock:
            try:
                while OK < (status := kernel()) <= TOO_AMBIGUOUS:
                    self._serve(status)
            except BaseException:
                self.store.forget_walk()
                raise
        return status

    @property
    def tables(self) -> GrowingTables:
        """States, stack and memos, for those who hold the store's lock."""
        return self._tables

    @property
    def warm_rows(self) -> dict[int, float]:
        """Temperature by the row of each Warmth that there is."""
        return self._warm_rows

    @property
    def has_choices(self) -> bool:
        """Whether what follows some leaf depends on where it has ended."""
        return bool(self._selections)

    @property
    def is_full(self) -> bool:
        """Whether the tables, or those of the store, have outgrown what they may take."""
        return self._tables.nbytes + self._held > self._allowance or self.store.is_full

    def admit(self) -> None:
        """Called when a matcher has replayed its text here: what live texts need is not what replacing would free.

        Raises LimitError when they alone need sixteen times the budget.
        """
        needed = self._tables.nbytes + self._held
        if needed > 16 * self.limits.memory:
            raise LimitError("memory (bytes that the texts in progress need)", needed, 16 * self.limits.memory)
        self._allowance = max(self._allowance, 2 * needed)

    @property
    def n_states(self) -> int:
        """Rows made so far."""
        return self._tables.count(ROWS) // ROW_WIDTH

    # ------------------------------------------------------------------------------------------------ serving

    def _serve(self, status: int) -> None:
        """Does what a kernel has asked for before it can go on."""
        if status == TOO_AMBIGUOUS:
            raise LimitError("ambiguity (states that one byte leads to)", WIDTH + 1, WIDTH)
        if status == WANTS_ROWS:
            wanted = self._tables.view(WANTED)
            n = self._tables.count(WANTED)
            rows = wanted[:n].tolist()
            self.context[3 * WANTED + 2] = 0
            entries = iter(rows)
            for row in entries:
                if row >= 0:
                    self._expand(row)
                else:
                    self._choose(~row, next(entries))
            return
        n = int(self.context[3 * FULL + 1])
        if n:
            self.context[3 * FULL + 1] = 0
            self._grow(int(self.context[3 * FULL]), n)
        self.store.make_room()

    def _grow(self, slot: int, n: int) -> None:
        tables = self._tables
        if slot in _FOLLOWERS:
            # The follower first: a reader must never see an element beyond its memo.
            follower, each = _FOLLOWERS[slot]
            wanted = max(2 * tables.view(slot).size, tables.count(slot) + n) // each
            tables.grow(follower, wanted)
        tables.grow(slot, n)

    # ------------------------------------------------------------------------------------------------ rows

    def _row(self, target: Target) -> int:
        """Row of a target, new and unexpanded if it has none."""
        known = self._rows.get(target)
        if known is not None:
            return known
        if isinstance(target, ByteDfa | GreedyDfa):
            row = self.store.leaf(target)
        elif isinstance(target, SparseDfa):
            row, target = self.store.sparse_leaf(target)
            self.sparse.append(target)
            self._held += 0 if target.is_kept else target.nbytes
        else:
            row = self._new_rows(1)
            self._payloads[row] = target
            first = getattr(target, "first_bytes", None)
            if first is not None:
                self._tables.view(ROWS)[ROW_WIDTH * row + R_FIRST] = self._first_bytes(first)
            if type(target) is Warmth:
                self._warm_rows[row] = target.temperature
        self._rows[target] = row
        return row

    def _first_bytes(self, first: int) -> int:
        """What R_FIRST says for a set of bytes."""
        known = self._firsts.get(first)
        if known is None:
            at = self._tables.count(DATA)
            if at + 8 > self._tables.view(DATA).size:
                self._tables.grow(DATA, 8)
            self._tables.view(DATA)[at : at + 8] = np.frombuffer(first.to_bytes(32, "little"), np.int32)
            self.context[3 * DATA + 2] = at + 8
            known = self._firsts[first] = at + 1
        return known

    def _new_rows(self, n: int) -> int:
        """The first of n new, zeroed rows."""
        context = self.context
        at = int(context[3 * ROWS + 2])
        if at // ROW_WIDTH + n > self.limits.states:
            self._too_many_states(at // ROW_WIDTH + n)
        if at + n * ROW_WIDTH > context[3 * ROWS + 1]:
            self._tables.grow(ROWS, n * ROW_WIDTH)
        context[3 * ROWS + 2] = at + n * ROW_WIDTH
        return at // ROW_WIDTH

    def _too_many_states(self, n: int) -> NoReturn:
        raise LimitError("states", n, self.limits.states)

    def _expand(self, row: int) -> None:
        """Writes the row of a payload. The payload is kept until the row is whole, so an error can be met again."""
        payload = self._payloads.get(row)
        if payload is None:
            return
        self.log.append(row)
        try:
            with _expanding:
                shape = payload.expand()
        except RecursionError:
            raise nested_too_deeply("a grammar") from None
        if isinstance(shape, Fragment):
            self._write_fragment(row, shape)
        elif isinstance(shape, Members):
            self._write_members(row, shape)
        elif isinstance(shape, Strings):
            self._write_strings(row, shape)
        elif isinstance(shape, Items):
            self._write_items(row, shape)
        elif isinstance(shape, OneString):
            self._write_one_string(row, shape)
        elif isinstance(shape, Selection):
            self._write_selection(row, shape)
        else:
            self._write_text(row, shape)
        del self._payloads[row]

    def _write_fragment(self, row: int, shape: Fragment) -> None:
        edges, calls = _NO_INTS, _NO_INTS
        if shape.edges:
            flat: list[int] = []
            for low, high, target in shape.edges:
                flat += (low, high, self._row(target))
            edges = np.array(flat, np.int32)
        if shape.calls:
            if shape.like is not None:
                for callee, _ in shape.calls:
                    if isinstance(callee, ByteDfa):
                        self.store.leaf_like(callee, shape.like)
            calls = np.array([self._row(target) for call in shape.calls for target in call], np.int32)
        flags = ENDS if shape.ends else 0
        while write_fragment(self.address, row, flags, shape.whitespace, edges, calls) != OK:
            self._serve(-1)

    def _write_text(self, row: int, shape: Text) -> None:
        body, near = self.store.body(shape.unit if shape.body is None else shape.body, shape.unit)
        most = -1 if shape.most is None else shape.most
        close = -1 if shape.close is None else shape.close
        write_text(self.address, row, body - LEAF, near, shape.least, most, close)

    def _write_one_string(self, row: int, shape: OneString) -> None:
        text, _ = self.store.body(shape.spelling, shape.spelling)
        first = self._new_rows(1)
        while write_one_string(self.address, row, first, text - LEAF, *_in_order(shape.names)) != OK:
            self._serve(-1)

    def _write_selection(self, row: int, shape: Selection) -> None:
        start = self._row(shape.texts)
        then = self._new_rows(1)
        self._tables.view(ROWS)[ROW_WIDTH * then + R_FLAGS] = CHOSEN
        self._selections[then] = shape, start - LEAF - shape.texts.start
        while write_fragment(self.address, row, 0, 0, _NO_INTS, np.array([start, then], np.int32)) != OK:
            self._serve(-1)

    def _choose(self, row: int, x: int) -> None:
        """Finds the row that a state (row, x) stands for, whose row is CHOSEN."""
        shape, first = self._selections[row]
        with _expanding:
            to = self._row(shape.after(x - first))
        while remember_choice(self.address, row, x, to) != OK:
            self._serve(-1)

    def _write_items(self, row: int, shape: Items) -> None:
        values = [self._row(target) for target in shape.prefix]
        if shape.item is not None:
            values.append(self._row(shape.item))
        most = -1 if shape.most is None else shape.most
        if shape.item is None and (most < 0 or most > len(values)):
            most = len(values)
        space, layout = _layout_of(shape)
        first = self._new_rows(ITEM_ROWS + len(values) + _literal_rows(layout, 0))
        arguments = (np.array(values, np.int32), int(shape.item is not None), _literals(layout))
        while write_items(self.address, row, first, space, shape.least, most, *arguments) != OK:
            self._serve(-1)

    def _write_members(self, row: int, shape: Members) -> None:
        values = [self._row(target) for target in shape.values]
        open_ones = [other for other in shape.others if other.names is None]
        values.append(self._row(open_ones[0].value) if open_ones else -1)
        classes = [
            (other.names, self._row(other.value), other.witness, other.mark) for other in shape.others if other.names
        ]
        wanted = 0
        for other in shape.others:
            wanted |= other.witness
        counts = shape.least > 0 or shape.most is not None or wanted > 0
        self._write_names(
            row, shape, values, shape.required, shape.absent, classes, shape.ordered, wanted, counts, bare=False
        )

    def _write_strings(self, row: int, shape: Strings) -> None:
        values = [0] * len(shape.names) + [0 if None in shape.others else -1]
        classes = [(names, -1, 0, -1) for names in shape.others if names is not None]
        counts = shape.least > 0 or shape.most is not None
        required = (False,) * len(shape.names)
        self._write_names(row, shape, values, required, (), classes, False, 0, counts, bare=True)

    def _write_names(
        self,
        row: int,
        shape: Members | Strings,
        values: list[int],
        required: tuple[bool, ...],
        absent: tuple[bytes, ...],
        classes: list[tuple[ByteDfa, int, int, int]],
        ordered: bool,
        wanted: int,
        counts: bool,
        *,
        bare: bool,
    ) -> None:
        n = len(shape.names)
        space, layout = _layout_of(shape)
        colons = 0 if bare else n + 1 + len(classes)
        first = self._new_rows(MEMBER_ROWS + 2 * n + CLASS_ROWS * len(classes) + _literal_rows(layout, colons))
        told, sizes, total = self._classes(classes, shape.spelling)
        least, most = shape.least, -1 if shape.most is None else shape.most
        others = -1 if values[-1] >= 0 else total
        text = self.store.body(shape.spelling, shape.spelling)[0] - LEAF
        arguments = (
            np.array((ordered, text, least, most, wanted, others, bare, counts), np.int32),
            np.array(values, np.int32),
            np.array(required, np.int32),
            told,
            sizes,
            *_in_order(shape.names + absent),
            _literals(layout),
        )
        while write_members(self.address, row, first, space, *arguments) != OK:
            self._serve(-1)

    def _classes(
        self, classes: list[tuple[ByteDfa, int, int, int]], spelling: ByteDfa
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """What write_members wants to know of classes of names: (the classes, numbers of names by state, all names)."""
        told: list[int] = []
        sizes: list[np.ndarray] = []
        languages: dict[ByteDfa, tuple[int, int, int]] = {}  # number, how many names, place in sizes
        total = 0
        for names, value, witness, mark in classes:
            if names not in languages:
                counted = name_counts(names)[1:]
                # Behind the closing quotes (0: not even a name goes on) nothing is without end.
                endless = ((counted < 0) | (names.accepting[1:] != 0) | (counted == 0)).all()
                place = -1 if endless else sum(map(len, sizes))
                if place >= 0:
                    sizes.append(counted)
                size = int(counted[0])
                languages[names] = (len(languages) + 1, size, place)
                total = -1 if total < 0 or size < 0 else min(MOST, total + size)
            number, size, place = languages[names]
            start = self.store.leaf_like(names, spelling, quoted=False) - LEAF
            told += (start, value, witness, number, size, place, start, mark)
        return np.array(told, np.int32), np.concatenate(sizes) if sizes else _NO_INTS, total


def _in_order(names: tuple[bytes, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names in the order of their bytes, as kernels take them: joined, where each begins, and which it is."""
    order = sorted(range(len(names)), key=names.__getitem__)
    in_order = [names[i] for i in order]
    offsets = np.array([*accumulate(map(len, in_order), initial=0)], np.int32)
    return np.frombuffer(b"".join(in_order), np.uint8), offsets, np.array(order, np.int32)


def _layout_of(shape: Members | Strings | Items) -> tuple[int, Layout]:
    """Free white space and literals of a shape."""
    return (shape.whitespace, _BARE) if shape.layout is None else (0, shape.layout)


def _literal_rows(layout: Layout, colons: int) -> int:
    """Rows that the literals of a layout take beyond one for each place, where so many colons are."""
    around = max(len(layout.opened) - 1, 0) + len(layout.closing) + len(layout.comma) - 1
    return around + (len(layout.colon) - 1) * colons


@lru_cache(maxsize=256)
def _literals(layout: Layout) -> np.ndarray:
    """A layout as kernels take it: offsets of its four literals, then their bytes."""
    literals = (layout.opened, layout.comma, layout.colon, layout.closing)
    return np.array([*accumulate(map(len, literals), initial=0), *b"".join(literals)], np.int32)
