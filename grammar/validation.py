"""Judging texts that something else has written: no tokenizer, no model, only the machine over single bytes.

A JSON text is read with its members in any order and with any amount of white space, also around it, unless it is
judged `as_generated`; either way the verdict says how far the text is right and what could have come there instead.

Special tokens have no text, so a grammar that needs one has no plain text for a sentence. Judged `as_generated`, a text
shows them as tokenizers do, by name (`<|im_end|>`; by id, `<[7]>`, where the grammar names the id), and each such place
is read in both ways: as the token and as text. Readings that come to the same configuration are one.
"""

from __future__ import annotations

import itertools
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..automata.compiled import Compiled, compile_grammar
from ..automata.errors import line_and_column
from ..automata.fragment import Target
from ..automata.matcher import Matcher, encoded
from ..automata.rejections import describe_bytes
from ..automata.special_tokens import SpecialToken
from ..automata.vocabulary import Vocabulary
from .grammar import Grammar
from .regex import Regex

__all__ = ["Reading", "Verdict", "byte_vocabulary", "distinct", "names_shown", "reading_of", "validate"]


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


class Reading(NamedTuple):
    """A grammar as texts are read: what `compile_grammar` asks for."""

    root: Target
    notes: tuple[str, ...]


@lru_cache(maxsize=1)
def byte_vocabulary() -> Vocabulary:
    """A token for each byte, and a stop token."""
    return Vocabulary([bytes((b,)) for b in range(256)] + [b""], stop_token_ids=256)


_readings: weakref.WeakKeyDictionary[Grammar, dict[bool, Compiled]] = weakref.WeakKeyDictionary()


def reading_of(grammar: Grammar, *, as_generated: bool = True) -> Compiled:
    """A grammar compiled for single bytes; as_generated : as it is generated, else as other writers' texts are read."""
    known = _readings.setdefault(grammar, {})
    if as_generated not in known:
        root = grammar.root if as_generated else grammar.reading_root()
        known[as_generated] = compile_grammar(Reading(root, grammar.notes), byte_vocabulary())
    return known[as_generated]


def validate(grammar: Grammar | Regex, text: str | bytes, *, as_generated: bool = False) -> Verdict:
    """Whether a text is a sentence of a grammar.

    JSON, also as a part of others, is read in any member order and with any white space, and names of special tokens as
    text, unless `as_generated` asks whether a constrained model could have written just this.
    """
    if isinstance(grammar, Regex):
        grammar = grammar.grammar
    if not isinstance(grammar, Grammar):
        raise TypeError(f"a text is judged by a Grammar or a Regex, not by {type(grammar).__name__}: {grammar!r:.80}")
    data = encoded(text)
    matcher = Matcher(reading_of(grammar, as_generated=as_generated))
    if grammar.special_tokens:
        return _verdict_of_readings(matcher, data, grammar.special_tokens, as_generated)
    at = matcher.accept_prefix(data)
    if at == len(data) and matcher.is_accepting():
        return Verdict(True, at, *_line_and_column(data, at), (), "")
    place = place_in_json(data[:at]) if grammar.is_json else ""
    return Verdict(False, at, *_line_and_column(data, at), describe_bytes(matcher.next_bytes()), place)


def _verdict_of_readings(matcher: Matcher, data: bytes, named: tuple[SpecialToken, ...], as_generated: bool) -> Verdict:
    """The verdict on a text in which special tokens may be shown."""
    shown = names_shown(data, named if as_generated else ())
    cuts = sorted({0, len(data), *shown, *(end for several in shown.values() for end, _ in several)})
    readings = {0: [matcher]}
    farthest, there = -1, [matcher]
    for begin, end in itertools.pairwise(cuts):
        for reading in distinct(readings.pop(begin, [])):
            for after_name, token in shown.get(begin, ()):
                if (after := reading.fork()).accept_special(token):
                    readings.setdefault(after_name, []).append(after)
            length = reading.accept_prefix(data[begin:end])
            if begin + length == end:
                readings.setdefault(end, []).append(reading)
            elif begin + length >= farthest:
                there = [*there, reading] if begin + length == farthest else [reading]
                farthest = begin + length
    if len(data) in readings:
        farthest, there = len(data), distinct(readings[len(data)])
        if any(reading.is_accepting() for reading in there):
            return Verdict(True, farthest, *_line_and_column(data, farthest), (), "")
    allowed = np.maximum.reduce([reading.next_bytes() for reading in there])
    names = [str(token) for token in named if any(reading.fork().accept_special(token) for reading in there)]
    return Verdict(False, farthest, *_line_and_column(data, farthest), describe_bytes(allowed, names), "")


def names_shown(data: bytes, named: Iterable[SpecialToken]) -> dict[int, list[tuple[int, SpecialToken]]]:
    """By where the name of a special token stands in a text: where it ends, and the token."""
    shown = defaultdict[int, list[tuple[int, SpecialToken]]](list)
    for token in named:
        name = str(token).encode("utf-8", "surrogatepass")
        for at in _places(data, name):
            shown[at].append((at + len(name), token))
    return shown


def _places(data: bytes, name: bytes) -> Iterator[int]:
    """Where a name stands in a text."""
    at = data.find(name)
    while at >= 0:
        yield at
        at = data.find(name, at + 1)


def distinct(readings: list[Matcher]) -> list[Matcher]:
    """One matcher for each configuration."""
    return list({reading.configuration: reading for reading in readings}.values())


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
