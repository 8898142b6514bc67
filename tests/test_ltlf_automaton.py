"""The automaton of LTLf formulas against their direct evaluation, on every short trace."""

from __future__ import annotations

import pickle
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridle.automata.errors import GrammarError, LimitError
from bridle.grammar.ltlf import (
    Blame,
    ConflictingFormulasError,
    TraceAutomaton,
    TraceExpression,
    TraceLimits,
    parse,
)
from bridle.grammar.ltlf_declare import COUNTED, TEMPLATES
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


def random_constraints(source: random.Random, number: int, states: list[str]) -> dict[str, Formula]:
    """Declare constraints by name, each of a random template over random states."""
    found = {}
    for at in range(number):
        name, (one, other) = source.choice([*TEMPLATES, *COUNTED]), source.sample(states, 2)
        second = source.randint(1, 3) if name in COUNTED else other
        found[f"{name} {at}"] = parse(f"{name}({one})" if name in ("init", "end") else f"{name}({one}, {second})")
    return found


def test_constraints_together_accept_what_all_of_them_hold_of() -> None:
    source, every = random.Random(5), traces(6)
    for _ in range(60):
        formulas = random_constraints(source, 4, list(LETTERS))
        wanted = {trace for trace in every if all(formula.holds(trace) for formula in formulas.values())}
        try:
            assert accepted(TraceAutomaton(LETTERS, formulas), every) == wanted
        except ConflictingFormulasError:
            assert not wanted


def test_random_formulas_together_with_final_states_accept_what_all_of_them_hold_of() -> None:
    source, every = random.Random(6), traces(5)
    for _ in range(100):
        formulas = {f"f{at}": random_formula(source, 3) for at in range(3)}
        wanted = {t for t in every if t[-1] in "ab" and all(formula.holds(t) for formula in formulas.values())}
        try:
            assert accepted(TraceAutomaton(LETTERS, formulas, final=frozenset("ab")), every) == wanted
        except ConflictingFormulasError:
            assert not wanted


def test_no_state_is_a_dead_end() -> None:
    source = random.Random(7)
    for _ in range(100):
        try:
            automaton = TraceAutomaton("abcd", random_constraints(source, 5, list("abcd")))
        except ConflictingFormulasError:
            continue
        states = [automaton.initial]
        before: dict[int, set[int]] = {}
        for state in states:
            for letter in automaton.letters(state):
                after = automaton.step(state, letter)
                before.setdefault(after, set()).add(state)
                states.extend([after] if after not in states else [])
        reached = [state for state in states if automaton.may_end(state)]
        for state in reached:
            reached.extend(source for source in before.get(state, ()) if source not in reached)
        assert set(reached) == set(states)


def test_a_conflict_names_formulas_none_of_which_can_be_left_out() -> None:
    source, seen = random.Random(8), 0
    for _ in range(200):
        formulas = random_constraints(source, 6, list("abcd"))
        try:
            TraceAutomaton("abcd", formulas)
        except ConflictingFormulasError as error:
            seen += 1
            names = error.names
            assert all(name in str(error) for name in names)
            with pytest.raises(ConflictingFormulasError):
                TraceAutomaton("abcd", {name: formulas[name] for name in names})
            for left_out in names:
                TraceAutomaton("abcd", {name: formulas[name] for name in names if name != left_out})
    assert seen > 20


def test_a_conflict_is_told_in_words() -> None:
    formulas = {"ends with b": parse("end(b)"), "begins": parse("init(a)"), "only a": parse("G(b -> false)")}
    with pytest.raises(ConflictingFormulasError) as caught:
        TraceAutomaton("ab", formulas)
    assert set(caught.value.names) == {"ends with b", "only a"}
    assert "no trace satisfies ends with b and only a together" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).names == caught.value.names
    with pytest.raises(ConflictingFormulasError, match="no trace satisfies odd"):
        TraceAutomaton("ab", {"fine": parse("F a"), "odd": parse("F(a & b)")})
    with pytest.raises(ConflictingFormulasError, match="the final states and the trace expression together, though"):
        TraceAutomaton("ab", {"fine": parse("F a")}, TraceExpression.sequence("a", "b"), frozenset("a"))


def test_blame_names_what_broke_where_and_what_was_allowed() -> None:
    formulas = {
        "observe": parse("chain_response(action, observation)"),
        "budget": parse("count(action) <= 1"),
        "answer": parse("end(answer)"),
    }
    automaton = TraceAutomaton(["thought", "action", "observation", "answer"], formulas)
    assert automaton.blame(["thought", "action", "observation", "answer"]) is None
    assert automaton.blame(["action", "thought"]) == Blame(1, "thought", ("observe",), ("observation",), False)
    assert str(automaton.blame(["action", "thought"])) == (
        "after 'thought', observe can't be satisfied any more; expected: observation"
    )
    again = automaton.blame(["action", "observation", "action"])
    assert (again.step, again.names, again.allowed) == (2, ("budget",), ("thought", "observation", "answer"))
    early = automaton.blame(["thought"])
    assert (early.step, early.letter, early.names, early.may_end) == (1, None, ("answer",), False)
    assert str(early).startswith("the trace ends too early for answer; expected: thought, action")
    unknown = automaton.blame(["answer", "anwser"])
    assert (unknown.step, unknown.names, unknown.may_end) == (1, (), True)
    assert str(unknown) == (
        "there is no state 'anwser'; expected: thought, action, observation, answer, the end"
    )
    assert automaton.blame([]).letter is None


def test_blame_names_formulas_that_only_together_can_not_be_met() -> None:
    formulas = {"a then b": parse("response(a, b)"), "b then a": parse("response(b, a)"), "c": parse("F c")}
    automaton = TraceAutomaton("abc", formulas)
    blame = automaton.blame("ca")
    assert (blame.step, set(blame.names), blame.allowed) == (1, {"a then b", "b then a"}, ("c",))
    assert "can't be satisfied together any more; expected: c, the end" in str(blame)


def test_without_any_formula_every_trace_that_has_a_step_is_one() -> None:
    automaton = TraceAutomaton("ab", {})
    assert not automaton.may_end(automaton.initial)
    assert automaton.letters(automaton.initial) == ("a", "b")
    assert automaton.blame("ab") is None
    assert str(automaton.blame("")) == "the trace ends too early for the rule that a trace has steps; expected: a, b"


def test_a_specification_has_a_state() -> None:
    with pytest.raises(GrammarError, match="at least one state"):
        TraceAutomaton((), {})
    assert TraceAutomaton("aab", {}).alphabet == ("a", "b")


def test_a_letter_that_is_none_is_an_error_that_names_what_is_near() -> None:
    automaton = TraceAutomaton(["action", "answer"], {"f": parse("F answer")})
    with pytest.raises(GrammarError, match="no state 'actoin'; did you mean 'action'"):
        automaton.step(automaton.initial, "actoin")
    with pytest.raises(GrammarError, match="f: there is no state 'b'"):
        TraceAutomaton(["a"], {"f": parse("F b")})


@pytest.mark.parametrize(
    ("limits", "text", "limit"),
    [
        (TraceLimits(states=10), "count(a) <= 30", "states of a specification"),
        (TraceLimits(nodes=10), "X[20] a", "nodes of decision diagrams"),
        (TraceLimits(visits=2000), "G(a -> X[14] b) & G(b -> X[14] a) & F a & !(true U (last & b))", "states visited"),
    ],
)
def test_a_budget_is_counted_and_named(limits: TraceLimits, text: str, limit: str) -> None:
    with pytest.raises(LimitError, match=limit):
        automaton = TraceAutomaton("ab", {"it": parse(text)}, limits=limits)
        state = automaton.initial
        while state is not None:
            state = automaton.step(state, "a")


def test_deadlines_that_imply_each_other_are_not_told_apart() -> None:
    automaton = TraceAutomaton("ab", {"soon": parse("G(a -> F[<=40] b)")})
    state, seen = automaton.initial, set()
    while state is not None:
        seen.add(state)
        state = automaton.step(state, "a")
    assert len(seen) == 41
    assert len(automaton._product) <= 45


def test_twenty_random_constraints_over_fifteen_states_are_walked_within_a_second() -> None:
    """Random templates, and kinds that are hard together: where almost every step is decided by all constraints."""
    states = [f"s{at}" for at in range(15)]
    worst = 0.0
    for seed in range(40):
        source = random.Random(seed)
        formulas = random_constraints(source, 20, states)
        before = time.thread_time()
        try:
            automaton = TraceAutomaton(states, formulas)
            state = automaton.initial
            for _ in range(50):
                letters = automaton.letters(state)
                state = automaton.step(state, source.choice(letters)) if letters else state
        except ConflictingFormulasError:
            pass
        worst = max(worst, time.thread_time() - before)
    print(f"the slowest of 40 specifications: {worst * 1e3:.0f} ms")
    assert worst < 1


def test_threads_share_an_automaton() -> None:
    formulas = random_constraints(random.Random(24), 20, [f"s{at}" for at in range(15)])
    automaton = TraceAutomaton([f"s{at}" for at in range(15)], formulas)
    alone = TraceAutomaton([f"s{at}" for at in range(15)], formulas)

    def walk(seed: int) -> list[str]:
        source, state, trace = random.Random(seed), automaton.initial, []
        while letters := automaton.letters(state):
            trace.append(source.choice(letters))
            state = automaton.step(state, trace[-1])
            if len(trace) == 30:
                break
        return trace

    with ThreadPoolExecutor(4) as pool:
        for trace in pool.map(walk, range(20)):
            state = alone.initial
            for letter in trace:
                state = alone.step(state, letter)
                assert state is not None
