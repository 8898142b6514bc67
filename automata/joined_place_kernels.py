"""Many places of the token tree as one: where a walk goes on in the same way from each of them.

A name ends at a thousand places of the tree, before `.`, `(`, ` =`…, and whatever follows it in the grammar would be
walked from each. The texts below those places are mostly the same few, so the walk goes on from the places *joined*:
what is below a joined place is what is below any of its members, the same bytes once, with the tokens of all (the
subset construction, over the tree).

A joined place has the number n + o (n nodes are in the tree), where o is its offset in JOINED_PLACES: there are the
number of its members and the members, at least two, each a node or a way (place_kernels.py). Equal lists are one place.
Its ways are made by `open_place`, behind those of the tree in T_CHILD_BYTE and T_CHILD_NODE; JOINED_WAYS[o] is the
first of them, JOINED_WAYS[o + 1] how many there are, + 1 (0: the place is not open). A way down to a single node leads
to that node, so that only what several members share is ever made.

INVARIANT: members of a joined place are distinct, and none of their ways is that of another; a way that leads to a
joined place may be a member, a joined place may not.
Cost: 10 ns for each way of a member.
"""

from __future__ import annotations

from .kernel import device, i64_at, subroutine
from .place_kernels import children, is_joined, is_left_out, number_of_nodes
from .table_kernels import (
    BYTE_COUNTS,
    FULL,
    JOINED_INDEX,
    JOINED_PLACES,
    JOINED_WAYS,
    M_BASE,
    M_ITEMS,
    MISC,
    T_CHILD_BYTE,
    T_CHILD_NODE,
    i32,
    mix,
    room,
    room_index,
    u8,
)

# Items after which a walk counts as wildly ambiguous, and how many ways joined count as one.
PATIENCE = 1 << 17
WAYS_OF_AN_ITEM = 4


@device
def is_open(s, t):
    """Whether the ways of a place are there."""
    return not is_joined(s, t) or i32(s, JOINED_WAYS)[t - number_of_nodes(s) + 1] != 0


@subroutine("int64(int64[::1], int64)")
def members_of(s, t):
    """How many members a joined place has; they are in JOINED_PLACES from its offset + 1 on."""
    return i32(s, JOINED_PLACES)[t - number_of_nodes(s)]


@subroutine("int64(int64[::1], int64, int64)")
def joined_of(s, first, n):
    """The joined place of the members JOINED_PLACES[first : first + n], n >= 2, behind all others; made if new.

    The caller has made sure of room: one element before `first`, and one entry of the index.
    """
    joined = i32(s, JOINED_PLACES)
    slots = i32(s, JOINED_INDEX)
    mask = slots[0]
    h = n
    for k in range(n):
        h = mix(h, joined[first + k])
    h = h & mask
    while slots[1 + h] != 0:
        o = slots[1 + h] - 1
        same = joined[o] == n
        k = 0
        while same and k < n:
            same = joined[o + 1 + k] == joined[first + k]
            k += 1
        if same:
            return number_of_nodes(s) + o
        h = (h + 1) & mask
    # What is looked up is moved to the end of what is kept, which is not behind it.
    o = s[3 * JOINED_PLACES + 2]
    for k in range(n):
        joined[o + 1 + k] = joined[first + k]
    joined[o] = n
    ways = i32(s, JOINED_WAYS)
    ways[o : o + n + 1] = 0
    s[3 * JOINED_PLACES + 2] = o + n + 1
    s[3 * JOINED_WAYS + 2] = o + n + 1
    s[3 * JOINED_INDEX + 2] += 1
    slots[1 + h] = o + 1
    return number_of_nodes(s) + o


@device
def room_for_joined(s, members, places):
    """Whether so many joined places, of so many members together, can be looked up and made."""
    n = 2 * members + places
    return room(s, JOINED_PLACES, n) and room(s, JOINED_WAYS, n) and room_index(s, JOINED_INDEX, places)


@subroutine("int64(int64[::1], int32[::1], int64, int64)")
def join(s, places, stride, n):
    """One place for those at places[0], places[stride], … (n >= 1 of them); -1 without room.

    places : nodes, ways, and joined places, whose members count as theirs.
    """
    if n == 1:
        return places[0] + 0
    total = 0
    for k in range(n):
        total += members_of(s, places[stride * k]) if is_joined(s, places[stride * k]) else 1
    if not room_for_joined(s, total, 1):
        return -1
    joined = i32(s, JOINED_PLACES)
    first = s[3 * JOINED_PLACES + 2] + total + 1  # behind where they would be kept
    at = first
    for k in range(n):
        at = add_member(s, joined, at, places[stride * k])
    return joined_of(s, first, total)


@subroutine("int64(int64[::1], int32[::1], int64, int64)")
def add_member(s, joined, at, t):
    """Writes a place, or its members, to joined[at:]; where the next goes."""
    if not is_joined(s, t):
        joined[at] = t
        return at + 1
    o = t - number_of_nodes(s)
    for k in range(joined[o]):
        joined[at + k] = joined[o + 1 + k]
    return at + joined[o]


@subroutine("boolean(int64[::1], int64)")
def open_place(s, t):
    """Makes the ways of a joined place. False without room, and where the walk has lost its patience: text that may be
    cut anywhere, again and again, joins places without end.
    """
    o = t - number_of_nodes(s)
    counts = i32(s, BYTE_COUNTS)
    counts[:257] = 0
    total = count_ways(s, o, counts)
    state = i64_at(s[3 * MISC], M_BASE)
    state[M_ITEMS] = min(state[M_ITEMS] + total // WAYS_OF_AN_ITEM, PATIENCE)
    if state[M_ITEMS] == PATIENCE:
        s[3 * FULL + 1] = 0  # the next item will be one too many
        return False
    distinct, joined_ones = 0, 0
    for b in range(256):
        distinct += counts[b] > 0
        joined_ones += counts[b] > 1
    if not (room_for_joined(s, total, joined_ones) and room(s, T_CHILD_BYTE, distinct)):
        return False
    if not room(s, T_CHILD_NODE, distinct):
        return False
    # Buckets by byte, behind where they would be kept; counts[b] becomes where the next of b goes.
    joined = i32(s, JOINED_PLACES)
    at = s[3 * JOINED_PLACES + 2] + total + joined_ones
    for b in range(256):
        n = counts[b] + 0
        counts[b] = at
        at += n
    counts[256] = at
    fill_buckets(s, o, counts)
    byte, below = u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    first = s[3 * T_CHILD_NODE + 2]
    way = first
    begin = s[3 * JOINED_PLACES + 2] + total + joined_ones
    for b in range(256):
        end = counts[b] + 0  # its bucket is full
        if end > begin:
            byte[way] = b
            below[way] = joined[begin] if end == begin + 1 else joined_of(s, begin, end - begin)
            way += 1
        begin = end
    s[3 * T_CHILD_NODE + 2] = way
    s[3 * T_CHILD_BYTE + 2] = way
    ways = i32(s, JOINED_WAYS)
    ways[o] = first
    ways[o + 1] = way - first + 1
    return True


@subroutine("int64(int64[::1], int64, int32[::1])")
def count_ways(s, o, counts):
    """Counts the places one byte below the members of the joined place at offset o, by byte; how many in all."""
    joined, byte, below = i32(s, JOINED_PLACES), u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    total = 0
    for k in range(o + 1, o + 1 + joined[o]):
        low, high = children(s, joined[k])
        for i in range(low, high):
            if not is_left_out(s, joined[k], byte[i]):
                n = members_of(s, below[i]) if is_joined(s, below[i]) else 1
                counts[byte[i]] += n
                total += n
    return total


@subroutine("void(int64[::1], int64, int32[::1])")
def fill_buckets(s, o, next_of):
    """Writes the places one byte below the members of the joined place at offset o to JOINED_PLACES.

    next_of : int32[256], where the next one of each byte goes, in and out.
    """
    joined, byte, below = i32(s, JOINED_PLACES), u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    for k in range(o + 1, o + 1 + joined[o]):
        t = joined[k]
        low, high = children(s, t)
        for i in range(low, high):
            if not is_left_out(s, t, byte[i]):
                next_of[byte[i]] = add_member(s, joined, next_of[byte[i]], below[i])
