"""Whether a trace can be finished from a place, its contents included.

The automaton over traces never enters a state from which no trace could be finished. That is not enough where contents
are not always there: the arguments of a tool, once one was named; a quotation, once there is something to quote; a
tool, until its calls are used up. `Need` is what such contents depend on, without names: how many tools have how many
calls left. From a state and a need, a breadth-first search looks for the end of some trace.

The search takes for granted that what comes from outside has something that can be quoted (else it is refused when it
comes), and that a tool has calls without end whose number is not plain (value_counts.py) or at least `_MANY`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .agent_contents import Quote, ToolArguments
from .value_counts import value_count

if TYPE_CHECKING:
    from .agent_plan import Known, Place, Plan

__all__ = ["Liveness", "Need"]

_MANY = 32
_ENDLESS = -1
# Calls that a tool has left, and whether it was called in this turn.
_Tool: TypeAlias = "tuple[int, bool]"
_Way: TypeAlias = "tuple[_Way, int] | None"  # the way before, and the state of the last step


class Need(NamedTuple):
    """named : for each state that names tools, whether one was named. tool : the one whose calls may not be repeated,
    if it was named. tools : how many there are of each kind, of those that may be. heard : states that have said
    something which may be quoted."""

    named: tuple[bool, ...]
    tool: _Tool | None
    tools: tuple[tuple[_Tool, int], ...]
    heard: frozenset[int]


class Liveness:
    """The search of one plan. once : the place in `Place.chosen` of the tools whose calls may not be repeated, if any.
    offered : these tools."""

    def __init__(self, plan: Plan, once: int | None, offered: list[int]) -> None:
        self.plan, self.once, self.offered = plan, once, offered
        counts = [value_count(plan.spec.tools[tool]) for tool in plan.tools]
        self._counts = [None if count is None or count >= _MANY else count for count in counts]
        self._memo: dict[tuple[int, Need], bool] = {}
        self._tools: dict[frozenset[int], tuple[tuple[_Tool, int], ...]] = {}

    def need(self, known: Known | None, place: Place) -> Need:
        """What contents depend on at a place."""
        plan = self.plan
        heard = frozenset[int]()
        if known is not None:
            heard = frozenset(i for i in plan.quoted if plan.can_be_quoted(known, i))
        named = tuple(tool >= 0 for tool in place.chosen)
        if self.once is None:
            return Need(named, None, (), heard)
        chosen = place.chosen[self.once]
        tool = None if chosen < 0 else (self._left(known, chosen, place), chosen in place.called)
        memo = self._tools if known is None else known.tools
        if place.called not in memo:
            tools = Counter((self._left(known, t, place), t in place.called) for t in self.offered)
            memo[place.called] = tuple(sorted(tools.items()))
        return Need(named, tool, memo[place.called], heard)

    def _left(self, known: Known | None, tool: int, place: Place) -> int:
        """Calls that a tool has left."""
        count, calls = self._counts[tool], 0 if known is None else len(known.calls.get(tool, ()))
        if count is None:
            return _ENDLESS if self.plan.is_callable(known, tool) else 0
        return max(0, count - calls - (tool in place.called))

    def finishes(self, state: int, need: Need) -> bool:
        """Whether a trace can be finished behind a step to a state of the automaton."""
        start = (state, need)
        if start not in self._memo:
            self._memo[start] = self.shortest_way(state, need) is not None
        return self._memo[start]

    def shortest_way(self, state: int, need: Need, *, has_begun: bool = True) -> list[int] | None:
        """The states of the fewest steps with which a trace can be finished; None if it cannot.

        has_begun : the trace has a step, so that it may end.
        """
        automaton, numbers = self.plan.automaton, self.plan.number
        if has_begun and automaton.may_end(state):
            return []
        seen = {(state, need)}
        waiting: deque[tuple[int, Need, _Way]] = deque([(state, need, None)])
        while waiting:
            state, need, way = waiting.popleft()
            for letter in automaton.letters(state):
                after = automaton.step(state, letter)
                assert after is not None
                for later in self.after(need, numbers[letter]):
                    if automaton.may_end(after):
                        return _listed((way, numbers[letter]))
                    if (after, later) not in seen:
                        seen.add((after, later))
                        waiting.append((after, later, (way, numbers[letter])))
        return None

    def after(self, need: Need, i: int) -> Iterator[Need]:
        """What contents depend on after a step in state i, for each kind of content; none: it may not come."""
        plan, content = self.plan, self.plan.states[i].content
        if i in plan.slots:
            slot = plan.slots[i]
            named = (*need.named[:slot], True, *need.named[slot + 1 :])
            if slot != self.once:
                yield need._replace(named=named)
                return
            for tool, _ in need.tools:
                yield need._replace(named=named, tool=tool)
        elif isinstance(content, ToolArguments):
            slot = plan.slots[plan.number[content.of]]
            if not content.once:
                if need.named[slot]:
                    yield need
            elif need.tool is not None and need.tool[0] and not need.tool[1]:
                yield _called(need, need.tool)
        elif plan.states[i].env:
            yield _heard(need, {i} & plan.quoted)
        elif not isinstance(content, Quote) or need.heard.intersection(map(plan.number.__getitem__, content.of)):
            yield need


def _listed(way: _Way) -> list[int]:
    found = []
    while way is not None:
        way, i = way
        found.append(i)
    return found[::-1]


def _called(need: Need, tool: _Tool) -> Need:
    """A tool was called: it has one call less, and none in this turn."""
    after = (tool[0] if tool[0] == _ENDLESS else tool[0] - 1, True)
    tools = Counter(dict(need.tools))
    tools[tool] -= 1
    tools[after] += 1
    return need._replace(tool=after, tools=tuple(sorted((+tools).items())))


def _heard(need: Need, quoted: frozenset[int] | set[int]) -> Need:
    """Something came from outside: a turn begins."""
    tools: Counter[_Tool] = Counter()
    for (left, _), n in need.tools:
        tools[left, False] += n
    tool = None if need.tool is None else (need.tool[0], False)
    return Need(need.named, tool, tuple(sorted(tools.items())), need.heard | quoted)
