"""What may stand in a step of an agent, behind its delimiter: the kinds of content.

    FreeText        any text up to the next delimiter
    Pattern         the texts of a regular language, such as those of a regular expression or a set of choices
    Whole           any Grammar; a JSON text, if it is one of JSON
    ToolName        the name of a tool, which is kept in mind for
    ToolArguments   the arguments of the tool that an earlier step named, by its schema; `once`: never twice the same
    Quote           a span of what earlier steps from outside have said
    References      free text in which numbers such as `#E3` only name steps that were made before

A text contains no delimiter, wherever it comes from; JSON may within its strings, since its own marks say where it
ends. What a kind needs to know of the text so far is told by `agent_states`, which makes automata of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..automata import regular
from ..automata.errors import GrammarError
from .grammar import Grammar
from .schema_keywords import assertions
from .schema_references import draft_named
from .substring import Boundary

__all__ = [
    "NUMBER", "Content", "FreeText", "Pattern", "Quote", "References", "ToolArguments", "ToolName", "Whole",
    "arguments_grammar", "content_of", "references_language",
]  # fmt: skip

NUMBER = "{n}"  # in a delimiter or a reference: which one it is, from 1
_DIGIT = regular.char_class([(0x30, 0x39)])


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text up to the next delimiter."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The texts of a regular language. source : what it was made from, for people."""

    language: regular.Regular
    source: str


@dataclass(frozen=True, slots=True)
class Whole:
    """The texts of a grammar."""

    grammar: Grammar


@dataclass(frozen=True, slots=True)
class ToolName:
    """The name of one of the tools. of : only some of them; None: all."""

    of: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ToolArguments:
    """The arguments of the tool that was named last in the step `of`, as JSON, by value never twice if `once`.

    A tool is not named where it could not be called: with `once`, within one turn of the model each tool is called at
    most once, since what was generated is only known when the turn has ended.
    """

    of: str
    once: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of what some steps from outside have said so far, as `Grammar.from_substring` has it."""

    of: tuple[str, ...]
    by: Boundary = "word"


@dataclass(frozen=True, slots=True)
class References:
    """Free text in which `mark`, with a number for {n}, only stands for one of the steps `of` that were made before.

    current : the last of these steps counts, too; else, as where its own input is meant, only those before it.
    """

    mark: str
    of: str
    current: bool = False


Content: TypeAlias = "FreeText | Pattern | Whole | ToolName | ToolArguments | Quote | References"


def content_of(given: Any) -> Content:
    """A content of what stands for one: a content, a Grammar, a compiled pattern, a list of texts, a schema, None."""
    if given is None:
        return FreeText()
    if isinstance(given, FreeText | Pattern | Whole | ToolName | ToolArguments | Quote | References):
        return given
    if isinstance(given, re.Pattern):
        from .regex import Regex

        found = Regex(given.pattern, flags=given.flags & ~re.UNICODE)
        return Pattern(regular.Language(Grammar.from_regex(found).root), repr(given.pattern))  # type: ignore[arg-type]
    if isinstance(given, Grammar):
        return _of_grammar(given)
    if isinstance(given, Mapping | bool):
        return Whole(Grammar.from_json_schema(given))  # type: ignore[arg-type]
    if isinstance(given, list | tuple):
        return _of_grammar(Grammar.from_choices(given))
    raise TypeError(f"a content is a Grammar, a pattern, a list of texts or a schema, not {type(given).__name__}")


def _of_grammar(grammar: Grammar) -> Content:
    from ..automata.byte_dfa import ByteDfa

    if grammar.special_tokens:
        raise GrammarError("special tokens within the steps of an agent are not read: steps are texts")
    if isinstance(grammar.root, ByteDfa):
        return Pattern(regular.Language(grammar.root), grammar.source)
    return Whole(grammar)


def arguments_grammar(schema: Mapping[str, Any], used: Sequence[str] = ()) -> Grammar:
    """The arguments of a tool, but for the values of some JSON texts. Raises UnsatisfiableError if there are no others.

    The texts are taken into the schema as they are, so that numbers keep their decimals.
    """
    if not used:
        return Grammar.from_json_schema(dict(schema))
    schema = dict(schema)
    others = [json.dumps(part) for part in schema.pop("allOf", ())]
    others.append(f'{{"not": {{"enum": [{", ".join(used)}]}}}}')
    if "$ref" in schema:
        draft = draft_named(schema.get("$schema")) or 2020
        if draft <= 7:  # where nothing says anything beside a reference, it has to stand within
            others = others[-1:]
            schema = {key: value for key, value in schema.items() if key == "$ref" or key not in assertions(draft)}
        others.append(json.dumps({"$ref": schema.pop("$ref")}))
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in schema.items()]
    members.append(f'"allOf": [{", ".join(others)}]')
    return Grammar.from_json_schema("{" + ", ".join(members) + "}")


def references_language(mark: str, most: int) -> regular.Regular:
    """The texts in which a mark that a number follows has one from 1 to `most`, written without leading zeros."""
    before, _, behind = mark.partition(NUMBER)
    known = regular.alternation(*(regular.literal(str(n)) for n in range(1, most + 1)))
    number = regular.Repeat(_DIGIT, 1, None)
    unknown = regular.Difference(number, known)
    # A number ends where its digits do.
    end = regular.literal(behind) if behind else regular.EPSILON
    other = regular.char_class([(0x30, 0x39)], negate=True)
    rest: regular.Regular = regular.Concat((end, regular.ANY_TEXT))
    if not behind:
        rest = regular.alternation(regular.EPSILON, regular.Concat((other, regular.ANY_TEXT)))
    bad = regular.Concat((regular.ANY_TEXT, regular.literal(before), unknown, rest))
    return regular.Complement(bad)
