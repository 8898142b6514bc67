r"""EBNF texts as tokens: escapes, classes, patterns and special tokens are decoded here, comments dropped.

What the notation is, ebnf.py tells. What only one of its dialects means, or two mean in different ways, is decided
here as far as characters go.

INVARIANT: no literal has a surrogate: UTF-8 has no spelling for them.
Cost: linear, about 0.5 us for a character.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from ..automata.errors import GrammarError, LimitError, UnsupportedError, line_and_column, nested_too_deeply
from ..automata.regular import ANY_CHAR, CharClass, Regular, char_class, literal
from ..automata.special_tokens import SpecialToken
from .regex_syntax import Dialect, fullmatch_language
from .rule_attributes import Attributes, read_attributes

__all__ = ["Lexer", "Token"]

_MAX_COUNT = 1_000_000

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_NAME = re.compile(r"[\w-]*\w[\w-]*(?:\.[\w-]*\w[\w-]*)*")
# No class stands before `::=`.
_ATTRIBUTED = re.compile(r"""\[(?:[^\]"\n]|"(?:\\.|[^"\\\n])*")*\][ \t\r\n]*::=""")
_CODE = re.compile(r"#x([0-9A-Fa-f]+)(?![\w-])")
_NO_CODE = re.compile(r"#x\w{1,8}[ \t]*(?:(?=[|()?*+\"'\[{])|(?P<last>\r?$))", re.MULTILINE)
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
_CLASS_ESCAPES = "$.*+(){}|"
_SHORTHANDS = {"d": "[0-9]", "w": "[a-zA-Z0-9_]", "s": r"[ \t\n\r]"}
# <[128009]>; <[INST]>, a name that has brackets instead of <>; <|im_end|>
_SPECIAL = re.compile(r"<\[([0-9]+)\]>|<(\[[^\s<>\[\]]+\])>|(<[^\s<>]+>)")
_MACROS = "(TagDispatch|TokenTagDispatch|Token|ExcludeToken|AnyTokens|Regex|Substring)"
_MACRO, _MACRO_RULE = re.compile(_MACROS + r"\("), re.compile(rf"(?<![\w.-]){_MACROS}\s*::=")
_IDS = re.compile(r"\s*([0-9]+)\s*(?:,\s*|(?=\)))")
# W3C numbers its productions: `[12] name ::= …`.
_NUMBERED = re.compile(r"\[[0-9]+[a-z]?\](?=[ \t]+[\w.-]+\s*::=)")
_EMBEDDED = re.compile(r"%(json|regex)\b[ \t]*")
_PATTERN = re.compile(r"/((?:[^/\\\n]|\\.)+)/")
_OTHERWISE = {
    "=": "a rule is written name ::= body",
    ":": "a rule is written name ::= body",
    ";": "a rule needs no end mark",
    ",": "items of a sequence are separated by spaces",
    "%": "what can be embedded is %json {…} and %regex /…/",
    "]": "a class begins with '['",
    "}": "a repetition begins with '{'",
    "/": "comments are # or /* */, patterns are written %regex /…/",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text from `offset` to `end`.

    kind : a punctuation itself, or "end", or what `value` is: "name" (str), "terminal" (Regular), "counts" (least and
        most), "special" (one of these SpecialTokens), "not" (any token but these), "json" (a schema's text).
    """

    kind: str
    offset: int
    end: int
    value: object = None


class Lexer:
    """Cuts a text into tokens; escapes and classes are decoded here."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.comment: int | None = None  # the first `#` that can be nothing but a comment
        self.code: int | None = None  # the first `#x20` outside a class
        self.notes: list[str] = []
        self.attributes: dict[int, Attributes] = {}  # by where the name of the rule stands
        self._defined: frozenset[str] | None = None

    def fail(self, message: str, offset: int) -> NoReturn:
        raise GrammarError(message, text=self.text, offset=offset)

    def unsupported(self, what: str, reason: str, offset: int) -> NoReturn:
        raise UnsupportedError(what, reason, text=self.text, offset=offset)

    def tokens(self) -> list[Token]:
        out = []
        while self.skipped() < len(self.text):
            begin = self.at
            kind, value = self.token(self.text[begin])
            out.append(Token(kind, begin, self.at, value))
        if self.code is not None and self.comment is not None:
            line, _ = line_and_column(self.text, self.comment)
            self.fail(
                f"'#x…' is a comment in GBNF and a code point in W3C's notation, and line {line} has a comment that "
                "begins with '#': write the code point as a class, [#x20], or put a space after the '#'",
                self.code,
            )
        out.append(Token("end", len(self.text), len(self.text)))
        return out

    def skipped(self) -> int:
        """The place of the next token: beyond white space and comments."""
        while True:
            if found := _SPACE.match(self.text, self.at) or self.production_number():
                self.at = found.end()
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("this comment has no end: expected '*/'", self.at)
                self.at = end + 2
            elif self.text.startswith("#", self.at) and not _CODE.match(self.text, self.at):
                self.no_code()
                self.comment = self.at if self.comment is None else self.comment
                end = self.text.find("\n", self.at)
                self.at = end if end >= 0 else len(self.text)
            else:
                return self.at

    def no_code(self) -> None:
        """Refuses a `#x…` that is no code point and stands where one would: before other items, or behind them."""
        found = _NO_CODE.match(self.text, self.at)
        line = self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at]
        if found is not None and (found["last"] is None or line.strip()):
            self.fail(
                f"{found[0].strip()!r} is no code point: '#x' is followed by hexadecimal digits, as in #x20; for a "
                "comment, put a space after the '#'",
                self.at,
            )

    def production_number(self) -> re.Match[str] | None:
        """W3C's number of a rule, if one comes next and nothing stands before it on its line."""
        found = _NUMBERED.match(self.text, self.at)
        if found is None or self.text[self.text.rfind("\n", 0, self.at) + 1 : self.at].strip():
            return None
        return found

    def token(self, first: str) -> tuple[str, object]:
        begin = self.at
        if first in "\"'":
            return "terminal", literal(self.string(first))
        if first == "[":
            return "terminal", self.char_class()
        if first == "{":
            return "counts", self.counts()
        if first == ".":
            self.at += 1
            return "terminal", ANY_CHAR
        if (found := _MACRO.match(self.text, begin)) and found[1] not in self.defined_macros():
            return self.macro(found[1], found.end())
        if found := _NAME.match(self.text, begin):
            self.at = found.end()
            if _ATTRIBUTED.match(self.text, self.at):
                self.attributes[begin], self.at = read_attributes(self.text, self.at)
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
            self.at += first == "!"
            return "not" if first == "!" else "special", self.special()
        if found := _EMBEDDED.match(self.text, begin):
            self.at = found.end()
            return ("json", self.schema(begin)) if found[1] == "json" else ("terminal", self.pattern(begin))
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
            if kind == "x" and re.match("[0-9A-Fa-f]", self.text[self.at : self.at + 1]):
                line, column = line_and_column(self.text, begin)
                read = self.text[begin : self.at + 1]
                self.notes.append(
                    f"line {line}, column {column}: {read} is {read[:-1]} and then {read[-1]}, as in GBNF; XGrammar "
                    "reads all hexadecimal digits: write \\u or \\U for what is beyond \\xFF"
                )
            return self.scalar(digits, begin)
        if close == "]" and kind and kind in _CLASS_ESCAPES:
            return ord(kind)
        if kind not in _ESCAPES:
            hint = f"; write {_SHORTHANDS[kind]}" if kind in _SHORTHANDS else "; a backslash itself is written \\\\"
            self.fail(f"unknown escape '\\{kind}'{hint}", begin)
        return ord(_ESCAPES[kind])

    def string(self, quote: str) -> str:
        """What a literal spells."""
        opened, out = self.at, []
        self.at += 1
        while not self.text.startswith(quote, self.at):
            begin = self.at
            code = self.character(quote, opened, "literal")
            if 0xD800 <= code <= 0xDFFF:
                self.fail(f"U+{code:X} is a surrogate, which no UTF-8 text contains: write the code point", begin)
            out.append(chr(code))
        self.at += 1
        return "".join(out)

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

    # ------------------------------------------------------------------------------------------ special tokens

    def special(self) -> tuple[SpecialToken, ...]:
        """The token that `<…>` names."""
        begin = self.at
        found = _SPECIAL.match(self.text, begin)
        if found is None:
            self.fail("expected a special token: <|name|>, <name>, <[id]>, or <[NAME]> for one named [NAME]", begin)
        self.at = found.end()
        key = self.token_id(found[1], begin) if found[1] else found[2] or found[3]
        return (SpecialToken(key, self.text, begin),)

    def token_id(self, digits: str, offset: int) -> int:
        if len(digits) > 10:
            self.fail(f"no vocabulary has so many tokens as {digits[:20]}", offset)
        return int(digits)

    def defined_macros(self) -> frozenset[str]:
        """The names of macros that are rules of this text; looked for once."""
        if self._defined is None:
            self._defined = frozenset(found[1] for found in _MACRO_RULE.finditer(self.text))
        return self._defined

    def macro(self, name: str, inside: int) -> tuple[str, object]:
        """XGrammar's Token(…), ExcludeToken(…) and Regex(…); the others are refused. `inside`: behind the `(`."""
        begin, self.at = self.at, inside
        if name in ("Token", "ExcludeToken"):
            return "special" if name == "Token" else "not", self.token_ids(begin)
        if name == "Regex":
            return "terminal", self.quoted_pattern(begin)
        reasons = {"TagDispatch": "write it as a structural tag", "TokenTagDispatch": "write it as a structural tag"}
        self.unsupported(f"{name}(…)", reasons.get(name, "it is a macro of XGrammar's, not a rule"), begin)

    def token_ids(self, begin: int) -> tuple[SpecialToken, ...]:
        ids = []
        while not self.text.startswith(")", self.at):
            found = _IDS.match(self.text, self.at)
            if found is None:
                self.fail("expected the ids of tokens: Token(1, 2)", self.at)
            ids.append(SpecialToken(self.token_id(found[1], begin), self.text, begin))
            self.at = found.end()
        if not ids:
            self.fail("expected the id of a token", self.at)
        self.at += 1
        return tuple(ids)

    # ------------------------------------------------------------------------------------------ what is embedded

    def schema(self, begin: int) -> str:
        """The text of the JSON value that comes next."""
        try:
            value, end = json.JSONDecoder().raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            self.fail(f"expected a JSON schema after %json: {error.msg}", error.pos)
        except RecursionError:
            raise nested_too_deeply("the schema") from None
        if isinstance(value, dict) and "x-guidance" in value:
            self.unsupported("'x-guidance'", "how a schema's texts are written is not told in the schema", begin)
        schema, self.at = self.text[self.at : end], end
        return schema

    def pattern(self, begin: int) -> Regular:
        """The language of a pattern between slashes."""
        if self.text.startswith("{", self.at):
            self.unsupported("%regex {…}", "write the pattern as %regex /…/; substrings are no pattern", begin)
        found = _PATTERN.match(self.text, self.at)
        if found is None:
            self.fail("expected a pattern between slashes, on one line: %regex /…/", self.at)
        self.at = found.end()
        return self.matched(found[1], "python", found.start(1))

    def quoted_pattern(self, begin: int) -> Regular:
        """The language of XGrammar's Regex("…"), whose patterns are JavaScript's."""
        self.skipped()
        opened = self.at
        if not self.text.startswith('"', opened):
            self.fail('expected a pattern in quotes: Regex("…")', opened)
        pattern = self.string('"')
        is_plain = self.text[opened + 1 : self.at - 1] == pattern
        self.skipped()
        if self.text.startswith(",", self.at):
            self.unsupported("an option of Regex(…)", "json_string changes what the pattern means; use %json", self.at)
        if not self.text.startswith(")", self.at):
            self.fail("expected ')' after the pattern", self.at)
        self.at += 1
        return self.matched(pattern, "ecma", opened + 1 if is_plain else None, begin)

    def matched(self, pattern: str, dialect: Dialect, at: int | None, begin: int = 0) -> Regular:
        """What a pattern matches. at : where it begins in the text if it stands there as it is; else, its errors are at
        `begin`."""
        try:
            return fullmatch_language(pattern, dialect)
        except GrammarError as error:
            raise error.moved(self.text, begin if at is None else at + (error.offset or 0)) from None
