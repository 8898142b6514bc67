"""Samples of what a model would write, given that it writes a sentence: `sample`, one interface to four methods.

The target. p is the model's distribution over token sequences, as processed (temperature, top-k, top-p, min-p and the
caller's processors, none of which knows the grammar). A sequence counts if it is a sentence of the grammar, is ended by
a stop token, and has at most `max_new_tokens` tokens, that one included. The target is p given that: p(x) / Z for
sequences that count, Z their sum. Two spellings of one text by different tokens are two sequences.

Local masking, which is what every constrained decoder does step by step, has another distribution: it pays no heed to
how unlikely the model is to come to a sentence from where a token leads, so it goes where the grammar allows a token
and the model would never finish. How far apart the two are depends on both; docs/sampling.md tells which to take when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from ..automata.compiled import Compiled
from .adaptive import Adaptive
from .monte_carlo import Resampling, monte_carlo
from .prefix_tree import PrefixTree
from .processed_distribution import LogitsProcessor, Processing
from .samples import Samples

__all__ = ["sample"]

Method = Literal["mask", "cars", "asap", "smc"]
_ROWS = {"mask": 64, "smc": 64, "cars": 8, "asap": 1}


def sample(
    model: Any,
    compiled: Compiled,
    prompt_ids: Any,
    *,
    n: int = 1,
    method: Method = "mask",
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    logits_processor: Sequence[LogitsProcessor] = (),
    seed: int | None = None,
    particles: int = 16,
    ess_threshold: float = 0.5,
    resampling: Resampling = "systematic",
    weighted: bool = False,
    batch_size: int | None = None,
    max_attempts: int | None = None,
) -> Samples:
    """n sentences of the grammar that the model writes behind the prompt.

    model : a causal language model of transformers, or a callable from a list of prefixes (lists of ids, prompt
        included, all of one length and no two alike) to their next token's logits [n, vocab]
    prompt_ids : ids [length] or [1, length]; one prompt
    method : "mask", local masking: cheap, another distribution than the target. "cars": the target exactly, by
        adaptive rejection. "asap": the target in the end, the first samples are as with "mask". "smc": close to the
        target, the closer the more particles
    max_new_tokens : the stop token counts
    temperature, top_k, top_p, min_p, logits_processor : the model's processed distribution, in that order behind the
        processors; a part of the grammar with a temperature of its own has that, which must be above 0, too. top_k,
        top_p and min_p cut the distribution before the grammar is asked, and may leave nothing that it allows: such
        texts fail and are drawn again
    seed : the same samples for the same seed and arguments; the global random state is neither read nor changed
    particles, ess_threshold, resampling : "smc" alone: their number in each of n independent runs, the share of it
        below which the effective sample size may not fall, and how they are drawn anew: "systematic" or "multinomial"
    weighted : "smc" alone: all particles of the n runs with their weights, instead of one sample drawn from each
    batch_size : texts that are made side by side; None: 64, for "cars" 8, for "asap" 1 (these learn between rounds)
    max_attempts : texts begun at the most; None: 1,000 for each sample
    Raises SamplingError where that was not enough; the samples that were found are in it. ValueError for a temperature
    of 0, and where logits are NaN.
    """
    if n < 0:
        raise ValueError(f"n must be 0 or more, but is {n}")
    if method not in _ROWS:
        raise ValueError(f"method must be one of {', '.join(map(repr, _ROWS))}, but is {method!r}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, but is {batch_size}")
    if particles < 1 or not 0 <= ess_threshold <= 1 or resampling not in ("systematic", "multinomial"):
        raise ValueError(
            f"particles={particles}, ess_threshold={ess_threshold}, resampling={resampling!r}: "
            'these must be 1 or more, from 0 to 1, and "systematic" or "multinomial"'
        )
    rows = _ROWS[method] if batch_size is None else batch_size
    processing = Processing(temperature, top_k, top_p, min_p, tuple(logits_processor))
    if method == "cars" or method == "asap":
        adaptive = Adaptive(
            model, compiled, prompt_ids, method=method, max_new_tokens=max_new_tokens, batch_size=rows, seed=seed,
            processing=processing,
        )  # fmt: skip
        return adaptive.sample(n, max_attempts=max_attempts)
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()
    number = particles if method == "smc" else 1
    return monte_carlo(
        PrefixTree(model, compiled, prompt_ids, processing, max_new_tokens), n, generator,
        particles=number, batch_size=rows, ess_threshold=ess_threshold, resampling=resampling,
        weighted=weighted and method == "smc", max_attempts=1000 * n * number if max_attempts is None else max_attempts,
    )  # fmt: skip
