"""The masks that SGLang carries from its grammars to the logits: int32 [rows, ceil(size / 32)], bit set = allowed.

They are written on the CPU, in pinned memory where there is a CUDA device, so that the copy to it waits for nothing;
PyTorch gives no pinned memory away again before the copies from it are done. Rows that no grammar fills are those of
free texts and allow everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import torch

from ...automata.bitmask_rows import add_tokens
from ...sampler.bitmask import apply_token_bitmask_inplace, on_device

__all__ = ["allocate_mask", "allow_everything", "apply_mask", "filter_tokens", "move_mask"]


def allocate_mask(size: int, rows: int) -> torch.Tensor:
    """int32 [rows, ceil(size / 32)] on the CPU, everything allowed."""
    return torch.full((rows, (size + 31) // 32), -1, dtype=torch.int32, pin_memory=_pins())


@cache
def _pins() -> bool:
    return torch.cuda.is_available()


def allow_everything(mask: torch.Tensor) -> None:
    """As a new mask is."""
    mask.fill_(-1)


def move_mask(mask: torch.Tensor, device: Any) -> torch.Tensor:
    """The mask on a device, which may still be copying."""
    return on_device(mask, torch.device(device))


def apply_mask(logits: torch.Tensor, mask: torch.Tensor) -> None:
    """Sets forbidden logits to -inf, in place; both on one device, a row of each for the other."""
    apply_token_bitmask_inplace(logits, mask)


def filter_tokens(mask: torch.Tensor, tokens: Iterable[int], row: int, is_allowed: bool, is_new: bool) -> None:
    """Allows, or forbids, tokens in a row. is_new : all others become the opposite; else they stay as they are."""
    words = mask[row]
    if is_new:
        words.fill_(0 if is_allowed else -1)
    chosen = np.zeros(len(words), np.int32)
    add_tokens(chosen, tokens)
    bits = torch.from_numpy(chosen).to(words.device)
    if is_allowed:
        words.bitwise_or_(bits)
    else:
        words.bitwise_and_(~bits)
