"""Texts that are written in turns: what one side generates, and what comes from outside between.

The grammar of such texts is that of one turn: its sentences end where something from outside is awaited, or where all
ends. What follows is the language of another first state, which the grammar tells once the outside text is known
(`Turns.after`). Two ways to go on:

    shared    the first state says nothing of the texts so far: it is a state of the compiled grammar's machine like any
              other, and what was learned about it serves all matchers
    private   it carries text: it lives in a machine of its own, which nobody else sees and which is freed with the
              matchers that came from there

INVARIANT: the steps of a matcher since its turn began are replayed when a machine is replaced, never earlier ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from .compiled import Compiled
from .fragment import Target
from .machine import Machine

__all__ = ["Fed", "Outside", "Turn", "Turns"]


class Outside(NamedTuple):
    """How a text goes on behind what came from outside.

    text : what is added to the text, marks that were implied included. root : the first state of the turn that begins.
    is_private : whether that state carries text. place : what the grammar wants to know of it when the turn ends.
    """

    text: bytes
    root: Target
    is_private: bool
    place: Any


class Turns(Protocol):
    """What a grammar of turns knows. place : of the turn in progress; None in the first."""

    def pending(self, place: Any, text: bytes) -> str | None:
        """Whose text is awaited behind the text of a whole turn; None where all ends there."""

    def after(self, place: Any, text: bytes, outside: str) -> Outside:
        """What follows the text of a whole turn and a text from outside. Raises GrammarError for one that may not
        stand there."""


class _Root(NamedTuple):
    """A first state as compile_grammar asks for it."""

    root: Target
    notes: tuple[str, ...] = ()


class Turn:
    """A turn in progress. Shared by matchers, never changed.

    compiled : whose machine it is on. root : its first state there; None: that of the compiled grammar.
    """

    __slots__ = ("compiled", "place", "root")

    def __init__(self, compiled: Compiled, root: Target = None, place: Any = None) -> None:
        self.compiled, self.root, self.place = compiled, root, place

    @classmethod
    def behind(cls, compiled: Compiled, outside: Outside) -> Turn:
        """The turn that begins behind a text from outside. compiled : of the whole grammar."""
        if not outside.is_private:
            return cls(compiled, outside.root, outside.place)
        own = Compiled(_Root(outside.root), compiled.vocabulary, compiled.limits)
        return cls(own, None, outside.place)

    def start(self, machine: Machine) -> int:
        """The configuration at its beginning."""
        return machine.start if self.root is None else machine.begin(self.root)


class Fed(bytes):
    """A step by a text from outside, and what the matcher was before it: its turn, its machine, its stop tokens."""

    turn: Turn
    machine: Machine
    terminated: int

    @classmethod
    def of(cls, text: bytes, turn: Turn, machine: Machine, terminated: int) -> Fed:
        step = cls(text)
        step.turn, step.machine, step.terminated = turn, machine, terminated
        return step
