"""What requests to a server ask for, as grammars: one reading of it for all serving engines.

A request names a kind and a text, as servers of OpenAI's interface do, and may have options of bridle's own. Equal
requests are equal values, so that what was compiled for one serves the next (request_cache.py).

The text of a grammar is EBNF (GBNF) if a rule in it is written with `::=`, else Lark. With `%agent` before it, it is
the specification of an agent: in YAML, as s-expressions, or the name of a ready one; or JSON with these members, of
which the last two may be left out:

    %agent {"agent": "react", "tools": {"get_weather": {…schema…}}, "trace": "Question: How warm is it in Rome?"}

`trace` is the agent's text so far, which the prompt ends with and the generated text goes on.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..automata.errors import GrammarError
from ..grammar.agent_spec import AgentSpec
from ..grammar.grammar import Grammar

__all__ = ["AgentRequest", "GrammarRequest", "RequestKind", "agent_request", "json_of"]

_AGENT = "%agent"
# A quote that none follows takes its line: gone back for, a line of them would take as long as its square.
_LITERAL = re.compile(r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|//[^\n]*|#[^\n]*")
_OPTIONS = frozenset(
    ("property_order", "whitespace", "max_whitespace", "indent", "separators", "formats", "on_unsupported")
)


class RequestKind(enum.Enum):
    """What the text of a request is."""

    JSON_SCHEMA = enum.auto()
    JSON_OBJECT = enum.auto()  # any object; there is no text
    REGEX = enum.auto()
    CHOICE = enum.auto()  # a list of texts, in JSON
    GRAMMAR = enum.auto()  # EBNF, Lark, or an agent
    STRUCTURAL_TAG = enum.auto()


@dataclass(frozen=True, slots=True)
class GrammarRequest:
    """A grammar as a request describes it.

    options : those of Grammar.from_json_schema, as sorted pairs; they count where the text has schemas.
    """

    kind: RequestKind
    text: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, kind: RequestKind, text: str, options: Mapping[str, Any] | None = None) -> GrammarRequest:
        """Raises GrammarError for options that there are not, and for values that they cannot have.

        The latter before a cache sees them: some have no hash, and True is equal to 1.
        """
        given = dict(options or {})
        unknown = sorted(given.keys() - _OPTIONS, key=repr)
        if unknown:
            raise GrammarError(f"{unknown[0]!r} is no option: there are {', '.join(sorted(_OPTIONS))}")
        _check(given)
        pairs = ((name, tuple(value) if isinstance(value, list) else value) for name, value in sorted(given.items()))
        return cls(kind, text, tuple(pairs))

    def agent(self) -> AgentRequest | None:
        """The agent that it asks for; None if that is another grammar. Raises GrammarError."""
        return agent_request(self.text) if self.kind is RequestKind.GRAMMAR else None

    def parted(self) -> tuple[GrammarRequest, str]:
        """(the request for whole texts, the text so far that this one goes on with, if any). Raises GrammarError.

        So all turns of an agent have one grammar.
        """
        agent = self.agent()
        if agent is None:
            return self, ""
        members: dict[str, Any] = {"agent": agent.source}
        if agent.tools is not None:
            members["tools"] = json.loads(agent.tools)
        return replace(self, text=f"{_AGENT} {json.dumps(members)}"), agent.trace

    def grammar(self) -> Grammar:
        """Reads it. Raises GrammarError (of all kinds) and LimitError for what the request's author wrote."""
        options = dict(self.options)
        kind, text = self.kind, self.text
        try:
            if kind is RequestKind.JSON_SCHEMA:
                return Grammar.from_json_schema(text, **options)
            if kind is RequestKind.JSON_OBJECT:
                return Grammar.from_json_schema({"type": "object"}, **options)
            if kind is RequestKind.STRUCTURAL_TAG:
                return Grammar.from_structural_tag(text, **options)
            if kind is RequestKind.CHOICE:
                return Grammar.from_choices(_choices(text))
            if kind is RequestKind.REGEX:
                return Grammar.from_regex(text)
            agent = self.agent()
            if agent is not None:
                return agent.spec().grammar
            return Grammar.from_ebnf(text) if _is_ebnf(text) else Grammar.from_lark(text)
        except (TypeError, ValueError) as error:  # an option, or a member, of a wrong type or value
            raise GrammarError(str(error)) from error


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """An agent that a request asks for. source : YAML, s-expressions, or a name. tools : JSON, or None. trace : the
    agent's text so far."""

    source: str
    tools: str | None
    trace: str

    def spec(self) -> AgentSpec:
        """The specification. Raises GrammarError."""
        tools = None if self.tools is None else json.loads(self.tools)
        source = self.source.strip()
        if source.startswith("("):
            spec = AgentSpec.from_lisp(source)
            return spec if tools is None else spec.with_tools(tools)
        if "\n" in source:  # of one line, it would be the name of a file
            return AgentSpec.from_yaml(source, tools=tools)
        return AgentSpec.ready(source, tools=tools)


def agent_request(text: str) -> AgentRequest | None:
    """The agent that the text of a grammar asks for; None if it is another grammar. Raises GrammarError."""
    head = text.lstrip()
    if not re.match(_AGENT + r"\b", head):
        return None
    body = head[len(_AGENT) :].strip()
    if not body.startswith("{"):
        return AgentRequest(body, None, "")
    members = json_of(body, "what stands behind %agent")
    unknown = sorted(members.keys() - {"agent", "tools", "trace"})
    if unknown:
        raise GrammarError(f"{unknown[0]!r} is no member of an agent request: there are agent, tools and trace")
    source, trace, tools = members.get("agent"), members.get("trace", ""), members.get("tools")
    if not isinstance(source, str) or not isinstance(trace, str):
        raise GrammarError('an agent request has an "agent", the text of a specification or a name, and a text "trace"')
    return AgentRequest(source, None if tools is None else json.dumps(tools), trace)


def json_of(text: str, what: str) -> dict[str, Any]:
    """The JSON object of a text. Raises GrammarError with the place."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise GrammarError(f"{what} is not JSON: {error.msg}", text=text, offset=error.pos) from None
    except RecursionError:
        raise GrammarError(f"{what} is nested too deeply") from None
    except ValueError as error:  # a number of too many digits
        raise GrammarError(f"{what} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise GrammarError(f"{what} is a JSON object, not {text[:40]!r}")
    return value


def _check(options: Mapping[str, Any]) -> None:
    if not options:
        return
    from ..grammar.json_schema import SchemaOptions

    try:
        SchemaOptions(**options).verify()
    except (TypeError, ValueError) as error:
        raise GrammarError(str(error)) from error


def _choices(text: str) -> list[str]:
    try:
        choices = json.loads(text)
    except (ValueError, RecursionError):
        choices = None
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise GrammarError(f"choices are a JSON list of texts, not {text[:80]!r}")
    return choices


def _is_ebnf(text: str) -> bool:
    """Whether a rule is written with `::=`, outside of literals and comments."""
    return "::=" in _LITERAL.sub("", text)
