"""A specification of traces as an automaton that never runs into a dead end.

Every conjunct of every formula, and the trace expression, is a component (trace_components) of its own; the automaton
is their product, made on the way: a state is what each component remembers. A step to a state from which the
components can't all be satisfied any more (trace_liveness) is not there, so whoever follows the steps that are
offered can always finish. Compiling the conjunction as one formula instead would multiply the components before
anything is known of them.

Cost: 20 random Declare constraints over 15 states are compiled in some 10 ms; a state's letters take 0.1 to 1 ms when
first asked for, and a dictionary look-up afterwards.

Source: De Giacomo, De Masellis, Maggi, Montali 2022, "Monitoring constraints and metaconstraints with temporal logics
on finite traces", for monitors as products of constraints' automata. Tested by: direct evaluation of each formula.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..automata.errors import GrammarError, LimitError, UnsatisfiableError
from .ltlf_formula import TRUE, Atom, Formula, Template, disjunction
from .ltlf_progression import Progression
from .ltlf_syntax import unknown_state
from .trace_components import Component, conjuncts, expression_component, formula_component
from .trace_expression import TraceExpression
from .trace_liveness import Liveness, ProductState

__all__ = ["Blame", "ConflictingFormulasError", "TraceAutomaton", "TraceLimits", "satisfiable"]

# What components come from, beside formulas, which have names of their own.
EXPRESSION, FINAL, STEPS = "the trace expression", "the final states", "the rule that a trace has steps"
_UNKNOWN, _DEAD = -2, -1


@dataclass(frozen=True, slots=True)
class TraceLimits:
    """Counted budgets of one automaton.

    states : states of the product that are made
    visits : states visited to tell whether one state can still lead to acceptance
    nodes : nodes of decision diagrams, over all formulas
    """

    states: int = 200_000
    visits: int = 50_000
    nodes: int = 500_000


class ConflictingFormulasError(UnsatisfiableError):
    """Formulas that no trace satisfies together: `names`, of which none can be left out."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        together = " together, though any fewer of them can be satisfied" if len(names) > 1 else ""
        super().__init__(f"no trace satisfies {_listed(names)}{together}")


@dataclass(frozen=True, slots=True)
class Blame:
    """Where a trace leaves a specification.

    step : the step that breaks it, from 0; the number of steps if the trace ends too early
    letter : the state of that step; None at the end
    names : what it breaks: formulas that can't be satisfied (together) after it, or, at the end, are not; empty if the
        specification has no state of that name
    allowed : the states that could have come instead
    may_end : whether the trace could have ended before that step
    """

    step: int
    letter: str | None
    names: tuple[str, ...]
    allowed: tuple[str, ...]
    may_end: bool

    def __str__(self) -> str:
        instead = [*self.allowed, *(["the end"] if self.may_end else [])]
        expected = f"; expected: {', '.join(instead)}"
        if self.letter is None:
            return f"the trace ends too early for {_listed(self.names)}{expected}"
        if not self.names:
            return f"there is no state {self.letter!r}{expected}"
        together = " together" if len(self.names) > 1 else ""
        return f"after {self.letter!r}, {_listed(self.names)} can't be satisfied{together} any more{expected}"


class TraceAutomaton:
    """The traces over some states that satisfy all formulas, are read by an expression, and end in a final state.

    letters : the states' names, at least one
    formulas : by name, as messages show them
    final : states in one of which a trace ends; none, or None, for any
    Raises GrammarError for a formula or expression that names another state, ConflictingFormulasError if no trace
    satisfies all, LimitError. Threads may share an automaton.
    """

    def __init__(
        self,
        letters: Sequence[str],
        formulas: Mapping[str, Formula],
        expression: TraceExpression | None = None,
        final: frozenset[str] | None = None,
        *,
        limits: TraceLimits | None = None,
    ) -> None:
        self.alphabet = tuple(dict.fromkeys(letters))
        if not self.alphabet:
            raise GrammarError("a specification has at least one state: traces are not empty")
        self.formulas, self.expression, self.final = dict(formulas), expression, frozenset(final or ())
        self.limits = limits or TraceLimits()
        self._index = {letter: at for at, letter in enumerate(self.alphabet)}
        self._lock = threading.RLock()
        self._components = self._made_components()
        self._liveness = Liveness(self._components, self.limits.visits)
        self._numbers: dict[ProductState, int] = {}
        self._product: list[ProductState] = []
        self._rows: list[list[int]] = []
        start = (0,) * len(self._components)
        names = self._conflict(start, begun=False)
        if names:
            raise ConflictingFormulasError(names)
        self.initial: int = self._number(start)

    def step(self, state: int, letter: str) -> int | None:
        """The state after a step; None if the specification could not be met any more. GrammarError: no such letter."""
        column = self._index.get(letter)
        if column is None:
            raise GrammarError(unknown_state(letter, self.alphabet))
        target = self._rows[state][column]
        if target == _UNKNOWN:
            with self._lock:
                target = self._rows[state][column] = self._stepped(state, column)
        return None if target == _DEAD else target

    def letters(self, state: int) -> tuple[str, ...]:
        """The states that may come next."""
        return tuple(letter for letter in self.alphabet if self.step(state, letter) is not None)

    def may_end(self, state: int) -> bool:
        """Whether the trace so far, of at least one step, satisfies everything."""
        return not any(part.distance[own] for part, own in zip(self._components, self._product[state]))

    def blame(self, trace: Sequence[str]) -> Blame | None:
        """Where a trace first leaves the specification, and what was allowed there; None if it satisfies it."""
        state = self.initial
        for step, letter in enumerate(trace):
            after = self.step(state, letter) if letter in self._index else None
            if after is None:
                return Blame(step, letter, self._broken_by(state, letter), self.letters(state), self.may_end(state))
            state = after
        if self.may_end(state):
            return None
        own = self._product[state]
        names = dict.fromkeys(part.source for part, at in zip(self._components, own) if part.distance[at])
        return Blame(len(trace), None, tuple(names), self.letters(state), False)

    def _made_components(self) -> list[Component]:
        progression = Progression(self.limits.nodes)
        made: list[Component] = []
        for name in {EXPRESSION, FINAL, STEPS}.intersection(self.formulas):
            raise GrammarError(f"no formula may be named {name!r}: that is what another part is called in messages")
        for name, formula in self._all_formulas():
            self._check_names(name, formula)
            parts = dict.fromkeys(conjuncts(formula))
            made.extend(formula_component(name, self.alphabet, part, progression) for part in parts)
        if self.expression is not None:
            self._check_names(EXPRESSION, self.expression)
            made.append(expression_component(EXPRESSION, self.alphabet, self.expression))
        return made

    def _all_formulas(self) -> list[tuple[str, Formula]]:
        found = list(self.formulas.items())
        if self.final:
            found.append((FINAL, Template("end", (disjunction(*map(Atom, sorted(self.final))),), None)))
        if not found and self.expression is None:
            found.append((STEPS, TRUE))  # with no component at all, even the empty trace would do
        return found

    def _check_names(self, name: str, part: Formula | TraceExpression) -> None:
        for atom in sorted(part.atoms):
            if atom not in self._index:
                raise GrammarError(f"{name}: {unknown_state(atom, self.alphabet)}")

    def _number(self, product: ProductState) -> int:
        found = self._numbers.get(product)
        if found is None:
            found = self._numbers[product] = len(self._product)
            if found >= self.limits.states:
                raise LimitError("states of a specification", found + 1, self.limits.states)
            self._product.append(product)
            self._rows.append([_UNKNOWN] * len(self.alphabet))
        return found

    def _stepped(self, state: int, column: int) -> int:
        product = self._liveness.step(self._product[state], column)
        if product in self._numbers:
            return self._numbers[product]
        return _DEAD if self._liveness.conflict(product, begun=True) else self._number(product)

    def _broken_by(self, state: int, letter: str) -> tuple[str, ...]:
        if letter not in self._index:
            return ()
        with self._lock:
            return self._conflict(self._liveness.step(self._product[state], self._index[letter]), begun=True) or ()

    def _conflict(self, product: ProductState, *, begun: bool) -> tuple[str, ...] | None:
        """A minimal set of what can't be satisfied together any more, by name: whatever can be left out is left out."""
        found = self._liveness.conflict(product, begun=begun)
        if found is None:
            return None
        needed = list(dict.fromkeys(self._components[member].source for member in found))
        for name in tuple(needed):
            if name in needed and len(needed) > 1:
                others = tuple(
                    at for at, part in enumerate(self._components) if part.source in needed and part.source != name
                )
                smaller = self._liveness.conflict(product, begun=begun, among=others)
                if smaller is not None:
                    needed = list(dict.fromkeys(self._components[member].source for member in smaller))
        return tuple(needed)


def satisfiable(formula: Formula, letters: tuple[str, ...]) -> bool:
    """Whether some trace satisfies a formula; see Formula.satisfiable."""
    try:
        TraceAutomaton(letters, {"the formula": formula})
    except ConflictingFormulasError:
        return False
    return True


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
