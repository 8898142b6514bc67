"""A draft: several continuations of a text as one tree of tokens, in flat arrays.

    tokens : int32[n]     what each node proposes
    parent : int32[n]     the node that it follows; -1: it follows the text itself. parent[i] < i
    score  : float32[n]   how likely the token is, given that its parent is right: 0 to 1, as its source believes
    source : int8[n]      which source has proposed it (its number in the Drafter)

INVARIANT: parents come before children, so one pass in index order sees every path from its beginning.
Flat arrays because everything that is done with a draft (merging, attention masks, following the accepted path) is a
pass over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..automata.kernel import compile_all
from .draft_kernels import append_tree

__all__ = ["NO_DRAFT", "DraftTree", "joined", "right_tokens"]

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class DraftTree:
    """See the module; equal children of one node may occur more than once until trees are merged."""

    tokens: Ints
    parent: Ints
    score: npt.NDArray[np.float32]
    source: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def of(cls, tokens: Sequence[int], parent: Sequence[int], score: Sequence[float], source: int = 0) -> DraftTree:
        """A tree from lists; `source` numbers all of its nodes."""
        n = len(tokens)
        return cls(
            np.array(tokens, np.int32).reshape(n),
            np.array(parent, np.int32).reshape(n),
            np.array(score, np.float32).reshape(n),
            np.full(n, source, np.int8),
        )

    def verify(self) -> None:
        """Raises ValueError for arrays that are no tree."""
        n = len(self.tokens)
        if not len(self.parent) == len(self.score) == len(self.source) == n:
            raise ValueError(f"the arrays of a draft differ in length: {n} tokens, {len(self.parent)} parents, "
                             f"{len(self.score)} scores, {len(self.source)} sources")  # fmt: skip
        if n and not ((self.parent >= -1) & (self.parent < np.arange(n))).all():
            raise ValueError("a node of a draft comes before its parent, or follows one that is not there")
        if n and not ((self.score >= 0) & (self.score <= 1)).all():
            raise ValueError("a score of a draft is a probability, given the node's parent: from 0 to 1")

    def depths(self) -> Ints:
        """int32[n]: how many tokens come before each node within the draft."""
        depth = np.zeros(len(self), np.int32)
        for i, above in enumerate(self.parent.tolist()):
            if above >= 0:
                depth[i] = depth[above] + 1
        return depth

    def children(self) -> list[dict[int, int]]:
        """For the text (index 0) and each node (index i + 1): token -> node."""
        below: list[dict[int, int]] = [{} for _ in range(len(self) + 1)]
        for i, (token, above) in enumerate(zip(self.tokens.tolist(), self.parent.tolist(), strict=True)):
            below[above + 1].setdefault(token, i)
        return below


NO_DRAFT = DraftTree.of([], [], [])


def joined(trees: Sequence[DraftTree], sources: Sequence[int]) -> DraftTree:
    """All trees one after the other, equal branches not merged. sources : the number of each tree's source."""
    compile_all()
    n, room = 0, sum(map(len, trees))
    out = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.int8)
    for tree, source in zip(trees, sources, strict=True):
        n = append_tree(tree.tokens, tree.parent, tree.score, source, n, *out)
    return DraftTree(*out)


def right_tokens(drafted: Sequence[int], came: Sequence[int]) -> int:
    """How many tokens of a drafted run, from its first on, are those that came."""
    right = 0
    while right < min(len(drafted), len(came)) and drafted[right] == came[right]:
        right += 1
    return right
