"""Texts that contain none of some marks: what a model says before a tag begins, and inside one before it ends.

What ends free text is the mark that begins first. So free text before a mark is every text in which no mark occurs,
and after which, the mark written behind it, none begins earlier: before `aa` it is not `a`, since in `aaa` the mark
already stands at the beginning. Only marks that overlap themselves or each other make the difference.

The automaton is that of Aho and Corasick (1975): a state is the longest end of the text that some mark begins with.
Cost: a state for each byte of the marks, about 1 us each.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, LimitError
from ..automata.regular import intersection, utf8_texts

__all__ = ["free_text"]

_LONGEST = 8192  # bytes of all marks together; an automaton has a state for each


@lru_cache(maxsize=256)
def free_text(marks: frozenset[str], follow: str = "") -> ByteDfa:
    """The well-formed texts in which no mark begins, neither within them nor with `follow` behind them.

    marks : none of them empty. The empty text is always in it. Raises LimitError for marks that are too long,
    GrammarError for a lone surrogate in one.
    """
    if not marks:
        return utf8_texts()
    from ..automata.minimize import minimized  # imports numba

    for mark in marks:
        if (found := re.search("[\ud800-\udfff]", mark)) is not None:
            raise GrammarError("a lone surrogate cannot be generated", text=mark, offset=found.start())
    encoded = sorted(mark.encode() for mark in marks)
    size = sum(map(len, encoded))
    if size > _LONGEST:
        raise LimitError("bytes of the marks that free text is without", size, _LONGEST)
    table, longest = _automaton(encoded)
    accepting = longest == 0
    accepting[0] = False
    # No mark that began before `follow` may be complete within it, from whatever state it comes.
    states = np.arange(len(table))
    for n, byte in enumerate(follow.encode(), 1):
        states = table[states, byte]
        accepting &= longest[states] <= n
    table[longest[table] > 0] = 0  # a mark is complete
    free = minimized(table, accepting.astype(np.uint8), np.arange(256, dtype=np.uint8))
    return intersection(free, utf8_texts())


def _automaton(marks: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """int32[n, 256]: the state after a byte, 1 being the start; int32[n]: how long a mark ends there."""
    children: list[dict[int, int]] = [{}, {}]
    longest = [0, 0]
    for mark in marks:
        state = 1
        for byte in mark:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                longest.append(0)
            state = children[state][byte]
        longest[state] = len(mark)
    table = np.ones((len(children), 256), np.int32)
    table[0] = 0
    waiting = deque([(1, 0)])  # a state, and that of the longest end of its text that is another
    while waiting:
        state, shorter = waiting.popleft()
        longest[state] = longest[state] or longest[shorter]
        if shorter:
            table[state] = table[shorter]
        for byte, child in children[state].items():
            waiting.append((child, int(table[state, byte])))
            table[state, byte] = child
    return table, np.array(longest, np.int32)
