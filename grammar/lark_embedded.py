"""What stands in the rules of a Lark grammar and is no terminal of Lark's: schemas, spans of documents, special tokens.

Each is a terminal to lark's loader, and a state or an automaton of its own here: nothing competes with it, and nothing
is ignored within it.
"""

from __future__ import annotations

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.compiled import compile_grammar
from ..automata.errors import GrammarError, UnsupportedError
from ..automata.fragment import Payload
from ..automata.matcher import Matcher
from ..automata.regular import alternation, compile_regular
from .choices import leaf_of
from .lark_text import LarkText, Schema, Spans, Tokens
from .substring import span_automaton
from .validation import Reading, byte_vocabulary

__all__ = ["embedded_leaf", "first_bytes_of"]


def embedded_leaf(found: Schema | Spans | Tokens, source: LarkText) -> ByteDfa | Payload:
    """The texts of one of them, but for the empty one. Raises GrammarError with the place."""
    if isinstance(found, Tokens):
        return compile_regular(alternation(*[token.language for token in found.tokens]))
    try:
        return _schema(found) if isinstance(found, Schema) else _spans(found)
    except UnsupportedError as error:
        place = f" at {error.pointer or 'the root'}"
        what = f"{error.what} ({found.what}{place})"
        raise UnsupportedError(what, error.reason, text=source.original, offset=found.offset) from error
    except GrammarError as error:
        place = f" at {error.pointer or 'the root'}" if error.pointer is not None else ""
        message = f"{found.what}: {error.message}{place}"
        raise type(error)(message, text=source.original, offset=found.offset) from error


def _schema(found: Schema) -> Payload:
    from .json_schema import SchemaOptions, read_schema

    root = read_schema(found.text, SchemaOptions()).root
    assert root is not None
    return root  # type: ignore[return-value]


def _spans(found: Spans) -> ByteDfa | Payload:
    return leaf_of(span_automaton(found.documents, found.by, accepts_empty=False))


def first_bytes_of(payload: Payload) -> frozenset[int]:
    """The bytes that the texts of a state of another front end begin with."""
    allowed = Matcher(compile_grammar(Reading(payload, ()), byte_vocabulary())).next_bytes()
    return frozenset(np.flatnonzero(allowed[:256]).tolist())
