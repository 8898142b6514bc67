"""What a sparse leaf state allows below a place of the token tree: both are trees of few branches, walked together.

The record is that of record_kernels.py, and is memoised with the others; it is made in another way: at each pair of a
place and a state, the shorter of the two lists of bytes is gone through and looked up in the longer. So a state of one
edge costs a search for each byte of a token, and the start of a million names no more than the token tree has places.

Its exits are pairs (place, leaf state there), since what follows may depend on where the leaf ended.

Cost, Llama 3: 0.1 us a pair; the start of a million names, which every fifth place of the tree is on, 5 ms.
"""

from __future__ import annotations

from .kernel import (
    i32_at,
    i64_at,
    subroutine,
    u8_at,
)
from .place_kernels import children, is_left_out, node_of
from .record_table_kernels import (
    LONGEST_LIST,
    begin_record,
    end_record,
    find_record,
    room_for_a_record,
)
from .table_kernels import (
    F_ACCEPTING,
    F_BASE,
    F_FIRST,
    F_LABEL,
    F_TARGET,
    M_BASE,
    M_WORDS,
    MISC,
    OUT,
    RECORD_INTS,
    SPARSE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_END,
    T_TOKEN_FIRST,
    T_TOKENS,
    bit,
    i32,
    room,
    sparse_leaf,
    u8,
)


@subroutine("int64(int64[::1], int64, int64, int32[::1], int64)")
def push_pairs(s, t, q, stack, n):
    """Pushes (place, state) for each byte that leads on both from place t and from sparse leaf state q.

    stack : int32[..., 2], n of its numbers in use; the new n.
    """
    leaf = sparse_leaf(s, q)
    base = SPARSE + leaf[F_BASE]
    first = i32_at(leaf[F_FIRST], q - base + 2)
    e, edges = int(first[q - base]), int(first[q - base + 1])
    label, target = u8_at(leaf[F_LABEL], edges), i32_at(leaf[F_TARGET], edges)
    byte, child = u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    c, ways = children(s, t)
    few_edges = edges - e <= ways - c
    while e < edges and c < ways:
        if few_edges:
            low, high = c, ways
            while low < high:
                mid = (low + high) >> 1
                if byte[mid] < label[e]:
                    low = mid + 1
                else:
                    high = mid
            c = low
        else:
            low, high = e, edges
            while low < high:
                mid = (low + high) >> 1
                if label[mid] < byte[c]:
                    low = mid + 1
                else:
                    high = mid
            e = low
        if e < edges and c < ways and label[e] == byte[c] and not is_left_out(s, t, byte[c]):
            stack[n] = child[c]
            stack[n + 1] = base + target[e]
            n += 2
        if few_edges:
            e += 1
        else:
            c += 1
    return n


@subroutine("boolean(int64[::1], int64)")
def accepts(s, q):
    """Whether a sparse leaf may end in a state."""
    leaf = sparse_leaf(s, q)
    state = q - SPARSE - leaf[F_BASE]
    return u8_at(leaf[F_ACCEPTING], state + 1)[state] != 0


@subroutine("UniTuple(int64, 2)(int64[::1], int64, int64, int32[::1], int32[::1], int32[::1])")
def find_together(s, t, q, stack, found, bits):
    """Walks the subtree of t from sparse leaf state q. Returns (tokens, exits).

    stack : int32, scratch, two for each place. bits : int32[words], zeroed, out: the tokens.
    found : int32, out: the first LONGEST_LIST tokens, then the exits as pairs (place, state).
    """
    token_first, token_ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    child_first = i32(s, T_CHILD_FIRST)
    tokens, exits = 0, 0
    n = push_pairs(s, t, q, stack, 0)
    while n > 0:
        n -= 2
        place, state = int(stack[n]), int(stack[n + 1])
        for k in range(token_first[place], token_first[place + 1]):
            token = token_ids[k]
            bits[token >> 5] |= bit(token)
            if tokens < LONGEST_LIST:
                found[tokens] = token
            tokens += 1
        if child_first[place] == child_first[place + 1]:
            continue
        if accepts(s, state):
            found[LONGEST_LIST + 2 * exits] = place
            found[LONGEST_LIST + 2 * exits + 1] = state
            exits += 1
        n = push_pairs(s, place, state, stack, n)
    return tokens, exits


@subroutine("int64(int64[::1], int64, int64)")
def sparse_record(s, t, q):
    """Record id of (t, q), made if new, of a sparse leaf state; -1 without room (the caller grows and calls again)."""
    known = find_record(s, t, q, -1)
    if known >= 0:
        return known
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    # Every place is met at most once: the automaton is deterministic.
    node = node_of(s, t)
    places = 2 * (i32(s, T_END)[node] - node)
    if not room_for_a_record(s, 2 * places + LONGEST_LIST + words, LONGEST_LIST):
        return -1
    base = s[3 * OUT + 2]
    free = i32(s, OUT)[base:]
    bits = free[:words]
    stack = free[words : words + places]
    found = free[words + places : words + 2 * places + LONGEST_LIST]
    bits[:] = 0
    tokens, exits = find_together(s, t, q, stack, found, bits)
    listed = tokens if tokens <= LONGEST_LIST else 0
    if not room(s, RECORD_INTS, listed + 2 * exits):
        return -1
    at = begin_record(s, t, q, -1, tokens, bits, found)
    ints = i32(s, RECORD_INTS)
    for k in range(2 * exits):
        ints[at + k] = found[LONGEST_LIST + k]
    return end_record(s, exits)
