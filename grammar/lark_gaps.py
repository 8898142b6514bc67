"""What is ignored between tokens: any number of ignored terminals in a row, as one greedy leaf where that is possible.

The leaves of ignored terminals in one context have no text in common, and none ends where another one may go on, so
their sequence is read in one way only: where one ends before a byte that it does not hold, another begins with it. A
set of states, one of each leaf that is still in question, is a state here. An ignored terminal that begins with the
same byte as some token (a comment, where `/` may come) stays a leaf of its own: by that byte, it is not known whether
the gap goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..automata.greedy_dfa import BLOCKED, GreedyDfa, made
from .greedy_ends import first_bytes
from .preferred_match import class_numbers

__all__ = ["gap_of"]


def gap_of(leaves: Sequence[GreedyDfa], after: int) -> tuple[GreedyDfa, ...]:
    """Leaves of which any number in a row are what any number of `leaves` are.

    after : the bytes that tokens begin with which may follow, as a set of bits.
    """
    alone = [leaf for leaf in leaves if first_bytes(leaf) & after]
    others = [leaf for leaf in leaves if not first_bytes(leaf) & after]
    if any(first_bytes(one) & first_bytes(other) for one in alone for other in others):
        return tuple(leaves)
    return (*alone, _joined(others)) if others else tuple(alone)


def _joined(leaves: Sequence[GreedyDfa]) -> GreedyDfa:
    """The leaf of one or more texts of the leaves in a row."""
    cuts: set[int] = set()
    for leaf in leaves:
        of = leaf.byte_class.tolist()
        cuts.update(byte for byte in range(1, 256) if of[byte] != of[byte - 1])
    class_of = class_numbers(cuts)
    first = [class_of.index(c) for c in range(class_of[255] + 1)]
    tables = [leaf.table[:, leaf.byte_class[first]].tolist() for leaf in leaves]
    ends = [leaf.accepting.tolist() for leaf in leaves]
    start = tuple((i, 1) for i in range(len(leaves)))
    number = {start: 1}
    states, rows, accepting = [start], [[0] * len(first)], [0]

    def begun(c: int) -> list[tuple[int, int]]:
        return [(i, table[1][c]) for i, table in enumerate(tables) if table[1][c] > 0]

    for state in states:
        row = []
        for c in range(len(first)):
            entries = [(i, tables[i][q][c]) for i, q in state]
            after = [(i, entry) for i, entry in entries if entry > 0]
            may_end = [ends[i][q] and entry == 0 for (i, q), (_, entry) in zip(state, entries, strict=True)]
            if any(may_end):
                after += begun(c)
            target = tuple(sorted(set(after)))
            if target:
                if target not in number:
                    states.append(target)
                    number[target] = len(states)
                row.append(number[target])
            else:
                is_end = any(ends[i][q] for i, q in state)
                row.append(BLOCKED if is_end and not any(may_end) else 0)
        rows.append(row)
        accepting.append(any(ends[i][q] for i, q in state))
    return made(np.array(rows, np.int64), np.array(accepting, np.uint8), np.frombuffer(class_of, np.uint8))
