"""The sets of code points that patterns name: shorthands of both dialects, Unicode properties, case folding.

ECMA-262's shorthands are constants of that standard. Python's are, by definition, what this interpreter's `re` matches,
and properties are what the `regex` package knows (its tables of properties are complete; those of the standard library
are not), so both are found by running the matcher once over a text of all code points.

Cost: 10 to 20 ms for a set the first time in a process, then a look-up. Nothing here runs at import.

Source: ECMA-262, 22.2.2.9 (CharacterClassEscape) and 11.2 (white space); Python's `re`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

import numpy as np

from ..automata.utf8_classes import MAX_CODE_POINT, Ranges, normalized

__all__ = ["ECMA_DOT_EXCLUDES", "case_closure", "ecma_shorthand", "property_ranges", "python_shorthand"]

ECMA_DOT_EXCLUDES: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_ECMA = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
          (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
}  # fmt: skip
_ASCII = {"d": _ECMA["d"], "w": _ECMA["w"], "s": ((0x09, 0x0D), (0x20, 0x20))}
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*(=[A-Za-z0-9_ -]+)?", re.ASCII)
_ALIASES = {"IDC": "ID_Continue", "VS": "Variation_Selector"}  # which the package takes for names of blocks
_CASED_END = 0x20000  # no code point from here on has a case


def ecma_shorthand(letter: str) -> Ranges:
    """The set of `\\d`, `\\w` or `\\s` in ECMA-262."""
    return _ECMA[letter]


def python_shorthand(letter: str, ascii_only: bool) -> Ranges:
    """The set of `\\d`, `\\w` or `\\s` in Python's `re` on str, or under its flag `a`."""
    return _ASCII[letter] if ascii_only else _python_unicode(letter)


@cache
def _all_code_points() -> str:
    """The text whose character at index i is code point i, surrogates included."""
    return np.arange(MAX_CODE_POINT + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


@cache
def _python_unicode(letter: str) -> Ranges:
    return tuple((m.start(), m.end() - 1) for m in re.finditer(rf"\{letter}+", _all_code_points()))


@lru_cache(maxsize=256)
def property_ranges(expression: str) -> Ranges | None:
    """The set of `\\p{expression}`: a general category, script or binary property; None if there is none such.

    Of ECMA-262's properties only Changes_When_NFKC_Casefolded is not known.
    """
    import regex

    if not _PROPERTY.fullmatch(expression):
        return None
    try:
        found = regex.compile(rf"\p{{{_ALIASES.get(expression, expression)}}}+")
    except regex.error:
        return None
    return tuple((m.start(), m.end() - 1) for m in found.finditer(_all_code_points()))


@cache
def _case_variants() -> dict[int, tuple[int, ...]]:
    """Per code point with a case the others that equal it under Python's IGNORECASE.

    Two are equal if their lower cases are, or if those have one upper case (`ſ` and `s`; `re` lists these by hand).
    """
    by_lower: dict[str, list[int]] = {}
    for code in range(_CASED_END):
        character = chr(code)
        lower = character.lower()[0]  # of İ, the only one with two, `re` takes the first
        if lower != character or character.upper() != character:
            by_lower.setdefault(lower, []).append(code)
    by_upper: dict[str, list[int]] = {}
    for lower, codes in by_lower.items():
        by_upper.setdefault(lower.upper(), []).extend(codes)
    return {code: tuple(codes) for codes in by_upper.values() if len(codes) > 1 for code in codes}


def case_closure(ranges: Ranges, ascii_only: bool) -> Ranges:
    """The code points that equal one of the ranges' under Python's IGNORECASE."""
    extra: list[tuple[int, int]] = []
    if ascii_only:
        for first, shift in ((0x41, 32), (0x61, -32)):
            clipped = ((max(lo, first), min(hi, first + 25)) for lo, hi in ranges)
            extra.extend((lo + shift, hi + shift) for lo, hi in clipped if lo <= hi)
        return normalized([*ranges, *extra])
    variants = _case_variants()
    for lo, hi in ranges:
        for code in range(lo, min(hi, _CASED_END) + 1):
            extra.extend((other, other) for other in variants.get(code, ()))
    return normalized([*ranges, *extra])
