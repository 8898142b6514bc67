"""The formats of JSON Schema as languages of string values.

What an RFC gives as grammar is written here as an expression, rule by rule. What it gives in words is regular, too, and
spelled out: the days of a month, leap years, leap seconds. Three things are narrowed, since they are not regular or
would take thousands of states for nothing; `format_note` says so: no value outside a format is ever in its language.

Formats are asserted under every draft by their names in 2020-12. A name that is not in `FORMATS` is an annotation.

Sources: RFC 1123, 3339, 3986, 3987, 4122, 4291, 5321, 6531, 6570, 6901; ECMA-262.
"""

from __future__ import annotations

from functools import cache

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    Complement,
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    compile_regular,
    concatenation,
    literal,
)
from .regex_syntax import fullmatch_language

__all__ = ["FORMATS", "REFUSED_FORMATS", "format_language", "format_note"]

# ------------------------------------------------------------------------------------------------ RFC 3339

_LEAP_YEAR = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE = (
    r"([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    rf"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_FRACTION = r"(\.[0-9]+)?"
_HOUR, _MINUTE = r"([01][0-9]|2[0-3])", r"[0-5][0-9]"


def _leap_second() -> str:
    """The second after 23:59:59 UTC, in the local time of an offset: what the clock shows is 23:59 plus the offset."""
    local = [rf"23:59:60{_FRACTION}[Zz]"]
    for quarter in range(96):
        hours, minutes = divmod(15 * quarter, 60)
        for sign in (1, -1):
            shown = (23 * 60 + 59 + sign * 15 * quarter) % 1440
            clock = f"{shown // 60:02d}:{shown % 60:02d}"
            local.append(rf"{clock}:60{_FRACTION}{'[+]' if sign > 0 else '-'}{hours:02d}:{minutes:02d}")
    return "|".join(local)


_TIME = rf"({_HOUR}:{_MINUTE}:{_MINUTE}{_FRACTION}([Zz]|[+-]{_HOUR}:{_MINUTE})|{_leap_second()})"
_DURATION_TIME = r"T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
_DURATION = (
    rf"P(([0-9]+D|[0-9]+M([0-9]+D)?|[0-9]+Y([0-9]+M([0-9]+D)?)?)({_DURATION_TIME})?|{_DURATION_TIME}|[0-9]+W)"
)

# ------------------------------------------------------------------------------------------------ hosts and addresses

_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_GROUP = r"[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """Eight groups of RFC 4291, the last two perhaps as an IPv4 address; `::` stands for one or more of them."""
    forms = [rf"({_GROUP}:){{7}}{_GROUP}", rf"({_GROUP}:){{6}}{_IPV4}"]
    for before in range(8):
        left = rf"{_GROUP}(:{_GROUP}){{{before - 1}}}" if before else ""
        most = 7 - before
        right = rf"({_GROUP}(:{_GROUP}){{0,{most - 1}}})?" if most else ""
        forms.append(f"{left}::{right}")
        if most >= 2:
            forms.append(rf"{left}::({_GROUP}:){{0,{most - 2}}}{_IPV4}")
    return "(" + "|".join(forms) + ")"


_IPV6 = _ipv6()
_SUB_DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = rf"\[({_IPV4}|IPv6:{_IPV6})\]"


def _email(beyond: str) -> str:
    """RFC 5321, Mailbox; with letters beyond ASCII, RFC 6531."""
    atom = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{beyond}-]+"
    quoted = rf'"([ !#-\[\]-~{beyond}]|\\[ -~])*"'
    sub = rf"[A-Za-z0-9{beyond}]([A-Za-z0-9{beyond}-]*[A-Za-z0-9{beyond}])?"
    return rf"({atom}(\.{atom})*|{quoted})@({sub}(\.{sub})*|{_ADDRESS})"


# ------------------------------------------------------------------------------------------------ RFC 3986, 3987

_UCSCHAR = r"\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    rf"\u{{{plane << 16 if plane < 14 else 0xE1000:x}}}-\u{{{(plane << 16) + 0xFFFD:x}}}" for plane in range(1, 15)
)
_IPRIVATE = r"\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}"
_PERCENT = "%[0-9A-Fa-f]{2}"


def _uri(letters: str, private: str, *, relative: bool) -> str:
    plain = rf"A-Za-z0-9._~!$&'()*+,;=\-{letters}"
    segment_char = rf"([{plain}:@]|{_PERCENT})"
    without_colon = rf"([{plain}@]|{_PERCENT})"
    future = r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:\-]+"
    host = rf"(\[({_IPV6}|{future})\]|([{plain}]|{_PERCENT})*)"
    authority = rf"(([{plain}:]|{_PERCENT})*@)?{host}(:[0-9]*)?"
    segments = rf"(/{segment_char}*)*"
    absolute = rf"/({segment_char}+{segments})?"
    tail = rf"(\?({segment_char}|[/?{private}])*)?(#({segment_char}|[/?])*)?"
    uri = rf"[A-Za-z][A-Za-z0-9+.\-]*:(//{authority}{segments}|{absolute}|{segment_char}+{segments}|){tail}"
    if not relative:
        return uri
    return rf"({uri}|(//{authority}{segments}|{absolute}|{without_colon}+{segments}|){tail})"


_VARIABLE = rf"([A-Za-z0-9_]|{_PERCENT})(\.?([A-Za-z0-9_]|{_PERCENT}))*(:[1-9][0-9]{{0,3}}|[*])?"
_TEMPLATE = (
    rf"([!#$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~{_UCSCHAR}{_IPRIVATE}]|{_PERCENT}"
    rf"|\{{[+#./;?&=,!@|]?{_VARIABLE}(,{_VARIABLE})*\}})*"
)
_POINTER = r"(/([^/~]|~[01])*)*"

_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}[Tt]{_TIME}",
    "duration": _DURATION,
    "email": _email(""),
    "idn-email": _email(r"\x80-\u{10ffff}"),
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _uri("", "", relative=False),
    "uri-reference": _uri("", "", relative=True),
    "iri": _uri(_UCSCHAR, _IPRIVATE, relative=False),
    "iri-reference": _uri(_UCSCHAR, _IPRIVATE, relative=True),
    "uri-template": _TEMPLATE,
    "uuid": r"[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(0|[1-9][0-9]*)(#|{_POINTER})",
}

# ------------------------------------------------------------------------------------------------ ECMA-262

_NESTING = 4


def _ranges() -> str:
    """m,n with m <= n: m of one digit; or of two, and n of another ten (to compare both takes ten times the states)."""
    shorter = "[0-9],[1-9][0-9]{1,2}|[1-9][0-9],[1-9][0-9]{2}"
    ones = [f"{d},[{d}-9]" for d in range(10)]
    tens = [f"{d}[0-9],[{d + 1}-9][0-9]" for d in range(1, 9)]
    return "|".join([shorter, *ones, *tens])


def _regex() -> Regular:
    """Patterns of ECMA-262 with the u flag: no stray braces or brackets, escapes that exist, classes in order.

    Groups nest four deep at the most (they are not regular otherwise). Left out, since which are right is not regular
    or depends on tables of Unicode: named groups and references, most ranges and `\\p` in classes.
    """
    escape = r"\\([dDsSwWbBfnrtv0^$\\.*+?()\[\]{}|/]|c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-CEFa-cef][0-9A-Fa-f]{3})"
    in_class = r"\\([dDsSwWbfnrtv0^$\\.*+?()\[\]{}|/-]|c[A-Za-z]|x[0-9A-Fa-f]{2}|u[0-9A-CEFa-cef][0-9A-Fa-f]{3})"
    ranges = r"(a-z|A-Z|0-9|[a-y]-z|[A-Y]-Z|[0-8]-9)"
    one_class = rf"\[\^?({ranges}|[^\\\]\[^-]|{in_class})*\]"
    atom = fullmatch_language(rf"(([^\^$\\.*+?()\[\]{{}}|/]|[.^$/]|{escape}|{one_class}))", "ecma")
    one = r"\\[dDsSwWfnrtv0^$\\.*+?()\[\]{}|/]"
    single = fullmatch_language(rf"([^\^$\\.*+?()\[\]{{}}|]|\.|{one}|{one_class})", "ecma")
    count = fullmatch_language(rf"([*+?]|\{{([0-9]+,?|{_ranges()})\}})\??", "ecma")
    opened = fullmatch_language(r"\((\?[:=!]|\?<[=!])?", "ecma")
    counted_group = fullmatch_language(r"\((\?:)?", "ecma")
    term: Regular = alternation(atom, concatenation(single, count))
    for _ in range(_NESTING):
        inner = Language(compile_regular(Repeat(alternation(term, literal("|")), 0, None)))
        group = alternation(
            concatenation(opened, inner, literal(")")), concatenation(counted_group, inner, literal(")"), count)
        )
        term = alternation(atom, concatenation(single, count), group)
    return Repeat(alternation(term, literal("|")), 0, None)


def _hostname() -> Regular:
    """RFC 1123: labels of at most 63, 253 in all. Labels with `--` at 3 and 4 are reserved (RFC 5890).

    To count both takes 14,000 states. So names have three labels at most; or nine, all but the first of at most 15:
    none of these is longer than 253, and hardly a name is none of these.
    """
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    byte = "[A-Za-z0-9-]"
    sizes = (
        fullmatch_language(rf"{byte}{{1,63}}(\.{byte}{{1,63}}){{0,2}}", "ecma"),
        fullmatch_language(rf"{byte}{{1,63}}(\.{byte}{{1,15}}){{0,8}}", "ecma"),
    )
    return Intersection(
        (
            fullmatch_language(rf"{label}(\.{label})*", "ecma"),
            Complement(fullmatch_language(r"([^.]*\.)*[^.]{2}--.*", "ecma")),
            Language(compile_regular(alternation(*sizes))),
        )
    )


FORMATS = frozenset((*_PATTERNS, "regex", "hostname"))
REFUSED_FORMATS = {
    "idn-hostname": "the rules of IDNA (context, direction, the length of the Punycode) are not implemented"
}
_NOTES = {
    "time": "a leap second is written in UTC or with an offset of whole quarters of an hour",
    "date-time": "a leap second is written in UTC or with an offset of whole quarters of an hour",
    "hostname": "labels that begin with xn-- are left out, since which of them are Punycode is not a regular language,"
    " and names of more than three labels that have more than nine, or one beyond the first that is longer than 15",
    "regex": f"groups nest at most {_NESTING} deep; named groups, references and \\p are left out",
}


@cache
def format_language(name: str) -> ByteDfa:
    """The values of a format of FORMATS."""
    if name == "regex":
        return compile_regular(_regex())
    if name == "hostname":
        return compile_regular(_hostname())
    return compile_regular(fullmatch_language(_PATTERNS[name], "ecma"))


def format_note(name: str) -> str | None:
    """What is left out of a format's language, if anything is."""
    note = _NOTES.get(name)
    return f'format "{name}": {note}' if note else None
