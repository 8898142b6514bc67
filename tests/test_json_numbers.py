"""Languages of numbers beside arithmetic: every spelling that may come, decided by Decimal."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
from decimal import Decimal

import pytest

import bridle
from bridle.automata.regular import alternation, compile_regular, literal, union
from bridle.grammar import json_constant_kernels, json_constants, json_numbers
from bridle.grammar import json_number_kernels as kernels
from bridle.grammar.json_constants import constants_spelled
from bridle.grammar.json_numbers import common_multiple, multiples_of, number_between, remainders
from bridle.grammar.schema_numbers import NumberSet, number_admits, number_is_empty, number_language
from numbers_by_algebra import constants_of, naive_multiples, numbers_of

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


@pytest.mark.parametrize("divisor", ["20001", "1048577", "1e-200001", "10000000000000000000000000000000000000001"])
def test_a_divisor_with_too_many_remainders_is_refused_with_the_number(divisor):
    with pytest.raises(bridle.LimitError, match="multipleOf"):
        number_language(NumberSet(multiples=decimals(divisor)))


def test_a_bound_of_too_many_digits_is_refused_with_their_number():
    with pytest.raises(bridle.LimitError, match="digits of a bound exceeded: 30001 given"):
        number_language(NumberSet(low=Decimal("1e30000")))


def test_remainders_of_large_powers_of_two_and_five_that_go_on_alike_are_one():
    language = number_language(NumberSet(multiples=decimals("131072")))
    assert language.n_states < 25_000 and language.accepts(b"262144") and not language.accepts(b"262145")


def test_states_beyond_the_budget_are_refused_with_their_number():
    with pytest.raises(bridle.LimitError, match=r"states of numbers .* exceeded: 400001 given, 400000 allowed"):
        number_language(NumberSet(Decimal(0), False, Decimal("1e300"), False, decimals("9999")))


def test_between_bounds_a_divisor_may_leave_any_number_of_remainders():
    language = number_language(NumberSet(Decimal(2_000_000), False, Decimal(2_001_000), False, decimals("1000003")))
    assert language == constants_spelled(decimals("2000006"))


# ------------------------------------------------------------------------------------------------ naive twins

CURIOUS = decimals(
    "0", "-0", "1", "-1", "10", "-10", "100", "255", "65535", "2147483647", "-2147483648", "9223372036854775807",
    "0.1", "0.999", "-0.001", "273.15", "1e16", "9.99e15", "1e-5", "9.99e-5", "1e-4", "1e308", "2e308", "1e309",
    "1e-324", "5e-324", "9e-325", "12345678901234567890123456789012345.678901234567890123456789", "1.00000000000000001",
    "1e20", "100000000000000000000.00000000001", "99999999999999999999.99999999999", "1.2345678901234567e22",
)  # fmt: skip
DIVISORS = decimals(
    "1", "2", "3", "4", "5", "7", "8", "10", "12", "15", "48", "100", "125", "300", "301", "1000", "2000", "4096",
    "1e9", "1e20", "0.5", "0.25", "0.1", "0.01", "0.001", "0.03", "1.5", "2.5", "0.07", "1e-6", "1e-9", "2e-7", "5e-9",
    "3e-6",
)  # fmt: skip


def drawn_number(rng):
    kind = rng.random()
    if kind < 0.35:
        return Decimal(rng.randint(-20, 130))
    if kind < 0.6:
        return Decimal(rng.randint(-(10**4), 10**4)).scaleb(-rng.randint(0, 4))
    if kind < 0.8:
        return Decimal(rng.randint(-999, 999)).scaleb(rng.randint(-12, 25))
    return rng.choice(CURIOUS)


def drawn_bounds(rng):
    low, high = sorted((drawn_number(rng), drawn_number(rng)))
    if rng.random() < 0.1:
        high = low
    if rng.random() < 0.1:
        low = high.copy_negate()  # symmetric, or empty
    low = None if rng.random() < 0.15 else low
    high = None if rng.random() < 0.15 else high
    return low, low is not None and rng.random() < 0.3, high, high is not None and rng.random() < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_ranges_are_the_automata_of_their_expressions(seed):
    rng = random.Random(seed)
    for _ in range(700):
        bounds = drawn_bounds(rng)
        assert number_between(*bounds) == numbers_of(*bounds), bounds


@pytest.mark.parametrize("divisor", DIVISORS, ids=map(str, DIVISORS))
def test_multiples_are_the_automata_of_their_remainders(divisor):
    assert multiples_of(divisor) == naive_multiples(divisor)
    rng = random.Random(9)
    for _ in range(40):
        bounds = drawn_bounds(rng)
        if remainders(divisor) > 300 and any(abs(bound) > 10**40 for bound in bounds[::2] if bound is not None):
            continue  # 309 digits times as many remainders are beyond the budget
        assert number_between(*bounds, divisor) == numbers_of(*bounds, divisor), bounds


def test_automata_of_numbers_are_minimal_and_canonical():
    rng = random.Random(4)
    made = [number_between(*drawn_bounds(rng), divisor) for divisor in (None, *DIVISORS)]
    for language in made:
        if language.n_states < 300:
            language.verify()
    assert sum(language.n_states < 300 for language in made) > 20


@pytest.mark.parametrize("seed", range(4))
def test_constants_are_the_automata_of_their_expressions(seed):
    rng = random.Random(seed)
    for _ in range(100):
        numbers = [drawn_number(rng) for _ in range(rng.randint(1, 12))]
        numbers += [number.scaleb(rng.randint(-1, 1)) for number in numbers if len(number.as_tuple().digits) < 20]
        literals = rng.sample(["true", "false", "null"], rng.randint(0, 3))
        expected = union(constants_of(numbers), compile_regular(alternation(*map(literal, literals))))
        assert constants_spelled(numbers, literals) == expected, (numbers, literals)


def test_of_no_constants_there_is_no_spelling():
    assert constants_spelled([]).is_empty


def test_constants_beyond_the_budget_are_refused_with_their_size():
    with pytest.raises(bridle.LimitError, match="enumeration exceeded"):
        constants_spelled([Decimal(10) ** 300 + n for n in range(2000)])


def test_the_exponents_of_the_kernel_are_those_of_the_constants():
    assert json_numbers.EXPONENTS == ((kernels.SMALLEST, kernels.SMALL), (kernels.LARGE, kernels.LARGEST))
    assert json_numbers.MANTISSA_DIGITS == kernels.MANTISSA_DIGITS


def test_the_kinds_of_texts_are_those_of_the_kernel():
    for name in ("TEXT", "WHOLE", "PART", "SCIENTIFIC"):
        assert getattr(json_constants, f"_{name}") == getattr(json_constant_kernels, name)


# ------------------------------------------------------------------------------------------------ exact decimals


@pytest.mark.parametrize("text", ["1e20", "100000000000000000000", "100000000000000000000.00000000002"])
def test_bounds_of_more_digits_than_decimal_computes_with_are_exact(text):
    bound = Decimal("100000000000000000000.00000000001")
    for numbers in (NumberSet(low=bound), NumberSet(high=bound), NumberSet(low=bound, high=bound + 1)):
        assert number_language(numbers).accepts(text.encode()) == number_admits(numbers, Decimal(text))


def test_a_common_multiple_is_exact():
    assert common_multiple(decimals("1000000000000000000000000000001")) == 10**30 + 1
    values = decimals("0.30000000000000000000000000000000001", "0.7")
    assert common_multiple(values) == Decimal("21000000000000000000000000000000000.7")


def test_a_divisor_of_many_digits_is_never_rounded():
    schema = {"type": "integer", "multipleOf": 10**30 + 1}
    with pytest.raises(bridle.LimitError, match="multipleOf"):
        bridle.Grammar.from_json_schema(schema)


def test_unique_integers_between_huge_bounds_are_counted_exactly():
    items = {"type": "integer", "minimum": 10**30, "maximum": 10**30 + 2}
    schema = {"type": "array", "uniqueItems": True, "items": items}
    grammar = bridle.Grammar.from_json_schema({**schema, "minItems": 3})
    assert bridle.validate(grammar, json.dumps([10**30, 10**30 + 2, 10**30 + 1])).ok
    assert not bridle.validate(grammar, json.dumps([10**30, 10**30 + 2, 10**30])).ok
    with pytest.raises(bridle.UnsatisfiableError):
        bridle.Grammar.from_json_schema({**schema, "minItems": 4})
    wide = {"type": "array", "uniqueItems": True, "items": {"type": "integer", "minimum": 0, "maximum": 10**30}}
    with pytest.raises(bridle.UnsupportedError, match="at most 256 values"):
        bridle.Grammar.from_json_schema(wide)


def test_the_kernels_of_numbers_give_the_same_without_jit():
    code = """
from decimal import Decimal
from bridle.grammar.json_constants import constants_spelled
from bridle.grammar.json_numbers import number_between
low, high = Decimal("-12.5"), Decimal("1.5e20")
made = [number_between(low, True, high, False, Decimal(d) if d else None) for d in (None, "1", "0.25", "48", "7")]
made.append(constants_spelled([Decimal(n) for n in ("0", "12", "12.5", "12.005", "-1e20", "2.5e-7")], ["true", "null"]))
print([language.digest.hex() for language in made])
"""
    outputs = set()
    for disabled in "01":
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", code]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1


@pytest.mark.parametrize("divisor", ["2000", "3600", "86400", "65536", "0.0125", "1999", "9973"])
def test_what_json_dumps_writes_of_a_multiple_is_one_of_its_spellings(divisor):
    step = Decimal(divisor)
    language, numbers = multiples_of(step), NumberSet(multiples=(step,))
    rng = random.Random(int(step * 10000))
    for _ in range(60):
        digits = rng.randrange(1, 12)
        value = rng.randrange(1, 10**digits) * step * 10 ** rng.randrange(12, 60)
        for written in (json.dumps(float(value)), json.dumps(int(value)), json.dumps(-float(value))):
            assert language.accepts(written.encode()) == number_admits(numbers, Decimal(written)), written


@pytest.mark.parametrize("high", [None, Decimal(10) ** 18])
def test_multiples_that_are_too_many_with_exponents_have_none(high):
    language = number_between(Decimal(0), False, high, False, Decimal(19997))
    assert language.accepts(b"19997") and language.accepts(b"199970000000000000")
    assert not language.accepts(b"1.9997e+17")
