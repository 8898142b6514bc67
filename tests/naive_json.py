"""A beginning of a JSON text, read into a tree that says what is still open.

Idea: JSON is deterministic, so a prefix of a JSON text has one reading: a tree in which the values along one path (the
last of each container, from the root down) are not finished. Whether a schema can still be met is then a question
about values, not about automata. What is no prefix of any JSON text is refused here (`NotJson`): syntax, white space
that is too long or before or after the root, lone surrogates. Duplicate keys and all else is the schema's business.

Source: RFC 8259. Part of the oracle: imports nothing from bridle. Tested by test_naive.py against `json`.
"""

import re
from dataclasses import dataclass

from naive_text import EVERY, Ranges, intersect, union


class NotJson(Exception):
    """The text is not a prefix of any JSON text."""


@dataclass(frozen=True, slots=True)
class Word:
    """`true`, `false`, `null`, or a beginning of one."""

    text: str
    closed: bool


@dataclass(frozen=True, slots=True)
class Number:
    """A number; open where the text ends after it, because a digit could follow, or must."""

    text: str
    closed: bool


@dataclass(frozen=True, slots=True)
class String:
    """The code points of a string; `pending`: what the unfinished next one may be (None: none was begun)."""

    text: tuple[int, ...]
    pending: Ranges | None
    closed: bool

    @property
    def value(self) -> str:
        return "".join(map(chr, self.text))


@dataclass(frozen=True, slots=True)
class Array:
    """The items, of which the last may be open; `wants`: the text ends after a comma."""

    items: tuple
    closed: bool
    wants: bool


@dataclass(frozen=True, slots=True)
class Object:
    """The members (key, value), of which the last may be open, its value None where it was not begun."""

    members: tuple[tuple[String, object], ...]
    closed: bool
    wants: bool


Node = Word | Number | String | Array | Object

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
NUMBER_PREFIX = re.compile(r"-?|-?(0|[1-9][0-9]*)(\.[0-9]*|(\.[0-9]+)?([eE]([+-]?[0-9]*))?)")
_SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def read(text: tuple[int, ...], pending: Ranges | None, max_whitespace: int) -> Node | None:
    """The tree of a text that ends where the root value does or before; None for the empty text."""
    reader = _Reader("".join(map(chr, text)), pending, max_whitespace)
    root = reader.value()
    # An unfinished character is legal inside a string alone; there, `string` has taken it.
    if reader.at < len(reader.text) or reader.pending is not None:
        raise NotJson
    return root


def close_number(node: Node | None) -> Node | None:
    """The root as it stands if the text ends here for good: a finished number is closed."""
    if isinstance(node, Number) and NUMBER.fullmatch(node.text):
        return Number(node.text, True)
    return node


class _Reader:
    """Recursive descent; whatever is read when the text ends is handed up as open."""

    def __init__(self, text: str, pending: Ranges | None, max_whitespace: int) -> None:
        self.text, self.at, self.pending, self.max_whitespace = text, 0, pending, max_whitespace
        # Whether the escape that was read last is complete; where it is not, the text ends inside it.
        self.escape_is_done = True
        # Set by `separator`: the text ends after a comma.
        self.wants_more = False

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def ended(self) -> bool:
        return self.at == len(self.text)

    def whitespace(self) -> None:
        begin = self.at
        while not self.ended() and self.peek() in " \t\n\r":
            self.at += 1
        if self.at - begin > self.max_whitespace:
            raise NotJson

    def value(self) -> Node | None:
        c = self.peek()
        if not c:
            return None
        if c == '"':
            return self.string()
        if c == "[":
            return self.array()
        if c == "{":
            return self.object()
        return self.word() if c in "tfn" else self.number()

    def word(self) -> Word:
        whole = {"t": "true", "f": "false", "n": "null"}[self.peek()]
        found = self.text[self.at : self.at + len(whole)]
        if not whole.startswith(found):
            raise NotJson
        self.at += len(found)
        return Word(found, found == whole)

    def number(self) -> Number:
        found = re.compile("[-+0-9.eE]*").match(self.text, self.at)[0]
        self.at += len(found)
        if not found or not (NUMBER_PREFIX if self.ended() else NUMBER).fullmatch(found):
            raise NotJson
        return Number(found, not self.ended())

    def string(self) -> String:
        self.at += 1
        out: list[int] = []
        while not self.ended():
            c = self.peek()
            self.at += 1
            if c == '"':
                return String(tuple(out), None, True)
            candidates = self.escape() if c == "\\" else ((ord(c), ord(c)),)
            if not candidates or c < " ":
                raise NotJson
            if c == "\\" and not self.escape_is_done:
                return String(tuple(out), candidates, False)
            out.append(candidates[0][0])
        pending, self.pending = self.pending, None
        return String(tuple(out), pending, False)

    def escape(self) -> Ranges:
        """What the escape after a backslash denotes, or may come to denote where the text ends inside it."""
        self.escape_is_done = not self.ended()
        if self.ended():
            return EVERY  # each code point has a \\u spelling
        c = self.peek()
        self.at += 1
        if c != "u":
            return ((ord(_SHORT_ESCAPES[c]),) * 2,) if c in _SHORT_ESCAPES else ()
        lo, hi = self.unit()
        plain = intersect(((lo, hi),), EVERY)
        leads = range(max(lo, 0xD800), min(hi, 0xDBFF) + 1)
        if not self.escape_is_done:
            pairs = ((0x10000 + (leads[0] - 0xD800 << 10), 0x103FF + (leads[-1] - 0xD800 << 10)),) if leads else ()
            return union(plain, pairs)
        if not leads:
            return plain  # empty for a second half of a pair that comes first
        trails = self.second_half()
        base = 0x10000 + (lo - 0xD800 << 10) - 0xDC00
        return ((base + trails[0], base + trails[1]),) if trails else ()

    def unit(self) -> tuple[int, int]:
        """First and last code unit that four hexadecimal digits may denote; fewer only where the text ends."""
        found = re.compile("[0-9a-fA-F]{0,4}").match(self.text, self.at)[0]
        self.at += len(found)
        if len(found) < 4 and not self.ended():
            raise NotJson
        self.escape_is_done = len(found) == 4
        bits = 4 * (4 - len(found))
        value = int(found or "0", 16) << bits
        return value, value + (1 << bits) - 1

    def second_half(self) -> tuple[int, int] | None:
        """The second half of a surrogate pair: first and last code unit that it may be."""
        found = self.text[self.at : self.at + 2]
        if not "\\u".startswith(found):
            raise NotJson
        self.at += len(found)
        lo, hi = self.unit()  # where the text has ended: all units
        lo, hi = max(lo, 0xDC00), min(hi, 0xDFFF)
        return (lo, hi) if lo <= hi else None

    def array(self) -> Array:
        self.at += 1
        items: list[Node] = []
        self.whitespace()
        if self.peek() == "]":
            self.at += 1
            return Array((), True, False)
        while not self.ended():
            items.append(self.value())
            if self.ended_inside(items[-1]):
                break
            if self.separator("]"):
                return Array(tuple(items), True, False)
            if self.wants_more:
                return Array(tuple(items), False, True)
        return Array(tuple(items), False, False)

    def ended_inside(self, node: Node) -> bool:
        return self.ended() and not node.closed

    def separator(self, close: str) -> bool:
        """Reads what stands between an item and the next; True: it was the end of the container."""
        self.whitespace()
        self.wants_more = False
        if self.ended():
            return False
        c = self.peek()
        if c not in (",", close):
            raise NotJson
        self.at += 1
        if c == ",":
            self.whitespace()
            self.wants_more = self.ended()
        return c == close

    def object(self) -> Object:
        self.at += 1
        members: list[tuple[String, Node | None]] = []
        self.whitespace()
        if self.peek() == "}":
            self.at += 1
            return Object((), True, False)
        while not self.ended():
            key, value = self.member()
            members.append((key, value))
            if value is None or self.ended_inside(value):
                break
            if self.separator("}"):
                return Object(tuple(members), True, False)
            if self.wants_more:
                return Object(tuple(members), False, True)
        return Object(tuple(members), False, False)

    def member(self) -> tuple[String, Node | None]:
        if self.peek() != '"':
            raise NotJson
        key = self.string()
        if not key.closed:
            return key, None
        self.whitespace()
        if not self.ended() and self.peek() != ":":
            raise NotJson
        if self.ended():
            return key, None
        self.at += 1
        self.whitespace()
        return key, self.value()
