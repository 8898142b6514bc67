"""Greedy leaves changed: with other ends, or holding less. A set of bytes is an int, byte b its bit b."""

from __future__ import annotations

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.greedy_dfa import ASCII, BLOCKED, GreedyDfa, made

__all__ = ["ALL_ASCII", "ALL_BYTES", "ALL_CLASSES", "as_set", "first_bytes", "loosened", "trimmed", "with_ends"]

ALL_BYTES = (1 << 256) - 1
ALL_ASCII = (1 << ASCII) - 1
ALL_CLASSES = np.arange(256, dtype=np.uint8)


def as_set(flags: np.ndarray) -> int:
    """The set of the bytes whose flag is set; flags : bool[256]."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def first_bytes(leaf: GreedyDfa | ByteDfa) -> int:
    """The bytes that texts of a leaf begin with."""
    return as_set(leaf.table[1, leaf.byte_class] > 0)


def loosened(leaf: GreedyDfa, after: int) -> GreedyDfa:
    """The leaf that holds no byte but those in `after`, unless it goes on with it."""
    flags = np.frombuffer(after.to_bytes(32, "little"), np.uint8)
    may_come = np.unpackbits(flags, bitorder="little").astype(bool)
    table = leaf.table[:, leaf.byte_class].astype(np.int64)
    table[:, ~may_come] = np.maximum(table[:, ~may_come], 0)
    again = made(table, leaf.accepting, ALL_CLASSES)
    return leaf if again == leaf else again


def trimmed(leaf: GreedyDfa, ends: np.ndarray) -> GreedyDfa | None:
    """The leaf that accepts in the states `ends` alone; None if it has no text then."""
    return with_ends(leaf.table[:, leaf.byte_class].astype(np.int64), ends, ALL_CLASSES, lenient=leaf.lenient)


def with_ends(
    table: np.ndarray, ends: np.ndarray, class_of: np.ndarray, *, lenient: bool = False
) -> GreedyDfa | None:
    """The leaf of these entries that accepts in the states `ends`: what is held and goes on to none is BLOCKED.

    class_of : uint8[256]; ALL_CLASSES, of a lenient one.
    """
    useful = ends
    ahead = np.maximum(table, 0)
    while not ((more := useful | useful[ahead].any(axis=1)) == useful).all():
        useful = more
    if not useful[1]:
        return None
    blocked = np.full(table.shape[1], BLOCKED)
    if lenient:
        blocked[ASCII:] = 0
    entries = np.where((table > 0) & ~useful[ahead], blocked, table)
    entries[~ends] = np.maximum(entries[~ends], 0)  # where it cannot end anyway
    return made(entries, ends, class_of, lenient=lenient)
