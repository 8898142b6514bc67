"""Masks meet logits on a GPU: one Triton kernel that reads the mask and writes the logits that it forbids.

Logits are not read, and those that are allowed are not written, so they keep their bits. A row of 128,256 logits is 32
programs of 4,096 columns. With no GPU, the kernel runs in Triton's interpreter (TRITON_INTERPRET=1), for tests.

Source: https://triton-lang.org (the language).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["forbid"]

_BLOCK = 4096


@triton.jit
def _forbid(  # type: ignore[no-untyped-def]
    logits, masks, targets, sources, columns, words, logits_stride, masks_stride,
    HAS_TARGETS: tl.constexpr, HAS_SOURCES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of columns of one pair of rows. logits, masks : pointers to rows that lie `*_stride` elements apart."""
    pair = tl.program_id(0)
    target = (tl.load(targets + pair) if HAS_TARGETS else pair).to(tl.int64)
    source = (tl.load(sources + pair) if HAS_SOURCES else pair).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    word = tl.load(masks + source * masks_stride + column // 32, mask=column // 32 < words, other=0)
    forbidden = ((word >> (column & 31)) & 1) == 0
    tl.store(logits + target * logits_stride + column, float("-inf"), mask=forbidden & (column < columns))


def forbid(
    logits: torch.Tensor, masks: torch.Tensor, targets: torch.Tensor | None, sources: torch.Tensor | None, n: int
) -> None:
    """Sets what mask row `sources[i]` forbids to -inf in logits row `targets[i]`, for i < n.

    logits : [batch, vocab], masks : int32[rows, words], targets, sources : int32[n], or None where they are 0, 1, …;
    all on one device, and elements of a row next to each other.
    """
    grid = (n, triton.cdiv(logits.shape[1], _BLOCK))
    if not n or not logits.shape[1]:
        return
    none = masks  # a pointer that is not followed
    _forbid[grid](
        logits, masks, none if targets is None else targets, none if sources is None else sources,
        logits.shape[1], masks.shape[1], logits.stride(0), masks.stride(0),
        HAS_TARGETS=targets is not None, HAS_SOURCES=sources is not None, BLOCK=_BLOCK,
    )  # fmt: skip
