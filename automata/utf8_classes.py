"""Classes of code points as minimal automata over their UTF-8 bytes.

The sets of suffixes that remain after a lead byte are sets of numbers in base 64, so a recursion over their digits that
shares equal sets gives the minimal acyclic automaton directly. The ASCII part of a class is a few edges; the rest is
mostly one of a few sets (none, all, all but U+2028 and U+2029) and memoised.

INVARIANT: no surrogates and nothing over U+10FFFF, so only well-formed UTF-8 (RFC 3629) comes out.
Cost: 1 us for a class that was met before; 2 ms for Unicode's letters (650 ranges) the first time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["MAX_CODE_POINT", "class_fragment", "negated", "normalized"]

Ranges = tuple[tuple[int, int], ...]
MAX_CODE_POINT = 0x10FFFF
# First and last code point, what the lead byte starts at, and the number of continuation bytes.
_LENGTHS = (
    (0x80, 0x7FF, 0xC0, 1),
    (0x800, 0xD7FF, 0xE0, 2),
    (0xE000, 0xFFFF, 0xE0, 2),
    (0x10000, MAX_CODE_POINT, 0xF0, 3),
)
_FRAGMENT, _ENTRY, _EXIT = 0, 0, 1  # nfa_kernels.FRAGMENT: that file needs numba, this one must not


def normalized(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, disjoint, not adjacent; empty ranges (lo > hi) are dropped."""
    out: list[tuple[int, int]] = []
    for lo, hi in sorted(ranges):
        if lo > hi:
            continue
        if out and lo <= out[-1][1] + 1:
            if hi > out[-1][1]:
                out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return tuple(out)


def negated(ranges: Ranges) -> Ranges:
    """The code points outside normalized ranges; surrogates may be in."""
    out, at = [], 0
    for lo, hi in ranges:
        if at < lo:
            out.append((at, lo - 1))
        at = hi + 1
    if at <= MAX_CODE_POINT:
        out.append((at, MAX_CODE_POINT))
    return tuple(out)


@lru_cache(maxsize=4096)
def class_fragment(ranges: Ranges) -> array[int]:
    """The FRAGMENT instruction (nfa_kernels.py) of a normalized class; its automaton is deterministic and minimal."""
    edges = [(_ENTRY, lo, min(hi, 0x7F), _EXIT) for lo, hi in ranges if lo < 0x80]
    n_states, rest = _beyond_ascii(tuple((max(lo, 0x80), hi) for lo, hi in ranges if hi >= 0x80))
    out = array("i", (_FRAGMENT, n_states, len(edges) + len(rest) // 4))
    for edge in edges:
        out.extend(edge)
    out.extend(rest)
    return out


@lru_cache(maxsize=512)
def _beyond_ascii(ranges: Ranges) -> tuple[int, array[int]]:
    """Number of states (entry and exit included) and edges of a class of code points from U+0080 on."""
    states: dict[tuple[int, Ranges], int] = {}
    edges: list[int] = []

    def state_of(digits: int, suffixes: Ranges) -> int:
        """The state from which the numbers in `suffixes`, of so many digits in base 64, remain to be read."""
        if digits == 0:
            return _EXIT
        state = states.get((digits, suffixes))
        if state is None:
            state = states[digits, suffixes] = len(states) + 2
            add_edges(state, 0x80, digits, suffixes)
        return state

    def add_edges(source: int, first_byte: int, digits: int, numbers: Ranges) -> None:
        unit = 64 ** (digits - 1)
        run: tuple[int, int, int] | None = None  # lo byte, hi byte, target
        for lo, hi, suffixes in _by_leading_digit(numbers, unit):
            target = state_of(digits - 1, suffixes)
            if run is not None and run[2] == target and run[1] + 1 == first_byte + lo:
                run = (run[0], first_byte + hi, target)
                continue
            if run is not None:
                edges.extend((source, *run))
            run = (first_byte + lo, first_byte + hi, target)
        if run is not None:
            edges.extend((source, *run))

    for first, last, lead, continuation in _LENGTHS:
        clipped = tuple((max(lo, first), min(hi, last)) for lo, hi in ranges if lo <= last and hi >= first)
        if clipped:
            add_edges(_ENTRY, lead, continuation + 1, clipped)
    return len(states) + 2, array("i", edges)


def _by_leading_digit(numbers: Ranges, unit: int) -> list[tuple[int, int, Ranges]]:
    """Runs (first digit, last digit, the numbers that may follow each of them), ascending."""
    out: list[tuple[int, int, Ranges]] = []
    partial: list[tuple[int, int]] = []
    for i, (lo, hi) in enumerate(numbers):
        while lo <= hi:
            digit, rest = divmod(lo, unit)
            if rest == 0 and hi - lo + 1 >= unit:
                whole = (hi - lo + 1) // unit
                out.append((digit, digit + whole - 1, ((0, unit - 1),)))
                lo += whole * unit
                continue
            end = min(hi, (digit + 1) * unit - 1)
            partial.append((rest, end - digit * unit))
            lo = end + 1
            # The digit's set is complete once nothing more of it can come.
            if lo <= hi or i + 1 == len(numbers) or numbers[i + 1][0] // unit != digit:
                out.append((digit, digit, tuple(partial)))
                partial = []
    return out
