"""The kernels of factors.py: the suffix automaton of a text of symbols, and its symbols written out as bytes."""

from __future__ import annotations

import numpy as np

from .acyclic_kernels import common_prefix
from .kernel import (
    kernel,
    subroutine,
)
from .table_kernels import mix

# Transitions of the suffix automaton while it is made: source, symbol, target, the source's transition before it.
E_FROM, E_SYMBOL, E_TO, E_NEXT, EDGE_WIDTH = range(5)
# Symbols that no span has: they are numbered from here on.
BREAK = 1 << 30


@kernel("int64(Array(uint8, 1, 'C', True), Array(int64, 1, 'C', True), int32[::1], int32[::1], int32[::1])")
def number_sorted(data, bounds, order, numbers, leaders):
    """Numbers equal strings alike, in their order: how many different ones there are.

    data, bounds, order : as sort_strings has them. numbers : int32[n], out. leaders : int32[n], out, the first string
    of each number.
    """
    n = 0
    for k in range(order.shape[0]):
        i = order[k]
        length = bounds[i + 1] - bounds[i]
        if (
            k == 0
            or length != bounds[leaders[n - 1] + 1] - bounds[leaders[n - 1]]
            or (common_prefix(data, bounds, leaders[n - 1], i) != length)
        ):
            leaders[n] = i
            n += 1
        numbers[i] = n - 1
    return n


# ------------------------------------------------------------------------------------------------ the suffix automaton


@subroutine("int64(int64, int64, int64)")
def slot_of(state, symbol, mask):
    return mix(mix(17, state), symbol) & mask


@subroutine("int64(int32[::1], int32[:, ::1], int64, int64)")
def find_edge(slots, edges, state, symbol):
    """The transition of a state by a symbol, or -1."""
    mask = slots.shape[0] - 1
    h = slot_of(state, symbol, mask)
    while slots[h] != 0:
        e = slots[h] - 1
        if edges[e, E_FROM] == state and edges[e, E_SYMBOL] == symbol:
            return e
        h = (h + 1) & mask
    return -1


@subroutine("void(int32[::1], int32[:, ::1], int32[::1], int64, int64, int64, int64)")
def add_edge(slots, edges, head, e, state, symbol, to):
    """Writes transition e and finds it a slot."""
    edges[e, E_FROM], edges[e, E_SYMBOL], edges[e, E_TO], edges[e, E_NEXT] = state, symbol, to, head[state]
    head[state] = e
    mask = slots.shape[0] - 1
    h = slot_of(state, symbol, mask)
    while slots[h] != 0:
        h = (h + 1) & mask
    slots[h] = e + 1


@subroutine("int32[::1](int32[::1], int32[:, ::1], int64, int64)")
def slots_for(slots, edges, n, more):
    """The slots, or twice as many, with room for `more` transitions beside n at three quarters full."""
    size = slots.shape[0]
    while 4 * (n + more) > 3 * size:
        size *= 2
    if size == slots.shape[0]:
        return slots
    wider = np.zeros(size, np.int32)
    for e in range(n):
        h = slot_of(edges[e, E_FROM], edges[e, E_SYMBOL], size - 1)
        while wider[h] != 0:
            h = (h + 1) & (size - 1)
        wider[h] = e + 1
    return wider


@kernel("UniTuple(int64, 2)(int32[::1], int32[:, ::1], int32[::1], int32[::1], int32[::1])")
def suffix_automaton(symbols, edges, head, link, length):
    """The automaton of all factors of a text of symbols: (states, transitions). State 0 is the start.

    symbols : int32[n]. edges : int32[3 * n + 2, EDGE_WIDTH], out. head : int32[2 * n + 2], out, the last transition of
    each state, or -1. link, length : int32[2 * n + 2], scratch: the state of the longest suffix that is in another
    state (-1 for the start), and the longest factor's length.
    """
    slots = np.zeros(1 << 10, np.int32)
    head[0], link[0], length[0] = -1, -1, 0
    states, n, last = 1, 0, 0
    for i in range(symbols.shape[0]):
        c = symbols[i]
        new = states
        states += 1
        head[new], length[new] = -1, length[last] + 1
        p = last
        e = -1
        while p >= 0:
            e = find_edge(slots, edges, p, c)
            if e >= 0:
                break
            slots = slots_for(slots, edges, n, 1)
            add_edge(slots, edges, head, n, p, c, new)
            n += 1
            p = link[p]
        if p < 0:
            link[new] = 0
        elif length[p] + 1 == length[edges[e, E_TO]]:
            link[new] = edges[e, E_TO]
        else:
            q = edges[e, E_TO]
            twin = states
            states += 1
            head[twin], length[twin], link[twin] = -1, length[p] + 1, link[q]
            k = head[q]
            while k >= 0:
                slots = slots_for(slots, edges, n, 1)
                add_edge(slots, edges, head, n, twin, edges[k, E_SYMBOL], edges[k, E_TO])
                n += 1
                k = edges[k, E_NEXT]
            while p >= 0:
                e = find_edge(slots, edges, p, c)
                if e < 0 or edges[e, E_TO] != q:
                    break
                edges[e, E_TO] = twin
                p = link[p]
            link[q] = twin
            link[new] = twin
        last = new
    return states, n


@kernel("void(int32[:, ::1], int64, int64, int64, int32[::1], int32[::1], int32[::1], int32[::1])")
def order_edges(edges, n, states, symbols, first, symbol, target, scratch):
    """The transitions by state and symbol, those by a BREAK left out.

    edges : int32[..., EDGE_WIDTH], n in use, of so many states, by symbols 0 to symbols - 1 and breaks.
    first : int32[states + 1], symbol, target : int32[n], out: those of state s are first[s] up to first[s + 1].
    scratch : int32[n + max(states, symbols) + 1].
    """
    by_symbol, counts = scratch[:n], scratch[n:]
    counts[:] = 0
    kept = 0
    for e in range(n):
        if edges[e, E_SYMBOL] < BREAK:
            counts[edges[e, E_SYMBOL] + 1] += 1
            kept += 1
    for c in range(symbols):
        counts[c + 1] += counts[c]
    for e in range(n):
        c = edges[e, E_SYMBOL]
        if c < BREAK:
            by_symbol[counts[c]] = e
            counts[c] += 1
    first[:] = 0
    for k in range(kept):
        first[edges[by_symbol[k], E_FROM] + 1] += 1
    for s in range(states):
        first[s + 1] += first[s]
    counts[:states] = first[:states]
    for k in range(kept):
        e = by_symbol[k]
        at = counts[edges[e, E_FROM]]
        symbol[at], target[at] = edges[e, E_SYMBOL], edges[e, E_TO]
        counts[edges[e, E_FROM]] += 1


# ------------------------------------------------------------------------------------------------ symbols as bytes


@subroutine("int64(int32[:, ::1], int64, int64)")
def hash_of_cursors(cursors, begin, end):
    h = 17
    for k in range(begin, end):
        for i in range(3):
            h = mix(h, cursors[k, i])
    return h


@subroutine("int64(int32[::1], int32[:, ::1], int32[::1], uint8[::1], int64)")
def place_of_set(slots, cursors, begins, accepting, state):
    """Where in the slots (state + 1, 0 = free) a state of the same cursors is, or may be put."""
    mask = slots.shape[0] - 1
    begin, end = begins[state], begins[state + 1]
    h = mix(hash_of_cursors(cursors, begin, end), accepting[state]) & mask
    while slots[h] != 0:
        other = slots[h] - 1
        k = begins[other]
        same = accepting[other] == accepting[state] and begins[other + 1] - k == end - begin
        for m in range(begin, end):
            if not same:
                break
            same = cursors[k, 0] == cursors[m, 0] and cursors[k, 1] == cursors[m, 1] and cursors[k, 2] == cursors[m, 2]
            k += 1
        if same:
            return h
        h = (h + 1) & mask
    return h


@subroutine("int64(int32[:, ::1], int64, int64, int64, int64, int64)")
def add_cursor(cursors, begin, n, low, high, depth):
    """Adds a cursor to cursors[begin:n], which stay sorted and different; the new n."""
    at = n
    while at > begin and (
        cursors[at - 1, 0] > low
        or (
            cursors[at - 1, 0] == low
            and (cursors[at - 1, 1] > high or (cursors[at - 1, 1] == high and cursors[at - 1, 2] > depth))
        )
    ):
        at -= 1
    if at > begin and cursors[at - 1, 0] == low and cursors[at - 1, 1] == high and cursors[at - 1, 2] == depth:
        return n
    for k in range(n, at, -1):
        cursors[k, 0], cursors[k, 1], cursors[k, 2] = cursors[k - 1, 0], cursors[k - 1, 1], cursors[k - 1, 2]
    cursors[at, 0], cursors[at, 1], cursors[at, 2] = low, high, depth
    return n + 1


@subroutine("int32[:, ::1](int32[:, ::1], int64, int64)")
def wider_rows(rows, n, size):
    """Room for `size` rows at least, the first n as they are."""
    wider = np.empty((max(size, 2 * rows.shape[0]), rows.shape[1]), np.int32)
    wider[:n] = rows[:n]
    return wider


@subroutine("int32[::1](int32[::1], int64)")
def wider_ints(ints, n):
    """Twice as many, and 256, the first n as they are."""
    wider = np.empty(2 * ints.shape[0] + 256, np.int32)
    wider[:n] = ints[:n]
    return wider


@subroutine("uint8[::1](uint8[::1], int64)")
def wider_bytes(data, n):
    """As wider_ints."""
    wider = np.empty(2 * data.shape[0] + 256, np.uint8)
    wider[:n] = data[:n]
    return wider


@subroutine("int64(int32[::1], int32[::1], int32[::1], int32[:, ::1], int64, int64, int64, int64)")
def after_symbol(first, target, entry, cursors, begin, n, e, depth):
    """Adds, to cursors[begin:n], what follows transition e: all of its target's transitions; or, where `depth` bytes of
    its symbol have been read and others have not, e. The new n."""
    if depth > 0:
        e = entry[target[e]]
        return add_cursor(cursors, begin, n, e, e + 1, depth)
    q = target[e]
    if first[q + 1] - first[q] == 1:
        e = entry[target[first[q]]]
        return add_cursor(cursors, begin, n, e, e + 1, 0)
    if first[q] < first[q + 1]:
        return add_cursor(cursors, begin, n, first[q], first[q + 1], 0)
    return n


@subroutine(
    "void(Array(uint8, 1, 'C', True), int64[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " int32[:, ::1], int32[::1], int32[::1], uint8[::1], int32[:, ::1], int32[:, ::1], int32[::1], uint8[::1],"
    " int32[::1], int64[::1])"
)
def write_some(
    data, bounds, is_gap, first, symbol, target, entry, known, slots, begins, accepting, cursors, come, out_first,
    label, to, progress,
):  # fmt: skip
    """Writes states of write_out one by one, until none is left or a table may not have room for the next.

    known : int32[transitions, 4]: the states (+ 1) that have one cursor with depth 0 alone, which its first transition
    names: of several transitions and of one, not accepting and accepting. come : int32[n, 1], scratch.
    progress : int64, states, transitions, states written.
    """
    states, edges, at = progress[0], progress[1], progress[2]
    while at < states:
        own, end = begins[at], begins[at + 1]
        if (
            states + 258 > begins.shape[0]
            or edges + 256 > label.shape[0]
            or begins[states] + 512 * (end - own) > cursors.shape[0]
            or end - own > come.shape[0]
            or 4 * (states + 256) > 3 * slots.shape[0]
        ):
            break
        for k in range(own, end):
            come[k - own, 0] = cursors[k, 0]
        while True:
            b = 256
            for k in range(own, end):
                low = come[k - own, 0]
                if low < cursors[k, 1]:
                    b = min(b, data[bounds[symbol[low]] + cursors[k, 2]])
            if b == 256:
                break
            n = begin = begins[states]
            accepts = 0
            for k in range(own, end):
                low, depth = int(come[k - own, 0]), int(cursors[k, 2])
                high = low
                while high < cursors[k, 1] and data[bounds[symbol[high]] + depth] == b:
                    high += 1
                if high == low:
                    continue
                come[k - own, 0] = high
                c = symbol[low]
                if bounds[c + 1] - bounds[c] == depth + 1:
                    if not is_gap[c]:
                        accepts = 1
                    n = after_symbol(first, target, entry, cursors, begin, n, low, 0)
                    low += 1
                if high - low == 1:
                    n = after_symbol(first, target, entry, cursors, begin, n, low, depth + 1)
                elif low < high:
                    n = add_cursor(cursors, begin, n, low, high, depth + 1)
            begins[states + 1] = n
            accepting[states] = accepts
            # PERF: nearly every state of a text of ASCII characters has one such cursor, and needs no search.
            if n - begin == 1 and cursors[begin, 2] == 0:
                low = cursors[begin, 0]
                kind = accepts + (2 if cursors[begin, 1] - low == 1 else 0)
                made = known[low, kind] - 1
                if made < 0:
                    made = states
                    known[low, kind] = states + 1
                    states += 1
            else:
                h = place_of_set(slots, cursors, begins, accepting, states)
                made = slots[h] - 1
                if made < 0:
                    made = states
                    slots[h] = states + 1
                    states += 1
            label[edges], to[edges] = b, made
            edges += 1
        at += 1
        out_first[at] = edges
    progress[0], progress[1], progress[2] = states, edges, at


@kernel(
    "Tuple((int64, int64, int32[::1], uint8[::1], int32[::1], uint8[::1]))(Array(uint8, 1, 'C', True), int64[::1],"
    " uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1], int64, boolean, int64)"
)
def write_out(data, bounds, is_gap, first, symbol, target, entry, root, accepts_empty, most):
    """The automaton over bytes of one over symbols: (states, transitions, first, label, target, accepting).

    Symbol c is data[bounds[c]:bounds[c + 1]] (not empty), in the order of the bytes; no text ends after one that
    is_gap (uint8). first, symbol, target : as order_edges has them; `root` is the start. Every transition to a state is
    by one symbol, and entry : int32, one of these transitions for each state. most : states; beyond it the first of the
    results is -1.

    A state of the result is a set of *cursors*: transitions low to high (excluded) of one state of the other automaton,
    of whose symbols the first `depth` bytes have been read. One transition alone stands for all to its target, so that
    a symbol is written out once for the state that it leads to. Where one symbol begins with another, and the shorter
    one is complete, there are cursors of two states.
    """
    size = 1 << 10
    slots, known = np.zeros(size, np.int32), np.zeros((symbol.shape[0], 4), np.int32)
    begins, out_first, to = np.zeros(size, np.int32), np.zeros(size, np.int32), np.empty(size, np.int32)
    accepting, label = np.zeros(size, np.uint8), np.empty(size, np.uint8)
    cursors, come = np.empty((size, 3), np.int32), np.empty((64, 1), np.int32)
    cursors[0, 0], cursors[0, 1], cursors[0, 2] = first[root], first[root + 1], 0
    begins[1] = 1
    accepting[0] = 1 if accepts_empty else 0
    progress = np.zeros(3, np.int64)
    progress[0] = 1
    while progress[2] < progress[0]:
        states, edges, at = progress[0], progress[1], progress[2]
        if states > most:
            return -1, edges, out_first, label, to, accepting
        if states + 258 > begins.shape[0]:
            begins, accepting = wider_ints(begins, states + 1), wider_bytes(accepting, states)
            out_first = wider_ints(out_first, at + 1)
        if edges + 256 > label.shape[0]:
            label, to = wider_bytes(label, edges), wider_ints(to, edges)
        wanted = begins[at + 1] - begins[at]
        if begins[states] + 512 * wanted > cursors.shape[0]:
            cursors = wider_rows(cursors, begins[states], begins[states] + 512 * wanted)
        if wanted > come.shape[0]:
            come = wider_rows(come, 0, wanted)
        if 4 * (states + 256) > 3 * slots.shape[0]:
            slots = np.zeros(2 * slots.shape[0], np.int32)
            for q in range(1, states):
                if begins[q + 1] - begins[q] != 1 or cursors[begins[q], 2] != 0:  # others are found by `known`
                    slots[place_of_set(slots, cursors, begins, accepting, q)] = q + 1
        write_some(
            data, bounds, is_gap, first, symbol, target, entry, known, slots, begins, accepting, cursors, come,
            out_first, label, to, progress,
        )  # fmt: skip
    return progress[0], progress[1], out_first, label, to, accepting
