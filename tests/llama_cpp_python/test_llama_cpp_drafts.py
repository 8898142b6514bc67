"""Drafts in llama-cpp-python: the same texts in fewer forwards, whoever drafts, with a grammar and without."""

# ruff: noqa: E402 — what follows importorskip needs what it asks for
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import bridle

llama_cpp = pytest.importorskip("llama_cpp")
from box_llama import (
    NUMBERS,
    PERSON,
    SCHEMA,
    WORDS,
    complete,
    forcing,
    load,
    meeting_a_limit,
    processor_of,
    swallowed,
)
from llama_cpp.llama_speculative import LlamaDraftModel, LlamaPromptLookupDecoding

from bridle.integrations.llama_cpp import ConflictError, DraftModel, GrammarLogitsProcessor, vocabulary_of

LONG = "Copy: red fox owl dog. red fox owl dog. red fox"
CALLS = [
    (grammar, prompt, {"temperature": temperature, "seed": seed})
    for grammar in (SCHEMA, WORDS, NUMBERS)
    for prompt in (PERSON, LONG)
    for temperature, seed in ((0.0, 0), (0.0, 1), (1.0, 2), (1.5, 3))
]


class Recording(DraftModel):
    """Keeps what it was shown and what it has drafted."""

    def __init__(self, llama: Any, **options: Any) -> None:
        super().__init__(llama, cost_slope=0.0, **options)
        self.calls: list[tuple[list[int], list[int]]] = []

    def __call__(self, input_ids: np.ndarray, /, **kwargs: Any) -> np.ndarray:
        drafted = super().__call__(input_ids)
        self.calls.append((input_ids.tolist(), drafted.tolist()))
        return drafted


class Wrong(LlamaDraftModel):
    """Drafts noise, and now and then nothing."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def __call__(self, input_ids: np.ndarray, /, **kwargs: Any) -> np.ndarray:
        return self._rng.integers(0, 4096, self._rng.integers(0, 9)).astype(np.intc)


@pytest.mark.parametrize("who", ["bridle", "prompt lookup", "noise"])
def test_texts_with_drafts_are_those_without(llama: Any, drafting: Any, who: str) -> None:
    if who != "bridle":
        drafting.draft_model = LlamaPromptLookupDecoding(num_pred_tokens=7) if who == "prompt lookup" else Wrong()
    plain, processors = {}, {}
    for grammar, prompt, sampling in CALLS:
        for model in (llama, drafting):
            key = id(model), json.dumps(grammar)
            if key not in processors:
                processors[key] = processor_of(model, grammar, max_tokens=40)
            options = {"max_tokens": 120, "logits_processor": processors[key].logits_processor} | sampling
            choice = model(prompt, **options)["choices"][0]
            processors[key].check()
            texts = plain.setdefault(json.dumps([grammar, prompt, sampling]), choice)
            assert (choice["text"], choice["finish_reason"]) == (texts["text"], texts["finish_reason"])
    if who == "bridle":
        assert drafting.draft_model.stats.accepted > 100


def test_greedy_texts_with_drafts_are_those_of_transformers(drafting: Any) -> None:
    hf = pytest.importorskip("bridle.integrations.hf")
    model, tokenizer = hf.load()
    processor = processor_of(drafting, SCHEMA)
    for prompt in (PERSON, LONG, "Three people: "):
        ids = tokenizer(prompt)["input_ids"]
        expected = hf.generate(model, tokenizer, prompt, processor.compiled, max_new_tokens=200)[0].text
        assert complete(drafting, processor, ids) == expected


def test_texts_without_a_grammar_are_the_same_with_drafts(llama: Any, drafting: Any) -> None:
    for prompt in (PERSON, LONG, PERSON, "A, B, C, A, B, C, "):
        options = {"max_tokens": 60, "temperature": 0.0}
        assert drafting(prompt, **options)["choices"] == llama(prompt, **options)["choices"]
    assert drafting.draft_model.stats.accepted > 20


def test_what_the_grammar_dictates_takes_few_forwards(drafting: Any) -> None:
    drafting.draft_model = recording = Recording(drafting, most_tokens=32)
    text = complete(drafting, processor_of(drafting, SCHEMA))
    tokens = len(drafting.tokenize(text.encode(), add_bos=False))
    processor = processor_of(drafting, bridle.Grammar.from_choices([text]))
    before = len(recording.calls)
    assert complete(drafting, processor) == text
    assert 4 * (len(recording.calls) - before) <= tokens
    assert recording.stats.by_source["forced"] > 0


def test_a_draft_is_inside_the_grammar_and_ends_before_the_stop_token(drafting: Any) -> None:
    drafting.draft_model = recording = Recording(drafting)
    processor = processor_of(drafting, SCHEMA)
    prompt = drafting.tokenize(PERSON.encode())
    for seed in range(6):
        complete(drafting, processor, prompt, temperature=1.2, seed=seed)
    for shown, drafted in recording.calls:
        assert shown[: len(prompt)] == prompt
        text = shown[len(prompt) :] + drafted
        assert bridle.Matcher(processor.compiled).validate_tokens(text) == len(text)
        assert 1 not in drafted
    assert sum(len(drafted) for _, drafted in recording.calls) > 50


def test_a_document_that_is_quoted_is_drafted_from(drafting: Any) -> None:
    document = "the quick brown fox jumps over the lazy dog while nobody in the whole of the village looks at it"
    grammar = bridle.Grammar.from_choices([document, "no"])
    for reference in (document, drafting.tokenize(document.encode(), add_bos=False)):
        drafting.draft_model = DraftModel(drafting, references=[reference], cost_slope=0.0)
        complete(drafting, processor_of(drafting, grammar), "Quote: the quick brown fox")
        free = drafting("Quote: the quick brown fox jumps over", max_tokens=8, temperature=0.0)
        assert free["choices"] and drafting.draft_model.stats.proposed_by.get("reference", 0) > 0


@pytest.mark.parametrize(
    "options", [{"n_batch": 8, "n_ubatch": 8}, {"n_batch": 64, "n_ubatch": 4}, {"n_ctx": 256}], ids=str
)
def test_small_batches_and_contexts_change_nothing(box: Path, options: dict[str, Any]) -> None:
    texts = []
    prompt = 9 * LONG  # 39 tokens are left of 256
    for drafts in (False, True):
        model = load(box, **options)
        if drafts:
            model.draft_model = DraftModel(model, cost_slope=0.0)
        processor = processor_of(model, SCHEMA)
        for seed in range(3):
            sampling = {"max_tokens": 200, "temperature": 1.0, "seed": seed}
            choice = model(prompt, logits_processor=processor.logits_processor, **sampling)["choices"][0]
            processor.check()
            texts.append((choice["text"], choice["finish_reason"]))
    assert texts[:3] == texts[3:]


def test_a_draft_model_that_is_not_asked_for_one_text_serves_the_next(drafting: Any) -> None:
    processor = processor_of(drafting, WORDS)
    assert drafting(PERSON, max_tokens=1, temperature=0.0, logits_processor=processor.logits_processor)["choices"]
    assert re.fullmatch(WORDS, complete(drafting, processor, "Say: "))
    parts = drafting(PERSON, max_tokens=200, stream=True, logits_processor=processor.logits_processor)
    next(parts)
    parts.close()
    jsonschema.validate(json.loads(complete(drafting, processor_of(drafting, SCHEMA))), SCHEMA)


@swallowed
def test_errors_of_the_grammar_are_the_same_with_drafts(drafting: Any) -> None:
    processor = GrammarLogitsProcessor(meeting_a_limit(drafting), drafting)
    options = {"temperature": 0.0, "max_tokens": 60, "logits_processor": processor.logits_processor}
    with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
        drafting("a", stopping_criteria=processor.stopping_criteria, **options)
    drafting("a", **options)
    with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
        processor.check()
    processor, x = processor_of(drafting, NUMBERS), vocabulary_of(drafting).tokens.index(b"x")
    processors = llama_cpp.LogitsProcessorList([processor, forcing(drafting, x, 4)])
    with pytest.raises(ConflictError, match=f"token {x}, number 4 of the text"):
        drafting("N: ", temperature=0.0, logits_processor=processors, stopping_criteria=processor.stopping_criteria)


def test_a_model_that_cannot_verify_drafts_is_refused(box: Path) -> None:
    with pytest.raises(ValueError, match=r"logits_all=True \(which keeps 8 MB of logits for n_ctx=512\)"):
        DraftModel(load(box, logits_all=False))
    with pytest.raises(ValueError, match=r"keeps logits of 300 tokens, and its context has 512: .* n_ctx=512"):
        DraftModel(load(box, n_ctx=300))
    model = load(box)
    with pytest.raises(ValueError, match="`references` are for the default sources"):
        DraftModel(model, references=["a"], sources=[])
    model._is_recurrent = True
    with pytest.raises(ValueError, match="a recurrent model cannot take back drafted tokens"):
        DraftModel(model)
    with pytest.raises(TypeError, match="not str"):
        DraftModel("model.gguf")
