"""Models with random weights, as small as they can be, and what tests of generation ask of them.

A model that knows nothing is the hardest rider: without the grammar none of these texts would come out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

import bridle
from bridle.integrations.hf import load, vocabulary_of

torch.set_num_threads(1)  # models this small only lose by more, and by a lot where tests run side by side

EOS, PAD, START = 1, 2, 0
WORDS = r"(red|green|blue)( (fox|dog|owl)){1,3}\."
DIGITS = r"[0-9]{3,9}"
PAIR = r'\{"a": (true|false), "b": [0-9]{1,4}\}'


@functools.cache
def tokenizer() -> Any:
    return load()[1]


@functools.cache
def llama(seed: int = 0, vocab_size: int | None = None) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size or len(tokenizer()),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=START,
        eos_token_id=EOS,
        pad_token_id=PAD,
        initializer_range=0.1,
    )
    return LlamaForCausalLM(config).eval()


@functools.cache
def t5() -> Any:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer()),
        d_model=32,
        d_kv=16,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        eos_token_id=EOS,
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
    )
    return T5ForConditionalGeneration(config).eval()


@functools.cache
def compiled(pattern: str) -> Any:
    return bridle.compile(bridle.Grammar.from_regex(pattern), vocabulary_of(llama(), tokenizer()))


def prompt(*texts: str) -> dict[str, torch.Tensor]:
    encoded = tokenizer()(list(texts), return_tensors="pt", padding=True, padding_side="left")
    return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}


def texts_of(sequences: torch.Tensor, start: int) -> list[str]:
    return tokenizer().batch_decode(sequences[:, start:], skip_special_tokens=True)


def assert_sentences(texts: Sequence[str], patterns: str | Sequence[str]) -> None:
    each = [patterns] * len(texts) if isinstance(patterns, str) else list(patterns)
    for text, pattern in zip(texts, each, strict=True):
        assert re.fullmatch(pattern, text), (text, pattern)


def meet_a_budget_behind(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every matcher meet a budget of its grammar in accepting the token behind so many."""
    accept = bridle.Matcher.accept_token

    def limited_accept(self: bridle.Matcher, token: int) -> bool:
        if self.n_steps == tokens:
            raise bridle.LimitError("states", 2, 1)
        return accept(self, token)

    monkeypatch.setattr(bridle.Matcher, "accept_token", limited_accept)
