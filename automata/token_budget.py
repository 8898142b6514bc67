"""A budget of tokens: masks that close the text in time.

Idea. `tokens_left` (shortest_texts.py) says of a configuration how many tokens are enough to complete it. With n tokens
left, a token is allowed if what it leads to needs at most n - 1, and so is the first token of a *plan*, which is a
completion of the present configuration as tokens. Far from the end that is the ordinary mask, and all that is asked is
one look-up: the most that any token leads to (`ceiling`).

A text is never cut short, and no mask is empty. For as long as more is left than the configuration needs, there is a
plan that fits: its own. A token leads to a configuration that needs no more than is left then, or it is the first of a
plan, and the rest of the plan fits: the matcher keeps that (`TokenBudget.plan`), as the configuration by itself may
count for more. The plan's last token is a stop token. So by induction each mask has a token, and the text is complete
when the budget is spent. That holds whatever the bound is worth; what it is worth decides how soon masks get narrow.

What tokens need is found by a scan of the token tree, and kept by *context*, as masks are: it is told relative to what
the configuration itself needs, and a token changes only the frames that the mask's walk has looked at. Where what
follows depends on where a leaf has ended (choices, greedy leaves), it is kept by configuration.

Cost, Llama 3: 1 us a step far from the end; for a new context 0.5 ms, and 2 to 6 where nearly all tokens are allowed,
once for each grammar; a narrowed mask 60 to 400 us, again 20. With greedy leaves 10 ms and more for what is new, and
seconds for the largest grammars.
"""

from __future__ import annotations

import warnings
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .completion_kernels import S_FROM, S_NUMBERS, S_TOKENS, SCAN_WIDTH, WANTS_NUMBERS, scan_tokens
from .errors import LimitError
from .shortest_texts import NONE, ShortestTexts, TextMemo
from .special_tokens import LEAST_MARK
from .table_kernels import (
    BOTTOM,
    COUNTED,
    LEAF,
    NODE_MASK,
    NODES,
    R_FLAGS,
    R_MIN,
    ROW_WIDTH,
    ROWS,
)

if TYPE_CHECKING:
    from .machine import Machine
    from .vocabulary import Vocabulary

__all__ = ["TOO_FEW_TOKENS", "Memo", "Plans", "TokenBudget", "is_far"]

TOO_FEW_TOKENS = "max_tokens (what a whole text needs)"  # LimitError.limit of a budget that no text is within

# Configurations that are looked at for a completion of few tokens, or of greedy leaves; narrowed masks that are kept.
_SCANS, _SEARCHED, _KEPT = 100, 200, 256
# Tokens of all the completions that are looked at for that; what one counts for that was searched in vain.
_PLANNED, _UNPLANNED = 1 << 16, 1 << 12
_NUMBERS = 256


class TokenBudget:
    """What is left of a budget after each step: a chain, as a matcher's history is.

    left : tokens. plan : those that complete the text, where the configuration by itself would count for more than is
    left. before : the same before the last step. first : the same at the start.
    """

    __slots__ = ("before", "first", "left", "plan")

    def __init__(self, left: int, plan: tuple[int, ...] | None, before: TokenBudget | None = None) -> None:
        self.left, self.plan, self.before = left, plan, before
        self.first: TokenBudget = self if before is None else before.first


class Needs(NamedTuple):
    """The tokens of a context by what they need, beyond what the configuration needs itself.

    tokens : int32[n]. needed : int32[n], ascending; NONE: no completion was found.
    """

    tokens: np.ndarray
    needed: np.ndarray


class Memo:
    """What one machine knows about budgets. Written under its store's lock, read without.

    ceilings : of configurations, what they need after the token that needs most.
    """

    __slots__ = ("ceilings", "masks", "needs", "plans", "texts")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.texts = TextMemo(vocabulary)
        self.ceilings: dict[int, int] = {}
        self.needs: dict[tuple[int, ...], Needs] = {}
        self.plans: dict[int, tuple[int, ...] | None] = {}
        self.masks: dict[tuple[int, ...], np.ndarray] = {}


def is_far(memo: Memo | None, ref: int, left: int) -> bool:
    """Whether it is known that no token leads too far from a configuration with so many tokens left. Without a lock."""
    return memo is not None and memo.ceilings.get(ref, NONE) < left


class Plans:
    """Questions about what configurations of one machine need. For whoever holds its store's lock, for as long."""

    def __init__(self, machine: Machine, vocabulary: Vocabulary) -> None:
        self.machine, self.vocabulary = machine, vocabulary
        if machine.plans is None:
            machine.plans = Memo(vocabulary)
        self.memo: Memo = machine.plans
        self.texts = ShortestTexts(machine, self.memo.texts)

    # -------------------------------------------------------------------------------------------- plans

    def plan(self, ref: int) -> tuple[int, ...] | None:
        """Tokens that complete a configuration, with a stop token; None where none were found."""
        known = self.memo.plans
        if ref not in known:
            ids = self._covered(self.texts.read_completion(ref))
            if ids is None:
                ids = self._covered(self._searched(ref))
            known[ref] = None if ids is None else (*ids, self.vocabulary.stop_token_ids[0])
        return known[ref]

    def _covered(self, text: bytes | None) -> list[int] | None:
        return None if text is None else self.texts.cover(text)

    def needs(self, ref: int) -> int:
        """Tokens that are enough for a configuration, as masks count them; NONE where no completion was found."""
        n = self.texts.tokens_left(ref)
        if not self.memo.texts.leaves.has_greedy:
            return n
        plan = self.plan(ref)
        return NONE if plan is None else len(plan)

    def summed(self, ref: int) -> int | None:
        """Tokens that are enough for a configuration, by sums over its frames; None where only a search could tell."""
        n = self.texts.tokens_left(ref)
        return None if n >= NONE or self.memo.texts.leaves.has_greedy else n

    def is_slow(self, ref: int) -> bool:
        """Whether the way from a configuration to the end has greedy leaves, so that completions are searched for."""
        self.plan(ref)
        return self.memo.texts.leaves.has_greedy

    def _searched(self, ref: int) -> bytes | None:
        """A completion byte by byte, for greedy leaves: what is near its end by its frames' texts comes first."""
        order = count()
        heap = [(0, next(order), ref, b"")]
        seen: set[int] = set()
        while heap and len(seen) < _SEARCHED:
            _, _, ref, text = heappop(heap)
            if ref in seen:
                continue
            seen.add(ref)
            if self.machine.may_end(ref):
                return text
            allowed = self.machine.next_bytes(ref)
            steps = [bytes((b,)) for b in np.flatnonzero(allowed[:LEAST_MARK]).tolist()]
            if allowed[LEAST_MARK:256].any():
                steps += self.memo.texts.leaves.special
            for step in steps:
                to, length = self.machine.step_bytes(ref, step)
                if length == len(step) and to not in seen:
                    rest = self.texts.completion(to)
                    far = len(text) + 1 + (NONE if rest is None else len(rest))
                    heappush(heap, (far, next(order), to, text + step))
        return None

    def fewest(self, ref: int, most: int) -> tuple[tuple[int, ...] | None, int]:
        """(a plan of at most so many tokens, 0), or (None, a number of tokens that every plan has at least).

        By layers of configurations that so many tokens lead to, each left out that was met before.
        """
        layer: dict[int, tuple[int, ...]] = {ref: ()}
        seen = {ref}
        scans = planned = 0
        for depth in range(most):
            following: dict[int, tuple[int, ...]] = {}
            for at, path in layer.items():
                plan = self.plan(at)
                if plan is not None and depth + len(plan) <= most:
                    return (*path, *plan), 0
                planned += _UNPLANNED if plan is None else len(plan)
                if planned > _PLANNED:
                    return None, depth + 1
            if depth == most - 1:
                break
            for at, path in layer.items():
                if scans == _SCANS:
                    return None, depth + 2
                scans += 1
                for token, to in self._led_to(at):
                    if to not in seen:
                        seen.add(to)
                        following[to] = (*path, token)
            layer = following
        return None, most + 1

    def _led_to(self, ref: int) -> list[tuple[int, int]]:
        """(a token, the configuration after it), one token for each configuration."""
        tokens, numbers, _ = self._scan(ref)
        _, first = np.unique(numbers, return_index=True)
        return [(int(tokens[k]), self.machine.step(ref, int(tokens[k]))) for k in first.tolist()]

    # -------------------------------------------------------------------------------------------- budgets

    def enough(self, ref: int, budget: TokenBudget | None) -> int:
        """The fewest tokens that are known to complete the text from a configuration on."""
        plans = [self.plan(ref), None if budget is None else budget.plan]
        found = min((len(plan) for plan in plans if plan is not None), default=NONE)
        if found == NONE:
            raise LimitError("configurations searched for a completion", _SEARCHED + 1, _SEARCHED)
        return found

    def begin(self, ref: int, tokens: int, warn: bool = True) -> TokenBudget:
        """The budget of a text that begins in a configuration.

        Raises ValueError below 1, LimitError where no text is so few tokens; warns, unless told not to, where that was
        hard to tell.
        """
        if tokens < 1:
            raise ValueError(f"max_tokens is {tokens}, but the stop token alone is one")
        begun = self.entered(ref, TokenBudget(tokens, None), 0).plan
        plan = self.plan(ref)
        if plan is not None and len(plan) <= tokens:
            return TokenBudget(tokens, begun)
        found, fewest = self.fewest(ref, tokens)
        if found is None and fewest > tokens:
            needed = fewest if plan is None else len(plan)
            raise LimitError(TOO_FEW_TOKENS, needed, tokens, place="")
        if warn:
            enough = "no text was found" if plan is None else f"{len(plan)} are enough for some text"
            then = "one of fewer was found" if found else "the text may be cut short"
            # Of whoever makes the matcher, above Matcher's `_ask`, `_plan` and `__init__`.
            warnings.warn(f"max_tokens is {tokens}: {enough}, and {then}", stacklevel=5)
        return TokenBudget(tokens, found)

    def entered(self, to: int, budget: TokenBudget, tokens: int) -> TokenBudget:
        """The budget after a step that cost so many tokens, whatever it leads to."""
        left = max(0, budget.left - tokens)
        plan = None if self.needs(to) <= left else self.plan(to)
        return TokenBudget(left, plan if plan is not None and len(plan) <= left else None, budget)

    def after(self, ref: int, budget: TokenBudget, token: int, to: int) -> TokenBudget | None:
        """The budget after a token; None where the token is not allowed."""
        words = self.allowed(ref, budget)
        if words is not None and not words[token >> 5] >> (token & 31) & 1:
            return None
        plan = budget.plan or self.plan(ref)
        spent = self.entered(to, budget, 1)
        if plan and plan[0] == token and len(plan) <= budget.left and self.needs(to) > spent.left:
            spent.plan = plan[1:]
        return spent

    # -------------------------------------------------------------------------------------------- masks

    def ceiling(self, ref: int) -> int:
        """At least what is needed after any one token; NONE where one may lead to what nothing is known of."""
        known = self.memo.ceilings
        if ref not in known:
            while True:
                before = self._by_itself()
                known[ref] = max(self._ceiling_of(node) for node in self._members(ref))
                if self._by_itself() == before:
                    break
                known.clear()  # the first greedy leaf was met
        return known[ref]

    def allowed(self, ref: int, budget: TokenBudget) -> np.ndarray | None:
        """int32[ceil(vocabulary.size / 32)]: bits of the tokens after which the text can be completed in time.

        None where all that the grammar allows may come: none can lead too far, or, after text from outside that the
        budget has no room for, all do.
        """
        if self.ceiling(ref) < budget.left:
            return None
        words = self._empty()
        for node in self._members(ref):
            words |= self._narrowed(node, budget.left)
        if self.machine.may_end(ref):
            self._add(words, self.vocabulary.stop_token_ids)
        plan = budget.plan or self.plan(ref)
        if plan is not None and len(plan) <= budget.left:
            self._add(words, plan[:1])
        return words if words.any() else None

    def _members(self, ref: int) -> list[int]:
        return self.texts.frames.members(ref)

    def _ceiling_of(self, node: int) -> int:
        row, _, _, below = self.machine.tables.view(NODES)[4 * node : 4 * node + 4].tolist()
        if below == BOTTOM and (farthest := self.texts.frames.farthest(row)) < NONE:
            # PERF: without a scan, which from the first of a million names would lead to as many states.
            return farthest + 1
        needed = self._needs_of(node).needed
        # A stop token alone is always within a budget that is not spent.
        return 1 if not len(needed) else min(NONE, int(needed[-1]) + self._base(node))

    def _base(self, node: int) -> int:
        """What the needs of a node's tokens are told relative to; 0 where they are kept for this node alone."""
        base = 0 if self._by_itself() else self.texts.tokens_left(node)
        return base if base < NONE else 0

    def _by_itself(self) -> bool:
        """Whether needs are not the same in the same context."""
        return self.memo.texts.leaves.has_greedy or self.machine.has_choices

    def _needs_of(self, node: int) -> Needs:
        key = self._context(node)
        known = self.memo.needs
        if key not in known:
            known[key] = self._scanned(node)
        return known[key]

    def _context(self, node: int) -> tuple[int, ...]:
        """A name for all nodes whose tokens need as much more than the node itself does."""
        if not self._base(node):
            return -1, node
        self.machine.make_mask(node)
        tables = self.machine.tables
        mask = int(tables.view(NODE_MASK)[node])
        row, _, y, _ = tables.view(NODES)[4 * node : 4 * node + 4].tolist()
        if row < LEAF:
            flags, least = (int(tables.view(ROWS)[ROW_WIDTH * row + field]) for field in (R_FLAGS, R_MIN))
            if flags & COUNTED and y < least:
                # Tokens of a long text do not add up.
                return mask, y
        return (mask,)

    def _scanned(self, node: int) -> Needs:
        """The needs of a node's tokens."""
        tokens, numbers, refs = self._scan(node)
        needs = np.array([self.needs(ref) for ref in refs.tolist()], np.int32)
        needs = np.where(needs >= NONE, NONE, needs - self._base(node)).astype(np.int32)
        levels, level = np.unique(needs, return_inverse=True)
        # PERF: numbers of 16 bits are sorted four times as fast as those of 32, and there are few levels.
        of_tokens = level.reshape(-1).astype(np.uint16 if len(levels) < 1 << 16 else np.int32)[numbers]
        order = np.argsort(of_tokens, kind="stable")
        return Needs(tokens[order], levels[of_tokens[order]])

    def _scan(self, node: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(tokens, number of the configuration that each leads to, configurations by number)."""
        n = _NUMBERS
        path = np.zeros(self.vocabulary.max_token_bytes + 1, np.int32)
        steps = np.zeros((len(self.vocabulary.tokens), 2), np.int32)
        while True:
            scan = np.zeros(SCAN_WIDTH, np.int64)
            scan[S_FROM] = node
            moves, numbered = np.zeros((n, 256), np.int32), np.zeros(n, np.int32)
            arrays = scan, moves, numbered, np.zeros(4 * n, np.int32), path, steps
            if self.machine.run(lambda: scan_tokens(self.machine.address, *arrays)) != WANTS_NUMBERS:  # noqa: B023
                break
            n *= 4
        found = steps[: int(scan[S_TOKENS])]
        used = np.zeros(int(scan[S_NUMBERS]), np.int32)
        used[found[:, 1]] = 1
        number = np.cumsum(used, dtype=np.int32) - 1
        return found[:, 0].copy(), number[found[:, 1]], numbered[: len(used)][used == 1]

    def _narrowed(self, node: int, left: int) -> np.ndarray:
        """The tokens of a node after which it can be completed with so many left, the token included."""
        spare = left - 1 - self._base(node)
        key = (spare, *self._context(node))
        known = self.memo.masks
        if key not in known:
            needs = self._needs_of(node)
            words = self._empty()
            self._add(words, needs.tokens[: int(np.searchsorted(needs.needed, min(spare, NONE - 1), side="right"))])
            while len(known) >= _KEPT:
                del known[next(iter(known))]
            known[key] = words
        return known[key]

    def _empty(self) -> np.ndarray:
        return np.zeros((self.vocabulary.size + 31) // 32, np.int32)

    def _add(self, words: np.ndarray, tokens: object) -> None:
        """Sets the bits of some tokens."""
        bits = np.zeros(32 * len(words), bool)
        bits[np.asarray(tokens, np.int64)] = True
        words |= np.packbits(bits, bitorder="little").view(np.int32)
