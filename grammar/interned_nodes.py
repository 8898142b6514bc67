"""Trees whose equal nodes are one object.

A class with `Interned` as its metaclass makes each value once: constructing it again gives the object that is there,
so equality and hashing are by identity, trees share their parts, and memos keyed by nodes cost a pointer. Nodes that
nobody holds are forgotten. Each node knows its `parts` (the nodes among its fields, in order) and its `depth`, which
is bounded, so that whatever recurses over a tree is safe.

INVARIANT: fields are hashable and never change; a copy or an unpickled node is the node itself.

Source: Filliâtre, Conchon 2006, "Type-safe modular hash-consing".
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakValueDictionary

from ..automata.errors import LimitError

__all__ = ["MAX_DEPTH", "Interned", "InternedNode"]

MAX_DEPTH = 100

_NODES: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
_LOCK = threading.Lock()


class Interned(type):
    """The metaclass: makes a node, or finds the one that is there."""

    def __call__(cls, *fields: Any) -> Any:
        key = (cls, *fields)
        with _LOCK:
            node = _NODES.get(key)
            if node is None:
                node = super().__call__(*fields)
                parts = tuple(part for field in fields for part in _nodes_in(field))
                depth = 1 + max((part.depth for part in parts), default=0)
                if depth > MAX_DEPTH:
                    raise LimitError(f"nesting of a {cls.__name__}", depth, MAX_DEPTH)
                object.__setattr__(node, "parts", parts)
                object.__setattr__(node, "depth", depth)
                _NODES[key] = node
        return node


class InternedNode(metaclass=Interned):
    """The base of such a tree's nodes, which are frozen, slotted dataclasses with `eq=False`."""

    __slots__ = ("__weakref__", "depth", "parts")

    depth: int
    parts: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self.__match_args__)  # type: ignore[attr-defined]

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


def _nodes_in(field: Any) -> tuple[Any, ...]:
    if isinstance(field, InternedNode):
        return (field,)
    return tuple(part for part in field if isinstance(part, InternedNode)) if isinstance(field, tuple) else ()
