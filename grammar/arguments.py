"""Arguments that callers give, checked once where they come in.

What is wrong is told by one of three errors. TypeError: an argument of a type that it cannot have. ValueError: an
option with a value that it cannot have. GrammarError: what a text, a schema or a pattern says, with its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

__all__ = ["expect_counts", "expect_iterable", "expect_source", "expect_text"]

_BYTE_ORDER_MARK = "\ufeff"


def expect_text(given: Any, what: str) -> str:
    """A text that is a str. `what` says which, for the TypeError."""
    if not isinstance(given, str):
        hint = ": decode it" if isinstance(given, (bytes, bytearray, memoryview)) else ""
        raise TypeError(f"{what} is a str, not {type(given).__name__}{hint}: {given!r:.80}")
    return given


def expect_source(given: Any, what: str) -> str:
    """A grammar's text, without the byte order mark that some editors write in front: it is no part of what is said."""
    return expect_text(given, what).removeprefix(_BYTE_ORDER_MARK)


def expect_counts(least: Any, most: Any) -> None:
    """How often something is repeated: TypeError for what is no int, ValueError where the two contradict each other."""
    for count in (least, 0 if most is None else most):
        if not isinstance(count, Integral):
            raise TypeError(f"how often is told by an int, not {type(count).__name__}: {count!r:.80}")
    if least < 0 or (most is not None and most < least):
        raise ValueError(f"a repetition is from 0 on, and to no less than from: not from {least} to {most}")


def expect_iterable(given: Any, what: str) -> Iterable[Any]:
    """Several of something; TypeError for what nothing can be taken from."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{what}, not {type(given).__name__}: {given!r:.80}")
    return given
