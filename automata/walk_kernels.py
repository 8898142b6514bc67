"""The mask of a stack node: a walk over the token tree and the automaton together.

The walk holds *items* (place t of the token tree, state, stack below): the bytes up to t have been consumed, the tokens
below t are open (below a part of it only, where a greedy leaf has ended: place_kernels.py). A leaf state hands its
record over (record_kernels) and goes on from the record's exits only; any other row looks up the few bytes that it
allows. Stacks that the walk itself pushes are *frames*, local to it; below those lie the real nodes of the
configuration.

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
from .kernel import (
    device,
    i64_at,
    subroutine,
)
from .names_kernels import (
    additional_is_live,
    after_name,
    after_other,
    class_at,
    class_named,
    is_clean,
    name_child,
    step_class,
    step_name,
)
from .place_kernels import (
    END,
    children,
    is_joined,
    is_left_out,
    is_shared,
    node_of,
    number_of_nodes,
    root_without_held,
    way_to,
)
from .record_kernels import (
    dense_within,
    exit_place,
    record_of,
    row_with_exits,
    space_row,
)
from .record_table_kernels import (
    CLOSING,
    LONGEST_LIST,
    P_DENSE,
    P_EXIT,
    P_EXITS,
    P_LIST,
    P_MOST,
    P_NEEDS,
    P_TOKENS,
)
from .sparse_kernels import sparse_record
from .step_kernels import (
    advance,
    after_end,
    chosen_row,
    close_is_open,
    close_over,
    edge_is_open,
    ends_here,
    is_done,
    is_space,
    next_is_open,
    next_row,
    progress_after_call,
    room_for_a_byte,
    want,
)
from .table_kernels import (
    ACCEPTS,
    B_AFTER,
    B_FIRST,
    B_PLAIN,
    B_SPACE,
    BOTTOM,
    C_LANGUAGE,
    C_MARK,
    C_NEXT,
    C_SIZE,
    C_SIZES,
    C_TEXT,
    C_WITNESS,
    CALLS,
    CELL_INDEX,
    CELLS,
    CHOSEN,
    CLASS,
    COUNTED,
    D_CHILD,
    D_CHILD_BYTE,
    D_COUNT,
    D_STATE,
    D_STRING,
    D_TEXT,
    DATA,
    DEAD,
    DEFERRED,
    DENSE,
    EDGES,
    EMPTY_STRING,
    ENDS,
    EXPANDED,
    FRAME_WIDTH,
    FRAMES,
    GREEDY,
    JOINED_PLACES,
    LEAF,
    M_ACCEPTS,
    M_BASE,
    M_BASES,
    M_BRANCHING,
    M_DEEPEST,
    M_ITEMS,
    M_LOWEST,
    M_PARENTS,
    M_WALKING,
    M_WORDS,
    MISC,
    MOST_BASES,
    NAMES,
    NODES,
    OK,
    OUT,
    QUOTE,
    R_BODY,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_DESC,
    R_EDGE,
    R_EDGES,
    R_FLAGS,
    R_MAX,
    R_MIN,
    R_NEXT,
    R_SPACE,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    ROW_WIDTH,
    ROWS,
    S_FOLLOWED,
    S_LONGEST,
    S_ROWS,
    S_RUNS,
    SCRATCH,
    SEEN,
    SPACES,
    SPARSE,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_FOLLOW,
    T_PARENT,
    T_QUOTES,
    T_SLASHES,
    T_TOKEN_FIRST,
    T_TOKENS,
    TOO_AMBIGUOUS,
    WANTED,
    WANTS_ROOM,
    WANTS_ROWS,
    WIDTH,
    WORK,
    WORK_WIDTH,
    bit,
    i32,
    leaf_flags,
    leaf_step,
    may_begin_with,
    member,
    room,
    room_index,
    u8,
    width,
)
from .tree_kernels import follow_bit

# Stack references at or above are frames of the walk; below are nodes and sets of the configuration.
FRAME = 1 << 30
# Added to the register of a plain row whose white space has been walked already.
SPACE_DONE = 1 << 20
# Places with more children are not looked at before an item is queued.
FEW = 24
# Exits of a leaf that is not greedy, up to which each is walked by itself.
FEW_EXITS = 8
# Room that the walk keeps ahead for the items of one row.
AHEAD = 4 * WIDTH


# ------------------------------------------------------------------------------------------------ output


@device
def misc(s):
    return i64_at(s[3 * MISC], M_BASE + MOST_BASES)


@subroutine("void(int64[::1], int64)")
def allow(s, token):
    """Adds a token to the walk's output, once.

    INVARIANT: OUT is longer than the vocabulary, so there is room for all of them.
    """
    seen = i32(s, SEEN)
    if seen[token >> 5] & bit(token):
        return
    seen[token >> 5] |= bit(token)
    i32(s, OUT)[s[3 * OUT + 2]] = token
    s[3 * OUT + 2] += 1


@subroutine("void(int64[::1], int64)")
def allow_node(s, t):
    """Adds the tokens that end at node t."""
    first = i32(s, T_TOKEN_FIRST)
    ids = i32(s, T_TOKENS)
    for k in range(first[t], first[t + 1]):
        allow(s, ids[k])


@subroutine("void(int64[::1], int64)")
def allow_place(s, t):
    """Adds the tokens that end at place t, which has been reached by a byte."""
    if not is_joined(s, t):
        allow_node(s, t)
        return
    o = t - number_of_nodes(s) + 1
    for k in range(o, o + members_of(s, t)):
        allow_node(s, i32(s, JOINED_PLACES)[k])


@subroutine("void(int64[::1], int64)")
def allow_dense(s, row):
    """Adds a dense row to the walk's output."""
    state = misc(s)
    n = state[M_BASES]
    for k in range(n):
        if state[M_BASE + k] == row:
            return
    if n < MOST_BASES:
        state[M_BASE + n] = row
        state[M_BASES] = n + 1
        return
    words = state[M_WORDS]
    rows = i32(s, DENSE)
    for w in range(words):
        bits = rows[row * words + w]
        for k in range(32):
            if bits & bit(k):
                allow(s, 32 * w + k)


@subroutine("boolean(int64[::1], int64, int64)")
def allow_record(s, record, most):
    """Adds a record's tokens that need at most `most` iterations (-1: all). False without room."""
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    ints = i32(s, RECORD_INTS)
    n = records[o + P_TOKENS]
    if most >= 0 and most < records[o + P_MOST]:
        n = ints[records[o + P_NEEDS] + most]
    if records[o + P_DENSE] >= 0 and n > LONGEST_LIST:
        row = records[o + P_DENSE]
        if n < records[o + P_TOKENS]:
            row = dense_within(s, record, most)
            if row < 0:
                return False
        allow_dense(s, row)
        return True
    for k in range(records[o + P_LIST], records[o + P_LIST] + n):
        allow(s, ints[k])
    return True


# ------------------------------------------------------------------------------------------------ items and frames


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


# ------------------------------------------------------------------------------------------------ rows by kind


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


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, boolean, int32[::1])")
def exit_name(ctx, s, row, d, x, y, t, exit_place, clean, out):
    """The state at a closing quote (place exit_place) that ends a name typed from (x, y) at t on; False if refused.

    clean : no undeclared name that is there begins with what is typed.
    """
    byte = u8(s, T_BYTE)
    parent = i32(s, T_PARENT)
    slashes = i32(s, T_SLASHES)
    data = i32(ctx, DATA)
    above = node_of(s, t)
    n = i32(s, T_DEPTH)[exit_place] - i32(s, T_DEPTH)[above]
    on_trie = x >= 0
    # Inside an escape the place is still on the trie, whatever x says.
    plain = (on_trie or i32(ctx, CELLS)[4 * ~x] < 0) and slashes[exit_place] == slashes[above]
    place = x
    k = 0
    while plain and on_trie and k < n - 1:
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        place = name_child(ctx, d, place, byte[v])
        on_trie = place >= 0
        k += 1
    far = i32(s, T_QUOTES)[exit_place] >= 2
    if plain and not on_trie and not far and clean:
        # Off the trie the name is an additional one; what it is matters only if it could be there already.
        out[0] = after_name(ctx, d, data[d + D_COUNT])
        out[1] = 0
        out[2] = after_other(ctx, d, y, 0, 0, 0)
        return True
    x1 = x
    for k in range(n):
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        if not step_name(ctx, s, row, d, x1, y, byte[v], out):
            return False
        x1 = out[1]
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64)")
def leads_away_below(ctx, s, d, x, t, exit_place):
    """As leads_away, from a place t that is not the root."""
    slashes = i32(s, T_SLASHES)
    above = node_of(s, t)
    if slashes[exit_place] != slashes[above] or i32(s, T_QUOTES)[exit_place] >= 2:
        return False
    if x < 0:
        return True
    depth = i32(s, T_DEPTH)
    steps = depth[exit_place] - depth[above] - 1
    parent = i32(s, T_PARENT)
    v = exit_place
    for _ in range(steps):
        v = parent[v]
    return steps > 0 and name_child(ctx, d, x, u8(s, T_BYTE)[v]) < 0


@device
def leads_away(ctx, s, d, x, t, exit_place):
    """Whether the way from t to a closing quote at once leaves the trie at x, for a name that nothing will look at."""
    if t != 0:
        return leads_away_below(ctx, s, d, x, t, exit_place)
    follow = i32(s, T_FOLLOW)[exit_place]
    if follow & B_PLAIN == 0:
        return False
    if x < 0:
        return True
    data = i32(ctx, DATA)
    first, byte = d + data[d + D_CHILD] + x, d + data[d + D_CHILD_BYTE]
    for i in range(data[first], data[first + 1]):
        if data[byte + i] == follow >> B_FIRST:
            return False
    return i32(s, T_DEPTH)[exit_place] > 1


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64)")
def walk_additional_name(ctx, s, t, row, d, x, y, below):
    """Inside a name that may be an additional one: all of the string's content, and its quotes one by one."""
    data = i32(ctx, DATA)
    text = data[d + D_TEXT]
    typed, q = 0, 0
    if x >= 0:
        typed, q = data[d + data[d + D_STRING] + x], data[d + data[d + D_STATE] + x] + text
    else:
        typed, q = ~i32(ctx, CELLS)[4 * ~x], i32(ctx, CELLS)[4 * ~x + 1]
    # A negative place in an escape is still one of the trie.
    clean = typed >= 0 and is_clean(ctx, y, typed)
    record = record_of(s, t, q, QUOTE)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    exits = records[o + P_EXITS]
    if not room(s, WORK, WORK_WIDTH * exits * marks_room(ctx, below)):
        return False
    if not room_for_a_byte(ctx):
        return False
    with_exits = row_with_exits(s, record) if clean and records[o + P_DENSE] >= 0 else -1
    ints = i32(s, RECORD_INTS)
    first = records[o + P_EXIT]
    out = i32(ctx, SCRATCH)
    deepest = misc(s)[M_DEEPEST]
    colon = after_name(ctx, d, data[d + D_COUNT])
    y1 = after_other(ctx, d, y, 0, 0, 0)
    simple = clean and has_marks_alone(i32(ctx, ROWS), ROW_WIDTH * colon)
    follow = i32(s, T_FOLLOW)
    wanted = marks_wanted(i32(ctx, ROWS), ROW_WIDTH * colon, 0) if simple else 0
    refused = False
    for k in range(exits):
        at = ints[first + 2 * k]
        if simple and leads_away(ctx, s, d, x, t, at):
            if follow[at] & wanted:
                take_marks(ctx, s, at, colon, 0, y1, below)
            continue
        # The strings of an exit may append several cells a byte: room is looked at for each.
        if not (room_for_a_byte(ctx) and room(ctx, CELLS, 32 * deepest) and room_index(ctx, CELL_INDEX, 8 * deepest)):
            return False
        if exit_name(ctx, s, row, d, x, y, t, at, clean, out):
            enter(ctx, s, at, out[0], out[1], out[2], below)
        else:
            refused = True
    if with_exits >= 0 and not refused:
        allow_dense(s, with_exits)
        return True
    if not allow_record(s, record, -1):
        return False
    for k in range(exits):
        at = ints[first + 2 * k]
        if simple and leads_away(ctx, s, d, x, t, at):
            allow_place(s, at)
    return True


@subroutine("int64(int64[::1], int64, int64, int64)")
def leaf_after(s, q, t, place):
    """The leaf state after the bytes from place t down to another, in state q at t."""
    byte, parent = u8(s, T_BYTE), i32(s, T_PARENT)
    n = i32(s, T_DEPTH)[place] - i32(s, T_DEPTH)[node_of(s, t)]
    for k in range(n):
        v = place
        for _ in range(n - 1 - k):
            v = parent[v]
        q = leaf_step(s, q, byte[v])
    return q


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64, boolean, int32[::1])")
def exit_class(ctx, s, row, d, c, x, y, t, exit_place, clean, out):
    """As exit_name, in a class or in those that share its row.

    clean : no undeclared name that is there begins with what is typed.
    """
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    # Without its name: that is looked at where another name is closed below, and, where the class has states of few
    # names, already where one is begun.
    quotes = i32(s, T_QUOTES)[exit_place]
    if clean and data[o + C_SIZE] < 0 and (quotes == 0 or (quotes < 2 and data[o + C_SIZES] == 0)):
        if data[o + C_MARK] >= 0:
            q = data[o + C_TEXT] if x == 0 else i32(ctx, CELLS)[4 * ~x + 1]
            o = class_named(ctx, s, d, c, leaf_after(s, q, t, exit_place))
        out[0] = data[o + C_NEXT]
        out[1] = 0
        out[2] = after_other(ctx, d, y, 0, data[o + C_LANGUAGE], data[o + C_WITNESS])
        return True
    byte = u8(s, T_BYTE)
    parent = i32(s, T_PARENT)
    n = i32(s, T_DEPTH)[exit_place] - i32(s, T_DEPTH)[node_of(s, t)]
    for k in range(n):
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        if not step_class(ctx, s, row, d, c, x, y, byte[v], out):
            return False
        x = out[1]
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64)")
def walk_class(ctx, s, t, row, d, c, x, y, below):
    """Inside a name of a class: what its automaton allows, and its quotes one by one. False without room.

    Where a name that is there already goes on from here and the class has few left, byte by byte.
    """
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    out = i32(ctx, SCRATCH)
    typed, q = EMPTY_STRING, data[o + C_TEXT]
    if x != 0:
        typed, q = ~i32(ctx, CELLS)[4 * ~x], i32(ctx, CELLS)[4 * ~x + 1]
    clean = is_clean(ctx, y, typed)
    if not clean and data[o + C_SIZES] != 0:
        if not (room_for_a_byte(ctx) and room(s, WORK, WORK_WIDTH * AHEAD)):
            return False
        low, high = children(s, t)
        for i in range(low, high):
            b = u8(s, T_CHILD_BYTE)[i]
            if not is_left_out(s, t, b) and step_class(ctx, s, row, d, c, x, y, b, out):
                enter(ctx, s, i32(s, T_CHILD_NODE)[i], out[0], out[1], out[2], below)
        return True
    record = record_of(s, t, q, CLOSING)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    r = RECORD_WIDTH * record
    exits = records[r + P_EXITS]
    if not room(s, WORK, WORK_WIDTH * exits):
        return False
    if not allow_record(s, record, -1):
        return False
    ints = i32(s, RECORD_INTS)
    first = records[r + P_EXIT]
    deepest = misc(s)[M_DEEPEST]
    for k in range(exits):
        at = ints[first + 2 * k]
        if not (room_for_a_byte(ctx) and room(ctx, CELLS, 32 * deepest) and room_index(ctx, CELL_INDEX, 8 * deepest)):
            return False
        if exit_class(ctx, s, row, d, c, x, y, t, at, clean, out):
            enter(ctx, s, at, out[0], out[1], out[2], below)
    return True


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64, int32[::1])")
def try_name_byte(ctx, s, t, row, d, x, y, b, below, out):
    """One byte of a declared name, if the token tree has it."""
    c = child_of(s, t, b)
    if c >= 0 and step_name(ctx, s, row, d, x, y, b, out):
        enter(ctx, s, c, out[0], out[1], out[2], below)


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64)")
def walk_declared_name(ctx, s, t, row, d, x, y, below):
    """Inside a name that must be a declared one: the few bytes that go on. False without room."""
    # The closing quote of a string by itself ends the frame.
    if not (room_for_a_byte(ctx) and room(s, WORK, WORK_WIDTH * (AHEAD + pop_width(ctx, below)))):
        return False
    out = i32(ctx, SCRATCH)
    data = i32(ctx, DATA)
    if x >= 0:
        first = d + data[d + D_CHILD]
        for i in range(data[first + x], data[first + x + 1]):
            b = data[d + data[d + D_CHILD_BYTE] + i]
            if b != QUOTE and b != 92:
                try_name_byte(ctx, s, t, row, d, x, y, b, below, out)
        try_name_byte(ctx, s, t, row, d, x, y, QUOTE, below, out)
        try_name_byte(ctx, s, t, row, d, x, y, 92, below, out)
        return True
    low, high = children(s, t)
    for i in range(low, high):
        b = u8(s, T_CHILD_BYTE)[i]
        if not is_left_out(s, t, b) and step_name(ctx, s, row, d, x, y, b, out):
            enter(ctx, s, i32(s, T_CHILD_NODE)[i], out[0], out[1], out[2], below)
    return True


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
def put_aside(ctx, s, t, row, x, y, below):
    """An item whose row is wanted first. False without room."""
    if not room(s, DEFERRED, WORK_WIDTH):
        return False
    aside = i32(s, DEFERRED)
    n = s[3 * DEFERRED + 2]
    aside[n], aside[n + 1], aside[n + 2], aside[n + 3], aside[n + 4] = t, row, x, y, below
    s[3 * DEFERRED + 2] = n + WORK_WIDTH
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


# ------------------------------------------------------------------------------------------------ the walk


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
