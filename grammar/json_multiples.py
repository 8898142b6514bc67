"""The spellings of the multiples of a decimal, as one automaton of remainders.

A multiple of p / 10^k is read digit by digit: the state is the remainder, modulo p, of the digits so far taken as an
integer D, and how many of them are behind the point. After n of those the value is D / 10^n, a multiple if and only if
D * 10^(k-n) is one of p; behind the k-th only zeros may follow. In `D.ddde±x` the exponent says how many zeros to
append: with j the least number of zeros that makes a multiple of p out of D, all x >= n - k + j do. So a mantissa's
state leads to the automaton of the exponents from there on.

Where p = c * 10^j with c prime to ten, a multiple of c that ends in j zeros is all that must be seen, and there are
c * (j + 1) states instead of p.

Cost: about 1 us a transition; 20 states for integers, 17 p for p up to 300 (exponents included), at most 20,000.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import gcd

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from .json_numbers import EXPONENTS, MANTISSA_DIGITS, exponents_from, scaled
from .kept_automata import kept
from .kept_digests import MULTIPLES

__all__ = ["common_multiple", "multiples_of"]

_MOST_STATES = 20_000
# Beyond this many remainders numbers have no exponent: the mantissa would multiply them by its seventeen places.
_MOST_WITH_EXPONENT = 300
# Classes of bytes, numbered by their least byte: 0 all others, + - . then the digits, then E and e.
_PLUS, _MINUS, _POINT, _ZERO, _E = 1, 2, 3, 4, 14
_CLASSES = 15


def _class_of() -> np.ndarray:
    classes = np.zeros(256, np.uint8)
    classes[43], classes[45], classes[46] = _PLUS, _MINUS, _POINT
    classes[48:58] = range(_ZERO, _ZERO + 10)
    classes[69] = classes[101] = _E
    return classes


def _ratio(value: Decimal) -> tuple[int, int]:
    """(p, k) with value = p / 10^k, k >= 0 and least."""
    n, tens = scaled(value)
    return (n * 10**tens, 0) if tens >= 0 else (n, -tens)


def common_multiple(values: tuple[Decimal, ...]) -> Decimal:
    """The least decimal that is a multiple of all of some positive ones."""
    ratios = [_ratio(value) for value in values]
    most = max(k for _, k in ratios)
    found = 1
    for p, k in ratios:
        scaled = p * 10 ** (most - k)
        found = found * scaled // gcd(found, scaled)
    return Decimal(found).scaleb(-most)


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
            if number > _MOST_STATES:
                raise LimitError("states of multipleOf (remainders by places)", number, _MOST_STATES)
            self.rows.append([0] * _CLASSES)
            self.accepting.append(0)
            self.waiting.append(name)
        return number

    def automaton(self) -> ByteDfa:
        from ..automata.minimize import minimized

        return minimized(np.array(self.rows, np.int32), np.array(self.accepting, np.uint8), _class_of())


@lru_cache(maxsize=1024)
def multiples_of(value: Decimal) -> ByteDfa:
    """The spellings of all multiples of a positive decimal. Raises LimitError where that takes too many states."""
    name = str(value)
    return kept(f"multiples-{name}", MULTIPLES[name], lambda: _made(value)) if name in MULTIPLES else _made(value)


def _made(value: Decimal) -> ByteDfa:
    p, k = _ratio(value)
    zeros = 0
    while k == 0 and p % 10 == 0 and gcd(p // 10, 10) != 1 and gcd(p, 10) == 10 and p % 100 == 0:
        zeros += 1
        p //= 10
    if k == 0 and p % 10 == 0 and gcd(p // 10, 10) == 1:
        zeros += 1
        p //= 10
    else:
        p, zeros = p * 10**zeros, 0
    return _Multiples(p, k, zeros).table.automaton()


class _Multiples:
    """The automaton of the multiples of p * 10^zeros / 10^k. zeros > 0 only where k = 0 and p is prime to ten.

    States: "start"; "sign", after a minus; "zero", after a leading zero; (whole, r, z, single): digits before the point
    with remainder r, z of them zeros at the end (at most `zeros`), single if there is one digit; (part, n, r, exact,
    last, single): n digits behind it, exact where the value is a multiple up to here (n beyond k), last the last digit
    is not zero; "zeros": only zeros may follow; (exponent, T, q): in the automaton of the exponents from T on.
    """

    def __init__(self, p: int, k: int, zeros: int) -> None:
        self.p, self.k, self.zeros = p, k, zeros
        self.with_exponent = p * (zeros + 1) <= _MOST_WITH_EXPONENT
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
                self.table.rows[row][_ZERO] = row
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
            rows[row][_MINUS] = state("sign")
        rows[row][_ZERO] = state("zero")
        for digit in range(1, 10):
            rows[row][_ZERO + digit] = state(("whole", digit % self.p, 0, True))

    def _whole(self, row: int, r: int, z: int, single: bool) -> None:
        rows, state = self.table.rows, self.table.state
        for digit in range(10):
            after = 0 if digit else min(z + 1, self.zeros)
            rows[row][_ZERO + digit] = state(("whole", (10 * r + digit) % self.p, after, False))
        if r * 10**self.k % self.p == 0 and z == self.zeros:
            self.table.accepting[row] = 1
        self._point(row, r, z, single)
        if single:
            self._e(row, 0, r)

    def _point(self, row: int, r: int, z: int, single: bool) -> None:
        if self.k or z == self.zeros or single:
            to = self.table.state(("part", 0, r, r * 10**self.k % self.p == 0 and z == self.zeros, False, single))
            self.table.rows[row][_POINT] = to

    def _part(self, row: int, n: int, r: int, exact: bool, last: bool, single: bool) -> None:
        """After n digits behind the point. With n <= k what counts is r; beyond, whether it was exact before."""
        rows, state, p, k = self.table.rows, self.table.state, self.p, self.k
        if n and exact:
            self.table.accepting[row] = 1
        goes_on = self.with_exponent and single and n < MANTISSA_DIGITS
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
            rows[row][_ZERO + digit] = to
        if single and last and n <= MANTISSA_DIGITS:
            self._e(row, n, r)

    def _e(self, row: int, n: int, r: int) -> None:
        """The exponents that make a multiple of a mantissa."""
        if not self.with_exponent:
            return
        j = 0
        while r * 10**j % self.p:
            j += 1
            if j > self.p.bit_length():
                return
        least = n - self.k + j + self.zeros
        if least <= EXPONENTS[1]:
            self.table.rows[row][_E] = self.table.state(("exponent", max(least, EXPONENTS[0]), 1))

    def _exponent(self, row: int, least: int, q: int) -> None:
        exponents = exponents_from(least)
        self.table.accepting[row] = int(exponents.accepting[q])
        for byte, cls in ((43, _PLUS), (45, _MINUS), *((48 + d, _ZERO + d) for d in range(10))):
            to = int(exponents.transitions[q, byte])
            self.table.rows[row][cls] = self.table.state(("exponent", least, to)) if to else 0
