"""Items and frames of a walk over the token tree (walk_kernels.py): how they are queued, entered and ended.

An item is (place of the token tree, row, x, y, stack below). What is plain to see is done at once and never becomes
one: a place below which nothing goes on, white space alone, a frame that is done, a row that can go on with its marks
(its close, its separator, white space) and in no other way. Two thirds of all that is reached are done so.

A stack below is a frame of the walk, from FRAME on, or a node or set of the configuration. How far down into the
latter the walk has looked is noted, for that is what the memo of the mask may depend on.

INVARIANT: who queues has made sure of room, with `room`, for as many items as `pop_width` or `marks_room` says.
"""

from __future__ import annotations

from .joined_place_kernels import is_open
from .kernel import device, subroutine
from .place_kernels import END, children, is_joined, is_left_out, number_of_nodes
from .step_kernels import after_end, close_is_open, is_done, is_space, next_is_open, next_row
from .table_kernels import (
    ACCEPTS,
    B_AFTER,
    B_SPACE,
    BOTTOM,
    CALLS,
    COUNTED,
    DEFERRED,
    ENDS,
    EXPANDED,
    FRAME_WIDTH,
    FRAMES,
    LEAF,
    M_ACCEPTS,
    M_BRANCHING,
    M_LOWEST,
    M_PARENTS,
    NAMES,
    NODES,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_EDGES,
    R_FLAGS,
    R_NEXT,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_FOLLOW,
    WIDTH,
    WORK,
    WORK_WIDTH,
    i32,
    leaf_flags,
    leaf_step,
    may_begin_with,
    member,
    room,
    u8,
    width,
)
from .tree_kernels import follow_bit
from .walk_output_kernels import allow_place, misc

# Stack references at or above are frames of the walk; below are nodes and sets of the configuration.
FRAME = 1 << 30
# Places with more children are not looked at before an item is queued.
FEW = 24
# Room that the walk keeps ahead for the items of one row.
AHEAD = 4 * WIDTH


@subroutine("void(int64[::1], int64, int64, int64, int64, int64)")
def push(s, t, row, x, y, below):
    """Queues an item; the caller has made sure of room."""
    work = i32(s, WORK)
    o = s[3 * WORK + 2]
    work[o] = t
    work[o + 1] = row
    work[o + 2] = x
    work[o + 3] = y
    work[o + 4] = below
    s[3 * WORK + 2] = o + WORK_WIDTH


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def put_aside(ctx, s, t, row, x, y, below):
    """An item whose row is wanted first. False without room."""
    if not room(s, DEFERRED, WORK_WIDTH):
        return False
    aside = i32(s, DEFERRED)
    n = s[3 * DEFERRED + 2]
    aside[n], aside[n + 1], aside[n + 2], aside[n + 3], aside[n + 4] = t, row, x, y, below
    s[3 * DEFERRED + 2] = n + WORK_WIDTH
    return True


@subroutine("void(int64[::1], int64[::1], int64)")
def note_depth(ctx, s, ref):
    """Notes that the walk has looked at the nodes of a stack reference: which level of the configuration that is."""
    state = misc(s)
    nodes = i32(ctx, NODES)
    r = state[M_PARENTS]
    level = 1
    while r != ref:
        if r < 0 or r == BOTTOM:
            state[M_BRANCHING] = 1
            return
        r = nodes[4 * r + 3]
        level += 1
    state[M_LOWEST] = max(state[M_LOWEST], level)
    if ref < 0:
        state[M_BRANCHING] = 1


@subroutine("boolean(int64[::1], int64, int64)")
def leaf_may_begin(s, t, q):
    """Whether a leaf in state q has something to say below place t: deep in the tree few bytes follow a place."""
    if leaf_flags(s, q) & ACCEPTS != 0:
        return True
    byte = u8(s, T_CHILD_BYTE)
    low, high = children(s, t)
    for i in range(low, high):
        if leaf_step(s, q, byte[i]) > 0 and not is_left_out(s, t, byte[i]):
            return True
    return False


@subroutine("boolean(int64[::1], int64[::1], int64, int64)")
def row_may_begin(ctx, s, t, row):
    """Whether a frame that is called in a row below LEAF has something to say below place t."""
    if may_begin_with(ctx, row, -1):
        return True
    byte = u8(s, T_CHILD_BYTE)
    low, high = children(s, t)
    for i in range(low, high):
        if may_begin_with(ctx, row, byte[i]) and not is_left_out(s, t, byte[i]):
            return True
    return False


@device
def has_marks_alone(rows, o):
    """Whether the row at offset o can go on with white space, its close and its separator, and in no other way."""
    if rows[o + R_FLAGS] & (EXPANDED | COUNTED | NAMES | ENDS) != EXPANDED:
        return False
    return rows[o + R_CALLS] == 0 and rows[o + R_EDGES] == 0


@device
def is_mark(rows, o, b):
    """Whether a byte is one of the marks of the row at offset o, or its white space."""
    return b == rows[o + R_CLOSE] or b == rows[o + R_NEXT] or (is_space(b) and rows[o + R_SPACE] > 0)


@subroutine("boolean(int64[::1], int64[::1], int64, int64)")
def a_mark_follows(ctx, s, t, o):
    """Whether one of the bytes below place t is a mark of the row at offset o, which has marks alone."""
    rows = i32(ctx, ROWS)
    byte = u8(s, T_CHILD_BYTE)
    low, high = children(s, t)
    for i in range(low, high):
        if is_mark(rows, o, byte[i]) and not is_left_out(s, t, byte[i]):
            return True
    return False


@subroutine("boolean(int64[::1], int64[::1], int64, int64)")
def may_follow(ctx, s, t, row):
    """False if it is plain to see that no byte below place t can go on from a row, so that no item is needed.

    Deep in the tree few bytes follow a place; where many do, and below rows that are not simple, the item finds out.
    """
    low, high = children(s, t)
    if high - low > FEW or not is_open(s, t):
        return True
    if row >= LEAF:
        return leaf_may_begin(s, t, row - LEAF)
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    if rows[o + R_FLAGS] & (EXPANDED | COUNTED | NAMES | ENDS) != EXPANDED or rows[o + R_EDGES] != 0:
        return True
    if a_mark_follows(ctx, s, t, o):
        return True
    calls = i32(ctx, CALLS)
    for c in range(rows[o + R_CALL], rows[o + R_CALL] + 2 * rows[o + R_CALLS], 2):
        if calls[c] >= LEAF:
            if leaf_may_begin(s, t, calls[c] - LEAF):
                return True
        elif not has_marks_alone(rows, ROW_WIDTH * calls[c]) or a_mark_follows(ctx, s, t, ROW_WIDTH * calls[c]):
            return True
    return False


@subroutine("void(int64[::1], int64, int64)")
def allow_space_below(s, t, left):
    """Adds the tokens that go on from place t with white space alone, at most `left` bytes of it."""
    end = i32(s, T_END)
    depth = i32(s, T_DEPTH)
    byte = u8(s, T_BYTE)
    v = t + 1
    while v < end[t]:
        if is_space(byte[v]) and depth[v] - depth[t] <= left:
            allow_place(s, v)
            v += 1
        else:
            v = end[v]


@device
def has_free_space(rows, o):
    """Whether all white space that may come in the row at offset o is its own; what it calls begins with none."""
    if rows[o + R_FLAGS] & (EXPANDED | COUNTED | NAMES | ENDS) != EXPANDED:
        return False
    return rows[o + R_EDGES] == 0 and rows[o + R_SPACE] > 0


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def push_if(ctx, s, t, row, x, y, below):
    """Queues an item, unless it is plain to see that it would find nothing, or nothing but white space."""
    if 0 <= t < number_of_nodes(s) and i32(s, T_FOLLOW)[t] & B_AFTER == 0 and row < LEAF:
        rows = i32(ctx, ROWS)
        o = ROW_WIDTH * row
        if has_free_space(rows, o):
            allow_space_below(s, t, rows[o + R_SPACE] - x)
            return
    if may_follow(ctx, s, t, row):
        push(s, t, row, x, y, below)


@subroutine("void(int64[::1], int64[::1], int64, int64, int64)")
def pop(ctx, s, t, row, below):
    """A frame that was in `row` has ended at place t: goes on in the states below. The caller has made sure of room."""
    if below >= FRAME:
        frames = i32(s, FRAMES)
        o = FRAME_WIDTH * (below - FRAME)
        x = after_end(ctx, row, frames[o], frames[o + 1])
        push_if(ctx, s, t, frames[o], x, frames[o + 2], frames[o + 3])
        return
    note_depth(ctx, s, below)
    nodes = i32(ctx, NODES)
    for i in range(width(ctx, below)):
        q = member(ctx, below, i)
        if q == BOTTOM:
            if t == 0 or t == END:
                misc(s)[M_ACCEPTS] = 1
        else:
            x = after_end(ctx, row, nodes[4 * q], nodes[4 * q + 1])
            push_if(ctx, s, t, nodes[4 * q], x, nodes[4 * q + 2], nodes[4 * q + 3])


@subroutine("int64(int64[::1], int64)")
def pop_width(ctx, below):
    """How many items a pop may queue."""
    return 1 if below >= FRAME else width(ctx, below)


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def enter(ctx, s, t, row, x, y, below):
    """A byte has led to place t and a state: its tokens are allowed, and the walk goes on below it."""
    allow_place(s, t)
    first = i32(s, T_CHILD_FIRST)
    if not is_joined(s, t) and first[t] == first[t + 1]:
        return
    if is_done(ctx, s, row):
        pop(ctx, s, t, row, below)
    else:
        push_if(ctx, s, t, row, x, y, below)


@device
def marks_wanted(rows, o, x):
    """What T_FOLLOW must say of a place, some of it, for a row that has marks alone to go on there."""
    wanted = B_SPACE if x < rows[o + R_SPACE] else 0
    if rows[o + R_CLOSE] >= 0:
        wanted |= follow_bit(rows[o + R_CLOSE])
    if rows[o + R_NEXT] >= 0:
        wanted |= follow_bit(rows[o + R_NEXT])
    return wanted


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def take_marks(ctx, s, t, row, x, y, below):
    """What an item of a row that has marks alone does, at once: most exits of strings and numbers end so.

    The caller has made sure of room for `marks_room` items, and passes over places where no mark follows.
    """
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    byte = u8(s, T_CHILD_BYTE)
    below_t = i32(s, T_CHILD_NODE)
    low, high = children(s, t)
    for i in range(low, high):
        b = byte[i]
        if is_left_out(s, t, b):
            continue
        if b == rows[o + R_CLOSE] and close_is_open(ctx, rows, o, y):
            enter(ctx, s, below_t[i], rows[o + R_CLOSE_TO], 0, y, below)
        if b == rows[o + R_NEXT] and next_is_open(ctx, rows, o, y):
            enter(ctx, s, below_t[i], next_row(ctx, rows, o, y), 0, y, below)
        if is_space(b) and x < rows[o + R_SPACE]:
            enter(ctx, s, below_t[i], row, x + 1, y, below)


@subroutine("int64(int64[::1], int64)")
def marks_room(ctx, below):
    """The most items that `take_marks` queues at one place: white space, a separator, a close that ends the frame."""
    return 5 + pop_width(ctx, below)


@subroutine("boolean(int64[::1], int64[::1], int64, int32[::1])")
def one_below(ctx, s, below, out):
    """The state (row, x, y, below) of the one frame below, if it has marks alone; the walk has looked at it then."""
    if below >= FRAME:
        table = i32(s, FRAMES)
        o = FRAME_WIDTH * (below - FRAME)
    else:
        if width(ctx, below) != 1 or member(ctx, below, 0) == BOTTOM:
            return False
        table = i32(ctx, NODES)
        o = 4 * member(ctx, below, 0)
    if table[o] >= LEAF or not has_marks_alone(i32(ctx, ROWS), ROW_WIDTH * table[o]):
        return False
    for k in range(4):
        out[k] = table[o + k]
    if below < FRAME:
        note_depth(ctx, s, below)
    return True
