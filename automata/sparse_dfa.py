"""A regular language as an automaton with sparse rows: for languages of so many states that a table would not do.

A million names take several million states, nearly all with one transition. A SparseDfa keeps for each state the bytes
that lead on, sorted, and their targets: 5 bytes a transition and 5 a state, against 4 a class of bytes and state. It is
a leaf like a ByteDfa; kernels step it by a search, and make its masks by walking it and the token tree together
(sparse_kernels.py).

    first : int32[n_states + 1], the transitions of state s are those from first[s] up to first[s + 1]
    label : uint8[n_transitions], the byte, ascending within a state
    target : int32[n_transitions], the state after it
    accepting : uint8[n_states], 1 where a text may end
    start : the state of the empty text

INVARIANT: every state is reached from the start and reaches acceptance; there is no dead state, a byte without a
transition is refused. The numbering is what its maker says: equal digests are equal languages, but equal languages of
different makers may differ in theirs, and then share no masks.
Stores refer to the arrays of a live object and keep no copy: it may be as large as all their tables.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from .byte_dfa import ByteDfa
from .errors import LimitError

__all__ = ["MOST_STATES", "SparseDfa"]

# States of one automaton: a third of the numbers that a store has for all.
MOST_STATES = 1 << 29


class SparseDfa:
    """An automaton with sparse rows; compared and hashed by its digest. Its arrays become read-only.

    is_kept : whether it lives as long as the grammar; else it counts as memory of the machine that asked for it.
    """

    __slots__ = ("__weakref__", "accepting", "digest", "first", "is_kept", "label", "start", "target")

    def __init__(
        self, first: np.ndarray, label: np.ndarray, target: np.ndarray, accepting: np.ndarray, start: int
    ) -> None:
        if len(accepting) > MOST_STATES:
            raise LimitError("states of a sparse automaton", len(accepting), MOST_STATES)
        self.first, self.label, self.target, self.accepting, self.start = first, label, target, accepting, start
        self.is_kept = True
        digest = blake2b(start.to_bytes(8, "little"), digest_size=16)
        for array in (first, label, target, accepting):
            if not array.flags.c_contiguous:
                raise ValueError("the arrays of a sparse automaton are contiguous")
            array.flags.writeable = False
            digest.update(array.data)
        self.digest = digest.digest()

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, SparseDfa) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"SparseDfa({self.n_states} states, {self.digest.hex()[:8]})"

    @property
    def n_states(self) -> int:
        return len(self.accepting)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.first.nbytes + self.label.nbytes + self.target.nbytes + self.accepting.nbytes

    @property
    def accepts_empty(self) -> bool:
        return bool(self.accepting[self.start])

    def accepts(self, text: bytes) -> bool:
        state = self.state_after(text)
        return state >= 0 and bool(self.accepting[state])

    def state_after(self, text: bytes) -> int:
        """The state after `text`, -1 if no sentence goes on like this."""
        state = self.start
        for byte in text:
            begin, end = int(self.first[state]), int(self.first[state + 1])
            at = begin + int(np.searchsorted(self.label[begin:end], byte))
            if at == end or self.label[at] != byte:
                return -1
            state = int(self.target[at])
        return state

    def without_empty(self) -> SparseDfa:
        """The same but for the empty text. A start that is met again is copied, and no text ends in the copy."""
        if not self.accepts_empty:
            return self
        if (self.target == self.start).any():
            row = slice(int(self.first[self.start]), int(self.first[self.start + 1]))
            first = np.append(self.first, self.first[-1:] + np.int32(row.stop - row.start))
            label, target = np.append(self.label, self.label[row]), np.append(self.target, self.target[row])
            without = SparseDfa(first, label, target, np.append(self.accepting, np.uint8(0)), self.n_states)
        else:
            accepting = self.accepting.copy()
            accepting[self.start] = 0
            without = SparseDfa(self.first, self.label, self.target, accepting, self.start)
        without.is_kept = self.is_kept
        return without

    def table_size(self) -> int:
        """Elements of the table that `dense` would minimise: at least those of the minimal one's."""
        return (self.n_states + 1) * (len(np.unique(self.label)) + 1)

    def dense(self) -> ByteDfa:
        """The same language as a table: for few states."""
        from .minimize import minimized  # imports numba

        used = np.unique(self.label)
        # Classes by their least byte: that of byte 0 is 0, whether it is used or not.
        byte_class = np.zeros(256, np.uint8)
        unused = np.setdiff1d(np.arange(256), used)
        leaders = np.sort(np.append(used, unused[:1]))
        byte_class[unused] = np.searchsorted(leaders, unused[:1])
        byte_class[used] = np.searchsorted(leaders, used)
        # State s is s + 1, but the start changes places with state 1.
        number = np.arange(1, self.n_states + 1, dtype=np.int32)
        number[[0, self.start]] = number[[self.start, 0]]
        table = np.zeros((self.n_states + 1, len(leaders)), np.int32)
        source = np.repeat(number, np.diff(self.first))
        table[source, byte_class[self.label]] = number[self.target]
        accepting = np.zeros(self.n_states + 1, np.uint8)
        accepting[number] = self.accepting
        return minimized(table, accepting, byte_class)

    def verify(self) -> None:
        """Raises AssertionError unless all that the module's text promises holds. Slow: for tests and boundaries."""
        n, m = self.n_states, len(self.label)
        assert self.first.dtype == np.int32 and self.first.shape == (n + 1,) and self.accepting.dtype == np.uint8
        assert self.label.dtype == np.uint8 and self.target.dtype == np.int32 and self.target.shape == (m,)
        assert 0 <= self.start < n and self.first[0] == 0 and self.first[-1] == m and (np.diff(self.first) >= 0).all()
        assert set(self.accepting.tolist()) <= {0, 1}
        assert not m or (self.target.min() >= 0 and self.target.max() < n)
        source = np.repeat(np.arange(n), np.diff(self.first))
        assert (np.diff(256 * source + self.label.astype(np.int64)) > 0).all(), "bytes are not ascending"
        assert _closure(np.arange(n) == self.start, source, self.target).all(), "a state is not reached"
        assert _closure(self.accepting == 1, self.target, source).all(), "a state cannot reach acceptance"


def _closure(states: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """bool[n]: `states` and all that transitions lead to from them."""
    while True:
        more = states.copy()
        more[target[states[source]]] = True
        if (more == states).all():
            return states
        states = more
