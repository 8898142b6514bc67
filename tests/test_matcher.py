"""The matcher's own promises: forks, rollback, reset, stop tokens, budgets, and what it says of a refusal."""

from __future__ import annotations

import pickle
import random
import threading
import time

import numpy as np
import pytest

import bridle
import naive
import vocabularies
from bridle.automata.shared_stores import store_for
from oracle import allowed_tokens, vocabulary_of

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"enum": ["a", "ab", 3]}},
        "next": {"$ref": "#"},
    },
    "required": ["name"],
}
TOKENS = [bytes((b,)) for b in range(256)] + [
    b'{"', b'": "', b"name", b'", "', b'"}', b'"]', b"ab", b'"a', b"}}", b"  ",
]  # fmt: skip


@pytest.fixture(scope="module")
def compiled():
    return bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary_of(TOKENS))


def walk(matcher, rng, steps):
    """Random allowed steps; the tokens taken."""
    taken = []
    for _ in range(steps):
        allowed = sorted(allowed_tokens(matcher))
        token = rng.choice(allowed)
        assert matcher.accept_token(token)
        taken.append(token)
        if matcher.is_terminated():
            break
    return taken


def replay(compiled, tokens):
    matcher = bridle.Matcher(compiled)
    for token in tokens:
        assert matcher.accept_token(token)
    return matcher


@pytest.mark.parametrize("seed", range(8))
def test_rollback_fork_and_reset_equal_a_replay_from_the_start(compiled, seed):
    rng = random.Random(seed)
    matcher = bridle.Matcher(compiled)
    taken = []
    for _ in range(12):
        taken += walk(matcher, rng, rng.randrange(1, 9))
        back = rng.randrange(0, len(taken) + 1)
        twin = matcher.fork()
        matcher.rollback(back)
        expected = replay(compiled, taken[: len(taken) - back])
        assert allowed_tokens(matcher) == allowed_tokens(expected)
        assert matcher.is_accepting() == expected.is_accepting()
        assert matcher.is_terminated() == expected.is_terminated()
        assert allowed_tokens(twin) == allowed_tokens(replay(compiled, taken)), "a fork is independent"
        del taken[len(taken) - back :]
        assert matcher.n_steps == len(taken)
        if matcher.is_terminated():
            break
    matcher.reset()
    assert allowed_tokens(matcher) == allowed_tokens(bridle.Matcher(compiled))


def test_a_refused_token_leaves_the_state_unchanged(compiled):
    matcher = bridle.Matcher(compiled)
    matcher.accept_bytes('{"name')
    before = allowed_tokens(matcher)
    assert not matcher.accept_token(ord("}"))
    assert not matcher.accept_bytes('": 12')
    assert allowed_tokens(matcher) == before
    assert matcher.n_steps == 1


def test_after_a_stop_token_only_stop_tokens_are_allowed_and_rollback_goes_past_it(compiled):
    matcher = bridle.Matcher(compiled)
    assert matcher.accept_bytes('{"name":"x"}')
    stop = compiled.vocabulary.stop_token_ids[0]
    assert matcher.accept_token(stop)
    assert matcher.is_terminated()
    assert allowed_tokens(matcher) == {stop}
    assert not matcher.accept_token(stop)
    assert not matcher.accept_token(32)
    matcher.rollback(1)
    assert not matcher.is_terminated()
    assert matcher.is_accepting()


def test_rolling_back_too_far_is_an_error_and_changes_nothing(compiled):
    matcher = bridle.Matcher(compiled)
    matcher.accept_bytes("{")
    with pytest.raises(ValueError, match="only 1 were accepted"):
        matcher.rollback(2)
    assert matcher.n_steps == 1


def test_several_stop_tokens_all_count_and_padding_is_never_allowed():
    vocabulary = bridle.Vocabulary([b"a", b"b", b"", b""], stop_token_ids=[2, 3], size=70)
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("a*"), vocabulary))
    bitmask = bridle.allocate_token_bitmask(2, vocabulary.size)
    assert bitmask.shape == (2, 3)
    assert matcher.fill_next_token_bitmask(bitmask, 1)
    assert bitmask[0].tolist() == [-1, -1, -1], "other rows stay as they were"
    assert bitmask[1].tolist() == [0b1101, 0, 0]
    assert matcher.accept_token(3)


def test_a_bitmask_of_the_wrong_shape_is_an_error_that_says_the_right_one(compiled):
    with pytest.raises(ValueError, match="allocate_token_bitmask"):
        bridle.Matcher(compiled).fill_next_token_bitmask(np.zeros((1, 3), np.int32))
    with pytest.raises(ValueError, match="row 1"):
        bridle.Matcher(compiled).fill_next_token_bitmask(
            bridle.allocate_token_bitmask(1, compiled.vocabulary.size), 1
        )


def test_validate_tokens_counts_the_legal_prefix(compiled):
    matcher = bridle.Matcher(compiled)
    tokens = list(b'{"name":"x"}')
    assert matcher.validate_tokens([*tokens, 0]) == len(tokens)
    assert matcher.n_steps == 0


def test_forced_text_is_what_must_come():
    schema = {"type": "object", "properties": {"kind": {"const": "circle"}}, "required": ["kind"],
              "additionalProperties": False}  # fmt: skip
    grammar = bridle.Grammar.from_json_schema(schema, whitespace="compact")
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary_of(TOKENS)))
    # Every character could be spelled as an escape, so beyond the quote nothing is forced.
    assert matcher.forced_bytes() == b'{"'
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("abc(d|e)"), vocabulary_of(TOKENS)))
    assert matcher.forced_bytes() == b"abc"
    assert matcher.n_steps == 0


def test_explain_says_where_and_what_was_expected(compiled):
    matcher = bridle.Matcher(compiled)
    matcher.accept_bytes('{"name": ')
    rejection = matcher.explain("12")
    assert rejection.offset == 0
    assert "'\"'" in rejection.expected
    assert matcher.explain('"') is None
    assert "may not end" in matcher.explain(compiled.vocabulary.stop_token_ids[0]).reason


def test_a_batch_is_filled_like_its_matchers(compiled):
    other = bridle.compile(bridle.Grammar.from_regex("[ab]{3}"), compiled.vocabulary)
    matchers = [bridle.Matcher(compiled), bridle.Matcher(other), bridle.Matcher(compiled)]
    matchers[2].accept_bytes('{"name":"')
    bitmask = bridle.allocate_token_bitmask(4, compiled.vocabulary.size)
    for _ in range(2):
        bridle.fill_next_token_bitmasks(matchers, bitmask, rows=[3, 0, 1])
        for matcher, row in zip(matchers, [3, 0, 1], strict=True):
            single = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
            matcher.fill_next_token_bitmask(single)
            assert (bitmask[row] == single[0]).all()
    assert (bitmask[2] == -1).all()


@pytest.mark.parametrize("threads", [None, 1, 2, 5, 999])
def test_a_large_batch_is_filled_in_parts(compiled, threads):
    other = bridle.compile(bridle.Grammar.from_regex("[ab]{3}"), compiled.vocabulary)
    texts = [b"", b'{"name":"', b'{"name":"a', b"a", b"ab", b"abb"]
    matchers = [bridle.Matcher(other if i % 6 > 2 else compiled) for i in range(150)]
    for i, matcher in enumerate(matchers):
        assert matcher.accept_bytes(texts[i % 6])
        if i % 18 == 5:
            assert matcher.accept_token(compiled.vocabulary.stop_token_ids[0])
    rows = list(range(200, 50, -1))
    for _ in range(2):
        bitmask = bridle.allocate_token_bitmask(201, compiled.vocabulary.size)
        bridle.fill_next_token_bitmasks(matchers, bitmask, rows, threads=threads)
        single = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
        for matcher, row in zip(matchers, rows, strict=True):
            matcher.fill_next_token_bitmask(single)
            assert (bitmask[row] == single[0]).all()
        assert (bitmask[:51] == -1).all()


def test_a_batch_that_does_not_fit_is_refused_before_anything_is_written(compiled):
    matchers = [bridle.Matcher(compiled), bridle.Matcher(compiled)]
    bitmask = bridle.allocate_token_bitmask(2, compiled.vocabulary.size)
    for arguments in ({"rows": [0]}, {"rows": [0, 2]}, {"rows": [-1, 0]}, {"threads": 0}):
        with pytest.raises(ValueError):
            bridle.fill_next_token_bitmasks(matchers, bitmask, **arguments)
    elsewhere = bridle.compile(compiled.grammar, vocabulary_of([*TOKENS, b"zz"]))
    with pytest.raises(ValueError, match="one vocabulary"):
        bridle.fill_next_token_bitmasks([matchers[0], bridle.Matcher(elsewhere)], bitmask)
    assert (bitmask == -1).all()


def test_a_budget_that_one_text_meets_is_its_own_in_a_batch():
    vocabulary = vocabulary_of(TOKENS)
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    small = bridle.compile(bridle.Grammar.from_json_schema(schema), vocabulary, limits=bridle.Limits(states=50))
    good = bridle.compile(bridle.Grammar.from_regex("[ab]{3}"), vocabulary)
    bitmask = bridle.allocate_token_bitmask(3, vocabulary.size)
    matchers = [bridle.Matcher(good), bridle.Matcher(small), bridle.Matcher(good)]
    assert matchers[2].accept_bytes("ab")
    with pytest.raises(bridle.LimitError, match="at byte 0 of the text of matcher 1: "):
        bridle.fill_next_token_bitmasks(matchers, bitmask)
    assert not bitmask[1].any()
    for row in (0, 2):
        single = bridle.allocate_token_bitmask(1, vocabulary.size)
        matchers[row].fill_next_token_bitmask(single)
        assert (bitmask[row] == single[0]).all()


@pytest.mark.parametrize("ask", ["accept_bytes", "accept_prefix", "next_bytes", "forced_bytes", "is_accepting"])
def test_a_budget_that_is_met_has_a_place_whatever_was_asked(ask):
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    compiled = bridle.compile(
        bridle.Grammar.from_json_schema(schema), vocabulary_of(TOKENS), limits=bridle.Limits(states=50)
    )
    matcher = bridle.Matcher(compiled)
    with pytest.raises(bridle.LimitError, match="at byte 0 of the text"):
        getattr(matcher, ask)(*(["{"] if ask.startswith("accept") else []))


def test_a_read_only_bitmask_is_refused_in_words(compiled):
    bitmask = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    bitmask.flags.writeable = False
    matcher = bridle.Matcher(compiled)
    with pytest.raises(ValueError, match="read-only"):
        matcher.fill_next_token_bitmask(bitmask)
    with pytest.raises(ValueError, match="read-only"):
        bridle.fill_next_token_bitmasks([matcher], bitmask)


def test_counts_far_from_their_bounds_share_a_mask_however_long_tokens_are():
    vocabulary = vocabulary_of([b"a", b'"', b"a" * 50_000])
    grammar = bridle.Grammar.from_json_schema({"type": "string", "minLength": 500_000, "maxLength": 1_000_000})
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    assert matcher.accept_bytes('"')
    for _ in range(3):
        assert allowed_tokens(matcher) == {0, 2}
        assert matcher.accept_token(0)
    assert matcher.accept_bytes("a" * 499_990) and allowed_tokens(matcher) == {0, 2}
    assert matcher.accept_bytes("a" * 460_000) and allowed_tokens(matcher) == {0, 1}


def test_masks_are_right_while_their_tables_are_replaced_under_other_threads():
    """Eviction: grammars outgrow their memory over and over, and the masks that are read meanwhile are never torn."""
    limits = bridle.Limits(memory=50_000)
    vocabulary = vocabulary_of(TOKENS)
    grammar = bridle.Grammar.from_json_schema({"type": "object", "minProperties": 3})  # names that were typed are kept
    compiled = bridle.compile(grammar, vocabulary, limits=limits)
    reference = bridle.compile(grammar, vocabulary)
    machines: list[int] = [id(compiled._machine)]
    faults: list[str] = []
    stop = threading.Event()

    def decode(number: int) -> None:
        rng = random.Random(number)
        bitmask = bridle.allocate_token_bitmask(3, vocabulary.size)
        expected = bridle.allocate_token_bitmask(1, vocabulary.size)
        while not stop.is_set():
            matchers = [bridle.Matcher(compiled) for _ in range(3)]
            twins = [bridle.Matcher(reference) for _ in range(3)]
            for _ in range(40):
                bridle.fill_next_token_bitmasks(matchers, bitmask, threads=3)
                for k in range(3):
                    twins[k].fill_next_token_bitmask(expected)
                    if (bitmask[k] != expected[0]).any():
                        faults.append(f"another mask after {twins[k].text()!r}")
                        stop.set()
                    allowed = np.flatnonzero(np.unpackbits(expected.view(np.uint8), bitorder="little"))
                    choices = [t for t in allowed.tolist() if t not in vocabulary.stop_token_ids]
                    if not choices:
                        matchers[k].reset()
                        twins[k].reset()
                        continue
                    token = rng.choice(choices)
                    if not (matchers[k].accept_token(token) and twins[k].accept_token(token)):
                        faults.append(f"token {token} refused after {twins[k].text()!r}")
                        stop.set()
            if id(compiled._machine) != machines[-1]:
                machines.append(id(compiled._machine))

    decoders = [threading.Thread(target=decode, args=(number,)) for number in range(3)]
    for decoder in decoders:
        decoder.start()
    until = time.monotonic() + 20
    while len(machines) < 6 and not stop.is_set() and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    for decoder in decoders:
        decoder.join()
    assert not faults
    assert len(machines) >= 3, "the tables were never replaced"


def test_a_grammar_over_its_memory_starts_anew_and_matchers_follow():
    limits = bridle.Limits(memory=200_000)
    grammar = bridle.Grammar.from_json_schema(True)
    compiled = bridle.compile(grammar, vocabulary_of(TOKENS), limits=limits)
    reference = bridle.compile(grammar, compiled.vocabulary)
    matcher, twin = bridle.Matcher(compiled), bridle.Matcher(reference)
    first = last = compiled._machine
    machines = 0
    text = "".join(f'{{"k{i}":[{i},' for i in range(400))
    for character in text:
        assert matcher.accept_bytes(character)
        assert twin.accept_bytes(character)
        machines += compiled._machine is not last
        last = compiled._machine
        if random.Random(character).random() < 0.05:
            assert allowed_tokens(matcher) == allowed_tokens(twin)
    assert compiled._machine is not first
    assert machines < 20, "a text that needs more than the budget does not start anew at each step"
    assert allowed_tokens(matcher) == allowed_tokens(twin)
    matcher.rollback(700)
    twin.rollback(700)
    assert allowed_tokens(matcher) == allowed_tokens(twin)


def test_a_vocabulary_over_its_memory_starts_anew_and_matchers_follow():
    vocabulary = bridle.Vocabulary([*TOKENS, b"", b"the only one"], stop_token_ids=len(TOKENS))
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)
    matcher = bridle.Matcher(compiled)
    assert matcher.accept_bytes('{"name":"x')
    before, first = allowed_tokens(matcher), compiled._machine.store
    vocabulary.memory.bytes = 1
    assert matcher.accept_bytes('y"')
    vocabulary.memory.bytes = 256 << 20
    assert compiled._machine.store is not first
    assert store_for(vocabulary) is compiled._machine.store
    matcher.rollback(1)
    assert allowed_tokens(matcher) == before


def test_a_budget_of_states_is_a_limit_error_with_both_numbers():
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    compiled = bridle.compile(
        bridle.Grammar.from_json_schema(schema), vocabulary_of(TOKENS), limits=bridle.Limits(states=50)
    )
    matcher = bridle.Matcher(compiled)
    assert matcher.text() == b""
    with pytest.raises(bridle.LimitError, match=r"states exceeded at byte 0 of the text: \d+ given, 50 allowed"):
        allowed_tokens(matcher)


def test_threads_share_a_grammar():
    vocabulary = vocabulary_of(TOKENS)
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)
    reference = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)
    failures = []

    def work(seed):
        try:
            rng = random.Random(seed)
            matcher = bridle.Matcher(compiled)
            for _ in range(60):
                allowed = sorted(allowed_tokens(matcher))
                token = rng.choice(allowed)
                assert matcher.accept_token(token)
                results[seed].append((token, frozenset(allowed)))
                if matcher.is_terminated():
                    matcher.reset()
                    results[seed].append((None, frozenset()))
        except Exception as error:
            failures.append(error)

    results = {seed: [] for seed in range(8)}
    threads = [threading.Thread(target=work, args=(seed,)) for seed in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for steps in results.values():
        matcher = bridle.Matcher(reference)
        for token, allowed in steps:
            if token is None:
                matcher.reset()
                continue
            assert allowed_tokens(matcher) == allowed
            matcher.accept_token(token)


def test_ambiguity_stays_polynomial():
    grammar = bridle.Grammar.from_ebnf('root ::= "a" root "b" | "a" root "c" | ""')
    vocabulary = vocabulary_of([b"a", b"b", b"c", b"aa", b"a" * 40, b"bc", b"b" * 30, b"x"])
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    assert matcher.accept_bytes(b"a" * 1000)
    names = {vocabulary.tokens[k] for k in allowed_tokens(matcher)}
    assert names == {b"a", b"b", b"c", b"aa", b"a" * 40, b"bc", b"b" * 30}
    assert matcher.accept_bytes(b"bc" * 500)
    assert matcher.is_accepting()


def test_very_long_member_names_are_typed_and_left():
    name = "n" * 1500
    grammar = bridle.Grammar.from_json_schema({"type": "object", "properties": {name: {"type": "null"}}})
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary_of(TOKENS)))
    assert matcher.accept_bytes('{"' + name[:-1])
    fork = matcher.fork()
    assert matcher.accept_bytes('n": null}')
    assert fork.accept_bytes('x": 1}')
    assert not fork.accept_bytes(" ")


def test_many_ids_for_the_same_bytes_are_all_allowed():
    tokens = [b'"'] * 5000 + [b"a", b'a"'] + [bytes((b,)) for b in range(256)]
    grammar = bridle.Grammar.from_json_schema({"type": "string", "pattern": "b"})
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary_of(tokens)))
    assert allowed_tokens(matcher) >= set(range(5000))
    assert matcher.accept_bytes('"ab')
    assert allowed_tokens(matcher) >= set(range(5002))


def test_ids_and_texts_that_are_none_are_refused_without_an_exception(compiled):
    matcher = bridle.Matcher(compiled)
    assert not matcher.accept_token(2**70)
    assert not matcher.accept_token(-1)
    assert not matcher.accept_bytes("\ud800")
    with pytest.raises(ValueError, match="-1"):
        matcher.rollback(-1)
    matcher.accept_bytes('{"name":"x"}')
    matcher.accept_token(compiled.vocabulary.stop_token_ids[0])
    with pytest.raises(ValueError, match="cannot be filled"):
        matcher.fill_next_token_bitmask(np.zeros((1, 2), np.int32))
    with pytest.raises(ValueError, match="contiguous int32"):
        bridle.Matcher(compiled).fill_next_token_bitmask(np.zeros((1, 9), np.int64))


def test_errors_survive_pickling():
    with pytest.raises(bridle.UnsupportedError) as caught:
        bridle.Grammar.from_json_schema({"$ref": "https://example.com/schema"})
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.pointer == ""
    assert again.keyword == "$ref"


@pytest.mark.parametrize("name", ["tekken", "sentencepiece", "llama3"])
def test_masks_over_real_vocabularies_equal_the_oracles_on_a_sample(name):
    vocabulary = getattr(vocabularies, name)()
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)
    oracle = naive.json_schema(SCHEMA)
    rng = random.Random(5)
    texts = ('', '{"na', '{"name": "Ab', '{"name":"x", "tags": ["a', '{"name":"x","next":{"name":"',
             '{"name":"x","zz": ', '{"name":"x","zz":["\\u00', '{"name":"abcdefghij', '{"name":"x" \n  ')  # fmt: skip
    for text in texts:
        matcher = bridle.Matcher(compiled)
        assert not text or matcher.accept_bytes(text)
        allowed = allowed_tokens(matcher)
        sample = rng.sample(range(vocabulary.size), 1000) + rng.sample(sorted(allowed), min(len(allowed), 300))
        for token in sample:
            data = vocabulary.tokens[token] if token < len(vocabulary.tokens) else b""
            if token in vocabulary.stop_token_ids:
                expected = oracle.accepts(text.encode())
            else:
                expected = bool(data) and oracle.is_prefix(text.encode() + data)
            assert (token in allowed) == expected, (text, token, data)
            assert matcher.fork().accept_token(token) == expected, (text, token, data)
