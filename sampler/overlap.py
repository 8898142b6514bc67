"""Masks made in the background, while the model computes the logits that they are for.

Idea. As soon as a step's tokens are known, the masks that are memoised are written at once, since a copy of 16 KB costs
less than waking a thread; the others go to a worker. Making one is machine code without the GIL for all but the first
expansions of states, so the thread that drives the model goes on. When the logits are there, `wait` makes what the
worker has not begun itself, and waits only for the one mask that it may be in the middle of.

    masks = begin_masks(matchers, bitmask)     # after accepting the tokens, before the forward pass
    logits = model(...)
    errors = masks.wait()                      # bitmask is written

INVARIANT: a job is taken by one thread (`deque.popleft` is atomic), so no row is written twice, and no matcher is used
by two threads: the worker has forks of them.
INVARIANT: after `wait` nobody writes the bitmask any more. Who gives up without waiting calls `drop` and leaves the
bitmask to it, since one row may still be written.

Cost, us: 1 for a matcher whose mask is memoised, 12 to hand others over; a mask that is new costs 5 to 30,000.
Rejected: one thread per mask, as the masks of a vocabulary are made under one lock; and a pool's futures, which have no
way to take back only what was not begun.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from ..automata.batch_fill import fill_known_bitmasks
from ..automata.bitmask_rows import as_array
from ..automata.errors import LimitError
from ..automata.matcher import Matcher

__all__ = ["PendingMasks", "begin_masks"]


class PendingMasks:
    """Masks of which some are still to be made. `left` : how many were not memoised when this began."""

    __slots__ = ("_bitmask", "_errors", "_failure", "_jobs", "_working", "left")

    def __init__(self, bitmask: Any, jobs: Sequence[tuple[int, int, Matcher]]) -> None:
        self._bitmask = bitmask
        self._jobs = deque(jobs)  # (index, row, matcher)
        self._working = Lock()  # held by the worker while it may write
        self._errors: dict[int, LimitError] = {}
        self._failure: BaseException | None = None
        self.left = len(self._jobs)

    def wait(self) -> dict[int, LimitError]:
        """Returns when all rows are written: {index of a matcher: the budget that its text has met}.

        The row of such a matcher allows nothing. May be called again.
        """
        if self.left:
            self._work()
            with self._working:
                pass
        if self._failure is not None:
            raise self._failure
        return self._errors

    def drop(self) -> None:
        """Gives up what was not begun; one row may still be written afterwards."""
        self._jobs.clear()

    @property
    def is_ready(self) -> bool:
        """Whether `wait` would return at once."""
        return not self._jobs and not self._working.locked()

    def work_in_background(self) -> None:
        """What the worker does."""
        with self._working:
            self._work()

    def _work(self) -> None:
        while self._jobs:
            try:
                index, row, matcher = self._jobs.popleft()
            except IndexError:  # the other thread took it
                return
            try:
                matcher.fill_next_token_bitmask(self._bitmask, row)
            except LimitError as error:
                self._bitmask[row] = 0
                self._errors[index] = error
            except BaseException as failure:  # of the thread that asked, which `wait` raises it in
                self._failure = failure


def begin_masks(
    matchers: Sequence[Matcher], bitmask: Any, rows: Sequence[int] | None = None, *, background: bool = True
) -> PendingMasks:
    """Writes the masks that are memoised, and has the others made in the background.

    matchers, bitmask, rows : as for `bridle.fill_next_token_bitmasks`. The matchers may be used as ever meanwhile; the
    bitmask's rows are not to be touched before `PendingMasks.wait`. background : False leaves the others to `wait`.
    Raises ValueError for rows that do not fit.
    """
    array = as_array(bitmask)
    left = fill_known_bitmasks(matchers, array, rows)
    jobs = [(i, i if rows is None else int(rows[i]), matchers[i].fork()) for i in left]
    pending = PendingMasks(array, jobs)
    if jobs and background:
        _worker().submit(pending.work_in_background)
    return pending


_workers: dict[int, ThreadPoolExecutor] = {}


def _worker() -> ThreadPoolExecutor:
    """The thread of this process: a fork has none of its parent's."""
    worker = _workers.get(os.getpid())
    return worker or _workers.setdefault(os.getpid(), ThreadPoolExecutor(1, "bridle masks"))
