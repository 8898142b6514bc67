"""Drafts of extra decoding heads, as Medusa has them.

Medusa (Cai et al. 2024) trains heads beside a model's own: from the hidden state that the next token is chosen from,
head k says what comes k tokens after that one. Their likeliest candidates make a tree: every combination, likeliest
first. A head does not see what the one before it has chosen, so its shares are the same on all branches.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .draft_tree import NO_DRAFT, DraftTree
from .sources import DraftContext, Request

__all__ = ["HeadsSource"]


class HeadsSource:
    """heads : hidden state [width] -> logits [heads, vocabulary]; or the heads themselves (Medusa's `medusa_head`),
    each of which makes logits [vocabulary] of it. top : candidates of each head.
    """

    name = "heads"
    wants_hidden = True

    def __init__(self, heads: Callable[[Any], Any] | Sequence[Callable[[Any], Any]], top: int = 5) -> None:
        if top < 1:
            raise ValueError(f"top is at least 1, not {top}")
        self._heads: Any = heads  # a function of the hidden state
        if isinstance(heads, Sequence | torch.nn.ModuleList):
            several: list[Any] = list(heads)
            self._heads = lambda hidden: torch.stack([head(hidden) for head in several])
        self._top = top

    def begin(self, request: Request) -> HeadsSource:
        return self  # nothing is kept of a text

    @torch.inference_mode()
    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        if context.hidden is None:
            return NO_DRAFT
        logits = self._heads(context.hidden)
        if logits.ndim != 2:
            raise ValueError(f"heads make logits [heads, vocabulary] of a hidden state, not {tuple(logits.shape)}")
        shares, ids = logits.float().softmax(-1).topk(min(self._top, logits.shape[1]))
        return _combinations(ids.tolist(), shares.tolist(), budget)

    def observe(self, tokens: Sequence[int]) -> None:
        """Nothing: the next hidden state says it all."""

    def end(self) -> None:
        """Nothing is kept of a text."""


def _combinations(ids: list[list[int]], shares: list[list[float]], budget: int) -> DraftTree:
    """The likeliest paths through the heads' candidates; each further one is reached from a likelier one."""
    tokens: list[int] = []
    parents: list[int] = []
    scores: list[float] = []
    # (minus the path's probability, depth, candidate, parent, probability of what is before it)
    waiting = [(-shares[0][0], 0, 0, -1, 1.0)] if ids else []
    while waiting and len(tokens) < budget:
        path, depth, candidate, parent, before = heapq.heappop(waiting)
        node = len(tokens)
        tokens.append(ids[depth][candidate])
        parents.append(parent)
        scores.append(min(1.0, shares[depth][candidate]))
        if candidate + 1 < len(ids[depth]):
            heapq.heappush(waiting, (-before * shares[depth][candidate + 1], depth, candidate + 1, parent, before))
        if depth + 1 < len(ids):
            heapq.heappush(waiting, (path * shares[depth + 1][0], depth + 1, 0, node, -path))
    return DraftTree.of(tokens, parents, scores) if tokens else NO_DRAFT
