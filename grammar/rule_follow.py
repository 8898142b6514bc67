"""Which ASCII bytes may come behind the texts of a rule: FIRST and FOLLOW, byte by byte.

An automaton whose text could only be cut short before bytes that cannot come need not be followed both ways: it is a
leaf that ends by longest match (greedy_dfa.py), of which a walk has one reading where it would have one for each of its
characters. Beyond ASCII such a leaf stays open, since different characters begin with the same byte.

A set of bytes is an int, byte b its bit b; only the lower 128 count here. What is not known counts as all of them.
Cost: a few us for a node, in a few rounds.

Source: Aho, Sethi and Ullman 1986, section 4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import TypeVar

import numpy as np

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.greedy_dfa import ASCII, GreedyDfa, made
from ..automata.regular import Regular
from .greedy_ends import ALL_ASCII, as_set, first_bytes
from .rules import Captured, Choice, Facts, Node, Repeat, RuleRef, Sequence, Terminal

__all__ = ["followers", "greedy"]

_Item = TypeVar("_Item")

def followers(bodies: Mapping[str, Node], facts: Facts, start: str) -> dict[str, int]:
    """By rule, the ASCII bytes that may come behind its texts: behind `start` all of them, as it may be a part."""
    first = dict.fromkeys(bodies, 0)
    follow = dict.fromkeys(bodies, 0) | {start: ALL_ASCII}
    reading = _Reading(facts, first, follow)
    while _grown(first, {name: reading.first_of(body) for name, body in bodies.items()}):
        pass
    changed = True
    while changed:
        before = dict(follow)
        for name, body in bodies.items():
            reading.spread(body, follow[name])
        changed = follow != before
    return follow


def _grown(known: dict[str, int], found: dict[str, int]) -> bool:
    changed = known != found
    known.update(found)
    return changed


class _Reading:
    def __init__(self, facts: Facts, first: dict[str, int], follow: dict[str, int]) -> None:
        self.facts, self.first, self.follow = facts, first, follow

    def first_of(self, node: Node) -> int:
        """The bytes that the texts of a node begin with."""
        match node:
            case Terminal(language):
                return first_ascii(language)
            case RuleRef(name):
                return self.first.get(name, 0)
            case Sequence(items):
                return _first_in_a_row(items, self.first_of, self.facts.is_nullable)
            case Choice(items):
                return reduce(or_, map(self.first_of, items), 0)
            case Repeat(item) | Captured(item):
                return self.first_of(item)
        return ALL_ASCII

    def spread(self, node: Node, after: int) -> None:
        """Tells the rules that a node names what may follow them, where `after` may follow the node."""
        match node:
            case RuleRef(name) if name in self.follow:
                self.follow[name] |= after
            case Sequence(items):
                for item in reversed(items):
                    self.spread(item, after)
                    after = self.first_of(item) | (after if self.facts.is_nullable(item) else 0)
            case Choice(items):
                for item in items:
                    self.spread(item, after)
            case Repeat(item):
                self.spread(item, after | self.first_of(item))
            case Captured(item):
                self.spread(item, after)


def _first_in_a_row(items: Iterable[_Item], first_of: Callable[[_Item], int], nullable: Callable[[_Item], bool]) -> int:
    """The bytes that a sequence begins with."""
    found = 0
    for item in items:
        found |= first_of(item)
        if not nullable(item):
            break
    return found


def first_ascii(language: Regular) -> int:
    """The ASCII bytes that the texts of a language begin with, by its form."""
    match language:
        case regular.Empty() | regular.Epsilon():
            return 0
        case regular.CharClass(ranges):
            found = 0
            for low, high in ranges:
                if low < ASCII:
                    found |= (1 << min(high + 1, ASCII)) - (1 << low)
            return found
        case regular.Bytes(data):
            return 1 << data[0] & ALL_ASCII if data else 0
        case regular.Language(dfa):
            return first_bytes(dfa) & ALL_ASCII
        case regular.Concat(items):
            return _first_in_a_row(items, first_ascii, regular.nullable)
        case regular.Alternation(items):
            return reduce(or_, map(first_ascii, items), 0)
        case regular.Repeat(item):
            return first_ascii(item)
    return ALL_ASCII


def greedy(dfa: ByteDfa, after: int) -> ByteDfa | GreedyDfa:
    """The leaf that a walk follows one way, of the same texts before what may follow; else the automaton itself.

    after : the ASCII bytes that may follow.
    """
    leaf, held = _lenient(dfa)
    return dfa if leaf is None or held & after else leaf


@lru_cache(maxsize=1024)
def _lenient(dfa: ByteDfa) -> tuple[GreedyDfa | None, int]:
    """The automaton as a lenient leaf, and what it holds; none where it holds nothing."""
    goes_on = dfa.table[dfa.accepting != 0][:, dfa.byte_class] != 0
    held = as_set(goes_on.any(axis=0)) & ALL_ASCII
    if not held:
        return None, 0
    return made(dfa.table.astype(np.int64), dfa.accepting, dfa.byte_class, lenient=True), held
