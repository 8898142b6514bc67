"""Draft trees, the frequency trie, copying and merging, each against its slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_drafts as naive
from bridle.automata.kernel import compile_all
from bridle.speculative.draft_kernels import (
    BANDS,
    BETWEEN,
    follow_matches,
    longest_matches,
    merge_drafts,
    tree_attention,
)
from bridle.speculative.draft_tree import NO_DRAFT, DraftTree, joined
from bridle.speculative.frequency_trie import FrequencyTrie
from bridle.speculative.history import ReferenceSource, SuffixSource, TrieSource
from bridle.speculative.sources import DraftContext, Request
from bridle.speculative.text_cutting import unspaced

TEXTS = st.lists(st.integers(0, 4), max_size=40)


@st.composite
def trees(draw):
    """Arrays of a tree in which equal siblings occur, with scores on a grid that a band holds exactly."""
    n = draw(st.integers(0, 30))
    tokens = [draw(st.integers(0, 3)) for _ in range(n)]
    parent = [draw(st.integers(-1, i - 1)) for i in range(n)]
    score = [draw(st.integers(0, BANDS - 1)) / BANDS + 0.5 / BANDS for _ in range(n)]
    return tokens, parent, score


def ints(values):
    return np.array(values, np.int32)


def context(tokens, matcher=None):
    return DraftContext(ints(tokens), 0, matcher)


# ---------------------------------------------------------------------------------------------- trees


@settings(deadline=None)
@given(trees())
def test_attention_sees_the_path_and_nothing_else(tree):
    compile_all()
    _, parent, _ = tree
    n = len(parent) + 1
    sees, depth = np.zeros((n, n), np.bool_), np.zeros(n, np.int32)
    tree_attention(ints(parent), sees, depth)
    wanted = naive.seen_by(parent)
    assert [set(np.flatnonzero(row).tolist()) for row in sees] == wanted
    assert depth.tolist() == [len(seen) - 1 for seen in wanted]


@settings(deadline=None)
@given(trees())
def test_merging_keeps_each_path_once_with_the_best_probability(tree):
    compile_all()
    tokens, parent, score = tree
    n = len(tokens)
    rates = np.linspace(0.02, 0.98, BANDS, dtype=np.float32)[None, :].copy()
    out = (np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.float32),
           np.empty(n, np.int8))  # fmt: skip
    m = merge_drafts(ints(tokens), ints(parent), np.array(score, np.float32), np.zeros(n, np.int8), rates, *out)
    wanted = naive.merged(tokens, parent, [float(rates[0, int(s * BANDS)]) for s in score])
    found = dict(zip(naive.paths(out[0][:m].tolist(), out[1][:m].tolist()), out[2][:m].tolist(), strict=True))
    assert len(found) == m
    assert found == pytest.approx(wanted, rel=1e-5)
    assert (np.diff(out[2][:m]) <= 0).all()
    assert (out[1][:m] < np.arange(m)).all()


def test_a_merged_node_belongs_to_the_source_that_is_surest():
    compile_all()
    rates = np.full((2, BANDS), 0.2, np.float32)
    rates[1] = 0.9
    tree = joined([DraftTree.of([5], [-1], [0.99]), DraftTree.of([5, 6], [-1, 0], [0.1, 0.1])], [0, 1])
    out = (np.empty(3, np.int32), np.empty(3, np.int32), np.empty(3, np.float32), np.empty(3, np.float32),
           np.empty(3, np.int8))  # fmt: skip
    assert merge_drafts(tree.tokens, tree.parent, tree.score, tree.source, rates, *out) == 2
    assert out[4][:2].tolist() == [1, 1]
    assert out[2][:2].tolist() == pytest.approx([0.9, 0.81])


def test_a_tree_with_a_child_before_its_parent_is_refused():
    with pytest.raises(ValueError, match="comes before its parent"):
        DraftTree.of([1, 2], [1, -1], [0.5, 0.5]).verify()
    with pytest.raises(ValueError, match="probability"):
        DraftTree.of([1], [-1], [1.5]).verify()
    NO_DRAFT.verify()


def test_joined_trees_keep_their_own_parents():
    tree = joined([DraftTree.of([1, 2], [-1, 0], [1, 1]), NO_DRAFT, DraftTree.of([3, 4], [-1, 0], [1, 1])], [0, 1, 2])
    tree.verify()
    assert naive.paths(tree.tokens.tolist(), tree.parent.tolist()) == [(1,), (1, 2), (3,), (3, 4)]
    assert tree.source.tolist() == [0, 0, 2, 2]
    assert tree.depths().tolist() == [0, 1, 0, 1]


# ---------------------------------------------------------------------------------------------- the trie


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=4), st.integers(2, 5), st.integers(1, 7))
def test_the_trie_counts_every_ngram_of_every_text_in_whatever_pieces_it_comes(texts, depth, piece):
    trie, wanted = FrequencyTrie(depth), sum((naive.ngrams(text, depth) for text in texts), naive.ngrams([], depth))
    for text in texts:
        ends = trie.begin()
        for at in range(0, len(text), piece):
            trie.extend(ends, text[at : at + piece])
    assert {gram: trie.count(ints(gram)) for gram in wanted} == dict(wanted)
    assert len(trie) == len(wanted)
    assert trie.count(ints([9])) == trie.count(ints([])) == 0


@settings(deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_a_draft_of_the_trie_says_only_what_has_followed_and_how_often(text, budget):
    trie = FrequencyTrie(4)
    trie.add(text)
    draft = trie.draft(ints(text), budget, longest=1)
    draft.verify()
    assert len(draft) <= budget
    counts = naive.ngrams(text, 4)
    for path, score in zip(naive.paths(draft.tokens.tolist(), draft.parent.tolist()), draft.score, strict=True):
        before = (text[-1], *path[:-1])
        siblings = sum(n for gram, n in counts.items() if gram[:-1] == before)
        assert counts[(*before, path[-1])] > 0
        assert score <= counts[(*before, path[-1])] / min(siblings, counts[before]) + 1e-6


def test_longer_contexts_come_first():
    trie = FrequencyTrie(4)
    trie.add([1, 2, 3, 9, 2, 4, 9, 2, 4])
    draft = trie.draft(ints([1, 2]), 8)
    firsts = {draft.tokens[i]: draft.score[i] for i in range(len(draft) - 1, -1, -1) if draft.parent[i] < 0}
    assert draft.tokens[0] == 3  # after 1 2; after 2 alone it would be 4
    assert set(firsts) == {3, 4}


def test_eviction_keeps_the_trie_bounded_and_what_is_frequent_in_it():
    rng, trie = np.random.default_rng(0), FrequencyTrie(4, capacity=2000)
    for _ in range(200):
        trie.add([1, 2, 3, 4])
        trie.add(rng.integers(10, 200, 40))
    assert len(trie) < 2 * 2000
    assert trie.count(ints([1, 2, 3, 4])) > 10
    assert trie.draft(ints([1, 2]), 4).tokens[0] == 3


def test_a_text_that_grows_while_the_trie_evicts_is_counted_anew_from_there():
    rng, trie = np.random.default_rng(0), FrequencyTrie(3, capacity=300)
    ends = trie.begin()
    for _ in range(300):
        trie.extend(ends, rng.integers(0, 50, 5))
        trie.add(rng.integers(0, 50, 20))
    assert trie.count(ints([1])) >= trie.count(ints([1, 2]))


@pytest.mark.parametrize("arguments", [(1,), (5, 3)])
def test_a_trie_without_room_is_refused(arguments):
    with pytest.raises(ValueError, match="depth"):
        FrequencyTrie(*arguments)


# ---------------------------------------------------------------------------------------------- copying


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 6), st.integers(1, 5))
def test_matches_are_the_longest_and_among_equals_the_latest(tail, text, longest, most):
    compile_all()
    places, lengths = np.empty(most, np.int64), np.empty(most, np.int64)
    n = longest_matches(ints(tail), ints(text), len(text), longest, places, lengths)
    found = list(zip(places[:n].tolist(), lengths[:n].tolist(), strict=True))
    assert found == naive.matches(tail, text, len(text), longest)[:most]


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.integers(-1, 4), max_size=40), st.integers(1, 9), st.integers(1, 3), st.integers(1, 30))
def test_matches_are_followed_each_token_as_likely_as_its_share(tail, text, most_places, branches, room):
    compile_all()
    found = naive.matches(tail, text, len(text), 6)[:most_places]
    places, lengths = (np.array(column, np.int64) for column in (zip(*found) if found else ((), ())))
    out = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    n = follow_matches(ints(text), places, lengths, branches, 32, *out)
    tokens, parent, score = (array[:n].tolist() for array in out)
    wanted = naive.next_tokens(text, found)
    firsts = [i for i in range(n) if parent[i] < 0]
    assert len({tokens[i] for i in firsts}) == len(firsts)
    assert n == room or len(firsts) == len(wanted)
    assert [score[i] for i in firsts] == sorted((score[i] for i in firsts), reverse=True)
    for rank, (i, end) in enumerate(zip(firsts, [*firsts, n][1:], strict=True)):
        likely, place, matched = wanted[tokens[i]]
        run = text[place : place + (min(32, 8 * matched + 16) if rank < branches else 1)]
        run = run[: run.index(BETWEEN)] if BETWEEN in run else run
        assert tokens[i:end] == run[: end - i]
        assert end == n == room or end - i == len(run)
        assert parent[i:end] == [-1, *range(i, end - 1)]
        assert score[i:end] == pytest.approx([likely, *(naive.sure(matched + k) for k in range(1, end - i))], abs=1e-6)


def test_a_quote_is_found_though_its_first_word_stands_behind_a_space_in_the_document():
    texts = [b"", b"The", b" The", b' "', b" cat", b" dog", b" sat", b" ran", b"cat"]
    table = unspaced(texts)
    assert table.tolist() == [0, 1, 1, 3, 8, 5, 6, 7, 8]
    document = [2, 5, 7, 2, 4, 6, 5, 4, 7]  # The dog ran The cat sat dog cat ran
    for made in (ReferenceSource([document]), SuffixSource()):
        for known in (None, table):
            text = [*document, 3] if isinstance(made, SuffixSource) else [3]
            stream = made.begin(Request(ints([]), unspaced=known))
            stream.propose(context(text), 16)
            draft = stream.propose(context([*text, 1, 4]), 16)  # "The cat
            first = {int(t): float(s) for t, s, above in zip(draft.tokens, draft.score, draft.parent) if above < 0}
            assert (first[6] > first[7]) == (known is not None)


def test_tokens_beyond_those_that_are_spelled_are_themselves():
    stream = SuffixSource().begin(Request(ints([]), unspaced=ints([0, 0])))
    draft = stream.propose(context([900, 901, 1, 7, 900, 901, 0]), 4)
    assert draft.tokens[0] == 7


def test_a_repetition_is_continued_as_it_went_on_before():
    stream = SuffixSource().begin(Request(ints([])))
    draft = stream.propose(context([1, 2, 3, 4, 5, 9, 1, 2, 3]), 16)
    draft.verify()
    assert draft.tokens[:2].tolist() == [4, 5]
    assert (np.diff(draft.score[:5]) > 0).all()  # the further a match goes the surer it is


def test_a_reference_is_quoted_and_its_end_is_no_token():
    stream = ReferenceSource([[7, 8, 9], [8, 1]]).begin(Request(ints([])))
    draft = stream.propose(context([3, 7, 8]), 16)
    assert naive.paths(draft.tokens.tolist(), draft.parent.tolist()) == [(9,), (1,)]
    assert (draft.tokens >= 0).all()


def test_a_reference_that_is_text_needs_a_tokenizer():
    with pytest.raises(ValueError, match="tokenizer"):
        ReferenceSource(["abc"]).begin(Request(ints([])))
    stream = ReferenceSource(["abc"]).begin(Request(ints([]), encode=lambda text: [ord(c) for c in text]))
    assert stream.propose(context([97, 98]), 4).tokens.tolist() == [99]


def test_a_reference_is_cut_once_for_all_texts():
    source, cut = ReferenceSource(["abc"]), []

    def encode(text):
        cut.append(text)
        return [ord(letter) for letter in text]

    for _ in range(3):
        draft = source.begin(Request(np.array([5], np.int32), None, encode)).propose(context([5, ord("a")]), 9)
        assert draft.tokens.tolist() == [ord("b"), ord("c")]
    other = source.begin(Request(np.array([5], np.int32), None, lambda text: [ord(letter) + 9 for letter in text]))
    assert other.propose(context([5, ord("a") + 9]), 9).tokens.tolist() == [ord("b") + 9, ord("c") + 9]
    assert cut == ["abc"]


def test_the_trie_source_learns_the_text_as_it_comes_and_keeps_outputs_for_the_next():
    source = TrieSource()
    first = source.begin(Request(ints([1, 2, 3, 1, 2])))
    assert first.propose(context([1, 2, 3, 1, 2]), 4).tokens[0] == 3
    first.observe([5, 6, 7])
    first.end()
    second = source.begin(Request(ints([8])))
    assert len(second.propose(context([8, 1, 2]), 4)) == 0  # a prompt is forgotten with its text
    assert second.propose(context([8, 5, 6]), 4).tokens[0] == 7


@pytest.mark.parametrize("most", [1, 3])
def test_no_source_goes_over_its_budget(most):
    tokens = [1, 2, 3, 4, 5, 6, 7, 1, 2]
    for source in (SuffixSource(), TrieSource(), ReferenceSource([tokens])):
        draft = source.begin(Request(ints(tokens))).propose(context(tokens), most)
        assert 0 < len(draft) <= most
