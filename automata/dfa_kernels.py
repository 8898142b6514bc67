"""Kernels that make DFAs: the subset construction, and products of two automata.

Shared conventions. State 0 is dead, state 1 the start. A class table `table : int32[n_states, n_classes]` holds in
`table[s, c]` the state after a byte of class `c`; `class_of : uint8[256]` gives the class of a byte, classes being
numbered by their least byte. NFA edges are those of nfa_kernels.py.

Sources: Rabin and Scott, "Finite automata and their decision problems" (1959). Sets are kept as unsorted lists with a
hash that does not depend on the order; bit sets were rejected, since sets are small and NFAs can be large.
"""

from __future__ import annotations

import numpy as np

from .kernel import device, kernel, subroutine

OK, TOO_MANY_STATES, TOO_MANY_STEPS, FULL_STATES, FULL_MEMBERS, FULL_PAIRS = 0, 1, 2, 3, 4, 5
UNION, INTERSECTION, DIFFERENCE = 0, 1, 2

_MIX, _MIX_2 = -7046029254386353131, -4658895280553007687  # splitmix64's constants as signed numbers
_DETERMINED = "Tuple((int64[::1], int32[:, ::1], uint8[::1], uint8[::1]))"
_TABLE, _FLAGS = "Array(int32, 2, 'C', True)", "Array(uint8, 1, 'C', True)"


@device
def mixed(key):
    """A hash of an int64 as an int64; sums of it hash sets."""
    key = key * _MIX
    key ^= key >> 31
    key *= _MIX_2
    return key ^ (key >> 29)


# ---------------------------------------------------------------------------------------------- subset construction


@kernel("int64(int32[:, ::1], int64, uint8[::1])")
def classes_of_edges(edges, n_edges, class_of):
    """Writes the coarsest byte classes that no edge splits into `class_of` : uint8[256], out; returns their number."""
    begins = np.zeros(257, np.uint8)
    for i in range(n_edges):
        if edges[i, 1] <= edges[i, 2]:
            begins[edges[i, 1]] = 1
            begins[edges[i, 2] + 1] = 1
    number = 0
    for byte in range(256):
        if byte and begins[byte]:
            number += 1
        class_of[byte] = number
    return number + 1


@kernel("void(int32[:, ::1], int64, boolean, int32[::1], int32[::1])")
def edges_by_source(edges, n_edges, epsilon, first, order):
    """A compressed index of the epsilon edges (`epsilon`) or of the others.

    first : int32[n_states + 2], out: `order[first[s] : first[s + 1]]` are the edges that leave `s`
    order : int32[n_edges], out
    """
    first[:] = 0
    for i in range(n_edges):
        if (edges[i, 1] > edges[i, 2]) == epsilon:
            first[edges[i, 0] + 2] += 1
    for s in range(2, first.size):
        first[s] += first[s - 1]
    for i in range(n_edges):
        if (edges[i, 1] > edges[i, 2]) == epsilon:
            order[first[edges[i, 0] + 1]] = i
            first[edges[i, 0] + 1] += 1


@device
def _successors(edges, move_first, move, members, begin, end, class_of, heads, pairs):
    """Lists the targets of the set `members[begin:end]` by class: heads[c] is the first index into `pairs`, or -1.

    pairs : int32[:, 2], out: a target and the next index of its class, or -1. Returns their number, -1 for no room.
    """
    n_pairs = 0
    heads[:] = -1
    for i in range(begin, end):
        for j in range(move_first[members[i]], move_first[members[i] + 1]):
            edge = move[j]
            if n_pairs + 256 > pairs.shape[0]:
                return -1
            for c in range(class_of[edges[edge, 1]], class_of[edges[edge, 2]] + 1):
                pairs[n_pairs, 0], pairs[n_pairs, 1], heads[c] = edges[edge, 3], heads[c], n_pairs
                n_pairs += 1
    return n_pairs


@device
def _closure(pairs, pair, stamp, marks, stack, edges, jump_first, jump, move_first, leave, members, end):
    """Writes the states of the list at `pair`, and what epsilon edges reach, behind `members[:end]`.

    Only states with byte edges and the exit are kept. Returns the new end, the set's hash and the states visited.
    """
    height, key, visited = 0, np.int64(0), 0
    while pair >= 0 or height:
        if height:
            height -= 1
            at = stack[height]
        else:
            at, pair = pairs[pair, 0], pairs[pair, 1]
            if marks[at] == stamp:
                continue
            marks[at] = stamp
        visited += 1
        for j in range(jump_first[at], jump_first[at + 1]):
            target = edges[jump[j], 3]
            if marks[target] != stamp:
                marks[target] = stamp
                stack[height] = target
                height += 1
        if move_first[at] < move_first[at + 1] or at == leave:
            members[end] = at
            end += 1
            key += mixed(np.int64(at))
    return end, key, visited


@device
def _slot_of_set(key, begin, end, slots, hashes, set_first, members, marks, stamp):
    """The slot of the set `members[begin:end]`, whose members are marked by `stamp`, or the free one where it belongs.

    Two sets of one hash and size are equal if all members of the one are marked in the other's closure: no sorting.
    """
    slot = mixed(key) & (slots.size - 1)
    while slots[slot]:
        other = slots[slot]
        if hashes[other] == key and set_first[other + 1] - set_first[other] == end - begin:
            i = set_first[other]
            while i < set_first[other + 1] and marks[members[i]] == stamp:
                i += 1
            if i == set_first[other + 1]:
                break
        slot = (slot + 1) & (slots.size - 1)
    return slot


@subroutine(
    "int64(int32[:, ::1], int32[::1], int32[::1], int32[::1], int32[::1], int64, uint8[::1], int64[::1], int32[::1],"
    "int32[::1], int32[:, ::1], int32[::1], int32[:, ::1], uint8[::1], int64[::1], int64[::1], int32[::1], int64[::1],"
    "int64, int64)"
)
def _expand_sets(
    edges, jump_first, jump, move_first, move, leave, class_of, marks, stack, heads, pairs, members,
    table, accepting, hashes, set_first, slots, progress, max_states, max_steps,
):  # fmt: skip
    """Expands DFA states until all are, a budget is met or an array is full; returns OK, TOO_MANY_... or FULL_...

    progress : int64[4], in and out = state to expand, n_states, steps, stamp. Expanding a state twice changes nothing,
    so after FULL_... the caller enlarges that array and calls again. PERF: arrays that are never reassigned are not
    reference counted in the loop, which made this five times as fast.
    """
    while progress[0] < progress[1]:
        state = progress[0]
        n_pairs = _successors(
            edges, move_first, move, members, set_first[state], set_first[state + 1], class_of, heads, pairs
        )
        if n_pairs < 0:
            return FULL_PAIRS
        progress[2] += n_pairs
        for c in range(heads.size):
            if heads[c] < 0:
                continue
            n_states, begin = progress[1], set_first[progress[1]]
            if begin + marks.size > members.size:
                return FULL_MEMBERS
            progress[3] += 1
            stamp = progress[3]
            end, key, visited = _closure(
                pairs, heads[c], stamp, marks, stack, edges, jump_first, jump, move_first, leave, members, begin
            )
            progress[2] += visited
            if end == begin:
                continue  # no way on and no end: dead
            slot = _slot_of_set(key, begin, end, slots, hashes, set_first, members, marks, stamp)
            if not slots[slot]:
                if n_states > max_states:
                    return TOO_MANY_STATES
                if n_states == accepting.size:
                    return FULL_STATES
                hashes[n_states], accepting[n_states], slots[slot] = key, marks[leave] == stamp, n_states
                set_first[n_states + 1], progress[1] = end, n_states + 1
            table[state, c] = slots[slot]
        if progress[2] > max_steps:
            return TOO_MANY_STEPS
        progress[0] += 1
    return OK


@kernel("int32[::1](int64[::1], int64, int64)")
def slots_for(hashes, n_states, size):
    """A hash table of `size` slots (a power of two) that holds the states 1..n_states - 1 by their hashes; 0 = free."""
    slots = np.zeros(size, np.int32)
    for state in range(1, n_states):
        slot = mixed(hashes[state]) & (size - 1)
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        slots[slot] = state
    return slots


@subroutine
def longer(items, size):
    """A copy of the one-dimensional `items` with `size` items, zero behind the old ones."""
    copy = np.zeros(size, items.dtype)
    for i in range(items.size):
        copy[i] = items[i]
    return copy


@subroutine
def taller(rows, height):
    """A copy of the two-dimensional `rows` with `height` rows, zero below the old ones."""
    copy = np.zeros((height, rows.shape[1]), rows.dtype)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            copy[i, j] = rows[i, j]
    return copy


@kernel(f"{_DETERMINED}(int32[:, ::1], int64[::1], int64, int64)")
def determinize(edges, header, max_states, max_steps):
    """The subset construction over byte classes.

    edges, header : in, as `build_nfa` gives them
    Returns (status, table, accepting, class_of): status : int64[3] = OK or which budget is met, states and steps so
    far; table : int32[n_states, n_classes]; accepting : uint8[n_states]; neither is minimal nor trimmed.
    """
    n_nfa, n_edges, leave = header[1], header[2], header[4]
    status, class_of = np.zeros(3, np.int64), np.zeros(256, np.uint8)
    n_classes = classes_of_edges(edges, n_edges, class_of)
    jump_first, jump = np.empty(n_nfa + 2, np.int32), np.empty(n_edges, np.int32)
    move_first, move = np.empty(n_nfa + 2, np.int32), np.empty(n_edges, np.int32)
    edges_by_source(edges, n_edges, True, jump_first, jump)
    edges_by_source(edges, n_edges, False, move_first, move)
    marks, stack, members = np.zeros(n_nfa, np.int64), np.empty(n_nfa, np.int32), np.empty(4 * n_nfa + 1, np.int32)
    heads, pairs, size = np.full(n_classes, -1, np.int32), np.empty((512, 2), np.int32), 64
    table, accepting = np.zeros((size, n_classes), np.int32), np.zeros(size, np.uint8)
    hashes, set_first, slots = np.zeros(size, np.int64), np.zeros(size + 1, np.int64), np.zeros(4 * size, np.int32)
    # State 0 stands for the way in while the start is made; it is dead afterwards.
    progress = np.array([0, 1, 0, 0])
    members[0], set_first[1] = header[3], 1
    while True:
        status[0] = _expand_sets(
            edges, jump_first, jump, move_first, move, leave, class_of, marks, stack, heads, pairs, members,
            table, accepting, hashes, set_first, slots, progress, max_states, max_steps,
        )  # fmt: skip
        if status[0] == FULL_PAIRS:
            pairs = np.empty((2 * pairs.shape[0], 2), np.int32)
        elif status[0] == FULL_MEMBERS:
            members = longer(members, 2 * members.size)
        elif status[0] == FULL_STATES:
            size *= 2
            table, accepting, hashes = taller(table, size), longer(accepting, size), longer(hashes, size)
            set_first, slots = longer(set_first, size + 1), slots_for(hashes, progress[1], 4 * size)
        else:
            break
    table[0] = 0
    status[1], status[2] = max(progress[1], 2), progress[2]  # an empty start is a state too
    return status, table[: status[1]], accepting[: status[1]], class_of


# ---------------------------------------------------------------------------------------------- products


@device
def _slot_of_pair(key, slots, keys):
    slot = mixed(key) & (slots.size - 1)
    while slots[slot] and keys[slots[slot]] != key:
        slot = (slot + 1) & (slots.size - 1)
    return slot


@kernel(f"int64({_FLAGS}, {_FLAGS}, uint8[::1], uint8[:, ::1])")
def joint_classes(left_class, right_class, class_of, pair):
    """The coarsest classes that refine both; class_of : uint8[256], out; pair[c] = the two classes of class c."""
    height, width = np.int64(left_class.max()) + 1, np.int64(right_class.max()) + 1
    number, n_classes = np.full(height * width, -1, np.int16), 0
    for byte in range(256):
        left, right = np.int64(left_class[byte]), np.int64(right_class[byte])
        if number[left * width + right] < 0:
            number[left * width + right] = n_classes
            pair[n_classes, 0], pair[n_classes, 1] = left, right
            n_classes += 1
        class_of[byte] = number[left * width + right]
    return n_classes


@kernel(f"{_DETERMINED}({_TABLE}, {_FLAGS}, {_FLAGS}, {_TABLE}, {_FLAGS}, {_FLAGS}, int64, int64)")
def product(left, left_accepting, left_class, right, right_accepting, right_class, operation, max_states):
    """The union, intersection or difference of two DFAs over pairs of their states that are visited.

    left, right : int32[n_states, n_classes], in, with their accepting states and byte classes
    Returns (status, table, accepting, class_of) as `determinize` does.
    """
    status, class_of, pair = np.zeros(3, np.int64), np.zeros(256, np.uint8), np.zeros((256, 2), np.uint8)
    k = joint_classes(left_class, right_class, class_of, pair)
    keys, accepting, table = np.zeros(64, np.int64), np.zeros(64, np.uint8), np.zeros((64, k), np.int32)
    slots, n_states, state, width = np.zeros(256, np.int32), 2, 1, right.shape[0]
    keys[1] = width + 1
    slots[_slot_of_pair(keys[1], slots, keys)] = 1
    while state < n_states:
        p, q = keys[state] // width, keys[state] % width
        a, b = left_accepting[p] != 0, right_accepting[q] != 0
        accepting[state] = (a or b) if operation == UNION else (a and b) if operation == INTERSECTION else (a and not b)
        for c in range(k):
            p_next, q_next = left[p, pair[c, 0]], right[q, pair[c, 1]]
            if (p_next == 0 and (operation != UNION or q_next == 0)) or (q_next == 0 and operation == INTERSECTION):
                continue
            key = np.int64(p_next) * width + q_next
            slot = _slot_of_pair(key, slots, keys)
            if not slots[slot]:
                if n_states > max_states:
                    status[0], status[1] = TOO_MANY_STATES, n_states
                    return status, table, accepting, class_of
                if n_states == keys.size:
                    keys, accepting = longer(keys, 2 * n_states), longer(accepting, 2 * n_states)
                    table = taller(table, 2 * n_states)
                    slots = slots_for(keys, n_states, 2 * slots.size)
                    slot = _slot_of_pair(key, slots, keys)
                keys[n_states], slots[slot], n_states = key, n_states, n_states + 1
            table[state, c] = slots[slot]
        state += 1
    status[1] = n_states
    return status, table[:n_states], accepting[:n_states], class_of
