"""How the frame of a state may be completed: alternatives of bytes and of further states, one level at a time.

A *key* is a state (row, x, y) without the stack below it; its text is one that ends its frame. An *alternative* is a
sequence of parts, each of them bytes or the key of another state, whose texts come one after the other. Which is the
lightest, shortest_texts.py finds out; here the rows are read:

- a leaf's alternative is the lightest text of its automaton, of distances that are found once for each automaton;
- a plain row has one for each edge, call, close or separator, and one without parts where the frame may end;
- objects and arrays have one for all that is left of them: what is required in order, then as many further members or
  items as the fewest ask for, then the bracket;
- a name goes on to one that is required, else to one that may come, else to one that nobody declared.

What a byte does to registers is never told here: states are stepped by the machine itself. So whatever comes of this is
a text; it need not be the shortest where members without need must be chosen (`minProperties`, `contains`-like
witnesses).
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count, islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .completion_kernels import FAR, NO_NAME, counted_text, frame_node, leaf_distances, open_moves, sparse_distances
from .special_tokens import LEAST_MARK
from .step_kernels import UNKNOWN, known_step
from .table_kernels import (
    C_NEXT,
    C_ROW,
    C_WIDTH,
    C_WITNESS,
    CALLS,
    CELL_PROGRESS,
    CELL_SET,
    CELL_STRING,
    CELLS,
    CHOSEN,
    CLASS,
    COUNT_BITS,
    COUNTED,
    D_ADDITIONAL,
    D_CHILD,
    D_CHILD_BYTE,
    D_CHILD_NODE,
    D_CLASS,
    D_CLASSES,
    D_COUNT,
    D_COUNTS,
    D_HIGH,
    D_IS_REQUIRED,
    D_LOW,
    D_ORDERED,
    D_PARENT,
    D_RANKED,
    D_REQUIRED,
    D_TERMINAL,
    D_TEXT,
    D_WITNESSES,
    DATA,
    DONE,
    EDGES,
    EMPTY_STRING,
    ENDS,
    EXPANDED,
    GREEDY,
    ITEMS,
    L_CLASS,
    L_FLAGS,
    L_ROW,
    L_START,
    LEAF,
    LEAF_CLASSES,
    LEAF_INFO,
    LEAF_WIDTH,
    LEAVES,
    LENIENT,
    MEMBERS,
    NAMES,
    NODES,
    QUOTE,
    R_BODY,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_DESC,
    R_EDGE,
    R_EDGES,
    R_FLAGS,
    R_MAX,
    R_MIN,
    R_NEXT,
    ROW_WIDTH,
    ROWS,
    SETS,
    SPARSE,
)

if TYPE_CHECKING:
    from .machine import Machine
    from .vocabulary import Vocabulary

__all__ = ["END", "Alternative", "FrameTexts", "Key", "LeafMemo", "Part"]

Key: TypeAlias = tuple[int, int, int]
Part: TypeAlias = "bytes | Key"
Alternative: TypeAlias = tuple[Part, ...]

# The state of a frame that has ended.
END: Key = (0, 0, 0)
# A byte that is no token by itself, unless no way is without it.
_RARE = 1 << 12
# Rows of what is left of an object or array, and elements of a table of distances: completions beyond are as good as
# none. Names and choices that are tried.
_LONGEST, _TABLE, _NAMES, _CHOICES = 1 << 14, 1 << 22, 16, 16
_CONTINUATIONS = *sorted(b'"/0123456789\\abcdefnrtu'), *range(0x80, 0xC0)
_LETTERS = (string.ascii_lowercase + string.ascii_uppercase + string.digits).encode()
_SHORT_ESCAPES = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
# What an object without need of a certain member may take: other names, declared ones, those of classes.
_OTHER, _DECLARED, _CLASSED = range(3)
_POLICIES = ((_OTHER, _DECLARED, _CLASSED), (_DECLARED, _OTHER, _CLASSED), (_CLASSED, _DECLARED, _OTHER))


class LeafMemo:
    """What is known of the automata of a machine.

    weights : int32[256] of bytes. continuations : bytes of characters and escapes, light ones first. special : the
    spellings of the vocabulary's special tokens. has_greedy : whether a greedy leaf was met. distances, sparse : of all
    states of an automaton, by its first. texts : by leaf state. names : by descriptor.
    """

    __slots__ = ("continuations", "distances", "has_greedy", "names", "sparse", "special", "texts", "weights")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.weights = np.full(256, _RARE, np.int32)
        offsets = vocabulary.token_offsets
        self.weights[vocabulary.token_bytes[offsets[:-1][np.diff(offsets) == 1]]] = 1
        self.weights[LEAST_MARK:] = FAR
        self.continuations = sorted(_CONTINUATIONS, key=self.weights.__getitem__)
        self.special = [vocabulary.reading(id_) for id_ in vocabulary.special_names]
        self.has_greedy = False
        self.distances: dict[int, np.ndarray] = {}
        self.texts: dict[int, bytes | None] = {}
        self.names: dict[int, list[bytes]] = {}
        self.sparse: dict[int, tuple[np.ndarray, ...]] = {}


class FrameTexts:
    """The alternatives of one machine's states. For whoever holds its store's lock, for as long."""

    def __init__(self, machine: Machine, memo: LeafMemo) -> None:
        self.machine = machine
        self.memo = memo
        self.tables = machine.tables
        self.leaves = machine.store.tables
        self._moves = np.zeros(4, np.int32)

    def alternatives(self, key: Key) -> list[Alternative]:
        """How the frame of a state may end; none where nothing was found."""
        row, x, y = key
        if row >= LEAF:
            return _one(self.leaf_text(row - LEAF))
        flags = self.expanded(row)
        if flags & CHOSEN:
            return [((self.chosen(row, x), 0, 0),)]
        if flags & COUNTED:
            return self._counted(row, x, y)
        if flags & CLASS:
            return self._class(key)
        if flags & NAMES:
            return self._names(key)
        if flags & ITEMS:
            return self._items(row, y)
        if flags & MEMBERS:
            return self._members(row, y)
        return self._plain(row, y)

    def without_space(self, key: Key) -> Key:
        """A state of a plain row as it is before white space, of which `alternatives` know nothing; others as they are.

        PERF: masks lead to a state for each length of white space.
        """
        row, x, y = key
        is_plain = x > 0 and row < LEAF and not self.expanded(row) & (CHOSEN | COUNTED | CLASS | NAMES)
        return (row, 0, y) if is_plain else key

    # -------------------------------------------------------------------------------------------- tables

    def field(self, row: int, field: int) -> int:
        return int(self.tables.view(ROWS)[ROW_WIDTH * row + field])

    def expanded(self, row: int) -> int:
        """The flags of a row, which is expanded now, or CHOSEN."""
        flags = self.field(row, R_FLAGS)
        if flags & (EXPANDED | CHOSEN) == 0:
            self.machine._expand(row)
            flags = self.field(row, R_FLAGS)
        return flags

    def chosen(self, row: int, x: int) -> int:
        """The row that a state stands for whose row is CHOSEN."""
        found = known_step(self.machine.address, row, x)
        if found == UNKNOWN:
            self.machine._choose(row, x)
            found = known_step(self.machine.address, row, x)
        return int(found)

    def members(self, ref: int) -> list[int]:
        """The nodes of a stack reference, by number."""
        if ref >= 0:
            return [ref]
        sets = self.tables.view(SETS)
        return sets[~ref + 1 : ~ref + 1 + int(sets[~ref])].tolist()

    def states(self, ref: int) -> list[tuple[int, int, int, int]]:
        """The nodes of a stack reference, (row, x, y, parents) each."""
        nodes = self.tables.view(NODES)
        return [tuple(nodes[4 * node : 4 * node + 4].tolist()) for node in self.members(ref)]

    def frame(self, key: Key) -> int:
        """The configuration of a state by itself."""
        while (ref := frame_node(self.machine.address, *key)) < 0:
            self.machine._serve(-1)
        return int(ref)

    def after(self, key: Key, data: bytes) -> list[Key]:
        """The states that a text leads to within the frame, END among them; none where it is refused."""
        ref, length = self.machine.step_bytes(self.frame(key), data)
        if length < len(data):
            return []
        return sorted(state[:3] for state in self.states(ref))

    # -------------------------------------------------------------------------------------------- leaves

    def leaf_text(self, q: int) -> bytes | None:
        """The lightest text from a leaf state to the end of its frame."""
        known = self.memo.texts
        if q not in known:
            known[q] = next(self.sparse_texts(q))[0] if q >= SPARSE else self._dense_text(q)
        return known[q]

    def _block(self, q: int) -> tuple[int, np.ndarray]:
        """(first state of a leaf state's automaton, distances of all its states)."""
        info = self.leaves.view(LEAF_INFO)[: self.leaves.count(LEAF_INFO)].reshape(-1, LEAF_WIDTH)
        first = int(info[q, L_START])
        if first not in self.memo.distances:
            others = info[first:, L_START] != first
            distances = np.zeros(int(others.argmax()) if others.any() else len(others), np.int32)
            leaf_distances(self.machine.address, first, self.memo.weights, distances)
            self.memo.distances[first] = distances
        return first, self.memo.distances[first]

    def farthest(self, row: int) -> int:
        """The bytes that are enough from wherever a frame that is a leaf, or calls leaves alone, comes to; FAR of other
        frames, and where bytes are not tokens."""
        if row < LEAF:
            plain = self.expanded(row) == EXPANDED and not self.field(row, R_EDGES) and self.field(row, R_CALLS)
            if not plain or self.field(row, R_CLOSE) >= 0 or self.field(row, R_NEXT) >= 0:
                return FAR
            calls = self.calls(row)
            if any(callee < LEAF or self.expanded(back) & DONE == 0 for callee, back in calls):
                return FAR
            return max(self.farthest(callee) for callee, _ in calls)
        q = row - LEAF
        self.leaf_text(q)
        sparse = self.memo.sparse[self.machine.store.sparse_start(LEAF + q)][-1] if q >= SPARSE else None
        most = int((self._block(q)[1] if sparse is None else sparse).max())
        return FAR if most >= _RARE or self.memo.has_greedy else most

    def _targets(self, q: int) -> np.ndarray:
        """int32[256]: the leaf state after each byte, 0 or less for none."""
        info = self.leaves.view(LEAF_INFO)
        row, classes = int(info[LEAF_WIDTH * q + L_ROW]), int(info[LEAF_WIDTH * q + L_CLASS])
        return self.leaves.view(LEAVES)[row + self.leaves.view(LEAF_CLASSES)[classes : classes + 256]]

    def _dense_text(self, q: int) -> bytes | None:
        first, distances = self._block(q)
        flags = int(self.leaves.view(LEAF_INFO)[LEAF_WIDTH * q + L_FLAGS])
        # A lenient leaf holds nothing that may follow it, as front ends use it: its texts add up with what follows.
        self.memo.has_greedy |= flags & (GREEDY | LENIENT) == GREEDY
        if distances[q - first] >= FAR:
            return self._text_with_special(q)
        text = bytearray()
        while distances[q - first] > 0:
            to = self._targets(q)
            far = distances[np.where(to > 0, to - first, 0)] + self.memo.weights
            byte = int(np.where(to > 0, far, 2 * FAR).argmin())
            text.append(byte)
            q = int(to[byte])
        return bytes(text)

    def _text_with_special(self, q: int) -> bytes | None:
        """As _dense_text, where no text ends the frame without a special token."""
        order = count()
        heap = [(0, next(order), q, b"")]
        seen: set[int] = set()
        while heap:
            weight, _, q, text = heappop(heap)
            if q in seen:
                continue
            seen.add(q)
            first, distances = self._block(q)
            if distances[q - first] < FAR:
                rest = self._dense_text(q)
                return None if rest is None else text + rest
            to = self._targets(q)
            for byte in np.flatnonzero(to[:LEAST_MARK] > 0).tolist():
                after = weight + int(self.memo.weights[byte])
                heappush(heap, (after, next(order), int(to[byte]), text + bytes((byte,))))
            if to[255] > 0:
                for reading in self.memo.special:
                    if (end := self._leaf_after(q, reading)) > 0:
                        heappush(heap, (weight + 1, next(order), end, text + reading))
        return None

    def _leaf_after(self, q: int, data: bytes) -> int:
        for byte in data:
            if q <= 0:
                break
            q = int(self._targets(q)[byte])
        return q

    def sparse_texts(self, q: int) -> Iterator[tuple[bytes, int]]:
        """The texts from a state of a sparse leaf to its ends, light ones first, with the leaf state of each end."""
        base = self.machine.store.sparse_start(LEAF + q)
        if base not in self.memo.sparse:
            for dfa in self.machine.sparse:
                if self.machine.store.sparse_leaf(dfa)[0] - dfa.start == base:
                    distances = np.zeros(dfa.n_states, np.int32)
                    arrays = dfa.first, dfa.label, dfa.target, dfa.accepting
                    sparse_distances(*arrays, self.memo.weights, distances)
                    self.memo.sparse[base] = *arrays, distances
        first, label, target, accepting, distances = self.memo.sparse[base]
        zero = base - LEAF
        # Of texts of the same weight the longest first, so that the search does not spread.
        heap = [(int(distances[q - zero]), 0, b"", q - zero)]
        while heap:
            rank, length, text, state = heappop(heap)
            weight = rank - int(distances[state])
            if accepting[state]:
                yield text, zero + state
            for e in range(int(first[state]), int(first[state + 1])):
                to, after = int(target[e]), weight + int(self.memo.weights[label[e]])
                heappush(heap, (after + int(distances[to]), length - 1, text + bytes((int(label[e]),)), to))

    def choices(self, q: int, row: int) -> list[Alternative]:
        """A sparse leaf in state q above a state whose row is CHOSEN: some of its texts and what follows each."""
        found = islice(self.sparse_texts(q), _CHOICES)
        return [(text, (self.chosen(row, end), 0, 0)) for text, end in found]

    def _counted(self, row: int, x: int, y: int) -> list[Alternative]:
        q = x or self.field(row, R_BODY)
        first, distances = self._block(q)
        least, close = max(0, self.field(row, R_MIN) - y), self.field(row, R_CLOSE)
        if (least + 1) * len(distances) > _TABLE:
            return []
        far = np.zeros((least + 1, len(distances)), np.int32)
        out = np.zeros(8 * (least + len(distances)) + 64, np.uint8)
        end = b"" if close < 0 else bytes((close,))
        # Where the most is near, iterations count for more than bytes.
        for iteration in (0, 64):
            arguments = q, first, len(distances), least, self.memo.weights, iteration, far, out
            n = counted_text(self.machine.address, *arguments)
            text = out[: max(n, 0)].tobytes() + end
            if n >= 0 and (self.field(row, R_MAX) < 0 or not text or self.after((row, x, y), text)):
                return [(text,) if close < 0 else (text, (self.field(row, R_CLOSE_TO), 0, 0))]
        return []

    # -------------------------------------------------------------------------------------------- plain rows

    def moves(self, row: int, y: int) -> tuple[bytes, bytes, int, int]:
        """(the closing byte, the separator, each b"" where it may not come; the row after that; progress at a call)."""
        open_moves(self.machine.address, row, y, self._moves)
        closes, goes_on, to, progress = self._moves.tolist()
        close, separator = self.field(row, R_CLOSE), self.field(row, R_NEXT)
        return (
            bytes((close,)) if closes and close >= 0 else b"",
            bytes((separator,)) if goes_on and separator >= 0 else b"",
            to,
            progress,
        )

    def calls(self, row: int) -> list[tuple[int, int]]:
        """(callee, the row to come back in) of each call of a plain row."""
        first = self.field(row, R_CALL)
        flat = self.tables.view(CALLS)[first : first + 2 * self.field(row, R_CALLS)].tolist()
        return list(zip(flat[::2], flat[1::2], strict=True))

    def _plain(self, row: int, y: int) -> list[Alternative]:
        found: list[Alternative] = [()] if self.field(row, R_FLAGS) & ENDS else []
        close, separator, to, progress = self.moves(row, y)
        if close:
            found.append((close, (self.field(row, R_CLOSE_TO), 0, y)))
        if separator:
            found.append((separator, (to, 0, y)))
        first = self.field(row, R_EDGE)
        edges = self.tables.view(EDGES)[first : first + 2 * self.field(row, R_EDGES)].tolist()
        for span, target in zip(edges[::2], edges[1::2], strict=True):
            if span & 0xFF <= span >> 8:
                byte = (span & 0xFF) + int(self.memo.weights[span & 0xFF : (span >> 8) + 1].argmin())
                found.append((bytes((byte,)), (target, 0, y)))
        for callee, back in self.calls(row):
            if callee >= LEAF + SPARSE and self.field(back, R_FLAGS) & CHOSEN:
                found += self.choices(callee - LEAF, back)
            else:
                found.append(((callee, 0, 0), (back, 0, progress)))
        return found

    # -------------------------------------------------------------------------------------------- arrays, objects

    def _items(self, row: int, y: int) -> list[Alternative]:
        parts: list[Part] = []
        for _ in range(_LONGEST):
            close, separator, to, progress = self.moves(row, y)
            if close:
                return [(*parts, close, (self.field(row, R_CLOSE_TO), 0, y))]
            if calls := self.calls(row):
                parts.append((calls[0][0], 0, 0))
                row, y = calls[0][1], progress
            elif separator:
                parts.append(separator)
                row = to
            else:
                break
        return []

    def _members(self, row: int, y: int) -> list[Alternative]:
        """What is left of an object. Where members are needed that no name is required of, by several policies."""
        found = []
        for policy in _POLICIES:
            alternative, chose = self._rest_of_object(row, y, policy)
            if alternative is not None and alternative not in found:
                found.append(alternative)
            if not chose:
                break
        return found

    def _rest_of_object(self, row: int, y: int, policy: tuple[int, ...]) -> tuple[Alternative | None, bool]:
        """(what is left of an object, whether that depends on the policy)."""
        parts: list[Part] = []
        chose = False
        for _ in range(_LONGEST):
            close, separator, to, _ = self.moves(row, y)
            if close:
                return (*parts, close, (self.field(row, R_CLOSE_TO), 0, y)), chose
            if self.field(row, R_NEXT) != QUOTE:
                if not separator:
                    return None, chose
                parts.append(separator)
                row = to
                continue
            name, state, needed = self._next_name(row, y, policy)
            chose |= not needed
            if state is None:
                return None, chose
            parts.append(name)
            row, _, y = state
            if not self.field(row, R_FLAGS) & MEMBERS:
                row = self._value(row, y, parts)
        return None, chose

    def _value(self, row: int, y: int, parts: list[Part]) -> int:
        """Adds the colon, from its row on, and the value of a member; the row after it."""
        while not (calls := self.calls(row)):
            _, separator, row, _ = self.moves(row, y)
            parts.append(separator)
        parts.append((calls[0][0], 0, 0))
        return calls[0][1]

    def _next_name(self, row: int, y: int, policy: tuple[int, ...]) -> tuple[bytes, Key | None, bool]:
        """(a name with its quotes, the state after it, whether it is one that the object needs)."""
        d = self.field(row, R_DESC)
        data = self.tables.view(DATA)
        n = int(data[d + D_COUNT])
        key = (row, 0, y)
        names, seen = self._declared(d), self._seen(d, y)
        quoted = (b'"' + _spelled(names[j]) + b'"' for j in self._required(d) if j not in seen)
        for text, state in self._tried(key, quoted):
            return text, state, True
        missing = int(data[d + D_WITNESSES]) & ~(int(self.tables.view(CELLS)[4 * y + 2]) >> COUNT_BITS)
        if missing:
            for text, state in self._class_names(key, d, missing):
                return text, state, True
        for kind in policy:
            if kind == _OTHER:
                tried = self._other_names(key, d, b'"')
            elif kind == _DECLARED:
                tried = self._tried(key, (b'"' + _spelled(names[j]) + b'"' for j in range(n) if j not in seen))
            else:
                tried = self._class_names(key, d, -1)
            for text, state in tried:
                return text, state, False
        return b"", None, False

    def _tried(self, key: Key, texts: Iterable[bytes]) -> Iterator[tuple[bytes, Key]]:
        """Those of the texts that a state allows, and the state after each."""
        for text in texts:
            if states := self.after(key, text):
                yield text, states[0]

    def _other_names(self, key: Key, d: int, before: bytes) -> Iterator[tuple[bytes, Key]]:
        """Closings of a name that nobody declared, the shortest first: what is typed before, letters and the quote.

        PERF: what no letter may follow is not gone on with: while required members are missing, no closing is found.
        """
        if not self.tables.view(DATA)[d + D_ADDITIONAL]:
            return
        typed = [before]
        for letters in range(3):
            if letters:
                typed = [text + letter for text in typed for letter in self._letters_after(key, text)]
            yield from self._tried(key, (text + b'"' for text in typed))

    def _letters_after(self, key: Key, text: bytes) -> list[bytes]:
        """The letters and digits that a state allows after a text."""
        ref, length = self.machine.step_bytes(self.frame(key), text)
        if length < len(text):
            return []
        allowed = self.machine.next_bytes(ref)
        return [bytes((letter,)) for letter in _LETTERS if allowed[letter]]

    def _class_names(self, key: Key, d: int, wanted: int) -> Iterator[tuple[bytes, Key]]:
        """Names of the classes that are one of the wanted witnesses (-1: of any class)."""
        data = self.tables.view(DATA)
        for c in range(int(data[d + D_CLASSES])):
            o = d + int(data[d + D_CLASS]) + C_WIDTH * c
            row, after, witness = int(data[o + C_ROW]), int(data[o + C_NEXT]), int(data[o + C_WITNESS])
            if wanted >= 0 and not witness & wanted:
                continue
            for text in islice(self._class_texts(int(data[o])), 4 * _NAMES):
                for state in self.after(key, b'"' + text):
                    if state[0] == after or (wanted < 0 and state[0] != row):
                        yield b'"' + text, state

    def _class_texts(self, q: int) -> Iterator[bytes]:
        """Texts of a class of names from a state of its automaton on, with the closing quote, light ones first."""
        first, distances = self._block(q)
        # Of texts of the same weight the longest first, so that the search does not spread.
        heap = [(int(distances[q - first]), 0, b"", q)]
        while heap:
            rank, length, text, q = heappop(heap)
            if rank >= FAR:
                return
            if distances[q - first] == 0 and text:
                yield text[: text.rindex(b'"') + 1]  # a mark may follow the quote
            weight, to = rank - int(distances[q - first]), self._targets(q)
            for byte in np.flatnonzero(to > 0).tolist():
                far = weight + int(self.memo.weights[byte]) + int(distances[to[byte] - first])
                heappush(heap, (far, length - 1, text + bytes((byte,)), int(to[byte])))

    # -------------------------------------------------------------------------------------------- names

    def has_no_name(self, key: Key) -> bool:
        """Whether a state of an object whose members are counted has NO_NAME among its names."""
        row, x, y = key
        if row >= LEAF or (y <= 0 and x >= 0):
            return False
        flags = self.field(row, R_FLAGS)
        if flags & (COUNTED | ITEMS | CHOSEN):
            return False
        cells = self.tables.view(CELLS)
        if flags & (NAMES | MEMBERS):
            if not self.tables.view(DATA)[self.field(row, R_DESC) + D_COUNTS]:
                return False
            if flags & NAMES and x < 0 and self._is_no_name(~int(cells[4 * ~x])):
                return True
        elif not self._is_cell(y, CELL_PROGRESS) or not cells[4 * y + 2]:
            return False
        elements = int(cells[4 * y + 1])
        while elements and self._is_cell(elements, CELL_SET):
            if self._is_no_name(int(cells[4 * elements + 1])):
                return True
            elements = int(cells[4 * elements])
        return False

    def _is_cell(self, at: int, tag: int) -> bool:
        """Whether there is such a cell: the register of a row may as well be a number."""
        return 0 <= at < self.tables.count(CELLS) // 4 and int(self.tables.view(CELLS)[4 * at + 3]) == tag

    def _is_no_name(self, name: int) -> bool:
        """Whether a string cell (less than 0: no string) is that of NO_NAME."""
        if not self._is_cell(name, CELL_STRING):
            return False
        before, byte = self.tables.view(CELLS)[4 * name : 4 * name + 2].tolist()
        return before == EMPTY_STRING and byte == NO_NAME

    def _declared(self, d: int) -> list[bytes]:
        """The values of the declared names of a descriptor, by index, and of those that no member may have."""
        if d not in self.memo.names:
            data = self.tables.view(DATA)
            terminal, first, byte, below = (
                d + int(data[d + field]) for field in (D_TERMINAL, D_CHILD, D_CHILD_BYTE, D_CHILD_NODE)
            )
            names: dict[int, bytes] = {}
            waiting = [(0, b"")]
            while waiting:
                place, value = waiting.pop()
                if (j := int(data[terminal + place])) >= 0:
                    names[j] = value
                for i in range(int(data[first + place]), int(data[first + place + 1])):
                    waiting.append((int(data[below + i]), value + bytes((int(data[byte + i]),))))
            self.memo.names[d] = [names[j] for j in sorted(names)]
        return self.memo.names[d]

    def _required(self, d: int) -> list[int]:
        """The declared members that an object must have, by index."""
        data = self.tables.view(DATA)
        if not data[d + D_REQUIRED]:
            return []
        first = d + int(data[d + D_IS_REQUIRED])
        return np.flatnonzero(data[first : first + int(data[d + D_COUNT])]).tolist()

    def _seen(self, d: int, y: int) -> set[int]:
        """The declared members that there are, or that cannot come any more, by index."""
        cells = self.tables.view(CELLS)
        if self.tables.view(DATA)[d + D_ORDERED]:
            return set(range(int(cells[4 * y])))
        elements, seen = int(cells[4 * y + 1]), set()
        while elements:
            seen.add(~int(cells[4 * elements + 1]))
            elements = int(cells[4 * elements])
        return seen

    def _names(self, key: Key) -> list[Alternative]:
        before = b""
        d = self.field(key[0], R_DESC)
        while (rest := self._unfinished(key, d)) is not None:
            before += rest[0]
            key = rest[1]
        x = key[1]
        found: list[tuple[bytes, Key]] = []
        if x >= 0:
            required, others = self._names_below(d, x)
            found = list(islice(self._tried(key, required), _NAMES))
            if not found:
                found = list(islice(self._tried(key, others), _NAMES))
                found += islice(self._other_names(key, d, b""), 1)
        else:
            found = list(islice(self._other_names(key, d, b""), 1))
        return [(before + text, state) for text, state in found]

    def _unfinished(self, key: Key, d: int) -> tuple[bytes, Key] | None:
        """A byte of the character or escape that a name is in the middle of, and the state after it."""
        row, x, _ = key
        if x >= 0:
            return None
        place, q, escape = self.tables.view(CELLS)[4 * ~x : 4 * ~x + 3].tolist()
        if escape == 0 and (place >= 0 or q == self.tables.view(DATA)[d + D_TEXT]):
            return None
        for byte in self.memo.continuations:
            for state in self.after(key, bytes((byte,))):
                if state[0] == row:
                    return bytes((byte,)), state
        raise AssertionError("a name cannot be completed")

    def _names_below(self, d: int, place: int) -> tuple[list[bytes], list[bytes]]:
        """What is left of the declared names that go on from a place, with the quote: required ones, and others."""
        data = self.tables.view(DATA)
        low, high = (int(data[d + int(data[d + field]) + place]) for field in (D_LOW, D_HIGH))
        ranked = data[d + int(data[d + D_RANKED]) :][low:high].tolist()
        n = int(data[d + D_COUNT])
        required = set(self._required(d))
        names, depth = self._declared(d), self._depth(d, place)
        split: tuple[list[bytes], list[bytes]] = [], []
        for j in ranked:
            if j < n:
                split[j not in required].append(_spelled(names[j][depth:]) + b'"')
        for part in split:
            part.sort(key=lambda text: (len(text), text))
        return split

    def _depth(self, d: int, place: int) -> int:
        parent = self.tables.view(DATA)[d + int(self.tables.view(DATA)[d + D_PARENT]) :]
        depth = 0
        while place:
            place = int(parent[place])
            depth += 1
        return depth

    def _class(self, key: Key) -> list[Alternative]:
        row, x, _ = key
        d = self.field(row, R_DESC)
        data = self.tables.view(DATA)
        o = d + int(data[d + D_CLASS]) + C_WIDTH * self.field(row, R_BODY)
        q = int(data[o]) if x == 0 else int(self.tables.view(CELLS)[4 * ~x + 1])
        for text, state in self._tried(key, islice(self._class_texts(q), 4 * _NAMES)):
            return [(text, state)]
        return []


def _one(text: bytes | None) -> list[Alternative]:
    return [] if text is None else [(text,)]


def _spelled(value: bytes) -> bytes:
    """A name as JSON has to spell it between quotes."""
    return b"".join(_SHORT_ESCAPES.get(byte) or (b"\\u%04x" % byte if byte < 32 else bytes((byte,))) for byte in value)
