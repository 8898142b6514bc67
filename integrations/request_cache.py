"""What was made for equal requests, made once: a cache for servers, bounded, and safe for threads.

Requests that come together ask for one schema many times; the first of them makes it, and the others wait for that. An
error is kept like a value: a schema that is refused is refused again without being read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["RequestCache"]

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class RequestCache(Generic[_Key, _Value]):
    """most : values that are kept, the last used. make : a value from its key; its errors come out of `get`."""

    def __init__(self, make: Callable[[_Key], _Value], most: int) -> None:
        self._make, self._most = make, most
        self._known: OrderedDict[_Key, Future[_Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value:
        """The value of a key; each waiting thread gets the same, or the same error."""
        with self._lock:
            known = self._known.get(key)
            is_new = known is None
            if known is None:
                known = self._known[key] = Future()
                if len(self._known) > self._most:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(key)
        if is_new:
            try:
                known.set_result(self._make(key))
            except BaseException as error:
                known.set_exception(error)
                if not isinstance(error, Exception):  # an interrupt says nothing of the key
                    self._forget(key, known)
        return known.result()

    def _forget(self, key: _Key, known: Future[_Value]) -> None:
        with self._lock:
            if self._known.get(key) is known:
                del self._known[key]
