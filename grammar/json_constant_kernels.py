"""Kernels that write the automaton of a list of constants: their trie, in which numbers go on with zeros.

Behind `12` may come `.0`, behind `12.5` a 0, and so on, unless a longer constant has it otherwise: `12.5` and `12.003`
share the point. So the places of the trie that spell a number so far are looked at in the order in which they were
made, their parents before them: each ends a number, and so does the place that one more 0 leads to.
"""

from __future__ import annotations

import numpy as np

from ..automata.kernel import kernel

# What a text is: as it stands; a number, without point or with one; a number with an exponent.
TEXT, WHOLE, PART, SCIENTIFIC = 0, 1, 2, 3
# Classes of bytes, by their least byte: 0 all others, then those that numbers and literals are of.
SPELLING = b"+-.0123456789Eaeflnrstu"
CLASSES = 24
_POINT, _ZERO, _CAPITAL, _SMALL = 3, 4, 14, 16
# States: only zeros may follow; zeros must follow; the first that a text makes.
_ZEROS, _POINTED, _FIRST = 2, 3, 4


@kernel("int64(Array(uint8, 1, 'C', True), int32[::1], uint8[::1], int32[:, ::1], uint8[::1])")
def write_constants(classes, first, kinds, table, accepting):
    """Writes the automaton of some constants.

    classes : uint8[n], in: the classes of the bytes of all texts. first : int32[n_texts + 1], in: text i is of
    classes[first[i] : first[i + 1]]. kinds : uint8[n_texts], in: TEXT, WHOLE, PART or SCIENTIFIC, whose e may be E
    table : int32[n + 4, CLASSES], accepting : uint8[n + 4], out, zeros before
    Returns the number of rows that are written.
    """
    # The kind of number that is spelled at a place, here also by a point behind a whole one.
    spelled, n_states = np.zeros(table.shape[0], np.uint8), _FIRST
    for i in range(kinds.size):
        at = 1
        for j in range(first[i], first[i + 1]):
            c = classes[j]
            if not table[at, c]:
                table[at, c], n_states = n_states, n_states + 1
            if kinds[i] == SCIENTIFIC and c == _SMALL:
                table[at, _CAPITAL] = table[at, c]
            at = table[at, c]
        accepting[at] = 1
        if kinds[i] == WHOLE or kinds[i] == PART:
            spelled[at] = kinds[i]
    accepting[_ZEROS], table[_ZEROS, _ZERO], table[_POINTED, _ZERO] = 1, _ZEROS, _ZEROS
    for at in range(1, n_states):
        if not spelled[at]:
            continue
        c, default = (_POINT, _POINTED) if spelled[at] == WHOLE else (_ZERO, _ZEROS)
        following = table[at, c]
        if not following:
            table[at, c] = default
        elif following >= _FIRST:
            # A point ends no number, the zeros behind it do.
            spelled[following] = PART
            accepting[following] |= c == _ZERO
    return n_states
