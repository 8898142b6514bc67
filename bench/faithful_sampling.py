"""How far from the target each sampling method is, and what a sample costs: `python bench/faithful_sampling.py`.

First on a model that can be enumerated (enumerable_model.py): the total variation between what was drawn and the
target, beside the noise floor, which is what as many exact samples would have, and Pearson's p; ASAp by the
distribution of its next sample, which is read off its trie; sequential Monte Carlo in independent runs, a sample from
each. Then forward passes per valid sample of the model in the box, on JSON schemas. Fixed seeds. 75 s on one core;
--quick: a tenth of the samples.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import torch

import bridle
from bridle.sampler import Adaptive, Samples, SamplingError, sample
from enumerable_model import (
    BUDGET,
    PROMPT,
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

SAMPLES = 20_000
ITERATIONS = (0, 1, 10, 30, 100, 300, 1000, 2000)  # of ASAp
PARTICLES = (1, 4, 16, 64)


def text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def record(**members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


AGE = {"type": "integer", "minimum": 0}
SCHEMAS = {
    "a person: name, age": ("Describe a person as JSON:\n", record(name=text(20), age=AGE)),
    "an array of enums": ("Answer with JSON:\n", {"type": "array", "items": {"enum": ["red", "green", "blue"]},
                                                  "minItems": 1, "maxItems": 4}),
    "a value of any kind": ("Extract as JSON:\n", {"type": ["object", "array", "string", "number"]}),
}  # fmt: skip


def enumerable(n: int) -> None:
    grammar, model = compiled(), TableModel()
    expected, log_z = target(model)
    print(f"{len(sentences())} sentences of at most {BUDGET} tokens, Z = {math.exp(log_z):.5f}; {n} samples each")
    print(f"noise floor of exact samples: {noise_floor(expected, n):.4f}\n")
    print(f"{'method':<20} {'TV':>7} {'p':>9} {'forwards/sample':>16} {'attempts/sample':>16} {'log Z - true':>13}")

    def row(name: str, draw: Callable[[], Samples]) -> None:
        samples = draw()
        stats, off = samples.stats, samples.log_normaliser - log_z
        distance, p = total_variation(frequencies(samples), expected), chi_square_p(samples, expected)
        attempts = stats.attempts / stats.samples
        print(f"{name:<20} {distance:7.4f} {p:9.2g} {stats.forwards_per_sample:16.3f} {attempts:16.2f} {off:13.4f}")

    options = {"max_new_tokens": BUDGET, "seed": 1}
    row("mask", lambda: sample(model, grammar, PROMPT, n=n, method="mask", batch_size=n, **options))
    row("cars", lambda: sample(model, grammar, PROMPT, n=n, method="cars", **options))
    row("asap", lambda: sample(model, grammar, PROMPT, n=n // 4, method="asap", **options))
    for number in PARTICLES:
        for resampling in ("systematic", "multinomial") if number > 1 else ("systematic",):
            smc = {"method": "smc", "particles": number, "resampling": resampling, "batch_size": 64_000}
            row(f"smc {number} {resampling}", lambda smc=smc: sample(model, grammar, PROMPT, n=n, **smc, **options))
    print("\nForwards are of distinct prefixes: methods that remember them, or draw many at once, hardly ask again.")
    print("One sample at a time, from nothing each time:")
    for method in ("mask", "cars", "smc"):
        singles = [sample(model, grammar, PROMPT, method=method, max_new_tokens=BUDGET, seed=i) for i in range(200)]
        print(f"  {method:<6} {sum(one.stats.forwards for one in singles) / 200:8.1f} forwards per sample")


def asap(iterations: tuple[int, ...]) -> None:
    """The distance of ASAp's next sample, not of all that it has drawn."""
    expected, _ = target(TableModel())
    learners = {
        method: Adaptive(TableModel(), compiled(), PROMPT, method=method, max_new_tokens=BUDGET, batch_size=1, seed=1)
        for method in ("asap", "cars")
    }
    _, log_z = target(TableModel())
    print(f"\n{'iterations':>10} {'TV of ASAp':>11} {'its theta/Z':>12} {'acceptance of CARS':>19}")
    done = 0
    for total in iterations:
        for learner in learners.values():
            if total > done:
                learner.sample(total - done)
        done = total
        distance = total_variation(asap_distribution(learners["asap"]), expected)
        bounds = [math.exp(learner.log_mass_left - log_z) for learner in learners.values()]
        print(f"{total:10} {distance:11.4f} {bounds[0]:12.2f} {1 / bounds[1]:19.4f}")


def box(n: int) -> None:
    from bridle.integrations import hf

    model, tokenizer = hf.load()
    print(f"\nthe model in the box, {n} samples each, at most 64 tokens")
    print(
        f"{'schema':<22} {'method':<6} {'forwards/sample':>16} {'attempts/sample':>16} {'log Z':>8} {'ms/sample':>10}"
    )
    for name, (prompt, schema) in SCHEMAS.items():
        grammar = bridle.Grammar.from_json_schema(schema, max_whitespace=1)
        bound = bridle.compile(grammar, hf.vocabulary_of(model, tokenizer))
        ids = tokenizer(prompt)["input_ids"]
        for method in ("mask", "asap", "smc", "cars"):
            started = time.thread_time()
            try:
                samples = sample(model, bound, ids, n=n, method=method, max_new_tokens=64, seed=0, max_attempts=20_000)
            except SamplingError as error:
                samples = error.samples
            took, stats = time.thread_time() - started, samples.stats
            found = max(1, stats.samples)
            print(
                f"{name:<22} {method:<6} {stats.forwards / found:16.1f} {stats.attempts / found:16.1f} "
                f"{samples.log_normaliser:8.2f} {1e3 * took / found:10.1f}"
                + (f"   only {stats.samples} of {n}" if stats.samples < n else "")
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    enumerable(SAMPLES // 10 if quick else SAMPLES)
    asap(ITERATIONS[:-2] if quick else ITERATIONS)
    box(8 if quick else 32)


if __name__ == "__main__":
    main()
