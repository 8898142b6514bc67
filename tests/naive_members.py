"""Objects with classes of member names, member counts and witnesses, and arrays of distinct strings, told by search.

Idea: the text is read into a tree (naive_json). Whether it goes on to a sentence is then tried: every name that the
open one may become, every way to read the members, every next member, until the object may close. Names of a class are
taken from all short continuations over a few letters, which is enough for the languages of the tests.

Part of the oracle: no automaton, no counting of what is left, nothing imported from bridle.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import naive_json
import naive_text

LETTERS = 'abxyé😀"\n'
# Continuations of what is typed that are tried: words over few letters are long, and every letter comes.
_TAILS = ["".join(w) for n in range(5) for w in itertools.product("abxy", repeat=n)] + [
    "".join(w) for n in range(1, 3) for w in itertools.product(LETTERS, repeat=n) if not set(w) <= set("abxy")
]
_ANY = "any"


@dataclass(frozen=True)
class NamesOf:
    """A class of names: a pattern of Python's re that they match whole, or None: every other name.

    words : what their values may be (JSON literals).
    """

    pattern: str | None
    words: tuple[str, ...] = ("true",)
    witness: bool = False


@dataclass(frozen=True)
class Names:
    """An object (or, without values, an array of distinct strings). declared : (name, words, whether required)."""

    declared: tuple[tuple[str, tuple[str, ...], bool], ...] = ()
    absent: tuple[str, ...] = ()
    classes: tuple[NamesOf, ...] = ()
    ordered: bool = False
    least: int = 0
    most: int | None = None
    bare: bool = False
    max_whitespace: int = 1
    _known: dict = field(default_factory=dict, compare=False, hash=False)

    def accepts(self, data: bytes) -> bool:
        node = self._read(data)
        return node is not None and node.closed and self.is_prefix(data)

    def is_prefix(self, data: bytes) -> bool:
        if not data:
            return self._completable(())
        node = self._read(data)
        if node is None:
            return False
        return any(self._goes_on(node, done, last) for done, last in self._readings(node))

    # -------------------------------------------------------------------------------------------- reading

    def _read(self, data: bytes):
        """The tree of a beginning of an object or array; None if it is none."""
        decoded = naive_text.decode(data)
        if decoded is None or not data:
            return None
        try:
            node = naive_json.read(*decoded, self.max_whitespace)
        except naive_json.NotJson:
            return None
        return node if isinstance(node, naive_json.Array if self.bare else naive_json.Object) else None

    def _readings(self, node) -> Iterator[tuple[tuple, tuple | None]]:
        """(members that are complete, as (name, what it is read as); the last member if it is open)."""
        members = [(item, None) for item in node.items] if self.bare else list(node.members)
        if not all(isinstance(key, naive_json.String) for key, _ in members):
            return
        last = None
        if members and not self._is_closed(*members[-1]):
            last = members.pop()
        waiting: list[tuple] = [()]
        for key, value in members:
            waiting = [
                (*done, (key.value, kind))
                for done in waiting
                for kind in self._kinds(done, key.value)
                if self.bare or self._fits(kind, value)
            ]
        for done in waiting:
            yield done, last

    def _is_closed(self, key, value) -> bool:
        return key.closed if self.bare else value is not None and value.closed

    def _goes_on(self, node, done: tuple, last: tuple | None) -> bool:
        if node.closed:
            return self._may_close(done)
        if last is None:
            return self._goes_on_after_comma(done) if node.wants else self._completable(done)
        key, value = last
        if key.closed:
            return any(
                self._completable((*done, (key.value, kind)))
                for kind in self._kinds(done, key.value)
                if value is None or self._fits(kind, value)
            )
        return any(self._completable((*done, (name, kind))) for name, kind in self._next(done, key.value, key.pending))

    def _goes_on_after_comma(self, done: tuple) -> bool:
        return any(self._completable((*done, (name, kind))) for name, kind in self._next(done, "", None))

    # -------------------------------------------------------------------------------------------- what may be

    def _kinds(self, done: tuple, name: str) -> list[int]:
        """What a member of this name may be read as: an index from `declared`, or ~index of a class."""
        if any(name == other for other, _ in done):
            return []
        names = [declared for declared, _, _ in self.declared]
        if name in names:
            j = names.index(name)
            return [j] if not self.ordered or all(0 <= kind < j for _, kind in done) else []
        if name in self.absent:
            return []
        return [~k for k, kind in enumerate(self.classes) if kind.pattern is None or _matches(kind.pattern, name)]

    def _next(self, done: tuple, prefix: str, pending) -> Iterator[tuple[str, int]]:
        """Names that begin so and what they may be read as: all declared ones, and enough of each class."""
        found = [0] * len(self.classes)
        for name in [*(declared for declared, _, _ in self.declared), *_continuations(prefix, pending)]:
            if not name.startswith(prefix) or not _fits_pending(name, prefix, pending):
                continue
            for kind in self._kinds(done, name):
                if kind >= 0 or found[~kind] < 1:
                    yield name, kind
                    if kind < 0:
                        found[~kind] += 1

    def _fits(self, kind: int, value) -> bool:
        words = self.declared[kind][1] if kind >= 0 else self.classes[~kind].words
        if not isinstance(value, naive_json.Word):
            return False
        return any(word == value.text if value.closed else word.startswith(value.text) for word in words)

    def _may_close(self, done: tuple) -> bool:
        kinds = {kind for _, kind in done}
        required = all(j in kinds for j, (_, _, required) in enumerate(self.declared) if required)
        witness = not any(c.witness for c in self.classes) or any(k < 0 and self.classes[~k].witness for k in kinds)
        return required and witness and self.least <= len(done) and (self.most is None or len(done) <= self.most)

    def _completable(self, done: tuple) -> bool:
        """Whether the object may be closed after these members and any others."""
        key = tuple(sorted((kind, name if kind < 0 else "") for name, kind in done)), done[-1:] if self.ordered else ()
        known = self._known.get(key)
        if known is None:
            # No completion needs more members than these.
            enough = max(self.least, len(done) + 1 + sum(required for _, _, required in self.declared))
            known = self._may_close(done) or (
                len(done) < min(enough, 99 if self.most is None else self.most) and self._goes_on_after_comma(done)
            )
            self._known[key] = known
        return known


@cache
def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name, re.DOTALL) is not None


def _continuations(prefix: str, pending) -> Iterator[str]:
    if pending is not None:
        # Any character that fits, for classes that take every name.
        for low, _ in pending[:1]:
            yield from (prefix + chr(low) + tail for tail in ("", "q", "qq", "qqq", "qqqq"))
    yield from (prefix + tail for tail in _TAILS)
    yield from (prefix + "q" * n for n in range(8))


def _fits_pending(name: str, prefix: str, pending) -> bool:
    if pending is None:
        return True
    return len(name) > len(prefix) and naive_text.contains(pending, ord(name[len(prefix)]))
