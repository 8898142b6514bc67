"""What walks want to know of every place of the token tree: quotes and backslashes on the way, what may come below."""

from __future__ import annotations

import numpy as np

from .kernel import device, kernel
from .table_kernels import B_CLOSE, B_COLON, B_COMMA, B_FIRST, B_OTHER, B_PLAIN, B_SPACE


@device
def follow_bit(b):
    """What T_FOLLOW says of a place that has a byte below it."""
    if b == 32 or b == 9 or b == 10 or b == 13:
        return B_SPACE
    if b == 44:
        return B_COMMA
    if b == 58:
        return B_COLON
    if b == 93 or b == 125:
        return B_CLOSE
    return B_OTHER


@kernel("void(Array(uint8, 1, 'C', True), Array(int32, 1, 'C', True), int32[::1], int32[::1], int32[::1], int32[::1])")
def count_marks(byte, parent, quotes, slashes, heights, follow):
    """quotes[t] (int32[n], zeroed, out): the most quote bytes on a way down from place t, itself left out.

    slashes[t] (int32[n], zeroed, out): the backslashes on the way to place t, itself included.
    heights[t] (int32[n], zeroed, out): the most bytes on a way down from place t.
    follow[t] (int32[n], zeroed, out): as T_FOLLOW has it.
    """
    for t in range(byte.shape[0] - 1, 0, -1):
        n = quotes[t] + (1 if byte[t] == 34 else 0)
        quotes[parent[t]] = max(quotes[parent[t]], n)
        here = follow_bit(byte[t])
        follow[parent[t]] |= here if here != B_SPACE else here | follow[t]
        heights[parent[t]] = max(heights[parent[t]], heights[t] + 1)
    for t in range(1, byte.shape[0]):
        slashes[t] = slashes[parent[t]] + (1 if byte[t] == 92 else 0)
        first = np.int32(byte[t]) if parent[t] == 0 else follow[parent[t]] >> B_FIRST
        follow[t] |= first << B_FIRST
        if slashes[t] == 0 and quotes[t] < 2:
            follow[t] |= B_PLAIN
