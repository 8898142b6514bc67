"""JSON values as Python holds them: their types, and equality as JSON Schema means it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .json_numbers import decimal_of

__all__ = ["identity", "is_text", "kind_of"]


def kind_of(value: Any) -> str:
    """The JSON type of a value; integers are numbers."""
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
    if type(value) is str:  # PERF: what most enumerations are of
        return ("string", value)
    kind = kind_of(value)
    if kind == "number":
        return ("number", decimal_of(value))
    if kind == "array":
        return ("array", tuple(identity(item) for item in value))
    if kind == "object":
        return ("object", frozenset((name, identity(item)) for name, item in value.items()))
    return (kind, value)


def is_text(value: Any) -> bool:
    """Whether a value has a spelling: a lone surrogate, anywhere in it, has none in UTF-8."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, list):
        return all(map(is_text, value))
    if isinstance(value, dict):
        return all(is_text(name) and is_text(item) for name, item in value.items())
    return True
