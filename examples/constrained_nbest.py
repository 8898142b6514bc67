"""The likeliest sentences of a grammar under a model: best-first search, which is exact, and a beam, which is bounded.

    python examples/constrained_nbest.py            # the five likeliest cities, as the model in the box sees it

A hypothesis is a prefix and a fork of the matcher, which costs the same at any length; the mask says which tokens may
follow. Scores are the model's own log-probabilities: forbidden tokens keep their share, nothing is renormalised, so a
hypothesis is as likely as the model finds it, and two that came by different ways can be compared. (A beam that adds up
the logarithms of masked and renormalised scores prefers texts at which the grammar had much to forbid.)

A score can only fall as a text grows. So best-first search, which always extends the best hypothesis that it has, comes
to the sentences in the order of their probability: the first is the likeliest of all. It may look at any number of
prefixes before, which is what the beam bounds: of each length it keeps the `width` best.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
import torch

import bridle

LogProbs = Callable[[Sequence[tuple[int, ...]]], torch.Tensor]
PROMPT = 'Describe a person as JSON:\n{"name": "Vera Klein", "age": 40, "job": "designer", "city": '
KEPT_BYTES = 256 << 20  # keys and values of prefixes, for hypotheses to branch off


class Hypothesis(NamedTuple):
    """log_prob : the model's, of all of `ids`; complete once a stop token has ended it."""

    log_prob: float
    ids: tuple[int, ...]
    matcher: bridle.Matcher

    @property
    def text(self) -> str:
        return self.matcher.text().decode("utf-8", errors="replace")


def log_probs_of(model: Any, prompt_ids: Sequence[int]) -> LogProbs:
    """What the model says behind generated prefixes of one length: float64[prefixes, vocabulary]."""
    logits = bridle.sampler.as_prefix_model(model, prompt_ids, KEPT_BYTES)
    return lambda prefixes: logits(prefixes).double().log_softmax(dim=-1).cpu()


def continuations(hypothesis: Hypothesis, row: torch.Tensor, room: int) -> list[tuple[float, int]]:
    """(the log-probability of the prefix and one more token, that token), the likeliest first.

    room : tokens that may still follow; of the last, only stop tokens are of use
    """
    vocabulary = hypothesis.matcher.compiled.vocabulary
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    hypothesis.matcher.fill_next_token_bitmask(bitmask)
    allowed = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little"))
    if room == 1:
        allowed = np.intersect1d(allowed, vocabulary.stop_token_ids)
    scores = hypothesis.log_prob + row[allowed]
    order = scores.argsort(descending=True, stable=True).tolist()
    return [(float(scores[i]), int(allowed[i])) for i in order if scores[i] > -torch.inf]


def extended(hypothesis: Hypothesis, log_prob: float, token: int) -> Hypothesis:
    matcher = hypothesis.matcher.fork()
    matcher.accept_token(token)
    return Hypothesis(log_prob, (*hypothesis.ids, token), matcher)


def best_first(
    model: Any, compiled: bridle.Compiled, prompt_ids: Sequence[int], max_new_tokens: int
) -> Iterator[Hypothesis]:
    """All sentences of at most `max_new_tokens` tokens, stop token included, from the likeliest on.

    The heap holds, of each prefix that was looked at, its next continuation alone: the following one is entered when
    that is taken out. So it grows by one per forward, however many tokens are allowed.
    """
    log_probs = log_probs_of(model, prompt_ids)
    ties = count()  # what is equally likely comes in the order in which it was found
    heap: list[tuple[float, int, Hypothesis, list[tuple[float, int]], int]] = []

    def enter(parent: Hypothesis, ranked: list[tuple[float, int]], rank: int) -> None:
        if rank < len(ranked):
            heapq.heappush(heap, (-ranked[rank][0], next(ties), parent, ranked, rank))

    def look_at(hypothesis: Hypothesis) -> None:
        (row,) = log_probs([hypothesis.ids])
        enter(hypothesis, continuations(hypothesis, row, max_new_tokens - len(hypothesis.ids)), 0)

    look_at(Hypothesis(0.0, (), bridle.Matcher(compiled)))
    while heap:
        _, _, parent, ranked, rank = heapq.heappop(heap)
        enter(parent, ranked, rank + 1)
        best = extended(parent, *ranked[rank])
        if best.matcher.is_terminated():
            yield best
        elif len(best.ids) < max_new_tokens:
            look_at(best)


def beam(
    model: Any, compiled: bridle.Compiled, prompt_ids: Sequence[int], max_new_tokens: int, *, n: int, width: int
) -> list[Hypothesis]:
    """The n likeliest of the sentences that come of keeping the `width` best prefixes of each length, in order.

    It ends once n sentences are at least as likely as every prefix that is left, which cannot become more so.
    """
    log_probs = log_probs_of(model, prompt_ids)
    level, ended = [Hypothesis(0.0, (), bridle.Matcher(compiled))], list[Hypothesis]()
    for length in range(max_new_tokens):
        rows = log_probs([hypothesis.ids for hypothesis in level])
        ways = [
            (log_prob, token, hypothesis)
            for hypothesis, row in zip(level, rows, strict=True)
            for log_prob, token in continuations(hypothesis, row, max_new_tokens - length)[: 2 * width]
        ]
        # Twice as many as are kept: each prefix may have ended in one of them.
        grown = [
            extended(hypothesis, log_prob, token)
            for log_prob, token, hypothesis in heapq.nlargest(2 * width, ways, key=lambda way: way[0])
        ]
        ended = heapq.nlargest(n, ended + [one for one in grown if one.matcher.is_terminated()])
        level = [one for one in grown if not one.matcher.is_terminated()][:width]
        if not level or (len(ended) == n and ended[-1].log_prob >= level[0].log_prob):
            break
    return ended


def main() -> None:
    from bridle.integrations import hf

    torch.set_num_threads(1)  # a model this small only waits for a second one
    model, tokenizer = hf.load()
    grammar = bridle.Grammar.from_regex(r'"[A-Z][a-z]+"\}')
    compiled = bridle.compile(grammar, hf.vocabulary_of(model, tokenizer))
    prompt_ids = tokenizer(PROMPT)["input_ids"]
    print("a beam of 8:")
    for found in beam(model, compiled, prompt_ids, 24, n=5, width=8):
        print(f"  {found.log_prob:8.3f}  {found.text}")
    print("best first:")
    for found in islice(best_first(model, compiled, prompt_ids, 24), 5):
        print(f"  {found.log_prob:8.3f}  {found.text}")


if __name__ == "__main__":
    main()
