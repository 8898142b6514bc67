"""Flat tables that only grow, and the context array through which kernels see them.

A table is an int32 array (MISC: int64) at an address that the context names. All tables of an owner start in one zeroed
block, because a machine is made for every schema and twenty allocations would cost more than the first mask; a table
that gets full moves to an array of its own, twice as large.

INVARIANT: an array that was replaced is kept while its owner lives: a thread that reads without a lock may be in it.
Together the old ones are smaller than the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

__all__ = ["GrowingTables"]

Reindex = Callable[["GrowingTables", np.ndarray], None]


class _Layout(NamedTuple):
    """Where the tables of an owner begin: the same for all of its kind.

    context : as GrowingTables has it, with offsets in bytes for addresses; addresses : the places of these in it.
    size : of the block. index_places, index_masks : what the block begins with where a hash index is.
    """

    context: np.ndarray
    addresses: np.ndarray
    size: int
    index_places: np.ndarray
    index_masks: np.ndarray


@lru_cache(maxsize=64)
def _layout(slots: int, capacities: tuple[tuple[int, int], ...], indexes: frozenset[int]) -> _Layout:
    context, at = np.zeros(3 * slots, np.int64), 0
    places, masks = [], []
    for slot, n in capacities:
        context[3 * slot : 3 * slot + 2] = 4 * at, n
        if slot in indexes:
            places.append(at)
            masks.append(n - 2)
        at += n + (n & 1)  # eight-byte steps, so that every table is aligned
    addresses = np.array([3 * slot for slot, _ in capacities], np.intp)
    return _Layout(context, addresses, at, np.array(places, np.intp), np.array(masks, np.int32))


class GrowingTables:
    """The tables of one owner. `context` is int64[3 * slots]: address, capacity and count (in elements) of each."""

    __slots__ = ("_arrays", "_begin", "_block", "_indexes", "_kept", "context", "nbytes")

    def __init__(self, slots: int, capacities: dict[int, int], indexes: dict[int, Reindex]) -> None:
        layout = _layout(slots, tuple(capacities.items()), frozenset(indexes))
        self._indexes = indexes
        self._kept: list[np.ndarray] = []
        self._arrays: dict[int, np.ndarray] = {}
        self._block = np.zeros(layout.size, np.int32)
        self._block[layout.index_places] = layout.index_masks
        self._begin: int = self._block.ctypes.data  # PERF: to ask for it takes 5 us
        self.nbytes = self._block.nbytes  # bytes of all tables, the replaced ones that are kept included
        self.context = layout.context.copy()
        self.context[layout.addresses] += self._begin

    def put(self, slot: int, array: np.ndarray) -> None:
        """Makes a whole array (contiguous, kept alive here) a table that is full."""
        if not array.flags.c_contiguous:
            raise ValueError("a table is one contiguous array")
        self._arrays[slot] = array
        self.context[3 * slot : 3 * slot + 3] = (array.ctypes.data, array.size, array.size)

    def view(self, slot: int) -> np.ndarray:
        """int32[capacity], the table as it is now."""
        known = self._arrays.get(slot)
        if known is not None:
            return known
        start = (int(self.context[3 * slot]) - self._begin) // 4
        return self._block[start : start + int(self.context[3 * slot + 1])]

    def count(self, slot: int) -> int:
        """Elements in use."""
        return int(self.context[3 * slot + 2])

    def grow(self, slot: int, n: int) -> None:
        """Makes room for n more elements (entries, for a hash index); at least doubles."""
        old = self.view(slot)
        count = self.count(slot)
        reindex = self._indexes.get(slot)
        if reindex is None:
            size = max(2 * old.size, count + n)
            new = np.zeros(size, old.dtype)
            new[: old.size] = old
        else:
            # A power of two and the element that holds the mask; at most a quarter full, so that growing is rare.
            new = np.zeros((1 << (4 * (count + n)).bit_length()) + 1, np.int32)
            new[0] = new.size - 2
            reindex(self, new)
        if slot in self._arrays:
            self._kept.append(old)
        self.nbytes += new.nbytes
        self._arrays[slot] = new
        self.context[3 * slot + 1] = new.size
        self.context[3 * slot] = new.ctypes.data

    def forget_replaced(self) -> None:
        """Frees the arrays that were replaced: for an owner whose tables nobody else reads yet."""
        self.nbytes -= sum(array.nbytes for array in self._kept)
        self._kept.clear()
