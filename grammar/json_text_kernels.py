r"""Kernels that spell a language of texts as JSON writes them between quotes.

A text's code points come as escapes through a tree of hexadecimal digits, whose leaves are the states that the code
point's UTF-8 bytes lead to. The digits of \uXXXX and the six-bit groups of UTF-8 overlap, so a node of that tree is a
state of the value's automaton in the middle of a character and at most four bits that wait:

    \u   d1   d2   d3   d4          1110d1d1 10d2d2d3 10d3d4d4: nodes M1(after byte 1), M2(.., d2), M3(after byte 2, d3)
    \u   D  8-B  d3  d4 \u D C-F d7 d8   a surrogate pair: nodes S2 to S8, then M3 again

Nodes are made from the leaves up, one mode after the other, and equal ones are one (hash-consing), within a state and
across states. INVARIANT: the automaton that results is minimal and trimmed, since the value's is, and since what an
escape's node reads (hexadecimal digits, or an escape after which a state must differ) tells it from every other state.
"""

from __future__ import annotations

import numpy as np

from ..automata.dfa_kernels import mixed
from ..automata.kernel import kernel, subroutine

OK, TOO_MANY_STATES, NOT_UTF8 = 0, 1, 2

# Modes in the order in which they are made. Each has nodes for some states and a few numbers (`_EXTRAS`) of them.
_M3, _M2, _M1, _S8, _S7, _S6, _S5, _S4, _S3, _A, _Z2, _Z1, _S2, _DD, _U, _E = range(16)
_EXTRAS = np.array([4, 16, 1, 16, 4, 4, 4, 4, 16, 8, 8, 1, 4, 1, 1, 1])
# What a node reads: a hexadecimal digit, a backslash, a `u`, or what follows a backslash.
_HEX, _BACKSLASH, _LETTER_U, _ESCAPE = 0, 1, 2, 3
_SHORT_FROM, _SHORT_TO = b'"\\/bfnrt', b'"\\/\x08\x0c\n\r\t'
_TABLE, _FLAGS = "Array(int32, 2, 'C', True)", "Array(uint8, 1, 'C', True)"


@kernel(f"boolean({_TABLE}, {_FLAGS}, int64[::1])")
def character_phases(transitions, accepting, phase):
    """Continuation bytes that each state waits for, into phase : int64[n_states], out; False if it is not UTF-8.

    transitions : int32[n_states, 256], accepting : uint8[n_states], in. Overlong forms, surrogates and what is beyond
    U+10FFFF are not UTF-8 either.
    """
    n = transitions.shape[0]
    phase[:] = -1
    phase[1] = 0
    queue, height, at = np.empty(n, np.int32), 1, 0
    queue[0] = 1
    while at < height:
        q = queue[at]
        at += 1
        if phase[q] and accepting[q]:
            return False
        for byte in range(256):
            target = transitions[q, byte]
            if not target:
                continue
            if phase[q]:
                following = phase[q] - 1 if 0x80 <= byte < 0xC0 else -1
            elif byte < 0x80:
                following = 0
            else:
                following = 1 if 0xC2 <= byte < 0xE0 else 2 if 0xE0 <= byte < 0xF0 else 3 if 0xF0 <= byte < 0xF5 else -1
            if following < 0 or (phase[target] >= 0 and phase[target] != following):
                return False
            if phase[target] < 0:
                phase[target], queue[height], height = following, target, height + 1
        if phase[q] == 0:
            e0, ed, f0, f4 = transitions[q, 0xE0], transitions[q, 0xED], transitions[q, 0xF0], transitions[q, 0xF4]
            for byte in range(0x80, 0xC0):
                low, very_low = byte < 0xA0, byte < 0x90
                if (transitions[e0, byte] and low) or (transitions[ed, byte] and not low):
                    return False
                if (transitions[f0, byte] and very_low) or (transitions[f4, byte] and not very_low):
                    return False
    return True


@kernel(f"int64({_TABLE}, int64[::1], uint8[:, ::1])")
def needed_nodes(transitions, phase, needed):
    """Which states have nodes of which mode, needed : uint8[16, n_states], out; returns the number of nodes at most."""
    needed[:] = 0
    count = 0
    for q in range(1, phase.size):
        if phase[q] == 1:
            needed[_M3, q] = 1
        if phase[q]:
            continue
        for mode in range(_A, _E + 1):
            needed[mode, q] = 1
        for byte in range(0xE0, 0xF0):
            needed[_M2, transitions[q, byte]] = 1
            if byte not in (0xE0, 0xED):  # digits 0 and D have nodes of their own, Z1 and DD
                needed[_M1, transitions[q, byte]] = 1
        for byte in range(0xF0, 0xF5):
            b1 = transitions[q, byte]
            needed[_S3, b1] = 1
            for following in range(0x80, 0xC0):
                for mode in range(_S8, _S4 + 1):
                    needed[mode, transitions[b1, following]] = 1
    for mode in range(16):
        needed[mode, 0] = 0
        for q in range(1, phase.size):
            count += needed[mode, q] * _EXTRAS[mode]
    return count


@subroutine(
    f"int64({_TABLE}, uint8[:, ::1], int32[:, :, ::1], int32[:, ::1], uint8[::1], int64[::1], int32[::1], int64)"
)
def make_nodes(transitions, needed, nodes, targets, kinds, hashes, slots, max_states):
    """Makes the nodes of all modes from the leaves up.

    nodes : int32[16, n_states, 16], in zero and out: the state of node (mode, q, extra), 0 = dead
    targets : int32[n_nodes, 16], kinds : uint8[n_nodes], hashes : int64[n_nodes], out; a node's state is its index here
    plus n_states; slots : int32[a power of two], in zero, scratch: index plus 1 of a node by its hash
    Returns the number of different nodes; with the states no more than max_states + 1.
    """
    n, count = transitions.shape[0], 0
    row = np.zeros(16, np.int32)
    for mode in range(16):
        kind = _ESCAPE if mode == _E else _BACKSLASH if mode == _S4 else _LETTER_U if mode == _S5 else _HEX
        for q in range(1, n):
            if not needed[mode, q]:
                continue
            step = transitions[q]
            for x in range(_EXTRAS[mode]):
                row[:] = 0
                if mode == _M3:
                    for d in range(16):
                        row[d] = step[0x80 | x << 4 | d]
                elif mode == _M2:
                    for d in range(16):
                        row[d] = nodes[_M3, step[0x80 | x << 2 | d >> 2], d & 3]
                elif mode == _M1:
                    for d in range(16):
                        row[d] = nodes[_M2, q, d]
                elif mode == _S8:  # x: the pair's bits 10 and 11 of the low part's side, then two of the digit C to F
                    for d in range(16):
                        row[d] = nodes[_M3, step[0x80 | x << 2 | d >> 2], d & 3]
                elif mode == _S7:
                    for d in range(12, 16):
                        row[d] = nodes[_S8, q, x << 2 | (d & 3)]
                elif mode == _S6:
                    row[13] = nodes[_S7, q, x]
                elif mode in (_S5, _S4):
                    row[0] = nodes[mode - 1, q, x]
                elif mode == _S3:
                    for d in range(16):
                        row[d] = nodes[_S4, step[0x80 | x << 2 | d >> 2], d & 3]
                elif mode == _A:
                    for d in range(16):
                        row[d] = step[x << 4 | d]
                elif mode == _Z2:
                    for d in range(16):
                        if x or d >= 8:
                            row[d] = nodes[_M3, step[0xC0 | x << 2 | d >> 2], d & 3]
                        else:
                            row[d] = nodes[_A, q, d]
                elif mode == _Z1:
                    for d in range(16):
                        row[d] = nodes[_Z2, q, d] if d < 8 else nodes[_M2, step[0xE0], d]
                elif mode == _S2:
                    for d in range(16):
                        plane = 1 + (x << 2 | d >> 2)
                        row[d] = nodes[_S3, step[0xF0 | plane >> 2], (plane & 3) << 2 | (d & 3)]
                elif mode == _DD:
                    for d in range(12):
                        row[d] = nodes[_M2, step[0xED], d] if d < 8 else nodes[_S2, q, d & 3]
                elif mode == _U:
                    row[0], row[13] = nodes[_Z1, q, 0], nodes[_DD, q, 0]
                    for d in range(1, 16):
                        if d != 13:
                            row[d] = nodes[_M1, step[0xE0 | d], 0]
                else:
                    for i in range(8):
                        row[i] = step[_SHORT_TO[i]]
                    row[8] = nodes[_U, q, 0]
                key, alive = np.int64(kind), False
                for d in range(16):
                    key = mixed(key + row[d])
                    alive |= row[d] != 0
                if not alive:
                    continue
                slot = key & (slots.size - 1)
                while slots[slot]:
                    found = slots[slot] - 1
                    if hashes[found] == key and kinds[found] == kind:
                        d = 0
                        while d < 16 and targets[found, d] == row[d]:
                            d += 1
                        if d == 16:
                            break
                    slot = (slot + 1) & (slots.size - 1)
                if not slots[slot]:
                    for d in range(16):
                        targets[count, d] = row[d]
                    kinds[count], hashes[count], slots[slot], count = kind, key, count + 1, count + 1
                    if n + count > max_states:
                        return count
                nodes[mode, q, x] = n + slots[slot] - 1
    return count


@kernel(f"int64({_FLAGS}, uint8[::1], uint8[::1], uint8[::1])")
def spelled_classes(byte_class, class_of, representative, meaning):
    """Byte classes of the spelled language: the value's, refined by what a byte means in an escape.

    class_of : uint8[256], out; representative : uint8[256], out: the least byte of a class; returns their number.
    meaning : uint8[256], out: the byte's digit, 16 + its place in `_SHORT_FROM`, 24 for `u`, 32 where it has none; for
    `b` and `f`, which are both, 64 + the digit.
    """
    meaning[:] = 32
    for i in range(8):
        meaning[_SHORT_FROM[i]] = 16 + i
    for d in range(10):
        meaning[0x30 + d] = d
    for d in range(10, 16):
        meaning[0x41 + d - 10] = d
        meaning[0x61 + d - 10] = d
    meaning[0x62], meaning[0x66], meaning[0x75] = 64 + 11, 64 + 15, 24
    seen, count = np.full((256, 256), -1, np.int16), 0
    for byte in range(256):
        kind = meaning[byte] + (128 if byte < 0x20 else 0)
        if seen[byte_class[byte], kind] < 0:
            seen[byte_class[byte], kind], representative[count], count = count, byte, count + 1
        class_of[byte] = seen[byte_class[byte], kind]
    return count


@kernel(f"Tuple((int64[::1], int32[:, ::1], uint8[::1], uint8[::1]))({_TABLE}, {_FLAGS}, {_FLAGS}, int64)")
def spell(transitions, accepting, byte_class, max_states):
    """The JSON spellings of a language of UTF-8 texts, as a minimal class table (dfa_kernels.py).

    transitions : int32[n_states, 256], accepting : uint8[n_states], byte_class : uint8[256], in: the value's automaton
    Returns (status, table, accepting, class_of): status : int64[2] = OK, TOO_MANY_STATES or NOT_UTF8, and n_states.
    """
    n, status = transitions.shape[0], np.zeros(2, np.int64)
    phase, needed, class_of = np.empty(n, np.int64), np.empty((16, n), np.uint8), np.zeros(256, np.uint8)
    if not character_phases(transitions, accepting, phase):
        status[0] = NOT_UTF8
        return status, np.zeros((2, 1), np.int32), np.zeros(2, np.uint8), class_of
    most = needed_nodes(transitions, phase, needed)
    size = 64
    while size < 2 * most:
        size *= 2
    nodes, targets = np.zeros((16, n, 16), np.int32), np.empty((most + 1, 16), np.int32)
    kinds, hashes, slots = np.zeros(most + 1, np.uint8), np.zeros(most + 1, np.int64), np.zeros(size, np.int32)
    count = make_nodes(transitions, needed, nodes, targets, kinds, hashes, slots, max_states)
    status[1] = n + count
    if status[1] > max_states:
        status[0] = TOO_MANY_STATES
        return status, np.zeros((2, 1), np.int32), np.zeros(2, np.uint8), class_of
    representative, meaning = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    k = spelled_classes(byte_class, class_of, representative, meaning)
    table, ends = np.zeros((n + count, k), np.int32), np.zeros(n + count, np.uint8)
    for c in range(k):
        byte = np.int64(representative[c])
        means = np.int64(meaning[byte])
        digit = means & 15 if means < 16 or means >= 64 else -1
        short = means - 16 if 16 <= means < 24 else 3 if byte == 0x62 else 4 if byte == 0x66 else -1
        for q in range(1, n):
            if phase[q] == 0 and byte == 0x5C:
                table[q, c] = nodes[_E, q, 0]
            elif phase[q] != 0 or (byte >= 0x20 and byte != 0x22):
                table[q, c] = transitions[q, byte]
        for i in range(count):
            if kinds[i] == _HEX:
                at = digit
            elif kinds[i] == _ESCAPE:
                at = 8 if byte == 0x75 else short
            elif kinds[i] == _BACKSLASH:
                at = 0 if byte == 0x5C else -1
            else:
                at = 0 if byte == 0x75 else -1
            if at >= 0:
                table[n + i, c] = targets[i, at]
    for q in range(1, n):
        ends[q] = accepting[q]
    return status, table, ends, class_of
