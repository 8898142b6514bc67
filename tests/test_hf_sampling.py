"""Every sampler of `generate` inside a grammar, the order in which processors run, temperatures of parts, and texts
that meet a budget."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LogitsProcessor

import bridle
from bridle.integrations.hf import ConflictError, GrammarLogitsProcessor, generate
from test_overlap import fresh, ids_of, limited, scores_for
from tiny_models import (
    DIGITS,
    EOS,
    PAIR,
    WORDS,
    assert_sentences,
    compiled,
    llama,
    meet_a_budget_behind,
    prompt,
    tokenizer,
)

SAMPLERS: list[dict[str, Any]] = [
    {"temperature": 0.1},
    {"temperature": 30.0},
    {"top_k": 1},
    {"top_p": 0.01},
    {"min_p": 0.99},
    {"typical_p": 0.05},
    {"epsilon_cutoff": 0.9},
    {"eta_cutoff": 0.9},
    {"top_h": 0.1},
    {"repetition_penalty": 5.0},
    {"encoder_repetition_penalty": 0.2},
    {"guidance_scale": 3.0},
    {"renormalize_logits": True, "top_k": 2},
    {"temperature": 2.0, "top_k": 5, "top_p": 0.5, "min_p": 0.1, "typical_p": 0.5, "repetition_penalty": 2.0},
    {"bad_words_ids": [[7], [8, 9]]},
    {"suppress_tokens": [900, 901]},
    {"begin_suppress_tokens": [900, 901]},
    {"sequence_bias": [[[300], 10.0]]},
    {"exponential_decay_length_penalty": (2, 2.0)},
    {"remove_invalid_values": True},
    {"watermarking_config": {"bias": 2.5, "seeding_scheme": "lefthash"}},
]


@pytest.mark.parametrize("options", SAMPLERS, ids=str)
def test_texts_stay_inside_the_grammar_under_every_sampler(options: dict[str, Any]) -> None:
    results = generate(llama(), tokenizer(), ["a", "b b b"], [compiled(WORDS), compiled(PAIR)], seed=3, **options)
    assert_sentences([result.text for result in results], [WORDS, PAIR])
    assert all(result.complete for result in results)


class Likes(LogitsProcessor):
    """A model that is nearly certain of one token."""

    def __init__(self, token: int) -> None:
        self.token = token

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        out = scores.clone()
        out[:, self.token] += 1e4
        return out


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 0.01}])
def test_a_model_that_is_certain_of_what_is_forbidden_has_the_allowed_tokens_left(options: dict[str, Any]) -> None:
    forbidden = ids_of("}")[0]
    liked = {"logits_processor": [Likes(forbidden)], "seed": 1}
    result = generate(llama(), tokenizer(), "a", compiled(DIGITS), **liked, **options)[0]
    assert_sentences([result.text], DIGITS)


# ---------------------------------------------------------------------------------------------- temperatures of parts


def two_parts(first: float, second: float) -> Any:
    """A letter at one temperature, a digit at another, a letter at that of the call."""
    parts = bridle.Grammar.from_regex("[a-p]").with_temperature(first)
    parts = parts + bridle.Grammar.from_regex("[0-9]").with_temperature(second) + bridle.Grammar.from_regex("[a-p]")
    return bridle.compile(parts, compiled(DIGITS).vocabulary)


def test_a_parts_temperature_takes_the_place_of_the_calls() -> None:
    processor = GrammarLogitsProcessor(two_parts(0.5, 4.0), prompt_length=1, temperature=2.0)
    torch.manual_seed(5)
    raw = torch.randn(1, len(tokenizer()))
    for text, temperature in (("", 0.5), ("c", 4.0), ("c7", 2.0)):
        ids = [ids_of(x)[0] for x in text]
        drawn = (processor(torch.tensor([[0, *ids]]), raw) / 2.0).softmax(-1)  # as TemperatureLogitsWarper has it
        allowed = drawn[0] > 0
        want = torch.where(allowed, raw / temperature, -torch.inf).softmax(-1)
        assert torch.allclose(drawn, want, atol=1e-6)
        assert 0 < int(allowed.sum()) < 40


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e-6, 1e40, 1e308])
@pytest.mark.parametrize("call", [1e-3, 1.0, 1e3])
def test_no_temperature_of_a_part_makes_scores_that_cannot_be_drawn_from(temperature: float, call: float) -> None:
    processor = GrammarLogitsProcessor(two_parts(temperature, 1.0), prompt_length=1, temperature=call)
    torch.manual_seed(5)
    raw = torch.randn(1, len(tokenizer()))
    drawn = (processor(torch.tensor([[0]]), raw) / call).softmax(-1)[0]
    allowed = GrammarLogitsProcessor(two_parts(1.0, 1.0), prompt_length=1)(torch.tensor([[0]]), raw)[0] > -torch.inf
    assert not drawn.isnan().any() and (drawn[~allowed] == 0).all()
    if temperature < 1:
        assert drawn.argmax() == torch.where(allowed, raw[0], -torch.inf).argmax() and drawn.amax() == 1
    else:
        assert torch.allclose(drawn[allowed], 1 / allowed.sum())


def test_a_part_at_temperature_zero_is_greedy_while_the_rest_is_sampled() -> None:
    c = two_parts(0.0, 5.0)
    greedy = generate(llama(), tokenizer(), "a", c)[0].text
    texts = [generate(llama(), tokenizer(), "a", c, seed=seed)[0].text for seed in range(8)]
    assert {text[0] for text in texts} == {greedy[0]}
    assert len({text[1] for text in texts}) > 2
    assert all(result.complete for result in generate(llama(), tokenizer(), ["a"] * 3, c, seed=1, top_k=5))


def test_temperatures_as_far_apart_as_floats_leave_scores_that_are_numbers() -> None:
    raw = torch.randn(1, len(tokenizer()))
    raw[0, ids_of("c")[0]] = 0.0
    for temperature in (1e-320, 1e60):
        processor = GrammarLogitsProcessor(two_parts(temperature, 1.0), prompt_length=1, temperature=0.7)
        scores = processor(torch.tensor([[0]]), raw)
        assert not scores.isnan().any() and 0 < int(scores.isfinite().sum()) < 40


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_temperatures_of_parts_change_nothing_where_nothing_is_drawn(options: dict[str, Any]) -> None:
    plain = bridle.Grammar.from_regex("[a-p][0-9][a-p]")
    texts = [generate(llama(), tokenizer(), "a", g, **options)[0].text for g in (two_parts(9.0, 0.1), plain)]
    assert texts[0] == texts[1]


def test_temperatures_are_known_after_the_grammars_tables_were_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    c = two_parts(0.5, 4.0)
    matcher = bridle.Matcher(c)
    bitmask = bridle.allocate_token_bitmask(1, c.vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask)
    assert matcher.may_have_temperature and c.is_warm
    monkeypatch.setattr(type(c.machine), "is_full", True)
    c.machine  # noqa: B018  a new one, of which nothing is expanded
    assert not c._machine.warm_rows
    assert c.is_warm and bridle.Matcher(c).may_have_temperature
    assert not fresh(DIGITS).is_warm


# ---------------------------------------------------------------------------------------------- budgets


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("options", [{}, {"seed": 2}, {"num_beams": 3}], ids=str)
def test_a_text_that_meets_a_budget_ends_its_own_row_alone(options: dict[str, Any], overlap: bool) -> None:
    grammars = [compiled(WORDS), limited(), compiled(PAIR)]
    results = generate(llama(), tokenizer(), ["a", "b b", "c"], grammars, overlap=overlap, **options)
    assert_sentences([results[0].text, results[2].text], [WORDS, PAIR])
    assert [result.error is None for result in results] == [True, False, True]
    assert [result.complete for result in results] == [True, False, True]
    assert results[1].error.limit == "states" and "byte" in results[1].error.place
    assert "the object that was asked for: ".startswith(results[1].text)


def test_a_text_that_meets_a_budget_at_once_is_empty() -> None:
    grammar = bridle.Grammar.from_json_schema(
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
    )
    c = bridle.compile(grammar, compiled(DIGITS).vocabulary, limits=bridle.Limits(states=50))
    result = generate(llama(), tokenizer(), "a", c)[0]
    assert result.text == "" and result.error is not None and not result.complete
    assert result.stats.forwards == 1


@pytest.mark.parametrize("overlap", [True, False])
def test_a_processor_of_ones_own_raises_a_budget_unless_it_is_told_to_end_the_row(overlap: bool) -> None:
    ids = prompt("a")
    for on_limit in ("raise", "end"):
        processor = GrammarLogitsProcessor(limited(), on_limit=on_limit)
        options = {"stopping_criteria": processor.stopping_criteria} if overlap else {}
        call = {"logits_processor": [processor], "do_sample": False, "max_new_tokens": 60, **options}
        if on_limit == "raise":
            with pytest.raises(bridle.LimitError, match="states exceeded at byte"):
                llama().generate(**ids, **call)
        else:
            new = llama().generate(**ids, **call)[0, ids["input_ids"].shape[1] :].tolist()
            assert new[-1] == EOS and processor.error_of(0, new) is processor.error_of(0, new[:-1]) is not None
    with pytest.raises(ValueError, match="'raise' or 'end'"):
        GrammarLogitsProcessor(limited(), on_limit="ignore")


def test_a_budget_that_is_met_in_accepting_a_token_ends_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    meet_a_budget_behind(3, monkeypatch)
    result = generate(llama(), tokenizer(), "a", compiled(r"[a-z]{30}"))[0]
    assert len(result.token_ids) == 3 and result.error.limit == "states" and not result.complete


# ---------------------------------------------------------------------------------------------- emptied rows


def test_what_a_gpu_finds_empty_is_told_at_the_next_token_and_leaves_a_stop_token() -> None:
    """What is done where nobody may wait for the scores, on tensors that are at hand."""
    processor = GrammarLogitsProcessor(compiled(DIGITS), prompt_length=1)
    scores = scores_for(2)
    scores[1] = -torch.inf
    processor(torch.tensor([[0], [0]]), scores_for(2))
    states = processor._rows.at(torch.tensor([[0], [0]]).numpy())
    masks = processor._begun(states, scores.device, background=False)
    masks.wait()
    masks.apply(scores)
    processor._keep_finite(scores, masks, set())
    assert torch.isfinite(scores.amax(dim=-1)).all() and scores[1].argmax() == EOS
    with pytest.raises(ConflictError, match="row 1: the grammar allows only"):
        processor.foresee(torch.tensor([[0, 5], [0, 6]]))
