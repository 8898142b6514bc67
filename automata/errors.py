"""What bridle raises.

    BridleError                 everything below; nothing else leaves bridle on account of what a user wrote
    ├── GrammarError            malformed: a pattern, schema, grammar or specification, with the place
    │   ├── UnsupportedError    well formed, but not enforced by bridle: what, where and why
    │   ├── UnsatisfiableError  well formed, but no text is a sentence of it
    │   │   └── ConflictingFormulasError    (grammar.ltlf_automaton) temporal formulas that no trace satisfies together
    │   └── ParseError          (grammar.python_types) a text whose value a Python type does not admit
    ├── LimitError              a counted budget was met: which one, the number given and the number allowed
    ├── SavedGrammarError       a file that is no saved grammar, is damaged, or was written by another version of bridle
    ├── VocabularyError         a vocabulary that contradicts itself or its tokenizer
    ├── SamplingError           (sampler) no sentence within the budget has a probability, or too few were found
    └── ConflictError           (integrations) another logits processor forbids all that the grammar allows

An argument of a type that it cannot have is a TypeError, an option with a value that it cannot have a ValueError
(grammar/arguments.py); neither is about what the user's grammar or text says.

A place in a text is a character offset (`text`, `offset`; the message shows line, column and a caret); a place in a
schema is a JSON pointer (`pointer`) and a `keyword`. INVARIANT: every error can be pickled, to cross processes.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = [
    "BridleError",
    "GrammarError",
    "LimitError",
    "SavedGrammarError",
    "UnsatisfiableError",
    "UnsupportedError",
    "VocabularyError",
    "caret",
    "line_and_column",
    "nested_too_deeply",
]

_SHOWN = 100  # characters of a line that a caret message shows; patterns in schemas can be very long


class BridleError(Exception):
    """The base of all of bridle's errors."""


class GrammarError(BridleError):
    """A malformed pattern, schema or grammar.

    `message`: the fault alone; `text`, `offset`: where it is in a text (a character index); `line`, `column`: the same,
    from 1; `pointer`, `keyword`: where it is in a schema. Each is None where it does not apply.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        offset: int | None = None,
        pointer: str | None = None,
        keyword: str | None = None,
    ) -> None:
        self.message = message
        self.text = text
        self.offset = offset
        self.pointer = pointer
        self.keyword = keyword
        self.line: int | None = None
        self.column: int | None = None
        if text is not None and offset is not None:
            self.line, self.column = line_and_column(text, offset)
        super().__init__(message)

    def moved(self, text: str, offset: int) -> GrammarError:
        """This error, with its place in a text that contains what it was about."""
        self.text, self.offset = text, offset
        self.line, self.column = line_and_column(text, offset)
        return self

    def __str__(self) -> str:
        parts = [self.message]
        if self.pointer is not None:
            at = self.pointer or "the root"
            parts.append(f" at {at}" + (f" ({self.keyword})" if self.keyword else ""))
        if self.text is not None and self.offset is not None:
            parts.append(f", line {self.line}, column {self.column}:\n{caret(self.text, self.offset)}")
        return "".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.message), self.__dict__


class UnsupportedError(GrammarError):
    """A construct that bridle does not enforce: `what` it is, the place, and the `reason`."""

    def __init__(
        self,
        what: str,
        reason: str,
        *,
        text: str | None = None,
        offset: int | None = None,
        pointer: str | None = None,
        keyword: str | None = None,
    ) -> None:
        super().__init__(
            f"{what} is not supported: {reason}", text=text, offset=offset, pointer=pointer, keyword=keyword
        )
        self.what = what
        self.reason = reason


class UnsatisfiableError(GrammarError):
    """A grammar without a sentence: nothing could be generated."""


class LimitError(BridleError):
    """A counted budget was met: `limit` names it, `given` is the number that was needed, `allowed` what it permits."""

    def __init__(self, limit: str, given: int, allowed: int, place: str | None = None) -> None:
        self.limit, self.given, self.allowed, self.place = limit, given, allowed, place
        super().__init__(limit, given, allowed, place)

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"limit {self.limit} exceeded{where}: {self.given} given, {self.allowed} allowed"


def nested_too_deeply(what: str) -> LimitError:
    """The error for nesting that overran the interpreter's stack (a RecursionError)."""
    deepest = sys.getrecursionlimit()
    return LimitError(f"nesting of {what}", deepest + 1, deepest)


class SavedGrammarError(BridleError):
    """A file from which no compiled grammar can be loaded, or a grammar of which no file can be made."""


class VocabularyError(BridleError):
    """A vocabulary that contradicts itself, the tokenizer or the model."""


def _rebuilt(cls: type[GrammarError], message: str) -> GrammarError:
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    return error


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character index; one past the end is a place too."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def caret(text: str, offset: int) -> str:
    """The line of `offset` and a caret under its character; a long line is cut around it."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)]
    at = offset - start
    cut = max(0, min(at - _SHOWN // 2, len(line) - _SHOWN))
    shown = line[cut : cut + _SHOWN]
    prefix, suffix = "…" if cut else "", "…" if cut + _SHOWN < len(line) else ""
    # One column per character: what is not printable would move the caret.
    shown = "".join(character if character.isprintable() else "·" for character in shown)
    return f"    {prefix}{shown}{suffix}\n    {' ' * (len(prefix) + at - cut)}^"
