"""Masks and temperatures of some rows of the logits, by the texts that they are the next token of.

On a GPU, masks that recur stay there (sampler/device_masks.py) and a step sends row numbers; elsewhere they are NumPy
rows. The logits are the same, bit for bit.

The temperature of a part of a grammar takes the place of the request's: masked logits are multiplied by the ratio of
the two, as vLLM divides by the request's afterwards. At temperature 0 the best token alone is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ...automata.batch_fill import MaskKey, ended_key, fill_next_token_bitmasks, mask_keys
from ...automata.bitmask_rows import allocate_token_bitmask, write_stop_tokens
from ...automata.matcher import Matcher
from ...sampler.bitmask import apply_token_bitmask_inplace
from ...sampler.device_masks import mask_table
from ...sampler.heat import heat_rows
from .request_texts import RequestText

__all__ = ["RowMasks"]


class RowMasks:
    """Of an engine's logits. size : of their vocabulary. resident : whether masks stay on the device of the logits;
    None: where that is a GPU."""

    def __init__(self, size: int, *, resident: bool | None = None) -> None:
        self._size, self._resident = size, resident
        self._array = allocate_token_bitmask(0, size)

    def apply(self, logits: torch.Tensor, texts: Sequence[RequestText], rows: Sequence[int]) -> None:
        """Masks and heats row `rows[i]` of logits [batch, vocab] for the i-th text, in place. Others stay untouched."""
        if not texts:
            return
        if logits.is_cuda if self._resident is None else self._resident:
            keys = self._keys(texts)
            table = mask_table(self._size, logits.device)
            table.apply_keyed(logits, keys, lambda wanted, masks: _fill([texts[i] for i in wanted], masks), rows)
        else:
            masks = self._masks(len(texts))
            _fill(texts, masks)
            apply_token_bitmask_inplace(logits, masks, rows)
        factors = [(row, factor) for row, text in zip(rows, texts) if (factor := text.factor()) is not None]
        if factors:
            heat_rows(logits, *zip(*factors))

    def _keys(self, texts: Sequence[RequestText]) -> list[MaskKey | None]:
        """What names each text's mask for good; None for one that does not recur. Masks are made here."""
        keys = _known_keys(texts)
        unmade = [text for text, key in zip(texts, keys) if key is None]
        if not unmade:
            return keys
        _fill(unmade, self._masks(len(unmade)))
        return _known_keys(texts)

    def _masks(self, n: int) -> npt.NDArray[np.int32]:
        if n > len(self._array):
            self._array = allocate_token_bitmask(n, self._size)
        return self._array[:n]


def _known_keys(texts: Sequence[RequestText]) -> list[MaskKey | None]:
    matchers = [text.matcher for text in texts]
    known = iter(mask_keys([matcher for matcher in matchers if matcher is not None]))
    return [
        ended_key(text.vocabulary) if matcher is None else next(known)
        for text, matcher in zip(texts, matchers)
    ]  # fmt: skip


def _fill(texts: Sequence[RequestText], masks: npt.NDArray[np.int32]) -> None:
    """Writes each text's row: all of a vocabulary in one call, or, where one of them meets a budget, each by itself.

    Requests may have stop tokens of their own, and so vocabularies.
    """
    groups: dict[int, list[tuple[int, Matcher]]] = {}
    for row, text in enumerate(texts):
        matcher = text.matcher
        if matcher is None:
            write_stop_tokens(masks[row], text.vocabulary)
        else:
            groups.setdefault(id(matcher.compiled.vocabulary), []).append((row, matcher))
    for group in groups.values():
        rows = [row for row, _ in group]
        try:
            fill_next_token_bitmasks([matcher for _, matcher in group], masks, rows)
        except Exception:
            for row in rows:
                texts[row].fill(masks, row)
