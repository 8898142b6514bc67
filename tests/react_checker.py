"""Whether a text is a finished trace of ReAct with two toy tools: plain Python, which shares nothing with bridle.

A trace is `Question`, up to eight times `Thought`, `Action`, `Action Input`, `Observation`, then `Thought` and `Final
Answer`, each on a line of its own behind its name and a colon. No call is repeated, arguments are what the tool takes,
and what the observation says is what the tool has said.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["TOOLS", "fault_of"]

NAMES = ("Question", "Thought", "Action", "Action Input", "Observation", "Final Answer")
_MARK = re.compile("(" + "|".join(re.escape(name) + ":" for name in sorted(NAMES, key=len, reverse=True)) + ")")
_ORDER = re.compile("Q(TAIO){0,8}TF")
_LETTERS = dict(zip(NAMES, "QTAIOF"))


def calculator(a: int, b: int) -> int:
    """The sum."""
    return a + b


def get_weather(city: str) -> str:
    """As good as any other forecast."""
    return f"{10 + len(city)} C and {'sunny' if len(city) % 2 else 'cloudy'}"


TOOLS = {"calculator": calculator, "get_weather": get_weather}
_TAKES: dict[str, dict[str, type]] = {"calculator": {"a": int, "b": int}, "get_weather": {"city": str}}


def fault_of(text: str) -> str:
    """What is wrong with a trace; "" if nothing is."""
    parts = _MARK.split(text)
    if parts[0]:
        return "something stands before the first step"
    names, contents = [mark[:-1] for mark in parts[1::2]], parts[2::2]
    for at, content in enumerate(contents):
        if not content.startswith(" ") or (at + 1 < len(contents) and not content.endswith("\n")):
            return f"step {at + 1} does not stand on lines of its own"
    contents = [content[1:-1] if at + 1 < len(contents) else content[1:] for at, content in enumerate(contents)]
    if not _ORDER.fullmatch("".join(_LETTERS[name] for name in names)):
        return f"the steps are {', '.join(names)}"
    calls = []
    for at, name in enumerate(names):
        if name == "Action":
            tool, written, said = contents[at : at + 3]
            fault = _fault_of_call(tool, written, said)
            if fault:
                return f"step {at + 1}: {fault}"
            calls.append((tool, json.dumps(_arguments(written), sort_keys=True)))
    return "a call is repeated" if len(set(calls)) < len(calls) else ""


def _fault_of_call(tool: str, written: str, said: str) -> str:
    if tool not in TOOLS:
        return f"there is no tool {tool!r}"
    arguments = _arguments(written)
    takes = _TAKES[tool]
    if not isinstance(arguments, dict) or set(arguments) != set(takes):
        return f"these are no arguments of {tool}: {written!r}"
    if any(type(arguments[name]) is not kind for name, kind in takes.items()):
        return f"these are no arguments of {tool}: {written!r}"
    if said != str(TOOLS[tool](**arguments)):
        return f"{tool} has not said {said!r}"
    return ""


def _arguments(written: str) -> Any:
    """The value of a JSON text; a number that is whole is an int, however it is written."""
    try:
        return json.loads(written, parse_float=lambda text: int(float(text)) if float(text).is_integer() else text)
    except ValueError:
        return None
