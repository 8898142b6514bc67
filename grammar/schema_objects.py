"""What a branch says of objects: declared members, classes of others by their names, and how many there are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsupportedError
from .json_values import is_text
from .schema_names import Names, cardinality, classes, matching, without

if TYPE_CHECKING:
    from .schema_branch import Branch
    from .schema_keywords import Sub
    from .schema_values import Conjunction

__all__ = ["ObjectPlan", "OtherMembers"]


class OtherMembers(NamedTuple):
    """Members declared nowhere whose names are in one language (None: all such names).

    value : the conjunction of their values. witness : the narrower one of a member that the object must have, or None.
    """

    names: ByteDfa | None
    value: Conjunction
    witness: Conjunction | None


class ObjectPlan:
    """The objects of one branch. least, most : how many members; names : declared and required ones, in order."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.values = branch.values
        self.least, self.most = branch.range("minProperties", "maxProperties")
        self.required = set(branch.required)
        self.names = branch.declared_and_required()
        wanted = branch.wanted_others()
        if len(wanted) > 1:
            raise UnsupportedError('"not"', "two conditions that some undeclared member must meet in one object")
        self.wanted: tuple[Names, Sub] | None = wanted[0] if wanted else None
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
        if not patterns and not self._name_subs and self.wanted is None:
            value = conjunction(self.branch.other_subs(frozenset()))
            return [] if value is None else [OtherMembers(None, value, None)]
        languages = [matching(pattern) for pattern in patterns]
        if self.wanted is not None:
            languages.append(self.branch.language_of(self.wanted[0]))
        within = [self.values.strings_under([sub]) for sub in self._name_subs]
        merged: dict[tuple[Conjunction, Conjunction | None], list[ByteDfa]] = {}
        parts = classes(languages, within)
        for language, inside in parts:
            subs = self.branch.other_subs(frozenset(p for p, is_in in zip(patterns, inside) if is_in))
            value = conjunction(subs)
            if value is not None:
                wants = self.wanted is not None and inside[-1]
                witness = conjunction([*subs, self.wanted[1]]) if wants and self.wanted is not None else None
                merged.setdefault((value, witness), []).append(language)
        found = []
        for (value, witness), together in merged.items():
            if len(together) == len(parts) and not within:
                found.append(OtherMembers(None, value, witness))
                continue
            language = without(_union(together), self.names)
            if not language.is_empty:
                found.append(OtherMembers(language, value, witness))
        return found

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
        if self.wanted is None:
            return True
        names, sub = self.wanted
        declared = set(self.names)
        return any(
            name not in declared and self.branch.is_among(name, names) and admits([sub], item)
            for name, item in value.items()
        )

    def has_value(self, active: set[Conjunction]) -> tuple[bool, bool]:
        """As SchemaValues.has_value, of the objects."""
        needed = len(self.required) + (self.wanted is not None)
        if (self.most is not None and max(needed, self.least) > self.most) or not all(map(is_text, self.required)):
            return False, False
        rests = False
        for name in self.required:
            found, here = self.values.has_value(self.value(name), active)
            if not found and not here:
                return False, False
            rests |= not found
        if rests:
            return False, True
        if self.wanted is None and self.least <= needed:
            return True, False
        return self._has_enough(active)

    def _has_enough(self, active: set[Conjunction]) -> tuple[bool, bool]:
        """Whether a member that is wanted can be there, and so many members as there must be."""
        rests = False
        available: float = len(self.required)
        found_witness = self.wanted is None
        for other in self.others():
            found, here = self.values.has_value(other.value, active)
            rests |= here
            if found:
                size = None if other.names is None else cardinality(other.names)
                available += math.inf if size is None else size
            if other.witness is not None and not found_witness:
                found_witness, here = self.values.has_value(other.witness, active)
                rests |= here
        for name in self.names if available < self.least else ():
            if name not in self.required:
                found, here = self.values.has_value(self.value(name), active)
                available += found
                rests |= here
        enough = found_witness and available >= self.least
        return enough, rests and not enough


def _union(languages: list[ByteDfa]) -> ByteDfa:
    from ..automata.regular import union

    found = languages[0]
    for language in languages[1:]:
        found = union(found, language)
    return found


