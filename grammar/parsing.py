"""Texts as values: what `Grammar.parse` does with a text.

A grammar that was made of a Python type or of a template brings what makes its values. Of any other, JSON is read as
JSON, and the rest is the text itself, once it is known to be a sentence.
"""

from __future__ import annotations

import json
from typing import Any

from .grammar import Grammar
from .python_types import ParseError, decoded
from .validation import validate

__all__ = ["check_sentence", "parsed"]


def parsed(grammar: Grammar, text: str | bytes) -> Any:
    """As Grammar.parse says."""
    text = decoded(text)
    if grammar._parse is not None:
        return grammar._parse(grammar, text)
    check_sentence(grammar, text)
    return json.loads(text) if grammar.is_json else text


def check_sentence(grammar: Grammar, text: str) -> None:
    """Raises ParseError with the place unless a text is a sentence."""
    data = text.encode("utf-8", "surrogatepass")
    verdict = validate(grammar, data, as_generated=bool(grammar.special_tokens))  # else they could not be shown
    if not verdict.ok:
        fault = "the text ends too early" if verdict.offset == len(data) else "this may not stand here"
        at = len(data[: verdict.offset].decode("utf-8", "ignore"))
        expected = ", ".join(verdict.expected[:8])
        raise ParseError(f"{fault}; expected: {expected}", text=text, offset=at, pointer=verdict.place or None)
