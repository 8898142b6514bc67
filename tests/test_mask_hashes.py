"""Every mask of the benchmark's corpus is what the slow reference made: the recorded hashes are replayed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import bridle

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import mask_hashes
from corpus import corpus, text_of
from engines import Tokens, tekken, tekken_file
from mask_hashes import DIGITS, differences, digest_of

ROWS = corpus()


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    if tekken_file() is None:
        pytest.skip("mistral-common with its Tekken is not installed: no mask was compared with its hash")
    return tekken()


@pytest.fixture(scope="module")
def recorded(tokens) -> mask_hashes.Hashes:
    digest, hashes = mask_hashes.read()
    assert digest == digest_of(tokens), "another Tekken: python bench/mask_hashes.py --write"
    return hashes


def row_named(name):
    (row,) = [row for row in ROWS if row["id"] == name]
    return row


def test_every_mask_of_the_corpus_is_the_reference(tokens, recorded):
    assert set(recorded) == {row["id"] for row in ROWS}, "the corpus has changed: python bench/mask_hashes.py --write"
    assert list(differences(ROWS, recorded, tokens)) == []


def test_every_position_of_every_valid_instance_has_a_hash(tokens, recorded):
    for row in ROWS:
        for test, hashes in zip(row["tests"], recorded[row["id"]], strict=True):
            positions = len(tokens.cut(text_of(test))) + 1
            assert len(hashes) == DIGITS * positions if test["valid"] else 0 < len(hashes) <= DIGITS * positions


def test_a_hash_that_was_changed_is_found(tokens, recorded):
    row = row_named("tools/weather")
    hashes = list(recorded[row["id"]])
    at = 3 * DIGITS
    hashes[1] = hashes[1][:at] + ("0" if hashes[1][at] != "0" else "1") + hashes[1][at + 1 :]
    (found,) = differences([row], {row["id"]: hashes}, tokens)
    assert (found.id, found.instance, found.position) == ("tools/weather", 1, 3)
    assert text_of(row["tests"][1]).startswith(found.text)


def test_a_hash_that_is_not_there_is_found(tokens, recorded):
    row = row_named("tools/weather")
    cut = [recorded[row["id"]][0][:-DIGITS], *recorded[row["id"]][1:-1]]
    assert [found.instance for found in differences([row], {row["id"]: cut}, tokens)] == [0, 2]


def test_a_mask_with_one_wrong_bit_is_found(tokens, recorded):
    row = row_named("recursive/tree")

    def wrong_once(matcher: bridle.Matcher, bitmask) -> None:
        matcher.fill_next_token_bitmask(bitmask)
        if matcher.n_steps == 5:
            bitmask[0, 1000] ^= 1 << 7

    found = list(differences([row], recorded, tokens, wrong_once))
    assert [(difference.instance, difference.position) for difference in found] == [(0, 5), (1, 5), (2, 5)]


@pytest.mark.parametrize("name", ["recursive/tree", "discriminator/payment", "bounded-strings/list-of-short"])
def test_the_file_was_made_from_references(name, tokens, recorded):
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    assert mask_hashes.hashes_of(row_named(name), tokens, vocabulary, mask_hashes.reference) == recorded[name]
