"""The partition of member names by which of some languages they are in, as one automaton.

Every language is compiled with a *mark* of its own behind its texts, all of them into one automaton, and any name with
a mark beside them. Which marks may follow a state then says which languages the names that end there are in; and in a
minimal automaton, states that the same marks may follow are followed by the same state: it stands for a class. So all
classes of n patterns come from one subset construction, where differences taken one pattern at a time cost n automata,
each as large as what is left. Names that nothing is in may be left out: then any name needs no mark, and sixty prefixes
are one trie.

Classes whose members have different values stay one automaton when they are spelled: there the number of a class is the
mark behind the closing quotes of its names (fragment.Other).

INVARIANT: a mark is 0xFF, which no name has, since it is in no UTF-8, and a number's digits of base 8, always as many.
(A byte for each number would be a class of bytes for each, and widen every table.)
Cost: 150 us for three patterns, 1 ms for sixty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import DfaMemo
from ..automata.errors import LimitError
from ..automata.regular import (
    ANY_TEXT,
    EMPTY,
    Bytes,
    Difference,
    Intersection,
    Language,
    Regular,
    alternation,
    compile_regular,
    concatenation,
    literal,
)
from .json_text import closed, json_spelled, numbered_classes, spelled_apart

__all__ = ["MOST_CLASSES", "NameClass", "NameClasses", "name_classes"]

MOST_CLASSES = 64
_MARK = 0xFF


class NameClasses:
    """The names in all of `within`, but for the single `names`, apart by which of `languages` they are in.

    rest : whether names in none of the languages are among them.
    inside : for each class, which languages its names are in. No class is empty.
    Raises LimitError for more than MOST_CLASSES of them, or where the budget of an automaton is met.
    """

    def __init__(
        self, languages: Sequence[Regular], within: Sequence[ByteDfa], names: Sequence[str], rest: bool
    ) -> None:
        self.rest = rest
        self.inside: list[tuple[bool, ...]] = []
        self._languages: dict[tuple[int, ...], ByteDfa] = {}
        self._spelled: dict[tuple[tuple[int, ...], ...], ByteDfa] = {}
        if languages:
            self._joint = compile_regular(_joint(languages, within, names, rest))
            self._tell_apart(len(languages))
        else:
            self._joint = compile_regular(_one(within, names) if rest else EMPTY)
            self._class_of = self._joint.accepting.astype(np.int64) - 1
            self.inside += [()] * (not self._joint.is_empty)
        self.n_states = self._joint.n_states

    def _tell_apart(self, n: int) -> None:
        """Finds the classes of the joint automaton of n languages: each leads to one state by 0xFF."""
        ends = self._joint.transitions[:, _MARK]
        class_at = np.full(self._joint.n_states, -1)
        for end in np.unique(ends[ends > 0]).tolist():
            marks = _numbers_from(self._joint, end, _digits(n + 2))
            if n + 1 not in marks:
                class_at[end] = len(self.inside)
                self.inside.append(tuple([i in marks for i in range(n)]))
        self._class_of = class_at[ends]
        if len(self.inside) > MOST_CLASSES:
            given = len(self.inside)
            raise LimitError("classes of member names (by the patterns that they match)", given, MOST_CLASSES)

    def language(self, classes: tuple[int, ...]) -> ByteDfa:
        """The names of some classes together."""
        from ..automata.minimize import minimized

        found = self._languages.get(classes)
        if found is None:
            table = self._joint.table.copy()
            table[:, self._joint.byte_class[_MARK]] = 0
            accepting = np.isin(self._class_of, classes).astype(np.uint8)
            found = self._languages[classes] = minimized(table, accepting, self._joint.byte_class)
        return found

    def spelled(self, groups: tuple[tuple[int, ...], ...]) -> ByteDfa:
        """The JSON spellings of names with the closing quote, and then, where there are several groups of classes, the
        number of a name's group (json_text.spelled_apart), which may also be left out.
        """
        found = self._spelled.get(groups)
        if found is None:
            if len(groups) == 1:
                found = closed(json_spelled(self.language(groups[0])))
            else:
                found = spelled_apart(*self._grouped(groups))
            self._spelled[groups] = found
        return found

    def _grouped(self, groups: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The minimal automaton of names that tells the groups apart: as spelled_apart takes it."""
        ends = self._joint.transitions[:, _MARK]
        each = tuple((k,) for k in range(len(self.inside)))
        if groups == each and (self._class_of[ends > 0] >= 0).all():
            dfa, number_of = self._joint, self._class_of + 1
        else:
            dfa, number_of = self._regrouped(groups)
        # The states behind 0xFF and behind the digits are left out.
        is_name = np.ones(dfa.n_states, bool)
        behind = np.unique(dfa.transitions[:, _MARK])
        while behind.any():
            is_name[behind] = False
            behind = np.unique(dfa.transitions[behind])
        is_name[0] = True
        transitions = dfa.transitions[is_name]
        transitions[:, _MARK] = 0
        kept = np.cumsum(is_name, dtype=np.int32) - 1
        return kept[transitions], dfa.byte_class, number_of[is_name]

    def _regrouped(self, groups: tuple[tuple[int, ...], ...]) -> tuple[ByteDfa, np.ndarray]:
        """The names of all groups, each with a mark of its group in two digits; and for each state its number + 1."""
        from ..automata.minimize import minimized

        joint, n, numbers = self._joint, self.n_states, np.arange(len(groups))
        of_class = np.zeros(len(self.inside) + 1, np.int64)  # the last is that of no class, -1
        for number, classes in enumerate(groups):
            of_class[list(classes)] = number + 1
        group_of = of_class[self._class_of]
        every = np.arange(256)
        alone = np.where((every < 8) | (every == _MARK), every + 1, 0)
        class_of, first_bytes = numbered_classes(512 * joint.byte_class.astype(np.int64) + alone)
        # Behind the old states: one for each group, one for each last digit, and the end.
        digits = n + len(groups)
        table = np.zeros((digits + 9, first_bytes.size), np.int32)
        table[:n] = joint.transitions[:, first_bytes]
        table[:n, class_of[_MARK]] = np.where(group_of > 0, n - 1 + group_of, 0)
        table[n + numbers, class_of[numbers >> 3]] = digits + (numbers & 7)
        table[digits + np.arange(8), class_of[:8]] = digits + 8
        accepting = np.zeros(digits + 9, np.uint8)
        accepting[digits + 8] = 1
        dfa = minimized(table, accepting, class_of)
        ends, number_at = dfa.transitions[:, _MARK], np.zeros(dfa.n_states, np.int64)
        for end in np.unique(ends[ends > 0]).tolist():
            (number,) = _numbers_from(dfa, end, 2)
            number_at[end] = number + 1
        return dfa, number_at[ends]


class NameClass(NamedTuple):
    """Some classes of names together."""

    of: NameClasses
    numbers: tuple[int, ...]

    @property
    def language(self) -> ByteDfa:
        return self.of.language(self.numbers)

    @property
    def spelled(self) -> ByteDfa:
        """The JSON spellings, with the closing quote."""
        return self.of.spelled((self.numbers,))


_memo: DfaMemo[NameClasses] = DfaMemo(max_states=32_768)


def name_classes(
    languages: Sequence[Regular], within: Sequence[ByteDfa], names: Sequence[str], *, rest: bool = True
) -> NameClasses:
    """As NameClasses, remembered."""
    key = (tuple(languages), tuple(within), tuple(names), rest)
    found = _memo.get(key)
    if found is None:
        found = NameClasses(*key)
        _memo.put(key, found, found.n_states)
    return found


def _joint(languages: Sequence[Regular], within: Sequence[ByteDfa], names: Sequence[str], rest: bool) -> Regular:
    """The names in `within`, each with the marks of the languages that it is in, and of any name, and of `names`."""
    n, length = len(languages), _digits(len(languages) + 2)
    marks = [_mark(i, length) for i in range(n + 2)]
    marked = [concatenation(language, marks[i]) for i, language in enumerate((*languages, *[ANY_TEXT] * rest))]
    marked += [concatenation(literal(name), marks[n + 1]) for name in names]
    if not within:
        return alternation(*marked)
    every = alternation(*marks)
    return Intersection((alternation(*marked), *(concatenation(Language(limit), every) for limit in within)))


def _one(within: Sequence[ByteDfa], names: Sequence[str]) -> Regular:
    """The names in `within` but for `names`."""
    limits = Intersection(tuple(map(Language, within))) if within else ANY_TEXT
    return Difference(limits, alternation(*map(literal, names))) if names else limits


def _digits(numbers: int) -> int:
    """How many digits of base 8 so many numbers take."""
    return max(1, -(-(numbers - 1).bit_length() // 3))


def _mark(number: int, length: int) -> Bytes:
    return Bytes(bytes((_MARK, *(number >> 3 * k & 7 for k in reversed(range(length))))))


def _numbers_from(dfa: ByteDfa, end: int, length: int) -> set[int]:
    """The numbers of so many digits that lead on from the state `end`."""
    found = {(0, end)}
    for _ in range(length):
        rows = dfa.table
        found = {
            (8 * number + digit, to)
            for number, state in found
            for digit in range(8)
            if (to := int(rows[state, dfa.byte_class[digit]]))
        }
    return {number for number, _ in found}
