"""Sets of member names, as a schema describes them; name_classes tells them apart."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    ANY_TEXT,
    Complement,
    Language,
    alternation,
    compile_regular,
    literal,
)
from .schema_keywords import Sub
from .schema_strings import pattern_values

__all__ = [
    "Matching",
    "Names",
    "Undeclared",
    "Under",
    "any_name",
    "cardinality",
    "matches",
    "matching",
    "undeclared",
    "words",
]  # fmt: skip

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
