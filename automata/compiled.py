"""A grammar bound to a vocabulary: the machine that all its matchers share.

Compiling makes no state but the root: everything else comes into being when a matcher first gets there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .fragment import Target
from .limits import Limits
from .machine import Machine
from .store import store_for
from .vocabulary import Vocabulary

__all__ = ["Compiled", "compile_grammar"]


class Source(Protocol):
    """What a grammar is to the machine: its first state, and what its user should know."""

    @property
    def root(self) -> Target: ...

    @property
    def notes(self) -> Sequence[str]: ...


class Compiled:
    """A grammar compiled for one vocabulary; shared by threads. Make matchers of it with `Matcher(compiled)`.

    grammar : what it was made from. vocabulary : whose tokens its masks are about. limits : its budgets.
    """

    __slots__ = ("__weakref__", "_machine", "grammar", "limits", "vocabulary")

    def __init__(self, grammar: Source, vocabulary: Vocabulary, limits: Limits) -> None:
        self.grammar = grammar
        self.vocabulary = vocabulary
        self.limits = limits
        self._machine = Machine(grammar.root, store_for(vocabulary), limits)

    @property
    def machine(self) -> Machine:
        """The machine that matchers should be on: a new one when the last, or its store, has outgrown its budget."""
        machine = self._machine
        if machine.is_full or machine.store.is_full:
            with machine.store.lock:
                if self._machine is machine:
                    self._machine = Machine(self.grammar.root, store_for(self.vocabulary), self.limits)
                machine = self._machine
        return machine

    @property
    def n_states(self) -> int:
        """States made so far."""
        return self._machine.n_states

    def __repr__(self) -> str:
        return f"Compiled({self.grammar!r}, {self.n_states} states)"


def compile_grammar(grammar: Source, vocabulary: Vocabulary, *, limits: Limits | None = None) -> Compiled:
    """Binds a grammar to a vocabulary: lazy and cheap (about 50 us); states and masks are made on first use.

    The kernels were loaded when the vocabulary was made (0.3 s; the first time on a machine they are compiled, under a
    minute).
    """
    return Compiled(grammar, vocabulary, limits or Limits())
