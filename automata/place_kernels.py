"""The places of the token tree from which a walk goes on, some of which are only a part of what is below a node.

Where a greedy leaf ends, the bytes that it holds may not come next, so what follows is walked from a *place*:

    0 <= t < n              a node of the tree, with all that is below it
    END (-1)                the end of the text: no byte comes
    t >= n                  several places as one (joined_place_kernels.py)
    -2 - k                  the k-th *way* alone: from a place down to T_CHILD_NODE[k]
    ROOT_PARTS - q          the root, without the ways whose bytes the leaf state q holds

A leaf that ends in the middle of a token has a few ways that it does not hold; one that is on top of the stack has the
whole tree but some, which is what the last kind is for: one item instead of two hundred.

Only those who ask for children, bytes or depths need to know: they ask here, and leave out what `is_left_out`.
"""

from __future__ import annotations

from .greedy_dfa import ASCII
from .kernel import device, subroutine
from .table_kernels import (
    GREEDY,
    JOINED_WAYS,
    L_HOLD,
    LEAF_INFO,
    LEAF_WIDTH,
    LENIENT,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_PARENT,
    i32,
    leaf_flags,
    leaf_step,
    u8,
)

# The place after which no byte comes.
END = -1
# Places from here down are parts of the root.
ROOT_PARTS = -(1 << 30)


@device
def number_of_nodes(s):
    return s[3 * T_CHILD_FIRST + 1] - 1


@device
def is_joined(s, t):
    """Whether a place is several in one."""
    return t >= number_of_nodes(s)


@device
def is_shared(s, t):
    """Whether what is below a place is below several nodes: it is joined, or a way down to such a place."""
    if t >= -number_of_nodes(s):
        return is_joined(s, t)
    return t > ROOT_PARTS and is_joined(s, i32(s, T_CHILD_NODE)[-2 - t])


@device
def way(k):
    """The place that is the k-th way alone."""
    return -2 - k


@subroutine("int64(int64[::1], int64)")
def root_without_held(s, q):
    """The place that is the root without what leaf state q holds."""
    return ROOT_PARTS - i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_HOLD]


@subroutine("UniTuple(int64, 2)(int64[::1], int64)")
def part_of_children(s, t):
    """As `children`, of a place that is not one node."""
    if t == END:
        return 0, 0
    if t >= 0:
        ways = i32(s, JOINED_WAYS)
        o = t - number_of_nodes(s)
        return int(ways[o]), ways[o] + max(ways[o + 1] - 1, 0)
    if t > ROOT_PARTS:
        return -2 - t, -1 - t
    return 0, i32(s, T_CHILD_FIRST)[1]


@device
def children(s, t):
    """The ways that lead on from a place: from the first number to the second, those that `is_left_out` among them.

    A joined place is open.
    """
    if 0 <= t < number_of_nodes(s):
        first = i32(s, T_CHILD_FIRST)
        return int(first[t]), int(first[t + 1])
    return part_of_children(s, t)


@subroutine("boolean(int64[::1], int64, int64)")
def holds(s, q, b):
    """Whether a leaf that accepts in state q does not end before byte b."""
    flags = leaf_flags(s, q)
    return flags & GREEDY != 0 and leaf_step(s, q, b) != 0 and (b < ASCII or flags & LENIENT == 0)


@subroutine("boolean(int64[::1], int64, int64)")
def root_leaves_out(s, t, b):
    """As `is_left_out`, of a place that is no node."""
    return t < ROOT_PARTS and holds(s, ROOT_PARTS - t, b)


@device
def is_left_out(s, t, b):
    """Whether a place is without the way of byte b, though that is one of its node's."""
    return t < 0 and root_leaves_out(s, t, b)


@subroutine("int64(int64[::1], int64)")
def way_to(s, v):
    """The place that is the way down to node v alone."""
    below = i32(s, T_CHILD_NODE)
    low, high = children(s, i32(s, T_PARENT)[v])
    while below[low] != v and low < high:
        low += 1
    return way(low)


@subroutine("int64(int64[::1], int64)")
def node_of(s, t):
    """The node up to which bytes have been read where the walk is at a place that is not shared."""
    if t >= 0:
        return t
    low, high = part_of_children(s, t)
    return i32(s, T_PARENT)[i32(s, T_CHILD_NODE)[low]] if low < high else 0


@subroutine("int64(int64[::1], int64, int64)")
def child_of(s, t, b):
    """The place below t by byte b, or -1."""
    bytes_ = u8(s, T_CHILD_BYTE)
    low, end = children(s, t)
    high = end
    if is_left_out(s, t, b):
        return -1
    if high - low == 256:
        return i32(s, T_CHILD_NODE)[low + b]
    while low < high:
        mid = (low + high) >> 1
        if bytes_[mid] < b:
            low = mid + 1
        else:
            high = mid
    if low < end and bytes_[low] == b:
        return i32(s, T_CHILD_NODE)[low]
    return -1
