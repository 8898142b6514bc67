"""What proposes tokens: the protocol of draft sources, which a user can add to.

A source is what lives as long as its user likes (a trie of past answers, documents, a small model); `begin` gives it a
text, and what it returns proposes for that text and is told how it went on. Nothing that a source says can change a
text: what it proposes is verified. A source that proposes badly costs time, and soon is asked less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..automata.compiled import Compiled
from ..automata.matcher import Matcher
from .draft_tree import DraftTree

__all__ = ["DraftContext", "DraftSource", "DraftStream", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """A text that is about to be generated.

    prompt : int32[n], its tokens. compiled : its grammar, None without one. encode : text -> ids as the model's
    tokenizer writes it, without special tokens; None where no tokenizer is known. unspaced : int32[tokens], for each
    token the one that spells the same without a space in front (itself where there is none); None where it is not known
    what tokens spell.
    """

    prompt: npt.NDArray[np.int32]
    compiled: Compiled | None = None
    encode: Callable[[str], list[int]] | None = None
    unspaced: npt.NDArray[np.int32] | None = None


@dataclass(slots=True)
class DraftContext:
    """Where a text stands.

    tokens : int32[n], prompt and output so far, a view that is only good during the call. prompt_length : how many of
    them are the prompt. matcher : the grammar's state after them, not to be moved (fork it); None without a grammar.
    hidden : the model's last hidden state at the token before the last, [width], if a source `wants_hidden`; else None.
    """

    tokens: npt.NDArray[np.int32]
    prompt_length: int
    matcher: Matcher | None = None
    hidden: Any = None


class DraftStream(Protocol):
    """A source at work on one text."""

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        """Continuations of the text, at most `budget` nodes; scores are probabilities given the parent."""

    def observe(self, tokens: Sequence[int]) -> None:
        """The tokens that the text went on with since the last call; none of them comes twice."""

    def end(self) -> None:
        """The text is finished, or given up."""


class DraftSource(Protocol):
    """See the module. name : for statistics."""

    name: str

    def begin(self, request: Request) -> DraftStream:
        """A stream for one text."""
