"""The partition of member names by which of some languages they are in, as one automaton.

Every language is compiled with a *mark* of its own behind its texts, all of them into one automaton, and any name with
a mark beside them. Which marks may follow a state then says which languages the names that end there are in; and in a
minimal automaton, states that the same marks may follow are followed by the same state: it stands for a class.
So all classes of n patterns come from one subset construction, where differences taken one pattern at a time cost n
automata, each as large as what is left.

Classes whose members have different values stay one automaton when they are spelled: there the number of a class is the
mark behind the closing quotes of its names (fragment.Other).

INVARIANT: a mark begins with 0xFF, which no name has, since it is in no UTF-8.
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
    Bytes,
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

    inside : for each class, which languages its names are in. No class is empty.
    Raises LimitError for more than MOST_CLASSES of them, or where the budget of an automaton is met.
    """

    def __init__(self, languages: Sequence[Regular], within: Sequence[ByteDfa], names: Sequence[str]) -> None:
        n = len(languages)
        marked = [concatenation(language, _mark(i)) for i, language in enumerate((*languages, ANY_TEXT))]
        marked += [concatenation(literal(name), _mark(n + 1)) for name in names]
        marks = alternation(*map(_mark, range(n + 2)))
        limits = [concatenation(Language(limit), marks) for limit in within]
        joint = compile_regular(Intersection((alternation(*marked), *limits)) if limits else alternation(*marked))
        self.n_states = joint.n_states
        self._joint = joint
        self._class_of = np.full(joint.n_states, -1)
        self._languages: dict[tuple[int, ...], ByteDfa] = {}
        self._spelled: dict[tuple[tuple[int, ...], ...], ByteDfa] = {}
        self.inside: list[tuple[bool, ...]] = []
        ends = joint.transitions[:, _MARK]
        for end in np.unique(ends[ends > 0]).tolist():
            known = {high << 8 | low for high, low in _marks_of(joint, end)}
            if n + 1 not in known:
                self._class_of[ends == end] = len(self.inside)
                self.inside.append(tuple(i in known for i in range(n)))
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
        number of a name's group as one byte, which may also be left out.
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
        """The minimal automaton of names whose states know their group: (transitions, byte classes, number + 1 or 0).

        It is made minimal with a mark for each group, the number in two digits of base 8.
        """
        from ..automata.minimize import minimized

        n, numbers, joint = self.n_states, np.arange(len(groups)), self._joint
        group_of = np.zeros(n, np.int64)
        for number, classes in enumerate(groups):
            group_of[np.isin(self._class_of, classes)] = number + 1
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
        apart = minimized(table, accepting, class_of)
        step, ends = apart.transitions, apart.transitions[:, _MARK]
        number_of = np.zeros(apart.n_states, np.int64)
        is_name = apart.accepting == 0
        for end in np.unique(ends[ends > 0]).tolist():
            ((high, low),) = _marks_of(apart, end)
            number_of[ends == end] = 8 * high + low + 1
            is_name[[end, step[end, high]]] = False
        kept = np.cumsum(is_name, dtype=np.int32) - 1
        transitions = step[is_name]
        transitions[:, _MARK] = 0
        return kept[transitions], apart.byte_class, number_of[is_name]


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


def name_classes(languages: Sequence[Regular], within: Sequence[ByteDfa], names: Sequence[str]) -> NameClasses:
    """As NameClasses, remembered."""
    key = (tuple(languages), tuple(within), tuple(names))
    found = _memo.get(key)
    if found is None:
        found = NameClasses(*key)
        _memo.put(key, found, found.n_states)
    return found


def _mark(i: int) -> Bytes:
    return Bytes(bytes((_MARK, i >> 8, i & 0xFF)))


def _marks_of(dfa: ByteDfa, end: int) -> set[tuple[int, int]]:
    """The two bytes of each of the marks whose first byte, 0xFF, leads to `end`."""
    step = dfa.transitions
    return {
        (high, low)
        for high in np.flatnonzero(step[end]).tolist()
        for low in np.flatnonzero(step[step[end, high]]).tolist()
    }
