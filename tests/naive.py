"""The oracle: what a grammar's sentences and their prefixes are, and which tokens a mask allows.

Slow and obviously right: it reads the source grammar itself and shares no code with the engine. This is the entry; the
parts are one file each: naive_text (UTF-8), naive_regex (NFA), naive_ebnf (Earley), naive_json and naive_schema (trees
with open ends). No part builds a byte automaton, tables, or memo that the engine has too.

Every constructor raises ValueError for a malformed source and NotImplementedError for what the oracle does not cover,
so that a test may skip it; each file says what that is. A language may be empty: then nothing is a prefix of it, not
even b"".
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from naive_ebnf import Ebnf
from naive_regex import Regex
from naive_schema import JsonSchema


class Naive(Protocol):
    """A language of byte strings."""

    def accepts(self, data: bytes) -> bool:
        """Whether the text is a sentence."""

    def is_prefix(self, data: bytes) -> bool:
        """Whether the text is a prefix of some sentence."""


def regex(pattern: str, dialect: str = "python", search: bool = False) -> Naive:
    """The texts that match a pattern of Python's re ("python") or of ECMA-262 with the u flag ("ecma")."""
    return Regex(pattern, dialect, search)


def ebnf(text: str, start: str = "root") -> Naive:
    """The sentences of a GBNF grammar."""
    return Ebnf(text, start)


def json_schema(
    schema: dict | bool | str | bytes,
    *,
    property_order: str = "schema",
    whitespace: str = "json",
    max_whitespace: int = 64,
) -> Naive:
    """The spellings of the values that a schema admits; a schema given as text keeps its decimals exact."""
    return JsonSchema(schema, property_order, whitespace, max_whitespace)


def mask(n: Naive, text: bytes, tokens: Sequence[bytes], stop_token_ids: Collection[int]) -> set[int]:
    """The ids that are allowed after a text: every token is tried."""
    allowed = {i for i, t in enumerate(tokens) if t and i not in stop_token_ids and n.is_prefix(text + t)}
    return allowed | (set(stop_token_ids) if n.accepts(text) else set())
