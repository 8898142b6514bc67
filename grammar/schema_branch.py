"""One branch of a schema: a conjunction of plain keywords, read type by type.

What it says of arrays and objects is worked out in schema_arrays and schema_objects; here are the keywords themselves.
"""

from __future__ import annotations

import weakref
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from ..automata.byte_dfa import ByteDfa
from .json_numbers import decimal_at, decimal_of, scaled
from .json_values import identity, is_text, kind_of
from .schema_arrays import ArrayPlan
from .schema_complement import contains_range
from .schema_keywords import Inner, Sub
from .schema_names import Matching, Names, Undeclared, Under, cardinality, matches, matching, undeclared, words
from .schema_numbers import NumberSet, number_admits, number_is_empty
from .schema_objects import ObjectPlan
from .schema_strings import StringSet, string_admits, string_is_empty, string_values

if TYPE_CHECKING:
    from .schema_emptiness import Conjunction, Question
    from .schema_values import Node, SchemaValues

__all__ = ["TYPE_NAMES", "Branch"]

# Types of JSON texts; integers are numbers here.
TYPE_NAMES = ("null", "boolean", "number", "string", "array", "object")
# Lengths and counts from here on are no bounds: counters are 32 bits wide.
_UNBOUNDED = 1 << 30


class Branch:
    """A conjunction of schemas without applicators in place. It lives no longer than the values that it is one of."""

    def __init__(self, values: SchemaValues, numbers: Conjunction) -> None:
        self.values: SchemaValues = weakref.proxy(values)
        self.numbers = numbers
        self.nodes: list[Node] = [values.node(number) for number in numbers]

    def _each(self, keyword: Any) -> list[tuple[Any, Node]]:
        return [(node.schema[keyword], node) for node in self.nodes if keyword in node.schema]

    @cached_property
    def types(self) -> frozenset[str]:
        """The types that are allowed; "integer" is in it only where "number" is not."""
        types = None
        for named, _ in self._each("type"):
            here = {named} if isinstance(named, str) else set(named)
            if "any" in here:
                continue
            if "number" in here:
                here.add("integer")
            types = here if types is None else types & here
        if types is None:
            types = set(TYPE_NAMES)
        if "number" in types:
            types.discard("integer")
        return frozenset(types)

    # ------------------------------------------------------------------------------------------------ constants

    @cached_property
    def excluded(self) -> frozenset[Any]:
        """Identities of the scalars that a complement of `enum` or `const` leaves out."""
        return frozenset(identity(value) for values, _ in self._each(Inner.NOT_ENUM) for value in values)

    @cached_property
    def constants(self) -> list[Any] | None:
        """The values that `enum` and `const` leave, those that the other keywords admit; None without either."""
        lists = [values for values, _ in self._each("enum")]
        lists += [[value] for value, _ in self._each("const")]
        if not lists:
            return None
        lists.sort(key=len)
        says_more = any(not _CONSTANTS.issuperset(node.schema) for node in self.nodes)
        if len(lists) == 1 and not says_more:
            return list({identity(value): value for value in lists[0] if is_text(value)}.values())
        kept: dict[Any, Any] = {}
        others = [{identity(value) for value in values} for values in lists[1:]]
        for value in lists[0]:
            key = identity(value)
            if all(key in other for other in others) and is_text(value) and not (says_more and not self._admits(value)):
                kept[key] = value
        return list(kept.values())

    def admits(self, value: Any) -> bool:
        """Whether a JSON value is in the branch."""
        key = identity(value)
        for values, _ in self._each("enum"):
            if all(identity(listed) != key for listed in values):
                return False
        if any(identity(constant) != key for constant, _ in self._each("const")):
            return False
        return self._admits(value)

    def _admits(self, value: Any) -> bool:
        kind = kind_of(value)
        if kind == "number":
            return not self.types.isdisjoint(("number", "integer")) and number_admits(
                self.number_set, decimal_of(value)
            )
        if kind not in self.types:
            return False
        if kind == "string":
            return string_admits(self.string_set, value)
        if kind == "array":
            return self.array.admits(value)
        if kind == "object":
            return self.objects.admits(value)
        return identity(value) not in self.excluded

    def finite_values(self, most: int) -> list[Any] | None:
        """All values of the branch, if they are plainly at most so many; None if not."""
        if self.constants is not None:
            return self.constants if len(self.constants) <= most else None
        found: list[Any] = [None] if self.has_null else []
        found += self.booleans
        if self.has_numbers:
            numbers = _few_numbers(self.number_set, most)
            if numbers is None:
                return None
            found += numbers
        if self.has_strings:
            strings = string_values(self.string_set)
            size = cardinality(strings)
            if size is None or size > most:
                return None
            found += words(strings)
        return None if self.types & {"array", "object"} else found

    # ------------------------------------------------------------------------------------------------ leaves

    @property
    def has_null(self) -> bool:
        return "null" in self.types and ("null", None) not in self.excluded

    @property
    def booleans(self) -> tuple[bool, ...]:
        """The booleans that are allowed."""
        if "boolean" not in self.types:
            return ()
        return tuple(value for value in (True, False) if ("boolean", value) not in self.excluded)

    @cached_property
    def number_set(self) -> NumberSet:
        """The numbers of a branch that allows some."""
        low, low_open = self._bound("minimum", "exclusiveMinimum", 1)
        high, high_open = self._bound("maximum", "exclusiveMaximum", -1)
        multiples = {decimal_of(value) for value, _ in self._each("multipleOf")}
        if "number" not in self.types:
            multiples.add(Decimal(1))
        others = {decimal_of(value) for value, _ in self._each(Inner.NOT_MULTIPLE)}
        excluded = {key[1] for key in self.excluded if key[0] == "number"}
        return NumberSet(
            low, low_open, high, high_open, tuple(sorted(multiples)), tuple(sorted(others)), tuple(sorted(excluded))
        )

    def _bound(self, closed: str, exclusive: str, sign: int) -> tuple[Decimal | None, bool]:
        """The tightest bound and whether it is open; sign 1: from below, -1: from above."""
        found: tuple[Decimal, bool] | None = None
        for node in self.nodes:
            for keyword, is_open in ((closed, False), (exclusive, True)):
                bound = node.schema.get(keyword)
                if bound is None or isinstance(bound, bool) or (is_open and self.values.draft == 4):
                    continue
                # Draft 4 wrote a boolean beside the bound.
                here = (decimal_of(bound), is_open or node.schema.get(exclusive) is True)
                if found is None or (sign * here[0], here[1]) > (sign * found[0], found[1]):
                    found = here
        return found or (None, False)

    @property
    def has_numbers(self) -> bool:
        return not self.types.isdisjoint(("number", "integer")) and not number_is_empty(self.number_set)

    @cached_property
    def string_set(self) -> StringSet:
        """The strings of a branch that allows some."""
        least, most = self.range("minLength", "maxLength")
        return StringSet(
            tuple(sorted({value for value, _ in self._each("pattern")})),
            tuple(sorted({value for value, _ in self._each(Inner.NOT_PATTERN)})),
            tuple(sorted({value for value, _ in self._each("format")})),
            tuple(sorted({value for value, _ in self._each(Inner.NOT_FORMAT)})),
            least,
            most,
            tuple(sorted(key[1] for key in self.excluded if key[0] == "string" and is_text(key[1]))),
        )

    @property
    def has_strings(self) -> bool:
        return "string" in self.types and not string_is_empty(self.string_set)

    def range(self, low: str, high: str) -> tuple[int, int | None]:
        """The (least, most) that two keywords leave."""
        least, most = 0, None
        for value, _ in self._each(low):
            least = max(least, int(value))
        for value, _ in self._each(high):
            if value < _UNBOUNDED:
                most = int(value) if most is None else min(most, int(value))
        return least, most

    # ------------------------------------------------------------------------------------------------ arrays

    @cached_property
    def array(self) -> ArrayPlan:
        return ArrayPlan(self)

    def item_subs(self, i: int) -> list[Sub]:
        """The schemas that item i is under; i = -1 for items beyond every prefix."""
        found: list[Sub] = []
        for node in self.nodes:
            prefix, rest = _prefix_and_rest(node.schema)
            found.append((prefix[i] if 0 <= i < len(prefix) else rest, node.at))
            if Inner.ITEM_AT in node.schema and node.schema[Inner.ITEM_AT][0] == i:
                found.append(node.schema[Inner.ITEM_AT][1])
        return found

    @cached_property
    def prefix_length(self) -> int:
        """How many first items have schemas of their own."""
        longest = max((len(_prefix_and_rest(node.schema)[0]) for node in self.nodes), default=0)
        return max([longest, *(place + 1 for (place, _), _ in self._each(Inner.ITEM_AT))])

    def counted_items(self) -> list[tuple[int, Sub, int, int | None]]:
        """(first place, schema, least, most): how many items from there on are under the schema."""
        found = []
        for value, node in self._each("contains"):
            found.append((0, (value, node.at), *contains_range(node.schema)))
        found += [value for value, _ in self._each(Inner.SOME_ITEMS)]
        return [(first, sub, least, most) for first, sub, least, most in found if least > 0 or most is not None]

    @property
    def wants_unique_items(self) -> bool:
        return any(value is True for value, _ in self._each("uniqueItems"))

    @property
    def wants_equal_items(self) -> bool:
        return bool(self._each(Inner.NOT_UNIQUE))

    # ------------------------------------------------------------------------------------------------ objects

    @cached_property
    def required(self) -> list[str]:
        """The names of required members, each once, in the order in which they are listed."""
        names: dict[str, None] = {}
        for node in self.nodes:
            listed = node.schema.get("required")
            if isinstance(listed, list):
                names.update(dict.fromkeys(listed))
            if self.values.draft <= 4:
                for name, sub in node.schema.get("properties", {}).items():
                    if isinstance(sub, dict) and sub.get("required") is True:
                        names[name] = None
        return list(names)

    def declared_and_required(self) -> list[str]:
        """The names in `properties` in the order in which they are written, then those that are only required."""
        names: dict[str, None] = {}
        for properties, _ in self._each("properties"):
            names.update(dict.fromkeys(properties))
        names.update(dict.fromkeys(self.required))
        return [name for name in names if is_text(name)]

    def member_subs(self, name: str) -> list[Sub]:
        """The schemas that the value of a member is under."""
        found: list[Sub] = []
        for node in self.nodes:
            schema, at = node.schema, node.at
            declared = False
            if name in schema.get("properties", ()):
                found.append((schema["properties"][name], at))
                declared = True
            for pattern, sub in schema.get("patternProperties", {}).items():
                if matches(pattern, name):
                    found.append((sub, at))
                    declared = True
            if not declared and "additionalProperties" in schema:
                found.append((schema["additionalProperties"], at))
        return found

    def other_subs(self, matched: frozenset[str]) -> list[Sub]:
        """The schemas that a member declared nowhere is under, by the patterns that match its name."""
        found: list[Sub] = []
        for node in self.nodes:
            schema, at = node.schema, node.at
            here = [(sub, at) for pattern, sub in schema.get("patternProperties", {}).items() if pattern in matched]
            if not here and "additionalProperties" in schema:
                here.append((schema["additionalProperties"], at))
            found += here
        return found

    def patterns_of_names(self) -> list[str]:
        return list(dict.fromkeys(pattern for patterns, _ in self._each("patternProperties") for pattern in patterns))

    def name_subs(self) -> list[Sub]:
        """The schemas that every name is under."""
        return [(value, node.at) for value, node in self._each("propertyNames") if value is not True and value != {}]

    def wanted_others(self) -> list[tuple[Names, Sub]]:
        return [value for value, _ in self._each(Inner.SOME_OTHER)]

    def may_have_others(self) -> bool:
        """Whether members may be there that are declared nowhere, as far as that is plain."""
        return not any(
            node.schema.get("additionalProperties") is False and not node.schema.get("patternProperties")
            for node in self.nodes
        )

    def is_among(self, name: str, names: Names) -> bool:
        if isinstance(names, Under):
            return self.values.admits([names.sub], name)
        if isinstance(names, Undeclared):
            return name not in names.names and not any(matches(pattern, name) for pattern in names.patterns)
        return matches(names.pattern, name)

    def language_of(self, names: Names) -> ByteDfa:
        if isinstance(names, Under):
            return self.values.strings_under([names.sub])
        return matching(names.pattern) if isinstance(names, Matching) else undeclared(*names)

    @cached_property
    def objects(self) -> ObjectPlan:
        return ObjectPlan(self)

    # ------------------------------------------------------------------------------------------------ emptiness

    def has_value(self, question: Question) -> tuple[bool, bool]:
        """As SchemaValues.has_value, of this branch."""
        if self.constants is not None:
            return bool(self.constants), False
        if self.has_null or self.booleans or self.has_numbers or self.has_strings:
            return True, False
        rests = False
        for name in ("array", "object"):
            if name in self.types:
                found, here = (self.array if name == "array" else self.objects).has_value(question)
                rests |= here
                if found:
                    return True, False
        return False, rests


_CONSTANTS = frozenset(("enum", "const"))


def _few_numbers(numbers: NumberSet, most: int) -> list[Decimal] | None:
    """All numbers of a set with bounds and a multiple, if they are at most so many."""
    if numbers.low is None or numbers.high is None or not numbers.multiples:
        return None
    # Exact, whatever the bounds: quotients of Decimals round to 28 digits, or are refused.
    step = max(numbers.multiples)
    n, tens = scaled(step)
    first, last = ceil(Fraction(numbers.low) / Fraction(step)), floor(Fraction(numbers.high) / Fraction(step))
    if last - first >= most:
        return None
    candidates = (decimal_at(n * k, tens) for k in range(first, last + 1))
    return [number for number in candidates if number_admits(numbers, number)]


def _prefix_and_rest(schema: dict[Any, Any]) -> tuple[Any, Any]:
    """(schemas of first items, schema of all others), as `prefixItems` and older drafts write them."""
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    return schema.get("prefixItems", ()), items
