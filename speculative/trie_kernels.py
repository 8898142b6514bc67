"""Kernels of the frequency trie: nodes in flat arrays, found by a hash of (parent, token).

nodes : int32[capacity, 3]   token, first child, next sibling (0: none); node 0 is the root
counts : float32[capacity]   how often the path to the node was seen
index : int32[2^k]           open addressing: node by (parent, token), 0: free
"""

from __future__ import annotations

import numpy as np

from ..automata.kernel import device, kernel

# Siblings that are looked at when the likeliest child is sought.
MOST_SIBLINGS = 64


@device
def slot_of(index, nodes, parents, parent, token):
    """The place in the index of (parent, token): its node's, or the free one where it would be."""
    mask = index.shape[0] - 1
    h = (np.uint64(parent) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(token) * np.uint64(0xC2B2AE3D27D4EB4F))
    h ^= h >> np.uint64(29)
    at = np.int64(h & np.uint64(mask))
    while index[at] != 0:
        node = index[at]
        if parents[node] == parent and nodes[node, 0] == token:
            break
        at = (at + 1) & mask
    return at


@kernel("int64(int32[::1], int32[::1], float32, int32[:, ::1], int32[::1], float32[::1], int32[::1], int64)")
def extend_paths(tokens, ends, weight, nodes, parents, counts, index, used):
    """Goes on with a text: counts each n-gram that its next tokens complete, by `weight`; the nodes then used.

    ends : int32[depth], in and out: ends[j] = the node of the text's last j tokens, -1: the text is shorter; ends[0] is
    the root. The caller has room for depth * len(tokens) more nodes, and twice that in index.
    """
    depth = ends.shape[0]
    for token in tokens:
        for j in range(depth - 1, -1, -1):
            at = ends[j]
            if at < 0:
                continue
            slot = slot_of(index, nodes, parents, at, token)
            node = np.int64(index[slot])
            if node == 0:
                node = used
                used += 1
                index[slot] = node
                nodes[node, 0], nodes[node, 1], nodes[node, 2] = token, 0, nodes[at, 1]
                parents[node], counts[node] = at, 0
                nodes[at, 1] = node
            counts[node] += weight
            if j + 1 < depth:
                ends[j + 1] = node
    return used


@kernel("void(int32[:, ::1], int32[::1], int32[::1], int64)")
def index_nodes(nodes, parents, index, used):
    """Writes the index (zeroed) of nodes 1 to used - 1."""
    for node in range(1, used):
        index[slot_of(index, nodes, parents, parents[node], nodes[node, 0])] = node


@kernel("int64(int32[:, ::1], int32[::1], float32[::1], int64, float32, int32[:, ::1], int32[::1], float32[::1])")
def keep_frequent(nodes, parents, counts, used, least, new_nodes, new_parents, new_counts):
    """Copies what was seen more than `least` times, counts halved, to new arrays; the nodes then used.

    A node's count is at least that of each child, so what is kept is a trie.
    """
    moved = np.zeros(used, np.int32)
    to = 1
    new_nodes[0, 1] = 0
    for node in range(1, used):
        above = parents[node]
        if counts[node] <= least or (above != 0 and moved[above] == 0):
            continue
        up = moved[above]
        new_nodes[to, 0], new_nodes[to, 1], new_nodes[to, 2] = nodes[node, 0], 0, new_nodes[up, 1]
        new_nodes[up, 1] = to
        new_parents[to], new_counts[to] = up, counts[node] / 2
        moved[node] = to
        to += 1
    return to


@kernel("int64(int32[:, ::1], int32[::1], int32[::1], Array(int32, 1, 'C', True))")
def find_path(nodes, parents, index, tokens):
    """The node of a path from the root, or -1."""
    at = 0
    for token in tokens:
        node = index[slot_of(index, nodes, parents, at, token)]
        if node == 0:
            return -1
        at = node
    return at


@kernel("int64(int32[:, ::1], float32[::1], int64, float32, int32[::1], int32[::1], float32[::1], int64)")
def likely_below(nodes, counts, start, certainty, out_tokens, out_parent, out_score, n):
    """Appends to a draft what is likeliest below a node, best path first; the number of nodes then.

    certainty : what scores are multiplied by at the first level; the next ones come nearer to 1 by halves.
    out_* : as DraftTree has them, n nodes are there already; filled to their length at most.
    """
    most = out_tokens.shape[0]
    room = 4 * most
    node_of = np.empty(room, np.int64)
    above = np.empty(room, np.int32)
    score = np.empty(room, np.float32)
    path = np.empty(room, np.float32)
    doubt = np.empty(room, np.float32)
    open_, at, up, reach, rest = 0, start, np.int32(-1), np.float32(1), np.float32(1) - certainty
    while True:
        child, looked, total = nodes[at, 1], 0, counts[at]
        if at == start:  # what was seen at the end of a text has nothing behind it
            total, below = np.float32(0), child
            while below != 0 and looked < MOST_SIBLINGS:
                total += counts[below]
                below = nodes[below, 2]
                looked += 1
            looked = 0
        while child != 0 and looked < MOST_SIBLINGS and open_ < room:
            share = min(np.float32(1), counts[child] / max(total, np.float32(1e-6)))
            node_of[open_], above[open_], score[open_] = child, up, share * (1 - rest)
            path[open_], doubt[open_] = reach * share * (1 - rest), rest / 2
            open_ += 1
            looked += 1
            child = nodes[child, 2]
        best = -1
        for i in range(open_):
            if path[i] > 0 and (best < 0 or path[i] > path[best]):
                best = i
        if best < 0 or n == most:
            return n
        out_tokens[n], out_parent[n], out_score[n] = nodes[node_of[best], 0], above[best], score[best]
        at, up, reach, rest = node_of[best], np.int32(n), path[best], doubt[best]
        path[best] = -1
        n += 1


@kernel(
    "int64(int32[:, ::1], int32[::1], float32[::1], int32[::1], Array(int32, 1, 'C', True), int64,"
    " int32[::1], int32[::1], float32[::1], int64)"
)
def likely_after(nodes, parents, counts, index, text, longest, out_tokens, out_parent, out_score, n):
    """Appends to a draft what has followed the end of a text: its last `longest` tokens, then fewer, until half the
    room is filled; the number of nodes then.

    out_* : as for `likely_below`, n nodes are there already.
    """
    room, begin, doubt = out_tokens.shape[0] - n, n, np.float32(0.5 ** (longest + 1))
    for length in range(longest, 0, -1):
        if 2 * (n - begin) >= room:
            break
        node = find_path(nodes, parents, index, text[text.shape[0] - length :])
        if node > 0:
            n = likely_below(nodes, counts, node, np.float32(1) - doubt, out_tokens, out_parent, out_score, n)
        doubt *= np.float32(2)
    return n
