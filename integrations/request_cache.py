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
    """The values last used.

    make : a value from its key; its errors come out of `get`. most : values that are kept. weight, most_weight : what
    a key weighs, and what all that are kept may weigh together; the last is kept, whatever it weighs.
    """

    def __init__(
        self,
        make: Callable[[_Key], _Value],
        most: int,
        weight: Callable[[_Key], int] = lambda key: 0,
        most_weight: int = 0,
    ) -> None:
        self._make, self._weight = make, weight
        self._most, self._most_weight = most, most_weight
        self._known: OrderedDict[_Key, Future[_Value]] = OrderedDict()
        self._weighed = 0
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value:
        """The value of a key; each waiting thread gets the same, or the same error."""
        with self._lock:
            known = self._known.get(key)
            is_new = known is None
            if known is None:
                known = self._known[key] = Future()
                self._weighed += self._weight(key)
                while len(self._known) > 1 and (len(self._known) > self._most or self._weighed > self._most_weight):
                    self._forget(next(iter(self._known)))
            else:
                self._known.move_to_end(key)
        if is_new:
            try:
                known.set_result(self._make(key))
            except BaseException as error:
                known.set_exception(error)
                if not isinstance(error, Exception):  # an interrupt says nothing of the key
                    with self._lock:
                        if self._known.get(key) is known:
                            self._forget(key)
        failure = known.exception()
        if failure is not None:
            raise failure.with_traceback(None)  # it is raised many times, and would remember each
        return known.result()

    def clear(self) -> None:
        """Forgets all values."""
        with self._lock:
            self._known.clear()
            self._weighed = 0

    def _forget(self, key: _Key) -> None:
        del self._known[key]
        self._weighed -= self._weight(key)
