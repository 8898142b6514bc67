"""Joined places of the token tree (joined_place_kernels.py) against the tokens' bytes.

It calls inner functions of kernels, which only plain Python can: test_without_jit.py runs it.
"""

import random

import numpy as np
import pytest

import bridle
from bridle.automata.joined_place_kernels import join, members_of, open_place
from bridle.automata.kernel import JIT
from bridle.automata.place_kernels import part_of_children, way_to
from bridle.automata.record_table_kernels import P_EXITS, P_PLACE
from bridle.automata.store import Store
from bridle.automata.table_kernels import (
    JOINED_PLACES,
    RECORD_WIDTH,
    RECORDS,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_TOKEN_FIRST,
    T_TOKENS,
)

pytestmark = pytest.mark.skipif(JIT, reason="inner functions of compiled kernels: see test_without_jit.py")


def made_store(seed: int, n: int = 400) -> tuple[Store, list[bytes]]:
    rng = random.Random(seed)
    tokens = sorted({bytes(rng.choice(b"ab. (") for _ in range(rng.randint(1, 5))) for _ in range(n)})
    return Store(bridle.Vocabulary([*tokens, b""], stop_token_ids=len(tokens))), tokens


def served(store: Store, call, failed: int = -1) -> int:
    while (found := int(call())) == failed:
        store.make_room()
    return found


def children(store: Store, t: int) -> range:
    if 0 <= t < store.n_nodes:
        first = store.tables.view(T_CHILD_FIRST)
        return range(first[t], first[t + 1])
    return range(*part_of_children(store.context, t))


def node_at(store: Store, text: bytes) -> int:
    """The node of a text that begins a token."""
    t = 0
    for byte in text:
        at = [k for k in children(store, t) if store.tables.view(T_CHILD_BYTE)[k] == byte]
        t = int(store.tables.view(T_CHILD_NODE)[at[0]])
    return t


def tokens_at(store: Store, t: int) -> list[int]:
    """The tokens that end at a place that a byte has led to."""
    if t >= store.n_nodes:
        o = t - store.n_nodes
        members = store.tables.view(JOINED_PLACES)[o + 1 : o + 1 + members_of(store.context, t)].tolist()
        return [token for member in members for token in tokens_at(store, member)]
    first = store.tables.view(T_TOKEN_FIRST)
    return store.tables.view(T_TOKENS)[first[t] : first[t + 1]].tolist()


def below(store: Store, t: int, text: bytes = b"") -> dict[bytes, list[int]]:
    """What is read below a place, and the tokens that end so."""
    if t >= store.n_nodes:
        served(store, lambda: open_place(store.context, t), failed=0)
    found: dict[bytes, list[int]] = {}
    for k in children(store, t):
        byte, to = int(store.tables.view(T_CHILD_BYTE)[k]), int(store.tables.view(T_CHILD_NODE)[k])
        found[text + bytes((byte,))] = sorted(tokens_at(store, to))
        found |= below(store, to, text + bytes((byte,)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_what_is_below_a_joined_place_is_what_is_below_any_of_its_members(seed: int) -> None:
    store, tokens = made_store(seed)
    rng = random.Random(seed)
    prefixes = sorted({token[:n] for token in tokens for n in range(len(token) + 1)})
    chosen = rng.sample(prefixes, 12)
    # Of some prefixes one way alone, of none both that and the whole.
    ways = {p: rng.choice(b"ab. (") for p in chosen if rng.random() < 0.5 and p + b"a" in prefixes}
    ways = {p: b for p, b in ways.items() if p + bytes((b,)) in prefixes}
    places = [
        way_to(store.context, node_at(store, p + bytes((ways[p],)))) if p in ways else node_at(store, p) for p in chosen
    ]
    place = served(store, lambda: join(store.context, np.array(places, np.int32), 1, len(places)))
    expected: dict[bytes, list[int]] = {}
    for i, token in enumerate(tokens):
        for p in chosen:
            if token.startswith(p) and len(token) > len(p) and ways.get(p, token[len(p)]) == token[len(p)]:
                for n in range(len(p) + 1, len(token) + 1):
                    expected.setdefault(token[len(p) : n], [])
                expected[token[len(p) :]].append(i)
    assert below(store, place) == expected


def test_equal_lists_of_members_are_one_place() -> None:
    store, tokens = made_store(1)
    places = np.array([node_at(store, token[:1]) for token in tokens[:1]] + [node_at(store, b"b")], np.int32)
    first = served(store, lambda: join(store.context, places, 1, 2))
    assert served(store, lambda: join(store.context, places, 1, 2)) == first
    assert served(store, lambda: join(store.context, places, 1, 1)) == places[0]


def test_there_are_more_exits_below_a_joined_place_than_nodes() -> None:
    """A name that may end anywhere, twice: what is below its places is below one another, and scanned for each."""
    rng = random.Random(3)
    tokens = sorted({bytes(rng.choice(b"abcdefgh") for _ in range(18)) for _ in range(40)})
    vocabulary = bridle.Vocabulary([*tokens, b"a", b"(", b")", b""], stop_token_ids=len(tokens) + 3)
    grammar = bridle.Grammar.from_ebnf('root ::= w w ("(" root ")")?\nw ::= [a-h]+ | "(" w ")"')
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    bitmask = bridle.allocate_token_bitmask(2, vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask, 0)
    matcher.fill_reference_bitmask(bitmask, 1)
    assert (bitmask[0] == bitmask[1]).all() and bitmask[0, 1] >> len(tokens) % 32 & 15 == 0b0011
    store = matcher.compiled.machine.store
    records = store.tables.view(RECORDS)[: 3 * RECORD_WIDTH].reshape(-1, RECORD_WIDTH)
    assert records[records[:, P_PLACE] >= store.n_nodes, P_EXITS].max() > store.n_nodes
