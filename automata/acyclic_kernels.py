"""The kernels of acyclic.py: sorting many strings, and the automaton of sorted strings."""

from __future__ import annotations

import numpy as np

from .kernel import (
    device,
    kernel,
    subroutine,
)
from .table_kernels import mix

# Bytes of a string that one key holds; below them is how many there are.
KEY_BYTES = 7
# Ranges up to this length are sorted by insertion.
SHORT = 12
# Of the first table of states by their transitions.
FIRST_TABLE = 1 << 12


# ------------------------------------------------------------------------------------------------ sorting


@subroutine("uint64(Array(uint8, 1, 'C', True), int64, int64)")
def key_at(data, begin, end):
    """The bytes of data[begin:end] that fit in a key, as a number in their order: padded, then how many they are."""
    n = min(end - begin, KEY_BYTES + 1)
    key = np.uint64(0)
    for i in range(KEY_BYTES):
        key = (key << np.uint64(8)) | (np.uint64(data[begin + i]) if i < n else np.uint64(0))
    return (key << np.uint64(8)) | np.uint64(n)


@subroutine("int64(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), int64, int64)")
def common_prefix(data, bounds, a, b):
    """How many bytes the strings a and b have in common at their beginnings."""
    i, j = bounds[a], bounds[b]
    n = min(bounds[a + 1] - i, bounds[b + 1] - j)
    k = 0
    while k < n and data[i + k] == data[j + k]:
        k += 1
    return k


@subroutine("boolean(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), int64, int64)")
def is_before(data, bounds, a, b):
    """Whether string a is before string b."""
    k = common_prefix(data, bounds, a, b)
    if bounds[b] + k == bounds[b + 1]:
        return False
    return bounds[a] + k == bounds[a + 1] or data[bounds[a] + k] < data[bounds[b] + k]


@device
def swap(order, keys, i, j):
    order[i], order[j] = order[j], order[i]
    keys[i], keys[j] = keys[j], keys[i]


@subroutine("void(uint64[::1], int32[::1], int64, int64)")
def insertion_sort(keys, order, low, high):
    for i in range(low + 1, high):
        key, string = keys[i], order[i]
        j = i - 1
        while j >= low and keys[j] > key:
            keys[j + 1] = keys[j]
            order[j + 1] = order[j]
            j -= 1
        keys[j + 1] = key
        order[j + 1] = string


@subroutine("void(uint64[::1], int32[::1], int64, int64)")
def sort_by_key(keys, order, low, high):
    """Sorts keys[low:high], and order with them: quicksort with three parts, the larger one put aside."""
    aside = np.empty((128, 2), np.int64)
    held = 0
    while True:
        while high - low > SHORT:
            mid = (low + high) >> 1
            a, b, c = keys[low], keys[mid], keys[high - 1]
            pivot = max(min(a, b), min(max(a, b), c))
            less, i, more = low, low, high
            while i < more:
                if keys[i] < pivot:
                    swap(order, keys, i, less)
                    less += 1
                    i += 1
                elif keys[i] > pivot:
                    more -= 1
                    swap(order, keys, i, more)
                else:
                    i += 1
            if less - low < high - more:
                aside[held, 0], aside[held, 1] = more, high
                high = less
            else:
                aside[held, 0], aside[held, 1] = low, less
                low = more
            held += 1
        insertion_sort(keys, order, low, high)
        if held == 0:
            return
        held -= 1
        low, high = aside[held, 0], aside[held, 1]


@kernel("void(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), int32[::1])")
def sort_strings(data, bounds, order):
    """The numbers of the strings data[bounds[i]:bounds[i + 1]] in the order of their bytes, equal ones as they stand.

    bounds : int64[n + 1], ascending. order : int32[n], out.

    Sorts by seven bytes at a time: the strings that agree in all of them once more by the next seven.
    """
    n = bounds.shape[0] - 1
    sorted_already = True
    for i in range(n):
        order[i] = i
        if sorted_already and i > 0 and is_before(data, bounds, i, i - 1):
            sorted_already = False
    if sorted_already:
        return
    keys = np.empty(n, np.uint64)
    room = 1 << 10
    waiting = np.empty((room, 3), np.int64)
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = 0, n, 0
    held = 1
    while held > 0:
        held -= 1
        low, high, depth = waiting[held, 0], waiting[held, 1], waiting[held, 2]
        for i in range(low, high):
            keys[i] = key_at(data, bounds[order[i]] + depth, bounds[order[i] + 1])
        sort_by_key(keys, order, low, high)
        i = low
        while i < high:
            j = i + 1
            while j < high and keys[j] == keys[i]:
                j += 1
            if j - i > 1:
                if keys[i] & np.uint64(255) <= KEY_BYTES:
                    order[i:j].sort()
                else:
                    if held == room:
                        wider = np.empty((2 * room, 3), np.int64)
                        wider[:room] = waiting
                        waiting = wider
                        room *= 2
                    waiting[held, 0], waiting[held, 1], waiting[held, 2] = i, j, depth + KEY_BYTES
                    held += 1
            i = j


# ------------------------------------------------------------------------------------------------ the automaton


@kernel("UniTuple(int64, 2)(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), Array(int32, 1, 'C', True))")
def measure_trie(data, bounds, order):
    """(how many letters the trie of sorted strings has, the longest string's length)."""
    letters, longest = 0, 0
    for i in range(order.shape[0]):
        n = bounds[order[i] + 1] - bounds[order[i]]
        longest = max(longest, n)
        letters += n
        if i > 0:
            letters -= common_prefix(data, bounds, order[i - 1], order[i])
    return letters, longest


@subroutine("int64(uint8[::1], int32[::1], int64, int64, int64)")
def hash_of(label, target, begin, end, accepts):
    h = mix(17, accepts)
    for e in range(begin, end):
        h = mix(mix(h, target[e]), label[e])
    return h


@subroutine("int64(int32[::1], int32[::1], uint8[::1], int32[::1], uint8[::1], int64)")
def place_of_state(table, first, label, target, accepting, state):
    """Where in the table (int32, a power of two of state + 1, 0 = free) a state is, or may be put."""
    mask = table.shape[0] - 1
    begin, end = first[state], first[state + 1]
    h = hash_of(label, target, begin, end, accepting[state]) & mask
    while table[h] != 0:
        other = table[h] - 1
        k = first[other]
        same = accepting[other] == accepting[state] and first[other + 1] - k == end - begin
        e = begin
        while same and e < end:
            same = label[k] == label[e] and target[k] == target[e]
            e += 1
            k += 1
        if same:
            return h
        h = (h + 1) & mask
    return h


@subroutine("int64(int32[::1], int64[::1], int64)")
def place_of_single(singles, keys, key):
    """Where in the table (int32, a power of two of state + 1, 0 = free) a state of one transition is, or may be put.

    keys : int64[states]; key : the state's target, byte and acceptance as one number.
    """
    mask = singles.shape[0] - 1
    h = mix(mix(17, key), key >> 31) & mask
    while singles[h] != 0 and keys[singles[h] - 1] != key:
        h = (h + 1) & mask
    return h


@subroutine("int32[::1](int32[::1], int64[::1])")
def wider_singles(singles, keys):
    """The table twice as large."""
    wider = np.zeros(2 * singles.shape[0], np.int32)
    for i in range(singles.shape[0]):
        if singles[i] != 0:
            wider[place_of_single(wider, keys, keys[singles[i] - 1])] = singles[i]
    return wider


@subroutine("int32[::1](int32[::1], int32[::1], uint8[::1], int32[::1], uint8[::1])")
def wider_table(table, first, label, target, accepting):
    """The table of other states, twice as large."""
    wider = np.zeros(2 * table.shape[0], np.int32)
    for i in range(table.shape[0]):
        if table[i] != 0:
            wider[place_of_state(wider, first, label, target, accepting, table[i] - 1)] = table[i]
    return wider


@kernel(
    "UniTuple(int64, 2)(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), Array(int32, 1, 'C', True), boolean,"
    " int32[::1], uint8[::1], int32[::1], uint8[::1], uint8[::1], int32[::1], int64[:, ::1], int32[::1])"
)
def build(data, bounds, order, merge, first, label, target, accepting, open_label, open_target, path, ends):
    """The automaton of sorted strings: (states, transitions). The last state is the start.

    merge : whether equal states are one (the minimal automaton), or not (the trie).
    first : int32[letters + 2], label, target : [letters], accepting : [letters + 1]; out, as in SparseDfa.
    open_label, open_target : [letters], scratch, the transitions of the states on the path to the last string, those of
    a state behind those of the state before it. path : int64[longest + 1, 3], scratch, of each of these states: where
    its transitions begin, whether it accepts, which string ends there.
    ends : int32[strings], out: the state in which each string ends, for a trie.
    """
    # PERF: most states have one transition, and are compared by a key that is all of them: two thirds of the time.
    singles = np.zeros(FIRST_TABLE, np.int32)
    # Memory that is not written to is not taken.
    keys = np.empty(accepting.shape[0], np.int64)
    table = np.zeros(FIRST_TABLE, np.int32)
    states, edges, held, n_singles, n_others = 0, 0, 0, 0, 0
    first[0] = 0
    path[0, 0], path[0, 1], path[0, 2] = 0, 0, -1
    depth = 0
    last = -1
    for i in range(order.shape[0] + 1):
        kept = -1
        if i < order.shape[0]:
            kept = common_prefix(data, bounds, last, order[i]) if i > 0 else 0
        # The states beyond what the strings have in common are finished, the deepest first.
        while depth > kept:
            begin = path[depth, 0]
            for e in range(begin, held):
                label[edges + e - begin] = open_label[e]
                target[edges + e - begin] = open_target[e]
            end = edges + held - begin
            first[states + 1] = end
            accepting[states] = path[depth, 1]
            made = states
            if merge and held - begin == 1:
                key = (1 + int(open_target[begin])) << 9 | int(open_label[begin]) << 1 | path[depth, 1]
                h = place_of_single(singles, keys, key)
                if singles[h] != 0:
                    made = singles[h] - 1
                else:
                    singles[h], keys[states] = states + 1, key
                    n_singles += 1
                    if 4 * n_singles > 3 * singles.shape[0]:
                        singles = wider_singles(singles, keys)
            elif merge:
                h = place_of_state(table, first, label, target, accepting, states)
                if table[h] != 0:
                    made = table[h] - 1
                else:
                    table[h] = states + 1
                    n_others += 1
                    if 4 * n_others > 3 * table.shape[0]:
                        table = wider_table(table, first, label, target, accepting)
            if path[depth, 2] >= 0:
                ends[path[depth, 2]] = made
            if made == states:
                states += 1
                edges = end
            held = begin
            depth -= 1
            if depth >= 0:
                open_label[held] = data[bounds[last] + depth]
                open_target[held] = made
                held += 1
        if i == order.shape[0]:
            break
        string = order[i]
        length = bounds[string + 1] - bounds[string]
        while depth < length:
            depth += 1
            path[depth, 0], path[depth, 1], path[depth, 2] = held, 0, -1
        path[depth, 1] = 1
        if path[depth, 2] < 0:
            path[depth, 2] = string
        last = string
    return states, edges


@kernel("int64(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), int64[::1])")
def character_bounds(data, lengths, bounds):
    """Where strings of so many characters (int64[n]) begin in their UTF-8, one behind another: bounds, int64[n + 1]."""
    at = 0
    for i in range(lengths.shape[0]):
        bounds[i] = at
        for _ in range(lengths[i]):
            at += 1
            while at < data.shape[0] and data[at] & 0xC0 == 0x80:
                at += 1
    bounds[lengths.shape[0]] = at
    return at
