"""The prefix tree of a vocabulary's tokens, laid flat in depth-first preorder.

Idea. A mask asks which of 128,000 tokens a state lets through. Tokens that share a beginning share the answer to it, so
the tokens are hung into a tree of bytes, and the tree into arrays in the order of a depth-first walk: the walk becomes
a scan over consecutive memory, and a byte that the grammar refuses is a jump to `subtree_end`.

         node     0    1    2    3    4    5          tokens: 7 "a", 2 "ab", 9 "ab" (again), 0 "ad", 4 "b"
         byte     -   'a'  'b'  'd'  'b'
         depth    0    1    2    2    1
         subtree_end   5    4    3    4    5          all of node i's subtree is [i, subtree_end[i])
         token_first   0    0    1    3    4    5     node 2 has token_ids[1:3] = 2, 9
         token_ids     7    2    9    0    4          and the subtree of node 1 token_ids[0:4]

INVARIANT: preorder, siblings by ascending byte. So the nodes are in the lexicographic order of their byte strings, the
first child of node i is i+1, and the next sibling of node i is subtree_end[i].
INVARIANT: every leaf has a token; ids at one node ascend; a token of no bytes is at no node (the root has none).
`verify` checks all of it, with BRIDLE_VERIFY=1 whenever a tree is made or read.

Building. NumPy alone, no kernel, as a JIT's first second would cost more than the whole: tokens are sorted by their
first eight bytes as one integer, ties by the next eight, and so on, each round over fewer tokens; from the sorted
strings and the lengths of the prefixes that neighbours share, the nodes follow by counting, the links depth by depth.

Cost, Llama-3's 128,000 tokens: 18 ms to sort, 30 for the arrays, 275,000 nodes, 7.6 MB. From disk: 6 ms.
Rejected: Python's sort with a loop over the tokens (0.4 s); a trie of hash tables (pointer chasing, ten times the
memory); a minimal automaton of the suffixes (a fifth of the nodes, but its tokens are not contiguous ranges).

Source: the flat layout is that of llguidance's toktrie; the sort is multikey quicksort's idea (Bentley and Sedgewick
1997) with eight bytes per round.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .cache_dir import read_sealed, write_sealed

__all__ = ["TokenTrie"]

_VERSION = 1  # of the arrays' meaning; a file of another version is another file

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class TokenTrie:
    """The flat tree. All arrays are read-only and contiguous; n nodes, node 0 is the root.

    byte : uint8[n], `byte[i]` = the last byte of node i's path, 0 at the root
    parent : int32[n], -1 at the root
    depth : int32[n], `depth[i]` = number of bytes on node i's path
    subtree_end : int32[n], node i's subtree is the nodes [i, subtree_end[i])
    token_first : int32[n + 1], the tokens at node i are token_ids[token_first[i]:token_first[i + 1]]
    token_ids : int32[tokens of at least one byte]
    child_first : int32[n + 1], the children of node i are child_node[child_first[i]:child_first[i + 1]]
    child_byte : uint8[n - 1], `child_byte[j]` = byte[child_node[j]], ascending within a node's children
    child_node : int32[n - 1]
    """

    byte: Uint8
    parent: Int32
    depth: Int32
    subtree_end: Int32
    token_first: Int32
    token_ids: Int32
    child_first: Int32
    child_byte: Uint8
    child_node: Int32

    def __post_init__(self) -> None:
        for name in _DTYPES:
            getattr(self, name).setflags(write=False)

    @property
    def n_nodes(self) -> int:
        return len(self.byte)

    def find(self, data: bytes) -> int:
        """The node of this byte string, or -1 where no token begins with it. O(len(data) log 256)."""
        node = 0
        for value in data:
            first, last = self.child_first[node], self.child_first[node + 1]
            at = first + np.searchsorted(self.child_byte[first:last], value)
            if at == last or self.child_byte[at] != value:
                return -1
            node = int(self.child_node[at])
        return node

    def tokens_at(self, node: int) -> Int32:
        """int32[k]: the ids of the tokens whose bytes are this node's path, ascending."""
        return self.token_ids[self.token_first[node] : self.token_first[node + 1]]

    def tokens_below(self, node: int) -> Int32:
        """int32[k]: the ids of the tokens that begin with this node's path, in lexicographic order."""
        return self.token_ids[self.token_first[node] : self.token_first[self.subtree_end[node]]]

    @classmethod
    def build(cls, token_bytes: Uint8, token_offsets: Int32) -> TokenTrie:
        """The tree of the tokens `token_bytes[token_offsets[t]:token_offsets[t + 1]]`, without those of no bytes."""
        tokens = _Tokens(token_bytes, token_offsets)
        order = _sorted_tokens(tokens)
        shared = _shared_prefixes(tokens, order)
        length = tokens.length[order]
        # A string that is its predecessor again ends at the same node; every other one makes length - shared nodes.
        first = np.flatnonzero(shared < length)
        fresh = (length - shared)[first]
        n = int(fresh.sum()) + 1
        start = np.cumsum(fresh) - fresh + 1

        maker = np.repeat(np.arange(len(first)), fresh)
        depth = np.zeros(n, np.int32)
        depth[1:] = shared[first][maker] + 1 + np.arange(1, n) - start[maker]
        byte = np.zeros(n, np.uint8)
        byte[1:] = token_bytes[tokens.offset[order[first]][maker] + depth[1:] - 1]
        token_first = np.zeros(n + 1, np.int32)
        token_first[start + fresh] = np.diff(np.append(first, len(order)))
        np.cumsum(token_first, out=token_first)

        parent, subtree_end = _links(depth)
        child_first = np.zeros(n + 1, np.int32)
        np.cumsum(np.bincount(parent[1:], minlength=n), out=child_first[1:])
        child_node = (np.argsort(parent[1:], kind="stable") + 1).astype(np.int32)
        trie = cls(
            byte=byte,
            parent=parent,
            depth=depth,
            subtree_end=subtree_end,
            token_first=token_first,
            token_ids=order.astype(np.int32),
            child_first=child_first,
            child_byte=byte[child_node],
            child_node=child_node,
        )
        if os.environ.get("BRIDLE_VERIFY"):
            trie.verify(token_bytes, token_offsets)
        return trie

    @classmethod
    def load_or_build(cls, fingerprint: str, token_bytes: Uint8, token_offsets: Int32) -> TokenTrie:
        """The tree of these tokens, from the disk where it is kept, else built and kept there.

        `fingerprint` stands for the tokens' content: equal fingerprints are equal tokens.
        """
        name, kind = f"vocabularies/{fingerprint}.{_VERSION}.trie", f"token trie {_VERSION} {fingerprint}"
        arrays = read_sealed(name, kind)
        if arrays is not None and _is_plausible(arrays, token_offsets):
            trie = cls(**arrays)
            if os.environ.get("BRIDLE_VERIFY"):
                trie.verify(token_bytes, token_offsets)
            return trie
        trie = cls.build(token_bytes, token_offsets)
        write_sealed(name, kind, {name: getattr(trie, name) for name in _DTYPES})
        return trie

    def verify(self, token_bytes: Uint8 | None = None, token_offsets: Int32 | None = None) -> None:
        """Raises AssertionError where an invariant of this page does not hold; given the tokens, that it is theirs."""
        n = self.n_nodes
        for name, dtype in _DTYPES.items():
            array = getattr(self, name)
            assert array.dtype == dtype and array.flags.c_contiguous and not array.flags.writeable, name
        assert len(self.parent) == len(self.depth) == len(self.subtree_end) == n >= 1
        assert len(self.child_byte) == len(self.child_node) == n - 1
        assert (self.byte[0], self.parent[0], self.depth[0], self.subtree_end[0]) == (0, -1, 0, n), "root"
        nodes, parent = np.arange(n, dtype=np.int32), self.parent[1:]
        assert ((parent >= 0) & (parent < nodes[1:])).all(), "a parent comes before its children"
        assert (self.depth[1:] == self.depth[parent] + 1).all(), "depth"
        self._verify_children(nodes)
        self._verify_tokens(nodes)
        if token_bytes is not None and token_offsets is not None:
            self._verify_spelling(token_bytes, token_offsets)

    def _verify_children(self, nodes: Int32) -> None:
        n, first, child = self.n_nodes, self.child_first, self.child_node
        _verify_rows(first, n, n - 1, "child_first")
        assert np.array_equal(np.sort(child), nodes[1:]), "every node but the root is a child, once"
        assert np.array_equal(self.parent[child], np.repeat(nodes, np.diff(first))), "children are their parent's"
        assert np.array_equal(self.child_byte, self.byte[child]), "child_byte"
        inner = np.flatnonzero(np.diff(first))
        assert (child[first[inner]] == inner + 1).all(), "the first child follows its parent"
        assert np.array_equal(self.subtree_end[child[first[inner + 1] - 1]], self.subtree_end[inner]), "last child"
        leaf = np.flatnonzero(np.diff(first) == 0)
        assert (self.subtree_end[leaf] == leaf + 1).all(), "a leaf is its own subtree"
        siblings = np.flatnonzero(self.parent[child[1:]] == self.parent[child[:-1]])
        assert (child[siblings + 1] == self.subtree_end[child[siblings]]).all(), "siblings are adjacent subtrees"
        assert (self.child_byte[siblings + 1] > self.child_byte[siblings]).all(), "siblings by ascending byte"

    def _verify_tokens(self, nodes: Int32) -> None:
        first, ids = self.token_first, self.token_ids
        _verify_rows(first, self.n_nodes, len(ids), "token_first")
        assert first[1] == 0, "the root has no token"
        assert len(np.unique(ids)) == len(ids) and (len(ids) == 0 or ids.min() >= 0), "a token is at one node"
        leaf = nodes[1:][np.diff(self.child_first)[1:] == 0]
        assert (first[leaf + 1] > first[leaf]).all(), "every leaf has a token"
        node = np.repeat(nodes, np.diff(first))
        assert ((ids[1:] > ids[:-1]) | (node[1:] != node[:-1])).all(), "ids at one node ascend"

    def _verify_spelling(self, token_bytes: Uint8, token_offsets: Int32) -> None:
        length = np.diff(token_offsets)
        assert np.array_equal(np.sort(self.token_ids), np.flatnonzero(length)), "every token of some bytes is in"
        node = np.repeat(np.arange(self.n_nodes), np.diff(self.token_first))
        ids = self.token_ids
        assert np.array_equal(self.depth[node], length[ids]), "a token's node is as deep as the token is long"
        while len(node):
            spelled = token_bytes[token_offsets[ids] + self.depth[node] - 1]
            assert np.array_equal(self.byte[node], spelled), "a path spells its tokens"
            above = self.parent[node]
            ids, node = ids[above > 0], above[above > 0]


_DTYPES = {f.name: np.dtype(np.uint8 if f.name in ("byte", "child_byte") else np.int32) for f in fields(TokenTrie)}


def _verify_rows(first: Int32, n_rows: int, n_items: int, name: str) -> None:
    assert len(first) == n_rows + 1 and first[0] == 0 and first[-1] == n_items, name
    assert (first[1:] >= first[:-1]).all(), name


def _is_plausible(arrays: dict[str, np.ndarray], token_offsets: Int32) -> bool:
    """Whether lengths and ranges are such that a walk ends and stays inside; 0.5 ms, against 35 for `verify`."""
    if set(arrays) != set(_DTYPES) or any(arrays[name].dtype != dtype for name, dtype in _DTYPES.items()):
        return False
    n, n_tokens = len(arrays["byte"]), int(np.count_nonzero(np.diff(token_offsets)))
    lengths = {"parent": n, "depth": n, "subtree_end": n, "token_first": n + 1, "token_ids": n_tokens}
    lengths |= {"child_first": n + 1, "child_byte": n - 1, "child_node": n - 1}
    if n < 1 or any(len(arrays[name]) != length for name, length in lengths.items()):
        return False
    nodes = np.arange(n, dtype=np.int32)
    parent, end, ids, child = (arrays[name] for name in ("parent", "subtree_end", "token_ids", "child_node"))
    return bool(
        parent[0] == -1
        and (parent[1:] >= 0).all()
        and (parent[1:] < nodes[1:]).all()
        and (end > nodes).all()
        and (end <= n).all()
        and ((ids >= 0) & (ids < len(token_offsets) - 1)).all()
        and ((child > 0) & (child < n)).all()
        and all(
            first[0] == 0 and first[-1] == items and (first[1:] >= first[:-1]).all()
            for first, items in ((arrays["token_first"], n_tokens), (arrays["child_first"], n - 1))
        )
    )


# ---------------------------------------------------------------------------------------------- from tokens to nodes

# A word is eight bytes of a token, the first one the most significant; past the token's end it is zeros.
_KEEP = np.array([(0xFFFFFFFFFFFFFFFF << (64 - 8 * k)) & 0xFFFFFFFFFFFFFFFF for k in range(9)], np.uint64)


class _Tokens:
    """The tokens' bytes as words: `word(ids, w)[i]` = bytes 8w to 8w+8 of token ids[i], zeros past its end."""

    __slots__ = ("length", "offset", "window")

    def __init__(self, token_bytes: Uint8, token_offsets: Int32) -> None:
        self.offset: Int64 = token_offsets[:-1].astype(np.int64)
        self.length: Int64 = np.diff(token_offsets).astype(np.int64)
        padded = np.zeros(len(token_bytes) + 8, np.uint8)
        padded[: len(token_bytes)] = token_bytes
        # One (unaligned, overlapping) big-endian word at every byte.
        self.window: np.ndarray = np.ndarray(len(token_bytes) + 1, ">u8", padded, strides=(1,))

    def word(self, ids: Int64, w: int) -> npt.NDArray[np.uint64]:
        at = np.minimum(self.offset[ids] + 8 * w, len(self.window) - 1)
        return self.window[at].astype(np.uint64) & _KEEP[np.clip(self.length[ids] - 8 * w, 0, 8)]


def _sorted_tokens(tokens: _Tokens) -> Int64:
    """Ids of the tokens that have bytes, by those bytes; of equal ones the smaller id first.

    A round sorts, within each group of tokens that agree so far, by the next word and then by length: of two that agree
    in a word where one has ended, the one that ended is a prefix of the other, whose bytes there are zeros.
    """
    order = np.flatnonzero(tokens.length)
    place = np.arange(len(order))  # the places of `order` that are not settled yet
    group = np.zeros(len(order), np.int64)  # ascends along `place`; equal where all words so far agree
    w = 0
    while len(place):
        ids = order[place]
        word, length = tokens.word(ids, w), tokens.length[ids]
        by = np.lexsort((length, word, group))
        order[place] = ids[by]
        word, length, w = word[by], length[by], w + 1
        begins = np.ones(len(place) + 1, bool)
        begins[1:-1] = (word[1:] != word[:-1]) | (group[1:] != group[:-1])
        group = np.cumsum(begins[:-1])
        # Settled: what is alone in its group, and what ends here, as it stands before all that go on.
        open_ = ~(begins[:-1] & begins[1:]) & (length > 8 * w)
        place, group = place[open_], group[open_]
    return order


def _shared_prefixes(tokens: _Tokens, order: Int64) -> Int64:
    """int64[len(order)]: how many first bytes a token shares with the one before it in `order`; 0 for the first."""
    shared = np.zeros(len(order), np.int64)
    shorter = np.minimum(tokens.length[order[1:]], tokens.length[order[:-1]])
    place, w = np.arange(1, len(order)), 0
    while len(place):
        differ = tokens.word(order[place], w) ^ tokens.word(order[place - 1], w)
        equal = np.zeros(len(place), np.int64)
        for k in range(1, 9):
            equal += (differ & _KEEP[k]) == 0
        shared[place] = np.minimum(8 * w + equal, shorter[place - 1])
        w += 1
        place = place[(equal == 8) & (shorter[place - 1] > 8 * w)]
    return shared


def _links(depth: Int32) -> tuple[Int32, Int32]:
    """(parent, subtree_end) of the nodes in preorder, from their depths, one depth at a time."""
    n = len(depth)
    parent, subtree_end = np.full(n, -1, np.int32), np.full(n, n, np.int32)
    by_depth = np.argsort(depth, kind="stable").astype(np.int32)
    first = np.searchsorted(depth[by_depth], np.arange(int(depth.max()) + 2))
    above = by_depth[:1]
    for d in range(1, len(first) - 1):
        here = by_depth[first[d] : first[d + 1]]
        mine = above[np.searchsorted(above, here) - 1]  # the last one before it that is one less deep
        parent[here] = mine
        subtree_end[here] = subtree_end[mine]
        siblings = mine[1:] == mine[:-1]
        subtree_end[here[:-1][siblings]] = here[1:][siblings]
        above = here
    return parent, subtree_end
