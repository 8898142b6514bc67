"""A walk over the token tree (walk_kernels.py) in rows that have records: leaf states, sparse ones, counted bodies.

What the record allows is allowed as it is, and the walk goes on at the record's exits: in what lies below where it has
marks alone, from all of them as one joined place where they are many, or from each.

Each kernel returns False where there is no room; nothing is lost, the item is walked again.
"""

from __future__ import annotations

from .kernel import device, subroutine
from .place_kernels import END, is_shared, root_without_held
from .record_kernels import exit_place, record_of
from .record_table_kernels import P_EXIT, P_EXITS
from .sparse_kernels import sparse_record
from .step_kernels import ends_here, is_done
from .table_kernels import (
    ACCEPTS,
    BOTTOM,
    GREEDY,
    LEAF,
    R_BODY,
    R_CLOSE,
    R_CLOSE_TO,
    R_MAX,
    R_MIN,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    T_FOLLOW,
    WORK,
    WORK_WIDTH,
    i32,
    leaf_flags,
    member,
    room,
    width,
)
from .walk_item_kernels import FRAME, enter, marks_room, marks_wanted, note_depth, one_below, pop, pop_width, take_marks
from .walk_output_kernels import allow_place, allow_record

# Exits of a leaf that is not greedy, up to which each is walked by itself.
FEW_EXITS = 8


@subroutine("void(int64[::1], int64[::1], int64, int64)")
def end_greedy(ctx, s, q, below):
    """A greedy leaf ends at the root in state q, before what it does not hold. The caller has made sure of room."""
    pop(ctx, s, END, LEAF + q, below)
    pop(ctx, s, root_without_held(s, q), LEAF + q, below)


@device
def ends_the_text(ctx, below):
    """Whether the text is at its end where the frame ends: no byte follows its exits."""
    return below < FRAME and width(ctx, below) == 1 and member(ctx, below, 0) == BOTTOM


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64)")
def walk_leaf(ctx, s, t, row, below):
    """A leaf state: its record, and its exits in the frame below. False without room."""
    record = record_of(s, t, row - LEAF, -1)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    exits = records[o + P_EXITS]
    if exits > 0 and ends_the_text(ctx, below):
        # PERF: text that may end anywhere has an exit at every place: 1 ms for a mask of 128,256 tokens.
        note_depth(ctx, s, below)
        exits = 0
    flags = leaf_flags(s, row - LEAF)
    out = i32(ctx, SCRATCH)
    real = flags & GREEDY == 0 and not is_shared(s, t)
    simple = exits > 0 and real and one_below(ctx, s, below, out)
    queued = marks_room(ctx, out[3]) if simple else pop_width(ctx, below)
    if exits > 1 and not simple and not (real and exits <= FEW_EXITS):
        joined = exit_place(s, record)
        if joined == -1 or not room(s, WORK, WORK_WIDTH * 3 * queued) or not allow_record(s, record, -1):
            return False
        pop(ctx, s, joined, row, below)
        exits = 0
    elif not (room(s, WORK, WORK_WIDTH * (exits * queued + 2 * pop_width(ctx, below))) and allow_record(s, record, -1)):
        return False
    ints = i32(s, RECORD_INTS)
    first = records[o + P_EXIT]
    under, x, y, lower = out[0], out[1], out[2], out[3]
    follow = i32(s, T_FOLLOW)
    wanted = marks_wanted(i32(ctx, ROWS), ROW_WIDTH * under, x) if simple else 0
    for k in range(exits):
        at = ints[first + 2 * k]
        if not simple:
            pop(ctx, s, at, row, below)
        elif at < 0 or follow[at] & wanted:
            take_marks(ctx, s, at, under, x, y, lower)
    if flags & (GREEDY | ACCEPTS) == GREEDY | ACCEPTS:
        if t == 0:
            end_greedy(ctx, s, row - LEAF, below)
    elif flags & ACCEPTS:
        pop(ctx, s, t, row, below)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64)")
def walk_sparse(ctx, s, t, row, below):
    """A sparse leaf state: as walk_leaf, but each exit may lead to a state of its own. False without room."""
    record = sparse_record(s, t, row - LEAF)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    exits = records[o + P_EXITS]
    if exits > 0 and ends_the_text(ctx, below):
        note_depth(ctx, s, below)
        exits = 0
    if not room(s, WORK, WORK_WIDTH * (exits + 1) * pop_width(ctx, below)):
        return False
    if not allow_record(s, record, -1):
        return False
    ints = i32(s, RECORD_INTS)
    first = records[o + P_EXIT]
    for k in range(exits):
        pop(ctx, s, ints[first + 2 * k], LEAF + ints[first + 2 * k + 1], below)
    if ends_here(ctx, s, row, 0, 0):
        pop(ctx, s, t, row, below)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def walk_counted(ctx, s, t, row, x, y, below):
    """A counted body: the record of its unbounded loop, cut at the iterations that remain. False without room."""
    rows = i32(ctx, ROWS)
    r = ROW_WIDTH * row
    close, least = rows[r + R_CLOSE], rows[r + R_MIN]
    left = -1 if rows[r + R_MAX] < 0 else rows[r + R_MAX] - y
    record = record_of(s, t, x if x else rows[r + R_BODY], close)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    exits = records[o + P_EXITS]
    out = i32(ctx, SCRATCH)
    ends = close < 0 or is_done(ctx, s, rows[r + R_CLOSE_TO])
    simple = exits > 0 and ends and one_below(ctx, s, below, out)
    queued = marks_room(ctx, out[3]) if simple else pop_width(ctx, below)
    if not room(s, WORK, WORK_WIDTH * (exits + 2) * queued):
        return False
    if not allow_record(s, record, left):
        return False
    ints = i32(s, RECORD_INTS)
    first = records[o + P_EXIT]
    under, x1, y1, lower = out[0], out[1], out[2], out[3]
    follow = i32(s, T_FOLLOW)
    wanted = marks_wanted(rows, ROW_WIDTH * under, x1) if simple else 0
    for k in range(exits):
        at, done = ints[first + 2 * k], ints[first + 2 * k + 1]
        if y + done < least or (left >= 0 and done > left):
            continue
        if simple:
            if close >= 0:
                allow_place(s, at)
            if follow[at] & wanted:
                take_marks(ctx, s, at, under, x1, y1, lower)
        elif close < 0:
            pop(ctx, s, at, row, below)
        else:
            enter(ctx, s, at, rows[r + R_CLOSE_TO], 0, 0, below)
    if close < 0 and ends_here(ctx, s, row, x, y):
        pop(ctx, s, t, row, below)
    return True
