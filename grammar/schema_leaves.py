"""The leaf languages of a schema: strings in JSON's spelling, numbers, constants, and their unions as single automata.

All of it is memoised by content, so that the same pattern or enumeration in a hundred schemas is one automaton, with
one set of masks.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    ANY_CHAR,
    EMPTY,
    Complement,
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    compile_regular,
    concatenation,
    difference,
    intersection,
    literal,
)
from .formats import format_language
from .json_multiples import common_multiple, multiples_of
from .json_numbers import NUMBER, decimal_of, number_between, number_constant
from .json_text import json_spelled, string_content
from .regex_syntax import search_language

__all__ = [
    "any_scalar",
    "constants_language",
    "number_language",
    "spelled_strings",
    "spelling",
    "string",
    "string_admits",
    "string_language",
]

_QUOTE = literal('"')


def spelling() -> ByteDfa:
    """What may stand between the quotes of any JSON string."""
    return string_content()


def quoted(spelled: ByteDfa) -> Regular:
    return concatenation(_QUOTE, Language(spelled), _QUOTE)


@lru_cache(maxsize=1024)
def spelled_names(values: ByteDfa) -> ByteDfa:
    """The JSON spellings of a language of strings, behind the opening quote and with the closing one."""
    return compile_regular(concatenation(Language(json_spelled(values)), _QUOTE))


@cache
def string() -> ByteDfa:
    """Any JSON string."""
    return compile_regular(quoted(spelling()))


@cache
def number() -> ByteDfa:
    """Any JSON number."""
    return compile_regular(NUMBER)


@cache
def boolean() -> ByteDfa:
    return compile_regular(alternation(literal("true"), literal("false")))


@cache
def null() -> ByteDfa:
    return compile_regular(literal("null"))


@cache
def any_scalar() -> ByteDfa:
    """Any JSON value that is neither an object nor an array."""
    return one_of((null(), boolean(), number(), string()))


@lru_cache(maxsize=4096)
def one_of(languages: tuple[ByteDfa, ...]) -> ByteDfa:
    """The union of leaf languages."""
    return languages[0] if len(languages) == 1 else compile_regular(alternation(*map(Language, languages)))


# ------------------------------------------------------------------------------------------------ numbers


class NumberSet(NamedTuple):
    """The numbers between two bounds (None: no bound) that are multiples of all of some decimals, of none of others, and
    none of some values."""

    low: Decimal | None = None
    low_open: bool = False
    high: Decimal | None = None
    high_open: bool = False
    multiples: tuple[Decimal, ...] = ()
    not_multiples: tuple[Decimal, ...] = ()
    excluded: tuple[Decimal, ...] = ()


@lru_cache(maxsize=4096)
def number_language(numbers: NumberSet) -> ByteDfa:
    """The spellings of a set of numbers. Raises LimitError where a divisor takes too many states."""
    if numbers == NumberSet():
        return number()
    language = number_between(numbers.low, numbers.low_open, numbers.high, numbers.high_open)
    if numbers.multiples:
        language = intersection(language, multiples_of(common_multiple(numbers.multiples)))
    for divisor in numbers.not_multiples:
        language = difference(language, multiples_of(divisor))
    if numbers.excluded:
        language = difference(language, compile_regular(alternation(*map(number_constant, numbers.excluded))))
    return language


def number_is_empty(numbers: NumberSet) -> bool:
    """Whether no number is in a set: every number has a plain spelling, so its language says so."""
    return number_language(numbers).is_empty


def number_admits(numbers: NumberSet, value: Decimal) -> bool:
    """Whether a number is in a set, by exact arithmetic."""
    low, high = numbers.low, numbers.high
    if low is not None and (value < low or (numbers.low_open and value == low)):
        return False
    if high is not None and (value > high or (numbers.high_open and value == high)):
        return False
    if value in numbers.excluded or not all(_divides(divisor, value) for divisor in numbers.multiples):
        return False
    return not any(_divides(divisor, value) for divisor in numbers.not_multiples)


def _divides(divisor: Decimal, value: Decimal) -> bool:
    return (Fraction(value) / Fraction(divisor)).denominator == 1


# ------------------------------------------------------------------------------------------------ strings


class StringSet(NamedTuple):
    patterns: tuple[str, ...] = ()
    not_patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    not_formats: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    excluded: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def string_values(s: StringSet) -> ByteDfa:
    if s.most is not None and s.most < s.least:
        return compile_regular(EMPTY)
    parts = [search_language(pattern, "ecma") for pattern in s.patterns]
    parts += [Complement(search_language(pattern, "ecma")) for pattern in s.not_patterns]
    parts += [Language(format_language(name)) for name in s.formats]
    parts += [Complement(Language(format_language(name))) for name in s.not_formats]
    parts += [Complement(literal(e)) for e in s.excluded]
    if s.least or s.most is not None or not parts:
        parts.append(Repeat(ANY_CHAR, s.least, s.most))
    return compile_regular(parts[0] if len(parts) == 1 else Intersection(tuple(parts)))


@lru_cache(maxsize=4096)
def spelled_strings(s: StringSet) -> ByteDfa:
    return compile_regular(quoted(json_spelled(string_values(s))))


def string_language(s: StringSet) -> ByteDfa | None:
    if s == StringSet():
        return string()
    if s._replace(least=0, most=None) == StringSet():
        return None
    return spelled_strings(s)


def string_is_empty(s: StringSet) -> bool:
    if s.most is not None and s.most < s.least:
        return True
    return s._replace(least=0, most=None) != StringSet() and string_values(s).is_empty


def string_admits(s, value: str) -> bool:
    if len(value) < s.least or (s.most is not None and len(value) > s.most):
        return False
    return string_values(s._replace(least=0, most=None)).accepts(value.encode())


# ------------------------------------------------------------------------------------------------ constants


def constants_language(constants: list[Any]) -> ByteDfa:
    """The spellings of scalar constants, as one automaton."""
    strings = tuple(sorted(value for value in constants if isinstance(value, str)))
    numbers = tuple(decimal_of(v) for v in constants if not isinstance(v, (str, bool)) and v is not None)
    literals = tuple(sorted(str(value).lower() for value in constants if isinstance(value, bool)))
    if any(value is None for value in constants):
        literals += ("null",)
    return _constants(strings, numbers, literals)


@lru_cache(maxsize=4096)
def _constants(strings: tuple[str, ...], numbers: tuple[Any, ...], literals: tuple[str, ...]) -> ByteDfa:
    parts: list[Regular] = [number_constant(value) for value in numbers]
    parts += [literal(value) for value in literals]
    if strings:
        values = compile_regular(alternation(*(literal(value) for value in strings)))
        parts.append(quoted(json_spelled(values)))
    return compile_regular(alternation(*parts))
