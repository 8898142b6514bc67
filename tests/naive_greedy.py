"""Lexical rules by longest match, naively: sets of texts, and frames that hold the text they have read.

A terminal *wins* a text that it matches and no better one does. A greedy frame that has read w may end before byte b
if its terminal wins w and no terminal matches a text that begins with w b; at the end of all, if its terminal wins w.
It is alive as long as its terminal wins a text that begins with w. All of this is looked up among the texts over a
small alphabet up to a length: terminals must not need more than `SPARE` letters to become one.

A grammar is a dict of rules, each a list of sequences; a symbol is the name of a rule, a Greedy or an Ordinary.
Part of the oracle: imports nothing from bridle.
"""

import re
from dataclasses import dataclass
from itertools import product

ALPHABET = "ab."
SPARE = 3


@dataclass(frozen=True)
class Greedy:
    """A terminal by its rank among those that compete, the best first."""

    rank: int


@dataclass(frozen=True)
class Ordinary:
    """A literal that is no lexer's business: its frame ends where it is read."""

    text: str


def texts(longest: int) -> list[str]:
    return ["".join(letters) for n in range(longest + 1) for letters in product(ALPHABET, repeat=n)]


class Lexer:
    """What competing terminals (patterns of Python's re, the best first) make of texts up to a length."""

    def __init__(self, patterns: list[str], longest: int) -> None:
        every = texts(longest + SPARE)
        matched = [{text for text in every if re.fullmatch(pattern, text)} for pattern in patterns]
        self.wins: list[set[str]] = []
        taken: set[str] = set()
        for own in matched:
            self.wins.append(own - taken)
            taken |= own
        self.alive = [_beginnings(own) for own in self.wins]
        self.begun = _beginnings(taken)
        self.longest = longest


def _beginnings(among: set[str]) -> set[str]:
    return {text[:n] for text in among for n in range(len(text) + 1)}


# A frame: its terminal, what it has read, the symbols that come after it. None is the end of the text.
Frame = tuple[object, str, tuple]


class Grammar:
    """The frames that a text may have come to."""

    def __init__(self, rules: dict[str, list[tuple]], lexer: Lexer) -> None:
        self.rules, self.lexer = rules, lexer

    def start(self) -> frozenset:
        return frozenset(self.begun(("S",)))

    def begun(self, symbols: tuple) -> list:
        """The frames that a sequence of symbols may begin with."""
        if not symbols:
            return [None]
        first, *after = symbols
        if isinstance(first, str):
            return [frame for way in self.rules[first] for frame in self.begun((*way, *after))]
        return [(first, "", tuple(after))]

    def ends(self, frame: Frame, letter: str | None) -> bool:
        """Whether a frame may end before a letter, or (None) at the end of the text."""
        terminal, read, _ = frame
        if isinstance(terminal, Ordinary):
            return read == terminal.text
        assert len(read) <= self.lexer.longest
        won = read in self.lexer.wins[terminal.rank]
        return won and (letter is None or read + letter not in self.lexer.begun)

    def open(self, frames: frozenset, letter: str | None) -> set:
        """All frames that may come next: those that there are, and what follows where they end."""
        found: set = set()
        waiting = list(frames)
        while waiting:
            frame = waiting.pop()
            if frame not in found:
                found.add(frame)
                if frame is not None and self.ends(frame, letter):
                    waiting += self.begun(frame[2])
        return found

    def step(self, frames: frozenset, letter: str) -> frozenset:
        after = set()
        for frame in self.open(frames, letter) - {None}:
            terminal, read, rest = frame
            read += letter
            if isinstance(terminal, Ordinary):
                alive = terminal.text.startswith(read)
            else:
                alive = read in self.lexer.alive[terminal.rank]
            if alive:
                after.add((terminal, read, rest))
        return frozenset(after)

    def run(self, frames: frozenset, text: str) -> frozenset:
        for letter in text:
            frames = self.step(frames, letter)
        return frames

    def may_end(self, frames: frozenset) -> bool:
        return None in self.open(frames, None)
