"""The places of the token tree from which a walk goes on, some of which are only a part of what is below a node.

Where a greedy leaf ends, the bytes that it holds may not come next, so what follows is walked from a *place*:

    t >= 0                  a node of the tree, with all that is below it
    END (-1)                the end of the text: no byte comes
    -2 - k                  the k-th *way* alone: from a node down to its child T_CHILD_NODE[k] (there are n - 1 ways)
    -1 - n - q              the root, without the ways whose bytes the leaf state q holds

A leaf that ends in the middle of a token has a few ways that it does not hold; one that is on top of the stack has the
whole tree but some, which is what the last kind is for: one item instead of two hundred.

Only those who ask for children, bytes or depths need to know: they ask here, and leave out what `is_left_out`.
"""

from __future__ import annotations

from .kernel import device, subroutine
from .table_kernels import (
    GREEDY,
    L_HOLD,
    LEAF_INFO,
    LEAF_WIDTH,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_END,
    T_PARENT,
    i32,
    leaf_flags,
    leaf_step,
)

# The place after which no byte comes.
END = -1


@device
def way(k):
    """The place that is the k-th way alone."""
    return -2 - k


@subroutine("int64(int64[::1], int64)")
def root_without_held(s, q):
    """The place that is the root without what leaf state q holds."""
    return -1 - i32(s, T_END)[0] - i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_HOLD]


@subroutine("UniTuple(int64, 2)(int64[::1], int64)")
def part_of_children(s, t):
    """As `children`, of a place that is no node."""
    if t == END:
        return 0, 0
    if t > -1 - i32(s, T_END)[0]:
        return -2 - t, -1 - t
    return 0, i32(s, T_CHILD_FIRST)[1]


@device
def children(s, t):
    """The ways that lead on from a place: from the first number to the second, those that `is_left_out` among them."""
    if t >= 0:
        first = i32(s, T_CHILD_FIRST)
        return int(first[t]), int(first[t + 1])
    return part_of_children(s, t)


@subroutine("boolean(int64[::1], int64, int64)")
def holds(s, q, b):
    """Whether a leaf that accepts in state q does not end before byte b."""
    return leaf_flags(s, q) & GREEDY != 0 and leaf_step(s, q, b) != 0


@subroutine("boolean(int64[::1], int64, int64)")
def root_leaves_out(s, t, b):
    """As `is_left_out`, of a place that is no node."""
    q = -1 - i32(s, T_END)[0] - t
    return q > 0 and holds(s, q, b)


@device
def is_left_out(s, t, b):
    """Whether a place is without the way of byte b, though that is one of its node's."""
    return t < 0 and root_leaves_out(s, t, b)


@subroutine("int64(int64[::1], int64)")
def node_of(s, t):
    """The node up to which bytes have been read where the walk is at a place."""
    if t >= 0:
        return t
    low, high = part_of_children(s, t)
    return i32(s, T_PARENT)[i32(s, T_CHILD_NODE)[low]] if low < high else 0
