"""What requests are decoded with: grammars, compiled once for all equal ones, and matchers where their texts begin.

The structured-output backend and the logits processor share it. What was compiled for a request serves all equal ones,
and what a mask has taught serves all of the engine.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vllm.logger import init_logger

from ...automata.compiled import Compiled, compile_grammar
from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...automata.vocabulary import Vocabulary
from ..request_beginnings import make_mask, matcher_behind
from ..request_cache import RequestCache
from ..requested_grammars import GrammarRequest
from .vocabularies import default_stops, vocabulary_of

__all__ = ["RequestMatchers"]

logger = init_logger("vllm.plugins.bridle")

_VOCABULARIES = 4  # sets of stop tokens at a time: each has masks of its own
_KEPT, _KEPT_CHARACTERS = 256, 1 << 24  # compiled grammars of each of them, and the texts that they were made of

Stops = frozenset[int]


class RequestMatchers:
    """The grammars of one engine's requests. Threads may share it.

    size : of the model's logits. is_compact : the engine is set to write JSON without white space. Raises
    VocabularyError for a tokenizer that cannot be read.
    """

    def __init__(self, vllm_config: Any, tokenizer: Any, size: int) -> None:
        self.size = size
        self.is_compact = bool(vllm_config.structured_outputs_config.disable_any_whitespace)
        self._tokenizer = tokenizer
        self._model = vllm_config.model_config
        self._stops = default_stops(vllm_config, tokenizer)
        self._known = RequestCache(self._begun, _VOCABULARIES)
        if self._stops:
            self._known.get(self._stops)  # the kernels, too, before the first request waits for them

    def start(self, request: GrammarRequest, stop_token_ids: Collection[int] | None) -> Matcher:
        """A matcher where the text of a request begins, its first mask made. Raises BridleError."""
        whole, trace = request.parted()
        compiled = self._known.get(self._chosen(stop_token_ids)).compiled.get(whole)
        if not trace:
            return Matcher(compiled)
        matcher = matcher_behind(compiled, trace)
        _make_first_mask(matcher)
        return matcher

    def vocabulary(self, stop_token_ids: Collection[int] | None) -> Vocabulary:
        """The vocabulary of a request with such stop tokens; without any, with those of the engine."""
        return self._known.get(self._chosen(stop_token_ids)).vocabulary

    def allotted(self, max_tokens: int, prompt_tokens: int) -> int:
        """Tokens that a request may write, behind a prompt of so many."""
        return min(max_tokens, self._model.max_model_len - prompt_tokens)

    def clear(self) -> None:
        """Drops what was compiled."""
        self._known.clear()

    def _chosen(self, stop_token_ids: Collection[int] | None) -> Stops:
        return frozenset(id_ for id_ in stop_token_ids or () if 0 <= id_ < self.size) or self._stops

    def _begun(self, stops: Stops) -> _StopTokens:
        return _StopTokens(vocabulary_of(self._tokenizer, self.size, stops))


class _StopTokens:
    """What is kept for requests with the same stop tokens; grammars hold their vocabulary, so they go with it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.compiled = RequestCache(self._compile, _KEPT, lambda request: len(request.text), _KEPT_CHARACTERS)

    def _compile(self, request: GrammarRequest) -> Compiled:
        compiled = compile_grammar(request.grammar(), self.vocabulary)
        _make_first_mask(Matcher(compiled))
        return compiled


def _make_first_mask(matcher: Matcher) -> None:
    """Where a budget is met, the text says so when it comes there."""
    try:
        make_mask(matcher)
    except LimitError as error:
        logger.debug("the first mask: %s", error)
