"""What is said wherever people decode when the grammar and something else that shapes the scores disagree."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..automata.bitmask_rows import tokens_in
from ..automata.errors import BridleError
from ..automata.matcher import Matcher

__all__ = ["ConflictError", "allowed_alone", "chosen_against", "refusal"]


class ConflictError(BridleError):
    """The grammar and another logits processor leave no token, or the other had its way. `row`: of a batch."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message, row)
        self.message, self.row = message, row

    def __str__(self) -> str:
        return self.message if self.row is None else f"row {self.row}: {self.message}"


def allowed_alone(mask: npt.NDArray[Any], matcher: Matcher) -> str:
    """That only these tokens are allowed, int32[words], by the grammar of a matcher: where they are forbidden."""
    allowed = tokens_in(mask).tolist()
    shown = ", ".join(map(str, allowed[:8])) + (", …" if len(allowed) > 8 else "")
    stops = matcher.compiled.vocabulary.stop_token_ids
    hint = "; the text is complete and only a stop token can follow" if set(allowed) <= set(stops) else ""
    return f"the grammar allows only {len(allowed)} tokens here ({shown}){hint}"


def chosen_against(token: int) -> str:
    """That a token was chosen which no mask has let through."""
    return (
        f"token {token} was chosen where the grammar forbids it: another logits processor, running behind the "
        "grammar's, has left none of the allowed tokens or forced this one. Put the grammar's processor last"
    )


def refusal(matcher: Matcher, token: int) -> str:
    """Why a token that came all the same is not allowed where a matcher is."""
    try:
        rejection = matcher.explain(token)
    except BridleError:  # a refusal that cannot be explained is one all the same
        rejection = None
    reason = "it may not come here" if rejection is None else rejection.reason
    expected = f"; expected {', '.join(rejection.expected[:8])}" if rejection and rejection.expected else ""
    return f"token {token} is not allowed behind {matcher.text()[-80:]!r}: {reason}{expected}"
