"""The syntax of LTLf formulas: what binds how, what is written how, and where faults are shown."""

from __future__ import annotations

import copy
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bridle
from bridle.automata.errors import BridleError, GrammarError, LimitError
from bridle.grammar.ltlf_formula import KEYWORDS, Atom, Count, Existence, Formula, Not
from bridle.grammar.ltlf_syntax import parse
from ltlf_samples import random_formula


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("a <-> b -> c", "a <-> (b -> c)"),
        ("a -> b -> c", "a -> (b -> c)"),
        ("a <-> b <-> c", "a <-> (b <-> c)"),
        ("a -> b xor c", "a -> (b xor c)"),
        ("a xor b | c", "a xor (b | c)"),
        ("a | b & c", "a | (b & c)"),
        ("a & b U c", "a & (b U c)"),
        ("a U b & c", "(a U b) & c"),
        ("a U b W c R d M e", "a U (b W (c R (d M e)))"),
        ("!a U X b", "(!a) U (X b)"),
        ("G a -> F b", "(G a) -> (F b)"),
        ("X F !a & b", "(X (F (!a))) & b"),
        ("X[2] a & F[<=3] b | G[<=0] c", "((X[2] a) & (F[<=3] b)) | (G[<=0] c)"),
        ("a and not b or c", "(a & !b) | c"),
        ("a && b || c", "(a & b) | c"),
        ("count(a | b) <= 3 -> last", "(count(a | b) <= 3) -> last"),
        ("count(a) == 3", "count(a) = 3"),
        ("!count(a) > 1", "!(count(a) > 1)"),
        ("Xa & Fb", "(Xa) & (Fb)"),
        ("order | nothing & android", "order | (nothing & android)"),
        ("final-thought->last", "(final-thought) -> (last)"),
        ("existence(a)", "existence(a, 1)"),
    ],
)
def test_operators_bind_as_documented(text: str, full: str) -> None:
    assert parse(text) is parse(full)


def test_what_is_shown_parses_back() -> None:
    source = random.Random(3)
    for _ in range(1000):
        formula = random_formula(source, 5)
        assert parse(str(formula)) is formula


@pytest.mark.parametrize("text", ["response(a, b | c)", "existence(F a, 2)", "absence(a, 3)", "exactly(a, 1)"])
def test_templates_stay_as_they_were_written(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize("name", ["final-thought", "größe", "a b", 'a "b"', "1st", "a-", "-a", "\n", *sorted(KEYWORDS)])
def test_any_text_can_be_a_name(name: str) -> None:
    formula = Not(Atom(name))
    assert parse(str(formula)) is formula
    assert formula.atoms == {name}


def test_equal_formulas_are_one_object_also_after_copying_and_pickling() -> None:
    formula = parse("response(a, b) & count(c) <= 2 -> X[3] last")
    assert copy.deepcopy(formula) is formula
    assert pickle.loads(pickle.dumps(formula)) is formula
    assert parse("a") & parse("b") & parse("c") is parse("a & b & c")
    assert ~(parse("a") | parse("b")) is parse("!(a | b)")
    with pytest.raises(TypeError):
        _ = parse("a") & "b"  # type: ignore[operator]


def test_a_formula_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parse("existence(a, 2)").times = 3  # type: ignore[attr-defined]
    assert isinstance(parse("existence(a, 2)"), Existence)
    assert isinstance(parse("count(a) < 2"), Count)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "the formula is empty; expected: a formula", (1, 1)),
        ("  ", "the formula is empty; expected: a formula", (1, 1)),
        ("a &", "the formula ends too early; expected: a formula", (1, 4)),
        ("a b", "'b' may not stand here; expected: an operator", (1, 3)),
        ("a\n& & b", "'&' may not stand here; expected: a formula", (2, 3)),
        ("a & (b | c", "the formula ends too early; expected: ')'", (1, 11)),
        ("a)", "')' may not stand here", (1, 2)),
        ("a F b", "'F' may not stand here (a state of that name is written \"F\")", (1, 3)),
        ("G(a -> X[!] b)", "the strong next is X, the weak one WX", (1, 10)),
        ("F[2] a", "expected: '<='", (1, 3)),
        ("F[<=] a", "expected: a number", (1, 5)),
        ("X[99999999] a", "numbers go up to 1000000", (1, 3)),
        ("count(a)", "expected: a comparison", (1, 9)),
        ("count(a) 3", "'3' may not stand here; expected: a comparison", (1, 10)),
        ('a & "b', "this string does not end", (1, 5)),
        (r'"\x"', "this is no string of JSON", (1, 1)),
        ('""', "a state's name is not empty", (1, 1)),
        ("a & $b", "'$' is no part of any formula", (1, 5)),
        ("respond(a, b)", "there is no template 'respond'; did you mean 'response'?", (1, 1)),
    ],
)
def test_a_fault_is_shown_at_its_place(text: str, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
    assert str(caught.value).endswith(" " * (place[1] + 3) + "^")
    assert pickle.loads(pickle.dumps(caught.value)).column == place[1]


def test_a_name_that_is_no_state_is_an_error_where_the_states_are_known() -> None:
    states = ["action", "observation"]
    assert parse("response(action, observation)", states)
    for text, column in (("G(action -> X obsevation)", 15), ('F "obsevation"', 3)):
        with pytest.raises(GrammarError, match="no state 'obsevation'; did you mean 'observation'") as caught:
            parse(text, states)
        assert caught.value.column == column
    with pytest.raises(GrammarError, match="there is no state 'x': it has action, observation"):
        parse("x", states)


@pytest.mark.parametrize("text", ["!" * 150 + "a", "(" * 999 + "a" + ")" * 999, "X " * 999 + "a", "a U " * 150 + "a"])
def test_deep_nesting_is_a_limit_or_no_problem(text: str) -> None:
    try:
        formula = parse(text)
    except LimitError as error:
        assert "nesting" in str(error)
    else:
        assert formula is Atom("a")  # parentheses leave nothing behind


PIECES = [
    "a", "final-thought", '"b c"', '"', "\\", "X", "WX", "U", "M", "F", "G", "[", "<=", "]", "3", "99", "(", ")", ",",
    "&", "|", "!", "->", "<->", "xor", "-", "count", "existence", "response", "last", "true", "not", " ",
    "\n", "é", "\0", "\ud800",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_formula_or_a_fault(text: str) -> None:
    try:
        formula = parse(text)
    except BridleError as error:
        assert str(error)
    else:
        assert parse(str(formula)) is formula


def test_a_long_conjunction_is_flat() -> None:
    formula = parse(" & ".join(f"response(s{at}, t{at})" for at in range(2000)))
    assert formula.depth == 3
    assert parse(str(formula)) is formula


def test_the_facade_has_the_public_names() -> None:
    assert bridle.ltlf.parse("F a") is parse("F a")
    assert bridle.ltlf.Formula is Formula
