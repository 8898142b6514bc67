"""The keywords of JSON Schema that assert, by draft, and those that bridle writes itself.

A schema that is made while another one is taken apart (the complement of `minItems`, say) is written with the same
keywords as one that a user writes, plus the members of `Inner`: no user can write those, since no name of a JSON object
is one.

Source: JSON Schema drafts 4, 6, 7, 2019-09, 2020-12 (core and validation).
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, TypeAlias

__all__ = ["IN_PLACE", "TYPES", "Inner", "Sub", "assertions"]

# A schema and where it stands: the context in which its references are read.
Sub: TypeAlias = "tuple[Any, Any]"

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


class Inner(Enum):
    """Keywords of schemas that bridle makes, with their values. Subschemas among them carry their own context."""

    NOT = "not"  # Sub
    ANY_OF = "any of"  # tuple of alternatives, each a tuple of Sub
    NOT_ENUM = "not enum"  # list of values that are neither arrays nor objects
    NOT_PATTERN = "not pattern"  # str
    NOT_FORMAT = "not format"  # str
    NOT_MULTIPLE = "not multipleOf"  # number
    NOT_UNIQUE = "not uniqueItems"  # True
    ITEM_AT = "item"  # (place, Sub): the item there, if there is one
    SOME_ITEMS = "some items"  # (first place, Sub, least, most or None): how many items from there on are under Sub
    SOME_MEMBER = "some member"  # (names: Names, Sub): a member whose name is one of names and whose value is under Sub
    SOME_OTHER = "some other member"  # as SOME_MEMBER, of names that are declared nowhere


# What is not listed is in every draft. `dependencies` was split in 2019 and is read on: nobody means
# anything else by it.
_FIRST = {
    "const": 6,
    "contains": 6,
    "propertyNames": 6,
    "if": 7,
    "then": 7,
    "else": 7,
    "minContains": 2019,
    "maxContains": 2019,
    "dependentRequired": 2019,
    "dependentSchemas": 2019,
    "unevaluatedItems": 2019,
    "unevaluatedProperties": 2019,
    "$recursiveRef": 2019,
    "prefixItems": 2020,
    "$dynamicRef": 2020,
}
_LAST = {"$recursiveRef": 2019}
_ALL = frozenset(
    [
        "$ref",
        "type",
        "enum",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "items",
        "additionalItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "maxProperties",
        "dependencies",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        *_FIRST,
    ]
)

# Keywords whose subschemas speak of the same value; they dissolve (schema_values).
IN_PLACE: frozenset[Any] = frozenset(
    [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        Inner.NOT,
        Inner.ANY_OF,
    ]
)


@cache
def assertions(draft: int) -> frozenset[Any]:
    """The keywords that assert something under a draft (4, 6, 7, 2019 or 2020)."""
    here = (k for k in _ALL if _FIRST.get(k, 0) <= draft <= _LAST.get(k, 9999))
    return frozenset([*here, *Inner])
