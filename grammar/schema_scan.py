"""One linear pass over a JSON schema before anything is generated: is it well formed, and is all of it enforced?

The scan visits what the root can reach, subschemas and `$ref` targets, each once. A keyword that has a wrong value is a
GrammarError; one that asserts something which bridle does not enforce becomes a `Gap` (pointer, keyword, reason);
unknown keywords are annotations, as the standard says. The rest of the front end relies on what passed here.

Cost: about 1.5 us a keyword.
Source: JSON Schema drafts 4, 6, 7, 2019-09, 2020-12 (core and validation).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import unquote

from ..automata.errors import GrammarError, LimitError, UnsupportedError
from .json_numbers import decimal_of
from .regex_syntax import search_language
from .schema_leaves import StringSet, constants_targets, is_text, string_target

__all__ = ["DRAFTS", "TYPES", "Gap", "SchemaScan"]

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

# Drafts by what their `$schema` contains.
DRAFTS = {"draft-03": 3, "draft-04": 4, "draft-06": 6, "draft-07": 7, "2019-09": 2019, "2020-12": 2020}

# A bound's digits are compared one by one, and a double has up to 309 before the point.
_MOST_DIGITS = 400
_MOST_REQUIRED = 1 << 24
_DEEPEST_CONSTANT = 60
_LARGE_ENUM = 10_000
_LARGE_COUNT = re.compile(r"\{\d*,?\d{3,}")

# Formats whose names the standard defines; any other is an annotation.
FORMATS = frozenset(
    [
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uuid",
        "uri-template",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ]
)

# Keywords that assert and are not enforced: the type of value that they concern (None: any), and why not.
_NOT_ENFORCED: dict[str, tuple[str | None, str]] = {
    "oneOf": (None, "exactly one of several schemas needs their complements"),
    "not": (None, "the complement of a schema is not implemented"),
    "if": (None, "conditions need the complement of a schema"),
    "patternProperties": ("object", "members by the pattern of their name are not implemented"),
    "propertyNames": ("object", "a language for the names of members is not implemented"),
    "maxProperties": ("object", "counting members is not implemented"),
    "minProperties": ("object", "counting members is not implemented"),
    "dependentRequired": ("object", "members that require other members are not implemented"),
    "dependentSchemas": ("object", "schemas that depend on a member are not implemented"),
    "dependencies": ("object", "members that require other members are not implemented"),
    "unevaluatedProperties": ("object", "tracking what other keywords have evaluated is not implemented"),
    "unevaluatedItems": ("array", "tracking what other keywords have evaluated is not implemented"),
    "uniqueItems": ("array", "comparing items with each other is not implemented"),
    "contains": ("array", "counting items that match a schema is not implemented"),
    "multipleOf": ("number", "divisibility is not implemented"),
    "divisibleBy": ("number", "divisibility is not implemented"),
    "format": ("string", "this format's language is not implemented"),
    "$dynamicRef": (None, "dynamic references are not implemented"),
    "$recursiveRef": (None, "recursive references are not implemented"),
    "extends": (None, "draft 3 is not implemented"),
    "disallow": (None, "draft 3 is not implemented"),
}


class Gap(NamedTuple):
    """A constraint of a schema that is not enforced."""

    pointer: str
    keyword: str
    reason: str


class SchemaScan:
    """The result of a scan.

    draft : 4, 6, 7, 2019 or 2020. gaps : what is not enforced. notes : annotations that look like constraints.
    """

    def __init__(self, root: Any, *, formats: str) -> None:
        self.root = root
        self.gaps: list[Gap] = []
        self.notes: list[str] = []
        self.draft = _draft(root)
        if self.draft == 0:
            self.draft = 2020
            self.notes.append(f"$schema {root['$schema']!r} is not a draft of the standard: read as 2020-12")
        self.dropped: set[tuple[int, str]] = set()  # (id of the schema, keyword) that the gaps stand for
        self._asserts_formats = formats == "assert"
        self._targets: dict[str, Any] = {}
        self._waiting: list[tuple[Any, str, bool]] = [(root, "", False)]
        self._seen: set[int] = set()
        identity = (root.get("$id") or root.get("id")) if isinstance(root, dict) else None
        self._identity = identity.rstrip("#") if isinstance(identity, str) else None
        while self._waiting:
            self._visit(*self._waiting.pop())

    def target(self, reference: str) -> Any:
        """The schema that a reference names; only what the scan has resolved."""
        return self._targets[reference]

    # ------------------------------------------------------------------------------------------------ visiting

    def _visit(self, schema: Any, pointer: str, moved: bool) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise GrammarError(f"a schema is an object or a boolean, not {_kind(schema)}", pointer=pointer)
        if id(schema) in self._seen:
            return
        self._seen.add(id(schema))
        if pointer and not moved:
            moved = isinstance(schema.get("$id" if self.draft > 4 else "id"), str)
        if self.draft <= 7 and "$ref" in schema:
            self._ref(schema, schema["$ref"], pointer, moved)
            return
        types = schema.get("type")
        for keyword, value in schema.items():
            check = _CHECKS.get(keyword)
            if check is not None:
                check(self, schema, value, f"{pointer}/{_escaped(keyword)}", moved)
            elif keyword in _NOT_ENFORCED:
                self._gap(schema, keyword, value, pointer, types)

    def _gap(self, schema: dict[str, Any], keyword: str, value: Any, pointer: str, types: Any) -> None:
        concerns, reason = _NOT_ENFORCED[keyword]
        if concerns is not None and types is not None:
            listed = types if isinstance(types, list) else [types]
            if concerns not in listed and not (concerns == "number" and "integer" in listed):
                return
        if _is_void(schema, keyword, value):
            return
        if keyword == "format":
            if not isinstance(value, str):
                raise _wrong(f"{pointer}/format", "a string", value)
            if not self._asserts_formats:
                return
            if value not in FORMATS:
                self.notes.append(f'{pointer or "the root"}: format "{value}" is not a standard one: an annotation')
                return
            reason = f'the language of "{value}" is not implemented'
        self.gaps.append(Gap(pointer, keyword, reason))

    def _ref(self, schema: dict[str, Any], reference: Any, pointer: str, moved: bool) -> None:
        if not isinstance(reference, str):
            raise GrammarError(
                f"a reference is a string, not {_kind(reference)}", pointer=f"{pointer}/$ref", keyword="$ref"
            )
        local = reference
        if self._identity and reference.startswith(self._identity + "#"):
            local = reference[len(self._identity) :]
        reason = ""
        if moved and local.startswith("#"):
            reason = "references inside a schema with an $id of its own are not implemented"
        elif local.startswith("#") and (local == "#" or local.startswith("#/")):
            if reference not in self._targets:
                self._targets[reference] = self._resolve(local, f"{pointer}/$ref")
            self._waiting.append((self._targets[reference], unquote(local[1:]), moved))
            return
        elif local.startswith("#"):
            reason = "references by anchor are not implemented"
        else:
            reason = "it leads out of this schema, and nothing is fetched"
        self.dropped.add((id(schema), "$ref"))
        self.gaps.append(Gap(pointer, "$ref", f"{reference!r}: {reason}"))

    def _resolve(self, reference: str, pointer: str) -> Any:
        at = self.root
        for part in unquote(reference[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(at, dict) and key in at:
                at = at[key]
            elif isinstance(at, list) and key.isascii() and key.isdecimal() and int(key) < len(at):
                at = at[int(key)]
            else:
                raise GrammarError(
                    f"{reference!r} leads nowhere: there is no {key!r} on the way", pointer=pointer, keyword="$ref"
                )
        return at


def _draft(root: Any) -> int:
    """4, 6, 7, 2019 or 2020 by `$schema`; 0 for one that is none of them."""
    named = root.get("$schema") if isinstance(root, dict) else None
    if not isinstance(named, str):
        return 2020
    for part, draft in DRAFTS.items():
        if part in named:
            return max(draft, 4)
    return 2020 if "json-schema.org/schema" in named else 0


def _is_void(schema: dict[str, Any], keyword: str, value: Any) -> bool:
    """Whether a keyword of the table asserts nothing here."""
    if keyword == "uniqueItems":
        return value is False
    if keyword == "minProperties":
        required = schema.get("required")
        return isinstance(value, int) and value <= (len({*map(str, required)}) if isinstance(required, list) else 0)
    if keyword in ("patternProperties", "dependentRequired", "dependentSchemas", "dependencies"):
        return value == {}
    if keyword == "propertyNames":
        return value is True or value == {}
    if keyword == "if":
        return "then" not in schema and "else" not in schema
    if keyword in ("unevaluatedProperties", "unevaluatedItems"):
        return value is True
    return False


# ------------------------------------------------------------------------------------------------ keywords

_Check = Callable[[SchemaScan, "dict[str, Any]", Any, str, bool], None]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float, Decimal)) else type(value).__name__)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _wrong(pointer: str, must: str, value: Any) -> GrammarError:
    keyword = pointer.rpartition("/")[2]
    return GrammarError(f"{keyword} must be {must}, not {_kind(value)}", pointer=pointer, keyword=keyword)


def _check_type(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    for name in value if isinstance(value, list) and value else [value]:
        if not isinstance(name, str):
            raise _wrong(pointer, "the name of a type or an array of them", name)
        if name not in TYPES and not (name == "any" and scan.draft <= 4):
            raise GrammarError(f"{name!r} is not a type: {', '.join(TYPES)}", pointer=pointer, keyword="type")


def _check_schemas_by_name(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if not isinstance(value, dict):
        raise _wrong(pointer, "an object of schemas", value)
    for name, sub in value.items():
        if not isinstance(name, str):
            raise GrammarError(f"names are strings, not {name!r}", pointer=pointer)
        scan._waiting.append((sub, f"{pointer}/{_escaped(name)}", moved))


def _check_schemas(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if not isinstance(value, list) or not value:
        raise _wrong(pointer, "a non-empty array of schemas", value)
    for i, sub in enumerate(value):
        scan._waiting.append((sub, f"{pointer}/{i}", moved))


def _check_schema(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    scan._waiting.append((value, pointer, moved))


def _check_items(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if isinstance(value, list):
        if scan.draft == 2020 and "prefixItems" in schema:
            raise _wrong(pointer, "a schema beside prefixItems", value)
        for i, sub in enumerate(value):
            scan._waiting.append((sub, f"{pointer}/{i}", moved))
    else:
        scan._waiting.append((value, pointer, moved))


def _check_count(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _wrong(pointer, "a non-negative integer", value)
    _check_finite(value, pointer)
    if value < 0 or value != int(value):
        raise _wrong(pointer, "a non-negative integer", value)
    keyword = pointer.rpartition("/")[2]
    if keyword.startswith("min") and value > _MOST_REQUIRED:
        raise LimitError(keyword, int(value), _MOST_REQUIRED, pointer)


def _check_number(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if scan.draft <= 4 and isinstance(value, bool) and "exclusive" in pointer.rpartition("/")[2]:
        return
    _check_finite(value, pointer)


def _check_finite(value: Any, pointer: str) -> None:
    """A JSON number of a size whose digits can be compared."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _wrong(pointer, "a number", value)
    number = decimal_of(value)
    if not number.is_finite():
        raise _wrong(pointer, "a finite number", value)
    digits = max(abs(number.adjusted()), len(number.as_tuple().digits))
    if digits > _MOST_DIGITS:
        raise LimitError("digits of a number", digits, _MOST_DIGITS, pointer)


def _check_constant(value: Any, pointer: str, depth: int = 0) -> None:
    """A JSON value, as `const` and `enum` have them."""
    if depth > _DEEPEST_CONSTANT:
        raise LimitError("nesting of a constant", depth, _DEEPEST_CONSTANT, pointer)
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise GrammarError(f"names of members are strings, not {name!r}", pointer=pointer)
            _check_constant(item, pointer, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_constant(item, pointer, depth + 1)
    elif value is not None and not isinstance(value, (str, bool)):
        _check_finite(value, pointer)


def _check_const(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    _check_constant(value, pointer)


def _check_names(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if isinstance(value, bool) and scan.draft <= 4:
        return
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _wrong(pointer, "an array of strings", value)


def _check_enum(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if not isinstance(value, list):
        raise _wrong(pointer, "an array", value)
    _check_constant(value, pointer)
    # What may be too large for one automaton is made before a text begins, not in the middle of it.
    scalars = [item for item in value if not isinstance(item, (list, dict))]
    if sum(len(item) if isinstance(item, str) else 8 for item in scalars) > _LARGE_ENUM:
        try:
            constants_targets([item for item in scalars if is_text(item)])
        except LimitError as error:
            scan.gaps.append(Gap(pointer.rpartition("/")[0], "enum", f"{len(value)} values: {error}"))
            scan.dropped.add((id(schema), "enum"))


def _check_pattern(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    if not isinstance(value, str):
        raise _wrong(pointer, "a string", value)
    types = schema.get("type", "string")
    if isinstance(types, (str, list)) and "string" not in types:
        return
    for keyword in ("minLength", "maxLength"):
        if keyword in schema:
            _check_count(scan, schema, schema[keyword], f"{pointer.rpartition('/')[0]}/{keyword}", moved)
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    try:
        # Only what may be too large is compiled before it is reached: a product with a counter, or large counts.
        if least or most is not None or _LARGE_COUNT.search(value):
            string_target(StringSet((value,), least=least, most=None if most is None else int(most)))
        else:
            search_language(value, "ecma")
    except (UnsupportedError, LimitError) as error:
        reason = error.reason if isinstance(error, UnsupportedError) else str(error)
        scan.gaps.append(Gap(pointer.rpartition("/")[0], "pattern", f"{value!r}: {reason}"))
        scan.dropped.add((id(schema), "pattern"))
    except GrammarError as error:
        raise GrammarError(f"malformed pattern: {error}", pointer=pointer, keyword="pattern") from error


def _check_ref(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, moved: bool) -> None:
    scan._ref(schema, value, pointer.rpartition("/")[0], moved)


_CHECKS: dict[str, _Check] = {
    "type": _check_type,
    "properties": _check_schemas_by_name,
    "required": _check_names,
    "additionalProperties": _check_schema,
    "items": _check_items,
    "additionalItems": _check_schema,
    "prefixItems": _check_schemas,
    "minItems": _check_count,
    "maxItems": _check_count,
    "minLength": _check_count,
    "maxLength": _check_count,
    "pattern": _check_pattern,
    "minimum": _check_number,
    "maximum": _check_number,
    "exclusiveMinimum": _check_number,
    "exclusiveMaximum": _check_number,
    "enum": _check_enum,
    "const": _check_const,
    "anyOf": _check_schemas,
    "allOf": _check_schemas,
    "$ref": _check_ref,
}
