"""Whether the empty text is in the language of a state, and the state of all its other texts.

A target is nullable if its frame may end before a byte: at once, or after calls of which each may. A payload calls
nothing that comes back to it without a byte, so that looking through its expansions ends.

`Solid` exists because what is called must read something: a loop around a callee that may read nothing would call it
forever. A part that is nullable is called as Solid, and may be skipped beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsupportedError
from ..automata.fragment import Expansion, Fragment, Payload, Target, Text
from ..automata.greedy_dfa import GreedyDfa
from ..automata.sparse_dfa import SparseDfa

__all__ = ["Solid", "accepts_empty", "without_empty"]

_WHITESPACE = b" \t\n\r"


def accepts_empty(target: Target) -> bool:
    """Whether the empty text is in the language of a target. Expands payloads, as far as calls come before bytes."""
    return _Looking().accepts_empty(target)


class _Looking:
    """The answers so far: payloads are shared, and chains of calls would be gone through again for each path."""

    def __init__(self) -> None:
        self.known: dict[Payload, bool] = {}

    def accepts_empty(self, target: Target) -> bool:
        if target is None:
            return True
        if isinstance(target, ByteDfa | GreedyDfa):
            return bool(target.accepting[1])
        if isinstance(target, SparseDfa):
            return bool(target.accepting[target.start])
        found = self.known.get(target)
        if found is None:
            shape = target.expand()
            if isinstance(shape, Fragment):
                found = shape.ends or any([all(map(self.accepts_empty, call)) for call in shape.calls])
            else:
                found = isinstance(shape, Text) and shape.close is None and shape.least == 0
            self.known[target] = found
        return found

    def has_more(self, target: Target) -> bool:
        """Whether a text that is not empty is in the language."""
        if target is None:
            return False
        if isinstance(target, ByteDfa | GreedyDfa):
            return bool(target.table[1].any())
        if isinstance(target, SparseDfa):
            return bool(target.first[target.start] < target.first[target.start + 1])
        shape = target.expand()
        if isinstance(shape, Fragment):
            if shape.whitespace or any(low <= high for low, high, _ in shape.edges):
                return True
            # A loop comes back as `then`, and only a callee that reads something may be called by one.
            return any(any(map(self.has_more, call)) for call in shape.calls)
        return True


@dataclass(frozen=True, slots=True)
class Solid:
    """The texts of a nullable payload, but for the empty one; it has some.

    spaces : so many of the white-space bytes that may pass at its start have passed.
    """

    inner: Payload
    spaces: int = 0

    def expand(self) -> Expansion:
        shape = self.inner.expand()
        if isinstance(shape, Text):
            return replace(shape, least=max(1, shape.least))
        if not isinstance(shape, Fragment):
            return shape  # brackets and quotes: never empty
        if self.spaces:
            return replace(shape, whitespace=shape.whitespace - self.spaces)
        edges = shape.edges
        if shape.whitespace:
            edges += tuple((byte, byte, Solid(self.inner, 1)) for byte in _WHITESPACE)
        calls = tuple(call for old in shape.calls for call in _solid_calls(*old))
        return Fragment(edges, calls, like=shape.like)


def _solid_calls(callee: Target, then: Target) -> Iterator[tuple[Target, Target]]:
    """Calls for what a call reads, but for nothing: something by the callee, or nothing by it and something after."""
    looking = _Looking()
    if not looking.accepts_empty(callee):
        yield callee, then
        return
    if looking.has_more(callee):
        yield without_empty(callee), then
    if looking.has_more(then):
        yield (without_empty(then) if looking.accepts_empty(then) else then), None


def without_empty(target: Target) -> Target:
    """The same language but for the empty text, of a target that has others."""
    if isinstance(target, ByteDfa):
        return regular.compile_regular(regular.Difference(regular.Language(target), regular.EPSILON))
    if isinstance(target, SparseDfa):
        return target.without_empty()
    if isinstance(target, GreedyDfa):
        raise UnsupportedError("a greedy terminal that may be empty, as a part", "let it match one character at least")
    assert target is not None
    return Solid(target)
