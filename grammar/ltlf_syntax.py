"""The text of LTLf formulas, read by lark.

From the loosest to the tightest; binary operators group to the right:

    <->    ->    xor    | or    & and    U W R M    ! not X WX F G    names, true, false, last, (…), templates, count(…)

`X` is strong (there is a next step, and …), `WX` weak. Bounds: `X[3]`, `WX[3]`, `F[<=3]`, `G[<=3]`. Templates are
called like functions, `response(a, b)`, `existence(a, 2)`; `count(a) <= 3` compares (< <= = >= >) over the whole
trace. A name may hold hyphens, `final-thought`; any other text is one in double quotes, as in JSON. `and`, `or` and
`not` are there because `&` and `!` mean something else at the beginning of a YAML value.

Other tools' syntaxes differ where it is easily overlooked: Spot writes X[!] for the strong next and X for the weak one,
Lydia too; in Lydia, U binds looser than &.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from ..automata.errors import GrammarError, nested_too_deeply
from .ltlf_declare import template
from .ltlf_formula import (
    FALSE,
    KEYWORDS,
    LAST,
    NAME,
    TRUE,
    Atom,
    Count,
    Eventually,
    Formula,
    Globally,
    Iff,
    Implies,
    Next,
    Not,
    Release,
    Until,
    Xor,
    conjunction,
    disjunction,
)

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

__all__ = ["parse", "unknown_state"]

_WHOLE = r"(?!\w|-\w)"  # what stands before it is not the beginning of a name
_GRAMMAR = rf"""
?start: iff
?iff: implies | implies "<->" iff
?implies: exclusive | exclusive "->" implies
?exclusive: either | either "xor" exclusive
?either: both (_OR both)*
?both: until (_AND until)*
?until: unary | unary STRENGTH until
?unary: primary | _NOT unary -> negation | NEXT [steps] unary -> next | REACH [bound] unary -> reach
steps: "[" INT "]"
bound: "[" AT_MOST INT "]"
?primary: "(" iff ")" | "true" -> true | "false" -> false | "last" -> last
    | NAME -> atom | QUOTED -> quoted | NAME "(" [argument ("," argument)*] ")" -> call
    | "count" "(" iff ")" relation INT -> count
?argument: iff | INT -> number
!relation: "<" | AT_MOST | "=" | "==" | ">=" | ">"

_OR.2: /\|\|?|or{_WHOLE}/
_AND.2: /&&?|and{_WHOLE}/
_NOT.2: /!|not{_WHOLE}/
STRENGTH.2: /[UWRM]{_WHOLE}/
NEXT.2: /W?X{_WHOLE}/
REACH.2: /[FG]{_WHOLE}/
NAME: /{NAME}/
AT_MOST: "<="
QUOTED: /"(?:[^"\\]|\\.)*"/
INT: /[0-9]+/
%ignore /\s+/
"""
_LARGEST = 1_000_000  # of a bound or number: whatever is larger is a slip, and would only meet a budget later


def parse(text: str, letters: Iterable[str] | None = None) -> Formula:
    """The formula that a text spells.

    letters : the names of the states, if they are known; naming another one is then an error.
    Raises GrammarError with line, column and caret; LimitError for nesting beyond MAX_DEPTH (interned_nodes).
    """
    from lark.exceptions import UnexpectedInput

    parser = _parser()
    try:
        formula = parser.parse(text)
    except UnexpectedInput as error:
        raise _misplaced(text, error) from None
    except _Misused as error:
        raise GrammarError(error.message, text=text, offset=error.offset) from None
    except RecursionError:
        raise nested_too_deeply("a formula") from None
    assert isinstance(formula, Formula)
    if letters is not None:
        _check_names(text, parser, tuple(letters))
    return formula


def unknown_state(name: str, letters: Iterable[str]) -> str:
    """The message about a name that is no state's."""
    known = tuple(letters)
    near = get_close_matches(name, known, n=1)
    return f"there is no state {name!r}" + (f"; did you mean {near[0]!r}?" if near else f": it has {', '.join(known)}")


class _Misused(Exception):
    """A fault that the grammar can't see; `offset`: where its token begins."""

    def __init__(self, message: str, token: Token) -> None:
        super().__init__(message)
        self.message, self.offset = message, token.start_pos or 0


class _Builder:
    """What each rule makes of its parts; named as the rules are. Lark calls it while it parses."""

    def iff(self, parts: list[Formula]) -> Formula:
        return Iff(*parts)

    def implies(self, parts: list[Formula]) -> Formula:
        return Implies(*parts)

    def exclusive(self, parts: list[Formula]) -> Formula:
        return Xor(*parts)

    def either(self, parts: list[Formula]) -> Formula:
        return disjunction(*parts)

    def both(self, parts: list[Formula]) -> Formula:
        return conjunction(*parts)

    def until(self, parts: list[Any]) -> Formula:
        left, strength, right = parts
        kind = Until if strength in ("U", "W") else Release
        return kind(left, right, strength in ("U", "M"))

    def negation(self, parts: list[Formula]) -> Formula:
        return Not(*parts)

    def next(self, parts: list[Any]) -> Formula:
        word, steps, operand = parts if len(parts) == 3 else (parts[0], 1, parts[1])
        return Next(operand, steps, word == "X")

    def reach(self, parts: list[Any]) -> Formula:
        word, bound, operand = parts if len(parts) == 3 else (parts[0], None, parts[1])
        return Eventually(operand, bound) if word == "F" else Globally(operand, bound)

    def steps(self, parts: list[Token]) -> int:
        return _number(parts[0])

    def bound(self, parts: list[Token]) -> int:
        return _number(parts[1])

    def number(self, parts: list[Token]) -> Token:
        return parts[0]

    def true(self, parts: list[Any]) -> Formula:
        return TRUE

    def false(self, parts: list[Any]) -> Formula:
        return FALSE

    def last(self, parts: list[Any]) -> Formula:
        return LAST

    def atom(self, parts: list[Token]) -> Formula:
        return Atom(str(parts[0]))

    def quoted(self, parts: list[Token]) -> Formula:
        return Atom(_unquoted(parts[0]))

    def count(self, parts: list[Any]) -> Formula:
        operand, relation, number = parts
        return Count(operand, relation, _number(number))

    def relation(self, parts: list[Token]) -> str:
        return "=" if parts[0] == "==" else str(parts[0])

    def call(self, parts: list[Any]) -> Formula:
        name, *arguments = parts
        number = _number(arguments.pop()) if arguments and not isinstance(arguments[-1], Formula) else None
        for argument in arguments:
            if not isinstance(argument, Formula):
                raise _Misused("a state or a formula stands here, and the number last", argument)
        try:
            return template(str(name), tuple(arguments), number)
        except GrammarError as error:
            raise _Misused(error.message, name) from None


@cache
def _parser() -> Lark:
    """Made once: it takes some 30 ms."""
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=_Builder())  # type: ignore[arg-type]


def _number(token: Token) -> int:
    if len(token) > len(str(_LARGEST)) or int(token) > _LARGEST:
        raise _Misused(f"numbers go up to {_LARGEST}", token)
    return int(token)


def _unquoted(token: Token) -> str:
    try:
        name = json.loads(token)
    except ValueError:
        raise _Misused("this is no string of JSON", token) from None
    if not name:
        raise _Misused("a state's name is not empty", token)
    return name


def _check_names(text: str, parser: Lark, letters: tuple[str, ...]) -> None:
    """Raises GrammarError at the first name that is no state's: those before a parenthesis are templates'."""
    tokens = list(parser.lex(text))
    for token, after in zip(tokens, [*tokens[1:], None]):
        if token.type == "QUOTED" or (token.type == "NAME" and (after is None or after.type != "LPAR")):
            name = _unquoted(token) if token.type == "QUOTED" else str(token)
            if name not in letters:
                raise GrammarError(unknown_state(name, letters), text=text, offset=token.start_pos)


def _misplaced(text: str, error: UnexpectedInput) -> GrammarError:
    """What lark says of a text that is no formula, with what could have stood there."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    at = len(text.rstrip()) if error.pos_in_stream is None else error.pos_in_stream
    if isinstance(error, UnexpectedCharacters):
        return GrammarError(_strange_character(text, at), text=text, offset=at)
    assert isinstance(error, UnexpectedToken)
    if error.token.type == "$END":
        at = len(text.rstrip())
        fault = "the formula ends too early" if at else "the formula is empty"
    else:
        fault = f"{str(error.token)!r} may not stand here"
    hint = ""
    if text[max(at - 2, 0) : at + 1] == "X[!":
        hint = " (the strong next is X, the weak one WX)"
    elif str(error.token) in KEYWORDS:
        hint = f' (a state of that name is written "{error.token}")'
    return GrammarError(f"{fault}{hint}; expected: {_expected(error.accepts)}", text=text, offset=at)


def _strange_character(text: str, at: int) -> str:
    if text[at] == '"':
        return "this string does not end"
    return f"{text[at]!r} is no part of any formula (names with more than letters, digits, _ and - go in double quotes)"


def _expected(terminals: Iterable[str]) -> str:
    """The terminals that may come next, in words; whatever begins a formula is called that."""
    found = set(terminals)
    if "NAME" in found:
        return "a formula" + (" or a number" if "INT" in found else "") + (" or '['" if "LSQB" in found else "")
    words = {
        "STRENGTH": "an operator (& | -> <-> xor U W R M)", "INT": "a number", "LPAR": "'('", "RPAR": "')'",
        "COMMA": "','", "RSQB": "']'", "LESSTHAN": "a comparison (< <= = >= >)", "AT_MOST": "'<='", "$END": "the end",
    }  # fmt: skip
    if "LESSTHAN" in found:
        found.discard("AT_MOST")
    return ", ".join(word for terminal, word in words.items() if terminal in found)
