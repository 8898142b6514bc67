"""What a JSON schema says of a value, normalised: conjunctions of schemas, split into branches of plain keywords.

A *conjunction* is a tuple of node numbers, all of whose schemas must hold; a node is a schema object. Every place of a
document gets the conjunction of all that applies there: the value of a member is under `properties` of one schema and
`additionalProperties` of another. Applicators in place (`$ref`, `allOf`, `anyOf`) dissolve into *branches*, a
disjunction of conjunctions without them; a schema that leads back to itself on the way has no branch there (the least
fixpoint).

Nothing below a member or an item is touched before it is asked for, so the cost is that of what is reached.

INVARIANT: conjunctions have no duplicates and keep the order in which a reader meets the schemas, since that is the
order of members (DESIGN, property_order).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from .json_numbers import decimal_of
from .schema_leaves import StringSet, is_text, number_language, string_admits, string_is_empty
from .schema_scan import SchemaScan

__all__ = ["ANYTHING", "TYPE_NAMES", "Branch", "Conjunction", "SchemaValues"]

Conjunction: TypeAlias = tuple[int, ...]
ANYTHING: Conjunction = ()

# Types of JSON texts; integers are numbers here.
TYPE_NAMES = ("null", "boolean", "number", "string", "array", "object")

_IN_PLACE = frozenset(("$ref", "allOf", "anyOf"))
_PLAIN = frozenset(
    [
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "additionalItems",
        "prefixItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ]
)
_MOST_BRANCHES = 256
# $ref, allOf and anyOf that may lie inside one another without a value in between.
_DEEPEST = 200
# Lengths and counts from here on are no bounds.
UNBOUNDED = 1 << 30
# No place of a path: the branches do not lead back into it.
LEADS_ON = 1 << 30


class SchemaValues:
    """The schemas of one grammar, by node number, with their branches."""

    def __init__(self, scan: SchemaScan) -> None:
        self.scan = scan
        self._nodes: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._branches: dict[int, list[Conjunction]] = {}
        self._by_conjunction: dict[Conjunction, list[Branch]] = {}
        self._nonempty: set[Conjunction] = set()
        self._empty: set[Conjunction] = set()

    # ------------------------------------------------------------------------------------------------ nodes

    def conjunction(self, schemas: Iterable[Any]) -> Conjunction | None:
        """The conjunction of schemas (objects or booleans), or None when one of them is false."""
        numbers: list[int] = []
        for schema in schemas:
            if schema is False:
                return None
            if schema is True or not schema:
                continue
            number = self._numbers.get(id(schema))
            if number is None:
                number = self._numbers[id(schema)] = len(self._nodes)
                self._nodes.append(schema)
            if number not in numbers:
                numbers.append(number)
        return tuple(numbers)

    def schema(self, number: int) -> dict[str, Any]:
        return self._nodes[number]

    # ------------------------------------------------------------------------------------------------ branches

    def branches(self, conjunction: Conjunction) -> list[Branch]:
        """The disjunction that a conjunction comes to; [] if it contradicts itself in place."""
        known = self._by_conjunction.get(conjunction)
        if known is None:
            plain = self._product([self._branches_of(number, ())[0] for number in conjunction])
            known = self._by_conjunction[conjunction] = [Branch(self, numbers) for numbers in plain]
        return known

    def _product(self, factors: list[list[Conjunction]]) -> list[Conjunction]:
        product: list[Conjunction] = [()]
        for factor in factors:
            joined: dict[tuple[int, ...], None] = {}
            for left in product:
                for right in factor:
                    joined[left + tuple(n for n in right if n not in left)] = None
            product = list(joined)
            if len(product) > _MOST_BRANCHES:
                raise LimitError("alternatives of a schema (anyOf multiplied out)", len(product), _MOST_BRANCHES)
        return product

    def _branches_of(self, number: int, path: tuple[int, ...]) -> tuple[list[Conjunction], int]:
        """(branches of a node, the lowest place in the path that they lead back to, or LEADS_ON).

        What leads back below the node itself lacks the branches that only the node there can add, so it is not kept.
        """
        known = self._branches.get(number)
        if known is not None:
            return known, LEADS_ON
        if number in path:
            return [], path.index(number)
        schema = self._nodes[number]
        if _IN_PLACE.isdisjoint(schema):
            result: list[Conjunction] = [(number,)]
            lowest = LEADS_ON
        elif len(path) >= _DEEPEST:
            raise LimitError("nesting of $ref, allOf and anyOf in one place", len(path) + 1, _DEEPEST)
        else:
            result, lowest = self._dissolved(number, schema, (*path, number))
        if lowest >= len(path):
            self._branches[number] = result
            lowest = LEADS_ON
        return result, lowest

    def _dissolved(self, number: int, schema: dict[str, Any], path: tuple[int, ...]) -> tuple[list[Conjunction], int]:
        alone = self.scan.draft <= 7 and "$ref" in schema
        unions: list[list[Any]] = []
        if "$ref" in schema and (id(schema), "$ref") not in self.scan.dropped:
            unions.append([self.scan.target(schema["$ref"])])
        if not alone:
            unions += [[sub] for sub in schema.get("allOf", ())]
            if "anyOf" in schema:
                unions.append(schema["anyOf"])
        factors: list[list[Conjunction]] = [[()] if alone or _PLAIN.isdisjoint(schema) else [(number,)]]
        lowest = LEADS_ON
        for schemas in unions:
            found: dict[Conjunction, None] = {}
            for sub in schemas:
                numbers = self.conjunction([sub])
                if numbers is None:
                    continue
                branches, back = self._branches_of(numbers[0], path) if numbers else ([()], LEADS_ON)
                found.update(dict.fromkeys(branches))
                lowest = min(lowest, back)
            factors.append(list(found))
        return self._product(factors), lowest

    # ------------------------------------------------------------------------------------------------ emptiness

    def is_empty(self, conjunction: Conjunction | None) -> bool:
        """Whether no finite JSON value satisfies a conjunction: the least fixpoint over what is required."""
        if conjunction is None:
            return True
        return not self._has_value(conjunction, set())[0]

    def _has_value(self, conjunction: Conjunction, active: set[Conjunction]) -> tuple[bool, bool]:
        """(whether a value was found, whether "no" rests on a conjunction that is still being looked at)."""
        if conjunction in self._nonempty or not conjunction:
            return True, False
        if conjunction in self._empty:
            return False, False
        if conjunction in active:
            return False, True
        active.add(conjunction)
        rests = False
        found = False
        for branch in self.branches(conjunction):
            found, branch_rests = branch.has_value(active)
            rests |= branch_rests
            if found:
                break
        active.discard(conjunction)
        if found:
            self._nonempty.add(conjunction)
            return True, False
        if not rests or not active:
            self._empty.add(conjunction)
            return False, False
        return False, True

    # ------------------------------------------------------------------------------------------------ constants

    def admits(self, schema: Any, value: Any) -> bool:
        """Whether a JSON value satisfies a schema (the keywords that are enforced)."""
        if isinstance(schema, bool):
            return schema
        conjunction = self.conjunction([schema])
        if conjunction is None:
            return False
        return any(branch.admits(value) for branch in self.branches(conjunction))


class Branch:
    """A conjunction of schemas without in-place applicators, read type by type."""

    __slots__ = ("_types", "numbers", "schemas", "values")

    def __init__(self, values: SchemaValues, numbers: Conjunction) -> None:
        self.values = values
        self.numbers = numbers
        self.schemas = [values.schema(number) for number in numbers]
        self._types: frozenset[str] | None = None

    @property
    def types(self) -> frozenset[str]:
        """The types that are allowed; "integer" is in it only where "number" is not."""
        if self._types is None:
            types = None
            for schema in self.schemas:
                named = schema.get("type")
                if named is None:
                    continue
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
            self._types = frozenset(types)
        return self._types

    # ------------------------------------------------------------------------------------------------ constants

    def constants(self) -> list[Any] | None:
        """The values that `enum` and `const` leave, those that the other keywords admit; None without either."""
        dropped = self.values.scan.dropped
        lists = [schema["enum"] for schema in self.schemas if "enum" in schema and (id(schema), "enum") not in dropped]
        if self.values.scan.draft >= 6:
            lists += [[schema["const"]] for schema in self.schemas if "const" in schema]
        if not lists:
            return None
        lists.sort(key=len)
        rest = [schema for schema in self.schemas if not _ONLY_CONSTANTS.issuperset(schema)]
        kept: dict[Any, Any] = {}
        others = [{identity(value) for value in values} for values in lists[1:]]
        for value in lists[0]:
            key = identity(value)
            if all(key in other for other in others) and is_text(value) and (not rest or self._admits_otherwise(value)):
                kept[key] = value
        return list(kept.values())

    def admits(self, value: Any) -> bool:
        key = identity(value)
        for schema in self.schemas:
            if "enum" in schema and all(identity(listed) != key for listed in schema["enum"]):
                return False
            if "const" in schema and self.values.scan.draft >= 6 and identity(schema["const"]) != key:
                return False
        return self._admits_otherwise(value)

    def _admits_otherwise(self, value: Any) -> bool:
        kind = kind_of(value)
        if kind == "number":
            number = decimal_of(value)
            if "number" not in self.types and not ("integer" in self.types and number == number.to_integral_value()):
                return False
            low, low_open, high, high_open = self.bounds()
            if low is not None and (number < low or (low_open and number == low)):
                return False
            return high is None or not (number > high or (high_open and number == high))
        if kind not in self.types:
            return False
        if kind == "string":
            return string_admits(self.strings(), value)
        if kind == "array":
            least, most = self.item_counts()
            if len(value) < least or (most is not None and len(value) > most):
                return False
            return all(
                self.values.admits(schema, item) for i, item in enumerate(value) for schema in self.item_schemas(i)
            )
        if kind == "object":
            if any(name not in value for name in self.required()):
                return False
            return all(
                self.values.admits(schema, item) for name, item in value.items() for schema in self.member_schemas(name)
            )
        return True

    # ------------------------------------------------------------------------------------------------ by type

    def bounds(self) -> tuple[Decimal | None, bool, Decimal | None, bool]:
        """(low, whether open, high, whether open) of a number."""
        draft4 = self.values.scan.draft == 4
        low: tuple[Decimal, bool] | None = None
        high: tuple[Decimal, bool] | None = None
        for schema in self.schemas:
            for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
                bound = schema.get(keyword)
                if bound is None or isinstance(bound, bool) or (is_open and draft4):
                    continue
                # Draft 4 wrote a boolean beside the bound.
                found = (decimal_of(bound), is_open or schema.get("exclusiveMinimum") is True)
                low = found if low is None or found > low else low
            for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
                bound = schema.get(keyword)
                if bound is None or isinstance(bound, bool) or (is_open and draft4):
                    continue
                found = (decimal_of(bound), is_open or schema.get("exclusiveMaximum") is True)
                high = found if high is None or (found[0], not found[1]) < (high[0], not high[1]) else high
        return (
            low[0] if low else None,
            low is not None and low[1],
            high[0] if high else None,
            high is not None and high[1],
        )

    def number_automaton(self) -> ByteDfa:
        """The numbers of a branch that allows some."""
        return number_language("number" not in self.types, *self.bounds())

    def lengths(self) -> tuple[int, int | None]:
        """(least, most) code points of a string."""
        return _range(self.schemas, "minLength", "maxLength")

    def patterns(self) -> tuple[str, ...]:
        """The patterns that a string must match, in byte order, each once."""
        dropped = self.values.scan.dropped
        found = {s["pattern"] for s in self.schemas if "pattern" in s and (id(s), "pattern") not in dropped}
        return tuple(sorted(found))

    def strings(self) -> StringSet:
        """The strings of a branch that allows some."""
        least, most = self.lengths()
        return StringSet(self.patterns(), least=least, most=most)

    def item_counts(self) -> tuple[int, int | None]:
        """(least, most) items of an array."""
        return _range(self.schemas, "minItems", "maxItems")

    def item_schemas(self, i: int) -> list[Any]:
        """The schemas that item i is under; i = -1 for items beyond every prefix."""
        found = []
        for schema in self.schemas:
            items = schema.get("items", True)
            prefix = self._prefix_of(schema)
            if isinstance(items, list):
                prefix, items = items, schema.get("additionalItems", True)
            found.append(prefix[i] if 0 <= i < len(prefix) else items)
        return found

    def _prefix_of(self, schema: dict[str, Any]) -> Any:
        """`prefixItems`, where the draft has it."""
        return schema.get("prefixItems", ()) if self.values.scan.draft == 2020 else ()

    def prefix_length(self) -> int:
        """How many first items have schemas of their own."""
        longest = 0
        for schema in self.schemas:
            items = schema.get("items")
            prefix = items if isinstance(items, list) else self._prefix_of(schema)
            longest = max(longest, len(prefix))
        return longest

    def required(self) -> list[str]:
        """The names of required members, each once, in the order in which they are listed."""
        names: dict[str, None] = {}
        for schema in self.schemas:
            listed = schema.get("required")
            if isinstance(listed, list):
                names.update(dict.fromkeys(listed))
            if self.values.scan.draft <= 4:
                for name, sub in schema.get("properties", {}).items():
                    if isinstance(sub, dict) and sub.get("required") is True:
                        names[name] = None
        return list(names)

    def declared(self) -> list[str]:
        """The names in `properties`, in the order in which they are written."""
        names: dict[str, None] = {}
        for schema in self.schemas:
            names.update(dict.fromkeys(schema.get("properties", ())))
        return [name for name in names if is_text(name)]

    def member_schemas(self, name: str | None) -> list[Any]:
        """The schemas that a member is under; None for a name that is declared nowhere."""
        found = []
        for schema in self.schemas:
            properties = schema.get("properties")
            if name is not None and properties and name in properties:
                found.append(properties[name])
            else:
                found.append(schema.get("additionalProperties", True))
        return found

    # ------------------------------------------------------------------------------------------------ emptiness

    def has_value(self, active: set[Conjunction]) -> tuple[bool, bool]:
        """As SchemaValues._has_value, of this branch."""
        constants = self.constants()
        if constants is not None:
            return bool(constants), False
        types = self.types
        if types & {"null", "boolean"}:
            return True, False
        if types & {"number", "integer"}:
            if not self.number_automaton().is_empty:
                return True, False
        if "string" in types:
            if not string_is_empty(self.strings()):
                return True, False
        rests = False
        for name, look in (("array", self._has_array), ("object", self._has_object)):
            if name in types:
                found, array_rests = look(active)
                rests |= array_rests
                if found:
                    return True, False
        return False, rests

    def _all_have_values(
        self, conjunctions: Iterable[Conjunction | None], active: set[Conjunction]
    ) -> tuple[bool, bool]:
        rests = False
        for conjunction in conjunctions:
            if conjunction is None:
                return False, False
            found, here = self.values._has_value(conjunction, active)
            if not found:
                if not here:
                    return False, False
                rests = True
        return not rests, rests

    def _has_array(self, active: set[Conjunction]) -> tuple[bool, bool]:
        least, most = self.item_counts()
        if most is not None and most < least:
            return False, False
        prefix = self.prefix_length()
        needed = [self.values.conjunction(self.item_schemas(i)) for i in range(min(least, prefix))]
        if least > prefix:
            needed.append(self.values.conjunction(self.item_schemas(-1)))
        return self._all_have_values(needed, active)

    def _has_object(self, active: set[Conjunction]) -> tuple[bool, bool]:
        if not all(map(is_text, self.required())):
            return False, False
        needed = (self.values.conjunction(self.member_schemas(name)) for name in self.required())
        return self._all_have_values(needed, active)


_ONLY_CONSTANTS = frozenset(
    ("enum", "const", "title", "description", "default", "examples", "$comment", "$id", "$schema", "id", "deprecated")
)


def _range(schemas: list[dict[str, Any]], low: str, high: str) -> tuple[int, int | None]:
    least, most = 0, None
    for schema in schemas:
        if low in schema:
            least = max(least, int(schema[low]))
        # A bound beyond any text is none: counters are 32 bits wide.
        if high in schema and schema[high] < UNBOUNDED:
            most = int(schema[high]) if most is None else min(most, int(schema[high]))
    return least, most


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float, Decimal)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def identity(value: Any) -> Any:
    """A hashable stand-in that is equal for equal JSON values: numbers by value, booleans not numbers."""
    kind = kind_of(value)
    if kind == "number":
        return ("number", decimal_of(value))
    if kind == "array":
        return ("array", tuple(identity(item) for item in value))
    if kind == "object":
        return ("object", frozenset((name, identity(item)) for name, item in value.items()))
    return (kind, value)
