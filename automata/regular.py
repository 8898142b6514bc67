"""Regular languages: expressions as an IR, and the algebra on their automata.

Expressions are immutable trees over bytes and code points; automata are ByteDfas. `compile_regular` goes from the one
to the other: a walk writes an NFA program (nfa_kernels.py), kernels unroll, determinise and minimise it. Intersections
and complements are compiled on their own and take part in the program as automata.

INVARIANT: `CharClass` and what is built of it alone yields well-formed UTF-8; `Bytes` may hold anything. `Complement`
is relative to all well-formed UTF-8 texts.
Cost: 20 to 120 us for a typical pattern of 40 characters; a language that was compiled before, a dictionary's look-up.
Importing this file does not import numba.

Source: Hopcroft, Motwani, Ullman, "Introduction to Automata Theory", ch. 2 to 4. Derivatives of expressions were
rejected: with intersection and complement built in they are elegant, and in Python fifty times as slow.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from .budget import DEFAULT_LIMITS, Budget, RegularLimits
from .byte_dfa import ByteDfa
from .dfa_memo import DfaMemo
from .errors import LimitError
from .utf8_classes import MAX_CODE_POINT, Ranges, class_fragment, negated, normalized

__all__ = [
    "ANY_CHAR",
    "ANY_TEXT",
    "EMPTY",
    "EPSILON",
    "Alternation",
    "Bytes",
    "CharClass",
    "Complement",
    "Concat",
    "Difference",
    "Empty",
    "Epsilon",
    "Intersection",
    "Interspersed",
    "Language",
    "Regular",
    "RegularLimits",
    "Repeat",
    "Rewritten",
    "alternation",
    "char_class",
    "compile_regular",
    "complement",
    "concat",
    "concatenation",
    "difference",
    "intersection",
    "literal",
    "nonempty_part",
    "nullable",
    "plainly_has_text",
    "star",
    "union",
    "utf8_texts",
]  # fmt: skip

# ---------------------------------------------------------------------------------------------- the IR


class _Node:
    """An expression that remembers its hash: it is asked for at every level above, and would be found anew by each."""

    __slots__ = ("_hash",)
    _hash: int

    def _remembered_hash(self) -> int:
        try:
            return self._hash
        except AttributeError:
            fields = self.__match_args__  # type: ignore[attr-defined]
            own = hash((type(self), *(getattr(self, name) for name in fields)))
            object.__setattr__(self, "_hash", own)
            return own


@dataclass(frozen=True, slots=True)
class Empty:
    """The language without a text."""


@dataclass(frozen=True, slots=True)
class Epsilon:
    """The language of the empty text."""


@dataclass(frozen=True, slots=True)
class CharClass(_Node):
    """One code point of the ranges (first, last): sorted, disjoint, not adjacent. Surrogates do not count."""

    ranges: Ranges

    __hash__ = _Node._remembered_hash

    def __post_init__(self) -> None:
        before = -2
        for lo, hi in self.ranges:
            if not before + 1 < lo <= hi <= MAX_CODE_POINT:
                raise ValueError(f"ranges are not normalized at {(lo, hi)}; use char_class()")
            before = hi


@dataclass(frozen=True, slots=True)
class Bytes:
    """This text alone."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Language:
    """The language of an automaton."""

    dfa: ByteDfa


@dataclass(frozen=True, slots=True)
class Concat(_Node):
    items: tuple[Regular, ...]

    __hash__ = _Node._remembered_hash


@dataclass(frozen=True, slots=True)
class Alternation(_Node):
    items: tuple[Regular, ...]

    __hash__ = _Node._remembered_hash


@dataclass(frozen=True, slots=True)
class Repeat(_Node):
    """`least` to `most` texts of the item in a row; `most` None: any number from `least` on."""

    item: Regular
    least: int
    most: int | None

    __hash__ = _Node._remembered_hash

    def __post_init__(self) -> None:
        if not 0 <= self.least < 2**31 or (self.most is not None and not self.least <= self.most < 2**31):
            raise ValueError(f"repetition from {self.least} to {self.most}")


@dataclass(frozen=True, slots=True)
class Intersection(_Node):
    items: tuple[Regular, ...]

    __hash__ = _Node._remembered_hash

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("an intersection needs an item")


@dataclass(frozen=True, slots=True)
class Complement(_Node):
    """The well-formed UTF-8 texts that are not in the item."""

    item: Regular

    __hash__ = _Node._remembered_hash


@dataclass(frozen=True, slots=True)
class Difference(_Node):
    """The texts of `left` that are not in `right`, whatever bytes they are of."""

    left: Regular
    right: Regular

    __hash__ = _Node._remembered_hash


@dataclass(frozen=True, slots=True)
class Interspersed(_Node):
    """The item's texts with any number of the bytes in `data` put in anywhere."""

    item: Regular
    data: bytes

    __hash__ = _Node._remembered_hash


@dataclass(frozen=True, slots=True)
class Rewritten(_Node):
    """The item's texts with each of the bytes in `old` replaced by the byte `new`, or by nothing (None)."""

    item: Regular
    old: bytes
    new: int | None

    __hash__ = _Node._remembered_hash


Regular: TypeAlias = (
    Empty | Epsilon | CharClass | Bytes | Language | Concat | Alternation | Repeat
    | Intersection | Complement | Difference | Interspersed | Rewritten
)  # fmt: skip

EMPTY = Empty()
EPSILON = Epsilon()
ANY_CHAR = CharClass(((0, MAX_CODE_POINT),))
ANY_TEXT = Repeat(ANY_CHAR, 0, None)


def plainly_has_text(language: Regular) -> bool:
    """Whether a language has a text, by its form alone; False also where that takes a closer look."""
    match language:
        case Epsilon() | Bytes():
            return True
        case CharClass(ranges):
            return any(not 0xD800 <= lo <= hi <= 0xDFFF for lo, hi in ranges)
        case Language(dfa):
            return not dfa.is_empty
        case Concat(items):
            return all(map(plainly_has_text, items))
        case Alternation(items):
            return any(map(plainly_has_text, items))
        case Repeat(item, least, _):
            return least == 0 or plainly_has_text(item)
    return False


def char_class(ranges: Iterable[tuple[int, int]], *, negate: bool = False) -> CharClass:
    """The class of any ranges, or of all code points outside them."""
    clean = normalized(ranges)
    return CharClass(negated(clean) if negate else clean)


def literal(text: str | bytes) -> Regular:
    """The language of one text. Lone surrogates in a str raise UnicodeEncodeError."""
    data = text.encode() if isinstance(text, str) else text
    return Bytes(data) if data else EPSILON


def concatenation(*items: Regular) -> Regular:
    """Concat without what changes nothing: nested ones, epsilons, and all of it where an item is empty."""
    flat: list[Regular] = []
    for item in items:
        if isinstance(item, Concat):
            flat.extend(item.items)
        elif isinstance(item, Empty):
            return EMPTY
        elif not isinstance(item, Epsilon):
            flat.append(item)
    return flat[0] if len(flat) == 1 else Concat(tuple(flat)) if flat else EPSILON


def alternation(*items: Regular) -> Regular:
    """Alternation without nested ones, empty ones and repeated ones."""
    flat: dict[Regular, None] = {}
    for item in items:
        if isinstance(item, Alternation):
            flat.update(dict.fromkeys(item.items))
        elif not isinstance(item, Empty):
            flat[item] = None
    return next(iter(flat)) if len(flat) == 1 else Alternation(tuple(flat)) if flat else EMPTY


def nullable(node: Regular) -> bool:
    """Whether the empty text is in the language."""
    match node:
        case Epsilon():
            return True
        case Bytes(data):
            return not data
        case Language(dfa):
            return dfa.accepts_empty
        case Concat(items) | Intersection(items):
            return all(map(nullable, items))
        case Alternation(items):
            return any(map(nullable, items))
        case Repeat(item, least, _):
            return least == 0 or nullable(item)
        case Complement(item):
            return not nullable(item)
        case Difference(left, right):
            return nullable(left) and not nullable(right)
        case Interspersed(item):
            return nullable(item)
        case Rewritten():
            return compile_regular(node).accepts_empty
    return False  # Empty, CharClass


def nonempty_part(node: Regular) -> Regular:
    """The language without the empty text."""
    if not nullable(node):
        return node
    match node:
        case Alternation(items):
            return alternation(*map(nonempty_part, items))
        case Concat(()) | Epsilon() | Bytes():
            return EMPTY
        case Concat(items):
            head, tail = items[0], concatenation(*items[1:])
            return alternation(concatenation(nonempty_part(head), tail), nonempty_part(tail))
        case Repeat(item, _, most):
            if most == 0:
                return EMPTY
            return concatenation(nonempty_part(item), Repeat(item, 0, None if most is None else most - 1))
    return Intersection((node, Complement(EPSILON)))


# ---------------------------------------------------------------------------------------------- compilation

# Opcodes of nfa_kernels.py, which needs numba; a test holds them equal.
_FRAGMENT, _BYTES, _CONCATENATE, _ALTERNATE, _REPEAT = 0, 1, 2, 3, 4
_EMPTY_FRAGMENT = (_FRAGMENT, 2, 0)
_EPSILON_FRAGMENT = (_FRAGMENT, 2, 1, 0, 1, 0, 1)


def compile_regular(node: Regular, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    """The minimal automaton of an expression. Raises LimitError where a budget of `limits` is met."""
    return _compiled(node, Budget(limits), 0)


def _compiled(node: Regular, budget: Budget, depth: int) -> ByteDfa:
    """Compiles or recalls; what is recalled is charged like new."""
    if isinstance(node, Language):
        return node.dfa
    try:
        found = _memo.get(node)
        if found is not None and budget.spend_if_left(found[1]):
            return found[0]
        before = dict(budget.spent)
        dfa = _compiled_anew(node, budget, depth)
    except RecursionError:
        raise LimitError("depth", budget.limits.depth + 1, budget.limits.depth) from None
    cost = {name: amount - before[name] for name, amount in budget.spent.items()}
    _memo.put(node, (dfa, cost), dfa.n_states)
    return dfa


def _compiled_anew(node: Regular, budget: Budget, depth: int) -> ByteDfa:
    from .determinize import DIFFERENCE, INTERSECTION, combined, determinized, interspersed, rewritten

    if isinstance(node, Intersection):
        parts = [_compiled(item, budget, depth + 1) for item in node.items]
        dfa = parts[0]
        for part in parts[1:]:
            dfa = combined(dfa, part, INTERSECTION, budget)
        return dfa
    if isinstance(node, Complement):
        return combined(utf8_texts(), _compiled(node.item, budget, depth + 1), DIFFERENCE, budget)
    if isinstance(node, Difference):
        left = _compiled(node.left, budget, depth + 1)
        return combined(left, _compiled(node.right, budget, depth + 1), DIFFERENCE, budget)
    if isinstance(node, Interspersed):
        return interspersed(_compiled(node.item, budget, depth + 1), node.data, budget)
    if isinstance(node, Rewritten):
        return rewritten(_compiled(node.item, budget, depth + 1), node.old, node.new, budget)
    program = array("i")
    _write(node, program, depth, budget)
    return determinized(program, budget)


def _write(node: Regular, program: array[int], depth: int, budget: Budget) -> None:
    """Appends the program of an expression. PERF: on the way to the first mask, so by type and not by `match`."""
    if depth > budget.limits.depth:
        raise LimitError("depth", depth, budget.limits.depth)
    kind = type(node)
    if kind is CharClass:
        program.extend(class_fragment(node.ranges))  # type: ignore[union-attr]
    elif kind is Bytes:
        data = node.data  # type: ignore[union-attr]
        program.extend((_BYTES, len(data), *data))
    elif kind is Concat or kind is Alternation:
        items = node.items  # type: ignore[union-attr]
        if not items:
            program.extend(_EPSILON_FRAGMENT if kind is Concat else _EMPTY_FRAGMENT)
            return
        for item in items:
            _write(item, program, depth + 1, budget)
        if len(items) > 1:
            program.extend((_CONCATENATE if kind is Concat else _ALTERNATE, len(items)))
    elif kind is Repeat:
        _write(node.item, program, depth + 1, budget)  # type: ignore[union-attr]
        most = node.most  # type: ignore[union-attr]
        program.extend((_REPEAT, node.least, -1 if most is None else most))  # type: ignore[union-attr]
    elif kind is Epsilon:
        program.extend(_EPSILON_FRAGMENT)
    elif kind is Empty:
        program.extend(_EMPTY_FRAGMENT)
    else:
        from .determinize import fragment_of

        program.extend(fragment_of(_compiled(node, budget, depth)))


_memo: DfaMemo[tuple[ByteDfa, dict[str, int]]] = DfaMemo(max_states=32_768)

# ---------------------------------------------------------------------------------------------- algebra


def utf8_texts() -> ByteDfa:
    """The well-formed UTF-8 texts, the empty one included."""
    return compile_regular(ANY_TEXT)


def union(left: ByteDfa, right: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    from .determinize import UNION, combined

    return combined(left, right, UNION, Budget(limits))


def intersection(left: ByteDfa, right: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    from .determinize import INTERSECTION, combined

    return combined(left, right, INTERSECTION, Budget(limits))


def difference(left: ByteDfa, right: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    """The texts of `left` that are not in `right`."""
    from .determinize import DIFFERENCE, combined

    return combined(left, right, DIFFERENCE, Budget(limits))


def complement(dfa: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    """The well-formed UTF-8 texts that are not in `dfa`."""
    return difference(utf8_texts(), dfa, limits)


def concat(*dfas: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    """The texts that are one of each in a row."""
    return compile_regular(Concat(tuple(map(Language, dfas))), limits)


def star(dfa: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> ByteDfa:
    """The texts that are any number of the language's in a row."""
    return compile_regular(Repeat(Language(dfa), 0, None), limits)
