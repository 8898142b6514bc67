"""Grammars in llama-cpp-python: every method that writes text, texts one after another, and what may go wrong."""

# ruff: noqa: E402 — what follows importorskip needs what it asks for
from __future__ import annotations

import json
import re
import subprocess
import sys
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
    compiled,
    complete,
    forcing,
    meeting_a_limit,
    processor_of,
    swallowed,
)

from bridle.integrations.llama_cpp import ConflictError, GrammarLogitsProcessor, vocabulary_of

# ---------------------------------------------------------------------------------------------- texts


def test_logits_are_those_of_transformers(llama: Any) -> None:
    torch = pytest.importorskip("torch")
    hf = pytest.importorskip("bridle.integrations.hf")
    model, tokenizer = hf.load()
    for prompt in (PERSON, "Three fruits: ", 'call {"x": [1, 2, 3'):
        ids = tokenizer(prompt)["input_ids"]
        assert llama.tokenize(prompt.encode()) == ids
        llama.reset()
        llama.eval(ids)
        with torch.inference_mode():
            expected = model.float()(torch.tensor([ids])).logits[0].numpy()
        assert np.abs(llama.scores[: len(ids)] - expected).max() < 1e-3


@pytest.mark.parametrize("grammar", [SCHEMA, WORDS, NUMBERS], ids=["schema", "words", "numbers"])
@pytest.mark.parametrize("prompt", [PERSON, "Three fruits: ", ""])
def test_greedy_texts_are_those_of_transformers(llama: Any, grammar: Any, prompt: str) -> None:
    hf = pytest.importorskip("bridle.integrations.hf")
    model, tokenizer = hf.load()
    c = compiled(llama, grammar)
    expected = hf.generate(model, tokenizer, prompt, c, max_new_tokens=200)[0]
    assert expected.complete
    ids = tokenizer(prompt)["input_ids"]  # an empty prompt is <|bos|> twice for Llama, unless it is given as tokens
    assert complete(llama, GrammarLogitsProcessor(c, llama), ids) == expected.text


@pytest.mark.parametrize("sampling", [{"temperature": t} for t in (0.5, 1.0, 2.0, -1.0)] + [
    {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.3, "frequency_penalty": 0.5},
    {"temperature": 1.0, "mirostat_mode": 1}, {"temperature": 1.0, "mirostat_mode": 2},
], ids=str)  # fmt: skip
def test_every_sampled_text_fits_the_schema(llama: Any, sampling: dict[str, Any]) -> None:
    processor, texts = processor_of(llama, SCHEMA, max_tokens=150), set()
    for seed in range(8):
        text = complete(llama, processor, seed=seed, **sampling)
        jsonschema.validate(json.loads(text), SCHEMA)
        texts.add(text)
    assert len(texts) > 1


def test_chat_completions_are_inside_the_grammar_turn_after_turn(llama: Any) -> None:
    processor = processor_of(llama, SCHEMA)
    messages = [{"role": "user", "content": "Describe a person."}]
    for _ in range(3):
        answer = llama.create_chat_completion(messages, temperature=0.0, logits_processor=processor.logits_processor)
        processor.check()
        message = answer["choices"][0]["message"]
        jsonschema.validate(json.loads(message["content"]), SCHEMA)
        messages += [message, {"role": "user", "content": "Another one."}]


def test_streamed_parts_are_the_text(llama: Any) -> None:
    processor = processor_of(llama, SCHEMA)
    whole = complete(llama, processor)
    parts = llama(PERSON, max_tokens=200, temperature=0.0, stream=True, logits_processor=processor.logits_processor)
    texts = [part["choices"][0]["text"] for part in parts]
    processor.check()
    assert len(texts) > 10 and "".join(texts) == whole
    chat = {"messages": [{"role": "user", "content": "A person."}], "temperature": 0.0, "stream": True}
    parts = llama.create_chat_completion(**chat, logits_processor=processor.logits_processor)
    content = "".join(part["choices"][0]["delta"].get("content") or "" for part in parts)
    jsonschema.validate(json.loads(content), SCHEMA)


def test_text_of_several_bytes_a_character_comes_out_whole(llama: Any) -> None:
    processor = processor_of(llama, "(日本|ü€|😀){4}")
    assert re.fullmatch("(日本|ü€|😀){4}", complete(llama, processor, "Emoji: "))


def test_the_stop_token_comes_where_the_text_is_a_sentence_and_nowhere_else(llama: Any) -> None:
    shown: list[np.ndarray] = []

    def seen(input_ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
        shown.append(scores.copy())
        return scores

    processor = processor_of(llama, "ab?c?")
    llama("x", temperature=0.0, logits_processor=llama_cpp.LogitsProcessorList([processor, seen]))
    processor.check()
    vocabulary = vocabulary_of(llama)
    for step, scores in enumerate(shown):
        allowed = {vocabulary.tokens[i] or "end" for i in np.flatnonzero(scores > -np.inf)}
        assert ("end" in allowed) == (step > 0)
    first = {vocabulary.tokens[i] for i in np.flatnonzero(shown[0] > -np.inf)}
    assert first == {text for text in vocabulary.tokens if text and b"abc".startswith(text)} | ({b"ac"} & first)


def test_raw_generation_ends_with_the_stop_token_and_goes_on_with_it_alone(llama: Any) -> None:
    processor = processor_of(llama, "abc|abd")
    prompt = llama.tokenize(b"Say: ")
    tokens: list[int] = []
    for token in llama.generate(prompt, temp=0.0, logits_processor=processor.logits_processor):
        tokens.append(token)
        if len(tokens) == 8:
            break
    end = tokens.index(1)
    assert llama.detokenize(tokens[:end]) in (b"abc", b"abd") and set(tokens[end:]) == {1}
    processor.check()


def test_the_example_prints_what_fits_its_schema(box: Path) -> None:
    program = Path(__file__).parents[2] / "examples" / "json_by_llama_cpp.py"
    for options in ([], ["--chat"]):
        command = [sys.executable, str(program), str(box), "--threads", "1", *options]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        *values, counts = answer.stdout.splitlines()
        assert len(values) == 3 and all("'hobbies': [" in value for value in values)
        assert re.fullmatch(r"\d+ of \d+ drafted tokens were right, in \d+ forwards", counts)


def test_neither_torch_nor_transformers_is_needed() -> None:
    program = "import sys, bridle.integrations.llama_cpp; print({'torch', 'transformers'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


# ---------------------------------------------------------------------------------------------- one text and the next


def test_a_processor_serves_one_call_after_another(llama: Any) -> None:
    processor = processor_of(llama, WORDS)
    for prompt in ("Say: ", "Say: ", "Say it: ", PERSON, "Say: "):
        assert re.fullmatch(WORDS, complete(llama, processor, prompt))


def test_prompts_that_continue_the_last_text_begin_new_ones(llama: Any) -> None:
    """By one token, by several, from the middle of it, and after a text that was cut off."""
    processor = processor_of(llama, NUMBERS)
    prompt = llama.tokenize(b"Numbers: ")
    written = llama.tokenize(complete(llama, processor, prompt).encode(), add_bos=False)
    for length in range(len(written) + 1):
        assert re.fullmatch(NUMBERS, complete(llama, processor, prompt + written[:length]))
    for length in (1, 2, 3):
        cut = llama(prompt, max_tokens=length, temperature=0.0, logits_processor=processor.logits_processor)
        assert cut["choices"][0]["finish_reason"] == "length"
        rest = llama.tokenize(cut["choices"][0]["text"].encode(), add_bos=False)
        assert re.fullmatch(NUMBERS, complete(llama, processor, prompt + rest))


def test_texts_with_and_without_a_grammar_alternate(llama: Any) -> None:
    free = llama(PERSON, max_tokens=20, temperature=0.0)["choices"][0]["text"]
    processor, other = processor_of(llama, WORDS), processor_of(llama, NUMBERS)
    for _ in range(2):
        assert re.fullmatch(WORDS, complete(llama, processor, PERSON))
        assert llama(PERSON, max_tokens=20, temperature=0.0)["choices"][0]["text"] == free
        assert re.fullmatch(NUMBERS, complete(llama, other, PERSON))


def test_a_stream_that_nobody_reads_to_its_end_does_no_harm(llama: Any) -> None:
    processor = processor_of(llama, SCHEMA)
    parts = llama(PERSON, max_tokens=200, stream=True, logits_processor=processor.logits_processor)
    for _ in range(3):
        next(parts)
    parts.close()
    jsonschema.validate(json.loads(complete(llama, processor)), SCHEMA)


def test_a_cache_of_prompts_changes_nothing(llama: Any) -> None:
    processor = processor_of(llama, SCHEMA)
    expected = complete(llama, processor)
    llama.set_cache(llama_cpp.LlamaRAMCache())
    try:
        texts = [complete(llama, processor), complete(llama, processor, "Else: "), complete(llama, processor)]
    finally:
        llama.set_cache(None)
    assert texts[0] == texts[2] == expected


def test_a_budget_of_tokens_closes_the_text_in_time(llama: Any) -> None:
    text = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    for budget in (8, 12, 20, 40):
        processor = processor_of(llama, text, max_tokens=budget)
        value = json.loads(complete(llama, processor, max_tokens=budget, temperature=1.5, seed=budget))
        jsonschema.validate(value, text)
    with pytest.raises(bridle.LimitError, match="max_tokens"):
        processor_of(llama, text, max_tokens=2)


def test_a_part_of_a_grammar_has_its_own_temperature(llama: Any) -> None:
    grammar = bridle.Grammar.from_regex("[0-9]{6}").with_temperature(0.0)
    greedy = complete(llama, processor_of(llama, "[0-9]{6}"), "Number: ")
    cold = processor_of(llama, grammar, temperature=1.5)
    assert {complete(llama, cold, "Number: ", temperature=1.5, seed=seed) for seed in range(6)} == {greedy}
    unheated = processor_of(llama, grammar)
    assert len({complete(llama, unheated, "Number: ", temperature=1.5, seed=seed) for seed in range(6)}) > 1


def test_temperatures_as_far_apart_as_floats_leave_scores_that_are_numbers(llama: Any) -> None:
    for part in (1e-320, 1e60):
        grammar = bridle.Grammar.from_regex("[0-9]{6}").with_temperature(part)
        assert re.fullmatch("[0-9]{6}", complete(llama, processor_of(llama, grammar, temperature=0.8), temperature=0.8))
    for call in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature is that of the call, from 0 on"):
            processor_of(llama, grammar, temperature=call)


# ---------------------------------------------------------------------------------------------- what may go wrong


@swallowed
@pytest.mark.parametrize("after", [0, 2])
def test_a_token_that_another_processor_forces_is_a_conflict(llama: Any, after: int) -> None:
    processor, x = processor_of(llama, NUMBERS), vocabulary_of(llama).tokens.index(b"x")
    processors = llama_cpp.LogitsProcessorList([processor, forcing(llama, x, after)])
    expected = f"token {x}, number {after} of the text, was chosen where the grammar forbids it"
    with pytest.raises(ConflictError, match=expected):
        llama("N: ", temperature=0.0, logits_processor=processors, stopping_criteria=processor.stopping_criteria)
    processors[1] = forcing(llama, x, after)
    llama("N: ", temperature=0.0, max_tokens=after + 1, logits_processor=processors)
    processor.check()  # nobody has asked what may follow
    assert re.fullmatch(NUMBERS, complete(llama, processor, "N: "))


@swallowed
def test_a_processor_that_forbids_all_that_is_allowed_is_a_conflict(llama: Any) -> None:
    processor, x = processor_of(llama, NUMBERS), vocabulary_of(llama).tokens.index(b"x")
    processors = llama_cpp.LogitsProcessorList([forcing(llama, x, 1), processor])
    with pytest.raises(ConflictError, match=r"the grammar allows only 1[0-9]+ tokens here .* forbids them all"):
        llama("N: ", temperature=0.0, logits_processor=processors, stopping_criteria=processor.stopping_criteria)
    processors[0] = forcing(llama, x, 1)
    text = llama("N: ", temperature=0.0, logits_processor=processors)["choices"][0]
    assert text["finish_reason"] == "stop" and re.fullmatch("[0-9]+", text["text"])
    with pytest.raises(ConflictError, match="forbids them all"):
        processor.check()
    with pytest.raises(ConflictError, match="forbids them all"):
        processor(np.array([1, 2], np.intc), np.full(4096, -np.inf, np.single))


def test_a_logit_bias_besides_the_grammar_holds_and_does_not_replace_it(llama: Any) -> None:
    processor, vocabulary = processor_of(llama, NUMBERS), vocabulary_of(llama)
    bias = {i: -100.0 for i, text in enumerate(vocabulary.tokens) if b"1" in text}
    for _ in range(2):
        text = complete(llama, processor, "N: ", logit_bias=bias)
        assert re.fullmatch(NUMBERS, text) and "1" not in text
    assert len(processor.logits_processor) == 1
    plain = llama_cpp.LogitsProcessorList([processor])
    llama("N: ", max_tokens=5, logits_processor=plain, logit_bias=bias)
    with pytest.raises(ConflictError, match="no text was generated inside the grammar"):
        processor.check()


@swallowed
def test_a_text_that_meets_a_budget_of_its_grammar_raises_it_or_ends(llama: Any) -> None:
    c = meeting_a_limit(llama)
    raising, ending = (GrammarLogitsProcessor(c, llama, on_limit=what) for what in ("raise", "end"))
    options = {"temperature": 0.0, "max_tokens": 60}
    with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
        llama("a", logits_processor=raising.logits_processor, stopping_criteria=raising.stopping_criteria, **options)
    llama("a", logits_processor=raising.logits_processor, **options)
    with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
        raising.check()
    text = complete(llama, ending, "a", stopping_criteria=ending.stopping_criteria)
    assert isinstance(ending.error, bridle.LimitError) and "the object that was asked for: ".startswith(text)
    with pytest.raises(ValueError, match="'raise' or 'end'"):
        GrammarLogitsProcessor(c, llama, on_limit="ignore")  # type: ignore[arg-type]


def test_scores_are_masked_as_the_matcher_says_and_not_written(llama: Any) -> None:
    rng = np.random.default_rng(0)
    processor = processor_of(llama, NUMBERS)
    scores = rng.normal(size=(4096, 3)).astype(np.single)[:, 1]  # as llama.cpp has them: not next to each other
    scores[[3, 40]] = np.inf, np.nan
    before = scores.copy()
    llama._sampler = llama._init_sampler()
    masked = processor(np.array([0], np.intc), scores)
    np.testing.assert_array_equal(scores, before)
    bitmask = bridle.allocate_token_bitmask(1, 4096)
    bridle.Matcher(processor.compiled).fill_next_token_bitmask(bitmask)
    allowed = np.unpackbits(bitmask.view(np.uint8), bitorder="little").astype(bool)
    np.testing.assert_array_equal(masked[allowed], before[allowed])
    forbidden = masked[~allowed]
    assert (np.isnan(forbidden) | (forbidden == -np.inf)).all() and np.isnan(masked[40])
