"""Writing rows: what a front end's fragment becomes in the tables, an object's whole skeleton in one call.

An object of n declared members is 6 + 2n rows: the payload's own row (the opening brace), then from `first` on

    first       after the brace: white space, `}` if nothing is required, `"`
    first + 1   after a member: white space, `,`, `}`
    first + 2   after a comma: white space, `"`
    first + 3   inside a name (names_kernels)
    first + 4 + 2j, + 5 + 2j   member j after its name: white space, `:`; then white space and its value; j = n: others

and after those, for each class of names, its names row, its colon and its value. Bare strings (fragment.Strings) are
the same without colons and values, and a string by itself (fragment.OneString) is the names row alone. How far the
object has come is in the register y, so the rows stay the same.

What stands between tokens is a *layout*: four literals (after the opening bracket, around the comma, around the colon,
before the closing bracket). Where white space is free they are the bare marks; else the first byte of a literal is the
close or the separator of the row that it begins in, where the progress is looked at, and each further byte has a row
behind all others. Kernels take a layout as int32[5 + total]: the offsets of the literals, then their bytes.
"""

from __future__ import annotations

from .kernel import (
    device,
    kernel,
    subroutine,
)
from .table_kernels import (
    ALONE,
    BOTTOM,
    C_FIRST,
    C_LANGUAGE,
    C_MARK,
    C_NEXT,
    C_ROW,
    C_SIZE,
    C_SIZES,
    C_TEXT,
    C_WIDTH,
    C_WITNESS,
    CALLS,
    CELL_INDEX,
    CELL_PROGRESS,
    CELL_STRING,
    CELLS,
    CLASS,
    COUNTED,
    D_ADDITIONAL,
    D_BARE,
    D_BYTE,
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
    D_LENGTH,
    D_LIMIT,
    D_LOW,
    D_MOST,
    D_ORDERED,
    D_OTHERS,
    D_PARENT,
    D_RANKED,
    D_REQUIRED,
    D_STATE,
    D_STRING,
    D_TERMINAL,
    D_TEXT,
    D_WITNESSES,
    DATA,
    DONE,
    EDGES,
    EMPTY_STRING,
    ENDS,
    EXPANDED,
    I_MAX,
    I_MIN,
    I_PREFIX,
    I_SATURATE,
    ITEMS,
    MEMBERS,
    NAMES,
    NODE_INDEX,
    NODES,
    OK,
    QUOTE,
    R_BODY,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_DESC,
    R_EDGE,
    R_EDGES,
    R_FIRST,
    R_FLAGS,
    R_MAX,
    R_MIN,
    R_NEAR,
    R_NEXT,
    R_NEXT_TO,
    R_SPACE,
    ROW_WIDTH,
    ROWS,
    WANTS_ROOM,
    cell,
    context_at,
    i32,
    intern_quad,
    leaf_step,
    mix,
    room,
    room_index,
    store_of,
)

OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET = 123, 125, 91, 93
# Rows of an object beside two for each member, and of an array beside one for each place of its prefix.
MEMBER_ROWS, ITEM_ROWS = 6, 3
# Rows of a class of names, and what `write_members` is told of one.
CLASS_ROWS, CLASS_WIDTH = 3, 8
# The literals of a layout.
OPENED, AT_COMMA, AT_COLON, CLOSING = range(4)
LAYOUT_TEXT = 5


@device
def write_row(ctx, row, flags, space):
    """Writes a row without edges and calls; its offset."""
    rows = i32(ctx, ROWS)
    o = ROW_WIDTH * row
    for k in range(R_FIRST):
        rows[o + k] = 0
    rows[o + R_SPACE] = space
    rows[o + R_CLOSE] = -1
    rows[o + R_NEXT] = -1
    rows[o + R_FLAGS] = flags | EXPANDED
    return o


@device
def write_next(rows, o, byte, to):
    rows[o + R_NEXT] = byte
    rows[o + R_NEXT_TO] = to


@device
def literal_length(layout, k):
    return layout[k + 1] - layout[k]


@subroutine("int64(int64[::1], int64, int64, int32[::1], int64, int64, int64)")
def write_literal(ctx, row, at, layout, k, to, bracket):
    """Literal k from a row that is written to another one: a row like it from `at` on for each byte but the first.

    bracket : the closing one that comes last, its bytes being closes; -1: they are separators, none for an empty
        literal. Returns the next free row. The last separator of items leads to their places (R_BODY).
    """
    rows = i32(ctx, ROWS)
    first = ROW_WIDTH * row
    n = literal_length(layout, k) + (1 if bracket >= 0 else 0)
    for i in range(n):
        o = ROW_WIDTH * row
        if i > 0:
            write_row(ctx, row, rows[first + R_FLAGS], 0)
            rows[o + R_DESC] = rows[first + R_DESC]
            rows[o + R_BODY] = rows[first + R_BODY]
        b = bracket if bracket >= 0 and i == n - 1 else layout[LAYOUT_TEXT + layout[k] + i]
        then = to if i == n - 1 else at
        if bracket >= 0:
            rows[o + R_CLOSE] = b
            rows[o + R_CLOSE_TO] = then
        else:
            write_next(rows, o, b, then)
        row = at
        at += 1 if i < n - 1 else 0
    return at


@subroutine("void(int64[::1], int64, int64, int64)")
def write_call(ctx, o, callee, back):
    """Gives the row at offset o its only call. The caller has made sure of room."""
    rows = i32(ctx, ROWS)
    calls = i32(ctx, CALLS)
    c = ctx[3 * CALLS + 2]
    calls[c] = callee
    calls[c + 1] = back
    ctx[3 * CALLS + 2] = c + 2
    rows[o + R_CALL] = c
    rows[o + R_CALLS] = 1


@kernel("void(int64)")
def begin_tables(address):
    """The elements that every machine has: row 0 and node 0 (the bottom, where a text may end), cells 0 and 1."""
    ctx = context_at(address)
    write_row(ctx, 0, ENDS | DONE, 0)
    ctx[3 * ROWS + 2] = ROW_WIDTH
    intern_quad(ctx, NODES, NODE_INDEX, 0, 0, 0, 0)
    cell(ctx, 0, 0, 0, CELL_PROGRESS)
    cell(ctx, 0, 0, 0, CELL_STRING)


@kernel("int64(int64, int64)")
def root_node(address, row):
    """The configuration at the start of a text."""
    ctx = context_at(address)
    return intern_quad(ctx, NODES, NODE_INDEX, row, 0, 0, BOTTOM)


@kernel("int64(int64, int64, int64, int64, int32[::1], int32[::1])")
def write_fragment(address, row, flags, space, edges, calls):
    """A plain row. edges: triples low, high, target row; calls: pairs callee row, return row."""
    ctx = context_at(address)
    n, m = edges.shape[0] // 3, calls.shape[0] // 2
    if not (room(ctx, EDGES, 2 * n) and room(ctx, CALLS, 2 * m)):
        return WANTS_ROOM
    if flags & ENDS and n == 0 and m == 0 and space == 0:
        flags |= DONE
    o = write_row(ctx, row, flags, space)
    rows = i32(ctx, ROWS)
    table = i32(ctx, EDGES)
    e = ctx[3 * EDGES + 2]
    rows[o + R_EDGE] = e
    rows[o + R_EDGES] = n
    for k in range(n):
        table[e + 2 * k] = edges[3 * k] | (edges[3 * k + 1] << 8)
        table[e + 2 * k + 1] = edges[3 * k + 2]
    ctx[3 * EDGES + 2] = e + 2 * n
    table = i32(ctx, CALLS)
    c = ctx[3 * CALLS + 2]
    rows[o + R_CALL] = c
    rows[o + R_CALLS] = m
    for k in range(2 * m):
        table[c + k] = calls[k]
    ctx[3 * CALLS + 2] = c + 2 * m
    return OK


@kernel("int64(int64, int64, int64, int64, int64, int64, int64)")
def write_text(address, row, body, near, least, most, close):
    """A counted row. body : the leaf state at which it starts. near : the most iterations that any state still needs.

    most, close : -1 for none.
    """
    ctx = context_at(address)
    o = write_row(ctx, row, COUNTED | (ENDS if close < 0 else 0), 0)
    rows = i32(ctx, ROWS)
    rows[o + R_BODY] = body
    rows[o + R_NEAR] = near
    rows[o + R_MIN] = least
    rows[o + R_MAX] = most
    rows[o + R_CLOSE] = close
    return OK


@kernel("int64(int64, int64, int64, int64, int64, int64, int32[::1], int64, int32[::1])")
def write_items(address, row, first, space, least, most, values, has_item, layout):
    """An array. values: the callee rows of the prefix, then that of all further items (if has_item)."""
    ctx = context_at(address)
    prefix = values.shape[0] - has_item
    if not (room(ctx, CALLS, 2 * values.shape[0] + 2) and room(ctx, DATA, 8)):
        return WANTS_ROOM
    data = i32(ctx, DATA)
    d = ctx[3 * DATA + 2]
    ctx[3 * DATA + 2] = d + 4
    data[d + I_MIN] = least
    data[d + I_MAX] = most
    data[d + I_PREFIX] = prefix
    # Beyond the prefix and the minimum the count matters only against a maximum.
    data[d + I_SATURATE] = -1 if most >= 0 else (prefix if prefix > least else least)
    rows = i32(ctx, ROWS)
    after = first + 1
    has_values = values.shape[0] > 0 and most != 0
    write_next(rows, write_row(ctx, row, 0, 0), OPEN_BRACKET, first)
    for k in range(-1, values.shape[0] + 1):
        at = first if k < 0 else (after if k == 0 else first + 1 + k)
        o = write_row(ctx, at, ITEMS, space)
        rows[o + R_DESC] = d
        if k != 0 and has_values and (k > 0 or literal_length(layout, OPENED) == 0):
            write_call(ctx, o, values[k - 1 if k > 0 else 0], after)
    rows[ROW_WIDTH * first + R_CLOSE] = CLOSE_BRACKET
    at = first + ITEM_ROWS + values.shape[0]
    at = write_literal(ctx, after, at, layout, CLOSING, BOTTOM, CLOSE_BRACKET)
    if has_values:
        at = write_literal(ctx, first, at, layout, OPENED, first + 2, -1)
    comma = literal_length(layout, AT_COMMA)
    write_literal(ctx, after, at, layout, AT_COMMA, first + 2, -1)
    rows[ROW_WIDTH * (after if comma == 1 else at + comma - 2) + R_BODY] = prefix
    return OK


@subroutine("int64(int64[::1], int64[::1], int64, int64, Array(uint8, 1, 'C', True), int32[::1], int32[::1])")
def write_trie(ctx, s, d, at, names, offsets, order):
    """The trie of sorted names into DATA from offset `at` of the descriptor on. Returns the offset behind it.

    names : uint8[total], offsets : int32[n + 1], order : int32[n], the declared index of the i-th name in byte order.
    What is a string by itself needs no cells: no other name is compared with it.
    """
    data = i32(ctx, DATA)
    alone = data[d + D_BARE] == ALONE
    n = order.shape[0]
    most = offsets[n] + 1
    text = data[d + D_TEXT]
    for field in range(D_RANKED, D_LENGTH):
        data[d + field] = at
        at += n if field == D_RANKED else (most + 1 if field == D_CHILD else most)
    ranked, terminal = d + data[d + D_RANKED], d + data[d + D_TERMINAL]
    low, high, state = d + data[d + D_LOW], d + data[d + D_HIGH], d + data[d + D_STATE]
    parent, byte = d + data[d + D_PARENT], d + data[d + D_BYTE]
    data[terminal] = -1
    data[low] = 0
    data[high] = n
    data[state] = 0
    data[parent] = 0
    data[byte] = 0
    string = d + data[d + D_STRING]
    data[string] = EMPTY_STRING
    places = 1
    u = 0
    depth = 0
    for i in range(n):
        data[ranked + i] = order[i]
        start, end = offsets[i], offsets[i + 1]
        common = 0
        if i > 0:
            before = offsets[i - 1]
            while before + common < start and common < end - start and names[before + common] == names[start + common]:
                common += 1
        while depth > common:
            u = data[parent + u]
            depth -= 1
        for k in range(start + common, end):
            b = names[k]
            v = places
            places += 1
            data[parent + v] = u
            data[byte + v] = b
            data[string + v] = 0 if alone else cell(ctx, data[string + u], b, depth + 1, CELL_STRING)
            data[terminal + v] = -1
            data[low + v] = i
            # A byte that JSON only spells as an escape is a whole character.
            if b < 32 or b == QUOTE or b == 92:
                data[state + v] = 0
            else:
                data[state + v] = leaf_step(s, data[state + u] + text, b) - text
            u = v
            depth += 1
        data[terminal + u] = order[i]
        v = u
        while True:
            data[high + v] = i + 1
            if v == 0:
                break
            v = data[parent + v]
    children, child_byte, child_node = d + data[d + D_CHILD], d + data[d + D_CHILD_BYTE], d + data[d + D_CHILD_NODE]
    for u in range(places + 1):
        data[children + u] = 0
    for v in range(1, places):
        data[children + data[parent + v] + 1] += 1
    for u in range(places):
        data[children + u + 1] += data[children + u]
    # Places are in depth-first order, so taking them backwards puts the children of each in the order of their bytes.
    for v in range(places - 1, 0, -1):
        u = data[parent + v]
        data[children + u + 1] -= 1
        data[child_node + data[children + u + 1]] = v
        data[child_byte + data[children + u + 1]] = data[byte + v]
    # The ends have become starts.
    for u in range(places):
        data[children + u] = data[children + u + 1]
    data[children + places] = places - 1
    return at


@kernel("int64(int64, int64, int64, int64, Array(uint8, 1, 'C', True), int32[::1], int32[::1])")
def write_one_string(address, row, first, text, names, offsets, order):
    """A string that is one of some: its opening quote, and from `first` on the trie of the names.

    text : the leaf state of any string's spelling at its start. names, offsets, order : as in `write_trie`.
    """
    ctx = context_at(address)
    n = order.shape[0]
    if not room(ctx, DATA, D_LENGTH + n + 11 * (offsets[n] + 2) + 16):
        return WANTS_ROOM
    data = i32(ctx, DATA)
    d = ctx[3 * DATA + 2]
    for k in range(D_LENGTH):
        data[d + k] = 0
    data[d + D_COUNT] = n
    data[d + D_ORDERED] = 1
    data[d + D_TEXT] = text
    data[d + D_BARE] = ALONE
    # None is required, and all may come.
    data[d + D_LIMIT] = D_LENGTH
    data[d + D_LENGTH] = n
    ctx[3 * DATA + 2] = d + write_trie(ctx, store_of(ctx), d, D_LENGTH + 1, names, offsets, order)
    rows = i32(ctx, ROWS)
    write_next(rows, write_row(ctx, row, 0, 0), QUOTE, first)
    rows[write_row(ctx, first, NAMES, 0) + R_DESC] = d
    return OK


@device
def write_member(ctx, colon, space, value, after, at, layout):
    """The colon of a member and its value, then the row after it. Returns the next free row."""
    write_row(ctx, colon, 0, space)
    write_call(ctx, write_row(ctx, colon + 1, 0, space), value, after)
    return write_literal(ctx, colon, at, layout, AT_COLON, colon + 1, -1)


@kernel(
    "int64(int64, int64, int64, int64, int32[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " Array(uint8, 1, 'C', True), int32[::1], int32[::1], int32[::1])"
)
def write_members(address, row, first, space, options, values, required, classes, sizes, names, offsets, order, layout):
    """An object, or an array of bare strings.

    options : whether members come in order, the leaf state (index into LEAVES) of a name's spelling at its start, the
        least and most members (-1: no bound), the witnesses' bits, how many names all classes have (-1: without end),
        whether strings are bare, whether numbers matter.
    values : the callee rows of the declared members, then -1 or that of members of any other name.
    required : int32[n], 0 or 1. classes : int32[k * CLASS_WIDTH], for each class the start of its leaf, the callee row
        of its values, its witness bit, the number of its language, how many names that has, the place of the numbers of
        names by state in sizes (-1: all without end), the first state that they are of, and its mark (-1: none). Those
        with marks share a leaf and follow one another, with marks from 0 on.
    names, offsets, order : all names in byte order, absent ones with an index from n on.
    """
    ctx = context_at(address)
    n = values.shape[0] - 1
    m = order.shape[0]
    k_classes = classes.shape[0] // CLASS_WIDTH
    most = offsets[m] + 2
    if not (
        room(ctx, DATA, D_LENGTH + 3 * n + m + 11 * most + C_WIDTH * k_classes + sizes.shape[0] + 16)
        and room(ctx, EDGES, 4 * k_classes)
        and room(ctx, CALLS, 2 * n + 2 * k_classes + 2)
        and room(ctx, CELLS, 4 * most)
        and room_index(ctx, CELL_INDEX, most)
    ):
        return WANTS_ROOM
    data = i32(ctx, DATA)
    d = ctx[3 * DATA + 2]
    additional = values[n] >= 0
    bare = options[6] != 0
    data[d + D_COUNT] = n
    data[d + D_ORDERED] = options[0]
    data[d + D_ADDITIONAL] = 1 if additional else 0
    data[d + D_TEXT] = options[1]
    data[d + D_LEAST] = options[2]
    data[d + D_MOST] = options[3]
    data[d + D_WITNESSES] = options[4]
    data[d + D_OTHERS] = options[5]
    data[d + D_BARE] = options[6]
    data[d + D_COUNTS] = options[7]
    data[d + D_CLASSES] = k_classes
    data[d + D_FIRST] = first + 4
    at = D_LENGTH
    data[d + D_LIMIT] = at
    data[d + at + n] = n
    total = 0
    for j in range(n - 1, -1, -1):
        data[d + at + j] = j if required[j] else data[d + at + j + 1]
        total += required[j]
    data[d + D_REQUIRED] = total
    at += n + 1
    data[d + D_IS_REQUIRED] = at
    for j in range(n):
        data[d + at + j] = required[j]
    at += n
    data[d + D_LEFT] = at
    data[d + at + n] = 0
    for j in range(n - 1, -1, -1):
        data[d + at + j] = data[d + at + j + 1] + required[j]
    at += n + 1
    data[d + D_CLASS] = at
    at += C_WIDTH * k_classes
    for k in range(sizes.shape[0]):
        data[d + at + k] = sizes[k]
    rows_of_classes = first + 6 + 2 * n
    for k in range(k_classes):
        i, o = CLASS_WIDTH * k, d + data[d + D_CLASS] + C_WIDTH * k
        data[o + C_TEXT] = classes[i]
        data[o + C_ROW] = rows_of_classes + 3 * k
        data[o + C_NEXT] = first + 1 if bare else rows_of_classes + 3 * k + 1
        data[o + C_WITNESS] = classes[i + 2]
        data[o + C_LANGUAGE] = classes[i + 3]
        data[o + C_SIZE] = classes[i + 4]
        data[o + C_SIZES] = d + at + classes[i + 5] if classes[i + 5] >= 0 else 0
        data[o + C_FIRST] = classes[i + 6]
        data[o + C_MARK] = classes[i + 7]
    ctx[3 * DATA + 2] = d + write_trie(ctx, store_of(ctx), d, at + sizes.shape[0], names, offsets, order)
    rows = i32(ctx, ROWS)
    edges = i32(ctx, EDGES)
    write_next(rows, write_row(ctx, row, 0, 0), OPEN_BRACKET if bare else OPEN_BRACE, first)
    for k in range(3):
        o = write_row(ctx, first + k, MEMBERS, space)
        rows[o + R_DESC] = d
        if k == 2 or (k == 0 and literal_length(layout, OPENED) == 0):
            write_next(rows, o, QUOTE, first + 3)
            e = ctx[3 * EDGES + 2]
            rows[o + R_EDGE] = e
            for c in range(k_classes):
                if classes[CLASS_WIDTH * c + 7] <= 0:
                    edges[e] = QUOTE | (QUOTE << 8)
                    edges[e + 1] = rows_of_classes + 3 * c
                    e += 2
            rows[o + R_EDGES] = (e - rows[o + R_EDGE]) // 2
            ctx[3 * EDGES + 2] = e
    bracket = CLOSE_BRACKET if bare else CLOSE_BRACE
    rows[ROW_WIDTH * first + R_CLOSE] = bracket
    at = rows_of_classes + CLASS_ROWS * k_classes
    at = write_literal(ctx, first, at, layout, OPENED, first + 2, -1)
    at = write_literal(ctx, first + 1, at, layout, CLOSING, BOTTOM, bracket)
    at = write_literal(ctx, first + 1, at, layout, AT_COMMA, first + 2, -1)
    rows[write_row(ctx, first + 3, NAMES, 0) + R_DESC] = d
    for j in range(n + 1 if additional else n):
        if not bare:
            at = write_member(ctx, first + 4 + 2 * j, space, values[j], first + 1, at, layout)
    for k in range(k_classes):
        o = write_row(ctx, rows_of_classes + 3 * k, NAMES | CLASS, 0)
        rows[o + R_DESC] = d
        rows[o + R_BODY] = k
        if not bare:
            value = classes[CLASS_WIDTH * k + 1]
            at = write_member(ctx, rows_of_classes + 3 * k + 1, space, value, first + 1, at, layout)
    return OK


# ------------------------------------------------------------------------------------------------ growing


@kernel("void(int64[::1], int64, int64, int32[::1])")
def reindex(ctx, table, width, slots):
    """Fills a larger index of a table of rows keyed by their first fields; slots[0] holds its mask already.

    width : 4 for quadruples (all four are the key), 12 for records (three), 2 for steps (rows of 4, two), 0 for sets.
    """
    rows = i32(ctx, table)
    mask = slots[0]
    n = ctx[3 * table + 2]
    o = 0
    while o < n:
        if width == 0:
            keys, size = rows[o] + 1, rows[o] + 1
            h = rows[o] + 0
            for k in range(1, keys):
                h = mix(h, rows[o + k])
            name = o + 1
        else:
            size = 4 if width == 2 else width
            keys = 4 if width == 4 else (3 if width == 12 else 2)
            h = 17
            for k in range(keys):
                h = mix(h, rows[o + k])
            name = o // size + 1
        h = h & mask
        while slots[1 + h] != 0:
            h = (h + 1) & mask
        slots[1 + h] = name
        o += size


@kernel("void(int64[::1], int64, int64, int32[::1])")
def reindex_dense(ctx, table, words, slots):
    """Fills a larger index of the dense rows, as `reindex`."""
    rows = i32(ctx, table)
    mask = slots[0]
    for row in range(ctx[3 * table + 2] // words):
        h = 7
        for k in range(words):
            h = mix(h, rows[row * words + k])
        h = h & mask
        while slots[1 + h] != 0:
            h = (h + 1) & mask
        slots[1 + h] = row + 1
