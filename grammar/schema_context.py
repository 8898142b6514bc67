"""Where a schema stands: the resource that its references are read against, and the dynamic anchors around it.

A *context* is a pair (base, scope) of interned objects, so contexts are compared at no cost; nearly every document has
only one. Schemas that bridle makes have None: they hold no references of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .schema_keywords import Sub
from .schema_references import Base, References, Scope, Target

__all__ = ["Context", "Contexts"]


class Context(NamedTuple):
    """base : the resource. scope : for each dynamic anchor, the outermost resource that has it."""

    base: Base
    scope: Scope

    def at(self, base: Base) -> Context:
        """The context after another resource is entered."""
        return self if base is self.base else Context(base, self.scope.entered(base))


class Contexts:
    """The contexts of one schema document and of those that were given with it by their URIs. root : of its root."""

    def __init__(self, root: Any, draft: int, given: Mapping[str, Any]) -> None:
        self._references = References(root, draft, given)
        self.root = Context(self._references.base, self._references.scope)

    def enter(self, schema: dict[Any, Any], at: Context | None, pointer: str = "") -> Context | None:
        """The context inside a schema: another one where the schema is a resource of its own."""
        if at is None or ("$id" not in schema and "id" not in schema):
            return at
        return at.at(self._references.enter(schema, at.base, pointer))

    def target(self, keyword: str, reference: str, at: Context, pointer: str = "") -> Target:
        """What a reference names; raises UnsupportedError for what is not in the document, GrammarError for nothing."""
        if keyword == "$ref":
            return self._references.resolve(reference, at.base, pointer)
        return self._references.dynamic(reference, at.base, at.scope, pointer)

    def sub(self, keyword: str, reference: str, at: Context) -> Sub:
        """The schema that a reference names, in its context."""
        target = self.target(keyword, reference, at)
        return target.schema, at.at(target.base)
