"""What a leaf state allows below a place of the token tree: computed once, shared by every grammar of the vocabulary.

record_table_kernels says what a record is. There are three ways to make one: by a scan of the subtree; from the record
of another state of the automaton (likeness_kernels); and, of a state that is as wide as plain string content (L_LIKE),
from that content's record, which differs in its closing quotes alone, so that a pattern's many states cost 200 short
paths each, not the whole tree.
"""

from __future__ import annotations

from .greedy_dfa import ASCII
from .joined_place_kernels import is_open, join, members_of, open_place
from .kernel import (
    i64_at,
    kernel,
    subroutine,
)
from .likeness_kernels import (
    changed_record,
    likest_record,
    room_for_a_change,
)
from .place_kernels import children, holds, is_joined, is_left_out, is_shared, node_of, number_of_nodes, way
from .record_table_kernels import (
    CLOSING,
    JOINED,
    LONGEST_LIST,
    OUTSIDE,
    P_DENSE,
    P_EXIT,
    P_EXITS,
    P_LIST,
    P_MOST,
    P_NEEDS,
    P_PLACE,
    P_ROWS,
    P_STATE,
    P_STOP,
    P_TOKENS,
    P_WITH_EXITS,
    dense_row,
    find_record,
    index_record,
    room_for_a_record,
    room_for_a_row,
    scan_step,
    written_record,
)
from .table_kernels import (
    ACCEPTS,
    BETWEEN,
    DENSE,
    GREEDY,
    JOINED_PLACES,
    L_CLASS,
    L_FLAGS,
    L_LIKE,
    L_NEAR,
    L_ROW,
    L_START,
    LEAF_CLASSES,
    LEAF_DONE,
    LEAF_INFO,
    LEAF_WIDTH,
    LEAVES,
    LENIENT,
    M_BASE,
    M_DEEPEST,
    M_WORDS,
    MISC,
    OUT,
    QUOTE,
    RECORD_INDEX,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    S_FOLLOWED,
    S_LONGEST,
    S_ROWS,
    S_RUNS,
    SPACES,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_PARENT,
    T_TOKEN_FIRST,
    T_TOKENS,
    bit,
    context_at,
    i32,
    leaf_flags,
    leaf_step,
    room,
    room_index,
    u8,
)

# Subtrees smaller than this are scanned even where a record could be copied.
SMALL_SUBTREE = 256


@subroutine("UniTuple(int64, 3)(int64[::1], int64, int64, int64, int32[::1], int32[::1])")
def scan_subtree(s, t, q, stop, found, depths):
    """Lists the tokens and exits below t in state q. Returns (tokens, exits, most needed).

    found : int32[4 * n], out: pairs (token, need) from the front, pairs (place, iterations) from the middle on.
    depths : int32[2 * (deepest + 1)], scratch: state and iterations by depth.
    """
    leaves = i32(s, LEAVES)
    info = i32(s, LEAF_INFO)
    byte = u8(s, T_BYTE)
    end = i32(s, T_END)
    depth = i32(s, T_DEPTH)
    token_first = i32(s, T_TOKEN_FIRST)
    token_ids = i32(s, T_TOKENS)
    child_first = i32(s, T_CHILD_FIRST)
    below = i32(s, T_CHILD_NODE)
    classes = i32(s, LEAF_CLASSES)[info[LEAF_WIDTH * q + L_CLASS] :]
    top = depth[node_of(s, t)]
    depths[0] = q
    depths[1] = 0
    half = found.shape[0] // 2
    tokens, exits, most = 0, 0, 0
    low, high = children(s, t)
    for k in range(low, high):
        i = below[k]
        stop_at = i if is_left_out(s, t, byte[i]) else end[i]
        while i < stop_at:
            d = depth[i] - top
            done = depths[2 * d - 1]
            q2 = scan_step(leaves, info, classes, stop, depths[2 * d - 2], byte[i])
            if q2 <= 0:
                if q2 == OUTSIDE:
                    found[half + 2 * exits] = i
                    # The end by a quote before which nothing is counted has no iterations.
                    found[half + 2 * exits + 1] = 0 if stop == CLOSING else done
                    exits += 1
                i = end[i]
                continue
            if info[LEAF_WIDTH * q2 + L_FLAGS] & BETWEEN:
                done += 1
            need = done + info[LEAF_WIDTH * q2 + L_NEAR]
            for m in range(token_first[i], token_first[i + 1]):
                found[2 * tokens] = token_ids[m]
                found[2 * tokens + 1] = need
                tokens += 1
                most = max(most, need)
            if child_first[i] == child_first[i + 1]:
                i += 1
                continue
            if stop == -1 and info[LEAF_WIDTH * q2 + L_FLAGS] & ACCEPTS:
                found[half + 2 * exits] = i
                found[half + 2 * exits + 1] = done
                exits += 1
            depths[2 * d] = q2
            depths[2 * d + 1] = done
            i += 1
    return tokens, exits, most


@subroutine("int64(int64[::1], int64, int64, int64, int64)")
def wide_record(s, t, q, stop, pattern):
    """The record of (t, q, stop) from `pattern`, that of content as wide: only the closing quotes are looked at anew.

    stop : -1 or CLOSING; that of the pattern is QUOTE. The caller has made sure of room.
    """
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    byte, parent, depth = u8(s, T_BYTE), i32(s, T_PARENT), i32(s, T_DEPTH)
    token_first, token_ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    child_first = i32(s, T_CHILD_FIRST)
    records, ints = i32(s, RECORDS), i32(s, RECORD_INTS)
    p = RECORD_WIDTH * pattern
    o = s[3 * RECORDS + 2]
    at = s[3 * RECORD_INTS + 2]
    base = s[3 * OUT + 2]
    bits = i32(s, OUT)[base : base + words]
    bits[:] = 0
    if records[p + P_DENSE] >= 0:
        row = records[p + P_DENSE] * words
        for w in range(words):
            bits[w] = i32(s, DENSE)[row + w]
    tokens = records[p + P_TOKENS]
    records[o + P_PLACE], records[o + P_STATE], records[o + P_STOP] = t, q, stop
    records[o + P_NEEDS], records[o + P_MOST], records[o + P_ROWS] = at, 0, at
    records[o + P_LIST] = at
    if records[p + P_DENSE] < 0:
        for k in range(tokens):
            ints[at + k] = ints[records[p + P_LIST] + k]
        at += tokens
    # Tokens that end at a closing quote that is open to q, if they are in the leaf, and the places where the leaf ends:
    # with more to come, or before a quote that is not in it.
    exits = records[p + P_EXITS]
    kept = 0
    for pass_ in range(2):
        if pass_ == 1:
            records[o + P_TOKENS] = tokens
            records[o + P_EXIT] = at
        for k in range(exits):
            e = ints[records[p + P_EXIT] + 2 * k]
            n = depth[e] - depth[t]
            q1 = q
            for i in range(n):
                v = e
                for _ in range(n - 1 - i):
                    v = parent[v]
                q1 = leaf_step(s, q1, byte[v])
            if q1 == 0:
                continue
            if pass_ == 0 and stop == -1:
                for m in range(token_first[e], token_first[e + 1]):
                    bits[token_ids[m] >> 5] |= bit(token_ids[m])
                    if records[p + P_DENSE] < 0:
                        ints[at] = token_ids[m]
                        at += 1
                    tokens += 1
            elif pass_ == 1 and (stop == CLOSING or child_first[e] < child_first[e + 1]):
                ints[at] = e
                ints[at + 1] = 0
                at += 2
                kept += 1
    records[o + P_EXITS] = kept
    records[o + P_DENSE] = dense_row(s, bits, 0) if records[p + P_DENSE] >= 0 else -1
    s[3 * RECORD_INTS + 2] = at
    return index_record(s, t, q, stop)


@subroutine(
    "UniTuple(int64, 2)(int64[::1], int64, int64, int64, int32[::1], int32[::1], int32[::1], int32[::1], int64, int64)"
)
def scan_plain(s, t, q, stop, bits, listed, left, states, tokens, exits):
    """As scan_subtree, where nothing is counted. Returns (tokens, exits), those that were there before included.

    bits : int32[words], out: the tokens. listed : int32[LONGEST_LIST], out: the first of them. left : int32[n], out:
    the exits. states : int32[deepest + 1], scratch: state by depth.
    """
    leaves, info = i32(s, LEAVES), i32(s, LEAF_INFO)
    byte, end, depth = u8(s, T_BYTE), i32(s, T_END), i32(s, T_DEPTH)
    token_first, token_ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    below = i32(s, T_CHILD_NODE)
    classes = i32(s, LEAF_CLASSES)[info[LEAF_WIDTH * q + L_CLASS] :]
    top = depth[node_of(s, t)]
    states[0] = q
    low, high = children(s, t)
    for first in range(low, high):
        i = below[first]
        stop_at = i if is_left_out(s, t, byte[i]) else end[i]
        while i < stop_at:
            d = depth[i] - top
            q2 = scan_step(leaves, info, classes, stop, states[d - 1], byte[i])
            if q2 <= 0:
                if q2 == OUTSIDE:
                    left[exits] = i
                    exits += 1
                i = end[i]
                continue
            for k in range(token_first[i], token_first[i + 1]):
                token = token_ids[k]
                bits[token >> 5] |= bit(token)
                if tokens < LONGEST_LIST:
                    listed[tokens] = token
                tokens += 1
            states[d] = q2
            if end[i] > i + 1 and stop == -1 and info[LEAF_WIDTH * q2 + L_FLAGS] & ACCEPTS:
                left[exits] = i
                exits += 1
            i += 1
    return tokens, exits


@subroutine(
    "UniTuple(int64, 2)(int64[::1], int64, int64, boolean, int32[::1], int32[::1], int32[::1], int32[::1],"
    " int64, int64)"
)
def scan_greedy(s, t, q, own, bits, listed, left, states, tokens, exits):
    """As scan_plain, of a greedy leaf: its exits are the ways that are not held where it accepts.

    own : whether those of t itself are among them. states : int32[2 * (deepest + 1)], scratch: state and next way by
    depth.
    """
    leaves, info = i32(s, LEAVES), i32(s, LEAF_INFO)
    byte, end, depth = u8(s, T_BYTE), i32(s, T_END), i32(s, T_DEPTH)
    token_first, token_ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    below, child_first = i32(s, T_CHILD_NODE), i32(s, T_CHILD_FIRST)
    classes = i32(s, LEAF_CLASSES)[info[LEAF_WIDTH * q + L_CLASS] :]
    lenient = info[LEAF_WIDTH * q + L_FLAGS] & LENIENT != 0
    top = depth[node_of(s, t)]
    states[0] = q
    low, high = children(s, t)
    for first in range(low, high):
        i = below[first]
        stop_at = i if is_left_out(s, t, byte[i]) else end[i]
        while i < stop_at:
            d = depth[i] - top
            q1 = states[2 * d - 2]
            k = first if d == 1 else states[2 * d - 1]
            states[2 * d - 1] = k + 1
            to = leaves[info[LEAF_WIDTH * q1 + L_ROW] + classes[byte[i]]]
            if to == 0 or (lenient and byte[i] >= ASCII):
                if (own or d > 1) and info[LEAF_WIDTH * q1 + L_FLAGS] & ACCEPTS:
                    left[exits] = way(k)
                    exits += 1
            if to <= 0:
                i = end[i]
                continue
            for m in range(token_first[i], token_first[i + 1]):
                token = token_ids[m]
                bits[token >> 5] |= bit(token)
                if tokens < LONGEST_LIST:
                    listed[tokens] = token
                tokens += 1
            if info[LEAF_WIDTH * to + L_FLAGS] & LEAF_DONE:
                if end[i] > i + 1:
                    left[exits] = i
                    exits += 1
                i = end[i]
                continue
            states[2 * d] = to
            states[2 * d + 1] = child_first[i]
            i += 1
    return tokens, exits


@subroutine("int64(int64[::1], int64, int32[::1], int32[::1], int64)")
def scan_tokens(s, t, bits, listed, tokens):
    """Adds the tokens that end at a place to a scan's; how many there are then."""
    first, ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    n = members_of(s, t) if is_joined(s, t) else 1
    for k in range(n):
        i = i32(s, JOINED_PLACES)[t - number_of_nodes(s) + 1 + k] if is_joined(s, t) else t
        for m in range(first[i], first[i + 1]):
            bits[ids[m] >> 5] |= bit(ids[m])
            if tokens < LONGEST_LIST:
                listed[tokens] = ids[m]
            tokens += 1
    return tokens


@subroutine(
    "UniTuple(int64, 2)(int64[::1], int64, int64, int32[::1], int32[::1], int32[::1], int32[::1], int32[::1])"
)
def scan_shared(s, t, q, bits, listed, left, states, waiting):
    """As scan_plain or scan_greedy, of a place that is shared: (tokens, exits), those of t itself included where the
    leaf is greedy; or (-1, -1) without room.

    left : int32[…], out: of any length, as members that are below one another are scanned once for each: there may be
    more exits than nodes. waiting : int32[2 * 256 * deepest], scratch: joined places to scan, and the states there.
    """
    byte, below = u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    first, end = i32(s, T_CHILD_FIRST), i32(s, T_END)
    greedy = leaf_flags(s, q) & GREEDY != 0
    tokens, exits, n = 0, 0, 2
    waiting[0], waiting[1] = t, q
    while n > 0:
        n -= 2
        place, state = int(waiting[n]), int(waiting[n + 1])
        if not is_open(s, place) and not open_place(s, place):
            return -1, -1
        low, high = children(s, place)
        for k in range(low, high):
            to = leaf_step(s, state, byte[k])
            c = below[k] + 0
            # Its way, itself, and what is below it.
            if exits + 2 + (0 if is_joined(s, c) else end[c] - c) > left.shape[0]:
                room(s, OUT, 2 * s[3 * OUT + 1])  # which is not there
                return -1, -1
            if greedy and leaf_flags(s, state) & ACCEPTS and not holds(s, state, byte[k]):
                left[exits] = way(k)
                exits += 1
            if to <= 0:
                continue
            tokens = scan_tokens(s, c, bits, listed, tokens)
            if not is_joined(s, c) and first[c] == first[c + 1]:
                continue
            flags = leaf_flags(s, to)
            if flags & (LEAF_DONE if greedy else ACCEPTS):
                left[exits] = c
                exits += 1
            if flags & LEAF_DONE:
                continue
            if is_joined(s, c):
                waiting[n], waiting[n + 1] = c, to
                n += 2
            elif greedy:
                tokens, exits = scan_greedy(s, c, to, True, bits, listed, left, states, tokens, exits)
            else:
                tokens, exits = scan_plain(s, c, to, -1, bits, listed, left, states, tokens, exits)
    return tokens, exits


@subroutine("int64(int64[::1], int64, int64)")
def shared_record(s, t, q):
    """As plain_record, of a place that is shared, without a stop byte."""
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    deepest = i64_at(s[3 * MISC], M_BASE)[M_DEEPEST]
    stack, places = 2 * deepest + 4, number_of_nodes(s)
    if not room_for_a_record(s, words + stack + 512 * deepest + LONGEST_LIST + places, LONGEST_LIST):
        return -1
    free = i32(s, OUT)[s[3 * OUT + 2] :]
    bits = free[:words]
    states = free[words : words + stack]
    free = free[words + stack :]
    waiting = free[: 512 * deepest]
    listed = free[512 * deepest : 512 * deepest + LONGEST_LIST]
    left = free[512 * deepest + LONGEST_LIST :]
    bits[:] = 0
    tokens, exits = scan_shared(s, t, q, bits, listed, left, states, waiting)
    if tokens < 0 or not room(s, RECORD_INTS, LONGEST_LIST + 2 * exits):
        return -1
    return written_record(s, t, q, -1, tokens, bits, listed, exits, left)


@subroutine("int64(int64[::1], int64)")
def exit_place(s, record):
    """All exits of a record as one place; -1 without room. The record has an exit, and no stop byte.

    P_WITH_EXITS holds the place + 1 where it is a joined one, or 0.
    """
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    if records[o + P_WITH_EXITS] > 0:
        return records[o + P_WITH_EXITS] - 1
    ints = i32(s, RECORD_INTS)
    place = join(s, ints[records[o + P_EXIT] :], 2, records[o + P_EXITS])
    if is_joined(s, place):
        records[o + P_WITH_EXITS] = place + 1
    return place


@subroutine("int64(int64[::1], int64, int64, int64)")
def plain_record(s, t, q, stop):
    """As scanned_record, where nothing is counted: tokens are bits at once, and a list only as long as they are few.

    PERF: half of the time of a scan that lists and sorts its tokens; it is what the first mask of most states costs.
    """
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    node = node_of(s, t)
    stack = 2 * i64_at(s[3 * MISC], M_BASE)[M_DEEPEST] + 4
    places = i32(s, T_END)[node] - node
    if not room_for_a_record(s, places + stack + words + LONGEST_LIST, 2 * places + LONGEST_LIST):
        return -1
    base = s[3 * OUT + 2]
    free = i32(s, OUT)[base:]
    bits = free[:words]
    states = free[words : words + stack]
    listed = free[words + stack : words + stack + LONGEST_LIST]
    left = free[words + stack + LONGEST_LIST : words + stack + LONGEST_LIST + places]
    bits[:] = 0
    if leaf_flags(s, q) & GREEDY:
        tokens, exits = scan_greedy(s, t, q, t != 0, bits, listed, left, states, 0, 0)
    else:
        tokens, exits = scan_plain(s, t, q, stop, bits, listed, left, states, 0, 0)
    return written_record(s, t, q, stop, tokens, bits, listed, exits, left)


@subroutine("int64(int64[::1], int64, int64, int64)")
def scanned_record(s, t, q, stop):
    """The record of (t, q, stop) by a scan of the subtree; -1 without room."""
    info = i32(s, LEAF_INFO)
    if leaf_flags(s, info[LEAF_WIDTH * q + L_START]) & BETWEEN == 0:
        return plain_record(s, t, q, stop)
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    token_first = i32(s, T_TOKEN_FIRST)
    end = i32(s, T_END)
    node = node_of(s, t)
    stack = 2 * i64_at(s[3 * MISC], M_BASE)[M_DEEPEST] + 2
    below = token_first[end[node]] - token_first[node + 1]
    places = end[node] - node
    widest = below if below > places else places
    if not room_for_a_record(s, 4 * widest + stack + words + 16, below + 2 * places):
        return -1
    base = s[3 * OUT + 2]
    free = i32(s, OUT)[base:]
    depths = free[:stack]
    found = free[stack : stack + 4 * widest]
    bits = free[stack + 4 * widest : stack + 4 * widest + words]
    tokens, exits, most = scan_subtree(s, t, q, stop, found, depths)
    if not room(s, RECORD_INTS, tokens + 2 * exits + 2 * most + 2):
        return -1
    ints = i32(s, RECORD_INTS)
    records = i32(s, RECORDS)
    o = s[3 * RECORDS + 2]
    records[o + P_PLACE], records[o + P_STATE], records[o + P_STOP] = t, q, stop
    at = s[3 * RECORD_INTS + 2]
    # List lengths by need, by counting sort: lengths[k] = tokens that need at most k iterations.
    records[o + P_NEEDS], records[o + P_MOST] = at, most
    lengths = ints[at : at + most + 1]
    rows = ints[at + most + 1 : at + 2 * most + 2]
    lengths[:] = 0
    rows[:] = -1
    records[o + P_ROWS] = at + most + 1
    at += 2 * most + 2
    for k in range(tokens):
        lengths[found[2 * k + 1]] += 1
    total = 0
    for k in range(most + 1):
        total += lengths[k]
        lengths[k] = total
    records[o + P_LIST], records[o + P_TOKENS] = at, tokens
    for k in range(tokens - 1, -1, -1):
        need = found[2 * k + 1]
        lengths[need] -= 1
        ints[at + lengths[need]] = found[2 * k]
    # The sort has moved each length to the start of its group; restore the ends.
    for k in range(most):
        lengths[k] = lengths[k + 1]
    lengths[most] = tokens
    records[o + P_DENSE] = -1
    if tokens > LONGEST_LIST:
        bits[:] = 0
        for k in range(tokens):
            bits[ints[at + k] >> 5] |= bit(ints[at + k])
        records[o + P_DENSE] = dense_row(s, bits, 0)
    # Where no token needs more than one iteration, those within a bound are none or all: the row says it.
    if records[o + P_DENSE] < 0 or most > 1:
        at += tokens
    records[o + P_EXIT], records[o + P_EXITS] = at, exits
    half = found.shape[0] // 2
    for k in range(2 * exits):
        ints[at + k] = found[half + k]
    s[3 * RECORD_INTS + 2] = at + 2 * exits
    return index_record(s, t, q, stop)


@subroutine("int64(int64[::1], int64, int64, int64)")
def changed_or_scanned(s, t, q, stop):
    """The record of (t, q, stop), from that of a state much like q if there is one; -1 without room."""
    if leaf_flags(s, i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_START]) & (BETWEEN | GREEDY) == 0:
        if not room_for_a_change(s, t):
            return -1
        known = likest_record(s, t, q, stop)
        if known >= 0:
            made = changed_record(s, t, q, stop, known)
            if made >= 0:
                return made
    return scanned_record(s, t, q, stop)


@subroutine("int64(int64[::1], int64, int64, int64)")
def record_of(s, t, q, stop):
    """Record id of (t, q, stop), made if new; -1 without room (the caller grows and calls again)."""
    known = find_record(s, t, q, stop)
    if known >= 0:
        return known
    like = i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_LIKE]
    if is_shared(s, t):
        return shared_record(s, t, q)
    if t < 0 or i32(s, T_END)[t] - t < SMALL_SUBTREE:
        return scanned_record(s, t, q, stop)
    if like == 0 or (stop != -1 and stop != CLOSING):
        return changed_or_scanned(s, t, q, stop)
    pattern = find_record(s, t, like, QUOTE)
    if pattern < 0:
        pattern = scanned_record(s, t, like, QUOTE)
        if pattern < 0:
            return -1
    o = RECORD_WIDTH * pattern
    records = i32(s, RECORDS)
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    listed = records[o + P_TOKENS] if records[o + P_DENSE] < 0 else 0
    token_first = i32(s, T_TOKEN_FIRST)
    ints = i32(s, RECORD_INTS)
    for k in range(records[o + P_EXITS]):
        e = ints[records[o + P_EXIT] + 2 * k]
        listed += 2 + token_first[e + 1] - token_first[e]
    if not room_for_a_record(s, words, listed + 64):
        return -1
    return wide_record(s, t, q, stop, pattern)


@kernel("int64(int64, int64, int64)")
def make_record(address, q, stop):
    """Makes the record of leaf state q for the whole token tree: its id, or -1 without room.

    address : the store's context.
    """
    return record_of(context_at(address), 0, q, stop)


@subroutine("int64(int64[::1], int64, int64)")
def dense_within(s, record, most):
    """Dense row of a record's tokens that need at most `most` iterations, made if new; -1 without room."""
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    if most >= records[o + P_MOST]:
        return records[o + P_DENSE]
    ints = i32(s, RECORD_INTS)
    place = records[o + P_ROWS] + most
    if ints[place] >= 0:
        return ints[place]
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    if not room_for_a_row(s, words):
        return -1
    base = s[3 * OUT + 2]
    bits = i32(s, OUT)[base : base + words]
    first = records[o + P_LIST]
    kept = ints[records[o + P_NEEDS] + most]
    tokens = records[o + P_TOKENS]
    if 2 * kept < tokens:
        bits[:] = 0
        for k in range(first, first + kept):
            bits[ints[k] >> 5] |= bit(ints[k])
    else:
        row = records[o + P_DENSE] * words
        rows = i32(s, DENSE)
        for w in range(words):
            bits[w] = rows[row + w]
        for k in range(first + kept, first + tokens):
            bits[ints[k] >> 5] &= ~bit(ints[k])
    made = dense_row(s, bits, 0)
    ints[place] = made
    return made


@subroutine("int64(int64[::1], int64, int64)")
def joined_row(s, a, b):
    """The dense row that is the union of two, made and memoised (as a record without a place) if new; -1 without room.

    The caller has made sure of room for a row in OUT.
    """
    known = find_record(s, -1 - a, b, JOINED)
    if known >= 0:
        return i32(s, RECORDS)[RECORD_WIDTH * known + P_DENSE]
    if not (room(s, RECORDS, RECORD_WIDTH) and room_index(s, RECORD_INDEX, 1)):
        return -1
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    dense = i32(s, DENSE)
    base = s[3 * OUT + 2]
    bits = i32(s, OUT)[base : base + words]
    for w in range(words):
        bits[w] = dense[a * words + w] | dense[b * words + w]
    row = dense_row(s, bits, 0)
    if row < 0:
        return -1
    records = i32(s, RECORDS)
    o = s[3 * RECORDS + 2]
    for k in range(RECORD_WIDTH):
        records[o + k] = 0
    records[o + P_PLACE], records[o + P_STATE], records[o + P_STOP], records[o + P_DENSE] = -1 - a, b, JOINED, row
    index_record(s, -1 - a, b, JOINED)
    return row


@subroutine("int64(int64[::1], int64)")
def row_with_exits(s, record):
    """The dense row of a record's tokens and of those that end at its exits, made if new; -1 without room.

    The record has a dense row. P_WITH_EXITS holds the row's id + 1, or 0.
    """
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    if records[o + P_WITH_EXITS] > 0:
        return records[o + P_WITH_EXITS] - 1
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    if not room_for_a_row(s, words):
        return -1
    base = s[3 * OUT + 2]
    bits = i32(s, OUT)[base : base + words]
    dense = i32(s, DENSE)
    for w in range(words):
        bits[w] = dense[records[o + P_DENSE] * words + w]
    ints = i32(s, RECORD_INTS)
    first, ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    for k in range(records[o + P_EXIT], records[o + P_EXIT] + 2 * records[o + P_EXITS], 2):
        for m in range(first[ints[k]], first[ints[k] + 1]):
            bits[ids[m] >> 5] |= bit(ids[m])
    row = dense_row(s, bits, 0)
    records[o + P_WITH_EXITS] = row + 1
    return row


@subroutine("int64(int64[::1], int64)")
def space_row(s, most):
    """The dense row of the tokens that are white space, of at most `most` bytes; made if new, -1 without room."""
    spaces = i32(s, SPACES)
    longest = spaces[S_LONGEST]
    most = min(most, longest)
    if spaces[S_ROWS + most] >= 0:
        return spaces[S_ROWS + most] + 0
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    if not room_for_a_row(s, words):
        return -1
    base = s[3 * OUT + 2]
    bits = i32(s, OUT)[base : base + words]
    bits[:] = 0
    first = i32(s, T_TOKEN_FIRST)
    ids = i32(s, T_TOKENS)
    runs = S_ROWS + longest + 1 + 2 * spaces[S_FOLLOWED]
    for k in range(runs, runs + 2 * spaces[S_RUNS], 2):
        t = spaces[k]
        if spaces[k + 1] <= most:
            for m in range(first[t], first[t + 1]):
                bits[ids[m] >> 5] |= bit(ids[m])
    row = dense_row(s, bits, 0)
    spaces[S_ROWS + most] = row
    return row
