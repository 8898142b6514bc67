"""Drafts the slow way: n-grams in a dictionary, trees as sets of paths, matches by comparing slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def ngrams(tokens: Sequence[int], depth: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram of up to `depth` tokens occurs."""
    found: Counter[tuple[int, ...]] = Counter()
    for begin in range(len(tokens)):
        for end in range(begin + 1, min(len(tokens), begin + depth) + 1):
            found[tuple(tokens[begin:end])] += 1
    return found


def paths(tokens: Sequence[int], parent: Sequence[int]) -> list[tuple[int, ...]]:
    """For each node the tokens from the root to it."""
    found: list[tuple[int, ...]] = []
    for token, above in zip(tokens, parent, strict=True):
        found.append(((*found[above],) if above >= 0 else ()) + (token,))
    return found


def merged(tokens: Sequence[int], parent: Sequence[int], rate: Sequence[float]) -> dict[tuple[int, ...], float]:
    """Probability by path: that of the likeliest node at each place of it, multiplied."""
    best: dict[tuple[int, ...], float] = {}
    for path, p in zip(paths(tokens, parent), rate, strict=True):
        best[path] = max(p, best.get(path, 0.0))
    out = {}
    for path in best:
        likely = 1.0
        for end in range(1, len(path) + 1):
            likely *= best[path[:end]]
        out[path] = likely
    return out


def matches(tail: Sequence[int], text: Sequence[int], end: int, longest: int) -> list[tuple[int, int]]:
    """(place, length) of every longest match of the tail's end in text[:end], best first."""
    found = []
    for place in range(1, end + 1):
        length = 0
        while length < min(longest, len(tail), place) and text[place - 1 - length] == tail[len(tail) - 1 - length]:
            length += 1
        if length:
            found.append((place, length))
    return sorted(found, key=lambda match: (-match[1], -match[0]))


def sure(matched: int) -> float:
    """How likely a match of so many tokens is to go on."""
    return 1 - 1.3 * 0.5**matched


def next_tokens(text: Sequence[int], found: Sequence[tuple[int, int]]) -> dict[int, tuple[float, int, int]]:
    """token -> (how likely it is next, the best place that it follows at, the length of the match there).

    found : (place, length) of matches, best first; token -1 ends a document.
    """
    likely: dict[int, tuple[float, int, int]] = {}
    left = 1.0
    for length in sorted({length for _, length in found}, reverse=True):
        places = [place for place, matched in found if matched == length]
        for place in places:
            token = text[place] if place < len(text) else -1
            if token >= 0:
                before = likely.get(token, (0.0, place, length))
                share = (2 if place == places[0] else 1) / (len(places) + 1)
                likely[token] = before[0] + left * sure(length) * share, *before[1:]
        left *= 1 - sure(length)
    return likely


def seen_by(parent: Sequence[int]) -> list[set[int]]:
    """For node 0 (the text's last token) and each draft node + 1: which of them it sees."""
    found: list[set[int]] = [{0}]
    for i, above in enumerate(parent):
        found.append(found[above + 1] | {i + 1})
    return found
