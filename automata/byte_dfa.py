"""A regular language over bytes as its one minimal automaton.

A ByteDfa is always minimal, trimmed and numbered canonically (breadth first by byte from the start), so two of them are
equal arrays if and only if they are equal languages, and `digest` names the language.

    state 0        dead: row 0 is all zero, it does not accept
    state 1        the start; of the empty language the only live state, without transitions
    states 2..n-1  in the order in which a breadth-first walk by byte finds them

INVARIANT: every state but 0 is reachable from the start and, unless the language is empty, can reach acceptance. So a
byte is possible after a prefix exactly if its transition is not 0.
Cost: 4 bytes per state and class, 1 KiB per state once `transitions` is asked for; one look-up per byte. Make them with
regular.py or `minimize.minimized`, not by hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["ByteDfa"]


@dataclass(frozen=True, slots=True, eq=False)
class ByteDfa:
    """A minimal, trimmed, canonically numbered automaton; compared and hashed by its language.

    table : int32[n_states, n_classes], `table[s, byte_class[b]]` = the state after byte b in state s, 0 = dead
    accepting : uint8[n_states], 1 where a text may end
    byte_class : uint8[256], the coarsest classes of bytes that no state tells apart, numbered by their least byte
    digest : 16 bytes that name the language
    """

    table: np.ndarray
    accepting: np.ndarray
    byte_class: np.ndarray
    digest: bytes
    _spread: np.ndarray | None = field(default=None, init=False, repr=False)

    @property
    def transitions(self) -> np.ndarray:
        """int32[n_states, 256], `transitions[s, b]` = the state after byte b in state s; made when first asked for."""
        spread = self._spread
        if spread is None:
            spread = self.table.take(self.byte_class, axis=1)
            spread.flags.writeable = False
            object.__setattr__(self, "_spread", spread)
        return spread

    def __post_init__(self) -> None:
        for array in (self.table, self.accepting, self.byte_class):
            array.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, ByteDfa) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[type[ByteDfa], tuple[np.ndarray, np.ndarray, np.ndarray, bytes]]:
        return ByteDfa, (self.table, self.accepting, self.byte_class, self.digest)  # so that copies are read-only

    def __repr__(self) -> str:
        return f"ByteDfa({self.n_states} states, {self.digest.hex()[:8]})"

    @property
    def n_states(self) -> int:
        """The number of states, the dead one included."""
        return self.table.shape[0]

    @property
    def is_empty(self) -> bool:
        return self.n_states == 2 and not self.accepting[1] and not self.table[1].any()

    @property
    def accepts_empty(self) -> bool:
        return bool(self.accepting[1])

    def accepts(self, text: bytes) -> bool:
        return bool(self.accepting[self.state_after(text)])

    def state_after(self, text: bytes, state: int = 1) -> int:
        """The state after `text`, 0 if no sentence goes on like this."""
        step, classes = self.table.item, self.byte_class.tolist()
        for byte in text:
            state = step(state, classes[byte])
        return state

    def shortest(self) -> bytes | None:
        """The shortest sentence, of several the least; None of the empty language."""
        came_from: dict[int, tuple[int, int]] = {1: (0, 0)}
        waiting = deque([1])
        while waiting:
            state = waiting.popleft()
            if self.accepting[state]:
                out = bytearray()
                while state != 1:
                    state, byte = came_from[state]
                    out.append(byte)
                return bytes(reversed(out))
            for byte, target in self._moves(state):
                if target not in came_from:
                    came_from[target] = (state, byte)
                    waiting.append(target)
        return None

    def _moves(self, state: int) -> Iterator[tuple[int, int]]:
        """Byte and target of the live transitions, by byte."""
        row = self.transitions[state]
        for byte in np.flatnonzero(row).tolist():
            yield byte, int(row[byte])

    def verify(self) -> None:
        """Raises AssertionError unless all that the module's text promises holds. Slow: for tests and boundaries."""
        n = self.n_states
        assert self.table.dtype == np.int32 and self.table.shape == (n, int(self.byte_class.max()) + 1)
        assert n >= 2 and self.transitions.shape == (n, 256) and self.transitions.dtype == np.int32
        assert (
            self.accepting.shape == (n,) and self.accepting.dtype == np.uint8 and set(self.accepting.tolist()) <= {0, 1}
        )
        assert not self.transitions[0].any() and not self.accepting[0], "the dead state is not dead"
        assert self.transitions.min() >= 0 and self.transitions.max() < n
        assert not any(a.flags.writeable for a in (self.transitions, self.accepting, self.byte_class))
        order = {1: None}  # an ordered set
        for state in range(1, n):
            assert state in order, "not reachable, or not numbered breadth first"
            order.update(dict.fromkeys(target for _, target in self._moves(state)))
        assert list(order) == list(range(1, n)), "not numbered breadth first"
        self._verify_useful_and_distinct()
        columns: dict[bytes, int] = {}
        for byte in range(256):
            name = columns.setdefault(self.transitions[:, byte].tobytes(), len(columns))
            assert self.byte_class[byte] == name, "byte classes are not the coarsest, or not in order"

    def _verify_useful_and_distinct(self) -> None:
        useful = self.accepting.astype(bool)
        while True:
            more = useful | useful[self.transitions].any(axis=1)
            if (more == useful).all():
                break
            useful = more
        assert self.is_empty or useful[1:].all(), "a state cannot reach acceptance"
        blocks = self.accepting.astype(np.int64)  # Moore's rounds
        while True:
            _, refined = np.unique(np.column_stack([blocks, blocks[self.transitions]]), axis=0, return_inverse=True)
            if refined.max() == blocks.max():
                break
            blocks = refined.reshape(-1)
        # The start of the empty language is the one state that is equivalent to the dead one.
        assert blocks.max() + 1 == self.n_states - self.is_empty, "not minimal"
