"""One request's text, as the logits processor follows it: tokens come from vLLM, masks and temperatures are asked for.

INVARIANT: nothing is raised into the engine's loop. A text that meets a budget of its grammar (`Limits`), or a token
that its grammar has not, is in error: from then on only stop tokens are allowed, and the reason is in the log.

The grammar is compiled when it is first needed, so that ranks which sample nothing never do it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from vllm.logger import init_logger

from ...automata.bitmask_rows import write_stop_tokens
from ...automata.errors import BridleError, GrammarError
from ...automata.matcher import Matcher
from ...automata.vocabulary import Vocabulary
from ..conflict import refusal
from ..part_temperature import LEAST_TEMPERATURE, score_factor
from ..requested_grammars import GrammarRequest
from .budgeted_text import BudgetedText
from .request_matchers import RequestMatchers
from .request_reading import arguments_of, logits_request_of

__all__ = ["RequestText", "text_of"]

logger = init_logger("vllm.plugins.bridle")


def text_of(matchers: RequestMatchers, params: Any, prompt_tokens: int) -> RequestText | None:
    """The text of a request behind so many tokens; None if it asks for no grammar here. params : SamplingParams."""
    try:
        arguments = arguments_of(params.extra_args)
        request = logits_request_of(arguments, is_compact=matchers.is_compact)
    except Exception as error:  # where the request was taken in, this was refused
        logger.error("a request was let in whose arguments are none: %s", error)
        return None
    if request is None:
        return None
    return RequestText(matchers, request, params, prompt_tokens, arguments.budget)


class RequestText:
    """See the module. budget : what `extra_args["bridle"]["budget"]` says."""

    def __init__(
        self, matchers: RequestMatchers, request: GrammarRequest, params: Any, prompt_tokens: int, budget: bool | None
    ) -> None:
        self._matchers, self._request, self._params = matchers, request, params
        self._prompt_tokens, self._budget = prompt_tokens, budget
        self._text: BudgetedText | None = None  # made when it is first needed
        self._error: Exception | None = None
        self._error_at = 0  # it holds while there are so many tokens
        self._is_draft = False

    # ------------------------------------------------------------------------------------------ tokens

    @property
    def taken(self) -> int:
        """How many of the request's tokens it has followed; none behind its end, or its error."""
        return 0 if self._text is None else self._text.tokens

    def take(self, tokens: Iterable[int]) -> None:
        """Follows the request's tokens behind those that are taken."""
        if self._error is not None:
            return
        try:
            text = self._begun()
            for token in tokens:
                if text.is_terminated():
                    return
                if token < 0 or not text.accept(token):
                    raise GrammarError(_refusal(text.current(), token))
        except Exception as error:
            self._fail(error, self.taken + 1 if self._text is not None else 0)

    def cut(self, length: int) -> None:
        """Takes back what vLLM has dropped: the request has so many tokens now."""
        if self._error is not None and length < self._error_at:
            self._error = None
        if self._text is not None and length < self.taken:
            self._text.rollback(self.taken - length)

    def behind(self, draft: int) -> RequestText:
        """The text with a drafted token more; this one stays. Only stop tokens come behind a draft that is illegal,
        since vLLM rejects it and drops what comes behind."""
        twin = copy.copy(self)
        twin._is_draft = True
        if self._text is not None:
            twin._text = self._text.fork()
        twin.take((draft,))
        return twin

    def _begun(self) -> BudgetedText:
        if self._text is None:
            params, matchers = self._params, self._matchers
            start = matchers.start(self._request, params.all_stop_token_ids)
            self._text = BudgetedText(start, at_once=self._budget is True)
            if params.max_tokens is not None and self._budget is not False:
                self._text.allot(matchers.allotted(params.max_tokens, self._prompt_tokens))
        return self._text

    def _fail(self, error: Exception, at: int) -> None:
        self._error, self._error_at = error, at
        if not self._is_draft:
            # What is no error of bridle's own is a fault of its.
            trace = None if isinstance(error, BridleError) else error
            logger.error("a request cannot go on behind %d tokens: %s", self.taken, error, exc_info=trace)

    # ------------------------------------------------------------------------------------------ masks

    @property
    def matcher(self) -> Matcher | None:
        """Where the text is; None where only stop tokens may come."""
        return None if self._error is not None or self._text is None else self._text.current()

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's, with the stop tokens of the request."""
        if self._text is not None:
            return self._text.start.compiled.vocabulary
        return self._matchers.vocabulary(self._params.all_stop_token_ids)

    def fill(self, bitmask: Any, row: int) -> None:
        """Writes row `row` of an int32 bitmask [rows, ceil(vocab / 32)], whole."""
        if self._error is None and self._text is not None:
            try:
                self._text.current().fill_next_token_bitmask(bitmask, row)
                return
            except Exception as error:
                self._fail(error, self.taken)
        write_stop_tokens(bitmask[row], self.vocabulary)

    def factor(self) -> float | None:
        """What logits are multiplied by for the temperature of the grammar's part to hold, once vLLM has divided them
        by the request's: 0 where the best token alone is left, None where there is nothing to do.

        To be asked when the mask is made.
        """
        matcher, temperature = self.matcher, self._params.temperature
        if matcher is None or temperature < LEAST_TEMPERATURE:
            return None
        try:
            return score_factor(matcher, temperature)
        except Exception as error:
            self._fail(error, self.taken)
            return None


def _refusal(matcher: Matcher, token: int) -> str:
    if token < 0:
        return (
            "vLLM has not said which token was sampled: under async scheduling it tells only processors that are named "
            "in --logits-processors, not those that are entry points"
        )
    return refusal(matcher, token)
