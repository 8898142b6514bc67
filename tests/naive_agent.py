"""What agents may write, by enumeration: all finished traces of a small specification, and the turns that lead there.

Slow and obvious, and without any automaton: traces are listed step by step, contents are finite sets that plain Python
functions tell from the steps so far, formulas are evaluated directly. A turn is one if it can be continued, by some
texts from outside, to a trace that is listed.

Calls are told by what they mean: with `once`, no call is repeated, and, as `ToolArguments` says, no tool is called
twice within a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["NaiveAgent", "NaiveState"]

Steps = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NaiveState:
    """contents : of a step, told by the steps before it."""

    text: str
    contents: Callable[[Steps], list[str]]
    env: bool = False
    final: bool = False


@dataclass
class NaiveAgent:
    """holds : whether a finished trace of names is wanted. longest : steps of the longest one."""

    states: dict[str, NaiveState]
    holds: Callable[[list[str]], bool]
    longest: int
    separator: str = ","
    space: str = ""
    traces: set[Steps] = field(init=False)
    beginnings: set[Steps] = field(init=False)
    following: dict[Steps, dict[str, set[str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.traces = set(self._all(()))
        self.beginnings = {trace[:n] for trace in self.traces for n in range(len(trace) + 1)}
        self.following = {}  # by the steps before: states, and their contents
        for steps in filter(None, self.beginnings):
            name, content = steps[-1]
            self.following.setdefault(steps[:-1], {}).setdefault(name, set()).add(content)

    def _all(self, steps: Steps) -> Iterator[Steps]:
        if steps and self._may_end(steps):
            yield steps
        if len(steps) < self.longest:
            for name, state in self.states.items():
                for content in state.contents(steps):
                    yield from self._all((*steps, (name, content)))

    def _may_end(self, steps: Steps) -> bool:
        finals = [name for name, state in self.states.items() if state.final]
        return (not finals or steps[-1][0] in finals) and self.holds([name for name, _ in steps])

    def written(self, steps: Steps) -> str:
        """The text of a trace."""
        return self.separator.join(f"{self.states[name].text}{self.space}{content}" for name, content in steps)

    def turns(self, before: Steps) -> dict[str, tuple[str | None, Steps]]:
        """The texts of all turns behind some steps: each with the state that awaits a text, and the steps so far."""
        return dict(self._turns(before, "", True))

    def _turns(self, steps: Steps, text: str, closed: bool) -> Iterator[tuple[str, tuple[str | None, Steps]]]:
        following = self.following.get(steps, {})
        if steps in self.traces:
            yield text, (None, steps)
        elif closed and len(following) == 1 and self.states[next(iter(following))].env:
            yield text, (next(iter(following)), steps)
            return
        for name, contents in following.items():
            mark = (self.separator if steps else "") + self.states[name].text
            if self.states[name].env:
                yield text + mark, (name, steps)
                continue
            ends_itself = not any(one != other and other.startswith(one) for one in contents for other in contents)
            for content in contents:
                yield from self._turns((*steps, (name, content)), text + mark + self.space + content, ends_itself)
