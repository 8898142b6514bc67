"""A lexical rule that takes as much as it can: an automaton that says of each byte whether the frame may end before it.

The frame of an ordinary leaf (ByteDfa) may end wherever the leaf accepts, whatever comes next. A greedy one ends by
*longest match*, as a lexer cuts a text: before byte b in state s, what counts is `entry(s, b)`,

    a state    the frame goes on in it, and does not end here, even where s accepts
    0          no text goes on so; where s accepts, the frame ends, and the byte is the caller's
    BLOCKED    no text of this leaf goes on so, and the frame may not end before the byte either

A leaf that is *lenient* holds no byte beyond ASCII: before one, its frame may end, and it may go on as well. So a leaf
can be greedy by its letters and digits although what follows it may begin with the same byte as one of its characters.

At the end of the text, a state that accepts may always end. BLOCKED is for leaves that compete: a lexer that has read
`if` takes a letter for the rest of a name, so the leaf of the keyword is BLOCKED there. A byte is *held* in a state
that accepts if its entry is not 0 (of a lenient leaf: if it is ASCII, too); elsewhere no entry is BLOCKED.

Like a ByteDfa, a GreedyDfa is minimal, trimmed and numbered breadth first by byte from the start, so two of them are
equal arrays if and only if they do the same, and `digest` names what they do. `made` is where they come from.

The front end's duty. A sequence is not empty only because none of its parts is: `a*`, greedy, with an `a` after it has
no text, as the leaf never ends before an `a`. Masks would lead into that, and get stuck there: they follow frames, and
do not look ahead over them. So what a payload names must be followable (fragment.py's invariant): from each state of a
greedy leaf, and whatever is below it on the stack, one must be reached that accepts and does not hold every byte that
may come then. `always_followable` answers that for bytes that the caller knows to be possible wherever the leaf ends,
as those of ignored white space often are. The exact answer is a question about rules, not states: which of them have a
text that begins after one set of held bytes and ends with another (a product of the rules with these sets).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

__all__ = ["ASCII", "BLOCKED", "GreedyDfa", "made"]

# An entry that is no state; a test holds it equal to the kernels' (table_kernels.py), which need numba.
BLOCKED = -1
# Bytes below are ASCII's.
ASCII = 128


@dataclass(frozen=True, slots=True, eq=False)
class GreedyDfa:
    """The automaton of a greedy leaf; compared and hashed by what it does.

    table : int32[n_states, n_classes], `table[s, byte_class[b]]` = entry(s, b): a state, 0 or BLOCKED. State 0 is dead,
        state 1 the start; there is a text, so every other state is reached from it and can reach acceptance
    accepting : uint8[n_states], 1 where the frame may end
    byte_class : uint8[256], the coarsest classes of bytes, numbered by their least byte
    digest : 16 bytes that name what the automaton does; never those of a ByteDfa
    lenient : whether bytes from 128 on are not held; none of their entries is then BLOCKED
    """

    table: np.ndarray
    accepting: np.ndarray
    byte_class: np.ndarray
    digest: bytes
    lenient: bool = False

    def __post_init__(self) -> None:
        for array in (self.table, self.accepting, self.byte_class):
            array.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, GreedyDfa) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[type[GreedyDfa], tuple[np.ndarray, np.ndarray, np.ndarray, bytes, bool]]:
        # So that copies are read-only.
        return GreedyDfa, (self.table, self.accepting, self.byte_class, self.digest, self.lenient)

    def __repr__(self) -> str:
        return f"GreedyDfa({self.n_states} states, {self.digest.hex()[:8]})"

    @property
    def n_states(self) -> int:
        """The number of states, the dead one included."""
        return self.table.shape[0]

    @property
    def accepts_empty(self) -> bool:
        return bool(self.accepting[1])

    def state_after(self, text: bytes, state: int = 1) -> int:
        """The state after `text`, 0 if no text of the leaf goes on like this."""
        for byte in text:
            state = max(0, self.table.item(state, self.byte_class.item(byte)))
        return state

    def accepts(self, text: bytes) -> bool:
        """Whether the frame may end after this text, before a byte that is not held or at the end of all."""
        return bool(self.accepting[self.state_after(text)])

    def held(self, state: int) -> frozenset[int]:
        """The bytes before which the frame does not end in a state that accepts."""
        return frozenset(np.flatnonzero(self.holds[state]).tolist())

    @property
    def holds(self) -> np.ndarray:
        """bool[n_states, 256]: whether the frame would not end before a byte in a state that accepts."""
        holds: np.ndarray = self.table[:, self.byte_class] != 0
        if self.lenient:
            holds[:, ASCII:] = False
        return holds

    def alike(self) -> np.ndarray:
        """int[n_states - 1]: of each state but the dead one the first that would hold the same bytes."""
        _, first, kind = np.unique(self.holds[1:], axis=0, return_index=True, return_inverse=True)
        return 1 + first[kind.reshape(-1)]

    def always_followable(self, bytes_after: Iterable[int], *, may_end: bool = False) -> bool:
        """Whether each state leads to one that accepts and does not hold all of `bytes_after`.

        may_end : the text may end wherever the leaf does. Then, or where True comes back for bytes that what follows
        can begin with, whatever the stack, no text gets stuck in the leaf.
        """
        good = self.accepting != 0
        if not may_end:
            good = good & ~self.holds[:, list(bytes_after)].all(axis=1)
        while True:
            more = good | (good[np.maximum(self.table, 0)] & (self.table > 0)).any(axis=1)
            if (more == good).all():
                return bool(good[1:].all())
            good = more

    def verify(self) -> None:
        """Raises AssertionError unless all that the module's text promises holds. Slow: for tests and boundaries."""
        n, k = self.table.shape
        assert n >= 2 and self.table.dtype == np.int32 and self.accepting.dtype == np.uint8
        assert self.accepting.shape == (n,) and self.byte_class.shape == (256,) and k == int(self.byte_class.max()) + 1
        assert not self.table[0].any() and not self.accepting[0], "the dead state is not dead"
        assert self.table.min() >= BLOCKED and self.table.max() < n
        assert not (self.table[self.accepting == 0] < 0).any(), "blocked where the frame cannot end"
        assert not self.lenient or self.table[:, self.byte_class[ASCII:]].min() >= 0, "blocked where nothing is held"
        assert self.always_followable((), may_end=True), "a state cannot reach acceptance"
        again = made(self.table, self.accepting, self.byte_class, lenient=self.lenient)
        assert again is not None and again.digest == self.digest, "not minimal, or not numbered breadth first"


def made(table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray, *, lenient: bool = False) -> GreedyDfa:
    """The GreedyDfa that does what any automaton of such entries does.

    lenient : then no entry of a byte from 128 on is BLOCKED.
    table : int[n_states, n_classes], entries as in GreedyDfa, BLOCKED in any state; state 0 dead, state 1 the start,
        and every state that is reached from it can reach acceptance. accepting : [n_states]. class_of : uint8[256].
    """
    from .kernel import compile_all
    from .minimize_kernels import refine

    states = _breadth_first(table, 1)
    number = np.zeros(len(table), np.int64)
    number[states] = np.arange(len(states))
    table, accepting = table[states], accepting[states] != 0
    table[~accepting] = np.maximum(table[~accepting], 0)
    n, k = table.shape
    # For the partition BLOCKED is one more state: it alone has a move by a label that is no byte's.
    sources, labels = np.nonzero(table)
    entries = table[sources, labels]
    tails = np.append(sources, n).astype(np.int32)
    heads = np.append(np.where(entries > 0, number[entries], n), n).astype(np.int32)
    ends = np.append(accepting, True).astype(np.uint8)
    block_of, members = np.empty(n + 1, np.int32), np.empty(n + 1, np.int32)
    compile_all()
    n_blocks = refine(tails, np.append(labels, k).astype(np.int32), heads, k + 1, ends, block_of, members)
    entry_of = np.append(block_of[number] + 1, BLOCKED)  # of an entry of the table, the last one of BLOCKED
    entry_of[0] = 0
    small = np.zeros((n_blocks + 1, k), np.int64)
    small_ends = np.zeros(n_blocks + 1, np.uint8)
    for block in set(block_of[:n].tolist()):
        small[block + 1] = entry_of[table[members[block]]]
        small_ends[block + 1] = accepting[members[block]]
    return _numbered(small, small_ends, class_of, int(block_of[0]) + 1, lenient)


def _numbered(
    table: np.ndarray, accepting: np.ndarray, class_of: np.ndarray, start: int, lenient: bool
) -> GreedyDfa:
    """Numbers a minimal automaton breadth first by byte, and merges classes that no state tells apart."""
    table = table[:, class_of]
    _, first, group = np.unique(table, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    byte_class = np.argsort(order)[group.reshape(-1)].astype(np.uint8)
    table = table[:, first[order]]
    states = [0, *_breadth_first(table, start)]
    number = np.full(len(table) + 1, BLOCKED, np.int32)
    number[states] = np.arange(len(states))
    small = np.ascontiguousarray(number[table[states]])
    ends = np.ascontiguousarray(accepting[states])
    digest = blake2b(byte_class.tobytes(), digest_size=16, person=b"lenient" if lenient else b"greedy")
    digest.update(ends.tobytes())
    digest.update(small.tobytes())
    return GreedyDfa(small, ends, byte_class, digest.digest(), lenient)


def _breadth_first(table: np.ndarray, start: int) -> list[int]:
    """The states that are reached from the start, in the order in which a walk by class finds them."""
    found = {start}
    waiting = [start]
    for state in waiting:
        for target in table[state].tolist():
            if target > 0 and target not in found:
                found.add(target)
                waiting.append(target)
    return waiting
