"""How often which tokens followed which: a trie of n-grams with counts.

Lookahead's trie (Zhao et al., "Lookahead: An Inference Acceleration Framework for LLMs", 2024): every place of a text
puts the next `depth` tokens under the root, so the trie holds all n-grams up to that length; here each is counted as
soon as its last token is there. A text's last tokens, found from the root, lead to what has followed them; longer
contexts first. When more than `capacity` nodes are in use, counts are halved and what was seen once is dropped, until
three quarters are left.

INVARIANT: a node's count is at least that of each of its children.
Cost: 12 bytes a node and 16 for its place in the index; 30 ns to add a node, some us to draft from one.
Rejected: a dictionary of dictionaries, as the paper's program has: 100 times the memory, and the garbage collector
walks it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..automata.kernel import compile_all
from .draft_tree import NO_DRAFT, DraftTree
from .trie_kernels import extend_paths, find_path, index_nodes, keep_frequent, likely_after

__all__ = ["FrequencyTrie", "drafted"]

_FIRST = 1 << 10
Ints = npt.NDArray[np.int32]


class FrequencyTrie:
    """N-grams with counts. depth : of the longest; capacity : nodes. Belongs to one thread at a time."""

    def __init__(self, depth: int = 12, capacity: int = 1 << 20) -> None:
        if depth < 2 or capacity < depth:
            raise ValueError(f"a trie needs a depth of 2 at least and a capacity above it, not {depth} and {capacity}")
        self.depth, self.capacity = depth, capacity
        self._evictions = 0
        self._make(_FIRST)

    def _make(self, room: int) -> None:
        self._nodes = np.zeros((room, 3), np.int32)
        self._parents = np.zeros(room, np.int32)
        self._counts = np.zeros(room, np.float32)
        self._index = np.zeros(2 * room, np.int32)
        self.used = 1

    def __len__(self) -> int:
        """Nodes in use."""
        return self.used - 1

    def begin(self) -> Ints:
        """int32[depth + 1]: where a text that begins is in the trie, for `extend`; last, the number of evictions."""
        ends = np.full(self.depth + 1, -1, np.int32)
        ends[0], ends[-1] = 0, self._evictions
        return ends

    def extend(self, ends: Ints, tokens: npt.ArrayLike, weight: float = 1.0) -> None:
        """Counts what the next tokens of a text complete. ends : as `begin` made it for this text; moved on."""
        compile_all()
        array = np.ascontiguousarray(tokens, np.int32)
        # A part at a time, so that what one may add never is more than a quarter of the capacity.
        part = max(1, self.capacity // 4 // self.depth)
        for at in range(0, len(array), part):
            if self.used > self.capacity:
                self._forget()
            if ends[-1] != self._evictions:  # nodes have other numbers now
                ends[:] = self.begin()
            piece = array[at : at + part]
            self._reserve(len(piece) * self.depth)
            self.used = int(
                extend_paths(
                    piece, ends[:-1], weight, self._nodes, self._parents, self._counts, self._index, self.used
                )
            )  # fmt: skip

    def add(self, tokens: npt.ArrayLike, weight: float = 1.0) -> None:
        """Counts all n-grams of a text."""
        self.extend(self.begin(), tokens, weight)

    def _reserve(self, more: int) -> None:
        needed = self.used + more
        if needed <= len(self._nodes):
            return
        old, room = (self._nodes, self._parents, self._counts), max(2 * len(self._nodes), needed)
        room = 1 << (room - 1).bit_length()
        used = self.used
        self._make(room)
        self._nodes[:used], self._parents[:used], self._counts[:used] = (array[:used] for array in old)
        self.used = used
        index_nodes(self._nodes, self._parents, self._index, used)

    def _forget(self) -> None:
        """Halves counts and drops what was seen once, until three quarters of the capacity are left."""
        while self.used > 3 * self.capacity // 4:
            nodes, parents = np.zeros_like(self._nodes), np.zeros_like(self._parents)
            counts = np.zeros_like(self._counts)
            self.used = int(
                keep_frequent(self._nodes, self._parents, self._counts, self.used, 1.0, nodes, parents, counts)
            )
            self._nodes, self._parents, self._counts = nodes, parents, counts
        self._evictions += 1
        self._index[:] = 0
        index_nodes(self._nodes, self._parents, self._index, self.used)

    def count(self, tokens: Ints) -> float:
        """How often an n-gram was seen (halved at each eviction since)."""
        compile_all()
        tokens = np.ascontiguousarray(tokens, np.int32)
        node = find_path(self._nodes, self._parents, self._index, tokens) if len(tokens) else 0
        return float(self._counts[node]) if node > 0 else 0.0

    def draft(self, tokens: Ints, budget: int, longest: int = 6) -> DraftTree:
        """What has followed the end of a text: its last `longest` tokens first, then fewer, until the budget is spent.

        A score is the share of the token among those seen there, less a doubt that halves with each token of context.
        """
        return drafted([(self, budget)], tokens, longest)


def drafted(tries: Sequence[tuple[FrequencyTrie, int]], tokens: Ints, longest: int = 6) -> DraftTree:
    """The drafts of several tries one after the other, each within its budget of nodes; see FrequencyTrie.draft."""
    compile_all()
    room = sum(budget for _, budget in tries)
    out_tokens, out_parent, out_score = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    n = 0
    for trie, budget in tries:
        most, end = min(longest, trie.depth - 1, len(tokens)), n + budget
        out = out_tokens[:end], out_parent[:end], out_score[:end]
        n = int(likely_after(trie._nodes, trie._parents, trie._counts, trie._index, tokens, most, *out, n))
    if not n:
        return NO_DRAFT
    return DraftTree(out_tokens[:n], out_parent[:n], out_score[:n], np.zeros(n, np.int8))
