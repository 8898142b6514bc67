"""Masks of regular expressions and EBNF grammars against the oracle that tries every token."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
import naive
import strategies
from oracle import allowed_tokens, compare, vocabulary_of

SMALL = [bytes(t) for n in (1, 2, 3) for t in itertools.product(b"ab(", repeat=n)] + ["é".encode(), b"\xc3", b"\xa9a"]

REGEXES = ["a*b", "(a|ab)(b|a)*", "a{2,3}b?", "[ab]{1,200}", "(é|a)+b", "(a|b)*a(a|b)(a|b)", "a?a?a?aaa"]
GRAMMARS = [
    'root ::= "a" root "b" | ""',
    'root ::= "a" root "b" | "a" root "a" | ""',
    'root ::= "(" root ")" root | "a"*',
    'root ::= pair*\npair ::= "a" item "b"\nitem ::= [^ab] | root "a"',
    'root ::= root "a" | "b"',
    'root ::= x "a"\nx ::= "(" x "b" | x x | "b" | ""',
    'root ::= ("a" | "ab") ("b" root)?',
    'root ::= "a"{2,3} ("b" root "b"){0,2}',
]


@pytest.mark.parametrize("pattern", REGEXES)
def test_masks_of_small_regexes_equal_the_oracles_on_every_short_text(pattern):
    compiled = bridle.compile(bridle.Grammar.from_regex(pattern), vocabulary_of(SMALL))
    oracle = naive.regex(pattern)
    compare_everywhere(compiled, oracle, longest=4)


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_masks_of_small_grammars_equal_the_oracles_on_every_short_text(grammar):
    compiled = bridle.compile(bridle.Grammar.from_ebnf(grammar), vocabulary_of(SMALL))
    oracle = naive.ebnf(grammar)
    compare_everywhere(compiled, oracle, longest=5)


def compare_everywhere(compiled, oracle, longest):
    """Compares after every text of up to `longest` letters."""
    for n in range(longest + 1):
        for text in itertools.product(b"ab(", repeat=n):
            compare_at(compiled, oracle, bytes(text))


def compare_at(compiled, oracle, text):
    """Compares verdict, acceptance and mask after one text."""
    matcher = bridle.Matcher(compiled)
    accepted = not text or matcher.accept_bytes(text)
    assert accepted == oracle.is_prefix(text), text
    if accepted:
        assert matcher.is_accepting() == oracle.accepts(text), text
        vocabulary = compiled.vocabulary
        want = naive.mask(oracle, text, list(vocabulary.tokens), list(vocabulary.stop_token_ids))
        assert allowed_tokens(matcher) == want, text


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_masks_of_drawn_regexes_equal_the_oracles(data):
    pattern = data.draw(strategies.regexes())
    oracle = naive.regex(pattern)
    try:
        compiled_grammar = bridle.Grammar.from_regex(pattern)
    except bridle.UnsatisfiableError:
        assert not oracle.is_prefix(b"")
        return
    except bridle.LimitError:
        return  # \w and . in the wrong company make automata of more states than the budget: refused before a text
    vocabulary = vocabulary_of(list(data.draw(strategies.token_sets(every_byte=True))))
    compare(bridle.compile(compiled_grammar, vocabulary), oracle, data.draw(strategies.regex_texts()).encode())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_masks_of_drawn_grammars_equal_the_oracles(data):
    text = data.draw(strategies.ebnf_grammars(left_recursion=data.draw(st.booleans())))
    oracle = naive.ebnf(text)
    try:
        grammar = bridle.Grammar.from_ebnf(text)
    except bridle.UnsatisfiableError:
        assert not oracle.is_prefix(b"")
        return
    vocabulary = vocabulary_of(list(data.draw(strategies.token_sets(every_byte=True))))
    # A wildly ambiguous grammar meets its budget, and says so.
    with suppress(bridle.LimitError):
        compare(bridle.compile(grammar, vocabulary), oracle, data.draw(strategies.ebnf_texts()).encode())


def test_a_counted_class_allows_just_as_much_as_is_left():
    grammar = bridle.Grammar.from_json_schema({"type": "string", "maxLength": 5000})
    tokens = [b'"', b"a", b"a" * 3, b"a" * 30, b'aa"', "é".encode(), b"\\n", b"\\u00e9", b"\xc3"]
    vocabulary = vocabulary_of(tokens)
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    matcher.accept_bytes(b'"' + b"a" * 4996)
    names = {tokens[k] for k in allowed_tokens(matcher)}
    assert names == {b'"', b"a", b"aaa", b'aa"', "é".encode(), b"\\n", b"\\u00e9", b"\xc3"}
    matcher.accept_bytes(b"aaa")
    assert {tokens[k] for k in allowed_tokens(matcher)} == {b'"', b"a", "é".encode(), b"\\n", b"\\u00e9", b"\xc3"}
    matcher.accept_bytes(b"\\")
    assert allowed_tokens(matcher) == {0}
    matcher.accept_bytes(b"n")
    assert {tokens[k] for k in allowed_tokens(matcher)} == {b'"'}
