"""Masks: made by a walk, memoised by node and by context, written into a caller's bitmask.

A *mask* is a dense row that many masks share (or none), a list of further tokens, and whether stop tokens are allowed.
Writing one is a copy of 16 KB and a few bits.

A *context* is the top state and as many return states below it as the walk looked at, registers generalised to what a
token can notice: a count farther from its bound than the longest token is long is like any other such count. Contexts
form a trie (CONTEXTS holds (row, x, y, context above)), and CONTEXT_MASK says at each: a mask, DEEPER, or nothing yet.

INVARIANT: NODE_MASK, SET_MASK and CONTEXT_MASK are set after all that they refer to is written (a fence lies between),
so `fill_known` and `fill_batch` need no lock.

`reference_mask` makes the same mask without any of this, for tests.
"""

from __future__ import annotations

from .kernel import (
    acquire,
    copy_bytes,
    device,
    fence,
    i64_at,
    kernel,
    subroutine,
)
from .record_kernels import joined_row
from .record_table_kernels import LONGEST_LIST, dense_row
from .step_kernels import (
    advance,
    close_over,
    room_for_a_byte,
)
from .table_kernels import (
    BOTTOM,
    CONTEXT_INDEX,
    CONTEXT_MASK,
    CONTEXTS,
    COUNTED,
    DATA,
    DEAD,
    DENSE,
    I_MAX,
    I_MIN,
    I_PREFIX,
    ITEMS,
    LEAF,
    M_ACCEPTS,
    M_BASE,
    M_BASES,
    M_BRANCHING,
    M_DEEPEST,
    M_LOWEST,
    M_SPACE,
    M_WALKING,
    M_WORDS,
    MASK_INTS,
    MASK_WIDTH,
    MASKS,
    MISC,
    NAMES,
    NODE_MASK,
    NODES,
    OK,
    OUT,
    R_DESC,
    R_FLAGS,
    R_MAX,
    R_MIN,
    R_NEAR,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    SET_MASK,
    STOPS,
    WANTS_ROOM,
    WANTS_ROWS,
    WORK,
    WORK_WIDTH,
    bit,
    context_at,
    find_quad,
    i32,
    intern_quad,
    member,
    room,
    room_index,
    store_of,
    width,
)
from .walk_item_kernels import push
from .walk_kernels import start_walk, step_on, walk_node
from .walk_output_kernels import allow, allow_dense, misc

# Distances to two bounds are one int32 up to here; beyond, counts stay as they are.
FARTHEST = 30_000
# What a memo holds beside the id + 1 of a mask.
UNKNOWN_MASK, DEEPER = 0, -1
BAD_SHAPE = 7
# What `only_token` says instead of a token.
NO_TOKEN, SEVERAL, NOT_MADE = -1, -2, -3


# ------------------------------------------------------------------------------------------------ contexts


@device
def within(n, cap):
    return n if n < cap else cap


@subroutine("int64(int64[::1], int64[::1], int64, int64)")
def general_x(ctx, s, row, x):
    """The register x as far as a mask can depend on it: all long enough rests of a white-space run are one."""
    if row >= LEAF:
        return x
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    if rows[o + R_FLAGS] & (COUNTED | NAMES) == 0 and rows[o + R_SPACE] - x >= misc(s)[M_SPACE]:
        return 0
    return x


@subroutine("int64(int64[::1], int64[::1], int64, int64)")
def general_y(ctx, s, row, y):
    """The register y as far as a mask can depend on it: counts farther from a bound than a token is long are one."""
    if row >= LEAF:
        return y
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    flags = rows[o + R_FLAGS]
    if flags & COUNTED:
        least, most, first, near = rows[o + R_MIN], rows[o + R_MAX], 0, rows[o + R_NEAR]
    elif flags & ITEMS:
        d = rows[o + R_DESC]
        data = i32(ctx, DATA)
        least, most, first, near = data[d + I_MIN], data[d + I_MAX], data[d + I_PREFIX], 0
    else:
        return y
    if y < first:
        return y
    cap = misc(s)[M_DEEPEST] + 1 + near
    if cap > FARTHEST:
        return y
    below = within(least - y, cap) if least > y else 0
    above = cap if most < 0 else within(most - y, cap)
    return -1 - (below * (cap + 1) + above)


@subroutine("int64(int64[::1], int64[::1], int64)")
def find_context(ctx, s, ref):
    """The memoised mask of a node's context, or UNKNOWN_MASK."""
    nodes = i32(ctx, NODES)
    masks = i32(ctx, CONTEXT_MASK)
    prefix = -1
    while True:
        o = 4 * ref
        x = general_x(ctx, s, nodes[o], nodes[o + 1])
        y = general_y(ctx, s, nodes[o], nodes[o + 2])
        prefix = find_quad(ctx, CONTEXTS, CONTEXT_INDEX, nodes[o], x, y, prefix)
        if prefix < 0:
            return UNKNOWN_MASK
        if masks[prefix] != DEEPER:
            return masks[prefix]
        ref = nodes[o + 3]
        if ref < 0:
            return UNKNOWN_MASK


@subroutine("void(int64[::1], int64[::1], int64, int64, int64)")
def remember_context(ctx, s, ref, mask, levels):
    """Memoises a node's mask under its state and `levels` return states below. The caller has made sure of room."""
    nodes = i32(ctx, NODES)
    masks = i32(ctx, CONTEXT_MASK)
    prefix = -1
    for level in range(levels + 1):
        o = 4 * ref
        x = general_x(ctx, s, nodes[o], nodes[o + 1])
        y = general_y(ctx, s, nodes[o], nodes[o + 2])
        prefix = intern_quad(ctx, CONTEXTS, CONTEXT_INDEX, nodes[o], x, y, prefix)
        masks[prefix] = mask + 1 if level == levels else DEEPER
        ref = nodes[o + 3]


# ------------------------------------------------------------------------------------------------ making


@subroutine("int64(int64[::1], int64[::1])")
def finish_mask(ctx, s):
    """The mask id of the walk's output (dense rows and listed tokens); -1 without room.

    Mask (int32[MASK_WIDTH]): dense row or -1, offset of a list in MASK_INTS, its length, whether stop tokens are
    allowed.
    """
    state = misc(s)
    words = state[M_WORDS]
    n = s[3 * OUT + 2]
    if not (room(ctx, MASKS, MASK_WIDTH) and room(ctx, MASK_INTS, n) and room(s, OUT, words)):
        return -1
    out = i32(s, OUT)
    bases = state[M_BASES]
    base = -1
    for k in range(bases):
        base = state[M_BASE] if k == 0 else joined_row(s, base, state[M_BASE + k])
        if base < 0:
            return -1
    dense = i32(s, DENSE)
    if n > LONGEST_LIST:
        bits = out[n : n + words]
        bits[:] = 0
        if base >= 0:
            for w in range(words):
                bits[w] = dense[base * words + w]
        for k in range(n):
            bits[out[k] >> 5] |= bit(out[k])
        base = dense_row(s, bits, 0)
        if base < 0:
            return -1
        n = 0
    masks = i32(ctx, MASKS)
    ints = i32(ctx, MASK_INTS)
    at = ctx[3 * MASK_INTS + 2]
    kept = 0
    for k in range(n):
        token = out[k]
        if base < 0 or dense[base * words + (token >> 5)] & bit(token) == 0:
            ints[at + kept] = token
            kept += 1
    m = ctx[3 * MASKS + 2]
    masks[m] = base
    masks[m + 1] = at
    masks[m + 2] = kept
    masks[m + 3] = state[M_ACCEPTS]
    ctx[3 * MASK_INTS + 2] = at + kept
    ctx[3 * MASKS + 2] = m + MASK_WIDTH
    return m // MASK_WIDTH


@subroutine("int64(int64[::1], int64[::1], int64)")
def mask_of_node(ctx, s, ref):
    """Makes the mask of a node, if it is not there yet: OK, or why the caller has to serve and call again."""
    node_mask = i32(ctx, NODE_MASK)
    if node_mask[ref] != UNKNOWN_MASK:
        return OK
    state = misc(s)
    if state[M_WALKING] != ref:
        known = find_context(ctx, s, ref)
        if known != UNKNOWN_MASK:
            node_mask[ref] = known
            return OK
    status = walk_node(ctx, s, ref)
    if status != OK:
        return status
    levels = state[M_LOWEST]
    if not (room(ctx, CONTEXTS, 4 * (levels + 1)) and room_index(ctx, CONTEXT_INDEX, levels + 1)):
        return WANTS_ROOM
    mask = finish_mask(ctx, s)
    if mask < 0:
        return WANTS_ROOM
    if state[M_BRANCHING] == 0:
        remember_context(ctx, s, ref, mask, levels)
    state[M_WALKING] = -1
    fence()
    i32(ctx, NODE_MASK)[ref] = mask + 1
    return OK


@subroutine("int64(int64[::1], int64[::1], int64)")
def join_masks(ctx, s, ref):
    """The union of the masks of a configuration's nodes, which are there; -1 without room."""
    state = misc(s)
    start_walk(ctx, s, BOTTOM)
    state[M_WALKING] = -1
    state[M_ACCEPTS] = 0
    masks = i32(ctx, MASKS)
    ints = i32(ctx, MASK_INTS)
    for i in range(width(ctx, ref)):
        m = MASK_WIDTH * (i32(ctx, NODE_MASK)[member(ctx, ref, i)] - 1)
        if masks[m] >= 0:
            allow_dense(s, masks[m])
        for k in range(masks[m + 1], masks[m + 1] + masks[m + 2]):
            allow(s, ints[k])
        if masks[m + 3]:
            state[M_ACCEPTS] = 1
    return finish_mask(ctx, s)


@device
def known_mask(ctx, ref):
    """The memoised mask of a configuration, or UNKNOWN_MASK."""
    if ref >= 0:
        return i32(ctx, NODE_MASK)[ref]
    return i32(ctx, SET_MASK)[~ref]


@kernel("int64(int64, int64)")
def make_mask(address, ref):
    """Makes a configuration's mask and memoises it: OK, or why the caller has to serve and call again.

    The caller holds the writers' lock, and sets M_WALKING to -1 when it gives up in between.
    """
    ctx = context_at(address)
    s = store_of(ctx)
    if known_mask(ctx, ref) != UNKNOWN_MASK:
        return OK
    for i in range(width(ctx, ref)):
        status = mask_of_node(ctx, s, member(ctx, ref, i))
        if status != OK:
            return status
    if ref < 0:
        mask = join_masks(ctx, s, ref)
        if mask < 0:
            return WANTS_ROOM
        fence()
        i32(ctx, SET_MASK)[~ref] = mask + 1
    return OK


# ------------------------------------------------------------------------------------------------ writing


@device
def write_stops(s, bitmask, row):
    """Allows the stop tokens in a row."""
    stops = i32(s, STOPS)
    for k in range(s[3 * STOPS + 2]):
        bitmask[row, stops[k] >> 5] |= bit(stops[k])


@device
def write_mask(ctx, s, mask, bitmask, row):
    """Writes a mask over a whole row of bitmask (int32[rows, words])."""
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    masks = i32(ctx, MASKS)
    ints = i32(ctx, MASK_INTS)
    m = MASK_WIDTH * mask
    if masks[m] >= 0:
        copy_bytes(bitmask.ctypes.data + 4 * words * row, s[3 * DENSE] + 4 * words * masks[m], 4 * words)
    else:
        bitmask[row][:] = 0
    for k in range(masks[m + 1], masks[m + 1] + masks[m + 2]):
        bitmask[row, ints[k] >> 5] |= bit(ints[k])
    if masks[m + 3]:
        write_stops(s, bitmask, row)


@kernel("int64(int64, int64, int32[:, ::1], int64)")
def fill_known(address, ref, bitmask, row):
    """Writes a configuration's memoised mask: OK, WANTS_ROWS where it is not memoised, or BAD_SHAPE. Reads only."""
    ctx = context_at(address)
    s = store_of(ctx)
    if bitmask.shape[1] != i64_at(s[3 * MISC], M_BASE)[M_WORDS] or row < 0 or row >= bitmask.shape[0]:
        return BAD_SHAPE
    mask = known_mask(ctx, ref)
    if mask == UNKNOWN_MASK:
        return WANTS_ROWS
    acquire()
    write_mask(ctx, s, mask - 1, bitmask, row)
    return OK


@kernel("void(int64[::1], int64[::1], int32[:, ::1], int64[::1], uint8[::1])")
def fill_batch(contexts, refs, bitmask, rows, done):
    """Writes the memoised masks of a batch; done[i] = 1 where it was memoised. Reads only.

    contexts : int64[n], addresses of the machines' contexts, 0 for none. refs, rows : int64[n]. done : uint8[n], out.
    """
    for i in range(contexts.shape[0]):
        if contexts[i] == 0:
            done[i] = 0
            continue
        ctx = context_at(contexts[i])
        mask = known_mask(ctx, refs[i])
        if mask != UNKNOWN_MASK:
            acquire()
            write_mask(ctx, store_of(ctx), mask - 1, bitmask, rows[i])
            done[i] = 1
        else:
            done[i] = 0


@kernel("void(int64[::1], int64[::1], int64[::1])")
def known_masks(contexts, refs, masks):
    """Which masks are memoised: masks[i] = the number of that of refs[i], or -1 where there is none yet. Reads only.

    contexts : int64[n], addresses of the machines' contexts, 0 for none. refs : int64[n]. masks : int64[n], out.
    In one machine a number is the same mask for good, and equal numbers are equal masks.
    """
    for i in range(contexts.shape[0]):
        masks[i] = -1
        if contexts[i] != 0:
            mask = known_mask(context_at(contexts[i]), refs[i])
            if mask != UNKNOWN_MASK:
                masks[i] = mask - 1


@device
def only_bit(words, first, n):
    """The place of the only set bit of n words from `first` on; NO_TOKEN for none, SEVERAL for more than one."""
    only = NO_TOKEN
    for w in range(n):
        rest = int(words[first + w]) & 0xFFFFFFFF
        if rest != 0:
            if only != NO_TOKEN or rest & (rest - 1) != 0:
                return SEVERAL
            at = 0
            while rest & bit(at) == 0:
                at += 1
            only = 32 * w + at
    return only


@device
def one_more(only, token):
    """What is the only token of a set, once a token is added to it."""
    if only == NO_TOKEN:
        return token
    return only if only == token else SEVERAL


@kernel("int64(int64, int64)")
def only_token(address, ref):
    """The token that a memoised mask allows, if it is the only one; SEVERAL, NO_TOKEN, or NOT_MADE. Reads only."""
    ctx = context_at(address)
    s = store_of(ctx)
    mask = known_mask(ctx, ref)
    if mask == UNKNOWN_MASK:
        return NOT_MADE
    acquire()
    masks, ints, stops = i32(ctx, MASKS), i32(ctx, MASK_INTS), i32(s, STOPS)
    m = MASK_WIDTH * (mask - 1)
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    only = only_bit(i32(s, DENSE), masks[m] * words, words) if masks[m] >= 0 else NO_TOKEN
    for k in range(masks[m + 1], masks[m + 1] + masks[m + 2]):
        only = one_more(only, ints[k])
    if masks[m + 3]:
        for k in range(s[3 * STOPS + 2]):
            only = one_more(only, stops[k])
    return only


@kernel("int64(int64, int64, int32[::1])")
def allowed_bytes(address, ref, out):
    """Marks what may come next: out[b] = 1 for a byte, out[256] = 1 for the end (int32[257]); OK, or why not yet."""
    ctx = context_at(address)
    s = store_of(ctx)
    out[:] = 0
    if not room_for_a_byte(ctx):
        return WANTS_ROOM
    status, _, bottom = close_over(ctx, s, i32(ctx, SCRATCH), ref, -1)
    if status != OK:
        return status
    out[256] = 1 if bottom else 0
    for b in range(256):
        status, to = advance(ctx, s, ref, b)
        if status != OK:
            return status
        out[b] = 1 if to != DEAD else 0
    return OK


# ------------------------------------------------------------------------------------------------ the slow twin

# In M_WALKING while `reference_mask` steps: no node's number.
STEPPING = 1 << 40


@kernel("int64(int64, int64, int32[:, ::1], int64)")
def reference_mask(address, ref, bitmask, row):
    """Writes a configuration's mask by stepping configurations through the token tree: OK, or why the caller has to
    serve and call again.

    bitmask : int32[rows, words], out; the caller has checked that `row` is one of its rows.
    No record, context or memo of a mask is read or made; what it shares with `make_mask` is the step by one byte. The
    caller holds the writers' lock, and sets M_WALKING to -1 when it gives up in between.
    """
    ctx = context_at(address)
    s = store_of(ctx)
    state = misc(s)
    if state[M_WALKING] != STEPPING:
        if not (room_for_a_byte(ctx) and room(s, WORK, WORK_WIDTH)):
            return WANTS_ROOM
        status, _, bottom = close_over(ctx, s, i32(ctx, SCRATCH), ref, -1)
        if status != OK:
            return status
        start_walk(ctx, s, BOTTOM)
        push(s, 0, ref, 0, 0, 0)
        state[M_WALKING] = STEPPING
        state[M_ACCEPTS] = 1 if bottom else 0
    status = step_on(ctx, s)
    if status != OK:
        return status
    state[M_WALKING] = -1
    words = bitmask[row]
    words[:] = 0
    out = i32(s, OUT)
    for k in range(s[3 * OUT + 2]):
        words[out[k] >> 5] |= bit(out[k])
    if state[M_ACCEPTS]:
        write_stops(s, bitmask, row)
    return OK
