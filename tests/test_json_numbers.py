"""Languages of numbers beside arithmetic: every spelling that may come, decided by Decimal."""

from __future__ import annotations

import itertools
import json
import random
import re
from decimal import Decimal

import pytest

import bridle
from bridle.grammar import json_multiples
from bridle.grammar.kept_digests import MULTIPLES
from bridle.grammar.schema_numbers import NumberSet, number_admits, number_is_empty, number_language

PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
SCIENTIFIC = re.compile(r"-?[1-9](\.[0-9]{0,15}[1-9])?[eE][+-]?0{0,2}(0|[1-9][0-9]{0,2})")


def spells(numbers, text):
    """Whether a text is one of the documented spellings of a number in the set (the naive twin)."""
    if SCIENTIFIC.fullmatch(text):
        exponent = int(re.split("[eE]", text)[1])
        if not -324 <= exponent <= 308 or -5 < exponent < 16:
            return False
    elif not PLAIN.fullmatch(text):
        return False
    return number_admits(numbers, Decimal(text))


def random_word(language, rng):
    """A random walk that ends with some probability."""
    state, out = 1, bytearray()
    while not (language.accepting[state] and rng.random() < 0.2):
        moves = list(language._moves(state))
        if not moves or len(out) > 60:
            break
        byte, state = rng.choice(moves)
        out.append(byte)
    return bytes(out)


def decimals(*texts):
    return tuple(map(Decimal, texts))


SETS = [
    NumberSet(low=Decimal(0)),
    NumberSet(low=Decimal(0), low_open=True),
    NumberSet(high=Decimal("-1.5")),
    NumberSet(low=Decimal("-12.5"), high=Decimal("0.031"), high_open=True),
    NumberSet(low=Decimal("0.99"), high=Decimal("1e2")),
    NumberSet(low=Decimal(1), high=Decimal(1)),
    NumberSet(multiples=decimals("1")),
    NumberSet(multiples=decimals("3")),
    NumberSet(multiples=decimals("0.01")),
    NumberSet(multiples=decimals("0.5", "0.2")),
    NumberSet(multiples=decimals("30")),
    NumberSet(multiples=decimals("100")),
    NumberSet(multiples=decimals("12", "1")),
    NumberSet(multiples=decimals("1.5")),
    NumberSet(multiples=decimals("0.03"), low=Decimal(-1), high=Decimal(1)),
    NumberSet(not_multiples=decimals("1")),
    NumberSet(not_multiples=decimals("2", "0.5")),
    NumberSet(multiples=decimals("1"), not_multiples=decimals("2"), excluded=decimals("1", "-3", "30")),
    NumberSet(excluded=decimals("0", "1.2", "1e2")),
    NumberSet(multiples=decimals("1"), low=Decimal(-(2**53)), high=Decimal(2**53 - 1)),
]


@pytest.mark.parametrize("numbers", SETS, ids=[str(i) for i in range(len(SETS))])
def test_short_spellings_are_what_arithmetic_says(numbers):
    language = number_language(numbers)
    for n in range(1, 6):
        for letters in itertools.product("-012.3e", repeat=n):
            text = "".join(letters)
            assert language.accepts(text.encode()) == spells(numbers, text), text


@pytest.mark.parametrize("numbers", SETS, ids=[str(i) for i in range(len(SETS))])
def test_random_spellings_are_what_arithmetic_says(numbers):
    language = number_language(numbers)
    rng = random.Random(5)
    for _ in range(4000):
        digits = "".join(rng.choices("0123456789", weights=[4, 3, 2, 1, 1, 2, 1, 1, 1, 1], k=rng.randint(0, 17)))
        text = rng.choice(["", "-"]) + rng.choice("0123456789")
        if rng.random() < 0.3:
            text += "".join(rng.choices("0123456789", k=rng.randint(1, 18)))
        if digits and rng.random() < 0.7:
            text += "." + digits
        if rng.random() < 0.5:
            text += rng.choice("eE") + rng.choice(["", "+", "-"]) + rng.choice(["", "0", "00", "000"])
            text += str(rng.choice([0, 1, 2, 5, 16, 17, 22, 300, 308, 309, 324, 325]))
        assert language.accepts(text.encode()) == spells(numbers, text), text


@pytest.mark.parametrize("numbers", SETS, ids=[str(i) for i in range(len(SETS))])
def test_what_json_dumps_writes_of_admitted_numbers_is_in(numbers):
    language = number_language(numbers)
    rng = random.Random(6)
    values = [0, -0.0, 1e16, 1e22, 5e-324, 1.7976931348623157e308, 1e-07, 123456789012345680.0, 2**53, -(10**30), 0.1]
    values += [rng.choice([1, -1]) * rng.random() * 10 ** rng.randint(-20, 25) for _ in range(300)]
    values += [rng.randint(-(10**k), 10**k) for k in range(1, 40)]
    values += [float(rng.randint(0, 10**6)) * 10.0 ** rng.randint(10, 200) for _ in range(200)]
    for value in values:
        text = json.dumps(value)
        assert language.accepts(text.encode()) == number_admits(numbers, Decimal(text)), text


@pytest.mark.parametrize(
    ("numbers", "empty"),
    [
        (NumberSet(low=Decimal(0), low_open=True, high=Decimal(1), high_open=True, multiples=decimals("1")), True),
        (NumberSet(low=Decimal(3), low_open=True, high=Decimal(6), high_open=True, multiples=decimals("3")), True),
        (NumberSet(multiples=decimals("1"), not_multiples=decimals("1")), True),
        (NumberSet(multiples=decimals("2"), not_multiples=decimals("4")), False),
        (NumberSet(low=Decimal(2), high=Decimal(1)), True),
        (NumberSet(low=Decimal(5), high=Decimal(5), excluded=decimals("5")), True),
    ],
)
def test_a_set_is_empty_where_no_number_is_in_it(numbers, empty):
    assert number_is_empty(numbers) is empty


BOUNDS = ["-1e15", "-999999999999999", "-2.5", "-1", "0", "0.5", "1", "1.5", "7", "1e15"]


@pytest.mark.parametrize("multiples", [(), decimals("1"), decimals("0.5"), decimals("3")])
def test_emptiness_that_is_plain_from_the_bounds_is_that_of_the_language(multiples):
    bounds = [None, *map(Decimal, BOUNDS)]
    for low, high in itertools.product(bounds, repeat=2):
        for low_open, high_open in itertools.product([False, True], repeat=2):
            numbers = NumberSet(low, low_open, high, high_open, multiples)
            assert number_is_empty(numbers) == number_language(numbers).is_empty, numbers


def test_large_divisors_that_are_powers_of_ten_are_small_automata():
    language = number_language(NumberSet(multiples=decimals("1e9")))
    assert language.n_states < 200
    assert language.accepts(b"-7000000000") and not language.accepts(b"700000000")
    assert language.accepts(b"7e+19") and not language.accepts(b"7e9")


def test_a_divisor_with_too_many_remainders_is_refused_with_the_number():
    with pytest.raises(bridle.LimitError, match="multipleOf"):
        number_language(NumberSet(multiples=decimals("1048577")))


@pytest.mark.parametrize("value", sorted(MULTIPLES))
def test_the_multiples_that_are_kept_are_those_whose_digests_are_in_the_source(value):
    made = json_multiples._made(Decimal(value))  # made anew, whatever the disk holds
    assert made.digest.hex() == MULTIPLES[value], "the language has changed: write this into kept_digests.py"
    assert json_multiples.multiples_of(Decimal(value)) == made
