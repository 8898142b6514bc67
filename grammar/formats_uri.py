r"""The formats of addresses and identifiers: IPv4, IPv6, URI, IRI, and URI templates.

The grammars are transcribed production by production; each is regular but for IPv6's `::`, which is written out for the
nine numbers of groups that may follow it.

Percent signs begin triplets; whether a triplet's octets mean anything is not asked. An IRI may not hold the characters
that set the direction of text (section 4.1 of its RFC), though its grammar alone would let it.

Source: RFC 3986 (URI), RFC 3987 (IRI), RFC 6570 with erratum 6937 (templates); RFC 2673, section 3.2 (dotted quads).
"""

from __future__ import annotations

from ..automata.regular import Regular
from .regex_syntax import fullmatch_language

__all__ = ["IPV4", "ipv4", "ipv6", "iri", "iri_reference", "uri", "uri_reference", "uri_template"]

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """IPv6address."""
    last_two = f"(?:{_GROUP}:{_GROUP}|{IPV4})"
    forms = [f"(?:{_GROUP}:){{6}}{last_two}"]
    for after in range(8):  # how many groups come after the `::`
        before = f"(?:(?:{_GROUP}:){{0,{6 - after}}}{_GROUP})?" if after < 7 else ""
        right = f"(?:{_GROUP}:){{{after - 2}}}{last_two}" if after >= 2 else _GROUP * after
        forms.append(f"{before}::{right}")
    return f"(?:{'|'.join(forms)})"


_UNRESERVED, _SUB_DELIMS, _TRIPLET = "A-Za-z0-9._~\\-", "!$&'()*+,;=", "%[0-9A-Fa-f]{2}"
_PLANES = "".join(f"{chr(plane << 16)}-{chr(plane << 16 | 0xFFFD)}" for plane in range(1, 0xE))
_UCSCHAR = f"\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}\U000e1000-\U000efffd"
_UCSCHAR_IN_IRI = _UCSCHAR.replace("\xa0-\ud7ff", "\xa0-\u200d\u2010-\u2029\u202f-\ud7ff")
_IPRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"


def _identifier(letters: str, private: str, *, relative: bool) -> str:
    """URI or IRI, or a reference to one where `relative`; `letters` beyond ASCII, `private` ones in queries only."""
    plain = _UNRESERVED + letters + _SUB_DELIMS
    pchar = f"(?:[{plain}:@]|{_TRIPLET})"
    tail = rf"(?:\?(?:[{plain}:@/?{private}]|{_TRIPLET})*)?(?:#(?:[{plain}:@/?]|{_TRIPLET})*)?"
    host = rf"(?:\[(?:{_ipv6()}|[Vv][0-9A-Fa-f]+\.[{_UNRESERVED}{_SUB_DELIMS}:]+)\]|(?:[{plain}]|{_TRIPLET})*)"
    authority = f"(?:(?:[{plain}:]|{_TRIPLET})*@)?{host}(?::[0-9]*)?"
    absolute_path = f"/(?:{pchar}+(?:/{pchar}*)*)?"
    hierarchy = f"//{authority}(?:/{pchar}*)*|{absolute_path}"
    absolute = rf"[A-Za-z][A-Za-z0-9+.\-]*:(?:{hierarchy}|{pchar}+(?:/{pchar}*)*)?"
    if not relative:
        return absolute + tail
    first_segment = f"(?:[{plain}@]|{_TRIPLET})+"
    return f"(?:{absolute}|(?:{hierarchy}|{first_segment}(?:/{pchar}*)*)?){tail}"


def ipv4() -> Regular:
    """dotted-quad, without leading zeros."""
    return fullmatch_language(IPV4, "ecma")


def ipv6() -> Regular:
    """IPv6address, without a zone."""
    return fullmatch_language(_ipv6(), "ecma")


def uri() -> Regular:
    return fullmatch_language(_identifier("", "", relative=False), "ecma")


def uri_reference() -> Regular:
    return fullmatch_language(_identifier("", "", relative=True), "ecma")


def iri() -> Regular:
    return fullmatch_language(_identifier(_UCSCHAR_IN_IRI, _IPRIVATE, relative=False), "ecma")


def iri_reference() -> Regular:
    return fullmatch_language(_identifier(_UCSCHAR_IN_IRI, _IPRIVATE, relative=True), "ecma")


def uri_template() -> Regular:
    """URI-Template, without the operators that are reserved for extensions."""
    literals = f"(?:[!#$&-;=?-\\[\\]_a-z~{_UCSCHAR}{_IPRIVATE}]|{_TRIPLET})"
    varchar = f"(?:[A-Za-z0-9_]|{_TRIPLET})"
    varspec = rf"{varchar}(?:\.?{varchar})*(?::[1-9][0-9]{{0,3}}|\*)?"
    return fullmatch_language(rf"(?:{literals}|\{{[+#./;?&]?{varspec}(?:,{varspec})*\}})*", "ecma")
