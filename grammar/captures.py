"""Captures: what the named parts of a text are, read off the text and the tree of the grammar, when somebody asks.

Nothing of this is in the states: names would keep alternatives apart that are one to the machine, and positions are
without bound. Instead the text is read once more, over the tree (composition.py) as far as there are names in it; a
subtree without names is compiled, and asked only where its texts that begin at a place end.

A text can be read in several ways. The one that is told is found from left to right: each part takes as much text as
it can, provided that the rest can be read by the rest; of alternatives that take the same, it is the first. A
repetition goes on rather than stop. This is the rule of POSIX for what parentheses match, where the parts of a
sequence are concerned.

Of a text that is no sentence yet, a part that has read all of it and could go on takes more than any that has ended
(`OPEN`, a place beyond the end), so it and what it is in are not told.

Special tokens are shown by their names in the text that is read. A matcher knows where those are that it accepted; in a
text from elsewhere, each name may be the token or text.

Cost: with n bytes and no ambiguity, n look-ups in a table, or 2 us for each byte below a schema or a rule. A part that
may end at each of n places, followed by one that may, takes n * n.

Source: POSIX.1-2017, Base Definitions, 9.1 (longest matches); the chart is Cocke, Younger and Kasami's, by demand.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as InOrder
from typing import Any, NamedTuple

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.compiled import Compiled, compile_grammar
from ..automata.errors import GrammarError, UnsatisfiableError, nested_too_deeply
from ..automata.fragment import Target
from ..automata.matcher import Matcher, encoded
from .capture_states import Configurations, States, TableStates
from .composition import read_freely
from .grammar import Grammar
from .rule_states import root_payload
from .rules import Captured, Choice, Embedded, Node, Repeat, Rule, RuleSet, Sequence
from .validation import Reading, byte_vocabulary, names_shown, validate

__all__ = ["Spans", "captures", "names_in", "spans_of"]

Spans = list[tuple[str, int, int]]  # name, offsets of its first byte and behind its last one; outer ones first
Tokens = InOrder[tuple[int, int, bytes]]  # where the name of each special token begins and ends, and its spelling


def captures(grammar: Grammar, text: str | bytes, tokens: Tokens | None = None) -> dict[str, str | list[str]]:
    """As Grammar.captures says. tokens : the special tokens in the text; None where that is not known."""
    if grammar.parts is None:
        return {}
    data = encoded(text)
    try:
        several = names_in(grammar.parts)
        spans = spans_of(grammar, data, tokens) if several else []
    except RecursionError:
        raise nested_too_deeply("a composed grammar") from None
    found: dict[str, str | list[str]] = {}
    for name, begin, end in spans:
        value = data[begin:end].decode("utf-8", "replace")
        if several[name]:
            listed = found.setdefault(name, [])
            assert isinstance(listed, list)
            listed.append(value)
        else:
            found[name] = value
    return found


def names_in(node: Node) -> dict[str, bool]:
    """The names in a tree, and of each whether a text can have it more than once."""
    return {name: most is None or most > 1 for name, most in _uses(node).items()}


def _uses(node: Node) -> dict[str, int | None]:
    """How often each name can come in one text at the most; None: without bound."""
    match node:
        case Captured(item, name):
            return _summed([_uses(item), {name: 1}])
        case Sequence(items):
            return _summed([_uses(item) for item in items])
        case Choice(items):
            either: dict[str, int | None] = {}
            for uses in map(_uses, items):
                for name, most in uses.items():
                    known = either.get(name, 0)
                    either[name] = None if most is None or known is None else max(known, most)
            return either
        case Repeat(item, _, most):
            return {
                name: None if most is None or uses is None else most * uses
                for name, uses in _uses(item).items()
                if most != 0
            }
        case Embedded(_, _, parts) if parts is not None:
            return _uses(parts)
    return {}


def _summed(each: list[dict[str, int | None]]) -> dict[str, int | None]:
    total: dict[str, int | None] = {}
    for uses in each:
        for name, most in uses.items():
            known = total.get(name, 0)
            total[name] = None if most is None or known is None else known + most
    return total


# ------------------------------------------------------------------------------------------------ reading


_leaves: weakref.WeakKeyDictionary[Grammar, _Leaves] = weakref.WeakKeyDictionary()


def spans_of(grammar: Grammar, data: bytes, tokens: Tokens | None = None) -> Spans:
    """The captures of a text in the order in which they begin. Raises GrammarError where no sentence begins with it."""
    assert grammar.parts is not None
    leaves = _leaves.setdefault(grammar, _Leaves())
    reading = _Reading(data, leaves, _names(grammar, data, tokens))
    for tree in leaves.trees(grammar.parts):
        ends = reading.ends(tree, 0)
        goal = len(data) if len(data) in ends else reading.open
        if goal in ends:
            return list(reading.spans(tree, 0, goal))
    verdict = validate(grammar, data, as_generated=bool(grammar.special_tokens))
    raise GrammarError(
        f"no sentence begins with this text: byte {verdict.offset} may not stand there",
        text=data.decode("utf-8", "replace"),
        offset=len(data[: verdict.offset].decode("utf-8", "ignore")),
    )


class _Names(NamedTuple):
    """at : by where the name of a special token stands, where it ends, and the token's spelling. certain : no name that
    stands there is text."""

    at: Mapping[int, list[tuple[int, bytes]]]
    certain: bool


def _names(grammar: Grammar, data: bytes, tokens: Tokens | None) -> _Names:
    at: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    if tokens is None:
        for begin, shown in names_shown(data, grammar.special_tokens).items():
            at[begin] = [(end, token.spelling) for end, token in shown]
    else:
        for begin, end, spelling in tokens:
            at[begin].append((end, spelling))
    return _Names(dict(at), tokens is not None)


class _Leaves:
    """What is compiled of a grammar's tree: its subtrees without names, by identity; the trees outlive this."""

    def __init__(self) -> None:
        self.of: dict[int, ByteDfa | Compiled] = {}
        self.named: dict[int, bool] = {}
        self.freely: Node | None = None

    def trees(self, parts: Node) -> Iterator[Node]:
        """What a text is read by: first as it would be generated, then as something else may have written it."""
        yield parts
        if self.freely is None:
            self.freely = read_freely(parts)
        if self.freely is not parts:
            yield self.freely

    def is_named(self, node: Node) -> bool:
        """Whether there is a name in a subtree."""
        found = self.named.get(id(node))
        if found is None:
            found = self.named[id(node)] = bool(_uses(node))
        return found

    def leaf(self, node: Node) -> ByteDfa | Compiled:
        found = self.of.get(id(node))
        if found is None:
            root: Target
            if isinstance(node, Embedded):
                root = node.target
            else:
                try:
                    root, _ = root_payload(RuleSet({"part": Rule("part", node)}, "part"))
                except UnsatisfiableError:
                    root = regular.compile_regular(regular.EMPTY)
            compiled = root if isinstance(root, ByteDfa) else compile_grammar(Reading(root, ()), byte_vocabulary())
            found = self.of[id(node)] = compiled
        return found


class _Reading:
    """One text, read over a tree: where the parts that begin at a place end, and which of them are meant.

    A place is a byte offset; `open` is that of a part which has read all of the text and could go on.
    """

    def __init__(self, data: bytes, leaves: _Leaves, names: _Names) -> None:
        self.data, self.leaves, self.names = data, leaves, names
        self.open = len(data) + 1
        self.known: dict[tuple[int, int], frozenset[int]] = {}

    def ends(self, node: Node, begin: int) -> frozenset[int]:
        """The places where texts of a node that begin at a place end."""
        if begin == self.open:
            return frozenset((begin,))
        key = (id(node), begin)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = frozenset(self.ends_anew(node, begin))
        return found

    def ends_anew(self, node: Node, begin: int) -> set[int] | frozenset[int]:
        if not self.leaves.is_named(node):
            leaf = self.leaves.leaf(node)
            if self.names.at:
                states: States = TableStates(leaf) if isinstance(leaf, ByteDfa) else Configurations(leaf)
                return self.ends_with_names(states, begin)
            return self.ends_of_table(leaf, begin) if isinstance(leaf, ByteDfa) else self.ends_of_states(leaf, begin)
        match node:
            case Captured(item):
                return self.ends(item, begin)
            case Embedded(_, _, parts):
                assert parts is not None
                return self.ends(parts, begin)
            case Sequence(items):
                return self.layers(items, begin)[-1]
            case Choice(items):
                return set().union(*(self.ends(item, begin) for item in items))
            case Repeat():
                return {place for count, place in self.rounds(node, begin) if count >= node.least}
        raise AssertionError(f"{type(node).__name__} names nothing")

    def ends_of_table(self, dfa: ByteDfa, begin: int) -> set[int]:
        data, n = self.data, len(self.data)
        classes, step, accepting = dfa.byte_class.tolist(), dfa.table.item, dfa.accepting.tolist()
        found, state, at = set(), 1, begin
        while state:
            if accepting[state]:
                found.add(at)
            if at == n:
                if dfa.table[state].any():
                    found.add(self.open)
                break
            state = step(state, classes[data[at]])
            at += 1
        return found

    def ends_of_states(self, compiled: Compiled, begin: int) -> set[int]:
        matcher, n = Matcher(compiled), len(self.data)
        found = {begin} if matcher.is_accepting() else set()
        for at in range(begin, n):
            if not matcher.accept_bytes(self.data[at : at + 1]):
                return found
            if matcher.is_accepting():
                found.add(at + 1)
        if matcher.next_bytes()[:256].any():
            found.add(self.open)
        return found

    def ends_with_names(self, states: States, begin: int) -> set[int]:
        """As the above, where names of special tokens stand in the text: a place may be reached in several states."""
        data, n = self.data, len(self.data)
        found: set[int] = set()
        waiting: dict[int, list[Any]] = {begin: [states.start]}
        while waiting:
            at = min(waiting)
            names = self.names.at.get(at, ())
            for state in states.distinct(waiting.pop(at)):
                if states.accepts(state):
                    found.add(at)
                if at == n:
                    if states.goes_on(state):
                        found.add(self.open)
                    continue
                steps = [] if names and self.names.certain else [(at + 1, data[at : at + 1])]
                for end, step in (*names, *steps):
                    if (after := states.after(state, step)) is not None:
                        waiting.setdefault(end, []).append(after)
        return found

    def layers(self, items: tuple[Node, ...], begin: int) -> list[set[int]]:
        """Element k: the places that the first k items lead to."""
        found = [{begin}]
        for item in items:
            found.append(set().union(*(self.ends(item, place) for place in found[-1])))
        return found

    def rounds(self, node: Repeat, begin: int) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """(iterations, place) that a repetition comes to, and what each one came from.

        Iterations beyond those that are needed are only counted if they are limited, and read something.
        """
        start = (0, begin)
        found: dict[tuple[int, int], list[tuple[int, int]]] = {start: []}
        waiting = [start]
        while waiting:
            count, place = before = waiting.pop()
            if place == self.open or count == node.most:
                continue
            for end in self.ends(node.item, place):
                if end == place and count >= node.least:
                    continue
                after = self.round_after(node, count, end)
                if after not in found:
                    found[after] = []
                    waiting.append(after)
                found[after].append(before)
        return found

    def round_after(self, node: Repeat, count: int, place: int) -> tuple[int, int]:
        """What one more iteration comes to. In one that could go on, those after it are still to come."""
        if place == self.open:
            return node.least, place
        return count + 1 if node.most is not None else min(count + 1, node.least), place

    # -------------------------------------------------------------------------------------------- which are meant

    def spans(self, node: Node, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
        """The captures of a node that reads from one place to another."""
        if not self.leaves.is_named(node):
            return
        match node:
            case Captured(item, name):
                if end != self.open:
                    yield name, begin, end
                yield from self.spans(item, begin, end)
            case Embedded(_, _, parts):
                assert parts is not None
                yield from self.spans(parts, begin, end)
            case Sequence(items):
                yield from self.spans_in_sequence(items, begin, end)
            case Choice(items):
                yield from self.spans(next(item for item in items if end in self.ends(item, begin)), begin, end)
            case Repeat():
                yield from self.spans_in_repetition(node, begin, end)

    def spans_in_sequence(self, items: tuple[Node, ...], begin: int, end: int) -> Iterator[tuple[str, int, int]]:
        layers = self.layers(items, begin)
        good = {end}  # the places from which the rest comes to the end
        for k in range(len(items) - 1, -1, -1):
            layers[k + 1] &= good
            good = {place for place in layers[k] if self.ends(items[k], place) & good}
        for item, after in zip(items, layers[1:], strict=True):
            if begin == self.open:
                return
            to = max(self.ends(item, begin) & after)
            yield from self.spans(item, begin, to)
            begin = to

    def spans_in_repetition(self, node: Repeat, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
        before = self.rounds(node, begin)
        good = {state for state in before if state[1] == end and state[0] >= node.least}
        waiting = list(good)
        while waiting:
            for state in before[waiting.pop()]:
                if state not in good:
                    good.add(state)
                    waiting.append(state)
        count, place = 0, begin
        while place != self.open and count != node.most:
            further = [
                to
                for to in self.ends(node.item, place)
                if self.round_after(node, count, to) in good and not (to == place and count >= node.least)
            ]
            if not further:
                return
            to = max(further)
            yield from self.spans(node.item, place, to)
            count, place = self.round_after(node, count, to)
