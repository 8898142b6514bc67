"""Records from other records, against scans by hand; how long states are alike, against all texts of that length."""

from __future__ import annotations

import itertools
import random
from functools import cache

import numpy as np
import pytest

from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.kernel import compile_all, kernel
from bridle.automata.likeness_kernels import (
    PAIR_SLOTS,
    PAIRS,
    changed_record,
    kinds_of,
    likest_record,
    room_for_a_change,
    rounds_alike,
)
from bridle.automata.record_table_kernels import (
    CLOSING,
    P_DENSE,
    P_EXIT,
    P_EXITS,
    P_LIST,
    P_PLACE,
    P_STATE,
    P_STOP,
    P_TOKENS,
)
from bridle.automata.store import Store
from bridle.automata.table_kernels import DENSE, LEAF, QUOTE, RECORD_INTS, RECORD_WIDTH, RECORDS, context_at
from bridle.automata.vocabulary import Vocabulary
from bridle.grammar.json_text import closed, json_spelled, quoted, string_content
from bridle.grammar.schema_strings import pattern_values


@kernel("int64(int64, int64, int64, int64, int32[::1])")
def rounds(address, p, q, most, scratch):
    s = context_at(address)
    return rounds_alike(s, p, q, kinds_of(s, p), most, scratch)


@kernel("int64(int64, int64, int64, int64)")
def likest(address, t, q, stop):
    return likest_record(context_at(address), t, q, stop)


@kernel("int64(int64, int64, int64, int64, int64)")
def changed(address, t, q, stop, known):
    s = context_at(address)
    return changed_record(s, t, q, stop, known) if room_for_a_change(s, t) else -2


PATTERNS = [
    "^a{2,9}$", "^[ab]{1,4}(-[ab]{1,4}){0,3}$", "^(a|bb){3,5}$", "a.*b", "^[^a]", "b$", "^(a{5}|b{7})c$", "^[ab]*1?$",
    "^[a-b]+( [a-b]+){0,6}$", "(ab){2}",
]  # fmt: skip
LETTERS = b'ab1-c "'


@cache
def vocabulary() -> Vocabulary:
    """All texts of up to four letters, and some long ones: a tree with some thousand places."""
    texts = [bytes(word) for n in range(1, 5) for word in itertools.product(LETTERS, repeat=n)]
    texts += [b"a" * n for n in range(5, 20)] + [b"ab-" * n for n in range(2, 7)] + [b" ab" * n + b'"' for n in (3, 6)]
    return Vocabulary([*texts, b""], stop_token_ids=[len(texts)])


def forms(pattern: str) -> list[tuple[ByteDfa, int]]:
    """Leaves of a pattern, and what ends them: as a value, as a string, and as a member's name."""
    spelled = json_spelled(pattern_values(pattern))
    return [(pattern_values(pattern), -1), (quoted(spelled), -1), (closed(spelled), CLOSING)]


def told(store: Store, record: int) -> tuple[list[int], list[int]]:
    """The tokens of a record, and the places of its exits."""
    row = store.tables.view(RECORDS)[RECORD_WIDTH * record : RECORD_WIDTH * (record + 1)]
    ints = store.tables.view(RECORD_INTS)
    if row[P_DENSE] >= 0:
        words = (vocabulary().size + 31) // 32
        bits = store.tables.view(DENSE)[words * row[P_DENSE] : words * (row[P_DENSE] + 1)]
        tokens = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist()
    else:
        tokens = sorted(ints[row[P_LIST] : row[P_LIST] + row[P_TOKENS]].tolist())
    assert len(tokens) == row[P_TOKENS]
    return tokens, ints[row[P_EXIT] : row[P_EXIT] + 2 * row[P_EXITS] : 2].tolist()


def by_hand(leaf: ByteDfa, state: int, stop: int) -> tuple[list[int], list[int]]:
    """The tokens that stay in a leaf, and where it ends, place by place."""
    trie = vocabulary().trie
    states, tokens, exits = {0: state}, [], []
    for t in range(1, trie.n_nodes):
        above, byte = states.get(int(trie.parent[t]), 0), int(trie.byte[t])
        to = leaf.state_after(bytes((byte,)), above) if above else 0
        if to and stop == CLOSING and byte == QUOTE and leaf.accepting[to]:
            exits.append(t)
            continue
        states[t] = to
        if to:
            tokens += trie.token_ids[trie.token_first[t] : trie.token_first[t + 1]].tolist()
            if stop == -1 and leaf.accepting[to] and trie.child_first[t] < trie.child_first[t + 1]:
                exits.append(t)
    return sorted(tokens), exits


@pytest.mark.parametrize("pattern", PATTERNS)
def test_records_made_one_after_the_other_are_those_by_hand(pattern):
    for leaf, stop in forms(pattern):
        store = Store(vocabulary())
        row = store.leaf(leaf)
        states = list(range(1, leaf.n_states))
        random.Random(pattern).shuffle(states)
        for state in states[:40]:
            store.make_record(row + state - 1, stop)
            made = store.tables.count(RECORDS) // RECORD_WIDTH - 1
            assert told(store, made) == by_hand(leaf, state, stop), (pattern, state, stop)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_record_changed_from_any_other_is_that_by_hand(pattern):
    compile_all()
    changes = 0
    for leaf, stop in forms(pattern):
        for seed in range(12):
            rng = random.Random(seed)
            known, state = rng.randrange(1, leaf.n_states), rng.randrange(1, leaf.n_states)
            store = Store(vocabulary())
            row = store.leaf(leaf) - LEAF
            store.make_record(LEAF + row + known - 1, stop)
            if known == state:
                continue
            first = store.tables.count(RECORDS) // RECORD_WIDTH - 1
            assert likest(store.address, 0, row + state - 1, stop) == first
            made = changed(store.address, 0, row + state - 1, stop, first)
            assert made != -2
            if made >= 0:
                changes += 1
                assert told(store, made) == by_hand(leaf, state, stop), (pattern, known, state, stop)
                fields = store.tables.view(RECORDS)[RECORD_WIDTH * made :]
                assert fields[[P_PLACE, P_STATE, P_STOP]].tolist() == [0, row + state - 1, stop]
    assert changes > 0


def test_the_likest_record_is_that_of_the_state_that_is_alike_for_longest():
    compile_all()
    leaf = pattern_values("^a{2,40}$")
    store = Store(vocabulary())
    row = store.leaf(leaf) - LEAF
    after = [row + leaf.state_after(b"a" * n) - 1 for n in range(41)]
    for n in (39, 5, 30):
        store.make_record(LEAF + after[n], -1)
    first = store.tables.count(RECORDS) // RECORD_WIDTH - 3
    assert likest(store.address, 0, after[4], -1) == first + 1
    assert likest(store.address, 0, after[38], -1) == first + 2  # 39 lets one more come, 30 ten
    assert likest(store.address, 0, after[4], QUOTE) == -1
    assert likest(store.address, 1, after[4], -1) == -1
    other = store.leaf(pattern_values("^b{2,40}$")) - LEAF
    assert likest(store.address, 0, other, -1) == -1


def rounds_by_hand(leaf: ByteDfa, p: int, q: int, most: int) -> int:
    """Rounds that two states survive, by all texts over one byte of each class."""
    letters = [bytes((int(np.flatnonzero(leaf.byte_class == c)[0]),)) for c in range(leaf.table.shape[1])]
    pairs = {(p, q)}
    for n in range(most):
        if any((a == 0) != (b == 0) or leaf.accepting[a] != leaf.accepting[b] for a, b in pairs):
            return n
        pairs = {(leaf.state_after(x, a), leaf.state_after(x, b)) for a, b in pairs if a and b for x in letters}
    return most


@pytest.mark.parametrize("pattern", PATTERNS)
def test_rounds_are_those_of_all_texts(pattern):
    compile_all()
    scratch = np.zeros(2 * PAIRS + PAIR_SLOTS, np.int32)
    rng = random.Random(pattern)
    for leaf, _ in forms(pattern):
        store = Store(vocabulary())
        row = store.leaf(leaf) - LEAF
        for _ in range(60):
            p, q = rng.randrange(1, leaf.n_states), rng.randrange(1, leaf.n_states)
            if p != q:
                found = rounds(store.address, row + p - 1, row + q - 1, 12, scratch) >> 16
                want = rounds_by_hand(leaf, p, q, 12)
                # What tells two states apart as they are also says whether anything follows the end.
                ends = leaf.accepting[p] and leaf.accepting[q] and leaf.table[p].any() != leaf.table[q].any()
                assert found == (0 if ends else want) or (found < want and not ends), (pattern, p, q)


def test_counts_are_alike_up_to_their_bounds():
    compile_all()
    leaf = pattern_values("^a{0,60}$")
    store = Store(vocabulary())
    row = store.leaf(leaf) - LEAF
    scratch = np.zeros(2 * PAIRS + PAIR_SLOTS, np.int32)
    after = [row + leaf.state_after(b"a" * n) - 1 for n in range(60)]
    assert rounds(store.address, after[10], after[20], 100, scratch) >> 16 == 60 - 20
    assert rounds(store.address, after[10], after[20], 30, scratch) >> 16 == 30


def test_names_as_wide_as_any_share_the_record_of_plain_content():
    """A name behind which anything may follow has a record of its own that was copied, not scanned."""
    store = Store(vocabulary())
    leaf = closed(json_spelled(pattern_values("^ab")))
    row = store.leaf_like(leaf, string_content(), quoted=False)
    state = leaf.state_after(b"ab")
    store.make_record(row + state - 1, CLOSING)
    records = store.tables.view(RECORDS)[: store.tables.count(RECORDS)].reshape(-1, RECORD_WIDTH)
    assert records[:, P_STOP].tolist() == [QUOTE, CLOSING]  # the content's, then the name's
    assert told(store, 1) == by_hand(leaf, state, CLOSING)
