"""The members of an object in a structural tag, checked as they are asked for; faults are told with a JSON pointer."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from ..automata.errors import GrammarError

__all__ = ["Members", "shown"]


class Members:
    """The members of an object of the description, checked as they are asked for."""

    def __init__(self, found: Any, pointer: str, what: str, known: set[str]) -> None:
        if not isinstance(found, Mapping):
            raise GrammarError(f"a {what} is an object, not {shown(found)}", pointer=pointer)
        self.found, self.pointer, self.what = found, pointer, what
        for name in found:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f": it has {', '.join(sorted(known))}"
                raise GrammarError(f"{what} has no member {name!r}{hint}", pointer=f"{pointer}/{name}")

    def at(self, name: str) -> str:
        return f"{self.pointer}/{name}"

    def wrong(self, name: str, must: str) -> GrammarError:
        message = f'"{name}" of {self.what} must be {must}, not {shown(self.found[name])}'
        return GrammarError(message, pointer=self.at(name))

    def needed(self, name: str) -> Any:
        if name not in self.found:
            raise GrammarError(f'{self.what} needs "{name}"', pointer=self.pointer)
        return self.found[name]

    def text(self, name: str, *, empty: bool = True) -> str:
        value = self.needed(name)
        if not isinstance(value, str) or not (value or empty):
            raise self.wrong(name, "a text" if empty else "a text that is not empty")
        return value

    def listed(self, name: str, *, empty: bool = False) -> list[Any]:
        value = self.needed(name)
        if not isinstance(value, list) or not (value or empty):
            raise self.wrong(name, "a list" if empty else "a list that is not empty")
        return value

    def texts(self, name: str, *, needed: bool = False) -> list[str]:
        """A list of texts that are not empty; none where it may be left out."""
        if not needed and self.found.get(name) is None:
            return []
        for value in self.listed(name, empty=not needed):
            if not isinstance(value, str) or not value:
                raise self.wrong(name, "a list of texts that are not empty")
        return list(self.found[name])

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.found.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def count(self, name: str) -> int | None:
        """A number from 0 on; None where it is left out."""
        value = self.found.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.wrong(name, "a whole number from 0 on")
        return value


def shown(value: Any) -> str:
    """A value for messages."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
