"""Specifications of agents in YAML; docs/agents.md has the format.

The text is composed to nodes, which know where they stand, and made into values as YAML's core schema has it; pydantic
says what is malformed, and every fault, of a formula or a pattern inside, too, is told with its line and a caret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from ..automata.errors import GrammarError, LimitError
from .agent_contents import Content, FreeText, Quote, References, ToolArguments, ToolName, content_of
from .agent_spec import AgentSpec, AgentState
from .agent_tools import schemas_of
from .grammar import Grammar
from .ltlf_syntax import parse
from .trace_syntax import parse_expression

__all__ = ["read_ready", "read_yaml", "ready_agents"]

_Made = TypeVar("_Made")
_Place = tuple["str | int", ...]
# YAML is read at 10 to 30 us a character.
_LONGEST, _MOST_VALUES = 1 << 17, 100_000


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Regex(_Model):
    regex: str


class _Choices(_Model):
    choices: list[str] = Field(min_length=1)


class _Schema(_Model):
    json_schema: dict[str, Any] | bool


class _Ebnf(_Model):
    ebnf: str


class _Tool(_Model):
    tool: Literal["name", "arguments"]
    of: str | None = None
    once: bool = False
    among: list[str] | None = None


class _Quote(_Model):
    quote: str | list[str]
    by: Literal["char", "word", "line"] = "word"


class _References(_Model):
    references: str
    to: str
    current: bool = False


_KINDS = {
    "regex": _Regex, "choices": _Choices, "json_schema": _Schema, "ebnf": _Ebnf, "tool": _Tool, "quote": _Quote,
    "references": _References,
}  # fmt: skip


def _kind(value: Any) -> str | None:
    if value == "text":
        return "text"
    return next((kind for kind in _KINDS if isinstance(value, Mapping) and kind in value), None)


_Content = Annotated[
    Annotated[Literal["text"], Tag("text")]
    | Annotated[_Regex, Tag("regex")]
    | Annotated[_Choices, Tag("choices")]
    | Annotated[_Schema, Tag("json_schema")]
    | Annotated[_Ebnf, Tag("ebnf")]
    | Annotated[_Tool, Tag("tool")]
    | Annotated[_Quote, Tag("quote")]
    | Annotated[_References, Tag("references")],
    Discriminator(
        _kind,
        custom_error_type="content",
        custom_error_message=f'a content is "text", or a mapping with one of {", ".join(_KINDS)}',
    ),
]


class _State(_Model):
    text: str = Field(min_length=1)
    content: _Content = "text"
    env: bool = False
    final: bool = False


class _Behavior(_Model):
    expression: str | None = None
    formulas: dict[str, str] = Field(default_factory=dict)


class _Agent(_Model):
    agent: str = Field(min_length=1)
    description: str = ""
    separator: str = "\n"
    space: str = " "
    states: dict[str, _State] = Field(min_length=1)
    behavior: _Behavior = Field(default_factory=_Behavior)
    tools: dict[str, dict[str, Any]] = Field(default_factory=dict)


# ------------------------------------------------------------------------------------------------ ready ones


@cache
def _folder() -> Any:
    return files(__package__).joinpath("agents")


def ready_agents() -> dict[str, str]:
    """The names of the specifications that come with the package, each with what it is."""
    names = sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))
    return {name: read_ready(name).description for name in names}


@cache
def read_ready(name: str) -> AgentSpec:
    """The ready specification of that name. Raises GrammarError if there is none."""
    ready = {file.name.removesuffix(".yaml"): file for file in _folder().iterdir() if file.name.endswith(".yaml")}
    if name not in ready:
        names = sorted(ready)
        near = get_close_matches(name, names, n=1) if len(name) < 80 else []
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise GrammarError(f"no agent named {name[:80]!r} comes with the package; {hint}")
    return read_yaml(ready[name].read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------ reading


def read_yaml(source: str | os.PathLike[str]) -> AgentSpec:
    """As AgentSpec.from_yaml says."""
    is_text = isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{"))
    text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
    return _Reader(text).spec()


class _Reader:
    """text : the document. places : where the value at a path of keys and indexes begins and ends in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[_Place, tuple[int, int]] = {}
        self.keys: dict[_Place, int] = {}

    def spec(self) -> AgentSpec:
        """The specification that the document is."""
        try:
            model = _Agent.model_validate(self._value())
        except ValidationError as error:
            raise self._malformed(error) from None
        letters = tuple(model.states)
        behavior = model.behavior
        formulas = {
            name: self._at(("behavior", "formulas", name), partial(parse, formula, letters))
            for name, formula in behavior.formulas.items()
        }
        expression = behavior.expression and self._at(
            ("behavior", "expression"), lambda: parse_expression(behavior.expression or "", letters)
        )
        states = tuple(
            self._at(("states", name), partial(self._state, name, state)) for name, state in model.states.items()
        )
        tools = self._at(("tools",), lambda: schemas_of(model.tools)) if model.tools else {}

        def made() -> AgentSpec:
            spec = AgentSpec(
                model.agent,
                states,
                formulas,
                expression or None,
                tools,
                model.separator,
                model.space,
                model.description,
            )
            _ = spec.automaton
            return spec

        return self._at(("behavior",) if ("behavior",) in self.places else (), made)

    def _state(self, name: str, state: _State) -> AgentState:
        found = self._at(("states", name, "content"), lambda: _content(name, state.content))
        return AgentState(name, state.text, found, state.env, state.final)

    def _at(self, place: _Place, make: Callable[[], _Made]) -> _Made:
        """What is made of the value at a place; its faults get that place."""
        try:
            return make()
        except GrammarError as error:
            if error.text is self.text:
                raise
            while place not in self.places and place:
                place = place[:-1]
            begin, end = self.places.get(place, (0, 0))
            # What the value says stands there as it is, unless it is quoted or folded with escapes.
            inner = self.text.find(error.text, begin, end) if error.text else -1
            if inner >= 0:
                begin = inner + (error.offset or 0)
            raise error.moved(self.text, begin) from None

    # -------------------------------------------------------------------------------------------- values

    def _value(self) -> Any:
        if len(self.text) > _LONGEST:
            raise LimitError("characters of a specification in YAML", len(self.text), _LONGEST)
        try:
            loader = _UniqueKeys(self.text)
            node = loader.get_single_node()
            if node is None:
                raise GrammarError("the document is empty", text=self.text, offset=0)
            self._note(node, ())
            return loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"this is not YAML: {error.problem or error}"
            raise GrammarError(message, text=self.text, offset=mark.index if mark else 0) from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise GrammarError(f"this is not YAML: {error}", text=self.text, offset=0) from None

    def _note(self, node: yaml.Node, place: _Place) -> None:
        if len(self.places) >= _MOST_VALUES:
            raise LimitError("values of a specification, aliases written out", _MOST_VALUES + 1, _MOST_VALUES)
        self.places[place] = node.start_mark.index, node.end_mark.index
        if isinstance(node, yaml.MappingNode):
            for name, _ in node.value:
                if isinstance(name, yaml.ScalarNode):
                    self.keys[(*place, name.value)] = name.start_mark.index
        for key, child in _children(node):
            self._note(child, (*place, key))

    def _malformed(self, error: ValidationError) -> GrammarError:
        """The first fault that pydantic has found, at its place; what unions add to a path is not in the document."""
        fault = error.errors(include_url=False)[0]
        place: _Place = ()
        for part in fault["loc"]:
            if (*place, part) in self.places:
                place = (*place, part)
        name = ".".join(map(str, place)) or "the document"
        last = str(fault["loc"][-1]) if fault["loc"] else ""
        message = {
            "missing": f"{name} needs {last!r}",
            "extra_forbidden": f"{name} is nothing that stands here",
        }.get(fault["type"], f"{name}: {fault['msg']}")
        begin = self.places[place][0]
        if fault["type"] == "extra_forbidden":
            begin = self.keys.get(place, begin)
        return GrammarError(message, text=self.text, offset=begin)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which no key stands twice in a mapping, and words are what the core schema of YAML 1.2 says."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a word here", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _resolve_words() -> None:
    """Nothing but these is no text: `yes` and `on` are words, and so is 2024-01-01."""
    integer = r"[-+]?(?:0|[1-9][0-9]*)"
    number = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    for tag, pattern, first in (
        ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", integer, "-+0123456789"),
        ("float", number, "-+0123456789."),
        ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("merge", "<<", "<"),
    ):
        _UniqueKeys.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})\\Z"), list(first))


_resolve_words()


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        yield from enumerate(node.value)


def _content(name: str, given: Any) -> Content:
    if isinstance(given, _Regex):
        return content_of(Grammar.from_regex(given.regex))
    if isinstance(given, _Choices):
        return content_of(given.choices)
    if isinstance(given, _Schema):
        return content_of(given.json_schema)
    if isinstance(given, _Ebnf):
        return content_of(Grammar.from_ebnf(given.ebnf))
    if isinstance(given, _Quote):
        return Quote((given.quote,) if isinstance(given.quote, str) else tuple(given.quote), given.by)
    if isinstance(given, _References):
        return References(given.references, given.to, given.current)
    return _tool(name, given) if isinstance(given, _Tool) else FreeText()


def _tool(name: str, given: _Tool) -> Content:
    if given.tool == "name":
        if given.of is not None or given.once:
            raise GrammarError(f'"of" and "once" belong to the arguments of a tool, and {name} is its name')
        return ToolName(None if given.among is None else tuple(given.among))
    if given.of is None:
        raise GrammarError(f'the arguments in {name} need "of": the state that names the tool')
    if given.among is not None:
        raise GrammarError('"among" belongs to the name of a tool')
    return ToolArguments(given.of, given.once)
