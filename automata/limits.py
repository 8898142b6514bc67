"""The budgets of a compiled grammar."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Counted budgets of a compiled grammar; what they bound is the same on every machine and after every history.

    states : states of one machine. One fill or step that needs more than that raises LimitError.
    memory : bytes of one machine's tables; beyond it the grammar starts a new one (nothing is lost but time). When the
        texts in progress alone need more, they get it, up to sixteen times as much; then LimitError.
    """

    states: int = 1_000_000
    memory: int = 64 << 20
