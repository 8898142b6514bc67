"""Trace expressions against Python's re, whose letters are the states."""

from __future__ import annotations

import copy
import pickle
import random
import re

import pytest

from bridle.automata.errors import GrammarError, LimitError, UnsatisfiableError
from bridle.grammar.ltlf import Blame, TraceAutomaton, TraceExpression, parse
from ltlf_samples import LETTERS, traces

sequence, alternatives, state = TraceExpression.sequence, TraceExpression.alternatives, TraceExpression.state


def random_expression(source: random.Random, depth: int) -> tuple[TraceExpression, str]:
    """An expression and the same for re."""
    if depth == 0:
        letter = source.choice(LETTERS)
        return state(letter), letter
    parts = [random_expression(source, source.randrange(depth)) for _ in range(source.randint(1, 3))]
    kind = source.randrange(3)
    if kind == 0:
        return sequence(*(part for part, _ in parts)), "".join(f"(?:{pattern})" for _, pattern in parts)
    if kind == 1:
        return alternatives(*(part for part, _ in parts)), "|".join(pattern for _, pattern in parts)
    least = source.randint(0, 2)
    most = source.choice([None, least, least + 1, least + 3])
    body, pattern = parts[0]
    return body.repeat(least, most), f"(?:{pattern}){{{least},{'' if most is None else most}}}"


def test_random_expressions_read_what_python_reads() -> None:
    source, every = random.Random(1), traces(6)
    for _ in range(150):
        expression, pattern = random_expression(source, 3)
        wanted = {trace for trace in every if re.fullmatch(pattern, "".join(trace))}
        try:
            automaton = TraceAutomaton(LETTERS, {}, expression)
        except UnsatisfiableError:
            assert not wanted, pattern
            continue
        assert {trace for trace in every if automaton.blame(trace) is None} == wanted, pattern


def test_formulas_and_an_expression_must_both_be_met() -> None:
    expression = sequence(alternatives("a", "b").repeat(0, 3), "c")
    automaton = TraceAutomaton(LETTERS, {"twice": parse("count(a) = 2"), "order": parse("G(b -> WX !b)")}, expression)
    accepted = {"".join(trace) for trace in traces(6) if automaton.blame(trace) is None}
    assert accepted == {"aac", "aabc", "abac", "baac"}
    start = automaton.initial
    after_b = automaton.step(start, "b")
    assert automaton.letters(start) == ("a", "b")
    assert automaton.letters(after_b) == ("a",)
    assert automaton.step(after_b, "c") is None


def test_an_even_number_of_steps_which_no_formula_can_say() -> None:
    automaton = TraceAutomaton(LETTERS, {}, alternatives(*LETTERS).repeat(2, 2).repeat(0))
    for trace in traces(5):
        assert (automaton.blame(trace) is None) == (len(trace) % 2 == 0)


def test_large_counts_are_not_unrolled() -> None:
    react = sequence("a", sequence("b", "c").repeat(0, 1000).repeat(1, 1000), "a")
    automaton = TraceAutomaton(LETTERS, {"few": parse("count(b) <= 2")}, react)
    assert automaton.blame(list("abcbca")) is None
    assert automaton.blame(list("abcbcbca")).names == ("few",)
    assert len(automaton._product) < 20


def test_a_count_too_many_and_a_count_too_few_are_no_traces() -> None:
    automaton = TraceAutomaton(LETTERS, {}, state("a").repeat(300, 400))
    assert automaton.blame(["a"] * 299).letter is None
    assert automaton.blame(["a"] * 300) is automaton.blame(["a"] * 400) is None
    assert automaton.blame(["a"] * 401).step == 400


@pytest.mark.parametrize(("least", "most"), [(-1, 2), (3, 2), (0, -1)])
def test_a_count_that_is_none_is_an_error(least: int, most: int) -> None:
    with pytest.raises(GrammarError, match="can't be repeated"):
        state("a").repeat(least, most)


def test_the_empty_sequence_is_no_trace() -> None:
    with pytest.raises(UnsatisfiableError, match="no trace satisfies the trace expression"):
        TraceAutomaton(LETTERS, {}, sequence())
    with pytest.raises(GrammarError, match="at least one"):
        alternatives()
    automaton = TraceAutomaton(LETTERS, {}, state("a").repeat(0))
    assert automaton.blame(["a"]) is None
    assert automaton.blame([]) == Blame(0, None, ("the trace expression",), ("a",), False)


def test_an_expression_is_shown_as_a_pattern() -> None:
    expression = sequence("question", sequence("thought", "action").repeat(0, 5), alternatives("answer", "give up"))
    assert str(expression) == 'question (thought action){0,5} (answer | "give up")'
    assert expression.atoms == {"question", "thought", "action", "answer", "give up"}
    assert pickle.loads(pickle.dumps(expression)) is copy.copy(expression) is expression
    assert state("a").repeat(1, 1) is state("a") is sequence("a")


def test_a_state_that_is_none_is_an_error() -> None:
    with pytest.raises(GrammarError, match="the trace expression: there is no state 'd'"):
        TraceAutomaton(LETTERS, {}, sequence("a", "d"))


def test_deep_nesting_is_a_limit() -> None:
    expression = state("a")
    with pytest.raises(LimitError, match="nesting"):
        for _ in range(200):
            expression = sequence(expression, "b")
