"""One linear pass over a JSON schema before anything is generated: is it well formed, and is all of it enforced?

The scan visits what the root can reach, subschemas and targets of references, each once. A keyword that has a wrong
value is a GrammarError; one that asserts something which bridle cannot enforce becomes a `Gap` (pointer, keyword,
reason); unknown keywords, and those of other drafts, are annotations, as the standard says. The rest of the front end
relies on what passed here.

What is left out (`dropped`) must only ever allow more. Under a complement (`not`, `oneOf`, `if`) leaving out would
forbid, so there the whole complement is left out with it.

Cost: about 1.5 us a keyword.
Source: JSON Schema drafts 4, 6, 7, 2019-09, 2020-12 (core and validation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from ..automata.errors import GrammarError, LimitError, UnsupportedError
from .formats import FORMATS, format_note
from .json_numbers import decimal_of
from .regex_syntax import search_language
from .schema_context import Contexts
from .schema_keywords import TYPES, assertions
from .schema_leaves import constants_language
from .schema_references import draft_named
from .schema_strings import StringSet, is_plainly_small, string_target

__all__ = ["Gap", "SchemaScan"]

# A bound's digits are compared one by one, and a double has up to 309 before the point.
_MOST_DIGITS = 400
_MOST_REQUIRED = 1 << 24
_DEEPEST_CONSTANT = 60
_LARGE_ENUM = 10_000
_MOST_ENUM = 1 << 20  # 44 bytes each in the table of a grammar
# Numbers of an enumeration of which it is plain that their automaton, with all spellings, is beyond every budget.
_MOST_NUMBERS = 20_000
# Patterns whose automata may be beyond every budget: counts of hundreds, counts of tens where the place at which they
# begin is open, and lookaround.
_LARGE_PATTERN = re.compile(r"\{\d*,?\d{3,}|(?:^[^^]|[*+,]).*\{\d*,?\d{2,}|\(\?<?[=!]", re.DOTALL)

# Keywords of draft 3 that no later draft has: to read them as annotations would surprise.
_DRAFT_3 = {
    "extends": "draft 3 is not implemented; say allOf",
    "disallow": "draft 3 is not implemented; say not",
    "divisibleBy": "draft 3 is not implemented; say multipleOf",
}
# Keywords of one draft that assert nothing in another: worth a note.
_OF_SOME_DRAFT = assertions(2020) | assertions(2019)
_COMPLEMENTING = frozenset(("not", "oneOf", "if"))


class Gap(NamedTuple):
    """A constraint of a schema that is not enforced."""

    pointer: str
    keyword: str
    reason: str


class SchemaScan:
    """The result of a scan.

    draft : 4, 6, 7, 2019 or 2020. gaps : what is not enforced. notes : what a user should know.
    contexts : resolves `$ref` and the like. dropped : (id of the schema, keyword) of what the gaps stand for.
    """

    def __init__(self, root: Any, *, formats: str, given: Mapping[str, Any] = MappingProxyType({})) -> None:
        """given : other documents that references may name, by absolute URI."""
        self.root = root
        self.gaps: list[Gap] = []
        self.notes: list[str] = []
        self.draft = _draft(root) or 2020
        self.dropped: set[tuple[int, str]] = set()
        if not _draft(root):
            reason = f"{root['$schema']!r} is none of drafts 4 to 2020-12, and may give the keywords other meanings"
            self.drop(root, "$schema", "", reason + "; name a draft, or leave $schema out for 2020-12")
        self.contexts = Contexts(root, self.draft, given)
        # Schemas with uniqueItems, in their contexts, with their pointers: what they compare is looked at afterwards.
        self.distinct: list[tuple[dict[str, Any], Any, str]] = []
        self._asserting = assertions(self.draft)
        self._asserts_formats = formats == "assert"
        self._noted: set[str] = set()
        self._waiting: list[tuple[Any, str, Any]] = [(root, "", self.contexts.root)]
        self._seen: set[tuple[int, Any]] = set()
        # (schema above, keyword, pointer, schema below), to find out what stands under a complement.
        self._above: list[tuple[dict[str, Any], str, str, int]] = []
        while self._waiting:
            self._visit(*self._waiting.pop())
        if self.dropped:
            self.drop_complements()

    def asserts_format(self, name: Any) -> bool:
        """Whether a `format` is enforced."""
        return self._asserts_formats and name in FORMATS

    # ------------------------------------------------------------------------------------------------ visiting

    def _visit(self, schema: Any, pointer: str, at: Any) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise GrammarError(f"a schema is an object or a boolean, not {_kind(schema)}", pointer=pointer)
        if (id(schema), at) in self._seen:
            return
        self._seen.add((id(schema), at))
        at = self.contexts.enter(schema, at, pointer)
        if at.base.draft != self.draft:
            for keyword in schema:
                self.dropped.add((id(schema), keyword))
            self.gaps.append(Gap(pointer, "$schema", "a schema of another draft inside one of this draft"))
            return
        if self.draft <= 7 and "$ref" in schema:
            _check_ref(self, schema, schema["$ref"], pointer + "/$ref", at)
            return
        for keyword, value in schema.items():
            check = _CHECKS.get(keyword)
            if check is None:
                if keyword in _DRAFT_3:
                    self.drop(schema, keyword, pointer, _DRAFT_3[keyword])
            elif keyword in self._asserting:
                check(self, schema, value, f"{pointer}/{_escaped(keyword)}", at)
            elif keyword in _OF_SOME_DRAFT:
                self._note(f'"{keyword}" is not a keyword of this draft: an annotation')

    def drop(self, schema: dict[str, Any], keyword: str, pointer: str, reason: str) -> None:
        """Notes that a keyword of a schema (with this pointer) is not enforced."""
        self.dropped.add((id(schema), keyword))
        self.gaps.append(Gap(pointer, keyword, reason))

    def drop_complements(self) -> None:
        """Drops every complement of a schema of which something is dropped."""
        above: dict[int, list[tuple[dict[str, Any], str, str]]] = {}
        for schema, keyword, pointer, below in self._above:
            above.setdefault(below, []).append((schema, keyword, pointer))
        waiting = [number for number, _ in self.dropped]
        met = set(waiting)
        while waiting:
            for schema, keyword, pointer in above.get(waiting.pop(), ()):
                complements = keyword in _COMPLEMENTING or (keyword == "contains" and "maxContains" in schema)
                if complements and (id(schema), keyword) not in self.dropped:
                    self.drop(schema, keyword, pointer, "something in it is not enforced, so its complement cannot be")
                if id(schema) not in met:
                    met.add(id(schema))
                    waiting.append(id(schema))

    def is_complemented(self, schema: dict[str, Any]) -> bool:
        """Whether a schema stands somewhere under a complement."""
        above: dict[int, list[tuple[int, str]]] = {}
        for upper, keyword, _, below in self._above:
            above.setdefault(below, []).append((id(upper), keyword))
        waiting, met = [id(schema)], {id(schema)}
        while waiting:
            for upper_id, keyword in above.get(waiting.pop(), ()):
                if keyword in _COMPLEMENTING or keyword == "contains":  # items that do not count are under it, too
                    return True
                if upper_id not in met:
                    met.add(upper_id)
                    waiting.append(upper_id)
        return False

    def wait(self, schema: dict[str, Any], keyword: str, sub: Any, pointer: str, at: Any) -> None:
        """Queues a subschema."""
        self._waiting.append((sub, pointer, at))
        self._above.append((schema, keyword, pointer, id(sub)))

    def _note(self, note: str) -> None:
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)


def _draft(root: Any) -> int:
    """4, 6, 7, 2019 or 2020 by `$schema`; 0 for one that is none of them."""
    named = root.get("$schema") if isinstance(root, dict) else None
    if not isinstance(named, str):
        return 2020
    if "json-schema.org/" not in named:
        return 0
    return draft_named(named) or (2020 if "json-schema.org/schema" in named else 0)


# ------------------------------------------------------------------------------------------------ keywords

_Check = Callable[[SchemaScan, "dict[str, Any]", Any, str, Any], None]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float, Decimal)) else type(value).__name__)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _above(pointer: str) -> str:
    return pointer.rpartition("/")[0]


def _wrong(pointer: str, must: str, value: Any) -> GrammarError:
    keyword = pointer.rpartition("/")[2]
    return GrammarError(f"{keyword} must be {must}, not {_kind(value)}", pointer=pointer, keyword=keyword)


def _check_type(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    for name in value if isinstance(value, list) and value else [value]:
        if not isinstance(name, str):
            raise _wrong(pointer, "the name of a type or an array of them", name)
        if name not in TYPES and not (name == "any" and scan.draft <= 4):
            raise GrammarError(f"{name!r} is not a type: {', '.join(TYPES)}", pointer=pointer, keyword="type")


def _check_schemas_by_name(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, dict):
        raise _wrong(pointer, "an object of schemas", value)
    keyword = pointer.rpartition("/")[2]
    for name, sub in value.items():
        if not isinstance(name, str):
            raise GrammarError(f"names are strings, not {name!r}", pointer=pointer)
        scan.wait(schema, keyword, sub, f"{pointer}/{_escaped(name)}", at)


def _check_schemas(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, list) or not value:
        raise _wrong(pointer, "a non-empty array of schemas", value)
    keyword = pointer.rpartition("/")[2]
    for i, sub in enumerate(value):
        scan.wait(schema, keyword, sub, f"{pointer}/{i}", at)


def _check_schema(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    scan.wait(schema, pointer.rpartition("/")[2], value, pointer, at)


def _check_items(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if isinstance(value, list):
        if scan.draft == 2020 and "prefixItems" in schema:
            raise _wrong(pointer, "a schema beside prefixItems", value)
        for i, sub in enumerate(value):
            scan.wait(schema, "items", sub, f"{pointer}/{i}", at)
    else:
        scan.wait(schema, "items", value, pointer, at)


def _check_branch(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    """then, else: nothing without if."""
    if "if" in schema:
        _check_schema(scan, schema, value, pointer, at)


def _check_dependencies(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, dict):
        raise _wrong(pointer, "an object", value)
    keyword = pointer.rpartition("/")[2]
    for name, wanted in value.items():
        if not isinstance(name, str):
            raise GrammarError(f"names are strings, not {name!r}", pointer=pointer)
        here = f"{pointer}/{_escaped(name)}"
        if isinstance(wanted, (dict, bool)) and keyword != "dependentRequired":
            scan.wait(schema, keyword, wanted, here, at)
        elif keyword == "dependentSchemas":
            raise GrammarError(f"a schema is an object or a boolean, not {_kind(wanted)}", pointer=here)
        elif not (isinstance(wanted, str) and keyword == "dependencies"):
            _check_names(scan, schema, wanted, here, at)


def _check_count(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _wrong(pointer, "a non-negative integer", value)
    _check_finite(value, pointer)
    if value < 0 or value != int(value):
        raise _wrong(pointer, "a non-negative integer", value)
    keyword = pointer.rpartition("/")[2]
    if keyword.startswith("min") and value > _MOST_REQUIRED:
        raise LimitError(keyword, int(value), _MOST_REQUIRED, pointer)


def _check_number(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if scan.draft <= 4 and isinstance(value, bool) and "exclusive" in pointer.rpartition("/")[2]:
        return
    _check_finite(value, pointer)


def _check_multiple(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    _check_finite(value, pointer)
    if value <= 0:
        raise GrammarError(f"multipleOf must be greater than 0, not {value}", pointer=pointer, keyword="multipleOf")


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


def _check_const(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    _check_constant(value, pointer)


def _check_names(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if isinstance(value, bool) and scan.draft <= 4:
        scan._note(f'"required": {str(value).lower()} in a member is read as draft 3 means it')
        return
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _wrong(pointer, "an array of strings", value)


def _check_enum(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, list):
        raise _wrong(pointer, "an array", value)
    _check_constant(value, pointer)
    # What is too large is refused before a text begins, not in the middle of it.
    scalars = [item for item in value if not isinstance(item, (list, dict))]
    size = sum(len(item) if isinstance(item, str) else 8 for item in scalars)
    if size > _LARGE_ENUM:
        numbers = [item for item in scalars if isinstance(item, (int, float, Decimal)) and not isinstance(item, bool)]
        try:
            if size > _MOST_ENUM:
                raise LimitError("characters of an enumeration", size, _MOST_ENUM)
            if len(numbers) > _MOST_NUMBERS:
                raise LimitError("numbers of an enumeration", len(numbers), _MOST_NUMBERS)
            if numbers:
                constants_language(numbers)
        except LimitError as error:
            scan.drop(schema, "enum", _above(pointer), f"{len(value)} values: {error}")


def _check_pattern(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, str):
        raise _wrong(pointer, "a string", value)
    types = schema.get("type", "string")
    if isinstance(types, (str, list)) and "string" not in types:
        return
    for keyword in ("minLength", "maxLength"):
        if keyword in schema:
            _check_count(scan, schema, schema[keyword], f"{_above(pointer)}/{keyword}", at)
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    try:
        # Only what may be too large is compiled before it is reached, so that it is refused before a text begins.
        if _LARGE_PATTERN.search(value) and not is_plainly_small(value):
            string_target(StringSet(patterns=(value,), least=least, most=None if most is None else int(most)))
        else:
            search_language(value, "ecma")
    except (UnsupportedError, LimitError) as error:
        reason = error.reason if isinstance(error, UnsupportedError) else str(error)
        scan.drop(schema, "pattern", _above(pointer), f"{value!r}: {reason}")
    except GrammarError as error:
        raise GrammarError(f"malformed pattern: {error}", pointer=pointer, keyword="pattern") from error


def _check_patterns(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    _check_schemas_by_name(scan, schema, value, pointer, at)
    for pattern in value:
        try:
            search_language(pattern, "ecma")
        except (UnsupportedError, LimitError) as error:
            reason = error.reason if isinstance(error, UnsupportedError) else str(error)
            scan.drop(schema, "patternProperties", _above(pointer), f"{pattern!r}: {reason}")
            if "additionalProperties" in schema:
                reason = "which members are additional depends on patternProperties"
                scan.drop(schema, "additionalProperties", _above(pointer), reason)
            return
        except GrammarError as error:
            raise GrammarError(f"malformed pattern: {error}", pointer=pointer, keyword="patternProperties") from error


def _check_format(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, str):
        raise _wrong(pointer, "a string", value)
    if not scan._asserts_formats:
        return
    if value not in FORMATS:
        scan._note(f'{_above(pointer) or "the root"}: format "{value}" is not a standard one: an annotation')
        return
    note = format_note(value)
    if note:
        scan._note(f'format "{value}": {note}')


def _check_unique(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    if not isinstance(value, bool):
        raise _wrong(pointer, "a boolean", value)
    if value:
        scan.distinct.append((schema, at, _above(pointer)))


def _check_ref(scan: SchemaScan, schema: dict[str, Any], value: Any, pointer: str, at: Any) -> None:
    keyword = pointer.rpartition("/")[2]
    if not isinstance(value, str):
        raise GrammarError(f"a reference is a string, not {_kind(value)}", pointer=pointer, keyword=keyword)
    try:
        target = scan.contexts.target(keyword, value, at, pointer)
    except UnsupportedError as error:
        scan.drop(schema, keyword, _above(pointer), f"{value!r}: {error.reason}")
        return
    scan.wait(schema, keyword, target.schema, target.pointer, at.at(target.base))


_CHECKS: dict[str, _Check] = {
    "type": _check_type,
    "properties": _check_schemas_by_name,
    "required": _check_names,
    "additionalProperties": _check_schema,
    "patternProperties": _check_patterns,
    "propertyNames": _check_schema,
    "minProperties": _check_count,
    "maxProperties": _check_count,
    "dependencies": _check_dependencies,
    "dependentRequired": _check_dependencies,
    "dependentSchemas": _check_dependencies,
    "unevaluatedProperties": _check_schema,
    "unevaluatedItems": _check_schema,
    "items": _check_items,
    "additionalItems": _check_schema,
    "prefixItems": _check_schemas,
    "contains": _check_schema,
    "minContains": _check_count,
    "maxContains": _check_count,
    "uniqueItems": _check_unique,
    "minItems": _check_count,
    "maxItems": _check_count,
    "minLength": _check_count,
    "maxLength": _check_count,
    "pattern": _check_pattern,
    "format": _check_format,
    "minimum": _check_number,
    "maximum": _check_number,
    "exclusiveMinimum": _check_number,
    "exclusiveMaximum": _check_number,
    "multipleOf": _check_multiple,
    "enum": _check_enum,
    "const": _check_const,
    "anyOf": _check_schemas,
    "allOf": _check_schemas,
    "oneOf": _check_schemas,
    "not": _check_schema,
    "if": _check_schema,
    "then": _check_branch,
    "else": _check_branch,
    "$ref": _check_ref,
    "$dynamicRef": _check_ref,
    "$recursiveRef": _check_ref,
}
