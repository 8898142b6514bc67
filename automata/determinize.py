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
from .dfa_kernels import (
    DIFFERENCE,
    INTERSECTION,
    UNION,
    determinize,
    product,
)
from .kernel import compile_all
from .minimize import minimized
from .nfa_kernels import build_nfa, write_fragment

__all__ = [
    "DIFFERENCE", "INTERSECTION", "UNION", "combined", "determinized", "fragment_of", "interspersed", "rewritten",
]  # fmt: skip


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
        left.table, left.accepting, left.byte_class, right.table, right.accepting, right.byte_class,
        operation, budget.left("dfa_states"),
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


def interspersed(dfa: ByteDfa, data: bytes, budget: Budget) -> ByteDfa:
    """The automaton's texts with any number of the bytes in `data` put in anywhere. Raises LimitError."""
    states = np.arange(1, dfa.n_states, dtype=np.int32)
    return _with_edges(dfa.transitions, dfa.accepting, [(states, byte, byte, states) for byte in data], budget)


def rewritten(dfa: ByteDfa, old: bytes, new: int | None, budget: Budget) -> ByteDfa:
    """The automaton's texts with the bytes in `old` replaced by `new`, or by nothing (None). Raises LimitError."""
    transitions = dfa.transitions.copy()
    low, high = (1, 0) if new is None else (new, new)
    edges = []
    for byte in old:
        states = np.flatnonzero(transitions[:, byte]).astype(np.int32)
        edges.append((states, low, high, transitions[states, byte]))
        transitions[:, byte] = 0
    return _with_edges(transitions, dfa.accepting, edges, budget)


def _with_edges(
    transitions: np.ndarray, accepting: np.ndarray, edges: list[tuple[np.ndarray, int, int, np.ndarray]], budget: Budget
) -> ByteDfa:
    """An automaton with further edges (sources, low byte, high byte, targets), which make it an NFA."""
    compile_all()
    out = array("i")
    fragment = write_fragment(transitions, accepting)
    fragment[2] += sum(sources.size for sources, *_ in edges)
    out.frombytes(fragment.tobytes())
    for sources, low, high, targets in edges:
        rows = np.empty((sources.size, 4), np.int32)
        rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = sources + 1, low, high, targets + 1
        out.frombytes(rows.tobytes())
    return determinized(out, budget)
