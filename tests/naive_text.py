"""Bytes as code points, with one unfinished character at the end.

Idea: all grammars of bridle are about Unicode code points, all texts are UTF-8 bytes, and a token may end in the middle
of a character. The oracle never builds a byte automaton: it decodes, and what is left over at the end is the *set* of
code points which those bytes may still become, an interval. "Is this a viable prefix?" is then asked of a text of
code points and one optional set of candidates for the next one.

A set of code points is a tuple of disjoint, sorted, inclusive ranges `((lo, hi), ...)`.

INVARIANT: no set ever holds a surrogate: UTF-8 has no spelling for them.

Source: RFC 3629, section 4 (lengths, no overlong forms, no surrogates, nothing above U+10FFFF).
Part of the oracle: imports nothing from bridle. Tested by test_naive.py against `bytes.decode`.
"""

from bisect import bisect_right

Ranges = tuple[tuple[int, int], ...]

EVERY: Ranges = ((0x0, 0xD7FF), (0xE000, 0x10FFFF))


def union(*sets: Ranges) -> Ranges:
    """All code points that are in any of the sets; surrogates are dropped."""
    merged: list[tuple[int, int]] = []
    for lo, hi in sorted(r for ranges in sets for r in ranges):
        if merged and lo <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], hi))
        else:
            merged.append((lo, hi))
    return intersect(tuple(merged), EVERY)


def intersect(a: Ranges, b: Ranges) -> Ranges:
    """All code points that are in both."""
    if a is b:
        return a
    out, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        lo, hi = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if lo <= hi:
            out.append((lo, hi))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


def complement(a: Ranges) -> Ranges:
    """All other code points."""
    out, at = [], 0
    for lo, hi in a:
        out.append((at, lo - 1))
        at = hi + 1
    out.append((at, 0x10FFFF))
    return intersect(tuple(r for r in out if r[0] <= r[1]), EVERY)


def contains(a: Ranges, code_point: int) -> bool:
    """Whether the code point is in the set."""
    i = bisect_right(a, (code_point, code_point + 0x110000)) - 1
    return i >= 0 and a[i][1] >= code_point


def one(code_point: int) -> Ranges:
    """The set of this code point alone."""
    return ((code_point, code_point),)


_FORMS = (  # lead bytes, payload bits of the lead byte, bytes that follow, code points of this length
    (0x00, 0x7F, 0x7F, 0, ((0x0, 0x7F),)),
    (0xC0, 0xDF, 0x1F, 1, ((0x80, 0x7FF),)),
    (0xE0, 0xEF, 0x0F, 2, ((0x800, 0xD7FF), (0xE000, 0xFFFF))),
    (0xF0, 0xF7, 0x07, 3, ((0x10000, 0x10FFFF),)),
)


def decode(data: bytes) -> tuple[tuple[int, ...], Ranges | None] | None:
    """The code points of the bytes and what an unfinished last character may become (None: there is none).

    Returns None where the bytes are not a prefix of any UTF-8 text.
    """
    out: list[int] = []
    i = 0
    while i < len(data):
        form = next((f for f in _FORMS if f[0] <= data[i] <= f[1]), None)
        if form is None:
            return None
        _, _, bits, more, legal = form
        value, i = data[i] & bits, i + 1
        while more and i < len(data):
            if data[i] & 0xC0 != 0x80:
                return None
            value, i, more = value << 6 | data[i] & 0x3F, i + 1, more - 1
        candidates = intersect(((value << 6 * more, (value + 1 << 6 * more) - 1),), legal)
        if not candidates:
            return None
        if more:
            return tuple(out), candidates
        out.append(value)
    return tuple(out), None
