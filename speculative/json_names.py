"""The names and constants that a grammar's schemas declare, in the order in which they are written.

They are candidates, no more: whether one may stand somewhere is asked of the machine. A name's followers are those that
come after it in any `properties` that holds it, since that is the order in which members are usually written.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import Any

__all__ = ["JsonNames"]

_MOST = 4096


class JsonNames:
    """What a schema declares, spelled as in JSON without quotes.

    names : property names, each once. followers : for a name, those declared after it in the same object.
    constants : strings of `const` and `enum`.
    """

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self.followers: dict[bytes, list[bytes]] = {}
        self.constants: list[bytes] = []
        self._sorted: list[bytes] = []

    @classmethod
    def of(cls, recipe: Any) -> JsonNames:
        """Those of all schemas in a grammar's recipe, texts of schemas included."""
        found = cls()
        found._collect(recipe, 0)
        found.names = list(dict.fromkeys(found.names))
        found.constants = list(dict.fromkeys(found.constants))
        found._sorted = sorted({*found.names, *found.constants})
        return found

    def begin_with(self, partial: bytes) -> bool:
        """Whether any name or constant begins so."""
        at = bisect_left(self._sorted, partial)
        return at < len(self._sorted) and self._sorted[at].startswith(partial)

    def candidates(self, after: bytes, most: int) -> list[bytes]:
        """Names that may come after one, the likeliest first; after b"": at an object's beginning."""
        return list(dict.fromkeys([*self.followers.get(after, ()), *self.names[:most]]))[:most]

    def _collect(self, value: Any, depth: int) -> None:
        if depth > 64 or len(self.names) + len(self.constants) > _MOST:
            return
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                self._collect(json.loads(value), depth + 1)
            except (ValueError, RecursionError):  # no JSON, but a text that begins like it
                return
        elif isinstance(value, list | tuple):
            for item in value:
                self._collect(item, depth + 1)
        elif isinstance(value, dict):
            self._declare(value)
            for item in value.values():
                self._collect(item, depth + 1)

    def _declare(self, schema: dict[str, Any]) -> None:
        properties = schema.get("properties")
        if isinstance(properties, dict):
            names = [_spelled(name) for name in properties if isinstance(name, str)]
            self.names += names
            for i, name in enumerate(names):
                self.followers.setdefault(name, []).extend(names[i + 1 : i + 9])
        required = schema.get("required")
        if isinstance(required, list):
            self.names += [_spelled(name) for name in required if isinstance(name, str)]
        listed = schema.get("enum")
        constants = [*(listed if isinstance(listed, list) else ()), schema.get("const")]
        self.constants += [_spelled(text) for text in constants if isinstance(text, str)]


def _spelled(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
