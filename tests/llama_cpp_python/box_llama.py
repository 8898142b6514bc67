"""What the tests of llama-cpp-python share: the model in the box, grammars, completions that end in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

import bridle
from bridle.integrations.llama_cpp import GrammarLogitsProcessor, vocabulary_of

GGML_TYPE_F32 = 0
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
PERSON = "Describe a person as JSON:\n"
WORDS = r"(red|green|blue)( (fox|dog|owl)){1,3}\."
NUMBERS = r"[0-9]{1,3}(, [0-9]{1,3}){4}"
# What a callback raises is printed by Python; pytest turns that into a warning.
swallowed = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def load(path: Path, **options: Any) -> Any:
    """On one thread, with keys and values in float32: greedy texts are those of transformers then."""
    precision = {"type_k": GGML_TYPE_F32, "type_v": GGML_TYPE_F32, "flash_attn": False}
    threads = {"n_threads": 1, "n_threads_batch": 1, "verbose": False}
    return llama_cpp.Llama(str(path), **{"n_ctx": 512, "logits_all": True, **precision, **threads, **options})


def compiled(llama: Any, grammar: Any, **options: Any) -> Any:
    if isinstance(grammar, str):
        grammar = bridle.Grammar.from_regex(grammar)
    elif isinstance(grammar, dict):
        grammar = bridle.Grammar.from_json_schema(grammar)
    return bridle.compile(grammar, vocabulary_of(llama), **options)


def processor_of(llama: Any, grammar: Any, **options: Any) -> GrammarLogitsProcessor:
    return GrammarLogitsProcessor(compiled(llama, grammar), llama, **options)


def complete(llama: Any, processor: GrammarLogitsProcessor, prompt: Any = PERSON, **options: Any) -> str:
    """The text of a completion that came to its end inside the grammar."""
    options = {"max_tokens": 200, "temperature": 0.0} | options
    answer = llama.create_completion(prompt, logits_processor=processor.logits_processor, **options)
    processor.check()
    assert answer["choices"][0]["finish_reason"] == "stop"
    return answer["choices"][0]["text"]


def forcing(llama: Any, token: int, after: int) -> Any:
    """A processor that lets its token alone through, behind so many calls."""
    calls = iter(range(1000))

    def force(input_ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
        if next(calls) >= after:
            kept = scores[token]
            scores[:] = -np.inf
            scores[token] = max(kept, 0.0)
        return scores

    return force


def meeting_a_limit(llama: Any) -> Any:
    item = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    grammar = "the object that was asked for: " + bridle.Grammar.from_json_schema(item)
    return compiled(llama, grammar, limits=bridle.Limits(states=50))
