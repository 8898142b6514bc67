"""Budgets of tokens: texts are complete when they are spent, masks leave out what could not be completed, and no more
than is said."""

from __future__ import annotations

import itertools
import json
import random
import string
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
from bridle import Grammar
from bridle.automata import completion_kernels, frame_texts, shortest_texts, token_budget
from bridle.automata.table_kernels import LEAF
from budgets_by_search import Fewest
from oracle import allowed_tokens, vocabulary_of
from random_walks import MIXED
from schema_strategies import FOCI, schemas
from vocabularies import byte_level

LARK = Path(__file__).parent.parent / "examples" / "grammars"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
NODE = {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#"}}, "required": ["v"]}
SCHEMAS: list[Any] = [
    PERSON,
    {},
    NODE,
    {"type": "object", "required": ["a", "b"], "properties": {"é\n": {}, "b": {"type": "array"}}},
    {"type": "array", "minItems": 3, "items": {"enum": ["red", "green", 12]}},
    {"type": "array", "prefixItems": [{"type": "null"}, {"type": "string"}], "items": {"$ref": "#"}, "minItems": 2},
    {"type": "object", "minProperties": 3},
    {"type": "object", "minProperties": 2, "maxProperties": 2, "properties": {"x": {"const": 1}, "y": {"const": 2}}},
    {"type": "string", "minLength": 7, "maxLength": 9},
    {"type": "string", "pattern": "^[a-z]{3,5}@x", "maxLength": 12},
    {"type": "object", "patternProperties": {"^a+$": {"type": "integer"}}, "additionalProperties": False,
     "minProperties": 2},
    {"type": "object", "patternProperties": {"^[ab]$": {"type": "integer"}}, "additionalProperties": False,
     "minProperties": 2},
    {"anyOf": [{"type": "object", "required": ["x"]}, {"properties": {"kind": {"const": "k"}}, "required": ["kind"]}]},
    {"type": "array", "uniqueItems": True, "items": {"type": "string"}, "minItems": 3},
    {"type": "string", "format": "date-time"},
    {"type": "array", "contains": {"const": 5}, "minContains": 2},
    {"oneOf": [{"type": "integer", "multipleOf": 7, "minimum": 100}, {"type": "array", "items": {"type": "boolean"}}]},
]  # fmt: skip
EXPRESSIONS = 'root ::= expr\nexpr ::= term ("+" term)*\nterm ::= [0-9]+ | "(" expr ")"'
AMBIGUOUS = 'root ::= s\ns ::= "a" s "b" | "a" s "c" | "d"'
OTHERS = {
    "expressions": lambda: Grammar.from_ebnf(EXPRESSIONS),
    "ambiguous": lambda: Grammar.from_ebnf(AMBIGUOUS),
    "regex": lambda: Grammar.from_regex("(ab|c)*d{3}"),
    "choices": lambda: Grammar.from_choices(["alpha", "beta"], then=lambda path: ["x"] if len(path) < 3 else None),
    "spans": lambda: Grammar.from_substring("the quick brown fox", by="word"),
    "free text": lambda: Grammar.free_text("</t>") + "</t>!",
    "arithmetic": lambda: Grammar.from_lark((LARK / "arithmetic.lark").read_text()),
}


@cache
def compiled(schema: str, *, wide: bool = False, **options: Any) -> bridle.Compiled:
    """A schema, or one of OTHERS, by name."""
    grammar = OTHERS[schema]() if schema in OTHERS else Grammar.from_json_schema(schema, **options)
    return bridle.compile(grammar, byte_level() if wide else MIXED)


def walk(matcher: bridle.Matcher, rng: random.Random) -> None:
    """Takes any tokens that masks allow, until the budget is spent or the text has ended."""
    while not matcher.is_terminated() and matcher.remaining_tokens:
        allowed = sorted(allowed_tokens(matcher))
        assert allowed, (matcher.text(), matcher.remaining_tokens)
        assert matcher.accept_token(rng.choice(allowed))


# What is promised.


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", [*map(json.dumps, SCHEMAS), *OTHERS])
def test_every_text_is_complete_when_the_budget_is_spent(name, wide):
    grammar = compiled(name, wide=wide)
    least = bridle.Matcher(grammar).least_tokens()
    rng = random.Random(1)
    for extra in (0, 0, 0, 1, 2, 3, 5, 8, 13, 21):
        matcher = bridle.Matcher(grammar, max_tokens=least + extra)
        walk(matcher, rng)
        assert matcher.is_terminated(), (least + extra, matcher.text())


@pytest.mark.parametrize("options", [{"property_order": "any"}, {"indent": 2}, {"whitespace": "compact"}])
@pytest.mark.parametrize("schema", SCHEMAS[:8], ids=json.dumps)
def test_every_text_is_complete_in_other_layouts_and_orders(schema, options):
    grammar = compiled(json.dumps(schema), **options)
    least = bridle.Matcher(grammar).least_tokens()
    rng = random.Random(2)
    for extra in (0, 1, 2, 5, 12):
        matcher = bridle.Matcher(grammar, max_tokens=least + extra)
        walk(matcher, rng)
        assert matcher.is_terminated(), (least + extra, matcher.text())


SMALL = vocabulary_of([*(bytes((b,)) for b in b'abcdx+()01[]{}":,'), b"ab", b"(0", b'""', b'":', b"0)", b"dd", b"bb"])
SMALL_GRAMMARS = {
    "expressions": Grammar.from_ebnf('root ::= e\ne ::= t ("+" t)?\nt ::= [01] | "(" e ")"'),
    "ambiguous": Grammar.from_ebnf(AMBIGUOUS),
    "regex": Grammar.from_regex("(ab|c)*d{3}"),
    "two ways": Grammar.from_regex("x{3}|abcd"),
    "object": Grammar.from_json_schema(
        {"type": "object", "properties": {"a": {"const": ""}, "b": {"enum": [0, 11]}}, "required": ["b"],
         "additionalProperties": False}, whitespace="compact"),
    "array": Grammar.from_json_schema({"type": "array", "items": {"enum": [0, "a", [1]]}, "minItems": 2}, indent=None),
    "choices": Grammar.from_choices(["abc", "abd", "x"], then=lambda path: ["0", "dd"] if len(path) < 2 else None),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL_GRAMMARS)
def test_masks_leave_out_what_could_not_be_completed(name):
    grammar = bridle.compile(SMALL_GRAMMARS[name], SMALL)
    fewest = Fewest(longest=9)
    least = fewest.of(bridle.Matcher(grammar))
    bound = bridle.Matcher(grammar).least_tokens()
    assert least <= bound <= least + 2
    rng = random.Random(3)
    for budget in range(bound, bound + 4):
        matcher, ordinary = bridle.Matcher(grammar, max_tokens=budget), bridle.Matcher(grammar)
        while not matcher.is_terminated():
            allowed = allowed_tokens(matcher)
            everything = allowed_tokens(ordinary)
            assert allowed and allowed <= everything
            assert fewest.of(ordinary) <= matcher.least_tokens() <= matcher.remaining_tokens
            closing = matcher.closing_tokens()
            assert closing is None or closing >= matcher.least_tokens()
            for token in range(SMALL.size):
                assert matcher.fork().accept_token(token) == (token in allowed)
            for token in everything:
                after = ordinary.fork()
                after.accept_token(token)
                if token in allowed:
                    assert fewest.of(after) < matcher.remaining_tokens
                elif fewest.of(after) < fewest.longest:
                    # What is left out is at most two tokens from where it could be completed.
                    assert fewest.of(after) + 2 >= matcher.remaining_tokens
            token = rng.choice(sorted(allowed))
            assert matcher.accept_token(token) and ordinary.accept_token(token)


@pytest.mark.parametrize("name", [json.dumps(PERSON), json.dumps(NODE), "expressions", "choices"])
def test_a_budget_that_is_far_from_spent_changes_nothing(name):
    grammar = compiled(name)
    rng = random.Random(4)
    for _ in range(5):
        matcher, ordinary = bridle.Matcher(grammar, max_tokens=1000), bridle.Matcher(grammar)
        for _ in range(30):
            allowed = allowed_tokens(ordinary)
            assert allowed_tokens(matcher) == allowed
            token = rng.choice(sorted(allowed))
            assert matcher.accept_token(token) and ordinary.accept_token(token)
            if matcher.is_terminated():
                break


def test_planning_does_not_try_names_that_cannot_come_yet(monkeypatch):
    """In a declared name, with a required member missing, no other name can be closed: 3,907 closings were tried."""
    tried = []
    after = frame_texts.FrameTexts.after
    monkeypatch.setattr(frame_texts.FrameTexts, "after", lambda self, *at: tried.append(at) or after(self, *at))
    schema = {"type": "object", "properties": {"include": {"type": "null"}, "length": {}}, "required": ["length"]}
    matcher = bridle.Matcher(bridle.compile(Grammar.from_json_schema(schema), MIXED), max_tokens=60)
    for token in '{"inc':
        allowed_tokens(matcher)
        assert matcher.accept_bytes(token, tokens=1)
    assert 0 < len(tried) < 1000


@pytest.mark.parametrize("typed", ["", "a", "ab", "n"])
@pytest.mark.parametrize("closed", [False, True])
def test_other_names_are_the_shortest_that_may_be_closed_in_the_order_of_letters(typed, closed):
    schema = {"type": "object", "properties": {"a": {}, "n": {}, "ab": {}}, "required": ["ab"] if closed else []}
    machine = bridle.compile(Grammar.from_json_schema(schema, property_order="any"), MIXED).machine
    frames = frame_texts.FrameTexts(machine, frame_texts.LeafMemo(MIXED))
    (at,) = (state[:3] for state in frames.states(machine.step_bytes(machine.start, b'{"' + typed.encode())[0]))
    letters = string.ascii_lowercase + string.ascii_uppercase + string.digits
    texts = ("".join(some) + '"' for n in range(3) for some in itertools.product(letters, repeat=n))
    expected = [text.encode() for text in texts if frames.after(at, text.encode())]
    found = frames._other_names(at, frames.field(at[0], frame_texts.R_DESC), b"")
    assert [text for text, _ in found] == expected


def test_white_space_makes_no_states_of_its_own_in_planning():
    matcher = bridle.Matcher(compiled(json.dumps(PERSON)), max_tokens=60)
    for byte in '{"name":':
        allowed_tokens(matcher)
        assert matcher.accept_bytes(byte, tokens=1)
    machine = matcher.compiled.machine
    frames = frame_texts.FrameTexts(machine, frame_texts.LeafMemo(MIXED))
    known = list(machine.plans.texts.texts)
    assert known == [frames.without_space(key) for key in known]
    key = next(key for key in known if key[0] < LEAF and frames.without_space((key[0], 3, key[2])) == key)
    assert frames.alternatives(key) == frames.alternatives((key[0], 3, key[2]))


def test_masks_do_not_depend_on_what_was_asked_before():
    texts = []
    for warm in (False, True):
        grammar = bridle.compile(Grammar.from_json_schema(PERSON), MIXED)
        if warm:
            for extra in (40, 3, 7):
                walk(bridle.Matcher(grammar, max_tokens=20 + extra), random.Random(extra))
        rng = random.Random(5)
        matcher, seen = bridle.Matcher(grammar, max_tokens=22), []
        while not matcher.is_terminated():
            allowed = sorted(allowed_tokens(matcher))
            seen.append(allowed)
            matcher.accept_token(rng.choice(allowed))
        texts.append(seen)
    assert texts[0] == texts[1]


# At the start.


def test_a_budget_below_the_minimum_is_an_error_that_names_both_numbers():
    with pytest.raises(bridle.LimitError, match="14 given, 5 allowed") as caught:
        bridle.Matcher(compiled(json.dumps(PERSON)), max_tokens=5)
    assert (caught.value.given, caught.value.allowed) == (14, 5)


@pytest.mark.parametrize("tokens", [0, -3])
def test_a_budget_without_room_for_the_stop_token_is_an_error(tokens):
    with pytest.raises(ValueError, match=f"max_tokens is {tokens}"):
        bridle.Matcher(compiled("{}"), max_tokens=tokens)


WORDS = vocabulary_of([*(bytes((b,)) for b in b"informatx"), b"information"])


def test_a_budget_that_only_a_search_finds_a_text_for_is_warned_of_and_kept():
    grammar = bridle.compile(Grammar.from_regex("x{6}|information"), WORDS)
    assert bridle.Matcher(grammar).least_tokens() == 7  # of the shortest text
    with pytest.warns(UserWarning, match="max_tokens is 4: 7 are enough.*, and one of fewer was found") as w:
        matcher = bridle.Matcher(grammar, max_tokens=4)
    assert w[0].filename == __file__
    assert matcher.least_tokens() == 2
    assert allowed_tokens(matcher) == {WORDS.tokens.index(b"information")}
    walk(matcher, random.Random(0))
    assert matcher.is_terminated()
    with pytest.raises(bridle.LimitError, match="7 given, 1 allowed"):
        bridle.Matcher(grammar, max_tokens=1)


def test_a_budget_that_is_hard_to_judge_is_warned_of_and_bridles_nothing(monkeypatch):
    monkeypatch.setattr(token_budget, "_SCANS", 0)
    grammar = bridle.compile(Grammar.from_regex("x{9}"), WORDS)
    with pytest.warns(UserWarning, match="max_tokens is 4: 10 are enough for some text, and the text may be cut short"):
        matcher = bridle.Matcher(grammar, max_tokens=4)
    while matcher.remaining_tokens:
        assert allowed_tokens(matcher) == {WORDS.tokens.index(b"x")}
        assert matcher.accept_token(WORDS.tokens.index(b"x"))
    assert not matcher.is_terminated() and not matcher.accept_token(WORDS.tokens.index(b"x"))


def test_completions_of_wildly_ambiguous_rules_meet_a_counted_limit(monkeypatch):
    monkeypatch.setattr(shortest_texts, "_MOST_STEPS", 2000)
    source = r"""root ::= (w? "b" | [ \t]{1,3} [^"] ("ab" [0-9]+ "."?)* | root x){2} [ab]{2} [^)]
            | [^"]{2,} | x* w+ w " "?
        w ::= [ ]? (root? "ab" [^)]? ("" [a-z]+)+){2} ("." w "if" ([ \t]{2} root x+ [ ]{2,})* | "a"*)?
        x ::= " "? (([a-z_]+ | root* [a-z]+ [ab]+)* "=" ([^a]* [a-z]+ [ \t]* "b" | [a-z_] [a-z]*)+)+ w"""
    grammar = bridle.compile(Grammar.from_ebnf(source), byte_level())
    with pytest.raises(bridle.LimitError, match=r"steps to the shortest completion .* given, 2000 allowed"):
        allowed_tokens(bridle.Matcher(grammar, max_tokens=40))


# Steps.


def test_rollback_fork_and_reset_keep_their_budgets():
    grammar = compiled(json.dumps(PERSON))
    rng = random.Random(6)
    for _ in range(10):
        matcher = bridle.Matcher(grammar, max_tokens=20)
        past = [(matcher.remaining_tokens, allowed_tokens(matcher))]
        while not matcher.is_terminated():
            matcher.accept_token(rng.choice(sorted(past[-1][1])))
            past.append((matcher.remaining_tokens, allowed_tokens(matcher)))
        twin = matcher.fork()
        for state in reversed(past[:-1]):
            matcher.rollback(1)
            assert (matcher.remaining_tokens, allowed_tokens(matcher)) == state
        assert twin.is_terminated() and twin.remaining_tokens == past[-1][0]
        twin.reset()
        assert (twin.remaining_tokens, allowed_tokens(twin)) == past[0]


def test_validate_tokens_counts_them():
    grammar = compiled(json.dumps(PERSON))
    tokens = list(MIXED.tokens)
    text = [tokens.index(part) for part in (b'{"', b"n", b"a", b"m", b"e", b'":', b'"', b"x", b"y", b"z")]
    assert bridle.Matcher(grammar, max_tokens=100).validate_tokens(text) == len(text)
    matcher = bridle.Matcher(grammar, max_tokens=17)
    n = matcher.validate_tokens(text)
    assert n == 7 and matcher.remaining_tokens == 17
    for token in text[:n]:
        assert token in allowed_tokens(matcher) and matcher.accept_token(token)
    assert text[n] not in allowed_tokens(matcher) and not matcher.accept_token(text[n])
    assert matcher.remaining_tokens == 17 - n


def test_text_from_outside_costs_what_it_is_said_to():
    grammar = compiled(json.dumps(PERSON))
    matcher = bridle.Matcher(grammar, max_tokens=20)
    assert matcher.accept_bytes(b'{"name":"') and matcher.remaining_tokens == 20
    assert matcher.accept_bytes("Ada", tokens=2) and matcher.remaining_tokens == 18
    walk(matcher, random.Random(7))
    assert matcher.is_terminated()
    # Beyond what there is room for, nothing is left out: the text will be cut short, and says so.
    matcher = bridle.Matcher(grammar, max_tokens=20)
    assert matcher.accept_bytes(b'{"name":"', tokens=17)
    assert matcher.least_tokens() > matcher.remaining_tokens == 3
    ordinary = bridle.Matcher(grammar)
    ordinary.accept_bytes(b'{"name":"')
    assert allowed_tokens(matcher) == allowed_tokens(ordinary)


def test_closing_tokens_are_told_where_no_search_is_needed():
    matcher = bridle.Matcher(bridle.compile(Grammar.from_json_schema(PERSON), byte_level()))
    assert matcher.closing_tokens() >= matcher.least_tokens()
    assert matcher.accept_bytes('{"name": "a", "age": 3')
    assert matcher.closing_tokens() == matcher.least_tokens() == 2
    assert matcher.accept_bytes("}") and matcher.accept_token(matcher.compiled.vocabulary.stop_token_ids[0])
    assert matcher.closing_tokens() == 0
    greedy = bridle.compile(Grammar.from_lark('start: "a" /[b-z]+/'), byte_level())
    assert bridle.Matcher(greedy).closing_tokens() is None


def test_least_tokens_needs_no_budget():
    matcher = bridle.Matcher(compiled("regex"))
    assert matcher.remaining_tokens is None and matcher.least_tokens() == 4
    for part, left in ((b"ab", 4), (b"d", 3), (b"dd", 1)):
        assert matcher.accept_bytes(part) and matcher.least_tokens() == left
    assert matcher.accept_token(MIXED.stop_token_ids[0]) and matcher.least_tokens() == 0


def test_special_tokens_count_as_one_each():
    tokens = [bytes((b,)) for b in range(32, 127)] + [b"", b"", b""]
    vocabulary = bridle.Vocabulary(tokens, stop_token_ids=97, special_tokens={"<a>": 95, "<b>": 96, "</s>": 97})
    grammar = bridle.compile(
        Grammar.from_ebnf('root ::= <a> !</s>* <b> "x" rest\nrest ::= <a> rest | "" | [a-z]+ <b>'), vocabulary
    )
    assert bridle.Matcher(grammar).least_tokens() == 4
    rng = random.Random(8)
    for budget in (4, 4, 5, 6, 9):
        matcher = bridle.Matcher(grammar, max_tokens=budget)
        walk(matcher, rng)
        assert matcher.is_terminated()


def test_budgets_go_on_when_the_grammar_changes_over_to_another_machine(tmp_path):
    grammar = bridle.compile(Grammar.from_json_schema(PERSON), MIXED)
    matchers = [bridle.Matcher(grammar, max_tokens=n) for n in (15, 20, 25)]
    for matcher in matchers:
        assert matcher.accept_bytes(b'{"', tokens=1)
    before = [allowed_tokens(matcher) for matcher in matchers]
    grammar.precompute()
    assert [allowed_tokens(matcher) for matcher in matchers] == before
    grammar.save(tmp_path / "person")
    loaded = bridle.load(tmp_path / "person", MIXED)
    for matcher, mask in zip(matchers, before, strict=True):
        again = bridle.Matcher(loaded, max_tokens=matcher.remaining_tokens + 1)
        assert again.accept_bytes(b'{"', tokens=1) and allowed_tokens(again) == mask
        walk(again, random.Random(9))
        walk(matcher, random.Random(9))
        assert again.is_terminated() and matcher.is_terminated()


@pytest.mark.parametrize("question", ["mask", "accept", "bytes", "least", "slowly", "only"])
def test_whatever_is_asked_first_on_another_machine_is_answered_there(question):
    """Configurations of the machine before are numbered otherwise."""
    grammar = bridle.compile(Grammar.from_json_schema(PERSON), MIXED)
    for seed in range(8):
        rng = random.Random(seed)
        matcher = bridle.Matcher(grammar, max_tokens=18)
        for _ in range(seed + 2):
            matcher.accept_token(rng.choice(sorted(allowed_tokens(matcher))))
        allowed, least = allowed_tokens(matcher), matcher.least_tokens()
        only, token = matcher.only_token(), min(allowed)
        twin = matcher.fork()
        assert twin.accept_token(token)
        after = allowed_tokens(twin)
        grammar.precompute(states=30 + seed)
        assert grammar.machine is not matcher._machine
        if question == "mask":
            assert allowed_tokens(matcher) == allowed
        elif question == "least":
            assert matcher.least_tokens() == least
        elif question == "only":
            assert matcher.only_token() == only
        elif question == "slowly":
            assert not matcher.closes_slowly
        elif question == "bytes":
            assert matcher.accept_bytes(b"") and allowed_tokens(matcher) == allowed
        else:
            assert matcher.accept_token(token) and allowed_tokens(matcher) == after
            assert matcher.is_accepting() == twin.is_accepting()
        walk(matcher, rng)
        assert matcher.is_terminated()


def test_batches_keep_each_matcher_within_its_own_budget():
    grammar = compiled(json.dumps(PERSON))
    matchers = [bridle.Matcher(grammar, max_tokens=n) for n in (14, 16, 90)] + [bridle.Matcher(grammar)]
    rng = random.Random(10)
    bitmask = bridle.allocate_token_bitmask(len(matchers), MIXED.size)
    for _ in range(14):
        for _ in range(2):
            bridle.fill_next_token_bitmasks(matchers, bitmask)
            bits = np.unpackbits(bitmask.view(np.uint8), axis=1, bitorder="little")
            for matcher, row in zip(matchers, bits, strict=True):
                assert set(np.flatnonzero(row).tolist()) == allowed_tokens(matcher)
        for matcher in matchers:
            matcher.accept_token(rng.choice(sorted(allowed_tokens(matcher))))
    assert matchers[0].is_terminated()


def test_explain_says_that_too_few_tokens_are_left():
    matcher = bridle.Matcher(compiled(json.dumps(PERSON)), max_tokens=15)
    ordinary = bridle.Matcher(matcher.compiled)
    assert matcher.accept_token(MIXED.tokens.index(b'{"')) and ordinary.accept_bytes('{"name')
    assert matcher.accept_bytes("name", tokens=4)
    allowed = allowed_tokens(matcher)
    assert all((matcher.explain(token) is None) == (token in allowed) for token in range(MIXED.size))
    left_out = sorted(allowed_tokens(ordinary) - allowed)
    assert left_out and all("with the 9 tokens that are left" in matcher.explain(k).reason for k in left_out)


# Many schemas.


@pytest.mark.parametrize("focus", sorted(FOCI))
def test_texts_of_any_schema_are_complete_within_their_budgets(focus):
    @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(schemas(focus=focus), st.randoms(use_true_random=False))
    def check(schema, rng):
        complete_within_budgets(schema, rng)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("focus", sorted(FOCI))
def test_texts_of_many_schemas_are_complete_within_their_budgets(focus):
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(schemas(focus=focus), st.randoms(use_true_random=False))
    def check(schema, rng):
        complete_within_budgets(schema, rng)

    check()


def complete_within_budgets(schema: Any, rng: random.Random) -> None:
    try:
        grammar = bridle.compile(Grammar.from_json_schema(schema, property_order=rng.choice(["schema", "any"])), MIXED)
    except bridle.BridleError:
        return
    least = bridle.Matcher(grammar).least_tokens()
    for extra in (0, 1, 4, 12):
        matcher = bridle.Matcher(grammar, max_tokens=least + extra)
        walk(matcher, rng)
        assert matcher.is_terminated(), (schema, least + extra, matcher.text())


# Kernels.


@pytest.mark.parametrize("pattern", ["a*bc|d", "[a-f]{2,5}é", "(x|yy)*z", "(?:ab)+c?"])
def test_leaf_distances_are_those_of_a_breadth_first_search(pattern):
    dfa = bridle.Regex(pattern).dfa
    vocabulary = byte_level()
    grammar = bridle.compile(Grammar.from_regex(pattern), vocabulary)
    machine = grammar.machine
    row = machine.store.leaf(dfa)
    out = np.zeros(dfa.n_states - 1, np.int32)
    weights = np.ones(256, np.int32)
    weights[ord("c")] = 5
    completion_kernels.leaf_distances(machine.address, row - (1 << 24), weights, out)
    naive = np.where(dfa.accepting[1:] != 0, 0, completion_kernels.FAR)
    for _ in range(dfa.n_states):
        for state in range(1, dfa.n_states):
            for byte in np.flatnonzero(dfa.transitions[state]).tolist():
                there = naive[dfa.transitions[state, byte] - 1] + weights[byte]
                naive[state - 1] = min(naive[state - 1], there)
    assert out.tolist() == naive.tolist()


def test_sparse_distances_are_those_of_a_breadth_first_search():
    # abc, abd, b: and from state 3 on a way back to 1.
    first, label = np.array([0, 2, 3, 5, 6, 6], np.int32), np.frombuffer(b"abbcda", np.uint8)
    target, accepting = np.array([1, 4, 2, 3, 4, 1], np.int32), np.array([0, 0, 0, 0, 1], np.uint8)
    out, weights = np.zeros(5, np.int32), np.ones(256, np.int32)
    completion_kernels.sparse_distances(first, label, target, accepting, weights, out)
    assert out.tolist() == [1, 2, 1, 3, 0]
    weights[ord("b")] = 5
    completion_kernels.sparse_distances(first, label, target, accepting, weights, out)
    assert out.tolist() == [5, 6, 1, 7, 0]


COUNTED = [
    {"type": "string", "minLength": 4, "maxLength": 6},
    {"type": "string", "minLength": 3, "pattern": "^(é|x)*$", "maxLength": 3},
    {"type": "string", "pattern": "^([0-9]{2}-){3,5}$"},
    {"type": "string", "pattern": "^a{2,}b?$", "minLength": 5},
]


@pytest.mark.parametrize("schema", COUNTED, ids=json.dumps)
def test_texts_of_counted_strings_are_the_shortest(schema):
    machine = compiled(json.dumps(schema), wide=True).machine
    rng = random.Random(11)
    for _ in range(6):
        ref = machine.start
        for _ in range(8):
            with machine.store.lock:
                texts = token_budget.Plans(machine, byte_level()).texts
                text = texts.completion(ref)
            assert text == texts.read_completion(ref) and len(text) == _fewest_bytes(machine, ref)
            allowed = np.flatnonzero(machine.next_bytes(ref)[:256]).tolist()
            if not allowed:
                break
            ref, _ = machine.step_bytes(ref, bytes((rng.choice(allowed),)))


def _fewest_bytes(machine: Any, ref: int) -> int:
    layer, seen, n = [ref], {ref}, 0
    while not any(machine.may_end(one) for one in layer):
        bytes_ = ((one, b) for one in layer for b in np.flatnonzero(machine.next_bytes(one)[:256]).tolist())
        layer = list({machine.step_bytes(one, bytes((b,)))[0] for one, b in bytes_} - seen)
        seen.update(layer)
        n += 1
    return n


@pytest.mark.parametrize("text", [b"", b"ab", b"abc", b"aaaa", b'"name": "the ing"', b"null, true", b"\x00\x01ab"])
def test_covers_take_the_fewest_tokens(text):
    vocabulary = byte_level()
    machine = bridle.compile(Grammar.from_regex("a"), vocabulary).machine
    costs, tokens = np.zeros(len(text) + 1, np.int32), np.zeros(len(text), np.int32)
    found = completion_kernels.cover_text(machine.address, np.frombuffer(text, np.uint8), costs, tokens)
    fewest = [0] + [len(text) + 1] * len(text)
    for end in range(1, len(text) + 1):
        for token in vocabulary.tokens:
            if token and text[:end].endswith(token):
                fewest[end] = min(fewest[end], fewest[end - len(token)] + 1)
    assert found == fewest[-1]
    ids, at = [], 0
    while at < len(text):
        ids.append(int(tokens[at]))
        at += len(vocabulary.tokens[ids[-1]])
    assert b"".join(vocabulary.tokens[k] for k in ids) == text and len(ids) == found


def test_a_scan_leads_where_steps_do():
    grammar = compiled(json.dumps(PERSON))
    matcher = bridle.Matcher(grammar)
    for part in (b"", b'{"', b"name", b'":"', b"x", b'","', b"age"):
        assert not part or matcher.accept_bytes(part)
        machine = matcher._machine
        with machine.store.lock:
            tokens, numbers, refs = token_budget.Plans(machine, MIXED)._scan(matcher._ref)
        found = dict(zip(tokens.tolist(), refs[numbers].tolist(), strict=True))
        stepped = {token: machine.step(matcher._ref, token) for token in allowed_tokens(matcher)}
        assert found == stepped
