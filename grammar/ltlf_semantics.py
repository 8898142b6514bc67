"""What formulas of LTLf mean: whether one holds of a finished trace, by definition.

Each subformula is given its truth at every step, parts before wholes; an operator looks at the steps from its own on,
as its definition reads. Nothing is shared with progression (ltlf_progression), which decides the same in another way.

Cost: a formula of m subformulas on n steps takes O(m n^2).

Source: De Giacomo, Vardi 2013; De Giacomo, De Masellis, Montali 2014, "Reasoning on LTL on finite traces" (AAAI).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias

from .ltlf_formula import (
    And,
    Atom,
    Count,
    Eventually,
    Existence,
    Formula,
    Globally,
    Iff,
    Implies,
    Last,
    Next,
    Not,
    Or,
    Release,
    Template,
    Truth,
    Until,
    Xor,
)

__all__ = ["holds"]

# A subformula's truth at every step of the trace.
Truths: TypeAlias = Sequence[bool]
_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


def holds(formula: Formula, trace: Sequence[str]) -> bool:
    """Whether a formula holds at the first step of a trace; see Formula.holds."""
    if isinstance(trace, str) or not len(trace):
        raise ValueError("a trace is a sequence of names of states, at least one of them")
    return _truths(formula, trace, {})[0]


def _truths(formula: Formula, trace: Sequence[str], known: dict[Formula, Truths]) -> Truths:
    if formula not in known:
        if isinstance(formula, Template):
            known[formula] = _truths(formula.definition, trace, known)
        else:
            known[formula] = _by_definition(formula, [_truths(part, trace, known) for part in formula.parts], trace)
    return known[formula]


def _by_definition(formula: Formula, parts: list[Truths], trace: Sequence[str]) -> Truths:
    steps = range(len(trace))
    match formula:
        case Truth(value):
            return [value for _ in steps]
        case Atom(name):
            return [state == name for state in trace]
        case Last():
            return [step == len(trace) - 1 for step in steps]
        case Not():
            return [not truth for truth in parts[0]]
        case And():
            return [all(truths) for truths in zip(*parts)]
        case Or():
            return [any(truths) for truths in zip(*parts)]
        case Implies():
            return [right or not left for left, right in zip(*parts)]
        case Iff():
            return [left == right for left, right in zip(*parts)]
        case Xor():
            return [left != right for left, right in zip(*parts)]
        case Next(_, distance, strong):
            return [parts[0][step + distance] if step + distance < len(trace) else not strong for step in steps]
        case Until(_, _, strong):
            return [_until(parts[0], parts[1], step, strong) for step in steps]
        case Release(_, _, strong):
            return [_release(parts[0], parts[1], step, strong) for step in steps]
        case Eventually(_, bound):
            return [any(parts[0][step : _end(step, bound)]) for step in steps]
        case Globally(_, bound):
            return [all(parts[0][step : _end(step, bound)]) for step in steps]
        case Existence(_, times):
            return [sum(parts[0][step:]) >= times for step in steps]
        case Count(_, relation, number):
            return [_RELATIONS[relation](sum(parts[0]), number) for _ in steps]
    raise TypeError(f"no formula: {formula!r}")


def _end(step: int, bound: int | None) -> int | None:
    return None if bound is None else step + bound + 1


def _until(left: Truths, right: Truths, step: int, strong: bool) -> bool:
    for later in range(step, len(left)):
        if right[later]:
            return True
        if not left[later]:
            return False
    return not strong


def _release(left: Truths, right: Truths, step: int, strong: bool) -> bool:
    for later in range(step, len(left)):
        if not right[later]:
            return False
        if left[later]:
            return True
    return not strong
