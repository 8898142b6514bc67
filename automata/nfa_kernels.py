"""Kernels that run NFA programs: regular expressions in postfix order become edge lists.

A program is a flat int32 array, so a walk in Python over a regular expression only appends numbers, and repetition is
unrolled here. An edge is a row (from, lo, hi, to): bytes lo..hi, or an epsilon edge if lo > hi.

Source: K. Thompson, "Regular expression search algorithm", CACM 11 (1968).
"""

from __future__ import annotations

import numpy as np

from .kernel import device, kernel

# Opcodes, in postfix order, with their operands.
FRAGMENT = 0  # n_states, n_edges, then the edges; local state 0 is the entry, 1 the exit
BYTES = 1  # n, then n bytes
CONCATENATE = 2  # n: pops n fragments
ALTERNATE = 3  # n: pops n fragments
REPEAT = 4  # min, max (-1: none): pops one fragment


@kernel("int32[:, ::1](int32[:, ::1], int64)")
def rows_for(rows, needed):
    """`rows`, or a larger copy of it that has at least `needed` rows."""
    if needed <= rows.shape[0]:
        return rows
    larger = np.empty((max(needed, 2 * rows.shape[0]), rows.shape[1]), np.int32)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            larger[i, j] = rows[i, j]
    return larger


@device
def _add_edge(edges, n_edges, source, lo, hi, target):
    edges[n_edges, 0], edges[n_edges, 1], edges[n_edges, 2], edges[n_edges, 3] = source, lo, hi, target
    return n_edges + 1


@kernel("Tuple((int64, int64, int32[:, ::1]))(int32[:, ::1], int64, int64, int32[::1], int64, int64)")
def repeat_fragment(edges, n_states, n_edges, fragment, least, most):
    """Repeats the last `fragment` (first state, first edge, entry, exit; in and out) by copying it.

    Returns (n_states, n_edges, edges). The exits are free of outgoing edges, so each can leave for the common exit;
    entry and exit are new states, since the body's entry gets edges from the loop.
    """
    states, count = n_states - fragment[0], n_edges - fragment[1]
    if most == 0:
        n_states, n_edges, copies = fragment[0] + 0, fragment[1] + 0, 0
    else:
        copies = max(least, 1) if most < 0 else most
    edges = rows_for(edges, n_edges + copies * (count + 2) + 4)
    for copy in range(1, copies):
        for i in range(fragment[1], fragment[1] + count):
            source, target = edges[i, 0] + copy * states, edges[i, 3] + copy * states
            n_edges = _add_edge(edges, n_edges, source, edges[i, 1], edges[i, 2], target)
    n_states += max(copies - 1, 0) * states
    entry, leave = n_states, n_states + 1
    n_states += 2
    previous = entry
    for copy in range(copies):
        if copy >= least:
            n_edges = _add_edge(edges, n_edges, previous, 1, 0, leave)
        n_edges = _add_edge(edges, n_edges, previous, 1, 0, fragment[2] + copy * states)
        previous = fragment[3] + copy * states
    if most < 0:
        n_edges = _add_edge(edges, n_edges, previous, 1, 0, fragment[2] + (copies - 1) * states)
    n_edges = _add_edge(edges, n_edges, previous, 1, 0, leave)
    fragment[2], fragment[3] = entry, leave
    return n_states, n_edges, edges


@kernel("Tuple((int64[::1], int32[:, ::1]))(int32[::1], int64)")
def build_nfa(program, max_size):
    """Runs an NFA program into an edge list.

    program : int32[n], in: opcodes and operands, leaving one fragment
    max_size : the budget for states plus edges
    Returns (header, edges): header : int64[5] = size needed (over `max_size`: stopped there), n_states, n_edges, a
    state from which every byte leads to the entry, the exit; edges : int32[>= n_edges, 4].
    INVARIANT: a fragment's states and edges are contiguous; no edge enters its entry and none leaves its exit.
    """
    header = np.zeros(5, np.int64)
    edges = np.empty((64 + program.size, 4), np.int32)
    stack = np.empty((program.size + 1, 4), np.int32)
    top, n_states, n_edges, at = 0, 0, 0, 0
    while at < program.size:
        operation, operand = program[at], program[at + 1]
        if operation == FRAGMENT:
            count = program[at + 2]
            edges = rows_for(edges, n_edges + count)
            stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = n_states, n_edges, n_states, n_states + 1
            for i in range(at + 3, at + 3 + 4 * count, 4):
                source, target = program[i] + n_states, program[i + 3] + n_states
                n_edges = _add_edge(edges, n_edges, source, program[i + 1], program[i + 2], target)
            n_states, top, at = n_states + operand, top + 1, at + 3 + 4 * count
        elif operation == BYTES:
            edges = rows_for(edges, n_edges + operand)
            stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = n_states, n_edges, n_states, n_states + operand
            for i in range(operand):
                byte = program[at + 2 + i]
                n_edges = _add_edge(edges, n_edges, n_states + i, byte, byte, n_states + i + 1)
            n_states, top, at = n_states + operand + 1, top + 1, at + 2 + operand
        elif operation == CONCATENATE:
            edges = rows_for(edges, n_edges + operand)
            top -= operand
            for i in range(top, top + operand - 1):
                n_edges = _add_edge(edges, n_edges, stack[i, 3], 1, 0, stack[i + 1, 2])
            stack[top, 3] = stack[top + operand - 1, 3]
            top, at = top + 1, at + 2
        elif operation == ALTERNATE:
            edges = rows_for(edges, n_edges + 2 * operand)
            top -= operand
            for i in range(top, top + operand):
                n_edges = _add_edge(edges, n_edges, n_states, 1, 0, stack[i, 2])
                n_edges = _add_edge(edges, n_edges, stack[i, 3], 1, 0, n_states + 1)
            stack[top, 2], stack[top, 3] = n_states, n_states + 1
            n_states, top, at = n_states + 2, top + 1, at + 2
        else:
            most = program[at + 2]
            copies = np.int64(max(operand, most, 1))
            fragment = stack[top - 1]
            header[0] = n_states + n_edges + (copies - 1) * (n_states - fragment[0] + n_edges - fragment[1]) + copies
            if header[0] > max_size:
                return header, edges
            n_states, n_edges, edges = repeat_fragment(edges, n_states, n_edges, fragment, operand, most)
            at += 3
        header[0] = n_states + n_edges
        if header[0] > max_size:
            return header, edges
    edges = rows_for(edges, n_edges + 1)
    n_edges = _add_edge(edges, n_edges, n_states, 0, 255, stack[0, 2])
    header[1], header[2], header[3], header[4] = n_states + 1, n_edges, n_states, stack[0, 3]
    return header, edges


@kernel("int32[::1](Array(int32, 2, 'C', True), Array(uint8, 1, 'C', True))")
def write_fragment(transitions, accepting):
    """The FRAGMENT instruction of an automaton with its states s as local states s + 1.

    transitions : int32[n_states, 256], accepting : uint8[n_states], in; an epsilon edge leads into the start and one
    from each accepting state to the exit, so that no edge enters the entry or leaves the exit.
    """
    n = accepting.size
    count = 1
    for s in range(1, n):
        count += int(accepting[s])
        for byte in range(256):
            target = transitions[s, byte]
            count += target != 0 and (byte == 255 or transitions[s, byte + 1] != target)
    out = np.empty(3 + 4 * count, np.int32)
    out[0], out[1], out[2] = FRAGMENT, n + 1, count
    out[3], out[4], out[5], out[6], at = 0, 1, 0, 2, 7
    for s in range(1, n):
        if accepting[s]:
            out[at], out[at + 1], out[at + 2], out[at + 3], at = s + 1, 1, 0, 1, at + 4
        begin = 0
        for byte in range(256):
            target = transitions[s, byte]
            if byte == 255 or transitions[s, byte + 1] != target:
                if target:
                    out[at], out[at + 1], out[at + 2], out[at + 3], at = s + 1, begin, byte, target + 1, at + 4
                begin = byte + 1
    return out
