"""A grammar bound to a vocabulary: the machine that all its matchers share.

Compiling makes no state but the root: everything else comes into being when a matcher first gets there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, overload

from .errors import SavedGrammarError
from .fragment import Target
from .limits import Limits
from .machine import Machine
from .precompute import SAVED_STATES, STATES, Precomputed, Precomputing, Progress, Search
from .saved_tables import Extent, Saved, SavedMachine, write_saved
from .shared_stores import store_for
from .vocabulary import Vocabulary

__all__ = ["Compiled", "compile_grammar"]


class Source(Protocol):
    """What a grammar is to the machine: its first state, and what its user should know."""

    @property
    def root(self) -> Target: ...

    @property
    def notes(self) -> Sequence[str]: ...


class _Once:
    """A grammar that is made when it is first asked for."""

    __slots__ = ("_lock", "_made", "_make")

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make
        self._made: Source | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Source:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


class Compiled:
    """A grammar compiled for one vocabulary; shared by threads. Make matchers of it with `Matcher(compiled)`.

    grammar : what it was made from. vocabulary : whose tokens its masks are about. limits : its budgets.
    """

    __slots__ = ("__weakref__", "_grammar", "_kept", "_machine", "_was_warm", "limits", "vocabulary")

    def __init__(self, grammar: Source, vocabulary: Vocabulary, limits: Limits) -> None:
        self._grammar: Source | _Once = grammar
        self.vocabulary = vocabulary
        self.limits = limits
        self._machine = Machine(grammar.root, store_for(vocabulary), limits)
        self._kept: Extent | None = None
        self._was_warm = False

    @classmethod
    def of_saved(cls, saved: Saved, vocabulary: Vocabulary, grammar: Callable[[], Source]) -> Compiled:
        """What a file holds. grammar : makes it again, when it is first asked for."""
        compiled = cls.__new__(cls)
        made = _Once(grammar)
        compiled._grammar = made
        compiled.vocabulary = vocabulary
        compiled.limits = saved.limits
        machine = SavedMachine(saved, vocabulary, lambda: made().root)
        compiled._machine = machine
        compiled._kept = Extent.of(machine)
        compiled._was_warm = False
        return compiled

    @property
    def grammar(self) -> Source:
        """What it was made from."""
        found = self._grammar
        return found() if isinstance(found, _Once) else found

    @property
    def machine(self) -> Machine:
        """The machine that matchers should be on: a new one when the last, or its store, has outgrown its budget."""
        machine = self._machine
        if machine.is_full:
            with machine.store.lock:
                if self._machine is machine:
                    self._kept = None
                    self._was_warm |= bool(machine.warm_rows)
                    self._machine = Machine(self.grammar.root, store_for(self.vocabulary), self.limits)
                machine = self._machine
        return machine

    @property
    def is_warm(self) -> bool:
        """Whether any part of the grammar that texts have come to has a temperature. Costs nothing."""
        return self._was_warm or bool(self._machine.warm_rows)

    @overload
    def precompute(
        self,
        *,
        states: int = STATES,
        seconds: float | None = None,
        background: Literal[False] = False,
        progress: Progress | None = None,
    ) -> Precomputed: ...

    @overload
    def precompute(
        self,
        *,
        states: int = STATES,
        seconds: float | None = None,
        background: Literal[True],
        progress: Progress | None = None,
    ) -> Precomputing: ...

    def precompute(
        self,
        *,
        states: int = STATES,
        seconds: float | None = None,
        background: bool = False,
        progress: Progress | None = None,
    ) -> Precomputed | Precomputing:
        """Makes states and masks ahead of time: afterwards a mask is a lookup and a copy, wherever this came to.

        It goes from the empty text to all that tokens lead to, what is near and new first, until nothing is left or a
        budget is met; the report says which. Matchers that are in use go on meanwhile and change over when it ends.

        states : configurations that it reaches at the most. seconds : how long it may take (None: as long as it does).
        background : run in a thread and return at once, with a handle: `wait(timeout)`, `done`, `report`, `cancel()`.
        progress : called a few times a second, with the configurations reached and those still to be followed.
        """
        search = Search(self._root_again, self.vocabulary, self.limits)
        if background:
            handle = Precomputing(search, lambda report: self._change_over(search, report))
            handle.start(states, seconds, progress)
            return handle
        report = search.run(states, seconds, progress)
        self._change_over(search, report)
        return report

    def _root_again(self) -> Target:
        """The first state of the grammar made anew.

        A search must not share with decoding threads what a grammar finds out about itself while its states are made;
        and a file can only be gone through again if it began with a grammar to which nothing had happened.
        """
        again = getattr(self.grammar, "again", None)
        root: Target = (self.grammar if again is None else again()).root
        return root

    def _change_over(self, search: Search, report: Precomputed) -> None:
        if report.stopped != "cancelled":
            self._adopt(search.machine)

    def _adopt(self, machine: Machine) -> Extent:
        """Puts matchers on another machine; what it holds now, no text of a user has gone into."""
        kept = Extent.of(machine)
        with self._machine.store.lock:
            self._kept = kept
            self._was_warm |= bool(self._machine.warm_rows)
            self._machine = machine
        return kept

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keeps the grammar and all that `precompute` has made in one file; `bridle.load(path, vocabulary)` reads it.

        Nothing that was made for the texts of a matcher is in the file. A grammar that was not precomputed is now, up
        to 2,000 configurations. Raises OSError; SavedGrammarError for a grammar that was not made of JSON or text, or
        that has choices too many for a table.
        """
        recipe = getattr(self.grammar, "recipe", None)
        if recipe is None:
            raise SavedGrammarError(f"{self.grammar!r} cannot be saved: it does not know what it was made from")
        kept = self._kept
        if kept is None:
            search = Search(self._root_again, self.vocabulary, self.limits)
            search.run(SAVED_STATES, None, None)
            kept = self._adopt(search.machine)
        if kept.machine.sparse:
            largest = max(kept.machine.sparse, key=lambda dfa: dfa.n_states)
            raise SavedGrammarError(
                f"{self.grammar!r} cannot be saved: it has an automaton of {largest.n_states} states, too large for a"
                " table; make it again with from_choices or from_substring, which takes a second for a million strings"
            )
        write_saved(Path(path), kept, recipe, self.vocabulary, self.limits)

    @property
    def n_states(self) -> int:
        """States made so far."""
        return self._machine.n_states

    def __repr__(self) -> str:
        return f"Compiled({self.grammar!r}, {self.n_states} states)"


class HasSource(Protocol):
    """What a grammar can be made of: a Regex."""

    @property
    def grammar(self) -> Source: ...


def compile_grammar(grammar: Source | HasSource, vocabulary: Vocabulary, *, limits: Limits | None = None) -> Compiled:
    """Binds a grammar to a vocabulary: lazy and cheap (about 50 us); states and masks are made on first use.

    The kernels were loaded when the vocabulary was made (0.3 s; the first time on a machine they are compiled, under a
    minute). Raises GrammarError, with the place, where the grammar names a special token that the vocabulary lacks.
    """
    given: Any = grammar
    source: Source = getattr(given, "grammar", given)
    if not hasattr(source, "root"):
        raise TypeError(f"what is compiled is a Grammar or a Regex, not {type(grammar).__name__}: {grammar!r:.80}")
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"it is compiled for a Vocabulary, not {type(vocabulary).__name__}: {vocabulary!r:.80}")
    bound_to = getattr(source, "bound_to", None)
    if bound_to is not None:
        source = bound_to(vocabulary)
    vocabulary.check_named(getattr(source, "special_tokens", ()))
    return Compiled(source, vocabulary, limits or Limits())
