"""Python types as grammars, and texts as values of them: pydantic models and whatever else a TypeAdapter takes.

`from_pydantic` writes a JSON Schema of what the type's validator accepts (pydantic_schema.py); `parse` validates. What
the one generates the other accepts, but for validators in Python code, which the grammar's notes name.

Numbers are read by value, as JSON Schema reads them: `1.0` and `1e2` are integers. pydantic reads a spelling with a
point or an exponent as a double, which is inexact from 2**53 on and which strict integers refuse; so `parse` gives it
the digits of such integers, of large ones always, of others where it refuses the text as written.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..automata.errors import GrammarError, UnsupportedError
from .json_numbers import scaled
from .schema_scan import Gap

if TYPE_CHECKING:
    from .grammar import Grammar

__all__ = ["ParseError", "from_pydantic", "parse"]

_EXACT_DOUBLES = 1 << 53
_MOST_DIGITS = 400  # integers beyond doubles are left as they are written
_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?', re.S)
_SPACE = re.compile(r"[ \t\n\r]*")
_T = TypeVar("_T")


class ParseError(GrammarError):
    """A text that is not JSON, or whose value the type does not admit; the place is that of the first fault."""


# ------------------------------------------------------------------------------------------------ grammars


def from_pydantic(model_or_type: Any, *, by_alias: bool = True, **options: Any) -> Grammar:
    """The JSON texts that a pydantic model, or a type that pydantic validates, accepts.

    by_alias : members are named by their aliases. options : those of Grammar.from_json_schema.
    Raises as that does, and UnsupportedError for a type or a constraint without a schema.
    """
    from .grammar import Grammar

    schema, found, notes = _schema_of(model_or_type, by_alias)
    gaps = tuple(Gap("", what, reason) for what, reason in found)
    if gaps and options.get("on_unsupported", "error") == "error":
        remedy = 'on_unsupported="report" leaves it to parse and lists it in unenforced'
        raise UnsupportedError(gaps[0].keyword, f"{gaps[0].reason}; {remedy}")
    grammar = Grammar.from_json_schema(schema, **options)
    return Grammar(
        grammar.root,
        source=f"Python type {getattr(model_or_type, '__name__', model_or_type)}",
        notes=(*notes, *grammar.notes),
        unenforced=(*gaps, *grammar.unenforced),
        reading=grammar.reading_root,
        recipe=grammar._recipe,
        parse=lambda _, text: parse(model_or_type, text),
    )


def _schema_of(model_or_type: Any, by_alias: bool) -> tuple[Any, list[tuple[str, str]], list[str]]:
    """(JSON Schema, what it leaves out and why, what only `parse` decides)."""
    from pydantic.errors import PydanticInvalidForJsonSchema

    from .pydantic_schema import ValidatedJsonSchema

    generators: list[ValidatedJsonSchema] = []

    class Recorded(ValidatedJsonSchema):
        """pydantic wants a class, and makes the generator itself."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            generators.append(self)

    try:
        schema = _adapter(model_or_type).json_schema(by_alias=by_alias, mode="validation", schema_generator=Recorded)
    except PydanticInvalidForJsonSchema as error:
        raise UnsupportedError("a type without a JSON schema", error.message.partition("\n")[0]) from error
    gaps = [gap for generator in generators for gap in generator.gaps]
    notes = [note for generator in generators for note in generator.notes]
    return schema, list(dict.fromkeys(gaps)), list(dict.fromkeys(notes))


def _adapter(model_or_type: Any) -> Any:
    """The TypeAdapter of a type, made once. Raises GrammarError for what is no type."""
    try:
        return _known_adapter(model_or_type)
    except TypeError:  # annotations can be unhashable
        return _new_adapter(model_or_type)


def _new_adapter(model_or_type: Any) -> Any:
    from pydantic import PydanticUserError, TypeAdapter

    if isinstance(model_or_type, TypeAdapter):
        return model_or_type
    try:
        return TypeAdapter(model_or_type)
    except PydanticUserError as error:
        raise GrammarError(f"pydantic makes no validator of {model_or_type!r}: {error.message}") from error


_known_adapter = lru_cache(maxsize=256)(_new_adapter)


# ------------------------------------------------------------------------------------------------ values


def decoded(text: Any) -> str:
    """A text to be parsed. Raises ParseError for bytes that are not UTF-8, TypeError for what is no text."""
    from ..automata.matcher import encoded

    if isinstance(text, str):
        return text
    try:
        return encoded(text).decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"the text is not UTF-8: byte {error.start}") from None


@overload
def parse(model_or_type: type[_T], text: str | bytes) -> _T: ...
@overload
def parse(model_or_type: Any, text: str | bytes) -> Any: ...
def parse(model_or_type: Any, text: str | bytes) -> Any:
    """The value of a JSON text as a Python type: an instance of the model, validated by pydantic.

    A Grammar in place of the type makes of the text what its own `parse` does.
    Raises GrammarError (a ParseError) with the place in the text and in the value, and all of pydantic's messages.
    """
    from pydantic import ValidationError

    from .grammar import Grammar

    if isinstance(model_or_type, Grammar):
        return model_or_type.parse(text)
    adapter = _adapter(model_or_type)
    text = decoded(text)
    written = _with_digits(text, _EXACT_DOUBLES)
    try:
        return adapter.validate_json(written)
    except ValidationError as error:
        first = error
    except UnicodeEncodeError:
        raise ParseError("the text holds a lone surrogate", text=text, offset=0) from None
    by_value = _with_digits(text, 0)
    if by_value != written:
        try:
            return adapter.validate_json(by_value)
        except ValidationError:
            pass
    raise _error(text, first.errors(include_url=False)) from first


def _with_digits(text: str, least: int) -> str:
    """The text with integers at or above a size written as their digits alone."""

    def digits(found: re.Match[str]) -> str:
        spelling = found[0]
        if spelling.startswith('"') or spelling.lstrip("-").isdigit():
            return spelling
        try:
            value = Decimal(spelling)
        except InvalidOperation:  # an exponent that no number has
            return spelling
        if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
            return spelling
        n, tens = scaled(value)
        return spelling if tens < 0 or abs(value) < least else f"{n}{'0' * tens}"

    return _STRING_OR_NUMBER.sub(digits, text)


def _error(text: str, errors: list[Any]) -> ParseError:
    """One error of all that pydantic found."""
    shown = [
        f"{error['msg']} (at {'.'.join(map(str, error['loc']))})" if error["loc"] else error["msg"] for error in errors
    ]
    message = f"the value is not admitted: {'; '.join(shown)}"
    first = errors[0]
    if first["type"] == "json_invalid":
        try:
            json.loads(text)
        except json.JSONDecodeError as fault:
            return ParseError(f"the text is not JSON: {fault.msg}", text=text, offset=fault.pos)
        except (RecursionError, ValueError):
            pass
        return ParseError(first["msg"], text=text, offset=0)
    pointer, offset = _place(text, first["loc"], first["type"] == "missing")
    return ParseError(message, text=text, offset=offset, pointer=pointer)


def _place(text: str, path: tuple[int | str, ...], missing: bool) -> tuple[str, int]:
    """(JSON pointer, character offset) of pydantic's path, which also names unions' branches and validators."""
    at, pointer = _skip(text, 0), ""
    for i, part in enumerate(path):
        child = _child(text, at, part)
        if child is not None:
            at = child
        if child is not None or (missing and i == len(path) - 1):
            pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer, at


def _child(text: str, at: int, part: int | str) -> int | None:
    """Where the value of a member or an item begins; None if there is none."""
    is_object = text[at] == "{"
    if not is_object and not (text[at] == "[" and isinstance(part, int)):
        return None
    decoder = json.JSONDecoder(strict=False)
    at, count = _skip(text, at + 1), 0
    while text[at] not in "]}":
        key: int | str = count
        if is_object:
            key, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if key == part:
            return at
        at = _skip(text, decoder.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        count += 1
    return None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
