"""Kernels that write the automata of numbers: of those between bounds that are multiples of a divisor.

A state is what of the text so far matters for what follows, packed into an int64; `write_numbers` makes a row of each
that is met. Of a bound it is how the digits compare with as many of the bound's (which counts once it is known how long
the whole part is), of a divisor the remainder. A single digit, and what is behind its point, may be a mantissa as well
and is compared with the bounds' digits from the first that is not 0 on.

    phase      what was read                what the state holds
    START      nothing
    SIGN       a minus
    ZERO       a leading 0                  sign, comparisons
    WHOLE      digits before the point      sign, comparisons, how many digits, remainder
    FRACTION   the point, digits behind it  the same, which of the two readings go on, whether the last digit is not 0
    E          e                            the least exponent and the greatest
    NATURAL    its sign, and zeros          the least absolute value and the greatest, how many zeros may still come
    REST       some of its digits           whether it may end, and the ranges of one more digit and of two

What is counted stops counting where it no longer matters, and remainders that go on alike are one: bounds of n digits
make a few n states, and a divisor as many times that as it has such remainders. INVARIANT: texts that share a state go
on alike; the converse is left to the minimisation, which finds 10 to 60 in 100 to spare.

Cost: 0.1 to 0.2 us a state.
"""

from __future__ import annotations

import numpy as np

from ..automata.dfa_kernels import mixed
from ..automata.kernel import device, kernel, subroutine

# Classes of bytes, by their least byte: 0 all others, + - . then the digits, then E and e.
PLUS, MINUS, POINT, DIGIT, E = 1, 2, 3, 4, 14
CLASSES = 15

# The exponents that are written: from the first to the second, and from the third to the fourth.
SMALLEST, SMALL, LARGE, LARGEST = -324, -5, 16, 308
MANTISSA_DIGITS = 16

# A bound, int64[BOUND + n]: how many digits are before its point (0: no lower bound, UNBOUNDED: no upper one), how many
# behind it, whether the bound itself is left out, where its first digit is that is not 0, how many follow that one to
# the last that is not 0, its exponent, and whether there are numbers of its sign: NONE, SOME, or SAME as without a
# minus. Then its digits, and zeros.
B_WHOLE, B_PART, B_OPEN, B_LEAD, B_TAIL, B_EXPONENT, B_THERE, BOUND = range(8)
UNBOUNDED = 1 << 20
NONE, SOME, SAME = 0, 1, 2
# A divisor p * 10^zeros / 10^k, int64[DIVISOR + k + 1]: p (0: any number will do), k, zeros (0 unless k is), whether
# there are exponents, then 10^i modulo p for i up to k.
D_P, D_K, D_ZEROS, D_EXPONENTS, DIVISOR = range(5)

_START, _SIGN, _ZERO, _WHOLE, _FRACTION, _E, _NATURAL, _REST = range(1, 9)
# How digits compare with those of a bound.
_TIED, _UNDER, _OVER = 0, 1, 2
# Where the fields of a state begin: its phase, four flags, four comparisons, the number of digits, the remainder.
_PHASE = 15
_NEGATIVE, _PLAIN, _SCIENTIFIC, _ENDED = 4, 5, 6, 7
_LOW, _HIGH, _M_LOW, _M_HIGH, _COUNT, _REMAINDER = 8, 10, 12, 14, 16, 32
_COUNTS, _MANTISSA = (1 << 16) - 1, 15 << _M_LOW | 1 << _SCIENTIFIC


@device
def _compared(known, digit, other):
    """How digits compare with a bound's once `digit` is read where the bound has `other`."""
    return known if known != _TIED or digit == other else _UNDER if digit < other else _OVER


@device
def _is_above(compared, n, tail, is_open):
    """Whether what compares so with a lower bound is above it: n digits of `tail`, the last of which is not 0."""
    return compared == _OVER or (compared == _TIED and n >= tail and not is_open)


@device
def _is_below(compared, n, tail, is_open):
    return compared == _UNDER or (compared == _TIED and (n < tail or not is_open))


@device
def _exponent_state(least, most):
    """The state behind an e, 0 if no exponent of the range is written."""
    least, most = max(least, SMALLEST), min(most, LARGEST)
    if SMALL < least < LARGE:
        least = LARGE
    if SMALL < most < LARGE:
        most = SMALL
    return _E | (least + 512) << 8 | (most + 512) << 20 if least <= most else 0


@device
def _natural_state(zeros, least, most):
    return _NATURAL | zeros << 4 | least << 8 | most << 20 if least <= most else 0


@device
def _rest_state(ends, low, high, low_2, high_2):
    """The state in which a natural number may end, go on by one digit of a range, and by two of another."""
    if low > high:
        low, high = 1, 0
    if low_2 > high_2:
        low_2, high_2 = 1, 0
    if not ends and low > high and low_2 > high_2:
        return 0
    return _REST | ends << 4 | low << 8 | high << 12 | low_2 << 16 | high_2 << 24


@device
def _begun(digit, least, most):
    """The state after the first digit of a natural number of at most three."""
    low, high = max(least - 10 * digit, 0), min(most - 10 * digit, 9)
    low_2, high_2 = max(least - 100 * digit, 0), min(most - 100 * digit, 99)
    return _rest_state(np.int64(least <= digit <= most), low, high, low_2, high_2)


@device
def _follow_natural(state, after):
    """What NATURAL leads to."""
    zeros, least, most = state >> 4 & 3, state >> 8 & 4095, state >> 20 & 4095
    if zeros:
        after[DIGIT] = _natural_state(zeros - 1, least, most)
    for digit in range(1, 10):
        after[DIGIT + digit] = _begun(digit, least, most)


@subroutine("void(int64, int64[::1])")
def _follow_exponent(state, after):
    """The states after each class of bytes, of one behind an e, into after : int64[CLASSES], zeros before."""
    phase = state & _PHASE
    if phase == _E:
        least, most = (state >> 8 & 4095) - 512, (state >> 20 & 4095) - 512
        plus = _natural_state(2, max(least, LARGE), most)
        after[PLUS], after[MINUS] = plus, _natural_state(2, max(-most, -SMALL), -least)
        if plus:
            _follow_natural(plus, after)
    elif phase == _NATURAL:
        _follow_natural(state, after)
    else:
        low, high, low_2, high_2 = state >> 8 & 15, state >> 12 & 15, state >> 16 & 127, state >> 24 & 127
        for digit in range(10):
            ends = np.int64(low <= digit <= high)
            after[DIGIT + digit] = _rest_state(ends, max(low_2 - 10 * digit, 0), min(high_2 - 10 * digit, 9), 1, 0)


@device
def _needed_zeros(remainder, p):
    """The least number of zeros that make a multiple of p of what has this remainder; -1 if none do."""
    zeros, p_2 = 0, p
    while remainder % p:
        if p_2 == 0:
            return -1
        remainder, p_2, zeros = 10 * remainder % p, p_2 >> 1, zeros + 1
    return zeros


# ------------------------------------------------------------------------------------------------ remainders


@device
def _completed_by(remainder, p, power):
    """The least number below `power`, a power of ten, whose digits make a multiple of p of the remainder; p if none."""
    least = (p - remainder * power % p) % p
    return least if least < power else p


@device
def _go_on_alike(left, right, p):
    """Whether the same digits make multiples of p of two remainders: all those of one length, up to that of p."""
    power = 1
    while _completed_by(left, p, power) == _completed_by(right, p, power):
        if power >= p:
            return True
        power *= 10
    return False


@subroutine("int64[::1](int64)")
def _leading_remainders(p):
    """Of each remainder modulo p, the least that goes on alike: int64[p]. Of p prime to ten, each is its own.

    Source: B. Alexeev, "Minimal DFA for testing divisibility", JCSS 69 (2004).
    """
    leaders = np.arange(max(p, 1))
    if (p % 2 and p % 5) or p < 2:
        return leaders
    size = 4
    while size < 2 * p:
        size *= 2
    slots = np.full(size, -1, np.int64)
    for remainder in range(p):
        key, power = np.int64(0), 1
        while power < 10 * p:
            key = mixed(key + _completed_by(remainder, p, power))
            power *= 10
        slot = key & (size - 1)
        while slots[slot] >= 0 and not _go_on_alike(slots[slot], remainder, p):
            slot = (slot + 1) & (size - 1)
        if slots[slot] < 0:
            slots[slot] = remainder
        leaders[remainder] = slots[slot]
    return leaders


# ------------------------------------------------------------------------------------------------ digits


@subroutine("void(int64, int64[:, ::1], int64[::1], int64[::1], int64[::1])")
def _begin_number(negative, bounds, divisor, leaders, after):
    """The states after each first digit of a number of this sign."""
    low, high = 2 * negative, 2 * negative + 1
    if bounds[low, B_THERE] == NONE:
        return
    least, most = bounds[low, B_EXPONENT], bounds[high, B_EXPONENT]
    is_scientific = divisor[D_EXPONENTS] and _exponent_state(least, most) != 0
    for digit in range(10):
        above = _compared(_TIED, digit, bounds[low, BOUND]) if bounds[low, B_WHOLE] else _OVER
        below = _compared(_TIED, digit, bounds[high, BOUND]) if bounds[high, B_WHOLE] < UNBOUNDED else _UNDER
        state = negative << _NEGATIVE | above << _LOW | below << _HIGH | 1 << _COUNT
        if digit == 0:
            after[DIGIT] = state | _ZERO | divisor[D_ZEROS] << _REMAINDER
            continue
        if is_scientific:
            # A mantissa counts where the exponent of the bound is one that is written.
            above = _compared(_TIED, digit, bounds[low, BOUND + bounds[low, B_LEAD]])
            below = _compared(_TIED, digit, bounds[high, BOUND + bounds[high, B_LEAD]])
            state |= 1 << _SCIENTIFIC | (above if _exponent_state(least, least) else _OVER) << _M_LOW
            state |= (below if _exponent_state(most, most) else _UNDER) << _M_HIGH
        if divisor[D_P]:
            state |= leaders[digit % divisor[D_P]] * (divisor[D_ZEROS] + 1) << _REMAINDER
        after[DIGIT + digit] = state | _WHOLE


@device
def _after_mantissa(state, n, remainder, bounds, divisor):
    """The state after the e behind a mantissa with n digits behind its point."""
    low, high = 2 * (state >> _NEGATIVE & 1), 2 * (state >> _NEGATIVE & 1) + 1
    least, most = bounds[low, B_EXPONENT], bounds[high, B_EXPONENT]
    if not _is_above(state >> _M_LOW & 3, n, bounds[low, B_TAIL], bounds[low, B_OPEN]):
        least += 1
    if not _is_below(state >> _M_HIGH & 3, n, bounds[high, B_TAIL], bounds[high, B_OPEN]):
        most -= 1
    if divisor[D_P]:
        zeros = _needed_zeros(remainder, divisor[D_P])
        if zeros < 0:
            return np.int64(0)
        least = max(least, n + zeros + divisor[D_ZEROS] - divisor[D_K])
    return _exponent_state(least, most)


@subroutine("boolean(int64, int64[:, ::1], int64[::1], int64[::1], int64[::1])")
def _follow_whole(state, bounds, divisor, leaders, after):
    """The states after each class of bytes, of one before the point; returns whether a number may end there."""
    negative, n, low, high = state >> _NEGATIVE & 1, state >> _COUNT & _COUNTS, state >> _LOW & 3, state >> _HIGH & 3
    b_low, b_high, sign = 2 * negative, 2 * negative + 1, negative << _NEGATIVE
    n_low, n_high, spread = bounds[b_low, B_WHOLE], bounds[b_high, B_WHOLE], divisor[D_ZEROS] + 1
    p, k, zeros, remainder = divisor[D_P], divisor[D_K], (state >> _REMAINDER) % spread, (state >> _REMAINDER) // spread
    if state & _PHASE == _WHOLE and n < n_high:
        count = min(n + 1, max(n_low, 1) + 1) if n_high == UNBOUNDED else n + 1
        for digit in range(10):
            above = _compared(low, digit, bounds[b_low, BOUND + n]) if n < n_low else _OVER
            below = _compared(high, digit, bounds[b_high, BOUND + n]) if n_high < UNBOUNDED else _UNDER
            # No number that goes on like this is between the bounds.
            is_apart = above == _UNDER or below == _OVER
            if (is_apart and n_low == n_high) or (below == _OVER and n + 1 == n_high):
                continue
            rest = 0
            if p:
                rest = leaders[(10 * remainder + digit) % p] * spread + (0 if digit else min(zeros + 1, spread - 1))
            comparisons = above << _LOW | below << _HIGH
            after[DIGIT + digit] = _WHOLE | sign | comparisons | count << _COUNT | rest << _REMAINDER
    # It ends here, or its whole part does: now it counts how long that is.
    if n != n_low:
        low = _UNDER if n < n_low else _OVER
    if n < n_high:
        high = _UNDER
    is_multiple = p == 0 or (remainder * divisor[DIVISOR + k] % p == 0 and zeros + 1 == spread)
    is_plain = low != _UNDER and high != _OVER and (k > 0 or is_multiple)
    mantissa = state & _MANTISSA
    if mantissa:
        after[E] = _after_mantissa(state, 0, remainder, bounds, divisor)
    if is_plain or mantissa:
        rest = remainder if mantissa or k else 0
        plain = 1 << _PLAIN | low << _LOW | high << _HIGH if is_plain else 0
        after[POINT] = _FRACTION | sign | mantissa | plain | rest << _REMAINDER
    above = _is_above(low, 0, bounds[b_low, B_PART], bounds[b_low, B_OPEN])
    return is_multiple and above and _is_below(high, 0, bounds[b_high, B_PART], bounds[b_high, B_OPEN])


@subroutine("boolean(int64, int64[:, ::1], int64[::1], int64[::1], int64[::1])")
def _follow_fraction(state, bounds, divisor, leaders, after):
    """The states after each class of bytes, of one behind the point; returns whether a number may end there.

    The plain reading goes on while the digits may still be those of a number of the set, the scientific one while they
    may be a mantissa's.
    """
    negative, n, low, high = state >> _NEGATIVE & 1, state >> _COUNT & _COUNTS, state >> _LOW & 3, state >> _HIGH & 3
    b_low, b_high = 2 * negative, 2 * negative + 1
    p, k, remainder = divisor[D_P], divisor[D_K], state >> _REMAINDER
    m_low, m_high = state >> _M_LOW & 3, state >> _M_HIGH & 3
    is_plain, is_mantissa = state >> _PLAIN & 1 == 1, state >> _SCIENTIFIC & 1 == 1
    goes_on = is_mantissa and n < MANTISSA_DIGITS
    for digit in range(10):
        above, below, rest, new = low, high, 0, _FRACTION | negative << _NEGATIVE
        if is_plain and low == _TIED:
            above = _compared(low, digit, bounds[b_low, BOUND + bounds[b_low, B_WHOLE] + n])
        if is_plain and high == _TIED:
            below = _compared(high, digit, bounds[b_high, BOUND + bounds[b_high, B_WHOLE] + n])
        if p:
            rest = leaders[(10 * remainder + digit) % p]
        plain = is_plain and above != _UNDER and below != _OVER
        plain = plain and (p == 0 or n + 1 < k or (rest == 0 if n + 1 == k else digit == 0))
        if not (plain or goes_on):
            continue
        count = n + 1
        # Where p divides 10^k, any k digits behind the point are those of a mantissa that has the same exponents.
        if n + 1 >= k and not (goes_on and divisor[DIVISOR + k]):
            rest = 0
        if goes_on:
            new |= 1 << _SCIENTIFIC | (digit != 0) << _ENDED
            new |= _compared(m_low, digit, bounds[b_low, BOUND + bounds[b_low, B_LEAD] + n + 1]) << _M_LOW
            new |= _compared(m_high, digit, bounds[b_high, BOUND + bounds[b_high, B_LEAD] + n + 1]) << _M_HIGH
        else:
            most = max(1, bounds[b_low, B_PART] if above == _TIED else 0)
            count = min(count, max(most, bounds[b_high, B_PART] if below == _TIED else 0, k))
        if plain:
            new |= 1 << _PLAIN | above << _LOW | below << _HIGH
        after[DIGIT + digit] = new | count << _COUNT | rest << _REMAINDER
    if state >> _ENDED & 1:
        after[E] = _after_mantissa(state, n, remainder, bounds, divisor)
    above = _is_above(low, n, bounds[b_low, B_PART], bounds[b_low, B_OPEN])
    below = _is_below(high, n, bounds[b_high, B_PART], bounds[b_high, B_OPEN])
    is_multiple = p == 0 or n >= k or remainder * divisor[DIVISOR + k - n] % p == 0
    return is_plain and n > 0 and is_multiple and above and below


# ------------------------------------------------------------------------------------------------ states


@kernel("int64(int64[:, ::1], int64[::1], int32[:, ::1], uint8[::1])")
def write_numbers(bounds, divisor, table, accepting):
    """Writes the automaton of the multiples of a divisor between bounds, row by row, unless there are too few rows.

    bounds : int64[4, BOUND + n], in: the least and the greatest absolute value of numbers without a minus, and of those
    with one; n is k, twice the digits of the longest, and 18 more. divisor : int64[DIVISOR + k + 1], in
    table : int32[n_rows, CLASSES], accepting : uint8[n_rows], out, zeros before
    Returns how many rows are written; more than there are, when that is too few.
    """
    states, after = np.zeros(table.shape[0] + 1, np.int64), np.zeros(CLASSES, np.int64)
    size = 16
    while size < 2 * table.shape[0]:
        size *= 2
    slots, n_states, row = np.zeros(size, np.int32), 2, 1
    states[1], leaders = _START, _leading_remainders(divisor[D_P])
    while row < n_states:
        state, phase = states[row], states[row] & _PHASE
        after[:] = 0
        if phase in (_START, _SIGN):
            _begin_number(np.int64(phase == _SIGN and bounds[2, B_THERE] != SAME), bounds, divisor, leaders, after)
            if phase == _START and bounds[2, B_THERE] != NONE:
                after[MINUS] = _SIGN
        elif phase in (_ZERO, _WHOLE):
            accepting[row] = _follow_whole(state, bounds, divisor, leaders, after)
        elif phase == _FRACTION:
            accepting[row] = _follow_fraction(state, bounds, divisor, leaders, after)
        else:
            accepting[row] = phase == _REST and state >> 4 & 1
            _follow_exponent(state, after)
        for c in range(CLASSES):
            if not after[c]:
                continue
            slot = mixed(after[c]) & (size - 1)
            while slots[slot] and states[slots[slot]] != after[c]:
                slot = (slot + 1) & (size - 1)
            if not slots[slot]:
                if n_states == table.shape[0]:
                    return n_states + 1
                slots[slot], states[n_states], n_states = n_states, after[c], n_states + 1
            table[row, c] = slots[slot]
        row += 1
    return n_states
