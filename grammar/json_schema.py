"""JSON Schema as a grammar: scanned in one pass, then expanded state by state as a text gets there.

`read_schema` is the front end's door: text or parsed schema in, root state, gaps and notes out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ..automata.errors import GrammarError, LimitError, UnsupportedError, nested_too_deeply
from ..automata.fragment import Target
from .arguments import expect_source
from .json_numbers import NUMBER_NOTE
from .schema_complement import negated
from .schema_scan import Gap, SchemaScan
from .schema_states import SchemaStates, Style
from .schema_values import SchemaValues

__all__ = ["OpenSchema", "Schema", "SchemaOptions", "open_schema", "read_schema"]


class SchemaOptions(NamedTuple):
    """How the texts of a schema are written; see Grammar.from_json_schema."""

    property_order: Literal["schema", "any"] = "schema"
    whitespace: Literal["json", "compact"] = "json"
    max_whitespace: int = 64
    indent: int | str | None = None
    separators: tuple[str, str] | None = None
    formats: Literal["assert", "annotate"] = "assert"
    on_unsupported: Literal["error", "report"] = "error"
    resources: Mapping[str, Any] = MappingProxyType({})

    def verify(self) -> None:
        """ValueError for an option with a value that it cannot have."""
        allowed = {
            "property_order": ("schema", "any"),
            "whitespace": ("json", "compact"),
            "formats": ("assert", "annotate"),
            "on_unsupported": ("error", "report"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is one of {', '.join(map(repr, values))}, not {getattr(self, name)!r}")
        most = self.max_whitespace
        if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= 1 << 16:
            raise ValueError(f"max_whitespace is 0 to 65536, not {most!r}")
        if not isinstance(self.resources, Mapping) or not all(map(_is_absolute, self.resources)):
            raise ValueError("resources maps absolute URIs without fragments, like 'https://example.com/a', to schemas")
        indent, separators = self.indent, self.separators
        if self.whitespace == "compact" and (indent is not None or separators is not None):
            raise ValueError('whitespace="compact" leaves no place for indent or separators: give one or the other')
        if isinstance(indent, str):
            is_indent = len(indent) <= 16 and not indent.strip(" \t")
        else:
            is_indent = indent is None or (isinstance(indent, int) and indent is not True and 0 <= indent <= 16)
        if not is_indent or indent is False:
            raise ValueError(f"indent is 0 to 16, for so many spaces, or at most 16 spaces and tabs, not {indent!r}")
        if separators is not None and (
            not isinstance(separators, tuple | list)
            or not all(isinstance(separator, str) and len(separator) <= 64 for separator in separators)
            or [separator.strip(" \t\r\n") for separator in separators] != [",", ":"]
        ):
            raise ValueError(f"separators are a comma and a colon with white space around them, not {separators!r}")

    @property
    def style(self) -> Style:
        """How the values are written."""
        ordered = self.property_order == "schema"
        indent = " " * self.indent if isinstance(self.indent, int) else self.indent
        separators = self.separators
        if indent is not None and separators is None:
            separators = (",", ": ")
        free = separators is None and self.whitespace == "json"
        return Style(ordered, self.max_whitespace if free else 0, separators, indent)


def _is_absolute(uri: Any) -> bool:
    return isinstance(uri, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[^#]*#?\Z", uri) is not None


class Schema(NamedTuple):
    """A schema that has been read: its first state, what is not enforced, and what a user should know."""

    root: Target
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]


def read_schema(schema: dict[str, Any] | bool | str | bytes, options: SchemaOptions) -> Schema:
    """Reads a schema. Raises GrammarError, UnsupportedError or UnsatisfiableError with the JSON pointer."""
    opened = open_schema(schema, options)
    with _too_deep():
        root = opened.states.root(opened.parsed)
    return Schema(root, opened.gaps, opened.notes)


class OpenSchema(NamedTuple):
    """A schema that has been scanned, and what makes states of its parts."""

    parsed: Any
    values: SchemaValues
    states: SchemaStates
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]


def open_schema(schema: dict[str, Any] | bool | str | bytes, options: SchemaOptions) -> OpenSchema:
    """Scans a schema, and makes no state. Raises GrammarError or UnsupportedError with the JSON pointer."""
    options.verify()
    parsed = _parsed(schema)
    given = {uri: _parsed(resource, f"the resource {uri!r}") for uri, resource in options.resources.items()}
    scan = SchemaScan(parsed, formats=options.formats, given=given)
    values = SchemaValues(scan)
    with _too_deep():
        _check_comparisons(scan, values)
    if scan.gaps and options.on_unsupported == "error":
        raise _unsupported(scan.gaps)
    notes = [*scan.notes, NUMBER_NOTE]
    if options.style.whitespace:
        notes.append(f"at most {options.max_whitespace} white-space characters in a row")
    if options.property_order == "schema":
        notes.append("members come in the order of the schema, additional ones last")
    return OpenSchema(parsed, values, SchemaStates(values, options.style), tuple(scan.gaps), tuple(notes))


@contextmanager
def _too_deep() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise nested_too_deeply("the schema") from None


def _check_comparisons(scan: SchemaScan, values: SchemaValues) -> None:
    """Finds the arrays whose items would have to be compared and cannot be."""
    for schema, at, pointer in scan.distinct:
        readings = [(schema, at)]
        if scan.is_complemented(schema):
            readings.append(negated((schema, at)))
        try:
            for reading in readings:
                for branch in values.branches(values.conjunction([reading]) or ()):
                    if branch.constants is None and "array" in branch.types:
                        branch.array.verify_comparable()
        except UnsupportedError as error:
            scan.drop(schema, "uniqueItems", pointer, error.reason)
    if scan.distinct and scan.gaps:
        values.forget()
        scan.drop_complements()


def _parsed(schema: Any, what: str = "the schema") -> Any:
    if isinstance(schema, (str, bytes)):
        schema = schema if isinstance(schema, bytes) else expect_source(schema, what)
        try:
            # Decimals stay exact; floats would not.
            return json.loads(
                schema, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates
            )
        except RecursionError:
            raise nested_too_deeply(f"the text of {what}") from None
        except json.JSONDecodeError as error:
            raise GrammarError(f"{what} is not JSON: {error.msg}", text=error.doc, offset=error.pos) from None
        except UnicodeDecodeError as error:
            raise GrammarError(f"{what} is not UTF-8: byte {error.start}") from None
        except ArithmeticError as error:
            raise GrammarError(f"a number of {what} has an exponent that no number has") from error
        except ValueError as error:  # an integer of thousands of digits
            raise LimitError("digits of an integer", len(schema), sys.get_int_max_str_digits()) from error
    if not isinstance(schema, (dict, bool)):
        raise GrammarError(f"{what} is not a dict, a bool, or JSON text of one, but {type(schema).__name__}")
    return schema


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; GrammarError where a name comes twice: one of the two would be ignored in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in found if names.count(name) > 1)
        raise GrammarError(f"the name {name!r} comes twice in one object of the schema: remove one of them")
    return found


def _refuse_constant(name: str) -> None:
    raise GrammarError(f"the schema is not JSON: {name} is no JSON number")


def _unsupported(gaps: list[Gap]) -> UnsupportedError:
    """All gaps in one error; its place is that of the first."""
    first = gaps[0]
    listed = "".join(f"\n  {gap.pointer or '#'}: {gap.keyword}: {gap.reason}" for gap in gaps[1:])
    more = f" (and {len(gaps) - 1} more:{listed}\n)" if len(gaps) > 1 else ""
    remedy = '; on_unsupported="report" compiles the rest and lists this in unenforced'
    return UnsupportedError(
        f'"{first.keyword}"', first.reason + more + remedy, pointer=first.pointer, keyword=first.keyword
    )
