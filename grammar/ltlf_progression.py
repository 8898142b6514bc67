"""Progression: what a formula of LTLf still asks of the rest of a trace, after one more step.

A state is a Boolean function (decision_diagrams) of *elementary* formulas: atoms and those whose outermost operator
is temporal. A step in state s replaces each elementary formula in the function by what that formula asks of the steps
after this one, and tells whether the trace may end here. So states are canonical up to propositional equivalence, and
hence finitely many; no formula is ever rewritten as a tree.

What an elementary formula f comes to at a step, as (what it asks next, whether it is satisfied if the trace ends here),
where tr(g) is the same for a part and connectives apply to both:

    X g, WX g       (g, no), (g, yes)                F g, G g          tr(g) | (f, no), tr(g) & (f, yes)
    a U b, a W b    tr(b) | tr(a) & (f, no / yes)    a M b, a R b      tr(b) & (tr(a) | (f, no / yes))
    F[<=n] g        tr(g) | (F[<=n-1] g, no)         existence(g, n)   (existence(g, n-1), no) if tr(g), else (f, no)

Formulas that imply each other by their bounds or strengths stand in one chain of the diagrams. A count over the whole
trace is the same at every step: under temporal operators it becomes a case distinction about the first step
(`without_counts`).

Source: Bacchus, Kabanza 1998 (progression); the transformation to leaves with a bit for the end is that of Spot's
ltlf_to_mtbdd (Duret-Lutz et al. 2025). Tested by: direct evaluation (tests/test_ltlf_automaton.py).
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

from ..automata.errors import LimitError
from .decision_diagrams import FALSE, TRUE, Diagrams, Variable
from .ltlf_formula import FALSE as NEVER
from .ltlf_formula import TRUE as ALWAYS
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
    conjunction,
    disjunction,
    subformulas,
    with_parts,
)

__all__ = ["Progression", "without_counts"]

# What is asked of the steps after this one, and whether the trace may end here.
Outcome: TypeAlias = tuple[int, bool]
_MOST_COUNTS = 8  # different counts under temporal operators: each doubles the formula
_UNBOUNDED = sys.maxsize


class Progression:
    """The states of formulas, made on the way."""

    __slots__ = ("_chains", "_outcomes", "_states", "_variables", "diagrams", "elementary")

    def __init__(self, allowed: int) -> None:
        """allowed : nodes of decision diagrams."""
        self.diagrams = Diagrams(allowed)
        self.elementary: dict[Variable, Formula] = {}
        self._chains: dict[tuple[Any, ...], int] = {}
        self._variables: dict[Formula, int] = {}
        self._states: dict[Formula, int] = {}
        self._outcomes: dict[tuple[int, str | None], Outcome] = {}

    def state(self, formula: Formula) -> int:
        """The state that asks for a formula (without counts over the whole trace)."""
        found = self._states.get(formula)
        if found is None:
            found = self._states[formula] = self._state(formula)
        return found

    def step(self, state: int, letter: str | None) -> Outcome:
        """What a state asks for after a step with a letter (None: one that no formula names), and if it may end."""
        if state <= TRUE:
            return state, state == TRUE
        key = (state, letter)
        found = self._outcomes.get(key)
        if found is None:
            diagrams = self.diagrams
            condition = self._progressed(self.elementary[diagrams.variable[state]], letter)
            high, low = self.step(diagrams.high[state], letter), self.step(diagrams.low[state], letter)
            found = diagrams.choose(condition[0], high[0], low[0]), high[1] if condition[1] else low[1]
            self._outcomes[key] = found
        return found

    def _state(self, formula: Formula) -> int:
        diagrams = self.diagrams
        match formula:
            case Truth(value):
                return TRUE if value else FALSE
            case Template():
                return self.state(formula.definition)
            case Not(operand):
                return diagrams.negation(self.state(operand))
            case And(operands):
                whole = TRUE
                for operand in operands:
                    whole = diagrams.both(whole, self.state(operand))
                return whole
            case Or(operands):
                whole = FALSE
                for operand in operands:
                    whole = diagrams.either(whole, self.state(operand))
                return whole
            case Implies(left, right):
                return diagrams.choose(self.state(left), self.state(right), TRUE)
            case Iff(left, right):
                other = self.state(right)
                return diagrams.choose(self.state(left), other, diagrams.negation(other))
            case Xor(left, right):
                other = self.state(right)
                return diagrams.choose(self.state(left), diagrams.negation(other), other)
            case Existence(operand, 1):
                return self._variable(Eventually(operand, None))
            case Eventually(operand, 0) | Globally(operand, 0) | Next(operand, 0):
                return self.state(operand)
        return self._variable(formula)

    def _variable(self, formula: Formula) -> int:
        """The function that is one elementary formula."""
        found = self._variables.get(formula)
        if found is None:
            chain, rank = _place(formula)
            variable = self._chains.setdefault(chain, len(self._chains)), rank
            self.elementary[variable] = formula
            found = self._variables[formula] = self.diagrams.of(variable)
        return found

    def _progressed(self, formula: Formula, letter: str | None) -> Outcome:
        """What an elementary formula comes to at a step: the table above."""
        match formula:
            case Atom(name):
                return (TRUE, True) if name == letter else (FALSE, False)
            case Last():
                return FALSE, True
            case Next(operand, steps, strong):
                return self.state(Next(operand, steps - 1, strong) if steps > 1 else operand), not strong
            case Eventually(operand, bound):
                return self._or(self._of(operand, letter), self._again(Eventually, operand, bound), False)
            case Globally(operand, bound):
                return self._and(self._of(operand, letter), self._again(Globally, operand, bound), True)
            case Until(left, right, strong):
                waits = self._and(self._of(left, letter), self._variable(formula), not strong)
                return self._or(self._of(right, letter), *waits)
            case Release(left, right, strong):
                goes_on = self._or(self._of(left, letter), self._variable(formula), not strong)
                return self._and(self._of(right, letter), *goes_on)
            case Existence(operand, times):
                then, otherwise = self.state(Existence(operand, times - 1)), self._variable(formula)
                return self.diagrams.choose(self._of(operand, letter)[0], then, otherwise), False
        raise TypeError(f"no elementary formula: {formula!r}")

    def _of(self, operand: Formula, letter: str | None) -> Outcome:
        return self.step(self.state(operand), letter)

    def _again(self, kind: type[Eventually | Globally], operand: Formula, bound: int | None) -> int:
        return self.state(kind(operand, None if bound is None else bound - 1))

    def _or(self, left: Outcome, state: int, satisfied: bool) -> Outcome:
        return self.diagrams.either(left[0], state), left[1] or satisfied

    def _and(self, left: Outcome, state: int, satisfied: bool) -> Outcome:
        return self.diagrams.both(left[0], state), left[1] and satisfied


def _place(formula: Formula) -> tuple[tuple[Any, ...], int]:
    """The chain of an elementary formula and its rank there: each implies those of greater rank."""
    match formula:
        case Eventually(operand, bound):
            return (Eventually, operand), _UNBOUNDED if bound is None else bound
        case Globally(operand, bound):
            return (Globally, operand), -_UNBOUNDED if bound is None else -bound
        case Existence(operand, times):
            return (Existence, operand), -times
        case Next(operand, steps, strong):
            return (Next, operand, steps), 0 if strong else 1
        case Until(left, right, strong):
            return (Until, left, right), 0 if strong else 1
        case Release(left, right, strong):
            return (Release, left, right), 0 if strong else 1
    return (formula,), 0


def without_counts(formula: Formula) -> Formula:
    """The same formula, at the first step of a trace, with counts over the whole trace said by Existence there.

    Raises LimitError where more than 8 different counts stand under one temporal operator.
    """
    match formula:
        case Count():
            return without_counts(formula.definition)
        case Not() | And() | Or() | Implies() | Iff() | Xor():
            return with_parts(formula, [without_counts(part) for part in formula.parts])
    counts = [part for part in subformulas(formula) if isinstance(part, Count)]
    if not counts:
        return formula
    if len(counts) > _MOST_COUNTS:
        raise LimitError("different counts under a temporal operator", len(counts), _MOST_COUNTS)
    innermost = counts[0]
    yes, no = (without_counts(_replaced(formula, innermost, truth, {})) for truth in (ALWAYS, NEVER))
    said = innermost.definition
    return disjunction(conjunction(said, yes), conjunction(Not(said), no))


def _replaced(formula: Formula, old: Formula, new: Formula, known: dict[Formula, Formula]) -> Formula:
    if formula is old:
        return new
    if formula not in known:
        known[formula] = with_parts(formula, [_replaced(part, old, new, known) for part in formula.parts])
    return known[formula]
