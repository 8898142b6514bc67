"""Drafts for llama-cpp-python: `llama.draft_model = DraftModel(llama)`.

Idea. `Llama.generate` asks its draft model for the tokens that may follow, reads all of them in one forward, samples
behind each and keeps what was sampled for as long as that is what was drafted. So a draft changes no text. It is one
run of tokens, no tree: of what bridle's sources propose (speculative/), the likeliest path. In a text with a grammar
its processor says where the text stands, and nothing is drafted that it forbids.

What a wider forward costs is measured between the calls: a longer run is drafted where it pays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp.llama_speculative import LlamaDraftModel

from ...speculative.acceptance import ForwardCost
from ...speculative.draft_tree import NO_DRAFT, DraftTree, right_tokens
from ...speculative.drafter import Draft, Drafter, DraftStats, TextDrafter
from ...speculative.grammar_source import GrammarSource
from ...speculative.history import ReferenceSource, SuffixSource, TrieSource
from ...speculative.sources import DraftContext, DraftSource, Request
from .generations import Generations
from .vocabulary import vocabulary_of

if TYPE_CHECKING:
    from .processor import GrammarLogitsProcessor

__all__ = ["DraftModel"]

Ids = npt.NDArray[np.intc]
_NOTHING = Draft(NO_DRAFT, [])


class DraftModel(LlamaDraftModel):
    """Drafts for one `Llama`, one text at a time. What it learns from texts serves later ones.

    llama : loaded with `logits_all=True`, as drafts are sampled behind each of their tokens
    references : documents that answers quote, as texts or token ids
    sources : what drafts; None: the grammar, a trie of outputs, repetitions in the text, and `references`
    most_tokens : of one draft; it is shorter where more would cost more than they bring
    cost_slope : what one more token in a forward costs, as a share of a forward of one; None: measured
    stats : DraftStats over all texts

    Raises ValueError for a model that cannot verify drafts, and TypeError for what is no Llama.
    """

    def __init__(
        self,
        llama: llama_cpp.Llama,
        *,
        references: Sequence[str | Sequence[int]] = (),
        sources: Sequence[DraftSource] | None = None,
        most_tokens: int = 16,
        cost_slope: float | None = None,
    ) -> None:
        self._generations = Generations(llama)
        _check_model(llama)
        if sources is None:
            sources = list[DraftSource]((GrammarSource(), TrieSource(), SuffixSource()))
            sources += [ReferenceSource(references)] if references else []
        elif references:
            raise ValueError("`references` are for the default sources; among `sources`, put a ReferenceSource")
        most = min(most_tokens, llama.n_batch - 1)  # `Llama` finds the logits of the last batch of a forward alone
        self._drafter = Drafter(sources, most, ForwardCost(cost_slope), branches=False)
        self._stops = vocabulary_of(llama).stop_token_ids
        self._processor: GrammarLogitsProcessor | None = None
        self._text: TextDrafter | None = None
        self._prompt_length = self._length = 0
        self._draft: Draft = _NOTHING
        self._asked = 0.0

    @property
    def stats(self) -> DraftStats:
        return self._drafter.stats

    def follow(self, processor: GrammarLogitsProcessor) -> None:
        """A processor says that the text that begins is inside its grammar."""
        self._processor = processor

    def __call__(self, input_ids: Ids, /, **kwargs: Any) -> Ids:
        """input_ids : intc[n], the text, prompt included; returns intc[k], what may follow."""
        processor = self._processor
        matcher = processor.text_state(input_ids) if processor is not None else None
        if self._generations.begins():
            self._begin(input_ids, None if matcher is None else matcher.compiled)
        else:
            self._observe(input_ids)
        assert self._text is not None
        self._length = len(input_ids)
        context = DraftContext(input_ids, self._prompt_length, matcher)
        draft = self._text.propose(context, self._drafter.most)
        # Sampling behind the token before it is what verifies a stop token; nobody reads on behind it.
        ends = len(draft) and int(draft.tree.tokens[-1]) in self._stops
        self._draft = _without_last(draft) if ends else draft
        self._asked = time.perf_counter()
        return self._draft.tree.tokens.astype(np.intc, copy=False)

    def _begin(self, input_ids: Ids, compiled: Any) -> None:
        """A text of which one token is there."""
        if self._text is not None:
            self._text.end()
        self._prompt_length = len(input_ids) - 1
        prompt = np.array(input_ids[: self._prompt_length], np.int32)
        self._text = self._drafter.begin(Request(prompt, compiled, self._encode), self._stops)
        self._text.observe(input_ids[self._prompt_length :].tolist(), _NOTHING, (), verified=False)

    def _observe(self, input_ids: Ids) -> None:
        """The tokens since the last draft: as much of it as was right, and what was sampled behind it."""
        assert self._text is not None
        self._drafter.cost.learn(len(self._draft), time.perf_counter() - self._asked)
        came = input_ids[self._length :].tolist()
        self._text.observe(came, self._draft, range(right_tokens(self._draft.tree.tokens.tolist(), came)))

    def _encode(self, text: str) -> list[int]:
        return list(self._generations.llama.tokenize(text.encode(), add_bos=False, special=False))


def _without_last(draft: Draft) -> Draft:
    tree = draft.tree
    rest = DraftTree(tree.tokens[:-1], tree.parent[:-1], tree.score[:-1], tree.source[:-1])
    return Draft(rest, draft.matchers[:-1])


def _check_model(llama: llama_cpp.Llama) -> None:
    if not llama._logits_all:
        raise ValueError(
            "a draft is verified by the logits of all of its tokens: load the model with logits_all=True (which keeps "
            f"{4 * llama.n_ctx() * llama.n_vocab() >> 20} MB of logits for n_ctx={llama.n_ctx()})"
        )
    if len(llama.scores) < llama.n_ctx():
        raise ValueError(
            f"the model keeps logits of {len(llama.scores)} tokens, and its context has {llama.n_ctx()}: load it with "
            f"logits_all=True and n_ctx={llama.n_ctx()}, to which llama.cpp has rounded up"
        )
    if any(getattr(llama, name, False) for name in ("_is_recurrent", "_is_hybrid")):
        raise ValueError(
            "a recurrent model cannot take back drafted tokens that were wrong, so it decodes without drafts"
        )
