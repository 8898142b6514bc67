r"""What lark says of a malformed grammar, in words of this library: what is wrong, with which name, and where.

Lark's own messages name its internals (`Token('_NL', '\n')`, `NonTerminal('c') in __IGNORE_0`), and most have no place.
So each that is known is read by a pattern; the place comes from the position of lark's parser or from the name that the
message is about, looked up in the text (lark_text.py). One that is not known is passed on without its internals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

from ..automata.errors import line_and_column
from .lark_text import LarkText, bracket_open_at

__all__ = ["Told", "told"]

_QUOTED = re.compile(r"'([^']+)'")
_WORDS = re.compile(r"\b_?[A-Za-z][A-Za-z0-9_]*\b")
_INTERNAL = re.compile(r"(?:Non)?Terminal\('([^']*)'\)")
_PLACES = re.compile(r",? (?:at|in) line \d+,? column \d+.*")


class Told(NamedTuple):
    """A message and the offset that it is about, in the text as it was written."""

    message: str
    offset: int


def told(source: LarkText, message: str, position: int | None) -> Told:
    """What to say of an error. position : where lark's parser was, in the text as it was written; None if unknown."""
    line = _PLACES.sub("", message.strip().split("\n")[0]).rstrip(": ")
    for pattern, say in _KNOWN:
        if found := pattern.match(line):
            return say(source, found, position)
    line = _INTERNAL.sub(r"'\1'", line)
    names = [name for name in (*_QUOTED.findall(message), *_WORDS.findall(message)) if name in source.first]
    at = position if position is not None else source.first[names[0]] if names else 0
    return Told(line[:1].lower() + line[1:] or "it is malformed", at)


# ---------------------------------------------------------------------------------------------- the parser's errors


def _unexpected(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    """What stands at a place where it cannot: the first message that fits."""
    text, at = source.original, position or 0
    opened = bracket_open_at(source, at)
    if opened is not None and (not text[at:].strip() or text[at] in "\r\n" or text[at] in ")]}"):
        return Told(f"this {text[opened]!r} is not closed", opened)
    if at >= len(text) or text[at] in "\r\n":
        return Told(f"the {'text' if at >= len(text) else 'line'} ends where something is missing", at)
    if text[at] == '"':
        return Told("this string has no end: expected '\"' on the same line", at)
    if text.startswith("::=", max(at - 1, 0)) or text.startswith("::=", at):
        return Told("a rule is written with one colon: name: body", at)
    hint = _HINTS.get(text[at], "")
    if not hint and text[at].isalpha() and not text[at].isascii():
        hint = "names are made of the letters a to z or A to Z, digits and _"
    if mixed := _mixed_name(text, at):
        return Told(f"{mixed[0]!r} is no name: those of rules are in lower case, those of terminals in upper case",
                    mixed.start())  # fmt: skip
    return Told(f"unexpected {text[at]!r}{f'; {hint}' if hint else ''}", at)


_HINTS = {
    "=": "a rule is written name: body",
    ";": "a rule needs no end mark",
    "&": "there are alternatives (|) and sequences",
    "'": 'strings are written in double quotes, "…"',
    "{": "braces hold the arguments of a template; a repetition is written ~2..5",
    "}": "no brace is open",
    ")": "no group is open",
    "]": "no option is open",
    ":": "a definition begins on a line of its own, with the name that stands before the colon",
    ".": "names have no dots",
    "~": "a repetition stands behind what is repeated",
    "?": "one operator stands behind an item: group what is to have another, (…)",
    "*": "one operator stands behind an item: group what is to have another, (…)",
    "+": "one operator stands behind an item: group what is to have another, (…)",
    "/": "a pattern is written /…/ on one line",
    "_": "a name has a letter behind the _",
    "|": "an alternative stands in the body of a rule",
}
# What lark cuts into two names, a rule's and a terminal's.
_MIXED = re.compile(r"_?(?:[A-Z][_A-Z0-9]*[a-z]|[a-z][_a-z0-9]*[A-Z])\w*")


def _mixed_name(text: str, at: int) -> re.Match[str] | None:
    """The name around a place, if lower case and upper case are mixed in it."""
    while at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_"):
        at -= 1
    return _MIXED.match(text, at)


def _expected(what: str) -> Callable[[LarkText, re.Match[str], int | None], Told]:
    def say(source: LarkText, found: re.Match[str], position: int | None) -> Told:
        text, at = source.original, position or 0
        if _mixed_name(text, at) or text.startswith("::=", at) or bracket_open_at(source, at) is not None:
            return _unexpected(source, found, at)
        rest = text[at:].split("\n", 1)[0].split()
        there = repr(rest[0][:20]) if rest else "the end of the line"
        return Told(f"expected {what}, found {there}", at)

    return say


# ---------------------------------------------------------------------------------------------- errors about names


def _not_defined(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    name, where = found["name"], found["where"]
    for path, at in source.imports:
        if path.split(".")[-1] == name:
            return Told(f"{path.rpartition('.')[0].lstrip('.')} has no {name!r} to import", at)
    if name not in source.first:  # it is what lark has cut out of a longer one
        for piece, at in source.first.items():
            if name in piece and _MIXED.fullmatch(piece):
                return _unexpected(source, found, at)
    kind = "template" if found["kind"] == "template" else "terminal" if name.isupper() else "rule"
    near = get_close_matches(name, source.defined.keys() - {name}, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return Told(f"{kind} {name!r} is used in {where!r}, but not defined{hint}", source.first.get(name, 0))


def _again(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    name = found["name"]
    line, _ = line_and_column(source.original, source.defined.get(name, 0))
    message = f"{name!r} is defined more than once, first on line {line}: join them with '|', or use %override"
    return Told(message, source.again.get(name, source.defined.get(name, 0)))


def _arguments(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    name = found["name"]
    uses = (use.start() for use in re.finditer(rf"\b{re.escape(name)}\s*\{{", source.original))
    at = next((use for use in uses if use != source.defined.get(name)), source.first.get(name, 0))
    return Told(f"template {name!r} has {found['wanted']} parameters, and {found['given']} are given", at)


def _in_terminal(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    where = "what is ignored" if found["where"].startswith("__IGNORE") else f"terminal {found['where']!r}"
    inner = found["name"]
    reason = "terminals are made of strings, patterns and other terminals"
    at = source.defined.get(found["where"], 0)
    uses = (use.start() for use in re.finditer(rf"\b{re.escape(inner)}\b", source.original) if use.start() > at)
    return Told(f"{where} contains the rule {inner!r}: {reason}", next(uses, source.first.get(inner, 0)))


def _no_range(source: LarkText, found: re.Match[str], position: int | None) -> Told:
    least, most = found["least"], found["most"]
    place = re.search(rf"~\s*{least}\s*\.\.\s*{most}|~\s*{least}", source.original)
    return Told(f"this repetition is empty: {least} is more than {most}" if int(least) >= 0
                else "a repetition is from 0 on", place.start() if place else 0)  # fmt: skip


def _at(text: str, find: str) -> Callable[[LarkText, re.Match[str], int | None], Told]:
    """A fixed message. find : a pattern for its place; its groups in braces are those of lark's message."""

    def say(source: LarkText, found: re.Match[str], position: int | None) -> Told:
        groups = {name: value or "" for name, value in found.groupdict().items()}
        wanted = find.format(**{name: re.escape(value) for name, value in groups.items()})
        place = re.search(wanted, source.original, re.MULTILINE)
        at = position if position is not None else place.start() if place else 0
        return Told(text.format(**groups), at)

    return say


_ITEM = "a string, a pattern, a name or a group"
_KNOWN = [(re.compile(pattern), say) for pattern, say in (
    ("Unexpected (?:input|token|colon|end)|Unclosed parenthesis|Unmatched closing|Misplaced operator", _unexpected),
    ("Incorrect type of value|Expecting a value", _expected(_ITEM)),
    ("Expecting rule or terminal definition", _expected("':' behind the name of a rule or terminal")),
    ("Expecting option", _expected("'|', or a rule at the beginning of its line")),
    ("Alias expects lowercase name", _expected("an alias in lower case")),
    ("Terminal names cannot contain dots", _expected("a number, the terminal's priority")),
    ("%import expects a name", _expected("what is imported, as in %import common.NUMBER")),
    ("%ignore expects a value", _expected("what is ignored: a terminal, a string or a pattern")),
    (r"(?P<kind>\w+) '(?P<name>\w+)' used but not defined \(in \w+ (?P<where>\w+)\)", _not_defined),
    (r"\w+ '(?P<name>\w+)' defined more than once", _again),
    (r"Wrong number of template arguments used for (?P<name>\w+) \(expected (?P<wanted>\d+), got (?P<given>\d+)\)",
     _arguments),
    (r"Rules aren't allowed inside terminals \(NonTerminal\('(?P<name>\w+)'\) in (?P<where>\w+)\)", _in_terminal),
    (r"Bad Range for .* \((?P<least>-?\d+)\.\.(?P<most>-?\d+) isn't allowed\)", _no_range),
    (r"Recursion in terminal '(?P<name>\w+)'",
     _at("terminal {name!r} contains itself: only rules have recursion", r"^\s*{name}\b")),
    ("Error trying to process rule \"range\"",
     _at('a range is between two single characters, as in "a".."z"', r"\.\.")),
    (r"Terminals cannot be empty \(__IGNORE", _at("%ignore needs a terminal, a string or a pattern", "%ignore")),
    (r"Terminals cannot be empty \((?P<name>\w+)\)",
     _at("terminal {name!r} has an alternative of no text", r"^\s*{name}\b")),
    (r"Empty terminals are not allowed \((?P<piece>.*)\)",
     _at("the string {piece} is empty, and a token has at least one character: leave it out", "{piece}")),
    (r"\('(?P<piece>.*?)', SyntaxError\(", _at("this string has a malformed escape", r'"[^"\n]*\\')),
    (r"Cannot override a nonexisting \w+ (?P<name>\w+)",
     _at("%override of {name!r}, which is not defined before", "{name}")),
    (r"Can't extend \w+ (?P<name>\w+)", _at("%extend of {name!r}, which is not defined before", "{name}")),
    (r"Using an undefined rule: NonTerminal\('(?P<name>\w+)'\)",
     _at("template {name!r} is used without its arguments", r"\b{name}\b(?!\s*\{{)")),
)]  # fmt: skip
