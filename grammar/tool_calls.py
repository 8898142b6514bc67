"""Tool calls in the formats that models were trained on, as structural tags with the user's tools filled in.

A format is a file in tool_formats/: its title, its sources, the special tokens that its marks show, how reasoning is
marked (if it is a block before the answer), and the structural tag. In that,

    {"for_each_tool": [tags…]}      in a list: the tags once for each tool, ${name} and "${parameters}" filled in
    {"with_reasoning": […]}         in a list: what is there only if the model may reason
    "${required}"  "${one}"         true or false: whether a call must come, whether one at the most may

`required` and `one`, where a file has them, are the structural tags to be used for these.

Marks are spelled as they are shown. Where the vocabulary has the format's special tokens as such, they are these tokens
when the grammar is compiled; where it has not (`<tool_call>` is ordinary text in Qwen's), they are text (tag_marks.py).
No other special token ever comes, whatever a tool is named.
Adding a format: add a file. Its name is the format's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from ..automata.errors import GrammarError, LimitError
from .arguments import expect_text
from .grammar import Grammar

__all__ = ["named_tools", "tool_calls", "tool_formats"]

# Characters that stand for themselves within JSON, XML and between marks.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
# What OpenAI, Anthropic and the Model Context Protocol call the schema of the arguments.
_PARAMETERS = ("parameters", "input_schema", "inputSchema")
_ANY_OBJECT = {"type": "object"}


@cache
def _folder() -> Any:
    return files(__package__).joinpath("tool_formats")


def tool_formats() -> dict[str, str]:
    """The names of the formats that `tool_calls` knows, each with what it is."""
    names = sorted(file.name.removesuffix(".json") for file in _folder().iterdir() if file.name.endswith(".json"))
    return {name: _format(name)["title"] for name in names}


@cache
def _format(name: str) -> dict[str, Any]:
    return json.loads(_folder().joinpath(f"{name}.json").read_text(encoding="utf-8"))


def tool_calls(
    format: str,
    tools: Sequence[Mapping[str, Any]],
    *,
    choice: str = "auto",
    parallel: bool = True,
    reasoning: bool | Literal["optional", "opened"] = False,
    **options: Any,
) -> Grammar:
    """What a model may answer that may call tools: free text and calls, each with arguments by the tool's schema.

    format : how the model writes calls, one of `tool_formats()`.
    tools : {"name", "parameters"} of each, parameters a JSON schema of an object (any object where it is left out); or
        as OpenAI has it, {"type": "function", "function": {…}}; or with "input_schema" or "inputSchema" instead.
    choice : "auto"; "required", at least one call, which comes at once; or the name of the tool that has to be called.
    parallel : whether there may be several calls; if not, a call is the end.
    reasoning : True, a block of it comes first, or there are messages of it; "optional"; "opened", a block that the
        prompt has begun; False, none.
    options : those of Grammar.from_structural_tag and Grammar.from_json_schema, for the parameters. With
        special_tokens=() all marks are text in any vocabulary; by default those are tokens that the model has as such.
    Raises GrammarError and what Grammar.from_structural_tag raises. What is wrong with a tool has a pointer into
    {"tools": tools}: /tools/0/function/parameters/type.
    """
    known = tool_formats()
    if expect_text(format, "a format of tool calls") not in known:
        near = get_close_matches(format, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise GrammarError(f"no format of tool calls is named {format!r}; {hint}")
    if reasoning not in (False, True, "optional", "opened"):
        raise GrammarError(f'reasoning is True, False, "optional" or "opened", not {reasoning!r}')
    about = _format(format)
    named = _named(tools)
    if choice not in ("auto", "required"):
        if choice not in named:
            raise GrammarError(f"choice is auto, required or one of the tools {', '.join(named)}, not {choice!r}")
        named = {choice: named[choice]}
    required = choice != "auto"
    parallel = parallel and choice in ("auto", "required")
    which = "required" if required else "format" if parallel else "one"
    parameters = {name: tool.parameters for name, tool in named.items()}
    filled = _Filling(parameters, {"${required}": required, "${one}": not parallel}, reasoning is not False)
    tag = _after_reasoning(format, about, reasoning, filled.value(about.get(which, about["format"])))
    options.setdefault("special_tokens", about["special_tokens"])
    grammar = _with_places(tag, named, options)
    grammar.source = f"tool calls as {format} writes them: {', '.join(named)}"
    return grammar


class _Tool(NamedTuple):
    """parameters : the schema of its arguments. pointer : where that is."""

    parameters: Any
    pointer: str


def named_tools(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of each tool by its name. Raises GrammarError for what is no tool, and for a name that recurs."""
    return {name: tool.parameters for name, tool in _named(tools).items()}


def _named(tools: Sequence[Mapping[str, Any]]) -> dict[str, _Tool]:
    """The tools by name. Raises as named_tools does."""
    found: dict[str, _Tool] = {}
    for i, tool in enumerate(tools):
        inner, pointer = tool, f"/tools/{i}"
        if isinstance(tool, Mapping) and "function" in tool:
            inner, pointer = tool["function"], f"{pointer}/function"
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if not isinstance(inner, Mapping) or not isinstance(name, str):
            raise GrammarError('a tool is a dict with a "name" and "parameters"', pointer=pointer)
        if _NAME.fullmatch(name) is None:
            raise GrammarError(
                f"the name {name!r} of a tool is not of letters, digits and _.:/- alone", pointer=f"{pointer}/name"
            )
        if name in found:
            raise GrammarError(f"two tools are named {name!r}", pointer=f"{pointer}/name")
        found[name] = _parameters_of(inner, pointer)
    if not found:
        raise GrammarError("there are no tools: where none is to be called, any text will do")
    return found


def _parameters_of(tool: Mapping[str, Any], pointer: str) -> _Tool:
    """The schema of a tool's arguments. Raises GrammarError for one that is misnamed, or is not of objects."""
    key = next((key for key in _PARAMETERS if tool.get(key) is not None), None)
    if key is None:
        near = [other for other in tool if get_close_matches(str(other), _PARAMETERS, n=1, cutoff=0.75)]
        misnamed = [other for other in near if other not in _PARAMETERS]
        if misnamed:
            raise GrammarError(f'{misnamed[0]!r} is no part of a tool: did you mean "parameters"?', pointer=pointer)
        return _Tool(_ANY_OBJECT, pointer)
    schema = tool[key]
    if isinstance(schema, Mapping) and schema.get("type", "object") not in ("object", ["object"]):
        raise GrammarError(
            f'the arguments of a tool are an object: its schema has "type": "object", not {schema["type"]!r}',
            pointer=f"{pointer}/{key}/type",
        )
    return _Tool(schema, f"{pointer}/{key}")


def _with_places(tag: dict[str, Any], tools: Mapping[str, _Tool], options: dict[str, Any]) -> Grammar:
    """The grammar of a filled template. What is told of a schema in it is told of the tool that it is of."""
    try:
        grammar = Grammar.from_structural_tag(tag, **options)
    except GrammarError as error:
        name, error.pointer = _place_in_tools(tag, tools, error.pointer)
        if name is not None:
            error.message = f"tool {name!r}: {error.message}"
        raise
    except LimitError as error:
        place, *more = (error.place or "").split(", ", 1)
        name, pointer = _place_in_tools(tag, tools, place)
        if name is not None:
            error.place = ", ".join([f"{pointer} (tool {name!r})", *more])
        raise
    gaps = [gap._replace(pointer=_place_in_tools(tag, tools, gap.pointer)[1] or "") for gap in grammar.unenforced]
    grammar.unenforced = tuple(dict.fromkeys(gaps))
    return grammar


def _place_in_tools(tag: Any, tools: Mapping[str, _Tool], pointer: str | None) -> tuple[str | None, str | None]:
    """The tool whose schema a pointer into the structural tag leads into, and the pointer into the tools."""
    steps = (pointer or "").split("/")[1:]
    found = tag
    for i, step in enumerate(steps, 1):
        found = found[int(step)] if isinstance(found, list) else found.get(step)
        for name, tool in tools.items():
            if found is tool.parameters and found is not _ANY_OBJECT:
                return name, "/".join([tool.pointer, *steps[i:]])
        if not isinstance(found, (dict, list)):
            break
    return None, pointer


class _Filling:
    """The template of a format with the tools in it."""

    def __init__(self, tools: Mapping[str, Any], flags: Mapping[str, bool], reasons: bool) -> None:
        self.tools, self.flags, self.reasons = tools, flags, reasons

    def value(self, template: Any, tool: str = "") -> Any:
        if isinstance(template, dict):
            return {name: self.value(item, tool) for name, item in template.items()}
        if isinstance(template, list):
            return [made for item in template for made in self.items(item, tool)]
        if isinstance(template, str):
            if template == "${parameters}":
                return self.tools[tool]
            return self.flags[template] if template in self.flags else template.replace("${name}", tool)
        return template

    def items(self, template: Any, tool: str) -> list[Any]:
        """What an item of a list becomes."""
        if isinstance(template, dict) and "for_each_tool" in template:
            return [self.value(item, name) for name in self.tools for item in template["for_each_tool"]]
        if isinstance(template, dict) and "with_reasoning" in template:
            return [self.value(item, tool) for item in template["with_reasoning"]] if self.reasons else []
        return [self.value(template, tool)]


def _after_reasoning(
    format: str, about: Mapping[str, Any], reasoning: bool | str, answer: dict[str, Any]
) -> dict[str, Any]:
    """The structural tag of an answer with a block of reasoning before it."""
    marks = about.get("reasoning")
    if reasoning is False or (marks is None and "with_reasoning" in json.dumps(about)):
        return answer
    if marks is None:
        raise GrammarError(f"{format} has no marks for reasoning; leave reasoning out")
    begin, end = marks["begin"], marks["end"]
    thoughts = {"type": "any_text", "excludes": [begin]}
    block = [{"type": "tag", "begin": "" if reasoning == "opened" else begin, "content": thoughts, "end": end}]
    if marks["then"]:
        block.append({"type": "const_string", "value": marks["then"]})
    if reasoning == "optional":
        block = [{"type": "optional", "content": {"type": "sequence", "elements": block}}]
    return {"type": "sequence", "elements": [*block, answer]}
