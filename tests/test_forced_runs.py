"""Forced tokens without forward passes of their own: the same tokens, from fewer passes."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from transformers import LogitsProcessor, MistralConfig, MistralForCausalLM

import bridle
from bridle.integrations.hf import ConflictError, GrammarLogitsProcessor, generate
from bridle.integrations.hf.forced_runs import is_supported
from test_hf_processor import StopsRow
from test_hf_sampling import two_parts
from test_overlap import fresh, limited
from tiny_models import DIGITS, EOS, PAIR, WORDS, compiled, llama, prompt, t5, tokenizer

RECORD = r'\{"identifier": [0-9]{1,3}, "description of it": "[a-z]{1,4}", "is it available": (true|false)\}'


@functools.cache
def sliding() -> Any:
    """A model that sees four tokens back."""
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(tokenizer()), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=0, eos_token_id=EOS, pad_token_id=2, initializer_range=0.1,
        sliding_window=4,
    )  # fmt: skip
    return MistralForCausalLM(config).eval()


def both_ways(prompts: list[str], grammars: Any, model: Any = None, **options: Any) -> tuple[int, int]:
    """Forward passes (token by token, with runs) to the same tokens."""
    model = model or llama()
    one, other = (generate(model, tokenizer(), prompts, grammars, runs=runs, **options) for runs in (False, True))
    assert [result.token_ids for result in one] == [result.token_ids for result in other]
    assert [result.complete for result in one] == [result.complete for result in other]
    assert [type(result.error) for result in one] == [type(result.error) for result in other]
    return one[0].stats.forwards, other[0].stats.forwards


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 1},
        {"seed": 2, "temperature": 3.0, "top_k": 9, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.9},
        {"seed": 3, "num_return_sequences": 3},
        {"repetition_penalty": 3.0},
        {"overlap": False},
        {"max_new_tokens": 5, "budget": False},
        {"max_new_tokens": 1, "budget": False},
        {"max_new_tokens": 30},
        {"prefill_chunk_size": 2},
        {"stopping_criteria": 12},
    ],
    ids=str,
)
def test_runs_of_forced_tokens_change_no_token(options: dict[str, Any]) -> None:
    if "stopping_criteria" in options:
        options = {"stopping_criteria": [StopsRow(options["stopping_criteria"])]}
    for prompts in (["a"], ["a", "a longer prompt than that"]):
        slow, fast = both_ways(prompts, compiled(RECORD), **{"max_new_tokens": 80, **options})
        assert fast <= slow
    if "max_new_tokens" not in options and "stopping_criteria" not in options:
        assert fast < slow


@pytest.mark.parametrize("seed", [None, 1])
def test_tokens_that_are_forced_cost_one_pass_together(seed: int | None) -> None:
    """The first token comes with the prompt's pass, four behind it are forced, one is a choice, and so is the end."""
    grammar = bridle.Grammar.from_ebnf("root ::= <|bos|> <[2]> <|bos|> <[2]> <|bos|> [xyz]")
    assert both_ways(["a"], grammar, seed=seed) == (7, 2)


def test_rows_go_on_by_what_is_forced_in_all_of_them() -> None:
    grammars = [compiled(RECORD), compiled(DIGITS), compiled("ab"), compiled(PAIR)]
    for seed in range(4):
        slow, fast = both_ways(["a", "b c d e", "f", "g"], grammars, max_new_tokens=80, seed=seed)
        assert fast <= slow
        slow, fast = both_ways(["a", "b c"], [compiled(PAIR), compiled("[0-9]{3}")], max_new_tokens=80, seed=seed)
        assert fast < slow  # the second has ended when the first comes to a run


def test_a_sliding_window_reads_runs_as_it_reads_tokens() -> None:
    slow, fast = both_ways(["a", "a longer prompt than that"], compiled(RECORD), sliding(), max_new_tokens=80)
    assert fast < slow


def test_temperatures_of_parts_draw_the_same_tokens() -> None:
    for seed in range(3):
        both_ways(["a"], two_parts(0.5, 4.0), seed=seed)


def test_masks_are_the_same_whether_or_not_they_were_made_before() -> None:
    for grammar in (fresh(RECORD), fresh(WORDS)):
        both_ways(["a"], grammar, max_new_tokens=80)


def test_a_budget_that_is_met_ends_the_row() -> None:
    both_ways(["a", "b"], [limited(), compiled(PAIR)], max_new_tokens=80)


def test_streamers_get_the_same_pieces() -> None:
    class Streamer:
        def __init__(self) -> None:
            self.pieces: list[int] = []

        def put(self, value: torch.Tensor) -> None:
            self.pieces += value.flatten().tolist()

        def end(self) -> None:
            self.pieces.append(-1)

    streamers = [Streamer(), Streamer()]
    for runs, streamer in zip((False, True), streamers, strict=True):
        generate(llama(), tokenizer(), "a", compiled(RECORD), streamer=streamer, runs=runs)
    assert streamers[0].pieces == streamers[1].pieces


class Counts(LogitsProcessor):
    """A processor of the caller's, which wants to see every token."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        self.lengths.append(input_ids.shape[1])
        return scores


@pytest.mark.parametrize(
    "options",
    [
        {"logits_processor": [Counts()]},
        {"guidance_scale": 1.5},
        {"no_repeat_ngram_size": 9},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"return_dict_in_generate": True, "output_scores": True},
        {"num_beams": 2},
        {"prompt_lookup_num_tokens": 3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_where_runs_could_be_seen_every_token_has_its_pass(options: dict[str, Any]) -> None:
    slow, fast = both_ways(["a"], compiled(RECORD), max_new_tokens=80, **options)
    assert slow == fast


def test_a_forced_token_that_another_processor_forbids_is_an_error_as_ever() -> None:
    with pytest.raises(ConflictError, match="min_new_tokens"):
        generate(llama(), tokenizer(), "a", compiled("ab"), min_new_tokens=10)


def test_what_is_forced_is_what_masks_leave_alone() -> None:
    c, brace = fresh(RECORD), tokenizer()("{", add_special_tokens=False).input_ids[0]
    processor, ids, matcher = GrammarLogitsProcessor(c), prompt("a")["input_ids"], bridle.Matcher(c)
    processor(ids, torch.zeros(1, len(tokenizer())))
    grown = torch.cat([ids, torch.tensor([[brace]])], dim=1)
    columns = processor.forced_run(grown, [False], 100)
    assert matcher.accept_token(brace)
    for (forced,) in columns:
        assert matcher.only_token() == forced and matcher.accept_token(forced)
    assert matcher.only_token() is None
    assert processor.forced_run(grown, [False], 0) == [] == processor.forced_run(ids[:, :1], [False], 9)
    assert processor.forced_run(grown, [False], 1) == columns[:1]


def test_what_cannot_read_several_tokens_is_left_alone() -> None:
    assert is_supported(llama()) and not is_supported(t5())
