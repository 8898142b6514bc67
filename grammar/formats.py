"""The languages of JSON Schema's standard formats, as automata of string values (not of their JSON spellings).

Every name that a draft from 4 to 2020-12 defines is known under every draft. A language is never wider than its
format's: what an automaton of bearable size cannot hold is left out, and `format_note` says what that is.

Cost: 1 to 20 ms per format when it is first asked for, those of internationalized names up to 150; then a look-up.

Source: JSON Schema Validation 2020-12, section 7.3; the RFCs that it names are cited where each language is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import Regular, compile_regular
from . import formats_time, formats_uri
from .regex_syntax import fullmatch_language

__all__ = ["FORMATS", "format_language", "format_note"]

_POINTER = "(?:/(?:[^/~]|~[01])*)*"


def _json_pointer() -> Regular:
    """RFC 6901, section 3."""
    return fullmatch_language(_POINTER.replace("[^/~]", "[^~/]"), "ecma")


