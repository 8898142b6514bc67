"""Context-free rules as an IR, and what can be known about them before anything is generated.

A `RuleSet` is what every text format of grammars becomes (EBNF, Lark files, structural tags): named bodies over regular
terminals. Four facts about a rule are least fixpoints over what its body needs: *productive*, it derives some text;
*nullable*, it derives the empty one; *solid*, it derives one that is not empty; *reachable* from the start. A rule is
*left recursive* if it can come back to itself before a byte is read: in its own body, through others, or behind
nullable parts; rule_states.py rewrites that away.

INVARIANT: `verify` has passed before a fact is asked for: every rule that is named is defined, and nesting is bounded,
so that recursion over a body is safe.
Cost: linear in the rules as they usually stand; at worst a body is looked at once for each rule that it names. No
automaton is built, unless a terminal contains an intersection or a complement.

Source: Hopcroft, Motwani, Ullman, "Introduction to Automata Theory", section 7.1; Tarjan 1972 (components).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeAlias

from ..automata import regular
from ..automata.errors import GrammarError, LimitError, UnsatisfiableError, line_and_column
from ..automata.fragment import Payload, Target
from ..automata.regular import Regular
from ..automata.special_tokens import SpecialToken
from .rule_attributes import Attributes

__all__ = [
    "MAX_DEPTH", "Captured", "Choice", "Embedded", "Facts", "Node", "Repeat", "Rule", "RuleRef", "RuleSet", "Sequence",
    "Terminal", "depth_of", "facts_of", "left_corners", "left_recursion", "notes_of", "references", "special_tokens_of",
    "strongly_connected", "substituted", "verify",
]  # fmt: skip

# Nesting of a body. A pass uses up to four Python frames for a level, and there are 1,000.
MAX_DEPTH = 120

# ---------------------------------------------------------------------------------------------- the IR


@dataclass(frozen=True, slots=True)
class Terminal:
    """The texts of a regular language: a literal, a class of code points, a whole pattern."""

    language: Regular


@dataclass(frozen=True, slots=True)
class RuleRef:
    """Another rule's texts; `offset`: where it is named, a character index."""

    name: str
    offset: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` texts of the item in a row; `most` None: any number from `least` on."""

    item: Node
    least: int
    most: int | None

    def __post_init__(self) -> None:
        if self.least < 0 or (self.most is not None and self.most < self.least):
            raise ValueError(f"repetition from {self.least} to {self.most}")


@dataclass(frozen=True, slots=True)
class Embedded:
    """A state that another front end made: a schema in a structural tag, a large set of choices. It has a text that is
    not empty.

    nullable : whether the empty text is in it. parts : what it was made of, for those who look for captures.
    reading : what gives the state that reads the same values however they are written; None where that is this one.
    """

    target: Payload
    nullable: bool
    parts: Node | None = field(default=None, compare=False)
    reading: Callable[[], Target] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Captured:
    """The item's texts, with a name for what is read as it (captures.py); no state of the machine knows of it."""

    item: Node
    name: str


Node: TypeAlias = Terminal | RuleRef | Sequence | Choice | Repeat | Embedded | Captured


@dataclass(frozen=True, slots=True)
class Rule:
    """A named body; `offset`: where its name stands in the text; `special_tokens`: those that the body names."""

    name: str
    body: Node
    offset: int | None = None
    special_tokens: tuple[SpecialToken, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """Rules by name and the one that sentences are of. Compared by identity, which makes states of it cheap to hash.

    text : what the offsets are about. notes : what its author should know, beside what `notes_of` finds.
    attributes : of the rules that have some (attributed_rules.py); root_payload knows nothing of them.
    """

    rules: Mapping[str, Rule]
    start: str
    text: str | None = None
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, Attributes] = field(default_factory=dict)

    def place(self, name: str) -> str:
        """A rule and where it stands, for messages."""
        offset = self.rules[name].offset
        if self.text is None or offset is None:
            return f"rule {name!r}"
        line, column = line_and_column(self.text, offset)
        return f"rule {name!r} (line {line}, column {column})"


def verify(rules: RuleSet) -> None:
    """Raises GrammarError where a rule is named that is not defined, LimitError where a body is nested too deep."""
    if rules.start not in rules.rules:
        raise GrammarError(
            f"the start rule {rules.start!r} is not defined{_hint(rules.start, rules.rules)}", text=rules.text, offset=0
        )
    for rule in rules.rules.values():
        depth = depth_of(rule.body)
        if depth > MAX_DEPTH:
            raise LimitError("depth", depth, MAX_DEPTH, rules.place(rule.name))
        for ref in references(rule.body):
            if ref.name not in rules.rules:
                message = f"rule {ref.name!r} is not defined{_hint(ref.name, rules.rules)}"
                raise GrammarError(message, text=rules.text, offset=ref.offset)


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def depth_of(body: Node) -> int:
    """Levels of nesting, counted without recursion: this is what makes recursion safe."""
    deepest, waiting = 0, [(body, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((item, depth + 1) for item in _children(node))
    return deepest


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Sequence | Choice):
        return node.items
    return (node.item,) if isinstance(node, Repeat | Captured) else ()


def references(body: Node) -> Iterator[RuleRef]:
    """The places where a body names rules, in order."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, RuleRef):
            yield node
        waiting.extend(reversed(_children(node)))


def substituted(body: Node, by: Callable[[RuleRef], Node]) -> Node:
    """The body with something in the place of each rule that it names; the body itself where nothing changes."""
    match body:
        case RuleRef():
            return by(body)
        case Sequence(items) | Choice(items):
            found = tuple([substituted(item, by) for item in items])
            return body if found == items else type(body)(found)
        case Repeat(item, least, most):
            return Repeat(substituted(item, by), least, most)
        case Captured(item, name):
            return Captured(substituted(item, by), name)
    return body


# ---------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Facts:
    """Names of the rules that derive some text, the empty text, a text that is not empty; that the start reaches."""

    productive: frozenset[str]
    nullable: frozenset[str]
    solid: frozenset[str]
    reachable: frozenset[str]

    def is_productive(self, node: Node) -> bool:
        return _productive(node, self.productive)

    def is_nullable(self, node: Node) -> bool:
        return _nullable(node, self.nullable)


Names: TypeAlias = "set[str] | frozenset[str]"


def facts_of(rules: RuleSet) -> Facts:
    """The facts of a verified rule set. Raises UnsatisfiableError if the start derives no text."""
    bodies = {name: rule.body for name, rule in rules.rules.items()}
    productive = _least_fixpoint(bodies, _productive)
    if rules.start not in productive:
        raise UnsatisfiableError(
            f"no text is a sentence of rule {rules.start!r}{_reason(rules, productive)}",
            text=rules.text,
            offset=rules.rules[rules.start].offset,
        )
    nullable = _least_fixpoint(bodies, _nullable)
    solid = _least_fixpoint(bodies, lambda node, known: _solid(node, productive, known))
    return Facts(productive, nullable, solid, frozenset(_reachable(rules)))


def _reachable(rules: RuleSet) -> dict[str, None]:
    """The rules that the start names, itself included, and those that these name."""
    found, waiting = {rules.start: None}, [rules.start]
    while waiting:
        for ref in references(rules.rules[waiting.pop()].body):
            if ref.name not in found:
                found[ref.name] = None
                waiting.append(ref.name)
    return found


def special_tokens_of(rules: RuleSet) -> tuple[SpecialToken, ...]:
    """The special tokens that a text may need, each once, of a verified rule set."""
    if not any(rule.special_tokens for rule in rules.rules.values()):
        return ()
    named = (token for name in _reachable(rules) for token in rules.rules[name].special_tokens)
    return tuple(dict.fromkeys(named))


def _reason(rules: RuleSet, productive: Names) -> str:
    """Which rule the blame lies with: one that needs no other without a sentence, or a cycle of them."""
    seen, name = [rules.start], rules.start
    while True:
        guilty = [ref.name for ref in references(rules.rules[name].body) if ref.name not in productive]
        if not guilty:
            return "" if name == rules.start else f": {rules.place(name)} has none"
        name = guilty[0]
        if name in seen:
            cycle = [*seen[seen.index(name) :], name]
            shown = cycle if len(cycle) <= 8 else [*cycle[:6], "…", name]
            return f": every alternative comes back to a rule that never ends ({' → '.join(shown)})"
        seen.append(name)


def _least_fixpoint(bodies: Mapping[str, Node], holds: Callable[[Node, Names], bool]) -> frozenset[str]:
    """The least set of rules whose bodies hold, given that the rules in the set do."""
    users: dict[str, list[str]] = {name: [] for name in bodies}
    for name, body in bodies.items():
        for ref in references(body):
            users[ref.name].append(name)
    known: set[str] = set()
    # In rounds, so that a body is looked at once for all the rules that a round has found; what is defined last goes
    # first, since rules tend to stand before those that they name.
    waiting = list(bodies)[::-1]
    while waiting:
        again: dict[str, None] = {}
        for name in waiting:
            if name not in known and holds(bodies[name], known):
                known.add(name)
                again.update(dict.fromkeys(users[name]))
        waiting = [name for name in again if name not in known]
    return frozenset(known)


def _productive(node: Node, known: Names) -> bool:
    match node:
        case Terminal(language):
            return _has_text(language)
        case RuleRef(name):
            return name in known
        case Sequence(items):
            return all([_productive(item, known) for item in items])
        case Choice(items):
            return any([_productive(item, known) for item in items])
        case Repeat(item, least, _):
            return least == 0 or _productive(item, known)
        case Captured(item):
            return _productive(item, known)
    return True


def _nullable(node: Node, known: Names) -> bool:
    match node:
        case Terminal(language):
            return regular.nullable(language)
        case RuleRef(name):
            return name in known
        case Sequence(items):
            return all([_nullable(item, known) for item in items])
        case Choice(items):
            return any([_nullable(item, known) for item in items])
        case Repeat(item, least, _):
            return least == 0 or _nullable(item, known)
        case Embedded(_, nullable):
            return nullable
        case Captured(item):
            return _nullable(item, known)


def _solid(node: Node, productive: Names, known: Names) -> bool:
    match node:
        case Terminal(language):
            return _has_solid_text(language)
        case RuleRef(name):
            return name in known
        case Sequence(items):
            return all([_productive(item, productive) for item in items]) and any(
                [_solid(item, productive, known) for item in items]
            )
        case Choice(items):
            return any([_solid(item, productive, known) for item in items])
        case Repeat(item, _, most):
            return most != 0 and _solid(item, productive, known)
        case Captured(item):
            return _solid(item, productive, known)
    return True


def _has_text(language: Regular) -> bool:
    match language:
        case regular.Empty():
            return False
        case regular.CharClass(ranges):
            return any(lo < 0xD800 or hi > 0xDFFF for lo, hi in ranges)
        case regular.Language(dfa):
            return not dfa.is_empty
        case regular.Concat(items):
            return all([_has_text(item) for item in items])
        case regular.Alternation(items):
            return any([_has_text(item) for item in items])
        case regular.Repeat(item, least, _):
            return least == 0 or _has_text(item)
        case regular.Intersection() | regular.Complement() | regular.Difference():
            return not regular.compile_regular(language).is_empty
        case regular.Interspersed() | regular.Rewritten():
            return not regular.compile_regular(language).is_empty
    return True  # Epsilon, Bytes


def _has_solid_text(language: Regular) -> bool:
    match language:
        case regular.Epsilon():
            return False
        case regular.Bytes(data):
            return bool(data)
        case regular.Language(dfa):
            return bool(dfa.transitions[1].any())
        case regular.Concat(items):
            return _has_text(language) and any([_has_solid_text(item) for item in items])
        case regular.Alternation(items):
            return any([_has_solid_text(item) for item in items])
        case regular.Repeat(item, _, most):
            return most != 0 and _has_solid_text(item)
        case regular.Intersection() | regular.Complement() | regular.Difference():
            return bool(regular.compile_regular(language).transitions[1].any())
        case regular.Interspersed() | regular.Rewritten():
            return bool(regular.compile_regular(language).transitions[1].any())
    return _has_text(language)  # Empty, CharClass


def notes_of(rules: RuleSet, facts: Facts) -> list[str]:
    """What the author of the rules should know: rules that are never used, and rules that derive nothing."""
    notes = list(rules.notes)
    unused = [name for name in rules.rules if name not in facts.reachable]
    if unused:
        notes.append(f"never used from {rules.start!r}: " + ", ".join(map(rules.place, unused)))
    for name in rules.rules:
        if name in facts.reachable and name not in facts.productive:
            notes.append(f"{rules.place(name)} derives no text; alternatives that need it are left out")
    return notes


# ---------------------------------------------------------------------------------------------- left recursion


def left_corners(body: Node, facts: Facts) -> set[str]:
    """The solid rules that a text of the body may begin with, nullable parts before them skipped."""
    found: set[str] = set()

    def walk(node: Node) -> None:
        if isinstance(node, RuleRef):
            if node.name in facts.solid:
                found.add(node.name)
        elif isinstance(node, Sequence):
            if not facts.is_productive(node):
                return
            for item in node.items:
                walk(item)
                if not facts.is_nullable(item):
                    break
        elif not (isinstance(node, Repeat) and node.most == 0):
            for item in _children(node):
                walk(item)

    walk(body)
    return found


def left_recursion(rules: RuleSet, facts: Facts) -> list[tuple[str, ...]]:
    """The sets of rules that may come back to themselves before a byte is read: direct, indirect or hidden."""
    corners = {name: left_corners(rules.rules[name].body, facts) for name in rules.rules}
    return [
        tuple(sorted(component))
        for component in strongly_connected(corners)
        if len(component) > 1 or component[0] in corners[component[0]]
    ]


def strongly_connected(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components, those that others lead to first; without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    components: list[list[str]] = []

    def enter(node: str) -> tuple[str, Iterator[str]]:
        index[node] = low[node] = len(index)
        path.append(node)
        on_path.add(node)
        return node, iter(graph[node])

    for root in graph:
        stack = [enter(root)] if root not in index else []
        while stack:
            node, successors = stack[-1]
            for successor in successors:
                if successor not in index:
                    stack.append(enter(successor))
                    break
                if successor in on_path:
                    low[node] = min(low[node], index[successor])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == index[node]:
                    component: list[str] = []
                    while not component or component[-1] != node:
                        component.append(path.pop())
                    on_path.difference_update(component)
                    components.append(component)
    return components
