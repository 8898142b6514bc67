"""Drafts of a small model with the large one's tokens, inside the grammar.

Idea (LLMCad, Xu et al. 2023). The small model writes ahead greedily, token by token; the runners-up at each place come
along as leaves, which cost it nothing. It stops when it is no longer sure: when the probability of its path falls below
a threshold. That threshold follows what comes of its drafts: when all of a path was right it may go further next time,
when it was wrong early it stops sooner.

The grammar's mask is on the small model, too, so it is sure where the grammar is, and writes nothing that is cut.

Cost: a forward of the small model for each token of the path; how many of these are worth it the Drafter finds out
(`_Worth`), which asks a source less often that costs more than it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..automata.bitmask_rows import allocate_token_bitmask
from ..automata.errors import LimitError, VocabularyError
from ..automata.matcher import Matcher
from ..sampler.bitmask import apply_token_bitmask_inplace
from .draft_tree import NO_DRAFT, DraftTree, right_tokens
from .sources import DraftContext, Request
from .tree_attention import TreeCache, check_model

__all__ = ["DraftModelSource"]

_LOWEST, _HIGHEST = 0.02, 0.8


class DraftModelSource:
    """A small causal model of transformers.

    model : in eval mode. depth : tokens of a path at the most. width : candidates at each place.
    confidence : the path probability below which it stops at first; it adapts.
    tokenizer, target_tokenizer : if given, they are compared; without them, the sizes of the vocabularies are.
    Raises VocabularyError for two different vocabularies, UnfitModelError for a model that keeps no cache to cut back.
    """

    name = "draft model"

    def __init__(
        self,
        model: Any,
        depth: int = 8,
        width: int = 3,
        confidence: float = 0.3,
        tokenizer: Any = None,
        target_tokenizer: Any = None,
    ) -> None:
        if depth < 1 or width < 1 or not 0 < confidence < 1:
            raise ValueError(f"depth and width are at least 1, confidence within 0 and 1; not {depth}, {width}, "
                             f"{confidence}")  # fmt: skip
        check_model(model)
        self.model, self.depth, self.width, self.threshold = model, depth, width, confidence
        self._compared = tokenizer is not None and target_tokenizer is not None
        if self._compared and tokenizer.get_vocab() != target_tokenizer.get_vocab():
            raise VocabularyError(
                "the draft model's tokenizer has another vocabulary than the model's: its ids would mean other texts"
            )

    def check_target(self, model: Any) -> None:
        """Raises VocabularyError if the model that verifies cannot have the same tokens."""
        own, other = (int(m.config.get_text_config(decoder=True).vocab_size) for m in (self.model, model))
        if own != other and not self._compared:
            raise VocabularyError(
                f"the draft model has {own} tokens and the model {other}: their ids mean different texts, unless one "
                "is only padded; then say so by passing both tokenizers to DraftModelSource"
            )

    def begin(self, request: Request) -> _ModelStream:
        return _ModelStream(self)


class _ModelStream:
    def __init__(self, source: DraftModelSource) -> None:
        self._source = source
        self._cache = TreeCache(source.model)
        self._read: list[int] = []  # the tokens in the cache
        self._path: list[int] = []  # what was drafted last
        self._bitmask: np.ndarray | None = None

    @torch.inference_mode()
    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        source = self._source
        logits = self._catch_up(context.tokens.tolist())
        matcher = None if context.matcher is None else context.matcher.fork()
        tokens: list[int] = []
        parents: list[int] = []
        scores: list[float] = []
        self._path, last, likely = [], -1, 1.0
        while len(self._path) < source.depth and len(tokens) + source.width <= budget:
            try:
                shares, ids = self._shares(logits, matcher).topk(source.width)
            except LimitError:  # a budget met on a guessed way is none of the text's
                break
            for token, share in zip(ids.tolist(), shares.tolist(), strict=True):
                if share > 0:
                    tokens.append(token)
                    parents.append(last)
                    scores.append(min(1.0, share))
            best, share = int(ids[0]), float(shares[0])
            self._path.append(best)
            last, likely = len(tokens) - min(source.width, int((shares > 0).sum())), likely * share
            if likely < source.threshold or not self._enter(matcher, best):
                break
            logits = self._forward([best])
        return DraftTree.of(tokens, parents, scores) if tokens else NO_DRAFT

    def _catch_up(self, tokens: list[int]) -> torch.Tensor:
        """Logits behind the text, whatever was drafted meanwhile."""
        if not self._read and len(tokens) > 1:
            self._cache.read(torch.tensor([tokens[:-1]], device=self._source.model.device), None)
            self._read = tokens[:-1]
        pairs = enumerate(zip(self._read, tokens[:-1]))
        same = next((i for i, (one, other) in pairs if one != other), min(len(self._read), len(tokens) - 1))
        self._cache.cut(same)
        del self._read[same:]
        return self._forward(tokens[same:])

    def _forward(self, tokens: list[int]) -> torch.Tensor:
        """Logits behind the last of some tokens, which are in the cache then."""
        chain = DraftTree.of(tokens[1:], list(range(-1, len(tokens) - 2)), [1.0] * (len(tokens) - 1))
        logits = self._cache.verify([tokens[0]], [chain])
        self._cache.keep([list(range(len(tokens)))])
        self._read += tokens
        return logits[0, -1]

    def _shares(self, logits: torch.Tensor, matcher: Matcher | None) -> torch.Tensor:
        logits = logits.float().clone()
        if matcher is not None:
            if self._bitmask is None:
                self._bitmask = allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
            matcher.fill_next_token_bitmask(self._bitmask)
            apply_token_bitmask_inplace(logits, self._bitmask[0])
        return logits.softmax(-1)

    @staticmethod
    def _enter(matcher: Matcher | None, token: int) -> bool:
        """Whether the text goes on behind a token."""
        try:
            return matcher is None or (matcher.accept_token(token) and not matcher.is_terminated())
        except LimitError:
            return False

    def observe(self, tokens: Sequence[int]) -> None:
        """Follows how far the last path was right."""
        if not self._path:
            return
        right = right_tokens(self._path, tokens)
        factor = 0.9 if right == len(self._path) else 1.1 if 2 * right < len(self._path) else 1.0
        self._source.threshold = min(_HIGHEST, max(_LOWEST, self._source.threshold * factor))
        self._path = []

    def end(self) -> None:
        """The cache goes with the stream."""
