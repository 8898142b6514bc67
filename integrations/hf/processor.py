"""A grammar as a logits processor for `model.generate(logits_processor=[...])`.

Idea. The processor holds no position. Each call finds out where the prompt ends, looks every row's state up by the
tokens generated so far (prefix_states.py), fills one mask per distinct state, and returns masked scores. So greedy
search, sampling, beams, `num_return_sequences`, prompt lookup, assisted decoding and a grammar per row are one code.

Where the prompt ends. The first call's length is the prompt's; for an encoder-decoder that is the decoder's start
token. Every row of a later call is a row that has been seen and at most one token more, in all of transformers' loops;
a call of which that is not true begins a new generation, so an instance can be used again. What looks the same is a
prompt that is the last output, cut anywhere, with at most one token more: it is continued, not begun anew. `reset()`
begins anew in any case, `prompt_length` settles it for good (and is what a loop that drops rows on its way must give).

INVARIANT: `scores` is not written: `output_logits` of `generate` are views of it.
INVARIANT: a row leaves with a finite score, or ConflictError is raised; never a row of -inf alone, which would be NaN.
The processors of `generate`'s own options (`min_new_tokens`, `suppress_tokens`, forced tokens) run before those of the
caller, so what they leave is seen here. One that runs behind this processor and empties a row is seen at the next call,
by the token that the grammar then refuses; sampling from such a row fails in torch before. Put this processor last.
Temperature, top-k and top-p always run behind and always leave a token.

An assistant with another tokenizer is handed the same processors, with ids that mean something else to it. It drafts
without the grammar then; what it drafts is verified inside the grammar like any draft.

Cost of a step: per row 5 us (10 at 1,000 tokens) and a fork, per distinct state a mask, then the mask's application and
a maximum; together 71 us for one row of 128,256 float32 scores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor
from transformers.generation.candidate_generator import AssistedCandidateGeneratorDifferentTokenizers

from ...automata.batch_fill import fill_next_token_bitmasks
from ...automata.errors import BridleError
from ...automata.matcher import allocate_token_bitmask
from ...sampler.bitmask import apply_token_bitmask_inplace
from .prefix_states import PrefixState, PrefixStates

__all__ = ["ConflictError", "GrammarLogitsProcessor", "MaskStats"]

_STATES_PER_ROW, _STATES = 4, 64
# Loops of transformers that show processors prefixes which are not, or not yet, part of a text: beams of probability
# zero, drafts that are verified afterwards. Everywhere else a refused token has really been chosen.
_LOOPS_WITH_LOOSE_PREFIXES = frozenset({"_beam_search", "_assisted_decoding"})


class ConflictError(BridleError):
    """The grammar and another logits processor leave no token, or the other had its way. `row`: of the batch."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, row)
        self.message, self.row = message, row

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"


@dataclass(slots=True)
class MaskStats:
    """`masks` filled so far, and the microseconds that it took."""

    masks: int = 0
    mask_us: float = 0.0


class GrammarLogitsProcessor(LogitsProcessor):
    """Keeps every row of `model.generate` inside a compiled grammar.

    compiled : one for all rows, or a list with one per prompt of the batch; beams and `num_return_sequences` multiply
        rows as `generate` lays them out, those of a prompt next to each other
    prompt_length : tokens of `input_ids` that are prompt, the same for all rows (padding on the left included); None:
        the length at the first call
    max_tokens : tokens that each text may be, the stop token included: masks then close it in time (bridle.Matcher).
        Give `generate` as many `max_new_tokens`
    stats : MaskStats of this instance, over all its generations

    Rows that have ended are left stop tokens only and never raise. Raises ConflictError where another processor left
    none of the allowed tokens, ValueError for a batch that is no multiple of the list.
    """

    def __init__(self, compiled: Any, *, prompt_length: int | None = None, max_tokens: int | None = None) -> None:
        self._compiled: list[Any] = list(compiled) if isinstance(compiled, (list, tuple)) else [compiled]
        sizes = {c.vocabulary.size for c in self._compiled}
        if len(sizes) != 1:
            raise ValueError(f"the grammars of a batch must share one vocabulary, but have the sizes {sorted(sizes)}")
        self._size: int = sizes.pop()
        self._states = PrefixStates(self._compiled, max_tokens)
        self._given_length = prompt_length
        self._bitmask = allocate_token_bitmask(1, self._size)
        self.stats = MaskStats()
        self.reset()

    def reset(self) -> None:
        """Forget the generation in progress; the next call begins one."""
        self._states.clear()
        self._prompts: npt.NDArray[np.int64] | None = None
        self._seen: set[int] = set()  # hashes of the generated prefixes of this generation

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """input_ids : int[rows, length], prompt included; scores : float[rows, vocab]; returns a masked copy."""
        if input_ids.ndim != 2:
            raise ValueError(
                f"input_ids must be [rows, length], not of shape {tuple(input_ids.shape)}: continuous batching shows "
                "processors the last tokens only, which says nothing about where in the grammar a row is"
            )
        ids = np.ascontiguousarray(input_ids.detach().cpu().numpy(), dtype=np.int64)
        if self._begins(ids):
            if _drafts_in_another_vocabulary():
                return scores
            self.reset()
            self._prompts = ids.copy()
        states = self._states_of(self._generated(ids))
        masked_rows = [r for r, state in enumerate(states) if not self._is_loose(r, state, len(states))]
        masked = scores.clone()
        if masked_rows:
            bitmask = self._filled([states[r] for r in masked_rows])
            apply_token_bitmask_inplace(masked, bitmask, masked_rows)
            self._check_left(scores, masked, states, masked_rows)
        return cast("torch.FloatTensor", masked)

    # ------------------------------------------------------------------------------------------ rows to states

    def _states_of(self, generated: npt.NDArray[np.int64]) -> list[PrefixState]:
        n = len(generated)
        if n % len(self._compiled):
            raise ValueError(f"{n} rows are no multiple of the {len(self._compiled)} grammars given")
        per_grammar, capacity = n // len(self._compiled), _STATES + _STATES_PER_ROW * n
        return [self._states.at(r // per_grammar if per_grammar else 0, generated[r], capacity) for r in range(n)]

    def _begins(self, ids: npt.NDArray[np.int64]) -> bool:
        """Whether these rows cannot belong to the generation in progress: another prompt, or a text without a past."""
        if self._given_length is not None:
            return False
        prompts = self._prompts
        if prompts is None or not np.array_equal(ids[:, : prompts.shape[1]], prompts):
            return True
        generated = ids[:, prompts.shape[1] :]
        return generated.shape[1] > 0 and not all(hash(row[:-1].tobytes()) in self._seen for row in generated)

    def _generated(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The part of the rows that is not prompt."""
        if self._given_length is not None:
            if ids.shape[1] < self._given_length:
                raise ValueError(
                    f"the rows have {ids.shape[1]} tokens, fewer than the prompt_length of {self._given_length}"
                )
            return ids[:, self._given_length :]
        assert self._prompts is not None
        generated = ids[:, self._prompts.shape[1] :]
        self._seen.update(hash(row.tobytes()) for row in generated)
        return generated

    def _is_loose(self, row: int, state: PrefixState, rows: int) -> bool:
        """Whether the row's scores do not matter, its prefix being outside the grammar; raises if they do."""
        if state.refused is None or self._is_abandoned(state, rows):
            return False
        if _decoding_loop() in _LOOPS_WITH_LOOSE_PREFIXES:
            return True
        raise ConflictError(
            f"token {state.refused} was chosen where the grammar forbids it: another logits processor, running behind "
            "the grammar's, has left none of the allowed tokens or forced this one. Put the grammar's processor last "
            "(or, if this is a new generation from the last one's prompt and a token, call reset() before it)",
            row,
        )

    def _is_abandoned(self, state: PrefixState, rows: int) -> bool:
        """Whether `generate` has finished the row for a reason of its own (a stop string) and pads it."""
        vocabulary = self._compiled[0].vocabulary
        padding = {*vocabulary.stop_token_ids, *vocabulary.special_tokens.values()}
        return rows > 1 and state.refused in padding

    # ------------------------------------------------------------------------------------------ states to scores

    def _filled(self, states: Sequence[PrefixState]) -> npt.NDArray[np.int32]:
        """int32[len(states), words]: the mask of each state, computed once where several rows share it."""
        distinct = {id(state): state for state in states}
        order = {key: i for i, key in enumerate(distinct)}
        if len(self._bitmask) < len(distinct):
            self._bitmask = allocate_token_bitmask(len(distinct), self._size)
        bitmask = self._bitmask[: len(distinct)]
        started = time.perf_counter()
        live = [i for i, state in enumerate(distinct.values()) if state.refused is None]
        matchers = [state.matcher for state in distinct.values() if state.refused is None]
        if len(matchers) == 1:
            matchers[0].fill_next_token_bitmask(bitmask, live[0])
        elif matchers:
            fill_next_token_bitmasks(matchers, bitmask, live)
        self.stats.mask_us += 1e6 * (time.perf_counter() - started)
        self.stats.masks += len(matchers)
        for i in set(range(len(distinct))).difference(live):
            self._allow_stop_tokens_only(bitmask[i])
        rows = [order[id(state)] for state in states]
        return bitmask if rows == list(range(len(distinct))) else bitmask[rows]

    def _allow_stop_tokens_only(self, row: npt.NDArray[np.int32]) -> None:
        row[:] = 0
        words = row.view(np.uint32)
        for token in self._compiled[0].vocabulary.stop_token_ids:
            words[token // 32] |= np.uint32(1 << token % 32)

    def _check_left(
        self, scores: torch.Tensor, masked: torch.Tensor, states: Sequence[PrefixState], rows: Sequence[int]
    ) -> None:
        """Raise for a row without a token; a row that has ended gets its scores back instead."""
        best = masked.amax(dim=-1).tolist()
        for row in rows:
            if best[row] != -np.inf:
                continue
            if not states[row].ended and states[row].refused is None:
                raise ConflictError(self._conflict(states[row]), row)
            masked[row] = scores[row]

    def _conflict(self, state: PrefixState) -> str:
        bitmask = allocate_token_bitmask(1, self._size)
        state.matcher.fill_next_token_bitmask(bitmask, 0)
        allowed = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little"))
        shown = ", ".join(map(str, allowed[:8].tolist())) + (", …" if len(allowed) > 8 else "")
        stop = self._compiled[0].vocabulary.stop_token_ids
        hint = "; the text is complete and only a stop token can follow" if set(allowed.tolist()) <= set(stop) else ""
        return (
            f"the grammar allows only {len(allowed)} tokens here ({shown}){hint}, and another logits processor or the "
            "model itself forbids them all (min_new_tokens, min_length, suppress_tokens, bad_words_ids, forced tokens)"
        )


# Who is calling? Nothing in a processor's arguments tells, so these look at the stack; both are asked rarely: after a
# refused token, and when a generation begins.


def _callers() -> Iterator[FrameType]:
    """The frames on the stack, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _decoding_loop() -> str | None:
    """Which of transformers' loops is the innermost."""
    loops = {*_LOOPS_WITH_LOOSE_PREFIXES, "_sample"}
    return next((frame.f_code.co_name for frame in _callers() if frame.f_code.co_name in loops), None)


def _drafts_in_another_vocabulary() -> bool:
    """Whether an assistant with a tokenizer of its own is generating."""
    drafters = (f.f_locals.get("self") for f in _callers() if f.f_code.co_name == "get_candidates")
    return any(isinstance(drafter, AssistedCandidateGeneratorDifferentTokenizers) for drafter in drafters)
