"""Drafts for the requests of an engine that was told to draft from grammars (grammar_drafts.py).

The sources are those of speculative decoding elsewhere: the grammar, a trie of outputs, repetitions in the text. vLLM
verifies one run of tokens for a request, so drafts have no branches.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ...automata.matcher import Matcher
from ...speculative.acceptance import ForwardCost
from ...speculative.draft_tree import NO_DRAFT, right_tokens
from ...speculative.drafter import Draft, Drafter, TextDrafter
from ...speculative.grammar_source import GrammarSource
from ...speculative.history import SuffixSource, TrieSource
from ...speculative.sources import DraftContext, Request

__all__ = ["EngineDrafts", "RequestDrafts"]

# What one more token costs, as a share of a forward: the engine's loop does not see forwards, and on a GPU that waits
# for memory it is little.
_SLOPE = 0.01


class EngineDrafts:
    """What an engine's requests draft from, and what was learnt of it. most : tokens of a draft, at the most."""

    def __init__(self, tokenizer: Any, most: int) -> None:
        self._tokenizer = tokenizer
        self.drafter = Drafter(
            [GrammarSource(), TrieSource(), SuffixSource()], most, ForwardCost(_SLOPE), branches=False
        )
        self.encode = self._encode  # one object: sources keep what they have cut by it

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


class RequestDrafts:
    """Drafts for one request of the engine."""

    def __init__(self, engine: EngineDrafts, request: Any) -> None:
        self._engine, self._request = engine, request
        self._text: TextDrafter | None = None
        self._draft = Draft(NO_DRAFT, [])
        self._length = 0

    def propose(self, matcher: Matcher) -> list[int]:
        """What may follow the request's tokens, all of which the matcher has accepted."""
        tokens = np.array(self._request.all_token_ids, np.int32)
        prompt = self._request.num_prompt_tokens
        if self._text is None:
            asked = Request(tokens[:prompt], matcher.compiled, self._engine.encode)
            self._text = self._engine.drafter.begin(asked, matcher.compiled.vocabulary.stop_token_ids)
            weakref.finalize(self, self._text.end)  # vLLM does not say when a request ends
            self._length = prompt
        came = tokens[self._length :].tolist()
        self._text.observe(came, self._draft, range(right_tokens(self._draft.tree.tokens.tolist(), came)))
        self._length = len(tokens)
        room = self._request.max_tokens - (len(tokens) - prompt) - 1
        self._draft = self._text.propose(DraftContext(tokens, prompt, matcher), room)
        return [*map(int, self._draft.tree.tokens)]
