"""The masks of one step of `generate`: one for each distinct state of its rows, begun now and applied when logits come.

Rows of equal states share a mask. Rows of which the grammar can say nothing more (abandoned by `generate`, or out of a
budget) are left stop tokens alone. On a GPU, masks that recur stay there (sampler/device_masks.py): then only what is
new is written on the host, and the step sends row numbers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ...automata.batch_fill import ended_key, fill_next_token_bitmasks, mask_keys
from ...automata.bitmask_rows import allocate_token_bitmask, tokens_in, write_stop_tokens
from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...automata.vocabulary import Vocabulary
from ...sampler.bitmask import apply_token_bitmask_inplace
from ...sampler.device_masks import mask_table
from ...sampler.overlap import PendingMasks, begin_masks
from .prefix_states import PrefixState

__all__ = ["MaskStats", "ResidentStepMasks", "StepMasks"]

Bitmask: TypeAlias = "npt.NDArray[np.int32]"


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
    """Masks for some rows of a step, written on the host. states, rows : the state and number of each such row.

    bitmask : one to write to, if it is large enough. background : whether masks that are new are left to the worker.
    """

    __slots__ = ("_live", "_order", "_pending", "_stats", "_vocabulary", "bitmask", "rows", "states")

    def __init__(
        self, states: Sequence[PrefixState], rows: Sequence[int], vocabulary: Vocabulary, stats: MaskStats,
        bitmask: Bitmask | None, *, background: bool,
    ) -> None:  # fmt: skip
        started = time.perf_counter()
        self.states, self.rows, self.bitmask = states, rows, bitmask
        self._vocabulary, self._stats = vocabulary, stats
        distinct = {id(state): state for state in states}
        place = {key: i for i, key in enumerate(distinct)}
        self._order = [place[id(state)] for state in states]
        self._live = [i for i, state in enumerate(distinct.values()) if state.is_live]
        matchers = [state.matcher for state in distinct.values() if state.is_live]
        self._pending = self._begun(matchers, len(distinct), background=background)
        stats.masks += len(matchers)
        stats.begun += self._pending.left if background else 0
        stats.mask_us += 1e6 * (time.perf_counter() - started)

    def wait(self) -> dict[int, LimitError]:
        """Returns when all masks are there: {index into `rows`: the budget its text has met}; stop tokens are left."""
        started = time.perf_counter()
        failed = {self._live[i]: error for i, error in self._failed().items()}
        for i in failed:
            self._allow_stop_tokens_only(i)
        took = 1e6 * (time.perf_counter() - started)
        self._stats.waited_us += took
        self._stats.mask_us += took
        return {k: failed[i] for k, i in enumerate(self._order) if i in failed} if failed else {}

    def leave_stop_tokens(self, k: int) -> None:
        """Leaves stop tokens alone to the k-th of `rows`, and to those of an equal state; `wait` has returned."""
        self._allow_stop_tokens_only(self._order[k])

    def drop(self) -> None:
        """Gives the masks up; the bitmask is the worker's then."""
        self._pending.drop()

    def apply(self, scores: torch.Tensor) -> None:
        """Sets the scores of forbidden tokens to -inf, in place; `wait` has returned."""
        assert self.bitmask is not None
        in_order = self._order == list(range(len(self._order)))
        masks = self.bitmask[: len(self.rows)] if in_order else self.bitmask[self._order]
        apply_token_bitmask_inplace(scores, masks, self.rows)

    def union(self) -> npt.NDArray[np.int64]:
        """The tokens that any of the masks allows, ascending; `wait` has returned."""
        words = np.bitwise_or.reduce(self._written(), axis=0)
        tokens = tokens_in(words)
        return tokens[tokens < self._vocabulary.size]

    def _written(self) -> Bitmask:
        """The distinct masks, int32[n, words]."""
        assert self.bitmask is not None
        return self.bitmask[: max(self._order) + 1]

    def _begun(self, matchers: list[Matcher], n: int, *, background: bool) -> PendingMasks:
        """Begins n masks, of which `_live` are the matchers'."""
        if self.bitmask is None or len(self.bitmask) < n:
            self.bitmask = allocate_token_bitmask(n, self._vocabulary.size)
        for i in set(range(n)).difference(self._live):
            self._allow_stop_tokens_only(i)
        return begin_masks(matchers, self.bitmask, self._live, background=background)

    def _failed(self) -> dict[int, LimitError]:
        return self._pending.wait()

    def _allow_stop_tokens_only(self, i: int) -> None:
        assert self.bitmask is not None
        write_stop_tokens(self.bitmask[i], self._vocabulary)


class ResidentStepMasks(StepMasks):
    """The same with a table on the scores' device: what was made before is not even written on the host."""

    __slots__ = ("_keys", "_made", "_matchers", "_unmade")

    def _begun(self, matchers: list[Matcher], n: int, *, background: bool) -> PendingMasks:
        self._keys: list[Any] = [ended_key(self._vocabulary)] * n
        self._matchers = dict(zip(self._live, matchers, strict=True))
        for i, key in zip(self._live, mask_keys(matchers), strict=True):
            self._keys[i] = key
        # Which row of `_made` is whose; a mask that a budget narrows has no key when it is made, either.
        self._unmade = {i: n for n, i in enumerate(i for i in self._live if self._keys[i] is None)}
        if not self._unmade:
            return PendingMasks(None, [])
        self._made = allocate_token_bitmask(len(self._unmade), self._vocabulary.size)
        return begin_masks([self._matchers[i] for i in self._unmade], self._made, background=background)

    def _failed(self) -> dict[int, LimitError]:
        unmade = list(self._unmade)
        failed = {unmade[n]: error for n, error in self._pending.wait().items()}
        made = [i for i in unmade if i not in failed]
        for i, key in zip(made, mask_keys([self._matchers[i] for i in made]), strict=True):
            self._keys[i] = key
        return {self._live.index(i): error for i, error in failed.items()}

    def _written(self) -> Bitmask:
        bitmask = allocate_token_bitmask(len(self._order), self._vocabulary.size)
        self._fill(list(range(len(self._order))), bitmask)
        return bitmask

    def apply(self, scores: torch.Tensor) -> None:
        table = mask_table(self._vocabulary.size, scores.device)
        table.apply_keyed(scores, [self._keys[i] for i in self._order], self._fill, self.rows)

    def _fill(self, wanted: list[int], bitmask: Bitmask) -> None:
        known: dict[int, Matcher] = {}
        for k, i in enumerate(self._order[k] for k in wanted):
            if i not in self._matchers:
                write_stop_tokens(bitmask[k], self._vocabulary)
            elif i in self._unmade:
                bitmask[k] = self._made[self._unmade[i]]
            else:
                known[k] = self._matchers[i]
        fill_next_token_bitmasks(list(known.values()), bitmask, list(known))

    def _allow_stop_tokens_only(self, i: int) -> None:
        self._keys[i] = ended_key(self._vocabulary)
        self._matchers.pop(i, None)
