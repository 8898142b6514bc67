"""A grammar as a logits processor for `model.generate(logits_processor=[...])`.

Idea. The processor holds no position. Each call looks every row's state up by the tokens generated so far
(row_states.py), fills one mask per distinct state (step_masks.py), and returns masked scores. So greedy search,
sampling, beams, `num_return_sequences`, prompt lookup, assisted decoding and a grammar per row are one code.

Overlap. `stopping_criteria` holds one that ends nothing: `generate` shows it the new tokens before the next forward
pass, and it begins the masks that the next call will need. They are taken if that call shows the same rows: the same
tensor, which nobody has written to since, or the same token by token (which on a GPU would wait for the forward pass);
else they are dropped, and the call makes its own. It begins nothing where rows have not merely grown by a token, as in
most steps of beam search.

The order of things in `generate`: its own processors (guidance, repetition penalties, `min_new_tokens`, forced and
suppressed tokens), the caller's, of which this should be the last, then temperature, top-k, top-p, min-p and the like.
So no choice of a warper is ever left without an allowed token. What the processors before leave is seen here; one that
runs behind and empties a row is seen at the next call, by the token that the grammar then refuses.

The temperature of a part of a grammar takes the place of `generate`'s: scores are multiplied by the ratio of the two.
At temperature 0, the best token alone is left.

INVARIANT: `scores` is not written: `output_logits` of `generate` are views of it.
INVARIANT: a row leaves with a finite score, or ConflictError is raised; never a row of -inf alone, which would be NaN.
(On a GPU with overlap it leaves with a stop token, and the error is raised when the next step's tokens are read, so
that nobody waits for the GPU here.)

An assistant with another tokenizer is handed the same processors, with ids that mean something else to it. It drafts
without the grammar then; what it drafts is verified inside the grammar like any draft.

Cost of a step: per row 1 us (5 where rows are reordered) and a fork, per distinct state a mask, then the mask's
application and a maximum; together 71 us for one row of 128,256 float32 scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor, StoppingCriteria, StoppingCriteriaList

from ...automata.batch_fill import mask_keys
from ...automata.bitmask_rows import allocate_token_bitmask
from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...sampler.heat import heat_rows
from ..conflict import ConflictError, allowed_alone, chosen_against
from ..part_temperature import score_factor
from .decoding_loops import drafts_in_another_vocabulary, shows_loose_prefixes
from .prefix_states import PrefixState
from .row_states import Ids, RowStates
from .step_masks import MaskStats, ResidentStepMasks, StepMasks

__all__ = ["ConflictError", "GrammarLogitsProcessor", "MaskStats"]


class _Foreseen(NamedTuple):
    """What was begun for rows that the next call should show: they lie in `source`, and were `ids` when it was seen."""

    source: torch.Tensor
    version: int | None
    ids: Ids
    states: list[PrefixState]
    masks: StepMasks


class GrammarLogitsProcessor(LogitsProcessor):
    """Keeps every row of `model.generate` inside a compiled grammar.

    compiled : one for all rows, or a list with one per prompt of the batch; beams and `num_return_sequences` multiply
        rows as `generate` lays them out, those of a prompt next to each other
    prompt_length : tokens of `input_ids` that are prompt, the same for all rows (padding on the left included); None:
        the length at the first call. A loop that drops rows on its way must give it
    max_tokens : tokens that each text may be, the stop token included: masks then close it in time (bridle.Matcher).
        Give `generate` as many `max_new_tokens`
    temperature : what `generate` divides scores by behind this processor; a part of a grammar with a temperature of
        its own replaces it. None: such temperatures are not applied, as where nothing is drawn at random
    on_limit : what becomes of a row whose text meets a budget of its grammar: "raise" its LimitError, or "end" the row
        with a stop token and keep the error in `errors`, by the row's grammar and generated ids (see `error_of`)
    resident : whether masks that recur stay on the device of the scores, in a table that all processors share; None:
        where that is a GPU. The scores are the same
    stats : MaskStats of this instance, over all its generations
    stopping_criteria : for `generate(stopping_criteria=…)`, last if there are others: masks are then made while the
        model computes. The outputs are the same.

    `reset()` begins a new generation; so does a call whose rows are no continuation of the last ones.
    Rows that have ended are left stop tokens only and never raise. Raises ConflictError where another processor left
    none of the allowed tokens, ValueError for a batch that is no multiple of the list.
    """

    def __init__(
        self,
        compiled: Any,
        *,
        prompt_length: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = 1.0,
        on_limit: Literal["raise", "end"] = "raise",
        resident: bool | None = None,
    ) -> None:
        self._compiled: list[Any] = list(compiled) if isinstance(compiled, (list, tuple)) else [compiled]
        sizes = {c.vocabulary.size for c in self._compiled}
        if len(sizes) != 1:
            raise ValueError(f"the grammars of a batch must share one vocabulary, but have the sizes {sorted(sizes)}")
        if on_limit not in ("raise", "end"):
            raise ValueError(f"on_limit is 'raise' or 'end', not {on_limit!r}")
        self.prompt_length, self.max_tokens = prompt_length, max_tokens
        self._vocabulary = self._compiled[0].vocabulary
        self._temperature, self._on_limit, self._resident = temperature, on_limit, resident
        self._rows = RowStates(self._compiled, prompt_length, max_tokens)
        self._bitmask: npt.NDArray[np.int32] | None = None
        self._foreseen: _Foreseen | None = None
        self._emptied: tuple[torch.Tensor, StepMasks, set[int]] | None = None
        self._shortlisted = False
        self._fetched: tuple[torch.Tensor, int | None, Ids] | None = None
        self.errors: dict[tuple[int, bytes], LimitError] = {}
        self.stats = MaskStats()
        self.stopping_criteria = StoppingCriteriaList([_Foresight(self)])

    @property
    def vocabulary(self) -> Any:
        """Of the grammars."""
        return self._vocabulary

    def reset(self) -> None:
        """Forget the generation in progress; the next call begins one."""
        self._rows.reset()
        self._drop_foreseen()
        self._emptied, self._shortlisted, self._fetched = None, False, None
        self.errors.clear()

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """input_ids : int[rows, length], prompt included; scores : float[rows, vocab]; returns a masked copy."""
        if input_ids.ndim != 2:
            raise ValueError(
                f"input_ids must be [rows, length], not of shape {tuple(input_ids.shape)}: continuous batching shows "
                "processors the last tokens only, which says nothing about where in the grammar a row is"
            )
        masks = self._taken(input_ids)
        overlapped, shortlisted = masks is not None, self._shortlisted
        self._shortlisted = False
        if shortlisted and not overlapped:
            raise RuntimeError("the scores are those of a shortlist for other rows: something has changed input_ids")
        if masks is None:
            ids = self._on_host(input_ids)
            states = self._rows.continued(ids)
            if states is not None:
                self._rows.take(ids.copy(), states)
            else:
                if self._rows.begins(ids):
                    if drafts_in_another_vocabulary():
                        return scores
                    self.reset()
                states = self._rows.at(ids)
            masks = self._begun(states, scores.device, background=False)
        masked = scores.clone()
        if masks.rows:
            met = self._note_limits(masks)
            masks.apply(masked)
            if overlapped and masked.is_cuda:
                self._keep_finite(masked, masks, met)
            else:
                self._check_left(scores, masked, masks, met)
            self._heat(masked, masks, met)
        self._bitmask = masks.bitmask
        return cast("torch.FloatTensor", masked)

    def error_of(self, grammar: int, token_ids: Sequence[int]) -> LimitError | None:
        """The budget that the text of these tokens has met in grammar number `grammar` of the list, where it did.

        Whether the stop token that has ended the row for it is among them does not matter.
        """
        ids = np.array(token_ids, np.int64)
        found = self.errors.get((grammar, ids.tobytes()))
        if found is None and len(ids) and int(ids[-1]) in self._vocabulary.stop_token_ids:
            found = self.errors.get((grammar, ids[:-1].tobytes()))
        return found

    # ------------------------------------------------------------------------------------------ ahead of the logits

    def foresee(self, input_ids: torch.Tensor) -> None:
        """Begins the masks for rows that are the last call's with a token more, before the forward pass for them.

        input_ids : int[rows, length], prompt included. Other rows are left to the call. Raises ConflictError on a GPU
        where the last call has left a row without a token.
        """
        self._drop_foreseen()
        self._shortlisted = False
        ids = self._on_host(input_ids)
        self.check_emptied()
        states = self._rows.continued(ids)
        if states is None or any(state.refused is not None for state in states):
            return
        if all(state.ended or not state.is_live for state in states):
            return
        masks = self._begun(states, input_ids.device, background=True)
        self._foreseen = _Foreseen(input_ids, _version(input_ids), ids.copy(), states, masks)

    def shortlist(self, rows: int, most: int) -> npt.NDArray[np.int64] | None:
        """The tokens, int64[n], that the foreseen masks of so many rows allow, if there are at most `most`; or None.

        Waits for the masks. The next call has to be one for which they were foreseen; else it raises RuntimeError.
        """
        foreseen = self._foreseen
        if foreseen is None or len(foreseen.masks.rows) != rows:
            return None
        foreseen.masks.wait()
        tokens = foreseen.masks.union()
        if not 0 < len(tokens) <= most:
            return None
        self._shortlisted = True
        return tokens

    def forced_run(self, input_ids: torch.Tensor, ended: Sequence[bool], most: int) -> list[list[int]]:
        """What the masks force next in all rows: token ids [k][rows], k of `most` at the most.

        input_ids : as for `foresee`. ended : rows that go on with anything. A text that the token ends does so, too.
        """
        states = self._rows.continued(self._on_host(input_ids))
        if states is None or most <= 0:
            return []
        pad = self._vocabulary.stop_token_ids[0]
        runs, length = [], most
        for state, over in zip(states, ended, strict=True):
            run, open_end = ([], True) if over else _forced(state, length)
            length = length if open_end else len(run)
            runs.append(run)
            if not length:
                return []
        longest = max(map(len, runs))
        return [[run[k] if k < len(run) else pad for run in runs] for k in range(min(length, longest))]

    def follow(self, input_ids: torch.Tensor) -> None:
        """Notes rows that are the last call's with a token more, and that no call will be made for."""
        ids = self._on_host(input_ids)
        states = self._rows.continued(ids)
        assert states is not None
        self._rows.take(ids.copy(), states)

    def _on_host(self, input_ids: torch.Tensor) -> Ids:
        """The rows as int64[rows, length]; what lies on a GPU is fetched once."""
        if not input_ids.is_cuda:
            return np.ascontiguousarray(input_ids.detach().cpu().numpy(), dtype=np.int64)
        fetched = self._fetched
        if fetched is None or fetched[0] is not input_ids or fetched[1] != _version(input_ids):
            ids = np.ascontiguousarray(input_ids.detach().cpu().numpy(), dtype=np.int64)
            fetched = self._fetched = (input_ids, _version(input_ids), ids)
        return fetched[2]

    def _taken(self, input_ids: torch.Tensor) -> StepMasks | None:
        """The masks that were begun for these very rows."""
        foreseen = self._foreseen
        if foreseen is None:
            return None
        unwritten = foreseen.version is not None or input_ids.is_cuda
        if input_ids is foreseen.source and unwritten:
            same = _version(input_ids) == foreseen.version
        else:
            same = input_ids.shape == foreseen.ids.shape and bool((self._on_host(input_ids) == foreseen.ids).all())
        if not same:
            self._drop_foreseen()
            return None
        self._foreseen = None
        self._rows.take(foreseen.ids, foreseen.states)
        return foreseen.masks

    def _drop_foreseen(self) -> None:
        if self._foreseen is not None:
            self._foreseen.masks.drop()
        self._foreseen = None

    def _begun(self, states: list[PrefixState], device: torch.device, *, background: bool) -> StepMasks:
        rows = [r for r, state in enumerate(states) if not self._is_loose(r, state, len(states))]
        bitmask, self._bitmask = self._bitmask, None  # who drops masks leaves theirs to the worker
        chosen = [states[r] for r in rows]
        resident = device.type == "cuda" if self._resident is None else self._resident
        kind = ResidentStepMasks if resident else StepMasks
        return kind(chosen, rows, self._vocabulary, self.stats, bitmask, background=background)

    # ------------------------------------------------------------------------------------------ rows that end

    def _is_loose(self, row: int, state: PrefixState, rows: int) -> bool:
        """Whether the row's scores do not matter, its prefix being outside the grammar; raises if they do."""
        if state.refused is None or self._is_abandoned(state, rows):
            return False
        if shows_loose_prefixes():
            return True
        raise ConflictError(
            f"{chosen_against(state.refused)} "
            "(or, if this is a new generation from the last one's prompt and a token, call reset() before it)",
            row,
        )

    def _is_abandoned(self, state: PrefixState, rows: int) -> bool:
        """Whether `generate` has finished the row for a reason of its own (a stop string) and pads it."""
        padding = {*self._vocabulary.stop_token_ids, *self._vocabulary.special_tokens.values()}
        return rows > 1 and state.refused in padding

    def _note_limits(self, masks: StepMasks) -> set[int]:
        """Waits for the masks; a text that has met a budget raises it, or ends its row. Returns which of them did."""
        met = masks.wait()
        met.update((k, state.error) for k, state in enumerate(masks.states) if state.error is not None)
        for k, state in enumerate(masks.states):
            error = None if k in met else self.heat_limit(state.matcher)
            if error is not None:
                masks.leave_stop_tokens(k)
                met[k] = error
        for k, error in met.items():
            row = masks.rows[k]
            self.note_limit(*self._rows.prefix(row), error)
            if masks.states[k].is_live:
                self._rows.end(row, error)
        return set(met)

    # ------------------------------------------------------------------------------------------ scores

    def _heat(self, masked: torch.Tensor, masks: StepMasks, met: set[int]) -> None:
        """Applies the temperatures that parts of the grammar have, but to rows that have met a budget."""
        rows, factors = [], []
        for k, (row, state) in enumerate(zip(masks.rows, masks.states, strict=True)):
            if state.is_live and k not in met and (factor := self._factor(state.matcher)) is not None:
                rows.append(row)
                factors.append(factor)
        if rows:
            heat_rows(masked, rows, factors)

    def _factor(self, matcher: Matcher) -> float | None:
        return None if self._temperature is None else score_factor(matcher, self._temperature)

    def heat_limit(self, matcher: Matcher) -> LimitError | None:
        """The budget that asking for the matcher's temperature meets, if it does: what a mask has looked at need not be
        all that `heat` has to."""
        try:
            self._factor(matcher)
        except LimitError as error:
            return error
        return None

    def heat(self, scores: torch.Tensor, matcher: Matcher) -> None:
        """Applies the temperature of the grammar's part that the matcher is in, to masked scores [vocab], in place.

        Raises LimitError where `heat_limit` has one."""
        factor = self._factor(matcher)
        if factor is not None:
            heat_rows(scores[None], (0,), (factor,))

    def begun(self, grammar: int, generated: Ids) -> PrefixState:
        """Where grammar number `grammar` is after generated ids, int64[n]; its matcher is to be forked, not moved."""
        return self._rows.begun(grammar, generated)

    def note_limit(self, grammar: int, generated: bytes, error: LimitError) -> None:
        """A text has met a budget: raises it, or keeps it for `error_of`.

        grammar, generated : the number of the text's grammar and the bytes of its ids, as RowStates.prefix has them.
        """
        if self._on_limit == "raise":
            raise error
        self.errors.setdefault((grammar, generated), error)

    def _check_left(self, scores: torch.Tensor, masked: torch.Tensor, masks: StepMasks, met: set[int]) -> None:
        """Raise for a row without a token; one that has ended, or has met a budget, gets its scores back instead."""
        best = masked.amax(dim=-1).tolist()
        for k, (row, state) in enumerate(zip(masks.rows, masks.states, strict=True)):
            if best[row] != -np.inf:
                continue
            if k not in met and not state.ended and state.is_live:
                raise ConflictError(self._conflict(state), row)
            masked[row] = scores[row]

    def _keep_finite(self, masked: torch.Tensor, masks: StepMasks, met: set[int]) -> None:
        """As `_check_left`, without waiting for the scores: what there is to say is said in `foresee`."""
        emptied = masked.amax(dim=-1) == -torch.inf
        stop = self._vocabulary.stop_token_ids[0]
        masked[:, stop] = torch.where(emptied, 0.0, masked[:, stop])
        on_host = torch.empty(len(masked), dtype=torch.bool, pin_memory=masked.is_cuda)
        on_host.copy_(emptied, non_blocking=True)
        self._emptied = on_host, masks, met

    def check_emptied(self) -> None:
        """Raises ConflictError for a row that the last call has left without a token on a GPU, as `foresee` does.

        For loops that end without `foresee`; the tokens that were chosen then have to be on the host already.
        """
        if self._emptied is None:
            return
        (emptied, masks, met), self._emptied = self._emptied, None
        for k, (row, state) in enumerate(zip(masks.rows, masks.states, strict=True)):
            if emptied[row] and k not in met and not state.ended and state.is_live:
                raise ConflictError(self._conflict(state), row)

    def _conflict(self, state: PrefixState) -> str:
        bitmask = allocate_token_bitmask(1, self._vocabulary.size)
        state.matcher.fill_next_token_bitmask(bitmask, 0)
        return (
            f"{allowed_alone(bitmask[0], state.matcher)}, and another logits processor or the model itself forbids "
            "them all (min_new_tokens, min_length, suppress_tokens, bad_words_ids, forced tokens)"
        )


class _Foresight(StoppingCriteria):
    """Ends nothing: it is told the new tokens before the forward pass, and passes them on."""

    def __init__(self, processor: GrammarLogitsProcessor) -> None:
        self._processor = processor
        self._none_done = torch.zeros(0, dtype=torch.bool)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **_: Any) -> torch.BoolTensor:
        self._processor.foresee(input_ids)
        if len(self._none_done) != len(input_ids) or self._none_done.device != input_ids.device:
            self._none_done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        return cast("torch.BoolTensor", self._none_done)


def _forced(state: PrefixState, most: int) -> tuple[list[int], bool]:
    """(the tokens that must come next, whether the last of them has ended the text)."""
    run: list[int] = []
    if state.ended or not state.is_live:
        return run, state.ended
    matcher = state.matcher.fork()
    try:
        while len(run) < most and (token := _only_token(matcher)) is not None and matcher.accept_token(token):
            run.append(token)
            if matcher.is_terminated():
                return run, True
    except LimitError:
        pass  # whoever asks for the next mask is told
    return run, False


def _only_token(matcher: Matcher) -> int | None:
    """The token that must come next; None, too, where finding out would be to make a mask that is likely large."""
    if mask_keys([matcher])[0] is None and int(matcher.next_bytes().sum()) > 1:
        return None
    return matcher.only_token()


def _version(tensor: torch.Tensor) -> int | None:
    """How often the tensor was written in place; None where torch does not count, which is in inference mode."""
    return None if tensor.is_inference() else tensor._version
