"""The model in the box: it is there, it is small, it loads offline and it speaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import bridle
from bridle.integrations.hf import generate
from bridle.integrations.hf.loading import BOX, load


@pytest.fixture(scope="module")
def box() -> tuple[Any, Any]:
    return load()


def test_the_box_is_at_most_six_megabytes() -> None:
    assert sum(path.stat().st_size for path in BOX.iterdir()) <= 6_000_000


def test_the_box_says_what_it_is() -> None:
    assert "bench/train_box_model.py" in (BOX / "README.md").read_text()


def test_the_model_has_one_to_three_million_parameters_and_is_in_eval_mode(box: tuple[Any, Any]) -> None:
    model, _ = box
    assert 1_000_000 <= sum(p.numel() for p in model.parameters()) <= 3_000_000
    assert not model.training


def test_it_is_a_llama_with_a_head_size_that_serving_engines_know(box: tuple[Any, Any]) -> None:
    model, tokenizer = box
    assert model.config.model_type == "llama"
    assert model.config.head_dim in (32, 64)
    assert model.config.tie_word_embeddings
    assert model.config.vocab_size == len(tokenizer)


def test_generation_ends_at_the_tokenizers_end_token(box: tuple[Any, Any]) -> None:
    model, tokenizer = box
    written = json.loads((BOX / "generation_config.json").read_text())
    assert written["eos_token_id"] == tokenizer.eos_token_id == model.generation_config.eos_token_id


def test_every_byte_is_a_token_so_every_text_round_trips(box: tuple[Any, Any]) -> None:
    _, tokenizer = box
    text = "".join(map(chr, range(0x250))) + "東京 😀 \U0010ffff"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    # Bytes that occur in no UTF-8 text are tokens too: the alphabet of byte-level BPE has one character for each.
    alphabet = [token for token in tokenizer.get_vocab() if len(token) == 1]
    assert len(alphabet) == 256


def test_a_prompt_begins_with_the_begin_token(box: tuple[Any, Any]) -> None:
    _, tokenizer = box
    assert tokenizer("{").input_ids[0] == tokenizer.bos_token_id
    assert tokenizer("").input_ids == [tokenizer.bos_token_id]


def test_it_writes_without_a_grammar(box: tuple[Any, Any]) -> None:
    model, tokenizer = box
    prompt = tokenizer("Describe a person as JSON:\n", return_tensors="pt")
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=40)
    text = tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :])
    assert text.startswith("{")
    assert '"' in text


def test_long_strings_are_closed_within_the_budget(box: tuple[Any, Any]) -> None:
    model, tokenizer = box
    text = {"type": "string", "minLength": 5}
    schema = {"type": "object", "properties": {"title": text, "story": text}, "required": ["title", "story"]}
    grammar = bridle.Grammar.from_json_schema(schema)
    for seed in range(8):
        result = generate(model, tokenizer, "Describe a story as JSON:\n", grammar, max_new_tokens=40, seed=seed)[0]
        assert result.complete and len(result.token_ids) <= 40
        assert len(json.loads(result.text)["story"]) >= 5
