"""Which row of the logits is whose, in the two model runners of vLLM.

V1 keeps a batch in which a request has an index, and tells what changed between two steps (`BatchUpdate`); it lends the
list of the request's tokens, which grows, and is cut where vLLM has lost some. Row i is the next token of request i.

V2 keeps requests in slots, in tensors on the device, and a step has rows in any order: several of a request whose
tokens are drafted, the j-th of which stands behind j of the drafts. What was sampled lies on the device, too. Its way
to the host begins before the forward pass (`stage`), so that masks are made while the device computes; in steps with
drafts, and for requests that enter with tokens, it is fetched behind the forward pass. Steps without grammars fetch
nothing.
V2 needs Triton and has not been run: it is written against vLLM 0.32.0 and tested with stand-ins of its classes.
Source: vLLM 0.32.0, v1/sample/logits_processor/interface.py, v1/worker/gpu/sample/logits_processor/interface.py,
v1/worker/gpu_input_batch.py, v1/worker/gpu/states.py, v1/worker/gpu/input_batch.py (`post_update`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from vllm.v1.sample.logits_processor.interface import MoveDirectionality

from ...sampler.bitmask import on_device
from .request_matchers import RequestMatchers
from .request_texts import RequestText, text_of
from .row_masks import RowMasks

__all__ = ["BatchRows", "SlotRows"]

Tokens = Sequence[int]


class BatchRows:
    """The rows of V1's batch."""

    def __init__(self, matchers: RequestMatchers) -> None:
        self._matchers = matchers
        self._masks = RowMasks(matchers.size)
        self._rows: dict[int, tuple[RequestText, Tokens]] = {}  # by index, with the request's tokens, which change

    def update(self, update: Any) -> None:
        """What has changed since the last step. update : BatchUpdate; None if no request has come, gone or moved."""
        if update is not None:
            for index in update.removed:
                self._rows.pop(index, None)
            for index, params, prompt, output in update.added:
                self._rows.pop(index, None)
                text = text_of(self._matchers, params, len(prompt or ()))
                if text is not None:
                    self._rows[index] = text, output
            for first, second, direction in update.moved:
                self._move(first, second, is_swap=direction is MoveDirectionality.SWAP)
        for text, output in self._rows.values():  # here, or a list could be cut and grow again unseen
            text.cut(len(output))

    def _move(self, first: int, second: int, *, is_swap: bool) -> None:
        one, other = self._rows.pop(first, None), self._rows.pop(second, None)
        if one is not None:
            self._rows[second] = one
        if other is not None and is_swap:
            self._rows[first] = other

    def apply(self, logits: torch.Tensor) -> None:
        """Masks and heats logits [batch, vocab] in place, by what was sampled up to now."""
        rows, texts = sorted(self._rows), []
        for row in rows:
            text, output = self._rows[row]
            text.take(output[text.taken :])
            texts.append(text)
        self._masks.apply(logits, texts, rows)


class SlotRows:
    """The rows of V2's steps. states : LogitsProcRequestState."""

    def __init__(self, matchers: RequestMatchers, states: Any) -> None:
        self._matchers, self._states = matchers, states
        self._masks = RowMasks(matchers.size)
        self._texts: dict[int, RequestText] = {}  # by slot; one that has ended stays until the slot is used again
        self._staged: tuple[dict[int, int], _OnItsWay] | None = None

    def add(self, slot: int, params: Any) -> bool:
        """A request comes into a slot. Returns whether its logits are changed here."""
        self._texts.pop(slot, None)
        text = text_of(self._matchers, params, int(self._states.prompt_len.np[slot]))
        if text is not None:
            self._texts[slot] = text
        return text is not None

    def stage(self) -> None:
        """Begins to fetch the token that each request has got since the last step. For before the forward pass."""
        begins = self._begins(self._texts)
        self._staged = (begins, _OnItsWay(self._new_tokens(begins, 1))) if begins else None

    def apply(self, logits: torch.Tensor, context: Any) -> None:
        """Masks and heats logits [rows, vocab] in place. context : LogitsContext."""
        slots = context.idx_mapping_np.tolist()
        longest = {
            slot: length for slot, length in zip(slots, context.seq_lens_upper_bound_np.tolist()) if slot in self._texts
        }
        if not longest:
            return
        if len(logits) == len(slots) and self._take_staged(longest):
            places = [(slot, 0, 0) for slot in slots]
        else:
            places = self._fetch(longest, context)
        texts: list[RequestText] = []
        rows: list[int] = []
        for row, (slot, position, token) in enumerate(places):
            if slot in longest:
                texts.append(self._texts[slot] if position == 0 else texts[-1].behind(token))
                rows.append(row)
        self._masks.apply(logits, texts, rows)

    # ------------------------------------------------------------------------------------------ what was sampled

    def _begins(self, slots: Iterable[int]) -> dict[int, int]:
        """By slot, the place of the first token that its text has not taken."""
        return {slot: int(self._states.prompt_len.np[slot]) + self._texts[slot].taken for slot in slots}

    def _new_tokens(self, begins: dict[int, int], width: int) -> torch.Tensor:
        """int64[slots * (1 + width)] on the device: each slot's number of tokens, then of each the tokens from its
        beginning on, and whatever stands behind them."""
        states, device = self._states, self._states.device
        places = on_device(torch.tensor([[*begins], [*begins.values()]], dtype=torch.int64), device)
        columns = places[1, :, None] + torch.arange(width, device=device)
        columns.clamp_(max=states.all_token_ids.gpu.shape[1] - 1)
        parts = states.total_len.gpu[places[0]], states.all_token_ids.gpu[places[0, :, None], columns].flatten()
        return torch.cat([part.to(torch.int64) for part in parts])

    def _take_staged(self, longest: dict[int, int]) -> bool:
        """Whether what was staged is all that these requests have got; their texts have taken it then.

        longest : by slot, its tokens, of which more may be on the device where a prompt is taken in in pieces.
        """
        staged, self._staged = self._staged, None
        if staged is None or not staged[0].items() >= self._begins(longest).items():
            return False
        begins, fetched = staged
        if any(end > begins[slot] + 1 for slot, end in longest.items()):
            return False
        totals, tokens = _halves(fetched.tolist())
        new = dict(zip(begins, zip(totals, tokens)))
        if any(new[slot][0] < end for slot, end in longest.items()):
            return False
        for slot, end in longest.items():
            self._texts[slot].take(new[slot][1:] if end > begins[slot] else ())
        return True

    def _fetch(self, longest: dict[int, int], context: Any) -> list[tuple[int, int, int]]:
        """Brings the texts up to what was sampled; of each row (its slot, its place among the slot's, its input).

        longest : by slot, an upper bound of its tokens. One transfer, behind the forward pass.
        """
        begins = self._begins(longest)
        width = max(0, *(longest[slot] - begin for slot, begin in begins.items()))
        layout = [context.expanded_idx_mapping, context.expanded_local_pos, context.input_ids]
        flat = torch.cat([*(part.to(torch.int64) for part in layout), self._new_tokens(begins, width)]).tolist()
        n, m = len(context.expanded_idx_mapping), len(begins)
        totals, tokens = flat[3 * n : 3 * n + m], flat[3 * n + m :]
        for k, (slot, begin) in enumerate(begins.items()):
            new = max(0, min(totals[k], longest[slot]) - begin)
            self._texts[slot].take(tokens[k * width : k * width + new])
        return list(zip(flat[:n], flat[n : 2 * n], flat[2 * n : 3 * n]))


class _OnItsWay:
    """A tensor on its way to the host, which waits for no work that is begun later."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor, self._event = tensor, None
        if tensor.is_cuda:
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def tolist(self) -> list[int]:
        if self._event is not None:
            self._event.synchronize()
        return self._tensor.tolist()


def _halves(values: list[int]) -> tuple[list[int], list[int]]:
    return values[: len(values) // 2], values[len(values) // 2 :]
