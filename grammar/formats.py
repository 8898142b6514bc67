"""The languages of JSON Schema's standard formats, as automata of string values (not of their JSON spellings).

Every name that a draft from 4 to 2020-12 defines is known under every draft. A language is never wider than its
format's: what an automaton of bearable size cannot hold is left out, and `format_note` says what that is.

Cost: up to 20 ms per format when it is first asked for on a machine, 150 for internationalized names; up to 1 ms (8) in
a process that finds it in the cache on disk; then a look-up.

Source: JSON Schema Validation 2020-12, section 7.3; the RFCs that it names are cited where each language is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import Regular, compile_regular
from . import formats_host, formats_idn, formats_regex, formats_time, formats_uri
from .json_text import json_spelled, quoted
from .kept_automata import kept
from .kept_digests import SPELLINGS, VALUES
from .regex_syntax import fullmatch_language

__all__ = ["FORMATS", "format_language", "format_note", "format_strings"]

_POINTER = "(?:/(?:[^/~]|~[01])*)*"
_HEX = "[0-9A-Fa-f]"


def _uuid() -> Regular:
    """RFC 4122, section 3: the grammar binds neither version nor variant."""
    return fullmatch_language(f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}", "ecma")


def _json_pointer() -> Regular:
    """RFC 6901, section 3."""
    return fullmatch_language(_POINTER, "ecma")


def _relative_json_pointer() -> Regular:
    """What all versions of the draft (handrews-00 to bhutton-00) have; the last ones let +n or -n follow the number."""
    return fullmatch_language(f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})", "ecma")


_LANGUAGES: dict[str, tuple[Callable[[], Regular], str | None]] = {
    "date": (formats_time.date, None),
    "date-time": (formats_time.date_time, formats_time.LEAP_SECOND_NOTE),
    "duration": (formats_time.duration, "designators are capitals"),
    "email": (formats_host.email, formats_host.EMAIL_NOTE),
    "hostname": (formats_host.hostname, formats_host.HOSTNAME_NOTE),
    "idn-email": (formats_idn.idn_email, formats_idn.IDN_EMAIL_NOTE),
    "idn-hostname": (formats_idn.idn_hostname, formats_idn.IDN_HOSTNAME_NOTE),
    "ipv4": (formats_uri.ipv4, None),
    "ipv6": (formats_uri.ipv6, None),
    "iri": (formats_uri.iri, None),
    "iri-reference": (formats_uri.iri_reference, None),
    "json-pointer": (_json_pointer, None),
    "regex": (formats_regex.regex, formats_regex.REGEX_NOTE),
    "relative-json-pointer": (_relative_json_pointer, "the number is not followed by +n or -n, as only 2020-12 has it"),
    "time": (formats_time.time, formats_time.LEAP_SECOND_NOTE),
    "uri": (formats_uri.uri, None),
    "uri-reference": (formats_uri.uri_reference, None),
    "uri-template": (formats_uri.uri_template, "operators reserved for extensions (= , ! @ |) are left out"),
    "uuid": (_uuid, None),
}
FORMATS = frozenset(_LANGUAGES)


@cache
def format_language(name: str) -> ByteDfa:
    """The values of a format. Raises KeyError for a name that is not in FORMATS."""
    return kept(f"{name}-values", VALUES[name], lambda: compile_regular(_LANGUAGES[name][0]()))


@cache
def format_strings(name: str) -> ByteDfa:
    """The JSON strings of a format, quotes included. Raises KeyError for a name that is not in FORMATS."""
    return kept(f"{name}-strings", SPELLINGS[name], lambda: quoted(json_spelled(format_language(name))))


def format_note(name: str) -> str | None:
    """What the language of a format leaves out, in words for the user's notes; None where it is the whole format.

    Raises KeyError for a name that is not in FORMATS.
    """
    return _LANGUAGES[name][1]
