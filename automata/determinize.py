"""NFA programs and pairs of automata become class tables, within counted budgets.

The subset construction over byte classes, and products over the pairs of states that are visited (dfa_kernels.py).
Budgets count what is made (NFA states and edges, DFA states) and what is done (visits), never time, so that the outcome
is the same on every machine; a `Budget` is spent over all the constructions of one compile.

Cost: 15 us for 50 states. Imports numba: import this file within functions.
"""

from __future__ import annotations

from array import array

import numpy as np

from .budget import Budget
from .byte_dfa import ByteDfa
from .dfa_kernels import DIFFERENCE, INTERSECTION, UNION, determinize, product
from .kernel import compile_all
from .minimize import minimized
from .nfa_kernels import build_nfa, write_fragment

__all__ = ["DIFFERENCE", "INTERSECTION", "UNION", "combined", "determinized", "fragment_of"]


def determinized(program: array[int], budget: Budget) -> ByteDfa:
    """The automaton of an NFA program (nfa_kernels.py). Raises LimitError."""
    compile_all()
    header, edges = build_nfa(np.frombuffer(program, np.int32), budget.left("nfa_size"))
    budget.spend("nfa_size", int(header[0]))
    status, table, accepting, class_of = determinize(edges, header, budget.left("dfa_states"), budget.left("steps"))
    _settle(status, budget)
    return minimized(table, accepting, class_of)


def combined(left: ByteDfa, right: ByteDfa, operation: int, budget: Budget) -> ByteDfa:
    """UNION, INTERSECTION or DIFFERENCE of two automata. Raises LimitError."""
    compile_all()
    status, table, accepting, class_of = product(
        left.transitions, left.accepting, left.byte_class,
        right.transitions, right.accepting, right.byte_class, operation, budget.left("dfa_states"),
    )  # fmt: skip
    _settle(status, budget)
    return minimized(table, accepting, class_of)


def _settle(status: np.ndarray, budget: Budget) -> None:
    # A kernel that met a budget stopped one over it, so spending what it reports raises.
    budget.spend("dfa_states", int(status[1]))
    budget.spend("steps", int(status[2]))


def fragment_of(dfa: ByteDfa) -> array[int]:
    """The instruction that puts an automaton into a program."""
    compile_all()
    out = array("i")
    out.frombytes(write_fragment(dfa.transitions, dfa.accepting).tobytes())
    return out
