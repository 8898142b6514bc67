"""JSON schemas as states of the machine.

    ValueState      a conjunction of schemas: calls its leaves, its array and its object states
    ArrayState, ObjectState   one branch of it, read as an array or an object
    ProgressState   a place in an array that counts or compares its items

States are interned by the grammar that makes them (one object per conjunction), so they hash and compare by identity.
A value that is a leaf and nothing else is that leaf's automaton, without a state.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError
from ..automata.fragment import Fragment, Items, Members, Other, Payload, Strings, Target
from .schema_arrays import ArrayPlan, ArrayProgress
from .schema_branch import Branch
from .schema_complement import schema_of
from .schema_leaves import (
    any_scalar,
    boolean,
    constants_language,
    constants_targets,
    null,
    number,
    one_of,
    spelled_names,
    spelling,
    string,
)
from .schema_names import any_name
from .schema_numbers import number_language
from .schema_objects import ObjectPlan
from .schema_strings import string_target
from .schema_values import ANYTHING, Conjunction, SchemaValues

__all__ = ["SchemaStates"]

# A schema of this type without any other keyword is the leaf of that type.
_LEAVES: dict[str, Callable[[], ByteDfa]] = {"string": string, "boolean": boolean, "null": null, "number": number}
# With these alone a schema of a single type has a value.
_NEVER_EMPTY = frozenset(
    ["type", "properties", "additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems"]
)
_OPEN_BRACKET, _CLOSE_BRACKET, _COMMA = 91, 93, 44


class ValueState:
    """A value under a conjunction of schemas."""

    __slots__ = ("conjunction", "states")

    def __init__(self, states: SchemaStates, conjunction: Conjunction) -> None:
        self.states = states
        self.conjunction = conjunction

    def expand(self) -> Fragment:
        return self.states.expand_value(self.conjunction)


class ArrayState:
    """An array of one branch."""

    __slots__ = ("plan", "states")

    def __init__(self, states: SchemaStates, plan: ArrayPlan) -> None:
        self.states = states
        self.plan = plan

    def expand(self) -> Items | Strings | Fragment:
        return self.states.expand_array(self.plan)


class Place(Enum):
    """Where in an array a ProgressState is."""

    OPENED = "after the bracket"
    ITEM = "before an item"
    AFTER = "after an item"


class ProgressState:
    """A place in an array that counts or compares its items."""

    __slots__ = ("_key", "at", "place", "plan", "states")

    def __init__(self, states: SchemaStates, plan: ArrayPlan, place: Place, at: ArrayProgress) -> None:
        self.states = states
        self.plan = plan
        self.place = place
        self.at = at
        self._key = (id(plan), place, at)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProgressState) and self._key == other._key

    def expand(self) -> Fragment:
        return self.states.expand_progress(self.plan, self.place, self.at)


class ObjectState:
    """An object of one branch."""

    __slots__ = ("plan", "states")

    def __init__(self, states: SchemaStates, plan: ObjectPlan) -> None:
        self.states = states
        self.plan = plan

    def expand(self) -> Members:
        return self.states.expand_object(self.plan)


class SchemaStates:
    """Makes and interns the states of one grammar."""

    def __init__(self, values: SchemaValues, *, ordered: bool, whitespace: int) -> None:
        self._values = values
        self._ordered = ordered
        self._whitespace = whitespace
        self._by_conjunction: dict[Conjunction, Payload | ByteDfa] = {}
        # Schemas made for constants; kept, since nodes are known by identity.
        self._constants: dict[int, tuple[Any, Payload | ByteDfa]] = {}

    def root(self, schema: Any) -> Target:
        """The state of the whole schema; UnsatisfiableError if it has no value."""
        conjunction = self._values.conjunction([(schema, self._values.scan.contexts.root)])
        if conjunction is None or self._is_empty(conjunction):
            raise UnsatisfiableError("no value satisfies this schema" + self._why(conjunction), pointer="")
        return self.value(conjunction)

    def value(self, conjunction: Conjunction) -> Payload | ByteDfa:
        """The state of a value under a conjunction that is not empty."""
        known = self._by_conjunction.get(conjunction)
        if known is None:
            known = self._leaf(conjunction) or ValueState(self, conjunction)
            self._by_conjunction[conjunction] = known
        return known

    def constant(self, value: Any) -> Payload | ByteDfa:
        """The state of one value."""
        if not isinstance(value, (list, dict)):
            return constants_language([value])
        known = self._constants.get(id(value))
        if known is None:
            conjunction = self._values.conjunction([(schema_of(value), None)])
            assert conjunction is not None
            known = self._constants[id(value)] = (value, self.value(conjunction))
        return known[1]

    def _leaf(self, conjunction: Conjunction) -> ByteDfa | None:
        """The automaton of a value that is plainly one type of leaf, without looking at branches."""
        if len(conjunction) != 1:
            return None
        schema = self._values.node(conjunction[0]).schema
        if len(schema) != 1:
            return None
        named = schema.get("type")
        leaf = _LEAVES.get(named) if isinstance(named, str) else None
        return leaf() if leaf is not None else None

    def _is_empty(self, conjunction: Conjunction | None) -> bool:
        if conjunction is None:
            return True
        if not conjunction:
            return False
        if len(conjunction) == 1:
            schema = self._values.node(conjunction[0]).schema
            if isinstance(schema.get("type"), str) and _NEVER_EMPTY.issuperset(schema):
                return False
        return self._values.is_empty(conjunction)

    def _why(self, conjunction: Conjunction | None) -> str:
        """Which required member of an empty conjunction is empty, as far as it is one."""
        path = ""
        met = set()
        while conjunction and conjunction not in met:
            met.add(conjunction)
            # What contradicts itself plainly has no branch left: then it is read as it stands.
            branches = self._values.branches(conjunction) or [Branch(self._values, conjunction)]
            if len(branches) != 1 or branches[0].types != {"object"}:
                break
            plan = branches[0].objects
            for name in plan.branch.required:
                below = plan.value(name)
                if self._is_empty(below):
                    path += "/" + name.replace("~", "~0").replace("/", "~1")
                    conjunction = below
                    break
            else:
                break
        return f": the required member {path} can have none" if path else ""

    # ------------------------------------------------------------------------------------------------ values

    def expand_value(self, conjunction: Conjunction) -> Fragment:
        """One leaf automaton for all scalars, and a call for each array, object or counted string."""
        leaves: dict[ByteDfa, None] = {}
        others: dict[Target, None] = {}
        for branch in self._values.branches(conjunction):
            constants = branch.constants
            if constants is not None:
                scalars = [value for value in constants if not isinstance(value, (list, dict))]
                for target in constants_targets(scalars) if scalars else ():
                    if isinstance(target, ByteDfa):
                        leaves[target] = None
                    else:
                        others[target] = None
                others.update((self.constant(v), None) for v in constants if isinstance(v, (list, dict)))
                continue
            if conjunction == ANYTHING:
                leaves[any_scalar()] = None
            else:
                self._scalars(branch, leaves)
                strings = string_target(branch.string_set) if branch.has_strings else None
                if isinstance(strings, ByteDfa):
                    leaves[strings] = None
                elif strings is not None:
                    others[strings] = None
            nothing: set[Conjunction] = set()
            if "array" in branch.types and branch.array.has_value(nothing)[0]:
                others[ArrayState(self, branch.array)] = None
            if "object" in branch.types and branch.objects.has_value(nothing)[0]:
                others[ObjectState(self, branch.objects)] = None
        calls = [(target, None) for target in others]
        if leaves:
            calls.insert(0, (one_of(tuple(sorted(leaves, key=lambda dfa: dfa.digest))), None))
        return Fragment(calls=tuple(calls), like=spelling())

    def _scalars(self, branch: Branch, leaves: dict[ByteDfa, None]) -> None:
        if branch.has_null:
            leaves[null()] = None
        booleans = branch.booleans
        if booleans:
            leaves[boolean() if len(booleans) == 2 else constants_language(list(booleans))] = None
        if branch.has_numbers:
            leaves[number_language(branch.number_set)] = None

    # ------------------------------------------------------------------------------------------------ arrays

    def expand_array(self, plan: ArrayPlan) -> Items | Strings | Fragment:
        """An array: counted, of distinct strings, or by its progress."""
        if plan.is_plain:
            return self._items(plan)
        if plan.is_of_strings():
            return self._strings(plan)
        opened = ProgressState(self, plan, Place.OPENED, plan.start)
        return Fragment(edges=((_OPEN_BRACKET, _OPEN_BRACKET, opened),))

    def _items(self, plan: ArrayPlan) -> Items:
        """Prefix places, then all others; a place without a value ends what is possible."""
        least, most = plan.least, plan.most
        prefix: list[Payload | ByteDfa] = []
        item: Target = None
        for i in range(plan.prefix):
            conjunction = plan.value(i)
            if (most is not None and i >= most) or self._is_empty(conjunction):
                return Items(tuple(prefix), None, least, i if most is None else min(most, i), self._whitespace)
            assert conjunction is not None
            prefix.append(self.value(conjunction))
        conjunction = plan.value(-1)
        if not self._is_empty(conjunction):
            assert conjunction is not None
            item = self.value(conjunction)
        return Items(tuple(prefix), item, least, most, self._whitespace)

    def _strings(self, plan: ArrayPlan) -> Strings:
        """Distinct strings: single ones by name, and what is left as one language."""
        conjunction = plan.value(-1)
        assert conjunction is not None
        single: dict[str, None] = {}
        other = False
        for branch in self._values.branches(conjunction):
            if branch.constants is None:
                other = True
            else:
                single.update(dict.fromkeys(branch.constants))
        if not other:
            names = tuple(value.encode() for value in single)
            return Strings(names, (), plan.least, plan.most, self._whitespace, spelling())
        language = self._values.strings_of(conjunction)
        others = (None if language == any_name() else spelled_names(language),)
        return Strings((), others, plan.least, plan.most, self._whitespace, spelling())

    def expand_progress(self, plan: ArrayPlan, place: Place, at: ArrayProgress) -> Fragment:
        """A place in an array whose items count or are compared; whatever could not be completed is left out."""
        edges: list[tuple[int, int, Target]] = []
        calls: list[tuple[Target, Target]] = []
        if place is not Place.ITEM and plan.may_end(at):
            edges.append((_CLOSE_BRACKET, _CLOSE_BRACKET, None))
        for option in plan.options(at):
            if not plan.can_finish(option.then):
                continue
            target: Target
            if option.conjunction is None:
                target = self.constant(option.constant)
            elif self._is_empty(option.conjunction):
                continue
            else:
                target = self.value(option.conjunction)
            calls.append((target, ProgressState(self, plan, Place.AFTER, option.then)))
        if place is Place.AFTER:
            if calls:
                edges.append((_COMMA, _COMMA, ProgressState(self, plan, Place.ITEM, at)))
            calls = []
        return Fragment(edges=tuple(edges), calls=tuple(calls), whitespace=self._whitespace, like=spelling())

    # ------------------------------------------------------------------------------------------------ objects

    def expand_object(self, plan: ObjectPlan) -> Members:
        """The members of an object: declared, then required ones that are declared nowhere, then additional ones."""
        present, values, absent = [], [], []
        for name in plan.names:
            conjunction = plan.value(name)
            if name not in plan.required and self._is_empty(conjunction):
                absent.append(name.encode())
                continue
            assert conjunction is not None
            present.append(name)
            values.append(self.value(conjunction))
        others: list[Other] = []
        for other in plan.others():
            if not self._is_empty(other.value):
                names = None if other.names is None else spelled_names(other.names)
                others.append(Other(names, self.value(other.value)))
                for bits, value in other.witnesses:
                    if not self._is_empty(value):
                        others.append(Other(names, self.value(value), witness=bits))
        return Members(
            names=tuple(name.encode() for name in present),
            values=tuple(values),
            required=tuple(name in plan.required for name in present),
            absent=tuple(absent),
            others=tuple(others),
            ordered=self._ordered,
            whitespace=self._whitespace,
            spelling=spelling(),
            least=plan.least,
            most=plan.most,
        )
