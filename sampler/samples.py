"""What the sampling methods return: samples, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..automata.errors import BridleError

__all__ = ["Sample", "Samples", "SamplingError", "SamplingStats"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sentence of the grammar, ended by a stop token. All probabilities are natural logarithms.

    token_ids : what was generated, the stop token included
    text : its text without the stop token; bytes that are no UTF-8 become U+FFFD, special tokens have no text
    log_prob : of `token_ids` under the model's processed distribution: nothing masked, nothing renormalised
    log_weight : what the sample counts for, up to a constant that all samples of a method share. Averages weighted
        with exp(log_weight) go to those of the target, whatever the method; 0 where samples follow the target itself
    log_proposal : the probability with which the method came to write `token_ids`; None where it is not known
    """

    token_ids: list[int]
    text: str
    log_prob: float
    log_weight: float = 0.0
    log_proposal: float | None = None


@dataclass(slots=True)
class SamplingStats:
    """What samples cost.

    samples : returned so far; attempts : texts begun for them (particles, with SMC)
    rejected : attempts that came to no sentence: a forbidden token (CARS), or no end within the budget
    forwards : prefixes that the model was asked about, the measure of the papers; prefixes that are the same are asked
        about once
    calls : batched calls of the model; tokens : tokens that these computed, the prompt's included
    """

    samples: int = 0
    attempts: int = 0
    rejected: int = 0
    forwards: int = 0
    calls: int = 0
    tokens: int = 0

    @property
    def forwards_per_sample(self) -> float:
        """Forward passes per valid sample; NaN before the first."""
        return self.forwards / self.samples if self.samples else float("nan")


class Samples(list[Sample]):
    """The samples, in the order in which they were drawn.

    stats : SamplingStats of the call (of an `Adaptive`, since it was made)
    log_normaliser : an estimate of the target's normaliser, the logarithm of the probability that the model, left
        alone, writes a sentence within the budget. exp(log_normaliser) is unbiased for "mask" and "smc" (failed runs
        count, as 0) but for the stopping at the n-th success
    """

    def __init__(self, samples: Iterable[Sample], stats: SamplingStats, log_normaliser: float) -> None:
        super().__init__(samples)
        self.stats, self.log_normaliser = stats, log_normaliser


class SamplingError(BridleError):
    """No sentence within the budget has a probability, or fewer were found than asked for.

    samples : those that were found.
    """

    def __init__(self, message: str, samples: Samples) -> None:
        super().__init__(message, samples)
        self.message, self.samples = message, samples

    def __str__(self) -> str:
        return self.message
