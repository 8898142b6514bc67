"""`sample` and `Adaptive` on a model whose sentences can be counted: the target is known, so are the methods' faults.

The sentences and the probabilities come from bench/enumerable_model.py, which asks neither the engine nor the sampler.
Tests that draw much are slow ones; those that run by default draw less and judge by the same rules.
"""

from __future__ import annotations

import itertools
import math
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bridle
from bridle.sampler import Adaptive, Processing, SamplingError, sample

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from enumerable_model import (
    BUDGET,
    PROMPT,
    STOP,
    TOKENS,
    TableModel,
    asap_distribution,
    chi_square_p,
    compiled,
    frequencies,
    noise_floor,
    sentences,
    target,
    total_variation,
)

METHODS = ["mask", "cars", "asap", "smc"]
MODEL = TableModel()
TARGET, LOG_Z = target(MODEL)


@pytest.fixture(scope="module")
def grammar() -> bridle.Compiled:
    return compiled()


def drawn(grammar: bridle.Compiled, n: int, method: str, seed: int = 0, **options: Any) -> bridle.sampler.Samples:
    batch = {"mask": 20_000, "smc": 60_000, "cars": 64, "asap": 1}[method]
    settings = {"max_new_tokens": BUDGET, "batch_size": batch} | options
    return sample(MODEL, grammar, PROMPT, n=n, method=method, seed=seed, **settings)


# ------------------------------------------------------------------------------------------------ distributions


@pytest.mark.parametrize(("n", "batch_size"), [(4000, 64), (1500, 1), pytest.param(20_000, 8, marks=pytest.mark.slow)])
def test_cars_draws_from_the_target(grammar: bridle.Compiled, n: int, batch_size: int) -> None:
    samples = drawn(grammar, n, "cars", seed=3, batch_size=batch_size)
    assert chi_square_p(samples, TARGET) > 0.001


def test_local_masking_does_not_and_is_far_off(grammar: bridle.Compiled) -> None:
    samples = drawn(grammar, 20_000, "mask")
    assert chi_square_p(samples, TARGET) < 1e-12
    assert total_variation(frequencies(samples), TARGET) > 0.5


@pytest.mark.parametrize("known", [0, 1, 7, 60])
def test_an_attempt_of_cars_comes_to_a_sentence_in_proportion_to_its_probability(
    grammar: bridle.Compiled, known: int
) -> None:
    """Exactly, whatever the trie holds: the probability of drawing x is p(x) / theta(root)."""
    adaptive = Adaptive(MODEL, grammar, PROMPT, max_new_tokens=BUDGET, seed=known, batch_size=3)
    if known:
        adaptive.sample(known)
    theta = math.exp(adaptive.log_mass_left)
    assert theta >= math.exp(LOG_Z) * (1 - 1e-12)
    for ids in sentences():
        probability, node = 1.0, adaptive.tree.root
        for length, token in enumerate(ids):
            logits = MODEL([[*PROMPT, *ids[:length]]])[0]
            p = math.exp(logits[token] - np.logaddexp.reduce(logits))
            if node is None or node.log_rest is None:
                probability *= p
                node = None
                continue
            after = node.children.get(token)
            probability *= p * (1.0 if after is None else math.exp(after.log_theta)) / math.exp(node.log_theta)
            node = after
        assert probability * theta == pytest.approx(math.exp(MODEL.log_prob(ids)), rel=1e-9)


def test_the_trie_of_cars_holds_what_is_left_below_each_prefix(grammar: bridle.Compiled) -> None:
    adaptive = Adaptive(MODEL, grammar, PROMPT, max_new_tokens=BUDGET, seed=1)
    bounds = [adaptive.log_mass_left]
    for _ in range(40):
        adaptive.sample(25)
        bounds.append(adaptive.log_mass_left)
    assert all(one >= other - 1e-12 for one, other in itertools.pairwise(bounds))
    assert LOG_Z - 1e-9 <= bounds[-1] < LOG_Z + 0.2
    waiting = [adaptive.tree.root]
    while waiting:
        node = waiting.pop()
        waiting += [child for child in node.children.values() if child.log_rest is not None]
        log_probs = adaptive.tree.evaluate([node])[0]
        for token, child in node.children.items():
            log_probs[token] += child.log_theta
        assert float(log_probs.logsumexp(0)) == pytest.approx(node.log_theta, abs=1e-9)


def test_cars_is_exact_when_its_trie_is_full_and_logits_are_forgotten(grammar: bridle.Compiled) -> None:
    adaptive = Adaptive(
        MODEL, grammar, PROMPT, max_new_tokens=BUDGET, seed=5, batch_size=64, max_prefixes=12, kept_bytes=500
    )
    samples = adaptive.sample(1500, max_attempts=10**7)
    assert chi_square_p(samples, TARGET) > 0.001
    assert adaptive._n_prefixes == 12
    assert adaptive.tree._kept_bytes <= 500


def test_forgotten_logits_change_no_sample(grammar: bridle.Compiled) -> None:
    kept, forgotten = (
        Adaptive(MODEL, grammar, PROMPT, max_new_tokens=BUDGET, seed=2, kept_bytes=size).sample(200)
        for size in (1 << 20, 0)
    )
    assert list(kept) == list(forgotten)
    assert forgotten.stats.forwards > 2 * kept.stats.forwards


def test_asap_comes_to_the_target(grammar: bridle.Compiled) -> None:
    adaptive = Adaptive(MODEL, grammar, PROMPT, method="asap", max_new_tokens=BUDGET, batch_size=1, seed=0)
    distances = []
    for more in (0, 50, 250, 700):
        if more:
            adaptive.sample(more)
        distances.append(total_variation(asap_distribution(adaptive), TARGET))
    assert distances[0] > 0.5
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.05


def test_asap_says_how_likely_a_sample_was(grammar: bridle.Compiled) -> None:
    adaptive = Adaptive(MODEL, grammar, PROMPT, method="asap", max_new_tokens=BUDGET, batch_size=1, seed=4)
    for _ in range(12):
        before = asap_distribution(adaptive, normalised=False)
        attempts = adaptive.tree.stats.attempts
        (found,) = adaptive.sample(1)
        if adaptive.tree.stats.attempts == attempts + 1:
            assert found.log_proposal == pytest.approx(math.log(before[tuple(found.token_ids)]), abs=1e-9)
        assert found.log_weight == pytest.approx(found.log_prob - found.log_proposal)


@pytest.mark.parametrize("resampling", ["systematic", "multinomial"])
@pytest.mark.parametrize("runs", [3000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_the_bias_of_sequential_monte_carlo_falls_with_its_particles(
    grammar: bridle.Compiled, runs: int, resampling: str
) -> None:
    distances = [
        total_variation(frequencies(drawn(grammar, runs, "smc", particles=n, resampling=resampling)), TARGET)
        for n in (1, 4, 16, 64)
    ]
    floor = noise_floor(TARGET, runs)
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.5
    assert distances[2] < 0.15
    assert distances[3] < floor + 0.02


def test_one_particle_is_local_masking(grammar: bridle.Compiled) -> None:
    one = drawn(grammar, 300, "smc", particles=1, batch_size=64)
    assert list(one) == list(drawn(grammar, 300, "mask", batch_size=64))


@pytest.mark.parametrize("method", METHODS)
def test_the_normaliser_is_that_of_the_target(grammar: bridle.Compiled, method: str) -> None:
    """Within what the estimates themselves spread over 20 seeds."""
    n = 60 if method == "asap" else 200
    found = [drawn(grammar, n, method, seed=seed, max_attempts=10**6).log_normaliser for seed in range(20)]
    ratios = np.exp(np.array(found) - LOG_Z)
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / math.sqrt(20) + 1e-3


@pytest.mark.parametrize(("method", "options"), [("mask", {}), ("smc", {"particles": 4})])
def test_weighted_averages_are_those_of_the_target(grammar: bridle.Compiled, method: str, options: dict) -> None:
    variants = [{}, {"weighted": True}] if method == "smc" else [{}]
    for variant in variants:
        samples = drawn(grammar, 20_000, method, **options, **variant)
        weights = np.exp([one.log_weight for one in samples])
        for ids in sorted(TARGET, key=TARGET.__getitem__)[-4:]:
            share = weights[[tuple(one.token_ids) == ids for one in samples]].sum() / weights.sum()
            assert share == pytest.approx(TARGET[ids], abs=0.04)


def test_all_particles_are_returned_where_that_is_asked_for(grammar: bridle.Compiled) -> None:
    samples = drawn(grammar, 50, "smc", particles=8, weighted=True)
    assert 50 <= len(samples) <= 400
    assert len(samples) == samples.stats.attempts - samples.stats.rejected
    total = np.logaddexp.reduce([one.log_weight for one in samples]) - math.log(samples.stats.attempts)
    assert total == pytest.approx(samples.log_normaliser)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_model_without_a_distribution_is_an_error(grammar: bridle.Compiled, method: str, value: float) -> None:
    def broken(prefixes: list[list[int]]) -> torch.Tensor:
        logits = torch.full((len(prefixes), 8), value if value < 0 else 0.0)
        logits[-1, 3] = value
        return logits

    with pytest.raises(ValueError, match="has no distribution"):
        sample(broken, grammar, PROMPT, method=method, max_new_tokens=BUDGET)


@pytest.mark.parametrize("method", METHODS)
def test_a_part_at_temperature_zero_is_refused(grammar: bridle.Compiled, method: str) -> None:
    greedy = bridle.compile(bridle.Grammar.from_regex("[ab]").with_temperature(0.0), grammar.vocabulary)
    with pytest.raises(ValueError, match="temperature 0"):
        sample(MODEL, greedy, PROMPT, method=method, max_new_tokens=BUDGET)


# ------------------------------------------------------------------------------------------------ what a sample is


@pytest.mark.parametrize("method", METHODS)
def test_every_sample_is_a_sentence_with_its_true_log_probability(grammar: bridle.Compiled, method: str) -> None:
    for one in drawn(grammar, 100, method):
        assert tuple(one.token_ids) in TARGET
        assert one.log_prob == pytest.approx(MODEL.log_prob(one.token_ids), abs=1e-9)
        assert one.text.encode() == b"".join(TOKENS[token] for token in one.token_ids[:-1])
        assert one.token_ids[-1] == STOP


def test_local_masking_says_how_likely_a_sample_was(grammar: bridle.Compiled) -> None:
    for one in drawn(grammar, 20, "mask"):
        log_q, matcher = 0.0, bridle.Matcher(grammar)
        for length, token in enumerate(one.token_ids):
            logits = MODEL([[*PROMPT, *one.token_ids[:length]]])[0]
            bitmask = bridle.allocate_token_bitmask(1, 8)
            matcher.fill_next_token_bitmask(bitmask)
            last = length == BUDGET - 1
            allowed = [t for t in range(8) if bitmask[0, 0] >> t & 1 and (t == STOP or not last)]
            log_q += logits[token] - np.logaddexp.reduce(logits[allowed])
            matcher.accept_token(token)
        assert one.log_proposal == pytest.approx(log_q, abs=1e-9)
        assert one.log_weight == pytest.approx(one.log_prob - log_q, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_draws_the_same_and_the_global_state_is_left_alone(grammar: bridle.Compiled, method: str) -> None:
    before = torch.random.get_rng_state()
    one, other, third = (drawn(grammar, 12, method, seed=seed) for seed in (7, 7, 8))
    assert list(one) == list(other) != list(third)
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_one_call_learned_serves_the_next(grammar: bridle.Compiled) -> None:
    adaptive = Adaptive(MODEL, grammar, PROMPT, max_new_tokens=BUDGET, seed=0)
    first, begun = adaptive.sample(500).stats.forwards, adaptive.tree.stats.attempts
    again = adaptive.sample(500).stats
    assert again is adaptive.tree.stats
    assert again.forwards - first < first / 2
    assert again.attempts - begun < begun
    assert again.samples == 1000
    assert again.forwards_per_sample == again.forwards / 1000


@pytest.mark.parametrize("method", METHODS)
def test_forwards_are_the_prefixes_that_the_model_was_asked_about(grammar: bridle.Compiled, method: str) -> None:
    model = TableModel()
    samples = sample(model, grammar, PROMPT, n=20, method=method, max_new_tokens=BUDGET, seed=0)
    assert samples.stats.forwards == model.forwards
    assert samples.stats.samples == 20
    assert samples.stats.attempts >= samples.stats.rejected + 20


@pytest.mark.parametrize("method", METHODS)
def test_no_samples_cost_nothing(grammar: bridle.Compiled, method: str) -> None:
    samples = drawn(grammar, 0, method)
    assert list(samples) == []
    assert samples.stats.forwards == 0


# ------------------------------------------------------------------------------------------------ the processed model


@pytest.mark.parametrize(
    ("processing", "options"),
    [
        ({"temperature": 0.6}, {"temperature": 0.6}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"top_p": 0.9, "temperature": 1.3}, {"top_p": 0.9, "temperature": 1.3}),
        ({"min_p": 0.1}, {"min_p": 0.1}),
    ],
)
def test_the_target_is_that_of_the_processed_model(grammar: bridle.Compiled, processing: dict, options: dict) -> None:
    processed = Processing(**processing)

    def log_prob(ids: tuple[int, ...]) -> float:
        rows = torch.from_numpy(np.concatenate([MODEL([[*PROMPT, *ids[:i]]]) for i in range(len(ids))]))
        return float(processed.log_probs(rows, [()] * len(ids), [None] * len(ids))[range(len(ids)), list(ids)].sum())

    logs = {ids: log_prob(ids) for ids in sentences()}
    log_z = np.logaddexp.reduce(list(logs.values()))
    samples = drawn(grammar, 1500, "cars", **options)
    assert chi_square_p(samples, {ids: math.exp(log - log_z) for ids, log in logs.items()}) > 0.001
    assert all(one.log_prob == pytest.approx(logs[tuple(one.token_ids)], abs=1e-9) for one in samples)


@pytest.mark.parametrize(
    "settings", [{"top_k": 3}, {"top_p": 0.7}, {"min_p": 0.2}, {"temperature": 0.5, "top_k": 6, "top_p": 0.8}]
)
def test_processing_is_that_of_transformers(settings: dict) -> None:
    transformers = pytest.importorskip("transformers")
    logits = torch.randn(20, 50, generator=torch.Generator().manual_seed(0)).double()
    logits[:, 7] = logits[:, 11]  # what ties
    warpers = {"temperature": "TemperatureLogitsWarper", "top_k": "TopKLogitsWarper", "top_p": "TopPLogitsWarper",
             "min_p": "MinPLogitsWarper"}  # fmt: skip
    expected = logits
    for name, warper in warpers.items():
        if name in settings:
            expected = getattr(transformers, warper)(settings[name])(None, expected)
    found = Processing(**settings).log_probs(logits, [()] * 20, [None] * 20)
    assert torch.allclose(found, expected.log_softmax(-1), atol=1e-12)


def test_processors_see_the_prompt_and_come_first(grammar: bridle.Compiled) -> None:
    seen = []

    def no_open_bracket_twice(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        seen.append(ids[0].tolist())
        scores = scores.clone()
        scores[ids[:, -1] == 3, 3] = -torch.inf
        return scores

    samples = drawn(grammar, 200, "cars", logits_processor=[no_open_bracket_twice])
    assert all("((" not in one.text for one in samples)
    assert any("((" in one.text for one in drawn(grammar, 200, "cars"))
    assert all(tuple(ids[: len(PROMPT)]) == PROMPT for ids in seen)


def test_a_part_of_a_grammar_keeps_its_own_temperature() -> None:
    grammar = "(" + bridle.Grammar.from_choices(["a", "b"]).with_temperature(0.1) + ")"
    cold = bridle.compile(grammar, compiled().vocabulary)
    for one in sample(MODEL, cold, PROMPT, n=5, method="mask", temperature=2.0, max_new_tokens=4, seed=0):
        parts = [np.asarray(MODEL([[*PROMPT, *one.token_ids[:i]]])[0]) / (0.1 if i == 1 else 2.0) for i in range(4)]
        expected = sum(row[token] - np.logaddexp.reduce(row) for row, token in zip(parts, one.token_ids, strict=True))
        assert one.log_prob == pytest.approx(expected, abs=1e-9)


# ------------------------------------------------------------------------------------------------ ends and errors


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [4, 6])
def test_a_budget_has_the_sentences_that_end_within_it(grammar: bridle.Compiled, method: str, budget: int) -> None:
    samples = drawn(grammar, 400, method, max_new_tokens=budget)
    assert {tuple(one.token_ids) for one in samples} <= set(sentences(budget))
    if method == "cars":
        assert chi_square_p(samples, target(MODEL, budget)[0]) > 0.001


@pytest.mark.parametrize("method", METHODS)
def test_a_budget_that_no_sentence_fits_is_an_error(grammar: bridle.Compiled, method: str) -> None:
    with pytest.raises(SamplingError, match="max_new_tokens") as error:
        drawn(grammar, 2, method, max_new_tokens=3, max_attempts=100)
    assert error.value.samples == []


def test_too_few_attempts_are_an_error_with_what_was_found(grammar: bridle.Compiled) -> None:
    with pytest.raises(SamplingError, match="max_attempts") as error:
        drawn(grammar, 400, "cars", max_attempts=400)
    found = error.value.samples
    assert 0 < len(found) < 400
    assert found.stats.attempts == 400
    assert len(found) == found.stats.samples == 400 - found.stats.rejected


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_that_no_float_can_hold_are_sampled_alike(method: str) -> None:
    """Texts of probability 1e-400 and less; the second is three times as likely as the first."""
    vocabulary = bridle.Vocabulary([b"a", b"b", b"c", b"d", b""], stop_token_ids=[4])
    grammar = bridle.compile(bridle.Grammar.from_regex("a{40}[bc]"), vocabulary)
    scores = np.array([-25.0, -25.0, -25.0 + math.log(3), 0.0, 0.0])

    def logits(prefixes: list[list[int]]) -> np.ndarray:
        return np.repeat(scores[None], len(prefixes), axis=0)

    samples = sample(logits, grammar, [], n=200, method=method, max_new_tokens=50, seed=0, batch_size=64)
    log_p = scores - np.logaddexp.reduce(scores)
    expected = {
        "a" * 40 + "b": 40 * log_p[0] + log_p[1] + log_p[4],
        "a" * 40 + "c": 40 * log_p[0] + log_p[2] + log_p[4],
    }
    assert max(expected.values()) < -400 * math.log(10)
    assert all(one.log_prob == pytest.approx(expected[one.text]) for one in samples)
    assert samples.log_normaliser == pytest.approx(np.logaddexp.reduce(list(expected.values())), abs=0.4)
    assert sum(one.text.endswith("c") for one in samples) / 200 == pytest.approx(0.75, abs=0.12)


def test_a_sampling_error_can_be_pickled(grammar: bridle.Compiled) -> None:
    with pytest.raises(SamplingError) as error:
        drawn(grammar, 400, "cars", max_attempts=300)
    again = pickle.loads(pickle.dumps(error.value))
    assert str(again) == str(error.value)
    assert list(again.samples) == list(error.value.samples)
    assert again.samples.stats == error.value.samples.stats


@pytest.mark.parametrize("method", METHODS)
def test_a_stop_token_in_the_middle_of_a_text_does_not_end_it(method: str) -> None:
    vocabulary = bridle.Vocabulary([b"a", b"b", b""], stop_token_ids=[2], special_tokens={"<s>": 2})
    grammar = bridle.compile(bridle.Grammar.from_ebnf('root ::= "a" <s> "b"'), vocabulary)

    def logits(prefixes: list[list[int]]) -> np.ndarray:
        return np.zeros((len(prefixes), 3))

    (one,) = sample(logits, grammar, [], method=method, max_new_tokens=4, seed=0)
    assert (one.token_ids, one.text) == ([0, 2, 1, 2], "ab")
    with pytest.raises(SamplingError):
        sample(logits, grammar, [], method=method, max_new_tokens=2, seed=0, max_attempts=200)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "beam"}, "'beam'"),
        ({"n": -1}, "-1"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 2.0}, "min_p"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"particles": 0}, "particles=0"),
        ({"ess_threshold": 2.0}, "ess_threshold=2.0"),
        ({"resampling": "residual"}, "residual"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 0, "method": "cars"}, "batch_size"),
    ],
)
def test_wrong_arguments_are_named(grammar: bridle.Compiled, options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sample(MODEL, grammar, PROMPT, **options)


def test_a_model_that_answers_in_another_shape_is_told(grammar: bridle.Compiled) -> None:
    with pytest.raises(ValueError, match=r"\(8,\) for 1 prefixes"):
        sample(lambda prefixes: np.zeros(8), grammar, PROMPT)
    with pytest.raises(TypeError, match="callable"):
        sample("model", grammar, PROMPT)
    with pytest.raises(ValueError, match="prompt_ids"):
        sample(MODEL, grammar, [[1, 2], [3, 4]])


@pytest.fixture(scope="module")
def box() -> Iterator[tuple[Any, Any]]:
    pytest.importorskip("transformers")
    from bridle.integrations import hf

    yield hf.load()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_in_the_box_writes_what_a_schema_admits(box: tuple[Any, Any], method: str) -> None:
    """And the log-probabilities are those of one forward over the whole text, without caches or batches."""
    import json

    from bridle.integrations import hf

    model, tokenizer = box
    member = {"type": "integer", "minimum": 0, "maximum": 120}
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": member},
              "required": ["name", "age"], "additionalProperties": False}  # fmt: skip
    grammar = bridle.Grammar.from_json_schema(schema, max_whitespace=1)
    prompt = tokenizer("Describe a person as JSON:\n")["input_ids"]
    compiled = bridle.compile(grammar, hf.vocabulary_of(model, tokenizer))
    samples = sample(model, compiled, prompt, n=3, method=method, max_new_tokens=48, seed=0, max_attempts=5000)
    assert len(samples) == 3
    for one in samples:
        assert set(json.loads(one.text)) == {"name", "age"}
        ids = torch.tensor([[*prompt, *one.token_ids]])
        with torch.inference_mode():
            rows = model(ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
        assert one.log_prob == pytest.approx(float(rows[range(len(one.token_ids)), one.token_ids].sum()), abs=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_samples_sentences_with_the_log_probabilities_of_the_cpu(box: tuple[Any, Any], method: str) -> None:
    import copy

    from bridle.integrations import hf

    model, tokenizer = box
    prompt = tokenizer('Describe a person as JSON:\n{"name": "Vera", "age":')["input_ids"]
    grammar = bridle.Grammar.from_regex(r" [0-9]{2}\}")
    compiled = bridle.compile(grammar, hf.vocabulary_of(model, tokenizer))
    on_gpu = copy.deepcopy(model).cuda()
    for one in sample(on_gpu, compiled, prompt, n=3, method=method, max_new_tokens=24, seed=0, max_attempts=10**4):
        assert bridle.validate(grammar, one.text).ok
        with torch.inference_mode():
            rows = model(torch.tensor([[*prompt, *one.token_ids]])).logits[0, len(prompt) - 1 : -1].double()
        expected = rows.log_softmax(-1)[range(len(one.token_ids)), one.token_ids].sum()
        assert one.log_prob == pytest.approx(float(expected), abs=0.05)
