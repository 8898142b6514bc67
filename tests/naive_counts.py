"""How many names each state of a spelled language leads to, counted state by state: the twin of count_kernels.

Part of the oracle: no kernel. A name has many spellings: they are counted by the bytes that stand for themselves, and
what must be escaped (quote, backslash, control characters) or is being escaped (inside `\\uXXXX`) by its hexadecimal
digits, each once.

INVARIANT: the language holds every spelling of each of its names, so a state is inside an escape or it is not, and how
far, whichever way it was reached.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

ByteDfa = Any  # transitions, accepting, n_states, state_after

_QUOTE, _BACKSLASH, _U = 34, 92, 117
_DIGITS = b"0123456789abcdef"
_ESCAPED = (*range(32), _QUOTE, _BACKSLASH)
_SELVES = [b for b in range(32, 256) if b not in (_QUOTE, _BACKSLASH)]
# Places of a state: between characters, after a backslash, before a digit, and before and after the second backslash.
_PLAIN, _AFTER_BACKSLASH, _DIGIT, _LOW_BACKSLASH, _LOW_U = range(5)
MOST = 1 << 30


def name_counts(dfa: ByteDfa) -> np.ndarray:
    """int32[n_states]: names that a state leads to, saturated at 2**30; -1: infinitely many; 0 of the dead state."""
    step = dfa.transitions
    n = dfa.n_states
    counts = np.full(n, -1, np.int32)
    counts[0] = 0
    # States that lead to no cycle, each after all that it leads to.
    targets = [[t for t in np.unique(step[q]).tolist() if t] for q in range(n)]
    before: list[list[int]] = [[] for _ in range(n)]
    left = [len(t) for t in targets]
    for q in range(1, n):
        for target in targets[q]:
            before[target].append(q)
    finite: list[int] = []
    ready = deque(q for q in range(1, n) if left[q] == 0)
    while ready:
        q = ready.popleft()
        finite.append(q)
        for earlier in before[q]:
            left[earlier] -= 1
            if left[earlier] == 0:
                ready.append(earlier)
    kinds = _kinds(dfa) if len(finite) > 1 else {}  # the one state is that after the closing quote
    for q in finite:
        counts[q] = min(MOST, _count(dfa, kinds.get(q, _PLAIN), q, counts))
    return counts


def _count(dfa: ByteDfa, kind: int, q: int, counts: np.ndarray) -> int:
    step = dfa.transitions
    if kind == _PLAIN:
        total = int(dfa.accepting[q]) or int(step[q, _QUOTE] != 0)
        total += sum(int(counts[t]) for t in step[q, _SELVES].tolist() if t)
        for code_point in _ESCAPED:
            end = dfa.state_after(b"\\u%04x" % code_point, q)
            total += int(counts[end]) if end else 0
        return total
    if kind in (_AFTER_BACKSLASH, _LOW_U):
        return int(counts[step[q, _U]])
    if kind == _LOW_BACKSLASH:
        return int(counts[step[q, _BACKSLASH]])
    return sum(int(counts[t]) for t in step[q, list(_DIGITS)].tolist() if t)


def _kinds(dfa: ByteDfa) -> dict[int, int]:
    """The states inside an escape, and where in it they are."""
    step = dfa.transitions
    kinds: dict[int, int] = {}
    met = {1}
    waiting = [1]
    while waiting:  # states between characters
        q = waiting.pop()
        ends = [int(t) for b, t in enumerate(step[q].tolist()) if t and b not in (_QUOTE, _BACKSLASH)]
        if step[q, _BACKSLASH]:
            ends += _escape(dfa, int(step[q, _BACKSLASH]), kinds)
        for end in ends:
            if end not in met:
                met.add(end)
                waiting.append(end)
    return kinds


def _escape(dfa: ByteDfa, q: int, kinds: dict[int, int]) -> list[int]:
    """Notes the states of one escape, from after its backslash on; the states after it."""
    step = dfa.transitions
    kinds[q] = _AFTER_BACKSLASH
    ends = [int(t) for b, t in enumerate(step[q].tolist()) if t and b != _U]
    # States before a digit, with what the digits so far are: any, a d, or those of a high surrogate.
    places = {(int(step[q, _U]), "")} if step[q, _U] else set()
    for digit in range(4):
        after = set()
        for at, value in places:
            kinds[at] = _DIGIT
            for k, byte in enumerate(_DIGITS):
                if step[at, byte]:
                    if digit == 0:
                        now = "d" if k == 13 else ""
                    elif digit == 1:
                        now = "high" if value == "d" and 8 <= k < 12 else ""
                    else:
                        now = value
                    after.add((int(step[at, byte]), now))
        places = after
    for at, value in places:
        if value != "high":
            ends.append(at)
            continue
        kinds[at] = _LOW_BACKSLASH
        low = int(step[at, _BACKSLASH])
        kinds[low] = _LOW_U
        digits = {int(step[low, _U])}
        for _ in range(4):
            for place in digits:
                kinds[place] = _DIGIT
            digits = {int(step[place, byte]) for place in digits for byte in _DIGITS if step[place, byte]}
        ends += digits
    return ends
