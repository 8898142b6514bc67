"""JSON schemas as states of the machine.

    ValueState      a conjunction of schemas: calls its leaves, its array and its object states
    ArrayState, ObjectState   one branch of it, read as an array or an object

States are interned by the grammar that makes them (one object per conjunction), so they hash and compare by identity.
A value that is a leaf and nothing else is that leaf's automaton, without a state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError
from ..automata.fragment import Fragment, Items, Members, Other, Payload, Target
from .schema_leaves import (
    any_scalar,
    boolean,
    constants_targets,
    null,
    number,
    one_of,
    spelling,
    string,
    string_is_empty,
    string_target,
)
from .schema_values import ANYTHING, Branch, Conjunction, SchemaValues

__all__ = ["SchemaStates"]

# A schema of this type without any of these keywords is the leaf of that type.
_LEAVES: dict[str, Callable[[], ByteDfa]] = {"string": string, "boolean": boolean, "null": null, "number": number}
_SAYS_MORE = frozenset(
    [
        "enum",
        "const",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "$ref",
        "allOf",
        "anyOf",
    ]
)
# Without these a schema of a single type has a value.
_MAY_BE_EMPTY = _SAYS_MORE | {"required", "minItems", "maxItems"}


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

    __slots__ = ("branch", "states")

    def __init__(self, states: SchemaStates, branch: Branch) -> None:
        self.states = states
        self.branch = branch

    def expand(self) -> Items:
        return self.states.expand_array(self.branch)


class ObjectState:
    """An object of one branch."""

    __slots__ = ("branch", "states")

    def __init__(self, states: SchemaStates, branch: Branch) -> None:
        self.states = states
        self.branch = branch

    def expand(self) -> Members:
        return self.states.expand_object(self.branch)


class SchemaStates:
    """Makes and interns the states of one grammar."""

    def __init__(self, values: SchemaValues, *, ordered: bool, whitespace: int) -> None:
        self._values = values
        self._ordered = ordered
        self._whitespace = whitespace
        self._by_conjunction: dict[Conjunction, Payload | ByteDfa] = {}
        # Schemas made for constants; kept, since nodes are known by identity.
        self._made: dict[int, tuple[Any, Any]] = {}

    def root(self, schema: Any) -> Target:
        """The state of the whole schema; UnsatisfiableError if it has no value."""
        conjunction = self._values.conjunction([schema])
        if conjunction is None or self._is_empty(conjunction):
            raise UnsatisfiableError("no value satisfies this schema" + self._why(conjunction), pointer="")
        assert conjunction is not None
        return self.value(conjunction)

    def value(self, conjunction: Conjunction) -> Payload | ByteDfa:
        """The state of a value under a conjunction that is not empty."""
        known = self._by_conjunction.get(conjunction)
        if known is None:
            known = self._leaf(conjunction) or ValueState(self, conjunction)
            self._by_conjunction[conjunction] = known
        return known

    def _leaf(self, conjunction: Conjunction) -> ByteDfa | None:
        """The automaton of a value that is plainly one type of leaf, without looking at branches."""
        if len(conjunction) != 1:
            return None
        schema = self._values.schema(conjunction[0])
        named = schema.get("type")
        leaf = _LEAVES.get(named) if isinstance(named, str) else None
        return leaf() if leaf is not None and _SAYS_MORE.isdisjoint(schema) else None

    def _is_empty(self, conjunction: Conjunction | None) -> bool:
        if conjunction is None:
            return True
        if not conjunction:
            return False
        if len(conjunction) == 1:
            schema = self._values.schema(conjunction[0])
            if isinstance(schema.get("type"), str) and _MAY_BE_EMPTY.isdisjoint(schema):
                return False
        return self._values.is_empty(conjunction)

    def _why(self, conjunction: Conjunction | None) -> str:
        """Which required member or item of an empty conjunction is empty, as far as it is one."""
        path = ""
        met = set()
        while conjunction and conjunction not in met:
            met.add(conjunction)
            branches = self._values.branches(conjunction)
            if len(branches) != 1 or branches[0].types != {"object"}:
                break
            branch = branches[0]
            for name in branch.required():
                below = self._values.conjunction(branch.member_schemas(name))
                if self._is_empty(below):
                    path += "/" + name.replace("~", "~0").replace("/", "~1")
                    conjunction = below
                    break
            else:
                break
        return f": the required member {path} can have none" if path else ""

    # ------------------------------------------------------------------------------------------------ expansion

    def expand_value(self, conjunction: Conjunction) -> Fragment:
        """One leaf automaton for all scalars, and a call for each array, object or counted string."""
        leaves: dict[ByteDfa, None] = {}
        others: dict[Target, None] = {}
        for branch in self._values.branches(conjunction):
            constants = branch.constants()
            if constants is not None:
                self._constants(constants, leaves, others)
                continue
            types = branch.types
            if conjunction == ANYTHING:
                leaves[any_scalar()] = None
            else:
                self._scalars(branch, types, leaves)
                if "string" in types and not string_is_empty(branch.strings()):
                    target = string_target(branch.strings())
                    if isinstance(target, ByteDfa):
                        leaves[target] = None
                    else:
                        others[target] = None
            nothing: set[Conjunction] = set()
            if "array" in types and branch._has_array(nothing)[0]:
                others[ArrayState(self, branch)] = None
            if "object" in types and branch._has_object(nothing)[0]:
                others[ObjectState(self, branch)] = None
        calls = [(target, None) for target in others]
        if leaves:
            calls.insert(0, (one_of(tuple(sorted(leaves, key=lambda dfa: dfa.digest))), None))
        return Fragment(calls=tuple(calls), like=spelling())

    def _scalars(self, branch: Branch, types: frozenset[str], leaves: dict[ByteDfa, None]) -> None:
        if "null" in types:
            leaves[null()] = None
        if "boolean" in types:
            leaves[boolean()] = None
        if types & {"number", "integer"}:
            numbers = branch.number_automaton()
            if not numbers.is_empty:
                leaves[numbers] = None

    def _constants(self, constants: list[Any], leaves: dict[ByteDfa, None], others: dict[Target, None]) -> None:
        scalars = [value for value in constants if not isinstance(value, (list, dict))]
        if scalars:
            for target in constants_targets(scalars):
                if isinstance(target, ByteDfa):
                    leaves[target] = None
                else:
                    others[target] = None
        for value in constants:
            if isinstance(value, (list, dict)):
                conjunction = self._values.conjunction([self._schema_of(value)])
                assert conjunction is not None
                others[self.value(conjunction)] = None

    def _schema_of(self, value: Any) -> Any:
        """A schema whose only value is this array, object or scalar, in words that all drafts know."""
        if not isinstance(value, (list, dict)):
            return {"enum": [value]}
        known = self._made.get(id(value))
        if known is None:
            schema: dict[str, Any]
            if isinstance(value, list):
                items = [self._kept(item) for item in value]
                schema = {"type": "array", "minItems": len(items), "maxItems": len(items), "items": items}
            else:
                members = {name: self._kept(item) for name, item in value.items()}
                schema = {
                    "type": "object",
                    "properties": members,
                    "required": list(members),
                    "additionalProperties": False,
                }
            known = self._made[id(value)] = (value, schema)
        return known[1]

    def _kept(self, value: Any) -> Any:
        schema = self._schema_of(value)
        self._made.setdefault(id(schema), (schema, schema))
        return schema

    def expand_array(self, branch: Branch) -> Items:
        """The items of an array: prefix places, then all others; a place without a value ends what is possible."""
        least, most = branch.item_counts()
        prefix: list[Payload | ByteDfa] = []
        item: Target = None
        for i in range(branch.prefix_length()):
            conjunction = self._values.conjunction(branch.item_schemas(i))
            if (most is not None and i >= most) or self._is_empty(conjunction):
                return Items(tuple(prefix), None, least, i if most is None else min(most, i), self._whitespace)
            assert conjunction is not None
            prefix.append(self.value(conjunction))
        conjunction = self._values.conjunction(branch.item_schemas(-1))
        if not self._is_empty(conjunction):
            assert conjunction is not None
            item = self.value(conjunction)
        return Items(tuple(prefix), item, least, most, self._whitespace)

    def expand_object(self, branch: Branch) -> Members:
        """The members of an object: declared, then required ones that are declared nowhere, then additional ones."""
        required = set(branch.required())
        names = dict.fromkeys(branch.declared())
        names.update(dict.fromkeys(branch.required()))
        additional = self._values.conjunction(branch.member_schemas(None))
        present, values, absent = [], [], []
        for name in names:
            conjunction = self._values.conjunction(branch.member_schemas(name))
            if name not in required and self._is_empty(conjunction):
                absent.append(name.encode())
                continue
            assert conjunction is not None
            present.append(name)
            values.append(self.value(conjunction))
        others: tuple[Other, ...] = ()
        if not self._is_empty(additional):
            assert additional is not None
            others = (Other(None, self.value(additional)),)
        return Members(
            names=tuple(name.encode() for name in present),
            values=tuple(values),
            required=tuple(name in required for name in present),
            absent=tuple(absent),
            others=others,
            ordered=self._ordered,
            whitespace=self._whitespace,
            spelling=spelling(),
        )
