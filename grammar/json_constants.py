"""The spellings of constants that are numbers or literals: one automaton for all of an enumeration.

Each number is written plainly and, where a double would be, with an exponent (json_numbers.py); a kernel makes the trie
of these texts and lets the plain ones go on with zeros (json_constant_kernels.py). Automata of single numbers, joined,
were rejected: a thousand numbers took 60 ms.

Cost: 2 to 4 us a number, 20 us for a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from itertools import accumulate

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from .json_numbers import EXPONENTS, MANTISSA_DIGITS, scaled

__all__ = ["constants_spelled"]

# Bytes of all spellings: as many states at most, 100 bytes each, before they are made minimal.
_MOST_BYTES = 400_000
# What a text is, as json_constant_kernels.py has it, which needs numba; a test holds them equal.
_TEXT, _WHOLE, _PART, _SCIENTIFIC = 0, 1, 2, 3


def constants_spelled(numbers: Iterable[Decimal], literals: Iterable[str] = ()) -> ByteDfa:
    """The spellings of finite numbers, and some of `true`, `false` and `null` as they stand.

    Raises LimitError where there is too much to spell.
    """
    from ..automata.kernel import compile_all
    from ..automata.minimize import minimized
    from .json_constant_kernels import CLASSES, write_constants

    texts = [(text, _TEXT) for text in literals]
    for number in numbers:
        texts += _spellings(number)
    first = np.array([0, *accumulate(len(text) for text, _ in texts)], np.int32)
    n_rows = int(first[-1]) + 4
    if n_rows > _MOST_BYTES:
        raise LimitError("bytes of the numbers of an enumeration", n_rows, _MOST_BYTES)
    class_of, to_classes = _classes()
    data = np.frombuffer("".join(text for text, _ in texts).encode().translate(to_classes), np.uint8)
    kinds = np.array([kind for _, kind in texts], np.uint8)
    compile_all()
    table, accepting = np.zeros((n_rows, CLASSES), np.int32), np.zeros(n_rows, np.uint8)
    n = write_constants(data, first, kinds, table, accepting)
    return minimized(table[:n], accepting[:n], class_of)


@cache
def _classes() -> tuple[np.ndarray, bytes]:
    """Of each byte, its class in the tables of json_constant_kernels.py; twice."""
    from .json_constant_kernels import SPELLING

    classes = np.zeros(256, np.uint8)
    classes[list(SPELLING)] = range(1, len(SPELLING) + 1)
    return classes, classes.tobytes()


def _spellings(number: Decimal) -> list[tuple[str, int]]:
    """The plain text of a number, and those with an exponent; what each is."""
    text = str(number)
    if len(text) <= EXPONENTS[1][0] and text.isdigit() and text != "0":
        return [(text, _WHOLE)]  # PERF: what most enumerations of numbers are of
    n, tens = scaled(number)
    if n == 0:
        return [("0", _WHOLE), ("-0", _WHOLE)]
    sign, digits = "-" if n < 0 else "", str(abs(n))
    if tens >= 0:
        found = [(sign + digits + "0" * tens, _WHOLE)]
    else:
        padded = digits.rjust(1 - tens, "0")
        found = [(f"{sign}{padded[:tens]}.{padded[tens:]}", _PART)]
    exponent = len(digits) - 1 + tens
    (smallest, small), (large, largest) = EXPONENTS
    if small < exponent < large or not smallest <= exponent <= largest or len(digits) > MANTISSA_DIGITS + 1:
        return found
    mantissa = sign + (f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits)
    for plus in ("-",) if exponent < 0 else ("", "+"):
        found += [(f"{mantissa}e{plus}{zeros}{abs(exponent)}", _SCIENTIFIC) for zeros in ("", "0", "00")]
    return found
