"""The spellings of numbers: between bounds, multiples of a decimal, as automata of decimal digits.

Without a constraint a number is what RFC 8259 writes. Where its value is constrained (bounds, a constant, multiples)
the spellings of a value are not a regular language, and a number is one of

    plain         -?(0|[1-9][0-9]*)(\\.[0-9]+)?, any number of digits
    scientific    -?[1-9](\\.[0-9]{0,15}[1-9])?[eE][+-]?0{0,2}x with an exponent x from -324 to -5 or from 16 to 308

compared as exact decimals. Every value has a plain spelling, so no value is lost, and what Python writes of an int or a
float is in one of the two. Smaller exponents are left out on purpose: with them `1.5` would begin an integer (`1.5e1`),
and a model that slipped would be led to a number that it did not mean. So are the exponents of multiples where they
would take more than 400,000 states, since each of the sixteen places of a mantissa multiplies the remainders: those of
divisors that have a factor prime to ten of more than 12,000, or a smaller one between bounds of many digits.

A plain spelling is greater than a bound if its whole part is longer, or as long and greater at the first digit that
differs, or equal with a fraction that is greater likewise; a scientific one if its exponent is, or if that is equal and
its mantissa is greater likewise. It is a multiple of p / 10^k if its digits, as an integer with k places behind the
point, have no remainder modulo p; D.ddde±x is one if x appends as many zeros as that takes. Where the divisor is
c * 10^j with c prime to ten, a multiple of c that ends in j zeros is all that must be seen, and the remainders are
c * (j + 1) instead of c * 10^j. All of it is read in one go (json_number_kernels.py). Expressions and their
intersections were rejected: a range took ten times as long so, a divisor thirty times.

Cost: 25 to 60 us for a range, integers or not, 150 for one of twenty digits; 30 to 150 us for a divisor up to 20, 50 ms
for one of 2,000 that is prime to ten, 0.2 s for one of 10,000. Importing this file does not import numba.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from math import gcd, lcm
from typing import TypeAlias

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import memoised
from ..automata.errors import LimitError
from ..automata.regular import Regular, Repeat, alternation, char_class, concatenation, literal

__all__ = [
    "EXPONENTS", "FEW_REMAINDERS", "MANTISSA_DIGITS", "NUMBER", "NUMBER_NOTE", "common_multiple",
    "decimal_at", "decimal_of", "multiples_of", "number_between", "remainders", "scaled", "whole_and_part",
]  # fmt: skip

# The exponents of scientific spellings (from, to), and the most digits behind the point of their mantissas.
EXPONENTS = ((-324, -5), (16, 308))
MANTISSA_DIGITS = 16
# Up to this many remainders a set is written at once, with exponents.
FEW_REMAINDERS = 300
# States that a set of numbers may take before they are made minimal, 60 bytes each. Exponents take 33 times as many as
# there are remainders that nothing tells alike; where that is too much they are left out.
_MOST_STATES = 400_000
# Remainders of a divisor, in all, and that nothing tells alike where whole parts may be of any length.
_MOST_REMAINDERS, _MOST_APART = 1 << 20, 20_000
NUMBER_NOTE = (
    "numbers whose value is constrained (bounds, integer, multipleOf, const, enum) are spelled plainly, or with one"
    " digit before the point, up to 16 behind it and an exponent below -4 or above 15, as json.dumps writes floats"
)

_MOST_DIGITS = 20_000
# Rows of a table that is tried, and of those that follow when it is too small.
_ROWS = (256, 4096, _MOST_STATES)

_ANY = None, False, None, False
_Interval: TypeAlias = "tuple[Decimal | None, bool, Decimal | None, bool]"

# ------------------------------------------------------------------------------------------------ decimals


def decimal_of(number: int | float | Decimal) -> Decimal:
    """The exact decimal that a number in a schema stands for; a float stands for its shortest spelling."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def decimal_at(n: int, tens: int) -> Decimal:
    """n * 10**tens, exact: the operations of Decimal round to 28 digits."""
    return Decimal((n < 0, tuple(map(int, str(abs(n)))), tens))


def scaled(value: Decimal) -> tuple[int, int]:
    """(n, tens) of a finite value n * 10**tens, where n is not divisible by ten unless it is 0."""
    sign, digits, tens = value.as_tuple()
    written = "".join(map(str, digits))
    significant = written.rstrip("0")
    n = int(significant or "0")
    return (-n if sign else n), (int(tens) + len(written) - len(significant) if n else 0)


def whole_and_part(value: Decimal) -> tuple[str, str]:
    """The digits before the point and behind it, without zeros at the end, of a finite decimal's absolute value."""
    whole, _, part = format(value.copy_abs(), "f").partition(".")
    return whole.lstrip("0") or "0", part.rstrip("0")


def _ratio(value: Decimal) -> tuple[int, int]:
    """(p, k) with value = p / 10^k, k >= 0 and least."""
    n, tens = scaled(value)
    return (n * 10**tens, 0) if tens >= 0 else (n, -tens)


def common_multiple(values: tuple[Decimal, ...]) -> Decimal:
    """The least decimal that is a multiple of all of some positive ones."""
    ratios = [_ratio(value) for value in values]
    most = max(k for _, k in ratios)
    return decimal_at(lcm(*(p * 10 ** (most - k) for p, k in ratios)), -most)


def _reduced(divisor: Decimal) -> tuple[int, int, int]:
    """(p, k, zeros) with divisor = p * 10^zeros / 10^k; zeros > 0 only where k = 0 and p is prime to ten."""
    n, tens = scaled(divisor)
    if tens < 0:
        return n, -tens, 0
    return (n, 0, tens) if gcd(n, 10) == 1 else (n * 10**tens, 0, 0)


def remainders(divisor: Decimal) -> int:
    """How many remainders the whole parts of numbers leave for a positive divisor."""
    p, _, zeros = _reduced(divisor)
    return p * (zeros + 1)


# ------------------------------------------------------------------------------------------------ automata

_DIGITS = Repeat(char_class([(48, 57)]), 0, None)
_SOME_DIGITS = Repeat(char_class([(48, 57)]), 1, None)
_SIGN = Repeat(char_class([(43, 43), (45, 45)]), 0, 1)

NUMBER: Regular = concatenation(
    Repeat(literal("-"), 0, 1),
    alternation(literal("0"), concatenation(char_class([(49, 57)]), _DIGITS)),
    Repeat(concatenation(literal("."), _SOME_DIGITS), 0, 1),
    Repeat(concatenation(char_class([(69, 69), (101, 101)]), _SIGN, _SOME_DIGITS), 0, 1),
)


@memoised
def multiples_of(value: Decimal) -> ByteDfa:
    """The spellings of all multiples of a positive decimal. Raises LimitError where that takes too many states."""
    return number_between(None, False, None, False, value)


def number_between(
    low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool, divisor: Decimal | None = None
) -> ByteDfa:
    """The spellings of the numbers between two bounds, each open or closed, that are multiples of a positive decimal.

    None: no bound, no divisor. Raises LimitError where that takes too many states.
    """
    from ..automata.kernel import compile_all
    from ..automata.minimize import minimized
    from .json_number_kernels import CLASSES, D_EXPONENTS, write_numbers

    multiples = _divisor(divisor, is_bounded=low is not None and high is not None)
    upwards = _absolute(low, low_open, high, high_open)
    downwards = _absolute(_negated(high), high_open, _negated(low), low_open)
    bounds = _bounds(upwards, downwards, int(multiples[1]))
    compile_all()
    for has_exponents in (1, 0):
        multiples[D_EXPONENTS] &= has_exponents
        for n_rows in _ROWS:
            table, accepting = np.zeros((n_rows, CLASSES), np.int32), np.zeros(n_rows, np.uint8)
            n = write_numbers(bounds, multiples, table, accepting)
            if n <= n_rows:
                return minimized(table[:n], accepting[:n], _class_of())
        if not multiples[D_EXPONENTS]:
            break  # it was written without them
    raise LimitError("states of numbers (digits of bounds, remainders of multipleOf)", _MOST_STATES + 1, _MOST_STATES)


@cache
def _class_of() -> np.ndarray:
    """Of each byte, its class in the tables of json_number_kernels.py."""
    classes = np.zeros(256, np.uint8)
    for number, byte in enumerate(b"+-.0123456789E", 1):
        classes[byte] = number
    classes[ord("e")] = classes[ord("E")]
    return classes


def _divisor(divisor: Decimal | None, is_bounded: bool) -> np.ndarray:
    """A divisor as json_number_kernels.py reads it."""
    if divisor is None:
        return np.array([0, 0, 0, 1, 1], np.int64)
    p, k, zeros = _reduced(divisor)
    n = p * (zeros + 1)
    # Nothing tells remainders by what is prime to ten alike, and whole parts of any length have all of them.
    apart = 0 if is_bounded else p // gcd(p, 10**20)
    for given, most in (n, _MOST_REMAINDERS), (apart, _MOST_APART), (k, _MOST_DIGITS):
        if given > most:
            raise LimitError("remainders of multipleOf, by digits", given, most)
    return np.array([p, k, zeros, 1, *(pow(10, i, p) for i in range(k + 1))], np.int64)


def _negated(bound: Decimal | None) -> Decimal | None:
    return None if bound is None else bound.copy_negate()


def _absolute(low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool) -> _Interval | None:
    """What is at least 0 of an interval; None if nothing is."""
    if low is None or low < 0 or (low == 0 and not low_open):
        low, low_open = None, False
    least = Decimal(0) if low is None else low
    if high is not None and (high < least or (high == least and (low_open or high_open))):
        return None
    return low, low_open, high, high_open


def _bounds(positive: _Interval | None, negative: _Interval | None, k: int) -> np.ndarray:
    """The bounds of absolute values, of numbers without a minus and with one, as json_number_kernels.py reads them."""
    from .json_number_kernels import BOUND, NONE, SAME, SOME, UNBOUNDED

    sides: list[tuple[tuple[int, ...], str]] = []
    for interval, there in (
        (positive, NONE if positive is None else SOME),
        (negative, NONE if negative is None else SAME if negative == positive else SOME),
    ):
        # What is the same or is not there is not looked at.
        low, low_open, high, high_open = interval if interval is not None and there == SOME else _ANY
        sides += _bound(low, low_open, 0, there), _bound(high, high_open, UNBOUNDED, there)
    longest = max(len(digits) for _, digits in sides)
    if longest > _MOST_DIGITS:
        raise LimitError("digits of a bound", longest, _MOST_DIGITS)
    rows = np.zeros((4, BOUND + 2 * longest + k + MANTISSA_DIGITS + 2), np.int64)
    rows[:, :BOUND] = [fields for fields, _ in sides]
    for row, (_, digits) in zip(rows, sides, strict=True):
        if digits:
            row[BOUND : BOUND + len(digits)] = list(map(int, digits))
    return rows


def _bound(bound: Decimal | None, is_open: bool, no_digits: int, there: int) -> tuple[tuple[int, ...], str]:
    """The fields of a bound, and its digits; no_digits : how many a bound has before its point that is none."""
    if bound is None:
        return (no_digits, 0, 0, 0, 0, 2 * EXPONENTS[1][1] if no_digits else 2 * EXPONENTS[0][0], there), ""
    whole, part = whole_and_part(bound)
    digits = whole + part
    significant = digits.strip("0")
    if not significant:  # an exponent that none is below
        return (len(whole), 0, is_open, 0, 0, 2 * EXPONENTS[0][0], there), digits
    lead = len(digits) - len(digits.lstrip("0"))
    return (len(whole), len(part), is_open, lead, len(significant) - 1, len(whole) - 1 - lead, there), digits
