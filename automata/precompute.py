"""Ahead of time: the masks of every configuration that a text can be in after whole tokens, or of as many as a budget
allows.

Idea. A search from the empty text. A configuration whose turn it is has its mask made and is *followed*: what its
tokens lead to (precompute_kernels) waits in turn, and that is little, as inside a string nearly all tokens lead to the
same configuration. Whose turn it is tells a sum of what makes it less likely to be of use:

- how many of its frame came before it, in steps of twice as many: the 64 places of a white-space run and the 8,000
  states of an e-mail address must not hold up what comes behind them;
- how deep its stack is, as there may be twice as many frames a level deeper;
- that its mask was there, by its context. Then its tokens lead, for a while, to contexts that are known as well. It
  need not stay so, as frames below what a mask looks at may differ; so it is followed, but later;
- that it holds a text, a member's name that nobody declared. There is one for each text, so a few of them are followed
  for what comes after a name, and that the others were left out is said in the report.

So a budget is spent on what is near and new, and a search that ends by itself has left out nothing but texts.

It runs on a machine and a store of its own, whose lock nobody else wants, while others decode on what they have. When
it ends, the compiled grammar changes over to the new machine, and matchers follow by replaying their text.

Cost, Tekken's 131,072 tokens: 2 ms for a configuration in which nearly all tokens are allowed, else 0.02 to 0.5.

Rejected: stepping every allowed token of every configuration (100 ms for a wide one); never following a configuration
whose context is known (what comes after an object that two members share would be met in one of them alone).
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from .errors import LimitError
from .kernel import compile_all
from .machine import Machine
from .precompute_kernels import (
    S_FOUND,
    S_FROM,
    S_LEFT,
    S_NUMBERS,
    S_PLACE,
    S_TOKENS,
    SCAN_WIDTH,
    WANTS_NUMBERS,
    follow_tokens,
    keep_steps,
    put_numbers,
)
from .store import Store
from .table_kernels import (
    BOTTOM,
    COUNTED,
    L_START,
    LEAF,
    LEAF_INFO,
    LEAF_WIDTH,
    MASK_WIDTH,
    MASKS,
    NAMES,
    NODES,
    R_FLAGS,
    ROW_WIDTH,
    ROWS,
    SETS,
    SPARSE,
)

if TYPE_CHECKING:
    from .fragment import Target
    from .limits import Limits
    from .vocabulary import Vocabulary

__all__ = ["SAVED_STATES", "STATES", "Precomputed", "Precomputing", "Progress", "Search"]

# Configurations that a search reaches unless it is told another number.
STATES = 20_000
# And where a grammar is saved that was not precomputed.
SAVED_STATES = 2_000
# Tokens of a configuration up to which each step is kept as well.
_FEW = 64
# Moves of so many configurations are kept from one to the next (1 KB each).
_NUMBERS, _MOST_NUMBERS = 1 << 10, 1 << 14
_BETWEEN_REPORTS = 0.1  # seconds
# Of all configurations one in so many may hold a text.
_SHARE_OF_TEXTS = 10
# Classes of configurations, and how much later it is the turn of each.
_NEW, _KNOWN, _TEXT = range(3)
_LATER = (0, 3, 6)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Precomputed:
    """What a search has come to.

    reached : configurations whose masks are there; followed : those of them whose tokens were all followed.
    masks : how many had to be made by a walk; the others were found. states : states of the machine.
    complete : nothing that tokens lead to was left out. stopped : else, what ended the search: "states", "seconds",
    "memory", "cancelled" or "limit", in which case `error` is the LimitError; "texts": it ended by itself, and all that
    was left out are configurations that hold a text of their own, such as a name that the schema does not declare.
    """

    reached: int
    followed: int
    masks: int
    states: int
    seconds: float
    complete: bool
    stopped: str = ""
    error: LimitError | None = None


class Search:
    """One search. `run` may be called once; afterwards `machine` holds what was made."""

    __slots__ = ("_cancelled", "_depths", "_frames", "_make", "_moves", "_queue", "_seen", "_sets", "_texts", "machine")

    machine: Machine

    def __init__(self, root: Callable[[], Target], vocabulary: Vocabulary, limits: Limits) -> None:
        """root : makes the grammar's first state. It is called, and the tables made, by `run`, in whatever thread."""
        self._make = lambda: Machine(root(), Store(vocabulary), limits)
        self._moves = _Moves(vocabulary)
        self._queue: list[tuple[int, int, int, int]] = []  # when it is its turn, order of discovery, class, reference
        self._frames: defaultdict[tuple[int, ...], int] = defaultdict(int)
        self._depths = {BOTTOM: 0}
        self._seen: set[int] = set()
        self._sets = 0
        self._texts = 0
        self._cancelled = False

    def cancel(self) -> None:
        """Ends the search after the configuration that it is at; from any thread."""
        self._cancelled = True

    def run(self, states: int, seconds: float | None, progress: Progress | None) -> Precomputed:
        """Searches until nothing is left or a budget is met."""
        began = time.perf_counter()
        reached, followed, stopped, error = 0, 0, "", None
        until = None if seconds is None else began + seconds
        tell = _Teller(progress)
        most_texts = states // _SHARE_OF_TEXTS
        left_out = False
        self.machine = self._make()
        try:
            self._meet(self.machine.start, _NEW)
            while self._queue and not (stopped := self._budget_met(reached, states, until)):
                turn, order, kind, ref = heappop(self._queue)
                if kind != _KNOWN:
                    made = self._make_mask(ref)
                    reached += 1
                    if kind == _NEW and not made:
                        heappush(self._queue, (turn + _LATER[_KNOWN], order, _KNOWN, ref))
                        continue
                if kind == _TEXT and self._texts > most_texts:
                    left_out = True
                    continue
                for to in self._moves.after(self.machine, ref):
                    if to not in self._seen:
                        self._meet(to, kind)
                followed += 1
                tell(reached, len(self._queue))
        except LimitError as limit:
            stopped, error = "limit", limit
        if left_out or self._moves.left_out:
            stopped = stopped or "texts"
        tell(reached, len(self._queue), last=True)
        self.machine.tables.forget_replaced()
        self.machine.store.tables.forget_replaced()
        masks = self.machine.tables.count(MASKS) // MASK_WIDTH - self._sets
        n, took = self.machine.n_states, time.perf_counter() - began
        return Precomputed(reached, followed, masks, n, took, not stopped, stopped, error)

    def _budget_met(self, reached: int, states: int, until: float | None) -> str:
        machine = self.machine
        if self._cancelled:
            return "cancelled"
        if reached >= states:
            return "states"
        if until is not None and time.perf_counter() >= until:
            return "seconds"
        # Half is left to those who will decode: a machine that is full is replaced, and all of this lost.
        if machine.tables.nbytes > machine.limits.memory // 2 or machine.store.nbytes > machine.store.budget // 2:
            machine.tables.forget_replaced()
            machine.store.tables.forget_replaced()
            if machine.tables.nbytes > machine.limits.memory // 2 or machine.store.nbytes > machine.store.budget // 2:
                return "memory"
        return ""

    def _make_mask(self, ref: int) -> bool:
        """Makes the mask of a configuration; whether that took a walk."""
        tables = self.machine.tables
        masks = tables.count(MASKS)
        self.machine.make_mask(ref)
        made = (tables.count(MASKS) - masks) // MASK_WIDTH
        if ref < 0:  # the union of its nodes' masks was made in any case
            self._sets += 1
            made -= 1
        return made > 0

    def _meet(self, ref: int, before: int) -> None:
        """Queues a configuration that is new. before : the class of the one that led to it."""
        self._seen.add(ref)
        top = self._top(ref)
        frame, typed = self._frame_of(top)
        kind = _TEXT if typed or before == _TEXT else _NEW
        self._texts += kind == _TEXT
        frame = (kind, *frame)
        self._frames[frame] += 1
        turn = self._frames[frame].bit_length() + self._depth(top) + _LATER[kind]
        heappush(self._queue, (turn, len(self._seen), kind, ref))

    def _top(self, ref: int) -> int:
        """A node of a stack reference: the first."""
        return ref if ref >= 0 else int(self.machine.tables.view(SETS)[~ref + 1])

    def _depth(self, node: int) -> int:
        """How many frames lie below a node, along the first parents."""
        path = []
        nodes = self.machine.tables.view(NODES)
        while node not in self._depths:
            path.append(node)
            node = self._top(int(nodes[4 * node + 3]))
        depth = self._depths[node]
        for node in reversed(path):
            depth += 1
            self._depths[node] = depth
        return depth

    def _frame_of(self, node: int) -> tuple[tuple[int, ...], bool]:
        """What a node has in common with others of its frame, and whether it is within a text that it holds."""
        row, x, y, below = self.machine.tables.view(NODES)[4 * node : 4 * node + 4].tolist()
        if row >= LEAF + SPARSE:
            return (self.machine.store.sparse_start(row), 0, below), False
        if row >= LEAF:
            start = self.machine.store.tables.view(LEAF_INFO)[LEAF_WIDTH * (row - LEAF) + L_START]
            return (LEAF + int(start), 0, below), False
        flags = int(self.machine.tables.view(ROWS)[ROW_WIDTH * row + R_FLAGS])
        if flags & NAMES:  # each place of a declared name counts for itself: texts do come by
            return (row, max(x, -1), below), x < 0
        if flags & COUNTED:
            return (row, 0, below), False
        return (row, y, below), False


class _Teller:
    """Calls a progress function now and then."""

    __slots__ = ("_progress", "_shown")

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._shown = time.perf_counter()

    def __call__(self, reached: int, waiting: int, *, last: bool = False) -> None:
        if self._progress is not None and (last or time.perf_counter() - self._shown >= _BETWEEN_REPORTS):
            self._progress(reached, waiting)
            self._shown = time.perf_counter()


class _Moves:
    """The tables of follow_tokens, which serve one configuration after another."""

    __slots__ = ("_found", "_index", "_moves", "_numbered", "_path", "_scan", "_steps", "_stops")

    def __init__(self, vocabulary: Vocabulary) -> None:
        compile_all()
        self._scan = np.zeros(SCAN_WIDTH, np.int64)
        self._path = np.zeros(vocabulary.max_token_bytes + 1, np.int32)
        self._stops = np.array([id_ for id_ in vocabulary.stop_token_ids if vocabulary.reading(id_)], np.int32)
        self._steps = np.zeros((_FEW, 2), np.int32)
        self._make(_NUMBERS)

    def _make(self, n: int) -> None:
        self._moves = np.zeros((n, 256), np.int32)
        self._numbered = np.zeros((n, 2), np.int32)
        self._found = np.zeros(n, np.int32)
        self._index = np.zeros(4 * n, np.int32)
        self._scan[S_NUMBERS] = 0

    def _grow(self) -> None:
        """Twice as many numbers, in the middle of a scan."""
        n = len(self._moves)
        self._moves = np.concatenate((self._moves, np.zeros((n, 256), np.int32)))
        self._numbered = np.concatenate((self._numbered, np.zeros((n, 2), np.int32)))
        self._found = np.concatenate((self._found, np.zeros(n, np.int32)))
        index = np.zeros(8 * n, np.int32)
        put_numbers(self._numbered, n, index)
        self._index = index

    @property
    def left_out(self) -> bool:
        """Whether configurations that hold a text were passed over."""
        return bool(self._scan[S_LEFT])

    def after(self, machine: Machine, ref: int) -> list[int]:
        """The configurations that one token leads to; where they are few, each step is memoised, too."""
        if self._scan[S_NUMBERS] > _MOST_NUMBERS:
            self._make(_NUMBERS)
        self._scan[S_FROM], self._scan[S_PLACE] = ref, 0
        while machine.run(lambda: self._follow(machine.address)) == WANTS_NUMBERS:
            self._grow()
        if self._scan[S_TOKENS] <= _FEW:
            self._leave_out_stops()
            machine.run(lambda: keep_steps(machine.address, self._scan, self._numbered, self._steps))
        numbers = self._found[: int(self._scan[S_FOUND])]
        return self._numbered[numbers, 0].tolist()

    def _leave_out_stops(self) -> None:
        """Takes the stop tokens that the grammar names out of the steps: what they are, the matcher decides."""
        n = int(self._scan[S_TOKENS])
        is_stop = (self._steps[:n, :1] == self._stops).any(axis=1)
        if is_stop.any():
            kept = self._steps[:n][~is_stop]
            self._steps[: len(kept)] = kept
            self._scan[S_TOKENS] = len(kept)

    def _follow(self, address: int) -> int:
        tables = (self._moves, self._numbered, self._index, self._path, self._found, self._steps)
        status: int = follow_tokens(address, self._scan, *tables)
        return status


class Precomputing:
    """A search in a thread of its own. `report` is None until it is `done`."""

    __slots__ = ("_error", "_finish", "_finished", "_search", "report")

    def __init__(self, search: Search, finish: Callable[[Precomputed], None]) -> None:
        self.report: Precomputed | None = None
        self._search = search
        self._finish = finish
        self._finished = threading.Event()
        self._error: BaseException | None = None

    def start(self, states: int, seconds: float | None, progress: Progress | None) -> None:
        """Starts the thread; it does not keep the process alive."""
        threading.Thread(
            target=self._run, args=(states, seconds, progress), name="bridle precompute", daemon=True
        ).start()

    def _run(self, states: int, seconds: float | None, progress: Progress | None) -> None:
        try:
            report = self._search.run(states, seconds, progress)
            self._finish(report)
            self.report = report
        except BaseException as error:  # whoever waits gets it
            self._error = error
        finally:
            self._finished.set()

    @property
    def done(self) -> bool:
        """Whether the search has ended, in whatever way."""
        return self._finished.is_set()

    def cancel(self) -> None:
        """Asks the search to end; the compiled grammar then stays on the machine that it has."""
        self._search.cancel()

    def wait(self, timeout: float | None = None) -> Precomputed | None:
        """The report, once there is one; None if that takes longer than so many seconds.

        Raises what the search met that is no LimitError.
        """
        if not self._finished.wait(timeout):
            return None
        if self._error is not None:
            raise self._error
        return self.report
