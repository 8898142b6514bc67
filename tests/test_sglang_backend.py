"""bridle as a grammar backend of SGLang, driven by stand-ins of its classes and loops (sglang_standins.py).

Where SGLang's distribution is installed, its own base classes take part as a third generation:

    pip install --no-deps --target DIR sglang     # and what it then misses when its base classes are imported
    PYTHONPATH=DIR python -m pytest tests/test_sglang_backend.py
"""

from __future__ import annotations

import importlib
import json
import logging
import random
import re
import subprocess
import sys
from importlib.metadata import entry_points
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import bridle
from bridle.integrations.sglang import register
from bridle.integrations.sglang.vocab_masks import allocate_mask, filter_tokens, move_mask
from sglang_standins import (
    BASE,
    GENERATIONS,
    INSTALLED,
    NEW,
    OLD,
    GrammarRow,
    accept_run,
    base_module,
    choices_module,
    installed,
    jump_forward,
    sglang,
    step_mask,
    verify_tree,
)
from tiny_models import EOS, tokenizer

PERSON = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)
ARITHMETIC = 'root ::= term ("+" term)*\nterm ::= [0-9]+ | "(" root ")"'
CALLS = {
    "type": "structural_tag",
    "structures": [{"begin": "<call>", "schema": {"type": "integer"}, "end": "</call>"}],
    "triggers": ["<call>"],
}
WIDTH = 3  # more columns than the tokenizer has tokens, as models pad theirs


@pytest.fixture(scope="module", params=GENERATIONS)
def at(request):
    """An SGLang of one time with a backend as a scheduler would have made it: `at.backend_`, `at.size`."""
    with sglang(request.param) as found:
        found.size = len(tokenizer()) + WIDTH
        found.backend_ = found.registration.create_backend(arguments(), tokenizer(), found.size, {EOS})
        yield found


def arguments(**settings):
    return SimpleNamespace(**{"grammar_backend": "bridle", "reasoning_parser": None, **settings})


def requested(at, kind, text):
    """A grammar as the scheduler comes by it: from the pool, then into the cache, and a copy of it from there."""
    key = (kind, text)
    value, is_hit = at.backend_.get_cached_or_future_value(key, False)
    if not is_hit:
        value = value.result(timeout=60)
        at.backend_.set_cache(key, value.copy())
    return value


def ids_of(text):
    return tokenizer().encode(text, add_special_tokens=False)


def accepted(at, kind, text, written):
    grammar = requested(at, kind, text)
    accept_run(grammar, ids_of(written))
    return grammar


def row_of(at, grammar):
    """bool[size]: the tokens that the grammar's mask allows."""
    return bits_of(step_mask([grammar], at.size, batched=False)[0], at.size)


def bits_of(row, size):
    """bool[size]: a row of a mask, bit by bit."""
    return np.array([bool(int(row[i // 32]) & (1 << (i % 32))) for i in range(size)])


def reference_row(matcher, size):
    mask = np.full((1, (size + 31) // 32), -1, np.int32)
    matcher.fill_reference_bitmask(mask)
    return bits_of(mask[0], size)


def drawn(at, grammar, seed, most=200):
    """A text drawn at random behind the grammar's masks, as SGLang's loop would; stops are taken when they may be."""
    draw, ids = random.Random(seed), []
    while not grammar.is_terminated() and len(ids) < most:
        allowed = np.flatnonzero(row_of(at, grammar)).tolist()
        token = EOS if EOS in allowed and draw.random() < 0.3 else draw.choice(allowed)
        ids += accept_run(grammar, [token])
    return tokenizer().decode([i for i in ids if i != EOS]), grammar.is_terminated()


# ---------------------------------------------------------------------------------------------- requests


def test_a_schema_is_kept(at):
    grammar = bridle.Grammar.from_json_schema(PERSON)
    for seed in range(4):
        text, is_complete = drawn(at, requested(at, "json", PERSON), seed)
        assert not is_complete or bridle.validate(grammar, text).ok, text


@pytest.mark.parametrize("text", ["[1, null]", '{"a": {}}', "-0.5"])
def test_any_json_is_any_value(at, text):
    grammar = accepted(at, "json", "$$ANY$$", text)
    assert row_of(at, grammar)[EOS]
    with pytest.raises(ValueError, match="is not allowed"):
        accepted(at, "json", "$$ANY$$", "nil")


@pytest.mark.parametrize("seed", range(3))
def test_an_expression_is_matched_as_a_whole(at, seed):
    text, is_complete = drawn(at, requested(at, "regex", r"[ab]{2}-[0-9]{1,3}"), seed)
    assert is_complete and re.fullmatch(r"[ab]{2}-[0-9]{1,3}", text), text


def test_ebnf_is_read(at):
    grammar = accepted(at, "ebnf", ARITHMETIC, "(1+22)+3")
    assert row_of(at, grammar)[EOS]
    accept_run(grammar, [EOS])
    assert grammar.is_terminated()


def test_an_agent_goes_on_with_its_trace(at):
    agent = {"agent": "react", "tools": {"add": {"type": "object"}}, "trace": "Question: 1 + 1?\nThought: it"}
    grammar = requested(at, "ebnf", f"%agent {json.dumps(agent)}")
    spec = bridle.AgentSpec.ready("react", tools=agent["tools"])
    matcher = bridle.Matcher(bridle.compile(spec.grammar, at.backend_.vocabulary))
    matcher.feed("1 + 1?")
    assert matcher.accept_bytes("\nThought: it") and matcher.text().decode() == agent["trace"]
    for again in (grammar, grammar.copy()):
        assert (row_of(at, again) == reference_row(matcher, at.size)).all()


def test_the_turns_of_an_agent_share_what_was_compiled(at):
    agent = {"agent": "react", "tools": {"add": {"type": "object"}}}
    turns = [
        requested(at, "ebnf", f"%agent {json.dumps({**agent, **more})}")
        for more in ({}, {"trace": "Question: 1 + 1?"}, {"trace": "Question: 1 + 1?\nThought: it"})
    ]
    assert len({id(turn._compiled) for turn in turns}) == 1


NEW_TAG = {
    "type": "structural_tag",
    "format": {
        "type": "tag",
        "begin": "<call>",
        "content": {"type": "json_schema", "json_schema": {"type": "integer"}},
        "end": "</call>",
    },
}


@pytest.mark.parametrize(
    ("tag", "text"), [(CALLS, "well <call>12</call> then"), (NEW_TAG, "<call>12</call>")], ids=["structures", "format"]
)
def test_structural_tags_of_both_forms_are_read(at, tag, text):
    assert row_of(at, accepted(at, "structural_tag", json.dumps(tag), text))[EOS]
    with pytest.raises(ValueError, match="is not allowed"):
        accepted(at, "structural_tag", json.dumps(tag), text.replace("12", "x"))


@pytest.mark.parametrize("tag", [CALLS, NEW_TAG], ids=["structures", "format"])
def test_a_tag_without_a_schema_admits_any_arguments(at, tag):
    free = json.loads(json.dumps(tag).replace('{"type": "integer"}', "null"))
    assert row_of(at, accepted(at, "structural_tag", json.dumps(free), '<call>{"a": [null]}</call>'))[EOS]


def test_a_null_within_a_schema_is_left_alone(at):
    schema = {"enum": [{"schema": None}]}
    tag = {**CALLS, "structures": [{"begin": "<call>", "schema": schema, "end": "</call>"}]}
    assert row_of(at, accepted(at, "structural_tag", json.dumps(tag), '<call>{"schema": null}</call>'))[EOS]


def test_white_space_is_that_of_json_dumps_where_the_server_says_so(at):
    settings = arguments(constrained_json_disable_any_whitespace=True)
    backend = at.registration.create_backend(settings, tokenizer(), at.size, {EOS})
    value = {"name": "Ada", "age": 36}
    for text, is_one in ((json.dumps(value), True), (json.dumps(value, indent=1), False)):
        grammar = backend.dispatch_json(PERSON)
        try:
            accept_run(grammar, ids_of(text))
        except ValueError:
            assert not is_one
        else:
            assert is_one and row_of(at, grammar)[EOS]


# ---------------------------------------------------------------------------------------------- what is refused

BAD = [
    ("json", '{"type": "strin"}', "strin"),
    ("json", '{"type": ', "JSON"),
    ("json", '{"$ref": "https://example.com/a"}', "example.com"),
    ("json", '{"type": "integer", "minimum": 2, "maximum": 1}', "at the root"),
    ("regex", "(a", "column"),
    ("ebnf", "root ::= missing", "missing"),
    ("ebnf", "%agent nobody", "nobody"),
    ("structural_tag", "[1]", "object"),
    ("structural_tag", '{"type": "structural_tag", "format": {"type": "nothing"}}', "nothing"),
    ("structural_tag", '{"null', "JSON"),
    ("structural_pattern_v3", "a", "structural_pattern_v3"),
]


def assert_refused(at, value, reason):
    if at.generation == OLD:
        assert value is at.base.INVALID_GRAMMAR_OBJ and value.grammar_stats is None
    else:
        assert isinstance(value, at.base.InvalidGrammarObject)
        assert reason in value.error_message
        assert value.grammar_stats.is_grammar_aborted


@pytest.mark.parametrize(("kind", "text", "reason"), BAD)
def test_a_malformed_grammar_is_an_invalid_one_with_its_reason(at, kind, text, reason):
    assert_refused(at, requested(at, kind, text), reason)
    assert_refused(at, requested(at, kind, text), reason)  # from the cache


def test_an_error_of_the_backend_itself_is_an_invalid_grammar_too(at, monkeypatch, caplog):
    def broken(self):
        raise ZeroDivisionError("by nobody's fault")

    monkeypatch.setattr(at.backend.GrammarRequest, "grammar", broken)
    assert_refused(at, requested(at, "regex", "no other test asks for this"), "by nobody's fault")
    assert "ZeroDivisionError" in caplog.text


def test_nesting_without_end_is_an_invalid_grammar(at):
    deep = '{"not":' * 100_000 + "{}" + "}" * 100_000
    reason = "recursion" if at.generation == INSTALLED else "nest"  # it looks into a schema before a backend does
    assert_refused(at, requested(at, "json", deep), reason)


def test_a_kind_that_the_base_class_fails_on_is_an_invalid_grammar(at, monkeypatch):
    def failing(self, key, *arguments):
        raise AttributeError("dispatch_structural_pattern")

    monkeypatch.setattr(at.base.BaseGrammarBackend, "_init_value_dispatch", failing)
    assert_refused(at, requested(at, "structural_pattern", "a"), "dispatch_structural_pattern")


def test_ebnf_of_a_whole_answer_is_ebnf(at):
    assert row_of(at, accepted(at, "full_assistant_ebnf", 'root ::= "ab"', "ab"))[EOS]


# ---------------------------------------------------------------------------------------------- framed answers


def framing(content, **thinking):
    """As AnswerFrame.structural_tag of SGLang: reasoning between tokens, if any, then the answer and a token."""
    begin, end = ({"type": "token", "token": token} for token in (0, 2))
    free = {"type": "any_tokens", "exclude_tokens": [2], **thinking}
    reasoning = {"type": "sequence", "elements": [begin, free, end]}
    elements = [{"type": "optional", "content": reasoning}, content, end]
    return {"type": "structural_tag", "format": {"type": "sequence", "elements": elements}}


def test_an_answer_is_compiled_within_the_frame_of_its_reasoning(at):
    framed = at.backend_.compile_framed_grammar(requested(at, "regex", "[0-9]+"), framing)
    for tokens in ([0, *ids_of("any thought"), 2, *ids_of("12"), 2], [*ids_of("12"), 2]):
        text = framed.copy()
        accept_run(text, tokens)
        assert np.flatnonzero(row_of(at, text)).tolist() == [EOS]
    with pytest.raises(ValueError, match="is not allowed"):
        accept_run(framed.copy(), [0, 2, *ids_of("x")])


def test_an_answer_that_cannot_be_framed_goes_without_its_frame(at, caplog):
    grammar = requested(at, "regex", "[0-9]+")
    assert at.backend_.compile_framed_grammar(grammar, lambda content: framing(content, max_tokens=9)) is None
    assert "cannot frame an answer" in caplog.text
    agent = {"agent": "react", "tools": {"add": {"type": "object"}}, "trace": "Question: 1 + 1?\nThought: it"}
    begun = requested(at, "ebnf", f"%agent {json.dumps(agent)}")
    assert at.backend_.compile_framed_grammar(begun, framing) is None


# ---------------------------------------------------------------------------------------------- cache and copies


def test_what_is_cached_is_copied_and_copies_are_independent(at):
    first = requested(at, "json", PERSON)
    start = row_of(at, first)
    accept_run(first, ids_of('{"name'))
    second = requested(at, "json", PERSON)
    third = first.copy()
    assert len({id(grammar) for grammar in (first, second, third)}) == 3
    assert (row_of(at, second) == start).all() and (row_of(at, third) == start).all()
    assert not (row_of(at, first) == start).all()
    accept_run(second, ids_of('{"'))
    first.rollback(1)
    assert (row_of(at, third) == start).all() and third.current_token is None
    assert second.current_token == ids_of('{"')[-1]


def test_copies_have_statistics_of_their_own(at):
    first = requested(at, "regex", "statistics")
    assert first.grammar_stats.dispatch_type == "regex"
    second = first.copy()
    second.grammar_stats.tree_traversal_time.append(1.0)
    assert second.grammar_stats.is_cache_hit and not first.grammar_stats.tree_traversal_time


def test_equal_requests_share_what_was_compiled_until_they_are_reset(at):
    together = [at.backend_.get_cached_or_future_value(("regex", "[a-f]+ together"), False)[0] for _ in range(8)]
    found = {id(future.result(timeout=60)._compiled) for future in together}
    assert len(found) == 1
    kept = accepted(at, "regex", "[a-f]+ together", "abc")
    at.backend_.reset()
    assert not at.backend_.cache
    assert id(requested(at, "regex", "[a-f]+ together")._compiled) not in found
    accept_run(kept, [*ids_of(" together"), EOS])
    assert kept.is_terminated()


def test_the_first_mask_is_made_before_the_scheduler_asks(at):
    grammar = at.backend_.dispatch_json('{"type": "object", "title": "not asked for before"}')
    mask = np.zeros((1, (at.size + 31) // 32), np.int32)
    assert grammar._matcher.fill_known_bitmask(mask)


# ---------------------------------------------------------------------------------------------- tokens


def test_masks_are_those_of_the_reference_along_a_text(at):
    grammar = requested(at, "json", PERSON)
    matcher = bridle.Matcher(grammar._compiled)
    for token in [*ids_of('{"name": "Ada", "age": 36}'), EOS]:
        assert (row_of(at, grammar) == reference_row(matcher, at.size)).all()
        grammar.accept_token(token)
        assert matcher.accept_token(token)
    assert grammar.is_terminated() and matcher.is_terminated()


def test_a_token_that_is_not_allowed_is_a_value_error_and_changes_nothing(at):
    grammar = accepted(at, "regex", "[0-9]+", "12")
    before = row_of(at, grammar)
    for token in (ids_of("x")[0], at.size - 1, at.size + 5):
        with pytest.raises(ValueError, match=f"token {token} is not allowed behind b'12'"):
            grammar.accept_token(token)
    assert (row_of(at, grammar) == before).all()
    accept_run(grammar, [*ids_of("3"), EOS])
    assert grammar.is_terminated()


def test_a_token_whose_refusal_cannot_be_explained_is_refused_all_the_same(at, monkeypatch):
    def limited(self, what):
        raise bridle.LimitError("states", 2, 1)

    grammar = accepted(at, "regex", "[0-9]+", "12")
    monkeypatch.setattr(bridle.Matcher, "explain", limited)
    with pytest.raises(ValueError, match="it may not come here"):
        grammar.accept_token(ids_of("x")[0])
    monkeypatch.undo()
    assert row_of(at, grammar).sum() > 1


def test_what_comes_behind_the_end_is_ignored_and_the_end_can_be_taken_back(at):
    grammar = accepted(at, "regex", "ab", "ab")
    grammar.accept_token(EOS)
    grammar.accept_token(EOS)
    grammar.accept_token(ids_of("x")[0])
    assert grammar.is_terminated() and grammar.try_jump_forward(tokenizer()) is None
    grammar.rollback(1)
    assert not grammar.is_terminated() and np.flatnonzero(row_of(at, grammar)).tolist() == [EOS]


def test_rollback_goes_back_to_any_earlier_mask(at):
    grammar, rows = requested(at, "json", PERSON), []
    tokens = ids_of('{"name": "Ada", "age": 36}')
    for token in tokens:
        rows.append(row_of(at, grammar))
        grammar.accept_token(token)
    for back in (1, 3, len(tokens) - 4):
        grammar.rollback(back)
        rows = rows[: len(rows) - back + 1]
        assert (row_of(at, grammar) == rows[-1]).all()
        rows = rows[:-1]
    with pytest.raises(ValueError, match="only 0 were accepted"):
        grammar.rollback(1)


def test_arguments_that_this_sglang_does_not_pass_are_taken(at):
    grammar = requested(at, "regex", "ab")
    mask = grammar.allocate_vocab_mask(at.size, 1, "cpu", "more", even=True)
    grammar.fill_vocab_mask(mask, 0, parallel=False)
    grammar.accept_token(ids_of("ab")[0], "more", even=True)
    grammar.rollback(1, commit=True)


# ---------------------------------------------------------------------------------------------- drafts

TREE = [  # token texts of a tree of drafts, with the index of the parent; the first was accepted before
    ("{", -1), ('"', 0), ("x", 0), ("name", 1), ("age", 1), ('"', 3), (":", 5), ("q", 5), ("]", 0),
]  # fmt: skip


def tree_of(texts):
    """(drafts, first children, next siblings)."""
    drafts = [ids_of(text)[0] for text, _ in texts]
    children, siblings, last = [-1] * len(texts), [-1] * len(texts), {}
    for i, (_, parent) in enumerate(texts):
        if parent >= 0:
            if parent in last:
                siblings[last[parent]] = i
            else:
                children[parent] = i
            last[parent] = i
    return drafts, children, siblings


def test_a_tree_of_drafts_has_the_masks_of_its_branches(at):
    drafts, children, siblings = tree_of(TREE)
    grammar = accepted(at, "json", PERSON, "{")
    before = row_of(at, grammar)
    mask = grammar.allocate_vocab_mask(vocab_size=at.size, batch_size=len(drafts), device="cpu")
    verify_tree(children, siblings, drafts, grammar, mask, at.size)
    assert (row_of(at, grammar) == before).all()
    accepted_drafts = 0
    for i in range(len(drafts)):
        branch, j = [], i
        while j > 0:
            branch, j = [drafts[j], *branch], TREE[j][1]
        matcher = bridle.Matcher(grammar._compiled)
        assert matcher.accept_token(drafts[0])
        if matcher.validate_tokens(branch) == len(branch):
            assert all(matcher.accept_token(token) for token in branch)
            assert (bits_of(mask[i], at.size) == reference_row(matcher, at.size)).all()
            accepted_drafts += 1
        else:
            assert (mask[i] == -1).all()
    assert 4 <= accepted_drafts < len(drafts)


def test_a_verified_run_ends_where_the_text_ends(at):
    grammar = requested(at, "regex", "ab")
    assert accept_run(grammar, [*ids_of("ab"), EOS, EOS, 7]) == [*ids_of("ab"), EOS]


# ---------------------------------------------------------------------------------------------- limits


class Limited:
    """Makes texts of a length, in steps, meet a limit; in the mask, or in accepting the token behind."""

    def __init__(self, monkeypatch, steps, in_masks):
        fill, accept = bridle.Matcher.fill_next_token_bitmask, bridle.Matcher.accept_token

        def fill_limited(matcher, bitmask, row=0):
            if matcher.n_steps == steps:
                bitmask[row] = 7  # what was written before the limit was met
                raise bridle.LimitError("states", 2, 1)
            return fill(matcher, bitmask, row)

        def accept_limited(matcher, token):
            if matcher.n_steps == steps:
                raise bridle.LimitError("states", 2, 1)
            return accept(matcher, token)

        name, replaced = ("fill_next_token_bitmask", fill_limited) if in_masks else ("accept_token", accept_limited)
        monkeypatch.setattr(bridle.Matcher, name, replaced)


@pytest.mark.parametrize("in_masks", [True, False])
def test_a_text_that_meets_a_limit_is_ended_and_logged(at, monkeypatch, caplog, in_masks):
    grammar = requested(at, "regex", f"[a-z]{{9}}{'' if in_masks else '?'}")
    letters = [ids_of(letter)[0] for letter in "abcdef"]
    accept_run(grammar, letters[:2])
    rows = [row_of(at, grammar)]
    Limited(monkeypatch, 3, in_masks)
    monkeypatch.setattr(bridle.Matcher, "forced_bytes", lambda self: b"forced")
    with caplog.at_level(logging.WARNING):
        accept_run(grammar, letters[2 : 3 if in_masks else 4])
        for _ in range(2):
            assert np.flatnonzero(row_of(at, grammar)).tolist() == [EOS]
    assert caplog.text.count("limit states exceeded") == 1
    assert not grammar.is_terminated() and grammar.try_jump_forward(tokenizer()) is None
    with pytest.raises(ValueError, match="the text was ended"):
        grammar.accept_token(letters[0])
    grammar.accept_token(EOS)
    assert grammar.is_terminated()
    grammar.rollback(1)
    assert not grammar.is_terminated() and np.flatnonzero(row_of(at, grammar)).tolist() == [EOS]
    grammar.rollback(1 if in_masks else 2)
    assert (row_of(at, grammar) == rows[0]).all()
    assert row_of(at, grammar.copy()).sum() > 1


def test_a_limit_in_one_branch_of_a_tree_leaves_the_others(at, monkeypatch):
    grammar = requested(at, "regex", "[a-z]{9}")
    letters = [ids_of(letter)[0] for letter in "abcd"]
    expected = row_of(at, accepted(at, "regex", "[a-z]{9}", "a"))
    Limited(monkeypatch, 2, in_masks=True)
    mask = grammar.allocate_vocab_mask(at.size, 4, "cpu")
    accept_run(grammar, letters[:1])
    verify_tree([1, 2, -1, -1], [-1, 3, -1, -1], letters, grammar, mask, at.size)
    assert (bits_of(mask[0], at.size) == expected).all()
    assert all(np.flatnonzero(bits_of(mask[i], at.size)).tolist() == [EOS] for i in (1, 3))
    assert (mask[2] == -1).all()
    assert (row_of(at, grammar) == expected).all()


def test_a_limit_of_the_grammar_itself_ends_the_text(at):
    compiled = bridle.compile(
        bridle.Grammar.from_json_schema(PERSON), at.backend_.vocabulary, limits=bridle.Limits(states=3)
    )
    grammar = at.constrained_text.BridleGrammar(compiled)
    text, is_complete = drawn(at, grammar, 1)
    assert is_complete and grammar._fault is not None and not bridle.validate(compiled.grammar, text).ok


def test_a_grammar_whose_first_mask_meets_a_limit_is_refused(at, monkeypatch):
    Limited(monkeypatch, 0, in_masks=True)
    assert_refused(at, requested(at, "regex", "refused before it begins"), "limit states exceeded")


# ---------------------------------------------------------------------------------------------- jump-forward

FORCED = '{"first name": "A", "last name": "[a-z]{2}", "città": "München è bella"}'
PROMPT = "Describe it:\n"


def test_what_a_jump_adds_is_what_is_forced(at):
    pattern = FORCED.replace("{", "\\{", 1).replace("}", "\\}").replace("{2\\}", "{2}")
    grammar, output, jumped = requested(at, "regex", pattern), [], ""
    naive = bridle.Matcher(grammar._compiled)
    while not grammar.is_terminated():
        written = tokenizer().decode(output)
        forced = naive.forced_bytes().decode()
        new = jump_forward(grammar, tokenizer(), PROMPT, output)
        assert (new is not None) == bool(forced)
        if new is not None:
            assert tokenizer().decode(new) == written + forced and forced
            output, jumped = new, jumped + forced
        token = ids_of("b")[0] if not row_of(at, grammar)[EOS] else EOS
        accept_run(grammar, [token])
        output = [*output, token]
        naive.reset()
        assert all(naive.accept_token(i) for i in output)
        if not grammar.is_terminated():
            assert (row_of(at, grammar) == reference_row(naive, at.size)).all()
    assert jumped == FORCED.replace("[a-z]{2}", "")


def test_tokens_are_repaired_from_the_first_that_differs_on(at):
    grammar = requested(at, "regex", '"[a-z ]+ name": [0-9]+')
    old = [ids_of(letter)[0] for letter in '"the']
    accept_run(grammar, old)
    new = ids_of('"the first name": 12')
    grammar.jump_and_retokenize(old, new, -1)
    matcher = bridle.Matcher(grammar._compiled)
    assert all(matcher.accept_token(token) for token in new)
    assert (row_of(at, grammar) == reference_row(matcher, at.size)).all()
    shorter = ids_of('"th')
    grammar.jump_and_retokenize(new, shorter, -1)
    assert grammar._matcher.text() == b'"th'


def test_a_repair_that_is_no_text_of_the_grammar_changes_nothing(at):
    grammar = accepted(at, "regex", "[0-9]+", "12")
    before = row_of(at, grammar)
    with pytest.raises(ValueError, match="is not allowed"):
        grammar.jump_and_retokenize(ids_of("12"), ids_of("3x"), -1)
    assert grammar._matcher.text() == b"12" and (row_of(at, grammar) == before).all()
    assert grammar.current_token == ids_of("12")[-1]


def test_nothing_is_jumped_over_within_a_character(at):
    vocabulary = bridle.Vocabulary([b"\xc3", b"\xa9", b"a", b""], stop_token_ids=3)
    grammar = at.constrained_text.BridleGrammar(bridle.compile(bridle.Grammar.from_regex("éa|èb"), vocabulary))
    assert grammar.try_jump_forward(None) is None  # the first byte of two characters is no text
    accept_run(grammar, [0])
    assert grammar.try_jump_forward(None) is None
    accept_run(grammar, [1])
    assert grammar.try_jump_forward(None) == ([], "a")
    one = at.constrained_text.BridleGrammar(bridle.compile(bridle.Grammar.from_regex("éa"), vocabulary))
    accept_run(one, [0])
    assert one._matcher.forced_bytes() == b"\xa9a" and one.try_jump_forward(None) is None


# ---------------------------------------------------------------------------------------------- masks


def test_masks_are_as_wide_as_the_logits_and_allow_everything_at_first(at):
    grammar = requested(at, "json", PERSON)
    for maker in (grammar, at.backend_):
        mask = maker.allocate_vocab_mask(at.size, 3, "cuda")
        assert mask.dtype == torch.int32 and mask.device.type == "cpu"
        assert mask.shape == (3, (at.size + 31) // 32) and (mask == -1).all()
    grammar.fill_vocab_mask(mask, 1)
    assert (mask[[0, 2]] == -1).all() and not bits_of(mask[1], at.size)[len(tokenizer()) :].any()
    grammar.reset_vocab_mask(mask)
    assert (mask == -1).all()


def test_a_batch_in_one_call_is_the_batch_row_by_row(at, monkeypatch):
    texts = ["", "{", '{"name', '{"name": "A', '{"name": "Ada", "age": 3', '{"name": "Ada", "age": 36}']
    grammars = [accepted(at, "json", PERSON, text) for text in texts]
    grammars += [None, requested(at, "regex", "[a-z]+ of their own"), accepted(at, "regex", "ab", "ab")]
    grammars[-1].accept_token(EOS)
    grammars.append(accepted(at, "regex", "[a-z]{9}", "ab"))
    limited = grammars[-1]
    limited._end(bridle.LimitError("states", 2, 1))
    other = SimpleNamespace(finished=False, is_terminated=lambda: False)  # as SGLang's wrapper of reasoning texts is
    other.fill_vocab_mask = lambda mask, row: mask[row].fill_(5)
    grammars.append(other)
    serial, batched = (step_mask(grammars, at.size, batched) for batched in (False, True))
    assert torch.equal(serial, batched)
    assert (serial[6] == -1).all() and (serial[8] == -1).all() and (serial[10] == 5).all()
    assert np.flatnonzero(bits_of(serial[9], at.size)).tolist() == [EOS]


def test_a_large_batch_goes_by_rows_in_any_order(at):
    grammars = [accepted(at, "regex", f"[a-z]{{{n % 9 + 1}}}", "a") for n in range(200)]
    rows = random.Random(0).sample(range(300), 200)
    mask = allocate_mask(at.size, 300)
    grammars[0].fill_vocab_mask_batched([GrammarRow(*pair) for pair in zip(rows, grammars)], mask)
    expected = allocate_mask(at.size, 300)
    for row, grammar in zip(rows, grammars):
        grammar.fill_vocab_mask(expected, row)
    assert torch.equal(mask, expected)
    grammars[0].fill_vocab_mask_batched([], mask)
    assert torch.equal(mask, expected)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_mask_does_to_logits_what_its_bits_say(at, dtype, device):
    grammars = [accepted(at, "json", PERSON, '{"name'), None, requested(at, "regex", "[a-z]+")]
    mask = step_mask(grammars, at.size, batched=True)
    bits = [bits_of(row, at.size) for row in mask]
    generator = torch.Generator().manual_seed(0)
    for extra in (0, -WIDTH, 70):  # logits of other widths: what has no bit is forbidden, what has no column is ignored
        logits = torch.randn(3, at.size + extra, generator=generator).to(device=device, dtype=dtype)
        expected = logits.clone()
        for i, j in np.ndindex(*logits.shape):
            if j < at.size and not bits[i][j]:
                expected[i, j] = -torch.inf
        expected[:, mask.shape[1] * 32 :] = -torch.inf
        for applier in (grammars[0], at.backend_):
            moved = applier.move_vocab_mask(mask, device)
            assert moved.device.type == device
            got = logits.clone()
            applier.apply_vocab_mask(logits=got, vocab_mask=moved)
            assert torch.equal(got[:, : at.size], expected[:, : at.size])
            assert torch.equal(got[:, mask.shape[1] * 32 :], expected[:, mask.shape[1] * 32 :])


@pytest.mark.parametrize("is_allowed", [True, False])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_filter_sets_the_bits_of_its_tokens(is_allowed, is_new):
    mask = allocate_mask(100, 3)
    mask.copy_(torch.randint(-(2**31), 2**31, mask.shape, generator=torch.Generator().manual_seed(1)).int())
    before = [bits_of(row, 128) for row in mask]
    tokens = [0, 31, 32, 63, 99, 31]
    filter_tokens(mask, tokens, 1, is_allowed, is_new)
    expected = np.full(128, not is_allowed) if is_new else before[1].copy()
    expected[tokens] = is_allowed
    assert (bits_of(mask[1], 128) == expected).all()
    assert (bits_of(mask[0], 128) == before[0]).all() and (bits_of(mask[2], 128) == before[2]).all()
    filter_tokens(mask, [], 1, is_allowed, False)
    assert (bits_of(mask[1], 128) == expected).all()
    assert torch.equal(move_mask(mask, "cpu"), mask)


# ---------------------------------------------------------------------------------------------- servers


def test_stop_tokens_are_those_at_which_sglang_ends_a_text(at):
    make = at.backend.serving_vocabulary
    assert make(tokenizer(), at.size, {EOS}).stop_token_ids == (EOS,)
    assert make(tokenizer(), at.size, 2).stop_token_ids == (EOS, 2)
    assert make(tokenizer(), at.size, [2, 10**6]).stop_token_ids == (EOS, 2)
    assert make(tokenizer(), at.size).stop_token_ids == (EOS,)
    assert make(tokenizer(), 5).size == len(tokenizer())
    with pytest.raises(bridle.VocabularyError):
        make(object(), 5)


def test_a_server_that_reasons_gets_the_wrapper_of_its_sglang(at, caplog):
    settings = arguments(reasoning_parser="qwen3", enable_strict_thinking=True)
    named = tokenizer() if at.generation == INSTALLED else SimpleNamespace(think_end_id=9)
    wrap, kept = at.registration._with_reasoning, at.backend_
    wrapped = wrap(kept, named, at.registration._Settings(settings, {}))
    assert wrapped.grammar_backend is kept
    if at.generation == INSTALLED:
        assert wrapped.enable_strict_thinking
    elif at.generation == NEW:
        assert wrapped.reasoning_parser.model_type == "qwen3" and not wrapped.reasoning_parser.stream_reasoning
        assert wrapped.enable_filter and wrapped.model_eos_token_ids == [EOS]
        allocate, move, apply, filter_ = wrapped.callbacks
        mask = allocate(at.size, 2, "cpu")
        filter_(mask, [3], 0, True, True)
        logits = torch.zeros(2, at.size)
        apply(logits, move(mask, "cpu"))
        assert torch.nonzero(logits[0] == 0).flatten().tolist() == [3] and not logits[1].any()
    else:
        assert wrapped.think_end_id == 9
        assert wrap(kept, object(), at.registration._Settings(settings, {})) is kept
        assert "grammars hold from the first token on" in caplog.text


def test_a_backend_is_made_with_its_wrapper(at):
    named = tokenizer()
    named.think_end_id = 9
    try:
        settings = arguments(reasoning_parser="qwen3")
        made = at.registration.create_backend(settings, named, at.size, {EOS})
    finally:
        del named.think_end_id
    assert isinstance(made.grammar_backend, at.backend.BridleGrammarBackend)


def test_reasoning_whose_end_is_no_tokens_is_not_wrapped(at, monkeypatch, caplog):
    if at.generation == OLD:
        pytest.skip("wrapped by a token's id then")
    module = importlib.import_module("sglang.srt.constrained.reasoner_grammar_backend")

    class Refusing:
        def __init__(self, grammar_backend, reasoning_parser, tokenizer, enable_strict_thinking=False):
            raise ValueError("think_end_token could not be encoded")

    monkeypatch.setattr(module, "ReasonerGrammarBackend", Refusing)
    wrap, settings = at.registration._with_reasoning, at.registration._Settings
    lenient = settings(arguments(reasoning_parser="qwen3"), {})
    assert wrap(at.backend_, tokenizer(), lenient) is at.backend_
    assert "could not be encoded" in caplog.text
    with pytest.raises(ValueError, match="could not be encoded"):
        wrap(at.backend_, tokenizer(), settings(arguments(reasoning_parser="qwen3", enable_strict_thinking=True), {}))


IS_INSTALLED = pytest.mark.skipif(
    INSTALLED not in GENERATIONS, reason="sglang is not installed: only stand-ins of it are tested"
)


@IS_INSTALLED
def test_the_installed_sglang_loads_the_plugin_and_fills_and_applies_the_masks_of_a_batch(monkeypatch):
    from sglang.srt import plugins
    from sglang.srt.constrained import base_grammar_backend as base
    from sglang.srt.sampling.sampling_batch_info import SamplingBatchInfo

    with sglang(INSTALLED) as at:
        monkeypatch.setattr(plugins, "_plugins_loaded", False)
        plugins.load_plugins()
        at.size = len(tokenizer())
        kernel = SimpleNamespace(kernel=SimpleNamespace(grammar_backend="bridle"))
        monkeypatch.setattr(base, "get_exec", lambda: kernel, raising=False)
        at.backend_ = base.create_grammar_backend(arguments(), tokenizer(), at.size, {EOS})
        grammars = [requested(at, "json", PERSON), None, accepted(at, "regex", "[0-9]+", "1")]
        batch = SimpleNamespace(grammars=grammars, temperatures=torch.ones(3, 1), vocab_size=at.size, device="cpu")
        SamplingBatchInfo.update_regex_vocab_mask(batch)
        logits = torch.zeros(3, at.size)
        batch.grammar_mask.apply(logits)
        for i in (0, 2):
            assert ((logits[i] == 0).numpy() == reference_row(grammars[i]._matcher, at.size)).all()
        assert not logits[1].any()


@IS_INSTALLED
def test_inside_the_installed_sglang_reasoning_is_free_and_what_follows_is_constrained():
    with sglang(INSTALLED) as at:
        at.size = len(tokenizer()) + WIDTH
        settings = arguments(reasoning_parser="qwen3")
        at.backend_ = at.registration.create_backend(settings, tokenizer(), at.size, {EOS})
        at.backend_.cache.clear()
        grammar = at.backend_.get_cached_or_future_value(("regex", "[0-9]+"), True)[0].result()
        accept_run(grammar, ids_of("let me think: abc"))
        assert step_mask([grammar], at.size, batched=True).eq(-1).all()
        accept_run(grammar, at.backend_.think_end_ids)
        expected = row_of(at, at.backend_.grammar_backend.dispatch_regex("[0-9]+"))
        assert (row_of(at, grammar) == expected).all()
        accept_run(grammar, ids_of("12"))
        grammar.rollback(len(ids_of("12")) + 1)
        assert step_mask([grammar], at.size, batched=True).eq(-1).all()


def test_white_space_is_bounded_where_the_server_says_so(at):
    settings = arguments(constrained_json_max_whitespace_cnt=2)
    backend = at.registration.create_backend(settings, tokenizer(), at.size, {EOS})
    grammar = backend.dispatch_json('{"type": "array", "items": {"type": "integer"}}')
    accept_run(grammar, [*ids_of("["), *ids_of("  ")])
    with pytest.raises(ValueError, match="is not allowed"):
        grammar.accept_token(ids_of(" ")[0])


def test_settings_are_found_wherever_a_version_keeps_them(at, monkeypatch):
    settings = at.registration._Settings(arguments(a=1), {"b": 2})
    assert (settings.get("a"), settings.get("b"), settings.get("c")) == (1, 2, None)
    context = ModuleType("sglang.srt.runtime_context")
    context.get_serving = lambda: SimpleNamespace(a=4, b=5, c=3)
    monkeypatch.setitem(sys.modules, context.__name__, context)
    assert (settings.get("a"), settings.get("b"), settings.get("c"), settings.get("d")) == (4, 2, 3, None)


def test_a_pattern_for_white_space_is_not_read_and_that_is_said(at, caplog):
    at.registration.create_backend(
        arguments(constrained_json_whitespace_pattern=" "), tokenizer(), at.size, {EOS}, think_end_ids=[3]
    )
    assert "reads no pattern for white space" in caplog.text
    assert "does not know" not in caplog.text


# ---------------------------------------------------------------------------------------------- registration


@pytest.mark.parametrize("generation", GENERATIONS)
def test_registering_twice_is_registering_once(generation, caplog):
    with sglang(generation) as found:
        register()
        register()
        assert list(found.base.GRAMMAR_BACKEND_REGISTRY) == ["bridle"]
        assert found.server_args.GRAMMAR_BACKEND_CHOICES.count("bridle") == 1
        made = found.base.GRAMMAR_BACKEND_REGISTRY["bridle"](arguments(), tokenizer(), len(tokenizer()), None)
        assert isinstance(made, found.base.BaseGrammarBackend)
    assert not [record for record in caplog.records if record.name.startswith("bridle")]


def test_the_choices_are_found_where_newer_versions_keep_them(caplog):
    choices = choices_module("sglang.srt.arg_groups.choices")
    server_args = ModuleType("sglang.srt.server_args")
    server_args.GRAMMAR_BACKEND_CHOICES = choices.GRAMMAR_BACKEND_CHOICES
    with installed(base_module(NEW), server_args, choices):
        register()
    assert choices.GRAMMAR_BACKEND_CHOICES[-1] == "bridle" and choices.GRAMMAR_BACKEND_CHOICES.count("bridle") == 1
    assert not caplog.records


def test_without_sglang_registering_warns_and_does_not_raise(caplog):
    with installed():
        register()
    assert "could not be registered" in caplog.text


def test_a_foreign_version_is_warned_of(caplog):
    base = base_module(NEW)
    del base.BaseGrammarObject.rollback
    del base.BaseGrammarBackend.dispatch_ebnf
    with installed(base):
        register()
    assert "no BaseGrammarBackend.dispatch_ebnf, BaseGrammarObject.rollback" in caplog.text
    assert "may refuse --grammar-backend bridle" in caplog.text
    assert "bridle" in base.GRAMMAR_BACKEND_REGISTRY


def test_a_version_without_a_registry_is_warned_of(caplog):
    base = base_module(NEW)
    del base.register_grammar_backend
    with installed(base):
        register()
    assert "has no register_grammar_backend" in caplog.text and not base.GRAMMAR_BACKEND_REGISTRY


def test_a_registry_that_raises_is_warned_of(caplog):
    base = base_module(NEW)
    base.register_grammar_backend = lambda name: None  # of another signature
    with installed(base):
        register()
    assert "could not be registered" in caplog.text


def test_methods_that_a_later_version_wants_are_warned_of(caplog):
    base = base_module(NEW)

    def read_minds(self):
        raise NotImplementedError

    base.BaseGrammarObject.read_minds = read_minds
    with installed(base, choices_module("sglang.srt.server_args")):
        register()
        assert not caplog.records
        base.GRAMMAR_BACKEND_REGISTRY["bridle"](arguments(), tokenizer(), len(tokenizer()), EOS)
    assert "does not know: BridleGrammar.read_minds" in caplog.text


def test_the_entry_point_is_there_and_light():
    (found,) = entry_points(group="sglang.srt.plugins", name="bridle")
    assert found.value == "bridle.integrations.sglang:register" and found.load() is register
    code = (
        "import sys; sys.modules['sglang'] = None; from bridle.integrations.sglang import register; register()\n"
        "print(sorted({'torch', 'numba', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]" and "could not be registered" in run.stderr


def test_the_stand_ins_are_named_as_what_they_stand_for():
    assert base_module(NEW).__name__ == BASE == "sglang.srt.constrained.base_grammar_backend"
