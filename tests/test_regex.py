"""`bridle.Regex`: its operations are those on sets of texts, and a pattern means what Python's re means by it."""

from __future__ import annotations

import pickle
import re
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
import strategies
from bridle.grammar.regex import Regex
from bridle.grammar.saved_grammars import grammar_of
from oracle import allowed_tokens, vocabulary_of

EXAMPLES = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
TEXTS = ["".join(letters) for n in range(5) for letters in product("aB1\né", repeat=n)]
PATTERNS = ["a*", "(a|B)+", "[^a]*", "a.?é", r"\d*\s?", "(?i:ab)*", "é|", "a{2}|[1B]*", r"\b\w+\b.*", "(?!a).*"]
# Shorthands are large classes of Unicode, which meet budgets where they are ambiguous; they are tested above.
PLAIN = strategies.regexes().filter(lambda pattern: "\\" not in pattern)


def texts_of(regex: Regex) -> set[str]:
    return {text for text in TEXTS if regex.matches(text)}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_fullmatch_does(pattern):
    assert texts_of(Regex(pattern)) == {text for text in TEXTS if re.fullmatch(pattern, text)}


@pytest.mark.parametrize("flags", [re.I, re.S, re.A, re.I | re.S, re.I | re.A, re.A | re.S, re.U])
@pytest.mark.parametrize("pattern", ["A.b", r"\w+", r"[^\W]é?", "ſ|K|é", ".*(?-s:.)", "(?i)a", r"\bé\b", "[a-f]{2}"])
def test_flags_are_those_of_re(pattern, flags):
    regex = Regex(pattern, flags=flags)
    for text in [*TEXTS, "aXb", "A\nB", "ſ", "s", "S", "k", "\u212a", "É", "Fa", "xÉ", "a\u0660"]:
        assert regex.matches(text) == bool(re.fullmatch(pattern, text, flags)), text
    assert regex.is_empty or regex.grammar.root == regex.dfa


@pytest.mark.parametrize(("one", "two"), product(PATTERNS[:7], repeat=2))
def test_operations_are_those_on_sets(one, two):
    a, b = Regex(one), Regex(two)
    left, right = texts_of(a), texts_of(b)
    assert texts_of(a & b) == left & right and texts_of(a | b) == left | right
    assert texts_of(a - b) == left - right and texts_of(~a) == set(TEXTS) - left
    joined = {x + y for x in left for y in right}
    assert texts_of(a + b) == joined & set(TEXTS)
    assert (a - b).is_empty == (a | b == b) and a & b == ~(~a | ~b)


@EXAMPLES
@given(PLAIN, PLAIN, st.lists(strategies.regex_texts(), max_size=8))
def test_operations_on_drawn_patterns_are_those_on_sets(one, two, texts):
    a, b = Regex(one), Regex(two)
    assert (a & b) | (a - b) == a and (a & ~a).is_empty and ~~a == a
    for text in texts:
        left, right = bool(re.fullmatch(one, text)), bool(re.fullmatch(two, text))
        assert (a & b).matches(text) == (left and right) and (a | b).matches(text) == (left or right)
        assert (~a).matches(text) == (not left) and (a - b).matches(text) == (left and not right)
        splits = [(text[:i], text[i:]) for i in range(len(text) + 1)]
        assert (a + b).matches(text) == any(re.fullmatch(one, x) and re.fullmatch(two, y) for x, y in splits)


@EXAMPLES
@given(PLAIN)
def test_an_example_is_a_shortest_text(pattern):
    regex = Regex(pattern)
    found = regex.example()
    assert (found is None) == regex.is_empty
    if found is not None:
        assert re.fullmatch(pattern, found) and regex.matches(found.encode())
        assert not any(regex.matches(text) for text in TEXTS if len(text.encode()) < len(found.encode()))


def test_repetition_counts():
    assert texts_of(Regex("a|BB").repeat(2, 3)) == {t for t in TEXTS if re.fullmatch("(a|BB){2,3}", t)}
    assert Regex("ab").repeat() == Regex("(ab)*") and Regex("ab").repeat(2) == Regex("(ab){2,}")
    with pytest.raises(ValueError):
        Regex("a").repeat(2, 1)


def test_equal_languages_are_equal_and_others_are_not():
    assert Regex("a|b") == Regex("[ab]") == Regex("b|a", "ecma") and hash(Regex("a|b")) == hash(Regex("[ab]"))
    assert Regex("a") != Regex("b") and Regex("a") != "a"
    assert len({Regex("a+"), Regex("aa*"), Regex("a*")}) == 2
    with pytest.raises(TypeError):
        Regex("a") & "b"


def test_complements_are_of_unicode_texts():
    other = ~Regex("a")
    assert other.matches("") and other.matches("aa") and other.matches("\U0010ffff") and not other.matches(b"\xff")
    assert not other.matches("\ud800") and (~(Regex("a") | other)).is_empty and (~other) == Regex("a")


def test_identifiers_that_are_no_keywords_are_a_grammar():
    names = Regex("[a-z]+") & ~Regex("if|in") - Regex("i")
    matcher = bridle.Matcher(bridle.compile(names.grammar, vocabulary_of([b"i", b"f", b"n", b"ff", b"in", b"1"])))
    assert allowed_tokens(matcher) == {0, 1, 2, 3, 4}
    assert matcher.accept_bytes("i") and allowed_tokens(matcher) == {0, 1, 2, 3, 4}
    assert matcher.accept_bytes("f") and allowed_tokens(matcher) == {0, 1, 2, 3, 4} and not matcher.is_accepting()
    assert bridle.validate(bridle.Grammar.from_regex(names), "ifs").ok
    assert not bridle.validate(names.grammar, "if").ok


@pytest.mark.parametrize(
    "regex",
    [
        Regex("a(b|c)"),
        Regex("[a-z]", flags=re.I),
        Regex(r"^\d+$", "ecma"),
        (Regex("a*") & ~Regex("aa") | Regex("b")) + Regex("c").repeat(1, 3) - Regex("bc"),
    ],
)
def test_a_regex_can_be_made_again_from_its_recipe(regex, tmp_path):
    assert Regex.of_recipe(regex.recipe) == regex and repr(Regex.of_recipe(regex.recipe)) == repr(regex)
    assert pickle.loads(pickle.dumps(regex)) == regex
    grammar = regex.grammar
    assert grammar_of(grammar.recipe).root == grammar.root
    vocabulary = vocabulary_of([b"a", b"b", b"c", b"7"])
    bridle.compile(grammar, vocabulary).save(tmp_path / "saved")
    loaded = bridle.load(tmp_path / "saved", vocabulary)
    assert repr(loaded.grammar) == repr(grammar) and loaded.grammar.root == regex.dfa


def test_a_regex_shows_how_it_was_made():
    assert repr((Regex("a") & ~Regex("b", "ecma")) + Regex("c", flags=re.I)) == (
        "((Regex('a') & ~Regex('b', 'ecma')) + Regex('c', flags=2))"
    )


def test_what_is_wrong_with_a_pattern_has_its_column():
    with pytest.raises(bridle.GrammarError) as caught:
        Regex("a(b")
    assert caught.value.column == 2
    for flags, says in ((re.L, "LOCALE"), (re.DEBUG, "DEBUG")):
        with pytest.raises(bridle.UnsupportedError, match=says):
            Regex("a", flags=flags)
    with pytest.raises(ValueError, match="contradict"):
        Regex("a", flags=re.A | re.U)
    with pytest.raises(ValueError, match="flags are Python's"):
        Regex("a", "ecma", flags=re.I)
    with pytest.raises(ValueError, match="neither"):
        Regex("a", "perl")


def test_a_language_without_a_text_is_no_grammar():
    empty = Regex("a") & Regex("b")
    assert empty.is_empty and empty.example() is None and not empty.matches("")
    with pytest.raises(bridle.UnsatisfiableError, match=r"no text matches \(Regex\('a'\) & Regex\('b'\)\)"):
        _ = empty.grammar
    with pytest.raises(bridle.UnsatisfiableError) as caught:
        bridle.Grammar.from_regex("a(?!a)a")
    assert caught.value.column == 1


def test_a_language_that_needs_too_many_states_is_a_limit_error():
    with pytest.raises(bridle.LimitError):
        _ = (Regex("(a|b)*a(a|b){30}") & ~Regex("c")).dfa


@pytest.mark.parametrize(("pattern", "place"), [
    ("xa{99999}", "column 3, {99999}, of the pattern Regex('xa{99999}')"),
    ("(a{5}b){2,9999999}c", "column 8, {2,9999999}, of the pattern"),
])  # fmt: skip
def test_a_limit_that_a_pattern_meets_is_told_with_its_repetition(pattern: str, place: str) -> None:
    with pytest.raises(bridle.LimitError, match=re.escape(f"exceeded at {place}")):
        bridle.Grammar.from_regex(pattern)
