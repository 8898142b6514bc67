"""A request's text within the tokens that the request may write: it is complete when they are spent.

PERF: masks within a budget (token_budget.py) ask what each token leads to, 0.2 to 1 ms for what is new, forty times as
much as masks by themselves (bench/vllm_backends.py). So a text gets its budget no sooner than twice the tokens that
would close it are left, and some more; whether they are is looked at again and again on the way there. That one token
opens what takes more than all that is left to close is possible, and not seen; a request that asks for its budget
(`"budget": true`) has it from the start, and is closed in any case.
"""

from __future__ import annotations

import copy

from vllm.logger import init_logger

from ...automata.errors import LimitError
from ...automata.matcher import Matcher

__all__ = ["BudgetedText"]

logger = init_logger("vllm.plugins.bridle")

# A budget need not be asked while more tokens are left over: one token may open what takes so many to close; and of
# many in a row, each what takes one less than _OPENED.
_NEAR, _OPENED = 64, 8


class BudgetedText:
    """See the module. tokens : accepted so far. Its matcher is `current()`.

    start : a matcher where it begins, which is not moved. at_once : it has its budget from the start, and even if
    finding out how to close it takes long (`Matcher.closes_slowly`). name : of the request, for the log.
    """

    __slots__ = ("_allotted", "_at_once", "_looked_at", "_looks_at", "_matcher", "_name", "_start", "tokens")

    def __init__(self, start: Matcher, *, at_once: bool = False, name: str = "a request") -> None:
        self._start, self._at_once, self._name = start, at_once, name
        self._matcher = start.fork()
        self._allotted: int | None = None  # when it began
        self._looks_at = 0  # tokens that are left when the budget is looked at next
        self._looked_at: tuple[int, ...] = ()  # and were left when it was looked at
        self.tokens = 0

    @property
    def start(self) -> Matcher:
        """Where it begins; not to be moved."""
        return self._start

    def allot(self, tokens: int, *, or_least: bool = False) -> None:
        """Of a text without tokens: it may have so many, a stop token included.

        Where no text is so short it has no budget, or, with `or_least`, that of the shortest.
        """
        assert self.tokens == 0, "a text is allotted its tokens where it begins"
        if tokens != self._allotted:
            self._allotted, self._looked_at = tokens, ()
            self._ration(self._start, or_least=or_least)

    def _ration(self, at: Matcher, *, or_least: bool = False) -> None:
        """Goes on from where a matcher is: with the tokens that are left as its budget, if they may soon be too few;
        without one where no text is so short, or that takes long to tell."""
        assert self._allotted is not None
        left = self._allotted - self.tokens
        self._matcher, self._looks_at = at.fork(), 0
        self._looked_at += (left,)
        try:
            enough = None if self._at_once else at.closing_tokens()
            over = 0 if enough is None else left - 2 * enough - _NEAR
            if over > 0:
                self._looks_at = left - over // _OPENED - 1
                return
            if not self._at_once and (enough is None or (enough > 2 * left and not or_least)):
                return  # PERF: nothing to search for: parts cut each for itself are hardly twice as many tokens
            matcher = at.fork()
            allotted = max(left, at.least_tokens()) if or_least else left
            matcher.allot(allotted, warn=False)
            if self._at_once or (not matcher.closes_slowly and matcher.least_tokens() <= allotted):
                self._matcher = matcher
        except (LimitError, ValueError) as error:  # ValueError: nothing is left
            logger.debug("%s: %s; it is decoded without a budget", self._name, error)

    def current(self) -> Matcher:
        """The matcher, for masks and questions; it is moved by `accept` and `rollback` alone."""
        if self._allotted is not None and self._allotted - self.tokens <= self._looks_at:
            self._ration(self._matcher)
        return self._matcher

    def is_terminated(self) -> bool:
        """Whether a stop token has ended it."""
        return self._matcher.is_terminated()

    def accept(self, token: int) -> bool:
        """One token. False leaves all as it was."""
        if not self.current().accept_token(token):
            return False
        self.tokens += 1
        return True

    def rollback(self, tokens: int) -> None:
        """Takes back the last tokens."""
        self._matcher.rollback(tokens)
        self.tokens -= tokens
        if self._allotted is None:
            return
        left = self._allotted - self.tokens
        while self._looked_at and self._looked_at[-1] < left:  # what came of a look at a draft has gone with it
            self._looks_at, self._looked_at = self._looked_at[-1], self._looked_at[:-1]

    def fork(self) -> BudgetedText:
        """An independent text in the same state."""
        twin = copy.copy(self)
        twin._matcher = self._matcher.fork()
        return twin

    def reset(self) -> None:
        """Back to where it begins, without a budget."""
        self._matcher, self._allotted, self._looked_at, self.tokens = self._start.fork(), None, (), 0
