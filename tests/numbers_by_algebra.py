"""Languages of numbers made slowly: ranges as regular expressions, multiples state by state, lists one by one.

The twins of json_number_kernels.py and json_constant_kernels.py: they go through the algebra of regular languages and a
table of named states, and share with the product only the reading of decimals.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from math import gcd

import numpy as np

from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.minimize import minimized
from bridle.automata.regular import (
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
    intersection,
    literal,
)
from bridle.grammar.json_numbers import scaled, whole_and_part

_SMALLEST, _SMALL, _LARGE, _LARGEST, _MANTISSA_DIGITS = -324, -5, 16, 308, 16

# ------------------------------------------------------------------------------------------------ ranges


def numbers_of(
    low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool, divisor: Decimal | None = None
) -> ByteDfa:
    """As json_numbers.number_between."""
    between = compile_regular(_between(low, low_open, high, high_open))
    return between if divisor is None else intersection(between, naive_multiples(divisor))


def constants_of(numbers: list[Decimal]) -> ByteDfa:
    """As json_constants.constants_spelled."""
    return compile_regular(alternation(*map(_constant, numbers)))


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

_E = char_class([(69, 69), (101, 101)])
_MANTISSA = concatenation(
    _NONZERO, Repeat(concatenation(_POINT, Repeat(_DIGIT, 0, _MANTISSA_DIGITS - 1), _NONZERO), 0, 1)
)


def _digits(low: int, high: int) -> Regular:
    return char_class([(48 + low, 48 + high)]) if low <= high else EMPTY


def _any_digits(n: int) -> Regular:
    return Repeat(_DIGIT, n, n) if n else EPSILON


def _equal(bound: Decimal) -> Regular:
    whole, fraction = whole_and_part(bound)
    if not fraction:
        return concatenation(literal(whole), _ZEROS)
    return concatenation(literal(f"{whole}.{fraction}"), Repeat(literal("0"), 0, None))


def _greater(bound: Decimal) -> Regular:
    """Spellings (without sign) of values > bound >= 0."""
    whole, fraction = whole_and_part(bound)
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
    whole, fraction = whole_and_part(bound)
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


@cache
def _exponents(least: int, most: int) -> ByteDfa:
    """The spellings of the exponents in a range, behind the e."""
    zeros = Repeat(literal("0"), 0, 2)
    cases = []
    for sign, low, high in (
        ("-", max(-most, -_SMALL), -least),
        ("+", max(least, _LARGE), most),
    ):
        naturals = [literal(str(n)) for n in range(low, high + 1)]
        if naturals:
            signs = _MINUS if sign == "-" else Repeat(literal("+"), 0, 1)
            cases.append(concatenation(signs, zeros, alternation(*naturals)))
    return compile_regular(alternation(*cases))


def _shifted(value: Decimal, places: int) -> Decimal:
    """value * 10**places, exact."""
    sign, digits, tens = value.as_tuple()
    return Decimal((sign, digits, int(tens) + places))


def _scientific(low: Decimal, low_open: bool, high: Decimal | None, high_open: bool) -> Regular:
    """Scientific spellings (without sign) of the values in an interval; low >= 0."""
    if high is not None and (high < low or high == 0 or (high == low and (low_open or high_open))):
        return EMPTY
    first = low.adjusted() if low else _SMALLEST - 1
    last = _LARGEST + 1 if high is None else high.adjusted()
    cases: list[Regular] = []

    def add(mantissas: Regular, least: int, most: int) -> None:
        least, most = max(least, _SMALLEST), min(most, _LARGEST)
        if least <= most:
            cases.append(concatenation(mantissas, _E, Language(_exponents(least, most))))

    from_low = (_shifted(low, -first), low_open) if low else (Decimal(0), False)
    to_high = (None, False) if high is None else (_shifted(high, -last), high_open)
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


def _between(low: Decimal | None, low_open: bool, high: Decimal | None, high_open: bool) -> Regular:
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
    return alternation(*cases)


def _constant(value: Decimal) -> Regular:
    magnitude = value.copy_abs()
    if value == 0:
        return concatenation(Repeat(_MINUS, 0, 1), _equal(magnitude))
    spelled = alternation(_equal(magnitude), _scientific(magnitude, False, magnitude, False))
    return concatenation(_MINUS, spelled) if value < 0 else spelled



# ------------------------------------------------------------------------------------------------ multiples

# Classes of bytes, numbered by their least byte: 0 all others, + - . then the digits, then E and e.
_AT_PLUS, _AT_MINUS, _AT_POINT, _AT_ZERO, _AT_E = 1, 2, 3, 4, 14
_CLASSES = 15


def _class_of() -> np.ndarray:
    classes = np.zeros(256, np.uint8)
    classes[43], classes[45], classes[46] = _AT_PLUS, _AT_MINUS, _AT_POINT
    classes[48:58] = range(_AT_ZERO, _AT_ZERO + 10)
    classes[69] = classes[101] = _AT_E
    return classes


class _Table:
    """An automaton in the making: states by name."""

    def __init__(self) -> None:
        self.numbers: dict[object, int] = {None: 0}
        self.rows: list[list[int]] = [[0] * _CLASSES]
        self.accepting: list[int] = [0]
        self.waiting: list[object] = []

    def state(self, name: object) -> int:
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = len(self.rows)
            self.rows.append([0] * _CLASSES)
            self.accepting.append(0)
            self.waiting.append(name)
        return number

    def automaton(self) -> ByteDfa:
        return minimized(np.array(self.rows, np.int32), np.array(self.accepting, np.uint8), _class_of())


@cache
def naive_multiples(value: Decimal) -> ByteDfa:
    """As json_numbers.multiples_of."""
    n, tens = scaled(value)
    if tens < 0:
        return _Multiples(n, -tens, 0).table.automaton()
    if gcd(n, 10) == 1:
        return _Multiples(n, 0, tens).table.automaton()
    return _Multiples(n * 10**tens, 0, 0).table.automaton()


class _Multiples:
    """The automaton of the multiples of p * 10^zeros / 10^k. zeros > 0 only where k = 0 and p is prime to ten.

    States: "start"; "sign", after a minus; "zero", after a leading zero; (whole, r, z, single): digits before the point
    with remainder r, z of them zeros at the end (at most `zeros`), single if there is one digit; (part, n, r, exact,
    last, single): n digits behind it, exact where the value is a multiple up to here (n beyond k), last the last digit
    is not zero; "zeros": only zeros may follow; (exponent, T, q): in the automaton of the exponents from T on.
    """

    def __init__(self, p: int, k: int, zeros: int) -> None:
        self.p, self.k, self.zeros = p, k, zeros
        self.table = _Table()
        self.table.state("start")
        while self.table.waiting:
            name = self.table.waiting.pop()
            row = self.table.numbers[name]
            if name == "start" or name == "sign":
                self._sign(row, name == "start")
            elif name == "zero":
                self._point(row, 0, self.zeros, False)
                self.table.accepting[row] = 1
            elif name == "zeros":
                self.table.accepting[row] = 1
                self.table.rows[row][_AT_ZERO] = row
            else:
                assert isinstance(name, tuple)
                kind, *at = name
                if kind == "whole":
                    self._whole(row, *at)
                elif kind == "part":
                    self._part(row, *at)
                else:
                    self._exponent(row, *at)

    def _sign(self, row: int, may_have: bool) -> None:
        rows, state = self.table.rows, self.table.state
        if may_have:
            rows[row][_AT_MINUS] = state("sign")
        rows[row][_AT_ZERO] = state("zero")
        for digit in range(1, 10):
            rows[row][_AT_ZERO + digit] = state(("whole", digit % self.p, 0, True))

    def _whole(self, row: int, r: int, z: int, single: bool) -> None:
        rows, state = self.table.rows, self.table.state
        for digit in range(10):
            after = 0 if digit else min(z + 1, self.zeros)
            rows[row][_AT_ZERO + digit] = state(("whole", (10 * r + digit) % self.p, after, False))
        if r * 10**self.k % self.p == 0 and z == self.zeros:
            self.table.accepting[row] = 1
        self._point(row, r, z, single)
        if single:
            self._e(row, 0, r)

    def _point(self, row: int, r: int, z: int, single: bool) -> None:
        if self.k or z == self.zeros or single:
            to = self.table.state(("part", 0, r, r * 10**self.k % self.p == 0 and z == self.zeros, False, single))
            self.table.rows[row][_AT_POINT] = to

    def _part(self, row: int, n: int, r: int, exact: bool, last: bool, single: bool) -> None:
        """After n digits behind the point. With n <= k what counts is r; beyond, whether it was exact before."""
        rows, state, p, k = self.table.rows, self.table.state, self.p, self.k
        if n and exact:
            self.table.accepting[row] = 1
        goes_on = single and n < _MANTISSA_DIGITS
        for digit in range(10):
            after = (10 * r + digit) % p
            if n < k:
                is_exact = after * 10 ** (k - n - 1) % p == 0
            else:
                is_exact = exact and digit == 0
            if n < k or goes_on:
                to = state(("part", n + 1, after, is_exact, digit != 0, goes_on))
            else:
                to = state("zeros") if is_exact else 0
            rows[row][_AT_ZERO + digit] = to
        if single and last and n <= _MANTISSA_DIGITS:
            self._e(row, n, r)

    def _e(self, row: int, n: int, r: int) -> None:
        """The exponents that make a multiple of a mantissa."""
        j = 0
        while r * 10**j % self.p:
            j += 1
            if j > self.p.bit_length():
                return
        least = n - self.k + j + self.zeros
        if least <= _LARGEST:
            self.table.rows[row][_AT_E] = self.table.state(("exponent", max(least, _SMALLEST), 1))

    def _exponent(self, row: int, least: int, q: int) -> None:
        exponents = _exponents(least, _LARGEST)
        self.table.accepting[row] = int(exponents.accepting[q])
        for byte, cls in ((43, _AT_PLUS), (45, _AT_MINUS), *((48 + d, _AT_ZERO + d) for d in range(10))):
            to = int(exponents.transitions[q, byte])
            self.table.rows[row][cls] = self.table.state(("exponent", least, to)) if to else 0
