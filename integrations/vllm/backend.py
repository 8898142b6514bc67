"""The backend in the engine's process: what requests ask for, compiled; their masks; the tokens that they were given.

Grammars (request_matchers.py) are compiled in vLLM's threads, with the first mask, so that the loop of the engine finds
it there.

A request's `max_tokens` is its matcher's budget (token_budget.py): objects are closed in time. What a reasoning model
thinks before its answer counts, too, so the budget is only known when the answer begins.

INVARIANT: nothing is raised into the engine's loop. Where a text meets a budget of its grammar (`Limits`), its mask
allows only stop tokens, and accepting one fails, upon which vLLM ends that request as an error.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import torch
from vllm.logger import init_logger
from vllm.v1.structured_output.backend_types import (
    StructuredOutputBackend,
    StructuredOutputGrammar,
    StructuredOutputOptions,
)
from vllm.v1.structured_output.utils import strip_speculative_padding

from ...automata.bitmask_rows import allocate_token_bitmask, write_stop_tokens
from ...automata.errors import BridleError
from ...automata.matcher import Matcher
from ..conflict import refusal
from ..requested_grammars import GrammarRequest, RequestKind
from .budgeted_text import BudgetedText
from .grammar_drafts import drafts_from_grammars
from .request_drafts import EngineDrafts, RequestDrafts
from .request_matchers import RequestMatchers
from .request_reading import arguments_of, request_of

__all__ = ["BridleBackend", "BridleGrammar"]

logger = init_logger("vllm.plugins.bridle")

_KINDS = {
    StructuredOutputOptions.JSON: RequestKind.JSON_SCHEMA,
    StructuredOutputOptions.JSON_OBJECT: RequestKind.JSON_OBJECT,
    StructuredOutputOptions.REGEX: RequestKind.REGEX,
    StructuredOutputOptions.CHOICE: RequestKind.CHOICE,
    StructuredOutputOptions.GRAMMAR: RequestKind.GRAMMAR,
    StructuredOutputOptions.STRUCTURAL_TAG: RequestKind.STRUCTURAL_TAG,
}


@dataclass
class BridleBackend(StructuredOutputBackend):
    """See the module. Raises VocabularyError for a tokenizer that cannot be read."""

    _array: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._matchers = RequestMatchers(self.vllm_config, self.tokenizer, self.vocab_size)
        self.most_drafted = self.vllm_config.num_speculative_tokens
        self.drafts: EngineDrafts | None = None
        speculative = self.vllm_config.speculative_config
        if drafts_from_grammars(speculative):
            self.drafts = EngineDrafts(self.tokenizer, speculative.num_speculative_tokens)

    # ------------------------------------------------------------------------------------------ grammars

    def compile_grammar(
        self, request_type: StructuredOutputOptions, grammar_spec: str, stop_token_ids: set[int] | None = None
    ) -> BridleGrammar:
        """A grammar without a budget, as it does not say whose it is. Raises BridleError."""
        options = {"whitespace": "compact"} if self._matchers.is_compact else {}
        request = GrammarRequest.of(_KINDS[request_type], grammar_spec, options)
        return BridleGrammar(self, self._matchers.start(request, stop_token_ids))

    def compile_request(self, request: Any) -> BridleGrammar:
        """The grammar of one of the engine's requests. Raises BridleError."""
        params = request.sampling_params
        arguments = arguments_of(params.extra_args)
        asked = request_of(params.structured_outputs, arguments, is_compact=self._matchers.is_compact)
        start = self._matchers.start(asked, params.all_stop_token_ids)
        if arguments.budget is False:
            return BridleGrammar(self, start)
        return BridleGrammar(self, start, request, at_once=arguments.budget is True)

    def allotted(self, request: Any) -> int:
        """Tokens that a request may still write."""
        return self._matchers.allotted(request.max_tokens, request.num_prompt_tokens) - request.num_output_tokens

    # ------------------------------------------------------------------------------------------ masks

    def allocate_token_bitmask(self, max_num_seqs: int) -> torch.Tensor:
        """int32[max_num_seqs, ceil(vocab_size / 32)], all bits set."""
        self._array = allocate_token_bitmask(max_num_seqs, self.vocab_size)
        self._tensor = torch.from_numpy(self._array)
        return self._tensor

    def array_of(self, bitmask: torch.Tensor) -> Any:
        """The NumPy array of a bitmask. PERF: asking torch for it takes as long as filling a row."""
        return self._array if self._array is not None and bitmask is self._tensor else bitmask.numpy()

    def destroy(self) -> None:
        """Drops what was compiled."""
        self._matchers.clear()
        self._array = None


class BridleGrammar(StructuredOutputGrammar):
    """One request's text.

    start : a matcher where it begins, which is not moved. request : of the engine, for its budget; None: it has none.
    at_once : as for BudgetedText.
    """

    __slots__ = ("_asked_at", "_backend", "_drafts", "_error", "_error_at", "_request", "_text")

    def __init__(self, backend: BridleBackend, start: Matcher, request: Any = None, *, at_once: bool = False) -> None:
        name = "a request" if request is None else f"request {request.request_id}"
        self._backend, self._request = backend, request
        self._text = BudgetedText(start, at_once=at_once, name=name)
        self._error: Exception | None = None  # met in making a mask
        self._error_at = 0  # behind so many tokens
        self._asked_at: int | None = None  # tokens that the request counted when its first mask was asked for
        self._drafts: RequestDrafts | None = None
        if request is not None:
            if backend.drafts is not None:
                self._drafts = RequestDrafts(backend.drafts, request)
            self._text.allot(backend.allotted(request))

    def _begin(self, accepted: int = 0) -> BudgetedText:
        """The text. accepted : how many tokens are accepted now, 0 for a question."""
        if self._text.tokens == 0 and self._request is not None:
            left = self._backend.allotted(self._request)
            counted = self._request.num_output_tokens
            if self._is_thinking():
                # These are drafts, and nobody says how many of them come before the answer; what a smaller budget
                # allows, the right one will allow, too.
                self._text.allot(left - self._backend.most_drafted, or_least=True)
            elif counted != self._asked_at:
                # Tokens that were sampled are counted before they are accepted; drafts come behind a mask, and are not.
                self._text.allot(left + accepted)
            else:
                self._text.allot(left)
            if not accepted:
                self._asked_at = counted
        return self._text

    def _is_thinking(self) -> bool:
        """Whether the request's answer has not begun, as far as vLLM knows."""
        asked = getattr(self._request, "structured_output_request", None)
        return asked is not None and asked.reasoning_ended is False

    def _log(self, error: Exception) -> None:
        name = "a request" if self._request is None else f"request {self._request.request_id}"
        # What is no budget of the grammar is a fault of bridle's.
        logger.error("%s cannot go on: %s", name, error, exc_info=None if isinstance(error, BridleError) else error)

    # ------------------------------------------------------------------------------------------ what vLLM asks

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None:
        """Writes row `batch_index`, whole."""
        array = self._backend.array_of(bitmask)
        if self._error is None:
            try:
                self._begin().current().fill_next_token_bitmask(array, batch_index)
                return
            except Exception as error:
                self._error, self._error_at = error, self._text.tokens
                self._log(error)
        write_stop_tokens(array[batch_index], self._text.start.compiled.vocabulary)

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Tokens that were sampled, or drafted; what comes behind the end of the text is let pass."""
        if self._error is not None:
            return False
        try:
            text = self._begin(len(tokens))
            for token in tokens:
                if text.is_terminated():
                    break
                if not text.accept(token):
                    logger.error("request %s: %s", request_id, refusal(text.current(), token))
                    return False
        except Exception as error:
            self._log(error)
            return False
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """The legal prefix of a draft, or the draft that is put in its place (grammar_drafts.py)."""
        if self._error is not None or self.is_terminated():
            return []
        try:
            text = self._begin().fork()
            drafted = self._drafts
            tokens = strip_speculative_padding(tokens) if drafted is None else drafted.propose(text.current())
            return list(itertools.takewhile(text.accept, tokens))  # not all at once: its budget may come on the way
        except Exception as error:  # a draft is not needed, and the mask, or the token itself, meets it again
            logger.debug("no draft: %s", error)
            return []

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last tokens."""
        self._text.rollback(num_tokens)
        if self._text.tokens < self._error_at:  # only a draft has come there
            self._error = None

    def is_terminated(self) -> bool:
        """Whether a stop token has ended the text."""
        return self._text.is_terminated()

    def reset(self) -> None:
        """Back to where the text begins."""
        self._text.reset()
        self._error = None
