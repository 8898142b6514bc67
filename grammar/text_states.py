"""States of plain text around a grammar."""

from __future__ import annotations

from dataclasses import dataclass

from ..automata.fragment import Fragment, Target

__all__ = ["Padded"]

_ANY = 1 << 19


@dataclass(frozen=True, slots=True)
class Padded:
    """A language with JSON white space before and after it, as a file has it."""

    inner: Target

    def expand(self) -> Fragment:
        return Fragment(calls=((self.inner, _Trailing()),), whitespace=_ANY)


@dataclass(frozen=True, slots=True)
class _Trailing:
    def expand(self) -> Fragment:
        return Fragment(ends=True, whitespace=_ANY)
