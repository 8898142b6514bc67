"""JSON strings of a pattern and of a bounded length, without the product of the two.

The strings of up to a thousand code points that match a pattern of ten states take ten thousand states as one
automaton, and six times as many as JSON spells them. Here they are the pattern's own automaton, of values, and a
number: a state is (state of the automaton, code points so far), made when a text gets there. From one to the next leads
a byte, or the automaton of what spells the characters that take the one state to the other, which does not depend on
the number and is shared by all.

What must be known is whether a text can still end with its length in bounds. Whether k more code points can lead from a
state to an accepting one is a sequence over k that is periodic after a while, so it is tabulated up to its first
repetition.

INVARIANT: a state is only made if some sentence goes on from it.
Cost: 1 to 50 ms to make and 4 bytes for each state and row of that table; 20 us for a state.

Source: a language over one letter is ultimately periodic (Chrobak, "Finite automata and unary languages", 1986).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..automata.budget import DEFAULT_LIMITS, RegularLimits
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.fragment import Fragment, Target
from ..automata.regular import CharClass, compile_regular, difference, utf8_texts
from .json_text import json_spelled, string_content

__all__ = ["AcceptedLengths", "CountedString", "CountedStrings"]

_NEVER = 2**31 - 1
_QUOTE = 0x22
_PLAIN = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7F))  # the characters that a byte spells


class _Characters:
    """An automaton of UTF-8 texts as one over whole characters.

    starts : the states between two characters
    """

    def __init__(self, values: ByteDfa) -> None:
        classes = 256 * values.byte_class.astype(np.int32) + utf8_texts().byte_class
        first_bytes = np.unique(classes, return_index=True)[1]
        self._steps = values.transitions[:, first_bytes].tolist()
        of_any = utf8_texts().transitions[:, first_bytes].tolist()
        waiting, met, starts = [(1, 1)], {(1, 1)}, set()
        while waiting:
            state, in_any = waiting.pop()
            if in_any == 1:  # where alone the automaton of all texts is between characters
                starts.add(state)
            for pair in zip(self._steps[state], of_any[in_any], strict=True):
                if pair[0] and pair not in met:
                    met.add(pair)
                    waiting.append(pair)
        self.starts = sorted(starts)
        self._next: dict[int, set[int]] = {0: set(), **{start: {start} for start in starts}}

    def after(self, state: int) -> set[int]:
        """The starts after one more character, or after the one that the state is in: at most three bytes deep."""
        out: set[int] = set()
        for target in set(self._steps[state]):
            if target not in self._next:
                self._next[target] = self.after(target)
            out |= self._next[target]
        return out


class AcceptedLengths:
    """How many code points the texts of a language of UTF-8 values have.

    What the automaton over code points can reach after k of them, k = 0, 1, ..., comes again after a while.
    """

    def __init__(self, values: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> None:
        """Raises LimitError where that takes too many steps."""
        characters = _Characters(values)
        after = {state: characters.after(state) for state in characters.starts}
        reached, seen, steps = frozenset([1]), dict[frozenset[int], int](), 0
        self._accepted: list[bool] = []
        while reached not in seen:
            seen[reached] = len(seen)
            self._accepted.append(any(values.accepting[state] for state in reached))
            reached = frozenset(target for state in reached for target in after[state])
            steps += 1 + len(reached)
            if steps > limits.steps // 50:  # a visit here costs as much as fifty in a kernel
                raise LimitError("steps", 50 * steps, limits.steps)
        self._again = seen[reached]

    def some(self, least: int, most: int | None) -> bool:
        """Whether there is a text of `least` to `most` code points (None: any number from `least` on)."""
        known, period = len(self._accepted), len(self._accepted) - self._again
        if any(self._accepted[least : known if most is None else most + 1]):
            return True
        if most is not None and most < known:
            return False
        first = max(least, known)
        count = period if most is None else min(period, most - first + 1)
        return any(self._accepted[self._again + (k - known) % period] for k in range(first, first + count))


class _Remaining:
    """How many more code points can lead from a state between characters to an accepting one."""

    def __init__(
        self, values: ByteDfa, after: dict[int, set[int]], most: int | None, limits: RegularLimits = DEFAULT_LIMITS
    ) -> None:
        """`most`: no more code points are asked for. Raises LimitError where the table takes too many steps."""
        self._number = {state: i for i, state in enumerate(after)}
        sources = [self._number[state] for state, targets in after.items() for _ in targets]
        targets = [self._number[target] for targets in after.values() for target in targets]
        accepting = values.accepting[list(after)].astype(bool)
        rows, again = _rows_until_repetition(accepting, np.array(sources, int), np.array(targets, int), most, limits)
        self._period = len(rows) - again
        self._table = _next_lengths(rows, again)
        self._shortest = self._table[0].tolist()

    def some(self, state: int, least: int, most: int | None) -> bool:
        """Whether `least` to `most` (None: any number from `least` on) more code points can lead to acceptance."""
        if least <= 0:
            found = self._shortest[self._number[state]]
            return found < _NEVER and (most is None or found <= most)
        row = least
        if row >= len(self._table):
            if not self._period:
                return False
            row = len(self._table) - self._period + (least - len(self._table)) % self._period
        found = int(self._table[row, self._number[state]])
        return found < _NEVER and (most is None or found - row + least <= most)


def _rows_until_repetition(
    accepting: np.ndarray, sources: np.ndarray, targets: np.ndarray, most: int | None, limits: RegularLimits
) -> tuple[list[np.ndarray], int]:
    """Row k: from which states exactly k code points can lead to acceptance; and which row comes again after the last.

    That is the number of rows where `most` was reached before one did.
    """
    rows, seen, steps = [accepting], {accepting.tobytes(): 0}, 0
    while most is None or len(rows) <= most:
        row = np.zeros_like(accepting)
        row[sources[rows[-1][targets]]] = True
        known = seen.setdefault(row.tobytes(), len(rows))
        if known < len(rows):
            return rows, known
        rows.append(row)
        steps += len(accepting) + len(sources)
        if steps > limits.steps // 5:  # a table of 16 MiB
            raise LimitError("steps", 5 * steps, limits.steps)
    return rows, len(rows)


def _next_lengths(rows: list[np.ndarray], again: int) -> np.ndarray:
    """table[k, q]: the least number from k on of code points that can lead from q to acceptance, or _NEVER."""
    table = np.empty((len(rows), rows[0].size), np.int32)
    after = np.full(rows[0].size, _NEVER, np.int32)
    for k, row in enumerate(rows[again:]):  # one more period decides what comes after the last row
        after[(after == _NEVER) & row] = len(rows) + k
    for k in range(len(rows) - 1, -1, -1):
        after = np.where(rows[k], np.int32(k), after)
        table[k] = after
    return table


class CountedStrings:
    """The strings of `least` to `most` code points (None: any number) whose values an automaton accepts."""

    def __init__(self, values: ByteDfa, least: int, most: int | None) -> None:
        """Raises LimitError where the table of lengths takes too many steps."""
        self.values, self.least, self.most = values, least, most
        characters = _Characters(values)
        self._after = {state: characters.after(state) for state in characters.starts}
        self._remaining = _Remaining(values, self._after, most)
        self._steps: dict[int, tuple[list[tuple[int, int, int]], list[tuple[ByteDfa, int]]]] = {}

    @property
    def is_empty(self) -> bool:
        return not self.is_live(1, 0)

    def is_live(self, state: int, count: int) -> bool:
        """Whether some string goes on from a state after `count` characters."""
        return self._remaining.some(state, self.least - count, None if self.most is None else self.most - count)

    def may_end(self, state: int, count: int) -> bool:
        """Whether a string may end in a state after so many characters."""
        in_bounds = self.least <= count and (self.most is None or count <= self.most)
        return in_bounds and bool(self.values.accepting[state])

    def steps(self, state: int) -> tuple[list[tuple[int, int, int]], list[tuple[ByteDfa, int]]]:
        """What leads from a state to others: (first byte, last byte, state), and (language of spellings, state)."""
        found = self._steps.get(state)
        if found is None:
            row = self.values.transitions[state]
            begins = np.flatnonzero(np.diff(row, prepend=-1))
            ends = np.append(begins[1:], 256) - 1
            runs = zip(begins.tolist(), ends.tolist(), row[begins].tolist(), strict=True)
            plain = [
                (max(low, first), min(high, last), target)
                for low, high, target in runs
                for first, last in _PLAIN
                if target and low <= last and high >= first
            ]
            others = [
                (_other_spellings(self.values, list(self._after), state, target), target)
                for target in sorted(self._after[state])
            ]
            found = self._steps[state] = plain, [step for step in others if not step[0].is_empty]
        return found


def _other_spellings(values: ByteDfa, starts: list[int], source: int, target: int) -> ByteDfa:
    """How the characters that lead from one state to another are spelled, but for those that one byte spells."""
    from ..automata.minimize import minimized

    # The source is copied to state 1, so that it is none that a character can lead to; the rest is as it is.
    table = np.concatenate([np.zeros((1, 256), np.int32), values.transitions[[source]], values.transitions[1:]])
    table[table > 0] += 1
    accepting = np.zeros(values.n_states + 1, np.uint8)
    accepting[target + 1] = 1
    table[[state + 1 for state in starts]] = 0
    one = minimized(table, accepting, np.arange(256, dtype=np.uint8))
    return difference(json_spelled(one), compile_regular(CharClass(_PLAIN)))


class CountedString(NamedTuple):
    """The rest of a string after its opening quote: a state of the automaton, and the number of characters so far.

    A string begins as CountedString(strings, 1, 0), if any is in `strings`.
    """

    strings: CountedStrings
    state: int
    length: int

    def expand(self) -> Fragment:
        strings, length = self.strings, self.length + 1
        if strings.most is None:
            length = min(length, strings.least)  # beyond which it does not matter
        plain, spelled = strings.steps(self.state)
        live = {state for _, state in spelled if strings.is_live(state, length)}
        live |= {state for *_, state in plain if state not in live and strings.is_live(state, length)}
        edges: list[tuple[int, int, Target]] = [
            (low, high, CountedString(strings, state, length)) for low, high, state in plain if state in live
        ]
        if strings.may_end(self.state, self.length):
            edges.append((_QUOTE, _QUOTE, None))
        calls = [(language, CountedString(strings, state, length)) for language, state in spelled if state in live]
        return Fragment(edges=tuple(edges), calls=tuple(calls), like=string_content())
