"""The strings of a schema: patterns, formats, lengths and exclusions as one language, of values and of spellings.

A `StringSet` holds everything that a schema says of a string. Each pattern is compiled by itself, once in the process;
the combination keeps lengths for the last, since a length bound multiplies an automaton by the number of code points.
Bounds that the patterns imply are dropped (`^[a-z]{2,8}$` with maxLength 255), and a small product becomes a table. A
larger one is the patterns' automaton and a number, if any text that has begun can be completed to all numbers of code
points that are asked for and not too few (there is no least, or every text can grow by one); where a text's length
depends on its content, states know what lengths are left (counted_strings.py).

Cost: 30 to 300 us for a usual pattern; a look-up for what was met before.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..automata.budget import RegularLimits
from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import memoised
from ..automata.errors import LimitError, UnsupportedError
from ..automata.fragment import Fragment, OneString, Payload, Text
from ..automata.name_counts import text_lengths
from ..automata.regular import (
    ANY_CHAR,
    EMPTY,
    Repeat,
    compile_regular,
    difference,
    intersection,
    plainly_has_text,
    utf8_texts,
)
from .counted_strings import AcceptedLengths, CountedString, CountedStrings
from .formats import FORMATS, format_language, format_strings
from .json_text import SPELLING_LIMITS, json_spelled, numbered_classes, quoted, string_content
from .regex_language import counted_form
from .regex_size import most_states
from .regex_syntax import counted_search, parse, search_language

__all__ = [
    "ListedString", "StringSet", "is_plainly_small", "pattern_values", "spelled_strings", "string_admits",
    "string_is_empty", "string_target", "string_values", "strings_language",
]  # fmt: skip


_FEW = 16  # lengths that a table holds as well as a number
_TABLE = 32  # states times lengths beyond which they are counted
_SMALL = 6_000  # states; far below SPELLING_LIMITS
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class StringSet(NamedTuple):
    """The strings that match all `patterns` and `formats` and none of `not_patterns` and `not_formats`.

    They have `least` to `most` code points (None: any number from `least` on) and are none of `excluded`. All tuples
    are sorted, so that equal sets are equal.
    """

    patterns: tuple[str, ...] = ()
    not_patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    not_formats: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    excluded: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------ values


@memoised
def pattern_values(pattern: str) -> ByteDfa:
    """The string values that match a pattern somewhere."""
    return compile_regular(search_language(pattern, "ecma"))


def format_values(name: str) -> ByteDfa:
    """The string values of a format. Raises UnsupportedError where its language is not known."""
    if name not in FORMATS:
        raise UnsupportedError(f'the format "{name}"', "its language is not implemented")
    return format_language(name)


@memoised
def _unbounded_values(pattern: str) -> ByteDfa:
    """The values of the pattern without bounds that `counted_search` gives."""
    counted = counted_search(pattern, "ecma")
    assert counted is not None
    return compile_regular(counted[0])


@lru_cache(maxsize=4096)
def _told_lengths(pattern: str) -> tuple[int, int | None] | None:
    """Bounds on the length that stand for a bound in the pattern; None where it is better left in.

    It is taken out with lookaround, which many products go into, and where a number costs less than a state for each
    length.
    """
    counted = counted_search(pattern, "ecma")
    if counted is None:
        return None
    _, least, most = counted
    if max(least, most or 0) <= _FEW and not parse(pattern, "ecma").lookaround:
        return None
    return least, most


def is_plainly_small(pattern: str) -> bool:
    """Whether the automaton that a pattern's strings take is small, as far as that is plain without making it."""
    ast = parse(pattern, "ecma")
    counted = None if _told_lengths(pattern) is None else counted_form(ast)
    states = most_states(ast if counted is None else counted[0])
    return states is not None and states <= _SMALL


class _Parts(NamedTuple):
    """What a set comes to: values of any length, and the bounds of their lengths that these do not imply."""

    values: ByteDfa
    least: int
    most: int | None


def _parts(strings: StringSet) -> _Parts:
    least, most = strings.least, strings.most
    for pattern in strings.patterns:
        fewest, greatest = _told_lengths(pattern) or (0, None)
        least = max(least, fewest)
        most = greatest if most is None else most if greatest is None else min(most, greatest)
    if most is not None and most < least:
        return _Parts(compile_regular(EMPTY), 0, None)
    values = _of_any_length(strings._replace(least=0, most=None))
    if values != utf8_texts() and (least or most is not None):
        return _Parts(values, *_bounds_that_matter(values, least, most))
    return _Parts(values, least, most)


@memoised
def _of_any_length(strings: StringSet) -> ByteDfa:
    """The values of a set without its bounds and those that its patterns tell."""
    required = [*map(format_values, strings.formats)]
    for pattern in strings.patterns:
        required.append(pattern_values(pattern) if _told_lengths(pattern) is None else _unbounded_values(pattern))
    anything = values = utf8_texts()
    for part in sorted(required, key=lambda dfa: dfa.n_states):
        values = part if values == anything else intersection(values, part)
    for part in (*map(pattern_values, strings.not_patterns), *map(format_values, strings.not_formats)):
        values = difference(values, part)
    return difference(values, strings_language(strings.excluded)) if strings.excluded else values


def _bounds_that_matter(values: ByteDfa, least: int, most: int | None) -> tuple[int, int | None]:
    if values.is_empty:
        return 0, None
    lengths = text_lengths(values)
    if least <= lengths.least:
        least = 0
    if most is not None and lengths.most is not None and lengths.most <= most:
        most = None
    return least, most


@lru_cache(maxsize=512)
def _accepted_lengths(values: ByteDfa) -> AcceptedLengths | None:
    """The lengths of the values; None where they take too long to find."""
    try:
        return AcceptedLengths(values)
    except LimitError:
        return None


@memoised
def string_values(strings: StringSet) -> ByteDfa:
    """The string values (not spellings) of a set. Raises LimitError where they do not fit one automaton."""
    values, least, most = _parts(strings)
    if least == 0 and most is None:
        return values
    lengths = compile_regular(Repeat(ANY_CHAR, least, most), SPELLING_LIMITS)
    return lengths if values == utf8_texts() else intersection(values, lengths, SPELLING_LIMITS)


def string_is_empty(strings: StringSet) -> bool:
    """Whether a set has no string. Raises LimitError where that takes too many steps to find out."""
    if _plainly_has_one(strings):
        return False
    values, least, most = _parts(strings)
    if values.is_empty or (least == 0 and most is None) or values == utf8_texts():
        return values.is_empty
    known = text_lengths(values)
    if known.growing or least <= known.least:
        return most is not None and most < max(least, known.least)
    lengths = _accepted_lengths(values)
    return CountedStrings(values, least, most).is_empty if lengths is None else not lengths.some(least, most)


def _plainly_has_one(strings: StringSet) -> bool:
    """Whether a set has a string, as far as that is plain without an automaton."""
    if strings.not_patterns or strings.not_formats:
        return False
    if not strings.patterns and not strings.formats:
        most = strings.most
        # Of every length but none there are more strings than any schema excludes.
        return most is None or most >= max(strings.least, 1)
    if strings.least or strings.most is not None or strings.excluded or len(strings.patterns + strings.formats) > 1:
        return False
    # Each format has strings.
    return not strings.patterns or plainly_has_text(search_language(strings.patterns[0], "ecma"))


def string_admits(strings: StringSet, value: str) -> bool:
    """Whether a string is in a set."""
    if len(value) < strings.least or (strings.most is not None and len(value) > strings.most):
        return False
    data = value.encode("utf-8", "surrogatepass")  # a lone surrogate matches no pattern
    return (
        value not in strings.excluded
        and all(_matches(pattern, value, data) for pattern in strings.patterns)
        and not any(pattern_values(pattern).accepts(data) for pattern in strings.not_patterns)
        and all(format_values(name).accepts(data) for name in strings.formats)
        and not any(format_values(name).accepts(data) for name in strings.not_formats)
    )


def _matches(pattern: str, value: str, data: bytes) -> bool:
    told = _told_lengths(pattern)
    if told is None:
        return pattern_values(pattern).accepts(data)
    return (
        told[0] <= len(value)
        and (told[1] is None or len(value) <= told[1])
        and _unbounded_values(pattern).accepts(data)
    )


# ------------------------------------------------------------------------------------------------ spellings


@memoised
def spelled_strings(strings: StringSet) -> ByteDfa:
    """The JSON strings of a set, quotes included. Raises LimitError where they do not fit one automaton."""
    if len(strings.formats) == 1 and strings == StringSet(formats=strings.formats):
        return format_strings(strings.formats[0])
    return quoted(json_spelled(string_values(strings)))


@lru_cache(maxsize=256)
def string_target(strings: StringSet) -> Payload | ByteDfa:
    """The state of a JSON string of a set that is not empty, before its opening quote.

    Raises LimitError where not even the values of any length fit one automaton.
    """
    values, least, most = _parts(strings)
    if least == 0 and most is None:
        return spelled_strings(strings)
    if values == utf8_texts():
        return Opened(CountedText(least, most))
    if values.n_states * max(least, most or 0) > _TABLE and (least == 0 or text_lengths(values).growing):
        with contextlib.suppress(LimitError):
            return Opened(CountedText(least, most, json_spelled(values)))
    try:
        return spelled_strings(strings)
    except LimitError:
        return Opened(CountedString(CountedStrings(values, least, most), 1, 0))


@dataclass(frozen=True, slots=True)
class Opened:
    """A string whose opening quote is still to come."""

    rest: Payload

    def expand(self) -> Fragment:
        return Fragment(edges=((0x22, 0x22, self.rest),), like=string_content())


@dataclass(frozen=True, slots=True)
class CountedText:
    """The rest of a string of bounded length, after its opening quote: of any content, or of this."""

    least: int
    most: int | None
    content: ByteDfa | None = None

    def expand(self) -> Text:
        return Text(string_content(), self.least, self.most, 0x22, self.content)


# ------------------------------------------------------------------------------------------------ enumerations


@memoised
def strings_language(strings: tuple[str, ...], limits: RegularLimits = SPELLING_LIMITS) -> ByteDfa:
    """The values of an enumeration, sorted and each once. Raises LimitError beyond `limits.dfa_states` prefixes.

    Those with a lone surrogate have no spelling in UTF-8 and are left out. The others' trie is written down at once,
    each text from where it parts with the one before, and made minimal.
    """
    from ..automata.minimize import minimized

    texts = sorted({value.encode() for value in strings if not _LONE_SURROGATE.search(value)})
    shared = [0, *map(_common, texts, texts[1:])][: len(texts)]
    n_states = 2 + sum(map(len, texts)) - sum(shared)
    if n_states > limits.dfa_states:
        raise LimitError("dfa_states", n_states, limits.dfa_states)
    sources, accepting = np.arange(n_states - 1, dtype=np.int32), np.zeros(n_states, np.uint8)
    path, made = [1], 2  # the states of a text's prefixes; a new one comes from the one before it, but for the first
    for text, n in zip(texts, shared, strict=True):
        if n < len(text):
            sources[made - 1] = path[n]
        path[n + 1 :] = range(made, made + len(text) - n)
        made += len(text) - n
        accepting[path[len(text)]] = 1
    data = np.frombuffer(b"".join(text[n:] for text, n in zip(texts, shared, strict=True)), np.uint8)
    is_used = np.zeros(256, bool)
    is_used[data] = True
    class_of, first_bytes = numbered_classes(np.where(is_used, np.arange(256), -1))
    table = np.zeros((n_states, first_bytes.size), np.int32)
    table[sources[1:], class_of[data]] = np.arange(2, n_states)
    return minimized(table, accepting, class_of)


class ListedString(NamedTuple):
    """A JSON string that is one of some (UTF-8 values, each once), before its opening quote."""

    values: tuple[bytes, ...]

    def expand(self) -> OneString:
        return OneString(self.values, string_content())


def _common(left: bytes, right: bytes) -> int:
    """How many bytes two texts begin with alike."""
    n = min(len(left), len(right))
    different = int.from_bytes(left[:n], "big") ^ int.from_bytes(right[:n], "big")
    return n - (different.bit_length() + 7) // 8
