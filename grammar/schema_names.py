"""Sets of member names, as a schema describes them, and their partition into classes.

The members of an object that are declared nowhere are told apart by which patterns their names match: each combination
that some name has is a class, a regular language of names.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.regular import (
    ANY_TEXT,
    Complement,
    Intersection,
    Language,
    alternation,
    compile_regular,
    difference,
    intersection,
    literal,
    relation,
)
from .schema_keywords import Sub
from .schema_strings import pattern_values

__all__ = [
    "MOST_CLASSES",
    "Matching",
    "Names",
    "Undeclared",
    "Under",
    "any_name",
    "cardinality",
    "classes",
    "matches",
    "matching",
    "undeclared",
    "without",
    "words",
]  # fmt: skip

MOST_CLASSES = 64
_UNCOUNTED = 1 << 40


class Matching(NamedTuple):
    """Names that a pattern matches."""

    pattern: str


class Undeclared(NamedTuple):
    """Names that are none of `names` and that none of the patterns matches."""

    names: frozenset[str]
    patterns: tuple[str, ...]


class Under(NamedTuple):
    """Names that, as strings, are under a schema."""

    sub: Sub


Names: TypeAlias = "Matching | Undeclared | Under"


def any_name() -> ByteDfa:
    return compile_regular(ANY_TEXT)


def matching(pattern: str) -> ByteDfa:
    """The names that an ECMA-262 pattern matches somewhere."""
    return pattern_values(pattern)


def matches(pattern: str, name: str) -> bool:
    return matching(pattern).accepts(name.encode())


@lru_cache(maxsize=1024)
def undeclared(names: frozenset[str], patterns: tuple[str, ...]) -> ByteDfa:
    """The language of an Undeclared."""
    parts = [Language(matching(pattern)) for pattern in patterns]
    return compile_regular(Complement(alternation(*map(literal, sorted(names)), *parts)))


def without(language: ByteDfa, names: Iterable[str]) -> ByteDfa:
    """A language less single names."""
    inside = [literal(name) for name in names if language.accepts(name.encode())]
    return difference(language, compile_regular(alternation(*inside))) if inside else language


def classes(languages: Iterable[ByteDfa], within: Iterable[ByteDfa]) -> list[tuple[ByteDfa, tuple[bool, ...]]]:
    """The partition of the names in all of `within` by which of `languages` they are in."""
    limits = [Language(language) for language in within]
    found = [(compile_regular(Intersection(tuple(limits))) if limits else any_name(), ())]
    found = [entry for entry in found if not entry[0].is_empty]
    for language in languages:
        split: list[tuple[ByteDfa, tuple[bool, ...]]] = []
        for part, inside in found:
            some, others, more = (False, True, False) if language.is_empty else relation(part, language)
            if some:
                both = part if not others else intersection(part, language) if more else language
                split.append((both, (*inside, True)))
            if others:
                split.append((difference(part, language) if some else part, (*inside, False)))
        if len(split) > MOST_CLASSES:
            raise LimitError("classes of member names (by the patterns that they match)", len(split), MOST_CLASSES)
        found = split  # type: ignore[assignment]
    return found  # type: ignore[return-value]


def cardinality(language: ByteDfa) -> int | None:
    """How many words a language has; None for infinitely many (or more than 2**40)."""
    counts: dict[int, int | None] = {}
    entered: set[int] = set()
    waiting: list[int] = [1]
    if language.is_empty:
        return 0
    while waiting:
        state = waiting[-1]
        if state in counts:
            waiting.pop()
            continue
        row = language.transitions[state]
        targets = row[row != 0].tolist()
        if state not in entered:
            entered.add(state)
            for target in targets:
                if target in entered and target not in counts:
                    return None  # a cycle, and every state leads to acceptance
                if target not in counts:
                    waiting.append(target)
            continue
        total = int(language.accepting[state])
        for target in targets:
            below = counts[target]
            total = _UNCOUNTED if below is None else min(_UNCOUNTED, total + below)
        counts[state] = total
        waiting.pop()
    total = counts[1] or 0
    return None if total >= _UNCOUNTED else total


def words(language: ByteDfa) -> list[str]:
    """All words of a finite language of UTF-8 texts."""
    found: list[str] = []
    waiting = [(1, b"")]
    while waiting:
        state, word = waiting.pop()
        if language.accepting[state]:
            found.append(word.decode())
        row = language.transitions[state]
        waiting += [(int(row[byte]), word + bytes((byte,))) for byte in np.flatnonzero(row).tolist()]
    return found
