"""Greedy leaves that accept in some of the states of an automaton only."""

from __future__ import annotations

import numpy as np

from ..automata.greedy_dfa import BLOCKED, GreedyDfa, made

__all__ = ["with_ends"]


def with_ends(table: np.ndarray, ends: np.ndarray, class_of: np.ndarray) -> GreedyDfa | None:
    """The leaf of the same entries that accepts in the states `ends`: what goes on to none of them is BLOCKED."""
    useful = ends
    ahead = np.maximum(table, 0)
    while not ((more := useful | useful[ahead].any(axis=1)) == useful).all():
        useful = more
    if not useful[1]:
        return None
    entries = np.where((table > 0) & ~useful[ahead], BLOCKED, table)
    entries[~ends] = np.maximum(entries[~ends], 0)  # where it cannot end anyway
    return made(entries, ends, class_of)
