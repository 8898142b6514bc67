"""Logits of prefixes with caches against a forward over each whole prefix, and the draws from what they say."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from bridle.sampler.draws import draw, effective_sizes, log_mean_exp, resampled
from bridle.sampler.prefix_models import CachedModel, as_prefix_model

transformers = pytest.importorskip("transformers")

VOCAB, PROMPT = 40, (3, 1, 4, 1, 5)
SMALL = {"vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}  # fmt: skip


def model_of(kind: str) -> Any:
    """A random model: `window` looks back 6 tokens, `mixed` in some layers; `recurrent`, `hybrid` keep a state."""
    torch.manual_seed(0)
    t = transformers
    if kind == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**SMALL)).eval()
    if kind == "window":
        return t.MistralForCausalLM(t.MistralConfig(**SMALL, sliding_window=6)).eval()
    if kind == "mixed":
        config = t.Gemma2Config(**SMALL, head_dim=8, sliding_window=6, query_pre_attn_scalar=8)
        return t.Gemma2ForCausalLM(config).eval()
    if kind == "gpt2":
        return t.GPT2LMHeadModel(t.GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=128)).eval()
    if kind == "hybrid":
        small = {name: value for name, value in SMALL.items() if name != "max_position_embeddings"}
        return t.RecurrentGemmaForCausalLM(t.RecurrentGemmaConfig(**small, lru_width=32)).eval()
    config = t.MambaConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, state_size=8)
    return t.MambaForCausalLM(config).eval()


def whole(model: Any, prefix: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[*PROMPT, *prefix]]), use_cache=False).logits[0, -1]


def random_levels(rng: random.Random, texts: int) -> list[list[tuple[int, ...]]]:
    """Calls as the methods make them: rows go on, part, end, and later rounds branch off several earlier ones."""
    calls, seen = [], [()]
    for _ in range(texts):
        length = len(rng.choice(seen))
        alike = sorted({prefix for prefix in seen if len(prefix) == length})
        level = rng.sample(alike, min(len(alike), rng.randint(1, 3)))
        for _ in range(rng.randint(1, 9)):
            calls.append(level)
            seen += level
            grown = {(*prefix, rng.randrange(VOCAB)) for prefix in level for _ in range(rng.randint(1, 2))}
            level = rng.sample(sorted(grown), min(len(grown), rng.randint(1, 5)))
            if rng.random() < 0.3:  # a text of an earlier round, up to here, and something new
                old = rng.choice([p for p in seen if len(p) >= len(level[0]) - 1] or [level[0]])
                level = list(dict.fromkeys([*level, (*old[: len(level[0]) - 1], rng.randrange(VOCAB))]))
    return calls


@pytest.mark.parametrize("kept_bytes", [0, 6_000, 1 << 20])
@pytest.mark.parametrize("kind", ["llama", "window", "mixed", "gpt2", "hybrid", "recurrent"])
def test_cached_logits_are_those_of_the_whole_prefix(kind: str, kept_bytes: int) -> None:
    model = model_of(kind)
    cached = as_prefix_model(model, list(PROMPT), kept_bytes)
    for call in random_levels(random.Random(kept_bytes), 12):
        assert len({len(prefix) for prefix in call}) == 1
        logits = cached(call)
        assert logits.shape == (len(call), VOCAB)
        for row, prefix in zip(logits, call, strict=True):
            assert torch.allclose(row, whole(model, prefix), atol=2e-5), (call, prefix)
        if isinstance(cached, CachedModel):
            assert cached._kept.bytes <= kept_bytes


def test_a_row_that_goes_on_costs_a_token_and_one_that_branches_off_a_kept_text_too() -> None:
    model = as_prefix_model(model_of("llama"), PROMPT, 1 << 20)
    text = (7, 8, 9, 10)
    for length in range(5):
        model([text[:length]])
    assert model.tokens == len(PROMPT) + 4
    model([(1,), (2,)])
    assert model.tokens == len(PROMPT) + 6
    model([(7, 8, 9, 11), (7, 8, 9, 12)])
    assert model.tokens == len(PROMPT) + 8


def test_nothing_is_kept_where_no_bytes_are_given() -> None:
    model = as_prefix_model(model_of("llama"), PROMPT)
    text = (7, 8, 9, 10)
    for length in range(5):
        model([text[:length]])
    model([(1,)])
    before = model.tokens
    model([(7, 8, 9, 11)])
    assert model.tokens == before + 4


def test_prompts_come_as_lists_and_tensors() -> None:
    for prompt in ([1, 2], (1, 2), [[1, 2]], torch.tensor([1, 2]), torch.tensor([[1, 2]]), np.array([1, 2])):
        assert as_prefix_model(lambda prefixes: np.zeros((len(prefixes), 4)), prompt).prompt == (1, 2)


def test_models_that_cannot_be_asked_are_refused() -> None:
    t5 = transformers.T5Config(vocab_size=VOCAB, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    with pytest.raises(ValueError, match="encoder-decoder"):
        as_prefix_model(transformers.T5ForConditionalGeneration(t5).eval(), PROMPT)
    with pytest.raises(ValueError, match=r"eval\(\)"):
        as_prefix_model(model_of("llama").train(), PROMPT)
    with pytest.raises(ValueError, match="the prompt is empty"):
        as_prefix_model(model_of("llama"), [])


# ------------------------------------------------------------------------------------------------ draws


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log(weights: list[list[float]]) -> torch.Tensor:
    return torch.tensor(weights, dtype=torch.double).log()


def test_indices_are_drawn_in_proportion_to_their_weights() -> None:
    weights = [[0.0, 3.0, 0.0, 1.0, 0.0], [5.0, 0.0, 5.0, 0.0, 10.0]]
    rows = torch.tensor([0, 1]).repeat_interleave(40_000)
    drawn = draw(log(weights), rows, log([[0.0, 0.0]])[0], generator()).reshape(2, -1)
    for found, row in zip(drawn, weights, strict=True):
        shares = np.bincount(found, minlength=5) / 40_000
        assert shares == pytest.approx(np.array(row) / sum(row), abs=0.012)
        assert all(share == 0 for share, weight in zip(shares, row, strict=True) if weight == 0)


def test_what_the_total_has_above_the_sum_is_no_index() -> None:
    drawn = draw(log([[1.0, 2.0]]), torch.zeros(40_000, dtype=torch.long), log([[4.0]])[0], generator())
    assert np.bincount(drawn + 1) / 40_000 == pytest.approx([0.25, 0.25, 0.5], abs=0.012)


def test_a_row_of_weights_0_yields_no_index() -> None:
    table = log([[0.0, 0.0], [0.0, 1.0]])
    for total in (0.0, 1.0):
        drawn = draw(table, torch.tensor([0] * 50 + [1] * 50), log([[total, total]])[0], generator())
        assert drawn.tolist() == [-1] * 50 + [1] * 50


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_draw_what_has_a_weight(monkeypatch: Any, uniform: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, uniform, dtype=torch.double))
    table = log([[0.0, 1e-300, 0.1, 0.3, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    drawn = draw(table, torch.tensor([0, 1]), log([[0.0, 1.0]])[0], generator())
    assert drawn.tolist() == [1 if uniform == 0 else 3, -1]
    assert resampled(table[:1], "multinomial", 2, generator()).tolist() == [[1 if uniform == 0 else 3] * 2]


def test_weights_too_small_for_a_float_are_drawn_alike() -> None:
    table = torch.tensor([[-2000.0, -torch.inf, -2000.0 + np.log(3.0)]], dtype=torch.double)
    drawn = draw(table, torch.zeros(40_000, dtype=torch.long), torch.full((1,), -torch.inf), generator())
    assert np.bincount(drawn, minlength=3) / 40_000 == pytest.approx([0.25, 0, 0.75], abs=0.012)


@pytest.mark.parametrize("method", ["systematic", "multinomial"])
def test_particles_are_drawn_anew_in_proportion_to_their_weights(method: str) -> None:
    weights = np.array([0.0, 1.0, 2.5, 0.5, 4.0])
    expected = 5 * weights / weights.sum()
    rows = torch.from_numpy(weights).log().expand(20_000, -1)
    chosen = resampled(rows, method, 5, generator()).numpy()
    counts = (chosen[:, :, None] == np.arange(5)).sum(axis=1)
    assert counts.mean(axis=0) == pytest.approx(expected, abs=0.03)
    if method == "systematic":
        assert (counts >= np.floor(expected - 1e-9)).all()
        assert (counts <= np.ceil(expected + 1e-9)).all()


def test_sizes_and_means_are_those_of_the_definition() -> None:
    table = log([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 7.0], [1.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert effective_sizes(table).tolist() == pytest.approx([4.0, 1.0, 36 / 14, 0.0])
    assert log_mean_exp(table).exp().tolist() == pytest.approx([1.0, 7 / 4, 1.5, 0.0])
