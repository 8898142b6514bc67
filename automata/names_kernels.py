"""Member names of an object, byte by byte: a trie of the declared names, read as JSON spells strings.

A *names* state (row, x, y) is inside a member's name. x >= 0 is a place in the trie of declared names (reached by raw
bytes alone); x < 0 is ~cell of a CELL_TYPING (place, state of the string DFA, escape so far), where the place is a trie
place again (inside an escape) or ~string cell once the name has left the trie, which only additional members may.
y says which members there are already, so every declared name is live at most once and no additional name comes twice.

Names are compared by value: `"\\u0061"` is `"a"`. An escape in progress is one int32: phase << 26 | high surrogate <<
16 | digits. Phases: 1 after the backslash, 2..5 after `\\u` and its digits, 7 after a high surrogate, 8 after the
second backslash, 9..12 in its digits.

INVARIANT: a names state is only made if some name can still be completed from it: a live declared name is below the
place (and can be spelled with the escape so far), or additional members are allowed, which always leaves infinitely
many.
"""

from __future__ import annotations

from .kernel import (
    device,
    subroutine,
)
from .table_kernels import (
    CELL_PROGRESS,
    CELL_SET,
    CELL_STRING,
    CELL_TYPING,
    CELLS,
    D_ADDITIONAL,
    D_CHILD,
    D_CHILD_BYTE,
    D_CHILD_NODE,
    D_COUNT,
    D_FIRST,
    D_HIGH,
    D_IS_REQUIRED,
    D_LIMIT,
    D_LOW,
    D_ORDERED,
    D_RANKED,
    D_REQUIRED,
    D_STATE,
    D_STRING,
    D_TERMINAL,
    D_TEXT,
    DATA,
    DEAD,
    LEAVES,
    QUOTE,
    cell,
    i32,
)

BACKSLASH = 92


# ------------------------------------------------------------------------------------------------ members


@subroutine("boolean(int64[::1], int64, int64)")
def in_set(ctx, elements, e):
    """Whether a CELL_SET holds e."""
    cells = i32(ctx, CELLS)
    while elements != 0:
        if cells[4 * elements + 1] == e:
            return True
        elements = cells[4 * elements]
    return False


@device
def may_close(ctx, d, y):
    """Whether the object may end: every required member is there."""
    data = i32(ctx, DATA)
    a = i32(ctx, CELLS)[4 * y]
    if data[d + D_ORDERED]:
        return data[d + data[d + D_LIMIT] + a] == data[d + D_COUNT]
    return a == data[d + D_REQUIRED]


@device
def may_go_on(ctx, d, y):
    """Whether another member may follow."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    if data[d + D_ADDITIONAL]:
        return True
    if data[d + D_ORDERED]:
        return cells[4 * y] < data[d + D_COUNT]
    elements = cells[4 * y + 1]
    seen = 0
    while elements != 0:
        seen += 1
        elements = cells[4 * elements]
    return seen < data[d + D_COUNT]


@subroutine("boolean(int64[::1], int64, int64, int64)")
def is_live(ctx, d, y, j):
    """Whether the declared member j may come next; from the count on, j is a name that no member may have."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    if j >= data[d + D_COUNT]:
        return False
    if data[d + D_ORDERED]:
        a = cells[4 * y]
        return a <= j <= data[d + data[d + D_LIMIT] + a]
    return not in_set(ctx, cells[4 * y + 1], ~j)


@device
def additional_is_live(ctx, d, y):
    """Whether an additional member may come next; in order, only when no required one is left."""
    data = i32(ctx, DATA)
    if data[d + D_ADDITIONAL] == 0:
        return False
    if data[d + D_ORDERED]:
        a = i32(ctx, CELLS)[4 * y]
        return data[d + data[d + D_LIMIT] + a] == data[d + D_COUNT]
    return True


@subroutine("boolean(int64[::1], int64, int64, int64, boolean)")
def live_below(ctx, d, y, u, itself):
    """Whether a live declared name passes through the trie place u (ends there only if `itself`)."""
    data = i32(ctx, DATA)
    ranked = d + data[d + D_RANKED]
    end = data[d + data[d + D_TERMINAL] + u]
    for rank in range(data[d + data[d + D_LOW] + u], data[d + data[d + D_HIGH] + u]):
        j = data[ranked + rank]
        if (itself or j != end) and is_live(ctx, d, y, j):
            return True
    return False


@subroutine("int64(int64[::1], int64, int64, int64)")
def after_declared(ctx, d, y, j):
    """Progress once the declared member j is named."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    if data[d + D_ORDERED]:
        return cell(ctx, j + 1, elements, 0, CELL_PROGRESS)
    required = cells[4 * y] + data[d + data[d + D_IS_REQUIRED] + j]
    return cell(ctx, required, cell(ctx, elements, ~j, 0, CELL_SET), 0, CELL_PROGRESS)


@subroutine("int64(int64[::1], int64, int64, int64)")
def after_additional(ctx, d, y, string):
    """Progress once an additional member is named; string 0 leaves the name out (it will not be looked at)."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    if string != 0:
        elements = cell(ctx, elements, string, 0, CELL_SET)
    a = data[d + D_COUNT] if data[d + D_ORDERED] else cells[4 * y]
    return cell(ctx, a, elements, 0, CELL_PROGRESS)


# ------------------------------------------------------------------------------------------------ places and strings


@subroutine("int64(int64[::1], int64, int64, int64)")
def name_child(ctx, d, u, b):
    """Trie place after byte b, or -1."""
    data = i32(ctx, DATA)
    first = d + data[d + D_CHILD]
    for i in range(data[first + u], data[first + u + 1]):
        if data[d + data[d + D_CHILD_BYTE] + i] == b:
            return data[d + data[d + D_CHILD_NODE] + i]
    return -1


@device
def string_of(ctx, d, u):
    """String cell of the trie place u."""
    data = i32(ctx, DATA)
    return data[d + data[d + D_STRING] + u]


@subroutine("int64(int64[::1], int64, int64, boolean, int64, int64)")
def append(ctx, d, y, additional, place, b):
    """The place after one more byte of a name's value; DEAD where no name goes on so."""
    if place >= 0:
        child = name_child(ctx, d, place, b)
        if child >= 0 and (additional or live_below(ctx, d, y, child, True)):
            return child
        if not additional:
            return DEAD
        place = ~string_of(ctx, d, place)
    string = ~place
    length = i32(ctx, CELLS)[4 * string + 2]
    return ~cell(ctx, string, b, length + 1, CELL_STRING)


@subroutine("int64(int64[::1], int64, int64, boolean, int64, int64)")
def append_code_point(ctx, d, y, additional, place, c):
    """The place after a code point, as its UTF-8 bytes; DEAD where no name goes on so."""
    if c < 0x80:
        return append(ctx, d, y, additional, place, c)
    if c < 0x800:
        place = append(ctx, d, y, additional, place, 0xC0 | (c >> 6))
    else:
        if c < 0x10000:
            place = append(ctx, d, y, additional, place, 0xE0 | (c >> 12))
        else:
            place = append(ctx, d, y, additional, place, 0xF0 | (c >> 18))
            if place != DEAD:
                place = append(ctx, d, y, additional, place, 0x80 | ((c >> 12) & 0x3F))
        if place != DEAD:
            place = append(ctx, d, y, additional, place, 0x80 | ((c >> 6) & 0x3F))
    if place == DEAD:
        return DEAD
    return append(ctx, d, y, additional, place, 0x80 | (c & 0x3F))


# ------------------------------------------------------------------------------------------------ escapes


@device
def matches_escape(c, phase, high, digits):
    """Whether the code point c can be spelled by an escape that has come as far as (phase, high, digits)."""
    if phase <= 2:
        return True
    if phase <= 5:
        unit = c if c < 0x10000 else 0xD800 + ((c - 0x10000) >> 10)
        return unit >> (4 * (6 - phase)) == digits
    if c < 0x10000 or (c - 0x10000) >> 10 != high:
        return False
    if phase <= 9:
        return True
    return (0xDC00 + ((c - 0x10000) & 0x3FF)) >> (4 * (13 - phase)) == digits


@subroutine("boolean(int64[::1], int64, int64, int64, int64, int64, int64)")
def escape_is_live(ctx, d, y, u, phase, high, digits):
    """Whether a live name goes on from the trie place u with a code point that the escape so far can spell."""
    data = i32(ctx, DATA)
    first = d + data[d + D_CHILD]
    byte = d + data[d + D_CHILD_BYTE]
    below = d + data[d + D_CHILD_NODE]
    # A code point is at most four bytes: four nested positions, kept in scalars (c = the code point so far).
    for i in range(data[first + u], data[first + u + 1]):
        b = data[byte + i]
        v = data[below + i]
        if b < 0x80:
            if matches_escape(b, phase, high, digits) and live_below(ctx, d, y, v, True):
                return True
            continue
        more = 1 if b < 0xE0 else (2 if b < 0xF0 else 3)
        c1 = b & (0x3F >> more)
        for k in range(data[first + v], data[first + v + 1]):
            c2 = (c1 << 6) | (data[byte + k] & 0x3F)
            w = data[below + k]
            if more == 1:
                if matches_escape(c2, phase, high, digits) and live_below(ctx, d, y, w, True):
                    return True
                continue
            for m in range(data[first + w], data[first + w + 1]):
                c3 = (c2 << 6) | (data[byte + m] & 0x3F)
                z = data[below + m]
                if more == 2:
                    if matches_escape(c3, phase, high, digits) and live_below(ctx, d, y, z, True):
                        return True
                    continue
                for n in range(data[first + z], data[first + z + 1]):
                    c4 = (c3 << 6) | (data[byte + n] & 0x3F)
                    if matches_escape(c4, phase, high, digits) and live_below(ctx, d, y, data[below + n], True):
                        return True
    return False


@device
def hex_value(b):
    if b <= 57:
        return b - 48
    return (b | 32) - 87


@device
def short_escape(b):
    """The code point of `\\b`-like escapes; the string DFA has refused all other letters."""
    if b == 98:
        return 8
    if b == 102:
        return 12
    if b == 110:
        return 10
    if b == 114:
        return 13
    if b == 116:
        return 9
    return b


# ------------------------------------------------------------------------------------------------ stepping


@subroutine("boolean(int64[::1], int64, int64, boolean, int64, int32[::1])")
def close_name(ctx, d, y, additional, place, out):
    """The closing quote: to the colon state of the member that was named."""
    data = i32(ctx, DATA)
    if place >= 0:
        j = data[d + data[d + D_TERMINAL] + place]
        if j >= 0:
            if not is_live(ctx, d, y, j):
                return False
            out[0] = data[d + D_FIRST] + 2 * j
            out[1] = 0
            out[2] = after_declared(ctx, d, y, j)
            return True
    if not additional:
        return False
    string = string_of(ctx, d, place) if place >= 0 else ~place
    if in_set(ctx, i32(ctx, CELLS)[4 * y + 1], string):
        return False
    out[0] = data[d + D_FIRST] + 2 * data[d + D_COUNT]
    out[1] = 0
    out[2] = after_additional(ctx, d, y, string)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int32[::1])")
def step_name(ctx, s, row, d, x, y, b, out):
    """One byte inside a name: writes the next state to out[0:3]; False where no name goes on so."""
    leaves = i32(s, LEAVES)
    text = i32(ctx, DATA)[d + D_TEXT]
    additional = additional_is_live(ctx, d, y)
    if x >= 0:
        place, q, escape = x, i32(ctx, DATA)[d + i32(ctx, DATA)[d + D_STATE] + x] + text, 0
    else:
        cells = i32(ctx, CELLS)
        place, q, escape = cells[4 * ~x], cells[4 * ~x + 1], cells[4 * ~x + 2]
    if escape == 0 and q == text and b == QUOTE:
        return close_name(ctx, d, y, additional, place, out)
    q2 = leaves[256 * q + b]
    if q2 == 0:
        return False
    phase = escape >> 26
    high = (escape >> 16) & 0x3FF
    digits = escape & 0xFFFF
    if escape == 0 and b != BACKSLASH:
        place = append(ctx, d, y, additional, place, b)
        phase = 0
    elif escape == 0:
        if place >= 0 and not additional and not live_below(ctx, d, y, place, False):
            return False
        phase = 1
    else:
        code_point = -1
        if phase == 1:
            if b == 117:
                phase = 2
            else:
                code_point = short_escape(b)
        elif phase == 7 or phase == 8:
            phase += 1
        else:
            digits = (digits << 4) | hex_value(b)
            phase += 1
            if phase == 6 and digits >= 0xD800 and digits < 0xDC00:
                phase, high, digits = 7, digits - 0xD800, 0
            elif phase == 6:
                code_point = digits
            elif phase == 13:
                code_point = 0x10000 + (high << 10) + (digits - 0xDC00)
        if code_point >= 0:
            place = append_code_point(ctx, d, y, additional, place, code_point)
            phase = 0
        elif place >= 0 and not additional and not escape_is_live(ctx, d, y, place, phase, high, digits):
            return False
    if place == DEAD:
        return False
    out[0] = row
    out[2] = y
    if phase == 0:
        out[1] = place if place >= 0 else ~cell(ctx, place, q2, 0, CELL_TYPING)
    else:
        out[1] = ~cell(ctx, place, q2, (phase << 26) | (high << 16) | digits, CELL_TYPING)
    return True


@subroutine("boolean(int64[::1], int64, int64)")
def off_trie_is_clean(ctx, x, y):
    """Whether no additional name that is there already begins with what has been typed (x = ~cell, off the trie)."""
    cells = i32(ctx, CELLS)
    typed = ~cells[4 * ~x]
    length = cells[4 * typed + 2]
    elements = cells[4 * y + 1]
    while elements != 0:
        string = cells[4 * elements + 1]
        if string > 0:
            while cells[4 * string + 2] > length:
                string = cells[4 * string]
            if string == typed:
                return False
        elements = cells[4 * elements]
    return True
