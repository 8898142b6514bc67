"""Drawings of specifications, and what is noted about idle parts of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from bridle.automata.errors import BridleError
from bridle.grammar.automaton_drawing import draw, drawn_states, svg, table
from bridle.grammar.ltlf import ConflictingFormulasError, TraceAutomaton, TraceExpression, TraceLimits, notes, parse
from ltlf_samples import LETTERS, random_formula, traces

STATES = ["question", "thought", "action", "observation", "answer"]
AGENT = TraceAutomaton(
    STATES,
    {"observe": parse("chain_succession(action, observation)"), "answer": parse("end(answer) & absence(answer, 2)")},
)


def test_the_table_has_a_line_for_each_state() -> None:
    assert table(AGENT) == (
        "state  may end  steps\n"
        "0      no       question, thought -> 0; action -> 1; answer -> 2\n"
        "1      no       observation -> 0\n"
        "2      yes\n"
    )


def test_the_dot_text_has_ends_as_double_circles_and_one_edge_for_all_letters_between_two_states() -> None:
    assert draw(AGENT).splitlines() == [
        "digraph specification {",
        "  rankdir=LR;",
        "  begin [shape=point];",
        "  begin -> 0;",
        "  0 [shape=circle];",
        '  0 -> 0 [label="question, thought"];',
        '  0 -> 1 [label="action"];',
        '  0 -> 2 [label="answer"];',
        "  1 [shape=circle];",
        '  1 -> 0 [label="observation"];',
        "  2 [shape=doublecircle];",
        "}",
    ]


def test_what_is_not_explored_is_shown_as_such() -> None:
    automaton = TraceAutomaton("ab", {"few": parse("count(a) <= 1000")})
    assert len(drawn_states(automaton, 10)) == 11
    assert draw(automaton, 10).count("style=dashed") == 1
    assert table(automaton, 10).splitlines()[-1].split() == ["10", "yes", "(not", "explored)"]


def test_most_letters_are_shown_by_those_that_are_missing() -> None:
    labels = re.findall('label="(.*)"', draw(TraceAutomaton(STATES, {"no": parse("G !answer")})))
    assert labels == ["any but answer", "any but answer"]
    assert '[label="any"]' in draw(TraceAutomaton(STATES, {}))


def test_names_are_escaped() -> None:
    automaton = TraceAutomaton(['say "x"\n', "b\\"], {"f": parse(r'init("say \"x\"\n")')})
    assert r'label="\"say \\\"x\\\"\\n\""' in draw(automaton)
    assert r'"say \"x\"\n" -> 1' in table(automaton)
    assert len(table(automaton).splitlines()) == 3


def test_a_drawing_accepts_what_the_automaton_does_and_has_no_equivalent_states() -> None:
    source, every = random.Random(1), traces(5)
    for _ in range(60):
        try:
            automaton = TraceAutomaton(LETTERS, {"f": random_formula(source, 4), "g": random_formula(source, 2)})
        except ConflictingFormulasError:
            continue
        states = drawn_states(automaton, 1000)
        ends: list[list[tuple[str, ...]]] = [[] for _ in states]
        for start, found in enumerate(ends):
            for trace in every:
                state: int | None = start
                for letter in trace:
                    state = None if state is None else states[state].steps.get(letter)
                if state is not None and states[state].may_end:
                    found.append(trace)
        assert ends[0] == [trace for trace in every if automaton.blame(trace) is None]
        assert len({(state.may_end, *found) for state, found in zip(states, ends)}) == len(states)


def test_there_is_no_picture_without_graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert svg(draw(AGENT)) is None


def test_graphviz_makes_the_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a stand-in for the program, which shows what it was given."""
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "<svg>$1"\nexec /bin/cat\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert svg("digraph { ä }") == "<svg>-Tsvg\ndigraph { ä }"
    program.write_text("#!/bin/sh\necho 'syntax error in line 1' >&2\nexit 3\n")
    with pytest.raises(BridleError, match="dot exits with 3: syntax error in line 1"):
        svg("digraph {")


def test_formulas_that_add_nothing_are_noted_with_the_reason() -> None:
    formulas = {
        "order": parse("alternate_response(action, observation)"),
        "idle": parse("response(action, observation)"),
        "true": parse("F last"),
        "ends": parse("end(answer)"),
    }
    assert notes(TraceAutomaton(STATES, formulas)) == [
        "idle is never broken: it follows from order",
        "true is never broken: it holds of every trace",
    ]


def test_states_that_never_come_are_noted_with_the_reason() -> None:
    formulas = {"no thoughts": parse("absence(thought)"), "then": parse("response(action, thought)")}
    expression = TraceExpression.alternatives("question", "action", "thought", "answer").repeat(1)
    assert notes(TraceAutomaton(STATES, formulas, expression)) == [
        "the state 'thought' never comes: no thoughts excludes it",
        "the state 'action' never comes: no thoughts and then exclude it",
        "the state 'observation' never comes: the trace expression excludes it",
    ]


def test_nothing_is_noted_of_a_specification_without_idle_parts() -> None:
    assert notes(AGENT) == []


def test_what_is_beyond_the_budget_is_noted_as_unknown() -> None:
    formulas = {"far": parse("X[9] a"), "idle": parse("F a")}
    assert notes(TraceAutomaton("ab", formulas)) == ["idle is never broken: it follows from far"]
    found = notes(TraceAutomaton("ab", formulas, limits=TraceLimits(nodes=13)))
    limit = "limit nodes of decision diagrams exceeded: 14 given, 13 allowed"
    assert found[0] == f"whether far adds anything is not known: {limit}"
    assert found[1].startswith("whether idle adds anything is not known")
