"""The grammar's state in every row that `generate` shows, call after call.

Idea. A row's state is looked up by its prefix (prefix_states.py), whatever loop shows it. Most loops show the rows of
the last call and one token more; that is recognised by one comparison of arrays, and each state is then the last one
and a token, without any key: 1 us a row instead of 5 to 10.

Where the prompt ends. The first call's length is the prompt's; for an encoder-decoder that is the decoder's start
token. Every row of a later call is a row that has been seen and at most one token more, in all of transformers' loops;
a call of which that is not true begins a new generation. What looks the same is a prompt that is the last output, cut
anywhere, with at most one token more.

INVARIANT: `continued` changes nothing: what it says counts once `take` is called, for rows that were really shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...automata.errors import LimitError
from .prefix_states import PrefixState, PrefixStates

__all__ = ["Ids", "RowStates"]

Ids: TypeAlias = "npt.NDArray[np.int64]"

_STATES_PER_ROW, _STATES = 4, 64


class RowStates:
    """The states of one generation's rows. prompt_length, max_tokens : as for GrammarLogitsProcessor."""

    def __init__(self, compiled: Sequence[Any], prompt_length: int | None, max_tokens: int | None = None) -> None:
        self._grammars = len(compiled)
        self._by_prefix = PrefixStates(compiled, max_tokens)
        self._given_length = prompt_length
        self.reset()

    def reset(self) -> None:
        """Forget the generation in progress."""
        self._prompts: Ids | None = None
        self._restart()

    def _restart(self) -> None:
        """Forget what was generated behind the prompts."""
        self._by_prefix.clear()
        self._seen: set[int] = set()  # hashes of generated prefixes
        # The last call: its rows, their states, and since which number of generated tokens rows have only grown.
        self._ids: Ids | None = None
        self._states: list[PrefixState] = []
        self._since = 0

    def begins(self, ids: Ids) -> bool:
        """Whether these rows, int64[rows, length], cannot belong to the generation in progress: another prompt, or a
        text without a past."""
        if self._given_length is not None:
            return False
        prompts = self._prompts
        if prompts is None or not np.array_equal(ids[:, : prompts.shape[1]], prompts):
            return True
        generated = ids[:, prompts.shape[1] :]
        if not generated.shape[1] or self._has_grown(ids):
            return False
        self._settle()
        return not all(hash(row[:-1].tobytes()) in self._seen for row in generated)

    def continued(self, ids: Ids) -> list[PrefixState] | None:
        """The states of rows that are those of the last call with a token more; None for others."""
        if not self._has_grown(ids):
            return None
        made: dict[tuple[int, int], PrefixState] = {}
        states = []
        for state, token in zip(self._states, ids[:, -1].tolist(), strict=True):
            key = (id(state), token)
            if key not in made:
                made[key] = state.after(token)
            states.append(made[key])
        return states

    def take(self, ids: Ids, states: list[PrefixState]) -> None:
        """These rows were shown, and these are their states: what `continued` said about them. Keeps both as they are,
        so nobody may write to them afterwards."""
        self._ids, self._states = ids, states

    def at(self, ids: Ids) -> list[PrefixState]:
        """The states of any rows, which were shown. Raises ValueError for rows that the grammars do not divide, or
        that are shorter than the prompt."""
        states = self.continued(ids)
        if states is None:
            if self._ids is not None and ids.shape[1] == self._prompt_length:
                self._restart()
            self._settle()
            states = self._looked_up(self._generated(ids))
        self.take(ids.copy(), states)
        return states

    def begun(self, grammar: int, generated: Ids) -> PrefixState:
        """The state of any text of a grammar; it is not taken for one of the generation's rows."""
        return self._by_prefix.at(grammar, generated, _STATES)

    def end(self, row: int, error: LimitError) -> None:
        """A row of the last call has met a budget: nothing is known about what follows."""
        self._states[row] = PrefixState(self._states[row].matcher, error=error)

    def prefix(self, row: int) -> tuple[int, bytes]:
        """(number of the grammar, generated ids) of a row of the last call."""
        assert self._ids is not None
        each = max(1, len(self._ids) // self._grammars)
        return row // each, self._ids[row, self._prompt_length :].tobytes()

    # ------------------------------------------------------------------------------------------ rows that grow

    def _has_grown(self, ids: Ids) -> bool:
        last = self._ids
        if last is None or ids.shape != (last.shape[0], last.shape[1] + 1):
            return False
        return bool((ids[:, :-1] == last).all())  # PERF: `array_equal` takes 5 us longer

    def _settle(self) -> None:
        """Notes the prefixes that the rows have grown by, before other rows are looked at."""
        if self._ids is None or self._since == self._ids.shape[1] - self._prompt_length:
            return
        generated = self._ids[:, self._prompt_length :]
        for length in range(self._since + 1, generated.shape[1] + 1):
            self._seen.update(hash(row[:length].tobytes()) for row in generated)
        capacity = self._capacity(len(generated))
        for row, state in enumerate(self._states):
            self._by_prefix.put(*self.prefix(row), state, capacity)
        self._since = generated.shape[1]

    # ------------------------------------------------------------------------------------------ any rows

    @property
    def _prompt_length(self) -> int:
        if self._given_length is not None:
            return self._given_length
        assert self._prompts is not None
        return int(self._prompts.shape[1])

    def _generated(self, ids: Ids) -> Ids:
        """The part of the rows that is not prompt."""
        if self._given_length is None and self._prompts is None:
            self._prompts = ids.copy()
        if ids.shape[1] < self._prompt_length:
            raise ValueError(
                f"the rows have {ids.shape[1]} tokens, fewer than the prompt_length of {self._prompt_length}"
            )
        generated = ids[:, self._prompt_length :]
        self._seen.update(hash(row.tobytes()) for row in generated)
        self._since = generated.shape[1]
        return generated

    def _looked_up(self, generated: Ids) -> list[PrefixState]:
        n = len(generated)
        if n % self._grammars:
            raise ValueError(f"{n} rows are no multiple of the {self._grammars} grammars given")
        per_grammar, capacity = n // self._grammars, self._capacity(n)
        return [self._by_prefix.at(r // per_grammar, generated[r], capacity) for r in range(n)]

    def _capacity(self, rows: int) -> int:
        return _STATES + _STATES_PER_ROW * rows
