"""Formulas of linear temporal logic over finite traces (LTLf), as trees.

A trace is a non-empty sequence of steps, and exactly one state holds in each; an atom is a state's name. A formula
holds of a trace if it holds at its first step. Templates stay as they were written (`response(a, b)`), with what they
mean as their `definition`, so that messages show what the user knows.

INVARIANT: nodes are interned (see interned_nodes): equal formulas are one object. A conjunction or disjunction has at
least two operands, none of which is of its own kind. Bounds and numbers are at least 0, that of Existence at least 1.

Source: De Giacomo, Vardi 2013, "Linear temporal logic and linear dynamic logic on finite traces" (IJCAI); weak and
strong operators as in Spot's documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .interned_nodes import InternedNode

__all__ = [
    "FALSE", "KEYWORDS", "LAST", "NAME", "TRUE", "And", "Atom", "Count", "Eventually", "Existence", "Formula",
    "Globally", "Iff", "Implies", "Last", "Next", "Not", "Or", "Release", "Template", "Truth", "Until", "Xor",
    "conjunction", "disjunction", "exists", "subformulas", "with_parts",
]  # fmt: skip

# A hyphen may stand inside a name, but `a->b` is an implication.
NAME = r"[^\W\d]\w*(?:-\w+)*"
KEYWORDS = frozenset(
    ["X", "WX", "U", "W", "R", "M", "F", "G", "true", "false", "last", "xor", "count", "and", "or", "not"]
)

# How tightly an operator binds, loosest first; binary ones group to the right.
_IFF, _IMPLIES, _XOR, _OR, _AND, _UNTIL, _UNARY, _PRIMARY = range(8)


class Formula(InternedNode):
    """A formula of LTLf. `str()` of it parses back to it; `a & b`, `a | b` and `~a` combine formulas."""

    __slots__ = ()
    _level = _PRIMARY

    def holds(self, trace: Sequence[str]) -> bool:
        """Whether a finished trace satisfies the formula: evaluated by its definition, step by step.

        trace : the names of its states, at least one. Raises ValueError for an empty one: no formula is defined on it.
        """
        from .ltlf_semantics import holds

        return holds(self, trace)

    def satisfiable(self, letters: Iterable[str]) -> bool:
        """Whether some trace over these states satisfies the formula.

        Raises GrammarError if the formula names another state, LimitError where a budget does not suffice to tell.
        """
        from .ltlf_automaton import satisfiable

        return satisfiable(self, tuple(letters))

    @property
    def atoms(self) -> frozenset[str]:
        """The names of the states that the formula speaks of."""
        return frozenset(part.name for part in subformulas(self) if isinstance(part, Atom))

    def __and__(self, other: Formula) -> Formula:
        return conjunction(self, other) if isinstance(other, Formula) else NotImplemented

    def __or__(self, other: Formula) -> Formula:
        return disjunction(self, other) if isinstance(other, Formula) else NotImplemented

    def __invert__(self) -> Formula:
        return Not(self)

    def __str__(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<Formula {self}>"

    def _shown(self, level: int) -> str:
        """As an operand of something that binds with `level`."""
        return str(self) if self._level >= level else f"({self})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Truth(Formula):
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Atom(Formula):
    """The state of this step is the one named."""

    name: str

    def __str__(self) -> str:
        plain = re.fullmatch(NAME, self.name) and self.name not in KEYWORDS
        return self.name if plain else json.dumps(self.name, ensure_ascii=False)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Last(Formula):
    """No step comes after this one."""

    def __str__(self) -> str:
        return "last"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not(Formula):
    operand: Formula
    _level = _UNARY

    def __str__(self) -> str:
        return f"!{self.operand._shown(_UNARY)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class And(Formula):
    operands: tuple[Formula, ...]
    _level = _AND

    def __str__(self) -> str:
        return " & ".join(operand._shown(_UNTIL) for operand in self.operands)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Or(Formula):
    operands: tuple[Formula, ...]
    _level = _OR

    def __str__(self) -> str:
        return " | ".join(operand._shown(_AND) for operand in self.operands)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Implies(Formula):
    left: Formula
    right: Formula
    _level = _IMPLIES

    def __str__(self) -> str:
        return f"{self.left._shown(_XOR)} -> {self.right._shown(_IMPLIES)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Iff(Formula):
    left: Formula
    right: Formula
    _level = _IFF

    def __str__(self) -> str:
        return f"{self.left._shown(_IMPLIES)} <-> {self.right._shown(_IFF)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Xor(Formula):
    left: Formula
    right: Formula
    _level = _XOR

    def __str__(self) -> str:
        return f"{self.left._shown(_OR)} xor {self.right._shown(_XOR)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Next(Formula):
    """The operand holds so many steps on; if the trace ends before, then the answer is no (strong) or yes (weak)."""

    operand: Formula
    steps: int
    strong: bool
    _level = _UNARY

    def __str__(self) -> str:
        bound = f"[{self.steps}]" if self.steps != 1 else ""
        return f"{'X' if self.strong else 'WX'}{bound} {self.operand._shown(_UNARY)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Until(Formula):
    """The left holds up to a step where the right does: U (strong: there is one), or W (weak: or to the end)."""

    left: Formula
    right: Formula
    strong: bool
    _level = _UNTIL

    def __str__(self) -> str:
        return f"{self.left._shown(_UNARY)} {'U' if self.strong else 'W'} {self.right._shown(_UNTIL)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Release(Formula):
    """The right holds up to and at a step where the left does: M (strong: there is one), or R (weak: or to the end)."""

    left: Formula
    right: Formula
    strong: bool
    _level = _UNTIL

    def __str__(self) -> str:
        return f"{self.left._shown(_UNARY)} {'M' if self.strong else 'R'} {self.right._shown(_UNTIL)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Eventually(Formula):
    """The operand holds at this step or a later one, at most `bound` steps on if there is a bound."""

    operand: Formula
    bound: int | None
    _level = _UNARY

    def __str__(self) -> str:
        return f"F{_bound_shown(self.bound)} {self.operand._shown(_UNARY)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Globally(Formula):
    """The operand holds at this step and all later ones, as far as `bound` steps on if there is a bound."""

    operand: Formula
    bound: int | None
    _level = _UNARY

    def __str__(self) -> str:
        return f"G{_bound_shown(self.bound)} {self.operand._shown(_UNARY)}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Existence(Formula):
    """The operand holds at `times` steps at least, of this one and all later ones."""

    operand: Formula
    times: int

    def __str__(self) -> str:
        return f"existence({self.operand}, {self.times})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Count(Formula):
    """How many steps *of the whole trace* satisfy the operand, compared with a number; the same at every step."""

    operand: Formula
    relation: str  # one of < <= = >= >
    number: int

    def __str__(self) -> str:
        return f"count({self.operand}) {self.relation} {self.number}"

    @property
    def definition(self) -> Formula:
        """What it says at the first step, in terms of Existence."""
        fewer, most = exists(self.operand, self.number), exists(self.operand, self.number + 1)
        return {
            "<": Not(fewer), "<=": Not(most), "=": conjunction(fewer, Not(most)), ">=": fewer, ">": most,
        }[self.relation]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Template(Formula):
    """A Declare template by its name; see ltlf_declare."""

    name: str
    operands: tuple[Formula, ...]
    number: int | None

    def __str__(self) -> str:
        number = [] if self.number is None else [str(self.number)]
        return f"{self.name}({', '.join([*map(str, self.operands), *number])})"

    @property
    def definition(self) -> Formula:
        from .ltlf_declare import definition

        return definition(self)


TRUE, FALSE, LAST = Truth(True), Truth(False), Last()


def conjunction(*operands: Formula) -> Formula:
    """All of them; `true` for none."""
    flat = tuple(part for one in operands for part in (one.operands if isinstance(one, And) else (one,)))
    return And(flat) if len(flat) > 1 else flat[0] if flat else TRUE


def disjunction(*operands: Formula) -> Formula:
    """Any of them; `false` for none."""
    flat = tuple(part for one in operands for part in (one.operands if isinstance(one, Or) else (one,)))
    return Or(flat) if len(flat) > 1 else flat[0] if flat else FALSE


def exists(operand: Formula, times: int) -> Formula:
    """`existence(operand, times)`, where none is needed, too."""
    return Existence(operand, times) if times > 0 else TRUE


def subformulas(formula: Formula) -> list[Formula]:
    """The formula and all below it, each once, parts before wholes."""
    order: dict[Formula, None] = {}

    def visit(node: Formula) -> None:
        if node not in order:
            for part in node.parts:
                visit(part)
            order[node] = None

    visit(formula)
    return list(order)


def with_parts(formula: Formula, parts: Iterable[Formula]) -> Formula:
    """The same operator over other operands, in the order of `formula.parts`."""
    if isinstance(formula, And | Or):
        return (conjunction if isinstance(formula, And) else disjunction)(*parts)
    others = iter(parts)
    fields = (getattr(formula, name) for name in formula.__match_args__)  # type: ignore[attr-defined]
    return type(formula)(*(_with_nodes(field, others) for field in fields))


def _with_nodes(field: object, others: Iterator[Formula]) -> object:
    if isinstance(field, tuple):
        return tuple(next(others) for _ in field)
    return next(others) if isinstance(field, Formula) else field


def _bound_shown(bound: int | None) -> str:
    return "" if bound is None else f"[<={bound}]"
