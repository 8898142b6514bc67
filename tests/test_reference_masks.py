"""The slow twin of masks, `fill_reference_bitmask`, against masks and against the oracle that tries every token."""

from __future__ import annotations

import numpy as np
import pytest

import bridle
import naive
import vocabularies
from oracle import vocabulary_of
from test_masks_grammars import GRAMMARS, REGEXES, SMALL
from test_masks_json import CASES, TOKENS


def both(matcher: bridle.Matcher) -> tuple[np.ndarray, np.ndarray]:
    """(the reference, the mask), as words."""
    bitmask = bridle.allocate_token_bitmask(2, matcher.compiled.vocabulary.size)
    matcher.fill_reference_bitmask(bitmask, 0)
    matcher.fill_next_token_bitmask(bitmask, 1)
    return bitmask[0], bitmask[1]


def ids(words: np.ndarray) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist())


def compare_along(grammar: bridle.Grammar, oracle: naive.Naive, tokens: list[bytes], text: bytes) -> None:
    """Compares at every byte of a text until the first that is refused."""
    compiled = bridle.compile(grammar, vocabulary_of(tokens))
    matcher = bridle.Matcher(compiled)
    for i in range(len(text) + 1):
        reference, mask = both(matcher)
        want = naive.mask(oracle, text[:i], compiled.vocabulary.tokens, compiled.vocabulary.stop_token_ids)
        assert ids(reference) == want, text[:i]
        assert ids(mask) == want, text[:i]
        if not matcher.accept_bytes(text[i : i + 1] or b"\x00"):
            return


@pytest.mark.parametrize("schema_and_texts", CASES, ids=range(len(CASES)))
def test_references_of_small_schemas_equal_the_oracles(schema_and_texts):
    schema, texts = schema_and_texts
    grammar = bridle.Grammar.from_json_schema(schema, whitespace="compact")
    oracle = naive.json_schema(schema, whitespace="compact")
    for text in texts:
        compare_along(grammar, oracle, TOKENS, text.replace(" ", "").encode())


@pytest.mark.parametrize("pattern", REGEXES)
def test_references_of_small_regexes_equal_the_oracles(pattern):
    for text in (b"aab", b"ab(b", b"aaab"):
        compare_along(bridle.Grammar.from_regex(pattern), naive.regex(pattern), SMALL, text)


@pytest.mark.parametrize("source", GRAMMARS)
def test_references_of_small_grammars_equal_the_oracles(source):
    for text in (b"aabb", b"()(a", b"bab"):
        compare_along(bridle.Grammar.from_ebnf(source), naive.ebnf(source), SMALL, text)


SCHEMA = {"properties": {"a": {"enum": ["x", "xy"]}, "b": {"type": "array", "items": {"type": "null"}}}}


def test_a_reference_leaves_no_mask_behind():
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary_of(TOKENS)))
    from bridle.automata.table_kernels import CONTEXTS, MASKS, STEPS

    bitmask = bridle.allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
    before = matcher._machine.context.reshape(-1, 3)[:, 2].copy()
    matcher.fill_reference_bitmask(bitmask)
    after = matcher._machine.context.reshape(-1, 3)[:, 2]
    assert [(after - before)[slot] for slot in (MASKS, CONTEXTS, STEPS)] == [0, 0, 0]


def test_a_reference_between_masks_changes_none():
    text = b'{"a": "xy", "b": [null, null], "c": {"d": [1, "e"]}}'
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary_of(TOKENS))
    alone = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary_of(TOKENS))
    one, other = bridle.Matcher(compiled), bridle.Matcher(alone)
    bitmask = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    for i in range(len(text)):
        reference, mask = both(one)
        other.fill_next_token_bitmask(bitmask)
        assert np.array_equal(reference, bitmask[0]) and np.array_equal(mask, bitmask[0]), text[:i]
        assert one.accept_bytes(text[i : i + 1]) and other.accept_bytes(text[i : i + 1])


def test_a_reference_that_meets_a_budget_leaves_masks_intact():
    """The budget is met below the first bytes, so in the middle of the reference."""
    schema = {"items": {"properties": {f"p{i}": {"type": "string"} for i in range(100)}}}
    grammar = bridle.Grammar.from_json_schema(schema)
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary_of(TOKENS), limits=bridle.Limits(states=100)))
    bitmask = bridle.allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
    with pytest.raises(bridle.LimitError, match="states exceeded at byte 0"):
        matcher.fill_reference_bitmask(bitmask)
    other = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("ab+"), matcher.compiled.vocabulary))
    reference, mask = both(other)
    assert ids(reference) == ids(mask) == {TOKENS.index(b"a"), TOKENS.index(b"ab")}


def test_after_a_stop_token_only_stop_tokens_are_left():
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("a?"), vocabulary_of([b"a"])))
    assert ids(both(matcher)[0]) == {0, 1}
    assert matcher.accept_token(1)
    assert [ids(words) for words in both(matcher)] == [{1}, {1}]


def test_a_row_that_is_not_there_is_refused():
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("a"), vocabulary_of([b"a"])))
    with pytest.raises(ValueError, match="cannot be filled"):
        matcher.fill_reference_bitmask(bridle.allocate_token_bitmask(1, 2), 1)
    with pytest.raises(ValueError, match="cannot be filled"):
        matcher.fill_reference_bitmask(bridle.allocate_token_bitmask(1, 99))


def test_references_with_a_real_vocabulary_equal_masks():
    vocabulary = vocabularies.tekken()
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary))
    for text in (b"", b'{"', b'a": "x', b'y", "', b'q', b'": [1', b"]", b"}"):
        assert not text or matcher.accept_bytes(text)
        reference, mask = both(matcher)
        assert np.array_equal(reference, mask), text
