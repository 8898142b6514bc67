"""Lark texts before lark reads them: where things are defined, and what llguidance writes that Lark does not know.

The text is cut into pieces as lark's own lexer does (strings, patterns, comments, names), so that braces in a string
are none. What is llguidance's is taken out and replaced by a name that lark can read:

    rule: %json {…}                     texts of a JSON schema            → a terminal EMBEDDED__0
    rule[lazy]: …                       the shortest texts, none of which goes on as another: the attributes are cut out
    rule[suffix="x"]: …                 the body, then x, as early as x comes
    rule[stop="x"]: …                   the same without the x
    rule[capture="name"]: …             read and ignored: only the language matters

Refused by name: %declare, %regex, %llguidance with options, <special tokens>, max_tokens and temperature.

INVARIANT: `place` gives the offset in the text as it was written for one in the text that lark reads.
Cost: 1 us for a character.
Source: Lark's grammar reference; llguidance, docs/syntax.md.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NoReturn

from ..automata.errors import GrammarError, UnsupportedError
from .regex_syntax import parse

__all__ = ["Attributes", "LarkText", "bracket_open_at", "read_text"]

_PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|\#[^\n]*)
    |(?P<string>"(?:\\"|\\\\|[^"\n])*?"i?)
    |(?P<regexp>/(?!/)(?:\\/|\\\\|[^/])*?/[imslux]*)
    |(?P<directive>%[a-z]+)
    |(?P<name>_?[A-Za-z][_A-Za-z0-9]*)
    |(?P<special></?[\w|\[][^<>\s]*>)
    |(?P<line>\r?\n)
    |(?P<mark>->|\.\.|[^\s])""",
    re.VERBOSE,
)
_LINE_START = re.compile(r"[ \t!?]*")
_ATTRIBUTE = re.compile(
    r"""\s*(?P<name>[a-z_]+)\s*(?:=\s*(?P<value>"(?:\\.|[^"\\\n])*"|/(?:\\/|\\\\|[^/])*/|[\w.]+))?\s*"""
)
_DEFINES = re.compile(r"\s*(?:\{[^{}]*\}\s*)?(?:\.[ \t]*-?\d+[ \t]*)?[:\[]")


@dataclass(frozen=True, slots=True)
class Attributes:
    """How a rule's texts end. suffix, stop : a string; None where there is none."""

    lazy: bool
    suffix: str | None
    stop: str | None
    offset: int


@dataclass(slots=True)
class LarkText:
    """A text in pieces. `original`: as it was written; `text`: as lark can read it.

    defined, first : offsets of the names' definitions, and of where each name, string or pattern stands first.
    again : of second definitions. imports : what is imported from, and where that stands.
    schemas : by the name of a terminal, the text of a schema and its offset. attributes : by rule.
    """

    original: str
    text: str = ""
    defined: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    imports: list[tuple[str, int]] = field(default_factory=list)
    schemas: dict[str, tuple[str, int]] = field(default_factory=dict)
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
        if kind == "special":
            _refuse_special_token(out, piece, start)
        if kind == "regexp":
            _check_pattern(out, piece, start)
        if kind == "directive":
            at = _directive(out, piece, start, at, replace)
            continue
        out.first.setdefault(piece, start)
        line = original.rfind("\n", 0, start) + 1
        if kind != "name" or _LINE_START.fullmatch(original, line, start) is None:
            continue
        if _DEFINES.match(original, at):
            (out.again if piece in out.defined else out.defined).setdefault(piece, start)
            if original.startswith("[", at):
                end = _attributes(out, piece, at)
                replace(at, end, "")
                at = end
    parts.append(original[copied:])
    if out.schemas:
        parts.append("\n%declare " + " ".join(out.schemas))
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


def _refuse_special_token(out: LarkText, piece: str, offset: int) -> NoReturn:
    out.unsupported(f"the special token {piece}", "terminals of a Lark grammar are texts", offset)


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
        name = f"EMBEDDED__{len(out.schemas)}"
        out.schemas[name] = (original[at:end], at)
        replace(start, end, f" {name} ")
        return end
    elif piece == "%llguidance":
        end = _json_end(out, at)
        if json.loads(original[at:end]) != {}:
            out.unsupported("%llguidance", "its options are about another program", start)
        replace(start, end, "")
        return end
    elif piece not in ("%ignore", "%override", "%extend"):
        out.unsupported(piece, "Lark has %import, %ignore, %override and %extend; %json is read as well", start)
    return at


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


def _attributes(out: LarkText, name: str, at: int) -> int:
    """Reads `[…]` after a rule's name; the offset after it."""
    begin = at
    at += 1
    found: dict[str, str | None] = {}
    while True:
        item = _ATTRIBUTE.match(out.original, at)
        if item is None:
            out.fail("expected an attribute: lazy, suffix=\"…\", stop=\"…\" or capture", at)
        key, value = item["name"], item["value"]
        if key in ("max_tokens", "temperature"):
            reason = "tokens are counted by the matcher" if key == "max_tokens" else "it does not shape the language"
            out.unsupported(f"the attribute {key}", reason, item.start("name"))
        if key not in ("lazy", "suffix", "stop", "capture", "stop_capture"):
            out.fail(f"unknown attribute {key!r}; there are lazy, suffix, stop and capture", item.start("name"))
        if key in ("suffix", "stop"):
            if value is None or not value.startswith('"'):
                out.unsupported(f"{key} that is no string", "write it as \"…\"", item.start("name"))
            value = _string(out, value, item.start("value"))
        found[key] = value
        at = item.end()
        if out.original.startswith("]", at):
            break
        if not out.original.startswith(",", at):
            out.fail("expected ',' or ']' after an attribute", at)
        at += 1
    if "suffix" in found and "stop" in found:
        out.fail("a rule has a suffix or a stop, not both", begin)
    if not name[name.startswith("_") :][:1].islower():
        out.fail("only rules have attributes", begin)
    if "lazy" in found or found.get("suffix") or found.get("stop"):
        suffix, stop = found.get("suffix") or None, found.get("stop") or None
        out.attributes[name] = Attributes("lazy" in found, suffix, stop, begin)
    return at + 1


def _string(out: LarkText, literal: str, offset: int) -> str:
    try:
        return str(json.loads(literal))
    except json.JSONDecodeError as error:
        out.fail(f"malformed string: {error.msg}", offset + error.pos)
