r"""EBNF texts, in GBNF's notation and what of W3C's does not contradict it, become a RuleSet.

The text is cut into tokens first, so that it is known which names are defined before bodies are read; then a
recursive descent over the tokens. A rule begins where a name is followed by `::=`, so bodies may run over any number
of lines.

    name ::= body            letters, digits, - and _; a name with dots is one if a rule is defined by it
    a | b    a b    (a)      alternatives, either of which may be empty; sequences; groups
    ? * + {m} {m,} {m,n} {,n}
    "…" '…' [a-z] [^a-z] .   escapes \n \r \t \\ \" \' \[ \] \xHH \uHHHH \UHHHHHHHH and those of C; `.`: any code point
    # …    /* … */           comments
    #x20 [#x20-#x7F]         W3C's code points

Where GBNF and W3C read the same text differently: a class of nothing but `#x20`s is W3C's, and one that mixes them
with other characters an error; outside a class `#x20` is a code point if all `#` of the text are such, and an error
if others are comments. A raw line break in a literal is an error, as in XGrammar; llama.cpp takes it.

Refused by name (UnsupportedError): lookahead, tokens by id or name, XGrammar's dispatch macros, W3C's difference.

INVARIANT: every rule that the RuleSet names is defined, and no literal has a surrogate: UTF-8 has no spelling for
them.
Cost: linear, about 1 us for a character.
Source: llama.cpp grammars/README.md; XGrammar's documentation of EBNF; W3C XML 1.0, section 6 (notation)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from ..automata.errors import GrammarError, LimitError, UnsupportedError, line_and_column
from ..automata.regular import ANY_CHAR, EPSILON, CharClass, char_class, literal
from .rules import Choice, Node, Repeat, Rule, RuleRef, RuleSet, Sequence, Terminal, verify

__all__ = ["parse_ebnf"]

# Groups within groups: three levels of the IR each, two frames of recursion each (rules.MAX_DEPTH).
_MAX_NESTING = 40
_MAX_COUNT = 1_000_000

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_NAME = re.compile(r"[\w-]*\w[\w-]*(?:\.[\w-]*\w[\w-]*)*")
_CODE = re.compile(r"#x([0-9A-Fa-f]+)(?![\w-])")
_CODES = re.compile(r"\^?(?:#x[0-9A-Fa-f]+(?:-#x[0-9A-Fa-f]+)?)+")
_CODES_ITEM = re.compile(r"#x([0-9A-Fa-f]+)(?:-#x([0-9A-Fa-f]+))?")
_COUNTS = re.compile(r"\{\s*([0-9]*)\s*(,?)\s*([0-9]*)\s*\}")
_LOOKAHEAD = re.compile(r"\((?:\?[=!<]|=|!(?!<))")
_PUNCTUATION = ("::=", "|", "(", ")", "?", "*", "+")
_ESCAPES = {
    "n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "e": "\x1b",
    **{c: c for c in "\\\"'?[]^-/"},
}  # fmt: skip
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_SHORTHANDS = {"d": "[0-9]", "w": "[a-zA-Z0-9_]", "s": r"[ \t\n\r]"}
_MACRO = re.compile(r"(?:TagDispatch|TokenTagDispatch|Token|ExcludeToken|AnyTokens)(?=\()")
_OTHERWISE = {
    "=": "a rule is written name ::= body",
    ":": "a rule is written name ::= body",
    ";": "a rule needs no end mark",
    ",": "items of a sequence are separated by spaces",
    "]": "a class begins with '['",
    "}": "a repetition begins with '{'",
    "/": "comments are # or /* */; patterns are not part of this notation",
}


def parse_ebnf(text: str, start: str = "root") -> RuleSet:
    """The rules of an EBNF text. Raises GrammarError (with line, column and caret), UnsupportedError, LimitError."""
    rules = _Parser(text, _Lexer(text).tokens()).grammar(start)
    verify(rules)
    return rules


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind`: a punctuation itself, or "name", "terminal", "counts", "end"; `value`: name, language or counts."""

    kind: str
    offset: int
    end: int
    value: object = None


# ---------------------------------------------------------------------------------------------- tokens


class _Lexer:
    """Cuts a text into tokens; escapes and classes are decoded here."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.comment: int | None = None  # the first `#` that can be nothing but a comment
        self.code: int | None = None  # the first `#x20` outside a class

    def fail(self, message: str, offset: int) -> NoReturn:
        raise GrammarError(message, text=self.text, offset=offset)

    def unsupported(self, what: str, reason: str, offset: int) -> NoReturn:
        raise UnsupportedError(what, reason, text=self.text, offset=offset)

    def tokens(self) -> list[_Token]:
        out = []
        while self.skipped() < len(self.text):
            begin = self.at
            kind, value = self.token(self.text[begin])
            out.append(_Token(kind, begin, self.at, value))
        if self.code is not None and self.comment is not None:
            line, _ = line_and_column(self.text, self.comment)
            self.fail(
                f"'#x…' is a comment in GBNF and a code point in W3C's notation, and line {line} has a comment that "
                "begins with '#': write the code point as a class, [#x20], or put a space after the '#'",
                self.code,
            )
        out.append(_Token("end", len(self.text), len(self.text)))
        return out

    def skipped(self) -> int:
        """The place of the next token: beyond white space and comments."""
        while True:
            if found := _SPACE.match(self.text, self.at):
                self.at = found.end()
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("this comment has no end: expected '*/'", self.at)
                self.at = end + 2
            elif self.text.startswith("#", self.at) and not _CODE.match(self.text, self.at):
                self.comment = self.at if self.comment is None else self.comment
                end = self.text.find("\n", self.at)
                self.at = end if end >= 0 else len(self.text)
            else:
                return self.at

    def token(self, first: str) -> tuple[str, object]:
        begin = self.at
        if first in "\"'":
            return "terminal", self.literal(first)
        if first == "[":
            return "terminal", self.char_class()
        if first == "{":
            return "counts", self.counts()
        if first == ".":
            self.at += 1
            return "terminal", ANY_CHAR
        if (found := _MACRO.match(self.text, begin)) and not re.search(rf"\b{found[0]}\s*::=", self.text):
            self.unsupported(f"{found[0]}(…)", "it is a macro of XGrammar's, not a rule", begin)
        if found := _NAME.match(self.text, begin):
            self.at = found.end()
            return "name", found[0]
        if found := _CODE.match(self.text, begin):
            self.code = begin if self.code is None else self.code
            self.at = found.end()
            return "terminal", literal(chr(self.scalar(found[1], begin)))
        if found := _LOOKAHEAD.match(self.text, begin):
            self.unsupported(f"lookahead ('{found[0]}…)')", "a sentence would depend on what follows it", begin)
        for mark in _PUNCTUATION:
            if self.text.startswith(mark, begin):
                self.at += len(mark)
                return mark, None
        if first == "-":
            self.unsupported("the difference of two expressions ('-')", "rules are unions only", begin)
        if first in "<!":
            self.unsupported("a token by id or name ('<…>')", "terminals are texts", begin)
        hint = f"; {_OTHERWISE[first]}" if first in _OTHERWISE else ""
        self.fail(f"unexpected character {first!r}{hint}", begin)

    def scalar(self, digits: str, offset: int) -> int:
        """The code point of hexadecimal digits, which may be a surrogate."""
        code = int(digits, 16)
        if code > 0x10FFFF:
            self.fail(f"U+{code:X} is beyond the last code point, U+10FFFF", offset)
        return code

    def character(self, close: str, opened: int, what: str) -> int:
        """One code point of a literal or class, which are to be closed by `close`."""
        begin = self.at
        char = self.text[begin : begin + 1]
        if char in ("", "\n"):
            self.fail(f"this {what} has no end: expected {close!r} on the same line (a line break is \\n)", opened)
        self.at += 1
        if char != "\\":
            return ord(char)
        kind = self.text[self.at : self.at + 1]
        self.at += 1
        if kind in _HEX_DIGITS:
            n = _HEX_DIGITS[kind]
            digits = self.text[self.at : self.at + n]
            if not re.fullmatch(f"[0-9A-Fa-f]{{{n}}}", digits):
                self.fail(f"expected {n} hexadecimal digits after '\\{kind}'", self.at)
            self.at += n
            return self.scalar(digits, begin)
        if kind not in _ESCAPES:
            hint = f"; write {_SHORTHANDS[kind]}" if kind in _SHORTHANDS else "; a backslash itself is written \\\\"
            self.fail(f"unknown escape '\\{kind}'{hint}", begin)
        return ord(_ESCAPES[kind])

    def literal(self, quote: str) -> object:
        opened, out = self.at, []
        self.at += 1
        while not self.text.startswith(quote, self.at):
            begin = self.at
            code = self.character(quote, opened, "literal")
            if 0xD800 <= code <= 0xDFFF:
                self.fail(f"U+{code:X} is a surrogate, which no UTF-8 text contains: write the code point", begin)
            out.append(chr(code))
        self.at += 1
        return literal("".join(out))

    def char_class(self) -> CharClass:
        opened = self.at
        self.at += 1
        if found := self.codes():
            return found
        negate = self.text.startswith("^", self.at)
        self.at += negate
        ranges = []
        while not self.text.startswith("]", self.at):
            begin = self.at
            if _CODES_ITEM.match(self.text, begin):
                self.fail(
                    "'#x…' among other characters of a class means '#', 'x', … in GBNF and a code point in W3C's "
                    "notation: write \\xHH, or put the '#' last",
                    begin,
                )
            low = high = self.character("]", opened, "class")
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self.character("]", opened, "class")
            self.ordered(low, high, begin)
            ranges.append((low, high))
        self.at += 1
        return char_class(ranges, negate=negate)

    def codes(self) -> CharClass | None:
        """A class of nothing but W3C's code points."""
        found = _CODES.match(self.text, self.at)
        if found is None or not self.text.startswith("]", found.end()):
            return None
        ranges = []
        for item in _CODES_ITEM.finditer(self.text, self.at, found.end()):
            low = self.scalar(item[1], item.start())
            high = self.scalar(item[2], item.start()) if item[2] else low
            self.ordered(low, high, item.start())
            ranges.append((low, high))
        self.at = found.end() + 1
        return char_class(ranges, negate=found[0].startswith("^"))

    def ordered(self, low: int, high: int, offset: int) -> None:
        if high < low:
            self.fail(f"this range is empty: U+{low:04X} comes after U+{high:04X}", offset)

    def counts(self) -> tuple[int, int | None]:
        begin = self.at
        found = _COUNTS.match(self.text, begin)
        if found is None or not (found[1] or found[3]) or (found[3] and not found[2]):
            self.fail("expected a repetition: {m}, {m,}, {m,n} or {,n}", begin)
        self.at = found.end()
        for digits in (found[1], found[3]):
            if len(digits) > 7 or int(digits or 0) > _MAX_COUNT:
                line, column = line_and_column(self.text, begin)
                raise LimitError("repetition", int(digits[:4000]), _MAX_COUNT, f"line {line}, column {column}")
        least = int(found[1] or 0)
        most = least if not found[2] else int(found[3]) if found[3] else None
        if most is not None and most < least:
            self.fail(f"this repetition is empty: {least} is more than {most}", begin)
        return least, most


# ---------------------------------------------------------------------------------------------- rules

_REPEATS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_EMPTY_TEXT = Terminal(EPSILON)


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text, self.tokens, self.at = text, tokens, 0
        self.defined = {t.value for i, t in enumerate(tokens) if t.kind == "name" and tokens[i + 1].kind == "::="}

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def fail(self, message: str, offset: int) -> NoReturn:
        raise GrammarError(message, text=self.text, offset=offset)

    def expected(self, what: str) -> NoReturn:
        token = self.token
        found = "the end of the text" if token.kind == "end" else repr(self.text[token.offset : token.end])
        self.fail(f"expected {what}, found {found}", token.offset)

    def grammar(self, start: str) -> RuleSet:
        rules: dict[str, Rule] = {}
        while self.token.kind != "end":
            if self.token.kind != "name":
                self.expected("a rule (name ::= body)")
            name = self.take()
            if self.token.kind != "::=":
                self.expected(f"'::=' after {name.value!r}")
            self.at += 1
            key = str(name.value)
            if key in rules:
                line, _ = line_and_column(self.text, rules[key].offset or 0)
                self.fail(f"second definition of rule {key!r}; the first is on line {line}", name.offset)
            rules[key] = Rule(key, self.alternatives(0), name.offset)
            if self.token.kind == ")":
                self.fail("expected a rule or the end of the text: no group is open for this ')'", self.token.offset)
        if not rules:
            self.fail("expected a rule (name ::= body), found the end of the text", 0)
        return RuleSet(rules, start, self.text)

    def alternatives(self, nesting: int) -> Node:
        found = [self.sequence(nesting)]
        while self.token.kind == "|":
            self.at += 1
            found.append(self.sequence(nesting))
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def sequence(self, nesting: int) -> Node:
        items: list[Node] = []
        while (kind := self.token.kind) not in ("|", ")", "end"):
            if kind == "name" and self.tokens[self.at + 1].kind == "::=":
                break
            if kind in ("?", "*", "+", "counts"):
                self.expected("something to repeat before it")
            if kind == "::=":
                self.expected("a rule's name before it")
            found = self.items(nesting)
            while self.token.kind in _REPEATS or self.token.kind == "counts":
                suffix = self.take()
                counts = suffix.value if suffix.kind == "counts" else _REPEATS[suffix.kind]
                found[-1] = Repeat(found[-1], *counts)  # type: ignore[misc]
            items += found
        return items[0] if len(items) == 1 else Sequence(tuple(items)) if items else _EMPTY_TEXT

    def items(self, nesting: int) -> list[Node]:
        """What one token or group stands for; more than one item only for a dotted word that is no name."""
        token = self.take()
        if token.kind == "terminal":
            return [Terminal(token.value)]  # type: ignore[arg-type]
        if token.kind == "name":
            return self.reference(token)
        if nesting == _MAX_NESTING:
            line, column = line_and_column(self.text, token.offset)
            raise LimitError("nesting of groups", nesting + 1, _MAX_NESTING, f"line {line}, column {column}")
        body = self.alternatives(nesting + 1)
        if self.token.kind != ")":
            line, column = line_and_column(self.text, token.offset)
            self.expected(f"')' for the group that line {line}, column {column} opens")
        self.at += 1
        return [body]

    def reference(self, token: _Token) -> list[Node]:
        name = str(token.value)
        if name in self.defined or "." not in name:
            return [RuleRef(name, token.offset)]
        # GBNF: `a.b` is a, then any code point, then b.
        out: list[Node] = []
        offset = token.offset
        for part in name.split("."):
            out += [Terminal(ANY_CHAR)] * bool(out) + [RuleRef(part, offset)]
            offset += len(part) + 1
        return out
