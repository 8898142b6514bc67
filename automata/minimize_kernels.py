"""Kernels that make a DFA minimal, and its arrays a function of its language.

Class tables are those of dfa_kernels.py. Trim, refine, number breadth first, merge equal classes, spread over bytes.

Source: A. Valmari, "Fast brief practical DFA minimization", IPL 112 (2012): partition refinement over the transitions
that exist, so a partial DFA costs what it holds, O(m log m). Moore's rounds were rejected: a chain of 2,000 states
(`.{2000}`) takes 2,000 of them.
"""

from __future__ import annotations

import numpy as np

from .dfa_kernels import mixed
from .kernel import kernel, subroutine

_MINIMAL = "Tuple((int32[:, ::1], uint8[::1], uint8[::1]))"
_TABLE, _FLAGS = "Array(int32, 2, 'C', True)", "Array(uint8, 1, 'C', True)"


@kernel(f"uint8[::1]({_TABLE}, {_FLAGS})")
def useful_states(table, accepting):
    """1 for the states that are reachable and can reach an accepting one; uint8[n_states]."""
    n, k = table.shape
    flags, queue, height = np.zeros(n, np.uint8), np.empty(n, np.int32), 1
    flags[1], queue[0], at, n_moves = 1, 1, 0, 0
    first = np.zeros(n + 2, np.int64)
    while at < height:
        state = queue[at]
        at += 1
        for c in range(k):
            target = table[state, c]
            if target:
                n_moves += 1
                first[target + 2] += 1
                if not flags[target]:
                    flags[target], queue[height], height = 1, target, height + 1
    for s in range(2, n + 2):
        first[s] += first[s - 1]
    sources = np.empty(n_moves, np.int32)
    for i in range(height):
        for c in range(k):
            target = table[queue[i], c]
            if target:
                sources[first[target + 1]] = queue[i]
                first[target + 1] += 1
    n_reached, height = height, 0
    for i in range(n_reached):  # in place: the queue is read ahead of where it is written
        if accepting[queue[i]]:
            queue[height], flags[queue[i]], height = queue[i], 2, height + 1
    while height:
        height -= 1
        state = queue[height]
        for i in range(first[state], first[state + 1]):
            if flags[sources[i]] == 1:
                flags[sources[i]] = 2
                queue[height], height = sources[i], height + 1
    for s in range(n):
        flags[s] = flags[s] == 2
    return flags


@subroutine(
    "int64(int32[::1], int32[::1], int32[::1], int32[:, ::1], int32[:, ::1], int32[:, ::1], int32[:, ::1],"
    "int32[:, ::1], int32[::1], int64, int64)"
)
def _refine_until_stable(tails, first, into, items, place, part_of, begin, end, hits, n_hits, n_cords):
    """Valmari's main loop over two partitions: plane 0, of states into blocks; plane 1, of transitions into cords.

    A cord is a set of transitions with one label into one block. Each cord splits the blocks by its tails; each new
    block splits the cords by the transitions into it (`into[first[s] : first[s + 1]]` for a state s); the smaller part
    becomes the new one. items[p, begin[p, i] : end[p, i]] is part i of plane p, part_of[p, x] the part of x.
    hits : int32[m], the marked ones of plane 0 to begin with: the accepting states. Returns the number of blocks.
    PERF: one loop and no calls, since an array that is passed on is reference counted: five times as fast.
    """
    marked, touched = np.zeros(items.shape[1] + 1, np.int32), np.empty(items.shape[1] + 1, np.int32)
    counts = np.array([1, n_cords])
    plane, block, cord = 0, 1, 0
    while True:
        n_touched = 0
        for h in range(n_hits):  # marked ones go to the front of their part
            x = hits[h]
            part = part_of[plane, x]
            i, j = place[plane, x], begin[plane, part] + marked[part]
            if i < j:
                continue
            other = items[plane, j]
            items[plane, i], place[plane, other], items[plane, j], place[plane, x] = other, i, x, j
            if marked[part] == 0:
                touched[n_touched], n_touched = part, n_touched + 1
            marked[part] += 1
        for t in range(n_touched - 1, -1, -1):
            part, new = touched[t], counts[plane]
            low, middle, high = begin[plane, part], begin[plane, part] + marked[part], end[plane, part]
            marked[part] = 0
            if middle == high:
                continue
            if middle - low <= high - middle:
                begin[plane, new], end[plane, new], begin[plane, part] = low, middle, middle
            else:
                begin[plane, new], end[plane, new], end[plane, part] = middle, high, middle
            for i in range(begin[plane, new], end[plane, new]):
                part_of[plane, items[plane, i]] = new
            counts[plane] += 1
        n_hits = 0
        if block < counts[0]:
            plane = 1
            for i in range(begin[0, block], end[0, block]):
                for j in range(first[items[0, i]], first[items[0, i] + 1]):
                    hits[n_hits], n_hits = into[j], n_hits + 1
            block += 1
        elif cord < counts[1]:
            plane = 0
            for i in range(begin[1, cord], end[1, cord]):
                hits[n_hits], n_hits = tails[items[1, i]], n_hits + 1
            cord += 1
        else:
            return counts[0]


@kernel("int64(int32[::1], int32[::1], int32[::1], int64, uint8[::1], int32[::1], int32[::1])")
def refine(tails, labels, heads, n_labels, accepting, block_of, members):
    """The coarsest partition of trimmed states into equivalent ones.

    tails, labels, heads : int32[m], in: the transitions; every state has a way to an accepting one
    accepting : uint8[n], in
    block_of : int32[n], out: a state's block; members : int32[n], out: a state of each block
    Returns the number of blocks.
    """
    n, m = accepting.size, tails.size
    items, place = np.empty((2, max(n, m)), np.int32), np.empty((2, max(n, m)), np.int32)
    part_of = np.zeros((2, max(n, m)), np.int32)
    begin, end = np.zeros((2, max(n, m) + 1), np.int32), np.zeros((2, max(n, m) + 1), np.int32)
    hits, n_hits = np.empty(max(n, m), np.int32), 0
    end[0, 0] = n
    for s in range(n):
        items[0, s], place[0, s] = s, s
        if accepting[s]:
            hits[n_hits], n_hits = s, n_hits + 1
    first, into, by_label = np.zeros(n + 2, np.int32), np.empty(m, np.int32), np.zeros(n_labels + 1, np.int32)
    for i in range(m):
        first[heads[i] + 2] += 1
        by_label[labels[i] + 1] += 1
    for s in range(2, n + 2):
        first[s] += first[s - 1]
    n_cords = 0
    for c in range(n_labels):
        by_label[c + 1] += by_label[c]
        if by_label[c] < by_label[c + 1]:
            begin[1, n_cords], end[1, n_cords], n_cords = by_label[c], by_label[c + 1], n_cords + 1
    labels_seen = np.cumsum(by_label[1:] > by_label[:-1])
    for i in range(m):
        into[first[heads[i] + 1]] = i
        first[heads[i] + 1] += 1
        at = by_label[labels[i]]
        by_label[labels[i]] += 1
        items[1, at], place[1, i], part_of[1, i] = i, at, labels_seen[labels[i]] - 1
    n_blocks = _refine_until_stable(tails, first, into, items, place, part_of, begin, end, hits, n_hits, n_cords)
    block_of[:] = part_of[0, :n]
    for b in range(n_blocks):
        members[b] = items[0, begin[0, b]]
    return n_blocks


@kernel(f"{_MINIMAL}(int32[:, ::1], uint8[::1], {_FLAGS})")
def canonical(table, accepting, class_of):
    """Numbers a minimal DFA breadth first by byte, and merges equal classes.

    Returns (table, accepting, class_of), table : int32[n_states, n_classes]. Equal languages give equal arrays.
    """
    n, k = table.shape
    number, order, n_states = np.zeros(n, np.int32), np.zeros(n, np.int32), 2
    number[1], order[1], at = 1, 1, 1
    while at < n_states:
        for c in range(k):
            target = table[order[at], c]
            if target and not number[target]:
                number[target], order[n_states], n_states = n_states, target, n_states + 1
        at += 1
    keys, group, n_groups, leader = np.zeros(k, np.int64), np.zeros(k, np.int32), 0, np.zeros(k, np.int32)
    for c in range(k):
        for s in range(1, n_states):
            keys[c] = mixed(keys[c] + table[order[s], c])
        group[c] = -1
        for g in range(n_groups):
            if keys[leader[g]] == keys[c]:
                s = 1
                while s < n_states and table[order[s], c] == table[order[s], leader[g]]:
                    s += 1
                if s == n_states:
                    group[c] = g
                    break
        if group[c] < 0:
            group[c], leader[n_groups], n_groups = n_groups, c, n_groups + 1
    merged = np.zeros((n_states, n_groups), np.int32)
    ends, classes = np.zeros(n_states, np.uint8), np.zeros(256, np.uint8)
    for byte in range(256):
        classes[byte] = group[class_of[byte]]
    for s in range(1, n_states):
        ends[s] = accepting[order[s]] != 0
        for g in range(n_groups):
            merged[s, g] = number[table[order[s], leader[g]]]
    return merged, ends, classes


@kernel(f"{_MINIMAL}({_TABLE}, {_FLAGS}, {_FLAGS})")
def minimize(table, accepting, class_of):
    """The minimal, trimmed, canonically numbered DFA of a class table; returns what `canonical` returns."""
    n, k = table.shape
    useful, index, n_useful, m = useful_states(table, accepting), np.zeros(n, np.int32), 0, 0
    for s in range(1, n):
        if useful[s]:
            index[s], n_useful = n_useful, n_useful + 1
            for c in range(k):
                if useful[table[s, c]]:
                    m += 1
    if not useful[1]:
        return canonical(np.zeros((2, 1), np.int32), np.zeros(2, np.uint8), np.zeros(256, np.uint8))
    tails, labels, heads = np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32)
    ends, states, m = np.zeros(n_useful, np.uint8), np.empty(n_useful, np.int32), 0
    for s in range(1, n):
        if useful[s]:
            states[index[s]], ends[index[s]] = s, accepting[s] != 0
            for c in range(k):
                if useful[table[s, c]]:
                    tails[m], labels[m], heads[m], m = index[s], c, index[table[s, c]], m + 1
    block_of, members = np.empty(n_useful, np.int32), np.empty(n_useful, np.int32)
    n_blocks = refine(tails, labels, heads, k, ends, block_of, members)
    # Blocks become states: the start's block is 1, and block 0 takes the number that this leaves free.
    start = block_of[index[1]]
    renamed = np.arange(1, n_blocks + 1).astype(np.int32)
    renamed[0], renamed[start] = start + 1, 1
    small, small_ends = np.zeros((n_blocks + 1, k), np.int32), np.zeros(n_blocks + 1, np.uint8)
    for b in range(n_blocks):
        small_ends[renamed[b]] = ends[members[b]]
        for c in range(k):
            target = table[states[members[b]], c]
            if useful[target]:
                small[renamed[b], c] = renamed[block_of[index[target]]]
    return canonical(small, small_ends, class_of)
