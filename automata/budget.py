"""Counted budgets of the regular-language algebra, and what one compile has spent of them.

Counts, never times: the outcome is the same on every machine and, since memoised results are charged at their full
price, after every history.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import LimitError

__all__ = ["DEFAULT_LIMITS", "Budget", "RegularLimits"]


@dataclass(frozen=True, slots=True)
class RegularLimits:
    """What one compile of a regular language may use, summed over its intermediate automata.

    nfa_size: states plus edges after repetition is unrolled; dfa_states: states before minimisation, 1 KiB each at most
    while the compile lasts; steps: visits of NFA states, about 5 ns each; depth: nesting of the expression.
    """

    nfa_size: int = 400_000
    dfa_states: int = 100_000
    steps: int = 20_000_000
    depth: int = 200


DEFAULT_LIMITS = RegularLimits()


class Budget:
    """What is left of a RegularLimits; spending more raises LimitError."""

    __slots__ = ("limits", "spent")

    def __init__(self, limits: RegularLimits) -> None:
        self.limits = limits
        self.spent = {"nfa_size": 0, "dfa_states": 0, "steps": 0}

    def left(self, name: str) -> int:
        return getattr(self.limits, name) - self.spent[name]

    def spend(self, name: str, amount: int) -> None:
        self.spent[name] += amount
        if self.spent[name] > getattr(self.limits, name):
            raise LimitError(name, self.spent[name], getattr(self.limits, name))

    def spend_if_left(self, amounts: dict[str, int]) -> bool:
        """Spends all of it, or nothing and returns False."""
        if any(amount > self.left(name) for name, amount in amounts.items()):
            return False
        for name, amount in amounts.items():
            self.spent[name] += amount
        return True
