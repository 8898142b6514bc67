"""The layout of the engine's tables, and the device functions that read them and append to them.

A *context* is one int64 array of `SLOTS` triples (address, capacity, count), one triple per table; a kernel takes its
address as the only table argument (0.16 us to enter) and makes array views of the addresses in it. There are two: the
machine's (states, stack, memos of one compiled grammar) and the store's (leaf automata, token tree, mask rows of one
vocabulary), whose address the machine's context holds.

A *state* is (row, x, y): a row of the state table and two registers. Rows at or above `LEAF` are states of leaf DFAs in
the store. What registers mean depends on the row's kind:

    kind      x                                     y
    plain     length of the white-space run         progress of the frame (members: a cell; items: a count)
    counted   state of the body's leaf DFA, 0: start iterations of the body that are complete
    names     place in the name trie, or ~cell      progress of the members (a cell)
    class     0 at the start, then ~cell            progress of the members (a cell)
    leaf      0                                     0
    chosen    last state of the leaf before it      0

A *cell* is a hash-consed quadruple (a, b, c, tag) and is what registers point to when a number is too little:

    CELL_PROGRESS   a = next declared index (in order) or required members seen (any order), b = set, c = members there
                    and witnesses there (0 where neither matters)
    CELL_SET        a = rest, b = element (string cell, or ~index of a declared name), c = number of the language that
                    the string is of (0: any other)                                                 (0 = empty set)
    CELL_STRING     a = string without its last byte, b = that byte, c = length                     (1 = empty string)
    CELL_TYPING     a = trie place, or ~string cell, b = state of the string DFA, c = escape so far (names only)

A *stack reference* is an int32: a node id >= 0, or ~set id < 0 for several nodes. A *node* is (row, x, y, parents) with
parents a stack reference; node 0 is the bottom. A *configuration* is a stack reference to its tops.

INVARIANT: tables are only ever appended to; a table that is full is replaced by a larger copy between kernel calls, and
the old one lives as long as a reader may be in it. Hash indexes keep their capacity in their own element 0, so that one
load of an address gives a consistent pair.
"""

from __future__ import annotations

from .kernel import (
    device,
    i32_at,
    i64_at,
    subroutine,
    u8_at,
)

# ------------------------------------------------------------------------------------------------ context slots

SLOTS = 40
FULL = 39  # in both: which table had no room, and for how much
# Machine.
ROWS, EDGES, CALLS, DATA, NODES, NODE_INDEX, SETS, SET_INDEX, CELLS, CELL_INDEX, STEPS = range(11)
NODE_MASK, SET_MASK, CONTEXTS, CONTEXT_INDEX, CONTEXT_MASK, MASKS, MASK_INTS, WANTED, SCRATCH = range(11, 20)
STORE, STEP_INDEX = 20, 21
# Store. LEAVES holds the rows of leaf states, an entry for each class of bytes (a state, 0 or BLOCKED); LEAF_CLASSES
# int32[256] for each leaf DFA, the class of a byte; LEAF_INFO int32[n, LEAF_WIDTH] of each state. SPARSE_LEAVES
# int64[n, SPARSE_WIDTH]: where the arrays of each sparse leaf DFA lie; SPARSE_PAGES: which of them a page's numbers are
# of. JOINED_PLACES and its like: joined_place_kernels.py. BYTE_COUNTS int32[257] is scratch.
(
    LEAVES,
    LEAF_INFO,
    T_BYTE,
    T_END,
    T_DEPTH,
    T_TOKEN_FIRST,
    T_TOKENS,
    T_CHILD_FIRST,
    T_CHILD_BYTE,
    T_CHILD_NODE,
    T_PARENT,
    T_QUOTES,
    T_SLASHES,
    T_FOLLOW,
    TOKEN_OFFSETS,
    TOKEN_BYTES,
    RECORDS,
    RECORD_INDEX,
    RECORD_INTS,
    DENSE,
    DENSE_INDEX,
    WORK,
    DEFERRED,
    FRAMES,
    OUT,
    SEEN,
    STOPS,
    SPACES,
    LEAF_CLASSES,
    MISC,
    T_HEIGHT,
    SPARSE_LEAVES,
    SPARSE_PAGES,
    JOINED_PLACES,
    JOINED_WAYS,
    JOINED_INDEX,
    BYTE_COUNTS,
) = range(37)

# T_FOLLOW: what is below a place: white space, and other bytes at once or after white space (B_AFTER: any of these);
# B_PLAIN: the way to it has no backslash, and ways down from it have no two quotes; and, from bit B_FIRST on, the first
# byte of the way to it.
B_SPACE, B_COLON, B_COMMA, B_CLOSE, B_OTHER, B_PLAIN = 1, 2, 4, 8, 16, 32
B_AFTER = B_COLON | B_COMMA | B_CLOSE | B_OTHER
B_FIRST = 8

# MISC of the store (int64): scalars. The first three are fixed, the rest is the state of the walk in progress.
(M_WORDS, M_SPACE, M_DEEPEST, M_WALKING, M_LOWEST, M_BRANCHING, M_ACCEPTS, M_BASES, M_ITEMS, M_PARENTS) = range(10)
M_BASE = 16  # the dense rows that the walk in progress has met: M_BASES of them from here on
MOST_BASES = 32

# SPACES of the store: how many tree places are reached by white space alone, how many of those have other bytes below,
# the longest length, the dense row of all runs up to each length (-1: not made yet), then (place, length) of those with
# other bytes below, then (place, length) of all.
S_RUNS, S_FOLLOWED, S_LONGEST, S_ROWS = range(4)

# ------------------------------------------------------------------------------------------------ widths

LEAF = 1 << 24
ROW_WIDTH, LEAF_WIDTH = 16, 7
RECORD_WIDTH, MASK_WIDTH, WORK_WIDTH, FRAME_WIDTH = 12, 4, 5, 4

# Row fields.
(
    R_FLAGS,
    R_EDGE,
    R_EDGES,
    R_CALL,
    R_CALLS,
    R_SPACE,
    R_CLOSE,
    R_CLOSE_TO,
    R_NEXT,
    R_NEXT_TO,
    R_DESC,
    R_BODY,
    R_MIN,
    R_MAX,
    R_NEAR,
    R_FIRST,
) = range(16)
# R_FIRST: where in DATA, + 1, the bytes begin, as eight words of bits, that alone may begin what a frame called in this
# row reads, which is never empty; 0: nobody has said. It is there before the row is expanded.
# Row flags. DONE: the frame ends here and nothing else can happen, so the state is never on a stack.
# CLASS: beside NAMES, the names of one class, by an automaton of their own.
EXPANDED, ENDS, DONE, COUNTED, NAMES, MEMBERS, ITEMS, CLASS = 1, 2, 4, 8, 16, 32, 64, 128
# CHOSEN: what follows a sparse leaf and depends on where that ended. Such a row is never expanded: with the leaf's last
# state in x it stands for another row, which the machine makes when a kernel wants it, and STEPS memoises.
CHOSEN = 1 << 12

# Leaf info: flags, the DFA's start state, the state of `like` content that this one is as wide as (0: none), where its
# row and its DFA's classes begin, of a counted body the fewest iterations that lead from it to acceptance, and, where a
# greedy leaf accepts, the first of its states that holds the same bytes.
L_FLAGS, L_START, L_LIKE, L_ROW, L_CLASS, L_NEAR, L_HOLD = range(7)
# BETWEEN: the state of a counted body lies between two iterations; entering it completes one. GREEDY: the frame of the
# leaf does not end before a byte whose entry is not 0, LENIENT: and which is ASCII (greedy_dfa.py).
ACCEPTS, LEAF_DONE, BETWEEN, GREEDY, LENIENT = 1, 2, 4, 8, 16
# An entry of LEAVES, of greedy leaves alone: no state, and the frame does not end here.
BLOCKED = -1

# Leaf states at or above are those of sparse automata (sparse_dfa.py), numbered in pages of their own.
SPARSE = 1 << 29
PAGE_BITS = 10
# Of a sparse leaf DFA: the addresses of its arrays, and the number of its first state, from SPARSE on.
F_FIRST, F_LABEL, F_TARGET, F_ACCEPTING, F_BASE, SPARSE_WIDTH = range(6)

CELL_PROGRESS, CELL_SET, CELL_STRING, CELL_TYPING = 0, 1, 2, 3
# Cell 0 is the progress of an object without members.
EMPTY_STRING = 1

BOTTOM = 0
DEAD = -(1 << 31)  # not a stack reference: no configuration

# Statuses of kernels that may have to come back.
OK, WANTS_ROWS, WANTS_ROOM, TOO_AMBIGUOUS = 0, 1, 2, 3

# Members descriptor, in DATA.
(
    D_COUNT,
    D_ORDERED,
    D_ADDITIONAL,
    D_TEXT,
    D_FIRST,
    D_REQUIRED,
    D_LIMIT,
    D_IS_REQUIRED,
    D_LEFT,
    D_COUNTS,
    D_LEAST,
    D_MOST,
    D_WITNESSES,
    D_OTHERS,
    D_CLASSES,
    D_CLASS,
    D_BARE,
    D_RANKED,
    D_TERMINAL,
    D_LOW,
    D_HIGH,
    D_STATE,
    D_CHILD,
    D_CHILD_BYTE,
    D_CHILD_NODE,
    D_PARENT,
    D_BYTE,
    D_STRING,
    D_LENGTH,
) = range(29)
# What D_BARE says: members have values; strings of an array; a string by itself.
ALONE = 2
# One class of names in a members descriptor: start of its leaf, its names row, the row after a name, its witness bit,
# the number of its language, how many names that has (-1: without end), where the numbers of names that each state
# leads to begin (0: all without end), with the first state that they are of, and its mark: which number its leaf has
# behind the closing quotes of its names (-1: the leaf is of its names alone).
C_TEXT, C_ROW, C_NEXT, C_WITNESS, C_LANGUAGE, C_SIZE, C_SIZES, C_FIRST, C_MARK, C_WIDTH = range(10)
# The part of a progress cell's c that counts members; above it is a bit for each witness that is there.
COUNT_BITS = 24
# Items descriptor, in DATA.
I_MIN, I_MAX, I_PREFIX, I_SATURATE = range(4)

# The byte that ends a string.
QUOTE = 34

# The most states that one byte may lead to at once; beyond it the grammar is refused as too ambiguous.
WIDTH = 256


# ------------------------------------------------------------------------------------------------ views and room


@device
def context_at(address):
    """The context at an address, int64[3 * SLOTS].

    PERF: entry points are given the address, not the array: an array that Python owns is reference counted at every
    inner call, which was two thirds of what a mask costs.
    """
    return i64_at(address, 3 * SLOTS)


@device
def i32(ctx, slot):
    """int32[capacity] view of a table."""
    return i32_at(ctx[3 * slot], ctx[3 * slot + 1])


@device
def u8(ctx, slot):
    """uint8[capacity] view of a table of bytes."""
    return u8_at(ctx[3 * slot], ctx[3 * slot + 1])


@device
def store_of(ctx):
    """The store's context, int64[3 * SLOTS]."""
    return i64_at(ctx[3 * STORE], 3 * SLOTS)


@device
def sparse_leaf(s, q):
    """The entry of SPARSE_LEAVES (int64[SPARSE_WIDTH]) of the automaton that leaf state q >= SPARSE is of."""
    k = i32(s, SPARSE_PAGES)[(q - SPARSE) >> PAGE_BITS]
    return i64_at(s[3 * SPARSE_LEAVES] + 8 * SPARSE_WIDTH * k, SPARSE_WIDTH)


@subroutine("int64(int64[::1], int64)")
def sparse_flags(s, q):
    """As leaf_flags, of a sparse one."""
    leaf = sparse_leaf(s, q)
    state = q - SPARSE - leaf[F_BASE]
    if u8_at(leaf[F_ACCEPTING], state + 1)[state] == 0:
        return 0
    first = i32_at(leaf[F_FIRST], state + 2)
    return ACCEPTS | LEAF_DONE if first[state] == first[state + 1] else ACCEPTS


@subroutine("int64(int64[::1], int64, int64)")
def sparse_step(s, q, b):
    """As leaf_step, of a sparse one: by a search among the bytes of its edges."""
    leaf = sparse_leaf(s, q)
    state = q - SPARSE - leaf[F_BASE]
    first = i32_at(leaf[F_FIRST], state + 2)
    low, end = int(first[state]), int(first[state + 1])
    label = u8_at(leaf[F_LABEL], end)
    high = end
    while low < high:
        mid = (low + high) >> 1
        if label[mid] < b:
            low = mid + 1
        else:
            high = mid
    if low == end or label[low] != b:
        return 0
    return SPARSE + leaf[F_BASE] + i32_at(leaf[F_TARGET], end)[low]


@subroutine("int64(int64[::1], int64)")
def leaf_flags(s, q):
    """The flags of a leaf state."""
    if q >= SPARSE:
        return sparse_flags(s, q)
    return i32(s, LEAF_INFO)[LEAF_WIDTH * q + L_FLAGS]


@subroutine("int64(int64[::1], int64, int64)")
def leaf_step(s, q, b):
    """The leaf state after byte b in leaf state q; 0: none; BLOCKED: none, and a greedy frame does not end here."""
    if q >= SPARSE:
        return sparse_step(s, q, b)
    info = i32(s, LEAF_INFO)
    o = LEAF_WIDTH * q
    return i32(s, LEAVES)[info[o + L_ROW] + i32(s, LEAF_CLASSES)[info[o + L_CLASS] + b]]


@device
def may_begin_with(ctx, row, b):
    """Whether a frame that is called in `row` may read byte b first; b = -1: whether it may read nothing."""
    first = i32(ctx, ROWS)[ROW_WIDTH * row + R_FIRST]
    return first == 0 or (b >= 0 and i32(ctx, DATA)[first - 1 + (b >> 5)] & bit(int(b)) != 0)


@device
def count(ctx, slot):
    return ctx[3 * slot + 2]


@device
def room(ctx, slot, n):
    """Whether `n` more elements fit in a table; if not, the slot is noted in FULL for the caller to grow."""
    if ctx[3 * slot + 2] + n <= ctx[3 * slot + 1]:
        return True
    ctx[3 * FULL] = slot
    ctx[3 * FULL + 1] = n
    return False


@device
def room_index(ctx, slot, n):
    """Whether `n` more entries leave a hash index at most half full."""
    if 2 * (ctx[3 * slot + 2] + n) < ctx[3 * slot + 1]:
        return True
    ctx[3 * FULL] = slot
    ctx[3 * FULL + 1] = n
    return False


@device
def bit(i):
    """Bit i % 32 as an int32."""
    return 1 << (i & 31) if i & 31 != 31 else -(1 << 31)


@subroutine("int64(int64, int64)")
def mix(h, a):
    """31-bit hash step; the product stays below 2^63, so machine code and plain Python agree."""
    h = (int(h) ^ (int(a) & 0x7FFFFFFF)) * 0x9E3779B1
    return (h ^ (h >> 29)) & 0x7FFFFFFF


# ------------------------------------------------------------------------------------------------ hash consing


@subroutine("int64(int64[::1], int64, int64, int64, int64, int64, int64)")
def intern_quad(ctx, table, index, a, b, c, d):
    """Id of (a, b, c, d) in a table of int32[n, 4] with an index of int32 slots (id + 1; 0 = free; [0] = mask).

    The caller has made sure of room in both.
    """
    rows = i32(ctx, table)
    slots = i32(ctx, index)
    mask = slots[0]
    h = mix(mix(mix(mix(17, a), b), c), d) & mask
    while True:
        found = slots[1 + h]
        if found == 0:
            break
        o = 4 * (found - 1)
        if rows[o] == a and rows[o + 1] == b and rows[o + 2] == c and rows[o + 3] == d:
            return found - 1
        h = (h + 1) & mask
    n = ctx[3 * table + 2] // 4
    o = 4 * n
    rows[o] = a
    rows[o + 1] = b
    rows[o + 2] = c
    rows[o + 3] = d
    ctx[3 * table + 2] = o + 4
    ctx[3 * index + 2] += 1
    slots[1 + h] = n + 1
    return n


@subroutine("int64(int64[::1], int64, int64, int64, int64, int64, int64)")
def find_quad(ctx, table, index, a, b, c, d):
    """As intern_quad, but -1 where it is not there."""
    rows = i32(ctx, table)
    slots = i32(ctx, index)
    mask = slots[0]
    h = mix(mix(mix(mix(17, a), b), c), d) & mask
    while True:
        found = slots[1 + h]
        if found == 0:
            return -1
        o = 4 * (found - 1)
        if rows[o] == a and rows[o + 1] == b and rows[o + 2] == c and rows[o + 3] == d:
            return found - 1
        h = (h + 1) & mask


@subroutine("int64(int64[::1], int64, int64, int64, int64)")
def cell(ctx, a, b, c, tag):
    return intern_quad(ctx, CELLS, CELL_INDEX, a, b, c, tag)


@subroutine("int64(int64[::1], int64, int64, int64, int64)")
def node(ctx, row, x, y, parents):
    return intern_quad(ctx, NODES, NODE_INDEX, row, x, y, parents)


@subroutine("int64(int64[::1], int32[::1], int64)")
def node_set(ctx, ids, n):
    """Stack reference to the nodes ids[0:n] (int32, n >= 1; sorted in place, duplicates dropped).

    A set is stored in SETS as [n, id...]; its name is ~offset.
    """
    for i in range(1, n):
        v = ids[i]
        j = i - 1
        while j >= 0 and ids[j] > v:
            ids[j + 1] = ids[j]
            j -= 1
        ids[j + 1] = v
    kept = 1
    for i in range(1, n):
        if ids[i] != ids[kept - 1]:
            ids[kept] = ids[i]
            kept += 1
    if kept == 1:
        return ids[0]
    sets = i32(ctx, SETS)
    slots = i32(ctx, SET_INDEX)
    mask = slots[0]
    h = kept
    for i in range(kept):
        h = mix(h, ids[i])
    h = h & mask
    while True:
        found = slots[1 + h]
        if found == 0:
            break
        o = found - 1
        same = sets[o] == kept
        i = 0
        while same and i < kept:
            same = sets[o + 1 + i] == ids[i]
            i += 1
        if same:
            return ~o
        h = (h + 1) & mask
    o = ctx[3 * SETS + 2]
    sets[o] = kept
    for i in range(kept):
        sets[o + 1 + i] = ids[i]
    ctx[3 * SETS + 2] = o + 1 + kept
    ctx[3 * SET_INDEX + 2] += 1
    slots[1 + h] = o + 1
    return ~o


@subroutine("int64(int64[::1], int64)")
def width(ctx, ref):
    """How many nodes a stack reference names."""
    if ref >= 0:
        return 1
    return i32(ctx, SETS)[~ref]


@subroutine("int64(int64[::1], int64, int64)")
def member(ctx, ref, i):
    """The i-th node of a stack reference."""
    if ref >= 0:
        return ref
    return i32(ctx, SETS)[~ref + 1 + i]
