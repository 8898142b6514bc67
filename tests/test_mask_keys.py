"""Which mask a matcher is at, and whether it leaves one token alone: against the masks' own bits."""

from __future__ import annotations

import gc
import random

import numpy as np
import pytest

import bridle
import vocabularies
from bridle.automata.batch_fill import ended_key, mask_keys
from bridle.automata.matcher import Matcher
from oracle import allowed_tokens

SCHEMA = {
    "type": "object",
    "properties": {"abc": {"type": "string", "maxLength": 9}, "b": {"$ref": "#"}, "c": {"type": "integer"}},
    "required": ["abc", "c"],
    "additionalProperties": False,
}
GRAMMARS = {
    "object": lambda: bridle.Grammar.from_json_schema(SCHEMA),
    "compact": lambda: bridle.Grammar.from_json_schema(SCHEMA, whitespace="compact"),
    "template": lambda: bridle.Grammar.from_regex(r"(ab){4}-[0-9]{2}(,xyz){2}|a\t[^a]*"),
    "choices": lambda: bridle.Grammar.from_choices(["abcabcabc", "abcab", "zzz", "y" * 20]),
    "ambiguous": lambda: bridle.Grammar.from_ebnf('root ::= "a" root "b" | "a" root "c" | "1"'),
    "special": lambda: bridle.Grammar.from_ebnf('root ::= <tool> "ab" <tool> | "c"'),
}


def only_bit(matcher: Matcher) -> int | None:
    allowed = allowed_tokens(matcher)
    return next(iter(allowed)) if len(allowed) == 1 else None


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("vocabulary", [vocabularies.tiny, vocabularies.byte_level])
def test_the_only_token_is_the_masks_only_bit(name, vocabulary):
    if name == "special" and vocabulary is vocabularies.byte_level:
        pytest.skip("it has no special tokens")
    rng, found = random.Random(1), 0
    for fresh in (False, True):
        compiled = bridle.compile(GRAMMARS[name](), vocabulary())
        for _ in range(6):
            matcher = Matcher(compiled)
            for _ in range(40):
                asked_first = matcher.only_token() if fresh else None
                want = only_bit(matcher)
                assert matcher.only_token() == want
                assert not fresh or asked_first == want
                found += want is not None
                allowed = sorted(allowed_tokens(matcher))
                if matcher.is_terminated() or not allowed:  # some texts have no token to go on with
                    break
                assert matcher.accept_token(rng.choice(allowed))
    assert found or name in ("object", "ambiguous")


def test_the_only_token_of_a_row_that_is_full_of_bits_is_found_at_any_bit():
    """Token 31 of a word is its sign."""
    tokens = [b"%02x" % i for i in range(96)]
    vocabulary = bridle.Vocabulary([*tokens, b""], stop_token_ids=96)
    for i in (0, 30, 31, 32, 63, 64, 95):
        matcher = Matcher(bridle.compile(bridle.Grammar.from_regex(f"{i:02x}"), vocabulary))
        assert matcher.only_token() == i
        assert matcher.accept_token(i) and matcher.only_token() == 96
        assert matcher.accept_token(96) and matcher.only_token() == 96


def test_equal_keys_are_equal_masks_for_good():
    """Tables are replaced and freed over and over, and no key ever comes back for another mask."""
    vocabulary, rng = vocabularies.byte_level(), random.Random(2)
    known: dict = {}
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    numbers = set()
    for _ in range(12):
        compiled = [
            bridle.compile(GRAMMARS[name](), vocabulary, limits=bridle.Limits(memory=30_000))
            for name in ("object", "compact", "template")
        ]
        matchers = [Matcher(c) for c in compiled for _ in range(3)]
        assert mask_keys([Matcher(bridle.compile(GRAMMARS["object"](), vocabulary))]) == [None]
        for _ in range(25):
            for matcher in matchers:
                matcher.fill_next_token_bitmask(bitmask)
                (key,) = mask_keys([matcher])
                assert known.setdefault(key, bitmask.tobytes()) == bitmask.tobytes()
                numbers.add(key[0])
                if not matcher.is_terminated():
                    matcher.accept_token(rng.choice(sorted(allowed_tokens(matcher))))
        del compiled, matchers
        gc.collect()
    assert len(numbers) > 36
    assert len(known) > len(numbers)


def test_keys_of_a_batch_are_those_of_its_matchers_and_forks_share_them():
    vocabulary = vocabularies.byte_level()
    compiled = bridle.compile(GRAMMARS["template"](), vocabulary)
    matchers = [Matcher(compiled) for _ in range(5)]
    for i, matcher in enumerate(matchers):
        matcher.accept_bytes("abab"[:i])
    assert mask_keys(matchers) == [None] * 5
    bridle.fill_next_token_bitmasks(matchers[1:], bridle.allocate_token_bitmask(4, vocabulary.size))
    keys = mask_keys([matcher.fork() for matcher in matchers])
    assert keys[0] is None and len(set(keys[1:])) == 4 == len(set(mask_keys(matchers[1:])))
    assert mask_keys([]) == []


def test_a_text_that_has_ended_has_the_key_of_all_that_have():
    vocabulary = vocabularies.byte_level()
    ended = [Matcher(bridle.compile(bridle.Grammar.from_regex(text), vocabulary)) for text in ("a", "bb")]
    for matcher, text in zip(ended, ("a", "bb"), strict=True):
        assert matcher.accept_bytes(text) and matcher.accept_token(vocabulary.stop_token_ids[0])
    assert mask_keys(ended) == [ended_key(vocabulary)] * 2
    assert ended_key(vocabulary) != ended_key(vocabularies.tiny())
    assert np.array_equal(*(np.sort(list(allowed_tokens(matcher))) for matcher in ended))


def test_numbers_of_machines_are_their_own():
    vocabulary = vocabularies.byte_level()
    machines = [bridle.compile(GRAMMARS["template"](), vocabulary).machine for _ in range(5)]
    assert len({machine.number for machine in machines}) == 5 and 0 not in {machine.number for machine in machines}
