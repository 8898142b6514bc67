"""The masks of one step of `generate`: one for each distinct state of its rows, begun now and applied when logits come.

Rows of equal states share a mask. Rows of which the grammar can say nothing more (abandoned by `generate`, or out of a
budget) are left stop tokens alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...automata.errors import LimitError
from ...automata.matcher import allocate_token_bitmask
from ...automata.vocabulary import Vocabulary
from ...sampler.bitmask import apply_token_bitmask_inplace
from ...sampler.overlap import begin_masks
from .prefix_states import PrefixState

__all__ = ["MaskStats", "StepMasks"]


@dataclass(slots=True)
class MaskStats:
    """Counts of a processor.

    masks : filled so far. mask_us : microseconds that the thread of `generate` has spent on them.
    begun, waited : masks that were handed to the worker during the forward pass, and microseconds of `mask_us` that
    were spent waiting for it, or making what it had not come to.
    """

    masks: int = 0
    mask_us: float = 0.0
    begun: int = 0
    waited_us: float = 0.0


class StepMasks:
    """Masks for some rows of a step. states, rows : the row's number and state, of each row that gets a mask."""

    __slots__ = ("_bitmask", "_live", "_order", "_pending", "_stats", "_vocabulary", "rows", "states")

    def __init__(
        self, states: Sequence[PrefixState], rows: Sequence[int], vocabulary: Vocabulary, stats: MaskStats,
        bitmask: npt.NDArray[np.int32] | None, *, background: bool,
    ) -> None:  # fmt: skip
        """bitmask : one to write to, if it is large enough."""
        started = time.perf_counter()
        self.states, self.rows = states, rows
        self._vocabulary, self._stats = vocabulary, stats
        distinct = {id(state): state for state in states}
        place = {key: i for i, key in enumerate(distinct)}
        self._order = [place[id(state)] for state in states]
        if bitmask is None or len(bitmask) < len(distinct):
            bitmask = allocate_token_bitmask(len(distinct), vocabulary.size)
        self._bitmask = bitmask
        self._live = [i for i, state in enumerate(distinct.values()) if state.is_live]
        for i in set(range(len(distinct))).difference(self._live):
            self._allow_stop_tokens_only(i)
        matchers = [state.matcher for state in distinct.values() if state.is_live]
        self._pending = begin_masks(matchers, bitmask, self._live, background=background)
        stats.masks += len(matchers)
        stats.begun += self._pending.left if background else 0
        stats.mask_us += 1e6 * (time.perf_counter() - started)

    def wait(self) -> dict[int, LimitError]:
        """Returns when all masks are there: {index into `rows`: the budget its text has met}; stop tokens are left."""
        started = time.perf_counter()
        failed = {self._live[i]: error for i, error in self._pending.wait().items()}
        for i in failed:
            self._allow_stop_tokens_only(i)
        took = 1e6 * (time.perf_counter() - started)
        self._stats.waited_us += took
        self._stats.mask_us += took
        return {k: failed[i] for k, i in enumerate(self._order) if i in failed} if failed else {}

    def drop(self) -> None:
        """Gives the masks up; the bitmask is the worker's then."""
        self._pending.drop()

    def apply(self, scores: torch.Tensor) -> None:
        """Sets the scores of forbidden tokens to -inf, in place; `wait` has returned."""
        masks = self._bitmask[self._order] if self._order != list(range(len(self._order))) else self._bitmask
        apply_token_bitmask_inplace(scores, masks[: len(self.rows)], self.rows)

    @property
    def bitmask(self) -> npt.NDArray[np.int32]:
        """What the masks were written to: free for the next step once they are applied."""
        return self._bitmask

    def _allow_stop_tokens_only(self, i: int) -> None:
        row: Any = self._bitmask[i]
        row[:] = 0
        words = row.view(np.uint32)
        for token in self._vocabulary.stop_token_ids:
            words[token // 32] |= np.uint32(1 << token % 32)
