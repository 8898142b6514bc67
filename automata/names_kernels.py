"""Member names of an object, byte by byte: a trie of the declared names, read as JSON spells strings.

A *names* state (row, x, y) is inside a member's name. x >= 0 is a place in the trie of declared names (reached by raw
bytes alone); x < 0 is ~cell of a CELL_TYPING (place, state of the string DFA, escape so far), where the place is a trie
place again (inside an escape) or ~string cell once the name has left the trie, which only additional members may.
y says which members there are already, so every declared name is live at most once and no additional name comes twice.

Names are compared by value: `"\\u0061"` is `"a"`. An escape in progress is one int32: phase << 26 | high surrogate <<
16 | digits. Phases: 1 after the backslash, 2..5 after `\\u` and its digits, 7 after a high surrogate, 8 after the
second backslash, 9..12 in its digits.

Other names may also come in *classes* (patterns), by an automaton for their spellings with a names row of its own: at
the quote the machine goes on in the trie and in every such row, and the names themselves part them. There x is 0 at the
start and then ~cell of a CELL_TYPING whose place is ~string cell. Classes that are no witnesses share one automaton and
one row, that of the first of them: a class's *mark*, two digits of base 8, is what the automaton has behind the closing
quotes of its names. A class that is a witness has an automaton of its own.

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
    ALONE,
    BOTTOM,
    C_FIRST,
    C_LANGUAGE,
    C_MARK,
    C_NEXT,
    C_SIZE,
    C_SIZES,
    C_TEXT,
    C_WIDTH,
    C_WITNESS,
    CELL_PROGRESS,
    CELL_SET,
    CELL_STRING,
    CELL_TYPING,
    CELLS,
    COUNT_BITS,
    D_ADDITIONAL,
    D_BARE,
    D_CHILD,
    D_CHILD_BYTE,
    D_CHILD_NODE,
    D_CLASS,
    D_CLASSES,
    D_COUNT,
    D_COUNTS,
    D_FIRST,
    D_HIGH,
    D_IS_REQUIRED,
    D_LEAST,
    D_LEFT,
    D_LIMIT,
    D_LOW,
    D_MOST,
    D_ORDERED,
    D_OTHERS,
    D_RANKED,
    D_REQUIRED,
    D_STATE,
    D_STRING,
    D_TERMINAL,
    D_TEXT,
    D_WITNESSES,
    DATA,
    DEAD,
    EMPTY_STRING,
    QUOTE,
    cell,
    i32,
    leaf_step,
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
def class_at(ctx, d, c):
    """Offset in DATA of a class of names."""
    return d + i32(ctx, DATA)[d + D_CLASS] + C_WIDTH * c


@subroutine("int64(int64[::1], int64, int64)")
def names_there(ctx, y, language):
    """How many names of a language there are; 0: those of all languages, -1: declared ones."""
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    n = 0
    while elements != 0:
        string = cells[4 * elements + 1]
        if language < 0:
            n += string < 0
        elif string > 0 and (language == 0 or cells[4 * elements + 2] == language):
            n += 1
        elements = cells[4 * elements]
    return n


@device
def witness_of(ctx, d, y, c, language):
    """The witness bits of a class that still has a name once one more of `language` is there; else 0."""
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    if data[o + C_WITNESS] == 0 or data[o + C_SIZE] < 0:
        return data[o + C_WITNESS]
    there = names_there(ctx, y, data[o + C_LANGUAGE]) + (1 if language == data[o + C_LANGUAGE] else 0)
    return data[o + C_WITNESS] if there < data[o + C_SIZE] else 0


@subroutine("int64(int64[::1], int64, int64, int64, int64)")
def witnesses_needed(ctx, d, y, missing, language):
    """The fewest members that are all missing witnesses together, 1 to 4; 99 if they cannot come any more."""
    classes = i32(ctx, DATA)[d + D_CLASSES]
    possible, fewest = 0, 99
    for c in range(classes):
        first = witness_of(ctx, d, y, c, language)
        possible |= first
        if first & missing == missing:
            return 1
        if first & missing == 0:
            continue
        for c2 in range(c):
            second = first | witness_of(ctx, d, y, c2, language)
            if second & missing == missing:
                fewest = min(fewest, 2)
            elif fewest > 3 and second != first:
                for c3 in range(c2):
                    if (second | witness_of(ctx, d, y, c3, language)) & missing == missing:
                        fewest = 3
    return min(fewest, 4) if possible & missing == missing else 99


@subroutine("boolean(int64[::1], int64, int64, int64, int64, int64, int64)")
def fits(ctx, d, y, required, declared, bits, language):
    """Whether the object can be completed once another member is there, as far as that is a matter of numbers.

    required, declared : members that are still needed and that could still come then. bits : the witnesses there then.
    language : that of the member's name, or 0.
    """
    data = i32(ctx, DATA)
    n = (i32(ctx, CELLS)[4 * y + 2] & ((1 << COUNT_BITS) - 1)) + 1
    missing = data[d + D_WITNESSES] & ~bits
    if missing:
        needed = witnesses_needed(ctx, d, y, missing, language)
        if needed == 99:
            return False
        required += needed
    if data[d + D_MOST] >= 0 and n + required > data[d + D_MOST]:
        return False
    others = data[d + D_OTHERS]
    if others < 0 or n + declared >= data[d + D_LEAST]:
        return True
    left = others - names_there(ctx, y, 0) - (1 if language > 0 else 0)
    return n + declared + left >= data[d + D_LEAST]


@device
def may_close(ctx, d, y):
    """Whether the object may end: every required member is there, enough of them, and every witness."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    a = cells[4 * y]
    if data[d + D_COUNTS]:
        n = cells[4 * y + 2]
        if n & ((1 << COUNT_BITS) - 1) < data[d + D_LEAST] or n >> COUNT_BITS != data[d + D_WITNESSES]:
            return False
    if data[d + D_ORDERED]:
        return data[d + data[d + D_LIMIT] + a] == data[d + D_COUNT]
    return a == data[d + D_REQUIRED]


@subroutine("boolean(int64[::1], int64, int64, int64)")
def is_live(ctx, d, y, j):
    """Whether the declared member j may come next; from the count on, j is a name that no member may have."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    if j >= data[d + D_COUNT]:
        return False
    a = cells[4 * y]
    if data[d + D_ORDERED]:
        if not (a <= j <= data[d + data[d + D_LIMIT] + a]):
            return False
        if data[d + D_COUNTS] == 0:
            return True
        left = data[d + data[d + D_LEFT] + j + 1]
        return fits(ctx, d, y, left, data[d + D_COUNT] - j - 1, cells[4 * y + 2] >> COUNT_BITS, 0)
    if in_set(ctx, cells[4 * y + 1], ~j):
        return False
    if data[d + D_COUNTS] == 0:
        return True
    left = data[d + D_REQUIRED] - a - data[d + data[d + D_IS_REQUIRED] + j]
    declared = data[d + D_COUNT] - names_there(ctx, y, -1) - 1
    return fits(ctx, d, y, left, declared, cells[4 * y + 2] >> COUNT_BITS, 0)


@subroutine("boolean(int64[::1], int64, int64, int64, int64)")
def other_is_live(ctx, d, y, witness, language):
    """Whether a member that is not declared may come next; in order, only when no required one is left."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    a = cells[4 * y]
    if data[d + D_ORDERED] and data[d + data[d + D_LIMIT] + a] != data[d + D_COUNT]:
        return False
    if data[d + D_COUNTS] == 0:
        return True
    left, declared = 0, 0
    if not data[d + D_ORDERED]:
        left = data[d + D_REQUIRED] - a
        declared = data[d + D_COUNT] - names_there(ctx, y, -1)
    return fits(ctx, d, y, left, declared, cells[4 * y + 2] >> COUNT_BITS | witness, language)


@device
def additional_is_live(ctx, d, y):
    """Whether a member of any other name may come next."""
    return i32(ctx, DATA)[d + D_ADDITIONAL] != 0 and other_is_live(ctx, d, y, 0, 0)


@subroutine("boolean(int64[::1], int64, int64, int64)")
def class_is_live(ctx, d, y, c):
    """Whether a member of the class c may come next."""
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    language = data[o + C_LANGUAGE]
    if data[o + C_SIZE] >= 0 and names_there(ctx, y, language) >= data[o + C_SIZE]:
        return False
    return other_is_live(ctx, d, y, data[o + C_WITNESS], language)


@subroutine("boolean(int64[::1], int64, int64)")
def names_are_live(ctx, d, y):
    """Whether a declared member, or one of any other name, may come next."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    if data[d + D_COUNTS] or data[d + D_CLASSES]:
        if additional_is_live(ctx, d, y):
            return True
        for j in range(data[d + D_COUNT]):
            if is_live(ctx, d, y, j):
                return True
        return False
    if data[d + D_ADDITIONAL]:
        return True
    if data[d + D_ORDERED]:
        return cells[4 * y] < data[d + D_COUNT]
    return names_there(ctx, y, -1) < data[d + D_COUNT]


@subroutine("boolean(int64[::1], int64, int64)")
def may_go_on(ctx, d, y):
    """Whether another member may follow."""
    if names_are_live(ctx, d, y):
        return True
    for c in range(i32(ctx, DATA)[d + D_CLASSES]):
        if class_is_live(ctx, d, y, c):
            return True
    return False


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


@device
def one_more(ctx, d, y, witness):
    """The c of a progress cell once another member is there."""
    data = i32(ctx, DATA)
    if data[d + D_COUNTS] == 0:
        return 0
    before = i32(ctx, CELLS)[4 * y + 2]
    n = before & ((1 << COUNT_BITS) - 1)
    if data[d + D_MOST] >= 0 or n < data[d + D_LEAST]:
        n += 1
    return n | ((before >> COUNT_BITS | witness) << COUNT_BITS)


@subroutine("int64(int64[::1], int64, int64, int64)")
def after_declared(ctx, d, y, j):
    """Progress once the declared member j is named."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    more = one_more(ctx, d, y, 0)
    if data[d + D_ORDERED]:
        return cell(ctx, j + 1, elements, more, CELL_PROGRESS)
    required = cells[4 * y] + data[d + data[d + D_IS_REQUIRED] + j]
    return cell(ctx, required, cell(ctx, elements, ~j, 0, CELL_SET), more, CELL_PROGRESS)


@subroutine("int64(int64[::1], int64, int64, int64, int64, int64)")
def after_other(ctx, d, y, string, language, witness):
    """Progress once an undeclared member is named; string 0 leaves the name out (it will not be looked at)."""
    data = i32(ctx, DATA)
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    if string != 0:
        elements = cell(ctx, elements, string, language, CELL_SET)
    a = data[d + D_COUNT] if data[d + D_ORDERED] else cells[4 * y]
    return cell(ctx, a, elements, one_more(ctx, d, y, witness), CELL_PROGRESS)


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


@device
def after_name(ctx, d, j):
    """The row after the name of member j (the count: any other): its colon, what follows a bare string, or the end."""
    data = i32(ctx, DATA)
    if data[d + D_BARE] == ALONE:
        return BOTTOM
    return data[d + D_FIRST] - 3 if data[d + D_BARE] else data[d + D_FIRST] + 2 * j


@device
def spell(escape, b):
    """One byte inside an escape: (the escape after it, or 0 when it is whole, and then its code point, else -1)."""
    phase = escape >> 26
    high = (escape >> 16) & 0x3FF
    digits = escape & 0xFFFF
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
        return 0, code_point
    return (phase << 26) | (high << 16) | digits, -1


@subroutine("boolean(int64[::1], int64, int64, boolean, int64, int32[::1])")
def close_name(ctx, d, y, additional, place, out):
    """The closing quote: to the colon state of the member that was named."""
    data = i32(ctx, DATA)
    if place >= 0:
        j = data[d + data[d + D_TERMINAL] + place]
        if j >= 0:
            if not is_live(ctx, d, y, j):
                return False
            out[0] = after_name(ctx, d, j)
            out[1] = 0
            out[2] = y if data[d + D_BARE] == ALONE else after_declared(ctx, d, y, j)
            return True
    if not additional:
        return False
    string = string_of(ctx, d, place) if place >= 0 else ~place
    if in_set(ctx, i32(ctx, CELLS)[4 * y + 1], string):
        return False
    out[0] = after_name(ctx, d, data[d + D_COUNT])
    out[1] = 0
    out[2] = after_other(ctx, d, y, string, 0, 0)
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int32[::1])")
def step_name(ctx, s, row, d, x, y, b, out):
    """One byte inside a name: writes the next state to out[0:3]; False where no name goes on so."""
    text = i32(ctx, DATA)[d + D_TEXT]
    additional = additional_is_live(ctx, d, y)
    if x >= 0:
        place, q, escape = x, i32(ctx, DATA)[d + i32(ctx, DATA)[d + D_STATE] + x] + text, 0
    else:
        cells = i32(ctx, CELLS)
        place, q, escape = cells[4 * ~x], cells[4 * ~x + 1], cells[4 * ~x + 2]
    if escape == 0 and q == text and b == QUOTE:
        return close_name(ctx, d, y, additional, place, out)
    q2 = leaf_step(s, q, b)
    if q2 == 0:
        return False
    if escape == 0 and b != BACKSLASH:
        place = append(ctx, d, y, additional, place, b)
    elif escape == 0:
        if place >= 0 and not additional and not live_below(ctx, d, y, place, False):
            return False
        escape = 1 << 26
    else:
        escape, code_point = spell(escape, b)
        if code_point >= 0:
            place = append_code_point(ctx, d, y, additional, place, code_point)
        elif place >= 0 and not additional:
            if not escape_is_live(ctx, d, y, place, escape >> 26, (escape >> 16) & 0x3FF, escape & 0xFFFF):
                return False
    if place == DEAD:
        return False
    out[0] = row
    out[2] = y
    out[1] = place if place >= 0 and escape == 0 else ~cell(ctx, place, q2, escape, CELL_TYPING)
    return True


# ------------------------------------------------------------------------------------------------ classes


@device
def extends(ctx, string, prefix):
    """Whether a string begins with another."""
    cells = i32(ctx, CELLS)
    length = cells[4 * prefix + 2]
    while cells[4 * string + 2] > length:
        string = cells[4 * string]
    return string == prefix


@subroutine("boolean(int64[::1], int64, int64)")
def is_clean(ctx, y, typed):
    """Whether no undeclared name that is there begins with what has been typed (a string)."""
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    while elements != 0:
        string = cells[4 * elements + 1]
        if string > 0 and extends(ctx, string, typed):
            return False
        elements = cells[4 * elements]
    return True


@subroutine("int64(int64[::1], int64, int64)")
def code_point_after(ctx, string, length):
    """The code point of a string behind its first `length` bytes; -1 at its end."""
    cells = i32(ctx, CELLS)
    rest = cells[4 * string + 2] - length
    if rest <= 0:
        return -1
    while rest > 4:
        string = cells[4 * string]
        rest -= 1
    b4, b3, b2, b1 = 0, 0, 0, 0
    while rest > 0:
        b = cells[4 * string + 1]
        if rest == 4:
            b4 = b
        elif rest == 3:
            b3 = b
        elif rest == 2:
            b2 = b
        else:
            b1 = b
        string = cells[4 * string]
        rest -= 1
    if b1 < 0x80:
        return b1
    if b1 < 0xE0:
        return ((b1 & 0x1F) << 6) | (b2 & 0x3F)
    if b1 < 0xF0:
        return ((b1 & 0xF) << 12) | ((b2 & 0x3F) << 6) | (b3 & 0x3F)
    return ((b1 & 7) << 18) | ((b2 & 0x3F) << 12) | ((b3 & 0x3F) << 6) | (b4 & 0x3F)


@subroutine("boolean(int64[::1], int64, int64, int64, int64, int64)")
def class_goes_on(ctx, o, y, typed, q, escape):
    """Whether a name of the class (at o) that is not there yet goes on from what is typed, state q and escape."""
    data = i32(ctx, DATA)
    if data[o + C_SIZES] == 0:
        return True
    left = data[data[o + C_SIZES] + q - data[o + C_FIRST]]
    if left < 0:
        return True
    cells = i32(ctx, CELLS)
    elements = cells[4 * y + 1]
    length = cells[4 * typed + 2]
    while elements != 0:
        string = cells[4 * elements + 1]
        if string > 0 and cells[4 * elements + 2] == data[o + C_LANGUAGE] and extends(ctx, string, typed):
            if escape == 0:
                left -= 1
            else:
                c = code_point_after(ctx, string, length)
                if c >= 0 and matches_escape(c, escape >> 26, (escape >> 16) & 0x3FF, escape & 0xFFFF):
                    left -= 1
        elements = cells[4 * elements]
    return left > 0


@subroutine("int64(int64[::1], int64[::1], int64, int64, int64)")
def class_named(ctx, s, d, c, q):
    """Offset in DATA of the class of a name whose closing quote has led to q: c, or one that shares its automaton."""
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    while data[o + C_MARK] >= 0 and leaf_step(s, leaf_step(s, q, data[o + C_MARK] >> 3), data[o + C_MARK] & 7) == 0:
        o += C_WIDTH
    return o


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int32[::1])")
def step_class(ctx, s, row, d, c, x, y, b, out):
    """One byte inside a name of the class c, or of one that shares its row, with the closing quote: as step_name.

    The class's automaton follows every spelling, so what is kept beside its state is the value typed so far.
    """
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    if x == 0:
        typed, q, escape = EMPTY_STRING, data[o + C_TEXT], 0
    else:
        cells = i32(ctx, CELLS)
        typed, q, escape = ~cells[4 * ~x], cells[4 * ~x + 1], cells[4 * ~x + 2]
    q2 = leaf_step(s, q, b)
    if q2 == 0:
        return False
    if escape == 0 and b == QUOTE:
        if in_set(ctx, i32(ctx, CELLS)[4 * y + 1], typed):
            return False
        o = class_named(ctx, s, d, c, q2)
        out[0] = data[o + C_NEXT]
        out[1] = 0
        out[2] = after_other(ctx, d, y, typed, data[o + C_LANGUAGE], data[o + C_WITNESS])
        return True
    place = ~typed
    if escape == 0 and b != BACKSLASH:
        place = append(ctx, d, y, True, place, b)
    elif escape == 0:
        escape = 1 << 26
    else:
        escape, code_point = spell(escape, b)
        if code_point >= 0:
            place = append_code_point(ctx, d, y, True, place, code_point)
    if not class_goes_on(ctx, o, y, ~place, q2, escape):
        return False
    out[0] = row
    out[1] = ~cell(ctx, place, q2, escape, CELL_TYPING)
    out[2] = y
    return True
