"""Prefixes of sentences, what the model says behind them, and what the grammar allows there.

A `Prefix` is a node: its token, the prefix before it, and a fork of the matcher (O(1), whatever the length). A
`PrefixTree` evaluates a level of them at once: one batched call of the model for those whose logits are not kept, one
batched fill of their masks. Sentences end with a stop token, which counts: of the last token that the budget has left,
only stop tokens are allowed, so what does not end in time has no continuation, like a text of probability 0.

INVARIANT: prefixes that are evaluated together have one length and are all different.
INVARIANT: logits that are kept take `kept_bytes` at the most, the least recently used go first and are computed anew.
They are kept as the model gave them, so what is read again is the same to the last bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..automata.batch_fill import fill_next_token_bitmasks
from ..automata.bitmask_rows import allocate_token_bitmask
from ..automata.compiled import Compiled
from ..automata.matcher import Matcher
from .prefix_models import as_prefix_model
from .processed_distribution import Processing
from .samples import Sample, SamplingStats

__all__ = ["Prefix", "PrefixTree"]


class Prefix:
    """A generated prefix inside the grammar.

    children, log_rest, log_theta, log_edge : what an adaptive method has learned here (adaptive.py)
    """

    __slots__ = ("children", "length", "log_edge", "log_rest", "log_theta", "matcher", "parent", "token")

    def __init__(self, parent: Prefix | None, token: int, matcher: Matcher) -> None:
        self.parent, self.token, self.matcher = parent, token, matcher
        self.length: int = 0 if parent is None else parent.length + 1
        self.children: dict[int, Prefix] = {}
        self.log_edge = 0.0
        self.log_rest: float | None = None
        self.log_theta = 0.0

    def child(self, token: int) -> Prefix:
        """The prefix that is a token longer, which the grammar allows."""
        matcher = self.matcher.fork()
        accepted = matcher.accept_token(token)
        assert accepted, "a token that the mask allows is accepted"
        return Prefix(self, token, matcher)

    @property
    def ended(self) -> bool:
        """Whether it is a sentence that a stop token has ended."""
        return self.matcher.is_terminated()

    @property
    def ids(self) -> tuple[int, ...]:
        """The generated tokens."""
        found: list[int] = []
        node = self
        while node.parent is not None:
            found.append(node.token)
            node = node.parent
        return tuple(reversed(found))

    def sample(self, log_prob: float, log_weight: float, log_proposal: float | None) -> Sample:
        """The sentence as a sample."""
        text = self.matcher.text().decode("utf-8", errors="replace")
        return Sample(list(self.ids), text, log_prob, log_weight, log_proposal)


class PrefixTree:
    """The prefixes of one prompt, one model and one grammar.

    kept_bytes : for logits of prefixes, and as much again for the keys and values of a transformers model; 0: none
    """

    def __init__(
        self,
        model: Any,
        compiled: Compiled,
        prompt_ids: Any,
        processing: Processing,
        max_new_tokens: int,
        kept_bytes: int = 0,
    ) -> None:
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must leave room for a stop token at least, but is {max_new_tokens}")
        self.compiled = compiled
        self.max_new_tokens = max_new_tokens
        self.root = Prefix(None, -1, Matcher(compiled))
        self.stats = SamplingStats()
        self._model = as_prefix_model(model, prompt_ids, kept_bytes)
        self._processing = processing
        self._limit = kept_bytes
        self._kept: OrderedDict[Prefix, torch.Tensor] = OrderedDict()
        self._kept_bytes = 0

    def evaluate(self, level: Sequence[Prefix]) -> torch.Tensor:
        """float64[n, vocab]: the model's log-probabilities behind each prefix, -inf for what may not come."""
        log_probs = self.log_probs(level)
        return log_probs.masked_fill_(~self._allowed(level, log_probs), -torch.inf)

    def log_probs(self, level: Sequence[Prefix]) -> torch.Tensor:
        """float64[n, vocab]: the model's log-probabilities behind each prefix, allowed or not."""
        ids = [prefix.ids for prefix in level]
        temperatures = [prefix.matcher.temperature() for prefix in level]
        prompted = [self._model.prompt + row for row in ids] if self._processing.processors else ids
        return self._processing.log_probs(self._logits(level, ids), prompted, temperatures)

    def _logits(self, level: Sequence[Prefix], ids: Sequence[tuple[int, ...]]) -> torch.Tensor:
        missing = [i for i, prefix in enumerate(level) if prefix not in self._kept]
        computed: dict[int, torch.Tensor] = {}
        if missing:
            logits = self._model([ids[i] for i in missing])
            self.stats.calls += 1
            self.stats.forwards += len(missing)
            self.stats.tokens = self._model.tokens
            if len(missing) == len(level) and not self._limit:
                return logits
            computed = {i: row.clone() for i, row in zip(missing, logits, strict=True)}
        found = torch.stack([computed[i] if i in computed else self._kept[p] for i, p in enumerate(level)])
        self._keep(level, computed)
        return found

    def _keep(self, level: Sequence[Prefix], computed: dict[int, torch.Tensor]) -> None:
        for i, prefix in enumerate(level):
            if i in computed:
                self._kept[prefix] = computed[i]
                self._kept_bytes += computed[i].nbytes
            self._kept.move_to_end(prefix)
        while self._kept_bytes > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.nbytes

    def _allowed(self, level: Sequence[Prefix], like: torch.Tensor) -> torch.Tensor:
        """bool[n, vocab]: what the grammar and the budget allow behind each prefix."""
        width, stops = like.shape[1], self.compiled.vocabulary.stop_token_ids
        bitmask = allocate_token_bitmask(len(level), self.compiled.vocabulary.size)
        fill_next_token_bitmasks([prefix.matcher for prefix in level], bitmask)
        bits = np.unpackbits(bitmask.view(np.uint8), axis=1, count=min(width, 32 * bitmask.shape[1]), bitorder="little")
        allowed = torch.zeros(len(level), width, dtype=torch.bool)
        allowed[:, : bits.shape[1]] = torch.from_numpy(bits).bool()
        if level[0].length == self.max_new_tokens - 1:
            last = torch.zeros(width, dtype=torch.bool)
            last[[token for token in stops if token < width]] = True
            allowed &= last
        return allowed.to(like.device)
