"""GBNF grammars, naively: Earley's algorithm over code points.

Idea: the text is read into plain rules (an alternative is a tuple of symbols: the name of a rule, or a set of code
points); groups and repetitions become rules of their own. Whatever derives nothing is thrown out first, by least
fixpoint; then every item of Earley's chart belongs to some sentence, so a text is a viable prefix iff the chart's last
set is not empty. Left recursion, empty loops and ambiguity need nothing special: an item is in a set or it is not.

INVARIANT: after pruning, each symbol of each alternative derives some text.
Cost: O(n^3) in the text's length; the chart of the last text is kept, so texts that share a beginning share its work.

A special token `<name>` is a code point beyond Unicode's last, one for each name. So are texts: a list of bytes and of
names, which `pieces` makes code points of.

Not covered, NotImplementedError: lookahead assertions `(=...)`. A malformed grammar is a ValueError.

Source: Earley 1970; Aycock and Horspool 2002 (nullable symbols are stepped over when they are predicted);
llama.cpp grammars/README.md for the notation.
Part of the oracle: imports nothing from bridle. Tested by test_naive.py.
"""

import re

from naive_text import EVERY, Ranges, complement, contains, decode, intersect, one, union

Symbol = str | Ranges  # the name of a rule, or a set of code points
Rules = dict[str, list[tuple[Symbol, ...]]]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z_0-9][A-Za-z0-9_-]*")
_DEFINES = re.compile(_NAME.pattern + _SPACE.pattern + "::=")
_COUNTS = re.compile(r"\{[ \t\r\n]*([0-9]+)[ \t\r\n]*(?:(,)[ \t\r\n]*([0-9]*)[ \t\r\n]*)?\}")
_SPECIAL = re.compile(r"<[^\s<>]+>")
BEYOND = 0x110000
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "]": "]", "[": "[", "^": "^", "-": "-"}


class _Reader:
    """Recursive descent; rules that have no name in the text are named by number, with a space before it."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.rules = text, 0, Rules()
        self.special: dict[str, int] = {}

    def bad(self, what: str) -> ValueError:
        return ValueError(f"{what} at {self.at}: {self.text[self.at : self.at + 20]!r}")

    def space(self) -> None:
        self.at = _SPACE.match(self.text, self.at).end()

    def eat(self, s: str) -> bool:
        if self.text.startswith(s, self.at):
            self.at += len(s)
            return True
        return False

    def fresh(self, alternatives: list[tuple[Symbol, ...]]) -> str:
        name = f" {len(self.rules)}"
        self.rules[name] = alternatives
        return name

    def grammar(self) -> Rules:
        self.space()
        while self.at < len(self.text):
            if not _DEFINES.match(self.text, self.at):
                raise self.bad("expected a rule")
            name = self.name()
            self.space()
            self.eat("::=")
            if name in self.rules:
                raise self.bad(f"second definition of {name}")
            self.rules[name] = []
            self.rules[name] = self.alternatives()
        return self.rules

    def name(self) -> str:
        found = _NAME.match(self.text, self.at)
        self.at = found.end()
        return found[0]

    def alternatives(self) -> list[tuple[Symbol, ...]]:
        out = [self.sequence()]
        while self.eat("|"):
            out.append(self.sequence())
        return out

    def sequence(self) -> tuple[Symbol, ...]:
        out: list[Symbol] = []
        self.space()
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            if _DEFINES.match(self.text, self.at):
                break
            item = self.item()
            self.space()
            while (counts := self.counts()) is not None:
                item = (self.repeat(item, *counts),)
                self.space()
            out += item
        return tuple(out)

    def item(self) -> tuple[Symbol, ...]:
        if self.eat('"'):
            return self.literal()
        if self.eat("["):
            return (self.char_class(),)
        if self.eat("."):
            return (EVERY,)
        if found := _SPECIAL.match(self.text, self.at):
            self.at = found.end()
            code = BEYOND + self.special.setdefault(found[0], len(self.special))
            return (((code, code),),)
        if self.eat("("):
            if self.text[self.at : self.at + 1] == "=":
                raise NotImplementedError("lookahead assertion")
            group = self.fresh([])
            self.rules[group] = self.alternatives()
            if not self.eat(")"):
                raise self.bad("missing )")
            return (group,)
        if _NAME.match(self.text, self.at):
            return (self.name(),)
        raise self.bad("unexpected character")

    def counts(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.eat(sign):
                return counts
        if self.text[self.at : self.at + 1] != "{":
            return None
        found = _COUNTS.match(self.text, self.at)
        if found is None:
            raise self.bad("bad repetition")
        self.at = found.end()
        low = int(found[1])
        high = low if not found[2] else int(found[3]) if found[3] else None
        if high is not None and high < low:
            raise self.bad("counts out of order")
        return low, high

    def repeat(self, item: tuple[Symbol, ...], low: int, high: int | None) -> str:
        """`low` copies, then a loop, or a chain of optional copies."""
        if high is None:
            rest = self.fresh([])
            self.rules[rest] = [(), (*item, rest)]
        else:
            rest = self.fresh([()])
            for _ in range(high - low):
                rest = self.fresh([(), (*item, rest)])
        return self.fresh([(*(item * low), rest)])

    def character(self) -> int:
        if self.at >= len(self.text):
            raise self.bad("unexpected end")
        c = self.text[self.at]
        self.at += 1
        if c != "\\":
            return ord(c)
        kind = self.text[self.at : self.at + 1]
        self.at += 1
        digits = {"x": 2, "u": 4, "U": 8}.get(kind)
        if digits is not None:
            found = re.compile(f"[0-9a-fA-F]{{{digits}}}").match(self.text, self.at)
            if found is None or int(found[0], 16) > 0x10FFFF:
                raise self.bad("bad hexadecimal escape")
            self.at = found.end()
            return int(found[0], 16)
        if kind not in _ESCAPES:
            raise self.bad("bad escape")
        return ord(_ESCAPES[kind])

    def literal(self) -> tuple[Symbol, ...]:
        out = []
        while not self.eat('"'):
            out.append(intersect(one(self.character()), EVERY))
        return tuple(out)

    def char_class(self) -> Ranges:
        negated = self.eat("^")
        parts: list[Ranges] = []
        while not self.eat("]"):
            low = high = self.character()
            if self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self.character()
                if high < low:
                    raise self.bad("bad range")
            parts.append(((low, high),))
        ranges = union(*parts)
        return complement(ranges) if negated else ranges


def _fixpoint(rules: Rules, good) -> set[str]:
    """The least set of names such that a name is in it if all symbols of one of its alternatives are good or in it."""
    found: set[str] = set()
    while True:
        more = {
            name
            for name, alternatives in rules.items()
            if name not in found
            and any(all(s in found if isinstance(s, str) else good(s) for s in symbols) for symbols in alternatives)
        }
        if not more:
            return found
        found |= more


def _pruned(rules: Rules) -> Rules:
    """Without what derives no text."""
    productive = _fixpoint(rules, bool)

    def lives(symbol: Symbol) -> bool:
        return symbol in productive if isinstance(symbol, str) else bool(symbol)

    return {n: [symbols for symbols in rules[n] if all(map(lives, symbols))] for n in rules if n in productive}


Item = tuple[str, tuple[Symbol, ...], int, int]  # rule, one alternative, symbols of it that are done, where it began


class Ebnf:
    """The sentences of a rule of a GBNF grammar."""

    def __init__(self, text: str, start: str) -> None:
        reader = _Reader(text)
        rules = reader.grammar()
        self.special = reader.special
        for name in [start, *(s for a in rules.values() for symbols in a for s in symbols if isinstance(s, str))]:
            if name not in rules:
                raise ValueError(f"rule {name!r} is not defined")
        self.start, self.rules = start, _pruned(rules)
        self.nullable = _fixpoint(self.rules, lambda ranges: False)
        first: list[Item] = [(start, symbols, 0, 0) for symbols in self.rules.get(start, ())]
        # What the chart was made of, and one set of items more than code points.
        self._text: tuple[int, ...] = ()
        self._chart: list[dict[Item, None]] = []
        self._chart.append(self.completed(first, 0))

    def completed(self, items: list[Item], here: int) -> dict[Item, None]:
        """The set of items with everything that follows from them without input. A dict keeps the order."""
        found: dict[Item, None] = dict.fromkeys(items)
        work = list(found)

        def add(item: Item) -> None:
            if item not in found:
                found[item] = None
                work.append(item)

        while work:
            name, symbols, dot, origin = item = work.pop()
            if dot == len(symbols):
                # A rule that began here is nullable: prediction has stepped over it already.
                for waiting in self._chart[origin] if origin < here else ():
                    w_name, w_symbols, w_dot, w_origin = waiting
                    if w_dot < len(w_symbols) and w_symbols[w_dot] == name:
                        add((w_name, w_symbols, w_dot + 1, w_origin))
            elif isinstance(symbols[dot], str):
                for alternative in self.rules[symbols[dot]]:
                    add((symbols[dot], alternative, 0, here))
                if symbols[dot] in self.nullable:
                    add((item[0], symbols, dot + 1, origin))
        return found

    def read(self, ranges_or_code_point, items: dict[Item, None]) -> list[Item]:
        """The items that step over one code point, or over any one of a set."""
        out = []
        for name, symbols, dot, origin in items:
            if dot < len(symbols) and not isinstance(symbols[dot], str):
                if isinstance(ranges_or_code_point, int):
                    fits = contains(symbols[dot], ranges_or_code_point)
                else:
                    fits = bool(intersect(symbols[dot], ranges_or_code_point))
                if fits:
                    out.append((name, symbols, dot + 1, origin))
        return out

    def chart(self, text: tuple[int, ...]) -> dict[Item, None]:
        """The chart's set after a text."""
        same = 0
        while same < min(len(text), len(self._text)) and text[same] == self._text[same]:
            same += 1
        del self._chart[same + 1 :]
        for here in range(same, len(text)):
            self._chart.append(self.completed(self.read(text[here], self._chart[here]), here + 1))
        self._text = text
        return self._chart[-1]

    def pieces(self, data: bytes | list[bytes | str]) -> tuple[tuple[int, ...], Ranges | None] | None:
        """Code points, and what the last bytes may become; None for what is no beginning of a text."""
        parts = [data] if isinstance(data, bytes) else data
        points: tuple[int, ...] = ()
        waiting = b""
        for part in parts:
            if isinstance(part, bytes):
                waiting += part
                continue
            text = decode(waiting)
            if text is None or text[1] is not None or part not in self.special:
                return None
            points += (*text[0], BEYOND + self.special[part])
            waiting = b""
        text = decode(waiting)
        return None if text is None else (points + tuple(text[0]), text[1])

    def accepts(self, data: bytes | list[bytes | str]) -> bool:
        text = self.pieces(data)
        if text is None or text[1] is not None:
            return False
        done = self.chart(text[0])
        return any(name == self.start and dot == len(symbols) and not origin for name, symbols, dot, origin in done)

    def is_prefix(self, data: bytes | list[bytes | str]) -> bool:
        text = self.pieces(data)
        if text is None:
            return False
        items = self.chart(text[0])
        return bool(items if text[1] is None else self.read(text[1], items))
