r"""EBNF texts, in GBNF's notation and what of W3C's does not contradict it, become a RuleSet.

The text is cut into tokens first (ebnf_tokens.py), so that it is known which names are defined before bodies are read;
then a recursive descent over the tokens. A rule begins where a name is followed by `::=`, so bodies may run over any
number of lines.

    name[lazy] ::= body      attributes, as llguidance has them: rule_attributes.py
    name ::= body            letters, digits, - and _; a name with dots is one if a rule is defined by it
    a | b    a b    (a)      alternatives, either of which may be empty; sequences; groups
    ? * + {m} {m,} {m,n} {,n}
    "…" '…' [a-z] [^a-z] .   escapes \n \r \t \\ \" \' \[ \] \xHH \uHHHH \UHHHHHHHH and those of C; `.`: any code point
    # …    /* … */           comments
    #x20 [#x20-#x7F] [1]     W3C's code points, and its numbers before rules
    <|name|> <name> <[7]>    one special token of the vocabulary, by name or id; <[NAME]> is the one named [NAME]
    !<name>* !<name>+        any text; Token(7, 8) and ExcludeToken(7)* are XGrammar's spelling of these
    %json {…}                a JSON text that satisfies the schema
    %regex /…/               what a pattern of Python's matches; Regex("…"), one of JavaScript's

Where GBNF and W3C read the same text differently: a class of nothing but `#x20`s is W3C's, and one that mixes them
with other characters an error; outside a class `#x20` is a code point if all `#` of the text are such, and an error
if others are comments. A raw line break in a literal is an error, as in XGrammar; llama.cpp takes it.

A token `<name>` is one that has no text; where a vocabulary has `<name>` as ordinary text, compiling says so. Any
token but some (`!<name>`) is no unit of text, so it stands only where it is repeated without bound, and is any text
then: special tokens come where they are named, and nowhere else (llama.cpp and XGrammar let all others come).

Refused by name (UnsupportedError): lookahead, XGrammar's other macros, W3C's difference, `!<name>` on its own.

INVARIANT: every rule that the RuleSet names is defined.
Cost: linear, about 1 us for a character.
Source: llama.cpp grammars/README.md; XGrammar's documentation of EBNF; llguidance docs/syntax.md; W3C XML 1.0, section
6 (notation)."""

from __future__ import annotations

from typing import NoReturn, cast

from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, LimitError, UnsupportedError, line_and_column
from ..automata.fragment import Payload
from ..automata.regular import ANY_CHAR, EPSILON, Language, alternation
from ..automata.regular import Repeat as RegularRepeat
from ..automata.special_tokens import SpecialToken
from .ebnf_tokens import Lexer, Token
from .rules import Choice, Embedded, Node, Repeat, Rule, RuleRef, RuleSet, Sequence, Terminal, verify

__all__ = ["parse_ebnf"]

# Groups within groups: three levels of the IR each, two frames of recursion each (rules.MAX_DEPTH).
_MAX_NESTING = 40


def parse_ebnf(text: str, start: str = "root") -> RuleSet:
    """The rules of an EBNF text. Raises GrammarError (with line, column and caret), UnsupportedError, LimitError."""
    lexer = Lexer(text)
    rules = _Parser(text, lexer.tokens(), lexer).grammar(start)
    verify(rules)
    return rules


# ---------------------------------------------------------------------------------------------- rules

_REPEATS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_EMPTY_TEXT = Terminal(EPSILON)
# What `!<name>` is until it is repeated; compared by identity.
_OTHER_TOKEN = Terminal(RegularRepeat(ANY_CHAR, 0, None))


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str, tokens: list[Token], lexer: Lexer) -> None:
        self.text, self.tokens, self.at, self.notes = text, tokens, 0, dict.fromkeys(lexer.notes)
        self.attributes = lexer.attributes
        self.special: list[SpecialToken] = []  # of the rule that is being read
        self.others: list[int] = []  # offsets of `!<name>`
        self.schemas: dict[str, Node] = {}
        self.defined = {t.value for i, t in enumerate(tokens) if t.kind == "name" and tokens[i + 1].kind == "::="}

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
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
            self.special = []
            body = self.alternatives(0)
            if body is _OTHER_TOKEN:
                self.not_repeated()
            rules[key] = Rule(key, body, name.offset, tuple(self.special))
            if self.token.kind == ")":
                self.fail("expected a rule or the end of the text: no group is open for this ')'", self.token.offset)
        if not rules:
            self.fail("expected a rule (name ::= body), found the end of the text", 0)
        attributes = {name: self.attributes[r.offset] for name, r in rules.items() if r.offset in self.attributes}
        return RuleSet(rules, start, self.text, tuple(self.notes), attributes)

    def alternatives(self, nesting: int) -> Node:
        found = [self.sequence(nesting)]
        while self.token.kind == "|":
            self.at += 1
            found.append(self.sequence(nesting))
        if len(found) == 1:
            return found[0]
        if any(item is _OTHER_TOKEN for item in found):
            self.not_repeated()
        return Choice(tuple(found))

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
                found[-1] = self.repeated(found[-1], *cast("tuple[int, int | None]", counts))
            items += found
        if len(items) == 1:
            return items[0]
        if any(item is _OTHER_TOKEN for item in items):
            self.not_repeated()
        return Sequence(tuple(items)) if items else _EMPTY_TEXT

    def repeated(self, item: Node, least: int, most: int | None) -> Node:
        if item is not _OTHER_TOKEN:
            return Repeat(item, least, most)
        if least > 1 or most is not None:
            self.not_repeated()
        line, column = line_and_column(self.text, self.others.pop())
        place = f"line {line}, column {column}"
        note = f"{place}: any token but one is any text here; special tokens come only where they are named"
        self.notes[note] = None
        return Terminal(RegularRepeat(ANY_CHAR, least, None))

    def not_repeated(self) -> NoReturn:
        raise UnsupportedError(
            "any token but one ('!<…>') that is not repeated with '*' or '+'",
            "how much text a token is depends on the vocabulary; write a class, or repeat it",
            text=self.text,
            offset=self.others[-1],
        )

    def items(self, nesting: int) -> list[Node]:
        """What one token or group stands for; more than one item only for a dotted word that is no name."""
        token = self.take()
        if token.kind == "terminal":
            return [Terminal(token.value)]  # type: ignore[arg-type]
        if token.kind == "name":
            return self.reference(token)
        if token.kind == "json":
            return [self.schema(token)]
        if token.kind in ("special", "not"):
            return [self.special_token(token)]
        if nesting == _MAX_NESTING:
            line, column = line_and_column(self.text, token.offset)
            raise LimitError("nesting of groups", nesting + 1, _MAX_NESTING, f"line {line}, column {column}")
        body = self.alternatives(nesting + 1)
        if self.token.kind != ")":
            line, column = line_and_column(self.text, token.offset)
            self.expected(f"')' for the group that line {line}, column {column} opens")
        self.at += 1
        return [body]

    def reference(self, token: Token) -> list[Node]:
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

    def special_token(self, token: Token) -> Node:
        named = cast("tuple[SpecialToken, ...]", token.value)
        self.special += named
        if token.kind == "not":
            self.others.append(token.offset)
            return _OTHER_TOKEN
        return Terminal(alternation(*[special.language for special in named]))

    def schema(self, token: Token) -> Node:
        """The state of a schema; one for equal texts."""
        from .json_schema import SchemaOptions, read_schema

        text = cast(str, token.value)
        known = self.schemas.get(text)
        if known is not None:
            return known
        try:
            read = read_schema(text, SchemaOptions())
        except GrammarError as error:
            raise error.moved(self.text, token.offset) from None
        line, column = line_and_column(self.text, token.offset)
        self.notes |= {f"%json on line {line}, column {column}: {note}": None for note in read.notes}
        if isinstance(read.root, ByteDfa):
            made: Node = Terminal(Language(read.root))
        else:
            made = Embedded(cast(Payload, read.root), nullable=False)
        self.schemas[text] = made
        return made
