r"""JSON strings of a large enumeration, state by state.

Ten thousand strings of thirty characters are three hundred thousand prefixes, and JSON's ways to spell a character
make it six states for each: too many for an automaton. Here a state is a run of the sorted strings that begin alike,
how many characters they share, and what is written of the next character; it is made when a text gets there.

INVARIANT: some string goes on from every state.
Cost: 5 us for a state and 1 us for each character that may come next; nothing in advance but sorting.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from ..automata.fragment import Fragment, Target

__all__ = ["EnumeratedString", "Enumeration"]

_SHORT = dict(zip(b'"\\/\b\f\n\r\t', (b'\\"', b"\\\\", b"\\/", b"\\b", b"\\f", b"\\n", b"\\r", b"\\t"), strict=True))
_IN_ESCAPE = frozenset((2, 3, 4, 5, 8, 9, 10, 11))  # the places of digits in \uXXXX\uXXXX


@lru_cache(maxsize=4096)
def _spellings(character: str) -> tuple[bytes, ...]:
    """How JSON spells a character, with digits in lower case."""
    code = ord(character)
    units = [code] if code < 0x10000 else [0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF)]
    out = [b"".join(b"\\u%04x" % unit for unit in units)]
    if code in _SHORT:
        out.append(_SHORT[code])
    if code >= 0x20 and character not in '"\\':
        out.append(character.encode())
    return tuple(out)


class Enumeration:
    """Strings that have a spelling, each once and by code points in order."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self.strings = sorted(set(strings))

    def start(self) -> EnumeratedString:
        """Any of the strings, after its opening quote. There must be one."""
        return EnumeratedString(self, 0, len(self.strings), 0, b"")


class EnumeratedString(NamedTuple):
    """The rest of one of strings[first:end], after `shared` characters and a part of a spelling of the next."""

    enumeration: Enumeration
    first: int
    end: int
    shared: int
    written: bytes

    def expand(self) -> Fragment:
        strings, written = self.enumeration.strings, self.written
        first, at = self.first, len(written)
        targets: dict[int, Target] = {}
        if len(strings[first]) == self.shared:
            first += 1  # the one that ends here
            if not written:
                targets[0x22] = None
        while first < self.end:
            character = strings[first][self.shared]
            end = bisect_right(strings, character, first, self.end, key=lambda text: text[self.shared])
            for spelling in _spellings(character):
                if not spelling.startswith(written) or len(spelling) == at:
                    continue
                byte, target = spelling[at], EnumeratedString(self.enumeration, first, end, self.shared + 1, b"")
                if len(spelling) > at + 1:
                    target = self._replace(written=spelling[: at + 1])
                targets[byte] = target
                if spelling[1:2] == b"u" and at in _IN_ESCAPE and byte > 0x60:
                    targets[byte - 32] = target
            first = end
        return Fragment(edges=tuple((byte, byte, target) for byte, target in targets.items()))
