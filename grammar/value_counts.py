"""How many values a JSON schema admits, where that is plain to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

__all__ = ["value_count"]

# Keywords that admit or forbid nothing.
_SILENT = frozenset(("title", "description", "default", "examples", "deprecated", "$comment"))
_OBJECT = frozenset(("type", "properties", "required", "additionalProperties"))
_INTEGER = frozenset(("type", "minimum", "maximum"))


def value_count(schema: Any) -> int | None:
    """The number of values; None: it is not known, and may be infinite.

    Known are constants, enumerations, booleans, bounded integers, and closed objects of these. Nothing is expanded:
    linear in the schema.
    """
    if not isinstance(schema, Mapping):
        return 0 if schema is False else None
    keywords = frozenset(schema) - _SILENT
    if keywords == {"const"}:
        return 1
    if keywords == {"enum"} or (keywords == {"enum", "type"} and _all_of_type(schema)):
        return len({json.dumps(_plain(value), sort_keys=True) for value in schema["enum"]})
    kind = schema.get("type")
    if keywords == {"type"} and kind in ("null", "boolean"):
        return 1 if kind == "null" else 2
    if keywords == _INTEGER and kind == "integer":
        bounds = schema["minimum"], schema["maximum"]
        return max(0, bounds[1] - bounds[0] + 1) if all(type(bound) is int for bound in bounds) else None
    if keywords <= _OBJECT and kind == "object" and schema.get("additionalProperties") is False:
        return _object_count(schema)
    return None


def _object_count(schema: Mapping[str, Any]) -> int | None:
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    counts = [value_count(inner) for inner in properties.values()]
    if any(count is None for count in counts) or not required <= set(properties):
        return None if required <= set(properties) else 0
    return prod((count or 0) + (name not in required) for name, count in zip(properties, counts))


def _all_of_type(schema: Mapping[str, Any]) -> bool:
    """Whether all values of an enumeration are of its type, as far as that is told by Python's alone."""
    types = {"string": str, "boolean": bool, "null": type(None), "integer": int}
    wanted = types.get(schema["type"]) if isinstance(schema["type"], str) else None
    return wanted is not None and all(type(value) is wanted for value in schema["enum"])


def _plain(value: Any) -> Any:
    """A value in which numbers that are equal are the same."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
