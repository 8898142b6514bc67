"""The benchmarks of speculative decoding, with the tokens of the model in the box: every way to draft writes the
recorded text, in fewer forwards where there is something to go by, and no choice depends on rounding in float32."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import bridle
import half_precision
import speculation
from bridle.integrations import hf
from bridle.speculative.tree_attention import check_model

WAYS = ("plain", "none", "forced", "trie", "reference", "draft model", "forced+trie", "all", "lookup")


class BoxTokens:
    """The box's tokenizer as the benchmark knows tokenizers."""

    def __init__(self) -> None:
        model, self._tokenizer = hf.load()
        vocabulary = hf.vocabulary_of(model, self._tokenizer)
        self.tokens, self.stop = list(vocabulary.tokens), vocabulary.stop_token_ids[0]

    def cut(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="module")
def tokens() -> BoxTokens:
    torch.set_num_threads(1)
    return BoxTokens()


@pytest.mark.parametrize("text", ["quote", "strings"])
def test_every_way_to_draft_writes_the_recorded_text(text: str, tokens: Any) -> None:
    cases = speculation.retrieval_cases(1, 1) if text == "quote" else speculation.random_cases(1, as_json=True)
    case = next(cases)
    case.text = case.text[:200] if text == "quote" else '["abc def", "ghi"]'
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    model, small = (speculation.replay(len(tokens.tokens), 64, 1, tokens.stop) for _ in range(2))
    for one in (model, small):
        check_model(one)  # or its probe would be counted
    forwards = {}
    for way in WAYS:
        n, forwards[way], seconds, _ = speculation.decode(model, case, way, vocabulary, tokens, small, 0.01, None)
        assert seconds > 0
        assert forwards[way] <= n
    assert forwards["plain"] == forwards["none"] == len(tokens.cut(case.text)) + 1
    assert forwards["draft model"] < forwards["plain"]
    if text == "quote":
        assert max(forwards[way] for way in ("trie", "reference", "all", "lookup")) < 0.8 * forwards["plain"]


def test_quotes_are_of_as_many_sentences_as_are_asked_for() -> None:
    for sentences in (1, 3):
        for case in itertools.islice(speculation.retrieval_cases(1, sentences), 8):
            quoted = case.text.split('"')[1::2]
            assert all(any(quote in document for document in case.documents) for quote in quoted)
            assert max(quote.count(". ") for quote in quoted) < sentences


def test_in_float32_no_text_parts_and_readings_agree() -> None:
    model, tokenizer = hf.load()
    parted, ties = half_precision.compare(model, tokenizer, 1)
    assert not len(parted)
    assert len(ties) > 20
    assert not ties[:, 3].any()
    assert (ties[:, 2] < 1e-3).all()
