"""Regular expressions over an agent's states, with counts: which traces are wanted, as a pattern of steps.

    question (thought action observation){0,5} answer

LTLf can't say everything that such an expression can: "an even number of steps" is none of its properties. An
expression is followed by partial derivatives: what may come after a step is a set of *terms*, each the rest of one
reading, as a linked list of expressions. A count is a field of the expression and never unrolled, so {0,1000} costs
nothing until a trace gets there.

INVARIANT: expressions are interned (interned_nodes).

Source: Antimirov 1996, "Partial derivatives of regular expressions and finite automaton constructions".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..automata.errors import GrammarError, LimitError
from .interned_nodes import InternedNode
from .ltlf_formula import Atom

__all__ = ["Term", "TraceExpression", "after", "steps_left"]

_MOST_TERMS = 10_000


class TraceExpression(InternedNode):
    """A regular expression over states. A name stands for the state of that name wherever a part is wanted.

    Raises LimitError for nesting beyond MAX_DEPTH (interned_nodes).
    """

    __slots__ = ()

    @staticmethod
    def state(name: str) -> TraceExpression:
        """One step, in that state."""
        return _State(name)

    @staticmethod
    def sequence(*parts: TraceExpression | str) -> TraceExpression:
        """The parts, one after another; none: no step at all."""
        inner = tuple(map(_expression, parts))
        return inner[0] if len(inner) == 1 else _Sequence(inner)

    @staticmethod
    def alternatives(*parts: TraceExpression | str) -> TraceExpression:
        """One of the parts, of which there must be at least one."""
        if not parts:
            raise GrammarError("alternatives of a trace expression are at least one")
        inner = tuple(map(_expression, parts))
        return inner[0] if len(inner) == 1 else _Alternatives(inner)

    def repeat(self, least: int, most: int | None = None) -> TraceExpression:
        """So many of it in a row; `most` None: without end. Raises GrammarError unless 0 <= least <= most."""
        if least < 0 or (most is not None and most < least):
            raise GrammarError(f"a trace expression can't be repeated {least} to {most} times")
        if (least, most) == (1, 1):
            return self
        return _Repeat(self, least, most)

    @property
    def atoms(self) -> frozenset[str]:
        """The names of the states in it."""
        own = frozenset([self.name]) if isinstance(self, _State) else frozenset()
        return own.union(*(part.atoms for part in self.parts))

    def __repr__(self) -> str:
        return f"<TraceExpression {self}>"

    def _shown(self) -> str:
        """As an operand of a sequence or a count."""
        return str(self) if isinstance(self, _State) else f"({self})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _State(TraceExpression):
    name: str

    def __str__(self) -> str:
        return str(Atom(self.name))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Sequence(TraceExpression):
    inner: tuple[TraceExpression, ...]

    def __str__(self) -> str:
        return " ".join(p._shown() if isinstance(p, _Sequence | _Alternatives) else str(p) for p in self.inner)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Alternatives(TraceExpression):
    inner: tuple[TraceExpression, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.inner))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Repeat(TraceExpression):
    body: TraceExpression
    least: int
    most: int | None

    def __str__(self) -> str:
        return f"{self.body._shown()}{{{self.least},{'' if self.most is None else self.most}}}"


# What is still to be read, in one reading: an expression and the term after it; () for nothing.
Term: TypeAlias = tuple[Any, ...]


def after(terms: frozenset[Term], letter: str) -> frozenset[Term]:
    """The terms that are left after one step. Raises LimitError for an expression that can be read in too many ways."""
    left = frozenset(rest for term in terms for rest in _after_term(term, letter))
    if len(left) > _MOST_TERMS:
        raise LimitError("readings of a trace expression", len(left), _MOST_TERMS)
    return left


def steps_left(terms: frozenset[Term]) -> float:
    """Steps of the shortest end: 0 where the trace may end, infinitely many for no terms."""
    return min(map(_length, terms), default=math.inf)


def shortest(expression: TraceExpression) -> int:
    """Steps of its shortest trace."""
    match expression:
        case _State():
            return 1
        case _Sequence(inner):
            return sum(map(shortest, inner))
        case _Alternatives(inner):
            return min(map(shortest, inner))
        case _Repeat(body, least, _):
            return least * shortest(body) if least else 0
    raise TypeError(f"no trace expression: {expression!r}")


def _expression(part: TraceExpression | str) -> TraceExpression:
    return _State(part) if isinstance(part, str) else part


def _length(term: Term) -> int:
    steps = 0
    while term:
        steps += shortest(term[0])
        term = term[1]
    return steps


def _after_term(term: Term, letter: str) -> Iterator[Term]:
    while term:
        yield from _after(term[0], letter, term[1])
        if shortest(term[0]):
            return
        term = term[1]


def _after(expression: TraceExpression, letter: str, rest: Term) -> Iterator[Term]:
    """What is left of an expression and what follows it, in the readings in which the step is the expression's."""
    match expression:
        case _State(name):
            if name == letter:
                yield rest
        case _Alternatives(inner):
            for part in inner:
                yield from _after(part, letter, rest)
        case _Sequence(inner):
            for at, part in enumerate(inner, 1):
                following = inner[at:]
                yield from _after(part, letter, (TraceExpression.sequence(*following), rest) if following else rest)
                if shortest(part):
                    return
        case _Repeat(body, least, most):
            if most != 0:
                again = _Repeat(body, max(least - 1, 0), None if most is None else most - 1)
                yield from _after(body, letter, rest if again.most == 0 else (again, rest))
