"""States to read a part of a text with, where names of special tokens stand in it: a table's, or a grammar's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..automata.byte_dfa import ByteDfa
from ..automata.compiled import Compiled
from ..automata.matcher import Matcher
from .validation import distinct

__all__ = ["Configurations", "States", "TableStates"]


class States(Protocol):
    """What a part is read with: states, as a table or as configurations of a grammar."""

    @property
    def start(self) -> Any: ...

    def distinct(self, states: list[Any]) -> Iterable[Any]: ...

    def accepts(self, state: Any) -> bool: ...

    def goes_on(self, state: Any) -> bool: ...

    def after(self, state: Any, step: bytes) -> Any:
        """The state after a byte of text or the spelling of a special token; None if it may not come."""


class TableStates:
    """The states of an automaton."""

    start = 1

    def __init__(self, dfa: ByteDfa) -> None:
        self.dfa = dfa

    def distinct(self, states: list[int]) -> set[int]:
        return {*states}

    def accepts(self, state: int) -> bool:
        return bool(self.dfa.accepting[state])

    def goes_on(self, state: int) -> bool:
        return bool(self.dfa.table[state].any())

    def after(self, state: int, step: bytes) -> int | None:
        return self.dfa.state_after(step, state) or None


class Configurations:
    """The configurations of a grammar."""

    def __init__(self, compiled: Compiled) -> None:
        self.start = Matcher(compiled)

    def distinct(self, states: list[Matcher]) -> list[Matcher]:
        return distinct(states)

    def accepts(self, state: Matcher) -> bool:
        return state.is_accepting()

    def goes_on(self, state: Matcher) -> bool:
        return bool(state.next_bytes()[:256].any())

    def after(self, state: Matcher, step: bytes) -> Matcher | None:
        after = state.fork()
        return after if after.accept_spelling(step) else None
