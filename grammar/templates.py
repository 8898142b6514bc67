r"""Templates: fixed text with holes, each of which holds a text of some language and becomes a typed value.

    Grammar.from_template("Name: {name}\nAge: {age}", name=re.compile("[A-Z][a-z]+"), age=int)

A hole takes

    str, or nothing      any text up to the first place where the fixed text behind it stands; at the end any text
    int, float           plain digits; a number as JSON writes it
    bool                 true or false
    Literal, an Enum     the values; those that are texts as they are, others as JSON
    any other type       JSON, as pydantic reads it (models, lists, Annotated numbers)
    a list of texts      one of them
    re.compile(…)        what the pattern matches from end to end
    a dict               JSON under this schema
    a Grammar            its texts; the value is what its `parse` makes of them

`{{` and `}}` are braces, as for str.format. Holes are captures (captures.py) and all the rest is composition: nothing
here is known to the engine. A hole without fixed text behind it takes as much as it can.

Source: Beurer-Kellner et al. 2023 (LMQL), STOPS_BEFORE.
"""

from __future__ import annotations

import enum
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..automata.errors import GrammarError
from .arguments import expect_text
from .captures import names_in, spans_of
from .composition import concatenated
from .grammar import Grammar
from .parsing import check_sentence
from .python_types import ParseError
from .regex import Regex

__all__ = ["from_template"]

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INT = r"-?(?:0|[1-9][0-9]*)"
_FLOAT = _INT + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_FLAGS = {re.I: "i", re.M: "m", re.S: "s", re.X: "x", re.A: "a"}


class _Hole(NamedTuple):
    """grammar : the texts that may stand there. value : what becomes of one."""

    grammar: Grammar
    value: Callable[[str], Any]


def from_template(template: str, holes: Mapping[str, Any]) -> Grammar:
    """As Grammar.from_template says."""
    pieces = list(_pieces(expect_text(template, "a template")))
    names = [name for _, name, _ in pieces if name is not None]
    for given in holes:
        if given not in names:
            near = get_close_matches(given, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f": its holes are {', '.join(names) or 'none'}"
            raise GrammarError(f"the template has no hole {given!r}{hint}")
    parts: list[Grammar | str] = []
    values: dict[str, Callable[[str], Any]] = {}
    for i, (text, name, offset) in enumerate(pieces):
        if name is None:
            parts.append(text)
            continue
        behind = pieces[i + 1][0] if i + 1 < len(pieces) else ""
        hole = _hole(holes.get(name, str), name, behind)
        inner = names_in(hole.grammar.parts) if hole.grammar.parts is not None else {}
        for clash in inner.keys() & set(names):
            raise GrammarError(f"a capture in the hole {name!r} has the name of a hole, {clash!r}")
        if name in values:
            raise GrammarError(
                f"the hole {name!r} comes twice, and its texts would not agree", text=template, offset=offset
            )
        values[name] = hole.value
        parts.append(hole.grammar.capture(name))
    grammar = concatenated(parts)
    grammar.source = f"template {template!r}"
    grammar._parse = lambda grammar, text: _values(grammar, values, text)
    return grammar


def _pieces(template: str) -> Iterator[tuple[str, str | None, int]]:
    """(fixed text, None, offset) and ("", name of a hole, offset) in turn; fixed texts are not empty."""
    fixed, begin, end = "", 0, 0
    for found in _PIECES.finditer(template):
        fixed += template[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            fixed += found[0][0]
            continue
        name = found[1]
        if name is None:
            raise GrammarError(f"a single {found[0]!r}; write it twice", text=template, offset=found.start())
        if not name.isidentifier():
            message = f"a hole is named as an argument is, {{name}}, not {found[0]}"
            raise GrammarError(message, text=template, offset=found.start())
        if fixed:
            yield fixed, None, begin
        yield "", name, found.start()
        fixed, begin = "", end
    fixed += template[end:]
    if fixed:
        yield fixed, None, begin


def _values(grammar: Grammar, values: Mapping[str, Callable[[str], Any]], text: str) -> dict[str, Any]:
    check_sentence(grammar, text)
    data = text.encode()
    found = {name: data[begin:end].decode() for name, begin, end in spans_of(grammar, data) if name in values}
    made = {}
    for name, value in values.items():
        try:
            made[name] = value(found[name])
        except ValueError as error:  # an integer of thousands of digits
            raise ParseError(f"the hole {name!r}: {error}") from None
    return made


# ------------------------------------------------------------------------------------------------ holes


def _hole(spec: Any, name: str, behind: str) -> _Hole:
    """What a hole holds. behind : the fixed text that follows it."""
    try:
        return _made(spec, behind)
    except GrammarError as error:
        error.message = f"the hole {name!r}: {error.message}"
        raise


def _made(spec: Any, behind: str) -> _Hole:
    if isinstance(spec, Grammar):
        return _Hole(spec, spec.parse)
    if isinstance(spec, Regex):
        return _Hole(spec.grammar, str)
    if spec is str:
        return _Hole(Grammar.free_text(behind), str)
    if spec is int:
        return _Hole(Grammar.from_regex(_INT), int)
    if spec is float:
        return _Hole(Grammar.from_regex(_FLOAT), float)
    if isinstance(spec, re.Pattern):
        return _Hole(_of_pattern(spec), str)
    if isinstance(spec, dict):
        grammar = Grammar.from_json_schema(spec)
        return _Hole(grammar, grammar.parse)
    if isinstance(spec, (list, tuple)):
        if not spec or not all(isinstance(choice, str) for choice in spec):
            raise GrammarError(f"a list of choices holds texts, at least one, unlike {spec!r}")
        return _Hole(Grammar.union(*spec), str)
    if isinstance(spec, (str, bytes, int, float)) or spec is None:
        raise GrammarError(f"it takes a type, a Grammar, a compiled pattern, a list of texts or a schema, not {spec!r}")
    if typing.get_origin(spec) is typing.Literal:
        return _of_values(dict(_spelled(value, value) for value in typing.get_args(spec)))
    if isinstance(spec, type) and issubclass(spec, enum.Enum):
        return _of_values(dict(_spelled(member.value, member) for member in spec))
    grammar = Grammar.from_pydantic(spec)
    return _Hole(grammar, grammar.parse)


def _of_pattern(pattern: re.Pattern[Any]) -> Grammar:
    if isinstance(pattern.pattern, bytes):
        raise GrammarError(f"a pattern is of text, not of bytes as {pattern.pattern!r}")
    flags = "".join(letter for flag, letter in _FLAGS.items() if pattern.flags & flag)
    return Grammar.from_regex(f"(?{flags}){pattern.pattern}" if flags else pattern.pattern)


def _spelled(value: Any, meant: Any) -> tuple[str, Any]:
    """How a value of a Literal or an Enum is written, and what it is."""
    if isinstance(value, str):
        return value, meant
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False), meant
    except (TypeError, ValueError):
        raise GrammarError(f"the value {value!r} has no spelling as text") from None


def _of_values(values: dict[str, Any]) -> _Hole:
    if not values:
        raise GrammarError("there is no value that it could have")
    return _Hole(Grammar.union(*values), values.__getitem__)
