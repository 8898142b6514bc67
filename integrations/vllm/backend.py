"""The backend in the engine's process: what requests ask for, compiled; their masks; the tokens that they were given.

Grammars (request_matchers.py) are compiled in vLLM's threads, with the first mask, so that the loop of the engine finds
it there.

A request's `max_tokens` is its matcher's budget (token_budget.py): objects are closed in time. What a reasoning model
thinks before its answer counts, too, so the budget is only known when the answer begins. PERF: masks within a budget
ask what each token leads to, 0.2 to 1 ms for what is new, forty times as much as masks by themselves
(bench/vllm_backends.py). So a text gets its budget no sooner than twice what would close it is left, and some more; it
is looked at again and again on the way there. A request that asks for its budget (`"budget": true`) has it at once.

INVARIANT: nothing is raised into the engine's loop. Where a text meets a budget of its grammar (`Limits`), its mask
allows only stop tokens, and accepting one fails, upon which vLLM ends that request as an error.
"""

from __future__ import annotations

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

from ...automata.bitmask_rows import write_stop_tokens
from ...automata.errors import BridleError, LimitError
from ...automata.matcher import Matcher, allocate_token_bitmask
from ..requested_grammars import GrammarRequest, RequestKind
from .grammar_drafts import drafts_from_grammars
from .request_drafts import EngineDrafts, RequestDrafts
from .request_matchers import RequestMatchers, within_budget
from .request_reading import arguments_of, request_of

__all__ = ["BridleBackend", "BridleGrammar"]

logger = init_logger("vllm.plugins.bridle")

# A budget need not be asked while more tokens are left over: one token may open what takes so many to close; and of
# many in a row, each what takes one less than _OPENED.
_NEAR, _OPENED = 64, 8
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
        return BridleGrammar(self, start, request, may_be_slow=arguments.budget is True)

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
    may_be_slow : whether it has its budget from the start, and even if finding out how to close it takes long
        (`Matcher.closes_slowly`).
    """

    __slots__ = (
        "_allotted", "_backend", "_drafts", "_error", "_error_at", "_looks_at", "_matcher", "_may_be_slow",
        "_rationed_at", "_request", "_start", "_tokens",
    )  # fmt: skip

    def __init__(self, backend: BridleBackend, start: Matcher, request: Any = None, *, may_be_slow: bool = False):
        self._backend, self._start, self._request = backend, start, request
        self._may_be_slow = may_be_slow
        self._matcher = start.fork()
        self._allotted = -1  # tokens, when the text began; -1: it has not
        self._looks_at = self._rationed_at = 0  # tokens that are left when the budget is looked at next, and were last
        self._tokens = 0  # accepted
        self._error: Exception | None = None  # met in making a mask
        self._error_at = 0  # behind so many tokens
        drafts = None if request is None else backend.drafts
        self._drafts = None if drafts is None else RequestDrafts(drafts, request)
        if request is not None:
            self._allot(backend.allotted(request))

    def _allot(self, tokens: int) -> None:
        """Begins with so many tokens, a stop token included."""
        if tokens != self._allotted:
            self._allotted = tokens
            self._ration(self._start, tokens)

    def _ration(self, at: Matcher, left: int) -> None:
        """Goes on from where a matcher is, with so many tokens: within them, if they may soon be too few."""
        name = f"request {self._request.request_id}"
        matcher = within_budget(at, left, may_be_slow=self._may_be_slow, name=name)
        self._matcher, self._looks_at, self._rationed_at = matcher, 0, left
        if self._may_be_slow or matcher.remaining_tokens is None:
            return
        try:
            over = left - 2 * matcher.least_tokens() - _NEAR
        except LimitError:  # it cannot be told
            return
        if over > 0:
            self._matcher, self._looks_at = at.fork(), left - over // _OPENED - 1

    def _begin(self, more: int = 0) -> Matcher:
        """The matcher. more : tokens that are accepted now, which the request counts already."""
        if self._request is None:
            return self._matcher
        if self._tokens == 0:
            self._allot(self._backend.allotted(self._request) + more)
        left = self._allotted - self._tokens
        if left <= self._looks_at:
            self._ration(self._matcher, left)
        return self._matcher

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
                self._begin().fill_next_token_bitmask(array, batch_index)
                return
            except Exception as error:
                self._error, self._error_at = error, self._tokens
                self._log(error)
        write_stop_tokens(array[batch_index], self._start.compiled.vocabulary)

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Tokens that were sampled, or drafted; what comes behind the end of the text is let pass."""
        if self._error is not None:
            return False
        try:
            matcher = self._begin(len(tokens))
            for token in tokens:
                if matcher.is_terminated():
                    break
                if not matcher.accept_token(token):
                    self._explain(request_id, matcher, token)
                    return False
                self._tokens += 1
        except Exception as error:
            self._log(error)
            return False
        return True

    def _explain(self, request_id: str, matcher: Matcher, token: int) -> None:
        rejection = matcher.explain(token)
        reason = "" if rejection is None else f": {rejection.reason}; expected {', '.join(rejection.expected[:8])}"
        logger.error("request %s: token %s is not allowed behind %r%s", request_id, token, matcher.text()[-80:], reason)

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """The legal prefix of a draft, or the draft that is put in its place (grammar_drafts.py)."""
        if self._error is not None or self.is_terminated():
            return []
        try:
            matcher = self._begin()
            if self._drafts is not None:
                return self._drafts.propose(matcher)
            tokens = strip_speculative_padding(tokens)
            return tokens[: matcher.validate_tokens(tokens)]
        except Exception as error:  # a draft is not needed, and the mask, or the token itself, meets it again
            logger.debug("no draft: %s", error)
            return []

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last tokens."""
        self._matcher.rollback(num_tokens)
        self._tokens -= num_tokens
        if self._request is not None and self._allotted - self._tokens > self._rationed_at:
            self._looks_at = max(self._looks_at, self._rationed_at)  # a budget that came with a draft has gone with it
        if self._tokens < self._error_at:  # only a draft has come there
            self._error = None

    def is_terminated(self) -> bool:
        """Whether a stop token has ended the text."""
        return self._matcher.is_terminated()

    def reset(self) -> None:
        """Back to where the text begins."""
        self._tokens, self._allotted, self._error = 0, -1, None
        self._matcher = self._start.fork()
