"""The lightest text that completes a configuration, and how many tokens it takes: a bound of what is still needed.

Idea. Every state of the stack has a lightest text that ends its frame; a completion is these texts one after the other,
from the top down. What a text weighs is the fewest tokens that it is by itself, then its bytes. The weights of states
are a least fixpoint over their alternatives (frame_texts.py), such as Knuth's generalisation of Dijkstra's algorithm
finds; and as states are made when somebody gets there, alternatives are only looked at where they are promising: what
was not looked at weighs nothing, the lightest derivation under that assumption is expanded, and when it has nothing
left to be expanded, it is the lightest of all (as in A*: the assumption never weighs too much).

`tokens_left` adds up frames: tokens of one frame's text followed by those of the next are tokens of both, so the sum is
enough, though a token across frames might save one. `completion` covers the whole text at once, and is what a plan is
made of. Both depend on the grammar and the text alone, not on what a machine has met before.

Greedy leaves are the exception: where one ends depends on what follows, so texts that are fine by themselves may not
follow one another. Then a configuration counts by its whole text, if that is read as meant, or is with white space
between its parts (`read_completion`).

Source: Knuth, "A generalization of Dijkstra's algorithm", IPL 6 (1977).
Cost: 20 to 100 us for a state, once for each machine.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .completion_kernels import FAR, cover_text
from .errors import LimitError
from .frame_texts import Alternative, FrameTexts, Key, LeafMemo, Part
from .table_kernels import BOTTOM, CHOSEN, ITEMS, LEAF, R_FLAGS, SPARSE, TOKEN_OFFSETS

if TYPE_CHECKING:
    from .machine import Machine
    from .vocabulary import Vocabulary

Node: TypeAlias = tuple[int, int, int, int]

__all__ = ["NONE", "ShortestTexts", "TextMemo"]

# As many tokens as no text has.
NONE = FAR
# Weights: tokens count for more than bytes; a text that no tokens are still has a weight.
_TOKEN, _UNCOVERED, FAR_WEIGHT = 1 << 12, 1 << 24, 1 << 60
# Bytes of a token of an object's skeleton, the longest such as `":"","a":`.
_SPOILT = 10
# States that one grammar's shortest completions may be looked for among.
_MOST_STATES = 100_000
# States that are gone through again and again for one shortest completion: some seconds. Ambiguous rules that may be
# empty and call one another need as many; whole programs, as in C or SQL, a tenth for all their states together.
_MOST_STEPS = 200_000


class TextMemo:
    """What is known of the states and configurations of one machine."""

    __slots__ = ("alternatives", "leaves", "pieces", "solved", "texts", "totals")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.leaves = LeafMemo(vocabulary)
        self.alternatives: dict[Key, list[tuple[int, list[Key], Alternative]]] = {}
        self.solved: dict[Key, tuple[int, Alternative | None]] = {}
        self.texts: dict[Key, bytes | None] = {}
        self.pieces: dict[bytes, int] = {}
        self.totals: dict[Node, int] = {}


class ShortestTexts:
    """Completions of one machine's configurations. For whoever holds its store's lock, for as long."""

    def __init__(self, machine: Machine, memo: TextMemo) -> None:
        self.machine = machine
        self.memo = memo
        self.frames = FrameTexts(machine, memo.leaves)

    # -------------------------------------------------------------------------------------------- configurations

    def tokens_left(self, ref: int) -> int:
        """Tokens that are enough to complete a configuration, a stop token included; NONE where no way was found."""
        return min(self._total(state) for state in self.frames.states(ref))

    def completion(self, ref: int, gap: bytes = b"") -> bytes | None:
        """A text that completes a configuration: the frames' own, by the ways that `tokens_left` has counted.

        gap : what comes between the texts that frames are made of, for greedy leaves.
        """
        state = min(self.frames.states(ref), key=self._total)
        texts = []
        while state[0] != BOTTOM:
            if self._total(state) >= NONE:
                return None
            ways = self._ways(state)
            _, text, under = min((known + self._total(under), text, under) for known, text, under in ways)
            key = self.frames.without_space(state[:3])
            # A way that ends two frames has no state of its own.
            spaced = self._assembled(key, gap) if gap and text == self.memo.texts.get(key) else text
            texts.append(spaced or b"")
            state = under
        return gap.join(filter(None, texts))

    def read_completion(self, ref: int) -> bytes | None:
        """As completion, of what the machine reads to the end: with white space where greedy leaves need it."""
        for gap in (b"", b" ", b"\n"):
            text = self.completion(ref, gap)
            for before in (b"", gap):
                if text is not None and self._is_read(ref, before + text):
                    return before + text
        return None

    def _is_read(self, ref: int, text: bytes) -> bool:
        """Whether a text leads from a configuration to the end."""
        to, length = self.machine.step_bytes(ref, text)
        return length == len(text) and self.machine.may_end(to)

    def cover(self, text: bytes) -> list[int] | None:
        """The fewest tokens that a text is; None where it is none."""
        costs, tokens = np.zeros(len(text) + 1, np.int32), np.zeros(len(text), np.int32)
        if cover_text(self.machine.address, np.frombuffer(text, np.uint8), costs, tokens) >= NONE:
            return None
        offsets = self.machine.store.tables.view(TOKEN_OFFSETS)
        ids: list[int] = []
        at = 0
        while at < len(text):
            token = int(tokens[at])
            ids.append(token)
            at += int(offsets[token + 1] - offsets[token])
        return ids

    def _total(self, state: Node) -> int:
        """As tokens_left, of a node. What is below is counted first, without recursion: stacks may be deep."""
        known = self.memo.totals
        path = [state]
        while path:
            state = path[-1]
            if state[0] == BOTTOM:
                known[state] = 1
            if state in known:
                path.pop()
                continue
            ways = self._ways(state)
            unknown = [under for _, _, under in ways if under not in known]
            path += unknown
            if not unknown:
                known[state] = min((min(NONE, n + known[under]) for n, _, under in ways), default=NONE)
        return known[state]

    def _ways(self, state: Node) -> list[tuple[int, bytes, Node]]:
        """(tokens, text, node below) of each way to end a node's frame."""
        row, x, y, below = state
        ways: list[tuple[int, bytes, Node]] = []
        own = self._own((self.frames.without_space((row, x, y)),))
        for under in self.frames.states(below):
            if row >= LEAF + SPARSE and under[0] < LEAF and self.frames.field(under[0], R_FLAGS) & CHOSEN:
                # What follows depends on where the leaf ends: its frame and the next end together.
                for choice in self.frames.choices(row - LEAF, under[0]):
                    n, text = self._own(choice)
                    ways += [(n, text, lower) for lower in self.frames.states(under[3])]
            elif own[0] < NONE:
                ways.append((*own, under))
        return ways

    def _own(self, parts: Alternative) -> tuple[int, bytes]:
        """(tokens, text) of some parts that end one frame, or two."""
        texts = [part if isinstance(part, bytes) else self.text(part) for part in parts]
        found = [text for text in texts if text is not None]
        if len(found) < len(texts):
            return NONE, b""
        whole = b"".join(found)
        key = parts[0]
        if len(parts) == 1 and not isinstance(key, bytes) and self._is_array(key[0]):
            # Part by part, so that each item that is missing counts as much: masks take large numbers of them for one.
            missing = self.memo.solved[key][1] or ()
            return min(NONE, sum(self._own((part,))[0] for part in missing)), whole
        spare = 0 if isinstance(key, bytes) or len(parts) > 1 else self._spare(key)
        return min(NONE, self._tokens(whole) + spare), whole

    def _spare(self, key: Key) -> int:
        """How much more a frame may need with a name in the place of NO_NAME that its lightest text has as well.

        Then the text has another name there. A token is at most two names that nobody declared, and each that has to
        change spoils one token of the text, which becomes as many as it has bytes.
        """
        return 2 * _SPOILT if self.frames.has_no_name(key) else 0

    def _is_array(self, row: int) -> bool:
        return row < LEAF and self.frames.field(row, R_FLAGS) & ITEMS != 0

    def _tokens(self, text: bytes) -> int:
        """The fewest tokens that a text is; NONE where it is none."""
        known = self.memo.pieces
        if text not in known:
            costs, tokens = np.zeros(len(text) + 1, np.int32), np.zeros(len(text), np.int32)
            known[text] = min(NONE, int(cover_text(self.machine.address, np.frombuffer(text, np.uint8), costs, tokens)))
        return known[text]

    # -------------------------------------------------------------------------------------------- states

    def text(self, key: Key) -> bytes | None:
        """The lightest text that ends the frame of a state; None where none was found."""
        known = self.memo.texts
        if key not in known:
            self._solve(key)
            known[key] = self._assembled(key)
        return known[key]

    def _assembled(self, key: Key, gap: bytes = b"") -> bytes | None:
        """The text that the solved alternatives of a state come to; gap : what comes between its parts."""
        texts: list[bytes] = []
        waiting: list[Part] = [key]
        while waiting:
            part = waiting.pop()
            if isinstance(part, bytes):
                texts.append(part)
                continue
            alternative = self.memo.solved[part][1]
            if alternative is None:
                return None
            waiting += reversed(alternative)
        return gap.join(filter(None, texts))

    def _solve(self, target: Key) -> None:
        """Finds the lightest alternative of a state and of all that are part of it."""
        solved, alternatives = self.memo.solved, self.memo.alternatives
        steps = 0
        while target not in solved:
            chosen, entered = self._lightest(target)
            steps += entered
            if steps > _MOST_STEPS:
                raise LimitError("steps to the shortest completion", steps, _MOST_STEPS)
            if target in solved:
                return
            if target not in chosen and target in alternatives:
                solved[target] = FAR_WEIGHT, None
                return
            new, seen, waiting = [], {target}, [target]
            while waiting:
                key = waiting.pop()
                if key not in alternatives:
                    new.append(key)
                for part in chosen.get(key, ()):
                    if not isinstance(part, bytes) and part not in seen and part not in solved:
                        seen.add(part)
                        waiting.append(part)
            if len(alternatives) + len(new) > _MOST_STATES:
                raise LimitError("states of the shortest completion", len(alternatives) + len(new), _MOST_STATES)
            for key in new:
                self._look_at(key)

    def _look_at(self, key: Key) -> None:
        """Notes the alternatives of a state: the weight of each one's bytes, and the states that it is made of."""
        self.memo.alternatives[key] = [
            (
                # One more than its parts, so that no state weighs as much as what it is made of.
                1 + sum(self._weight(part) for part in alternative if isinstance(part, bytes)),
                [part for part in alternative if not isinstance(part, bytes)],
                alternative,
            )
            for alternative in self.frames.alternatives(key)
        ]

    def _lightest(self, target: Key) -> tuple[dict[Key, Alternative], int]:
        """(the alternatives that the lightest derivation of a target is made of, where states whose alternatives were
        not looked at weigh nothing; the first of several: what does not hang on such states is solved then; how many
        states were gone through)."""
        solved = self.memo.solved
        chosen: dict[Key, Alternative] = {}
        users: dict[Key, list[list[Any]]] = {}
        heap: list[Any] = []
        reached: set[Key] = set()
        entered = self._enter(target, users, heap)
        while heap and target not in reached:
            weight, key, _, is_known, alternative = heappop(heap)
            if key in reached:
                continue
            reached.add(key)
            if alternative is not None:
                chosen[key] = alternative
                if is_known:
                    solved[key] = weight, alternative
            for use in users.get(key, ()):
                use[0] -= 1
                use[1] += weight
                use[4] &= is_known
                if not use[0]:
                    heappush(heap, tuple(use[1:]))
        return chosen, entered

    def _enter(self, target: Key, users: dict[Key, list[list[Any]]], heap: list[Any]) -> int:
        """Collects the uses of the states that a target may be made of, and queues what has a weight by itself; how
        many states these are.

        A use is [parts that have no weight yet, weight so far, user, place, whether what has a weight is known,
        alternative].
        """
        seen, waiting = {target}, [target]
        while waiting:
            key = waiting.pop()
            if key in self.memo.solved:
                weight, _ = self.memo.solved[key]
                if weight < FAR_WEIGHT:
                    heappush(heap, (weight, key, 0, True, None))
                continue
            if key not in self.memo.alternatives:
                heappush(heap, (0, key, 0, False, None))
                continue
            for place, (weight, keys, alternative) in enumerate(self.memo.alternatives[key]):
                if not keys:
                    heappush(heap, (weight, key, place, True, alternative))
                    continue
                use = [len(keys), weight, key, place, True, alternative]
                for part in keys:
                    users.setdefault(part, []).append(use)
                    if part not in seen:
                        seen.add(part)
                        waiting.append(part)
        return len(seen)

    def _weight(self, text: bytes) -> int:
        n = self._tokens(text)
        return (n * _TOKEN if n < NONE else _UNCOVERED) + len(text)
