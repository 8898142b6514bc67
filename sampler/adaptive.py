"""Adaptive methods, which remember what they have ruled out: CARS, which is exact, and ASAp, which becomes so.

Both keep a trie of the prefixes that they have been at, and with each prefix n an upper bound theta(n) of the
probability that the model, having written n, goes on to a sentence that ends within the budget. It is 1 for a prefix
that was never looked at, and for a sentence; where the grammar has been asked, theta(n) = sum over the allowed tokens t
of p(t | n) theta(n t). A text is drawn from p(t | n) theta(n t), and what was learned on its way goes back to the root.

**CARS**, constrained adaptive rejection sampling (Parys et al. 2025, arXiv 2510.01902), draws from a prefix that is new
with the model's own p, forbidden tokens included, and if one comes the text is thrown away. Never with the mask: on the
way here theta(n) was taken for 1, so n was chosen that often, and what the mask takes from n must not be given to n's
continuations.
*Exact*: along a text the quotients p(t | n) theta(n t) / theta(n) multiply to p(text) theta(end) / theta(root), and
theta(end) is 1 at a new prefix as at a sentence's end. So an attempt comes to each sentence x with probability
p(x) / theta(root), the same multiple of p(x) for all of them, and given that it comes to any, x has the target's
probability. This holds for any trie that an attempt begins with, if it is not changed meanwhile: attempts are made in
rounds, side by side, and what they learn is entered when the round is over. Of what they found, the first are taken.
An attempt succeeds with probability Z / theta(root), which grows to 1 as theta(root) falls to Z.

**ASAp**, adaptive sampling with approximate expected futures (Park et al. 2024, "Grammar-Aligned Decoding", arXiv
2405.21047), draws from a new prefix with its mask. Nothing is rejected but what does not end in time; the first texts
follow local masking, later ones come close to the target. `log_proposal` says how likely a text was when it was drawn,
`log_weight` makes averages right in the meantime.

theta is kept as its logarithm, and as a sum of what has children and of the rest, which is summed anew whenever a
prefix is visited: nothing is subtracted, so nothing cancels.

INVARIANT: the trie belongs to one prompt, grammar and model (a trie that outlives its prompt is a known fault of ASAp's
first implementation). INVARIANT: it takes `max_prefixes` nodes at the most; beyond them nothing is entered, which is
still exact.
Cost: a forward per new prefix; a level of a round costs a pass over its rows of the vocabulary in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch

from ..automata.compiled import Compiled
from .draws import draw
from .prefix_tree import Prefix, PrefixTree
from .processed_distribution import Processing
from .samples import Sample, Samples, SamplingError

__all__ = ["Adaptive"]

_KEPT_BYTES = 256 << 20
_MAX_PREFIXES = 200_000


class _Attempt(NamedTuple):
    """A text in the making: where it is, and the logarithms of its probability, under the model and as drawn."""

    at: Prefix
    log_prob: float
    log_proposal: float


class Adaptive:
    """CARS or ASAp for one model, grammar and prompt; what one call learns serves the next.

    model, compiled, prompt_ids, max_new_tokens, batch_size, seed, processing : as in `sample`
    method : "cars" or "asap"
    kept_bytes : for the logits of prefixes, and as much again for a transformers model's keys and values
    max_prefixes : nodes of the trie, about 1 KB each
    """

    def __init__(
        self,
        model: Any,
        compiled: Compiled,
        prompt_ids: Any,
        *,
        method: Literal["cars", "asap"] = "cars",
        max_new_tokens: int = 256,
        batch_size: int = 8,
        seed: int | None = None,
        processing: Processing | None = None,
        kept_bytes: int = _KEPT_BYTES,
        max_prefixes: int = _MAX_PREFIXES,
    ) -> None:
        if method not in ("cars", "asap"):
            raise ValueError(f'method must be "cars" or "asap", but is {method!r}')
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, but is {batch_size}")
        self.method = method
        self.tree = PrefixTree(model, compiled, prompt_ids, processing or Processing(), max_new_tokens, kept_bytes)
        self._batch_size = batch_size
        self._generator = torch.Generator()
        self._generator.manual_seed(seed) if seed is not None else self._generator.seed()
        self._max_prefixes = max_prefixes
        self._n_prefixes = 1
        self._spare: list[Sample] = []  # found in a round, not yet returned
        self._log_evidence = -math.inf  # about Z, from all attempts: see `_log_normaliser`

    @property
    def log_mass_left(self) -> float:
        """log theta(root): an upper bound of the probability that the model, left alone, writes a sentence in time."""
        return self.tree.root.log_theta

    def sample(self, n: int = 1, *, max_attempts: int | None = None) -> Samples:
        """The next n samples, independent and identically distributed with CARS.

        max_attempts : for this call; None: 1,000 for each sample
        Raises SamplingError where they were not enough, or no sentence within the budget has a probability.
        """
        left = 1000 * n if max_attempts is None else max_attempts
        while len(self._spare) < n:
            if self.log_mass_left == -math.inf:
                raise SamplingError(
                    f"no sentence of at most {self.tree.max_new_tokens} tokens, the stop token included, has a "
                    "probability: raise max_new_tokens, or leave top_k, top_p and min_p off",
                    self._taken(len(self._spare)),
                )
            if left <= 0:
                raise SamplingError(
                    f"{len(self._spare)} of {n} samples after as many attempts as allowed: of the texts that the model "
                    f"writes, at most {math.exp(self.log_mass_left):.2g} are sentences of the grammar; raise "
                    'max_attempts, or take method="smc"',
                    self._taken(len(self._spare)),
                )
            size = min(self._batch_size, left, self._wanted(n - len(self._spare)))
            self._spare += self._round(size)
            left -= size
        return self._taken(n)

    def _wanted(self, n: int) -> int:
        """Attempts that n samples are likely to take, by those made so far."""
        found = self.tree.stats.attempts - self.tree.stats.rejected
        return math.ceil(n * (self.tree.stats.attempts + 1) / (found + 1))

    def _taken(self, n: int) -> Samples:
        taken, self._spare = self._spare[:n], self._spare[n:]
        stats = self.tree.stats
        stats.samples += n
        return Samples(taken, stats, self._log_normaliser())

    def _log_normaliser(self) -> float:
        """An attempt of CARS succeeds with probability Z / theta(root): Z is the number of successes by the sum of all
        attempts' 1 / theta(root). ASAp: Z is the mean of p / q, 0 for a failure."""
        stats = self.tree.stats
        found = stats.attempts - stats.rejected
        if not found:
            return -math.inf
        if self.method == "cars":
            return math.log(found) - self._log_evidence
        return self._log_evidence - math.log(stats.attempts)

    # ------------------------------------------------------------------------------------------------ a round

    def _round(self, size: int) -> list[Sample]:
        """`size` attempts side by side; the sentences they came to, in the order of the attempts."""
        if self.method == "cars":
            self._log_evidence = _log_sum([self._log_evidence, math.log(size) - self.log_mass_left])
        going: dict[int, _Attempt] = dict.fromkeys(range(size), _Attempt(self.tree.root, 0.0, 0.0))
        found: dict[int, Sample] = {}
        visited: list[Prefix] = []
        while going:
            level = list(dict.fromkeys(attempt.at for attempt in going.values()))
            visited += level
            going = self._stepped(going, level)
            for i, attempt in list(going.items()):
                if attempt.at.ended:
                    found[i] = self._finished(going.pop(i))
                elif attempt.at.length == self.tree.max_new_tokens:  # by a stop token that did not end it
                    going.pop(i).at.log_theta = -math.inf
        for prefix in reversed(visited):
            prefix.log_theta = _log_theta(prefix)
        self.tree.stats.attempts += size
        self.tree.stats.rejected += size - len(found)
        return [found[i] for i in sorted(found)]

    def _stepped(self, going: dict[int, _Attempt], level: Sequence[Prefix]) -> dict[int, _Attempt]:
        """The attempts that drew an allowed token, with it."""
        log_probs = self.tree.evaluate(level)
        log_weights = log_probs.clone()
        known = [(row, token, child) for row, prefix in enumerate(level) for token, child in prefix.children.items()]
        if known:
            rows, tokens, children = zip(*known, strict=True)
            log_weights[rows, tokens] += log_weights.new_tensor([child.log_theta for child in children])
        totals = torch.full((len(level),), -torch.inf, dtype=torch.double, device=log_probs.device)
        if self.method == "cars":
            totals[[row for row, prefix in enumerate(level) if prefix.log_rest is None]] = 0.0
        row_of = {prefix: row for row, prefix in enumerate(level)}
        at = torch.tensor([row_of[attempt.at] for attempt in going.values()], device=log_probs.device)
        drawn = draw(log_weights, at, totals, self._generator)
        log_q = log_weights[at, drawn] - log_weights.logsumexp(dim=1)[at]
        stepped: dict[int, _Attempt] = {}
        new: dict[tuple[Prefix, int], Prefix] = {}
        drawings = zip(drawn.tolist(), log_probs[at, drawn].tolist(), log_q.tolist(), strict=True)
        for (i, attempt), (token, p, q) in zip(going.items(), drawings, strict=True):
            if token >= 0:
                child = self._child(attempt.at, token, p, new)
                stepped[i] = _Attempt(child, attempt.log_prob + p, attempt.log_proposal + q)
        self._enter_rest(level, log_probs)
        return stepped

    def _child(self, prefix: Prefix, token: int, log_p: float, new: dict[tuple[Prefix, int], Prefix]) -> Prefix:
        """The prefix that is a token longer; entered into the trie where there is room.

        new : those of this level that are not, for attempts that go there together
        """
        found = prefix.children.get(token) or new.get((prefix, token))
        if found is None:
            found = prefix.child(token)
            found.log_edge = log_p
            # A sentence's theta stays 1, so there is nothing to enter. Prefixes that found no room have no children
            # in the trie either: room never comes back.
            if self._n_prefixes < self._max_prefixes and not found.ended:
                prefix.children[token] = found
                self._n_prefixes += 1
            else:
                new[prefix, token] = found
        return found

    def _enter_rest(self, level: Sequence[Prefix], log_probs: torch.Tensor) -> None:
        """Sums what the allowed tokens without an entry have, for each prefix of the level."""
        rows = [row for row, prefix in enumerate(level) for _ in prefix.children]
        tokens = [token for prefix in level for token in prefix.children]
        log_probs[rows, tokens] = -torch.inf
        for prefix, rest in zip(level, log_probs.logsumexp(dim=1).tolist(), strict=True):
            prefix.log_rest = rest

    def _finished(self, attempt: _Attempt) -> Sample:
        if self.method == "cars":
            return attempt.at.sample(attempt.log_prob, 0.0, None)
        log_weight = attempt.log_prob - attempt.log_proposal
        self._log_evidence = _log_sum([self._log_evidence, log_weight])
        return attempt.at.sample(attempt.log_prob, log_weight, attempt.log_proposal)


def _log_theta(prefix: Prefix) -> float:
    """The sum of the rest and of what the children leave."""
    assert prefix.log_rest is not None
    return _log_sum([prefix.log_rest, *(child.log_edge + child.log_theta for child in prefix.children.values())])


def _log_sum(logs: Sequence[float]) -> float:
    """The logarithm of a sum, of logarithms that no float could hold the values of."""
    highest = max(logs)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))
