"""A walk over the token tree (walk_kernels.py) in plain rows: white space, a close, a separator, edges and calls.

The white space at the root of the tree is one row of tokens that all masks share, and the runs of white space from
which anything goes on are items of their own. Rows that stand for another (CHOSEN) are walked as that.

Each walk_* kernel that returns a boolean returns False where there is no room; nothing is lost, the item is walked
again.
"""

from __future__ import annotations

from .kernel import subroutine
from .place_kernels import child_of, children, is_joined, is_left_out
from .record_kernels import space_row
from .step_kernels import (
    chosen_row,
    close_is_open,
    edge_is_open,
    ends_here,
    is_done,
    next_is_open,
    next_row,
    progress_after_call,
    room_for_a_byte,
)
from .table_kernels import (
    CALLS,
    EDGES,
    ENDS,
    FRAME_WIDTH,
    FRAMES,
    LEAF,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_EDGE,
    R_EDGES,
    R_FLAGS,
    R_NEXT,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    S_FOLLOWED,
    S_LONGEST,
    S_ROWS,
    S_RUNS,
    SPACES,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    WORK,
    WORK_WIDTH,
    i32,
    room,
    u8,
)
from .walk_item_kernels import (
    AHEAD,
    FRAME,
    enter,
    leaf_may_begin,
    pop,
    pop_width,
    push,
    push_if,
    put_aside,
    row_may_begin,
)
from .walk_output_kernels import allow_dense, allow_place

# Added to the register of a plain row whose white space has been walked already.
SPACE_DONE = 1 << 20


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def try_edge(ctx, s, t, b, to, y, below):
    """One edge of a plain row, if the token tree has its byte."""
    c = child_of(s, t, b)
    if c >= 0:
        enter(ctx, s, c, to, 0, y, below)


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def walk_space(ctx, s, t, row, x, y, below):
    """The white space that a plain row allows. The caller has room, and has made the dense row of it for the root."""
    left = i32(ctx, ROWS)[ROW_WIDTH * row + R_SPACE] - x
    if left <= 0:
        return
    if t == 0:
        allow_dense(s, space_row(s, left))
        spaces = i32(s, SPACES)
        first = S_ROWS + spaces[S_LONGEST] + 1
        runs = spaces[S_FOLLOWED]
        if i32(ctx, ROWS)[ROW_WIDTH * row + R_FLAGS] & ENDS:
            # What follows the frame may go on with white space of its own.
            first += 2 * runs
            runs = spaces[S_RUNS]
        for k in range(first, first + 2 * runs, 2):
            if spaces[k + 1] <= left:
                # One more than the row allows: white space has been walked, the other bytes are left.
                push(s, spaces[k], row, x + spaces[k + 1] + SPACE_DONE, y, below)
        return
    for i in range(4):
        b = 32 if i == 0 else (10 if i == 1 else (13 if i == 2 else 9))
        c = child_of(s, t, b)
        if c >= 0:
            allow_place(s, c)
            first = i32(s, T_CHILD_FIRST)
            if is_joined(s, c) or first[c] < first[c + 1]:
                push_if(ctx, s, c, row, x + 1, y, below)


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def walk_plain(ctx, s, t, row, x, y, below):
    """A plain row: its white space, close, separator, edges and calls. False without room."""
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    need = AHEAD + 256 * rows[o + R_EDGES] + rows[o + R_CALLS] + i32(s, SPACES)[S_RUNS]
    if not (
        room(s, WORK, WORK_WIDTH * (need + pop_width(ctx, below) * (rows[o + R_EDGES] * 256 + 8)))
        and room(s, FRAMES, FRAME_WIDTH * rows[o + R_CALLS])
        and room_for_a_byte(ctx)
    ):
        return False
    if rows[o + R_SPACE] > x:
        if t == 0 and space_row(s, rows[o + R_SPACE] - x) < 0:
            return False
        walk_space(ctx, s, t, row, x, y, below)
    if rows[o + R_CLOSE] >= 0 and close_is_open(ctx, rows, o, y):
        try_edge(ctx, s, t, rows[o + R_CLOSE], rows[o + R_CLOSE_TO], y, below)
    if rows[o + R_NEXT] >= 0 and next_is_open(ctx, rows, o, y):
        try_edge(ctx, s, t, rows[o + R_NEXT], next_row(ctx, rows, o, y), y, below)
    edges = i32(ctx, EDGES)
    for e in range(rows[o + R_EDGE], rows[o + R_EDGE] + 2 * rows[o + R_EDGES], 2):
        low, high = edges[e] & 0xFF, edges[e] >> 8
        if not edge_is_open(ctx, rows, o, edges[e + 1], y):
            continue
        if low == high:
            try_edge(ctx, s, t, low, edges[e + 1], y, below)
        else:
            begin, end = children(s, t)
            for i in range(begin, end):
                b = u8(s, T_CHILD_BYTE)[i]
                if low <= b <= high and not is_left_out(s, t, b):
                    enter(ctx, s, i32(s, T_CHILD_NODE)[i], edges[e + 1], 0, y, below)
    calls = i32(ctx, CALLS)
    for c in range(rows[o + R_CALL], rows[o + R_CALL] + 2 * rows[o + R_CALLS], 2):
        if calls[c] >= LEAF:
            if not leaf_may_begin(s, t, calls[c] - LEAF):
                continue
        elif not row_may_begin(ctx, s, t, calls[c]):
            continue
        under = below
        if not is_done(ctx, s, calls[c + 1]):
            frames = i32(s, FRAMES)
            f = s[3 * FRAMES + 2]
            frames[f] = calls[c + 1]
            frames[f + 1] = 0
            frames[f + 2] = progress_after_call(ctx, rows, o, y)
            frames[f + 3] = below
            s[3 * FRAMES + 2] = f + FRAME_WIDTH
            under = FRAME + f // FRAME_WIDTH
        push_if(ctx, s, t, calls[c], 0, 0, under)
    if ends_here(ctx, s, row, x, y):
        pop(ctx, s, t, row, below)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def walk_chosen(ctx, s, t, row, x, y, below):
    """A row that is CHOSEN: goes on in the one that it stands for. False without room."""
    to = chosen_row(ctx, row, x)
    if to < 0:
        return put_aside(ctx, s, t, row, x, y, below)
    if not room(s, WORK, WORK_WIDTH):
        return False
    push(s, t, to, 0, 0, below)
    return True
