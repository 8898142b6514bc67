"""The error of every place where people decode: the grammar and something else that shapes the scores disagree."""

from __future__ import annotations

from ..automata.errors import BridleError

__all__ = ["ConflictError"]


class ConflictError(BridleError):
    """The grammar and another logits processor leave no token, or the other had its way. `row`: of a batch."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message, row)
        self.message, self.row = message, row

    def __str__(self) -> str:
        return self.message if self.row is None else f"row {self.row}: {self.message}"
