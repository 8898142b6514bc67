"""Lark grammars: a text becomes rules over greedy leaves that read it as Lark's LALR parser with its contextual lexer.

    lark_text       what lark does not know is taken out, places are kept
    lark_embedded   what that is: schemas, spans of a text, special tokens
    lark_loading    lark's own loader makes rules and terminals; nothing is read that the caller does not give
    preferred_match the text that `re` takes, for each terminal
    lark_lexer      terminals that compete, as greedy leaves
    lark_states     which of them compete where
    lark_follow     what could not go on is taken away; the rest becomes a RuleSet

docs/lark.md tells what a text has to be, and where that differs from Lark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import (
    GrammarError,
    LimitError,
    UnsatisfiableError,
    UnsupportedError,
    line_and_column,
    nested_too_deeply,
)
from ..automata.fragment import Payload, Target
from ..automata.greedy_dfa import GreedyDfa
from ..automata.special_tokens import SpecialToken
from .lark_embedded import embedded_leaf, first_bytes_of
from .lark_follow import followable, rule_set
from .lark_lexer import LarkLexer
from .lark_loading import Imports, Loaded, load_rules
from .lark_states import annotated
from .lark_text import LarkText, Tokens, read_text
from .preferred_match import PreferredMatch, preferred_match
from .rule_attributes import shortest
from .rule_reduction import reduced_bodies
from .rule_temperatures import with_temperatures
from .rules import Choice, Node, Rule, RuleRef, RuleSet, Terminal, facts_of, special_tokens_of
from .rules import Sequence as InARow

__all__ = ["ReadLark", "read_lark", "read_lark_rules"]


class ReadLark(NamedTuple):
    """imported : the texts of the files that were imported, by path: with them, no file is needed to read it again."""

    root: Target
    notes: list[str]
    imported: dict[str, str]
    special_tokens: tuple[SpecialToken, ...]


def read_lark(
    text: str,
    start: str = "start",
    import_paths: Sequence[str | PathLike[str]] = (),
    imported: Mapping[str, str] | None = None,
) -> ReadLark:
    """The first state of a Lark grammar.

    Raises GrammarError with the place, UnsupportedError, UnsatisfiableError, LimitError.
    """
    from .rule_states import root_payload

    imports = Imports(import_paths, imported)
    rules, notes = read_lark_rules(text, start, imports)
    root, _ = root_payload(rules, joined=True)
    return ReadLark(root, notes, imports.texts, special_tokens_of(rules))


def read_lark_rules(text: str, start: str, imports: Imports) -> tuple[RuleSet, list[str]]:
    """The rules of a Lark grammar over greedy leaves, and notes for its author."""
    source = read_text(text)
    loaded = load_rules(source, start, imports)
    embedded = {name: embedded_leaf(found, source) for name, found in source.embedded.items()}
    rules = _with_lazy_rules(loaded, source, embedded)
    used = {symbol.name for rule in rules for symbol in rule.expansion} | set(loaded.ignored)
    terminals = [terminal for terminal in loaded.terminals if terminal.name in used]
    lexer = LarkLexer(terminals, {terminal.name: _match(terminal, source) for terminal in terminals}, loaded.ignored)

    def leaf(name: str, context: frozenset[str]) -> GreedyDfa | ByteDfa | Payload | None:
        target = embedded.get(name)
        return lexer.leaf(name, context) if target is None else target

    try:
        hot = {name: a.temperature for name, a in source.attributes.items() if a.temperature is not None}
        productions, notes = annotated(rules, start, loaded.ignored, leaf, frozenset(hot))
        productions = followable(productions, first_bytes_of)
    except RecursionError:
        raise nested_too_deeply("a Lark grammar") from None
    except UnsatisfiableError as error:
        raise UnsatisfiableError(error.message, text=text, offset=source.defined.get(start, 0)) from None
    made = rule_set(productions, text, source.defined, _special_tokens(loaded, source))
    if hot:
        copies = {name: hot[rule] for name in made.rules if (rule := name.partition(" (")[0]) in hot}
        made = with_temperatures(made, copies, joined=True)
    return made, notes


def _special_tokens(loaded: Loaded, source: LarkText) -> tuple[SpecialToken, ...]:
    """Those that a text may need."""
    used = dict.fromkeys(symbol.name for rule in loaded.rules for symbol in rule.expansion)
    found = (source.embedded.get(name) for name in used)
    return tuple(dict.fromkeys(token for one in found if isinstance(one, Tokens) for token in one.tokens))


# ---------------------------------------------------------------------------------------------- terminals

_RANGE = re.compile(r"\[\\?.+-\\?.+\]", re.DOTALL)


def _least_width(pattern: Any) -> int:
    """The fewest characters that a pattern matches, as lark has it, which compiles it for that with `re` or `regex`."""
    try:
        return int(pattern.min_width)
    except Exception as error:  # their errors have no class in common
        raise GrammarError(f"it is malformed: {error}") from error


def _match(terminal: Any, source: LarkText) -> PreferredMatch:
    where = source.defined.get(terminal.name)
    if where is None:
        where = source.first.get(terminal.pattern.raw or "", source.first.get(terminal.name, 0))
        if not where and _RANGE.fullmatch(terminal.pattern.value):  # of two strings: "a".."z"
            where = source.first.get("..", 0)
    name = repr(terminal.name) if terminal.name in source.defined else f"/{terminal.pattern.value}/"
    try:
        if _least_width(terminal.pattern) == 0:
            raise GrammarError("it matches the empty text, and a token has at least one character")
        return preferred_match(terminal.pattern.to_regexp())
    except UnsupportedError as error:
        raise UnsupportedError(
            f"{error.what} (terminal {name})", error.reason, text=source.original, offset=where
        ) from error
    except GrammarError as error:
        raise GrammarError(f"terminal {name}: {error.message}", text=source.original, offset=where) from error
    except LimitError as error:
        line, column = line_and_column(source.original, where)
        error.place = f"terminal {name}, line {line}, column {column}"
        raise


# ---------------------------------------------------------------------------------------------- lazy rules


def _with_lazy_rules(loaded: Loaded, source: LarkText, embedded: dict[str, ByteDfa | Payload]) -> list[Any]:
    """The rules, with one terminal as the body of each whose texts end early; its automaton goes into `embedded`."""
    from lark.grammar import NonTerminal, RuleOptions
    from lark.grammar import Rule as LarkRule
    from lark.grammar import Terminal as LarkTerminal

    rules = list(loaded.rules)
    for name, attributes in source.attributes.items():
        if not attributes.shape or not any(rule.origin.name == name for rule in rules):
            continue  # the language is the same, or never used
        language = shortest(_regular_body(name, loaded, source, embedded), attributes)
        if language.is_empty:
            raise UnsatisfiableError(f"rule {name!r} has no text", text=source.original, offset=attributes.offset)
        rules = [rule for rule in rules if rule.origin.name != name]
        origin, order = NonTerminal(name), 0
        if language.accepts_empty:
            rules.append(LarkRule(origin, [], order, None, RuleOptions()))
            language, order = regular.difference(language, regular.compile_regular(regular.EPSILON)), 1
        if not language.is_empty:
            terminal = f"LAZY__{name.upper()}"
            embedded[terminal] = language
            rules.append(LarkRule(origin, [LarkTerminal(terminal)], order, None, RuleOptions()))
    return rules


def _regular_body(
    name: str, loaded: Loaded, source: LarkText, embedded: Mapping[str, ByteDfa | Payload]
) -> ByteDfa:
    """The language of a rule that needs no recursion; nothing is ignored in it, and nothing competes."""
    from .regex_syntax import fullmatch_language

    terminals = {t.name: t.pattern.to_regexp() for t in loaded.terminals}
    offset = source.attributes[name].offset

    def node(symbol: Any) -> Node:
        if not symbol.is_term:
            return RuleRef(symbol.name)
        if symbol.name in terminals:
            return Terminal(fullmatch_language(terminals[symbol.name], "python"))
        if isinstance(found := embedded[symbol.name], ByteDfa):
            return Terminal(regular.Language(found))
        source.unsupported(f"a JSON schema in rule {name!r}, which has attributes", "its texts are not regular",
                           offset)  # fmt: skip

    bodies: dict[str, list[Node]] = {}
    for rule in loaded.rules:
        bodies.setdefault(rule.origin.name, []).append(InARow(tuple(map(node, rule.expansion))))
    rules = RuleSet({key: Rule(key, Choice(tuple(body))) for key, body in bodies.items()}, name)
    reduced = reduced_bodies(rules, facts_of(rules))
    body = reduced[name]
    if not isinstance(body, Terminal):
        source.unsupported(f"the attributes of rule {name!r}", "its body is recursive, and not regular",
                           offset)  # fmt: skip
    return regular.compile_regular(body.language)
