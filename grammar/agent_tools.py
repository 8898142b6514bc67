"""The tools of an agent: what a user gives as tools, as schemas of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..automata.errors import GrammarError
from .tool_calls import named_tools

__all__ = ["schema_of_callable", "schemas_of"]


def schemas_of(tools: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """The schema of the arguments of each tool, by its name.

    tools : {name: callable or schema}, or a list of callables and of descriptions as `tool_calls` takes them.
    Raises GrammarError for what is no tool.
    """
    if isinstance(tools, Mapping):
        described: list[Any] = [_described(name, tool) for name, tool in tools.items()]
    else:
        described = [_described(tool.__name__, tool) if inspect.isroutine(tool) else tool for tool in tools]
    return named_tools(described)


def _described(name: str, tool: Any) -> dict[str, Any]:
    if callable(tool):
        return {"name": name, "parameters": schema_of_callable(tool)}
    if not isinstance(tool, Mapping):
        raise GrammarError(f"the tool {name!r} is a callable or a schema of its arguments, not {type(tool).__name__}")
    return {"name": name, "parameters": dict(tool)}


def schema_of_callable(tool: Callable[..., Any]) -> dict[str, Any]:
    """The schema of the arguments that a callable takes by name: pydantic's reading of its signature.

    Raises GrammarError for one that takes arguments by place alone, or that pydantic cannot read.
    """
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        schema = TypeAdapter(cast("Any", tool)).json_schema()  # a signature is no type, but is read as one
    except (PydanticUserError, NameError, TypeError) as error:
        name = getattr(tool, "__name__", repr(tool))
        raise GrammarError(f"the signature of the tool {name} cannot be read: {error}") from None
    if schema.get("type") != "object":
        raise GrammarError(f"the tool {getattr(tool, '__name__', tool)!r} has arguments that have no names")
    return schema
