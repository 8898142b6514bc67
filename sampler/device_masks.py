"""Masks that recur stay on the device: a step then sends a row number for each sequence instead of 16 KB.

Idea. A memoised mask has a key for good (`automata.batch_fill.mask_keys`). A table on the device holds the masks that
were used last, by key; a step looks its keys up, sends the rows that are not there yet, and one kernel gathers the rows
from the table and applies them to the logits. What was used least recently makes room.

On a GPU, rows and numbers are sent from pinned memory on a stream of the table's own, while the stream of the model is
still busy with the forward pass, which then waits for an event; the host waits for nothing.

INVARIANT: a row is overwritten only behind the last kernel that reads it (`_readers`), and read only behind its upload.
INVARIANT: whatever is in the table, the logits are those that `apply_token_bitmask_inplace` makes, bit for bit.

Cost, us, on the host: 0.3 a sequence for its key and 0.2 to look it up, 20 to launch. On the device 16 KB a mask: the
default of 2,048 rows takes 33 MB for 128,256 tokens.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache, partial
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..automata.batch_fill import fill_next_token_bitmasks, mask_keys
from ..automata.matcher import Matcher
from .bitmask import forbid_rows, on_device

__all__ = ["MaskTable", "mask_table"]

Fill = Callable[[list[int], "npt.NDArray[np.int32]"], None]


class MaskTable:
    """The masks of one vocabulary that were used last, on one device. Threads may share it.

    size : of the vocabulary. rows : masks that it holds. sent : masks that were sent so far.
    """

    def __init__(self, size: int, device: torch.device | str, rows: int = 2048) -> None:
        if rows < 1:
            raise ValueError(f"a table of {rows} masks holds none")
        self.rows, self.sent = rows, 0
        with torch.inference_mode(False):  # a tensor made in inference mode could not be written outside it
            self._masks = torch.zeros((rows, (size + 31) // 32), dtype=torch.int32, device=device)
        self.device = self._masks.device  # with its number
        self._slots: OrderedDict[Hashable, int] = OrderedDict()  # the least recently used first
        self._free = list(range(rows))
        self._lock = Lock()
        self._on_gpu = self.device.type == "cuda"
        self._stream: Any = None  # of what is sent
        self._readers: dict[int, Any] = {}  # stream: the event behind its last kernel that reads the table
        if self._on_gpu:
            stream = torch.cuda.Stream(self.device)
            stream.wait_stream(torch.cuda.current_stream(self.device))  # the zeros
            self._stream = stream

    def apply(self, logits: torch.Tensor, matchers: Sequence[Matcher], rows: Sequence[int] | None = None) -> None:
        """Masks logits in place: row `rows[i]`, or i, by what the i-th matcher allows.

        logits : float32, float16 or bfloat16 [batch, vocab] on the table's device. Masks that are not made yet are made
        here. Raises LimitError as `bridle.fill_next_token_bitmasks` does; nothing is written then.
        """
        keys = mask_keys(matchers)
        unmade = [i for i, key in enumerate(keys) if key is None]
        if unmade:
            made = [matchers[i] for i in unmade]
            fill_next_token_bitmasks(made, np.empty((len(made), self._masks.shape[1]), np.int32))
            for i, key in zip(unmade, mask_keys(made), strict=True):
                keys[i] = key

        def fill(wanted: list[int], bitmask: npt.NDArray[np.int32]) -> None:
            fill_next_token_bitmasks([matchers[i] for i in wanted], bitmask)

        self.apply_keyed(logits, keys, fill, rows)

    def apply_keyed(
        self, logits: torch.Tensor, keys: Sequence[Hashable | None], fill: Fill, rows: Sequence[int] | None = None
    ) -> None:
        """As `apply`, for masks from anywhere: `keys[i]` names the i-th for good, None is one that does not recur.

        fill : writes the masks of a list of indices to an int32[len(indices), words].
        """
        table = logits.detach()
        if table.ndim != 2 or table.device != self.device:
            found = f"{tuple(table.shape)} on {table.device}"
            raise ValueError(f"logits must be [batch, vocab] on {self.device}, not {found}")
        targets = list(range(len(keys))) if rows is None else [int(row) for row in rows]
        if len(targets) != len(keys) or not all(0 <= target < len(table) for target in targets):
            raise ValueError(f"{len(keys)} masks for the rows {targets} of {len(table)}")
        named = [object() if key is None else key for key in keys]
        for start in range(0, len(named), self.rows):
            part = slice(start, start + self.rows)
            self._apply_part(table, named[part], partial(_fill_from, fill, start), targets[part])
        with self._lock:
            for name, key in zip(named, keys, strict=True):
                if key is None and name in self._slots:
                    self._slots.move_to_end(name, last=False)

    def _apply_part(self, logits: torch.Tensor, keys: Sequence[Hashable], fill: Fill, targets: list[int]) -> None:
        """At most as many masks as the table has rows."""
        with self._lock:
            missing = self._touch(keys)
            fresh = self._filled(missing, fill)
            slots = self._assigned(keys, missing)
            with self._sending():
                if fresh is not None:
                    with self._forgetting([keys[i] for i in missing]):
                        places = torch.tensor([slots[i] for i in missing], dtype=torch.int64)
                        self._masks.index_copy_(0, on_device(places, self.device), on_device(fresh, self.device))
                pairs = on_device(torch.tensor([targets, slots], dtype=torch.int32), self.device)
            with self._reading(pairs):
                forbid_rows(logits, self._masks, pairs[0], pairs[1], len(targets))

    # ------------------------------------------------------------------------------------------ which row is whose

    def _touch(self, keys: Sequence[Hashable]) -> list[int]:
        """Marks keys as used; the indices of those that are not there, once each."""
        missing: dict[Hashable, int] = {}
        for i, key in enumerate(keys):
            if key in self._slots:
                self._slots.move_to_end(key)
            else:
                missing.setdefault(key, i)
        return list(missing.values())

    def _filled(self, missing: list[int], fill: Fill) -> torch.Tensor | None:
        if not missing:
            return None
        masks = np.empty((len(missing), self._masks.shape[1]), np.int32)
        fill(missing, masks)
        self.sent += len(missing)
        return torch.from_numpy(masks)

    def _assigned(self, keys: Sequence[Hashable], missing: list[int]) -> list[int]:
        """The row of each key; those that are new take free rows, or those of the least recently used."""
        for i in missing:
            self._slots[keys[i]] = self._free.pop() if self._free else self._slots.popitem(last=False)[1]
        return [self._slots[key] for key in keys]

    @contextlib.contextmanager
    def _forgetting(self, keys: Sequence[Hashable]) -> Iterator[None]:
        """If what is within fails, these keys' rows are not what the keys say, and are free."""
        try:
            yield
        except BaseException:
            self._free += [self._slots.pop(key) for key in keys]
            raise

    # ------------------------------------------------------------------------------------------ streams

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        """Within it, work goes to the table's stream, behind all that has read the table."""
        if not self._on_gpu:
            yield
            return
        for event in self._readers.values():
            self._stream.wait_event(event)
        with torch.cuda.stream(self._stream):
            yield

    @contextlib.contextmanager
    def _reading(self, sent: torch.Tensor) -> Iterator[None]:
        """Within it, the caller's stream is behind what was sent; it is noted as a reader."""
        if not self._on_gpu:
            yield
            return
        stream = torch.cuda.current_stream(self.device)
        stream.wait_stream(self._stream)
        sent.record_stream(stream)
        yield
        event = torch.cuda.Event()
        event.record(stream)
        self._readers[stream.cuda_stream] = event


def _fill_from(fill: Fill, start: int, wanted: list[int], bitmask: npt.NDArray[np.int32]) -> None:
    fill([start + i for i in wanted], bitmask)


@lru_cache(maxsize=8)
def mask_table(size: int, device: torch.device) -> MaskTable:
    """The table of a device that all generations with vocabularies of this size share: keys tell the rest apart."""
    return MaskTable(size, device)
