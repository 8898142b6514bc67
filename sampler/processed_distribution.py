"""A model's processed distribution: logits become log-probabilities, float64, with what the caller has chosen applied.

The order is that of transformers' `generate`: the caller's processors, temperature, top-k, top-p, min-p. Nothing here
knows a grammar. These are the probabilities that the sampling methods are faithful to: a token that top-k or top-p
drops has probability 0, whether or not the grammar would have allowed the others.

What ties is kept as transformers' warpers keep it, so that both give the same support.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

__all__ = ["Processing"]

LogitsProcessor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Processing:
    """What makes the model's distribution of its logits.

    temperature : above 0; a part of a grammar with a temperature of its own has that instead
    top_k : 0 is off; top_p : 1 is off; min_p : 0 is off
    processors : called in turn with input_ids int64[n, length], prompt included, and scores [n, vocab]; what they
        return may depend on the row's tokens alone, not on other rows or earlier calls
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    processors: Sequence[LogitsProcessor] = ()

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(f"temperature must be above 0 and finite to sample, but is {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (off) or more, but is {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], but is {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be in [0, 1], but is {self.min_p}")

    def log_probs(
        self, logits: torch.Tensor, ids: Sequence[Sequence[int]], temperatures: Sequence[float | None]
    ) -> torch.Tensor:
        """float64[n, vocab]: the log-probabilities of logits [n, vocab] behind the prefixes `ids`.

        temperatures : of the rows, None where the general one holds
        Raises ValueError where there is no distribution: at temperature 0, or behind logits of which none is finite or
        one is NaN.
        """
        if self.processors:
            rows = torch.tensor(ids, dtype=torch.long, device=logits.device)
            for processor in self.processors:
                logits = processor(rows, logits)
        scores = (logits.cpu() if logits.device.type == "mps" else logits).double()  # which has no float64
        if 0 in temperatures:
            raise ValueError(
                "a part of the grammar has temperature 0, which leaves the model one token, whether the grammar allows "
                "it or not; give the part a small temperature instead, such as 0.01"
            )
        if any(given is not None for given in temperatures) or self.temperature != 1:
            chosen = [self.temperature if given is None else given for given in temperatures]
            scores = scores / torch.tensor(chosen, dtype=torch.double, device=scores.device)[:, None]
        log_probs = self._truncated(scores).log_softmax(dim=-1)
        if not bool(log_probs.amax(dim=-1).isfinite().all()):  # a NaN anywhere makes it NaN
            raise ValueError(
                "the model has no distribution: of the logits behind a prefix, as the logits processors have left "
                "them, one is NaN or infinite, or all are -inf"
            )
        return log_probs

    def _truncated(self, scores: torch.Tensor) -> torch.Tensor:
        if 0 < self.top_k < scores.shape[-1]:
            least = scores.topk(self.top_k, dim=-1).values[:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if self.top_p < 1:
            ascending, order = scores.sort(dim=-1)
            dropped = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - self.top_p
            dropped[:, -1] = False  # the likeliest token stays, however small top_p is
            scores = scores.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -torch.inf)
        if self.min_p > 0:
            least = scores.amax(dim=-1, keepdim=True) + math.log(self.min_p)
            scores = scores.masked_fill(scores < least, -torch.inf)
        return scores
