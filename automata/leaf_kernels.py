"""Leaf automata in a store: how they are written, and what is found out about their states once.

Of a counted body's states, which lie between two iterations and how many iterations each needs to the end. Of a quoted
string's states, which are as wide as plain string content (L_LIKE: its pattern is still unanchored, say), so that they
share what that content has on record.
"""

from __future__ import annotations

import numpy as np

from .kernel import (
    kernel,
    subroutine,
)
from .table_kernels import (
    ACCEPTS,
    BETWEEN,
    L_CLASS,
    L_FLAGS,
    L_HOLD,
    L_LIKE,
    L_NEAR,
    L_ROW,
    L_START,
    LEAF_CLASSES,
    LEAF_DONE,
    LEAF_INFO,
    LEAF_WIDTH,
    QUOTE,
    context_at,
    i32,
    leaf_flags,
    leaf_step,
)

# No number of iterations.
FAR = 1 << 30


@kernel(
    "void(int32[::1], int32[::1], int32[::1], Array(int32, 2, 'C', True), Array(uint8, 1, 'C', True),"
    " Array(uint8, 1, 'C', True), int64, int64, int64, int64)"
)
def write_leaf(leaves, info, classes, table, accepting, byte_class, first, row, class_at, flags):
    """The live states of an automaton (int32[n, k], uint8[n], uint8[256]; 0 the dead one) from leaf state `first` on.

    row, class_at : where in leaves and in classes they begin. flags : GREEDY, LENIENT or 0.
    """
    moved = first - 1
    k = table.shape[1]
    for b in range(256):
        classes[class_at + b] = byte_class[b]
    for state in range(1, table.shape[0]):
        goes_on = False
        for c in range(k):
            to = table[state, c]
            leaves[row + c] = to + moved if to > 0 else to
            goes_on |= to != 0
        i = LEAF_WIDTH * (moved + state)
        info[i + L_FLAGS] = flags
        if accepting[state]:
            info[i + L_FLAGS] |= ACCEPTS if goes_on else ACCEPTS | LEAF_DONE
        info[i + L_START] = first
        info[i + L_LIKE] = 0
        info[i + L_ROW] = row
        info[i + L_CLASS] = class_at
        info[i + L_NEAR] = 0
        info[i + L_HOLD] = 0
        row += k


@subroutine("int64(int64[::1], int64, int64, int32[::1])")
def joint_bytes(s, left, right, out):
    """One byte for each pair of classes of two leaf states' DFAs, ascending, into out (int32[256]); how many."""
    classes = i32(s, LEAF_CLASSES)
    info = i32(s, LEAF_INFO)
    a, b = info[LEAF_WIDTH * left + L_CLASS], info[LEAF_WIDTH * right + L_CLASS]
    kinds = 0
    for byte in range(256):
        i = 0
        while i < kinds and (classes[a + out[i]] != classes[a + byte] or classes[b + out[i]] != classes[b + byte]):
            i += 1
        if i == kinds:
            out[kinds] = byte
            kinds += 1
    return kinds


@kernel("int64(int64, int64, int64, int64, int32[::1], int32[::1])")
def measure_body(address, first, n, unit, like, waiting):
    """Marks which states of a counted body (first .. first + n - 1) lie between iterations, and how many each needs.

    unit : the start of a leaf DFA of any number of iterations, which has the body's sentences, too; it is in its start
    exactly between two. like, waiting : int32[n], scratch, like zeroed. Returns the most that any state needs, or -1 if
    a state is in different places of an iteration.
    """
    s = context_at(address)
    info = i32(s, LEAF_INFO)
    tried = np.empty(256, np.int32)
    kinds = joint_bytes(s, first, unit, tried)
    like[0] = unit
    waiting[0] = first
    held = 1
    while held > 0:
        held -= 1
        q = waiting[held]
        if like[q - first] == unit:
            info[LEAF_WIDTH * q + L_FLAGS] |= BETWEEN
        for i in range(kinds):
            q2, u2 = leaf_step(s, q, tried[i]), leaf_step(s, like[q - first], tried[i])
            if q2 == 0:
                continue
            if u2 == 0 or (like[q2 - first] != 0 and like[q2 - first] != u2):
                return -1
            if like[q2 - first] == 0:
                like[q2 - first] = u2
                waiting[held] = q2
                held += 1
    for q in range(first, first + n):
        info[LEAF_WIDTH * q + L_NEAR] = 0 if leaf_flags(s, q) & ACCEPTS else FAR
    changed = True
    while changed:
        changed = False
        for q in range(first + n - 1, first - 1, -1):
            for i in range(kinds):
                q2 = leaf_step(s, q, tried[i])
                if q2 != 0:
                    near = info[LEAF_WIDTH * q2 + L_NEAR] + (1 if leaf_flags(s, q2) & BETWEEN else 0)
                    if near < info[LEAF_WIDTH * q + L_NEAR]:
                        info[LEAF_WIDTH * q + L_NEAR] = near
                        changed = True
    most = 0
    for q in range(first, first + n):
        most = max(most, info[LEAF_WIDTH * q + L_NEAR])
    return most


@subroutine("boolean(int64[::1], int64, int64, int64, int32[::1], int64)")
def some_state_is_open(s, first, n, content, tried, kinds):
    """Whether a state of a leaf DFA goes on with every byte that content does; most states fail at the first ones."""
    for q in range(first, first + n):
        i = 0
        while i < kinds and (leaf_step(s, content, tried[i]) == 0 or leaf_step(s, q, tried[i]) != 0):
            i += 1
        if i == kinds:
            return True
    return False


@kernel("void(int64, int64, int64, int64, int64, int32[::1], int32[::1])")
def mark_wide(address, first, n, quoted, content, like, waiting):
    """Finds the states of a leaf DFA (first .. first + n - 1) that allow, and lead on to, just what content does.

    Such a state is inside quotes, and until the closing quote it can never fail where a string of JSON would not; the
    leaf ends at the closing quote. Sets L_LIKE of these states to the state of the content DFA that they follow.
    address : the store's context. like, waiting : int32[n], scratch, like zeroed. content : the content DFA's start.
    quoted : whether the leaf begins with the opening quote, or else behind it; marks may follow the closing one then.
    """
    s = context_at(address)
    info = i32(s, LEAF_INFO)
    start = leaf_step(s, first, QUOTE) if quoted else first
    ends = LEAF_DONE if quoted else ACCEPTS
    if start == 0:
        return
    tried = np.empty(256, np.int32)
    kinds = joint_bytes(s, first, content, tried)
    if not some_state_is_open(s, first, n, content, tried, kinds):
        return
    like[start - first] = content
    waiting[0] = start
    held = 1
    while held > 0:
        held -= 1
        q = waiting[held]
        c = like[q - first]
        if c < 0:
            continue
        for i in range(kinds):
            b = tried[i]
            q2, c2 = leaf_step(s, q, b), leaf_step(s, c, b)
            if b == QUOTE and c == content:
                if q2 != 0 and info[LEAF_WIDTH * q2 + L_FLAGS] & ends == 0:
                    like[q - first] = -1
                continue
            if (q2 == 0) != (c2 == 0):
                like[q - first] = -1
            if q2 == 0 or c2 == 0:
                continue
            if like[q2 - first] == 0:
                like[q2 - first] = c2
                waiting[held] = q2
                held += 1
            elif like[q2 - first] != c2:
                like[q2 - first] = -1
    changed = True
    while changed:
        changed = False
        for q in range(first + n - 1, first - 1, -1):
            c = like[q - first]
            if c <= 0:
                continue
            for i in range(kinds):
                b = tried[i]
                q2 = leaf_step(s, q, b)
                if q2 != 0 and not (b == QUOTE and c == content) and like[q2 - first] <= 0:
                    like[q - first] = -1
                    changed = True
                    break
    for q in range(first, first + n):
        if like[q - first] > 0:
            info[LEAF_WIDTH * q + L_LIKE] = like[q - first]
