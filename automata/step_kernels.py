"""One byte forward: from a configuration to the next, on the persistent stack.

A byte is consumed by some top after any number of calls (a return state is pushed, the callee begins) and ends (the
frame is popped). Tops that agree in their state become one node with several parents, so ambiguity stays polynomial:
a text position never has more nodes than there are states.

Unexpanded rows stop the step: they are noted in WANTED, and the caller expands them and steps again.
INVARIANT: a row flagged DONE is never the top of a node (but the bottom): its frame is popped in the same step.
"""

from __future__ import annotations

from .kernel import (
    acquire,
    device,
    fence,
    kernel,
    subroutine,
)
from .names_kernels import (
    class_is_live,
    may_close,
    may_go_on,
    names_are_live,
    step_class,
    step_name,
)
from .place_kernels import holds
from .table_kernels import (
    ACCEPTS,
    BETWEEN,
    BOTTOM,
    CALLS,
    CELL_INDEX,
    CELLS,
    CHOSEN,
    CLASS,
    COUNTED,
    DATA,
    DEAD,
    DONE,
    EDGES,
    ENDS,
    EXPANDED,
    I_MAX,
    I_MIN,
    I_SATURATE,
    ITEMS,
    L_NEAR,
    LEAF,
    LEAF_DONE,
    LEAF_INFO,
    LEAF_WIDTH,
    MEMBERS,
    NAMES,
    NODE_INDEX,
    NODES,
    OK,
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
    R_NEXT_TO,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    SET_INDEX,
    SETS,
    SPARSE,
    STEP_INDEX,
    STEPS,
    TOKEN_BYTES,
    TOKEN_OFFSETS,
    TOO_AMBIGUOUS,
    WANTED,
    WANTS_ROOM,
    WANTS_ROWS,
    WIDTH,
    context_at,
    i32,
    leaf_flags,
    leaf_step,
    may_begin_with,
    member,
    mix,
    node,
    node_set,
    room,
    room_index,
    store_of,
    u8,
    width,
)

# Parts of SCRATCH: states to step, states reached, parents and node ids to merge.
ITEM_PART, RESULT_PART, ID_PART, OUT_PART = 0, 4 * WIDTH, 8 * WIDTH, 24 * WIDTH
ID_ROOM = 8 * WIDTH
# Results of the entry points beside a stack reference (an int32).
UNKNOWN, DEAD_AT = 1 << 40, 1 << 41
TOO_WIDE = -(1 << 31) + 1
SCRATCH_SIZE = 24 * WIDTH + 2 * ID_ROOM + 8


@device
def is_space(b):
    return b == 32 or b == 10 or b == 13 or b == 9


@device
def want(ctx, row):
    """Notes an unexpanded row for the caller; each row once."""
    wanted = i32(ctx, WANTED)
    n = ctx[3 * WANTED + 2]
    for i in range(n):
        if wanted[i] == row:
            return
    if n < ctx[3 * WANTED + 1]:
        wanted[n] = row
        ctx[3 * WANTED + 2] = n + 1


@subroutine("boolean(int64[::1], int64[::1], int64)")
def is_done(ctx, s, row):
    """Whether a frame in this row can do nothing but end."""
    if row >= LEAF:
        return leaf_flags(s, row - LEAF) & LEAF_DONE != 0
    return i32(ctx, ROWS)[ROW_WIDTH * row + R_FLAGS] & DONE != 0


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64)")
def ends_here(ctx, s, row, x, y):
    """Whether the frame may end in this state (expanded); a greedy leaf, before a byte that it does not hold."""
    if row >= LEAF:
        return leaf_flags(s, row - LEAF) & ACCEPTS != 0
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    flags = rows[o + R_FLAGS]
    if flags & COUNTED:
        body = x if x else rows[o + R_BODY]
        return flags & ENDS != 0 and leaf_flags(s, body) & ACCEPTS != 0 and y >= rows[o + R_MIN]
    return flags & ENDS != 0


@device
def want_choice(ctx, row, x):
    """As want, for a state of a row that is CHOSEN: two entries, ~row and x."""
    wanted = i32(ctx, WANTED)
    n = ctx[3 * WANTED + 2]
    for i in range(n - 1):
        if wanted[i] == ~row and wanted[i + 1] == x:
            return
    if n + 2 <= ctx[3 * WANTED + 1]:
        wanted[n] = ~row
        wanted[n + 1] = x
        ctx[3 * WANTED + 2] = n + 2


@device
def after_end(ctx, row, under, x):
    """The register x of a state with row `under`, when a frame that was in `row` has ended above it."""
    if row < LEAF + SPARSE or under >= LEAF or i32(ctx, ROWS)[ROW_WIDTH * under + R_FLAGS] & CHOSEN == 0:
        return x
    return row - LEAF


@subroutine("int64(int64[::1], int64, int64)")
def chosen_row(ctx, row, x):
    """The row that a state (row, x) stands for, whose row is CHOSEN; -1: not known, and wanted now."""
    found = find_step(ctx, row, x)
    if found < 0:
        want_choice(ctx, row, x)
        return -1
    return int(i32(ctx, STEPS)[4 * found + 2])


@device
def close_is_open(ctx, rows, o, y):
    """Whether the closing byte of a plain row is allowed at this progress."""
    flags = rows[o + R_FLAGS]
    if flags & MEMBERS:
        return may_close(ctx, rows[o + R_DESC], y)
    if flags & ITEMS:
        return y >= i32(ctx, DATA)[rows[o + R_DESC] + I_MIN]
    return True


@device
def next_is_open(ctx, rows, o, y):
    """Whether the separator (or a first member's quote) is allowed at this progress."""
    flags = rows[o + R_FLAGS]
    if flags & MEMBERS:
        if rows[o + R_NEXT] == QUOTE:
            return names_are_live(ctx, rows[o + R_DESC], y)
        return may_go_on(ctx, rows[o + R_DESC], y)
    if flags & ITEMS:
        most = i32(ctx, DATA)[rows[o + R_DESC] + I_MAX]
        return most < 0 or y < most
    return True


@device
def edge_is_open(ctx, rows, o, to, y):
    """Whether an edge of a plain row is allowed at this progress: into a class of names, if one can still come."""
    if rows[o + R_FLAGS] & MEMBERS == 0:
        return True
    return class_is_live(ctx, rows[o + R_DESC], y, rows[ROW_WIDTH * to + R_BODY])


@device
def next_row(ctx, rows, o, y):
    """Where the separator leads: items with a prefix have a row for each place (R_BODY: how many there are)."""
    to = rows[o + R_NEXT_TO]
    if rows[o + R_FLAGS] & ITEMS:
        places = rows[o + R_BODY]
        return to + (y if y < places else places)
    return to


@device
def progress_after_call(ctx, rows, o, y):
    """The register that a call of this row leaves on the stack: items count, all others keep theirs."""
    if rows[o + R_FLAGS] & ITEMS:
        saturate = i32(ctx, DATA)[rows[o + R_DESC] + I_SATURATE]
        return y + 1 if saturate < 0 or y < saturate else y
    return y


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int32[::1])")
def step_counted(ctx, s, row, x, y, b, out):
    """One byte of a counted body; x = 0 stands for its start."""
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    q = x if x else rows[o + R_BODY]
    if b == rows[o + R_CLOSE] and leaf_flags(s, q) & ACCEPTS:
        if y < rows[o + R_MIN]:
            return False
        out[0] = rows[o + R_CLOSE_TO]
        out[1] = 0
        out[2] = 0
        return True
    q = leaf_step(s, q, b)
    if q == 0:
        return False
    if leaf_flags(s, q) & BETWEEN:
        y += 1
    most = rows[o + R_MAX]
    if most >= 0 and y + i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_NEAR] > most:
        return False
    out[0] = row
    out[1] = 0 if q == rows[o + R_BODY] else q
    # Without a maximum nothing depends on the count beyond the minimum.
    out[2] = rows[o + R_MIN] if most < 0 and y > rows[o + R_MIN] else y
    return True


# ------------------------------------------------------------------------------------------------ one byte


@subroutine("int64(int32[::1], int64, int64, int64, int64, int64)")
def add_item(scratch, n, row, x, y, parents):
    """Queues a state to step, once; n, or -1 when the queue is full."""
    for i in range(n):
        o = ITEM_PART + 4 * i
        if scratch[o] == row and scratch[o + 1] == x and scratch[o + 2] == y and scratch[o + 3] == parents:
            return n
    if n >= WIDTH:
        return -1
    o = ITEM_PART + 4 * n
    scratch[o] = row
    scratch[o + 1] = x
    scratch[o + 2] = y
    scratch[o + 3] = parents
    return n + 1


@subroutine("int64(int64[::1], int64[::1], int32[::1], int64, int64, int64, int64, int64)")
def add_result(ctx, s, scratch, n, row, x, y, parents):
    """Notes a state that was reached; a frame that can only end is popped. The new number, or -1 when full."""
    if not is_done(ctx, s, row):
        if n >= WIDTH:
            return -1
        o = RESULT_PART + 4 * n
        scratch[o] = row
        scratch[o + 1] = x
        scratch[o + 2] = y
        scratch[o + 3] = parents
        return n + 1
    nodes = i32(ctx, NODES)
    for i in range(width(ctx, parents)):
        if n >= WIDTH:
            return -1
        q = 4 * member(ctx, parents, i)
        o = RESULT_PART + 4 * n
        for k in range(4):
            scratch[o + k] = nodes[q + k]
        scratch[o + 1] = after_end(ctx, row, nodes[q], nodes[q + 1])
        n += 1
    return n


@subroutine("int64(int64[::1], int64[::1], int32[::1], int64, int64, int64, int64, int64, int64)")
def step_in_frame(ctx, s, scratch, row, x, y, parents, b, n):
    """Moves that consume b without a call or an end; the new number of results, or -1 when full."""
    out = scratch[OUT_PART:]
    if row >= LEAF:
        to = leaf_step(s, row - LEAF, b)
        return add_result(ctx, s, scratch, n, LEAF + to, 0, 0, parents) if to > 0 else n
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    flags = rows[o + R_FLAGS]
    if flags & COUNTED:
        if step_counted(ctx, s, row, x, y, b, out):
            return add_result(ctx, s, scratch, n, out[0], out[1], out[2], parents)
        return n
    if flags & CLASS:
        if step_class(ctx, s, row, rows[o + R_DESC], rows[o + R_BODY], x, y, b, out):
            return add_result(ctx, s, scratch, n, out[0], out[1], out[2], parents)
        return n
    if flags & NAMES:
        if step_name(ctx, s, row, rows[o + R_DESC], x, y, b, out):
            return add_result(ctx, s, scratch, n, out[0], out[1], out[2], parents)
        return n
    if is_space(b) and x < rows[o + R_SPACE]:
        n = add_result(ctx, s, scratch, n, row, x + 1, y, parents)
    if n >= 0 and b == rows[o + R_CLOSE] and close_is_open(ctx, rows, o, y):
        n = add_result(ctx, s, scratch, n, rows[o + R_CLOSE_TO], 0, y, parents)
    if n >= 0 and b == rows[o + R_NEXT] and next_is_open(ctx, rows, o, y):
        n = add_result(ctx, s, scratch, n, next_row(ctx, rows, o, y), 0, y, parents)
    edges = i32(ctx, EDGES)
    for e in range(rows[o + R_EDGE], rows[o + R_EDGE] + 2 * rows[o + R_EDGES], 2):
        span = edges[e]
        if n >= 0 and span & 0xFF <= b <= span >> 8 and edge_is_open(ctx, rows, o, edges[e + 1], y):
            n = add_result(ctx, s, scratch, n, edges[e + 1], 0, y, parents)
    return n


@subroutine("Tuple((int64, int64, boolean))(int64[::1], int64[::1], int32[::1], int64, int64)")
def close_over(ctx, s, scratch, ref, b):
    """Steps every state that is reached from the tops without a byte. Returns (status, results, bottom reached).

    b = -1 consumes nothing: only whether the text may end here is asked.
    """
    items = 0
    nodes = i32(ctx, NODES)
    for i in range(width(ctx, ref)):
        q = 4 * member(ctx, ref, i)
        items = add_item(scratch, items, nodes[q], nodes[q + 1], nodes[q + 2], nodes[q + 3])
        if items < 0:
            return TOO_AMBIGUOUS, 0, False
    k, results, bottom, missing = 0, 0, False, False
    while k < items:
        i = ITEM_PART + 4 * k
        row, x, y, parents = scratch[i], scratch[i + 1], scratch[i + 2], scratch[i + 3]
        k += 1
        if row == 0:
            bottom = True
            continue
        if row < LEAF and i32(ctx, ROWS)[ROW_WIDTH * row + R_FLAGS] & EXPANDED == 0:
            if i32(ctx, ROWS)[ROW_WIDTH * row + R_FLAGS] & CHOSEN == 0:
                want(ctx, row)
                missing = True
                continue
            to = chosen_row(ctx, row, x)
            if to < 0:
                missing = True
                continue
            items = add_item(scratch, items, to, 0, 0, parents)
            if items < 0:
                return TOO_AMBIGUOUS, 0, False
            continue
        if b >= 0:
            results = step_in_frame(ctx, s, scratch, row, x, y, parents, b, results)
            if results < 0:
                return TOO_AMBIGUOUS, 0, False
        if ends_here(ctx, s, row, x, y) and not (b >= 0 and row >= LEAF and holds(s, row - LEAF, b)):
            for j in range(width(ctx, parents)):
                q = 4 * member(ctx, parents, j)
                x1 = after_end(ctx, row, nodes[q], nodes[q + 1])
                items = add_item(scratch, items, nodes[q], x1, nodes[q + 2], nodes[q + 3])
                if items < 0:
                    return TOO_AMBIGUOUS, 0, False
        if row < LEAF:
            rows = i32(ctx, ROWS)
            o = ROW_WIDTH * row
            calls = i32(ctx, CALLS)
            for c in range(rows[o + R_CALL], rows[o + R_CALL] + 2 * rows[o + R_CALLS], 2):
                back, callee = calls[c + 1], calls[c]
                # PERF: a grammar with many keywords calls as many leaves, of which one or two begin with b.
                if callee < LEAF:
                    if not may_begin_with(ctx, callee, b):
                        continue
                elif not ends_here(ctx, s, callee, 0, 0) and (b < 0 or leaf_step(s, callee - LEAF, b) <= 0):
                    continue
                below = parents
                if not is_done(ctx, s, back):
                    below = node(ctx, back, 0, progress_after_call(ctx, rows, o, y), parents)
                items = add_item(scratch, items, callee, 0, 0, below)
                if items < 0:
                    return TOO_AMBIGUOUS, 0, False
    if missing:
        return WANTS_ROWS, 0, bottom
    return OK, results, bottom


@subroutine("int64(int64[::1], int32[::1], int64)")
def merge_results(ctx, scratch, n):
    """The configuration of n results: equal states become one node; DEAD for none, TOO_WIDE for too many parents."""
    if n == 0:
        return DEAD
    ids = scratch[ID_PART:]
    parents = scratch[ID_PART + ID_ROOM :]
    tops, total = 0, 0
    for i in range(n):
        o = RESULT_PART + 4 * i
        row, x, y, below = scratch[o], scratch[o + 1], scratch[o + 2], scratch[o + 3]
        if row < 0:
            continue
        several = 0
        for j in range(i + 1, n):
            p = RESULT_PART + 4 * j
            if scratch[p] == row and scratch[p + 1] == x and scratch[p + 2] == y:
                scratch[p] = -1
                if scratch[p + 3] == below:
                    continue
                if several == 0:
                    for m in range(width(ctx, below)):
                        parents[several] = member(ctx, below, m)
                        several += 1
                if total + several + width(ctx, scratch[p + 3]) > ID_ROOM:
                    return TOO_WIDE
                for m in range(width(ctx, scratch[p + 3])):
                    parents[several] = member(ctx, scratch[p + 3], m)
                    several += 1
        if several:
            total += several
            below = node_set(ctx, parents, several)
        ids[tops] = BOTTOM if row == 0 else node(ctx, row, x, y, below)
        tops += 1
    return node_set(ctx, ids, tops)


@device
def room_for_a_byte(ctx):
    """Whether the tables hold what one byte may append at the most."""
    return (
        room(ctx, NODES, 16 * WIDTH)
        and room_index(ctx, NODE_INDEX, 4 * WIDTH)
        and room(ctx, SETS, 2 * ID_ROOM)
        and room_index(ctx, SET_INDEX, 2 * WIDTH)
        and room(ctx, CELLS, 32 * WIDTH)
        and room_index(ctx, CELL_INDEX, 8 * WIDTH)
    )


@subroutine("UniTuple(int64, 2)(int64[::1], int64[::1], int64, int64)")
def advance(ctx, s, ref, b):
    """The configuration after one byte: (status, stack reference or DEAD)."""
    if not room_for_a_byte(ctx):
        return WANTS_ROOM, DEAD
    scratch = i32(ctx, SCRATCH)
    status, n, _ = close_over(ctx, s, scratch, ref, b)
    if status != OK:
        return status, DEAD
    to = merge_results(ctx, scratch, n)
    if to == TOO_WIDE:
        return TOO_AMBIGUOUS, DEAD
    return OK, to


# ------------------------------------------------------------------------------------------------ memoised steps


@device
def find_step(ctx, ref, token):
    """Place of (ref, token) in the step memo, or -1. STEPS: int32[n, 4] = configuration, token, result, unused."""
    slots = i32(ctx, STEP_INDEX)
    mask = slots[0]
    h = mix(mix(17, ref), token) & mask
    # The table after its index: a writer may put a larger table in its place before it names a new entry.
    acquire()
    while True:
        found = slots[1 + h]
        if found == 0:
            return -1
        acquire()
        steps = i32(ctx, STEPS)
        if steps[4 * found - 4] == ref and steps[4 * found - 3] == token:
            return found - 1
        h = (h + 1) & mask


@device
def remember_step(ctx, ref, token, to):
    """Appends to the step memo; the index entry comes last, so that a reader sees it whole or not at all."""
    steps = i32(ctx, STEPS)
    slots = i32(ctx, STEP_INDEX)
    mask = slots[0]
    o = ctx[3 * STEPS + 2]
    steps[o] = ref
    steps[o + 1] = token
    steps[o + 2] = to
    ctx[3 * STEPS + 2] = o + 4
    ctx[3 * STEP_INDEX + 2] += 1
    h = mix(mix(17, ref), token) & mask
    while slots[1 + h] != 0:
        h = (h + 1) & mask
    fence()
    slots[1 + h] = o // 4 + 1


# ------------------------------------------------------------------------------------------------ entry points


@kernel("int64(int64, int64, int64, int64)")
def remember_choice(address, row, x, to):
    """Memoises which row a state (row, x) stands for, whose row is CHOSEN: OK, or WANTS_ROOM.

    No step has its key: configurations step by tokens, whose numbers are smaller than that of any sparse leaf state.
    """
    ctx = context_at(address)
    if not (room(ctx, STEPS, 4) and room_index(ctx, STEP_INDEX, 1)):
        return WANTS_ROOM
    remember_step(ctx, row, x, to)
    return OK


@kernel("int64(int64, int64, int64)")
def known_step(address, ref, token):
    """The memoised configuration after a token: a stack reference, DEAD, or UNKNOWN. Reads only."""
    ctx = context_at(address)
    found = find_step(ctx, ref, token)
    if found < 0:
        return UNKNOWN
    return i32(ctx, STEPS)[4 * found + 2]


@kernel("int64(int64, int64, int64)")
def step_token(address, ref, token):
    """Steps over a token's bytes and memoises it: a stack reference, DEAD, or UNKNOWN + status.

    On WANTS_ROWS and WANTS_ROOM the caller serves and calls again. The caller holds the writers' lock.
    """
    ctx = context_at(address)
    found = find_step(ctx, ref, token)
    if found >= 0:
        return i32(ctx, STEPS)[4 * found + 2] + 0
    s = store_of(ctx)
    offsets = i32(s, TOKEN_OFFSETS)
    data = u8(s, TOKEN_BYTES)
    to = ref + 0
    for i in range(offsets[token], offsets[token + 1]):
        status, to = advance(ctx, s, to, data[i])
        if status != OK:
            return UNKNOWN + status
        if to == DEAD:
            break
    if not (room(ctx, STEPS, 4) and room_index(ctx, STEP_INDEX, 1)):
        return UNKNOWN + WANTS_ROOM
    remember_step(ctx, ref, token, to)
    return to


@kernel("int64(int64, int64, Array(uint8, 1, 'C', True), int64)")
def step_bytes(address, ref, data, start):
    """Steps over data[start:]: a stack reference, or UNKNOWN + status; DEAD_AT + i when data[i] is not allowed."""
    ctx = context_at(address)
    s = store_of(ctx)
    to = ref + 0
    for i in range(start, data.shape[0]):
        status, after = advance(ctx, s, to, data[i])
        if status != OK:
            return UNKNOWN + status
        if after == DEAD:
            return DEAD_AT + i
        to = after
    return to


@kernel("int64(int64, int64)")
def may_end(address, ref):
    """1 if the text is a sentence in this configuration, 0 if not, or UNKNOWN + status."""
    ctx = context_at(address)
    if not room_for_a_byte(ctx):
        return UNKNOWN + WANTS_ROOM
    status, _, bottom = close_over(ctx, store_of(ctx), i32(ctx, SCRATCH), ref, -1)
    if status != OK:
        return UNKNOWN + status
    return 1 if bottom else 0
