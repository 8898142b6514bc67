"""JSON schemas as states of the machine.

    ValueState      a conjunction of schemas: calls its leaves, its array and its object states
    ArrayState, ObjectState   one branch of it, read as an array or an object
    ProgressState   a place in an array that counts or compares its items

States are tuples of what they are about, so that they hash and compare in machine code. They hold their grammar; it
does not hold them, so that all of a grammar is freed when its last state is. A value that is a leaf and nothing else is
that leaf's automaton, without a state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError
from ..automata.fragment import Fragment, Items, Layout, Members, Other, Payload, Strings, Target
from .schema_arrays import ArrayPlan, ArrayProgress
from .schema_branch import Branch
from .schema_complement import schema_of
from .schema_emptiness import Conjunction, Question
from .schema_leaves import (
    any_scalar,
    boolean,
    constants_language,
    exactly,
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
from .schema_strings import ListedString, string_target
from .schema_values import ANYTHING, SchemaValues

__all__ = ["SchemaStates", "Style"]

# A schema of this type without any other keyword is the leaf of that type.
_LEAVES: dict[str, Callable[[], ByteDfa]] = {"string": string, "boolean": boolean, "null": null, "number": number}
_OPEN_BRACKET, _CLOSE_BRACKET = 91, 93
# States of a leaf up to which a union costs less than another alternative.
_SMALL = 512


@dataclass(frozen=True)
class Style:
    """How values are written.

    ordered : whether declared members come in the order of the schema, additional ones last.
    whitespace : how many bytes of it may stand at every place between tokens.
    separators : if given, white space is not free: what stands between members or items, and after a name.
    indent : then, what each level is indented by on lines of its own; None: everything is on one line.
    """

    ordered: bool
    whitespace: int
    separators: tuple[str, str] | None = None
    indent: str | None = None

    def layout(self, depth: int) -> Layout | None:
        """The layout of an array or object that lies so deep."""
        if self.separators is None:
            return None
        inside, outside = ("" if self.indent is None else "\n" + n * self.indent for n in (depth + 1, depth))
        comma, colon = self.separators
        return Layout(inside.encode(), (comma + inside).encode(), colon.encode(), outside.encode())

    def within(self, depth: int) -> int:
        """The depth of what lies in something so deep; 0 where depth makes no difference."""
        return 0 if self.indent is None else depth + 1


class ValueState(NamedTuple):
    """A value under a conjunction of schemas."""

    states: SchemaStates
    conjunction: Conjunction
    depth: int

    def expand(self) -> Fragment:
        return self.states.expand_value(self.conjunction, self.depth)


class ArrayState(NamedTuple):
    """An array of one branch."""

    states: SchemaStates
    plan: ArrayPlan
    depth: int

    def expand(self) -> Items | Strings | Fragment:
        return self.states.expand_array(self.plan, self.depth)


class Place(Enum):
    """Where in an array a ProgressState is."""

    OPENED = "after the bracket"
    ITEM = "before an item"
    AFTER = "after an item"


class ProgressState(NamedTuple):
    """A place in an array that counts or compares its items."""

    states: SchemaStates
    plan: ArrayPlan
    depth: int
    place: Place
    at: ArrayProgress

    def expand(self) -> Fragment:
        return self.states.expand_progress(self)


class ObjectState(NamedTuple):
    """An object of one branch."""

    states: SchemaStates
    plan: ObjectPlan
    depth: int

    def expand(self) -> Members:
        return self.states.expand_object(self.plan, self.depth)


class SchemaStates:
    """Makes the states of one grammar."""

    def __init__(self, values: SchemaValues, style: Style) -> None:
        self._values = values
        self._style = style
        # Schemas made for constants; kept, since nodes are known by identity.
        self._constants: dict[int, tuple[Any, Conjunction]] = {}

    def root(self, schema: Any) -> Target:
        """The state of the whole schema; UnsatisfiableError if it has no value."""
        conjunction = self._values.conjunction([(schema, self._values.scan.contexts.root)])
        if conjunction is None or self._values.is_empty(conjunction):
            raise UnsatisfiableError("no value satisfies this schema" + self._why(conjunction), pointer="")
        return self.value(conjunction, 0)

    def value(self, conjunction: Conjunction, depth: int) -> Payload | ByteDfa:
        """The state of a value under a conjunction that is not empty."""
        return self._leaf(conjunction) or ValueState(self, conjunction, depth)

    def constant(self, value: Any, depth: int) -> Payload | ByteDfa:
        """The state of one value."""
        if not isinstance(value, (list, dict)):
            return constants_language([value])
        known = self._constants.get(id(value))
        if known is None:
            conjunction = self._values.conjunction([(schema_of(value), None)])
            assert conjunction is not None
            known = self._constants[id(value)] = (value, conjunction)
        return self.value(known[1], depth)

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
                if self._values.is_empty(below):
                    path += "/" + name.replace("~", "~0").replace("/", "~1")
                    conjunction = below
                    break
            else:
                break
        return f": the required member {path} can have none" if path else ""

    # ------------------------------------------------------------------------------------------------ values

    def expand_value(self, conjunction: Conjunction, depth: int) -> Fragment:
        """One leaf automaton for most scalars, one list of constants that are strings, and a call for each array,
        object, counted string and large automaton."""
        leaves: dict[ByteDfa, None] = {}
        others: dict[Target, None] = {}
        listed: dict[bytes, None] = {}
        for branch in self._values.branches(conjunction):
            constants = branch.constants
            if constants is not None:
                listed.update(dict.fromkeys([value.encode() for value in constants if isinstance(value, str)]))
                others.update((self.constant(v, depth), None) for v in constants if isinstance(v, (list, dict)))
                scalars = [value for value in constants if not isinstance(value, (str, list, dict))]
                if scalars:
                    leaves[constants_language(scalars)] = None
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
            question = Question()
            if "array" in branch.types and branch.array.has_value(question)[0]:
                others[ArrayState(self, branch.array, depth)] = None
            if "object" in branch.types and branch.objects.has_value(question)[0]:
                others[ObjectState(self, branch.objects, depth)] = None
        if listed:
            others[ListedString(tuple(listed))] = None
        calls = [(target, None) for target in others]
        small = [leaf for leaf in leaves if leaf.n_states <= _SMALL]
        calls += [(leaf, None) for leaf in leaves if leaf.n_states > _SMALL]
        if small:
            calls.insert(0, (one_of(tuple(sorted(small, key=lambda dfa: dfa.digest))), None))
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

    def expand_array(self, plan: ArrayPlan, depth: int) -> Items | Strings | Fragment:
        """An array: counted, of distinct strings, or by its progress."""
        if plan.is_plain:
            return self._items(plan, depth)
        if plan.is_of_strings():
            return self._strings(plan, depth)
        opened = ProgressState(self, plan, depth, Place.OPENED, plan.start)
        return Fragment(edges=((_OPEN_BRACKET, _OPEN_BRACKET, opened),))

    def _items(self, plan: ArrayPlan, depth: int) -> Items:
        """Prefix places, then all others; a place without a value ends what is possible."""
        least, most = plan.least, plan.most
        inside = self._style.within(depth)
        whitespace, layout = self._style.whitespace, self._style.layout(depth)
        prefix: list[Payload | ByteDfa] = []
        item: Target = None
        for i in range(plan.prefix):
            conjunction = plan.value(i)
            if (most is not None and i >= most) or self._values.is_empty(conjunction):
                return Items(tuple(prefix), None, least, i if most is None else min(most, i), whitespace, layout)
            assert conjunction is not None
            prefix.append(self.value(conjunction, inside))
        conjunction = plan.value(-1)
        if not self._values.is_empty(conjunction):
            assert conjunction is not None
            item = self.value(conjunction, inside)
        return Items(tuple(prefix), item, least, most, whitespace, layout)

    def _strings(self, plan: ArrayPlan, depth: int) -> Strings:
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
        names: tuple[bytes, ...] = ()
        others: tuple[ByteDfa | None, ...] = ()
        if other:
            language = self._values.strings_of(conjunction)
            others = (None if language == any_name() else spelled_names(language),)
        else:
            names = tuple(value.encode() for value in single)
        whitespace, layout = self._style.whitespace, self._style.layout(depth)
        return Strings(names, others, plan.least, plan.most, whitespace, spelling(), layout)

    def expand_progress(self, state: ProgressState) -> Fragment:
        """A place in an array whose items count or are compared; whatever could not be completed is left out."""
        plan, depth, place, at = state.plan, state.depth, state.place, state.at
        layout = self._style.layout(depth) or Layout()
        marks: list[tuple[bytes, Target]] = []
        if place is not Place.ITEM and plan.may_end(at):
            marks.append(((layout.closing if place is Place.AFTER else b"") + b"]", None))
        items = self._next_items(plan, depth, at)
        if place is not Place.ITEM and items:
            separator = layout.comma if place is Place.AFTER else layout.opened
            if separator:
                marks.append((separator, ProgressState(self, plan, depth, Place.ITEM, at)))
                items = []
        edges = tuple((mark[0], mark[0], then) for mark, then in marks if len(mark) == 1)
        calls = [(exactly(mark), then) for mark, then in marks if len(mark) > 1]
        return Fragment(edges, (*calls, *items), whitespace=self._style.whitespace, like=spelling())

    def _next_items(self, plan: ArrayPlan, depth: int, at: ArrayProgress) -> list[tuple[Target, Target]]:
        """What may be the next item of an array that is compared or counted, and the place after it."""
        calls: list[tuple[Target, Target]] = []
        inside = self._style.within(depth)
        for option in plan.options(at):
            if not plan.can_finish(option.then):
                continue
            target: Target
            if option.conjunction is None:
                target = self.constant(option.constant, inside)
            elif self._values.is_empty(option.conjunction):
                continue
            else:
                target = self.value(option.conjunction, inside)
            calls.append((target, ProgressState(self, plan, depth, Place.AFTER, option.then)))
        return calls

    # ------------------------------------------------------------------------------------------------ objects

    def expand_object(self, plan: ObjectPlan, depth: int) -> Members:
        """The members of an object: declared, then required ones that are declared nowhere, then additional ones."""
        inside = self._style.within(depth)
        present, values, absent = [], [], []
        for name in plan.names:
            conjunction = plan.value(name)
            if name not in plan.required and self._values.is_empty(conjunction):
                absent.append(name.encode())
                continue
            assert conjunction is not None
            present.append(name)
            values.append(self.value(conjunction, inside))
        others = self._others(plan, inside)
        return Members(
            names=tuple(name.encode() for name in present),
            values=tuple(values),
            required=tuple(name in plan.required for name in present),
            absent=tuple(absent),
            others=tuple(others),
            ordered=self._style.ordered,
            whitespace=self._style.whitespace,
            spelling=spelling(),
            least=plan.least,
            most=plan.most,
            layout=self._style.layout(depth),
        )

    def _others(self, plan: ObjectPlan, depth: int) -> list[Other]:
        """The classes of members that are declared nowhere: those that are no witnesses by one automaton."""
        found = [other for other in plan.others() if not self._values.is_empty(other.value)]
        apart = [(other.names, other.value) for other in found if other.names is not None and not other.witnesses]
        others: list[Other] = []
        if len(apart) > 1:
            joint = apart[0][0].of.spelled(tuple(names.numbers for names, _ in apart))
            others = [Other(joint, self.value(value, depth), mark=i) for i, (_, value) in enumerate(apart)]
            found = [other for other in found if other.names is None or other.witnesses]
        for other in found:
            names = None if other.names is None else other.names.spelled
            others.append(Other(names, self.value(other.value, depth)))
            for bits, value in other.witnesses:
                if not self._values.is_empty(value):
                    others.append(Other(names, self.value(value, depth), witness=bits))
        return others
