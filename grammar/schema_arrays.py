"""What a branch says of arrays: schemas by place, how many items, how many of them under a schema, all different.

Counting (`contains`) and comparing (`uniqueItems` over few values) are progress through a small graph: a state says how
many items there are, how many of them have counted so far, and which values are used up. What an item may be next is a
list of options; those from which the array cannot be completed any more are left out, so there is no dead end.

Arrays of distinct strings from a large or infinite set are the machine's own (fragment.Strings). Other arrays of
distinct items are refused: to compare them, the text of every item would be part of the state.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..automata.errors import LimitError, UnsupportedError
from .json_values import identity
from .schema_complement import negated
from .schema_emptiness import Conjunction, Question
from .schema_names import cardinality

if TYPE_CHECKING:
    from .schema_branch import Branch
    from .schema_keywords import Sub

__all__ = ["ArrayPlan", "ArrayProgress", "Option"]

# Values of an array of distinct items that are compared one by one; states of an array that counts.
MOST_VALUES = 256
_MOST_STATES = 20_000
_MOST_COMBINATIONS = 64


class ArrayProgress(NamedTuple):
    """items : how many so far, saturated where more make no difference. counted : items under each counted schema,
    saturated. used : identities of the values that are there (only where items are compared)."""

    items: int
    counted: tuple[int, ...]
    used: frozenset[Any]


class Option(NamedTuple):
    """What the next item may be: a value under a conjunction, or a constant; and where that leads."""

    conjunction: Conjunction | None
    constant: Any
    then: ArrayProgress


class Counted(NamedTuple):
    """So many items from a place on are under a schema: least to most (None: no bound)."""

    first: int
    sub: Sub
    least: int
    most: int | None

    def after(self, n: int) -> int:
        """The count after one more, saturated."""
        return min(n + 1, self.least) if self.most is None else n + 1

    def is_met(self, n: int) -> bool:
        return n >= self.least and (self.most is None or n <= self.most)

    def matters(self, n: int) -> bool:
        """Whether it makes a difference that another item is under the schema."""
        return self.most is not None or n < self.least


class ArrayPlan:
    """The arrays of one branch."""

    def __init__(self, branch: Branch) -> None:
        self.branch: Branch = weakref.proxy(branch)  # whose part it is
        self.values = branch.values
        self.least, self.most = branch.range("minItems", "maxItems")
        self.prefix = branch.prefix_length
        self.counted = [Counted(*counted) for counted in branch.counted_items()]
        self.wants_equal = branch.wants_equal_items
        self.unique = branch.wants_unique_items and (self.most is None or self.most > 1)
        self._finishing: dict[ArrayProgress, bool] = {}  # what is known of can_finish
        self._domains: dict[int, list[Any]] = {}

    @property
    def is_plain(self) -> bool:
        """Whether a count of items is all that must be known."""
        return not (self.counted or self.unique or self.wants_equal)

    def value(self, i: int) -> Conjunction | None:
        """The conjunction of item i; i = -1 for items beyond every prefix."""
        return self.values.conjunction(self.branch.item_subs(i if i < self.prefix else -1))

    # ------------------------------------------------------------------------------------------------ strings

    def is_of_strings(self) -> bool:
        """Whether distinctness is all but a count, and all items are strings of one kind."""
        if not self.unique or self.counted or self.wants_equal or self.prefix:
            return False
        value = self.value(-1)
        if value is None:
            return False
        for branch in self.values.branches(value):
            constants = branch.constants
            if constants is not None and not all(isinstance(constant, str) for constant in constants):
                return False
            if constants is None and branch.types != {"string"}:
                return False
        return True

    # ------------------------------------------------------------------------------------------------ progress

    @property
    def start(self) -> ArrayProgress:
        return ArrayProgress(0, tuple(0 for _ in self.counted), frozenset())

    def may_end(self, at: ArrayProgress) -> bool:
        """Whether the array may end here."""
        if at.items < self.least or not all(c.is_met(n) for c, n in zip(self.counted, at.counted)):
            return False
        return not self.wants_equal or _EQUAL in at.used

    def options(self, at: ArrayProgress) -> Iterator[Option]:
        """What the next item may be, whether or not the array can be completed after it."""
        if self.most is not None and at.items >= self.most:
            return
        place = min(at.items, self.prefix)
        saturated = max([self.prefix, self.least, *(c.first for c in self.counted)]) if self.most is None else None
        count = at.items + 1 if saturated is None else min(at.items + 1, saturated)
        if self.unique or self.wants_equal:
            yield from self._constants(at, place, count)
            return
        subs = self.branch.item_subs(place if place < self.prefix else -1)
        mattering = [i for i, c in enumerate(self.counted) if at.items >= c.first and c.matters(at.counted[i])]
        combinations = 1 << len(mattering)
        if combinations > _MOST_COMBINATIONS:
            raise LimitError("combinations of schemas that items are counted under", combinations, _MOST_COMBINATIONS)
        for bits in range(combinations):
            here = list(subs)
            counted = list(at.counted)
            for k, i in enumerate(mattering):
                c = self.counted[i]
                if bits >> k & 1:
                    here.append(c.sub)
                    counted[i] = c.after(counted[i])
                else:
                    here.append(negated(c.sub))
            if any(c.most is not None and n > c.most for c, n in zip(self.counted, counted)):
                continue
            conjunction = self.values.conjunction(here)
            if conjunction is not None:
                yield Option(conjunction, None, ArrayProgress(count, tuple(counted), at.used))

    def _constants(self, at: ArrayProgress, place: int, count: int) -> Iterator[Option]:
        """The options where items are compared: each value by itself."""
        for value in self._domain(place):
            key = identity(value)
            if self.unique and key in at.used:
                continue
            counted = [
                c.after(n) if at.items >= c.first and self.values.admits([c.sub], value) else n
                for c, n in zip(self.counted, at.counted)
            ]
            if any(c.most is not None and n > c.most for c, n in zip(self.counted, counted)):
                continue
            if self.wants_equal and _EQUAL in at.used:
                used = at.used
            elif self.wants_equal and key in at.used:
                used = frozenset((_EQUAL,))
            else:
                used = at.used | {key}
            yield Option(None, value, ArrayProgress(count, tuple(counted), used))

    def _domain(self, place: int) -> list[Any]:
        """All values of the item at a place; UnsupportedError where they are too many to be compared one by one."""
        known = self._domains.get(place)
        if known is None:
            conjunction = self.value(place if place < self.prefix else -1)
            values = [] if conjunction is None else self.values.constants(conjunction, MOST_VALUES)
            if values is None:
                keyword = '"uniqueItems"' if self.unique else '"not" (of uniqueItems)'
                raise UnsupportedError(
                    keyword,
                    f"comparing items that are neither strings of one kind nor one of at most {MOST_VALUES} values",
                )
            known = self._domains[place] = values
        return known

    def verify_comparable(self) -> None:
        """UnsupportedError if items would have to be compared that cannot be."""
        if (self.unique or self.wants_equal) and not self.is_of_strings():
            for place in range(self.prefix + 1):
                self._domain(place)

    def can_finish(self, at: ArrayProgress) -> bool:
        """Whether the array can be completed from here."""
        known = self._finishing.get(at)
        if known is None:
            if self.unique and not self.counted and not self.wants_equal:
                known = self._finishing[at] = self._can_be_matched(at)
            else:
                known = self._explore(at, Question())[0]
        return known

    def _explore(self, start: ArrayProgress, question: Question) -> tuple[bool, bool]:
        """Decides can_finish for all states that are reached from one: backwards from those that may end.

        Returns (can_finish(start), whether "no" rests on a conjunction that is being looked at); then nothing is kept.
        """
        rests = False
        before: dict[ArrayProgress, list[ArrayProgress]] = {start: []}
        ends: list[ArrayProgress] = []
        waiting = [start]
        while waiting:
            at = waiting.pop()
            if self._finishing.get(at, False) or self.may_end(at):
                ends.append(at)
            if at in self._finishing:
                continue
            for option in self.options(at):
                if option.conjunction is not None:
                    found, here = self.values.has_value(option.conjunction, question)
                    rests |= here
                    if not found:
                        continue
                if option.then not in before:
                    if len(before) >= _MOST_STATES:
                        raise LimitError("states of an array that counts", len(before) + 1, _MOST_STATES)
                    before[option.then] = []
                    waiting.append(option.then)
                before[option.then].append(at)
        finishing: dict[ArrayProgress, None] = {}
        while ends:
            at = ends.pop()
            if at not in finishing:
                finishing[at] = None
                ends += before[at]
        if not rests:
            self._finishing.update((at, at in finishing) for at in before)
        return start in finishing, rests and start not in finishing

    def _can_be_matched(self, at: ArrayProgress) -> bool:
        """Whether the places that are still needed can have different values: a bipartite matching."""
        needed = range(at.items, self.least)
        taken: dict[Any, int] = {}

        def settle(place: int, tried: set[Any]) -> bool:
            for value in self._domain(min(place, self.prefix)):
                key = identity(value)
                if key in at.used or key in tried:
                    continue
                tried.add(key)
                if key not in taken or settle(taken[key], tried):
                    taken[key] = place
                    return True
            return False

        if len(needed) > MOST_VALUES * (self.prefix + 1):
            return False
        return all(settle(place, set()) for place in needed)

    # ------------------------------------------------------------------------------------------------ values

    def admits(self, value: list[Any]) -> bool:
        """Whether an array is in the branch."""
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            return False
        admits = self.values.admits
        if not all(admits(self.branch.item_subs(i if i < self.prefix else -1), item) for i, item in enumerate(value)):
            return False
        for c in self.counted:
            n = sum(admits([c.sub], item) for item in value[c.first :])
            if not c.is_met(n):
                return False
        if self.unique or self.wants_equal:
            different = len({identity(item) for item in value}) == len(value)
            return different != self.wants_equal if self.unique != self.wants_equal else False
        return True

    def has_value(self, question: Question) -> tuple[bool, bool]:
        """As SchemaValues.has_value, of the arrays."""
        if self.most is not None and self.most < self.least:
            return False, False
        if self.is_plain:
            return self._has_items(question)
        if self.least == 0 and self.may_end(self.start):
            return True, False
        if self.is_of_strings():
            value = self.value(-1)
            assert value is not None
            size = cardinality(self.values.strings_of(value))
            return size is None or size >= self.least, False
        if self._finishing.get(self.start, False) or self.unique or self.wants_equal:
            return self.can_finish(self.start), False
        return self._explore(self.start, question)

    def _has_items(self, question: Question) -> tuple[bool, bool]:
        needed = [self.value(i) for i in range(min(self.least, self.prefix))]
        if self.least > self.prefix:
            needed.append(self.value(-1))
        rests = False
        for conjunction in needed:
            found, here = self.values.has_value(conjunction, question)
            if not found and not here:
                return False, False
            rests |= not found
        return not rests, rests


class _Equal:
    """Stands in ArrayProgress.used for the fact that two items are equal."""


_EQUAL = _Equal()
