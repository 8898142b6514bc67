"""The numbers of a schema: bounds, multiples and exclusions as one language of spellings, exact by value.

Cost: 25 to 60 us for bounds that were not met before, 30 to 150 with a divisor up to 20 (json_numbers.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import memoised
from ..automata.regular import compile_regular, difference
from .json_constants import constants_spelled
from .json_numbers import (
    FEW_REMAINDERS,
    NUMBER,
    common_multiple,
    decimal_at,
    multiples_of,
    number_between,
    remainders,
    scaled,
)

__all__ = ["NumberSet", "number_admits", "number_is_empty", "number_language"]

_ONE = Decimal(1)
# Digits of bounds and divisors, and numbers that are excluded, with which a set's language is within all budgets.
_SHORT, _FEW = 15, 100


class NumberSet(NamedTuple):
    """The numbers between two bounds (None: no bound) that are multiples of all `multiples` and of none of
    `not_multiples`, and none of `excluded`. All tuples are sorted, so that equal sets are equal."""

    low: Decimal | None = None
    low_open: bool = False
    high: Decimal | None = None
    high_open: bool = False
    multiples: tuple[Decimal, ...] = ()
    not_multiples: tuple[Decimal, ...] = ()
    excluded: tuple[Decimal, ...] = ()


@memoised
def number_language(numbers: NumberSet) -> ByteDfa:
    """The spellings of a set of numbers. Raises LimitError where a divisor takes too many states."""
    if numbers == NumberSet():
        return compile_regular(NUMBER)
    low, low_open, high, high_open = numbers[:4]
    divisor = common_multiple(numbers.multiples) if numbers.multiples else None
    language = number_between(low, low_open, high, high_open, divisor)
    for other in numbers.not_multiples:
        language = difference(language, multiples_of(other))
    if numbers.excluded:
        language = difference(language, constants_spelled(numbers.excluded))
    return language


@lru_cache(maxsize=4096)
def number_is_empty(numbers: NumberSet) -> bool:
    """Whether no number is in a set: every number has a plain spelling, so its language says so."""
    return not _plainly_has_number(numbers) and number_language(numbers).is_empty


def _plainly_has_number(numbers: NumberSet) -> bool:
    """Whether a number is in a set, as far as arithmetic says so and the set's language is small."""
    low, high = numbers.low, numbers.high
    # What may be beyond the budgets is found out before a text begins.
    if not all(map(_is_short, (low, high, *numbers.multiples, *numbers.not_multiples))) or len(numbers.excluded) > _FEW:
        return False
    step = common_multiple(numbers.multiples) if numbers.multiples else _ONE
    if any(remainders(divisor) > FEW_REMAINDERS for divisor in (step, *numbers.not_multiples)):
        return False
    if not numbers.multiples and (low is None or high is None or low < high):
        return True  # some decimal between two others is neither a multiple nor in a list
    return any(number_admits(numbers, candidate) for candidate in _candidates(numbers, step))


def _is_short(number: Decimal | None) -> bool:
    """Whether a number has few digits before its point and behind it."""
    if number is None:
        return True
    n, tens = scaled(number)
    return abs(number) < 10**_SHORT and abs(n) < 10**_SHORT and tens >= -_SHORT


def _candidates(numbers: NumberSet, step: Decimal) -> Iterator[Decimal]:
    """The multiples of `step` from a bound on, more than are excluded one by one."""
    n, tens = scaled(step)
    bound, direction = (numbers.low, 1) if numbers.low is not None else (numbers.high, -1)
    nearest = 0
    if bound is not None:
        of_bound, of_step = _in_one_unit(bound, step)
        nearest = of_bound // of_step
    for i in range(len(numbers.excluded) + 3):
        yield decimal_at(n * (nearest + i * direction), tens)


def number_admits(numbers: NumberSet, value: Decimal) -> bool:
    """Whether a number is in a set, by exact arithmetic."""
    low, high = numbers.low, numbers.high
    if low is not None and (value < low or (numbers.low_open and value == low)):
        return False
    if high is not None and (value > high or (numbers.high_open and value == high)):
        return False
    if value in numbers.excluded or not all(_divides(divisor, value) for divisor in numbers.multiples):
        return False
    return not any(_divides(divisor, value) for divisor in numbers.not_multiples)


def _divides(divisor: Decimal, value: Decimal) -> bool:
    of_value, of_divisor = _in_one_unit(value, divisor)
    return of_value % of_divisor == 0


def _in_one_unit(left: Decimal, right: Decimal) -> tuple[int, int]:
    """Two finite decimals as integers, of the same power of ten."""
    (n_left, left_tens), (n_right, right_tens) = scaled(left), scaled(right)
    least = min(left_tens, right_tens)
    return n_left * 10 ** (left_tens - least), n_right * 10 ** (right_tens - least)
