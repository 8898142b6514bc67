"""A walk over the token tree (walk_kernels.py) inside the names of an object's members (names_kernels.py).

Where only declared names may come, the few bytes that go on are tried one by one. Where others may, the record of the
string says what is allowed, and its exits, the closing quotes, are read again byte by byte, but only those for which it
matters what the name is: it could be a declared one, or one that is there already.

Each walk_* kernel returns False where there is no room; nothing is lost, the item is walked again.
"""

from __future__ import annotations

from .kernel import device, subroutine
from .names_kernels import after_name, after_other, class_at, class_named, is_clean, name_child, step_class, step_name
from .place_kernels import child_of, children, is_left_out, node_of
from .record_kernels import record_of, row_with_exits
from .record_table_kernels import CLOSING, P_DENSE, P_EXIT, P_EXITS
from .step_kernels import room_for_a_byte
from .table_kernels import (
    B_FIRST,
    B_PLAIN,
    C_LANGUAGE,
    C_MARK,
    C_NEXT,
    C_SIZE,
    C_SIZES,
    C_TEXT,
    C_WITNESS,
    CELL_INDEX,
    CELLS,
    D_CHILD,
    D_CHILD_BYTE,
    D_COUNT,
    D_STATE,
    D_STRING,
    D_TEXT,
    DATA,
    EMPTY_STRING,
    M_DEEPEST,
    QUOTE,
    RECORD_INTS,
    RECORD_WIDTH,
    RECORDS,
    ROW_WIDTH,
    ROWS,
    SCRATCH,
    T_BYTE,
    T_CHILD_BYTE,
    T_CHILD_NODE,
    T_DEPTH,
    T_FOLLOW,
    T_PARENT,
    T_QUOTES,
    T_SLASHES,
    WORK,
    WORK_WIDTH,
    i32,
    leaf_step,
    room,
    room_index,
    u8,
)
from .walk_item_kernels import AHEAD, enter, has_marks_alone, marks_room, marks_wanted, pop_width, take_marks
from .walk_output_kernels import allow_dense, allow_place, allow_record, misc


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, boolean, int32[::1])")
def exit_name(ctx, s, row, d, x, y, t, exit_place, clean, out):
    """The state at a closing quote (place exit_place) that ends a name typed from (x, y) at t on; False if refused.

    clean : no undeclared name that is there begins with what is typed.
    """
    byte = u8(s, T_BYTE)
    parent = i32(s, T_PARENT)
    slashes = i32(s, T_SLASHES)
    data = i32(ctx, DATA)
    above = node_of(s, t)
    n = i32(s, T_DEPTH)[exit_place] - i32(s, T_DEPTH)[above]
    on_trie = x >= 0
    # Inside an escape the place is still on the trie, whatever x says.
    plain = (on_trie or i32(ctx, CELLS)[4 * ~x] < 0) and slashes[exit_place] == slashes[above]
    place = x
    k = 0
    while plain and on_trie and k < n - 1:
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        place = name_child(ctx, d, place, byte[v])
        on_trie = place >= 0
        k += 1
    far = i32(s, T_QUOTES)[exit_place] >= 2
    if plain and not on_trie and not far and clean:
        # Off the trie the name is an additional one; what it is matters only if it could be there already.
        out[0] = after_name(ctx, d, data[d + D_COUNT])
        out[1] = 0
        out[2] = after_other(ctx, d, y, 0, 0, 0)
        return True
    x1 = x
    for k in range(n):
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        if not step_name(ctx, s, row, d, x1, y, byte[v], out):
            return False
        x1 = out[1]
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64)")
def leads_away_below(ctx, s, d, x, t, exit_place):
    """As leads_away, from a place t that is not the root."""
    slashes = i32(s, T_SLASHES)
    above = node_of(s, t)
    if slashes[exit_place] != slashes[above] or i32(s, T_QUOTES)[exit_place] >= 2:
        return False
    if x < 0:
        return True
    depth = i32(s, T_DEPTH)
    steps = depth[exit_place] - depth[above] - 1
    parent = i32(s, T_PARENT)
    v = exit_place
    for _ in range(steps):
        v = parent[v]
    return steps > 0 and name_child(ctx, d, x, u8(s, T_BYTE)[v]) < 0


@device
def leads_away(ctx, s, d, x, t, exit_place):
    """Whether the way from t to a closing quote at once leaves the trie at x, for a name that nothing will look at."""
    if t != 0:
        return leads_away_below(ctx, s, d, x, t, exit_place)
    follow = i32(s, T_FOLLOW)[exit_place]
    if follow & B_PLAIN == 0:
        return False
    if x < 0:
        return True
    data = i32(ctx, DATA)
    first, byte = d + data[d + D_CHILD] + x, d + data[d + D_CHILD_BYTE]
    for i in range(data[first], data[first + 1]):
        if data[byte + i] == follow >> B_FIRST:
            return False
    return i32(s, T_DEPTH)[exit_place] > 1


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64)")
def walk_additional_name(ctx, s, t, row, d, x, y, below):
    """Inside a name that may be an additional one: all of the string's content, and its quotes one by one."""
    data = i32(ctx, DATA)
    text = data[d + D_TEXT]
    typed, q = 0, 0
    if x >= 0:
        typed, q = data[d + data[d + D_STRING] + x], data[d + data[d + D_STATE] + x] + text
    else:
        typed, q = ~i32(ctx, CELLS)[4 * ~x], i32(ctx, CELLS)[4 * ~x + 1]
    # A negative place in an escape is still one of the trie.
    clean = typed >= 0 and is_clean(ctx, y, typed)
    record = record_of(s, t, q, QUOTE)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    o = RECORD_WIDTH * record
    exits = records[o + P_EXITS]
    if not room(s, WORK, WORK_WIDTH * exits * marks_room(ctx, below)):
        return False
    if not room_for_a_byte(ctx):
        return False
    with_exits = row_with_exits(s, record) if clean and records[o + P_DENSE] >= 0 else -1
    ints = i32(s, RECORD_INTS)
    first = records[o + P_EXIT]
    out = i32(ctx, SCRATCH)
    deepest = misc(s)[M_DEEPEST]
    colon = after_name(ctx, d, data[d + D_COUNT])
    y1 = after_other(ctx, d, y, 0, 0, 0)
    simple = clean and has_marks_alone(i32(ctx, ROWS), ROW_WIDTH * colon)
    follow = i32(s, T_FOLLOW)
    wanted = marks_wanted(i32(ctx, ROWS), ROW_WIDTH * colon, 0) if simple else 0
    refused = False
    for k in range(exits):
        at = ints[first + 2 * k]
        if simple and leads_away(ctx, s, d, x, t, at):
            if follow[at] & wanted:
                take_marks(ctx, s, at, colon, 0, y1, below)
            continue
        # The strings of an exit may append several cells a byte: room is looked at for each.
        if not (room_for_a_byte(ctx) and room(ctx, CELLS, 32 * deepest) and room_index(ctx, CELL_INDEX, 8 * deepest)):
            return False
        if exit_name(ctx, s, row, d, x, y, t, at, clean, out):
            enter(ctx, s, at, out[0], out[1], out[2], below)
        else:
            refused = True
    if with_exits >= 0 and not refused:
        allow_dense(s, with_exits)
        return True
    if not allow_record(s, record, -1):
        return False
    for k in range(exits):
        at = ints[first + 2 * k]
        if simple and leads_away(ctx, s, d, x, t, at):
            allow_place(s, at)
    return True


@subroutine("int64(int64[::1], int64, int64, int64)")
def leaf_after(s, q, t, place):
    """The leaf state after the bytes from place t down to another, in state q at t."""
    byte, parent = u8(s, T_BYTE), i32(s, T_PARENT)
    n = i32(s, T_DEPTH)[place] - i32(s, T_DEPTH)[node_of(s, t)]
    for k in range(n):
        v = place
        for _ in range(n - 1 - k):
            v = parent[v]
        q = leaf_step(s, q, byte[v])
    return q


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64, boolean, int32[::1])")
def exit_class(ctx, s, row, d, c, x, y, t, exit_place, clean, out):
    """As exit_name, in a class or in those that share its row.

    clean : no undeclared name that is there begins with what is typed.
    """
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    # Without its name: that is looked at where another name is closed below, and, where the class has states of few
    # names, already where one is begun.
    quotes = i32(s, T_QUOTES)[exit_place]
    if clean and data[o + C_SIZE] < 0 and (quotes == 0 or (quotes < 2 and data[o + C_SIZES] == 0)):
        if data[o + C_MARK] >= 0:
            q = data[o + C_TEXT] if x == 0 else i32(ctx, CELLS)[4 * ~x + 1]
            o = class_named(ctx, s, d, c, leaf_after(s, q, t, exit_place))
        out[0] = data[o + C_NEXT]
        out[1] = 0
        out[2] = after_other(ctx, d, y, 0, data[o + C_LANGUAGE], data[o + C_WITNESS])
        return True
    byte = u8(s, T_BYTE)
    parent = i32(s, T_PARENT)
    n = i32(s, T_DEPTH)[exit_place] - i32(s, T_DEPTH)[node_of(s, t)]
    for k in range(n):
        v = exit_place
        for _ in range(n - 1 - k):
            v = parent[v]
        if not step_class(ctx, s, row, d, c, x, y, byte[v], out):
            return False
        x = out[1]
    return True


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64)")
def walk_class(ctx, s, t, row, d, c, x, y, below):
    """Inside a name of a class: what its automaton allows, and its quotes one by one. False without room.

    Where a name that is there already goes on from here and the class has few left, byte by byte.
    """
    data = i32(ctx, DATA)
    o = class_at(ctx, d, c)
    out = i32(ctx, SCRATCH)
    typed, q = EMPTY_STRING, data[o + C_TEXT]
    if x != 0:
        typed, q = ~i32(ctx, CELLS)[4 * ~x], i32(ctx, CELLS)[4 * ~x + 1]
    clean = is_clean(ctx, y, typed)
    if not clean and data[o + C_SIZES] != 0:
        if not (room_for_a_byte(ctx) and room(s, WORK, WORK_WIDTH * AHEAD)):
            return False
        low, high = children(s, t)
        for i in range(low, high):
            b = u8(s, T_CHILD_BYTE)[i]
            if not is_left_out(s, t, b) and step_class(ctx, s, row, d, c, x, y, b, out):
                enter(ctx, s, i32(s, T_CHILD_NODE)[i], out[0], out[1], out[2], below)
        return True
    record = record_of(s, t, q, CLOSING)
    if record < 0:
        return False
    records = i32(s, RECORDS)
    r = RECORD_WIDTH * record
    exits = records[r + P_EXITS]
    if not room(s, WORK, WORK_WIDTH * exits):
        return False
    if not allow_record(s, record, -1):
        return False
    ints = i32(s, RECORD_INTS)
    first = records[r + P_EXIT]
    deepest = misc(s)[M_DEEPEST]
    for k in range(exits):
        at = ints[first + 2 * k]
        if not (room_for_a_byte(ctx) and room(ctx, CELLS, 32 * deepest) and room_index(ctx, CELL_INDEX, 8 * deepest)):
            return False
        if exit_class(ctx, s, row, d, c, x, y, t, at, clean, out):
            enter(ctx, s, at, out[0], out[1], out[2], below)
    return True


@subroutine("void(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64, int64, int32[::1])")
def try_name_byte(ctx, s, t, row, d, x, y, b, below, out):
    """One byte of a declared name, if the token tree has it."""
    c = child_of(s, t, b)
    if c >= 0 and step_name(ctx, s, row, d, x, y, b, out):
        enter(ctx, s, c, out[0], out[1], out[2], below)


@subroutine("boolean(int64[::1], int64[::1], int64, int64, int64, int64, int64, int64)")
def walk_declared_name(ctx, s, t, row, d, x, y, below):
    """Inside a name that must be a declared one: the few bytes that go on. False without room."""
    # The closing quote of a string by itself ends the frame.
    if not (room_for_a_byte(ctx) and room(s, WORK, WORK_WIDTH * (AHEAD + pop_width(ctx, below)))):
        return False
    out = i32(ctx, SCRATCH)
    data = i32(ctx, DATA)
    if x >= 0:
        first = d + data[d + D_CHILD]
        for i in range(data[first + x], data[first + x + 1]):
            b = data[d + data[d + D_CHILD_BYTE] + i]
            if b != QUOTE and b != 92:
                try_name_byte(ctx, s, t, row, d, x, y, b, below, out)
        try_name_byte(ctx, s, t, row, d, x, y, QUOTE, below, out)
        try_name_byte(ctx, s, t, row, d, x, y, 92, below, out)
        return True
    low, high = children(s, t)
    for i in range(low, high):
        b = u8(s, T_CHILD_BYTE)[i]
        if not is_left_out(s, t, b) and step_name(ctx, s, row, d, x, y, b, out):
            enter(ctx, s, i32(s, T_CHILD_NODE)[i], out[0], out[1], out[2], below)
    return True
