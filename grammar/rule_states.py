"""Rules become states of the machine: tables where they are regular, positions in a rule where they are not.

rule_reduction.py leaves recursion around regular pieces. Each remaining rule becomes a graph of *positions* on its
first visit (Thompson's construction); an edge is the minimal automaton of a piece, or a call of another rule. A state
is a set of positions: alternatives that agree in what comes first share it. Pieces that may begin with the same byte
are stepped together, byte by byte, until one is left; that one is called as a table.

Empty texts never take an edge: an edge is for what a piece or rule derives beyond the empty text, and a hop beside it
for the empty one. So left recursion, however well hidden, is a call at a rule's start, and goes exactly: if A is `A b
| c`, a text of A is a c, then b's. For rules A1…An that may begin with each other: begin with what does not begin
with any of them (in Ak, say), and whenever an Ak is complete, go on after any place where some Aj begins with Ak,
until the one that was called is complete. All of this happens in one frame, whose states know which rule was called
(`goal`).

INVARIANT: from every position the end of its rule can be reached (what derives no text was removed); a called rule
reads at least one byte, and the calls at the starts of rules form no cycle.
Cost: 50 to 100 us for each regular piece that was not met before, and about 20 us for a state.

Rejected: one automaton over sets of positions and states of pieces (LR-like) for all of a rule: fewer parallel
states, but then strings and numbers are no longer leaves, whose masks all grammars share.

Source: Thompson 1968; Rosenkrantz and Lewis 1970 and Moore 2000 (left corners).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.fragment import Fragment, Payload, Target, Text
from ..automata.greedy_dfa import GreedyDfa
from ..automata.regular import Regular, compile_regular
from ..automata.sparse_dfa import SparseDfa
from .empty_texts import Solid
from .greedy_ends import ALL_ASCII, first_bytes
from .rule_follow import followers, greedy
from .rule_reduction import DEFAULT_LIMITS, RuleLimits, compiled, counted_body, reduced_bodies
from .rules import (
    MAX_DEPTH,
    Choice,
    Embedded,
    Facts,
    Node,
    Repeat,
    RuleRef,
    RuleSet,
    Sequence,
    Terminal,
    facts_of,
    left_corners,
    notes_of,
    strongly_connected,
    verify,
)

__all__ = ["Apart", "Counted", "RuleLimits", "RuleState", "root_payload"]

# PERF: bench/grammars_beside.py: C's fifteen levels are read faster when joined, SQL's seven are not.
_MANY_LEVELS = 12


def root_payload(
    rules: RuleSet, limits: RuleLimits = DEFAULT_LIMITS, *, joined: bool | None = None
) -> tuple[Target, list[str]]:
    """The start state of a rule set, and notes for its author.

    joined : whether all that a rule may begin with is followed in its own frame (see `_States`). That suits grammars of
        many levels, where it avoids a call, and a reading of its own, for each way through them. None: if there are
        that many.

    Raises GrammarError for a rule that is not defined, UnsatisfiableError if the start derives no text, LimitError for
    a body that is nested too deep or whose repetitions unroll to too much.
    """
    verify(rules)
    facts = facts_of(rules)
    try:
        states = _States(rules, facts, limits, reduced_bodies(rules, facts, limits), joined)
        return states.root(), notes_of(rules, facts)
    except RecursionError:
        raise LimitError("depth", MAX_DEPTH, MAX_DEPTH, "a caller that is itself deep in recursion") from None


# ---------------------------------------------------------------------------------------------- positions

Edge: TypeAlias = "tuple[ByteDfa | Payload, int]"  # what is read, never the empty text alone, and the position after it


@dataclass(frozen=True, slots=True)
class Counted:
    """A long repetition, at least one iteration: `loop` accepts any number, and is at its start between two."""

    loop: ByteDfa
    least: int
    most: int | None

    def expand(self) -> Text:
        return Text(self.loop, self.least, self.most, None)


@dataclass(frozen=True, slots=True)
class Apart:
    """A frame for an automaton that is to be called, not merged with what is beside it, nor stepped with what may begin
    with the same byte.

    PERF: what is merged has masks of its own; an automaton that is called has records that all its uses share.
    """

    dfa: ByteDfa | GreedyDfa | SparseDfa

    def expand(self) -> Fragment:
        return Fragment(calls=((self.dfa, None),))


class RuleState(NamedTuple):
    """A place in the frame of a rule: the positions that the text may have come to.

    goal : index of the rule that was called, among the group's. at : sorted positions with edges, and the goal's end.
    inside : regular pieces in the middle of which the text may be: automaton, its state, positions after it.
    """

    group: _Group
    goal: int
    at: tuple[int, ...]
    inside: tuple[tuple[ByteDfa, int, tuple[int, ...]], ...] = ()

    @property
    def first_bytes(self) -> int | None:
        """As fragment.Payload says: of a frame that was just called."""
        return self.group.first_bytes(self.goal) if self == self.group.start(self.goal) else None

    def expand(self) -> Fragment:
        group, goal = self.group, self.goal
        pieces = {(dfa, state): set(after) for dfa, state, after in self.inside}
        callees: dict[Payload, set[int]] = {}
        for position in self.at:
            for symbol, after in group.graph.edges[position]:
                if isinstance(symbol, ByteDfa):
                    pieces.setdefault((symbol, 1), set()).add(after)
                else:
                    callees.setdefault(symbol, set()).add(after)
        calls: list[tuple[Target, Target]]
        calls = [
            (callee.dfa if isinstance(callee, Apart) else callee, group.after_call(callee, goal, after))
            for callee, after in callees.items()
        ]
        stepped = dict.fromkeys(_stepped(pieces))
        calls += [
            (group.leaf(_beyond(*piece), after), group.state(goal, after))
            for piece, after in pieces.items()
            if piece not in stepped
        ]
        edges = _byte_edges(group, goal, {piece: pieces[piece] for piece in stepped}) if stepped else ()
        return Fragment(edges, tuple(calls), group.end(goal) in self.at)


def _first_bytes(symbol: ByteDfa | Payload) -> int | None:
    """The bytes that what an edge reads begins with; None where that is unknown."""
    leaf = symbol.dfa if isinstance(symbol, Apart) else symbol
    return first_bytes(leaf) if isinstance(leaf, ByteDfa | GreedyDfa) else getattr(leaf, "first_bytes", None)


def _first_ascii(symbol: ByteDfa | Payload) -> int:
    first = _first_bytes(symbol)
    return ALL_ASCII if first is None else first & ALL_ASCII


Pieces: TypeAlias = "dict[tuple[ByteDfa, int], set[int]]"


def _stepped(pieces: Pieces) -> list[tuple[ByteDfa, int]]:
    """The pieces to be stepped byte by byte: those that may begin with the same byte, and those of one byte."""
    if not pieces:
        return []
    live = np.stack([dfa.transitions[state] != 0 for dfa, state in pieces])
    clashes = (live & (live.sum(axis=0) > 1)).any(axis=1)
    return [piece for piece, clash in zip(pieces, clashes.tolist(), strict=True) if clash or _is_last_byte(*piece)]


def _is_last_byte(dfa: ByteDfa, state: int) -> bool:
    targets = dfa.transitions[state]
    targets = targets[targets != 0]
    return bool(dfa.accepting[targets].all()) and not dfa.transitions[targets].any()


def _byte_edges(group: _Group, goal: int, pieces: Pieces) -> tuple[tuple[int, int, Target], ...]:
    """Edges for the runs of bytes that lead all the pieces to the same states."""
    rows = np.stack([dfa.transitions[state] for dfa, state in pieces])
    bounds = [0, *(np.flatnonzero((rows[:, 1:] != rows[:, :-1]).any(axis=0)) + 1).tolist(), 256]
    edges = []
    for low, end in pairwise(bounds):
        after: set[int] = set()
        inside: Pieces = {}
        for (dfa, _), state, then in zip(pieces, rows[:, low].tolist(), pieces.values(), strict=True):
            if state and dfa.accepting[state]:
                after |= then
            if state and dfa.transitions[state].any():
                inside.setdefault((dfa, state), set()).update(then)
        if after or inside:
            edges.append((low, end - 1, group.state(goal, after, inside)))
    return tuple(edges)


@lru_cache(maxsize=1024)
def _beyond(dfa: ByteDfa, state: int) -> ByteDfa:
    """The texts, but for the empty one, that lead from a state to acceptance."""
    if state == 1 and not dfa.accepting[1]:
        return dfa
    from ..automata.minimize import minimized  # imports numba

    table = dfa.transitions[:, np.unique(dfa.byte_class, return_index=True)[1]]
    table = np.insert(np.where(table > 0, table + 1, 0), 1, 0, axis=0)
    table[1] = table[state + 1]
    return minimized(
        np.ascontiguousarray(table, np.int32),
        np.insert(dfa.accepting, 1, np.uint8(0)),
        dfa.byte_class,
    )


class _Graph:
    """Positions of a group: `hops[p]` read nothing; `edges[p]` read something; `resumed[k]`: where rule k may go on."""

    __slots__ = ("edges", "hops", "resumed")

    def __init__(self, n_rules: int) -> None:
        self.hops: list[list[int]] = [[] for _ in range(2 * n_rules)]
        self.edges: list[list[Edge]] = [[] for _ in range(2 * n_rules)]
        self.resumed: list[list[int]] = [[] for _ in range(n_rules)]

    def reach(self, positions: Iterable[int], n_rules: int) -> set[int]:
        """All positions that are reached without a byte. Positions 0…n-1 are the rules' starts, n…2n-1 their ends."""
        seen = set(positions)
        waiting = list(seen)
        while waiting:
            position = waiting.pop()
            more = list(self.hops[position])
            if n_rules <= position < 2 * n_rules:
                more += self.resumed[position - n_rules]
            for to in more:
                if to not in seen:
                    seen.add(to)
                    waiting.append(to)
        return seen


class _Group:
    """Rules that may begin with each other, or one rule. Its graph is made on the first visit, the same each time."""

    __slots__ = ("_first", "_graph", "names", "states")

    def __init__(self, states: _States, names: tuple[str, ...]) -> None:
        self.states, self.names = states, names
        self._graph: _Graph | None = None
        self._first: dict[int, int | None] = {}

    @property
    def graph(self) -> _Graph:
        graph = self._graph
        if graph is None:
            graph = self._graph = _Builder(self).graph
        return graph

    def first_bytes(self, goal: int) -> int | None:
        """The bytes that texts of rule `goal` may begin with (of a group, those of any); None where that is unknown."""
        if goal not in self._first:
            found = 0
            for position in self.kernel(goal, self.start(goal).at):
                for symbol, _ in self.graph.edges[position]:
                    first = _first_bytes(symbol)
                    if first is None:
                        self._first[goal] = None
                        return None
                    found |= first
            self._first[goal] = found
        return self._first[goal]

    def end(self, goal: int) -> int:
        return len(self.names) + goal

    def start(self, goal: int) -> RuleState:
        """The state of a frame that was just called."""
        return RuleState(self, goal, tuple(range(len(self.names))))

    def kernel(self, goal: int, positions: Iterable[int]) -> tuple[int, ...]:
        """The positions that matter, so that equal states have equal names."""
        edges, end = self.graph.edges, self.end(goal)
        return tuple(sorted(p for p in self.graph.reach(positions, len(self.names)) if edges[p] or p == end))

    def state(self, goal: int, positions: Iterable[int], inside: Pieces | None = None) -> Target:
        """The state at these positions and inside these pieces; None if the frame can do nothing but end."""
        at, end = self.kernel(goal, positions), self.end(goal)
        if not inside:
            if at == (end,):
                return None
            return self._last_piece(goal, at) or RuleState(self, goal, at)
        entries = [(dfa, state, self.kernel(goal, after)) for (dfa, state), after in inside.items()]
        entries.sort(key=lambda entry: (entry[0].digest, *entry[1:]))
        if not at and len(entries) == 1 and entries[0][2] == (end,):
            return self.leaf(_beyond(entries[0][0], entries[0][1]), (end,))
        return RuleState(self, goal, at, tuple(entries))

    def leaf(self, dfa: ByteDfa, positions: Iterable[int]) -> ByteDfa | GreedyDfa:
        """An automaton to be called where its text leads to these positions."""
        return greedy(dfa, self._ascii_after(positions))

    def _ascii_after(self, positions: Iterable[int]) -> int:
        """The ASCII bytes that may come at some positions, in this frame or behind it."""
        n, found = len(self.names), 0
        for position in self.graph.reach(positions, n):
            if n <= position < 2 * n:
                found |= self.states.followers[self.names[position - n]]
            for symbol, _ in self.graph.edges[position]:
                found |= _first_ascii(symbol)
        return found

    def _last_piece(self, goal: int, at: tuple[int, ...]) -> ByteDfa | GreedyDfa | None:
        """The one regular piece that remains, if nothing else may follow: the frame is left to its table."""
        if len(at) != 1 or len(self.graph.edges[at[0]]) != 1:
            return None
        symbol, after = self.graph.edges[at[0]][0]
        if isinstance(symbol, ByteDfa) and self.kernel(goal, (after,)) == (self.end(goal),):
            return self.leaf(symbol, (after,))
        return None

    def after_call(self, callee: Payload, goal: int, positions: Iterable[int]) -> Target:
        # A rule that is `A b | c` reads c b*; in it, A followed by b* is A again, so that nothing has to follow.
        # Without this `e ::= e "+" e | "1"` would nest a frame for each operator, all of which may end.
        if len(self.names) == 1 and callee == self.start(0):
            positions = set(positions)
            if self.kernel(0, positions) == self.kernel(0, (self.end(0),)):
                return None
        return self.state(goal, positions)


class _Builder:
    """Thompson's construction. INVARIANT: `add` leads no edge or hop to its source, and none away from its target."""

    def __init__(self, group: _Group) -> None:
        self.group, self.states = group, group.states
        n = len(group.names)
        self.graph = _Graph(n)
        bodies = [self.states.bodies[name] for name in group.names]
        for k, body in enumerate(bodies):
            entry = self.new()
            self.add(body, entry, n + k)
            self.open(k, entry)

    def open(self, k: int, entry: int) -> None:
        """Gives rule k's start what its body may begin with, but for the group's own rules: those are resumed."""
        graph, group = self.graph, self.group
        begun: dict[Edge, None] = {}
        seen, waiting = {entry}, [entry]
        while waiting:
            position = waiting.pop()
            begun.update(dict.fromkeys(graph.edges[position]))
            fresh = [to for to in graph.hops[position] if to not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        for symbol, after in begun:
            if isinstance(symbol, RuleState) and symbol.group.states is group.states:  # not of another rule set
                name = symbol.group.names[symbol.goal]
                if name in group.names:
                    graph.resumed[group.names.index(name)].append(after)
                    continue
            graph.edges[k].append((symbol, after))

    def new(self) -> int:
        graph, limit = self.graph, self.states.limits.positions
        if len(graph.edges) >= limit:
            raise LimitError("positions", len(graph.edges) + 1, limit, self.states.rules.place(self.group.names[0]))
        graph.hops.append([])
        graph.edges.append([])
        return len(graph.edges) - 1

    def add(self, node: Node, source: int, target: int) -> None:
        """What leads from `source` to `target` over the texts of a node."""
        facts = self.states.facts
        match node:
            case Terminal(language):
                self.add_piece(language, source, target)
            case RuleRef(name):
                if name in facts.solid:
                    self.graph.edges[source].append((self.states.start(name), target))
                if name in facts.nullable:
                    self.graph.hops[source].append(target)
            case Embedded(payload, nullable):
                self.graph.edges[source].append((Solid(payload) if nullable else payload, target))
                if nullable:
                    self.graph.hops[source].append(target)
            case Sequence(items):
                for item in items[:-1]:
                    after = self.new()
                    self.add(item, source, after)
                    source = after
                self.add(items[-1], source, target)
            case Choice(items):
                for item in items:
                    self.add(item, source, target)
            case Repeat(item, least, most):
                self.add_repeat(item, least, most, source, target)

    def add_repeat(self, item: Node, least: int, most: int | None, source: int, target: int) -> None:
        hops = self.graph.hops
        optional = 0 if most is None else most - least
        for i in range(least + optional):
            if i >= least:
                hops[source].append(target)
            after = self.new()
            self.add(item, source, after)
            source = after
        if most is None:
            before, after = self.new(), self.new()
            hops[source].append(before)
            self.add(item, before, after)
            hops[after] += (before, target)
        hops[source].append(target)

    def add_piece(self, language: Regular, source: int, target: int) -> None:
        """A regular piece: a counter, a table, or what it consists of where its table is over the budget."""
        limits = self.states.limits
        if (body := counted_body(Terminal(language), limits)) is not None:
            assert isinstance(language, regular.Repeat)
            loop = compile_regular(regular.Repeat(regular.Language(body), 0, None))
            self.graph.edges[source].append((Counted(loop, max(1, language.least), language.most), target))
            if language.least == 0:
                self.graph.hops[source].append(target)
        elif (dfa := compiled(language, limits)) is not None:
            self.add_table(dfa, source, target)
        else:
            self.add_cut(language, source, target)

    def add_table(self, dfa: ByteDfa, source: int, target: int) -> None:
        if dfa.transitions[1].any():
            self.graph.edges[source].append((_beyond(dfa, 1), target))
        if dfa.accepts_empty:
            self.graph.hops[source].append(target)

    def add_cut(self, language: Regular, source: int, target: int) -> None:
        """The same language in smaller pieces; what has none, a class or an intersection, gets the larger budget."""
        match language:
            case regular.Concat(items):
                self.add(Sequence(tuple(map(Terminal, items))), source, target)
            case regular.Alternation(items):
                self.add(Choice(tuple(map(Terminal, items))), source, target)
            case regular.Repeat(item, least, most):
                self.add_repeat(Terminal(item), least, most, source, target)
            case regular.Bytes(data) if len(data) > 1:
                halves = regular.Bytes(data[: len(data) // 2]), regular.Bytes(data[len(data) // 2 :])
                self.add(Sequence(tuple(map(Terminal, halves))), source, target)
            case _:
                self.add_table(compile_regular(language), source, target)


def _levels(corners: dict[str, set[str]], components: list[list[str]]) -> int:
    """How many rules may begin with each other, one below the next, at the most."""
    deepest: dict[str, int] = {}
    for component in components:  # those below come first
        below = [deepest.get(corner, 0) for name in component for corner in corners[name] if corner not in component]
        deepest.update(dict.fromkeys(component, 1 + max(below, default=0)))
    return max(deepest.values(), default=0)


class _States:
    """All states of a rule set: the groups of its rules.

    A group is a rule with those that it may begin with and that may begin with it; `joined`: with all that it may begin
    with. The rules of a group are begun together, in one frame. So of `sum`, `product`, …, `name`, each of which may
    begin with the next, the last is called once, and not once for each way that leads to it; what was read is known to
    be a sum when an operator comes.
    """

    def __init__(
        self, rules: RuleSet, facts: Facts, limits: RuleLimits, bodies: dict[str, Node], joined: bool | None = None
    ) -> None:
        self.rules, self.facts, self.limits, self.bodies = rules, facts, limits, bodies
        self._followers: dict[str, int] | None = None
        self._place: dict[str, tuple[_Group, int]] = {}
        corners = {name: left_corners(body, facts) for name, body in bodies.items()}
        below: dict[str, dict[str, None]] = {}
        components = strongly_connected(corners)
        if joined is None:
            joined = _levels(corners, components) >= _MANY_LEVELS
        for component in components:
            members = dict.fromkeys(component)
            if joined:
                for corner in sorted(other for name in component for other in corners[name]):
                    members.update(below.get(corner, {}))
                below.update(dict.fromkeys(component, members))
            group = _Group(self, tuple(members))
            self._place.update((name, (group, goal)) for goal, name in enumerate(component))

    @property
    def followers(self) -> dict[str, int]:
        """By rule, the ASCII bytes that may come behind its texts."""
        if self._followers is None:
            self._followers = followers(self.bodies, self.facts, self.rules.start)
        return self._followers

    def start(self, name: str) -> RuleState:
        group, goal = self._place[name]
        return group.start(goal)

    def root(self) -> Target:
        name = self.rules.start
        body = self.bodies[name]
        if isinstance(body, Terminal) and counted_body(body, self.limits) is None:
            dfa = compiled(body.language, self.limits)
            if dfa is not None:
                return dfa
        start = self.start(name)
        if name not in self.facts.nullable:
            return start
        group, goal = start.group, start.goal
        return RuleState(group, goal, group.kernel(goal, (*start.at, group.end(goal))))
