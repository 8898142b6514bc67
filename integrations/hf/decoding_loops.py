"""Which of transformers' loops is calling.

Nothing in a processor's arguments tells, so these look at the stack; both are asked rarely: after a refused token, and
when a generation begins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

from transformers.generation.candidate_generator import AssistedCandidateGeneratorDifferentTokenizers

__all__ = ["drafts_in_another_vocabulary", "shows_loose_prefixes"]

# Loops of transformers that show processors prefixes which are not, or not yet, part of a text: beams of probability
# zero, drafts that are verified afterwards. Everywhere else a refused token has really been chosen.
_WITH_LOOSE_PREFIXES = frozenset({"_beam_search", "_assisted_decoding"})


def shows_loose_prefixes() -> bool:
    """Whether the innermost loop shows prefixes that need not be part of a text."""
    loops = {*_WITH_LOOSE_PREFIXES, "_sample"}
    innermost = next((frame.f_code.co_name for frame in _callers() if frame.f_code.co_name in loops), None)
    return innermost in _WITH_LOOSE_PREFIXES


def drafts_in_another_vocabulary() -> bool:
    """Whether an assistant with a tokenizer of its own is generating."""
    drafters = (f.f_locals.get("self") for f in _callers() if f.f_code.co_name == "get_candidates")
    return any(isinstance(drafter, AssistedCandidateGeneratorDifferentTokenizers) for drafter in drafters)


def _callers() -> Iterator[FrameType]:
    """The frames on the stack, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
