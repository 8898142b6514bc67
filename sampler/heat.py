"""Rows of masked logits, each multiplied by a factor of its own: temperatures that differ from row to row."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .bitmask import on_device

__all__ = ["heat_rows"]


def heat_rows(logits: torch.Tensor, rows: Sequence[int], factors: Sequence[float]) -> None:
    """Multiplies row `rows[i]` of masked logits [batch, vocab] by `factors[i]`, in place; 0 leaves its best alone."""
    index = on_device(torch.tensor(rows, dtype=torch.int64), logits.device)
    wide = torch.promote_types(logits.dtype, torch.float32)  # half precision would make a small factor 0
    scales = on_device(torch.tensor(factors, dtype=wide), logits.device)[:, None]
    chosen = logits.index_select(0, index)
    scaled = (chosen * scales).to(logits.dtype)
    if 0 in factors:
        best = chosen.argmax(dim=-1, keepdim=True)
        alone = torch.full_like(chosen, -torch.inf).scatter_(1, best, chosen.gather(1, best))
        scaled = torch.where(scales == 0, alone, scaled)
    logits.index_copy_(0, index, scaled)
