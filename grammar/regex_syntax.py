"""Regular expressions as people write them: a parser for two dialects.

"ecma" is ECMA-262 with the flag `u`, as JSON Schema wants it, and lenient where real schemas are and nothing else could
be meant: escapes that are not needed (`\\-`, `\\_`, `\\'`, `\\@`), a lone `{`, `}` or `]`, a hyphen next to a shorthand
in a class. "python" is the standard library's `re` on str. Both know `\\p{…}` (in Python's dialect an extension).

What no automaton can do (back-references) and what bridle does not do (atomic groups, possessive quantifiers,
places at lines under the flag m) is an UnsupportedError with the place; what is not in the dialect, a GrammarError with
a caret.

Cost: 1 us per character. A recursive descent; nesting is limited, so it cannot exhaust the interpreter's stack.

Source: ECMA-262, 22.2.1 (patterns) and annex B; the `re` module of Python 3.11.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NoReturn

from ..automata.errors import GrammarError, LimitError, UnsupportedError
from ..automata.regular import Regular
from ..automata.utf8_classes import MAX_CODE_POINT, Ranges, negated, normalized
from .regex_ast import (
    Anchor,
    AnchorKind,
    Boundary,
    Char,
    Choice,
    Group,
    Look,
    Node,
    RegexAst,
    Repetition,
    Sequence,
    width,
)
from .regex_classes import ECMA_DOT_EXCLUDES, case_closure, ecma_shorthand, property_ranges, python_shorthand
from .regex_language import counted_form, fullmatch_of, search_of
from .regex_lookaround import fullmatch_with_lookaround, search_with_lookaround

__all__ = ["Dialect", "counted_search", "fullmatch_language", "parse", "search_language"]

Dialect = Literal["ecma", "python"]
MAX_NESTING = 100
MAX_REPETITION = 2**31 - 1

_QUANTIFIER = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CONTROL = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_BRACES = {
    "ecma": re.compile(r"\{([0-9]+)(,([0-9]*))?\}"),
    "python": re.compile(r"\{(?!\})([0-9]*)(,([0-9]*))?\}"),
}
_NO_LOWER_BOUND = re.compile(r"\{,[0-9]+\}")
_GLOBAL_FLAGS = re.compile(r"\(\?[A-Za-z]+\)")
_HEX = {n: re.compile(rf"[0-9A-Fa-f]{{{n}}}") for n in (2, 4, 8)}
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_OCTAL = re.compile(r"0[0-7]{0,2}|[0-3][0-7]{2}")
_LAYOUT = re.compile(r"[ \t\n\r\f\v]+|#[^\n]*")
_CLASS_OCTAL = re.compile(r"\\([0-3]?[0-7]{1,2})")
_NAME = re.compile(r"([^\W\d]|[$_])[\w$]*")


@lru_cache(maxsize=1024)
def parse(pattern: str, dialect: Dialect, flags: int = 0) -> RegexAst:
    """The syntax tree of a pattern. Raises GrammarError, UnsupportedError or LimitError, with the place.

    flags : those of Python's re that the whole pattern has, in its dialect.
    """
    if dialect not in _BRACES:
        raise ValueError(f"dialect {dialect!r} is neither 'ecma' nor 'python'")
    return _Parser(pattern, dialect, _flags_of(pattern, dialect, flags)).run()


@lru_cache(maxsize=1024)
def fullmatch_language(pattern: str, dialect: Dialect, flags: int = 0) -> Regular:
    """The texts that the whole of the pattern matches from end to end. flags : as in `parse`."""
    ast = parse(pattern, dialect, flags)
    return fullmatch_with_lookaround(ast) if ast.lookaround else fullmatch_of(ast)


@lru_cache(maxsize=1024)
def search_language(pattern: str, dialect: Dialect) -> Regular:
    """The texts in which the pattern matches somewhere: what JSON Schema's `pattern` admits."""
    return _searched(parse(pattern, dialect))


@lru_cache(maxsize=1024)
def counted_search(pattern: str, dialect: Dialect) -> tuple[Regular, int, int | None] | None:
    """A language, and the least and greatest number of code points of those of its texts that search_language has.

    None where a pattern has no large repetition that a text's length tells: see `counted_form`.
    """
    form = counted_form(parse(pattern, dialect))
    return None if form is None else (_searched(form[0]), form[1], form[2])


def _searched(ast: RegexAst) -> Regular:
    return search_with_lookaround(ast) if ast.lookaround else search_of(ast)


@dataclass(frozen=True, slots=True)
class _Flags:
    """Python's inline flags; in ECMA-262 all are off."""

    ignore_case: bool = False
    dot_all: bool = False
    ascii_only: bool = False
    multiline: bool = False
    verbose: bool = False


def _flags_of(pattern: str, dialect: Dialect, flags: int) -> _Flags:
    """What re's flags mean here."""
    if flags and dialect != "python":
        raise ValueError(f"flags are Python's, and the dialect is {dialect!r}: pass dialect='python'")
    unknown = flags & ~int(re.IGNORECASE | re.DOTALL | re.ASCII | re.UNICODE | re.MULTILINE | re.VERBOSE)
    if unknown:
        what = f"the flag {re.RegexFlag(unknown)!r}"
        raise UnsupportedError(what, "I, S, A, U, M and X are those that a language has", text=pattern, offset=0)
    if flags & re.ASCII and flags & re.UNICODE:
        raise ValueError("re.ASCII and re.UNICODE contradict each other")
    return _Flags(*(bool(flags & flag) for flag in (re.IGNORECASE, re.DOTALL, re.ASCII, re.MULTILINE, re.VERBOSE)))


class _Parser:
    """One pass over one pattern; `at` is the place."""

    def __init__(self, pattern: str, dialect: Dialect, flags: _Flags) -> None:
        self.pattern, self.dialect, self.at = pattern, dialect, 0
        self.python = dialect == "python"
        self.flags = flags
        self.depth = 0
        self.groups: list[str | None] = []
        self.lookaround = False

    def run(self) -> RegexAst:
        self._global_flags()
        root = self._choice()
        if self.at < len(self.pattern):
            self._fail("unbalanced parenthesis")
        return RegexAst(root, self.pattern, self.dialect, tuple(self.groups), self.lookaround)

    # ------------------------------------------------------------------------------------------ errors and small steps

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        raise GrammarError(message, text=self.pattern, offset=self.at if at is None else at)

    def _refuse(self, what: str, reason: str, at: int) -> NoReturn:
        raise UnsupportedError(what, reason, text=self.pattern, offset=at)

    def _peek(self) -> str:
        """The next character, or the empty string."""
        return self.pattern[self.at : self.at + 1]

    def _take(self, text: str) -> bool:
        """Steps over `text` if it comes next."""
        if self.pattern.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    # ------------------------------------------------------------------------------------------ structure

    def _choice(self) -> Node:
        items = [self._sequence()]
        while self._take("|"):
            items.append(self._sequence())
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def _sequence(self) -> Node:
        items: list[Node] = []
        self._layout()
        while (character := self._peek()) and character not in "|)":
            start = self.at
            item = self._atom(character)
            if item is not None:
                items.append(self._quantified(item, start))
            self._layout()
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _layout(self) -> None:
        """Skips what does not count under the flag x: white space, and comments to the end of the line."""
        while self.flags.verbose and (found := _LAYOUT.match(self.pattern, self.at)):
            self.at = found.end()

    def _quantified(self, item: Node, start: int) -> Node:
        self._layout()
        while self.python and self.pattern.startswith("(?#", self.at):
            self._group()  # a comment may stand between the two
            self._layout()
        bounds = self._quantifier()
        if bounds is None:
            return item
        in_group = self.pattern[start] == "(" and (self.python or self.pattern.startswith("(?:", start))
        if isinstance(item, (Anchor, Boundary, Look)) and not in_group:
            self._fail("nothing to repeat", start)
        least, most = bounds
        if self._peek() == "+":
            self._refuse("a possessive quantifier", "what it matches depends on how a backtracker searches", self.at)
        greedy = not self._take("?")
        if self._peek() in ("*", "+", "?"):
            self._fail("multiple repeat")
        if self._peek() == "{" and _BRACES[self.dialect].match(self.pattern, self.at):
            self._fail("multiple repeat")
        return Repetition(item, least, most, greedy)

    def _quantifier(self) -> tuple[int, int | None] | None:
        """The bounds of a quantifier that comes next."""
        character = self._peek()
        if character and character in _QUANTIFIER:
            self.at += 1
            return _QUANTIFIER[character]
        if character != "{":
            return None
        found = _BRACES[self.dialect].match(self.pattern, self.at)
        if found is None:
            if not self.python and _NO_LOWER_BOUND.match(self.pattern, self.at):
                self._fail("a repetition needs a lower bound: write {0,n}")
            return None
        low, comma, high = found.groups()
        least = self._bound(low) if low else 0
        most = (self._bound(high) if high else None) if comma else least
        if most is not None and most < least:
            self._fail("numbers of a repetition are out of order")
        self.at = found.end()
        return least, most

    def _bound(self, digits: str) -> int:
        number = int((digits.lstrip("0") or "0")[:20])  # Python refuses to read very long numbers
        if number > MAX_REPETITION:
            raise LimitError("repetition", number, MAX_REPETITION, f"offset {self.at} of the pattern")
        return number

    def _atom(self, character: str) -> Node | None:
        """What a quantifier may follow; None for a comment or flags."""
        if character == "\\":
            return self._escape()
        if character == "[":
            return Char(self._class())
        if character == "(":
            return self._group()
        start = self.at
        if character in _QUANTIFIER or (character == "{" and _BRACES[self.dialect].match(self.pattern, self.at)):
            self._fail("nothing to repeat")
        self.at += 1
        if character in "^$" and self.flags.multiline:
            self._refuse(f"{character} under the flag m", "only places in the whole text are known", start)
        if character == "^":
            return Anchor(AnchorKind.START, start)
        if character == "$":
            return Anchor(AnchorKind.END_OR_FINAL_NEWLINE if self.python else AnchorKind.END, start)
        if character == ".":
            return Char(self._dot())
        return self._literal(ord(character))

    def _dot(self) -> Ranges:
        if self.flags.dot_all:
            return ((0, MAX_CODE_POINT),)
        return negated(((0x0A, 0x0A),) if self.python else ECMA_DOT_EXCLUDES)

    def _literal(self, code: int) -> Char:
        return Char(self._folded(((code, code),)))

    def _folded(self, ranges: Ranges) -> Ranges:
        return case_closure(ranges, self.flags.ascii_only) if self.flags.ignore_case else ranges

    # ------------------------------------------------------------------------------------------ groups

    def _group(self) -> Node | None:
        start = self.at
        self.at += 1
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise LimitError("nesting", self.depth, MAX_NESTING, f"offset {start} of the pattern")
        before = self.flags
        try:
            return self._group_body(start)
        finally:
            self.flags = before
            self.depth -= 1

    def _group_body(self, start: int) -> Node | None:
        if not self._take("?"):
            return self._captured(None, start)
        if self._take(":"):
            return self._closed(start)
        for mark, ahead, negative in (("=", True, False), ("!", True, True), ("<=", False, False), ("<!", False, True)):
            if self._take(mark):
                self.lookaround = True
                item = self._closed(start)
                if self.python and not ahead and len(set(width(item))) > 1:
                    self._fail("look-behind requires fixed-width pattern", start)
                return Look(item, ahead, negative, start)
        if self._take("P<" if self.python else "<"):
            return self._captured(self._group_name(start), start)
        if self._take(">"):
            self._refuse("an atomic group", "what it matches depends on how a backtracker searches", start)
        if not self.python:
            if self._peek() in ("i", "m", "s", "-"):
                self._refuse("an inline flag", "JSON Schema's patterns have none", start)
            self._fail("unknown kind of group", start)
        if self._take("P="):
            self._refuse("a back-reference", "the language is not regular", start)
        if self._take("("):
            self._refuse("a conditional group", "the language need not be regular", start)
        if self._take("#"):
            end = self.pattern.find(")", self.at)
            if end < 0:
                self._fail("missing ), unterminated comment", start)
            self.at = end + 1
            return None
        self.flags = self._flag_letters(start)
        if not self._take(":"):
            self._fail("global flags not at the start of the expression", start)
        return self._closed(start)

    def _captured(self, name: str | None, start: int) -> Group:
        self.groups.append(name)
        number = len(self.groups)
        return Group(self._closed(start), number, name)

    def _closed(self, start: int) -> Node:
        node = self._choice()
        if not self._take(")"):
            self._fail("missing ), unterminated group", start)
        return node

    def _group_name(self, start: int) -> str:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at : end]
        if end < 0 or not (name.isidentifier() if self.python else _NAME.fullmatch(name)):
            self._fail("bad group name")
        if name in self.groups:
            self._fail(f"group name {name!r} is used twice", start)
        self.at = end + 1
        return name

    def _global_flags(self) -> None:
        """`(?i)` and the like, which Python allows at the very start only."""
        while self.python and (found := _GLOBAL_FLAGS.match(self.pattern, self.at)):
            self.at += 2
            self.flags = self._flag_letters(0)
            self.at = found.end()

    def _flag_letters(self, start: int) -> _Flags:
        flags, on, seen = self.flags, True, False
        while (letter := self._peek()) and letter not in ":)":
            self.at += 1
            if letter == "-" and on:
                on, seen = False, False
                continue
            seen = True
            if letter == "i":
                flags = replace(flags, ignore_case=on)
            elif letter == "s":
                flags = replace(flags, dot_all=on)
            elif letter in "au" and on:
                flags = replace(flags, ascii_only=letter == "a")
            elif letter == "m":
                flags = replace(flags, multiline=on)
            elif letter == "x":
                flags = replace(flags, verbose=on)
            elif letter == "L":
                self._refuse("the flag L", "a language that depends on where it is used is none", start)
            else:
                self._fail("unknown extension or flag", start)
        if not seen:
            self._fail("missing flag", start)
        return flags

    # ------------------------------------------------------------------------------------------ escapes

    def _escape(self) -> Node:
        """An escape outside a class."""
        start, letter = self.at, self.pattern[self.at + 1 : self.at + 2]
        if letter in ("b", "B"):
            self.at += 2
            self.lookaround = True
            word = python_shorthand("w", self.flags.ascii_only) if self.python else ecma_shorthand("w")
            return Boundary(word, negative=letter == "B", in_nothing=letter == "B" and not self.python)
        if self.python and letter in ("A", "Z", "z"):
            self.at += 2
            return Anchor(AnchorKind.START if letter == "A" else AnchorKind.END, start)
        is_reference = letter != "" and letter in "123456789"
        if self.python and is_reference and _OCTAL.match(self.pattern, start + 1):
            is_reference = False
        if is_reference or (letter == "k" and not self.python):
            self._refuse("a back-reference", "the language is not regular", start)
        if (shorthand := self._shorthand()) is not None:
            return Char(shorthand)
        return self._literal(self._character_escape())

    def _shorthand(self) -> Ranges | None:
        """The set of a shorthand or property that comes next."""
        start, letter = self.at, self.pattern[self.at + 1 : self.at + 2]
        if letter and letter in "dwsDWS":
            self.at += 2
            lower = letter.lower()
            ranges = python_shorthand(lower, self.flags.ascii_only) if self.python else ecma_shorthand(lower)
            return ranges if letter == lower else negated(ranges)
        if letter not in ("p", "P"):
            return None
        self.at += 2
        if found := _IN_BRACES.match(self.pattern, self.at):
            expression, self.at = found[1], found.end()
        else:
            expression, self.at = self._peek(), self.at + 1
        property_set = property_ranges(expression)
        if expression in ("Changes_When_NFKC_Casefolded", "CWKCF"):
            self._refuse(f"the Unicode property {expression}", "no table of it is at hand", start)
        if property_set is None:
            self._fail(f"unknown Unicode property {expression!r}", start)
        return self._folded(property_set) if letter == "p" else negated(self._folded(property_set))

    def _character_escape(self) -> int:
        """The code point of an escape that comes next and stands for one character."""
        start = self.at
        letter = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if not letter:
            self._fail("a backslash ends the pattern", start)
        if letter in _CONTROL:
            return _CONTROL[letter]
        if letter == "x":
            return self._hex(2, start)
        if letter == "u":
            return self._unicode_escape(start)
        special = self._python_escape(letter, start) if self.python else self._ecma_escape(letter, start)
        if special is not None:
            return special
        if letter.isascii() and letter.isalnum():
            hint = {"A": "; write ^", "Z": "; write $", "z": "; write $"}.get(letter, "")
            self._fail(f"bad escape \\{letter}{hint}", start)
        return ord(letter)

    def _python_escape(self, letter: str, start: int) -> int | None:
        if letter == "a":
            return 0x07
        if letter == "U":
            code = self._hex(8, start)
            return code if code <= MAX_CODE_POINT else self._fail("code point out of range", start)
        if letter == "N" and (found := _IN_BRACES.match(self.pattern, self.at)):
            self.at = found.end()
            try:
                return ord(unicodedata.lookup(found[1]))
            except (KeyError, TypeError):
                self._fail(f"unknown character name {found[1]!r}", start)
        if found := _OCTAL.match(self.pattern, start + 1):
            self.at = found.end()
            return int(found[0], 8)
        return None

    def _ecma_escape(self, letter: str, start: int) -> int | None:
        if letter == "0":
            if self._peek() and self._peek() in "0123456789":
                self._fail("octal escapes are not ECMA-262", start)
            return 0
        if letter == "c":
            control = self._peek()
            if not (control.isascii() and control.isalpha()):
                self._fail("bad control escape", start)
            self.at += 1
            return ord(control) % 32
        return None

    def _unicode_escape(self, start: int) -> int:
        if not self.python and (found := _IN_BRACES.match(self.pattern, self.at)):
            digits = found[1]
            if not re.fullmatch("[0-9A-Fa-f]+", digits) or int(digits, 16) > MAX_CODE_POINT:
                self._fail("bad escape \\u{…}", start)
            self.at = found.end()
            return int(digits, 16)
        code = self._hex(4, start)
        low = _HEX[4].match(self.pattern, self.at + 2) if self.pattern.startswith("\\u", self.at) else None
        if not self.python and 0xD800 <= code < 0xDC00 and low and 0xDC00 <= int(low[0], 16) < 0xE000:
            self.at += 6
            return 0x10000 + ((code - 0xD800) << 10) + (int(low[0], 16) - 0xDC00)
        return code

    def _hex(self, digits: int, start: int) -> int:
        found = _HEX[digits].match(self.pattern, self.at)
        if found is None:
            self._fail(f"an escape needs {digits} hexadecimal digits", start)
        self.at += digits
        return int(found[0], 16)

    # ------------------------------------------------------------------------------------------ classes

    def _class(self) -> Ranges:
        """A bracketed class."""
        start = self.at
        self.at += 1
        negate = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = self.at
        while True:
            if self.at >= len(self.pattern):
                self._fail("unterminated character class", start)
            if self._peek() == "]" and not (self.python and self.at == first):
                self.at += 1
                break
            ranges.extend(self._class_item())
        folded = self._folded(normalized(ranges))
        return negated(folded) if negate else folded

    def _class_item(self) -> Ranges:
        """A character, a shorthand or a range."""
        start = self.at
        low = self._class_atom()
        if self._peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return low if isinstance(low, tuple) else ((low, low),)
        hyphen = self.at
        self.at += 1
        high = self._class_atom()
        if isinstance(low, tuple) or isinstance(high, tuple):
            if self.python or self.pattern[hyphen + 1] == "-":  # `--`: a difference under another flag
                self._fail("bad character range", start)
            self.at = hyphen + 1  # annex B: the hyphen is one, and what follows it an item of its own
            return (*(low if isinstance(low, tuple) else ((low, low),)), (0x2D, 0x2D))
        if high < low:
            self._fail("character range is out of order", start)
        return ((low, high),)

    def _class_atom(self) -> int | Ranges:
        """A code point, or the set of a shorthand."""
        if self._peek() != "\\":
            code = ord(self.pattern[self.at])
            self.at += 1
            return code
        if self.pattern.startswith("\\b", self.at):
            self.at += 2
            return 0x08
        if self.python and (found := _CLASS_OCTAL.match(self.pattern, self.at)):
            self.at = found.end()
            return int(found[1], 8)
        shorthand = self._shorthand()
        return self._character_escape() if shorthand is None else shorthand
