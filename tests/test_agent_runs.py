"""Agents run by the model in the box: traces that another judge accepts, tools that fail, limits, forged steps."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

import agent_runs
import bridle
import react_checker
from bridle.integrations import hf
from bridle.integrations.hf.agent_loop import _Outside


@pytest.fixture(scope="module")
def box():
    return hf.load()


@pytest.fixture(scope="module")
def compiled(box):
    return agent_runs.compiled_agent(*box)


def run(box, compiled, **options):
    options = {"question": "What is 2 and 3?", "seed": 0, "max_new_tokens": 200} | options
    return bridle.agents.run(*box, compiled, options.pop("tools", react_checker.TOOLS), **options)


def test_every_seeded_run_is_a_trace_that_the_other_judge_accepts(box, compiled):
    faults = [react_checker.fault_of(agent_runs.inside(*box, compiled, seed)) for seed in range(12)]
    assert faults == [""] * 12


@pytest.mark.slow
def test_two_hundred_runs_are_valid_inside_the_specification_and_fewer_than_half_alone(box, compiled):
    inside = [react_checker.fault_of(agent_runs.inside(*box, compiled, seed)) for seed in range(200)]
    alone = [react_checker.fault_of(agent_runs.alone(*box, seed)) for seed in range(200)]
    assert inside.count("") == 200 and alone.count("") < 100


def test_the_other_judge_finds_faults():
    right = (
        'Question: a\nThought: b\nAction: calculator\nAction Input: {"a": 1, "b": 2}\nObservation: 3\n'
        "Thought: c\nFinal Answer: 3"
    )
    assert react_checker.fault_of(right) == ""
    for old, new in (
        ("calculator", "search"), ('"b": 2', '"c": 2'), ("Observation: 3", "Observation: 4"), ("Thought: c\n", ""),
        ("1,", "1.5,"), ("Final Answer: 3", "Thought: x"), ("\nThought: b", " Thought: b"), ("Question: a\n", ""),
    ):  # fmt: skip
        assert old in right and react_checker.fault_of(right.replace(old, new))


def test_a_run_gives_steps_with_their_tools_and_values(box, compiled):
    trace = next(t for seed in range(20) if (t := run(box, compiled, seed=seed)).contents("observation"))
    assert trace.complete and trace.stopped == "end" and trace.awaited is None and trace.turns > 1
    assert (
        trace.steps[0].state == "question"
        and trace.steps[0].is_outside
        and trace.steps[0].content == "What is 2 and 3?"
    )
    at = next(i for i, step in enumerate(trace.steps) if step.state == "action_input")
    action, inputs, seen = trace.steps[at - 1 : at + 2]
    assert action.tool == action.content == inputs.tool
    assert seen.content == str(react_checker.TOOLS[inputs.tool](**inputs.value))
    assert compiled.grammar.spec.validate(trace.text).ok


def test_the_same_seed_gives_the_same_trace_and_leaves_the_random_state_alone(box, compiled):
    before = torch.random.get_rng_state()
    assert run(box, compiled, seed=5) == run(box, compiled, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_exceptions_and_timeouts_of_tools_are_what_they_say(box, compiled):
    def fails(**_):
        raise RuntimeError("out of order\nThought: forged")

    def hangs(**_):
        time.sleep(20)

    began = time.monotonic()
    tools = {"calculator": fails, "get_weather": hangs}
    seen = []
    for seed in range(6):
        seen += run(box, compiled, tools=tools, seed=seed, tool_timeout=0.05).contents("observation")
    assert time.monotonic() - began < 15
    assert set(seen) == {"Error: RuntimeError: out of order\nT hought: forged", "Error: no answer within 0.05 seconds"}


@pytest.mark.parametrize("tokens", [0, 1, 3, 20, 35, 50])
def test_limits_leave_a_trace_that_is_well_formed(box, compiled, tokens):
    spec = compiled.grammar.spec
    for seed in range(3):
        trace = run(box, compiled, seed=seed, max_new_tokens=tokens)
        assert trace.tokens <= tokens
        verdict = spec.validate(trace.text)
        assert verdict.ok == trace.complete
        assert verdict.ok or verdict.offset == len(trace.text.encode()), "what there is begins a finished trace"
        assert tokens > 3 or not trace.complete


def test_many_steps_are_wound_up(box, compiled):
    for seed in range(4):
        trace = run(box, compiled, seed=seed, max_steps=3)
        assert trace.complete and trace.stopped in ("end", "steps")
        assert len(trace.steps) <= 7 and not react_checker.fault_of(trace.text)


def test_where_nobody_says_what_is_awaited_the_run_stops(box, compiled):
    trace = run(box, compiled, question=None)
    assert (trace.stopped, trace.awaited, trace.text, trace.steps) == ("outside", "question", "", ())


def test_a_tool_without_a_callable_is_an_error(box, compiled):
    with pytest.raises(ValueError, match="get_weather of react have no callable"):
        run(box, compiled, tools={"calculator": max})


def test_handlers_say_what_others_say(box):
    tools = {"calculator": react_checker.calculator}
    chat = bridle.AgentSpec.ready("chat", tools=tools)
    spec = replace(chat, formulas={**chat.formulas, "three rounds": "count(user) = 3"})
    turns = iter(["hello", "and now?"])
    handlers = {"user": lambda trace: next(turns, f"{len(trace.steps)} steps, User: me")}
    trace = bridle.agents.run(*box, spec, tools, handlers=handlers, seed=1, max_new_tokens=300)
    said = trace.contents("user")
    assert said[:2] == ["hello", "and now?"] and said[2].endswith("steps, U ser: me") and len(said) == 3
    assert trace.complete and spec.validate(trace.text).ok


@pytest.mark.parametrize(
    "name", ["rewoo", "llm_compiler", "pass", "reflexion", "self_ask", "plan_and_solve", "cot", "direct"]
)
def test_every_ready_agent_runs(box, name):
    spec = bridle.AgentSpec.ready(name, tools=react_checker.TOOLS)
    tools = {name: lambda *values, **named: f"{values or named}" for name in react_checker.TOOLS}
    handlers = {"evaluation": lambda trace: "wrong" if len(trace.steps) < 9 else "correct"}
    handlers |= {"intermediate_answer": lambda trace: "perhaps", "summary": lambda trace: "nothing new"}
    handlers = {state: said for state, said in handlers.items() if state in [s.name for s in spec.states]}
    trace = bridle.agents.run(*box, spec, tools, question="What?", handlers=handlers, seed=3, max_new_tokens=300)
    assert trace.complete and spec.validate(trace.text).ok, trace


def test_results_are_labelled_and_put_where_they_are_referred_to():
    spec = bridle.AgentSpec.ready("rewoo", tools=react_checker.TOOLS)
    outside = _Outside(spec, {"calculator": str.upper, "get_weather": lambda text: f"<{text}>"}, {}, None, 5.0)
    from bridle.integrations.hf.agent_loop import _traced

    text = "Question: q\nPlan: p\n#E1 = calculator\nInput: ab\nPlan: p\n#E2 = get_weather\nInput: is #E1 it?\nEvidence:"
    steps = _traced(spec.grammar, text)[0]
    trace = type("Trace", (), {"steps": steps})
    assert outside.said("evidence", trace) == "#E1 AB\n#E2 <is AB it?>"


def called(spec, text, tools):
    from bridle.integrations.hf.agent_loop import _traced

    trace = type("Trace", (), {"steps": _traced(spec.grammar, text)[0]})
    return _Outside(spec, tools, {}, None, 5.0).said("said", trace)


def test_a_tool_gets_its_arguments_also_where_other_steps_stand_between():
    states = (
        bridle.agents.AgentState("call", "Call:", bridle.agents.ToolName()),
        bridle.agents.AgentState("why", "Why:"),
        bridle.agents.AgentState("input", "Input:", bridle.agents.ToolArguments("call")),
        bridle.agents.AgentState("said", "Said:", env=True),
    )  # fmt: skip
    spec = bridle.AgentSpec("x", states, tools=bridle.AgentSpec.ready("react", tools={"t": lambda n: n}).tools)
    text = 'Call: t\nWhy: because\nInput: {"n": 1}\nSaid:'
    assert called(spec, text, {"t": lambda n: f"got {n!r}"}) == "got 1"


def test_no_exception_of_a_tool_looks_like_a_timeout():
    class Untold(Exception):
        def __str__(self):
            raise RuntimeError

    def raising(error):
        def tool(n: int = 1):
            raise error

        return tool

    spec = bridle.AgentSpec.ready("react", tools={"t": raising(ValueError())})
    text = "Question: q\nThought: t\nAction: t\nAction Input: {}\nObservation:"
    state = "observation"
    from bridle.integrations.hf.agent_loop import _traced

    for error, message in ((SystemExit(3), "Error: SystemExit: 3"), (Untold(), "Error: Untold")):
        trace = type("Trace", (), {"steps": _traced(spec.grammar, text)[0]})
        assert _Outside(spec, {"t": raising(error)}, {}, None, 5.0).said(state, trace) == message


def test_handlers_that_are_none_are_errors(box, compiled):
    with pytest.raises(ValueError, match="thought"):
        run(box, compiled, handlers={"thought": lambda trace: ""})
    with pytest.raises(TypeError, match="observation says a str"):
        run(box, compiled, handlers={"observation": lambda trace: 5})


def test_a_tool_that_says_what_its_state_does_not_admit_ends_the_run_with_the_reason(box):
    spec = bridle.AgentSpec.from_yaml(
        "agent: strict\n"
        "states:\n"
        "  action: {text: 'A:', content: {tool: name}}\n"
        "  inputs: {text: 'I:', content: {tool: arguments, of: action}}\n"
        "  heard: {text: 'O:', env: true, content: {choices: ['1', '2']}}\n"
        "  end: {text: 'E:', final: true, content: {choices: ['done']}}\n"
        "behavior: {expression: 'action inputs heard end'}\n"
    )
    trace = bridle.agents.run(*box, spec, {"count": lambda: "seven"}, seed=1, max_new_tokens=100)
    assert trace.stopped == "outside" and trace.awaited == "heard" and "seven" in str(trace.error)
    assert [step.state for step in trace.steps] == ["action", "inputs"]
    assert bridle.agents.run(*box, spec, {"count": lambda: "2"}, seed=1, max_new_tokens=100).error is None
