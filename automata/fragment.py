"""What a front end hands to the machine: states as specifications, expanded on first visit.

A *payload* is an immutable, hashable value that says what may still come, with one method, `expand()`. Equal payloads
are one state of the machine, so hash and equality must be cheap and structural (a tuple or a frozen dataclass whose
parts are interned). `expand()` returns one of the shapes below; it names other payloads as targets and touches no
table.

A *target* is a payload, a `ByteDfa` (a regular sublanguage: the whole frame is driven by its table), or None: the frame
ends, and the state that called it goes on.

INVARIANT, and the front end's duty: the language of every payload that it names is not empty (else masks would lead
into dead ends), and no payload calls itself before a byte is consumed (left recursion is rewritten, or refused).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from .byte_dfa import ByteDfa


@runtime_checkable
class Payload(Hashable, Protocol):
    """A state as a specification of what may still come."""

    def expand(self) -> Expansion: ...


Target: TypeAlias = "Payload | ByteDfa | None"


@dataclass(frozen=True, slots=True)
class Fragment:
    """A state with edges and calls: the general shape.

    edges : (low byte, high byte, target), bounds included; several may share bytes (alternatives, all followed).
    calls : (callee, then): the callee's language comes first, then the frame goes on in `then`.
    ends : whether the frame may also end here.
    whitespace : how many bytes of JSON white space (space, \\t, \\n, \\r) may pass here before anything else.
    """

    edges: tuple[tuple[int, int, Target], ...] = ()
    calls: tuple[tuple[Target, Target], ...] = ()
    ends: bool = False
    whitespace: int = 0
    like: ByteDfa | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A counted loop: `body` between `least` and `most` times (None: no bound), then the `close` byte and the end.

    body : the language of any number of iterations, whose start state is entered exactly when one is complete.
    close : a byte that no iteration begins with; None: the frame just ends.
    """

    body: ByteDfa
    least: int
    most: int | None
    close: int | None


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object: braces, names in quotes in any JSON spelling, each at most once.

    names : the declared members' names as UTF-8 values, in order; values, required : parallel to them.
    absent : names that no member may have, neither declared nor additional.
    additional : what the value of a member with any other name is; None: there are none.
    ordered : declared members come in the order of `names` and before additional ones; else in any order.
    whitespace : as in Fragment, at every place between tokens.
    spelling : the JSON spellings of any name, between its quotes.
    """

    names: tuple[bytes, ...]
    values: tuple[Payload | ByteDfa, ...]
    required: tuple[bool, ...]
    absent: tuple[bytes, ...]
    additional: Payload | ByteDfa | None
    ordered: bool
    whitespace: int
    spelling: ByteDfa


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array: `prefix` item by item, then any number of `item` (None: no more), `least` to `most` in all."""

    prefix: tuple[Payload | ByteDfa, ...]
    item: Payload | ByteDfa | None
    least: int
    most: int | None
    whitespace: int


Expansion: TypeAlias = "Fragment | Text | Members | Items"
