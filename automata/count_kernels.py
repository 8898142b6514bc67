r"""How many values a language of JSON spellings leads to from each state of its automaton, and how long texts are.

A value has many spellings. Counted is one of each: every code point raw where JSON allows it and as \u00xx in lower
case where not; in the middle of an escape, its digits in lower case. The number is that of the ways from a state to
the closing quote (or to acceptance), and infinite where a cycle is reached.

Where a state stands within the spelling of a code point (its *phase*) is its own: what may follow differs between
phases, so a minimal automaton keeps them apart.

Cost: 256 look-ups a state, about 1 us.
"""

from __future__ import annotations

import numpy as np

from .kernel import (
    device,
    kernel,
    subroutine,
)
from .table_kernels import QUOTE

MOST = 1 << 30  # counts are saturated here
FAR = 1 << 40
# Of the most code points of a language.
NO_BOUND, GROWING = -1, -2
BACKSLASH, LETTER_U, ZERO, LETTER_D = 92, 117, 48, 100
# Phases: between code points; before 1 to 3 continuation bytes; after a backslash; after the second one of a pair;
# before 1 to 4 digits; after the digits of a high surrogate. 0: not known yet.
BOUNDARY, CONTINUED, ESCAPED, SECOND_ESCAPED, DIGITS, SURROGATE = 1, 1, 5, 6, 6, 11  # CONTINUED + 1, .. DIGITS + 4


@device
def is_digit(b):
    """Whether b is a hexadecimal digit in lower case."""
    return 48 <= b <= 57 or 97 <= b <= 102


@subroutine("boolean(Array(int32, 2, 'C', True), int64)")
def is_after_surrogate(step, q):
    """Whether only the escape of a low surrogate can follow; between code points something else could."""
    second = step[step[q, BACKSLASH], LETTER_U]
    if step[second, LETTER_D] == 0:
        return False
    for b in range(256):
        if b != BACKSLASH and step[q, b] != 0:
            return False
    for b in range(LETTER_D):
        if b != 68 and step[second, b] != 0:  # a low surrogate begins with d or D alone
            return False
    return True


@subroutine("int64(Array(int32, 2, 'C', True), int64, int64, int64)")
def phase_after(step, phase, b, to):
    """The phase of the state `to` that byte b leads to."""
    if phase == BOUNDARY:
        if b == BACKSLASH:
            return ESCAPED
        return BOUNDARY if b < 0x80 else CONTINUED + (1 if b < 0xE0 else (2 if b < 0xF0 else 3))
    if phase <= CONTINUED + 3:
        return phase - 1
    if phase == ESCAPED:
        return DIGITS + 4 if b == LETTER_U else BOUNDARY
    if phase == SURROGATE:
        return SECOND_ESCAPED
    if phase == SECOND_ESCAPED:
        return DIGITS + 4
    if phase > DIGITS + 1:
        return phase - 1
    return SURROGATE if is_after_surrogate(step, to) else BOUNDARY


@subroutine("int64(Array(int32, 2, 'C', True), int64, int64, int64)")
def counted_move(step, phase, q, b):
    """The state after byte b of the spellings that are counted; between code points, after a whole one under 128."""
    if phase == BOUNDARY and (b < 32 or b in (QUOTE, BACKSLASH)):
        q = step[step[step[step[q, BACKSLASH], LETTER_U], ZERO], ZERO]
        q = step[q, ZERO + (b >> 4)]
        low = b & 15
        return step[q, ZERO + low if low < 10 else 87 + low]
    if phase in (ESCAPED, SECOND_ESCAPED) and b != LETTER_U:
        return 0
    if DIGITS < phase <= DIGITS + 4 and not is_digit(b):
        return 0
    return step[q, b]


@subroutine(
    "void(Array(int32, 2, 'C', True), Array(uint8, 1, 'C', True), int64, int32[::1], int64[::1], int64[::1],"
    " int64[::1], int64[::1])"
)
def count_from(step, accepting, start, counts, phase, place, total, stack):
    """Counts the values from a state and from all states on the way, depth first.

    phase, place, total, stack : int64[n]. place[q] - 1 is the next byte of state q: 0 it is new, 257 it is counted.
    """
    stack[0] = start
    height = 1
    while height > 0:
        q = stack[height - 1]
        if place[q] == 0:
            place[q] = 1
            ends = accepting[q] != 0 or (phase[q] == BOUNDARY and step[q, QUOTE] != 0)
            total[q] = 1 if ends else 0
        below = 0
        while place[q] <= 256 and below == 0:
            to = counted_move(step, phase[q], q, place[q] - 1)
            if to != 0 and place[to] == 0:
                below = to
                continue
            if to != 0 and total[q] >= 0:
                # A state that is not counted yet is one above: a cycle.
                more = total[to] if place[to] > 256 else -1
                total[q] = -1 if more < 0 else min(MOST, total[q] + more)
            place[q] += 1
        if below != 0:
            stack[height] = below
            height += 1
        else:
            height -= 1
            counts[q] = total[q]


@subroutine("void(Array(int32, 2, 'C', True), int64[::1])")
def mark_finite(table, finite):
    """Sets finite[q] (int64[n], zeroed) to 1 for the states that lead to finitely many texts, the dead one included.

    States are numbered breadth first, so that most lead to higher ones: few rounds.
    """
    n, k = table.shape
    finite[0] = 1
    changed = True
    while changed:
        changed = False
        for q in range(n - 1, 0, -1):
            c = 0
            while c < k and finite[table[q, c]] and not finite[q]:
                c += 1
            if c == k and not finite[q]:
                finite[q] = 1
                changed = True


@kernel(
    "void(Array(int32, 2, 'C', True), Array(int32, 2, 'C', True), Array(uint8, 1, 'C', True), int32[::1],"
    " int64[:, ::1])"
)
def count_values(table, step, accepting, counts, scratch):
    """Sets counts[q] (int32[n]) to the values that state q leads to, saturated at MOST; -1: infinitely many.

    table, step, accepting : the automaton's table, transitions and accepting states. scratch : int64[5, n], zeroed.
    """
    phase, place, total, stack, finite = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    # Every text has its value, and a value no more than finitely many spellings.
    mark_finite(table, finite)
    for q in range(1, table.shape[0]):
        if not finite[q]:
            place[q], total[q], counts[q] = 257, -1, -1
    phase[1] = BOUNDARY
    stack[0] = 1
    height, at = 1, 0
    while at < height:
        q = stack[at]
        at += 1
        for b in range(256):
            to = step[q, b]
            if to != 0 and phase[to] == 0:
                phase[to] = phase_after(step, phase[q], b, to)
                stack[height] = to
                height += 1
    for q in range(1, step.shape[0]):
        if place[q] == 0:
            count_from(step, accepting, q, counts, phase, place, total, stack)


@kernel(
    "UniTuple(int64, 2)(Array(int32, 2, 'C', True), Array(uint8, 1, 'C', True), Array(uint8, 1, 'C', True),"
    " int64[:, ::1])"
)
def measure_texts(table, accepting, byte_class, scratch):
    """(fewest, most) code points of the texts of an automaton of UTF-8; most is NO_BOUND, or GROWING if moreover every
    text can be made longer by one code point.

    table, accepting, byte_class : the automaton, which is not empty. scratch : int64[3, n], zeroed.
    """
    n, k = table.shape
    weight = np.ones(k, np.int64)
    for b in range(0x80, 0xC0):  # only in a dead class beside other bytes
        weight[byte_class[b]] = 0
    near, indegree, longest = scratch[0], scratch[1], scratch[2]
    for q in range(1, n):
        near[q] = 0 if accepting[q] else FAR
        for c in range(k):
            indegree[table[q, c]] += 1
    changed = True
    while changed:
        changed = False
        for q in range(n - 1, 0, -1):
            for c in range(k):
                to = table[q, c]
                if to != 0 and near[to] + weight[c] < near[q]:
                    near[q] = near[to] + weight[c]
                    changed = True
    grows = True
    for q in range(1, n):
        if accepting[q]:
            goes_on = False
            for c in range(k):
                # In the middle of a character the least is that of the states after it.
                goes_on |= table[q, c] != 0 and near[table[q, c]] == 0
            grows &= goes_on
    if grows:
        return near[1], GROWING
    waiting = np.empty(n, np.int64)
    held, done, most = 0, 0, 0
    if indegree[1] == 0:
        waiting[0] = 1
        held = 1
    while held > 0:
        held -= 1
        q = waiting[held]
        done += 1
        if accepting[q]:
            most = max(most, longest[q])
        for c in range(k):
            to = table[q, c]
            if to != 0:
                longest[to] = max(longest[to], longest[q] + weight[c])
                indegree[to] -= 1
                if indegree[to] == 0:
                    waiting[held] = to
                    held += 1
    return near[1], most if done == n - 1 else NO_BOUND
