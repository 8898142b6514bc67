"""Token bitmasks, int32[rows, words], and their rows: bit i % 32 of word i // 32 stands for token i."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .vocabulary import Vocabulary

__all__ = [
    "add_tokens",
    "allocate_token_bitmask",
    "as_array",
    "bad_shape",
    "check_row",
    "tokens_in",
    "write_stop_tokens",
]


def tokens_in(row: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The tokens whose bits are set, ascending; bits beyond the vocabulary, which masks never have, included."""
    return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))


def write_stop_tokens(row: npt.NDArray[np.int32], vocabulary: Vocabulary) -> None:
    """Allows stop tokens alone."""
    row[:] = 0
    add_tokens(row, vocabulary.stop_token_ids)


def add_tokens(row: npt.NDArray[np.int32], tokens: Iterable[int]) -> None:
    """Allows these tokens, too."""
    words = row.view(np.uint32)
    for token in tokens:
        words[token >> 5] |= np.uint32(1 << (token & 31))


def allocate_token_bitmask(batch: int, vocabulary_size: int) -> np.ndarray:
    """NumPy int32 [batch, ceil(vocabulary_size / 32)], all bits set (every token allowed)."""
    return np.full((batch, (vocabulary_size + 31) // 32), -1, np.int32)


def as_array(bitmask: Any) -> np.ndarray:
    """A bitmask as the NumPy array that shares its memory; TypeError for what has none that NumPy can see."""
    if isinstance(bitmask, np.ndarray):
        return bitmask
    if hasattr(bitmask, "numpy"):
        if getattr(getattr(bitmask, "device", None), "type", "cpu") != "cpu":
            raise TypeError(f"the bitmask lies on {bitmask.device}: masks are written on the CPU; move it afterwards")
        return bitmask.numpy()
    raise TypeError(f"a bitmask is a NumPy array or a CPU torch tensor, not {type(bitmask).__name__}")


def check_row(bitmask: np.ndarray, row: int, size: int) -> None:
    """ValueError unless a row can be filled; what `fill_known` checks for itself on the fast path."""
    if bitmask.dtype != np.int32 or bitmask.ndim != 2 or not bitmask.flags.c_contiguous or not 0 <= row < len(bitmask):
        raise bad_shape(bitmask, row, size)
    if bitmask.shape[1] != (size + 31) // 32 or not bitmask.flags.writeable:
        raise bad_shape(bitmask, row, size)


def bad_shape(bitmask: np.ndarray, row: int, size: int) -> ValueError:
    """What to raise for a row that cannot be filled."""
    if not bitmask.flags.writeable:
        return ValueError("the bitmask is read-only, so nothing can be filled in; pass a copy")
    return ValueError(
        f"row {row} of a bitmask of {bitmask.dtype} {bitmask.shape} cannot be filled: a vocabulary of {size} needs a"
        f" contiguous int32 [rows, {(size + 31) // 32}], as allocate_token_bitmask(batch, vocabulary.size) makes"
    )
