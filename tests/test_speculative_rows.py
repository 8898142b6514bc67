"""What rows bring along besides drafts: temperatures of grammar parts, budgets that are met, processors that know rows.

Each is compared with plain decoding, to which speculation has to come up.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from transformers import (
    EncoderNoRepeatNGramLogitsProcessor,
    EncoderRepetitionPenaltyLogitsProcessor,
    SynthIDTextWatermarkLogitsProcessor,
)

import bridle
from bridle.integrations.hf import GrammarLogitsProcessor, Result, generate, vocabulary_of
from bridle.speculative.draft_model import DraftModelSource
from test_speculation import PROMPT, WORDS, Guesses, both, box, compiled, ids_of, spoken, tiny
from tiny_models import meet_a_budget_behind

torch.set_num_threads(1)

BIG_OBJECT = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
LARK = """
start: greeting " " sum ("\\n" sum)~0..3
greeting: "hi" | "hello"
sum: number (OP sum)?
number[temperature=0.3]: NUM
OP: "+" | "-" | "*"
NUM: /[0-9]{1,4}/
"""


def made(grammar: bridle.Grammar, **options: Any) -> Any:
    return bridle.compile(grammar, vocabulary_of(box()[0], box()[1]), **options)


@functools.cache
def limited(lead: str = "the object: ") -> Any:
    """A grammar that meets its budget behind a few words."""
    grammar = bridle.Grammar.from_regex(lead) + bridle.Grammar.from_json_schema(BIG_OBJECT)
    return made(grammar, limits=bridle.Limits(states=50))


def told(results: list[Result]) -> list[Any]:
    return [(r.token_ids, r.text, r.complete, r.error and (r.error.limit, r.error.place)) for r in results]


# ---------------------------------------------------------------------------------------------- temperatures


@pytest.mark.parametrize("options", [{}, {"temperature": 0.6}, {"top_p": 0.9, "temperature": 1.4}], ids=str)
@pytest.mark.parametrize("which", ["parts", "lark"])
def test_temperatures_of_parts_hold_where_tokens_are_drafted(which: str, options: dict[str, Any]) -> None:
    words = bridle.Grammar.from_regex("[a-z ]{3,20}")
    parts = words.with_temperature(2.5) + bridle.Grammar.from_regex(": ") + words.with_temperature(0)
    grammar, speculation = made(parts if which == "parts" else bridle.Grammar.from_lark(LARK)), spoken()
    for seed in range(4):
        plain, drafted = both(tiny(), grammar, speculation, seed=seed, **options)
        assert ids_of(drafted) == ids_of(plain)
    plain, drafted = both(tiny(), grammar, speculation)
    assert ids_of(drafted) == ids_of(plain)


# ---------------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.3}], ids=str)
def test_a_row_that_meets_a_budget_ends_alone(options: dict[str, Any]) -> None:
    grammars = [compiled(), limited(), compiled(WORDS), limited("")]
    for model in (box()[0], tiny()):
        plain, drafted = both(model, grammars, spoken(), [PROMPT, "x", "", "y"], **options)
        assert told(drafted) == told(plain)
        assert [result.error is None for result in drafted] == [True, False, True, False]


@pytest.mark.parametrize("seed", [None, 1])
def test_a_single_text_that_meets_a_budget_ends(seed: int | None) -> None:
    for speculation in (spoken(), spoken(sources=[Guesses()]), spoken(sources=[DraftModelSource(tiny())])):
        plain, drafted = both(tiny(), limited(), speculation, seed=seed)
        assert told(drafted) == told(plain)
        assert drafted[0].error is not None


@pytest.mark.parametrize("runs", [False, True])
def test_a_row_that_meets_a_budget_where_it_may_not_stop_yet_ends_alone(runs: bool) -> None:
    grammars, prompts, options = [limited(""), compiled(WORDS)], [PROMPT, "x"], {"min_new_tokens": 3, "budget": False}
    plain, drafted = both(tiny(), grammars, spoken(), prompts, runs=runs, **options)
    assert told(drafted) == told(plain)
    assert [result.error is None for result in plain] == [False, True]


def test_a_budget_that_is_met_in_accepting_a_token_ends_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    meet_a_budget_behind(3, monkeypatch)
    plain, drafted = both(tiny(), compiled("[a-z]{30}"), spoken())
    assert told(drafted) == told(plain)
    assert len(drafted[0].token_ids) == 3
    assert drafted[0].error is not None


def test_a_budget_that_is_met_in_planning_a_text_ends_its_row_alone() -> None:
    grammars = [compiled(), limited(""), limited(), compiled(WORDS)]
    plain, drafted = both(tiny(), grammars, spoken(), [PROMPT, "x", "y", ""], budget=True)
    assert told(drafted) == told(plain)
    assert [result.error is None for result in drafted] == [True, False, False, True]
    assert [result.token_ids for result in drafted[1:3]] == [[], []]
    plain, drafted = both(tiny(), limited(""), spoken(), budget=True, seed=3)
    assert told(drafted) == told(plain)
    assert drafted[0].error is not None


def test_a_budget_that_is_met_in_asking_for_a_temperature_ends_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def limited_temperature(self: bridle.Matcher) -> float:
        if self.n_steps >= 3:
            raise bridle.LimitError("states", 2, 1)
        return 1.5

    monkeypatch.setattr(bridle.Matcher, "temperature", limited_temperature)
    grammar = made(bridle.Grammar.from_regex("[a-z]{30}").with_temperature(1.5))
    for seed in range(3):
        plain, drafted = both(tiny(), [grammar, compiled(WORDS)], spoken(), ["x", "y"], seed=seed)
        for results in (plain, drafted):
            assert [result.error is None for result in results] == [False, True]
            assert len(results[0].token_ids) == 3
        plain, drafted = both(tiny(), grammar, spoken(), seed=seed)
        assert told(drafted) == told(plain)
    call = {**box()[1](PROMPT, return_tensors="pt"), "do_sample": True, "max_new_tokens": 9}
    with pytest.raises(bridle.LimitError):
        tiny().generate(**call, logits_processor=[GrammarLogitsProcessor(grammar)])
    for resident in (False, True):
        processor = GrammarLogitsProcessor(grammar, on_limit="end", resident=resident)
        new = tiny().generate(**call, logits_processor=[processor])[0, call["input_ids"].shape[1] :].tolist()
        assert len(new) == 4
        assert processor.error_of(0, new) is not None


def test_a_processor_of_ones_own_raises_a_budget_unless_it_is_told_to_end_the_row() -> None:
    inputs = box()[1](PROMPT, return_tensors="pt")
    for on_limit in ("raise", "end"):
        processor = GrammarLogitsProcessor(limited(), on_limit=on_limit)
        call = {"logits_processor": [processor], "custom_generate": spoken(), "do_sample": False, "max_new_tokens": 60}
        if on_limit == "raise":
            with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
                tiny().generate(**inputs, **call)
            continue
        new = tiny().generate(**inputs, **call)[0, inputs["input_ids"].shape[1] :].tolist()
        assert new[-1] in vocabulary_of(tiny(), box()[1]).stop_token_ids
        assert processor.error_of(0, new) is processor.error_of(0, new[:-1]) is not None


@pytest.mark.parametrize("most", [5, 16, 24, 40])
def test_budgets_of_tokens_close_each_row_as_without_drafts(most: int) -> None:
    grammars = [compiled(), compiled("[a-z ]{0,90}\\."), made(bridle.Grammar.from_lark(LARK))]
    for model in (box()[0], tiny()):
        prompts = [PROMPT, "Say a few words, any words:", ""]
        results = []
        for speculate in (False, spoken(), spoken(sources=[Guesses()])):
            try:
                results.append(told(generate(model, box()[1], prompts, grammars, budget=True, max_new_tokens=most,
                                             speculate=speculate)))  # fmt: skip
            except bridle.LimitError as error:
                results.append([str(error)])
        assert results[0] == results[1] == results[2]


# ---------------------------------------------------------------------------------------------- processors


def test_processors_that_know_each_row_are_asked_about_their_own() -> None:
    prompts = [PROMPT, "x", "{ dog dog dog"]
    inputs = box()[1](prompts)["input_ids"]
    longest = max(map(len, inputs))
    ids = torch.tensor([[2] * (longest - len(row)) + row for row in inputs])
    choices: list[dict[str, Any]] = [
        {"repetition_penalty": 1.4},
        {"logits_processor": [EncoderRepetitionPenaltyLogitsProcessor(1.7, ids)]},
        {"logits_processor": [EncoderNoRepeatNGramLogitsProcessor(1, ids)]},
    ]
    for options in choices:
        plain, drafted = both(tiny(), compiled(WORDS), spoken(), prompts, **options)
        assert ids_of(drafted) == ids_of(plain)


def test_processors_that_keep_a_state_of_the_batch_are_refused() -> None:
    watermark = SynthIDTextWatermarkLogitsProcessor(
        ngram_len=5, keys=[1, 2, 3], sampling_table_size=64, sampling_table_seed=0, context_history_size=9, device="cpu"
    )  # fmt: skip
    with pytest.raises(ValueError, match="SynthIDTextWatermarkLogitsProcessor cannot be speculated for several rows"):
        both(tiny(), compiled(WORDS), spoken(), [PROMPT, "x"], logits_processor=[watermark], seed=1)


def test_a_streamer_of_several_rows_is_refused() -> None:
    class Listener:
        def put(self, tokens: torch.Tensor) -> None: ...

        def end(self) -> None: ...

    with pytest.raises(ValueError, match="one text at a time"):
        generate(tiny(), box()[1], [PROMPT, "x"], compiled(WORDS), streamer=Listener(), speculate=spoken())
