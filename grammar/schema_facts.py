"""What is plain of a schema without looking further: types, constants, and which members it wants, fixes and forbids.

Two schemas whose facts contradict each other have no value in common. Most schemas of a `oneOf` are told apart so, and
most products of alternatives vanish before they are made. Facts err on one side only: without a contradiction nothing
is known. Of some schemas the facts are all that there is to say (`says_no_more`); if others' facts imply those, such a
schema adds nothing to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from .json_values import identity, kind_of
from .schema_keywords import Inner
from .schema_names import Undeclared

__all__ = ["ALL_TYPES", "NO_FACTS", "Facts", "discriminator", "facts_of", "implied", "joined", "says_no_more"]

# Types as bits; a number that is an integer and one that is not are two of them.
# Gives of a schema the keywords that assert something.
Reduced: TypeAlias = "Callable[[dict[Any, Any]], dict[Any, Any]]"
_BITS = {"null": 1, "boolean": 2, "integer": 4, "number": 12, "string": 16, "array": 32, "object": 64}
ALL_TYPES, _OBJECT = 127, 64
_FEW = 8
_NO_NAMES: frozenset[str] = frozenset()


# A pattern that is a constant or a list of them, as discriminators are often written.
_WORDS = re.compile(r"\^(?:([\w-]+)|\(([\w-]+(?:\|[\w-]+)*)\))\$", re.ASCII)


class Constants(NamedTuple):
    """The values that are left: those of `only` (None: any), without those of `without`; as identities."""

    only: frozenset[Any] | None = None
    without: frozenset[Any] = frozenset()

    def both(self, other: Constants) -> Constants:
        if self.only is None or other.only is None:
            only = other.only if self.only is None else self.only
        else:
            only = self.only & other.only
        return Constants(only, self.without | other.without)

    def within(self, other: Constants) -> bool:
        """Whether every value that is left is left in the other, too."""
        if self.only is None:
            return other.only is None and other.without <= self.without
        left = self.only - self.without
        return (other.only is None or left <= other.only) and left.isdisjoint(other.without)

    @property
    def none_left(self) -> bool:
        return self.only is not None and self.only <= self.without


_ANY = Constants()


class Facts(NamedTuple):
    """types : bits. values : constants. Of objects, required : names; members : constants of some members' values;
    closed : the only names there may be (None: others too); beyond : sets of names outside of which some member is."""

    types: int = ALL_TYPES
    values: Constants = _ANY
    required: frozenset[str] = _NO_NAMES
    members: dict[str, Constants] = {}  # noqa: RUF012  (never written to)
    closed: frozenset[str] | None = None
    beyond: tuple[frozenset[str], ...] = ()


def facts_of(schema: dict[Any, Any], reduced: Reduced) -> Facts:
    """The facts of a schema's own keywords; it is reduced already."""
    types = ALL_TYPES
    named = schema.get("type")
    if named is not None:
        types = 0
        for name in (named,) if isinstance(named, str) else named:
            types |= _BITS.get(name, ALL_TYPES)
    properties = schema.get("properties", {})
    members = {}
    for name, sub in properties.items():
        constants = _constants_of(sub, reduced)
        if constants is not _ANY:
            members[name] = constants
    closed = None
    if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
        closed = frozenset(properties)
    required = schema.get("required")
    names = frozenset(required) if isinstance(required, list) else _NO_NAMES
    return Facts(types, _constants_of(schema, reduced), names, members, closed, _beyond(schema))


def _beyond(schema: dict[Any, Any]) -> tuple[frozenset[str], ...]:
    if Inner.SOME_MEMBER not in schema:
        return ()
    names, (sub, _) = schema[Inner.SOME_MEMBER]
    return (names.names,) if sub is True and isinstance(names, Undeclared) and not names.patterns else ()


# Keywords without which a schema says nothing of constants.
_TELLING = frozenset(["const", "enum", "pattern", Inner.NOT, Inner.NOT_ENUM])


def _constants_of(schema: Any, reduced: Reduced) -> Constants:
    if isinstance(schema, bool):
        return _ANY if schema else Constants(frozenset())
    if _TELLING.isdisjoint(schema):
        return _ANY
    schema = reduced(schema)
    found = _ANY
    if "const" in schema:
        found = Constants(frozenset((identity(schema["const"]),)))
    if isinstance(schema.get("enum"), list):
        found = found.both(Constants(frozenset(map(identity, schema["enum"]))))
    if schema.get("type") == "string" and isinstance(schema.get("pattern"), str):
        words = _WORDS.fullmatch(schema["pattern"])
        if words:
            found = found.both(Constants(frozenset(("string", word) for word in (words[1] or words[2]).split("|"))))
    if Inner.NOT_ENUM in schema:
        found = found.both(Constants(None, frozenset(map(identity, schema[Inner.NOT_ENUM]))))
    if Inner.NOT in schema and len(schema) == 1:
        other = schema[Inner.NOT][0]
        if isinstance(other, dict) and _plain_constants(reduced(other)):
            found = Constants(None, _constants_of(other, reduced).only or frozenset())
    return found


_FACTUAL = frozenset(
    ["type", "enum", "const", Inner.NOT_ENUM, "required", "properties", "additionalProperties", Inner.SOME_MEMBER]
)


def says_no_more(schema: dict[Any, Any], reduced: Reduced) -> bool:
    """Whether the facts of a schema are all that it says; it is reduced already."""
    if not _FACTUAL.issuperset(schema) or not isinstance(schema.get("required", []), list):
        return False
    if Inner.SOME_MEMBER in schema and not _beyond(schema):
        return False
    if not isinstance(schema.get("additionalProperties", True), bool):
        return False
    return all(_is_constants(sub, reduced) for sub in schema.get("properties", {}).values())


def _is_constants(schema: Any, reduced: Reduced) -> bool:
    """Whether constants are all that a schema says; one that says nothing may yet matter to the order of members."""
    if isinstance(schema, bool):
        return not schema
    schema = reduced(schema)
    if not schema:
        return False
    if {"enum", "const", Inner.NOT_ENUM}.issuperset(schema) or _plain_constants(schema):
        return True
    other = schema[Inner.NOT][0] if Inner.NOT in schema and len(schema) == 1 else None
    return isinstance(other, dict) and _plain_constants(reduced(other))


def discriminator(schema: dict[Any, Any]) -> str | None:
    """The member whose few constants seem to tell a schema from others like it; required ones come first."""
    required = schema.get("required")
    properties = schema.get("properties", {}).items()
    names = [name for name, sub in properties if _FEW >= _size(_constants_of(sub, lambda sub: sub)) > 0]
    if isinstance(required, list):
        names.sort(key=lambda name: name not in required)
    return names[0] if names else None


def _size(constants: Constants) -> int:
    return 0 if constants.only is None else len(constants.only)


def _plain_constants(schema: dict[Any, Any]) -> bool:
    """Whether a schema is an enum or a const, perhaps with the type that its values have anyway."""
    if len(schema) == 1:
        return "enum" in schema or "const" in schema
    if len(schema) == 2 and isinstance(schema.get("type"), str) and ("enum" in schema or "const" in schema):
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return all(kind_of(value) == schema["type"] for value in values)
    return False


# Compared by identity, as _ANY is: what is equal to it only costs more.
NO_FACTS = Facts()


def joined(left: Facts, right: Facts) -> Facts | None:
    """The facts of a conjunction; None where they contradict each other, so that it has no value."""
    if right is NO_FACTS:
        return left
    types = left.types & right.types
    if types == 0:
        return None
    values = left.values
    if right.values is not _ANY:
        values = right.values if values is _ANY else values.both(right.values)
        if values.none_left:
            return None
    required = left.required | right.required if right.required else left.required
    members = left.members or right.members
    if left.members and right.members:
        members = dict(left.members)
        for name, constants in right.members.items():
            members[name] = members[name].both(constants) if name in members else constants
    closed = left.closed
    if right.closed is not None:
        closed = right.closed if closed is None else closed & right.closed
    beyond = left.beyond + right.beyond if right.beyond else left.beyond
    if types == _OBJECT:
        if closed is not None and not (required <= closed and not any(closed <= names for names in beyond)):
            return None
        # What the left side says alone was looked at before, unless it could be something else than an object.
        asked = required if left.types != _OBJECT else (required & right.members.keys()) | right.required
        if any(name in members and members[name].none_left for name in asked):
            return None
    return Facts(types, values, required, members, closed, beyond)


def implied(known: Facts, facts: Facts) -> bool:
    """Whether every value with the known facts has the others, too."""
    if known.types & ~facts.types or not known.values.within(facts.values):
        return False
    if not known.types & _OBJECT:
        return True
    if not facts.required <= known.required:
        return False
    if facts.closed is not None and (known.closed is None or not known.closed <= facts.closed):
        return False
    if not all(known.required - names or any(names <= other for other in known.beyond) for names in facts.beyond):
        return False
    return all(
        (known.closed is not None and name not in known.closed) or known.members.get(name, _ANY).within(constants)
        for name, constants in facts.members.items()
    )
