"""A grammar as a logits processor of llama-cpp-python: `llama(prompt, logits_processor=processor.logits_processor)`.

Idea. The first call of a generation shows the prompt; every call after it is for a text of one token more
(generations.py tells which is which). So the processor keeps one matcher and the number of tokens that it has read.

The length of what is shown says nothing: with a draft model, `input_ids` ends with the draft, of which only a part may
be right. The call for the text's first n tokens shows them as the first n, so those are read, and the others are not.

Errors. llama.cpp calls back from C, and what is raised there is printed by Python ("Exception ignored on calling ctypes
callback function") and lost: llama.cpp goes on with whatever scores there are. `stopping_criteria` raises it again, in
the midst of the text, where the method takes them; `check` afterwards.
INVARIANT: scores are not written, but for that: before an error leaves here, all but the stop tokens are forbidden in
place, so that the text ends.

The order of things in `generate`: processors in the order of their list, of which this should be the last; penalties;
llama.cpp's own grammar; top-k, typical, top-p, min-p, temperature. None of them brings back a token of score -inf.

Cost of a step, 131,072 tokens, the mask memoised: 68 us, and 30 for `Llama` to copy scores back 12 bytes apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import llama_cpp
import numpy as np
import numpy.typing as npt

from ...automata.bitmask_rows import allocate_token_bitmask, tokens_in, write_stop_tokens
from ...automata.compiled import Compiled
from ...automata.errors import BridleError, LimitError
from ...automata.matcher import Matcher
from ..conflict import ConflictError, allowed_alone
from ..part_temperature import score_factor
from .draft_model import DraftModel
from .generations import Generations
from .vocabulary import check_vocabulary

__all__ = ["GrammarLogitsProcessor"]

Ids = npt.NDArray[np.intc]
Scores = npt.NDArray[np.single]

# [b, j] = the upper bound of a score whose token is bit j of mask byte b.
_BOUNDS = np.where((np.arange(256)[:, None] >> np.arange(8)) & 1, np.inf, -np.inf).astype(np.single)


class GrammarLogitsProcessor:
    """Keeps what a `llama_cpp.Llama` writes inside a compiled grammar, text after text.

    compiled : the grammar, for `vocabulary_of(llama)`. llama : the model that it is used with, one text at a time
    max_tokens : how many tokens each text may be, the stop token included: masks then close it in time
        (bridle.Matcher). Give the call at least as many
    temperature : that of the call, for parts of the grammar that have one of their own; None: those are not applied
    on_limit : what becomes of a text that meets a budget of its grammar: "raise" its LimitError, or "end" it there
    error : why the present or last text was ended before its time; None where it was not
    logits_processor : what to pass as that
    stopping_criteria : for methods that take them: raises errors at once. The outputs are the same

    Raises VocabularyError for a grammar of another vocabulary, LimitError where no text is so few tokens.
    """

    def __init__(
        self,
        compiled: Compiled,
        llama: llama_cpp.Llama,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        on_limit: Literal["raise", "end"] = "raise",
    ) -> None:
        if on_limit not in ("raise", "end"):
            raise ValueError(f"on_limit is 'raise' or 'end', not {on_limit!r}")
        if temperature is not None and not 0 <= temperature < float("inf"):
            raise ValueError(f"temperature is that of the call, from 0 on, or None, not {temperature!r}")
        self._generations = Generations(llama)
        check_vocabulary(compiled.vocabulary, llama)
        self.compiled, self.max_tokens = compiled, max_tokens
        self._temperature, self._on_limit = temperature, on_limit
        self._matcher = Matcher(compiled, max_tokens=max_tokens)
        self._prompt_length = self._length = self._read = 0  # of the text: all of it, and what the matcher has read
        self._bitmask = allocate_token_bitmask(1, compiled.vocabulary.size)
        self._calls = 0  # since `check`
        self.error: BaseException | None = None

    @property
    def logits_processor(self) -> llama_cpp.LogitsProcessorList:
        return _Processors([self])

    @property
    def stopping_criteria(self) -> llama_cpp.StoppingCriteriaList:
        return llama_cpp.StoppingCriteriaList([self._stop])

    def __call__(self, input_ids: Ids, scores: Scores) -> Scores:
        """input_ids : intc[n], the text and what is drafted behind it; scores : float32[vocab]; returns a masked copy.

        Raises ConflictError where a token was chosen against the grammar or no allowed one is left, and what the
        grammar's budgets raise; `scores` are then left with the stop tokens alone.
        """
        self._calls += 1
        try:
            self._follow(input_ids)
            return self._masked(scores)
        except BaseException as error:  # whatever it is, C takes the scores as they are
            self._leave_stop_tokens(scores)
            if self.error is None:
                self.error = error
            if not self._is_kept(error):
                raise
        return scores

    def check(self) -> None:
        """Raises what has ended the last text, and ConflictError where no text was masked since the last check.

        The latter happens where `logit_bias` is passed besides a list that is not `logits_processor`: llama-cpp-python
        then calls neither.
        """
        calls, self._calls = self._calls, 0
        self._raise_error()
        if not calls:
            raise ConflictError(
                "no text was generated inside the grammar: pass logits_processor=processor.logits_processor (behind "
                "a `logit_bias`, llama-cpp-python drops any other list)"
            )

    def text_state(self, text: Ids) -> Matcher | None:
        """The grammar's state after a text, which the present one has grown to; None if it is outside the grammar.

        text : intc[n], prompt included. For draft models, to be forked.
        """
        if not self._generations.is_current() or len(text) < self._length:
            return None
        try:
            self._read_up_to(text, len(text))
        except BridleError:  # the next call says so
            return None
        return self._matcher

    # ------------------------------------------------------------------------------------------ the text

    def _follow(self, input_ids: Ids) -> None:
        """Brings the matcher to the text that this call is for."""
        if self._generations.begins():
            self._begin(len(input_ids))
        else:
            self._length += 1
        if self.error is not None:
            raise self.error.with_traceback(None)
        self._read_up_to(input_ids, self._length)

    def _begin(self, prompt_length: int) -> None:
        self._prompt_length = self._length = self._read = prompt_length
        self.error = None
        self._matcher = Matcher(self.compiled, max_tokens=self.max_tokens)
        draft_model = self._generations.llama.draft_model
        if isinstance(draft_model, DraftModel):
            draft_model.follow(self)

    def _read_up_to(self, input_ids: Ids, length: int) -> None:
        for token in input_ids[self._read : length].tolist():
            if not self._matcher.is_terminated() and not self._matcher.accept_token(token):
                raise ConflictError(
                    f"token {token}, number {self._read - self._prompt_length} of the text, was chosen where the "
                    "grammar forbids it: another logits processor has forced it. Put the grammar's processor last"
                )
            self._read += 1

    # ------------------------------------------------------------------------------------------ scores

    def _masked(self, scores: Scores) -> Scores:
        size = self.compiled.vocabulary.size
        if scores.shape != (size,):
            raise ValueError(f"scores are float32[{size}], one for each token, not of shape {scores.shape}")
        masked = np.array(scores, np.single)  # PERF: one after the other, a third of the time; `Llama` copies them back
        if self._matcher.fill_next_token_bitmask(self._bitmask):
            _forbid(masked, self._bitmask[0])
        if masked.max() == -np.inf:
            allowed = allowed_alone(self._bitmask[0], self._matcher)
            raise ConflictError(f"{allowed}, and another logits processor or the model itself forbids them all")
        self._heat(masked)
        return masked

    def _heat(self, scores: Scores) -> None:
        """Applies the temperature of the grammar's part that the text is in."""
        factor = score_factor(self._matcher, self._temperature) if self._temperature else None
        if factor == 0:
            best = scores.argmax()
            kept = scores[best]
            scores[:] = -np.inf
            scores[best] = kept
        elif factor is not None:
            scores *= factor

    def _leave_stop_tokens(self, scores: Scores) -> None:
        write_stop_tokens(self._bitmask[0], self.compiled.vocabulary)
        stops = tokens_in(self._bitmask[0])
        scores[:] = -np.inf
        scores[stops[stops < len(scores)]] = 0.0

    # ------------------------------------------------------------------------------------------ errors

    def _is_kept(self, error: BaseException) -> bool:
        return self._on_limit == "end" and isinstance(error, LimitError)

    def _stop(self, input_ids: Ids, logits: Scores) -> bool:
        """A stopping criterion, called behind each token: ends nothing."""
        self._raise_error()
        return False

    def _raise_error(self) -> None:
        if self.error is not None and not self._is_kept(self.error):
            # The frames that it has come through hold scores in memory that llama.cpp has freed since.
            raise self.error.with_traceback(None)


class _Processors(llama_cpp.LogitsProcessorList):
    """The grammar's processor, last.

    `Llama` passes on what `extend` returns where there is a `logit_bias`, which of a list is None: no processor at all.
    """

    def extend(self, others: Iterable[Any]) -> llama_cpp.LogitsProcessorList:  # type: ignore[override]
        return llama_cpp.LogitsProcessorList([*others, *self])


def _forbid(scores: Scores, row: npt.NDArray[np.int32]) -> None:
    """Sets the scores of tokens whose bits are not set to -inf, in place. A NaN stays."""
    bounds = _BOUNDS.take(row.view(np.uint8), axis=0).reshape(-1)
    np.minimum(scores, bounds[: len(scores)], out=scores)
