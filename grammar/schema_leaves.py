"""The leaf languages of a schema: strings in JSON's spelling, numbers, constants, and their unions as single automata.

All of it is memoised by content, so that the same pattern or enumeration in a hundred schemas is one automaton, with
one set of masks.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import memoised
from ..automata.regular import (
    Language,
    alternation,
    compile_regular,
    literal,
    union,
)
from .json_constants import constants_spelled
from .json_numbers import NUMBER, decimal_of
from .json_text import closed, json_spelled, quoted, string_content
from .schema_strings import strings_language

__all__ = [
    "any_scalar", "boolean", "constants_language", "exactly", "null", "number", "one_of",
    "spelled_names", "spelling", "string",
]  # fmt: skip


def spelling() -> ByteDfa:
    """What may stand between the quotes of any JSON string."""
    return string_content()


@cache
def string() -> ByteDfa:
    """Any JSON string."""
    return quoted(spelling())


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


@lru_cache(maxsize=1024)
def exactly(text: bytes) -> ByteDfa:
    """One text."""
    return compile_regular(literal(text))


@lru_cache(maxsize=4096)
def one_of(languages: tuple[ByteDfa, ...]) -> ByteDfa:
    """The union of leaf languages."""
    return languages[0] if len(languages) == 1 else compile_regular(alternation(*map(Language, languages)))


@lru_cache(maxsize=1024)
def spelled_names(values: ByteDfa) -> ByteDfa:
    """The JSON spellings of a language of strings, behind the opening quote and with the closing one."""
    return closed(json_spelled(values))


# ------------------------------------------------------------------------------------------------ constants


def constants_language(constants: list[Any]) -> ByteDfa:
    """The spellings of scalar constants, as one automaton."""
    strings = tuple(sorted(value for value in constants if isinstance(value, str)))
    numbers = tuple(decimal_of(v) for v in constants if not isinstance(v, (str, bool)) and v is not None)
    literals = tuple(sorted(str(value).lower() for value in constants if isinstance(value, bool)))
    if any(value is None for value in constants):
        literals += ("null",)
    return _constants(strings, numbers, literals)


@memoised
def _constants(strings: tuple[str, ...], numbers: tuple[Decimal, ...], literals: tuple[str, ...]) -> ByteDfa:
    if not strings:
        return constants_spelled(numbers, literals)
    spelled = quoted(json_spelled(strings_language(strings)))
    return union(spelled, constants_spelled(numbers, literals)) if numbers or literals else spelled
