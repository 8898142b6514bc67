"""Whether a specification can still be met: can all components reach acceptance together?

Asking the whole product would be hopeless where it matters, twenty constraints have a million states, so the question
is refined from counterexamples. Some trace is proposed that satisfies the components looked at so far. If the others
accept it, the state is live. Otherwise one that rejects it is looked at, too. As soon as those looked at can't be
satisfied together, the state is dead, and so is every state in which they stand as they do here: what was learnt is
kept by those members alone. To find small conflicts, this begins with each unsatisfied component in turn, and first
adds what its traces touch: constraints that are merely unsatisfied, too, would multiply the states in vain.

Most states are live, and close to others of which that is known. So before anything is refined, the traces found last
are tried from here, without the letters that would break something; then one best-first search over everything is
made with little effort, guided by the sum of the components' distances.

INVARIANT: `_dead[members]` holds states of those members from which they can't all be satisfied; `_live`, states of the
whole product from which all can.

Source: Clarke, Grumberg, Jha, Lu, Veith 2000, "Counterexample-guided abstraction refinement".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from ..automata.errors import LimitError
from .trace_components import Component

__all__ = ["Liveness", "ProductState"]

# Per component, its state.
ProductState: TypeAlias = tuple[int, ...]
_QUICK = 1000  # states that the first search over everything may visit
_TRIED_AGAIN = 8  # traces that are kept to be tried from other states


class Liveness:
    """What is known about states of a product of components.

    allowed : states that one question may visit; then LimitError. (What is known already is not visited again, so a
        question that fails at first may be answered after others, never the other way round.)
    """

    def __init__(self, components: Sequence[Component], allowed: int) -> None:
        self._components = tuple(components)
        self._all = tuple(range(len(components)))
        self._allowed = allowed
        self._steps: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
        self._dead: dict[tuple[int, ...], set[ProductState]] = {}
        self._live: set[ProductState] = set()
        self._recent: deque[list[int]] = deque(maxlen=_TRIED_AGAIN)

    def conflict(
        self, state: ProductState, *, begun: bool, among: tuple[int, ...] | None = None
    ) -> tuple[int, ...] | None:
        """Components that can't be satisfied together any more; None if there are none.

        begun : False in the initial state, where no trace is one yet
        among : the components asked about, by default all
        """
        among = self._all if among is None else among
        if among == self._all and state in self._live:
            return None
        known = self._known_conflict(state, among)
        if known is not None:
            return known
        if among == self._all and (self._found_again(state) or self._found_quickly(state, begun)):
            return None
        return self._refuted(state, begun, among)

    def _refuted(self, state: ProductState, begun: bool, among: tuple[int, ...]) -> tuple[int, ...] | None:
        """The refinement: beginning with each unsatisfied component and those that its traces touch, then with all."""
        visits = count(1)
        for seed in among:
            if self._components[seed].distance[state[seed]]:
                members, trace = self._grown(state, (seed,), begun, among, visits)
                if trace is None:
                    return members
        members, trace = self._grown(state, (), begun, among, visits)
        if trace is not None and among == self._all:
            self._keep(state, trace)
        return members if trace is None else None

    def _grown(
        self, state: ProductState, members: tuple[int, ...], begun: bool, among: tuple[int, ...], visits: count[int]
    ) -> tuple[tuple[int, ...], list[int] | None]:
        """Members joined by whatever rejects their traces, and the last such trace; None if they are in conflict.

        Beginning with some, those that are unsatisfied whatever the trace does are left alone.
        """
        touched_alone = bool(members)
        trace = self._search(state, members, begun, visits, self._allowed) if members else [] if begun else [0]
        while trace is not None:
            rejecting = self._rejecting(state, trace, among, touched_alone)
            if rejecting is None:
                break
            members = tuple(sorted((*members, rejecting)))
            trace = self._search(state, members, begun, visits, self._allowed)
        return members, trace

    def _known_conflict(self, state: ProductState, among: tuple[int, ...]) -> tuple[int, ...] | None:
        for member in among:
            if self._components[member].distance[state[member]] == math.inf:
                return (member,)
        for members, dead in self._dead.items():
            if tuple(state[member] for member in members) in dead and set(members) <= set(among):
                return members
        return None

    def _found_quickly(self, state: ProductState, begun: bool) -> bool:
        """Whether one search over everything, with little effort, finds a trace."""
        try:
            trace = self._search(state, self._all, begun, count(1), min(_QUICK, self._allowed))
        except LimitError:
            return False  # which says nothing
        if trace is not None:
            self._keep(state, trace)
        return trace is not None

    def _found_again(self, state: ProductState) -> bool:
        """Whether a trace that was found from another state leads to acceptance from here, too."""
        for trace in self._recent:
            here, taken = state, []
            for letter in trace:
                there = self.step(here, letter)
                distance = self.distance(there)
                if distance < math.inf:
                    here = there
                    taken.append(letter)
                    if distance == 0 or here in self._live:
                        self._keep(state, taken, recent=False)
                        return True
        return False

    def _keep(self, state: ProductState, trace: list[int], *, recent: bool = True) -> None:
        """Remembers that the states along a trace are live."""
        self._live.add(state)
        for letter in trace:
            state = self.step(state, letter)
            self._live.add(state)
        if recent:
            self._recent.appendleft(trace)

    def distance(self, state: ProductState) -> float:
        """The sum of the components' distances: 0 where a trace may end, infinite where one of them is broken."""
        return sum([part.distance[own] for part, own in zip(self._components, state)])

    def step(self, state: ProductState, letter: int) -> ProductState:
        return tuple(part.step(own, part.classes[letter]) for part, own in zip(self._components, state))

    def _rejecting(
        self, state: ProductState, trace: list[int], among: tuple[int, ...], touched_alone: bool
    ) -> int | None:
        """The component among some that a trace breaks first, or else one that is unsatisfied at its end.

        touched_alone : leave out those that are where they were before the trace
        """
        rejecting: list[tuple[bool, int, int]] = []
        for member in among:
            component, own = self._components[member], state[member]
            taken = 0
            for letter in trace:
                own = component.step(own, component.classes[letter])
                if component.distance[own] == math.inf:
                    break
                taken += 1
            untouched = own == state[member]
            if component.distance[own] and not (untouched and touched_alone):
                rejecting.append((untouched, taken, member))
        return min(rejecting)[2] if rejecting else None

    def _search(
        self, state: ProductState, members: tuple[int, ...], begun: bool, visits: count[int], most: int
    ) -> list[int] | None:
        """A trace, as letters, that satisfies some components; None if there is none.

        visits : counts the states visited; more than `most` raise LimitError
        """
        parts = [self._components[member] for member in members]
        start = tuple(state[member] for member in members)
        if begun and not any(part.distance[own] for part, own in zip(parts, start)):
            return []
        dead = self._dead.get(members, set())
        origin: dict[ProductState, tuple[ProductState, int] | None] = {start: None}
        waiting: list[tuple[float, int, ProductState]] = [(0, 0, start)]
        while waiting:
            here = heappop(waiting)[2]
            for letter, columns in self._steps_of(members):
                there = tuple([part.step(own, column) for part, own, column in zip(parts, here, columns)])
                if there in origin or there in dead:
                    continue
                distance = sum([part.distance[own] for part, own in zip(parts, there)])
                if distance == math.inf:
                    continue
                origin[there] = here, letter
                if distance == 0:
                    return _path(origin, there)
                visited = next(visits)
                if visited > most:
                    raise LimitError("states visited to see whether a specification can be met", visited, most)
                heappush(waiting, (distance, visited, there))
        self._dead.setdefault(members, set()).update(origin)
        return None

    def _steps_of(self, members: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        """Letters that the members tell apart, one of each kind, with its classes."""
        if members not in self._steps:
            kinds: dict[tuple[int, ...], int] = {}
            for letter, classes in enumerate(zip(*(self._components[member].classes for member in members))):
                kinds.setdefault(classes, letter)
            self._steps[members] = [(letter, classes) for classes, letter in kinds.items()]
        return self._steps[members]


def _path(origin: dict[ProductState, tuple[ProductState, int] | None], state: ProductState) -> list[int]:
    letters: list[int] = []
    while (before := origin[state]) is not None:
        state, letter = before
        letters.append(letter)
    return letters[::-1]
