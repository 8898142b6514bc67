"""JSON strings of a pattern and of a bounded length, without the product of the two.

The strings of up to a thousand code points that match a pattern of ten states take ten thousand states as one
automaton, and six times as many as JSON spells them. Here they are the pattern's own automaton, of spellings, and a
number: a state is (state of the automaton, code points so far), made when a text gets there. What must be known is
whether a text can still end with its length in bounds. Whether k more code points can lead from a state to an
accepting one is a sequence over k that is periodic after a while, so it is tabulated up to its first repetition.

INVARIANT: a state is only made if some sentence goes on from it.
Cost: 1 to 50 ms to make and 4 bytes for each state and row of that table; 20 us for a state.

Source: a language over one letter is ultimately periodic (Chrobak, "Finite automata and unary languages", 1986).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..automata.budget import DEFAULT_LIMITS, RegularLimits
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.fragment import Fragment
from ..automata.regular import utf8_texts
from .json_text import string_content

__all__ = ["AcceptedLengths", "CountedString", "CountedStrings", "Lengths"]

_NEVER = 2**31 - 1
_QUOTE = 0x22


class _Characters:
    """An automaton of texts as one over whole characters.

    between : bool[n_states], whether a state is between two characters
    starts : per state the ones between characters at which its character may end; itself, if it is one
    """

    def __init__(self, dfa: ByteDfa, all_texts: ByteDfa) -> None:
        """`all_texts`: what `dfa` is a part of; it accepts in its start alone, which is between characters."""
        first_bytes = np.unique(np.stack([dfa.byte_class, all_texts.byte_class]), axis=1, return_index=True)[1]
        self._steps = dfa.transitions[:, first_bytes].tolist()
        all_steps = all_texts.transitions[:, first_bytes].tolist()
        self.between = np.zeros(dfa.n_states, bool)
        waiting, met = [(1, 1)], {(1, 1)}
        while waiting:
            state, in_all = waiting.pop()
            self.between[state] |= in_all == 1
            for pair in zip(self._steps[state], all_steps[in_all], strict=True):
                if pair[0] and pair not in met:
                    met.add(pair)
                    waiting.append(pair)
        self.starts: list[list[int]] = [[state] if here else [] for state, here in enumerate(self.between.tolist())]
        for state in range(1, dfa.n_states):
            self._starts_of(state)

    def _starts_of(self, state: int) -> list[int]:
        """Recurses over the rest of a character, which is no longer than a surrogate pair."""
        if not self.starts[state] and state:
            self.starts[state] = self.after(state)
        return self.starts[state]

    def after(self, state: int) -> list[int]:
        """The states between characters after one more character, or after the one that the state is in."""
        return sorted({start for target in set(self._steps[state]) for start in self._starts_of(target)})


class AcceptedLengths:
    """How many code points the texts of a language of UTF-8 values have.

    What the automaton over code points can reach after k of them, k = 0, 1, ..., comes again after a while.
    """

    def __init__(self, values: ByteDfa, limits: RegularLimits = DEFAULT_LIMITS) -> None:
        """Raises LimitError where that takes too many steps."""
        characters = _Characters(values, utf8_texts())
        after = [characters.after(state) if here else [] for state, here in enumerate(characters.between.tolist())]
        reached, seen, steps = frozenset([1]), {}, 0
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


class Lengths:
    """How many more code points can lead from a state to an accepting one, in an automaton of spellings."""

    def __init__(self, spelled: ByteDfa, most: int | None, limits: RegularLimits = DEFAULT_LIMITS) -> None:
        """`most`: no more code points are asked for. Raises LimitError where the table takes too many steps."""
        characters = _Characters(spelled, string_content())
        self.between, self._starts = characters.between, characters.starts
        sources, targets = [], []
        for state in np.flatnonzero(self.between).tolist():
            after = characters.after(state)
            sources += [state] * len(after)
            targets += after
        rows, again = _rows_until_repetition(
            spelled.accepting.astype(bool), np.array(sources, int), np.array(targets, int), most, limits
        )
        self._period = len(rows) - again
        self._table = _next_lengths(rows, again)

    def some(self, state: int, least: int, most: int | None) -> bool:
        """Whether `least` to `most` (None: any number from `least` on) more code points can lead to acceptance.

        Within a character it counts from the character's end.
        """
        row = least = max(least, 0)
        if row >= len(self._table):
            if not self._period:
                return False
            row = len(self._table) - self._period + (least - len(self._table)) % self._period
        found = int(self._table[row, self._starts[state]].min(initial=_NEVER))
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
        if steps > limits.steps:
            raise LimitError("steps", steps, limits.steps)
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
    """The strings of `least` to `most` code points whose spellings an automaton accepts; None: any number."""

    def __init__(self, spelled: ByteDfa, least: int, most: int | None) -> None:
        self.spelled, self.least, self.most = spelled, least, most
        self.lengths = Lengths(spelled, most)

    @property
    def is_empty(self) -> bool:
        return not self.is_live(1, 0)

    def is_live(self, state: int, count: int) -> bool:
        """Whether some string goes on from a state; `count` includes the character that it is in."""
        return self.lengths.some(state, self.least - count, None if self.most is None else self.most - count)

    def admits_length(self, count: int) -> bool:
        return self.least <= count and (self.most is None or count <= self.most)


@dataclass(frozen=True, slots=True)
class CountedString:
    """The rest of a string after its opening quote: a state of the automaton, and code points that are complete.

    A string begins as CountedString(strings, 1, 0), if any is in `strings`.
    """

    strings: CountedStrings
    state: int
    count: int

    def expand(self) -> Fragment:
        strings, edges = self.strings, []
        between, after = strings.lengths.between, self.count + 1
        row = strings.spelled.transitions[self.state]
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        ends = np.append(begins[1:], 256) - 1
        for low, high, target in zip(begins.tolist(), ends.tolist(), row[begins].tolist(), strict=True):
            if target and strings.is_live(target, after):
                edges.append((low, high, CountedString(strings, target, self._counted(between[target]))))
        if between[self.state] and strings.spelled.accepting[self.state] and strings.admits_length(self.count):
            edges.append((_QUOTE, _QUOTE, None))
        return Fragment(edges=tuple(edges))

    def _counted(self, complete: bool) -> int:
        """The count behind a byte; beyond `least` without `most` it does not matter."""
        count = self.count + int(complete)
        return min(count, self.strings.least) if self.strings.most is None else count
