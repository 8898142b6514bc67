"""What formulas mean: cases by hand, known satisfiable and unsatisfiable ones, equivalences and duals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.automata.errors import GrammarError
from bridle.grammar.ltlf import ConflictingFormulasError, TraceAutomaton, parse
from bridle.grammar.ltlf_formula import (
    FALSE,
    LAST,
    TRUE,
    Atom,
    Eventually,
    Existence,
    Formula,
    Globally,
    Implies,
    Next,
    Not,
    Release,
    Until,
    Xor,
    conjunction,
    disjunction,
    with_parts,
)  # fmt: skip  # isort: skip
from ltlf_samples import LETTERS


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("a", ["a", "ab"], ["b", "ba"]),
        ("last", ["a"], ["ab"]),
        ("X b", ["ab", "abc"], ["a", "aab"]),
        ("WX b", ["a", "ab"], ["aa"]),
        ("X true", ["ab"], ["a"]),
        ("WX false", ["a"], ["ab"]),
        ("!X b", ["a", "aa"], ["ab"]),
        ("X[2] c", ["abc"], ["ab", "acb"]),
        ("WX[2] c", ["ab", "abc", "a"], ["aba"]),
        ("F b", ["b", "aab"], ["aa"]),
        ("G a", ["a", "aaa"], ["aab"]),
        ("F[<=1] b", ["ab", "ba"], ["aab", "a"]),
        ("G[<=1] a", ["a", "aab"], ["ab"]),
        ("a U b", ["b", "aab", "ba"], ["aa", "acb"]),
        ("a W b", ["b", "aab", "aa"], ["ac"]),
        ("a R (a | b)", ["a", "bba", "bb"], ["bc", "cba"]),
        ("a M (a | b)", ["a", "bba"], ["bb", "bc"]),
        ("G F b", ["ab", "bab"], ["ba"]),
        ("F G b", ["ab", "bab"], ["ba"]),
        ("count(a) <= 1", ["bb", "bab"], ["aba"]),
        ("count(a) = 2", ["aba"], ["a", "aaa"]),
        ("G(b -> count(a) >= 2)", ["aba", "baa", "c"], ["ab", "b"]),
        ("X count(a) > 1", ["aab", "aba"], ["ba", "a"]),
        ("X existence(a, 2)", ["baa"], ["aab", "ba"]),
    ],
)
def test_a_formula_holds_of_these_and_not_of_those(text: str, holds: list[str], fails: list[str]) -> None:
    formula = parse(text)
    automaton = TraceAutomaton(LETTERS, {"it": formula})
    for trace in holds:
        assert formula.holds(list(trace)) and automaton.blame(trace) is None, trace
    for trace in fails:
        assert not formula.holds(list(trace)) and automaton.blame(trace) is not None, trace


@pytest.mark.parametrize("trace", [[], "", "ab"])
def test_a_trace_is_a_sequence_of_names_and_not_empty(trace) -> None:
    with pytest.raises(ValueError, match="at least one"):
        TRUE.holds(trace)


# The first lines: hand-written cases of the LTLf literature's solvers, with one state per step as here.
@pytest.mark.parametrize(
    "text",
    [
        "G(a -> X a) & F a", "G(a -> X b) & G(b -> X a) & F a", "G X true", "X false", "F(a & b)", "last & X a",
        "a & !a", "F a & G !a", "G a & F b", "a U b & G !b", "F last & G X true", "(a M b) & G b & G !a",
        "count(a) > 2 & count(a) < 3", "F G a & G F b", "response(a, b) & response(b, a) & F a",
        "chain_response(a, b) & not_chain_response(a, b) & F a", "existence(a, 3) & absence(a, 2)", "!a & !b & !c",
        "init(a) & chain_precedence(b, a)", "G[<=2] a & X b", "X[3] a & F[<=3] (last & b)", "false U a & G !a",
    ],
)  # fmt: skip
def test_these_are_unsatisfiable(text: str) -> None:
    assert not parse(text).satisfiable(LETTERS)


@pytest.mark.parametrize(
    "text",
    [
        "G(a -> WX a)", "G(a -> WX a) & F a", "G(a -> WX b) & G(b -> WX a) & F a", "G WX true", "WX false", "F a & F b",
        "F last", "a R b", "G(a -> X b) & G(b -> WX a) & F a", "G F a", "F G a & G F a", "response(a, b) & F a",
        "count(a) > 2 & count(b) = 1", "X[30] a & F[<=31] b",
        "existence(a, 40) & existence(b, 40) & alternate_succession(a, b)", "!a & !b",
    ],
)  # fmt: skip
def test_these_are_satisfiable(text: str) -> None:
    assert parse(text).satisfiable(LETTERS)


def test_satisfiability_depends_on_the_states_that_there_are() -> None:
    assert not parse("!a & !b").satisfiable(["a", "b"])
    with pytest.raises(GrammarError, match="there is no state 'c'"):
        parse("F c").satisfiable(["a", "b"])


ATOMS = st.sampled_from([*map(Atom, LETTERS), TRUE, FALSE, LAST])


def _larger(parts: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    number, strong, bound = st.integers(1, 3), st.booleans(), st.sampled_from([None, 0, 1, 2])
    return st.one_of(
        st.builds(Not, parts), st.builds(conjunction, parts, parts), st.builds(disjunction, parts, parts),
        st.builds(Next, parts, number, strong), st.builds(Until, parts, parts, strong),
        st.builds(Release, parts, parts, strong), st.builds(Eventually, parts, bound),
        st.builds(Globally, parts, bound), st.builds(Existence, parts, number),
    )  # fmt: skip


FORMULAS = st.recursive(ATOMS, _larger, max_leaves=5)
TRACES = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8)
# Pairs that mean the same, for any formulas f and g.
SAME = [
    ("!X f", "WX !f"), ("!F f", "G !f"), ("!(f U g)", "!f R !g"), ("!(f W g)", "!f M !g"), ("X[3] f", "X X X f"),
    ("f W g", "(f U g) | G f"), ("f M g", "(f R g) & F f"), ("f U g", "g | (f & X(f U g))"),
    ("f W g", "g | (f & WX(f W g))"), ("f R g", "g & (f | WX(f R g))"), ("f M g", "g & (f | X(f M g))"),
    ("F f", "true U f"), ("G f", "false R f"), ("F f", "f | X F f"), ("G f", "f & WX G f"), ("last", "WX false"),
    ("F[<=2] f", "f | X(f | X f)"), ("G[<=2] f", "f & WX(f & WX f)"), ("f xor g", "!(f <-> g)"), ("f -> g", "!f | g"),
    ("existence(f, 2)", "F(f & X F f)"), ("count(f) < 2", "!existence(f, 2)"), ("X(f & g)", "X f & X g"),
    ("WX(f | g)", "WX f | WX g"), ("F(f | g)", "F f | F g"), ("G(f & g)", "G f & G g"), ("f W g", "!(!g U (!f & !g))"),
    ("count(f) = 2", "exactly(f, 2)"), ("G count(f) > 1", "count(f) > 1"), ("F G f", "G F f"),
    ("F(last & f)", "G(last -> f)"), ("end(f)", "F G f"),
]  # fmt: skip


def _filled(pattern: Formula, f: Formula, g: Formula) -> Formula:
    """A pattern with formulas for its f and g."""
    if isinstance(pattern, Atom):
        return f if pattern.name == "f" else g
    return with_parts(pattern, [_filled(part, f, g) for part in pattern.parts])


@given(st.sampled_from(SAME), FORMULAS, FORMULAS, TRACES)
@settings(max_examples=400, deadline=None)
def test_equivalent_formulas_hold_of_the_same_traces(
    pair: tuple[str, str], f: Formula, g: Formula, trace: list[str]
) -> None:
    one, other = (_filled(parse(text), f, g) for text in pair)
    assert one.holds(trace) == other.holds(trace)


@given(st.sampled_from(SAME), FORMULAS, FORMULAS)
@settings(max_examples=200, deadline=None)
def test_equivalent_formulas_differ_on_no_trace_at_all(pair: tuple[str, str], f: Formula, g: Formula) -> None:
    one, other = (_filled(parse(text), f, g) for text in pair)
    assert not Xor(one, other).satisfiable(LETTERS)


@given(FORMULAS, FORMULAS)
@settings(max_examples=100, deadline=None)
def test_satisfiability_agrees_with_validity(f: Formula, g: Formula) -> None:
    assert f.satisfiable(LETTERS) or Not(f).satisfiable(LETTERS)
    assert not conjunction(f, Not(f)).satisfiable(LETTERS)
    assert disjunction(f, Not(f)).satisfiable(LETTERS)
    implied = not conjunction(f, Not(g)).satisfiable(LETTERS)
    assert implied == (not Not(Implies(f, g)).satisfiable(LETTERS))


@given(FORMULAS, TRACES)
@settings(max_examples=200, deadline=None)
def test_the_automaton_of_a_formula_and_of_its_negation_share_no_trace(formula: Formula, trace: list[str]) -> None:
    verdicts = []
    for one in (formula, Not(formula)):
        try:
            verdicts.append(TraceAutomaton(LETTERS, {"it": one}).blame(trace) is None)
        except ConflictingFormulasError:
            verdicts.append(False)
    assert verdicts == [formula.holds(trace), not formula.holds(trace)]
