"""The automaton of LTLf formulas against their direct evaluation, on every short trace."""

from __future__ import annotations

import random

import pytest

from bridle.grammar.ltlf import ConflictingFormulasError, TraceAutomaton
from bridle.grammar.ltlf_formula import Formula
from ltlf_samples import LETTERS, random_formula, traces


def accepted(automaton: TraceAutomaton, every: list[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The traces after which the automaton may end; asserts that it offers no step into a dead end on the way."""
    states: dict[tuple[str, ...], int | None] = {(): automaton.initial}
    ends = set()
    for trace in every:
        before = states[trace[:-1]]
        states[trace] = after = None if before is None else automaton.step(before, trace[-1])
        if after is not None:
            assert automaton.may_end(after) or automaton.letters(after)
            if automaton.may_end(after):
                ends.add(trace)
    return ends


def check(formula: Formula, every: list[tuple[str, ...]]) -> None:
    wanted = {trace for trace in every if formula.holds(trace)}
    try:
        automaton = TraceAutomaton(LETTERS, {"it": formula})
    except ConflictingFormulasError as error:
        assert error.names == ("it",)
        assert not wanted, str(formula)
        return
    assert accepted(automaton, every) == wanted, str(formula)


def test_random_formulas_accept_what_they_hold_of() -> None:
    source, every = random.Random(1), traces(5)
    for _ in range(300):
        check(random_formula(source, 4), every)


@pytest.mark.slow
def test_three_thousand_random_formulas_accept_what_they_hold_of() -> None:
    source, every = random.Random(2), traces(6)
    for _ in range(3000):
        check(random_formula(source, 4), every)
