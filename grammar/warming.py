"""What can be made before any grammar is known, so that no request waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..automata.byte_dfa import ByteDfa
from .formats import FORMATS, format_language, format_strings
from .schema_leaves import any_scalar

__all__ = ["keep_automata"]


def keep_automata() -> Iterator[str]:
    """Makes every automaton that is kept on disk, where it is not there yet; yields the name of each when it is."""
    makers: list[tuple[str, Callable[[], ByteDfa]]] = [("scalars", any_scalar)]
    for name in sorted(FORMATS):
        makers.append((f"values of the format {name}", partial(format_language, name)))
        makers.append((f"strings of the format {name}", partial(format_strings, name)))
    for name, make in makers:
        make()
        yield name
