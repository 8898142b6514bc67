"""What a front end hands to the machine: states as specifications, expanded on first visit.

A *payload* is an immutable, hashable value that says what may still come, with one method, `expand()`. Equal payloads
are one state of the machine, so hash and equality must be cheap and structural (a tuple or a frozen dataclass whose
parts are interned). `expand()` returns one of the shapes below; it names other payloads as targets and touches no
table.

A *target* is a payload, a `ByteDfa` or a `SparseDfa` (a regular sublanguage: the whole frame is driven by its table), a
`GreedyDfa` (a lexical rule: the same, but the frame ends by longest match), or None: the frame ends, and the state that
called it goes on.

INVARIANT, and the front end's duty: the language of every payload that it names is not empty (else masks would lead
into dead ends; greedy_dfa.py says what that takes where a greedy leaf is followed), and no payload calls itself before
a byte is consumed (left recursion is rewritten, or refused).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from .byte_dfa import ByteDfa
from .greedy_dfa import GreedyDfa
from .sparse_dfa import SparseDfa


@runtime_checkable
class Payload(Hashable, Protocol):
    """A state as a specification of what may still come.

    It may have an attribute `first_bytes`, a set of bytes as an int (byte b its bit b), or None: then nothing but those
    bytes begins what it reads, which is never the empty text. Where none of them comes it is not expanded.
    """

    def expand(self) -> Expansion: ...


Target: TypeAlias = "Payload | ByteDfa | GreedyDfa | SparseDfa | None"


@dataclass(frozen=True, slots=True)
class Fragment:
    """A state with edges and calls: the general shape.

    edges : (low byte, high byte, target), bounds included; several may share bytes (alternatives, all followed). One
        whose low byte is above its high one is never taken.
    calls : (callee, then): the callee's language comes first, then the frame goes on in `then`.
    ends : whether the frame may also end here.
    whitespace : how many bytes of JSON white space (space, \\t, \\n, \\r) may pass here before anything else. No callee
        then begins with white space of its own.
    """

    edges: tuple[tuple[int, int, Target], ...] = ()
    calls: tuple[tuple[Target, Target], ...] = ()
    ends: bool = False
    whitespace: int = 0
    like: ByteDfa | None = None


@dataclass(frozen=True, slots=True)
class Warmth:
    """The end of a frame that is sampled at a temperature of its own; it is on the stack below all that it reads.

    A payload that only ends. Machines note the rows of such states, for `Matcher.temperature`.
    """

    temperature: float

    def expand(self) -> Fragment:
        # The edge is over no byte: a state without any, that can do nothing but end, is never kept on a stack.
        return Fragment(edges=((255, 0, None),), ends=True)


@dataclass(frozen=True, slots=True)
class Text:
    """A counted loop: `body` between `least` and `most` times (None: no bound), then the `close` byte and the end.

    unit : the language of any number of iterations, whose start state is entered exactly when one is complete.
    body : a part of it, with all its sentences between iterations; None: all of it. If `least` matters, then whatever
        begins a sentence must go on to one of every number of iterations from the fewest on.
    close : a byte that no iteration begins with; None: the frame just ends.
    """

    unit: ByteDfa
    least: int
    most: int | None
    close: int | None
    body: ByteDfa | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How an object or an array is written where white space is not free, as `json.dumps` does it.

    opened, closing : white space after the opening bracket and before the closing one, unless nothing is between them.
    comma, colon : what stands between two members or items, and between a name and its value: the mark and white space
        around it.
    """

    opened: bytes = b""
    comma: bytes = b","
    colon: bytes = b":"
    closing: bytes = b""

    def __post_init__(self) -> None:
        for literal, mark in ((self.opened, b""), (self.comma, b","), (self.colon, b":"), (self.closing, b"")):
            if literal.strip(b" \t\n\r") != mark:
                raise ValueError(f"a layout's {literal!r} is not white space around {mark.decode() or 'nothing'!r}")


class Other(NamedTuple):
    """A class of members that are not declared by name.

    names : every JSON spelling of the names of the class, between the quotes and with the closing one; None: every name
        that is neither declared nor absent (no more than one class of an object).
    value : what their values are. witness : bits, at most six, see Members.
    mark : for classes that share one automaton, in which the mark, as two bytes (its digits of base 8), may follow the
        closing quotes of the names of each. They are no witnesses, and follow one another with marks from 0 on, less
        than 64. -1: all of `names` are of the class.
    """

    names: ByteDfa | None
    value: Payload | ByteDfa | GreedyDfa
    witness: int = 0
    mark: int = -1


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object: braces, names in quotes in any JSON spelling, each at most once.

    names : the declared members' names as UTF-8 values, in order; values, required : parallel to them.
    absent : names that no member may have, neither declared nor additional.
    others : classes of further members. Their languages are disjoint from `names`, from `absent` and from each other,
        but one may have the language of another and be a witness besides: both readings are followed.
    ordered : declared members come in the order of `names` and before the others; else in any order.
    least, most : how many members there are, declared or not (None: no bound).
    whitespace : as in Fragment, at every place between tokens. layout : instead of it, the white space that there is.
    spelling : the JSON spellings of any name, between its quotes.

    The object may only end once each bit that is a witness of some class is that of a member that is there.
    """

    names: tuple[bytes, ...]
    values: tuple[Payload | ByteDfa | GreedyDfa, ...]
    required: tuple[bool, ...]
    absent: tuple[bytes, ...]
    others: tuple[Other, ...]
    ordered: bool
    whitespace: int
    spelling: ByteDfa
    least: int = 0
    most: int | None = None
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Strings:
    """A JSON array of strings no two of which are equal, compared by value; in any order.

    names : single strings, as UTF-8 values. others : languages of further ones, spelled as in Other, disjoint.
    least, most, whitespace, layout, spelling : as in Members.
    """

    names: tuple[bytes, ...]
    others: tuple[ByteDfa | None, ...]
    least: int
    most: int | None
    whitespace: int
    spelling: ByteDfa
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class OneString:
    """A JSON string that is one of `names` (UTF-8 values, each once; at least one), in any spelling as in Members."""

    names: tuple[bytes, ...]
    spelling: ByteDfa


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array: `prefix` item by item, then any number of `item` (None: no more), `least` to `most` in all.

    whitespace, layout : as in Members.
    """

    prefix: tuple[Payload | ByteDfa | GreedyDfa, ...]
    item: Target
    least: int
    most: int | None
    whitespace: int
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """One of the texts of an automaton, and then what depends on which one it was.

    texts : whose accepting states tell the texts apart: each is that of one text alone.
    after : what follows the text that ends in an accepting state, by that state's number; the same at each call.
    """

    texts: SparseDfa
    after: Callable[[int], Payload]


Expansion: TypeAlias = "Fragment | Text | Members | Items | Strings | OneString | Selection"
