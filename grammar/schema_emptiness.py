"""Whether a schema has a value: what is plain at sight, and what a search in a recursive one has to remember."""

from __future__ import annotations

from typing import Any, TypeAlias

from .json_values import is_text, kind_of
from .schema_facts import Reduced
from .schema_keywords import IN_PLACE, assertions

__all__ = ["Conjunction", "Question", "plainly_has_value"]

# Numbers of the nodes that hold together (SchemaValues).
Conjunction: TypeAlias = "tuple[int, ...]"


class Question:
    """One question whether a conjunction has a value, and what is taken to have none until something else is found.

    active : conjunctions that are being looked at. without : others in which nothing was found so far. Both are taken
    to have no value; if that is all that a "no" rests on in the end, it is true of them all (the least fixpoint).
    assumed : of which a "no" was used. surprises : how many of those turned out to have a value. looks : so far.
    """

    __slots__ = ("active", "assumed", "looks", "surprises", "without")

    def __init__(self) -> None:
        self.active: set[Conjunction] = set()
        self.without: set[Conjunction] = set()
        self.assumed: set[Conjunction] = set()
        self.surprises = 0
        self.looks = 0


_WITHOUT_APPLICATORS = frozenset(
    keyword for draft in (4, 2019, 2020) for keyword in assertions(draft) - IN_PLACE if isinstance(keyword, str)
)
_CONSTANT = frozenset(("enum", "const"))
_BOUNDS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))
_LENGTHS = frozenset(("minLength", "maxLength"))
# What may ask for an item, or for a member beyond those that are required.
_ASKING_ITEMS = frozenset(("minItems", "contains"))
_ASKING_MEMBERS = frozenset(("minProperties", "maxProperties", "propertyNames", "patternProperties"))
_DEEPEST = 50


def plainly_has_value(schema: Any, reduced: Reduced, draft: int, depth: int = 0) -> bool:
    """Whether a schema has a value, told from itself and from its required members; False where that is not plain.

    It says yes only where no automaton is needed to know. References are not followed.
    """
    if isinstance(schema, bool):
        return schema
    keywords = reduced(schema)
    if depth > _DEEPEST or not _WITHOUT_APPLICATORS.issuperset(keywords):
        return False
    named = keywords.get("type")
    if not _CONSTANT.isdisjoint(keywords):
        return _has_constant(keywords, named)
    if named is None or "null" in named or "boolean" in named or "any" in named:
        return True  # nothing else speaks of null and of booleans
    return any(
        _HAS_ONE[name](keywords, reduced, draft, depth) for name in ([named] if isinstance(named, str) else named)
    )


def _has_constant(keywords: dict[Any, Any], named: Any) -> bool:
    """Whether an enumeration that stands alone, or with a type, has a value that is a string or null."""
    if len(keywords) > 1 + (named is not None) or (named is not None and not isinstance(named, str)):
        return False
    values = keywords["enum"] if "enum" in keywords else [keywords["const"]]
    return any(named in (None, kind_of(value)) and is_text(value) for value in values if isinstance(value, str | None))


def _has_number(keywords: dict[Any, Any], reduced: Reduced, draft: int, depth: int) -> bool:
    return _BOUNDS.isdisjoint(keywords)


def _has_string(keywords: dict[Any, Any], reduced: Reduced, draft: int, depth: int) -> bool:
    if "pattern" in keywords:
        return False
    if _LENGTHS.isdisjoint(keywords):
        return True  # each format has strings
    return "format" not in keywords and keywords.get("minLength", 0) <= keywords.get("maxLength", 1 << 30)


def _has_array(keywords: dict[Any, Any], reduced: Reduced, draft: int, depth: int) -> bool:
    return _ASKING_ITEMS.isdisjoint(keywords)


def _has_object(keywords: dict[Any, Any], reduced: Reduced, draft: int, depth: int) -> bool:
    properties, others = keywords.get("properties", {}), keywords.get("additionalProperties", True)
    # Draft 4 is read with draft 3's way to require a member, too.
    if draft <= 4 and any(isinstance(sub, dict) and sub.get("required") is True for sub in properties.values()):
        return False
    if "minProperties" in keywords:
        return False
    required = keywords.get("required", ())
    if not required:
        return True
    if not isinstance(required, list) or not _ASKING_MEMBERS.isdisjoint(keywords):
        return False
    subs = [properties.get(name, others) for name in required]
    return all(map(is_text, required)) and all(plainly_has_value(sub, reduced, draft, depth + 1) for sub in subs)


_HAS_ONE = {
    "number": _has_number,
    "integer": _has_number,
    "string": _has_string,
    "array": _has_array,
    "object": _has_object,
}
