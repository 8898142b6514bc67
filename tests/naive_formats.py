"""Judges of formats that share no code with the automata: the standard library's parsers and scanners by hand.

Each takes a text and says whether it is a value of the format by its RFC; those in NARROWED judge the whole format, of
which bridle's language is a part.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import unicodedata
import uuid
from collections.abc import Callable


def _number(text: str, least: int, most: int, digits: int = 2) -> int | None:
    if len(text) != digits or not (text.isascii() and text.isdigit()):
        return None
    return int(text) if least <= int(text) <= most else None


def is_date(text: str) -> bool:
    parts = text.split("-")
    if len(parts) != 3:
        return False
    year, month, day = _number(parts[0], 0, 9999, 4), _number(parts[1], 1, 12), _number(parts[2], 1, 31)
    if year is None or month is None or day is None:
        return False
    try:
        datetime.date(year or 2000, month, day)  # year 0 is a leap year, as 2000 is
    except ValueError:
        return False
    return True


def _time(text: str) -> tuple[int, int, str] | None:
    """The minute of the day in UTC (negative or above a day where the date is another one), second and offset."""
    found = re.fullmatch(r"(..):(..):(..)(?:\.([0-9]+))?([Zz]|[+-]..:..)", text, re.DOTALL)
    if found is None:
        return None
    hour, minute, second = _number(found[1], 0, 23), _number(found[2], 0, 59), _number(found[3], 0, 60)
    offset = found[5] if found[5] not in "Zz" else "+00:00"
    hours, minutes = _number(offset[1:3], 0, 23), _number(offset[4:], 0, 59)
    if None in (hour, minute, second, hours, minutes):
        return None
    shift = 60 * hours + minutes
    return 60 * hour + minute - (shift if offset[0] == "+" else -shift), second, offset


def _is_half_hour(offset: str) -> bool:
    return offset[4:] in ("00", "30")


def is_time(text: str) -> bool:
    found = _time(text)
    return found is not None and (found[1] < 60 or (found[0] % 1440 == 1439 and _is_half_hour(found[2])))


def is_date_time(text: str) -> bool:
    date, clock = text[:10], text[11:]
    if not is_date(date) or text[10:11] not in ("T", "t") or (found := _time(clock)) is None:
        return False
    if found[1] < 60:
        return True
    if found[0] % 1440 != 1439 or not _is_half_hour(found[2]):
        return False
    year, month, day = (int(part) for part in date.split("-"))
    moment = datetime.datetime(2000 + year % 400, month, day) + datetime.timedelta(minutes=found[0])
    return (moment.month, moment.day) in ((6, 30), (12, 31))


def is_duration(text: str) -> bool:
    if not text.startswith("P") or not text.isascii():
        return False
    date, mark, clock = text[1:].partition("T")
    if mark and not _is_run(clock, "HMS"):
        return False
    if re.fullmatch("[0-9]+W", date):
        return not mark
    return _is_run(date, "YMD") if date else bool(mark)


def _is_run(text: str, units: str) -> bool:
    """Numbers with units that are a run without gaps of `units`."""
    if re.fullmatch("(?:[0-9]+[A-Z])+", text) is None:
        return False
    return "".join(c for c in text if c.isalpha()) in units


def is_ipv4(text: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def is_uuid(text: str) -> bool:
    try:
        return text.isascii() and str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_json_pointer(text: str) -> bool:
    if text and not text.startswith("/"):
        return False
    return all(text[i + 1 : i + 2] in ("0", "1") for i, c in enumerate(text) if c == "~")


def is_relative_json_pointer(text: str) -> bool:
    digits = len(text) - len(text.lstrip("0123456789"))
    if digits == 0 or (digits > 1 and text[0] == "0"):
        return False
    return text[digits:] == "#" or is_json_pointer(text[digits:])


# ------------------------------------------------------------------------------------------------ URI


_SUB_DELIMS, _UNRESERVED_MARKS = "!$&'()*+,;=", "-._~"


def _is_made_of(text: str, marks: str, beyond_ascii: Callable[[int], bool]) -> bool:
    text = re.sub("%[0-9A-Fa-f][0-9A-Fa-f]", "", text)
    return all((c.isascii() and c.isalnum()) or c in marks or (not c.isascii() and beyond_ascii(ord(c))) for c in text)


def _no(code: int) -> bool:
    return False


def _is_ucschar(code: int) -> bool:
    if code in (0x200E, 0x200F) or 0x202A <= code <= 0x202E:
        return False
    if code >= 0x10000:
        return code & 0xFFFF <= 0xFFFD and (code >> 16 < 0xE or 0xE1000 <= code <= 0xEFFFD)
    return 0xA0 <= code <= 0xD7FF or 0xF900 <= code <= 0xFDCF or 0xFDF0 <= code <= 0xFFEF


def _is_private(code: int) -> bool:
    return 0xE000 <= code <= 0xF8FF or (code >= 0xF0000 and code & 0xFFFF <= 0xFFFD)


def _is_identifier(text: str, letters: Callable[[int], bool], private: Callable[[int], bool], relative: bool) -> bool:
    scheme, authority, path, query, fragment = re.fullmatch(  # RFC 3986, appendix B
        r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", text, re.DOTALL
    ).groups()
    if scheme is None and not relative:
        return False
    if scheme is not None and re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) is None:
        return False
    plain = _UNRESERVED_MARKS + _SUB_DELIMS + ":@"
    if authority is None:
        if path.startswith("//") or (scheme is None and text.startswith(":")):
            return False
    elif not _is_authority(authority, letters):
        return False
    return (
        _is_made_of(path, plain + "/", letters)
        and _is_made_of(query or "", plain + "/?", lambda code: letters(code) or private(code))
        and _is_made_of(fragment or "", plain + "/?", letters)
    )


def _is_authority(text: str, letters: Callable[[int], bool]) -> bool:
    user, at, rest = text.rpartition("@")
    if at and not _is_made_of(user, _UNRESERVED_MARKS + _SUB_DELIMS + ":", letters):
        return False
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?", rest)
    if found is None:
        return False
    host = found[1]
    if not host.startswith("["):
        return _is_made_of(host, _UNRESERVED_MARKS + _SUB_DELIMS, letters)
    return is_ipv6(host[1:-1]) or (
        re.fullmatch(r"\[[Vv][0-9A-Fa-f]+\..+\]", host) is not None
        and "%" not in host
        and _is_made_of(host[1:-1], _UNRESERVED_MARKS + _SUB_DELIMS + ":", _no)
    )


def is_uri(text: str) -> bool:
    return _is_identifier(text, _no, _no, False)


def is_uri_reference(text: str) -> bool:
    return _is_identifier(text, _no, _no, True)


def is_iri(text: str) -> bool:
    return _is_identifier(text, _is_ucschar, _is_private, False)


def is_iri_reference(text: str) -> bool:
    return _is_identifier(text, _is_ucschar, _is_private, True)


def is_uri_template(text: str) -> bool:
    at = 0
    while at < len(text):
        if text[at] == "{":
            end = text.find("}", at)
            if end < 0 or not _is_expression(text[at + 1 : end]):
                return False
            at = end + 1
            continue
        if text[at] == "%":
            if re.fullmatch("[0-9A-Fa-f]{2}", text[at + 1 : at + 3]) is None:
                return False
        elif text[at].isascii():
            if not "!" <= text[at] <= "~" or text[at] in '"<>\\^`|}':
                return False
        elif not (_is_ucschar(ord(text[at])) or _is_private(ord(text[at])) or _sets_direction(text[at])):
            return False
        at += 1
    return True


def _sets_direction(character: str) -> bool:
    return character in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e"


def _is_expression(text: str) -> bool:
    names = (text[1:] if text[:1] in tuple("+#./;?&") else text).split(",")
    for name in names:
        name, colon, most = name.partition(":")
        if colon and (_number(most, 1, 9999, len(most)) is None or most[0] == "0"):
            return False
        name = name if colon or not name.endswith("*") else name[:-1]
        name = re.sub("%[0-9A-Fa-f]{2}", "x", name)
        if re.fullmatch(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*", name) is None:
            return False
    return True


# ------------------------------------------------------------------------------------------------ names and mailboxes


def is_hostname(text: str) -> bool:
    labels = text.split(".")
    return (
        len(text) <= 253
        and text.isascii()
        and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text) is None
        and all(
            0 < len(label) <= 63 and re.fullmatch("[A-Za-z0-9-]+", label) and "-" not in (label[0], label[-1])
            for label in labels
        )
    )


def is_idn_hostname(text: str) -> bool:
    """By the idna package, and the rules on directions between labels, which it leaves to its caller."""
    import idna

    labels = re.split("[.\u3002\uff0e\uff61]", text)
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text):
        return False
    octets = -1
    has_right_to_left = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text)
    for label in labels:
        if not label or unicodedata.normalize("NFC", label) != label:
            return False
        try:
            if label.isascii():
                if not is_hostname(label):
                    return False
                octets += 1 + len(label)
            else:
                octets += 1 + len(idna.alabel(label))
            if has_right_to_left:
                idna.check_bidi(label.lower(), check_ltr=True)
        except idna.IDNAError:
            return False
    return octets <= 253


def _is_mailbox(text: str, is_domain: Callable[[str], bool], beyond_ascii: bool) -> bool:
    local, at, domain = text.rpartition("@")
    if not at or not 0 < len(local.encode()) <= 64:
        return False
    if re.fullmatch(r'"(?:\\[ -~]|[^"\\])*"', local, re.DOTALL):
        if not all(" " <= c <= "~" or (beyond_ascii and c >= "\x80") for c in local):
            return False
    elif not all(
        atom and _is_made_of(atom.replace("%", "x"), "!#$&'*+-/=?^_`{|}~", lambda _: beyond_ascii)
        for atom in local.split(".")
    ):
        return False
    if not domain.startswith("["):
        return len(text.encode()) <= 254 and is_domain(domain)
    if not domain.endswith("]"):
        return False
    if domain[1:6].lower() != "ipv6:":
        return is_ipv4(domain[1:-1])
    address = domain[6:-1]
    groups = [group for group in address.split(":") if group]
    shown = len(groups) + ("." in address)
    return is_ipv6(address) and ("::" not in address or shown <= 6)


def _is_domain(text: str) -> bool:
    return is_hostname(text) or re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text) is not None


def _is_idn_domain(text: str) -> bool:
    return _is_domain(text) or (is_idn_hostname(text) and not any(dot in text for dot in "\u3002\uff0e\uff61"))


def is_email(text: str) -> bool:
    return text.isascii() and _is_mailbox(text, _is_domain, False)


def is_idn_email(text: str) -> bool:
    return _is_mailbox(text, _is_idn_domain, True)


JUDGES: dict[str, Callable[[str], bool]] = {
    "date": is_date,
    "date-time": is_date_time,
    "duration": is_duration,
    "email": is_email,
    "hostname": is_hostname,
    "idn-email": is_idn_email,
    "idn-hostname": is_idn_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "iri": is_iri,
    "iri-reference": is_iri_reference,
    "json-pointer": is_json_pointer,
    "relative-json-pointer": is_relative_json_pointer,
    "time": is_time,
    "uri": is_uri,
    "uri-reference": is_uri_reference,
    "uri-template": is_uri_template,
    "uuid": is_uuid,
}
NARROWED = frozenset(("email", "hostname", "idn-email", "idn-hostname"))
