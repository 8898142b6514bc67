"""Judging finished traces that something else has written: examples in prompts, logs.

A trace is read as steps, each step is asked whether it may come and whether its content may stand there, and at the end
whether the trace may end. The first fault is told: which formula broke, at which step and line, and what would have
been allowed. JSON contents may be spelled in any way, and calls of a tool are compared by value over the whole trace,
also within one turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError, line_and_column
from .agent_contents import ToolArguments, ToolName, Whole, arguments_grammar
from .agent_plan import Known, Place, Plan
from .agent_traces import Cut, Step, read_steps
from .grammar import Grammar
from .validation import validate

if TYPE_CHECKING:
    from .agent_spec import AgentSpec

__all__ = ["AgentVerdict", "content_fault", "judge"]


class AgentVerdict(NamedTuple):
    """Whether a text is a finished trace; if not, where it first goes wrong. The first six members are a Verdict's.

    offset, line, column, expected : as in Verdict; where a step may not come, the states that may.
    place : the step that is at fault, from 1, and its state. reason : what is wrong. broken : the formulas (or `the
    trace expression`, `the final states`) that could not be met any more; empty where a content is at fault.
    """

    ok: bool
    offset: int
    line: int
    column: int
    expected: tuple[str, ...]
    place: str
    reason: str = ""
    broken: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok


def judge(spec: AgentSpec, text: str) -> AgentVerdict:
    """As AgentSpec.validate says."""
    judging = _Judging(spec.plan, text)
    steps, cut = read_steps(spec.plan, text)
    for step in steps:
        verdict = judging.fault_of(step)
        if verdict is not None:
            return verdict
    if cut is not None:
        return judging.verdict(cut, len(steps) + 1)
    return judging.end(steps)


class _Judging:
    """A trace so far. calls : of each tool, as they were written. heard : from outside, by state."""

    def __init__(self, plan: Plan, text: str) -> None:
        self.plan, self.text = plan, text
        self.place = plan.start
        self.letters: list[str] = []
        self.calls: dict[int, tuple[str, ...]] = {}
        self.heard: dict[int, tuple[str, ...]] = {}

    def verdict(self, cut: Cut, step: int, broken: tuple[str, ...] = (), state: str = "") -> AgentVerdict:
        line, column = line_and_column(self.text, cut.offset)
        offset = len(self.text[: cut.offset].encode("utf-8", "surrogatepass"))
        place = f"step {step}, {state}" if state else f"step {step}"
        return AgentVerdict(False, offset, line, column, cut.expected, place, cut.reason, broken)

    def fault_of(self, step: Step) -> AgentVerdict | None:
        """What is wrong with the next step; None: nothing, and it is taken."""
        plan, state = self.plan, self.plan.states[step.state]
        self.letters.append(state.name)
        entered = plan.entered(self.place, step.state)
        if entered is None:
            blame = plan.spec.automaton.blame(self.letters)
            assert blame is not None
            expected = (*blame.allowed, *(("the end of the text",) if blame.may_end else ()))
            reason = f"{state.name} may not come here: it breaks {', '.join(blame.names)}"
            return self.verdict(Cut(step.offset, reason, expected), len(self.letters), blame.names, state.name)
        if step.state in plan.counted and plan.marks[step.state].behind is not None:
            wanted = entered.counts[plan.counted[step.state]]
            if step.number != wanted:
                cut = Cut(step.offset, f"the number is {step.number}", (plan.marks[step.state].written(wanted),))
                return self.verdict(cut, len(self.letters), state=state.name)
        content = self.text[step.begin : step.end]
        known = Known(self.calls, self.heard) if plan.remembers else None
        fault = content_fault(plan, known, entered, step.state, content)
        if fault is not None:
            moved = Cut(step.begin + fault.offset, fault.reason, fault.expected)
            return self.verdict(moved, len(self.letters), state=state.name)
        self._take(step, entered, content)
        return None

    def _take(self, step: Step, entered: Place, content: str) -> None:
        plan, about = self.plan, self.plan.states[step.state].content
        if step.state in plan.slots:
            entered = plan.chosen(entered, step.state, plan.tools.index(content))
        if isinstance(about, ToolArguments) and about.once:
            tool = plan.tool_at(entered, about)
            self.calls[tool] = (*self.calls.get(tool, ()), content)
        if step.state in plan.quoted:
            self.heard[step.state] = (*self.heard.get(step.state, ()), content)
        self.place = entered

    def end(self, steps: list[Step]) -> AgentVerdict:
        at = len(self.text)
        if steps and steps[-1].is_bare and self.plan.spec.space:
            reason, expected = "the text ends right behind a delimiter", (repr(self.plan.spec.space),)
            return self.verdict(Cut(at, reason, expected), len(steps), state=self.letters[-1])
        blame = self.plan.spec.automaton.blame(self.letters)
        if blame is None:
            size = len(self.text.encode("utf-8", "surrogatepass"))
            return AgentVerdict(True, size, *line_and_column(self.text, at), (), "")
        reason = f"the trace ends too early for {', '.join(blame.names)}"
        return self.verdict(Cut(at, reason, blame.allowed), len(steps) + 1, blame.names)


def content_fault(plan: Plan, known: Known | None, entered: Place, i: int, text: str) -> Cut | None:
    """Where a text may not be the content of a step in state i, by its own offsets; None if it may."""
    content = plan.states[i].content
    if isinstance(content, ToolArguments):
        return _arguments_fault(plan, known, content, plan.tool_at(entered, content), text)
    if isinstance(content, Whole):
        return _grammar_fault(content.grammar, text)
    language = plan.content(known, entered, i)
    if language is False:
        return Cut(0, "there is nothing that could be quoted yet", ())
    if isinstance(content, ToolName) and text not in plan.tools:
        return Cut(0, f"there is no tool {text!r}", plan.tools)
    if isinstance(language, ByteDfa) and language.accepts(text.encode("utf-8", "surrogatepass")):
        return None
    mark = plan.any_mark.search(text)
    if mark is not None:
        return Cut(mark.start(), f"the delimiter {mark.group()!r} may not stand in a content", ())
    assert language is not True
    return _grammar_fault(Grammar(language, source=f"the content of {plan.states[i].name}"), text)


def _arguments_fault(plan: Plan, known: Known | None, content: ToolArguments, tool: int, text: str) -> Cut | None:
    if tool < 0:
        return Cut(0, f"no step of {content.of} has named a tool yet", ())
    schema = plan.spec.tools[plan.tools[tool]]
    fault = _grammar_fault(arguments_grammar(schema), text)
    if fault is not None:
        return replace(fault, reason=f"{fault.reason}, by the schema of {plan.tools[tool]}")
    used = known.calls.get(tool, ()) if content.once and known is not None else ()
    if used:
        try:
            repeated = _grammar_fault(arguments_grammar(schema, used), text) is not None
        except UnsatisfiableError:
            repeated = True
        if repeated:
            return Cut(0, f"{plan.tools[tool]} was called with these arguments before", ())
    return None


def _grammar_fault(grammar: Grammar, text: str) -> Cut | None:
    """Where a text leaves a grammar."""
    verdict = validate(grammar, text)
    if verdict.ok:
        return None
    data = text.encode("utf-8", "surrogatepass")
    at = len(data[: verdict.offset].decode("utf-8", "ignore"))
    reason = "the content ends too early" if verdict.offset == len(data) else "this may not stand here"
    if verdict.place:
        reason += f" (at {verdict.place})"
    return Cut(at, reason, verdict.expected)
