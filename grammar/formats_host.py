"""The formats of host names and e-mail addresses.

Host names have labels of up to 63 octets and are up to 253 long, which together takes 28,000 states: one for each pair
of a place in the label and a place in the name. Here a label, with the dot after it, is charged as 8, 32 or 64 octets,
and starts at a multiple of its charge: 1,000 states. What is left out are names of many labels; three of any length
and one of 61 are always possible, as are 31 of up to 7 octets.

A label with hyphens as its third and fourth characters is reserved, and among those are the A-labels (`xn--…`). Those
that are valid encode Unicode labels in Punycode, which no automaton of bearable size can decode: all are left out.

The form of an IPv4 address is no host name (RFC 1123).

Source: RFC 1123, section 2.1; RFC 1035, section 2.3.4; RFC 5890, section 2.3.1; RFC 5321, sections 4.1.2, 4.1.3
and 4.5.3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    ANY_CHAR,
    Complement,
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    concatenation,
    literal,
)
from .formats_uri import IPV4
from .regex_syntax import fullmatch_language

__all__ = [
    "EMAIL_NOTE", "HOSTNAME_NOTE", "MAX_DOMAIN", "MAX_LABEL", "MAX_LOCAL_PART", "MAX_NAME", "QUAD", "address_literal",
    "charged", "email", "hostname", "local_part", "names",
]  # fmt: skip

HOSTNAME_NOTE = (
    "labels of up to 7, 31 and 63 octets are charged as 8, 32 and 64 of a name's 253; "
    "labels with hyphens in the third and fourth place, A-labels (xn--) among them, are left out"
)
EMAIL_NOTE = "a domain has up to 189 octets, so that a path of 256 is never exceeded; " + HOSTNAME_NOTE
MAX_NAME, MAX_LABEL, MAX_LOCAL_PART, MAX_PATH = 253, 63, 64, 254  # octets; a path's angle brackets taken off
MAX_DOMAIN = MAX_PATH - MAX_LOCAL_PART - 1  # of a mailbox
_CHARGES = (8, 32, 64)
QUAD = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"


def charged(used: int, length: int, charges: tuple[int, ...] = _CHARGES) -> tuple[int, int]:
    """Where a label of so many octets starts if `used` octets are taken, and where the next one may.

    It is charged as the least of `charges` that holds it and the dot after it.
    """
    charge = next(charge for charge in charges if length < charge)
    start = -(-used // charge) * charge
    return start, start + charge


_HYPHEN, _DOT, _ALPHANUMERIC = 1, 2, 3  # classes of bytes, by their least one; 0 are all others
_State = tuple[int, int, bool]  # where the label starts, how long it is, whether its last character is a hyphen


@cache
def names(limit: int) -> ByteDfa:
    """Host names of up to `limit` octets, those in the form of an IPv4 address included."""
    from ..automata.minimize import minimized

    class_of = np.zeros(256, np.uint8)
    class_of[ord("-")], class_of[ord(".")] = _HYPHEN, _DOT
    for first, last in ("09", "AZ", "az"):
        class_of[ord(first) : ord(last) + 1] = _ALPHANUMERIC
    states: list[_State] = [(0, 0, False)]
    number = {states[0]: 1}
    rows = [[0, 0, 0, 0]]
    for state in states:  # grows while it is walked
        row = [0, 0, 0, 0]
        for byte_class, target in _moves(state, limit):
            if target not in number:
                states.append(target)
                number[target] = len(states)
            row[byte_class] = number[target]
        rows.append(row)
    accepting = [0, *(length > 0 and not hyphen for _, length, hyphen in states)]
    return minimized(np.array(rows, np.int32), np.array(accepting, np.uint8), class_of)


def _moves(state: _State, limit: int) -> Iterator[tuple[int, _State]]:
    start, length, hyphen = state
    if length and not hyphen:
        next_start = charged(start, length)[1]
        if next_start < limit:
            yield _DOT, (next_start, 0, False)
    if length == MAX_LABEL:
        return
    start, _ = charged(start, length + 1)
    if start + length + 1 > limit:
        return
    yield _ALPHANUMERIC, (start, length + 1, False)
    if length > 0 and not (hyphen and length == 3):
        yield _HYPHEN, (start, length + 1, True)


def hostname() -> Regular:
    """Host names."""
    return Intersection((Language(names(MAX_NAME)), Complement(fullmatch_language(QUAD, "ecma"))))


def address_literal() -> str:
    """address-literal, as a pattern. No tag but IPv6's is registered, so there is no General-address-literal."""
    group = "[0-9A-Fa-f]{1,4}"
    forms = [f"(?:{group}:){{7}}{group}", f"(?:{group}:){{6}}{IPV4}"]
    # The `::` of this RFC stands for two groups or more; IPv4 in the end counts for two.
    for tail, most in ((None, 6), (IPV4, 4)):
        for before in range(most + 1):
            left = ":".join([group] * before)
            after = most - before
            if tail is None:
                right = f"(?:{group}(?::{group}){{0,{after - 1}}})?" if after else ""
            else:
                right = f"(?:{group}:){{0,{after}}}{tail}"
            forms.append(f"{left}::{right}")
    return rf"\[(?:{IPV4}|[Ii][Pp][Vv]6:(?:{'|'.join(forms)}))\]"


def local_part(beyond_ascii: str = "") -> Regular:
    """Local-part, of any length; with further characters where RFC 6531 has them."""
    atom = f"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{beyond_ascii}\\-]+"
    quoted = rf'"(?:[ !#-\[\]-~{beyond_ascii}]|\\[ -~])*"'
    return fullmatch_language(rf"{atom}(?:\.{atom})*|{quoted}", "ecma")


def email() -> Regular:
    """Mailbox."""
    short = Intersection((local_part(), Repeat(ANY_CHAR, 1, MAX_LOCAL_PART)))
    domain = alternation(Language(names(MAX_DOMAIN)), fullmatch_language(address_literal(), "ecma"))
    return concatenation(short, literal("@"), domain)
