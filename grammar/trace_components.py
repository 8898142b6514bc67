"""The parts of a specification as small automata over traces, which the product (ltlf_automaton) walks together.

A component is one conjunct of a formula, or a trace expression. Letters that it does not tell apart are one class, so
that its tables have a column for each state that it names and one for all others. Its states are made on the way, by
progression or by derivatives, and numbered; each has its `distance`: at least as many steps are needed until the
component is satisfied, infinitely many if it can't be any more.

A formula's component is explored at once if that takes few states; then it is minimised (Moore's refinement: the states
are few) and its distances are exact, so that all its dead states are known. Larger ones stay lazy: their distance is 1
where they are unsatisfied.

INVARIANT: state 0 is the initial one; a state of infinite distance is dead; a state is accepting iff its distance is 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any

from .decision_diagrams import FALSE
from .ltlf_formula import And, Formula, Not, Or, Template
from .ltlf_progression import Progression, without_counts
from .trace_expression import TraceExpression, after, steps_left

__all__ = ["Component", "conjuncts", "equivalent_states", "expression_component", "formula_component"]

_EXPLORED_AT_ONCE = 500  # states


class Component:
    """An automaton over classes of letters.

    source : the name of the formula (or other part) that it comes from
    classes : per letter of the alphabet, its class
    distance : per state, at least as many steps are needed until it is satisfied
    """

    __slots__ = ("classes", "distance", "rows", "source")

    def __init__(self, source: str, classes: Sequence[int]) -> None:
        self.source, self.classes = source, tuple(classes)
        self.rows: list[list[int]] = []
        self.distance: list[float] = []

    def step(self, state: int, column: int) -> int:
        """The state after a letter of that class."""
        return self.rows[state][column]


class LazyComponent(Component, ABC):
    """One whose states are made when they are first asked for; -1 stands for a step that was not yet taken."""

    __slots__ = ("_keys", "_states", "columns")

    def __init__(self, source: str, letters: Sequence[str], named: frozenset[str], initial: Hashable) -> None:
        self.columns: list[str | None] = [*sorted(named), None]  # None: all letters that are not named
        column = {letter: at for at, letter in enumerate(self.columns)}
        super().__init__(source, [column.get(letter, len(named)) for letter in letters])
        self._keys: list[Any] = []
        self._states: dict[Hashable, int] = {}
        self._number(initial)

    def step(self, state: int, column: int) -> int:
        found = self.rows[state][column]
        if found < 0:
            found = self.rows[state][column] = self._number(self._after(self._keys[state], self.columns[column]))
        return found

    def _number(self, key: Hashable) -> int:
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = len(self._keys)
            self._keys.append(key)
            self.rows.append([-1] * len(self.columns))
            self.distance.append(self._distance(key))
        return found

    @abstractmethod
    def _after(self, key: Any, letter: str | None) -> Hashable:
        """What a step leads to."""

    @abstractmethod
    def _distance(self, key: Any) -> float:
        """A lower bound of the steps until the component is satisfied."""


class _FormulaComponent(LazyComponent):
    """States are those of progression, with whether the formula is satisfied if the trace ends there."""

    __slots__ = ("_progression",)

    def __init__(self, source: str, letters: Sequence[str], formula: Formula, progression: Progression) -> None:
        self._progression = progression
        super().__init__(source, letters, formula.atoms, (progression.state(without_counts(formula)), False))

    def _after(self, key: tuple[int, bool], letter: str | None) -> Hashable:
        return self._progression.step(key[0], letter)

    def _distance(self, key: tuple[int, bool]) -> float:
        state, satisfied = key
        return 0 if satisfied else math.inf if state == FALSE else 1


class _ExpressionComponent(LazyComponent):
    """States are sets of terms; the initial one is apart, for a trace has steps."""

    __slots__ = ()

    def __init__(self, source: str, letters: Sequence[str], expression: TraceExpression) -> None:
        super().__init__(source, letters, expression.atoms, (frozenset([(expression, ())]), False))

    def _after(self, key: Any, letter: str | None) -> Hashable:
        return (frozenset() if letter is None else after(key[0], letter)), True

    def _distance(self, key: Any) -> float:
        terms, begun = key
        return max(steps_left(terms), 0 if begun else 1)


def expression_component(source: str, letters: Sequence[str], expression: TraceExpression) -> Component:
    return _ExpressionComponent(source, letters, expression)


def formula_component(source: str, letters: Sequence[str], formula: Formula, progression: Progression) -> Component:
    """Raises LimitError when the decision diagrams' budget does not suffice."""
    lazy = _FormulaComponent(source, letters, formula, progression)
    state = 0
    while state < len(lazy.rows):
        for column in range(len(lazy.columns)):
            lazy.step(state, column)
        state += 1
        if len(lazy.rows) > _EXPLORED_AT_ONCE:
            return lazy
    return _minimised(lazy)


def conjuncts(formula: Formula) -> list[Formula]:
    """Formulas that together say the same as one; the fewer each of them speaks of, the smaller its automaton."""
    match formula:
        case Template():
            inner = conjuncts(formula.definition)
            return inner if len(inner) > 1 else [formula]
        case And(operands):
            return [part for operand in operands for part in conjuncts(operand)]
        case Not(Or(operands)):
            return [part for operand in operands for part in conjuncts(Not(operand))]
        case Not(Not(operand)):
            return conjuncts(operand)
    return [formula]


def equivalent_states(rows: Sequence[Sequence[int]], marks: Sequence[int]) -> list[int]:
    """Per state, the number of its class, by first occurrence: Moore's algorithm.

    States are told apart by their marks, then by where their steps lead, until nothing changes.
    """
    block, blocks = list(marks), 0
    while len(set(block)) > blocks:
        blocks = len(set(block))
        numbers: dict[tuple[int, ...], int] = {}
        signatures = ((block[state], *(block[target] for target in row)) for state, row in enumerate(rows))
        block = [numbers.setdefault(signature, len(numbers)) for signature in signatures]
    return block


def _minimised(lazy: LazyComponent) -> Component:
    block = equivalent_states(lazy.rows, [int(distance == 0) for distance in lazy.distance])
    blocks = len(set(block))
    small = Component(lazy.source, lazy.classes)
    small.rows = [[] for _ in range(blocks)]
    accepting = [False] * blocks
    for state, row in enumerate(lazy.rows):
        small.rows[block[state]] = [block[target] for target in row]
        accepting[block[state]] = lazy.distance[state] == 0
    small.distance = _distances(small.rows, accepting)
    return small


def _distances(rows: list[list[int]], accepting: list[bool]) -> list[float]:
    """Steps from each state to the next accepting one, backwards from those."""
    before: list[set[int]] = [set() for _ in rows]
    for state, row in enumerate(rows):
        for target in row:
            before[target].add(state)
    distance: list[float] = [0 if accepts else math.inf for accepts in accepting]
    front = [state for state, accepts in enumerate(accepting) if accepts]
    steps = 0
    while front:
        steps += 1
        front = list({source for state in front for source in before[state] if distance[source] == math.inf})
        for state in front:
            distance[state] = steps
    return distance
