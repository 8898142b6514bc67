"""Kernels over drafts: merging the trees of all sources, who sees whom in tree attention, and copying from texts."""

from __future__ import annotations

import numpy as np

from ..automata.kernel import kernel

# Bands of scores that acceptance is measured in.
BANDS = 20


@kernel(
    "int64(int32[::1], int32[::1], float32[::1], int8[::1], float32[:, ::1],"
    " int32[::1], int32[::1], float32[::1], float32[::1], int8[::1])"
)
def merge_drafts(tokens, parent, score, source, rates, out_tokens, out_parent, out_path, out_score, out_source):
    """Merges trees that stand one after the other, and orders the nodes by how likely their paths are; the number left.

    tokens, parent, score, source : as DraftTree has them, of n nodes; parents are numbers within all n.
    rates[s, b] : float32[sources, BANDS], how often a node of source s with a score in band b was right.
    out_* : [n], the merged nodes, likeliest path first (so parents before children). out_path : float32, the
    probability of the node and all before it. out_score : the score that the node's owner gave; out_source : its owner,
    the source by which it is likeliest.
    """
    n = tokens.shape[0]
    own = np.empty(n, np.int32)  # number of each input node among the merged
    first = np.full(n + 1, -1, np.int32)  # first child of the text (0) and of the merged nodes (i + 1)
    following = np.empty(n, np.int32)  # next sibling
    node_token = np.empty(n, np.int32)
    node_parent = np.empty(n, np.int32)
    likely = np.empty(n, np.float32)
    owner = np.empty(n, np.int32)  # the input node that speaks for it
    m = 0
    for i in range(n):
        above = -1 if parent[i] < 0 else own[parent[i]]
        band = min(BANDS - 1, int(score[i] * BANDS))
        rate = rates[source[i], band]
        at = first[above + 1]
        while at >= 0 and node_token[at] != tokens[i]:
            at = following[at]
        if at < 0:
            at = m
            m += 1
            node_token[at], node_parent[at], likely[at], owner[at] = tokens[i], above, rate, i
            following[at] = first[above + 1]
            first[above + 1] = at
        elif rate > likely[at]:
            likely[at], owner[at] = rate, i
        own[i] = at
    path = np.empty(m, np.float32)
    for i in range(m):
        path[i] = likely[i] if node_parent[i] < 0 else likely[i] * path[node_parent[i]]
    order = np.argsort(-path, kind="mergesort")
    place = np.empty(m, np.int32)
    for k in range(m):
        i = order[k]
        place[i] = k
        out_tokens[k], out_path[k] = node_token[i], path[i]
        out_parent[k] = -1 if node_parent[i] < 0 else place[node_parent[i]]
        out_score[k], out_source[k] = score[owner[i]], source[owner[i]]
    return m


@kernel("void(int32[::1], boolean[:, ::1], int32[::1])")
def tree_attention(parent, sees, depth):
    """Who sees whom: node 0 is the last token of the text, node i + 1 the draft's node i.

    parent : int32[n], as DraftTree has it. sees : bool[n + 1, n + 1], zeroed, out: sees[i, j] = j is i or before it on
    its path. depth : int32[n + 1], out: how far a node is from node 0.
    """
    sees[0, 0] = True
    depth[0] = 0
    for i in range(parent.shape[0]):
        above = parent[i] + 1
        for j in range(above + 1):
            sees[i + 1, j] = sees[above, j]
        sees[i + 1, i + 1] = True
        depth[i + 1] = depth[above] + 1


@kernel("int64(int32[::1], Array(int32, 1, 'C', True), int64, int64, int64[::1], int64[::1])")
def longest_matches(tail, text, end, longest, places, lengths):
    """Where in a text the end of another occurs, the longest matches first, of equal ones the later; their number.

    tail : int32[k], the tokens whose end is looked for; at most `longest` of them. text[: end] : where.
    places, lengths : int64[m], out, at most m matches: text[places[i] - lengths[i] : places[i]] is the tail's end.
    """
    n, found, most = tail.shape[0], 0, places.shape[0]
    if n == 0:
        return 0
    last = tail[n - 1]
    reach = min(longest, n)
    for at in range(end - 1, -1, -1):
        if text[at] != last:
            continue
        length = 1
        while length < reach and at - length >= 0 and text[at - length] == tail[n - 1 - length]:
            length += 1
        if found == most and length <= lengths[most - 1]:
            continue
        k = found if found < most else most - 1
        while k > 0 and lengths[k - 1] < length:
            places[k], lengths[k] = places[k - 1], lengths[k - 1]
            k -= 1
        places[k], lengths[k] = at + 1, length
        found = min(found + 1, most)
    return found
