"""Judging texts that something else has written: no tokenizer, no model, only the machine over single bytes.

A JSON text is read with its members in any order and with any amount of white space, also around it, unless it is
judged `as_generated`; either way the verdict says how far the text is right and what could have come there instead.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import NamedTuple

from ..automata.compiled import Compiled, compile_grammar
from ..automata.errors import line_and_column
from ..automata.fragment import Target
from ..automata.matcher import Matcher, describe_bytes
from ..automata.vocabulary import Vocabulary
from .grammar import Grammar

__all__ = ["Verdict", "validate"]


class Verdict(NamedTuple):
    """Whether a text is a sentence; if not, where it stops being the beginning of one.

    offset : byte offset of the first byte that may not stand there; the length of the text if it only ends too early.
    line, column : of that place, from 1, in characters. expected : what could stand there.
    place : where that is in the value, as a JSON pointer, for JSON texts; "" elsewhere and at the root.
    """

    ok: bool
    offset: int
    line: int
    column: int
    expected: tuple[str, ...]
    place: str

    def __bool__(self) -> bool:
        return self.ok


class _Reading(NamedTuple):
    """A grammar as texts are read: what `compile_grammar` asks for."""

    root: Target
    notes: tuple[str, ...]


@lru_cache(maxsize=1)
def _bytes() -> Vocabulary:
    return Vocabulary([bytes((b,)) for b in range(256)] + [b""], stop_token_ids=256)


_readings: weakref.WeakKeyDictionary[Grammar, dict[bool, Compiled]] = weakref.WeakKeyDictionary()


def _compiled(grammar: Grammar, as_generated: bool) -> Compiled:
    known = _readings.setdefault(grammar, {})
    if as_generated not in known:
        root = grammar.root if as_generated else grammar.reading_root()
        known[as_generated] = compile_grammar(_Reading(root, grammar.notes), _bytes())
    return known[as_generated]


def validate(grammar: Grammar, text: str | bytes, *, as_generated: bool = False) -> Verdict:
    """Whether a text is a sentence of a grammar.

    JSON texts are read in any member order and with any white space, unless `as_generated` asks whether a constrained
    model could have written just this.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    matcher = Matcher(_compiled(grammar, as_generated))
    at = matcher.accept_prefix(data)
    if at == len(data) and matcher.is_accepting():
        return Verdict(True, at, *_line_and_column(data, at), (), "")
    place = place_in_json(data[:at]) if grammar.is_json else ""
    return Verdict(False, at, *_line_and_column(data, at), describe_bytes(matcher.next_bytes()), place)


def _line_and_column(data: bytes, at: int) -> tuple[int, int]:
    before = data[:at].decode("utf-8", "ignore")
    return line_and_column(before, len(before))


def place_in_json(prefix: bytes) -> str:
    """JSON pointer of the place at which a prefix of a JSON text ends."""
    path: list[str | int] = []
    in_string = escaped = naming = False
    text = ""
    for character in prefix.decode("utf-8", "replace"):
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
                if naming:
                    path[-1] = text
                    naming = False
                continue
            text += character
        elif character == '"':
            in_string, text = True, ""
        elif character == "{":
            path.append("")
            naming = True
        elif character == "[":
            path.append(0)
        elif character in "}]":
            path.pop()
        elif character == "," and path:
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            else:
                path[-1], naming = "", True
    shown = path if not (naming and path) else path[:-1]
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in shown)
