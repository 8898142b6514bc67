"""Rule sets are reduced until all that is regular is one expression, without making an automaton.

Rules that reach no recursion become regular expressions where they are named, and so do rules whose recursion is all
on one side (`ws ::= " " ws | ""`, `n ::= n [0-9] | [0-9]`; Arden's lemma). A rule that is named once takes its place,
alternatives that begin alike are factored, and neighbours that are regular become one piece. What remains is
recursion around regular pieces that are as large as can be. A long repetition that can be counted (`[^"]{0,500} "!"`)
stays a piece of its own: a counter is one state for all counts.

INVARIANT: the language is unchanged; no body that comes out contains what derives no text.
Cost: about 5 us for a node. An expression that is too large to be copied to where its rule is named is compiled; if
the automaton is too large as well, the rule stays a rule.

Source: Arden 1961; Nederhof 2000 (regular subsets of context-free grammars).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..automata import regular
from ..automata.budget import RegularLimits
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError
from ..automata.regular import EMPTY, EPSILON, Regular, compile_regular
from .rules import (
    Captured,
    Choice,
    Facts,
    Node,
    Repeat,
    RuleRef,
    RuleSet,
    Sequence,
    Terminal,
    references,
    strongly_connected,
)

__all__ = ["DEFAULT_LIMITS", "RuleLimits", "compiled", "counted_body", "reduced_bodies"]

_INLINED_SIZE, _INLINED_DEPTH = 256, 40  # of a regular rule's expression; beyond, its automaton is embedded
_INLINE_NESTING, _INLINE_DEPTH = 6, 8  # of rules named once, in each other
_FACTOR_DEPTH = 16
_LINEAR_RULES = 24  # solved together by Arden's lemma
_COUNTED = 64  # repetitions beyond so many are counted, not spelled out as states


@dataclass(frozen=True, slots=True)
class RuleLimits:
    """Counted budgets of a rule set.

    positions : of one rule, repetitions of what is not regular unrolled.
    leaf : of one regular piece; a piece beyond it is cut into smaller ones.
    """

    positions: int = 100_000
    leaf: RegularLimits = field(default=RegularLimits(nfa_size=100_000, dfa_states=4_000, steps=2_000_000))


DEFAULT_LIMITS = RuleLimits()


def reduced_bodies(rules: RuleSet, facts: Facts, limits: RuleLimits = DEFAULT_LIMITS) -> dict[str, Node]:
    """The start and the rules that it still needs. Raises LimitError where repetitions unroll to too much."""
    return _Reduction(rules, facts, limits).bodies()


_NOTHING = Terminal(EMPTY)


class _Reduction:
    """Rewrites bodies until all that is regular is in a Terminal, and as much as possible in one."""

    def __init__(self, rules: RuleSet, facts: Facts, limits: RuleLimits) -> None:
        self.rules, self.facts, self.limits = rules, facts, limits
        self.regular: dict[str, Regular] = {}
        self.irregular: dict[str, Node] = {}
        self.once: frozenset[str] = frozenset()

    def bodies(self) -> dict[str, Node]:
        """The start and the rules that it needs, as far as they are not regular. INVARIANT: none contains EMPTY."""
        live = [name for name in self.rules.rules if name in self.facts.productive and name in self.facts.reachable]
        graph = {
            name: [r.name for r in references(self.rules.rules[name].body) if r.name in self.facts.productive]
            for name in live
        }
        for component in strongly_connected(graph):
            self.reduce_component(component, len(component) > 1 or component[0] in graph[component[0]])
        start = self.rules.start
        if start in self.regular:
            return {start: Terminal(self.regular[start])}
        uses = Counter(ref.name for body in self.irregular.values() for ref in references(body))
        self.once = frozenset(
            name for name, n in uses.items() if n == 1 and name != start and _depth_within(self.irregular[name])
        )
        out: dict[str, Node] = {}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in out:
                out[name] = body = self.reduced(self.irregular[name], 0)
                self.check_size(name, body)
                waiting.extend(ref.name for ref in references(body))
        return out

    def reduce_component(self, names: list[str], recursive: bool) -> None:
        bodies = {name: self.reduced(self.rules.rules[name].body, 0) for name in names}
        if not recursive:
            solved = {n: b.language for n, b in bodies.items() if isinstance(b, Terminal)}
        elif any(self.counts(body) for body in bodies.values()):
            solved = {}
        else:
            solved = _solved(bodies)
        for name, body in bodies.items():
            language = self.sealed(solved[name]) if name in solved else None
            if language is None:
                self.irregular[name] = Terminal(solved[name]) if name in solved else body
            else:
                self.regular[name] = language

    def sealed(self, language: Regular) -> Regular | None:
        """An expression that may be copied to wherever its rule is named; None if its automaton is too large, too."""
        if _within(language, _INLINED_SIZE, _INLINED_DEPTH) is not None:
            return language
        dfa = compiled(language, self.limits)
        return None if dfa is None else regular.Language(dfa)

    def check_size(self, name: str, body: Node) -> None:
        size = _unrolled(body)
        if size > self.limits.positions:
            raise LimitError("positions", size, self.limits.positions, self.rules.place(name))

    def reduced(self, node: Node, nesting: int) -> Node:
        match node:
            case Terminal():
                return node if self.facts.is_productive(node) else _NOTHING
            case RuleRef(name):
                if name not in self.facts.productive:
                    return _NOTHING
                if name not in self.facts.solid:
                    return Terminal(EPSILON)
                if (language := self.regular.get(name)) is not None:
                    return Terminal(language)
                if name in self.once and nesting < _INLINE_NESTING:
                    return self.reduced(self.irregular[name], nesting + 1)
                return node
            case Sequence():
                return self.joined(self.parts(node, nesting))
            case Choice(items):
                return self.factored([self.parts(item, nesting) for item in items], 0)
            case Repeat(item, least, most):
                return _repeated(self.reduced(item, nesting), least, most)
            case Captured(item):
                return self.reduced(item, nesting)
        return node

    def parts(self, node: Node, nesting: int) -> list[Node]:
        """A node as what follows one another, reduced but not joined; [] for the empty text."""
        if not isinstance(node, Sequence):
            found = self.reduced(node, nesting)
            if isinstance(found, Terminal) and isinstance(found.language, regular.Concat):
                return [Terminal(item) for item in found.language.items]
            return list(found.items) if isinstance(found, Sequence) else [] if found == Terminal(EPSILON) else [found]
        out: list[Node] = []
        for item in node.items:
            out += self.parts(item, nesting)
        return [_NOTHING] if _NOTHING in out else out

    def joined(self, parts: list[Node]) -> Node:
        """A sequence; neighbours that are regular become one piece, but for repetitions that are to be counted."""
        if _NOTHING in parts:
            return _NOTHING
        out: list[Node] = []
        mergeable = False
        for i, part in enumerate(parts):
            counted = self.is_counted(parts, i)
            if isinstance(part, Terminal) and not counted and mergeable:
                before = out[-1]
                assert isinstance(before, Terminal)
                out[-1] = Terminal(regular.concatenation(before.language, part.language))
            else:
                out.append(part)
            mergeable = isinstance(part, Terminal) and not counted
        return out[0] if len(out) == 1 else Sequence(tuple(out)) if out else Terminal(EPSILON)

    def is_counted(self, parts: list[Node], i: int) -> bool:
        """Whether a part is a long repetition that what is beside it cannot be mistaken for.

        A counter is one state for all counts; but if it is open where the repetition begins or ends, because what goes
        on before it or comes after it may begin like an iteration, the machine would follow many counts at once, and
        the automaton is better.
        """
        body = counted_body(parts[i], self.limits)
        if body is None:
            return False
        first = body.transitions[1] != 0
        if i and isinstance(before := parts[i - 1], Terminal):
            dfa = compiled(before.language, self.limits)
            if dfa is None or (first & (dfa.transitions[dfa.accepting == 1] != 0).any(axis=0)).any():
                return False
        for part in parts[i + 1 :]:
            if not isinstance(part, Terminal):
                return True
            after = compiled(part.language, self.limits)
            if after is None or (first & (after.transitions[1] != 0)).any():
                return False
            if not after.accepts_empty:
                return True
        return True

    def counts(self, node: Node) -> bool:
        """Whether some part of a reduced body is to be counted, and so kept out of a larger automaton."""
        if isinstance(node, Sequence | Choice):
            return any([self.counts(item) for item in node.items])
        return counted_body(node, self.limits) is not None

    def factored(self, alternatives: list[list[Node]], depth: int) -> Node:
        """A choice between sequences, with what several of them begin with before the choice."""
        alternatives = [parts for parts in alternatives if _NOTHING not in parts]
        mixed: list[Node] = []
        pure: list[Regular] = []
        if depth < _FACTOR_DEPTH and not all(isinstance(part, Terminal) for parts in alternatives for part in parts):
            alternatives = [self.prefixed(group, depth) for group in _by_head(alternatives)]
        for parts in alternatives:
            found = self.joined(parts)
            if isinstance(found, Terminal):
                pure.append(found.language)
            else:
                mixed += found.items if isinstance(found, Choice) else (found,)
        if pure:
            mixed.insert(0, Terminal(regular.alternation(*pure)))
        return mixed[0] if len(mixed) == 1 else Choice(tuple(mixed)) if mixed else _NOTHING

    def prefixed(self, group: list[list[Node]], depth: int) -> list[Node]:
        """One sequence for alternatives that begin alike."""
        if len(group) == 1:
            return group[0]
        n = 1
        while all(len(parts) > n and parts[n] == group[0][n] for parts in group):
            n += 1
        rest = self.factored([parts[n:] for parts in group], depth + 1)
        after = list(rest.items) if isinstance(rest, Sequence) else [] if rest == Terminal(EPSILON) else [rest]
        return group[0][:n] + after


def _by_head(alternatives: list[list[Node]]) -> list[list[list[Node]]]:
    groups: dict[Node | None, list[list[Node]]] = {}
    for parts in alternatives:
        group = groups.setdefault(parts[0] if parts else None, [])
        if parts or not group:
            group.append(parts)
    return list(groups.values())


def _repeated(item: Node, least: int, most: int | None) -> Node:
    if item == _NOTHING:
        return _NOTHING if least else Terminal(EPSILON)
    if most == 0:
        return Terminal(EPSILON)
    if (least, most) == (1, 1):
        return item
    if isinstance(item, Terminal):
        return Terminal(regular.Repeat(item.language, least, most))
    return Repeat(item, least, most)


def _depth_within(node: Node, room: int = _INLINE_DEPTH) -> bool:
    if room == 0:
        return False
    items = node.items if isinstance(node, Sequence | Choice) else (node.item,) if isinstance(node, Repeat) else ()
    return all(_depth_within(item, room - 1) for item in items)


def _within(node: Regular, size: int, depth: int) -> int | None:
    """What is left of `size` after the nodes of an expression; None if they are more, or nested deeper than `depth`."""
    if size <= 0 or depth <= 0:
        return None
    match node:
        case regular.Concat(items) | regular.Alternation(items) | regular.Intersection(items):
            left: int | None = size - 1
            for item in items:
                if left is None or (left := _within(item, left, depth - 1)) is None:
                    return None
            return left
        case regular.Difference(left_item, right_item):
            return _within(regular.Concat((left_item, right_item)), size, depth)
        case regular.Repeat(item) | regular.Complement(item) | regular.Interspersed(item) | regular.Rewritten(item):
            return _within(item, size - 1, depth - 1)
        case regular.Bytes(data):
            return size - 1 - len(data) // 16
    return size - 1


def _unrolled(node: Node) -> int:
    """Positions that a body takes, about."""
    match node:
        case Sequence(items) | Choice(items):
            return sum(map(_unrolled, items))
        case Repeat(item, least, most):
            return 1 + _unrolled(item) * max(1, least, most or 0)
    return 1


def compiled(language: Regular, limits: RuleLimits) -> ByteDfa | None:
    """The automaton of a piece, or None where it does not fit the budget of one."""
    try:
        return compile_regular(language, limits.leaf)
    except LimitError:
        return None


def counted_body(part: Node, limits: RuleLimits) -> ByteDfa | None:
    """What a long repetition repeats, if counting it is exact: no iteration is the beginning of another."""
    if not isinstance(part, Terminal) or not isinstance(part.language, regular.Repeat):
        return None
    loop = part.language
    if max(loop.least, loop.most or 0) <= _COUNTED:
        return None
    body = compiled(loop.item, limits)
    if body is None or body.accepts_empty or body.is_empty or body.transitions[body.accepting == 1].any():
        return None
    return body


# ---------------------------------------------------------------------------------------------- one-sided recursion

Linear: TypeAlias = "dict[str | None, Regular]"  # what comes beside each rule; under None, what stands alone


def _solved(bodies: Mapping[str, Node]) -> dict[str, Regular]:
    """The languages of rules that name each other on one side only, by Arden's lemma; {} if they are not so."""
    if len(bodies) > _LINEAR_RULES:
        return {}
    for right in (True, False):
        forms = {name: _linear(body, bodies.keys(), right) for name, body in bodies.items()}
        equations = {name: form for name, form in forms.items() if form is not None}
        if len(equations) == len(bodies) and (solved := _eliminated(equations, right)):
            return solved
    return {}


def _beside(first: Regular, second: Regular, right: bool) -> Regular:
    return regular.concatenation(first, second) if right else regular.concatenation(second, first)


def _linear(node: Node, names: Iterable[str], right: bool) -> Linear | None:
    """A body as a sum of `regular rule` (right) or `rule regular`; None if it is no such sum."""
    match node:
        case Terminal(language):
            return {None: language}
        case RuleRef(name):
            return {name: EPSILON} if name in names else None
        case Choice(items):
            return _summed([_linear(item, names, right) for item in items])
        case Sequence(items):
            *outer, last = items if right else reversed(items)
            form = _linear(last, names, right)
            for item in reversed(outer):
                if form is None or not isinstance(item, Terminal):
                    return None
                form = {name: _beside(item.language, language, right) for name, language in form.items()}
            return form
        case Repeat(item, least, 1):
            form = _linear(item, names, right)
            return form if least else _summed([form, {None: EPSILON}])
    return None


def _summed(forms: list[Linear | None]) -> Linear | None:
    out: Linear = {}
    for form in forms:
        if form is None:
            return None
        for name, language in form.items():
            out[name] = regular.alternation(out.get(name, EMPTY), language)
    return out


def _eliminated(equations: dict[str, Linear], right: bool) -> dict[str, Regular]:
    """X = A X + B is A* B; each solution goes into the other equations. {} if they grow too large."""
    for name in list(equations):
        own = equations[name]
        if (loop := own.pop(name, None)) is not None:
            star = regular.Repeat(loop, 0, None)
            own = {other: _beside(star, language, right) for other, language in own.items()}
            equations[name] = own
        for other, form in equations.items():
            if other != name and (factor := form.pop(name, None)) is not None:
                for key, language in own.items():
                    form[key] = regular.alternation(form.get(key, EMPTY), _beside(factor, language, right))
                if any(_within(language, 8 * _INLINED_SIZE, 3 * _INLINED_DEPTH) is None for language in form.values()):
                    return {}
    return {name: form[None] for name, form in equations.items()}
