"""Which terminals compete where: the rules of a Lark grammar, annotated with the states of its LALR parser.

Lark's lexer tries what the parser accepts in the state in which it is when a token begins: the one that the last token
led to, before anything is reduced. So the same terminal may be read by different leaves at different places. To know
the place, rules are copied for each state in which they may begin (the annotated grammar of LALR theory: rule A at
state p, with terminals and rules of its body at the states that the body passes through). Before a terminal at state p
the lexer was in one of a few states; nearly always they agree on its leaf. Where they do not, states are given
*colours*, so that no two which disagree have the same, and rules are copied once more by the colour before and after.
Copies that turn out alike are merged again, which mostly gives back the rules as they were written.

A token is followed by what may be ignored after it, in the state to which it leads.

The language is that of the rules, whatever conflicts the LALR parser has. Lark shifts where it could also reduce, and
refuses what it could reduce in two ways; both are reported.

Cost: the LALR analysis is lark's, 1 ms for a rule; the copies take about as long.

Source: DeRemer and Pennello 1982 (LALR as the SLR of an annotated grammar); lark.lexer.ContextualLexer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ..automata.byte_dfa import ByteDfa
from ..automata.fragment import Payload
from ..automata.greedy_dfa import GreedyDfa
from .greedy_ends import ALL_BYTES, first_bytes, loosened
from .lark_gaps import gap_of

__all__ = ["Leaf", "Production", "Productions", "Token", "Tokens", "annotated", "merged"]


_MAX_COLOURS = 2  # with more, rules would be called once for each way that they may end, and a byte lead to too much


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token and what may be ignored after it.

    leaf : its texts, a state of another front end, or None for nothing. gap : any number of texts of these in a row.
    once : whether one of them is as good as any number.

    PERF: compared by identity, since rules are hashed again and again; `Tokens` makes one of each.
    """

    leaf: GreedyDfa | ByteDfa | Payload | None
    gap: tuple[GreedyDfa | ByteDfa, ...]
    once: bool = False


class Tokens:
    """The tokens of a grammar, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, object, bool], Token] = {}

    def token(
        self, leaf: GreedyDfa | ByteDfa | Payload | None, gap: tuple[GreedyDfa | ByteDfa, ...], once: bool = False
    ) -> Token:
        key = (leaf, gap, once)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Token(leaf, gap, once)
        return found


Production: TypeAlias = "tuple[Token | int, ...]"  # a rule's number is its place in the list of rules


class Productions(NamedTuple):
    """Rules by number, the first one being the start. names : what they were in the grammar.

    apart : names of rules that are not merged with others, however alike.
    """

    names: list[str]
    bodies: list[tuple[Production, ...]]
    tokens: Tokens
    apart: frozenset[str] = frozenset()


Loose = TypeVar("Loose", bound="GreedyDfa | ByteDfa | Payload")
Leaf: TypeAlias = "Callable[[str, frozenset[str]], GreedyDfa | ByteDfa | Payload | None]"


def annotated(
    rules: list[Any], start: str, ignored: Iterable[str], leaf: Leaf, apart: frozenset[str] = frozenset()
) -> tuple[Productions, list[str]]:
    """The annotated rules, and what should be known about conflicts.

    rules : lark's Rule, as its grammar compiles to. leaf : the leaf of a terminal among others; None if it has none.
    apart : names of rules that are to stay what they are.
    """
    from lark.common import ParserConf
    from lark.parsers.lalr_analysis import LALR_Analyzer

    analyzer = LALR_Analyzer(ParserConf(rules, {}, [start]))
    analyzer.compute_lr0_states()
    analyzer.compute_reads_relations()
    analyzer.compute_includes_lookback()
    analyzer.compute_lookaheads()
    states = _States(analyzer, start, frozenset(ignored), leaf)
    productions = merged(Productions(*states.rules(start), states.tokens, apart))
    notes = _conflicts(analyzer)
    if states.united:
        notes.append(
            "narrower than Lark: which terminals compete with some others depends on the token before them; here all "
            f"that ever do compete ({_listed(states.united)})"
        )
    return productions, notes


def _conflicts(analyzer: Any) -> list[str]:
    shifts: set[str] = set()
    reductions: set[str] = set()
    for state in analyzer.lr0_itemsets:
        for terminal, found in state.lookaheads.items():
            if len(found) > 1:
                priorities = sorted((rule.options.priority or 0) for rule in found)
                if priorities[-1] == priorities[-2]:
                    reductions.update(str(rule.origin.name) for rule in found)
                    continue
            if terminal in state.transitions:
                shifts.update(f"{rule.origin.name} before {terminal.name}" for rule in found)
    notes = []
    if shifts:
        notes.append(
            "not LALR(1): Lark goes on where it could also end a rule; here both are sentences "
            f"({_listed(shifts)})"
        )  # fmt: skip
    if reductions:
        notes.append(
            "not LALR(1): Lark's LALR parser refuses rules that end alike; here all their sentences are read "
            f"({_listed(reductions)})"
        )  # fmt: skip
    return notes


def _listed(names: set[str], most: int = 8) -> str:
    shown = sorted(names)
    return ", ".join(shown[:most]) + (", …" if len(shown) > most else "")


class _Place(NamedTuple):
    """A rule at a state, the colour of the lexer's state before it, and those that it may have after it."""

    state: Any
    rule: Any
    before: int
    after: frozenset[int]


def _accepted(state: Any) -> frozenset[str]:
    """The names of the terminals that a parser's state accepts."""
    shifted = {symbol.name for symbol in state.transitions if symbol.is_term}
    return frozenset(shifted | {symbol.name for symbol in state.lookaheads})


Ends: TypeAlias = "dict[tuple[Any, Any, int], set[int]]"  # by state, rule and colour before it, those after it


class _States:
    def __init__(self, analyzer: Any, start: str, ignored: frozenset[str], leaf: Leaf) -> None:
        self.leaf_of, self.ignored = leaf, ignored
        self.by_origin = analyzer.lr0_rules_by_origin
        self.first = analyzer.lr0_start_states[start]
        # Not a set's order, which differs between processes: what is made must be the same each time.
        self.states = _in_order(self.first)
        # PERF: equal contexts are one object, whose hash is known and which equals itself at once.
        met: dict[frozenset[str], frozenset[str]] = {}
        self.contexts = {state: met.setdefault(context, context) for state in self.states
                         for context in [_accepted(state) | ignored]}  # fmt: skip
        self.gaps: dict[frozenset[str], tuple[GreedyDfa, ...]] = {}
        self.known: dict[tuple[Any, str], dict[frozenset[str], GreedyDfa | ByteDfa | Payload]] = {}
        self.first_bytes: dict[str, int] = {}
        self.after: dict[frozenset[str], int] = {}
        self.loosened: dict[tuple[GreedyDfa, int], GreedyDfa] = {}
        self.tokens = Tokens()
        self.united: set[str] = set()
        self.token_at: dict[tuple[Any, Any, int], Token | None] = {}
        self.entered = self.lexed_in()
        self.lexed = {state: self.by_context(entered) for state, entered in self.entered.items()}
        self.colours = self.coloured()
        self.read_in = {state: sorted({self.colours[q] for q in self.entered[state]}) for state in self.states}
        self.coloured_in = {
            state: [(context, {self.colours[read] for read in reads}) for context, reads in found.items()]
            for state, found in self.lexed.items()
        }

    # ------------------------------------------------------------------------------------------ where the lexer was

    def path(self, state: Any, body: list[Any]) -> list[Any]:
        """The states that a body passes through, from `state` on."""
        out = [state]
        for symbol in body:
            out.append(out[-1].transitions[symbol])
        return out

    def lexed_in(self) -> dict[Any, set[Any]]:
        """By the state in which a terminal is shifted, the states in which the lexer may have read it."""
        entered: dict[Any, set[Any]] = {state: set() for state in self.states}
        entered[self.first].add(self.first)
        last: dict[tuple[Any, Any], set[Any]] = {}
        for state in self.states:
            for symbol, after in state.transitions.items():
                if symbol.is_term:
                    entered[after].add(after)
                else:
                    last[state, symbol] = set()
        sources = []  # (where a rule at a state is completed, what it takes that from)
        for (state, symbol), completed in last.items():
            sources.append((entered[state.transitions[symbol]], completed))
            for rule in self.by_origin[symbol]:
                path = self.path(state, rule.expansion)
                if not rule.expansion:
                    sources.append((completed, entered[state]))
                elif rule.expansion[-1].is_term:
                    completed.add(path[-1])
                else:
                    sources.append((completed, last[path[-2], rule.expansion[-1]]))
        changed = True
        while changed:
            changed = False
            for into, source in sources:
                if not source <= into:
                    into |= source
                    changed = True
        return entered

    def by_context(self, entered: set[Any]) -> dict[frozenset[str], list[Any]]:
        """Some states by what they accept: those that accept the same have the same leaves."""
        out: dict[frozenset[str], list[Any]] = {}
        for state in self.states if len(entered) > 1 else entered:
            if state in entered:
                out.setdefault(self.contexts[state], []).append(state)
        return out

    def leaves(self, state: Any, terminal: str) -> dict[frozenset[str], GreedyDfa | ByteDfa | Payload]:
        """The leaf of a terminal that is shifted at a state, by the context of the state in which the lexer read it."""
        found = self.known.get((state, terminal))
        if found is None:
            found = self.known[state, terminal] = {}
            for context in self.lexed[state]:
                leaf = self.leaf_of(terminal, context) if terminal in context else None
                if leaf is not None:
                    found[context] = self.loose(leaf, self.contexts[state.transitions[self.symbol(terminal)]])
        return found

    @staticmethod
    def symbol(terminal: str) -> Any:
        from lark.grammar import Terminal

        return Terminal(terminal)

    def loose(self, leaf: Loose, follow: frozenset[str]) -> Loose:
        """A leaf that holds no byte that no terminal of `follow` begins with: so fewer leaves are different."""
        if not isinstance(leaf, GreedyDfa):
            return leaf
        key = (leaf, self.bytes_of(follow))
        if key not in self.loosened:
            self.loosened[key] = loosened(*key)
        return self.loosened[key]  # type: ignore[return-value]

    def bytes_of(self, terminals: frozenset[str]) -> int:
        """The bytes, as a set of bits, with which texts of some terminals begin."""
        if terminals not in self.after:
            self.after[terminals] = reduce(or_, map(self.first_of, terminals), 0)
        return self.after[terminals]

    def first_of(self, terminal: str) -> int:
        """The bytes with which the leaves of a terminal begin."""
        if terminal not in self.first_bytes:
            self.first_bytes[terminal] = reduce(
                or_,
                (
                    first_bytes(leaf) if isinstance(leaf, GreedyDfa | ByteDfa) else ALL_BYTES
                    for context in dict.fromkeys(self.contexts.values())
                    if terminal in context and (leaf := self.leaf_of(terminal, context)) is not None
                ),
                0,
            )
        return self.first_bytes[terminal]

    def coloured(self) -> dict[Any, int]:
        """Colours of the states, so that of one colour all agree about the leaves of terminals at each place.

        Where that would take too many, places at which states disagree get a leaf that suits all of them: it leaves to
        others whatever one of them does. `united` has the names of their terminals.
        """
        apart: dict[Any, set[Any]] = {state: set() for state in self.states}
        split: list[tuple[Any, str]] = []
        for state in self.states:
            for symbol in state.transitions:
                if symbol.is_term and len(self.lexed[state]) > 1:
                    found = self.leaves(state, symbol.name)
                    # A state that has no leaf for a terminal cannot share its colour with one that has.
                    agreeing: dict[Any, set[Any]] = {}
                    for context, reads in self.lexed[state].items():
                        agreeing.setdefault(found.get(context), set()).update(reads)
                    if len(agreeing) > 1:
                        split.append((state, symbol.name))
                        for alike in agreeing.values():
                            for one in alike:
                                apart[one] |= self.entered[state] - alike
        colours: dict[Any, int] = {}
        for state in self.states:
            taken = {colours[other] for other in apart[state] if other in colours}
            colours[state] = next(c for c in range(len(self.states)) if c not in taken)
        if max(colours.values()) < _MAX_COLOURS:  # colours are numbered from 0
            return colours
        for state, terminal in split:
            self.unite(state, terminal)
        return dict.fromkeys(self.states, 0)

    def unite(self, state: Any, terminal: str) -> None:
        """Makes one leaf of a terminal at a state: that among all terminals which compete there in any state."""
        found = self.leaves(state, terminal)
        if not found:
            return
        context = frozenset[str]().union(*found)
        leaf = self.leaf_of(terminal, context)
        follow = self.contexts[state.transitions[self.symbol(terminal)]]
        if len(set(found.values())) > 1:
            self.united.add(terminal)
        self.known[state, terminal] = {} if leaf is None else dict.fromkeys(found, self.loose(leaf, follow))

    # ------------------------------------------------------------------------------------------ rules

    def token(self, state: Any, terminal: Any, colour: int) -> Token | None:
        """The token of a terminal that is shifted at a state, read in a state of the colour."""
        key = (state, terminal, colour)
        if key not in self.token_at:
            found = self.leaves(state, terminal.name)
            leaves = [found[c] for c, colours in self.coloured_in[state] if colour in colours and c in found]
            gap = self.gap(state.transitions[terminal])
            self.token_at[key] = self.tokens.token(leaves[0], gap) if leaves else None
        return self.token_at[key]

    def gap(self, state: Any) -> tuple[GreedyDfa, ...]:
        """What may be ignored in a state of the lexer."""
        context = self.contexts[state]
        if context not in self.gaps:
            after = context - self.ignored
            found = [self.leaf_of(name, context) for name in sorted(self.ignored)]
            leaves = [self.loose(leaf, context) for leaf in found if isinstance(leaf, GreedyDfa)]
            self.gaps[context] = gap_of(leaves, self.bytes_of(after))
        return self.gaps[context]

    def rules(self, start: str) -> tuple[list[str], list[tuple[Production, ...]]]:
        """Names and bodies of the places that are reached, the start first; it begins with what is ignored there."""
        from lark.grammar import NonTerminal

        origin, colour = NonTerminal(start), self.colours[self.first]
        ends = self.ends(origin, colour)
        numbers: dict[_Place, int] = {}
        waiting: list[_Place] = []

        def number(place: _Place) -> int:
            if place not in numbers:
                numbers[place] = len(numbers) + 1
                waiting.append(place)
            return numbers[place]

        lead = self.tokens.token(None, self.gap(self.first))
        first = number(_Place(self.first, origin, colour, frozenset(ends[self.first, origin, colour])))
        names: list[str] = [start]
        bodies: list[tuple[Production, ...]] = [((lead, first),)]
        for place in waiting:
            names.append(place.rule.name)
            found: dict[Production, None] = {}
            for rule in self.by_origin[place.rule]:
                found.update(dict.fromkeys(self.productions(place, rule.expansion, ends, number)))
            bodies.append(tuple(found))
        return names, bodies

    def ends(self, origin: Any, colour: int) -> Ends:
        """By state, rule and colour before it, the colours that may come after it."""
        ends: Ends = {(self.first, origin, colour): set()}
        users: dict[tuple[Any, Any, int], set[tuple[Any, Any, int]]] = {}
        waiting = dict.fromkeys(ends)
        while waiting:
            place = next(iter(waiting))
            del waiting[place]
            found: set[int] = set()
            for rule in self.by_origin[place[1]]:
                at, colours = place[0], {place[2]}
                for symbol in rule.expansion:
                    after: set[int] = set()
                    for before in colours:
                        if symbol.is_term:
                            if self.token(at, symbol, before) is not None:
                                after.add(self.colours[at.transitions[symbol]])
                            continue
                        part = (at, symbol, before)
                        if part not in ends:
                            ends[part] = set()
                            waiting[part] = None
                        users.setdefault(part, set()).add(place)
                        after |= ends[part]
                    at, colours = at.transitions[symbol], after
                found |= colours
            if not found <= ends[place]:
                ends[place] |= found
                waiting.update(dict.fromkeys(users.get(place, ())))
        return ends

    def productions(
        self, place: _Place, body: list[Any], ends: Ends, number: Callable[[_Place], int]
    ) -> tuple[Production, ...]:
        """The productions of a body at a place: from its end, by what the lexer's colour was there.

        Colours after a rule that make no difference to what comes then share one copy of the rule.
        """
        path = self.path(place.state, body)
        rests: dict[int, tuple[Production, ...]] = dict.fromkeys(place.after, ((),))
        for state, symbol in zip(path[-2::-1], reversed(body), strict=True):
            before: dict[int, tuple[Production, ...]] = {}
            for colour in self.read_in[state]:
                if symbol.is_term:
                    token = self.token(state, symbol, colour)
                    rest = rests.get(self.colours[state.transitions[symbol]])
                    if token is not None and rest:
                        before[colour] = tuple([(token, *items) for items in rest])
                    continue
                alike: dict[tuple[Production, ...], set[int]] = {}
                for after in sorted(ends.get((state, symbol, colour), ())):
                    if after in rests:
                        alike.setdefault(rests[after], set()).add(after)
                found = []
                for rest, colours in alike.items():
                    rule = number(_Place(state, symbol, colour, frozenset(colours)))
                    found += [(rule, *items) for items in rest]
                if found:
                    before[colour] = tuple(found)
            rests = before
        return rests.get(place.before, ())


def _in_order(first: Any) -> list[Any]:
    """The states in the order in which a walk from the first one finds them, by the names of symbols."""
    found = dict.fromkeys([first])
    waiting = [first]
    for state in waiting:
        for symbol in sorted(state.transitions, key=lambda symbol: (symbol.is_term, symbol.name)):
            after = state.transitions[symbol]
            if after not in found:
                found[after] = None
                waiting.append(after)
    return waiting


def merged(rules: Productions) -> Productions:
    """The same rules with one for all that are alike: a refinement of the partition that puts all into one class."""
    names, bodies, *_ = rules
    kinds = dict.fromkeys([None, *(name for name in names if name in rules.apart)])
    group = [[*kinds].index(name if name in rules.apart else None) for name in names]
    count = len({*group})
    while True:
        seen: dict[object, int] = {}
        refined = []
        for kind, body in zip(group, bodies, strict=True):
            shape = kind, frozenset([tuple([group[s] if isinstance(s, int) else s for s in items]) for items in body])
            refined.append(seen.setdefault(shape, len(seen)))
        group = refined
        if len(seen) == count:
            break
        count = len(seen)
    kept = [group.index(g) for g in range(count)]
    renumbered = [
        tuple(dict.fromkeys([tuple([group[s] if isinstance(s, int) else s for s in items]) for items in bodies[old]]))
        for old in kept
    ]
    return rules._replace(names=[names[old] for old in kept], bodies=renumbered)
