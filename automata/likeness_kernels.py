"""The record of a leaf state from that of another state of its automaton, by what tells the two apart.

Two states are alike for n bytes if no text of up to n bytes tells them apart: the same ones are allowed, and the leaf
may end after the same ones. A walk goes down the token tree in both states at once and passes over each subtree that
is no higher than its two states are alike for: what lies there is as the known record has it. States that differ
in a count alone (`^\\w+( \\w+){0,30}$`, a label's 63 letters) are alike for longer than nearly all tokens are long, and
those that part at a byte often meet again behind it: such a record costs 10 to 50 us, where a scan of the tree costs
300 to 2,000.

How long two states are alike for is found by a search over pairs of states, breadth first, and counted in *rounds*: 0
if they differ as they are, n + 1 if they are alike for n bytes. A search ends early, with fewer rounds, rather than
visit many pairs; the walk then goes farther down than it had to, and is given up for a scan where it goes too far.

Source: the rounds are those of Moore's partition refinement ("Gedanken-experiments on sequential machines",
1956), which would refine all states of automata that have thousands; only the pairs that a walk meets are asked for.
"""

from __future__ import annotations

from .kernel import (
    i64_at,
    subroutine,
)
from .record_table_kernels import (
    LONGEST_LIST,
    OUTSIDE,
    P_DENSE,
    P_EXIT,
    P_EXITS,
    P_LIST,
    P_PLACE,
    P_STATE,
    P_STOP,
    P_TOKENS,
    room_for_a_record,
    scan_step,
    written_record,
)
from .table_kernels import (
    ACCEPTS,
    DENSE,
    L_CLASS,
    L_FLAGS,
    L_ROW,
    L_START,
    LEAF_CLASSES,
    LEAF_DONE,
    LEAF_INFO,
    LEAF_WIDTH,
    LEAVES,
    M_BASE,
    M_DEEPEST,
    M_WORDS,
    MISC,
    OUT,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    SPARSE,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_FIRST,
    T_CHILD_NODE,
    T_DEPTH,
    T_END,
    T_HEIGHT,
    T_TOKEN_FIRST,
    T_TOKENS,
    bit,
    i32,
    leaf_step,
    mix,
    u8,
)

# Records, the last ones first, among which one of the same automaton is looked for; how many of those are compared, and
# for how many rounds: few tokens are longer.
LOOKED_AT, COMPARED, FAR_ENOUGH = 512, 6, 24
# Pairs that one search may visit, and slots to find them by (a power of two, at least twice as many).
PAIRS, PAIR_SLOTS = 1024, 2048
# Slots for what the searches of one walk found: two states, their rounds, and whether there are certainly no more to
# be found; how many slots are looked at for one pair.
KNOWN_SLOTS, KNOWN_WIDTH, TRIES = 1 << 11, 4, 8
# Rounds that a search goes on for at least: most places are not high.
SHALLOW = 8
# Scratch of the searches: the queue, its slots, and what was found.
SEARCH_INTS = 2 * PAIRS + PAIR_SLOTS + KNOWN_WIDTH * KNOWN_SLOTS
# A walk that costs more than one in so many of the places that a scan may visit is given up. In places: one, and a pair
# of states that a search visits.
SHARE, PLACE_COSTS, PAIR_COSTS = 8, 2, 2


@subroutine("int64(int64[::1], int64, int64, int64, int64, int32[::1])")
def rounds_alike(s, p, q, kinds, most, scratch):
    """The rounds, at most `most`, that two different live states of one automaton certainly survive.

    kinds : the automaton's classes of bytes. scratch : int32[2 * PAIRS + PAIR_SLOTS]. Returns rounds << 16 | pairs of
    states visited.
    """
    leaves, info = i32(s, LEAVES), i32(s, LEAF_INFO)
    marks = ACCEPTS | LEAF_DONE
    if (info[LEAF_WIDTH * p + L_FLAGS] ^ info[LEAF_WIDTH * q + L_FLAGS]) & marks:
        return 1  # no round, one pair
    slots = scratch[2 * PAIRS : 2 * PAIRS + PAIR_SLOTS]
    slots[:] = 0
    scratch[0], scratch[1] = p, q
    head, tail, rounds, round_end = 0, 1, 1, 1
    while head < tail and rounds < most:
        p_row = info[LEAF_WIDTH * scratch[2 * head] + L_ROW]
        q_row = info[LEAF_WIDTH * scratch[2 * head + 1] + L_ROW]
        for c in range(kinds):
            a, b = leaves[p_row + c], leaves[q_row + c]
            if a == b:
                continue
            if a == 0 or b == 0 or (info[LEAF_WIDTH * a + L_FLAGS] ^ info[LEAF_WIDTH * b + L_FLAGS]) & marks:
                return rounds << 16 | tail
            h = mix(mix(17, a), b) & (PAIR_SLOTS - 1)
            while slots[h] != 0 and not (scratch[2 * slots[h] - 2] == a and scratch[2 * slots[h] - 1] == b):
                h = (h + 1) & (PAIR_SLOTS - 1)
            if slots[h] == 0:
                if tail == PAIRS:
                    return rounds << 16 | tail
                scratch[2 * tail], scratch[2 * tail + 1] = a, b
                tail += 1
                slots[h] = tail
        head += 1
        if head == round_end:
            rounds, round_end = rounds + 1, tail
    return most << 16 | tail


@subroutine("int64(int64[::1], int64)")
def kinds_of(s, q):
    """How many classes of bytes the automaton of a leaf state tells apart."""
    first = i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_CLASS]
    classes = i32(s, LEAF_CLASSES)
    most = 0
    for b in range(first, first + 256):
        most = max(most, classes[b])
    return most + 1


@subroutine("int64(int64[::1], int64, int64, int64)")
def likest_record(s, t, q, stop):
    """Of the records for (t, stop) that were made last, that of the state of q's automaton most like q; -1: none.

    The caller has made sure of room for SEARCH_INTS in OUT.
    """
    records, info = i32(s, RECORDS), i32(s, LEAF_INFO)
    scratch = i32(s, OUT)[s[3 * OUT + 2] :]
    start = info[LEAF_WIDTH * q + L_START]
    kinds = kinds_of(s, q)
    enough = min(i32(s, T_HEIGHT)[t] + 1, FAR_ENOUGH)
    best, longest, compared = -1, -1, 0
    n = s[3 * RECORDS + 2]
    o = n - RECORD_WIDTH
    while o >= max(0, n - LOOKED_AT * RECORD_WIDTH) and compared < COMPARED and longest < enough:
        if records[o + P_PLACE] == t and records[o + P_STOP] == stop:
            p = records[o + P_STATE]
            if p < SPARSE and info[LEAF_WIDTH * p + L_START] == start:
                rounds = rounds_alike(s, p, q, kinds, enough, scratch) >> 16
                compared += 1
                if rounds > longest:
                    best, longest = o // RECORD_WIDTH, rounds
        o -= RECORD_WIDTH
    return best


@subroutine("int64(int64[::1], int64, int64, int64, int64, int32[::1])")
def known_rounds(s, p, q, kinds, height, scratch):
    """As rounds_alike, as far as it matters at a place so high, and remembered for one walk: rounds << 16 | pairs.

    scratch : int32[SEARCH_INTS], whose last KNOWN_WIDTH * KNOWN_SLOTS elements were zeros when the walk began.
    """
    known = scratch[2 * PAIRS + PAIR_SLOTS :]
    mask = KNOWN_WIDTH * KNOWN_SLOTS - 1
    h = KNOWN_WIDTH * mix(mix(17, p), q) & mask
    tries, most = 0, max(height + 1, SHALLOW)
    while known[h] != 0 and tries < TRIES:
        if known[h] == p and known[h + 1] == q:
            rounds = known[h + 2]
            if rounds > height or known[h + 3] != 0:
                return rounds << 16
            most = max(most, 2 * rounds)
            break
        h = (h + KNOWN_WIDTH) & mask
        tries += 1
    found = rounds_alike(s, p, q, kinds, most, scratch)
    known[h], known[h + 1], known[h + 2], known[h + 3] = p, q, found >> 16, found >> 16 < most
    return found


@subroutine("int64(int64[::1], int64, int64)")
def places_to_scan(s, t, q):
    """How many places a scan below t in leaf state q may visit, as far as the first bytes tell."""
    end, first = i32(s, T_END), i32(s, T_CHILD_FIRST)
    byte, child = u8(s, T_CHILD_BYTE), i32(s, T_CHILD_NODE)
    n = 0
    for i in range(first[t], first[t + 1]):
        if leaf_step(s, q, byte[i]) != 0:
            n += end[child[i]] - child[i]
    return n


@subroutine("boolean(int64[::1], int64)")
def room_for_a_change(s, t):
    """Whether there is room to make a record for place t from another."""
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    stack = 3 * (i64_at(s[3 * MISC], M_BASE)[M_DEEPEST] + 2)
    places = i32(s, T_END)[t] - t
    return room_for_a_record(s, SEARCH_INTS + words + stack + places, 2 * places + LONGEST_LIST)


@subroutine("int64(int64[::1], int64, int64, int32[::1])")
def put_tokens(s, record, words, bits):
    """Writes the tokens of a record where nothing is counted as bits (int32[words]); how many they are."""
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    if records[o + P_DENSE] >= 0:
        dense = i32(s, DENSE)
        for w in range(words):
            bits[w] = dense[records[o + P_DENSE] * words + w]
        return records[o + P_TOKENS] + 0
    bits[:] = 0
    ints = i32(s, RECORD_INTS)
    for k in range(records[o + P_LIST], records[o + P_LIST] + records[o + P_TOKENS]):
        bits[ints[k] >> 5] |= bit(ints[k])
    return records[o + P_TOKENS] + 0


@subroutine("void(int32[::1], int32[::1])")
def list_bits(bits, listed):
    """Lists the tokens of bits (int32[words]), which are no more than `listed` has elements."""
    n = 0
    for w in range(bits.shape[0]):
        if bits[w] != 0:
            for k in range(32):
                if bits[w] & bit(k):
                    listed[n] = 32 * w + k
                    n += 1


@subroutine("int64(int64[::1], int64, int64, int64, int64)")
def changed_record(s, t, q, stop, known):
    """The record of (t, q, stop) from a known one, of (t, p, stop) with p in the same automaton, where nothing is
    counted; -1 where that takes too long.

    The caller has made sure of room by `room_for_a_change`.
    """
    words = i64_at(s[3 * MISC], M_BASE)[M_WORDS]
    deep = i64_at(s[3 * MISC], M_BASE)[M_DEEPEST] + 2
    leaves, info = i32(s, LEAVES), i32(s, LEAF_INFO)
    byte, end, depth, height = u8(s, T_BYTE), i32(s, T_END), i32(s, T_DEPTH), i32(s, T_HEIGHT)
    token_first, token_ids = i32(s, T_TOKEN_FIRST), i32(s, T_TOKENS)
    records, ints = i32(s, RECORDS), i32(s, RECORD_INTS)
    free = i32(s, OUT)[s[3 * OUT + 2] :]
    scratch = free[:SEARCH_INTS]
    scratch[2 * PAIRS + PAIR_SLOTS :] = 0
    bits = free[SEARCH_INTS : SEARCH_INTS + words]
    stack = free[SEARCH_INTS + words : SEARCH_INTS + words + 3 * deep]  # by depth: the two states, and their rounds
    left = free[SEARCH_INTS + words + 3 * deep :]
    tokens = put_tokens(s, known, words, bits)
    classes = i32(s, LEAF_CLASSES)[info[LEAF_WIDTH * q + L_CLASS] :]
    kinds = kinds_of(s, q)
    o = RECORD_WIDTH * known
    e, e_end = records[o + P_EXIT] + 0, records[o + P_EXIT] + 2 * records[o + P_EXITS]
    stack[0], stack[1], stack[2] = records[o + P_STATE], q, 0
    top = depth[t]
    exits, spent, most = 0, 0, places_to_scan(s, t, q) // SHARE
    i, stop_at = t + 1, end[t]
    while i < stop_at:
        d = 3 * (depth[i] - top)
        p1, q1, rounds = stack[d - 3], stack[d - 2], stack[d - 1] - 1
        p2 = scan_step(leaves, info, classes, stop, p1, byte[i]) if p1 > 0 else 0
        q2 = scan_step(leaves, info, classes, stop, q1, byte[i]) if q1 > 0 else 0
        alike = p2 == q2
        if p2 > 0 and q2 > 0 and not alike:
            if rounds <= height[i]:
                found = known_rounds(s, p2, q2, kinds, height[i], scratch)
                rounds = max(rounds, found >> 16)
                spent += PAIR_COSTS * (found & 0xFFFF)
            alike = rounds > height[i]
        if alike:
            while e < e_end and ints[e] < end[i]:
                left[exits] = ints[e]
                exits += 1
                e += 2
            i = end[i]
            continue
        spent += PLACE_COSTS
        if spent > most:
            return -1
        if (p2 > 0) != (q2 > 0):
            for k in range(token_first[i], token_first[i + 1]):
                bits[token_ids[k] >> 5] ^= bit(token_ids[k])
            tokens += (token_first[i + 1] - token_first[i]) * (1 if q2 > 0 else -1)
        if e < e_end and ints[e] == i:
            e += 2
        if q2 == OUTSIDE or (q2 > 0 and stop == -1 and end[i] > i + 1 and info[LEAF_WIDTH * q2 + L_FLAGS] & ACCEPTS):
            left[exits] = i
            exits += 1
        stack[d], stack[d + 1], stack[d + 2] = max(p2, 0), max(q2, 0), rounds
        i = i + 1 if p2 > 0 or q2 > 0 else end[i]
    listed = free[:LONGEST_LIST]
    if tokens <= LONGEST_LIST:
        list_bits(bits, listed)
    return written_record(s, t, q, stop, tokens, bits, listed, exits, left)
