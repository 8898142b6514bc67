"""`Grammar`: what a text may be, from any front end, ready to be compiled for a vocabulary or to judge texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..automata.errors import UnsatisfiableError
from ..automata.fragment import Target
from .schema_scan import Gap

__all__ = ["Grammar"]


class Grammar:
    """A language of texts. Make one with a `from_…` method; compile it with `bridle.compile`.

    root : the first state. notes : what a user should know (spellings that are left out, annotations read as such).
    unenforced : (JSON pointer, keyword, reason) of every constraint that is not enforced; empty unless reported.
    source : what it was made from, for people.
    """

    __slots__ = ("__weakref__", "_reading", "notes", "root", "source", "unenforced")

    def __init__(
        self,
        root: Target,
        *,
        source: str,
        notes: tuple[str, ...] = (),
        unenforced: tuple[Gap, ...] = (),
        reading: Callable[[], Target] | None = None,
    ) -> None:
        self.root = root
        self.source = source
        self.notes = notes
        self.unenforced = unenforced
        self._reading = reading

    def __repr__(self) -> str:
        return f"Grammar({self.source})"

    @property
    def is_json(self) -> bool:
        """Whether the texts are JSON: places in them are JSON pointers."""
        return self._reading is not None

    def reading_root(self) -> Target:
        """The first state for reading texts that something else has written: more ways of writing, the same values."""
        return self.root if self._reading is None else self._reading()

    # ------------------------------------------------------------------------------------------------ front ends

    @classmethod
    def from_json_schema(
        cls,
        schema: dict[str, Any] | bool | str | bytes,
        *,
        property_order: Literal["schema", "any"] = "schema",
        whitespace: Literal["json", "compact"] = "json",
        max_whitespace: int = 64,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        formats: Literal["assert", "annotate"] = "assert",
        on_unsupported: Literal["error", "report"] = "error",
        resources: Mapping[str, dict[str, Any] | bool | str | bytes] | None = None,
    ) -> Grammar:
        """The JSON texts of the values that satisfy a schema.

        schema : a dict, a boolean, or JSON text (which keeps decimals exact); drafts 4 to 2020-12 by `$schema`.
        property_order : declared members in the order of the schema, additional ones last; or any order.
        whitespace : "json", wherever JSON allows it, at most max_whitespace characters in a row; "compact": none.
        indent, separators : if given, white space stands where json.dumps with the same arguments has it, and nowhere
            else; at most 16 characters for each level. Separators alone: all on one line.
        formats : "annotate" ignores `format`.
        on_unsupported : "error" raises UnsupportedError for a constraint that is not enforced; "report" lists them in
            `unenforced` and enforces the rest.
        resources : other schemas that `$ref` may name, by absolute URI; read as far as they are named. Nothing is ever
            fetched or opened.
        Raises GrammarError (malformed), UnsupportedError, UnsatisfiableError (no value satisfies the schema),
        LimitError; ValueError for an option that has a value which it cannot have.
        """
        from .json_schema import SchemaOptions, read_schema

        options = SchemaOptions(
            property_order=property_order,
            whitespace=whitespace,
            max_whitespace=max_whitespace,
            indent=indent,
            separators=separators,
            formats=formats,
            on_unsupported=on_unsupported,
            resources={} if resources is None else resources,
        )
        read = read_schema(schema, options)

        def reading() -> Target:
            from .text_states import Padded

            free = options._replace(
                property_order="any", whitespace="json", max_whitespace=1 << 16, indent=None, separators=None
            )
            return Padded(read_schema(schema, free).root)

        return cls(read.root, source="JSON schema", notes=read.notes, unenforced=read.gaps, reading=reading)

    @classmethod
    def from_pydantic(cls, model_or_type: Any, *, by_alias: bool = True, **options: Any) -> Grammar:
        """The JSON texts that pydantic accepts for a type; `bridle.parse` makes values of them.

        model_or_type : a BaseModel, a dataclass, a TypedDict, or anything else that a TypeAdapter takes.
        by_alias : members are named by their aliases.
        options : those of from_json_schema, which raises the same errors.
        """
        from .python_types import from_pydantic

        return from_pydantic(model_or_type, by_alias=by_alias, **options)

    @classmethod
    def from_regex(cls, pattern: str, *, dialect: Literal["python", "ecma"] = "python") -> Grammar:
        """The texts that a regular expression matches from end to end.

        dialect : "python" as Python's re reads it, or "ecma" as ECMA-262 (and JSON Schema's `pattern`) does.
        Raises GrammarError (malformed, with the column), UnsupportedError, UnsatisfiableError (it matches nothing).
        """
        from ..automata.regular import compile_regular
        from .regex_syntax import fullmatch_language

        language = compile_regular(fullmatch_language(pattern, dialect))
        if language.is_empty:
            raise UnsatisfiableError("no text matches this pattern", text=pattern, offset=0)
        return cls(language, source=f"regex {pattern!r}")

    @classmethod
    def from_ebnf(cls, text: str, *, start: str = "root") -> Grammar:
        """The texts of a context-free grammar as llama.cpp (GBNF) and XGrammar write it.

        start : the name of the rule that a text is. Raises GrammarError with line, column and caret.
        """
        from .ebnf import parse_ebnf
        from .rule_states import root_payload

        root, notes = root_payload(parse_ebnf(text, start))
        return cls(root, source=f"EBNF, start rule {start}", notes=tuple(notes))
