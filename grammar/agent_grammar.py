"""The grammar of an agent: what a model may write in one turn after another, with texts from outside between them.

A sentence is one turn: it ends where a text from outside is awaited, or where the trace may end. At the end of a turn
`Matcher.pending_state` and `Matcher.feed` ask here (automata/turns.py) whose text that is, and what follows it. Turns
whose states carry text (`Known`) are private to their matcher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..automata.errors import GrammarError, SavedGrammarError, UnsatisfiableError
from ..automata.turns import Outside
from .agent_contents import ToolArguments
from .agent_plan import Known, Place, Plan
from .agent_states import After
from .agent_traces import Step, read_steps
from .grammar import Grammar

if TYPE_CHECKING:
    from .agent_spec import AgentSpec

__all__ = ["AgentGrammar"]


class AgentGrammar(Grammar):
    """What `Grammar.from_agent` makes. turns : what matchers ask at the end of a turn."""

    __slots__ = ("spec", "turns")

    def __init__(self, spec: AgentSpec) -> None:
        plan = spec.plan
        start = After(plan, None, plan.start, is_closed=True, is_first=True)
        super().__init__(start, source=f"the agent {spec.name}", notes=plan.notes, recipe=_refused)
        self.spec = spec
        self.turns = AgentTurns(plan, start)

    def captures(self, text: str | bytes) -> dict[str, str | list[str]]:
        """The contents of the steps by the names of their states; a list for more than one, in order."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        found: dict[str, list[str]] = {}
        for step in read_steps(self.turns.plan, text)[0]:
            found.setdefault(self.spec.states[step.state].name, []).append(text[step.begin : step.end])
        return {name: contents[0] if len(contents) == 1 else contents for name, contents in found.items()}

    def captures_of(self, text: bytes, tokens: Sequence[tuple[int, int, bytes]]) -> dict[str, str | list[str]]:
        """As `captures`: steps hold no special tokens."""
        return self.captures(text)


def _ambiguous(text: str, offset: int) -> GrammarError:
    """The error for a turn that was generated otherwise than it is read: only contents of whole grammars can be."""
    message = "the content before this can be read in several ways, of which the shortest leads nowhere"
    return GrammarError(message, text=text, offset=offset)


def _refused() -> None:
    raise SavedGrammarError("the grammar of an agent cannot be saved: keep its specification, it is compiled quickly")


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn that was generated as a whole.

    steps : of its text. after : behind the last step, or within it, if it awaits a text. awaited : the state that
    does; None: the trace has ended. calls : tools and arguments of the turn. is_written : the delimiter of the awaited
    text was generated.
    """

    steps: list[Step]
    after: After
    awaited: int | None
    calls: list[tuple[int, str]]
    is_written: bool


class AgentTurns:
    """The turns of an agent: see automata/turns.py. The place of a turn is the state that it began in."""

    def __init__(self, plan: Plan, start: After) -> None:
        self.plan, self._start = plan, start

    def pending(self, place: After | None, text: bytes) -> str | None:
        """The state whose text is awaited behind a whole turn."""
        awaited = self._read(place, text).awaited
        return None if awaited is None else self.plan.states[awaited].name

    def after(self, place: After | None, text: bytes, outside: str) -> Outside:
        """What follows a whole turn and a text from outside. Raises GrammarError, UnsatisfiableError."""
        plan, turn = self.plan, self._read(place, text)
        i = turn.awaited
        assert i is not None
        self._check(i, outside)
        entered, before = turn.after.place, ""
        if not turn.is_written:
            inside = plan.entered(entered, i)
            assert inside is not None
            entered = inside
            before = plan.delimiter(i, entered, is_first=turn.after.is_first)
        known = self._learned(turn, i, outside)
        entered = entered._replace(called=frozenset())  # these calls are known now
        root = After(plan, known, entered, is_closed=True)
        if not plan.may_end(entered) and not plan.options(known, entered):
            raise UnsatisfiableError(f"behind this {plan.states[i].name}, no step is left to go on with")
        data = (before + plan.spec.space + outside).encode()
        return Outside(data, root, is_private=known is not None, place=root)

    def way_to_end(self, place: After | None, text: bytes) -> tuple[After, list[int]]:
        """(the state behind a text of whole steps, the states of the fewest steps that finish the trace)."""
        after = self._read(place, text).after
        need = self.plan.liveness.need(after.known, after.place)
        way = self.plan.liveness.shortest_way(after.place.state, need, has_begun=not after.is_first)
        assert way is not None, "a dead end"
        return after, way

    def _check(self, i: int, outside: str) -> None:
        """Raises GrammarError, with the place, for a text that may not be the content of a state from outside."""
        from .agent_judge import content_fault

        try:
            outside.encode()
        except UnicodeEncodeError as error:
            raise GrammarError("a lone surrogate, which UTF-8 cannot write", text=outside, offset=error.start) from None
        fault = content_fault(self.plan, None, self.plan.start, i, outside)
        if fault is not None:
            message = f"the text for {self.plan.states[i].name}: {fault.reason}"
            raise GrammarError(message, text=outside, offset=fault.offset)

    def _read(self, place: After | None, text: bytes) -> _Turn:
        plan, start = self.plan, place or self._start
        written = text.decode()
        steps, cut = read_steps(plan, written, is_first=start.is_first)
        if cut is not None:
            raise _ambiguous(written, cut.offset)
        now = start
        calls: list[tuple[int, str]] = []
        for step in steps:
            i = step.state
            entered = plan.entered(now.place, i)
            if entered is None:
                raise _ambiguous(written, step.offset)
            if plan.states[i].env:
                return _Turn(steps, After(plan, start.known, entered, is_closed=True), i, calls, True)
            now = self._behind(start.known, entered, step, written[step.begin : step.end], calls)
        return _Turn(steps, now, now.implied(), calls, False)

    def _behind(
        self, known: Known | None, entered: Place, step: Step, content: str, calls: list[tuple[int, str]]
    ) -> After:
        """The state behind a step that was generated; its call, if it is one, is added to the calls."""
        plan, i = self.plan, step.state
        if i in plan.slots:
            names = plan.names(known, entered, i)
            tool = plan.tools.index(content)
            is_closed = plan.names_are_closed(names)
            return After(plan, known, plan.chosen(entered, i, tool), is_closed)
        about = plan.states[i].content
        if isinstance(about, ToolArguments) and about.once:
            calls.append((plan.tool_at(entered, about), content))
        is_closed = plan.is_closed(i, plan.content(known, entered, i))
        return After(plan, known, plan.left(entered, i), is_closed)

    def _learned(self, turn: _Turn, i: int, outside: str) -> Known | None:
        """What is known behind a text from outside; None if nothing that follows depends on texts."""
        plan, before = self.plan, turn.after.known
        if not plan.remembers:
            return None
        calls = {} if before is None else dict(before.calls)
        for tool, value in turn.calls:
            calls[tool] = (*calls.get(tool, ()), value)
        heard = {} if before is None else dict(before.heard)
        if i in plan.quoted:
            heard[i] = (*heard.get(i, ()), outside)
        return Known(calls, heard)
