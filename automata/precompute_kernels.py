"""Where the tokens lead from one configuration: a scan of the token tree by configurations.

A *move* is what one byte makes of a configuration. Configurations that the scan meets get small numbers of their own,
and their moves are kept in a table by number and byte, so that scanning all of the tree below a string's content is a
chain of array reads (2 ms for 345,000 places); what a byte does on the stack (0.5 us) is found out once for each
configuration and byte, whatever number of tokens go that way.

A configuration within a name that nobody declared holds the text typed so far, and there is one for every text. A scan
follows no more than `TYPED` bytes into such names: what comes after a name is found, and the rest is left out.

INVARIANT: a scan that stops to be served goes on at the place where it stopped; numbers are dropped only between scans.
"""

from __future__ import annotations

from .kernel import (
    kernel,
    subroutine,
)
from .step_kernels import (
    advance,
    find_step,
    remember_step,
)
from .table_kernels import (
    DEAD,
    LEAF,
    NAMES,
    NODES,
    OK,
    R_FLAGS,
    ROW_WIDTH,
    ROWS,
    STEP_INDEX,
    STEPS,
    T_BYTE,
    T_DEPTH,
    T_END,
    T_TOKEN_FIRST,
    T_TOKENS,
    WANTS_ROOM,
    context_at,
    i32,
    member,
    mix,
    room,
    room_index,
    store_of,
    u8,
    width,
)

# The state of a scan: the configuration, the next place (0: not begun), numbers given, numbers at which tokens end,
# tokens, the number of the scan, moves into typed names that it has made, and those that were left out, ever.
S_FROM, S_PLACE, S_NUMBERS, S_FOUND, S_TOKENS, S_SCAN, S_TYPED, S_LEFT = range(8)
SCAN_WIDTH = 8
TYPED = 8
# Beside the statuses of table_kernels: all numbers are given.
WANTS_NUMBERS = 8
# What the table of moves holds beside the number + 1 of a configuration.
UNKNOWN_MOVE, NO_MOVE = 0, -1


@subroutine("int64(int64[::1], int32[:, ::1], int32[::1], int64)")
def number_of(scan, numbered, index, ref):
    """The number of a configuration, a new one if it has none. The caller has made sure that one is left."""
    mask = index.shape[0] - 1
    h = mix(17, ref) & mask
    while index[h] != 0:
        if numbered[index[h] - 1, 0] == ref:
            return index[h] - 1
        h = (h + 1) & mask
    n = scan[S_NUMBERS]
    numbered[n, 0] = ref
    numbered[n, 1] = 0
    scan[S_NUMBERS] = n + 1
    index[h] = n + 1
    return n


@subroutine("boolean(int64[::1], int64)")
def is_typed(ctx, ref):
    """Whether the text of a name or string is on top, as it was typed."""
    nodes, rows = i32(ctx, NODES), i32(ctx, ROWS)
    for k in range(width(ctx, ref)):
        o = 4 * member(ctx, ref, k)
        if nodes[o] < LEAF and nodes[o + 1] < 0 and rows[ROW_WIDTH * nodes[o] + R_FLAGS] & NAMES:
            return True
    return False


@kernel("int64(int64, int64[::1], int32[:, ::1], int32[:, ::1], int32[::1], int32[::1], int32[::1], int32[:, ::1])")
def follow_tokens(address, scan, moves, numbered, index, path, found, steps):
    """Finds every configuration that one token leads to: OK, or why the caller has to serve and call again.

    address : the machine's context. scan : int64[SCAN_WIDTH], in and out. moves : int32[n, 256], by number and byte.
    numbered : int32[n, 2], the configuration of a number and the last scan in which a token ended there. index :
    int32[2^k], at least half of it free; hash of numbered. path : int32[deepest + 1], scratch: numbers by depth.
    found : int32[n], out: numbers at which a token ends. steps : int32[m, 2], out: the first m tokens and the numbers
    that they lead to.
    """
    ctx = context_at(address)
    s = store_of(ctx)
    byte, depth, end = u8(s, T_BYTE), i32(s, T_DEPTH), i32(s, T_END)
    token_first, tokens = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    i = scan[S_PLACE]
    if i == 0:
        if scan[S_NUMBERS] >= moves.shape[0]:
            return WANTS_NUMBERS
        path[0] = number_of(scan, numbered, index, scan[S_FROM])
        scan[S_FOUND] = 0
        scan[S_TOKENS] = 0
        scan[S_TYPED] = 0
        scan[S_SCAN] += 1
        i += 1
    places = end[0]
    while i < places:
        at, b = path[depth[i] - 1], byte[i]
        to = moves[at, b]
        if to == UNKNOWN_MOVE:
            scan[S_PLACE] = i
            if scan[S_NUMBERS] >= moves.shape[0]:
                return WANTS_NUMBERS
            status, ref = advance(ctx, s, numbered[at, 0], b)
            if status != OK:
                return status
            to = NO_MOVE
            if ref != DEAD and is_typed(ctx, ref):
                scan[S_TYPED] += 1
                if scan[S_TYPED] > TYPED:
                    scan[S_LEFT] += 1
                    ref = DEAD
            if ref != DEAD:
                to = number_of(scan, numbered, index, ref) + 1
            moves[at, b] = to
        if to == NO_MOVE:
            i = end[i]
            continue
        path[depth[i]] = to - 1
        for k in range(token_first[i], token_first[i + 1]):
            n = scan[S_TOKENS]
            if n < steps.shape[0]:
                steps[n, 0] = tokens[k]
                steps[n, 1] = to - 1
            scan[S_TOKENS] = n + 1
            if numbered[to - 1, 1] != scan[S_SCAN]:
                numbered[to - 1, 1] = scan[S_SCAN]
                found[scan[S_FOUND]] = to - 1
                scan[S_FOUND] += 1
        i += 1
    scan[S_PLACE] = 0
    return OK


@kernel("void(int32[:, ::1], int64, int32[::1])")
def put_numbers(numbered, n, index):
    """Fills a larger index of the first n numbers."""
    mask = index.shape[0] - 1
    for k in range(n):
        h = mix(17, numbered[k, 0]) & mask
        while index[h] != 0:
            h = (h + 1) & mask
        index[h] = k + 1


@kernel("int64(int64, int64[::1], int32[:, ::1], int32[:, ::1])")
def keep_steps(address, scan, numbered, steps):
    """Puts the tokens of a scan that has ended into the step memo: OK or WANTS_ROOM. `steps` holds all of them."""
    ctx = context_at(address)
    n = scan[S_TOKENS]
    if not (room(ctx, STEPS, 4 * n) and room_index(ctx, STEP_INDEX, n)):
        return WANTS_ROOM
    for k in range(n):
        if find_step(ctx, scan[S_FROM], steps[k, 0]) < 0:
            remember_step(ctx, scan[S_FROM], steps[k, 0], numbered[steps[k, 1], 0])
    return OK
