"""A bitmask over the vocabulary meets a model's logits: forbidden tokens become -inf, in place.

Idea. A byte of the mask decides eight logits, so a table of 256 rows of eight bounds (+inf allowed, -inf forbidden)
turns mask bytes into a row of upper bounds, and `minimum(logits, bounds)` does the rest: no branch, vectorised, exact
for every logit, infinities included. A NaN stays NaN wherever it is, so a broken model is not hidden. On a GPU a kernel
(bitmask_triton.py) writes what is forbidden and touches nothing else; other devices have plain torch.

INVARIANT: columns from `32 * words` on have no bit and become -inf; bits from `logits.shape[-1]` on have no column and
are ignored. INVARIANT: a logits row that no mask row belongs to is not written.

Cost, us, one core of an EPYC, 128,256 columns, half of them allowed at random: float32 35, bfloat16 43, float16 36 for
one row; 1,060, 1,330 and 1,120 for 32 rows. Rejected: `masked_fill_` behind `np.unpackbits` (437;
14,500), `torch.where` (390; 14,600): both branch on each element, so masks that look random cost ten times as much;
the same table through `index_select` (48; 1,430). Rows are done one by one if they are long, so that their bounds stay
in the cache, and together if they are short.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["apply_token_bitmask_inplace", "forbid_rows", "on_device"]

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]


def _bounds_table(dtype: torch.dtype) -> npt.NDArray[Any]:
    """int32 or int16[256, 8]: `[b, j]` = the upper bound of token bit j under mask byte b.

    As the bound's bits in an integer, because NumPy has no bfloat16.
    """
    allowed = torch.from_numpy((np.arange(256)[:, None] >> np.arange(8)) & 1 == 1)
    bounds = torch.where(allowed, torch.tensor(torch.inf, dtype=dtype), torch.tensor(-torch.inf, dtype=dtype))
    return bounds.contiguous().view(torch.int32 if dtype is torch.float32 else torch.int16).numpy()


_BLOCK = 1 << 14  # mask bytes whose bounds are made at once: 512 KB of them in float32
_BOUNDS = {dtype: _bounds_table(dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16)}


def apply_token_bitmask_inplace(
    logits: torch.Tensor, bitmask: torch.Tensor | npt.NDArray[np.int32], rows: Rows | None = None
) -> None:
    """Set the logits of forbidden tokens to -inf, in place.

    logits : float32, float16 or bfloat16, [batch, vocab] or [vocab], on any device
    bitmask : int32[n, words] or int32[words], tensor or array; bit i % 32 of word i // 32 set = token i is allowed
    rows : `rows[i]` = the logits row that mask row i belongs to, n of them; rows not named stay untouched, one named
        twice gets both masks. Without it mask row i belongs to logits row i, and there must be as many.

    Unlike XGrammar's `indices`, which picks the same row of both, mask rows are packed here: for logits rows 0 and 2
    pass a mask of two rows. A mask that has a row for every logits row becomes `bitmask[indices]`. Unlike XGrammar's,
    logits columns past the mask's last word are forbidden.
    Raises TypeError for a dtype, ValueError for a shape or a row out of range; nothing is written then.
    """
    if logits.dtype not in _BOUNDS:
        raise TypeError(f"logits must be float32, float16 or bfloat16, not {logits.dtype}")
    if str(bitmask.dtype).removeprefix("torch.") != "int32":
        raise TypeError(f"a bitmask must be int32, not {bitmask.dtype}")
    if logits.ndim not in (1, 2) or bitmask.ndim not in (1, 2):
        shapes = f"{tuple(logits.shape)} and {tuple(bitmask.shape)}"
        raise ValueError(f"logits and bitmask must have one or two dimensions, not the shapes {shapes}")
    logits = logits.detach()  # the same storage: this is no step of a computation to differentiate
    table = logits[None] if logits.ndim == 1 else logits
    masks = bitmask[None] if bitmask.ndim == 1 else bitmask
    targets = _targets(len(table), len(masks), rows)
    if logits.device.type == "cpu":
        _apply_on_cpu(table, masks, targets)
    else:
        _apply_on_device(table, masks, targets)


def _targets(batch: int, n: int, rows: Rows | None) -> list[int]:
    """The logits row of each mask row, checked."""
    if rows is None:
        if n != batch:
            raise ValueError(f"{n} mask rows for {batch} logits rows; name the logits row of each in `rows`")
        return list(range(n))
    targets = [int(row) for row in rows]
    if len(targets) != n:
        raise ValueError(
            f"`rows` names {len(targets)} logits rows for {n} mask rows; rows[i] is the logits row of mask row i, "
            "so select the mask's rows first (bitmask[rows]) if it has one for every logits row"
        )
    for target in targets:
        if not 0 <= target < batch:
            raise ValueError(f"`rows` names row {target}, but the logits have {batch} rows")
    return targets


def _apply_on_cpu(table: torch.Tensor, masks: torch.Tensor | npt.NDArray[np.int32], targets: list[int]) -> None:
    words = masks.cpu().numpy() if isinstance(masks, torch.Tensor) else masks
    octets = np.ascontiguousarray(words).view(np.uint8)
    bounds, width = _BOUNDS[table.dtype], min(table.shape[1], 8 * octets.shape[1])
    for first, n in _spans(targets, max(1, _BLOCK // max(1, octets.shape[1]))):
        bound = torch.from_numpy(bounds.take(octets[first : first + n], axis=0)).view(n, -1).view(table.dtype)
        rows = table[targets[first] : targets[first] + n]
        part = rows[:, :width]
        torch.minimum(part, bound[:, :width], out=part)
        if width < rows.shape[1]:
            rows[:, width:] = -torch.inf


def _spans(targets: list[int], most: int) -> Iterator[tuple[int, int]]:
    """(first, n) of runs of successive targets, each of at most so many."""
    first = 0
    for i in range(1, len(targets) + 1):
        if i == len(targets) or i - first == most or targets[i] != targets[i - 1] + 1:
            yield first, i - first
            first = i


def _apply_on_device(table: torch.Tensor, masks: torch.Tensor | npt.NDArray[np.int32], targets: list[int]) -> None:
    """One transfer of the masks, and of the rows where they are not all in order; nothing waits for the device."""
    words = on_device(torch.as_tensor(masks), table.device)
    in_order = targets == list(range(len(table)))
    rows = None if in_order else on_device(torch.tensor(targets, dtype=torch.int32), table.device)
    forbid_rows(table, words, rows, None, len(targets))


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on another device. From the host to a GPU, through pinned memory and without waiting."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        # The allocator of pinned memory gives none away before the copies from it are done.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def forbid_rows(
    logits: torch.Tensor, masks: torch.Tensor, targets: torch.Tensor | None, sources: torch.Tensor | None, n: int
) -> None:
    """Sets what mask row `sources[i]` forbids to -inf in logits row `targets[i]`, for i < n; None: row i.

    logits : [batch, vocab]; masks : int32[rows, words]; targets, sources : int32[n]; all on one device, any.
    """
    if logits.is_cuda and logits.stride(1) == 1 and masks.stride(1) == 1 and _triton() is not None:
        with torch.cuda.device(logits.device):
            _triton().forbid(logits, masks, targets, sources, n)
    else:
        _forbid_by_torch(logits, masks[:n] if sources is None else masks.index_select(0, sources), targets)


def _forbid_by_torch(logits: torch.Tensor, masks: torch.Tensor, targets: torch.Tensor | None) -> None:
    """Plain torch, for any device: masks are unpacked there by shifts."""
    bits = torch.arange(32, dtype=torch.int32, device=logits.device)
    forbidden = ((masks[:, :, None] >> bits) & 1 == 0).flatten(1)
    width = min(logits.shape[1], forbidden.shape[1])
    if targets is None:
        logits[: len(masks), :width].masked_fill_(forbidden[:, :width], -torch.inf)
        logits[: len(masks), width:] = -torch.inf
        return
    for row, target in zip(forbidden, targets.tolist(), strict=True):
        logits[target, :width].masked_fill_(row[:width], -torch.inf)
        logits[target, width:] = -torch.inf


@cache
def _triton() -> Any:
    """The module of the kernel, where Triton is installed."""
    try:
        return importlib.import_module(f"{__package__}.bitmask_triton")
    except ImportError:
        return None
