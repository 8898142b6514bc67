"""How a JSON text has been laid out so far: where it is, and what white space comes next if it goes on like that.

Idea. White space is free nearly everywhere in JSON, so a grammar forces little; but who wrote `"a": 1,` writes `"b": 2`
next, not `"b" :2`. A scanner follows the text byte by byte and keeps, for each mark and kind of container, the last
white space that followed (or, for a closing bracket, preceded) it; a run with a line break counts as one indentation
for each level. Before anything is seen, it is what `json.dumps` writes.

What it says is proposed, never imposed. Text that is no JSON does no harm: it is a bad guess.
"""

from __future__ import annotations

import copy

__all__ = ["JsonStyle"]

_SPACE = b" \t\n\r"
_OPENING, _CLOSING = b"{[", b"}]"
_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_DEFAULT = {_COMMA: b" ", _COLON: b" "}


class JsonStyle:
    """The scanner.

    in_string : whether the text stands inside a string; partial : then, its bytes so far, as written.
    run : the white space since the last other byte, outside of strings. last : that byte; 0 at the beginning.
    keys : for each open container, the last name in it as written (b"" before one, and in arrays).
    """

    __slots__ = ("_escaped", "_kinds", "_seen", "_unit", "in_string", "keys", "last", "partial", "run")

    def __init__(self) -> None:
        self.in_string, self._escaped = False, False
        self.partial, self.run = bytearray(), bytearray()
        self.last = 0
        self._kinds = bytearray()  # the opening brackets of open containers
        self.keys: list[bytes] = []
        self._unit: bytes | None = None  # that the text was last indented by, anywhere
        self._seen: dict[tuple[int, int], bytes | tuple[bytes]] = {}  # a tuple of the unit that each level indents by

    def feed(self, data: bytes) -> None:
        for byte in data:
            if self.in_string:
                self._feed_string(byte)
            elif byte in _SPACE:
                self.run.append(byte)
            else:
                self._feed_mark(byte)

    def _feed_string(self, byte: int) -> None:
        if byte == _QUOTE and not self._escaped:
            self.in_string = False
            return
        self.partial.append(byte)
        self._escaped = byte == _BACKSLASH and not self._escaped

    def _feed_mark(self, byte: int) -> None:
        if byte in _CLOSING:
            self._note(byte, len(self._kinds) - 1)
            if self._kinds:
                self._kinds.pop()
                self.keys.pop()
        elif self.last in b",:{[":
            self._note(self.last, len(self._kinds))
        if byte in _OPENING:
            self._kinds.append(byte)
            self.keys.append(b"")
        elif byte == _QUOTE:
            self.in_string = True
            self.partial.clear()
        elif byte == _COLON and self.keys:
            self.keys[-1] = bytes(self.partial)
        self.last = byte
        self.run.clear()

    def _note(self, mark: int, level: int) -> None:
        run = bytes(self.run)
        if self.last in _OPENING and mark in _CLOSING:
            return  # an empty container has no layout
        kind = self._kinds[-1] if self._kinds else 0
        if run[:1] == b"\n":
            if level > 0 and not (len(run) - 1) % level:
                self._unit = run[1 : 1 + (len(run) - 1) // level]
                self._seen[mark, kind] = (self._unit,)
            return
        self._seen[mark, kind] = run

    def space(self, mark: int, kind: int, level: int) -> bytes:
        """The white space after a mark (before a closing bracket) in a container of a kind (its opening bracket, 0:
        none), at so many levels."""
        seen = self._seen.get((mark, kind))
        if seen is None:
            other = {123: 91, 91: 123}.get(kind, 0)
            default = (self._unit,) if self._unit is not None and mark != _COLON else _DEFAULT.get(mark, b"")
            seen = self._seen.get((mark, other), default)
        return seen if isinstance(seen, bytes) else b"\n" + level * seen[0]

    @property
    def kinds(self) -> bytes:
        """The opening brackets of the containers that are open."""
        return bytes(self._kinds)

    @property
    def layout(self) -> tuple[tuple[tuple[int, int], bytes | tuple[bytes]], ...]:
        """What was learnt, to be compared."""
        return tuple(sorted(self._seen.items()))

    def copy(self) -> JsonStyle:
        twin = copy.copy(self)
        twin.partial, twin.run, twin._kinds = self.partial.copy(), self.run.copy(), self._kinds.copy()
        twin.keys, twin._seen = self.keys.copy(), self._seen.copy()
        return twin
