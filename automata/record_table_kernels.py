"""How records of leaf states and dense rows of tokens are kept in a store: appended once, found by a hash.

A *record* of (place t, leaf state q, stop byte) says, for the subtree of t entered in state q: which tokens stay inside
the leaf, how many iterations of a loop body each of them needs, and the *exits*: the tree places at which the frame may
end with more of the token to come. Everything that depends on the stack below starts at an exit; inside a JSON string
that is 91 of 275,000 places (Llama 3), so masks of different grammars share nearly all of their work.

Two kinds of exit. Without a stop byte (stop = -1): places where the leaf accepts and that have children. With one (the
quote of a counted string or of a member's name): the children by that byte of places where the leaf accepts,
whether or not they have children themselves; their tokens are not in the record.

A greedy leaf ends before some bytes and not before others, so its exits are ways (place_kernels.py): from a place where
it accepts, those whose bytes it does not hold. Of the ways at t itself the walk takes care. A record of any leaf may be
that of a part of what is below a node, where another leaf has ended.

Needs, of a counted body: the iterations that a token completes and the fewest that must follow. Tokens are stored in
ascending order of need, so the tokens within a bound are a prefix of the list. Elsewhere all needs are 0. A record with
a dense row and no need beyond 1 has no list.

Record (int32[RECORD_WIDTH]): t, q, stop, dense row or -1, list offset, tokens, exit offset, exits, offset of the list
lengths by need (most + 2 of them), most needed, offset of dense rows by need, id + 1 of the dense row with the exits'
tokens (0: not made). Exits are pairs (place, iterations), in the order of the tree.
"""

from __future__ import annotations

from .kernel import (
    device,
    i64_at,
    subroutine,
)
from .table_kernels import (
    ACCEPTS,
    DENSE,
    DENSE_INDEX,
    L_FLAGS,
    L_ROW,
    LEAF_WIDTH,
    M_BASE,
    M_WORDS,
    MISC,
    OUT,
    QUOTE,
    RECORD_INDEX,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    i32,
    mix,
    room,
    room_index,
)

# Stop bytes of a record that are none: the leaf's own end (-1), and its end by a closing quote, before that quote.
CLOSING = -2
# Not a stop byte: two dense rows and their union, instead of a place and a state.
JOINED = -3
# Lists longer than this become dense rows (a row of Llama 3 is 4,008 words).
LONGEST_LIST = 1024
# No state: see scan_step.
OUTSIDE = -1
# Fields of a record.
P_PLACE, P_STATE, P_STOP, P_DENSE, P_LIST, P_TOKENS, P_EXIT, P_EXITS, P_NEEDS, P_MOST, P_ROWS, P_WITH_EXITS = range(12)


@subroutine("int64(int64[::1], int32[::1], int64)")
def dense_row(s, source, offset):
    """Id of the dense row equal to source[offset : offset + words], appended if new; -1 without room."""
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    rows = i32(s, DENSE)
    if not (room(s, DENSE, words) and room_index(s, DENSE_INDEX, 1)):
        return -1
    slots = i32(s, DENSE_INDEX)
    mask = slots[0]
    h = 7
    for i in range(words):
        h = mix(h, source[offset + i])
    h = h & mask
    while slots[1 + h] != 0:
        o = (slots[1 + h] - 1) * words
        i = 0
        while i < words and rows[o + i] == source[offset + i]:
            i += 1
        if i == words:
            return slots[1 + h] - 1
        h = (h + 1) & mask
    o = s[3 * DENSE + 2]
    for i in range(words):
        rows[o + i] = source[offset + i]
    s[3 * DENSE + 2] = o + words
    s[3 * DENSE_INDEX + 2] += 1
    slots[1 + h] = o // words + 1
    return o // words


@subroutine("boolean(int64[::1], int64)")
def room_for_a_row(s, scratch):
    """Whether one more dense row fits, and so many elements behind the walk's output to make it in."""
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    return room(s, OUT, scratch) and room(s, DENSE, words) and room_index(s, DENSE_INDEX, 1)


@subroutine("boolean(int64[::1], int64, int64)")
def room_for_a_record(s, scratch, ints):
    """As room_for_a_row, and whether one more record fits, with so many elements of its lists."""
    return (
        room_for_a_row(s, scratch)
        and room(s, RECORDS, RECORD_WIDTH)
        and room_index(s, RECORD_INDEX, 1)
        and room(s, RECORD_INTS, ints)
    )


@device
def scan_step(leaves, info, classes, stop, q, b):
    """The leaf state after byte b of a scan; 0: none; OUTSIDE: the byte is at an exit, what is below it left out."""
    if b == stop and info[LEAF_WIDTH * q + L_FLAGS] & ACCEPTS:
        return OUTSIDE
    to = leaves[info[LEAF_WIDTH * q + L_ROW] + classes[b]]
    if stop == CLOSING and b == QUOTE and info[LEAF_WIDTH * to + L_FLAGS] & ACCEPTS:
        return OUTSIDE
    return to


@subroutine("int64(int64[::1], int64, int64, int64)")
def find_record(s, t, q, stop):
    """Record id of (t, q, stop), or -1."""
    records = i32(s, RECORDS)
    slots = i32(s, RECORD_INDEX)
    mask = slots[0]
    h = mix(mix(mix(17, t), q), stop) & mask
    while True:
        found = slots[1 + h]
        if found == 0:
            return -1
        o = RECORD_WIDTH * (found - 1)
        if records[o] == t and records[o + 1] == q and records[o + 2] == stop:
            return found - 1
        h = (h + 1) & mask


@subroutine("int64(int64[::1], int64, int64, int64)")
def index_record(s, t, q, stop):
    """Counts the record that was just written and makes it known."""
    o = s[3 * RECORDS + 2]
    i32(s, RECORDS)[o + P_WITH_EXITS] = 0
    s[3 * RECORDS + 2] = o + RECORD_WIDTH
    s[3 * RECORD_INDEX + 2] += 1
    slots = i32(s, RECORD_INDEX)
    mask = slots[0]
    h = mix(mix(mix(17, t), q), stop) & mask
    while slots[1 + h] != 0:
        h = (h + 1) & mask
    slots[1 + h] = o // RECORD_WIDTH + 1
    return o // RECORD_WIDTH


@subroutine("int64(int64[::1], int64, int64, int64, int64, int32[::1], int32[::1])")
def begin_record(s, t, q, stop, tokens, bits, listed):
    """Writes a record where nothing is counted, but for its exits; where in RECORD_INTS those go.

    bits : int32[words], the tokens; listed : the same as a list, if it is no longer than LONGEST_LIST. The caller has
    made sure of room, writes the exits as pairs, and ends the record.
    """
    records, ints = i32(s, RECORDS), i32(s, RECORD_INTS)
    o, at = s[3 * RECORDS + 2], s[3 * RECORD_INTS + 2]
    records[o + P_PLACE], records[o + P_STATE], records[o + P_STOP] = t, q, stop
    records[o + P_NEEDS], records[o + P_MOST], records[o + P_ROWS] = at, 0, at
    records[o + P_LIST], records[o + P_TOKENS], records[o + P_DENSE] = at, tokens, -1
    if tokens > LONGEST_LIST:
        records[o + P_DENSE] = dense_row(s, bits, 0)
    else:
        for k in range(tokens):
            ints[at + k] = listed[k]
        at += tokens
    records[o + P_EXIT] = at
    return at


@subroutine("int64(int64[::1], int64)")
def end_record(s, exits):
    """Counts the record that was begun, with so many exits, and makes it known; its id."""
    records = i32(s, RECORDS)
    o = s[3 * RECORDS + 2]
    records[o + P_EXITS] = exits
    s[3 * RECORD_INTS + 2] = records[o + P_EXIT] + 2 * exits
    return index_record(s, records[o + P_PLACE], records[o + P_STATE], records[o + P_STOP])


@subroutine("int64(int64[::1], int64, int64, int64, int64, int32[::1], int32[::1], int64, int32[::1])")
def written_record(s, t, q, stop, tokens, bits, listed, exits, left):
    """Writes the record of so many tokens and exits, where nothing is counted: as begin_record.

    left : the places of the exits.
    """
    at = begin_record(s, t, q, stop, tokens, bits, listed)
    ints = i32(s, RECORD_INTS)
    for k in range(exits):
        ints[at + 2 * k] = left[k]
        ints[at + 2 * k + 1] = 0
    return end_record(s, exits)
