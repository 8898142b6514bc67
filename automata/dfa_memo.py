"""Memos of automata whose size is counted in states, a KiB each, and not in entries, which patterns can make large.

The least recently used entries go first. Threads may share a memo; two that miss at once both make the value.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Generic, ParamSpec, TypeVar

from .byte_dfa import ByteDfa

__all__ = ["DfaMemo", "memoised"]

_Value = TypeVar("_Value")
_Arguments = ParamSpec("_Arguments")


class DfaMemo(Generic[_Value]):
    """Values by key, the least recently used dropped beyond a number of states."""

    def __init__(self, max_states: int) -> None:
        self._entries: OrderedDict[Hashable, tuple[_Value, int]] = OrderedDict()
        self._states, self._max_states = 0, max_states
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> _Value | None:
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: _Value, n_states: int) -> None:
        with self._lock:
            if key not in self._entries:
                self._entries[key] = value, n_states
                self._states += n_states
            while self._states > self._max_states:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._states -= dropped

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._states = 0


def memoised(function: Callable[_Arguments, ByteDfa]) -> Callable[_Arguments, ByteDfa]:
    """Remembers the automata that a function of hashable arguments returns, up to 32 MiB of them."""
    memo: DfaMemo[ByteDfa] = DfaMemo(max_states=32_768)

    @wraps(function)
    def remembered(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> ByteDfa:
        key = (args, tuple(sorted(kwargs.items())))
        found = memo.get(key)
        if found is None:
            found = function(*args, **kwargs)
            memo.put(key, found, found.n_states)
        return found

    remembered.cache_clear = memo.clear  # type: ignore[attr-defined]
    return remembered
