"""Masks of a batch: all that are memoised in one call, shared out to threads that need no interpreter.

Reading memos takes no lock (mask_kernels.py), so any number of threads may write rows at once, of any grammars. What is
not memoised is made afterwards, by the thread that asked: making changes tables, which one thread at a time may do.

Cost, Llama 3: 0.3 us a row in one thread beside 0.2 us to look at its matcher; handing a part to another thread takes
15 us, so a batch is divided from `_WORTHWHILE` rows on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from .bitmask_rows import as_array, check_row
from .errors import LimitError
from .mask_kernels import fill_batch, known_masks
from .matcher import Matcher
from .vocabulary import Vocabulary

__all__ = ["MaskKey", "ended_key", "fill_known_bitmasks", "fill_next_token_bitmasks", "mask_keys"]

MaskKey: TypeAlias = tuple[int, ...]

# Rows below which a thread of its own is not worth while.
_WORTHWHILE = 64
# What memory can feed: beyond it threads wait for each other's copies.
_MOST_THREADS = 16


def fill_next_token_bitmasks(
    matchers: Sequence[Matcher], bitmask: Any, rows: Sequence[int] | None = None, *, threads: int | None = None
) -> None:
    """Fills one row for each matcher (row i for the i-th, or rows[i]); grammars may differ, the vocabulary may not.

    bitmask : as for `Matcher.fill_next_token_bitmask`. rows : each at most once. threads : how many may write at the
    same time; None: as many as the process has processors, where the batch is large enough to be worth it.
    Raises ValueError for rows that do not fit or several vocabularies, before anything is written; LimitError for a
    text whose budget is met, once all the others' rows are written: its own allows nothing, and the place names it.
    """
    array = as_array(bitmask)
    failed: LimitError | None = None
    for i in fill_known_bitmasks(matchers, array, rows, threads=threads):
        row = i if rows is None else int(rows[i])
        try:
            matchers[i].fill_next_token_bitmask(array, row)
        except LimitError as error:
            array[row] = 0
            error.place = f"{error.place} of matcher {i}"
            failed = failed or error
    if failed is not None:
        raise failed


def fill_known_bitmasks(
    matchers: Sequence[Matcher], bitmask: Any, rows: Sequence[int] | None = None, *, threads: int | None = None
) -> list[int]:
    """As `fill_next_token_bitmasks`, of the masks that are memoised alone: which matchers, by index, have none yet.

    Makes nothing and waits for nobody; rows of those that are returned are left as they are.
    """
    array = as_array(bitmask)
    n = len(matchers)
    if n == 1 and threads is None and (rows is None or len(rows) == 1):  # PERF: 1 us, where a batch of one costs 14
        row = 0 if rows is None else int(rows[0])
        return [] if matchers[0].fill_known_bitmask(array, row) else [0]
    places = np.arange(n) if rows is None else np.asarray(rows, np.int64)
    if len(places) != n:
        raise ValueError(f"{n} matchers, but {len(places)} rows")
    if threads is not None and threads < 1:
        raise ValueError(f"{threads} threads cannot fill anything; None chooses a number")
    if not n:
        return []
    _check_batch(matchers, array, places)
    addresses, refs = _configurations(matchers)
    done = np.zeros(n, np.uint8)
    _fill_known(addresses, refs, array, places, done, _threads_for(n) if threads is None else min(threads, n))
    left = [i for i in range(n) if not done[i] or matchers[i].is_narrowed]
    for i in left:
        if matchers[i].is_terminated():
            matchers[i].fill_next_token_bitmask(array, int(places[i]))
    return [i for i in left if not matchers[i].is_terminated()]


def mask_keys(matchers: Sequence[Matcher]) -> list[MaskKey | None]:
    """Which mask each matcher is at: equal keys are equal masks for good; None where the mask is not made yet, and
    where a budget of tokens narrows it.

    A key is the machine's number, which no other machine of the process ever gets, and the mask's in it, which never
    changes; so whoever keeps masks by their keys, as a table on a device does, never finds another one there. Different
    keys may be equal masks, too. 0.3 us each.
    """
    addresses, refs = _configurations(matchers)
    masks = np.zeros(len(matchers), np.int64)
    known_masks(addresses, refs, masks)
    return [
        (matcher.machine_number, mask) if mask >= 0 and not matcher.is_narrowed else
        ended_key(matcher.compiled.vocabulary) if matcher.is_terminated() else None
        for matcher, mask in zip(matchers, masks.tolist(), strict=True)
    ]  # fmt: skip


def ended_key(vocabulary: Vocabulary) -> MaskKey:
    """The key of the mask that allows stop tokens alone, as after a text that has ended."""
    return (0, *vocabulary.stop_token_ids)


def _configurations(matchers: Sequence[Matcher]) -> tuple[np.ndarray, np.ndarray]:
    """int64[n] each: the addresses of the machines' contexts, and what the matchers stand at there."""
    # A matcher that has ended has no mask of its machine.
    addresses = np.array([0 if matcher._terminated else matcher._address for matcher in matchers], np.int64)
    return addresses, np.array([matcher._ref for matcher in matchers], np.int64)


def _check_batch(matchers: Sequence[Matcher], array: np.ndarray, places: np.ndarray) -> None:
    vocabulary = matchers[0].compiled.vocabulary
    for compiled in {matcher.compiled for matcher in matchers}:
        if compiled.vocabulary is not vocabulary and compiled.vocabulary != vocabulary:
            raise ValueError("all matchers of a batch must share one vocabulary")
    for row in (int(places.min()), int(places.max())):
        check_row(array, row, vocabulary.size)


def _fill_known(
    addresses: np.ndarray, refs: np.ndarray, array: np.ndarray, places: np.ndarray, done: np.ndarray, threads: int
) -> None:
    """Writes what is memoised, in so many parts."""
    n = len(addresses)
    bounds = [n * k // threads for k in range(threads + 1)]
    parts = [slice(bounds[k], bounds[k + 1]) for k in range(threads)]
    others = [
        _pool().submit(fill_batch, addresses[part], refs[part], array, places[part], done[part]) for part in parts[1:]
    ]
    first = parts[0]
    try:
        fill_batch(addresses[first], refs[first], array, places[first], done[first])
    finally:
        # The caller keeps the tables of all matchers alive until the last thread has left them.
        for other in others:
            other.result()


def _threads_for(n: int) -> int:
    return max(1, min(n // _WORTHWHILE, _processors(), _MOST_THREADS))


@cache
def _processors() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """The threads of this process: a fork has none of its parent's."""
    pool = _pools.get(os.getpid())
    # No thread is started before it is needed, so a pool that comes second costs nothing.
    return pool or _pools.setdefault(os.getpid(), ThreadPoolExecutor(_MOST_THREADS, "bridle fill"))
