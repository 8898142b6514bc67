"""Sequential Monte Carlo, and local masking as its case of one particle.

A run is a number of particles, texts in the making with weights. In each step the grammar keeps a part of the model's
distribution behind each text; the weight is multiplied by that part's mass, and the next token drawn from it. Where few
particles carry most of the weight (the effective sample size falls below a share of their number), particles are drawn
anew in proportion to their weights, and all get the mean weight. Here they are drawn before the next token and not
after it, as the mass depends on the prefix alone: copies of a particle part at once (the fully adapted filter of Pitt
and Shephard 1999). Steering language models that way: Lew et al. 2023, Loula et al. 2025.

What comes out is nearly the target: the mean weight of a run is an unbiased estimate of the normaliser Z, averages
weighted over many runs are consistent, but a single draw from a run's particles is biased, by O(1 / particles). One
particle is never drawn anew, and is what masking logits gives: a text from the product of the renormalised
distributions, with log_weight = log p - log q.

Runs are independent, one sample is drawn from each. They are made side by side: a level of all their particles is
one batch, in which prefixes that are the same are one row.

A text that comes to where nothing is allowed any more (the budget is spent, or top-k has dropped all that is allowed)
has weight 0. A run of nothing else is made again, so its sample follows the distribution given that a run succeeds.
Cost: a forward for each distinct prefix of a level; beside it, a pass over its row of the vocabulary in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch

from .draws import draw, effective_sizes, log_mean_exp, resampled
from .prefix_tree import Prefix, PrefixTree
from .samples import Sample, Samples, SamplingError

__all__ = ["monte_carlo"]

Resampling = Literal["systematic", "multinomial"]


def monte_carlo(
    tree: PrefixTree,
    n: int,
    generator: torch.Generator,
    *,
    particles: int,
    batch_size: int,
    ess_threshold: float,
    resampling: Resampling,
    weighted: bool,
    max_attempts: int,
) -> Samples:
    """Runs until n of them have come to a sentence; a sample of each, or with `weighted` all particles that did."""
    samples: list[Sample] = []
    estimates: list[float] = []  # log Z, run by run, failed ones as -inf
    attempts, succeeded = 0, 0
    while succeeded < n:
        if attempts >= max_attempts:
            raise SamplingError(_too_few(succeeded, n, tree), _result(samples, tree, estimates))
        runs = min(max(1, batch_size // particles), n - succeeded, math.ceil((max_attempts - attempts) / particles))
        swarm = _Swarm(tree, runs, particles, generator, ess_threshold, resampling)
        while swarm.step():
            pass
        found = swarm.estimates()
        estimates += found
        samples += swarm.weighted_samples() if weighted else swarm.drawn_samples(found)
        succeeded += sum(estimate > -math.inf for estimate in found)
        attempts += runs * particles
        tree.stats.attempts += runs * particles
        tree.stats.rejected += swarm.failures()
    return _result(samples, tree, estimates)


def _result(samples: list[Sample], tree: PrefixTree, estimates: list[float]) -> Samples:
    tree.stats.samples = len(samples)
    all_runs = torch.tensor([estimates], dtype=torch.double)
    return Samples(samples, tree.stats, float(log_mean_exp(all_runs)) if estimates else -math.inf)


def _too_few(found: int, n: int, tree: PrefixTree) -> str:
    return (
        f"{found} of {n} runs came to a sentence after as many attempts as allowed: texts do not end within "
        f"{tree.max_new_tokens} tokens, or top_k, top_p and min_p leave none that the grammar allows; raise "
        "max_new_tokens, max_attempts or particles"
    )


class _Swarm:
    """Runs side by side, [runs, particles] each of: where a particle is, its weight, its probability."""

    def __init__(
        self,
        tree: PrefixTree,
        runs: int,
        particles: int,
        generator: torch.Generator,
        ess_threshold: float,
        resampling: Resampling,
    ) -> None:
        self._tree, self._generator = tree, generator
        self._threshold, self._resampling = ess_threshold * particles, resampling
        self._single = particles == 1
        self._level: list[Prefix] = [tree.root]  # the distinct prefixes of the particles that go on
        self._sentences: list[Prefix] = []
        shape = (runs, particles)
        self._at = torch.zeros(shape, dtype=torch.long)  # i: level[i]; -1 - i: sentences[i]; where the weight is not 0
        self._log_weights = torch.zeros(shape, dtype=torch.double)
        self._log_probs = torch.zeros(shape, dtype=torch.double)

    def step(self) -> bool:
        """Weighs, draws particles anew where that is due, and adds a token to each; False if none goes on."""
        if not self._level:
            return False
        log_probs = self._tree.evaluate(self._level)
        kept = log_probs.logsumexp(dim=1).cpu()
        going = self._going()
        self._log_weights[going] += kept[self._at[going]]
        if not self._single:
            self._resample()
        self._extend(log_probs)
        return True

    def _going(self) -> torch.Tensor:
        return (self._at >= 0) & (self._log_weights > -torch.inf)

    def _resample(self) -> None:
        sizes = effective_sizes(self._log_weights)
        due = ((sizes < self._threshold) & (sizes > 0)).nonzero()[:, 0]
        if not len(due):
            return
        weights = self._log_weights[due]
        chosen = resampled(weights, self._resampling, weights.shape[1], self._generator)
        self._at[due] = self._at[due].gather(1, chosen)
        self._log_probs[due] = self._log_probs[due].gather(1, chosen)
        self._log_weights[due] = log_mean_exp(weights)[:, None].expand_as(weights)

    def _extend(self, log_probs: torch.Tensor) -> None:
        """Draws a token for each particle that goes on."""
        going = self._going()
        rows = self._at[going].to(log_probs.device)
        no_rejection = log_probs.new_full((len(log_probs),), -torch.inf)
        tokens = draw(log_probs, rows, no_rejection, self._generator)
        self._log_probs[going] += log_probs[rows, tokens].cpu()
        width = log_probs.shape[1]
        distinct, place = torch.unique((rows * width + tokens).cpu(), return_inverse=True)
        level: list[Prefix] = []
        target = []
        for key in distinct.tolist():
            child = self._level[key // width].child(key % width)
            if child.ended:
                self._sentences.append(child)
                target.append(-len(self._sentences))
            else:
                target.append(len(level))
                level.append(child)
        self._at[going] = torch.tensor(target, dtype=torch.long)[place]
        if level and level[0].length == self._tree.max_new_tokens:  # by a stop token that did not end it
            self._log_weights[self._at >= 0] = -torch.inf
            level = []
        self._level = level

    # ------------------------------------------------------------------------------------------------ what came out

    def failures(self) -> int:
        """Particles of weight 0."""
        return int((self._log_weights == -torch.inf).sum())

    def estimates(self) -> list[float]:
        """The estimate of log Z by each run."""
        found: list[float] = log_mean_exp(self._log_weights).tolist()
        return found

    def drawn_samples(self, estimates: list[float]) -> Iterator[Sample]:
        """A sample of each run that has one, drawn by weight; its own weight is the run's."""
        chosen = resampled(self._log_weights, "multinomial", 1, self._generator)
        at, probs = self._at.gather(1, chosen)[:, 0].tolist(), self._log_probs.gather(1, chosen)[:, 0].tolist()
        for i, log_prob, log_weight in zip(at, probs, estimates, strict=True):
            if log_weight > -math.inf:
                yield self._sample(i, log_prob, log_weight)

    def weighted_samples(self) -> Iterator[Sample]:
        """All particles that came to a sentence, with their weights."""
        alive = self._log_weights > -torch.inf
        columns = (self._at[alive].tolist(), self._log_probs[alive].tolist(), self._log_weights[alive].tolist())
        for i, log_prob, log_weight in zip(*columns, strict=True):
            yield self._sample(i, log_prob, log_weight)

    def _sample(self, at: int, log_prob: float, log_weight: float) -> Sample:
        return self._sentences[-1 - at].sample(log_prob, log_weight, log_prob - log_weight if self._single else None)
