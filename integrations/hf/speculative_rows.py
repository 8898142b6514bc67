"""The loop of speculative decoding: rows that are drafted, verified together, and advance each at its own pace.

A step of all rows is one forward. Then each row goes down its tree: the token behind a node is chosen as plain decoding
would choose it (processors, mask, draw), and while it is one of the node's children, the next is chosen there. So a row
gains one token more than it accepts nodes. Rows that are finished leave the batch.

Masks are made along the accepted path alone, not for each node. A node's mask says which children may follow, and the
draft was cut by that already, token by token (each node's state is there); which token follows is chosen by the mask of
the node where the text has come to. So no other node's mask could change anything, and 64 of them would cost 100 us and
more. What only a token budget's narrower masks forbid is verified in vain, and not chosen.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...automata.bitmask_rows import allocate_token_bitmask, write_stop_tokens
from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...sampler.bitmask import apply_token_bitmask_inplace
from ...speculative.draft_tree import NO_DRAFT
from ...speculative.drafter import Draft, Drafter
from ...speculative.sources import DraftContext, Request
from ...speculative.tree_attention import TreeCache
from ..conflict import chosen_against
from .prefix_states import PrefixState
from .processor import ConflictError, GrammarLogitsProcessor

__all__ = ["decode_rows"]

_ALONE = Draft(NO_DRAFT, [])
# Processors that ask which row of the batch they see, or look into the model themselves.
_BOUND_TO_ROWS = frozenset(
    (
        "PrefixConstrainedLogitsProcessor", "UnbatchedClassifierFreeGuidanceLogitsProcessor",
        "SynthIDTextWatermarkLogitsProcessor",
    )
)  # fmt: skip
# What processors of transformers know of every row, by the name of the attribute: a tensor or list with an entry each.
_BY_ROW = ("prompt_ignore_length", "encoder_input_ids", "generated_ngrams")


def decode_rows(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    processors: Sequence[Any],
    criteria: Any,
    config: Any,
    drafter: Drafter,
    encode: Callable[[str], list[int]] | None,
    unspaced: npt.NDArray[np.int32] | None = None,
    streamer: Any = None,
) -> torch.Tensor:
    """int64[rows, longest]: the prompts and what follows them, padded on the right.

    input_ids, attention_mask : as `generate` has them, padded on the left. criteria, processors, config : as it
    prepares them. encode, unspaced : as Request has them.
    """
    if streamer is not None and len(input_ids) > 1:
        raise ValueError("a streamer takes one text at a time: rows that are speculated go on each at its own pace")
    spelling = encode, unspaced
    rows = _rows(model, input_ids, attention_mask, processors, criteria, config, drafter, spelling, streamer)
    cache = TreeCache(model, wants_hidden=any(getattr(source, "wants_hidden", False) for source in drafter.sources))
    logits = cache.read(input_ids, attention_mask, **_last_logits(model))
    try:
        for i, row in enumerate(rows):
            row.go_on(logits[i : i + 1], _ALONE, None if cache.hidden is None else cache.hidden[i, -1:])
        live = [i for i, row in enumerate(rows) if not row.finished]
        if live and len(live) < len(rows):
            cache.select(live)
        while live:
            live = _step(cache, rows, live, drafter)
    finally:
        for row in rows:
            row.drafter.end()
    if streamer is not None:
        streamer.end()
    longest = max(row.length for row in rows)
    pad = config._pad_token_tensor
    out = input_ids.new_full((len(rows), longest), 0 if pad is None else int(pad))
    for i, row in enumerate(rows):
        out[i, : row.length] = row.ids[: row.length]
    return out


def _step(cache: TreeCache, rows: list[_Row], live: list[int], drafter: Drafter) -> list[int]:
    """One forward, and what every live row makes of it; the rows that are live then."""
    drafts = [rows[i].propose() for i in live]
    logits = cache.verify([rows[i].last for i in live], [draft.tree for draft in drafts])
    drafter.cost.learn(logits.shape[1] - 1, cache.seconds)
    paths = []
    for place, (i, draft) in enumerate(zip(live, drafts, strict=True)):
        hidden = None if cache.hidden is None else cache.hidden[place]
        paths.append(rows[i].go_on(logits[place], draft, hidden))
    left = [place for place, i in enumerate(live) if not rows[i].finished]
    if left:
        cache.keep(paths)
        if len(left) < len(live):
            cache.select(left)
    return [live[place] for place in left]


class _Row:
    """One text. ids : int64[room], tokens so far and room behind them; length : how many; last : the newest."""

    def __init__(
        self,
        prompt: torch.Tensor,
        begin: int,
        choice: _Choice,
        matcher: Matcher | None,
        criteria: Any,
        most: int | None,
    ) -> None:
        self.length = len(prompt)
        self.ids = torch.cat([prompt, prompt.new_zeros(256)])
        self._numbers: npt.NDArray[np.int32] = self.ids.cpu().numpy().astype(np.int32)
        # Padding on the left is no part of the text.
        self._begin, self._prompt_length = begin, len(prompt) - begin
        self._choice, self._matcher, self._criteria, self._most = choice, matcher, criteria, most
        self.finished = False
        self.hidden: torch.Tensor | None = None
        self.drafter: Any = None

    @property
    def last(self) -> int:
        return int(self._numbers[self.length - 1])

    def propose(self) -> Draft:
        matcher = self._matcher
        if self._choice.error is not None or (matcher is not None and matcher.is_terminated()):
            return _ALONE
        tokens = self._numbers[self._begin : self.length]
        room = 1 << 20 if self._most is None else self._most - self.length - 1
        draft: Draft = self.drafter.propose(DraftContext(tokens, self._prompt_length, matcher, self.hidden), room)
        return draft

    def go_on(self, logits: torch.Tensor, draft: Draft, hidden: torch.Tensor | None) -> list[int]:
        """Takes tokens as long as the draft has them, and one more; the nodes of the path, as TreeCache.keep wants it.

        logits : [width, vocabulary], behind the last token and behind each node of the draft.
        """
        below, path, began = draft.tree.children(), [0], self.length
        while True:
            node = path[-1]
            token = self._choice(self.ids[None, : self.length], logits[node : node + 1], self._matcher)
            child = below[node].get(token)
            self._take(token, None if child is None else draft.matchers[child])
            if self.finished or child is None:
                break
            path.append(child + 1)
        if hidden is not None:
            self.hidden = hidden[node]
        tokens = self._numbers[began : self.length].tolist()
        self.drafter.observe(tokens, draft, [node - 1 for node in path[1:]], verified=draft is not _ALONE)
        return path

    def _take(self, token: int, after: Matcher | None) -> None:
        if self.length == len(self.ids):
            self.ids = torch.cat([self.ids, torch.zeros_like(self.ids)])
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        self.ids[self.length], self._numbers[self.length] = token, token
        self.length += 1
        if after is not None:
            self._matcher = after
        elif self._matcher is not None and not self._matcher.is_terminated():
            self._choice.accept(self._matcher, token)
        self._choice.show(token)
        self.finished = bool(self._criteria(self.ids[None, : self.length], None).all())


class _Choice:
    """How a row's next token is chosen: the processors in their order, the grammar's by the row's own matcher.

    grammar : the number of the row's, among those of the processor. start : where ids begin to be its text.
    error : the budget that the text has met, where it did; only stop tokens are left then.
    """

    def __init__(
        self,
        row: int,
        processors: Sequence[Any],
        sample: bool,
        generator: torch.Generator | None,
        streamer: Any,
        grammar: int = 0,
        start: int = 0,
    ) -> None:
        self._row, self._processors, self._sample = row, processors, sample
        self._generator, self._streamer = generator, streamer
        self._grammar, self._start = grammar, start
        self._bitmask: npt.NDArray[np.int32] | None = None
        self.error: LimitError | None = None

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor, matcher: Matcher | None) -> int:
        scores = logits.to(copy=True, dtype=torch.float32, device=ids.device)
        for processor in self._processors:
            if isinstance(processor, GrammarLogitsProcessor) and matcher is not None:
                scores = scores if processor is self._processors[0] else scores.clone()  # another may have kept them
                self._mask(processor, ids, scores, matcher)
            else:
                scores = processor(ids, scores)
        if not self._sample:
            return int(torch.argmax(scores, dim=-1))
        probabilities = torch.nn.functional.softmax(scores, dim=-1)
        return int(torch.multinomial(probabilities, num_samples=1, generator=self._generator))

    def _mask(
        self, processor: GrammarLogitsProcessor, ids: torch.Tensor, scores: torch.Tensor, matcher: Matcher
    ) -> None:
        bitmask = self._filled(processor, matcher)
        if self.error is not None:
            generated = ids[0, self._start :].cpu().numpy().astype(np.int64)
            processor.note_limit(self._grammar, generated.tobytes(), self.error)
            write_stop_tokens(bitmask[0], matcher.compiled.vocabulary)
        ends = self.error is not None or matcher.is_terminated()
        before = scores.clone() if ends else None
        apply_token_bitmask_inplace(scores, bitmask)
        if float(scores.amax()) == -np.inf:
            if before is None:
                raise ConflictError(processor._conflict(PrefixState(matcher)), self._row)
            scores.copy_(before)
        if self.error is None:
            processor.heat(scores[0], matcher)

    def _filled(self, processor: GrammarLogitsProcessor, matcher: Matcher) -> npt.NDArray[np.int32]:
        """The mask of the matcher's state; unspecified where a budget is met, which `error` then is."""
        started = time.perf_counter()
        if self._bitmask is None:
            self._bitmask = allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
        if self.error is None:
            try:
                matcher.fill_next_token_bitmask(self._bitmask)
                self.error = processor.heat_limit(matcher)
            except LimitError as error:
                self.error = error
            processor.stats.masks += 1
        processor.stats.mask_us += 1e6 * (time.perf_counter() - started)
        return self._bitmask

    def accept(self, matcher: Matcher, token: int) -> None:
        """A budget that is met here is told with the next mask, as plain decoding does."""
        if self.error is not None:
            return
        try:
            accepted = matcher.accept_token(token)
        except LimitError as error:
            self.error = error
            return
        if not accepted:
            raise ConflictError(chosen_against(token), self._row)

    def show(self, token: int) -> None:
        if self._streamer is not None:
            self._streamer.put(torch.tensor([token]))


# ---------------------------------------------------------------------------------------------- beginning


def _rows(
    model: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    processors: Sequence[Any],
    criteria: Any,
    config: Any,
    drafter: Drafter,
    spelling: tuple[Callable[[str], list[int]] | None, npt.NDArray[np.int32] | None],
    streamer: Any,
) -> list[_Row]:
    n = len(input_ids)
    if n > 1:
        bound = [type(p).__name__ for p in processors if type(p).__name__ in _BOUND_TO_ROWS]
        if bound:
            raise ValueError(f"{', '.join(bound)} cannot be speculated for several rows; pass one prompt at a time")
    grammar = [p for p in processors if isinstance(p, GrammarLogitsProcessor)]
    if len(grammar) > 1:
        raise ValueError("one grammar processor at a time can be speculated; make one grammar of both")
    for processor in grammar:
        processor.reset()
    sample = bool(config.do_sample)
    stops = config._eos_token_tensor
    stop_tokens = [] if stops is None else stops.flatten().tolist()
    size = int(model.config.get_text_config(decoder=True).vocab_size)
    generators = _generators(n, sample, input_ids.device)
    rows = []
    for i in range(n):
        begin = 0 if attention_mask is None else int((attention_mask[i] == 0).sum())
        number, start = _place(grammar[0], i, n, len(input_ids[i])) if grammar else (0, 0)
        own = [_of_row(processor, i, n) for processor in processors]
        choice = _Choice(i, own, sample, generators[i], streamer, number, start)
        matcher = None
        if grammar:
            state = _begun(grammar[0], number, i, input_ids[i, start:])
            matcher, choice.error = state.matcher, state.error
        row = _Row(input_ids[i], begin, choice, matcher, criteria, config.max_length)
        prompt = np.ascontiguousarray(input_ids[i, begin:].cpu().numpy(), np.int32)
        compiled = None if matcher is None else matcher.compiled
        row.drafter = drafter.begin(Request(prompt, compiled, *spelling), stop_tokens, size)
        rows.append(row)
    return rows


def _of_row(processor: Any, row: int, rows: int) -> Any:
    """The processor as it is for one row alone: itself, unless it knows something of each."""
    known: dict[str, Any] = {name: getattr(processor, name, None) for name in _BY_ROW}
    known = {name: of for name, of in known.items() if isinstance(of, torch.Tensor | list) and len(of) > 1}
    if not known or rows == 1:
        return processor
    own = copy.copy(processor)
    for name, of in known.items():
        at = row * len(of) // rows
        setattr(own, name, of[at : at + 1])
    if hasattr(own, "batch_size"):
        own.batch_size = 1
    return own


def _place(processor: GrammarLogitsProcessor, row: int, rows: int, length: int) -> tuple[int, int]:
    """(the number of a row's grammar, where its text begins) in rows of `length` ids."""
    grammars = len(processor._compiled)
    if rows % grammars:
        raise ValueError(f"{rows} rows are no multiple of the {grammars} grammars given")
    start = length if processor.prompt_length is None else processor.prompt_length
    return row // (rows // grammars), start


def _begun(processor: GrammarLogitsProcessor, grammar: int, row: int, given: torch.Tensor) -> PrefixState:
    """A row's grammar, after what is given of its text already; the state's matcher is the row's own."""
    state = processor.begun(grammar, given.cpu().numpy().astype(np.int64))
    if state.refused is not None:
        raise ConflictError(f"token {state.refused} of the text that is to be continued is outside the grammar", row)
    return replace(state, matcher=state.matcher.fork())


def _generators(rows: int, sample: bool, device: torch.device) -> list[torch.Generator | None]:
    """The random stream of each row: a single one draws from torch's own, as plain decoding does."""
    if not sample or rows == 1:
        return [None] * rows
    seeds = torch.randint(1 << 62, (rows,)).tolist()  # from torch's own stream, so another call has others
    return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def _last_logits(model: Any) -> dict[str, int]:
    return {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}
