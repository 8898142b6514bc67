r"""Which of the texts that a pattern could match a backtracking matcher takes: Python's `re.match` as an automaton.

`re` does not take the longest match but the one that it finds first: `a|ab` takes `a`, `".*?"` ends at the next quote.
So a terminal's language says too little about where its texts end. Here a pattern's instructions are followed by
*threads* in the order in which the matcher would try them; a thread that has matched cuts off those after it, which the
matcher would never come to. A list of threads is a state, so this is again an automaton over bytes: it accepts where a
thread has matched, and goes on as long as a thread of higher order may still match (`a+`, `(ab)?a`).

An assertion about what came before is a bit that an automaton beside the threads keeps. One about what comes next goes
with the thread as an *obligation*, an automaton of its own. Negative ones that are still open when the thread has
matched are about the text after the match: then the match *stands* or not, by the next byte.

    entry(s, b)     a state: goes on by byte b. 0: does not. BLOCKED: does not, and no match of s ends before b either
    passes(s, b)    whether the matcher comes to what has lower order than this pattern before b: alternatives after it

One byte is looked at, no more. Where a longer match begins and fails (`1(e5)?` before `1e6`), `re` goes back to the
shorter; the automaton went on and does not accept. An obligation that the next byte does not settle counts as broken.

INVARIANT: from every state, one that accepts is reached. No state accepts what Python would not match.
Cost: 0.1 to 1 ms for usual terminals, 50 ms for one over all of Unicode's letters; patterns that were met are kept.

Source: Cox, "Regular expression matching: the virtual machine approach" (threads in order); RE2's leftmost-first DFA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ..automata.budget import DEFAULT_LIMITS
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import LimitError, UnsupportedError
from ..automata.greedy_dfa import BLOCKED
from ..automata.regular import ANY_TEXT, compile_regular, concatenation
from ..automata.utf8_classes import class_fragment
from .regex_ast import Anchor, Boundary, Char, Choice, Group, Look, Node, RegexAst, Repetition, Sequence
from .regex_language import fullmatch_of
from .regex_syntax import parse

__all__ = ["PreferredMatch", "class_numbers", "preferred_match"]

_MAX_INSTRUCTIONS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class PreferredMatch:
    """What `re.match` takes. State 0 is dead, state 1 the start.

    table : table[s][c] = entry(s, b) for the bytes b of class c. passes : passes[s][c]. accepting : by state
    class_of : the class of each byte; classes are runs of bytes, numbered by their least byte
    """

    table: list[list[int]]
    passes: list[list[bool]]
    accepting: list[bool]
    class_of: bytes

    def state_after(self, text: bytes, state: int = 1) -> int:
        for byte in text:
            state = max(0, self.table[state][self.class_of[byte]])
        return state

    def takes(self, text: bytes) -> bool:
        """Whether a text, alone, is matched from end to end."""
        return self.accepting[self.state_after(text)]


@lru_cache(maxsize=4096)
def preferred_match(pattern: str) -> PreferredMatch:
    """The automaton of a pattern in Python's dialect.

    Raises GrammarError or UnsupportedError with the place in the pattern; LimitError.
    """
    return _Threads(_Program(parse(pattern, "python"))).automaton()


def class_numbers(cuts: set[int]) -> bytes:
    """The class of each byte if classes begin at `cuts`."""
    out, number = bytearray(), -1
    for byte in range(256):
        number += byte == 0 or byte in cuts
        out.append(number)
    return bytes(out)


# ---------------------------------------------------------------------------------------------- instructions


class _Condition(NamedTuple):
    """An assertion about what came before, or about what comes next (`ahead`). number : its automaton's."""

    number: int
    negative: bool
    ahead: bool


class _Program:
    """Instructions, numbered; `match` is the one that has matched.

    moves[i] : (low byte, high byte, next). splits[i] : the next ones in order. conditions[i] : (condition, next).
    before, after : automata of the texts that end as a lookbehind wants, and of those that a lookahead names.
    """

    def __init__(self, ast: RegexAst) -> None:
        self.ast = ast
        self.moves: dict[int, list[tuple[int, int, int]]] = {}
        self.splits: dict[int, tuple[int, ...]] = {}
        self.conditions: dict[int, tuple[tuple[_Condition, ...], int]] = {}
        self.before: list[ByteDfa] = []
        self.after: list[ByteDfa] = []
        self.count = 0
        self.match = self.new()
        self.start = self.add(ast.root, self.match)

    def new(self) -> int:
        self.count += 1
        if self.count > _MAX_INSTRUCTIONS:
            raise LimitError("instructions of a pattern", self.count, _MAX_INSTRUCTIONS)
        return self.count - 1

    def add(self, node: Node, then: int) -> int:
        """The instruction at which the node begins, if `then` comes after it."""
        match node:
            case Char(ranges):
                return self.add_class(ranges, then)
            case Sequence(items):
                for item in reversed(items):
                    then = self.add(item, then)
                return then
            case Choice(items):
                return self.split(*[self.add(item, then) for item in items])
            case Group(item):
                return self.add(item, then)
            case Repetition():
                return self.add_repetition(node, then)
            case Boundary():
                return self.add_boundary(node, then)
            case Look():
                number = self.automaton(node.item, node.ahead, node.offset)
                return self.condition(then, _Condition(number, node.negative, node.ahead))
            case Anchor(kind, offset):
                reason = "what stands before and after it is no part of it"
                raise UnsupportedError(f"{kind.value} in a terminal", reason, text=self.ast.pattern, offset=offset)
        raise AssertionError(node)

    def split(self, *order: int) -> int:
        at = self.new()
        self.splits[at] = order
        return at

    def condition(self, then: int, *all_of: _Condition) -> int:
        at = self.new()
        self.conditions[at] = (all_of, then)
        return at

    def add_class(self, ranges: tuple[tuple[int, int], ...], then: int) -> int:
        _, n_states, _, *edges = class_fragment(ranges)
        states = [self.new(), then, *(self.new() for _ in range(n_states - 2))]
        for state in (states[0], *states[2:]):
            self.moves[state] = []
        for i in range(0, len(edges), 4):
            source, low, high, target = edges[i : i + 4]
            self.moves[states[source]].append((low, high, states[target]))
        return states[0]

    def add_repetition(self, node: Repetition, then: int) -> int:
        if node.most is None:
            loop = self.new()
            once = self.add(node.item, loop)
            self.splits[loop] = (once, then) if node.greedy else (then, once)
            start = loop
        else:
            start = then
            for _ in range(node.most - node.least):
                once = self.add(node.item, start)
                start = self.split(once, then) if node.greedy else self.split(then, once)
        for _ in range(node.least):
            start = self.add(node.item, start)
        return start

    def add_boundary(self, node: Boundary, then: int) -> int:
        word = Char(node.word)
        before, after = self.automaton(word, False, 0), self.automaton(word, True, 0)
        ways = []
        for inside in (True, False):  # whether a word's character comes before
            follows = inside if node.negative else not inside
            ways.append(
                self.condition(then, _Condition(before, not inside, False), _Condition(after, not follows, True))
            )
        return self.split(*ways)

    def automaton(self, item: Node, ahead: bool, offset: int) -> int:
        if _asserts(item):
            reason = "its automaton would have to follow both"
            raise UnsupportedError(
                "an assertion within an assertion, in a terminal", reason, text=self.ast.pattern, offset=offset
            )
        language = fullmatch_of(RegexAst(item, self.ast.pattern, "python", ()))
        known = self.after if ahead else self.before
        dfa = compile_regular(language if ahead else concatenation(ANY_TEXT, language))
        if dfa not in known:
            known.append(dfa)
        return known.index(dfa)

    def classes(self) -> bytes:
        """Classes of bytes that no instruction and no assertion tells apart."""
        cuts = {end for moves in self.moves.values() for low, high, _ in moves for end in (low, high + 1)}
        for dfa in (*self.before, *self.after):
            of = dfa.byte_class.tolist()
            cuts.update(byte for byte in range(1, 256) if of[byte] != of[byte - 1])
        return class_numbers(cuts)


def _asserts(node: Node) -> bool:
    match node:
        case Sequence(items) | Choice(items):
            return any(map(_asserts, items))
        case Group(item) | Repetition(item):
            return _asserts(item)
    return not isinstance(node, Char)


# ---------------------------------------------------------------------------------------------- threads

# What must not come next, or must: the number of its automaton, the state that it is in, which of the two.
Obligations: TypeAlias = "frozenset[tuple[int, int, bool]]"
_Thread: TypeAlias = "tuple[int, Obligations]"
_NONE: Obligations = frozenset()


class _State(NamedTuple):
    threads: tuple[_Thread, ...]
    before: tuple[int, ...]  # the state of each automaton of what came before


class _Threads:
    def __init__(self, program: _Program) -> None:
        self.program = program
        self.class_of = program.classes()
        self.n_classes = self.class_of[255] + 1
        first = [self.class_of.index(c) for c in range(self.n_classes)]
        # by instruction, what follows each class
        self.moves = {
            at: {
                c: to for low, high, to in moves for c in range(self.class_of[low], self.class_of[high] + 1)
            }
            for at, moves in program.moves.items()
        }  # fmt: skip
        self.before = [dfa.transitions[:, first].tolist() for dfa in program.before]
        self.after = [dfa.transitions[:, first].tolist() for dfa in program.after]
        self.before_ends = [dfa.accepting.tolist() for dfa in program.before]
        self.after_ends = [dfa.accepting.tolist() for dfa in program.after]

    def automaton(self) -> PreferredMatch:
        before = tuple(1 for _ in self.before)
        start = _State(self.closure([(self.program.start, _NONE)], before), before)
        number: dict[_State, int] = {start: 1}
        states = [start]
        rows: list[list[int]] = [[0] * self.n_classes]
        passes: list[list[bool]] = [[True] * self.n_classes]
        stuck: list[list[int]] = [[0] * self.n_classes]  # the entry where nothing goes on
        accepting = [False]
        limit = DEFAULT_LIMITS.dfa_states
        for state in states:
            accepting.append(self.accepts(state))
            row, passed, ends = [0] * self.n_classes, [not accepting[-1]] * self.n_classes, [0] * self.n_classes
            for c in range(self.n_classes) if accepting[-1] else self.classes_of(state):
                target, passed[c], ends[c] = self.step(state, c)
                if target is not None:
                    if target not in number:
                        states.append(target)
                        number[target] = len(states)
                        if len(states) > limit:
                            raise LimitError("dfa_states", len(states), limit)
                    row[c] = number[target]
            rows.append(row)
            passes.append(passed)
            stuck.append(ends)
        return _trimmed(rows, passes, stuck, accepting, self.class_of)

    def classes_of(self, state: _State) -> list[int]:
        return sorted({c for at, _ in state.threads for c in self.moves.get(at, ())})

    def accepts(self, state: _State) -> bool:
        for at, obligations in state.threads:
            if at == self.program.match:
                if not all(negative for _, _, negative in obligations):
                    reason = "a text could not end after it"
                    raise UnsupportedError(
                        "a terminal that ends with something to come after it",
                        reason, text=self.program.ast.pattern, offset=0,
                    )  # fmt: skip
                return True
        return False

    def step(self, state: _State, c: int) -> tuple[_State | None, bool, int]:
        """The state after a byte of class c, whether lower alternatives are tried, the entry if nothing goes on."""
        out: list[_Thread] = []
        passes, stuck = True, 0
        for at, obligations in state.threads:
            if at != self.program.match:
                to = self.moves[at].get(c)
                if to is not None and (kept := self.advanced(obligations, c)) is not None:
                    out.append((to, kept))
                continue
            kept = self.advanced(obligations, c)
            stuck = 0 if kept == _NONE else BLOCKED
            if kept is not None:  # it stands, or what comes later will tell: then nothing else is tried
                passes = False
                break
        before = tuple([table[q][c] for table, q in zip(self.before, state.before, strict=True)])
        threads = self.closure(out, before)
        return (_State(threads, before) if threads else None), passes, stuck

    def advanced(self, obligations: Obligations, c: int) -> Obligations | None:
        """What is left to be met after a byte; None if one is broken."""
        if not obligations:
            return obligations
        left = []
        for number, state, negative in obligations:
            after = self.after[number][state][c]
            if after == 0:
                if not negative:
                    return None
            elif self.after_ends[number][after]:
                if negative:
                    return None
            else:
                left.append((number, after, negative))
        return frozenset(left)

    def closure(self, threads: list[_Thread], before: tuple[int, ...]) -> tuple[_Thread, ...]:
        """The threads at instructions that read, or have matched, in order; those after a sure match are cut off."""
        program = self.program
        out: list[_Thread] = []
        seen: set[_Thread] = set()
        waiting = threads[::-1]
        while waiting:
            thread = waiting.pop()
            if thread in seen:
                continue
            seen.add(thread)
            at, obligations = thread
            if (order := program.splits.get(at)) is not None:
                waiting.extend((to, obligations) for to in reversed(order))
            elif (conditional := program.conditions.get(at)) is not None:
                conditions, to = conditional
                kept = self.obliged(obligations, conditions, before)
                if kept is not None:
                    waiting.append((to, kept))
            else:
                out.append(thread)
                if thread == (program.match, _NONE):
                    break
        return tuple(out)

    def obliged(
        self, obligations: Obligations, conditions: tuple[_Condition, ...], before: tuple[int, ...]
    ) -> Obligations | None:
        for condition in conditions:
            number, negative, ahead = condition
            holds = self.after_ends[number][1] if ahead else self.before_ends[number][before[number]]
            if not ahead:
                if holds == negative:
                    return None
            elif holds:
                if negative:
                    return None
            else:
                obligations |= {(number, 1, negative)}
        return obligations


def _trimmed(
    rows: list[list[int]], passes: list[list[bool]], stuck: list[list[int]], accepting: list[bool], class_of: bytes
) -> PreferredMatch:
    """Without the states from which none is reached that accepts; they are as good as nothing that goes on."""
    sources: list[list[int]] = [[] for _ in rows]
    for state, row in enumerate(rows):
        for target in set(row):
            sources[target].append(state)
    useful = [False] * len(rows)
    waiting = [state for state, ends in enumerate(accepting) if ends]
    for state in waiting:
        useful[state] = True
    while waiting:
        for source in sources[waiting.pop()]:
            if not useful[source]:
                useful[source] = True
                waiting.append(source)
    number = [0] * len(rows)
    kept = [0, *(s for s in range(1, len(rows)) if useful[s] or s == 1)]
    for new, old in enumerate(kept):
        number[old] = new
    table = [
        [number[to] if useful[to] else end for to, end in zip(rows[old], stuck[old], strict=True)] for old in kept
    ]
    return PreferredMatch(table, [passes[old] for old in kept], [accepting[old] for old in kept], class_of)
