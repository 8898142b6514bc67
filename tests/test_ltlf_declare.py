"""Every Declare template against a check of its rule on the trace itself, on every trace of up to six steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from bridle.automata.errors import GrammarError
from bridle.grammar.ltlf import TraceAutomaton, parse
from bridle.grammar.ltlf_declare import COUNTED, TEMPLATES
from ltlf_samples import LETTERS, traces

Trace = Sequence[str]
EVERY = traces(6)


def places(trace: Trace, letter: str) -> list[int]:
    return [at for at, state in enumerate(trace) if state == letter]


def followed(trace: Trace) -> bool:
    """Each a has a b later."""
    return all(any(b > a for b in places(trace, "b")) for a in places(trace, "a"))


def preceded(trace: Trace) -> bool:
    return all(any(a < b for a in places(trace, "a")) for b in places(trace, "b"))


def followed_before_the_next(trace: Trace) -> bool:
    """Between an a and the next a, or the end, there is a b."""
    starts = places(trace, "a")
    return all("b" in trace[start + 1 : end] for start, end in zip(starts, [*starts[1:], len(trace)]))


def preceded_after_the_one_before(trace: Trace) -> bool:
    """Between a b and the b before it, or the beginning, there is an a."""
    ends = places(trace, "b")
    return all("a" in trace[start + 1 : end] for start, end in zip([-1, *ends[:-1]], ends))


def followed_at_once(trace: Trace) -> bool:
    return all(list(trace[a + 1 : a + 2]) == ["b"] for a in places(trace, "a"))


def preceded_at_once(trace: Trace) -> bool:
    return all(b > 0 and trace[b - 1] == "a" for b in places(trace, "b"))


def never_followed(trace: Trace) -> bool:
    return not any(b > a for a in places(trace, "a") for b in places(trace, "b"))


def never_followed_at_once(trace: Trace) -> bool:
    return ("a", "b") not in list(pairwise(trace))


RULES: dict[str, Callable[[Trace], bool]] = {
    "init": lambda t: t[0] == "a",
    "end": lambda t: t[-1] == "a",
    "choice": lambda t: "a" in t or "b" in t,
    "exclusive_choice": lambda t: ("a" in t) + ("b" in t) == 1,
    "responded_existence": lambda t: "a" not in t or "b" in t,
    "coexistence": lambda t: ("a" in t) == ("b" in t),
    "response": followed,
    "precedence": preceded,
    "succession": lambda t: followed(t) and preceded(t),
    "alternate_response": followed_before_the_next,
    "alternate_precedence": preceded_after_the_one_before,
    "alternate_succession": lambda t: followed_before_the_next(t) and preceded_after_the_one_before(t),
    "chain_response": followed_at_once,
    "chain_precedence": preceded_at_once,
    "chain_succession": lambda t: followed_at_once(t) and preceded_at_once(t),
    "not_responded_existence": lambda t: not ("a" in t and "b" in t),
    "not_coexistence": lambda t: not ("a" in t and "b" in t),
    "not_response": never_followed,
    "not_precedence": never_followed,
    "not_succession": never_followed,
    "not_chain_response": never_followed_at_once,
    "not_chain_precedence": never_followed_at_once,
    "not_chain_succession": never_followed_at_once,
}
COUNTS: dict[str, Callable[[int, int], bool]] = {
    "existence": lambda found, n: found >= n,
    "absence": lambda found, n: found < n,
    "exactly": lambda found, n: found == n,
}


def test_every_template_has_a_rule_here() -> None:
    assert set(RULES) == set(TEMPLATES)
    assert set(COUNTS) == set(COUNTED)


def check(text: str, rule: Callable[[Trace], bool]) -> None:
    formula = parse(text)
    automaton = TraceAutomaton(LETTERS, {"it": formula})
    for trace in EVERY:
        assert formula.holds(trace) == rule(trace), trace
        assert (automaton.blame(trace) is None) == rule(trace), trace


@pytest.mark.parametrize("name", RULES)
def test_a_template_means_its_rule(name: str) -> None:
    check(f"{name}(a)" if name in ("init", "end") else f"{name}(a, b)", RULES[name])


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", COUNTS)
def test_a_counting_template_counts(name: str, number: int) -> None:
    text = f"{name}(a, {number})" if number > 1 else f"{name}(a)"
    check(text, lambda t: COUNTS[name](list(t).count("a"), number))


def test_the_target_of_a_template_may_be_one_of_several_states() -> None:
    check("response(a, b | c)", lambda t: all(any(s in "bc" for s in t[a + 1 :]) for a in places(t, "a")))
    check("precedence(a | c, b)", lambda t: all(any(s in "ac" for s in t[:b]) for b in places(t, "b")))


def test_other_spellings_of_a_name_are_the_same_template() -> None:
    assert parse("not_co_existence(a, b)") is parse("not-coexistence(a, b)") is parse("NOT_COEXISTENCE(a, b)")


def test_a_number_of_a_thousand_costs_no_depth() -> None:
    automaton = TraceAutomaton(LETTERS, {"it": parse("existence(a, 1000)"), "most": parse("count(a) <= 1000")})
    assert automaton.blame(["a"] * 1000) is None
    assert automaton.blame(["a"] * 999).names == ("it",)
    assert automaton.blame(["a"] * 1001).names == ("most",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("respons(a, b)", "there is no template 'respons'; did you mean 'response'?"),
        ("response(a)", "write response(a, b)"),
        ("response(a, b, 2)", "write response(a, b)"),
        ("init(a, b)", "write init(a)"),
        ("existence(a, b)", "write existence(a, n)"),
        ("existence(2, a)", "a state or a formula stands here, and the number last"),
    ],
)
def test_a_template_that_is_not_used_as_it_should_be_is_an_error(text: str, message: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.line == 1
