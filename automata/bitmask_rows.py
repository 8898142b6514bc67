"""One row of a token bitmask, int32[words]: bit i % 32 of word i // 32 stands for token i."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .vocabulary import Vocabulary

__all__ = ["add_tokens", "tokens_in", "write_stop_tokens"]


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
