"""Lark texts before lark reads them: where things are defined, and what llguidance writes that Lark does not know.

The text is cut into pieces as lark's own lexer does (strings, patterns, comments, names), so that braces in a string
are none. What is llguidance's is taken out and replaced by a name that lark can read:

    rule: %json {…}                     texts of a JSON schema            → a terminal EMBEDDED__0
    rule: %regex {"substring_words": …} spans of a text, or nothing       → (EMBEDDED__1?)
    rule: <|name|> <[7]> <[1,4-6]>      one special token, by name or id  → EMBEDDED__2
    rule[temperature=0.5]: …            the temperature of its texts; the language is the same
    rule[lazy]: …                       the shortest texts, none of which goes on as another: the attributes are cut out
    rule[suffix="x"]: …                 the body, then x, as early as x comes
    rule[stop="x"]: …                   the same without the x
    rule[capture="name"]: …             read and ignored: only the language matters

Refused by name: %declare, %llguidance with options, any token but some (`<[^7]>`), max_tokens.

INVARIANT: `place` gives the offset in the text as it was written for one in the text that lark reads.
Cost: 1 us for a character.
Source: Lark's grammar reference; llguidance, docs/syntax.md.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ..automata.errors import GrammarError, UnsupportedError
from ..automata.special_tokens import SpecialToken
from .regex_syntax import parse
from .rule_attributes import Attributes, read_attributes
from .substring import Boundary

__all__ = ["LarkText", "Schema", "Spans", "Tokens", "bracket_open_at", "read_text"]

_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|\#[^\n]*)
    |(?P<string>"(?:\\["\\]|[^"\\\n]|\\(?!["\\]))*"i?)
    |(?P<regexp>/(?!/)(?:\\[/\\]|[^/\\]|\\(?![/\\]))*/[imslux]*)
    |(?P<directive>%[a-z]+)
    |(?P<name>_?[A-Za-z][_A-Za-z0-9]*)
    |(?P<special></?[\w|\[][^<>\s]*>)
    |(?P<line>\r?\n)
    |(?P<mark>->|\.\.|[^\s])""",
    re.VERBOSE,
)
_NO_END = {
    '"': "this string has no end: expected '\"' on the same line",
    "/": "this pattern has no end: expected '/'",
}
_LINE_START = re.compile(r"[ \t!?]*")
_IDS = re.compile(r"<\[((?:\d+(?:-\d+)?)(?:,\d+(?:-\d+)?)*)\]>")
_BY: dict[str, Boundary] = {"substring_chars": "char", "substring_words": "word", "substring_lines": "line"}
_MAX_IDS = 256  # of one range of special tokens
_DEFINES = re.compile(r"\s*(?:\{[^{}]*\}\s*)?(?:\.[ \t]*-?\d+[ \t]*)?[:\[]")


class Schema(NamedTuple):
    text: str
    offset: int
    what: str = "%json"


class Spans(NamedTuple):
    documents: list[str]
    by: Boundary
    offset: int
    what: str = "%regex"


class Tokens(NamedTuple):
    """Any one of these."""

    tokens: tuple[SpecialToken, ...]


@dataclass(slots=True)
class LarkText:
    """A text in pieces. `original`: as it was written; `text`: as lark can read it.

    defined, first : offsets of the names' definitions, and of where each name, string or pattern stands first.
    again : of second definitions. imports : what is imported from, and where that stands.
    embedded : what stands for a terminal, by its name. attributes : by rule.
    """

    original: str
    text: str = ""
    defined: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    imports: list[tuple[str, int]] = field(default_factory=list)
    embedded: dict[str, Schema | Spans | Tokens] = field(default_factory=dict)
    attributes: dict[str, Attributes] = field(default_factory=dict)
    _cuts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])

    def place(self, offset: int) -> int:
        """The offset in the original of one in the text."""
        new, old = self._cuts[bisect_right(self._cuts, (offset, len(self.original))) - 1]
        return min(old + offset - new, len(self.original))

    def fail(self, message: str, offset: int) -> NoReturn:
        raise GrammarError(message, text=self.original, offset=offset)

    def unsupported(self, what: str, reason: str, offset: int) -> NoReturn:
        raise UnsupportedError(what, reason, text=self.original, offset=offset)


def read_text(original: str) -> LarkText:
    """The pieces of a text. Raises GrammarError and UnsupportedError with the place."""
    out = LarkText(original)
    parts: list[str] = []
    length = copied = at = 0
    definition = ""  # what is being defined, or %ignore

    def replace(start: int, end: int, by: str) -> None:
        nonlocal length, copied
        parts.extend((original[copied:start], by))
        length += start - copied + len(by)
        copied = end
        out._cuts.append((length, end))

    while (found := _PIECE.search(original, at)) is not None:
        at, start, kind, piece = found.end(), found.start(), found.lastgroup, found[0]
        if kind in ("comment", "line"):
            continue
        if kind == "mark" and piece in _NO_END:
            # PERF: lark would look for one in all ways to read the backslashes.
            out.fail(_NO_END[piece], start)
        if kind == "special" or piece in ("%json", "%regex"):
            if definition == "%ignore" or definition.lstrip("_")[:1].isupper():
                what = "a special token" if kind == "special" else piece
                where = definition if definition == "%ignore" else f"the terminal {definition}"
                out.unsupported(f"{what} in {where}", "write it in a rule", start)
        if kind == "special":
            replace(start, at, f" {_embed(out, Tokens(_special_tokens(out, piece, start)))} ")
            continue
        if kind == "regexp":
            _check_pattern(out, piece, start)
        if kind == "directive":
            definition = piece if piece == "%ignore" else definition
            at = _directive(out, piece, start, at, replace)
            continue
        out.first.setdefault(piece, start)
        line = original.rfind("\n", 0, start) + 1
        if kind != "name" or _LINE_START.fullmatch(original, line, start) is None:
            continue
        if _DEFINES.match(original, at):
            definition = piece
            (out.again if piece in out.defined else out.defined).setdefault(piece, start)
            if original.startswith("[", at):
                if not piece[piece.startswith("_") :][:1].islower():
                    out.fail("only rules have attributes", at)
                out.attributes[piece], end = read_attributes(original, at)
                replace(at, end, "")
                at = end
    parts.append(original[copied:])
    if out.embedded:
        parts.append("\n%declare " + " ".join(out.embedded))
    out.text = "".join(parts)
    return out


def bracket_open_at(source: LarkText, offset: int) -> int | None:
    """Where the innermost bracket is that a definition has opened before a place, and not closed; None if none is."""
    begin = max([at for at in (*source.defined.values(), *source.again.values()) if at <= offset], default=0)
    opened: list[int] = []
    for found in _PIECE.finditer(source.original, begin, offset):
        if found[0] in ("(", "[", "{"):
            opened.append(found.start())
        elif found[0] in (")", "]", "}") and opened:
            opened.pop()
    return opened[-1] if opened else None


def _embed(out: LarkText, found: Schema | Spans | Tokens) -> str:
    """The name of the terminal that stands for something; one for what is named again."""
    if isinstance(found, Tokens):
        known = next((name for name, other in out.embedded.items() if other == found), None)
        if known is not None:
            return known
    name = f"EMBEDDED__{len(out.embedded)}"
    out.embedded[name] = found
    return name


def _special_tokens(out: LarkText, piece: str, offset: int) -> tuple[SpecialToken, ...]:
    """The tokens any of which `<…>` is: one by its name, or some by their ids."""
    if piece.startswith(("<[^", "<[*")):
        reason = "how much text a token is depends on the vocabulary; write a pattern, such as /[^<]+/"
        out.unsupported(f"any token but some ({piece})", reason, offset)
    found = _IDS.fullmatch(piece)
    if found is None:  # <[NAME]> is the one named [NAME]
        name = piece[1:-1] if piece.startswith("<[") and piece.endswith("]>") else piece
        return (SpecialToken(name, out.original, offset),)
    ids: dict[int, None] = {}
    for item in found[1].split(","):
        if max(map(len, item.split("-"))) > 10:
            out.fail(f"no vocabulary has so many tokens as {item[:20]}", offset)
        low, high = (int(bound) for bound in (item.split("-") * 2)[:2])
        if not 0 <= high - low < _MAX_IDS:
            out.fail(f"a range of ids is one of 1 to {_MAX_IDS}, not of {high - low + 1}", offset)
        ids.update(dict.fromkeys(range(low, high + 1)))
    return tuple(SpecialToken(id_, out.original, offset) for id_ in ids)


def _check_pattern(out: LarkText, piece: str, offset: int) -> None:
    end = piece.rindex("/")
    flags = piece[end + 1 :]
    if "l" in flags:
        out.unsupported("the flag l", "a language that depends on where it is used is none", offset + end)
    lead = f"(?{''.join(sorted(set(flags)))}:" if flags else ""
    try:
        parse(f"{lead}{piece[1:end]}{')' if flags else ''}", "python")
    except UnsupportedError as error:
        out.unsupported(error.what, error.reason, offset + 1 + max(0, (error.offset or 0) - len(lead)))
    except GrammarError as error:
        out.fail(error.message, offset + 1 + min(max(0, (error.offset or 0) - len(lead)), end - 1))


def _directive(out: LarkText, piece: str, start: int, at: int, replace: object) -> int:
    """Reads what a directive needs beforehand; the offset after that."""
    original = out.original
    assert callable(replace)
    if piece == "%import":
        end = original.find("\n", at)
        line = original[at : end if end >= 0 else len(original)]
        if found := re.match(r"\s*(\.?\s*\w+(?:\s*\.\s*\w+)*)", line):
            out.imports.append((re.sub(r"\s", "", found[1]), at + found.start(1)))
    elif piece == "%declare":
        names = re.compile(r"[ \t]*(\w*)").match(original, at)
        assert names is not None
        out.unsupported(
            f"%declare {names[1]}".rstrip(), "its texts would come from a program that runs after the lexer", start
        )
    elif piece == "%json":
        end = _json_end(out, at)
        replace(start, end, f" {_embed(out, Schema(original[at:end], at))} ")
        return end
    elif piece == "%regex":
        end = _json_end(out, at) if original[at:].lstrip().startswith("{") else at
        replace(start, end, f" ({_embed(out, _spans(out, original[at:end], start))}?) ")
        return end
    elif piece == "%llguidance":
        end = _json_end(out, at)
        if json.loads(original[at:end]) != {}:
            out.unsupported("%llguidance", "its options are about another program", start)
        replace(start, end, "")
        return end
    elif piece not in ("%ignore", "%override", "%extend"):
        out.unsupported(piece, "there are %import, %ignore, %override, %extend, %json and %regex", start)
    return at


def _spans(out: LarkText, text: str, offset: int) -> Spans:
    """What `%regex {…}` describes."""
    if not text:
        reason = "a pattern is written /…/, and %regex {…} is spans of a text"
        out.unsupported("%regex before anything but {", reason, offset)
    found: dict[str, Any] = json.loads(text)
    (name, value), *more = found.items() or [("", None)]
    if more or name not in _BY or not isinstance(value, str):
        known = ", ".join(f'{{"{name}": "…"}}' for name in _BY)
        out.unsupported(f"%regex {text.strip():.60}", f"there are {known}; a pattern is written /…/", offset)
    return Spans([value], _BY[name], offset)


def _json_end(out: LarkText, at: int) -> int:
    """The end of the JSON text that comes next."""
    begin = re.compile(r"\s*").match(out.original, at)
    assert begin is not None
    try:
        return json.JSONDecoder().raw_decode(out.original, begin.end())[1]
    except json.JSONDecodeError as error:
        out.fail(f"expected a JSON text: {error.msg}", error.pos)
    except RecursionError:
        out.fail("this JSON text is nested too deeply", begin.end())
