"""How many names each state of a spelled language leads to, counted by value; and how long the texts of a language are.

A class of member names is an automaton over their JSON spellings, the closing quote included. An object may have each
name once, so where a class has few names left from some state on, their number matters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .byte_dfa import ByteDfa
from .count_kernels import GROWING, MOST, count_values, measure_texts
from .kernel import compile_all

__all__ = ["MOST", "Lengths", "name_counts", "text_lengths"]


@lru_cache(maxsize=256)
def name_counts(dfa: ByteDfa) -> np.ndarray:
    """int32[n_states]: names that a state leads to, saturated at 2**30; -1: infinitely many; 0 of the dead state."""
    n = dfa.n_states
    counts = np.zeros(n, np.int32)
    count_values(dfa.table, dfa.transitions, dfa.accepting, counts, np.zeros((5, n), np.int64))
    return counts


class Lengths(NamedTuple):
    """How many code points the texts of a language have: `least` to `most` (None: no bound).

    growing : every text can be made longer by one code point. What begins a text can then be completed to every number
    of code points from the fewest on.
    """

    least: int
    most: int | None
    growing: bool


@lru_cache(maxsize=1024)
def text_lengths(dfa: ByteDfa) -> Lengths:
    """How long the texts of an automaton of UTF-8 are, which is not empty."""
    compile_all()
    least, most = measure_texts(dfa.table, dfa.accepting, dfa.byte_class, np.zeros((3, dfa.n_states), np.int64))
    return Lengths(int(least), int(most) if most >= 0 else None, most == GROWING)
