"""How large a pattern's automaton is at the most, against the automata."""

from __future__ import annotations

import random

import pytest

import bridle
from bridle.automata.regular import compile_regular
from bridle.grammar.json_text import json_spelled
from bridle.grammar.regex_size import most_states
from bridle.grammar.regex_syntax import fullmatch_language, parse
from bridle.grammar.schema_strings import is_plainly_small

DETERMINISTIC = [
    "^[A-Za-z]+( [A-Za-z]+){0,30}$", "^[A-Z]{2,4}-[0-9]{1,6}(/[a-z]{0,80})?$", "^a{3}(ba{2,5})*$", "^(a|b|cd)?e*$",
    "^$", "^[^x]{2}x[^x]*$", "^é{1,40}[ö-ü]?$", "^(a(b(c|d){0,9}){0,9}){0,9}$", "^[a-f0-9]{64}$", "^[^\\n]*$",
    "^(?:😀|é|[0-9])*$", "^[\\u0400-\\u04ff]{1,20}( [\\u0400-\\u04ff]{1,20}){0,3}$",
]  # fmt: skip
OTHERS = [
    "^(a|b)*a(a|b){20}$", "^a*a$", "a", "^a", "a$", "^(a?){3}$", "^(ab|ac)$", "^(?=a)a$", "^a{1,3}a$", "^\\ba$",
    "^(a*)*$", "^(^a)$", "^[ab]?[bc]$",
]  # fmt: skip


def sizes(pattern: str) -> list[int]:
    values = compile_regular(fullmatch_language(pattern, "ecma"))
    return [values.n_states, json_spelled(values).n_states]


@pytest.mark.parametrize("pattern", DETERMINISTIC)
def test_a_deterministic_pattern_has_no_more_states_than_told(pattern):
    most = most_states(parse(pattern, "ecma"))
    assert most is not None
    assert max(sizes(pattern)) <= most


@pytest.mark.parametrize("pattern", OTHERS)
def test_of_other_patterns_nothing_is_told(pattern):
    assert most_states(parse(pattern, "ecma")) is None


def drawn(rng: random.Random, depth: int) -> str:
    """A pattern without anchors."""
    kind = rng.random()
    if depth == 0 or kind < 0.35:
        return rng.choice("abcdxyzéß") if rng.random() < 0.7 else rng.choice(["[a-c]", "[^a-m]", "[à-ü]", "."])
    if kind < 0.6:
        return "".join(drawn(rng, depth - 1) for _ in range(rng.randrange(1, 4)))
    if kind < 0.75:
        return "(" + "|".join(drawn(rng, depth - 1) for _ in range(2)) + ")"
    return f"({drawn(rng, depth - 1)})" + rng.choice(["?", "*", "+", "{2}", "{0,3}", "{2,4}", "{3,}"])


def test_drawn_patterns_have_no_more_states_than_told():
    rng = random.Random(5)
    told = 0
    for _ in range(1500):
        pattern = f"^{drawn(rng, 4)}$"
        most = most_states(parse(pattern, "ecma"))
        if most is not None:
            told += 1
            assert max(sizes(pattern)) <= most, pattern
    assert told > 300


def test_a_small_pattern_is_not_compiled_before_it_is_reached(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("compiled early")

    monkeypatch.setattr("bridle.grammar.schema_scan.string_target", refuse)
    bridle.Grammar.from_json_schema({"type": "string", "pattern": "^[A-Za-z]+( [A-Za-z]+){0,31}$"})
    with pytest.raises(AssertionError, match="compiled early"):
        bridle.Grammar.from_json_schema({"type": "string", "pattern": "^(a|b)*a(a|b){19}$"})


def test_large_patterns_are_not_small():
    assert is_plainly_small("^[a-z]{1,90}$") and is_plainly_small("^[a-z]{1,5000}$")  # a number tells the length
    assert not is_plainly_small("^([a-z]{1,90} ){1,90}$")
    assert not is_plainly_small("^(a|b)*a(a|b){19}$")
