"""What Lark's contextual lexer makes of a text, as one greedy leaf for each terminal and context.

Lark joins the terminals that a parser's state accepts, and the ignored ones, to one regular expression, `A|B|…`, by
priority, greatest width, length of the pattern, name; so the first one that matches wins, not the longest. A string
that some pattern of its priority matches from end to end is left out of it; where the pattern matches and the text is
just the string, the token is renamed. That is why `ifx` is a NAME and `if` is not: the whole of NAME is matched first.

Here a terminal's automaton is what `re` takes of a text (preferred_match.py), and automata in that order make those of
an alternation in the same way as threads do: when one has matched, those after it are cut off. A leaf for terminal t
follows t, and the terminals before it that can get in its way, and accepts where the token would be t. Where another
goes on instead, the frame may neither go on nor end (BLOCKED).

    context     the names of the terminals that a state accepts, with the ignored ones
    carriers    the members of the alternation whose tokens may be t: t itself, or the patterns that embed the string t

Cost: as a rule 0.2 to 5 ms for a leaf; 50 ms beside a NAME of all of Unicode's letters. Leaves that depend on the same
terminals are made once. Two fixed strings get in each other's way where one begins with the other, which the order of
all of them tells, so a thousand keywords cost a thousand leaves; other pairs are followed together.

Source: lark.lexer of Lark 1.2 and 1.3 (BasicLexer, Scanner, _create_unless).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..automata.budget import DEFAULT_LIMITS
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.greedy_dfa import GreedyDfa
from ..automata.regular import Difference, Language, Regular, alternation, compile_regular
from .greedy_ends import with_ends
from .preferred_match import PreferredMatch, class_numbers

__all__ = ["LarkLexer"]


class _Leaf(NamedTuple):
    """What decides about a leaf: members of the alternation in order, each with whether its tokens may be the leaf's.

    renamed : of each carrier, the texts that alone are the leaf's (True), or that are not (False); None: all are its.
    """

    members: tuple[str, ...]
    carriers: tuple[bool, ...]
    renamed: tuple[tuple[ByteDfa, bool] | None, ...]


class _Context(NamedTuple):
    order: Mapping[str, int]  # the members of the alternation, each with its place
    strings: Mapping[str, tuple[str, ...]]  # of each pattern, the strings that its tokens are renamed to, in order
    patterns: Mapping[str, tuple[str, ...]]  # of each string, the patterns whose tokens are renamed to it


class LarkLexer:
    """The leaves of a grammar's terminals.

    terminals : lark's TerminalDef, whose names are distinct. matches : the automaton of each by name.
    ignored : names of terminals. What a pattern matches is ignored or not by the pattern's name, whatever it is renamed
        to: of an ignored one all is dropped, and the parser refuses a token that gets the name of an ignored string.
    """

    def __init__(
        self, terminals: Iterable[Any], matches: Mapping[str, PreferredMatch], ignored: Iterable[str] = ()
    ) -> None:
        self.ignored = frozenset(ignored)
        ordered = sorted(terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))
        self.matches = matches
        self.terminals = {t.name: t for t in ordered}
        self.languages: dict[str, ByteDfa] = {}
        plain = [t for t in ordered if t.pattern.type == "str" and not t.pattern.flags]
        self.fixed = {t.name: t.pattern.value.encode() for t in plain}
        self.spelled: dict[bytes, list[str]] = {}
        for name, text in self.fixed.items():
            self.spelled.setdefault(text, []).append(name)
        self.texts = sorted(self.spelled)
        self.others = [name for name in self.terminals if name not in self.fixed]
        self.embedded = {t.name: self.embedded_in(t) for t in ordered if t.pattern.type == "re"}
        self.contexts: dict[frozenset[str], _Context] = {}
        self.meetings: dict[tuple[str, str], bool] = {}
        self.rivals: dict[tuple[str, frozenset[str]], tuple[str, ...]] = {}
        self.unions: dict[tuple[str, ...], ByteDfa] = {}
        self.leaves: dict[_Leaf, GreedyDfa | None] = {}
        self.decided: dict[tuple[str, frozenset[str]], GreedyDfa | None] = {}

    def embedded_in(self, pattern: Any) -> tuple[str, ...]:
        """The strings that a pattern's tokens may be renamed to."""
        match = self.matches[pattern.name]
        return tuple(
            t.name
            for t in self.terminals.values()
            if t.pattern.type == "str" and t.priority == pattern.priority and match.takes(t.pattern.value.encode())
        )

    def context(self, names: frozenset[str]) -> _Context:
        known = self.contexts.get(names)
        if known is None:
            patterns = {name: self.embedded[name] for name in self.terminals if name in names and name in self.embedded}
            strings = {p: tuple(s for s in found if s in names) for p, found in patterns.items()}
            flags = {name: self.terminals[name].pattern.flags for name in names & self.terminals.keys()}
            gone = {s for p, found in strings.items() for s in found if flags[s] <= flags[p]}
            order = (name for name in self.terminals if name in names and name not in gone)
            renaming: dict[str, list[str]] = {}
            for p, found in strings.items():
                for s in found:
                    renaming.setdefault(s, []).append(p)
            known = self.contexts[names] = _Context(
                {name: i for i, name in enumerate(order)}, strings, {s: tuple(found) for s, found in renaming.items()}
            )
        return known

    def leaf(self, name: str, context: frozenset[str]) -> GreedyDfa | None:
        """The leaf of a terminal in a context; None if no token is ever this terminal."""
        key = (name, context)
        if key not in self.decided:
            spec = self.spec(name, context)
            if spec not in self.leaves:
                self.leaves[spec] = _made(spec, [self.matches[member] for member in spec.members])
            self.decided[key] = self.leaves[spec]
        return self.decided[key]

    def spec(self, name: str, names: frozenset[str]) -> _Leaf:
        context = self.context(names)
        # All of an ignored pattern is ignored, and a token that an ignored string renames is refused.
        patterns = () if name in self.ignored else context.patterns.get(name, ())
        carriers = {name, *(p for p in patterns if p not in self.ignored)} & context.order.keys()
        rivals = {rival for carrier in carriers for rival in self.rivals_of(carrier, names)}
        members = sorted(carriers | rivals, key=context.order.__getitem__)
        carries = tuple(member in carriers for member in members)
        renamed = [
            self.renaming(name, context.strings.get(member, ())) if is_carrier else None
            for member, is_carrier in zip(members, carries, strict=True)
        ]
        return _Leaf(tuple(members), carries, tuple(renamed))

    def rivals_of(self, carrier: str, names: frozenset[str]) -> tuple[str, ...]:
        """The members before a carrier that may get in its way."""
        known = self.rivals.get((carrier, names))
        if known is None:
            order = self.context(names).order
            before = (name for name in self.neighbours(carrier) if order.get(name, len(order)) < order[carrier])
            known = self.rivals[carrier, names] = tuple(name for name in before if self.meet(name, carrier))
        return known

    def neighbours(self, name: str) -> Iterator[str]:
        """Terminals, among them all that may get in the way of this one."""
        text = self.fixed.get(name)
        if text is None:
            yield from self.terminals
            return
        yield from self.others
        for end in range(1, len(text)):
            yield from self.spelled.get(text[:end], ())
        for longer in range(bisect_left(self.texts, text), len(self.texts)):
            if not self.texts[longer].startswith(text):
                break
            yield from self.spelled[self.texts[longer]]

    def renaming(self, name: str, strings: tuple[str, ...]) -> tuple[ByteDfa, bool] | None:
        """Which of the tokens of a pattern with such strings are the terminal's."""
        if name not in strings:
            return (self.all_of(strings), False) if strings and name not in self.ignored else None
        text = self.fixed.get(name)
        before = tuple(s for s in strings[: strings.index(name)] if text is None or self.fixed.get(s, text) == text)
        own: Regular = Language(self.language(name))
        return compile_regular(Difference(own, Language(self.all_of(before))) if before else own), True

    def all_of(self, strings: tuple[str, ...]) -> ByteDfa:
        if strings not in self.unions:
            self.unions[strings] = compile_regular(alternation(*[Language(self.language(name)) for name in strings]))
        return self.unions[strings]

    def language(self, name: str) -> ByteDfa:
        """The texts of a terminal that is a string."""
        if name not in self.languages:
            from ..automata.minimize import minimized

            match = self.matches[name]
            table = np.maximum(np.array(match.table, np.int32), 0)
            accepting = np.array(match.accepting, np.uint8)
            self.languages[name] = minimized(table, accepting, np.frombuffer(match.class_of, np.uint8).copy())
        return self.languages[name]

    def meet(self, first: str, second: str) -> bool:
        """Whether a member may get in the way of a later one: match while that is followed, or go on where it ends."""
        key = (first, second)
        if key not in self.meetings:
            self.meetings[key] = _meet(self.matches[first], self.matches[second])
        return self.meetings[key]


def _meet(first: PreferredMatch, second: PreferredMatch) -> bool:
    seen, waiting = {(1, 1)}, [(1, 1)]
    pairs = sorted(set(zip(first.class_of, second.class_of, strict=True)))
    while waiting:
        a, b = waiting.pop()
        row, other = first.table[a], second.table[b]
        if first.accepting[a] or (second.accepting[b] and any(to > 0 for to in row)):
            return True
        for c, d in pairs:
            pair = (row[c], other[d])
            if pair[0] > 0 and pair[1] > 0 and pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return False


def _made(spec: _Leaf, matches: list[PreferredMatch]) -> GreedyDfa | None:
    """The leaf: all members followed at once. A state: that of each member, then of each automaton of renamed texts."""
    names = [(i, *found) for i, found in enumerate(spec.renamed) if found is not None]
    cuts = {byte for m in matches for byte in range(1, 256) if m.class_of[byte] != m.class_of[byte - 1]}
    for _, dfa, _ in names:
        of = dfa.byte_class.tolist()
        cuts.update(byte for byte in range(1, 256) if of[byte] != of[byte - 1])
    class_of = class_numbers(cuts)
    first = [class_of.index(c) for c in range(class_of[255] + 1)]
    columns = [[m.class_of[byte] for byte in first] for m in matches]
    rows_of_names = [dfa.transitions[:, first].tolist() for _, dfa, _ in names]
    ends_of_names = [dfa.accepting.tolist() for _, dfa, _ in names]
    n = len(matches)

    def wins(state: tuple[int, ...]) -> bool:
        for i, match in enumerate(matches):
            if match.accepting[state[i]]:
                if not spec.carriers[i]:
                    return False
                for k, (member, _, inside) in enumerate(names):
                    if member == i:
                        return ends_of_names[k][state[n + k]] == inside
                return True
        return False

    def step(state: tuple[int, ...], c: int) -> tuple[tuple[int, ...] | None, int]:
        """The state after a byte of class c; or None and the entry, if nothing goes on."""
        after, stuck, is_cut = [], None, False
        for i, match in enumerate(matches):
            s = state[i]
            column = columns[i][c]
            entry = 0 if is_cut or not s else match.table[s][column]
            if s and not is_cut:
                if match.accepting[s] and stuck is None:
                    stuck = entry
                is_cut = not match.passes[s][column]
            after.append(entry if entry > 0 else 0)
        if not any(after):
            return None, stuck or 0
        return (*after, *[rows[q][c] for rows, q in zip(rows_of_names, state[n:], strict=True)]), 0

    start = (1,) * (n + len(names))
    number: dict[tuple[int, ...], int] = {start: 1}
    states, table, won = [start], [[0] * len(first)], [False]
    for state in states:
        row = []
        for c in range(len(first)):
            target, entry = step(state, c)
            if target is not None:
                entry = number.get(target, 0)
                if not entry:
                    states.append(target)
                    entry = number[target] = len(states)
                    if entry > DEFAULT_LIMITS.dfa_states:
                        raise LimitError("dfa_states", entry, DEFAULT_LIMITS.dfa_states)
            row.append(entry)
        table.append(row)
        won.append(wins(state))
    return with_ends(np.array(table, np.int64), np.array(won), np.frombuffer(class_of, np.uint8))
