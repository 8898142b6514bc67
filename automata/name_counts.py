"""How many names each state of a spelled language leads to, counted by value.

A class of member names is an automaton over their JSON spellings, the closing quote included. An object may have each
name once, so where a class has few names left from some state on, their number matters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .byte_dfa import ByteDfa
from .count_kernels import MOST, count_values

__all__ = ["MOST", "name_counts"]


@lru_cache(maxsize=256)
def name_counts(dfa: ByteDfa) -> np.ndarray:
    """int32[n_states]: names that a state leads to, saturated at 2**30; -1: infinitely many; 0 of the dead state."""
    n = dfa.n_states
    counts = np.zeros(n, np.int32)
    count_values(dfa.transitions, dfa.accepting, counts, np.zeros((4, n), np.int64))
    return counts
