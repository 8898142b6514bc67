"""The spellings of numbers between bounds, as regular languages of decimal digits.

Without a constraint a number is what RFC 8259 writes. Where its value is constrained (bounds, a constant, multiples)
the spellings of a value are not a regular language, and a number is one of

    plain         -?(0|[1-9][0-9]*)(\\.[0-9]+)?, any number of digits
    scientific    -?[1-9](\\.[0-9]{0,15}[1-9])?[eE][+-]?0{0,2}x with an exponent x from -324 to -5 or from 16 to 308

compared as exact decimals. Every value has a plain spelling, so no value is lost, and what Python writes of an int or a
float is in one of the two. Smaller exponents are left out on purpose: with them `1.5` would begin an integer (`1.5e1`),
and a model that slipped would be led to a number that it did not mean.

How a bound becomes an expression: against B = b1…bn.f1…fm a plain spelling is greater if its integer part is longer, or
equally long and greater at the first digit that differs, or equal with a fraction that is greater likewise. A
scientific one is greater if its exponent is, or if that is equal and its mantissa is greater likewise. A range is the
intersection of two of these, and negative numbers are a minus before the mirrored range.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    EMPTY,
    EPSILON,
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    char_class,
    compile_regular,
    concatenation,
    literal,
)

__all__ = [
    "EXPONENTS", "MANTISSA_DIGITS", "NUMBER", "NUMBER_NOTE", "decimal_of", "exponents_from", "number_between",
    "number_constant", "scaled",
]  # fmt: skip

# The exponents of scientific spellings, and the most digits behind the point of their mantissas: those of a double.
EXPONENTS = (-324, 308)
_LEAST_EXPONENTS = (-5, 16)
MANTISSA_DIGITS = 16
NUMBER_NOTE = (
    "numbers whose value is constrained (bounds, integer, multipleOf, const, enum) are spelled plainly, or with one"
    " digit before the point, up to 16 behind it and an exponent below -4 or above 15, as json.dumps writes floats"
)

_DIGIT = char_class([(48, 57)])
_NONZERO = char_class([(49, 57)])
_DIGITS = Repeat(_DIGIT, 0, None)
_SOME_DIGITS = Repeat(_DIGIT, 1, None)
_WHOLE = alternation(literal("0"), concatenation(_NONZERO, _DIGITS))
_POINT = literal(".")
_FRACTION = alternation(EPSILON, concatenation(_POINT, _SOME_DIGITS))
_ZEROS = alternation(EPSILON, concatenation(_POINT, Repeat(literal("0"), 1, None)))
_MINUS = literal("-")
_EXPONENT = concatenation(
    char_class([(69, 69), (101, 101)]), Repeat(char_class([(43, 43), (45, 45)]), 0, 1), _SOME_DIGITS
)

NUMBER: Regular = concatenation(Repeat(_MINUS, 0, 1), _WHOLE, _FRACTION, Repeat(_EXPONENT, 0, 1))

_E = char_class([(69, 69), (101, 101)])
_MANTISSA = concatenation(
    _NONZERO, Repeat(concatenation(_POINT, Repeat(_DIGIT, 0, MANTISSA_DIGITS - 1), _NONZERO), 0, 1)
)


def decimal_of(number: int | float | Decimal) -> Decimal:
    """The exact decimal that a number in a schema stands for; a float stands for its shortest spelling."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def scaled(value: Decimal) -> tuple[int, int]:
    """(n, tens) of a finite value n * 10**tens, where n is not divisible by ten unless it is 0."""
    sign, digits, tens = value.as_tuple()
    written = "".join(map(str, digits))
    significant = written.rstrip("0")
    n = int(significant or "0")
    return (-n if sign else n), (int(tens) + len(written) - len(significant) if n else 0)


def _parts(bound: Decimal) -> tuple[str, str]:
    """Integer digits and fraction digits (no trailing zeros) of a bound >= 0 (-0 is one)."""
    whole, _, fraction = format(bound.copy_abs(), "f").partition(".")
    return whole.lstrip("0") or "0", fraction.rstrip("0")


def _digits(low: int, high: int) -> Regular:
    return char_class([(48 + low, 48 + high)]) if low <= high else EMPTY


def _any_digits(n: int) -> Regular:
    return Repeat(_DIGIT, n, n) if n else EPSILON


def _equal(bound: Decimal) -> Regular:
    whole, fraction = _parts(bound)
    if not fraction:
        return concatenation(literal(whole), _ZEROS)
    return concatenation(literal(f"{whole}.{fraction}"), Repeat(literal("0"), 0, None))


def _greater(bound: Decimal) -> Regular:
    """Spellings (without sign) of values > bound >= 0."""
    whole, fraction = _parts(bound)
    n = len(whole)
    cases = [concatenation(_NONZERO, Repeat(_DIGIT, n, None), _FRACTION)]
    for k, digit in enumerate(whole):
        rest = concatenation(_any_digits(n - k - 1), _FRACTION)
        cases.append(concatenation(literal(whole[:k]), _digits(int(digit) + 1, 9), rest))
    for k, digit in enumerate(fraction):
        cases.append(concatenation(literal(f"{whole}.{fraction[:k]}"), _digits(int(digit) + 1, 9), _DIGITS))
    cases.append(concatenation(literal(f"{whole}.{fraction}"), Repeat(literal("0"), 0, None), _NONZERO, _DIGITS))
    return alternation(*cases)


def _less(bound: Decimal) -> Regular:
    """Spellings (without sign) of values >= 0 and < bound."""
    whole, fraction = _parts(bound)
    n = len(whole)
    cases: list[Regular] = []
    if n > 1:
        cases.append(
            concatenation(alternation(literal("0"), concatenation(_NONZERO, Repeat(_DIGIT, 0, n - 2))), _FRACTION)
        )
    for k, digit in enumerate(whole):
        least = 1 if k == 0 and n > 1 else 0
        rest = concatenation(_any_digits(n - k - 1), _FRACTION)
        cases.append(concatenation(literal(whole[:k]), _digits(least, int(digit) - 1), rest))
    if fraction:
        cases.append(literal(whole))
    for k, digit in enumerate(fraction):
        cases.append(concatenation(literal(f"{whole}.{fraction[:k]}"), _digits(0, int(digit) - 1), _DIGITS))
        if k:
            cases.append(literal(f"{whole}.{fraction[:k]}"))
    return alternation(*cases)


def _magnitudes(low: Decimal, low_open: bool, high: Decimal | None, high_open: bool) -> Regular:
    """Plain spellings (without sign) of the values in an interval; low >= 0."""
    if high is not None and (high < low or (high == low and (low_open or high_open))):
        return EMPTY
    if high is not None and high == low:
        return _equal(low)
    if low == 0 and not low_open:
        at_least: Regular = concatenation(_WHOLE, _FRACTION)
    else:
        at_least = _greater(low) if low_open else alternation(_greater(low), _equal(low))
    if high is None:
        return at_least
    at_most = _less(high) if high_open else alternation(_less(high), _equal(high))
    return at_most if low == 0 and not low_open else Intersection((at_least, at_most))


# ------------------------------------------------------------------------------------------------ exponents


@lru_cache(maxsize=2048)
def _exponents(least: int, most: int) -> ByteDfa:
    """The spellings of the exponents in a range, behind the e."""
    zeros = Repeat(literal("0"), 0, 2)
    cases = []
    for sign, low, high in (
        ("-", max(-most, -_LEAST_EXPONENTS[0]), -least),
        ("+", max(least, _LEAST_EXPONENTS[1]), most),
    ):
        naturals = [literal(str(n)) for n in range(low, high + 1)]
        if naturals:
            signs = _MINUS if sign == "-" else Repeat(literal("+"), 0, 1)
            cases.append(concatenation(signs, zeros, alternation(*naturals)))
    return compile_regular(alternation(*cases))


def exponents_from(least: int) -> ByteDfa:
    """The spellings of the exponents from `least` on, behind the e."""
    return _exponents(least, EXPONENTS[1])


def _scientific(low: Decimal, low_open: bool, high: Decimal | None, high_open: bool) -> Regular:
    """Scientific spellings (without sign) of the values in an interval; low >= 0."""
    if high is not None and (high < low or high == 0 or (high == low and (low_open or high_open))):
        return EMPTY
    first = low.adjusted() if low else EXPONENTS[0] - 1
    last = EXPONENTS[1] + 1 if high is None else high.adjusted()
    cases: list[Regular] = []

    def add(mantissas: Regular, least: int, most: int) -> None:
        least, most = max(least, EXPONENTS[0]), min(most, EXPONENTS[1])
        if least <= most:
            cases.append(concatenation(mantissas, _E, Language(_exponents(least, most))))

    from_low = (low.scaleb(-first), low_open) if low else (Decimal(0), False)
    to_high = (None, False) if high is None else (high.scaleb(-last), high_open)
    if first == last:
        add(Intersection((_MANTISSA, _magnitudes(*from_low, *to_high))), first, first)
    elif first < last:
        if low:
            add(Intersection((_MANTISSA, _magnitudes(*from_low, None, False))), first, first)
        add(_MANTISSA, first + 1, last - 1)
        if high is not None:
            add(Intersection((_MANTISSA, _magnitudes(Decimal(0), False, *to_high))), last, last)
    return alternation(*cases)


def _interval(low: Decimal, low_open: bool, high: Decimal | None, high_open: bool) -> Regular:
    """Spellings (without sign) of the values in an interval; low >= 0."""
    return alternation(_magnitudes(low, low_open, high, high_open), _scientific(low, low_open, high, high_open))


@lru_cache(maxsize=4096)
def number_between(low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool) -> ByteDfa:
    """The spellings of the numbers between two bounds, each open or closed; None: no bound.

    Raises LimitError when a bound has more digits than the budget of regular languages allows.
    """
    zero = Decimal(0)
    cases: list[Regular] = []
    if high is None or high >= 0:
        positive_low, positive_open = (low, low_open) if low is not None and low >= 0 else (zero, False)
        cases.append(_interval(positive_low, positive_open, high, high_open))
    if low is None or low <= 0:
        negative_low, negative_open = (
            (high.copy_negate(), high_open) if high is not None and high <= 0 else (zero, False)
        )
        upper = None if low is None else low.copy_negate()
        cases.append(concatenation(_MINUS, _interval(negative_low, negative_open, upper, low_open)))
    return compile_regular(alternation(*cases))


def number_constant(value: Decimal) -> Regular:
    """The spellings of one number."""
    magnitude = value.copy_abs()
    if value == 0:
        return concatenation(Repeat(_MINUS, 0, 1), _equal(magnitude))
    spelled = alternation(_equal(magnitude), _scientific(magnitude, False, magnitude, False))
    return concatenation(_MINUS, spelled) if value < 0 else spelled
