"""What a branch says of objects: declared members, classes of others by their names, and how many there are."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.regular import Language
from .json_values import is_text
from .name_classes import NameClass, name_classes
from .regex_syntax import search_language
from .schema_names import cardinality

if TYPE_CHECKING:
    from .schema_branch import Branch
    from .schema_emptiness import Conjunction, Question
    from .schema_keywords import Sub

__all__ = ["ObjectPlan", "OtherMembers"]


class OtherMembers(NamedTuple):
    """Members declared nowhere whose names are of some classes (None: all such names).

    value : the conjunction of their values. witnesses : (bits, the narrower one of a member that is what the object
    must have) for each combination of conditions that such a member may meet.
    """

    names: NameClass | None
    value: Conjunction
    witnesses: tuple[tuple[int, Conjunction], ...]


class ObjectPlan:
    """The objects of one branch. least, most : how many members; names : declared and required ones, in order."""

    def __init__(self, branch: Branch) -> None:
        self.branch: Branch = weakref.proxy(branch)  # whose part it is
        self.values = branch.values
        self.least, self.most = branch.range("minProperties", "maxProperties")
        self.required = set(branch.required)
        self.names = branch.declared_and_required()
        self.wanted = branch.wanted_others()
        if len(self.wanted) > _MOST_WANTED:
            raise LimitError("conditions that undeclared members must meet", len(self.wanted), _MOST_WANTED)
        self._name_subs = branch.name_subs()

    def value(self, name: str) -> Conjunction | None:
        """The conjunction of a declared member's value; None if no member may have that name."""
        if self._name_subs and not self.values.admits(self._name_subs, name):
            return None
        return self.values.conjunction(self.branch.member_subs(name))

    def others(self) -> list[OtherMembers]:
        """The classes of members that are declared nowhere, without those that can have no value."""
        patterns = self.branch.patterns_of_names()
        conjunction = self.values.conjunction
        if not patterns and not self._name_subs and not self.wanted:
            value = conjunction(self.branch.other_subs(frozenset()))
            return [] if value is None else [OtherMembers(None, value, ())]
        languages = [search_language(pattern, "ecma") for pattern in patterns]
        languages += [Language(self.branch.language_of(names)) for names, _ in self.wanted]
        within = [self.values.strings_under([sub]) for sub in self._name_subs]
        # Names that no pattern matches and no condition is about often can have no value.
        rest = conjunction(self.branch.other_subs(frozenset())) is not None
        classes = name_classes(languages, within, self.names, rest=rest)
        merged: dict[tuple[Conjunction, tuple[tuple[int, Conjunction], ...]], list[int]] = {}
        for number, inside in enumerate(classes.inside):
            subs = self.branch.other_subs(frozenset(p for p, is_in in zip(patterns, inside) if is_in))
            value = conjunction(subs)
            if value is not None:
                witnesses = self._witnesses(subs, inside[len(patterns) :])
                merged.setdefault((value, witnesses), []).append(number)
        return [
            OtherMembers(
                None if rest and len(together) == len(classes.inside) and not within and not witnesses
                else NameClass(classes, tuple(together)),
                value,
                witnesses,
            )
            for (value, witnesses), together in merged.items()
        ]  # fmt: skip

    def _witnesses(self, subs: list[Sub], can_be: tuple[bool, ...]) -> tuple[tuple[int, Conjunction], ...]:
        """What a member under `subs` is under when it meets some of the conditions that its name allows it to meet."""
        found = []
        for bits in range(1, 1 << len(can_be)):
            chosen = [sub for i, (_, sub) in enumerate(self.wanted) if bits >> i & 1]
            value = self.values.conjunction([*subs, *chosen])
            if value is not None and all(can_be[i] for i in range(len(can_be)) if bits >> i & 1):
                found.append((bits, value))
        return tuple(found)

    def admits(self, value: dict[str, Any]) -> bool:
        """Whether an object is in the branch."""
        if not len(value) >= self.least or (self.most is not None and len(value) > self.most):
            return False
        if any(name not in value for name in self.required):
            return False
        admits = self.values.admits
        for name, item in value.items():
            if self._name_subs and not admits(self._name_subs, name):
                return False
            if not admits(self.branch.member_subs(name), item):
                return False
        others = [(name, item) for name, item in value.items() if name not in self.names]
        return all(
            any(self.branch.is_among(name, names) and admits([sub], item) for name, item in others)
            for names, sub in self.wanted
        )

    def has_value(self, question: Question) -> tuple[bool, bool]:
        """As SchemaValues.has_value, of the objects."""
        needed = len(self.required) + bool(self.wanted)
        if (self.most is not None and max(needed, self.least) > self.most) or not all(map(is_text, self.required)):
            return False, False
        rests = False
        for name in self.required:
            found, here = self.values.has_value(self.value(name), question)
            if not found and not here:
                return False, False
            rests |= not found
        if rests:
            return False, True
        if not self.wanted and self.least <= needed:
            return True, False
        return self._has_enough(question)

    def _has_enough(self, question: Question) -> tuple[bool, bool]:
        """Whether the members that are wanted can be there, and so many members as there must be."""
        rests = False
        available: float = len(self.required)
        combinations: list[tuple[int, float]] = []  # conditions that one member can meet, how many such there can be
        for other in self.others():
            size = math.inf if other.names is None else _size(other.names.language)
            found, here = self.values.has_value(other.value, question)
            rests |= here
            available += size if found else 0
            for bits, value in other.witnesses:
                found, here = self.values.has_value(value, question)
                rests |= here
                if found:
                    combinations.append((bits, size))
        for name in self.names if available < self.least else ():
            if name not in self.required:
                found, here = self.values.has_value(self.value(name), question)
                available += found
                rests |= here
        room = math.inf if self.most is None else self.most - len(self.required)
        fewest = _members_needed(combinations, (1 << len(self.wanted)) - 1)
        enough = available >= self.least and fewest <= room and not math.isinf(fewest)
        return enough, rests and not enough


_MOST_WANTED = 4


def _size(names: ByteDfa) -> float:
    size = cardinality(names)
    return math.inf if size is None else size


def _members_needed(combinations: list[tuple[int, float]], wanted: int) -> float:
    """The fewest members that meet all wanted conditions (bits) together; infinite if none do."""
    if wanted == 0:
        return 0
    return min((1 + _members_needed(combinations, wanted & ~bits) for bits, _ in combinations if bits & wanted),
               default=math.inf)  # fmt: skip
