"""The formats of JSON Schema, each as a predicate on strings, for the judge.

Idea: what an RFC gives as ABNF is a regular expression here, put together from the RFC's rules under their names; what
it gives in prose (leap seconds, days of a month, IDNA's contextual rules) is Python on top, by the packages `idna` and
`ipaddress`. Every regular expression is matched from end to end, and classes are ASCII unless the rule says otherwise.

A predicate is meant to be exactly the standard's, but for the internationalised ones, which are near it: what a host
name or an address may be depends there on the version of Unicode, and RFC 6531 on mail servers. A text that bridle
writes must pass them all; one that passes need not be bridle's where it leaves out what is no regular language.

Part of the oracle: imports nothing from bridle. Tested by test_judge.py against the standard's suite.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import unicodedata
from collections.abc import Callable

import idna
import regress

__all__ = ["FORMATS"]


def _full(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


# ------------------------------------------------------------------------------------------------ RFC 3339

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]+)?(?:[zZ]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    if not 1 <= month <= 12 or day < 1:
        return False
    # Years are cyclic, and datetime has no year 0, which is a leap year.
    first = datetime.date(2000 + year % 400, month, 1)
    return day <= ((first + datetime.timedelta(31)).replace(day=1) - datetime.timedelta(1)).day


def _is_time(text: str) -> bool:
    """A leap second is the one before midnight, UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    hour, minute, second, sign, ahead_hours, ahead_minutes = match.groups()
    ahead = (60 * int(ahead_hours) + int(ahead_minutes)) * (1 if sign == "+" else -1) if sign else 0
    return second != "60" or (60 * int(hour) + int(minute) - ahead) % 1440 == 1439


def _is_date_time(text: str) -> bool:
    return _is_date(text[:10]) and text[10:11] in ("T", "t") and _is_time(text[11:])


# Appendix A: a unit is followed by the next smaller one alone.
_DURATION = r"P(?:(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)(?:{time})?|{time}|[0-9]+W)".replace(
    "{time}", r"T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
)

# ------------------------------------------------------------------------------------------------ addresses

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = r"[0-9A-Fa-f]{1,4}"
_LS32 = rf"(?:{_H16}:{_H16}|{_IPV4})"
# RFC 3986, 3.2.2: how many groups stand before and after the "::".
_IPV6 = "|".join(
    [rf"(?:{_H16}:){{6}}{_LS32}", rf"::(?:{_H16}:){{5}}{_LS32}"]
    + [
        rf"(?:{_H16}(?::{_H16}){{0,{most}}})?::(?:{_H16}:){{{4 - most}}}{_LS32}"
        for most in range(5)
    ]
    + [rf"(?:{_H16}(?::{_H16}){{0,5}})?::{_H16}", rf"(?:{_H16}(?::{_H16}){{0,6}})?::"]
)  # fmt: skip
_IPV6 = f"(?:{_IPV6})"


def _is_ipv6(text: str) -> bool:
    """RFC 4291; the package knows zones, too, which are none here."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return text.isascii() and "%" not in text


_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def _is_hostname(text: str) -> bool:
    """RFC 1123, 2.1 (no four numbers, as an address has them), with the labels that RFC 5890, 2.3.2.1 reserves: with
    "--" at 3 and 4, A-labels alone."""
    if len(text) > 253 or not text.isascii() or re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text):
        return False
    for label in text.split("."):
        if not _LABEL.fullmatch(label):
            return False
        if label[2:4] == "--":
            try:
                idna.ulabel(label)
            except (idna.IDNAError, UnicodeError):
                return False
            if label[:4].lower() != "xn--":
                return False
    return True


def _is_idn_hostname(text: str) -> bool:
    """RFC 5891, with RFC 5893's rule that one label of a right-to-left script binds all the others."""
    labels = re.split("[.\u3002\uff0e\uff61]", text)
    right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text)
    try:
        idna.encode(".".join(labels))
        for label in labels if right_to_left else []:
            idna.check_bidi(label, check_ltr=True)
    except (idna.IDNAError, UnicodeError):
        return False
    return labels[-1] != ""


# RFC 5321, 4.1.2.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_SUB_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_LITERAL = rf"\[(?:{_IPV4}|[Ii][Pp][Vv]6:{_IPV6})\]"
_EMAIL = rf"(?:{_ATEXT}+(?:\.{_ATEXT}+)*|{_QUOTED})@(?:{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*|{_LITERAL})"


def _is_idn_email(text: str) -> bool:
    """Like `email`, with every character beyond ASCII a letter (RFC 6531, 3.3)."""
    return _full(_EMAIL)(re.sub(r"[^\x00-\x7f]", "a", text))


# ------------------------------------------------------------------------------------------------ URIs


def _uri_rules(letters: str, private: str) -> tuple[str, str]:
    """(URI, URI-reference) of RFC 3986, appendix A; with further letters, the IRIs of RFC 3987, 2.2."""
    encoded = "%[0-9A-Fa-f]{2}"
    plain = rf"A-Za-z0-9._~!$&'()*+,;=\-{letters}"
    pchar = rf"(?:[{plain}:@]|{encoded})"
    no_colon = rf"(?:[{plain}@]|{encoded})"
    future = r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:\-]+"
    host = rf"(?:\[(?:{_IPV6}|{future})\]|(?:[{plain}]|{encoded})*)"
    authority = rf"(?:(?:[{plain}:]|{encoded})*@)?{host}(?::[0-9]*)?"
    abempty = rf"(?:/{pchar}*)*"
    absolute = rf"/(?:{pchar}+{abempty})?"
    tail = rf"(?:\?(?:{pchar}|[/?{private}])*)?(?:#(?:{pchar}|[/?])*)?"
    hier = rf"(?://{authority}{abempty}|{absolute}|{pchar}+{abempty}|)"
    relative = rf"(?://{authority}{abempty}|{absolute}|{no_colon}+{abempty}|)"
    uri = rf"[A-Za-z][A-Za-z0-9+.\-]*:{hier}{tail}"
    return uri, rf"(?:{uri}|{relative}{tail})"


_UCSCHAR = "\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    f"{chr(plane << 16 if plane < 14 else 0xE1000)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 15)
)
_IPRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_URI, _URI_REFERENCE = _uri_rules("", "")
_IRI, _IRI_REFERENCE = _uri_rules(_UCSCHAR, _IPRIVATE)

# RFC 6570, 2, with the apostrophe of erratum 6937.
_VARNAME = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*"
_VARSPEC = rf"{_VARNAME}(?::[1-9][0-9]{{0,3}}|\*)?"
_URI_TEMPLATE = (
    rf"(?:[!#$&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~{_UCSCHAR}{_IPRIVATE}]|%[0-9A-Fa-f]{{2}}"
    rf"|\{{[+#./;?&=,!@|]?{_VARSPEC}(?:,{_VARSPEC})*\}})*"
)

# ------------------------------------------------------------------------------------------------ the rest

_POINTER = r"(?:/(?:[^/~]|~[01])*)*"  # RFC 6901, 3


def _is_regex(text: str) -> bool:
    try:
        regress.Regex(text, "u")
    except regress.RegressError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _full(_DURATION),
    "email": _full(_EMAIL),
    "idn-email": _is_idn_email,
    "hostname": _is_hostname,
    "idn-hostname": _is_idn_hostname,
    "ipv4": _full(_IPV4),
    "ipv6": _is_ipv6,
    "uri": _full(_URI),
    "uri-reference": _full(_URI_REFERENCE),
    "iri": _full(_IRI),
    "iri-reference": _full(_IRI_REFERENCE),
    "uri-template": _full(_URI_TEMPLATE),
    "uuid": _full(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
    "json-pointer": _full(_POINTER, re.DOTALL),
    "relative-json-pointer": _full(rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})", re.DOTALL),
    "regex": _is_regex,
}
