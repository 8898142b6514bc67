"""What a walk over the token tree (walk_kernels.py) writes: the tokens that it allows.

OUT is the list of them, and SEEN has a bit for each that is in it. Up to MOST_BASES rows that are there already are not
taken apart: the walk notes them (M_BASE), and whoever makes the mask joins them with the list.
"""

from __future__ import annotations

from .joined_place_kernels import members_of
from .kernel import device, i64_at, subroutine
from .place_kernels import is_joined, number_of_nodes
from .record_kernels import dense_within
from .record_table_kernels import LONGEST_LIST, P_DENSE, P_LIST, P_MOST, P_NEEDS, P_TOKENS
from .table_kernels import (
    DENSE,
    JOINED_PLACES,
    M_BASE,
    M_BASES,
    M_WORDS,
    MISC,
    MOST_BASES,
    OUT,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    SEEN,
    T_TOKEN_FIRST,
    T_TOKENS,
    bit,
    i32,
)


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
