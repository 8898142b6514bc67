"""What shortest completions and token budgets need of the tables: distances in automata, covers of texts by tokens, and
where every token leads.

A name that nobody declared is kept by its text, and there would be a configuration for each. Where what it is makes no
difference (none that is there begins with it, and there are such names without end), `scan_tokens` takes them all for
one, whose text is a byte that no text has (NO_NAME). Where members are counted the text that completes the object may
have to name another one instead, so what it takes is told with some room (shortest_texts.py).
"""

from __future__ import annotations

from .kernel import (
    kernel,
    subroutine,
)
from .names_kernels import is_clean
from .step_kernels import (
    ID_PART,
    advance,
    close_is_open,
    next_is_open,
    next_row,
    progress_after_call,
    room_for_a_byte,
)
from .table_kernels import (
    ACCEPTS,
    BETWEEN,
    BOTTOM,
    C_SIZE,
    C_SIZES,
    C_WIDTH,
    CELL_STRING,
    CELL_TYPING,
    CELLS,
    CLASS,
    D_CLASS,
    DATA,
    DEAD,
    EMPTY_STRING,
    LEAF,
    NAMES,
    NODE_INDEX,
    NODES,
    OK,
    R_BODY,
    R_DESC,
    R_FLAGS,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_TOKEN_FIRST,
    T_TOKENS,
    WANTS_ROOM,
    cell,
    context_at,
    i32,
    leaf_flags,
    leaf_step,
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

# No completion, no cover; sums of a few of them are int32 still.
FAR = 1 << 28
# The only byte of a name that stands for all that nobody declared.
NO_NAME = 255
# The state of a scan: the configuration, the next place (0: not begun), numbers given, tokens.
S_FROM, S_PLACE, S_NUMBERS, S_TOKENS = range(4)
SCAN_WIDTH = 4
WANTS_NUMBERS = 8
UNKNOWN_MOVE, NO_MOVE = 0, -1


# ------------------------------------------------------------------------------------------------ frames


@kernel("int64(int64, int64, int64, int64)")
def frame_node(address, row, x, y):
    """The configuration of one frame alone, after which the text ends; -1 without room."""
    ctx = context_at(address)
    if not (room(ctx, NODES, 4) and room_index(ctx, NODE_INDEX, 1)):
        return -1
    return node(ctx, row, x, y, BOTTOM)


@kernel("void(int64, int64, int64, int32[::1])")
def open_moves(address, row, y, out):
    """What an expanded plain row may do at this progress, into out (int32[4]): whether it may close, whether its
    separator may come, the row after that, and the progress that a call leaves."""
    ctx = context_at(address)
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    out[0] = 1 if close_is_open(ctx, rows, o, y) else 0
    out[1] = 1 if next_is_open(ctx, rows, o, y) else 0
    out[2] = next_row(ctx, rows, o, y)
    out[3] = progress_after_call(ctx, rows, o, y)


# ------------------------------------------------------------------------------------------------ distances


@kernel("void(int64, int64, int32[::1], int32[::1])")
def leaf_distances(address, first, weights, out):
    """The weight of the lightest completion of each state of a leaf DFA (first .. first + n - 1) into out (int32[n]).

    address : the machine's context. weights : int32[256], at least 1 for every byte.
    """
    s = store_of(context_at(address))
    n = out.shape[0]
    for k in range(n):
        out[k] = 0 if leaf_flags(s, first + k) & ACCEPTS else FAR
    changed = True
    while changed:
        changed = False
        for k in range(n - 1, -1, -1):
            for b in range(256):
                to = leaf_step(s, first + k, b)
                if to > 0 and out[to - first] + weights[b] < out[k]:
                    out[k] = out[to - first] + weights[b]
                    changed = True


@kernel(
    "void(Array(int32, 1, 'C', True), Array(uint8, 1, 'C', True), Array(int32, 1, 'C', True),"
    " Array(uint8, 1, 'C', True), int32[::1], int32[::1])"
)
def sparse_distances(first, label, target, accepting, weights, out):
    """As leaf_distances, of all states of a sparse automaton (sparse_dfa.py)."""
    n = accepting.shape[0]
    for k in range(n):
        out[k] = 0 if accepting[k] else FAR
    changed = True
    while changed:
        changed = False
        # One way and then the other: automata are numbered along their texts, or against them.
        for i in range(2 * n):
            k = i if i < n else 2 * n - 1 - i
            for e in range(first[k], first[k + 1]):
                if out[target[e]] + weights[label[e]] < out[k]:
                    out[k] = out[target[e]] + weights[label[e]]
                    changed = True


@kernel("int64(int64, int64, int64, int64, int64, int32[::1], int64, int32[:, ::1], uint8[::1])")
def counted_text(address, q, first, n, least, weights, iteration, far, out):
    """The lightest text of a counted body from leaf state q to acceptance, with at least `least` more iterations.

    first, n : the body's states. iteration : weight of each iteration, beside its bytes. far : int32[least + 1, n],
    scratch. out : uint8[m], the text. Returns its length; -1 where there is none, or out is too short.
    """
    s = store_of(context_at(address))
    for left in range(least + 1):
        for k in range(n):
            far[left, k] = 0 if left == 0 and leaf_flags(s, first + k) & ACCEPTS else FAR
        changed = True
        while changed:
            changed = False
            for k in range(n - 1, -1, -1):
                for b in range(256):
                    to = leaf_step(s, first + k, b)
                    if to <= 0:
                        continue
                    more = weights[b]
                    after = left
                    if leaf_flags(s, to) & BETWEEN:
                        more += iteration
                        after = left - 1 if left > 0 else 0
                    if far[after, to - first] + more < far[left, k]:
                        far[left, k] = far[after, to - first] + more
                        changed = True
    left = least + 0
    at = 0
    if far[left, q - first] >= FAR:
        return -1
    while far[left, q - first] > 0:
        if at == out.shape[0]:
            return -1
        for b in range(256):
            to = leaf_step(s, q, b)
            if to <= 0:
                continue
            more = weights[b]
            after = left
            if leaf_flags(s, to) & BETWEEN:
                more += iteration
                after = left - 1 if left > 0 else 0
            if far[after, to - first] + more == far[left, q - first]:
                out[at] = b
                at += 1
                q = to
                left = after
                break
    return at


# ------------------------------------------------------------------------------------------------ covers


@subroutine("int64(int64[::1], int64, int64)")
def place_below(s, t, b):
    """The place of the token tree below node t by byte b, or -1."""
    first = i32(s, T_CHILD_FIRST)
    byte = u8(s, T_CHILD_BYTE)
    low, end = int(first[t]), int(first[t + 1])
    high = end
    while low < high:
        mid = (low + high) >> 1
        if byte[mid] < b:
            low = mid + 1
        else:
            high = mid
    if low < end and byte[low] == b:
        return int(i32(s, T_CHILD_NODE)[low])
    return -1


@kernel("int64(int64, Array(uint8, 1, 'C', True), int32[::1], int32[::1])")
def cover_text(address, text, costs, tokens):
    """The fewest tokens that a text is, FAR where it is none. costs : int32[n + 1], scratch. tokens : int32[n], out:
    the token that the cover of text[i:] begins with, the longest of those that are as good.
    """
    s = store_of(context_at(address))
    n = text.shape[0]
    token_first, ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    costs[n] = 0
    for i in range(n - 1, -1, -1):
        costs[i] = FAR
        t = 0
        for j in range(i, n):
            t = place_below(s, t, text[j])
            if t < 0:
                break
            if token_first[t] < token_first[t + 1] and costs[j + 1] + 1 <= costs[i]:
                costs[i] = costs[j + 1] + 1
                tokens[i] = ids[token_first[t]]
    return int(costs[0])


# ------------------------------------------------------------------------------------------------ where tokens lead


@subroutine("int64(int64[::1], int64)")
def without_name(ctx, q):
    """A node that is within a name that nobody declared, with NO_NAME for its text where that makes no difference."""
    nodes, rows = i32(ctx, NODES), i32(ctx, ROWS)
    row, x, y, below = nodes[4 * q], nodes[4 * q + 1], nodes[4 * q + 2], nodes[4 * q + 3]
    if row >= LEAF or x >= 0 or rows[ROW_WIDTH * row + R_FLAGS] & NAMES == 0:
        return q
    cells = i32(ctx, CELLS)
    place, state, escape = cells[4 * ~x], cells[4 * ~x + 1], cells[4 * ~x + 2]
    data, d = i32(ctx, DATA), rows[ROW_WIDTH * row + R_DESC]
    if place >= 0 or not is_clean(ctx, y, ~place):
        return q
    if rows[ROW_WIDTH * row + R_FLAGS] & CLASS:
        o = d + data[d + D_CLASS] + C_WIDTH * rows[ROW_WIDTH * row + R_BODY]
        if data[o + C_SIZE] >= 0 or data[o + C_SIZES] != 0:
            return q
    no_name = cell(ctx, EMPTY_STRING, NO_NAME, 1, CELL_STRING)
    return node(ctx, row, ~cell(ctx, ~no_name, state, escape, CELL_TYPING), y, below)


@subroutine("int64(int64[::1], int64)")
def without_names(ctx, ref):
    """As without_name, of a configuration. The caller has made sure of room for a byte."""
    if ref >= 0:
        return without_name(ctx, ref)
    ids = i32(ctx, SCRATCH)[ID_PART:]
    n = width(ctx, ref)
    for i in range(n):
        ids[i] = without_name(ctx, member(ctx, ref, i))
    return node_set(ctx, ids, n)


@subroutine("int64(int64[::1], int32[::1], int32[::1], int64)")
def number_of(scan, numbered, index, ref):
    """The number of a configuration, a new one if it has none. The caller has made sure that one is left."""
    mask = index.shape[0] - 1
    h = mix(17, ref) & mask
    while index[h] != 0:
        if numbered[index[h] - 1] == ref:
            return index[h] - 1
        h = (h + 1) & mask
    n = scan[S_NUMBERS]
    numbered[n] = ref
    scan[S_NUMBERS] = n + 1
    index[h] = n + 1
    return n


@kernel("int64(int64, int64[::1], int32[:, ::1], int32[::1], int32[::1], int32[::1], int32[:, ::1])")
def scan_tokens(address, scan, moves, numbered, index, path, steps):
    """Finds where every token leads from a configuration: OK, or why the caller has to serve and call again.

    scan : int64[SCAN_WIDTH], in and out; zeros but for S_FROM begin one. moves : int32[n, 256], zeroed, what a byte
    makes of each number. numbered : int32[n], the configuration of a number. index : int32[2^k], zeroed, hash of
    numbered. path : int32[deepest + 1], scratch: numbers by depth. steps : int32[m, 2], out: tokens and the numbers
    that they lead to; m is at least the number of tokens.
    """
    ctx = context_at(address)
    s = store_of(ctx)
    byte, depth, end = u8(s, T_BYTE), i32(s, T_DEPTH), i32(s, T_END)
    token_first, tokens = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    i = scan[S_PLACE]
    if i == 0:
        path[0] = number_of(scan, numbered, index, scan[S_FROM])
        i += 1
    places = end[0]
    while i < places:
        at, b = path[depth[i] - 1], byte[i]
        to = moves[at, b]
        if to == UNKNOWN_MOVE:
            scan[S_PLACE] = i
            if scan[S_NUMBERS] >= moves.shape[0]:
                return WANTS_NUMBERS
            status, ref = advance(ctx, s, numbered[at], b)
            if status != OK:
                return status
            to = NO_MOVE
            if ref != DEAD:
                if not room_for_a_byte(ctx):
                    return WANTS_ROOM
                to = number_of(scan, numbered, index, without_names(ctx, ref)) + 1
            moves[at, b] = to
        if to == NO_MOVE:
            i = end[i]
            continue
        path[depth[i]] = to - 1
        for k in range(token_first[i], token_first[i + 1]):
            n = scan[S_TOKENS]
            steps[n, 0] = tokens[k]
            steps[n, 1] = to - 1
            scan[S_TOKENS] = n + 1
        i += 1
    scan[S_PLACE] = 0
    return OK
