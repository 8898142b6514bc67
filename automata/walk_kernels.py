"""The mask of a stack node: a walk over the token tree and the automaton together.

The walk holds *items* (place t of the token tree, state, stack below): the bytes up to t have been consumed, the tokens
below t are open (below a part of it only, where a greedy leaf has ended: place_kernels.py). A leaf state hands its
record over (record_kernels) and goes on from the record's exits only; any other row looks up the few bytes that it
allows. Stacks that the walk itself pushes are *frames*, local to it; below those lie the real nodes of the
configuration.

Its parts: what it writes (walk_output_kernels.py); items and frames (walk_item_kernels.py); and rows by kind, those
that have records (walk_leaf_kernels.py), plain ones (walk_plain_kernels.py), names (walk_name_kernels.py).

Masks are memoised three times: by node; by *context*, the top state and as many return states below it as the walk
looked at (so that a node never seen before, on a stack never seen before, is still a lookup); and their parts by
record.

Unexpanded rows are put aside with the items that met them, the walk goes on, and the caller expands them all at once;
then the walk resumes. Nothing is ever walked twice.

Every alternative is an item of its own, which is exponential for wildly ambiguous grammars within one token. After
`PATIENCE` items the walk gives up, and the mask is made from configurations instead (`step_on`): slow, but
polynomial, and exact likewise.

Cost, Llama 3: 0.05 us an item, 0.6 us to write a row, 1.5 ms for the record of a leaf state that allows everything.
"""

from __future__ import annotations

from .joined_place_kernels import PATIENCE, is_open, members_of, open_place
from .kernel import device, subroutine
from .names_kernels import additional_is_live
from .place_kernels import END, is_joined, is_shared, number_of_nodes, way_to
from .step_kernels import advance, close_over, ends_here, room_for_a_byte, want
from .table_kernels import (
    CHOSEN,
    CLASS,
    COUNTED,
    DEAD,
    DEFERRED,
    EXPANDED,
    FRAMES,
    JOINED_PLACES,
    LEAF,
    M_ACCEPTS,
    M_BASES,
    M_BRANCHING,
    M_ITEMS,
    M_LOWEST,
    M_PARENTS,
    M_WALKING,
    NAMES,
    NODES,
    OK,
    OUT,
    R_BODY,
    R_DESC,
    R_FLAGS,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    SEEN,
    SPARSE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    TOO_AMBIGUOUS,
    WANTED,
    WANTS_ROOM,
    WANTS_ROWS,
    WORK,
    WORK_WIDTH,
    i32,
    room,
    u8,
)
from .walk_item_kernels import pop, pop_width, push, put_aside
from .walk_leaf_kernels import walk_counted, walk_leaf, walk_sparse
from .walk_name_kernels import walk_additional_name, walk_class, walk_declared_name
from .walk_output_kernels import allow_place, misc
from .walk_plain_kernels import walk_chosen, walk_plain


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64)")
def end_of_text(ctx, s, row, x, y, below):
    """Whatever reads bytes, where none comes: it ends, if it may. False without room."""
    if not room(s, WORK, WORK_WIDTH * pop_width(ctx, below)):
        return False
    if ends_here(ctx, s, row, x, y):
        pop(ctx, s, END, row, below)
    return True


@device
def reads_shared(ctx, row):
    """Whether a state can be walked at a place that is shared; the others know where in the tree they are."""
    if row >= LEAF:
        return row < LEAF + SPARSE
    return i32(ctx, ROWS)[ROW_WIDTH * row + R_FLAGS] & (COUNTED | NAMES) == 0


@subroutine("boolean(int64[::1], int64, int64, int64, int64, int64)")
def part(s, t, row, x, y, below):
    """An item for each node that a shared place is in one. False without room."""
    above = is_joined(s, t)
    place = t if above else i32(s, T_CHILD_NODE)[-2 - t]
    n = members_of(s, place)
    if not room(s, WORK, WORK_WIDTH * n):
        return False
    o = place - number_of_nodes(s) + 1
    for k in range(o, o + n):
        v = i32(s, JOINED_PLACES)[k] + 0
        push(s, v if above else way_to(s, v), row, x, y, below)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64)")
def walk_item(ctx, s, t, row, x, y, below):
    """One item. False without room (nothing is lost: the item is walked again)."""
    if is_shared(s, t):
        if not reads_shared(ctx, row):
            return part(s, t, row, x, y, below)
        if not is_open(s, t) and not open_place(s, t):
            return False
    if row >= LEAF:
        if t == END:
            return end_of_text(ctx, s, row, x, y, below)
        return walk_leaf(ctx, s, t, row, below) if row < LEAF + SPARSE else walk_sparse(ctx, s, t, row, below)
    o = ROW_WIDTH * row
    rows = i32(ctx, ROWS)
    flags = rows[o + R_FLAGS]
    if flags & EXPANDED == 0:
        if flags & CHOSEN:
            return walk_chosen(ctx, s, t, row, x, y, below)
        want(ctx, row)
        return put_aside(ctx, s, t, row, x, y, below)
    if t == END and flags & (COUNTED | NAMES):
        return end_of_text(ctx, s, row, x, y, below)
    if flags & COUNTED:
        return walk_counted(ctx, s, t, row, x, y, below)
    if flags & CLASS:
        return walk_class(ctx, s, t, row, rows[o + R_DESC], rows[o + R_BODY], x, y, below)
    if flags & NAMES:
        d = rows[o + R_DESC]
        if additional_is_live(ctx, d, y):
            return walk_additional_name(ctx, s, t, row, d, x, y, below)
        return walk_declared_name(ctx, s, t, row, d, x, y, below)
    return walk_plain(ctx, s, t, row, x, y, below)


@subroutine("void(int64[::1], int64[::1], int64)")
def start_walk(ctx, s, ref):
    """Clears the output and queues a node's state at the root of the token tree."""
    state = misc(s)
    nodes = i32(ctx, NODES)
    out = i32(s, OUT)
    seen = i32(s, SEEN)
    for k in range(s[3 * OUT + 2]):
        seen[out[k] >> 5] = 0
    s[3 * OUT + 2] = 0
    s[3 * WORK + 2] = 0
    s[3 * DEFERRED + 2] = 0
    s[3 * FRAMES + 2] = 0
    ctx[3 * WANTED + 2] = 0
    o = 4 * ref
    state[M_WALKING] = ref
    state[M_PARENTS] = nodes[o + 3]
    state[M_LOWEST] = 0
    state[M_BRANCHING] = 0
    state[M_BASES] = 0
    state[M_ITEMS] = 0
    state[M_ACCEPTS] = 1 if nodes[o] == 0 else 0
    if nodes[o] != 0:
        push(s, 0, nodes[o], nodes[o + 1], nodes[o + 2], nodes[o + 3])


@subroutine("int64(int64[::1], int64[::1])")
def walk_on(ctx, s):
    """Walks until no item is left: OK, or why the caller has to serve first. Resumes where it was."""
    state = misc(s)
    aside = i32(s, DEFERRED)
    if not room(s, WORK, s[3 * DEFERRED + 2]):
        return WANTS_ROOM
    for k in range(0, s[3 * DEFERRED + 2], WORK_WIDTH):
        push(s, aside[k], aside[k + 1], aside[k + 2], aside[k + 3], aside[k + 4])
    s[3 * DEFERRED + 2] = 0
    while s[3 * WORK + 2] > 0:
        work = i32(s, WORK)
        o = s[3 * WORK + 2] - WORK_WIDTH
        t, row, x, y, below = work[o], work[o + 1], work[o + 2], work[o + 3], work[o + 4]
        s[3 * WORK + 2] = o
        state[M_ITEMS] += 1
        if state[M_ITEMS] > PATIENCE:
            return TOO_AMBIGUOUS
        if not walk_item(ctx, s, t, row, x, y, below):
            push(s, t, row, x, y, below)
            return WANTS_ROOM
    return WANTS_ROWS if s[3 * DEFERRED + 2] else OK


@subroutine("int64(int64[::1], int64[::1], int64)")
def start_stepping(ctx, s, ref):
    """Starts the walk of a node over again, by configurations: OK, or why the caller has to serve first."""
    state = misc(s)
    if not room_for_a_byte(ctx):
        return WANTS_ROOM
    status, _, bottom = close_over(ctx, s, i32(ctx, SCRATCH), ref, -1)
    if status != OK:
        return status
    start_walk(ctx, s, ref)
    state[M_ITEMS] = PATIENCE + 2
    state[M_ACCEPTS] = 1 if bottom else 0
    state[M_BRANCHING] = 1
    i32(s, WORK)[1] = ref
    return OK


@subroutine("int64(int64[::1], int64[::1])")
def step_on(ctx, s):
    """The walk by configurations: items are (place, configuration, ...). Resumes like `walk_on`."""
    first = i32(s, T_CHILD_FIRST)
    while s[3 * WORK + 2] > 0:
        o = s[3 * WORK + 2] - WORK_WIDTH
        work = i32(s, WORK)
        t, ref = work[o], work[o + 1]
        if not room(s, WORK, WORK_WIDTH * 257):
            return WANTS_ROOM
        s[3 * WORK + 2] = o
        for i in range(first[t], first[t + 1]):
            status, to = advance(ctx, s, ref, u8(s, T_CHILD_BYTE)[i])
            if status != OK:
                # Put the item back alone: its first children are found again, which adds nothing.
                s[3 * WORK + 2] = o
                push(s, t, ref, 0, 0, 0)
                return status
            if to != DEAD:
                c = i32(s, T_CHILD_NODE)[i]
                allow_place(s, c)
                if first[c] < first[c + 1]:
                    push(s, c, to, 0, 0, 0)
    return OK


@subroutine("int64(int64[::1], int64[::1], int64)")
def walk_node(ctx, s, ref):
    """Walks a node's state from the root to the end, by either way: OK, or why the caller has to serve first."""
    state = misc(s)
    if state[M_WALKING] != ref:
        if not room(s, WORK, WORK_WIDTH):
            return WANTS_ROOM
        start_walk(ctx, s, ref)
    if state[M_ITEMS] <= PATIENCE:
        status = walk_on(ctx, s)
        if status != TOO_AMBIGUOUS:
            return status
    if state[M_ITEMS] == PATIENCE + 1:
        status = start_stepping(ctx, s, ref)
        if status != OK:
            return status
    return step_on(ctx, s)
