"""JSON Schema, naively: can this unfinished value still become one that the schema admits?

Idea: no automata. A text is read into a tree with open ends (naive_json.py), and a set of schemas that must *all* hold
for the value (a conjunction) is asked about each node: `can(node, conjunction)`. `$ref`, `allOf` and `anyOf` are
resolved first, into alternatives, each a conjunction of schemas of which only the plain keywords are left. What is not
written yet (the rest of an array, the members that are required) only has to be satisfiable, which is the least
fixpoint over nesting: a value exists if it needs only values that exist.

A `$ref` that leads back to itself without entering a value proves nothing: that alternative is dropped.

Order of an object's members under `property_order="schema"`: the `properties` of the conjunction in the order of its
schemas (own ones, then `$ref`, `allOf`, `anyOf`), then the `required` names that no `properties` name, then others.
A constant's members come in its own order.

Numbers, with Fractions: as soon as `integer`, a bound or a constant constrains the value, exponents come in the
documented form alone (one digit before the point), for which all exponents are tried. Without one, the continuations of
`12` denote the intervals [12, 13), [120, 130), … of finite decimals, those of `12.3` the interval [12.3, 12.4): compare
with the bounds.

Not covered, NotImplementedError, wherever a keyword could matter: all that is not in `_KEYWORDS` or `_ANNOTATIONS`.

Source: JSON Schema draft 2020-12, core and validation. Part of the oracle: imports nothing from bridle.
Tested by test_naive.py against the jsonschema package.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import ceil, floor
from urllib.parse import unquote

from naive_json import NUMBER, Array, Node, NotJson, Number, Object, String, Word, close_number, read
from naive_regex import Machine, Strings
from naive_text import contains, decode

Schema = dict | bool
Conjunction = tuple[Schema, ...]

_TYPES = frozenset({"null", "boolean", "number", "integer", "string", "array", "object"})
_KEYWORDS = {
    *("type", "enum", "const", "anyOf", "allOf", "$ref", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("properties", "required", "additionalProperties", "items", "prefixItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_ANNOTATIONS = {
    *("$schema", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"),
    *("readOnly", "writeOnly"),
}


def exact(number: int | float | Decimal) -> Fraction:
    """A number of a schema as the decimal that was written: a float is its shortest spelling."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def is_number(value: object) -> bool:
    """Booleans are not numbers."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def equal(a: object, b: object) -> bool:
    """Equality of JSON values: 1 is 1.0 and is not true."""
    if is_number(a) and is_number(b):
        return exact(a) == exact(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def has_spelling(value: object) -> bool:
    """Whether a constant can be written in UTF-8 without lone surrogates."""
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, list):
        return all(map(has_spelling, value))
    return not isinstance(value, dict) or all(has_spelling(k) and has_spelling(v) for k, v in value.items())


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval of numbers, or of integers; None: no bound."""

    low: Fraction | None = None
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False
    integer: bool = False

    def above(self, low: Fraction, is_open: bool) -> "Bounds":
        if self.low is not None and (low, is_open) <= (self.low, self.low_open):
            return self
        return Bounds(low, is_open, self.high, self.high_open, self.integer)

    def below(self, high: Fraction, is_open: bool) -> "Bounds":
        if self.high is not None and (-high, is_open) <= (-self.high, self.high_open):
            return self
        return Bounds(self.low, self.low_open, high, is_open, self.integer)

    def mirrored(self) -> "Bounds":
        low, high = None if self.high is None else -self.high, None if self.low is None else -self.low
        return Bounds(low, self.high_open, high, self.low_open, self.integer)

    def empty(self) -> bool:
        low, low_open = self.low, self.low_open
        if low is None or self.high is None:
            return False
        if self.integer:  # from the first integer on
            low, low_open = Fraction(floor(low) + 1 if low_open else ceil(low)), False
        return low > self.high or (low == self.high and (low_open or self.high_open))

    def holds(self, value: Fraction) -> bool:
        return (not self.integer or value.denominator == 1) and not self.above(value, False).below(value, False).empty()

    def viable(self, text: str) -> bool:
        """Whether some number without exponent begins with the text and is in the interval."""
        if text.startswith("-"):
            return self.mirrored().viable_digits(text[1:])
        return self.viable_digits(text)

    def viable_digits(self, digits: str) -> bool:
        if not re.fullmatch(r"((0|[1-9][0-9]*)(\.0*)?)?" if self.integer else r"((0|[1-9][0-9]*)(\.[0-9]*)?)?", digits):
            return False
        if not digits:
            return not self.above(Fraction(0), False).empty()
        value = Fraction(digits.rstrip("."))
        if "." in digits:
            width = Fraction(1, 10 ** len(digits.partition(".")[2]))
            return not self.above(value, False).below(value + width, True).empty()
        if digits == "0":
            return not self.above(value, False).below(Fraction(1), True).empty()
        if self.high is None:
            return True
        width = Fraction(1)
        while value <= self.high:
            if not self.above(value, False).below(value + width, True).empty():
                return True
            value, width = value * 10, width * 10
        return False


_SCIENTIFIC = re.compile(r"[1-9](\.[0-9]{0,15}[1-9])?[eE][+-]?0{0,2}(0|[1-9][0-9]{0,2})")
_MANTISSA = re.compile(r"[1-9](\.[0-9]{0,16})?")
_EXPONENTS = sorted((*range(-324, -4), *range(16, 309)), key=abs)


@lru_cache(maxsize=100_000)
def _scientific(bounds: Bounds, text: str, closed: bool) -> bool:
    """Whether a text is, or with more characters can become, a number with an exponent in the documented form."""
    if text.startswith("-"):
        return _scientific(bounds.mirrored(), text[1:], closed)
    if closed:
        whole = _SCIENTIFIC.fullmatch(text)
        if whole is None or int(whole[2]) * (-1 if "-" in text else 1) not in _EXPONENTS:
            return False
        return bounds.holds(Fraction(text))
    if not text:
        return any(_scientific(bounds, digit, False) for digit in "123456789")
    mantissa, e, exponent = text.lower().partition("e")
    if not _MANTISSA.fullmatch(mantissa) or (e and not _SCIENTIFIC.fullmatch(mantissa + "e0")):
        return False
    if not e:
        return any(_holds_some(bounds, mantissa, x) for x in _EXPONENTS)
    spelled = re.fullmatch(r"([+-]?)(0{0,2})([0-9]*)", exponent)
    return spelled is not None and any(
        bounds.holds(Fraction(mantissa) * Fraction(10) ** x)
        for x in _EXPONENTS
        if (x <= 0 if spelled[1] == "-" else x >= 0 or not exponent)
        for zeros in range(3)
        if ("0" * zeros + str(abs(x))).startswith(spelled[2] + spelled[3])
    )


def _holds_some(bounds: Bounds, mantissa: str, x: int) -> bool:
    """Whether a mantissa that begins so gives, with this exponent, a number in the bounds."""
    n, power = len(mantissa.partition(".")[2]), Fraction(10) ** x
    least = Fraction(mantissa.rstrip("."))
    if bounds.high is not None and least * power > bounds.high:
        return False
    if (bounds.low is not None and (least + Fraction(1, 10**n)) * power < bounds.low) or (bounds.integer and x < 0):
        return False
    if (n == 0 or mantissa[-1] != "0") and not mantissa.endswith(".") and bounds.holds(least * power):
        return True
    for digits in range(n + 1, 17):  # the numbers with so many digits behind the point, the last of them not zero
        step = Fraction(1, 10**digits)
        low, high = least, least + Fraction(1, 10**n)
        if bounds.low is not None:
            low = max(low, ceil(bounds.low / power / step) * step)
        if bounds.high is not None:
            high = min(high, bounds.high / power + step)
        for k in range(3):
            value = low + k * step
            if least < value < high and (value / step) % 10 != 0 and bounds.holds(value * power):
                return True
    return False


class JsonSchema:
    """The spellings of the values that a schema admits."""

    def __init__(self, schema: Schema | str | bytes, property_order: str, whitespace: str, max_whitespace: int) -> None:
        if property_order not in ("schema", "any") or whitespace not in ("json", "compact"):
            raise ValueError(f"property_order {property_order!r}, whitespace {whitespace!r}")
        if isinstance(schema, str | bytes):
            schema = json.loads(schema, parse_float=Decimal)
        self.root: Schema = schema
        self.in_order = property_order == "schema"
        self.max_whitespace = 0 if whitespace == "compact" else max_whitespace
        # Conjunctions are known by the identity of their schemas; `root` keeps those alive.
        self._satisfiable: dict[tuple[int, ...], bool] = {}
        self._alternatives: dict[tuple[int, ...], list[tuple[dict, ...]]] = {}
        self._strings: dict[tuple[int, ...], Strings] = {}
        self.scan(schema, set())

    def accepts(self, data: bytes) -> bool:
        text = decode(data)
        if text is None or text[1] is not None:
            return False
        try:
            node = close_number(read(text[0], None, self.max_whitespace))
        except NotJson:
            return False
        return node is not None and node.closed and self.can(node, (self.root,))

    def is_prefix(self, data: bytes) -> bool:
        text = decode(data)
        if text is None:
            return False
        try:
            return self.can(read(*text, self.max_whitespace), (self.root,))
        except NotJson:
            return False

    # The schema's own structure.

    def scan(self, schema: Schema, seen: set[int]) -> None:
        """Refuses what is not covered, wherever it can matter."""
        if isinstance(schema, bool) or id(schema) in seen:
            return
        if not isinstance(schema, dict):
            raise ValueError(f"not a schema: {schema!r}")
        seen.add(id(schema))
        for keyword in schema:
            if keyword not in _KEYWORDS | _ANNOTATIONS:
                raise NotImplementedError(f"keyword {keyword}")
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if isinstance(schema.get(keyword), bool):
                raise NotImplementedError(f"boolean {keyword} of draft 4")
        if isinstance(schema.get("items"), list):
            raise NotImplementedError("items as a list")
        if "pattern" in schema:
            Machine(schema["pattern"], "ecma", True)
        for keyword in ("additionalProperties", "items"):
            if keyword in schema:
                self.scan(schema[keyword], seen)
        for keyword in ("prefixItems", "anyOf", "allOf"):
            for member in schema.get(keyword, ()):
                self.scan(member, seen)
        for member in schema.get("properties", {}).values():
            self.scan(member, seen)
        if "$ref" in schema:
            self.scan(self.target(schema["$ref"]), seen)

    def target(self, ref: str) -> Schema:
        """What a `#` or `#/...` pointer points at."""
        if ref != "#" and not ref.startswith("#/"):
            raise NotImplementedError(f"$ref {ref}")
        found = self.root
        for step in ref.split("/")[1:]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(f"$ref {ref} points nowhere") from None
        return found

    def alternatives(self, conjunction: Conjunction) -> list[tuple[dict, ...]]:
        """The conjunction as a list of conjunctions of schemas whose `$ref`, `allOf` and `anyOf` count no more."""
        key = tuple(map(id, conjunction))
        if key not in self._alternatives:
            self._alternatives[key] = _joined([self.resolved(s, frozenset()) for s in conjunction])
        return self._alternatives[key]

    def resolved(self, schema: Schema, above: frozenset[int]) -> list[tuple[dict, ...]]:
        if isinstance(schema, bool):
            return [()] if schema else []
        if id(schema) in above:
            return []
        above |= {id(schema)}
        parts = [[(schema,)]]
        if "$ref" in schema:
            parts.append(self.resolved(self.target(schema["$ref"]), above))
        parts += [self.resolved(member, above) for member in schema.get("allOf", ())]
        if "anyOf" in schema:
            parts.append([found for member in schema["anyOf"] for found in self.resolved(member, above)])
        return _joined(parts)

    # Complete values, for constants.

    def holds(self, value: object, conjunction: Conjunction) -> bool:
        """Whether a value is admitted, spelling and order aside."""
        return any(all(self.holds_one(value, s) for s in schemas) for schemas in self.alternatives(conjunction))

    def holds_one(self, value: object, schema: dict) -> bool:
        if ("enum" in schema and not any(equal(value, v) for v in schema["enum"])) or (
            "const" in schema and not equal(value, schema["const"])
        ):
            return False
        types = _types((schema,))
        if value is None:
            return "null" in types
        if isinstance(value, bool):
            return "boolean" in types
        if is_number(value):
            return bool({"number", "integer"} & types) and _bounds((schema,))[0].holds(exact(value))
        if isinstance(value, str):
            return "string" in types and self.strings((schema,)).accepts(tuple(map(ord, value)))
        if isinstance(value, list):
            least, most = _counts((schema,))
            return (
                "array" in types
                and least <= len(value)
                and (most is None or len(value) <= most)
                and all(self.holds(v, _item((schema,), i)) for i, v in enumerate(value))
            )
        return (
            "object" in types
            and all(name in value for name in schema.get("required", ()))
            and all(self.holds(v, _member((schema,), k)) for k, v in value.items())
        )

    def constants(self, schemas: tuple[dict, ...]) -> list | None:
        """The values that `enum` and `const` leave, all other keywords obeyed; None: neither is there."""
        written = [v for s in schemas for v in ([s["const"]] if "const" in s else s.get("enum", ()))]
        if not any("const" in s or "enum" in s for s in schemas):
            return None
        return [v for v in written if has_spelling(v) and all(self.holds_one(v, s) for s in schemas)]

    # Satisfiability.

    def satisfiable(self, conjunction: Conjunction) -> bool:
        """Whether any value is admitted: the least fixpoint, over all conjunctions that this one leads to."""
        key = tuple(map(id, conjunction))
        if key in self._satisfiable:
            return self._satisfiable[key]
        table: dict[tuple[int, ...], bool] = {}
        met: dict[tuple[int, ...], Conjunction] = {key: conjunction}

        def look(other: Conjunction) -> bool:
            other_key = tuple(map(id, other))
            if other_key in self._satisfiable:
                return self._satisfiable[other_key]
            met.setdefault(other_key, other)
            return table.get(other_key, False)

        while True:
            now = {k: any(self.exists(s, look) for s in self.alternatives(c)) for k, c in list(met.items())}
            if now == table and len(now) == len(met):
                break
            table = now
        self._satisfiable.update(table)
        return table[key]

    def exists(self, schemas: tuple[dict, ...], look: Callable[[Conjunction], bool]) -> bool:
        """Whether a value exists, if those within it exist where `look` says so."""
        constants = self.constants(schemas)
        if constants is not None:
            return bool(constants)
        types = _types(schemas)
        if types & {"null", "boolean"}:
            return True
        bounds, _ = _bounds(schemas)
        return (
            (bool(types & {"number", "integer"}) and not bounds.empty())
            or ("string" in types and self.strings(schemas).viable((), None))
            or ("array" in types and self.can_array(Array((), False, False), schemas, look))
            or ("object" in types and all(look(_member(schemas, name)) for name in _required(schemas)))
        )

    # Unfinished values.

    def can(self, node: Node | None, conjunction: Conjunction) -> bool:
        """Whether an unfinished value can become an admitted one (a finished one: whether it is)."""
        if node is None:
            return self.satisfiable(conjunction)
        return any(self.can_one(node, schemas) for schemas in self.alternatives(conjunction))

    def can_one(self, node: Node, schemas: tuple[dict, ...]) -> bool:
        constants = self.constants(schemas)
        if constants is not None:
            return any(self.can_equal(node, value) for value in constants)
        types = _types(schemas)
        if isinstance(node, Word):
            return ("null" if node.text[0] == "n" else "boolean") in types
        if isinstance(node, Number):
            return bool({"number", "integer"} & types) and _can_number(node, *_bounds(schemas))
        if isinstance(node, String):
            return "string" in types and self.can_string(node, schemas)
        if isinstance(node, Array):
            return "array" in types and self.can_array(node, schemas, self.satisfiable)
        return "object" in types and self.can_object(node, schemas)

    def can_equal(self, node: Node, value: object) -> bool:
        """Whether an unfinished value can become this one."""
        if isinstance(node, Word):
            return (value is None or isinstance(value, bool)) and json.dumps(value).startswith(node.text)
        if isinstance(node, Number):
            return is_number(value) and _can_number(node, Bounds(exact(value), False, exact(value), False), True)
        if isinstance(node, String):
            return isinstance(value, str) and _can_spell(node, value)
        if isinstance(node, Array):
            if not isinstance(value, list) or not _count_fits(len(node.items), len(value), node):
                return False
            return all(self.can_equal(n, v) for n, v in zip(node.items, value, strict=False))
        return isinstance(value, dict) and self.can_equal_object(node, value)

    def can_equal_object(self, node: Object, value: dict) -> bool:
        if not _count_fits(len(node.members), len(value), node) or not _keys_differ(node):
            return False
        left = list(value)
        for key, inner in node.members:
            names = [n for n in (left[:1] if self.in_order else left) if _can_spell(key, n)]
            if not names or (inner is not None and not self.can_equal(inner, value[names[0]])):
                return False
            left.remove(names[0])  # where there are several, the key is open, thus the last, with no value yet
        return True

    def can_string(self, node: String, schemas: tuple[dict, ...]) -> bool:
        strings = self.strings(schemas)
        return strings.accepts(node.text) if node.closed else strings.viable(node.text, node.pending)

    def strings(self, schemas: tuple[dict, ...]) -> Strings:
        key = tuple(map(id, schemas))
        if key not in self._strings:
            patterns = dict.fromkeys(s["pattern"] for s in schemas if "pattern" in s)
            shortest = max([int(s.get("minLength", 0)) for s in schemas], default=0)
            longest = min([int(s["maxLength"]) for s in schemas if "maxLength" in s], default=None)
            self._strings[key] = Strings([Machine(p, "ecma", True) for p in patterns], shortest, longest)
        return self._strings[key]

    def can_array(self, node: Array, schemas: tuple[dict, ...], look: Callable[[Conjunction], bool]) -> bool:
        """The items as they are, and, where it is open, the fewest further ones that will do."""
        if not all(self.can(item, _item(schemas, i)) for i, item in enumerate(node.items)):
            return False
        least, most = _counts(schemas)
        have = len(node.items)
        if node.closed:
            return least <= have and (most is None or have <= most)
        need = max(have + node.wants, least)
        if most is not None and need > most:
            return False
        same_from = max((len(s.get("prefixItems", ())) for s in schemas), default=0)
        return all(look(_item(schemas, i)) for i in range(have, min(need, max(same_from, have) + 1)))

    def can_object(self, node: Object, schemas: tuple[dict, ...]) -> bool:
        """The members as they are, those that are still required, and one more after a comma."""
        if not _keys_differ(node):
            return False
        named = list(dict.fromkeys([*(k for s in schemas for k in s.get("properties", ())), *_required(schemas)]))
        left, required = list(named), set(_required(schemas))
        for key, value in node.members:
            if not key.closed:
                return self.can_key(key, schemas, left, required)
            if key.value in named and key.value not in left:  # it comes too late
                return False
            if not self.can(value, _member(schemas, key.value)):
                return False
            left = self.passed(key.value, left)
            required.discard(key.value)
            if not required <= set(left):
                return False
        if node.closed:
            return not required
        if not all(self.satisfiable(_member(schemas, name)) for name in required):
            return False
        return not node.wants or self.can_key(String((), None, False), schemas, left, required)

    def passed(self, key: str, left: list[str]) -> list[str]:
        """The names that may come after a key: in order, none after an additional one."""
        if not self.in_order:
            return [name for name in left if name != key]
        return left[left.index(key) + 1 :] if key in left else []

    def can_key(self, key: String, schemas: tuple[dict, ...], left: list[str], required: set[str]) -> bool:
        """Whether an open key can become one that may stand here, with a value, and the rest after it."""
        for name in left:
            after = required - {name}
            if (
                _can_spell(key, name)
                and after <= set(self.passed(name, left))
                and all(self.satisfiable(_member(schemas, n)) for n in (name, *after))
            ):
                return True
        # An open key can become infinitely many names, so there is always one that is not taken.
        others = tuple(s["additionalProperties"] for s in schemas if "additionalProperties" in s)
        if not self.satisfiable(others):
            return False
        return not required if self.in_order else all(self.satisfiable(_member(schemas, n)) for n in required)


def _joined(parts: list[list[tuple[dict, ...]]]) -> list[tuple[dict, ...]]:
    """One alternative of each part, in all ways, every schema once."""
    found = [tuple({id(s): s for a in choice for s in a}.values()) for choice in product(*parts)]
    return list({tuple(map(id, a)): a for a in found}.values())


def _types(schemas: tuple[dict, ...]) -> frozenset[str]:
    """The types that all admit; `number` brings `integer` with it."""
    left = _TYPES
    for schema in schemas:
        if "type" in schema:
            types = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
            if not types <= _TYPES:
                raise ValueError(f"type {schema['type']!r}")
            left &= types | ({"integer"} if "number" in types else set())
    return left


def _bounds(schemas: tuple[dict, ...]) -> tuple[Bounds, bool]:
    """The interval of the numbers, and whether anything constrains their value."""
    types = _types(schemas)
    integer = "integer" in types and "number" not in types
    bounds, bounded = Bounds(integer=integer), integer
    for schema in schemas:
        for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
            if keyword in schema:
                bounds, bounded = bounds.above(exact(schema[keyword]), is_open), True
        for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
            if keyword in schema:
                bounds, bounded = bounds.below(exact(schema[keyword]), is_open), True
    return bounds, bounded


def _can_number(node: Number, bounds: Bounds, bounded: bool) -> bool:
    if not bounded:
        return True  # the reader has seen to the syntax
    if _scientific(bounds, node.text, node.closed):
        return True
    if not node.closed:
        return bounds.viable(node.text)
    without_exponent = NUMBER.fullmatch(node.text)[3] is None
    return without_exponent and bounds.holds(Fraction(node.text))


def _can_spell(node: String, value: str) -> bool:
    """Whether an open or closed string can become this one."""
    code_points = tuple(map(ord, value))
    if node.closed:
        return node.text == code_points
    have = len(node.text)
    if code_points[:have] != node.text:
        return False
    return node.pending is None or (have < len(value) and contains(node.pending, code_points[have]))


def _count_fits(have: int, total: int, node: Array | Object) -> bool:
    return have == total if node.closed else have + node.wants <= total


def _keys_differ(node: Object) -> bool:
    keys = [key.text for key, _ in node.members if key.closed]
    return len(set(keys)) == len(keys)


def _counts(schemas: tuple[dict, ...]) -> tuple[int, int | None]:
    least = max([int(s.get("minItems", 0)) for s in schemas], default=0)
    return least, min([int(s["maxItems"]) for s in schemas if "maxItems" in s], default=None)


def _required(schemas: tuple[dict, ...]) -> list[str]:
    return list(dict.fromkeys(name for s in schemas for name in s.get("required", ())))


def _item(schemas: tuple[dict, ...], i: int) -> Conjunction:
    """What holds for the item at i."""
    out = []
    for schema in schemas:
        first = schema.get("prefixItems", ())
        if i < len(first):
            out.append(first[i])
        elif "items" in schema:
            out.append(schema["items"])
    return _once(out)


def _member(schemas: tuple[dict, ...], key: str) -> Conjunction:
    """What holds for the value of a key."""
    out = []
    for schema in schemas:
        if key in schema.get("properties", {}):
            out.append(schema["properties"][key])
        elif "additionalProperties" in schema:
            out.append(schema["additionalProperties"])
    return _once(out)


def _once(schemas: list[Schema]) -> Conjunction:
    return tuple({id(s): s for s in schemas}.values())
