"""No text gets stuck behind a token: what may follow each, byte by byte, and the rules with only what can go on.

A greedy leaf does not end before a byte that it holds. If every byte that could come next is held, a text that ended
there would be no beginning of any: `"if" LETTER`, beside a NAME, has no sentence. So the ends of leaves that nothing
can follow are taken away, place by place. What can follow depends on where a rule was called from; of that, only this
matters: for each set of bytes that some leaf holds, whether a byte outside of it may come (a bit for each set). A rule
is copied for the vectors of bits that it meets; mostly there is one, all ones, and nothing to be done.

Characters are compared, not bytes: beyond ASCII those that go on with a token and those that do not may begin with the
same byte, before which a greedy leaf cannot end. Where no character may come that a leaf holds, but such a byte may,
the leaf becomes a lenient one.

Cost: 10 us for a token of the rules, in each of a few rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import numpy as np

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import UnsatisfiableError
from ..automata.fragment import Payload
from ..automata.greedy_dfa import ASCII, GreedyDfa, made
from ..automata.special_tokens import SpecialToken
from .greedy_ends import ALL_ASCII, ALL_CLASSES, as_set, first_bytes, trimmed
from .lark_states import Production, Productions, Token, Tokens, merged
from .rule_states import Apart
from .rules import Choice, Embedded, Node, Repeat, Rule, RuleRef, RuleSet, Sequence

__all__ = ["followable", "rule_set"]

_NOTHING = 0  # a set of leaves is an int: leaf number n is its bit n. So is a set of bytes, as in greedy_ends.


class _Leaves:
    """What is asked of leaves again and again. beginnings : the first bytes of a state of another front end."""

    def __init__(self, beginnings: Callable[[Payload], frozenset[int]]) -> None:
        self._beginnings = beginnings
        self._leaves: list[GreedyDfa | ByteDfa | Payload] = []
        self._bit: dict[GreedyDfa | ByteDfa | Payload, int] = {}
        self._bytes: list[int] = []
        self._bytes_of: dict[int, int] = {}
        self._meetings: dict[tuple[GreedyDfa, int], bool] = {}
        self._holds: dict[GreedyDfa, list[int]] = {}
        self._trimmed: dict[tuple[GreedyDfa, tuple[bool, ...]], GreedyDfa | None] = {}

    def first(self, leaf: GreedyDfa | ByteDfa | Payload) -> int:
        """The set of the leaf alone."""
        if leaf not in self._bit:
            self._bit[leaf] = 1 << len(self._leaves)
            self._leaves.append(leaf)
            if isinstance(leaf, GreedyDfa | ByteDfa):
                self._bytes.append(first_bytes(leaf))
            else:
                self._bytes.append(sum(1 << int(byte) for byte in self._beginnings(leaf)))
        return self._bit[leaf]

    def first_of_gap(self, gap: tuple[GreedyDfa | ByteDfa, ...]) -> int:
        return reduce(or_, map(self.first, gap), _NOTHING)

    def bytes_of(self, leaves: int) -> int:
        """The bytes that texts of some leaves begin with."""
        if leaves not in self._bytes_of:
            self._bytes_of[leaves] = reduce(or_, [self._bytes[n] for n in _members(leaves)], 0)
        return self._bytes_of[leaves]

    def meets(self, leaf: GreedyDfa, after: int) -> bool:
        """Whether a leaf holds a character with which one of the leaves `after` begins."""
        held = reduce(or_, self.holds(leaf), 0)
        return any(self._bytes[n] & held and self._meets_one(leaf, n) for n in _members(after))

    def _meets_one(self, leaf: GreedyDfa, n: int) -> bool:
        if (leaf, n) not in self._meetings:
            other = self._leaves[n]
            common = any(self._bytes[n] & held & ALL_ASCII for held in self.holds(leaf))
            exact = isinstance(other, GreedyDfa | ByteDfa)
            self._meetings[leaf, n] = common or not exact or _share_a_character(leaf, other)
        return self._meetings[leaf, n]

    def holds(self, leaf: GreedyDfa) -> list[int]:
        """By state that accepts, the bytes that it holds."""
        if leaf not in self._holds:
            self._holds[leaf] = [as_set(row) for row in leaf.holds[leaf.accepting != 0]]
        return self._holds[leaf]

    def trimmed(self, leaf: GreedyDfa, keep: Callable[[int], bool]) -> GreedyDfa | None:
        """The leaf with those ends that are kept, by what they hold; None if there are none."""
        kept = tuple(map(keep, self.holds(leaf)))
        if all(kept):
            return leaf
        if (leaf, kept) not in self._trimmed:
            ends = np.zeros(leaf.n_states, bool)
            ends[np.flatnonzero(leaf.accepting)[list(kept)]] = True
            self._trimmed[leaf, kept] = trimmed(leaf, ends)
        return self._trimmed[leaf, kept]


def _members(numbers: int) -> Iterator[int]:
    while numbers:
        low = numbers & -numbers
        yield low.bit_length() - 1
        numbers ^= low


def _share_a_character(leaf: GreedyDfa, other: Any) -> bool:
    """Whether a character beyond ASCII goes on after a text of `leaf`, and begins one of `other`."""
    table, starts = leaf.table[:, leaf.byte_class].tolist(), other.table[:, other.byte_class].tolist()
    for state in np.flatnonzero(leaf.accepting).tolist():
        for lead in range(0xC0, 0x100):
            pairs = {(table[state][lead], starts[1][lead])}
            for _ in range(1 if lead < 0xE0 else 2 if lead < 0xF0 else 3):
                if any(one < 0 < two for one, two in pairs):
                    return True  # BLOCKED, whatever the rest of the character is
                pairs = {
                    (table[one][byte], starts[two][byte])
                    for one, two in pairs if one > 0 and two > 0
                    for byte in range(0x80, 0xC0)
                }  # fmt: skip
            if any(one and two > 0 for one, two in pairs):
                return True
    return False


class _Facts(NamedTuple):
    """Of each rule, the leaves that its texts begin with, and whether the empty text is one."""

    first: list[int]
    nullable: list[bool]


def followable(rules: Productions, beginnings: Callable[[Payload], frozenset[int]]) -> Productions:
    """The same sentences, from rules in which whatever is begun can be completed.

    Raises UnsatisfiableError if there is no sentence.
    """
    leaves = _Leaves(beginnings)
    # First, since by characters more may follow than by bytes; and again, when less is left to follow.
    rules = _with_lenient_leaves(_productive(rules), leaves)
    while True:
        rules = _productive(rules)
        again = _Trimming(rules, leaves).rules()
        if again is None:
            return merged(_with_lenient_leaves(rules, leaves))
        rules = again


def _productive(rules: Productions) -> Productions:
    """Without the productions that derive no text."""
    productive: set[int] = set()
    grown = True
    while grown:
        grown = False
        for number, body in enumerate(rules.bodies):
            if number not in productive and any(_all_in(items, productive) for items in body):
                productive.add(number)
                grown = True
    if 0 not in productive:
        raise UnsatisfiableError(f"no text is a sentence of rule {rules.names[0]!r}")
    if len(productive) == len(rules.bodies):
        return rules
    bodies = [tuple(items for items in body if _all_in(items, productive)) for body in rules.bodies]
    return rules._replace(bodies=bodies)


def _all_in(items: Production, known: set[int]) -> bool:
    return all([not isinstance(item, int) or item in known for item in items])


def _facts(rules: Productions, leaves: _Leaves) -> _Facts:
    first, nullable = [_NOTHING] * len(rules.bodies), [False] * len(rules.bodies)
    changed = True
    while changed:
        changed = False
        for number, body in enumerate(rules.bodies):
            found, empty = first[number], nullable[number]
            for items in body:
                for item in items:
                    if isinstance(item, int):
                        found |= first[item]
                        if not nullable[item]:
                            break
                    else:
                        found |= _before(item, _NOTHING, leaves)
                        if item.leaf is not None:
                            break
                else:
                    empty = True
            if (found, empty) != (first[number], nullable[number]):
                first[number], nullable[number] = found, empty
                changed = True
    return _Facts(first, nullable)


class _Trimming:
    """One round: the ends of leaves that nothing can follow, as things are, are taken away."""

    def __init__(self, rules: Productions, leaves: _Leaves) -> None:
        self.old, self.leaves = rules, leaves
        self.facts = _facts(rules, leaves)
        held: dict[int, None] = {}
        tokens = dict.fromkeys(item for body in rules.bodies for items in body for item in items)
        for token in tokens:
            if isinstance(token, Token):
                for leaf in (token.leaf, *token.gap):
                    if isinstance(leaf, GreedyDfa):
                        held.update(dict.fromkeys(leaves.holds(leaf)))
        self.bit = {held_bytes: 1 << i for i, held_bytes in enumerate(held)}
        self.vectors: dict[int, int] = {}
        self.known: dict[tuple[Token, int], Token | None] = {}
        self.changed = False

    def vector(self, after: int) -> int:
        """For each held set, whether one of these leaves begins with a byte outside of it."""
        if after not in self.vectors:
            may_come = self.leaves.bytes_of(after)
            self.vectors[after] = sum(bit for held, bit in self.bit.items() if may_come & ~held)
        return self.vectors[after]

    def rules(self) -> Productions | None:
        """The rules by what may follow them; None if nothing had to be taken away."""
        end = (1 << len(self.bit)) - 1  # the end of the text is held by nothing
        numbers = {(0, end): 0}
        waiting = [(0, end)]
        names, bodies = [], []

        def number(rule: int, follows: int) -> int:
            if (rule, follows) not in numbers:
                numbers[rule, follows] = len(numbers)
                waiting.append((rule, follows))
            return numbers[rule, follows]

        for rule, follows in waiting:
            names.append(self.old.names[rule])
            found = [self.production(items, follows, number) for items in self.old.bodies[rule]]
            bodies.append(tuple(dict.fromkeys(items for items in found if items is not None)))
        return self.old._replace(names=names, bodies=bodies) if self.changed else None

    def production(self, items: Production, follows: int, number: Callable[[int, int], int]) -> Production | None:
        out: list[Token | int] = []
        for item in reversed(items):
            if isinstance(item, int):
                out.append(number(item, follows))
                follows = self.vector(self.facts.first[item]) | (follows if self.facts.nullable[item] else 0)
                continue
            token = self.token(item, follows)
            if token is None:
                return None
            out.append(token)
            follows = self.vector(_before(item, _NOTHING, self.leaves)) | (follows if item.leaf is None else 0)
        return tuple(reversed(out))

    def token(self, token: Token, follows: int) -> Token | None:
        """A token before what a vector tells; None if its leaf can no longer end."""
        key = (token, follows)
        if key not in self.known:
            self.known[key] = self.trimmed(token, follows)
        return self.known[key]

    def trimmed(self, token: Token, follows: int) -> Token | None:
        leaf = token.leaf
        beyond = follows | self.vector(self.leaves.first_of_gap(token.gap))

        def keep(held: int) -> bool:
            return bool(beyond & self.bit[held])

        if isinstance(leaf, GreedyDfa):
            leaf = self.leaves.trimmed(leaf, keep)
        trimmed = [self.leaves.trimmed(part, keep) if isinstance(part, GreedyDfa) else part for part in token.gap]
        gap = tuple([part for part in trimmed if part is not None])
        if leaf is None and token.leaf is not None:
            self.changed = True
            return None
        found = self.old.tokens.token(leaf, gap, token.once)
        self.changed = self.changed or found is not token
        return found


def _with_lenient_leaves(rules: Productions, leaves: _Leaves) -> Productions:
    """The same rules, with a lenient leaf for each that holds bytes, but no characters, that may follow it."""
    facts = _facts(rules, leaves)
    follow = [_NOTHING] * len(rules.bodies)
    changed = True
    while changed:
        changed = False
        for number, body in enumerate(rules.bodies):
            for items in body:
                after = follow[number]
                for item in reversed(items):
                    if isinstance(item, int):
                        if after & ~follow[item]:
                            follow[item] |= after
                            changed = True
                        after = facts.first[item] | (after if facts.nullable[item] else 0)
                    else:
                        after = _before(item, after, leaves)
    places: dict[tuple[Token, int], None] = {}  # of each token, what may follow it
    spelled: list[list[list[tuple[Token, int] | int]]] = []
    for number, body in enumerate(rules.bodies):
        spelled.append([])
        for items in body:
            after = follow[number]
            out: list[tuple[Token, int] | int] = []
            for item in reversed(items):
                if isinstance(item, int):
                    out.append(item)
                    after = facts.first[item] | (after if facts.nullable[item] else 0)
                else:
                    out.append((item, after))
                    places[item, after] = None
                    after = _before(item, after, leaves)
            spelled[-1].append(out[::-1])
    known = _Loosening(list(places), rules.tokens, leaves).tokens
    bodies = [
        tuple(dict.fromkeys([tuple([s if isinstance(s, int) else known[s] for s in items]) for items in body]))
        for body in spelled
    ]
    return rules._replace(bodies=bodies)


class _Loosening:
    """What becomes of tokens: by what may follow them. A leaf that is to be lenient somewhere is that everywhere, so
    that rules stay alike, unless it holds a character elsewhere.
    """

    def __init__(self, places: list[tuple[Token, int]], tokens: Tokens, leaves: _Leaves) -> None:
        self.leaves = leaves
        self.lenient: dict[GreedyDfa, GreedyDfa] = {}
        self.after: dict[Any, int] = {}
        for place in places:
            for leaf, after in self.parts(*place):
                self.after[leaf] = self.after.get(leaf, 0) | after
        self.tokens = {}
        for token, after in places:
            leaf, *gap = [self.loosened(*part) for part in self.parts(token, after)]
            once = token.once or _comes_once(token.gap, leaves)
            self.tokens[token, after] = tokens.token(leaf, tuple(gap), once)

    def parts(self, token: Token, after: int) -> list[tuple[Any, int]]:
        """The leaves of a token, its own first, and what may follow each."""
        beyond = after | self.leaves.first_of_gap(token.gap)
        # A gap that goes on wherever it could begin again comes once, and only tokens follow it.
        once = token.once or _comes_once(token.gap, self.leaves)
        return [(token.leaf, beyond), *[(part, after if once else beyond) for part in token.gap]]

    def loosened(self, leaf: Any, after: int) -> Any:
        if not isinstance(leaf, GreedyDfa) or self.leaves.meets(leaf, after):
            return leaf
        anywhere = after if self.leaves.meets(leaf, self.after[leaf]) else self.after[leaf]
        if not any(held & self.leaves.bytes_of(anywhere) for held in self.leaves.holds(leaf)):
            return leaf
        if leaf not in self.lenient:
            self.lenient[leaf] = _lenient(leaf)
        return self.lenient[leaf]


def _comes_once(gap: tuple[GreedyDfa | ByteDfa, ...], leaves: _Leaves) -> bool:
    if len(gap) != 1 or not isinstance(gap[0], GreedyDfa):
        return False
    first = leaves.bytes_of(leaves.first(gap[0]))
    return all(held & first == first for held in leaves.holds(gap[0]))


def _before(token: Token, after: int, leaves: _Leaves) -> int:
    """The leaves with which a token may begin before which these may follow."""
    return leaves.first_of_gap(token.gap) | after if token.leaf is None else leaves.first(token.leaf)


def _lenient(leaf: GreedyDfa) -> GreedyDfa:
    table = leaf.table[:, leaf.byte_class].astype(np.int64)
    table[:, ASCII:] = np.maximum(table[:, ASCII:], 0)
    return made(table, leaf.accepting, ALL_CLASSES, lenient=True)


# ---------------------------------------------------------------------------------------------- the IR


def rule_set(
    rules: Productions, text: str, offsets: dict[str, int], special_tokens: tuple[SpecialToken, ...] = ()
) -> RuleSet:
    """The rules as an IR, the copies of `a` named `a`, `a (2)` and so on.

    offsets : where rules are defined in the text, by name. special_tokens : those that some rule names.
    """
    names, count = [], dict.fromkeys(rules.names, 0)
    for name in rules.names:
        count[name] += 1
        names.append(name if count[name] == 1 else f"{name} ({count[name]})")
    known: dict[Token | int, tuple[Node, ...]] = {number: (RuleRef(name),) for number, name in enumerate(names)}

    def nodes(item: Token | int) -> tuple[Node, ...]:
        if item not in known:
            assert isinstance(item, Token)
            leaf = () if item.leaf is None else (_node(item.leaf),)
            gap = Repeat(Choice(tuple(map(_node, item.gap))), 0, 1 if item.once else None)
            known[item] = (*leaf, gap) if item.gap else leaf
        return known[item]

    out = {}
    for number, body in enumerate(rules.bodies):
        alternatives = [Sequence(tuple([node for item in items for node in nodes(item)])) for items in body]
        node = alternatives[0] if len(alternatives) == 1 else Choice(tuple(alternatives))
        named = special_tokens if number == 0 else ()
        out[names[number]] = Rule(names[number], node, offsets.get(rules.names[number]), named)
    return RuleSet(out, names[0], text)


def _node(leaf: Any) -> Node:
    return Embedded(Apart(leaf) if isinstance(leaf, ByteDfa) else leaf, False)
