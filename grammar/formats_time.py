"""The formats of dates and times: full-date, full-time, date-time and duration of RFC 3339.

A date is a real day: months have their lengths, and 29 February is in the years that Gregory's rule (4, 100, 400) makes
leap years. Year 0000 is one of RFC 3339's.

A leap second (:60) is where its moment is 23:59:60 in UTC, which ties hour and minute to the offset; a date-time's is
moreover at the end of June or December, in UTC, where section 5.7 and the table of leap seconds have them. Each pair of
hour and minute is a state of its own for that, so leap seconds are only written with offsets of whole half hours: 48
pairs in place of 1,440.

Source: RFC 3339, sections 5.6 and 5.7, appendices A (duration), C and D.
"""

from __future__ import annotations

from ..automata.regular import Regular, alternation, concatenation, literal
from .regex_syntax import fullmatch_language

__all__ = ["LEAP_SECOND_NOTE", "date", "date_time", "duration", "time"]

LEAP_SECOND_NOTE = "leap seconds are only written with offsets of whole half hours"

_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    rf"|{_LEAP_YEAR}-02-29)"
)
_HOUR, _SIXTY, _FRACTION = r"(?:[01]\d|2[0-3])", r"[0-5]\d", r"(?:\.\d+)?"
_TIME = rf"{_HOUR}:{_SIXTY}:{_SIXTY}{_FRACTION}(?:[Zz]|[+-]{_HOUR}:{_SIXTY})"
_STEP = 30  # minutes
_DAY = 24 * 60


def _leap_times(*, ahead: bool, behind: bool) -> Regular:
    """Times of the leap second in places whose clock is ahead of UTC's, and in those where it is behind or the same.

    In the former the local date is the next one. PERF: not a pattern, the parser would take longer than the compiler.
    """
    times = []
    for offset in range(0, _DAY, _STEP):
        if ahead and offset:
            times.append(_leap_time(offset - 1, literal(f"+{_clock(offset)}")))
        if behind:
            times.append(_leap_time(_DAY - 1 - offset, literal(f"-{_clock(offset)}")))
    if behind:
        times.append(_leap_time(_DAY - 1, fullmatch_language("[Zz]|[+]00:00", "ecma")))
    return alternation(*times)


def _leap_time(minute: int, offset: Regular) -> Regular:
    return concatenation(literal(f"{_clock(minute)}:60"), fullmatch_language(_FRACTION, "ecma"), offset)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def date() -> Regular:
    """full-date."""
    return fullmatch_language(_DATE, "ecma")


def time() -> Regular:
    """full-time."""
    return alternation(fullmatch_language(_TIME, "ecma"), _leap_times(ahead=True, behind=True))


def date_time() -> Regular:
    """date-time."""
    last_days = fullmatch_language(r"\d{4}-(?:06-30|12-31)[Tt]", "ecma")
    next_days = fullmatch_language(r"\d{4}-(?:07|01)-01[Tt]", "ecma")
    return alternation(
        fullmatch_language(f"{_DATE}[Tt]{_TIME}", "ecma"),
        concatenation(last_days, _leap_times(ahead=False, behind=True)),
        concatenation(next_days, _leap_times(ahead=True, behind=False)),
    )


def duration() -> Regular:
    """duration, its designators in capitals as ISO 8601 writes them."""
    seconds = r"\d+S"
    minutes = rf"\d+M(?:{seconds})?"
    hours = rf"\d+H(?:{minutes})?"
    clock = f"T(?:{hours}|{minutes}|{seconds})"
    days = r"\d+D"
    months = rf"\d+M(?:{days})?"
    years = rf"\d+Y(?:{months})?"
    return fullmatch_language(rf"P(?:(?:{days}|{months}|{years})(?:{clock})?|{clock}|\d+W)", "ecma")
