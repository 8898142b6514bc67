"""The text of trace expressions: regular expressions whose letters are the names of states.

    question (thought action action_input observation){0,5} thought (answer | give_up)

A row is a sequence, | stands between alternatives, and behind a name or a group stands how often it comes: ? * + {3}
{2,} {,5} {2,5}. Names are those of formulas; any other text is one in double quotes, as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ..automata.errors import GrammarError, nested_too_deeply
from .ltlf_syntax import unknown_state
from .trace_expression import TraceExpression

__all__ = ["parse_expression"]

_TOKEN = re.compile(
    r"""(?P<name>[^\W\d]\w*(?:-\w+)*) | (?P<quoted>"(?:[^"\\\n]|\\.)*") | (?P<mark>[()|])
      | (?P<count>[?*+] | \{\s*\d+\s*\} | \{\s*\d*\s*,\s*\d*\s*\})""",
    re.VERBOSE,
)
_DIGITS = 18  # of a count
_SPACE = re.compile(r"\s*")
_COUNTS = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def parse_expression(text: str, letters: Iterable[str]) -> TraceExpression:
    """The expression that a text stands for. letters : the names of the states.

    Raises GrammarError with line, column and caret; LimitError for nesting beyond what can be read.
    """
    reader = _Reader(text, tuple(letters))
    try:
        found = reader.alternatives()
    except RecursionError:
        raise nested_too_deeply("a trace expression") from None
    if reader.token:
        raise reader.fault(f"{reader.token!r} closes or counts nothing")
    return found


class _Reader:
    """By recursive descent, one token ahead. token : "" at the end; kind : the group that it is of; at : its place."""

    def __init__(self, text: str, letters: tuple[str, ...]) -> None:
        self.text, self.letters, self.end = text, letters, 0
        self.advance()

    def advance(self) -> None:
        spaces = _SPACE.match(self.text, self.end)
        assert spaces is not None
        self.at = spaces.end()
        found = _TOKEN.match(self.text, self.at)
        if found is None and self.at < len(self.text):
            raise self.fault(f"{self.text[self.at]!r} is no part of a trace expression")
        self.token, self.kind = (found.group(), found.lastgroup) if found is not None else ("", None)
        self.end = found.end() if found is not None else self.at

    def fault(self, message: str) -> GrammarError:
        return GrammarError(message, text=self.text, offset=self.at)

    def alternatives(self) -> TraceExpression:
        parts = [self.sequence()]
        while self.token == "|":
            self.advance()
            parts.append(self.sequence())
        return TraceExpression.alternatives(*parts)

    def sequence(self) -> TraceExpression:
        parts: list[TraceExpression] = []
        while self.kind in ("name", "quoted") or self.token == "(":
            parts.append(self.counted())
        return TraceExpression.sequence(*parts)

    def counted(self) -> TraceExpression:
        if self.token == "(":
            opened = self.at
            self.advance()
            part = self.alternatives()
            if self.token != ")":
                raise GrammarError("this parenthesis is never closed", text=self.text, offset=opened)
        else:
            part = TraceExpression.state(self.name())
        self.advance()
        while self.kind == "count":
            part = part.repeat(*self.count())
            self.advance()
        return part

    def name(self) -> str:
        try:
            name = json.loads(self.token) if self.kind == "quoted" else self.token
        except ValueError as error:
            raise self.fault(f"this is no text as JSON writes it: {error}") from None
        if name not in self.letters:
            raise self.fault(unknown_state(name, self.letters))
        return name

    def count(self) -> tuple[int, int | None]:
        if self.token in _COUNTS:
            return _COUNTS[self.token]
        least, comma, most = (part.strip() for part in self.token.strip("{}").partition(","))
        if max(len(least), len(most)) > _DIGITS:
            raise self.fault(f"a number has at most {_DIGITS} digits")
        if not least and not most:
            raise self.fault("a count without a number")
        low = int(least or 0)
        high = int(most) if most else None if comma else low
        if high is not None and high < low:
            raise self.fault(f"{low} to {high} times is never")
        return low, high
