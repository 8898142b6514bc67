"""The complement of a schema: alternatives, each a conjunction of schemas, one for each way to break it.

Every keyword is broken by values of the type that it speaks of alone, so `{"minLength": 3}` is broken by strings of
`maxLength` 2, and `{"properties": {"a": S}}` by objects with a member "a" whose value is under the complement of S.
Nothing below is taken apart before it is asked for: a complement of a subschema is a schema again, `{Inner.NOT: S}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from .schema_facts import discriminator
from .schema_keywords import TYPES, Inner, Sub
from .schema_names import Matching, Names, Undeclared, Under

__all__ = ["Alternative", "complement", "negated", "schema_of"]

Alternative: TypeAlias = "tuple[Sub, ...]"


def negated(sub: Sub) -> Sub:
    """A schema for the values that are not under sub."""
    schema, at = sub
    if isinstance(schema, bool) or not schema:
        return (schema is False, None)
    if len(schema) == 1 and Inner.NOT in schema:
        return schema[Inner.NOT]
    return ({Inner.NOT: (schema, at)}, None)


def complement(schema: dict[Any, Any], at: Any, draft: int) -> list[Alternative]:
    """The alternatives to the keywords of a schema that speak of a value by itself (all but those in place)."""
    found: list[Alternative] = []
    for keyword, value in schema.items():
        make = _COMPLEMENTS.get(keyword)
        if make is not None:
            found += make(schema, value, at, draft)
    name = discriminator(schema)
    return found if name is None else _told_apart(found, name, ({"properties": {name: schema["properties"][name]}}, at))


def _told_apart(alternatives: list[Alternative], name: str, holds: Sub) -> list[Alternative]:
    """The same values, so that the alternatives that break something else say that a member has its constant.

    The complements of several schemas that such a member tells apart then contradict each other: their product is as
    large as their sum.
    """
    found = []
    for alternative in alternatives:
        schema = alternative[0][0]
        is_about_it = name in schema.get("properties", ()) or name in schema.get("required", ())
        found.append(alternative if schema.get("type") != "object" or is_about_it else (*alternative, holds))
    return found


def schema_of(value: Any) -> dict[Any, Any]:
    """A schema whose only value is this one, in words that all drafts know."""
    if isinstance(value, list):
        items: dict[Any, Any] = {"type": "array", "minItems": len(value), "maxItems": len(value)}
        if value:
            items["items"] = [schema_of(item) for item in value]
        return items
    if isinstance(value, dict):
        members = {name: schema_of(item) for name, item in value.items()}
        return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
    return {"enum": [value]}


# ------------------------------------------------------------------------------------------------ by keyword

_Found: TypeAlias = "Iterator[Alternative]"


def _alone(*schemas: dict[Any, Any]) -> Alternative:
    return tuple((schema, None) for schema in schemas)


def _type(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    named = {value} if isinstance(value, str) else set(value)
    others = [name for name in TYPES if name != "integer" and name not in named]
    if "integer" in named and "number" in others:
        others.remove("number")
        yield _alone({"type": "number", Inner.NOT_MULTIPLE: 1})
    if others:
        yield _alone({"type": others})


def _constants(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    simple = [v for v in value if not isinstance(v, (list, dict))]
    compound = [v for v in value if isinstance(v, (list, dict))]
    yield _alone({Inner.NOT_ENUM: simple}, *({Inner.NOT: (schema_of(v), None)} for v in compound))


def _const(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    return _constants(schema, [value], at, draft)


def _lower(type_name: str, opposite: str) -> Callable[[dict[Any, Any], Any, Any, int], _Found]:
    """The complement of at least n: at most n - 1."""

    def make(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
        if value > 0:
            yield _alone({"type": type_name, opposite: int(value) - 1})

    return make


def _upper(type_name: str, opposite: str) -> Callable[[dict[Any, Any], Any, Any, int], _Found]:
    def make(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
        yield _alone({"type": type_name, opposite: int(value) + 1})

    return make


def _bound(opposite: str, exclusive: str) -> Callable[[dict[Any, Any], Any, Any, int], _Found]:
    """The complement of `minimum` or `maximum`; draft 4 wrote a boolean beside the bound."""

    def make(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
        other = {"type": "number", opposite: value}
        if schema.get(exclusive) is not True:
            other["exclusive" + opposite.capitalize()] = True
        yield _alone(other)

    return make


def _open_bound(opposite: str) -> Callable[[dict[Any, Any], Any, Any, int], _Found]:
    def make(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
        if draft > 4 and not isinstance(value, bool):
            yield _alone({"type": "number", opposite: value})

    return make


def _leaf(type_name: str, inner: Inner) -> Callable[[dict[Any, Any], Any, Any, int], _Found]:
    def make(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
        yield _alone({"type": type_name, inner: value})

    return make


def _items(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    if isinstance(value, list):
        yield from _prefix(schema, value, at, draft)
    else:
        yield from _rest(len(schema.get("prefixItems", ())), (value, at))


def _prefix(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    for i, sub in enumerate(value):
        other = negated((sub, at))
        if other[0] is not False:
            yield _alone({"type": "array", "minItems": i + 1, Inner.ITEM_AT: (i, other)})


def _rest(first: int, sub: Sub) -> _Found:
    other = negated(sub)
    if other[0] is not False:
        yield _alone({"type": "array", Inner.SOME_ITEMS: (first, other, 1, None)})


def _additional_items(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    if isinstance(schema.get("items"), list):
        yield from _rest(len(schema["items"]), (value, at))


def _contains(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    least, most = contains_range(schema)
    if least > 0:
        yield _alone({"type": "array", Inner.SOME_ITEMS: (0, (value, at), 0, least - 1)})
    if most is not None:
        yield _alone({"type": "array", Inner.SOME_ITEMS: (0, (value, at), most + 1, None)})


def contains_range(schema: dict[Any, Any]) -> tuple[int, int | None]:
    """(least, most) items that `contains` wants."""
    most = schema.get("maxContains")
    return int(schema.get("minContains", 1)), None if most is None else int(most)


def _some_items(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    first, sub, least, most = value
    if least > 0:
        yield _alone({"type": "array", Inner.SOME_ITEMS: (first, sub, 0, least - 1)})
    if most is not None:
        yield _alone({"type": "array", Inner.SOME_ITEMS: (first, sub, most + 1, None)})


def _item_at(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    place, sub = value
    yield _alone({"type": "array", "minItems": place + 1, Inner.ITEM_AT: (place, negated(sub))})


def _unique(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    if value is True:
        yield _alone({"type": "array", Inner.NOT_UNIQUE: True})


def _not_unique(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    yield _alone({"type": "array", "uniqueItems": True})


def _properties(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    required = schema.get("required")
    needed = frozenset(required) if isinstance(required, list) else ()
    for name, sub in value.items():
        other = negated((sub, at))
        if name in needed:
            # One alternative instead of two: the member is not there, or its value is another.
            yield _alone({"type": "object", "properties": {name: _wrapped(other)}})
        elif other[0] is not False:
            yield _alone({"type": "object", "required": [name], "properties": {name: _wrapped(other)}})
        if draft <= 4 and isinstance(sub, dict) and sub.get("required") is True:
            yield _alone({"type": "object", "properties": {name: False}})


def _wrapped(sub: Sub) -> Any:
    """A sub as a plain schema that keeps its context."""
    schema, at = sub
    return schema if isinstance(schema, bool) or at is None else {Inner.ANY_OF: ((sub,),)}


def _required(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    declared = schema.get("properties", ())
    for name in value if isinstance(value, list) else ():
        if name not in declared:
            yield _alone({"type": "object", "properties": {name: False}})


def _some_member(names: Names, sub: Sub) -> _Found:
    other = negated(sub)
    if other[0] is not False:
        yield _alone({"type": "object", Inner.SOME_MEMBER: (names, other)})


def _pattern_properties(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    for pattern, sub in value.items():
        yield from _some_member(Matching(pattern), (sub, at))


def _additional(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    names = Undeclared(frozenset(schema.get("properties", ())), tuple(schema.get("patternProperties", ())))
    yield from _some_member(names, (value, at))


def _property_names(schema: dict[Any, Any], value: Any, at: Any, draft: int) -> _Found:
    other = negated((value, at))
    if other[0] is not False:
        yield _alone({"type": "object", Inner.SOME_MEMBER: (Under(other), (True, None))})


_COMPLEMENTS: dict[Any, Callable[[dict[Any, Any], Any, Any, int], _Found]] = {
    "type": _type,
    "enum": _constants,
    "const": _const,
    "multipleOf": _leaf("number", Inner.NOT_MULTIPLE),
    "minimum": _bound("maximum", "exclusiveMinimum"),
    "maximum": _bound("minimum", "exclusiveMaximum"),
    "exclusiveMinimum": _open_bound("maximum"),
    "exclusiveMaximum": _open_bound("minimum"),
    "minLength": _lower("string", "maxLength"),
    "maxLength": _upper("string", "minLength"),
    "pattern": _leaf("string", Inner.NOT_PATTERN),
    "format": _leaf("string", Inner.NOT_FORMAT),
    "items": _items,
    "prefixItems": _prefix,
    "additionalItems": _additional_items,
    "minItems": _lower("array", "maxItems"),
    "maxItems": _upper("array", "minItems"),
    "contains": _contains,
    "uniqueItems": _unique,
    "properties": _properties,
    "required": _required,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "minProperties": _lower("object", "maxProperties"),
    "maxProperties": _upper("object", "minProperties"),
    Inner.NOT_ENUM: lambda schema, value, at, draft: iter([_alone({"enum": value})]),
    Inner.NOT_PATTERN: _leaf("string", "pattern"),  # type: ignore[arg-type]
    Inner.NOT_FORMAT: _leaf("string", "format"),  # type: ignore[arg-type]
    Inner.NOT_MULTIPLE: _leaf("number", "multipleOf"),  # type: ignore[arg-type]
    Inner.NOT_UNIQUE: _not_unique,
    Inner.SOME_ITEMS: _some_items,
    Inner.ITEM_AT: _item_at,
}
