"""The temperature of a grammar's part in the place of the call's, which engines divide scores by behind the mask.

So masked scores are multiplied by the ratio of the two. A part's temperature next to 0 is 0: the best token alone is
left.
"""

from __future__ import annotations

from ..automata.matcher import Matcher
from ..automata.temperature import heat_factor

__all__ = ["LEAST_TEMPERATURE", "score_factor"]

LEAST_TEMPERATURE = 1e-5  # less is greedy, as it is in vLLM


def score_factor(matcher: Matcher, temperature: float) -> float | None:
    """What masked scores are multiplied by for the part's temperature to hold once they are divided by `temperature`,
    that of the call; 0 where the best is to be left alone, None where there is nothing to do.

    To be asked when the mask is made. Raises LimitError: what a mask has looked at need not be all that this has to.
    """
    if not matcher.may_have_temperature:
        return None
    wanted = matcher.temperature()
    if wanted is None or wanted == temperature:
        return None
    return heat_factor(temperature, wanted) if wanted >= LEAST_TEMPERATURE else 0.0
