"""Binary decision diagrams whose variables may come in chains, each implied by the one before.

A diagram is a Boolean function of variables, made so that equal functions are one node: LTLf's states are such
functions of what must hold later. Many of those imply each other, F[<=2] a and F[<=3] a, and as free variables they
would tell apart exponentially many states that mean the same. So a variable is a pair (chain, rank), where one of a
chain implies all of greater rank, and diagrams are canonical up to these implications:

- where a variable is true, those implied by it are not asked about: its true branch holds none of its chain,
- where asking a variable and then the next of its chain leads to the same on `true`, only the latter is asked.

A chain is thus read like an integer, the least rank that is true, of which each maximal interval with one outcome is
tested once; chains of one variable are ordinary variables.

INVARIANT: 0 is false and 1 is true; along every path, variables increase; equal functions (given the implications) are
one node. Nodes are only ever added.
Cost: 2 to 5 us per node of a result; memos hold what was computed. Beyond `allowed` nodes, LimitError.

Source: Bryant 1986, "Graph-based algorithms for Boolean function manipulation"; for the chains, the reduction rule of
multi-valued diagrams (Srinivasan et al. 1990) read over thresholds. Tested by: truth tables
(tests/test_decision_diagrams.py).
"""

from __future__ import annotations

import sys
from typing import TypeAlias

from ..automata.errors import LimitError

__all__ = ["FALSE", "TRUE", "Diagrams", "Variable"]

FALSE, TRUE = 0, 1

# Its chain, and its rank in it: true implies that all of greater rank in the chain are true.
Variable: TypeAlias = tuple[int, int]
_CONSTANT: Variable = (sys.maxsize, 0)  # behind all variables


class Diagrams:
    """The nodes made so far.

    variable, high, low : per node, what it asks about and where it leads if that is true, or not
    """

    __slots__ = ("_choices", "_nodes", "allowed", "high", "low", "variable")

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.variable: list[Variable] = [_CONSTANT, _CONSTANT]
        self.high, self.low = [0, 1], [0, 1]
        self._nodes: dict[tuple[Variable, int, int], int] = {}
        self._choices: dict[tuple[int, int, int], int] = {}

    def of(self, variable: Variable) -> int:
        """The function that is one variable."""
        return self._node(variable, TRUE, FALSE)

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        """The function that is `then` where the condition is true, and `otherwise` where it is not."""
        if condition == TRUE or then == otherwise:
            return then
        if condition == FALSE:
            return otherwise
        if then == TRUE and otherwise == FALSE:
            return condition
        key = (condition, then, otherwise)
        found = self._choices.get(key)
        if found is None:
            top = min(self.variable[condition], self.variable[then], self.variable[otherwise])
            highs, lows = zip(*(self._branches(node, top) for node in key))
            found = self._choices[key] = self._node(top, self.choose(*highs), self.choose(*lows))
        return found

    def negation(self, node: int) -> int:
        return self.choose(node, FALSE, TRUE)

    def both(self, left: int, right: int) -> int:
        return self.choose(left, right, FALSE)

    def either(self, left: int, right: int) -> int:
        return self.choose(left, TRUE, right)

    def _branches(self, node: int, variable: Variable) -> tuple[int, int]:
        """A function where a variable (none of its own comes before it) is true, and where it is not."""
        own = self.variable[node]
        if own == variable:
            return self.high[node], self.low[node]
        # One of greater rank in the chain is implied.
        return (self.high[node] if own[0] == variable[0] else node), node

    def _node(self, variable: Variable, high: int, low: int) -> int:
        if high == low or (self.variable[low][0] == variable[0] and self.high[low] == high):
            return low
        key = (variable, high, low)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = len(self.variable)
            if found >= self.allowed:
                raise LimitError("nodes of decision diagrams", found + 1, self.allowed)
            self.variable.append(variable)
            self.high.append(high)
            self.low.append(low)
        return found
