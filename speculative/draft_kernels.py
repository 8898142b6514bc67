"""Kernels over drafts: merging the trees of all sources, who sees whom in tree attention, and copying from texts."""

from __future__ import annotations

import numpy as np

from ..automata.kernel import kernel

# Bands of scores that acceptance is measured in.
BANDS = 20

# What stands between documents: no token.
BETWEEN = -1


@kernel(
    "int64(Array(int32, 1, 'C', True), Array(int32, 1, 'C', True), Array(float32, 1, 'C', True), int8, int64,"
    " int32[::1], int32[::1], float32[::1], int8[::1])"
)
def append_tree(tokens, parent, score, source, n, out_tokens, out_parent, out_score, out_source):
    """Writes a tree behind the n nodes that are in out_* already, all of its nodes of one source; the number then."""
    for i in range(tokens.shape[0]):
        out_tokens[n + i], out_parent[n + i] = tokens[i], -1 if parent[i] < 0 else n + parent[i]
        out_score[n + i], out_source[n + i] = score[i], source
    return n + tokens.shape[0]


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


@kernel("void(Array(int32, 1, 'C', True), Array(int32, 1, 'C', True), int64, int32[::1])")
def without_spaces(text, unspaced, begin, words):
    """Writes words[begin : len(text)]: each token as `unspaced` has it; those that it does not know as they are."""
    for i in range(begin, text.shape[0]):
        token = text[i]
        words[i] = unspaced[token] if 0 <= token < unspaced.shape[0] else token


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


@kernel(
    "int64(Array(int32, 1, 'C', True), int64[::1], int64[::1], int64, int64, int32[::1], int32[::1], float32[::1])"
)
def follow_matches(text, places, lengths, branches, most, out_tokens, out_parent, out_score):
    """Drafts what followed in a text at the places of matches; the number of nodes, at most `out_tokens` has room for.

    places, lengths : int64[n], as `longest_matches` leaves them. Each different token that follows begins a branch, the
    likeliest first; the first `branches` of them go on for up to `most` tokens, though not far beyond what has matched,
    and the others end there. out_* : as DraftTree has them.

    How likely: a match of n tokens goes on with probability s(n), shared among the tokens that followed all matches of
    that length; what is left is for shorter ones. The latest place counts twice. Behind k more tokens it is s(n + k).
    """
    found, room, distinct = places.shape[0], out_tokens.shape[0], 0
    place, length, score = np.empty(found, np.int64), np.empty(found, np.int64), np.empty(found, np.float64)
    rest, i = 1.0, 0
    while i < found:
        end = i + 1
        while end < found and lengths[end] == lengths[i]:
            end += 1
        sure = 1 - 1.3 * 0.5 ** lengths[i]
        for k in range(i, end):
            at = places[k]
            if at >= text.shape[0] or text[at] == BETWEEN:
                continue
            d = 0
            while d < distinct and text[place[d]] != text[at]:
                d += 1
            if d == distinct:
                place[d], length[d], score[d] = at, lengths[k], 0.0
                distinct += 1
            score[d] += rest * sure * (2 if k == i else 1) / (end - i + 1)
        rest *= 1 - sure
        i = end
    n = 0
    for rank in range(distinct):
        best = rank
        for d in range(rank + 1, distinct):
            if score[d] > score[best]:
                best = d
        at, matched, likely = place[best], length[best], score[best]
        place[best], length[best], score[best] = place[rank], length[rank], score[rank]
        run = min(most, 8 * matched + 16) if rank < branches else 1
        for depth in range(min(run, room - n, text.shape[0] - at)):
            if text[at + depth] == BETWEEN:
                break
            out_tokens[n], out_parent[n] = text[at + depth], n - 1 if depth else -1
            out_score[n] = 1 - 1.3 * 0.5 ** (matched + depth) if depth else likely
            n += 1
    return n
