"""Regular expressions, naively: parse, build Thompson's NFA over code points, keep sets of its states.

Idea: a pattern becomes a tree, the tree becomes an NFA whose edges carry sets of code points, and a text is run through
it one code point at a time. `^` and `$` are empty edges with a condition. `^` is passed at position 0 alone. `$` looks
ahead, so passing it is a *promise* kept in the configuration: nothing follows (AT_END), or, for Python's `$`, exactly
one newline follows (NEWLINE_LEFT). A text is a viable prefix iff some configuration can still reach acceptance, found
by plain breadth-first search, level by level, so that length bounds need no machinery: the level is the length. Up to
the least length a configuration may be met again; after it, the first visit is the best.

Several patterns at once (schema conjunctions) are the product of their NFAs: a configuration is a tuple.

Lookaround and `\\b` need more than promises, so whole texts under such patterns are asked of another matcher, which
finds all ends of a match by recursion over the tree (`found`, `matched`); Machine refuses them.

Not covered, NotImplementedError: back-references, inline flags, `\\p`, possessive and atomic. A malformed pattern is a
ValueError.

Source: Thompson 1968; ECMA-262 section 22.2 (with the u flag); the documentation of Python's re.
Part of the oracle: imports nothing from bridle. Tested by test_naive.py against `re`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product

from naive_text import EVERY, Ranges, complement, contains, decode, intersect, one, union


@dataclass(frozen=True, slots=True)
class Chars:
    """One code point of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple


@dataclass(frozen=True, slots=True)
class Either:
    """Any one of them."""

    items: tuple


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `low` times, at most `high` times (None: any number)."""

    item: object
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class AtStart:
    """`^`"""


@dataclass(frozen=True, slots=True)
class AtEnd:
    """`$`; Python's also holds before a newline that ends the text."""

    before_newline: bool


@dataclass(frozen=True, slots=True)
class Look:
    """`(?=...)` and its kin."""

    item: object
    ahead: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class AtEdge:
    """`\\b` or, `negative`, `\\B`; `python`: which no `\\B` is in the empty text."""

    word: Ranges
    negative: bool
    python: bool


NEWLINE = one(0x0A)


@cache
def _unicode_class(letter: str) -> Ranges:
    """Python's `\\d` `\\w` `\\s` on str: asked of every code point."""
    test = {"d": str.isdecimal, "w": lambda c: c.isalnum() or c == "_", "s": str.isspace}[letter]
    return union(tuple((c, c) for lo, hi in EVERY for c in range(lo, hi + 1) if test(chr(c))))


_ECMA_CLASSES = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": union(
        ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
        ((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
    ),
}


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, pattern: str, ecma: bool) -> None:
        self.text, self.at, self.ecma = pattern, 0, ecma

    def bad(self, what: str) -> ValueError:
        return ValueError(f"{what} at {self.at} of pattern {self.text!r}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        c = self.peek()
        if not c:
            raise self.bad("unexpected end")
        self.at += 1
        return c

    def eat(self, s: str) -> bool:
        if self.text.startswith(s, self.at):
            self.at += len(s)
            return True
        return False

    def whole(self):
        tree = self.alternation()
        if self.peek():
            raise self.bad("unbalanced )")
        return tree

    def alternation(self):
        branches = [self.sequence()]
        while self.eat("|"):
            branches.append(self.sequence())
        return Either(tuple(branches))

    def sequence(self):
        items = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.term())
        return Sequence(tuple(items))

    def term(self):
        item = self.atom()
        counts = self.quantifier()
        if counts is None:
            return item
        if isinstance(item, AtStart | AtEnd | AtEdge) or (isinstance(item, Look) and self.ecma):
            raise self.bad("nothing to repeat")
        if self.peek() == "+" and not self.ecma:
            raise NotImplementedError("possessive quantifier")
        self.eat("?")  # lazy: another search order, the same language
        if self.quantifier() is not None:
            raise self.bad("multiple repeat")
        return Repeat(item, *counts)

    def quantifier(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.eat(sign):
                return counts
        if self.peek() != "{":
            return None
        form = r"\{([0-9]+)(,([0-9]*))?\}" if self.ecma else r"\{(?!\})([0-9]*)(,([0-9]*))?\}"
        found = re.compile(form).match(self.text, self.at)
        if found is None:
            if self.ecma:
                raise self.bad("lone {")
            return None  # Python reads it as itself
        self.at = found.end()
        low = int(found[1] or 0)
        high = low if found[2] is None else int(found[3]) if found[3] else None
        if high is not None and high < low:
            raise self.bad("counts out of order")
        return low, high

    def atom(self):
        c = self.take()
        if c == "(":
            return self.group()
        if c == "[":
            return Chars(self.char_class())
        if c == "^":
            return AtStart()
        if c == "$":
            return AtEnd(before_newline=not self.ecma)
        if c == ".":
            return Chars(complement(union(NEWLINE, one(0x0D), ((0x2028, 0x2029),)) if self.ecma else NEWLINE))
        if c == "\\":
            return self.escape_outside()
        if c in "*+?" or (self.ecma and c in "{}]"):
            raise self.bad(f"stray {c}")
        if c == "{":
            self.at -= 1
            if self.quantifier() is not None:
                raise self.bad("nothing to repeat")
            self.at += 1
        return Chars(self.literal(ord(c)))

    def literal(self, code_point: int) -> Ranges:
        return intersect(one(code_point), EVERY)

    def group(self):
        if self.eat("?"):
            name = re.compile(r"<[A-Za-z_]\w*>" if self.ecma else r"P<[A-Za-z_]\w*>").match(self.text, self.at)
            if name is not None:
                self.at = name.end()
            elif self.peek() in tuple("=!<"):
                return self.look()
            elif not self.eat(":"):
                raise NotImplementedError(f"group (?{self.peek()}")
        tree = self.alternation()
        if not self.eat(")"):
            raise self.bad("missing )")
        return tree

    def look(self):
        """A lookaround; `(?` is read. Python's rule that a lookbehind has one width is not checked."""
        ahead = not self.eat("<")
        negative = self.take() == "!"
        item = self.alternation()
        if not self.eat(")"):
            raise self.bad("missing )")
        return Look(item, ahead, negative)

    def escape_outside(self):
        c = self.peek()
        if c and c in "bB":
            self.at += 1
            return AtEdge(_ECMA_CLASSES["w"] if self.ecma else _unicode_class("w"), c == "B", not self.ecma)
        if c and c in "123456789k" and (self.ecma or c != "k"):
            raise NotImplementedError("back-reference")
        if not self.ecma and self.eat("A"):
            return AtStart()
        if not self.ecma and self.eat("Z"):
            return AtEnd(before_newline=False)
        return Chars(self.escape())

    def escape(self) -> Ranges:
        """What follows a backslash, in a class or outside; the backslash is read."""
        c = self.take()
        if c in "dwsDWS":
            ranges = _ECMA_CLASSES[c.lower()] if self.ecma else _unicode_class(c.lower())
            return complement(ranges) if c.isupper() else ranges
        if c in "pP":
            if self.ecma:
                raise NotImplementedError("\\p")
            raise self.bad("bad escape")
        if c in "nrtvf":
            return one(ord({"n": "\n", "r": "\r", "t": "\t", "v": "\v", "f": "\f"}[c]))
        if c == "x":
            return one(self.hexadecimal(2))
        if c == "u":
            return self.literal(self.unicode_escape())
        return self.ecma_escape(c) if self.ecma else self.python_escape(c)

    def hexadecimal(self, digits: int) -> int:
        found = self.text[self.at : self.at + digits]
        if len(found) < digits or not all(d in "0123456789abcdefABCDEF" for d in found):
            raise self.bad("bad hexadecimal escape")
        self.at += digits
        return int(found, 16)

    def unicode_escape(self) -> int:
        if self.ecma and (found := re.compile(r"\{([0-9a-fA-F]+)\}").match(self.text, self.at)):
            self.at = found.end()
            value = int(found[1], 16)
            if value > 0x10FFFF:
                raise self.bad("code point out of range")
            return value
        unit = self.hexadecimal(4)
        low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self.text, self.at)
        if self.ecma and 0xD800 <= unit <= 0xDBFF and low:  # the u flag joins a pair of escapes
            self.at = low.end()
            return 0x10000 + (unit - 0xD800 << 10) + int(low[1], 16) - 0xDC00
        return unit

    def ecma_escape(self, c: str) -> Ranges:
        if c == "c" and self.peek().isascii() and self.peek().isalpha():
            return one(ord(self.take()) % 32)
        if c == "0" and not self.peek().isdigit():
            return one(0)
        if c in "^$\\.*+?()[]{}|/":
            return one(ord(c))
        raise self.bad("bad escape")

    def python_escape(self, c: str) -> Ranges:
        if c == "U":
            return self.literal(self.hexadecimal(8))
        if c == "a":
            return one(7)
        if c == "0":
            found = re.compile("[0-7]{0,2}").match(self.text, self.at)
            self.at = found.end()
            return one(int(found[0] or "0", 8))
        if c.isascii() and c.isalnum():
            raise self.bad("bad escape")
        return self.literal(ord(c))

    def char_class(self) -> Ranges:
        negated = self.eat("^")
        parts: list[Ranges] = []
        first = True
        while True:
            if self.peek() == "]" and (self.ecma or not first):  # Python: a ] that comes first is itself
                self.at += 1
                break
            first = False
            low = self.class_member()
            if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
                parts.append(low[0])
                continue
            self.at += 1
            high = self.class_member()
            if low[1] is None or high[1] is None or high[1] < low[1]:
                raise self.bad("bad range")
            parts.append(((low[1], high[1]),))
        ranges = union(*parts)
        return complement(ranges) if negated else ranges

    def class_member(self) -> tuple[Ranges, int | None]:
        """A member's set, and its code point where it is one: the end of a range must be one."""
        c = self.take()
        if c != "\\":
            return self.literal(ord(c)), ord(c)
        if self.eat("b"):
            return one(8), 8
        if self.ecma and self.eat("-"):
            return one(0x2D), 0x2D
        if not self.ecma and self.peek() in tuple("1234567"):
            raise NotImplementedError("octal escape")
        is_set = self.peek() in tuple("dwsDWS")
        ranges = self.escape()
        return ranges, None if is_set or not ranges else ranges[0][0]


def _ends(tree, text: str, at: int) -> set[int]:
    """Where matches of a tree that begin at `at` may end."""
    if isinstance(tree, Chars):
        return {at + 1} if at < len(text) and contains(tree.ranges, ord(text[at])) else set()
    if isinstance(tree, Sequence):
        ends = {at}
        for item in tree.items:
            ends = {end for begin in ends for end in _ends(item, text, begin)}
        return ends
    if isinstance(tree, Either):
        return {end for item in tree.items for end in _ends(item, text, at)}
    if isinstance(tree, Repeat):
        ends, out = {at}, set()
        # Beyond `low`, a text's length of iterations that each take something is all that can matter.
        for count in range((tree.low + len(text) if tree.high is None else tree.high) + 1):
            out |= ends if count >= tree.low else set()
            ends = {end for begin in ends for end in _ends(tree.item, text, begin)}
        return out
    return {at} if _holds(tree, text, at) else set()


def _holds(tree, text: str, at: int) -> bool:
    """Whether an assertion is true at a place."""
    if isinstance(tree, AtStart):
        return at == 0
    if isinstance(tree, AtEnd):
        return text[at:] in (("", "\n") if tree.before_newline else ("",))
    if isinstance(tree, AtEdge):
        before, after = (contains(tree.word, ord(c)) if c else False for c in (text[at - 1 : at], text[at : at + 1]))
        return (before == after) == tree.negative and not (tree.python and tree.negative and not text)
    if tree.ahead:
        return bool(_ends(tree.item, text, at)) != tree.negative
    return any(at in _ends(tree.item, text, begin) for begin in range(at + 1)) != tree.negative


def found(pattern: str, dialect: str, text: str) -> bool:
    """Whether a pattern, with lookaround or without, matches somewhere in a text."""
    tree = _Parser(pattern, dialect == "ecma").whole()
    return any(_ends(tree, text, begin) for begin in range(len(text) + 1))


def matched(pattern: str, dialect: str, text: str) -> bool:
    """Whether a pattern, with lookaround or without, matches a text from end to end."""
    return len(text) in _ends(_Parser(pattern, dialect == "ecma").whole(), text, 0)


FREE, NEWLINE_LEFT, AT_THE_END = range(3)

Config = tuple[int, int]  # (state of the NFA, promise about what follows)


class Machine:
    """Thompson's NFA of one pattern.

    `empty[s]` are edges without input `(condition or None, target)`, `reads[s]` are edges `(set, target)`.
    """

    def __init__(self, pattern: str, dialect: str, search: bool) -> None:
        if dialect not in ("python", "ecma"):
            raise ValueError(f"dialect {dialect!r}")
        tree = _Parser(pattern, dialect == "ecma").whole()
        if search:
            anything = Repeat(Chars(EVERY), 0, None)
            tree = Sequence((anything, tree, anything))
        self.empty: list[list] = []
        self.reads: list[list] = []
        self._moves: dict[Config, list[tuple[Ranges, Config]]] = {}
        self.first, self.last = self.state(), self.state()
        self.build(tree, self.first, self.last)
        self.start = self.closure([(self.first, FREE)], True)

    def state(self) -> int:
        self.empty.append([])
        self.reads.append([])
        return len(self.empty) - 1

    def build(self, tree, source: int, target: int) -> None:
        if isinstance(tree, Chars):
            if tree.ranges:
                self.reads[source].append((tree.ranges, target))
        elif isinstance(tree, Sequence):
            for item in tree.items:
                after = self.state()
                self.build(item, source, after)
                source = after
            self.empty[source].append((None, target))
        elif isinstance(tree, Either):
            for item in tree.items:
                self.build(item, source, target)
        elif isinstance(tree, Repeat):
            self.build_repeat(tree, source, target)
        elif isinstance(tree, AtStart | AtEnd):
            self.empty[source].append((tree, target))
        else:
            raise NotImplementedError("lookaround")

    def build_repeat(self, tree: Repeat, source: int, target: int) -> None:
        """`low` copies, then optional ones, or a loop."""
        for _ in range(tree.low):
            after = self.state()
            self.build(tree.item, source, after)
            source = after
        for _ in range(tree.low, tree.high or 0):
            self.empty[source].append((None, target))
            after = self.state()
            self.build(tree.item, source, after)
            source = after
        if tree.high is None:
            # A state of its own: what enters here may be shared with alternatives that must not loop.
            loop = self.state()
            self.empty[source].append((None, loop))
            self.build(tree.item, loop, loop)
            source = loop
        self.empty[source].append((None, target))

    def closure(self, configs: Iterable[Config], at_start: bool) -> frozenset[Config]:
        """Everything that is reached without input."""
        seen = set(configs)
        work = list(seen)
        while work:
            state, promise = work.pop()
            for condition, target in self.empty[state]:
                for kept in _promises(condition, promise, at_start):
                    if (target, kept) not in seen:
                        seen.add((target, kept))
                        work.append((target, kept))
        return frozenset(seen)

    def moves(self, config: Config) -> list[tuple[Ranges, Config]]:
        """Where one code point leads: the sets that are read, and the configurations after it."""
        if config not in self._moves:
            state, promise = config
            out = []
            for ranges, target in self.reads[state] if promise != AT_THE_END else ():
                read = ranges if promise == FREE else intersect(ranges, NEWLINE)
                after = FREE if promise == FREE else AT_THE_END
                out += [(read, c) for c in self.closure([(target, after)], False) if read]
            self._moves[config] = out
        return self._moves[config]

    def run(self, text: Iterable[int]) -> frozenset[Config]:
        """The configurations after a text."""
        configs = self.start
        for code_point in text:
            configs = frozenset(to for c in configs for ranges, to in self.moves(c) if contains(ranges, code_point))
        return configs

    def ends(self, config: Config) -> bool:
        """Whether the text may end here."""
        return config[0] == self.last and config[1] != NEWLINE_LEFT


def _promises(condition, promise: int, at_start: bool) -> tuple[int, ...]:
    """With which promises an empty edge is passed."""
    if condition is None:
        return (promise,)
    if isinstance(condition, AtStart):
        return (promise,) if at_start else ()
    if promise == FREE:
        return (NEWLINE_LEFT, AT_THE_END) if condition.before_newline else (AT_THE_END,)
    return (promise,) if promise == AT_THE_END or condition.before_newline else ()


class Strings:
    """The strings that match every one of some patterns and whose length in code points is within bounds."""

    def __init__(self, machines: list[Machine], shortest: int = 0, longest: int | None = None) -> None:
        self.machines, self.shortest, self.longest = machines, shortest, longest
        self._answers: dict = {}

    def accepts(self, text: tuple[int, ...]) -> bool:
        """Whether the whole string is one."""
        if len(text) < self.shortest or (self.longest is not None and len(text) > self.longest):
            return False
        return all(any(m.ends(c) for c in m.run(text)) for m in self.machines)

    def viable(self, text: tuple[int, ...], pending: Ranges | None) -> bool:
        """Whether some string begins so; `pending`: the next code point is one of these."""
        frontier = frozenset(product(*(m.run(text) for m in self.machines)))
        length = len(text)
        if pending is not None:
            frontier, length = self.step(frontier, pending), length + 1
        least = max(self.shortest - length, 0)
        most = None if self.longest is None else self.longest - length
        key = frontier, least, most
        if key not in self._answers:
            self._answers[key] = self.reaches_an_end(frontier, least, most)
        return self._answers[key]

    def step(self, frontier: frozenset, among: Ranges = EVERY) -> frozenset:
        """All configurations of the product after one code point of a set."""
        out: set[tuple] = set()
        for configs in frontier:
            partial: list[tuple[Ranges, tuple]] = [(among, ())]
            for machine, config in zip(self.machines, configs, strict=True):
                moves = machine.moves(config)
                partial = [(r, (*to, c)) for have, to in partial for read, c in moves if (r := intersect(have, read))]
            out.update(to for _, to in partial)
        return frozenset(out)

    def reaches_an_end(self, frontier: frozenset, least: int, most: int | None) -> bool:
        """Whether some text of `least` to `most` code points leads from the frontier to an end in all machines."""
        seen: set[tuple] = set()
        level = 0
        while frontier and (most is None or level <= most):
            if level >= least:  # from here on shorter is never worse: each configuration is visited once
                if any(all(m.ends(c) for m, c in zip(self.machines, configs, strict=True)) for configs in frontier):
                    return True
                seen |= frontier
            frontier, level = self.step(frontier) - seen, level + 1
        return False


class Regex:
    """The whole text matches the pattern (`search`: some part of it does)."""

    def __init__(self, pattern: str, dialect: str, search: bool) -> None:
        self.strings = Strings([Machine(pattern, dialect, search)])

    def accepts(self, data: bytes) -> bool:
        text = decode(data)
        return text is not None and text[1] is None and self.strings.accepts(text[0])

    def is_prefix(self, data: bytes) -> bool:
        text = decode(data)
        return text is not None and self.strings.viable(*text)
