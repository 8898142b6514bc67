"""The leaves that schemas ask for again and again: what the store of a vocabulary begins with.

Of strings and numbers the states at their starts; of formats also those after the texts that such values often begin
with, since their automata have thousands of states, of which a text meets a dozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ..automata.shared_stores import Beginning
from ..automata.table_kernels import QUOTE
from .formats import format_strings
from .json_numbers import multiples_of
from .schema_leaves import any_scalar, boolean, null, number, spelling, string

__all__ = ["common_leaves"]

_DATE = ("2", "2024", "2024-", "2024-0", "2024-01", "2024-01-", "2024-01-1", "2024-01-15")
_TIME = ("1", "10", "10:", "10:3", "10:30", "10:30:", "10:30:0", "10:30:00", "10:30:00.", "10:30:00.123", "10:30:00+")
_URI = (
    "h", "http", "https", "https:", "https://", "https://www", "https://www.", "https://www.example",
    "https://www.example.", "https://www.example.com", "https://www.example.com/", "https://www.example.com/a",
    "https://www.example.com/a?", "https://www.example.com/a?b=c", "https://www.example.com/a#b",
)  # fmt: skip
_HOST = tuple("example"[:n] for n in range(1, 8)) + tuple("www.example.com"[:n] for n in range(3, 16))
_LOCAL = tuple("a" * n for n in range(1, 25))
_MAIL = _LOCAL + tuple(f"a@{host}" for host in ("", *_HOST)) + ("john.", "john.doe.")
# A format, and texts that its values begin with.
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": (*_DATE, *(f"2024-01-15T{time}" for time in ("", *_TIME))),
    "email": _MAIL,
    "hostname": _HOST,
    "ipv4": ("1", "19", "192", "192.", "192.1", "192.168", "192.168."),
    "uri": _URI,
    "uri-reference": (*_URI, "/", "/a", "a"),
    "uuid": tuple("550e8400-e29b-41d4-a716-446655440000"[:n] for n in range(1, 36)),
}


def common_leaves() -> Iterator[Beginning]:
    """Each leaf, and the texts after which its records are made."""
    content = spelling()
    yield Beginning(content, is_body=True, stop=QUOTE)
    yield Beginning(string(), (b"", b'"'), like=content)
    yield Beginning(number(), (b"", b"-", b"1", b"0", b"1.", b"1.5"))
    yield Beginning(multiples_of(Decimal(1)), (b"", b"-", b"1", b"0", b"12", b"123"))
    yield Beginning(boolean())
    yield Beginning(null())
    yield Beginning(any_scalar(), (b"", b'"', b"1"), like=content)
    for name, texts in _FORMATS.items():
        yield Beginning(format_strings(name), (b"", b'"', *(b'"' + text.encode() for text in texts)), like=content)

