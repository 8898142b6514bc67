"""Attributes of rules, `name[lazy, capture="x"]`, as EBNF and Lark texts have them: read, and what they do to a text.

    lazy               the texts of the body that do not begin with another one of them
    suffix="x"         a text of the body, then x, as early as x comes
    stop="x"           the same without the x
    capture            what is read as the rule has its name in captures; capture="name", this one
    temperature=0.7    while a text of the rule is in progress, its temperature is this

Source: llguidance docs/syntax.md.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, UnsupportedError

__all__ = ["Attributes", "read_attributes", "shortest"]

_ATTRIBUTE = re.compile(
    r"""\s*(?P<name>[a-z_]+)\s*(?:=\s*(?P<value>"(?:\\.|[^"\\\n])*"|/(?:\\/|\\\\|[^/])*/|[\w.]+))?\s*"""
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_KNOWN = ("lazy", "suffix", "stop", "capture", "temperature")


@dataclass(frozen=True, slots=True)
class Attributes:
    """suffix, stop, capture, temperature : None where there is none; capture "" is the rule's name. offset : of `[`."""

    offset: int
    lazy: bool = False
    suffix: str | None = None
    stop: str | None = None
    capture: str | None = None
    temperature: float | None = None

    @property
    def shape(self) -> bool:
        """Whether they change the language."""
        return bool(self.lazy or self.suffix or self.stop)


def read_attributes(text: str, at: int) -> tuple[Attributes, int]:
    """The attributes in the brackets that open at an offset, and the offset behind these.

    Raises GrammarError and UnsupportedError with the place.
    """
    begin, at = at, at + 1
    found: dict[str, str | None] = {}
    while True:
        item = _ATTRIBUTE.match(text, at)
        if item is None:
            raise GrammarError(f"expected an attribute: {', '.join(_KNOWN)}", text=text, offset=at)
        found[item["name"]] = _value(text, item)
        at = item.end()
        if text.startswith("]", at):
            break
        if not text.startswith(",", at):
            raise GrammarError("expected ',' or ']' after an attribute", text=text, offset=at)
        at += 1
    if "suffix" in found and "stop" in found:
        raise GrammarError("a rule has a suffix or a stop, not both", text=text, offset=begin)
    capture, temperature = found.get("capture"), found.get("temperature")
    attributes = Attributes(
        begin,
        "lazy" in found,
        found.get("suffix") or None,
        found.get("stop") or None,
        (capture or "") if "capture" in found else None,
        None if temperature is None else float(temperature),
    )
    return attributes, at + 1


def _value(text: str, item: re.Match[str]) -> str | None:
    """The value of one attribute, unquoted; None where it has none."""
    name, value, begin = item["name"], item["value"], item.start("name")
    if name == "max_tokens":
        reason = "how many tokens a text has is no property of it; Matcher(max_tokens=…) counts those of all of it"
        raise UnsupportedError("the attribute max_tokens", reason, text=text, offset=begin)
    if name not in (*_KNOWN, "stop_capture"):
        raise GrammarError(f"unknown attribute {name!r}; there are {', '.join(_KNOWN)}", text=text, offset=begin)
    if name == "temperature" and (value is None or not _NUMBER.fullmatch(value) or math.isinf(float(value))):
        raise GrammarError("a temperature is a finite number from 0 on: temperature=0.7", text=text, offset=begin)
    if name in ("suffix", "stop") and (value is None or not value.startswith('"')):
        raise UnsupportedError(f"{name} that is no string", 'write it as "…"', text=text, offset=begin)
    if value is None or not value.startswith('"'):
        return value
    try:
        string = str(json.loads(value))
        string.encode()
    except json.JSONDecodeError as error:
        offset = item.start("value") + error.pos
        raise GrammarError(f"malformed string: {error.msg}", text=text, offset=offset) from None
    except UnicodeEncodeError:
        message = "a lone surrogate cannot be generated"
        raise GrammarError(message, text=text, offset=item.start("value")) from None
    return string


def shortest(body: ByteDfa, attributes: Attributes) -> ByteDfa:
    """The texts of a rule's body that end as early as its attributes say: without the stop, where there is one."""
    from ..automata.minimize import minimized  # imports numba

    end = (attributes.suffix or attributes.stop or "").encode()
    dfa = regular.compile_regular(regular.concatenation(regular.Language(body), regular.literal(end)))
    table = dfa.table.copy()
    table[dfa.accepting != 0] = 0
    found = minimized(table, dfa.accepting.copy(), dfa.byte_class.copy())
    if attributes.stop is None:
        return found
    before = np.array([found.accepting[found.state_after(end, s)] if s else 0 for s in range(found.n_states)])
    return minimized(found.table.copy(), before.astype(np.uint8), found.byte_class.copy())
