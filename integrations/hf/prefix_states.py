"""Which state a grammar is in after a prefix of generated tokens, for callers that jump between prefixes.

Idea. `generate` shows a logits processor nothing but token ids: rows are reordered by beam search, replayed by assisted
decoding, repeated by `num_return_sequences`. So the prefix itself is the key. A state is looked up by the bytes of its
ids; one that is not there is made from its parent by a fork and one accepted token, and, should the parent be gone
too, from the nearest ancestor that is left or from the start.

INVARIANT: a stored matcher is never moved, only forked, so equal prefixes may share one.
INVARIANT: at most `capacity` states are kept, the least recently used is dropped; dropping costs time, never exactness.

Cost of a step of one row, n tokens generated: two hashes of 8n bytes (4 us at n = 1,000), a fork, an `accept_token`.
Rejected: a tree of prefixes, whose walk is n dictionary look-ups in Python; a chained hash, which has to trust that the
caller's rows did not change behind its back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...automata.token_budget import TOO_FEW_TOKENS

__all__ = ["PrefixState", "PrefixStates"]

_ID_BYTES = 8
_ANCESTORS = 64  # how far back an ancestor is looked for before starting over: the length of a long draft


@dataclass(frozen=True, slots=True)
class PrefixState:
    """A grammar's state after a prefix.

    `matcher`: stands after the prefix's longest part that the grammar accepted.
    `ended`: a stop token was accepted; what follows is padding and changes nothing.
    `refused`: the token that the grammar did not accept, where one was not; the state then stays as it is.
    `error`: the budget that the text has met, where it did; nothing is known about what follows.
    """

    matcher: Matcher
    ended: bool = False
    refused: int | None = None
    error: LimitError | None = None

    @property
    def is_live(self) -> bool:
        """Whether the grammar says what may come next."""
        return self.refused is None and self.error is None

    def after(self, token: int) -> PrefixState:
        if self.ended or not self.is_live:
            return self
        matcher = self.matcher.fork()
        try:
            accepted = matcher.accept_token(token)
        except LimitError as error:
            return PrefixState(self.matcher, error=error)
        if not accepted:
            return PrefixState(self.matcher, refused=token)
        return PrefixState(matcher, ended=matcher.is_terminated())


def _root(compiled: Any, max_tokens: int | None) -> PrefixState:
    """The state of the empty text; one with an error, if a budget of the grammar is met in planning the text."""
    try:
        return PrefixState(Matcher(compiled, max_tokens=max_tokens))
    except LimitError as error:
        if error.limit == TOO_FEW_TOKENS:
            raise
        return PrefixState(Matcher(compiled), error=error)


class PrefixStates:
    """The states of several grammars by prefix."""

    def __init__(self, compiled: Sequence[Any], max_tokens: int | None = None) -> None:
        """max_tokens : as Matcher has it, of each text. Raises LimitError where no text is so few tokens."""
        self._roots = [_root(c, max_tokens) for c in compiled]
        self._known: dict[tuple[int, bytes], PrefixState] = {}  # in the order of use

    def clear(self) -> None:
        self._known.clear()

    def at(self, grammar: int, prefix: npt.NDArray[np.int64], capacity: int) -> PrefixState:
        """The state of grammar number `grammar` after `prefix`, int64[n]; keeps `capacity` states at most."""
        if not len(prefix):
            return self._roots[grammar]
        key = prefix.tobytes()
        state = self._known.get((grammar, key)) or self._made(grammar, key, prefix)
        self.put(grammar, key, state, capacity)
        return state

    def put(self, grammar: int, key: bytes, state: PrefixState, capacity: int) -> None:
        """Notes the state after the prefix whose bytes are `key`."""
        self._known.pop((grammar, key), None)
        self._known[grammar, key] = state  # at the end: the most recently used
        while len(self._known) > capacity:
            del self._known[next(iter(self._known))]

    def _made(self, grammar: int, key: bytes, prefix: npt.NDArray[np.int64]) -> PrefixState:
        n = len(prefix)
        state, start = self._roots[grammar], 0
        for length in range(n - 1, max(0, n - 1 - _ANCESTORS), -1):
            known = self._known.get((grammar, key[: length * _ID_BYTES]))
            if known is not None:
                state, start = known, length
                break
        for token in prefix[start:].tolist():
            state = state.after(token)
        return state
