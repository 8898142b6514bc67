"""Grammars of grammars: sequences, alternatives, repetitions, and names and temperatures for parts.

A composed grammar is a tree of the rules' IR (rules.py) whose leaves are what the front ends made: automata, as
terminals, and states. All that is regular becomes one automaton as in any rule set, across the borders of the parts,
and the rest is called. The tree is kept beside the states, for captures and for further composition.

A part with a temperature stays a frame of its own with an end that can be seen on the stack (`Heat`); names cost
nothing, since captures are read off the tree and the text when somebody asks (captures.py).

Cost: a composition is compiled when it is made, about 100 us and what its regular pieces take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, SavedGrammarError
from ..automata.fragment import Fragment, Target, Warmth
from ..automata.greedy_dfa import GreedyDfa
from ..automata.sparse_dfa import SparseDfa
from ..automata.vocabulary import Vocabulary
from .empty_texts import accepts_empty
from .grammar import Grammar
from .regex import Regex
from .rule_states import root_payload
from .rules import MAX_DEPTH, Captured, Choice, Embedded, Node, Repeat, Rule, RuleSet, Terminal
from .rules import Sequence as InSequence
from .schema_scan import Gap

__all__ = [
    "Apart", "Heat", "captured", "concatenated", "heated", "leaf_node", "node_of", "of_node", "of_recipe", "repeated",
    "text_node", "united",
]  # fmt: skip

# A part that is nested deeper is compiled by itself: what is made of it is as deep as a leaf.
_DEPTH = MAX_DEPTH // 3


# ------------------------------------------------------------------------------------------------ nodes


def node_of(part: Grammar | str) -> Node:
    """A grammar or a text as a part of others."""
    if isinstance(part, str):
        return text_node(part)
    if not isinstance(part, Grammar):
        raise TypeError(f"a part of a grammar is a Grammar, a Regex or a str, not {type(part).__name__}: {part!r}")
    if part.parts is None:
        return leaf_node(part.root, part.is_json, None)
    if _depth(part.parts) > _DEPTH:
        return leaf_node(part.root, False, part.parts)
    return part.parts


def text_node(text: str) -> Node:
    """The node of one text. Raises GrammarError for a lone surrogate, which UTF-8 has no spelling for."""
    try:
        return Terminal(regular.literal(text))
    except UnicodeEncodeError as error:
        raise GrammarError("a lone surrogate cannot be generated", text=text, offset=error.start) from None


def leaf_node(root: Target, is_solid: bool, parts: Node | None) -> Node:
    """The node of a state. is_solid : the empty text is known not to be in it, so that nothing has to be expanded."""
    if root is None:
        return Terminal(regular.EPSILON)
    if isinstance(root, ByteDfa) and parts is None:
        return Terminal(regular.Language(root))
    if isinstance(root, ByteDfa | GreedyDfa | SparseDfa):
        return Embedded(Apart(root), accepts_empty(root), parts)
    return Embedded(root, not is_solid and accepts_empty(root), parts)


def _depth(node: Node) -> int:
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [item for node in level for item in _items(node)]
    return deepest


def _items(node: Node) -> tuple[Node, ...]:
    if isinstance(node, InSequence | Choice):
        return node.items
    return (node.item,) if isinstance(node, Repeat | Captured) else ()


@dataclass(frozen=True, slots=True)
class Apart:
    """A frame for an automaton that is to be called, not merged with what is beside it.

    PERF: what is merged has masks of its own; an automaton that is called has records that all its uses share.
    """

    dfa: ByteDfa | GreedyDfa | SparseDfa

    def expand(self) -> Fragment:
        return Fragment(calls=((self.dfa, None),))


@dataclass(frozen=True, slots=True)
class Heat:
    """A language with a temperature: its frame ends in a state of its own, which lies below it on the stack."""

    inner: Target
    temperature: float

    def expand(self) -> Fragment:
        return Fragment(calls=((self.inner, Warmth(self.temperature)),))


# ------------------------------------------------------------------------------------------------ grammars


def _as_grammars(parts: Sequence[Grammar | Regex | str]) -> list[Grammar | str]:
    return [part.grammar if isinstance(part, Regex) else part for part in parts]


def concatenated(given: Sequence[Grammar | Regex | str]) -> Grammar:
    parts = _as_grammars(given)
    nodes: list[Node] = []
    for node in map(node_of, parts):
        nodes += node.items if isinstance(node, InSequence) else (node,)
    node = InSequence(tuple(nodes)) if nodes else Terminal(regular.EPSILON)
    return _composed(node, parts, "concat")


def united(given: Sequence[Grammar | Regex | str]) -> Grammar:
    if not given:
        raise GrammarError("a union of no grammars has no text; give it at least one")
    parts = _as_grammars(given)
    nodes: list[Node] = []
    for node in map(node_of, parts):
        nodes += node.items if isinstance(node, Choice) else (node,)
    return _composed(Choice(tuple(nodes)), parts, "union")


def repeated(part: Grammar, least: int, most: int | None) -> Grammar:
    return _composed(Repeat(node_of(part), least, most), (part,), "repeat", least=least, most=most)


def captured(part: Grammar, name: str) -> Grammar:
    if not isinstance(name, str) or not name:
        raise GrammarError(f"a capture is named by a text that is not empty, not by {name!r}")
    return _composed(Captured(node_of(part), name), (part,), "capture", name=name)


def heated(part: Grammar, temperature: float) -> Grammar:
    if not 0 <= temperature < math.inf:
        raise GrammarError(f"a temperature is a finite number from 0 on, not {temperature!r}")
    if isinstance(part.root, ByteDfa) and not part.root.transitions[1].any():
        return part  # nothing is generated
    nullable = not part.is_json and accepts_empty(part.root)
    node = Embedded(Heat(part.root, float(temperature)), nullable, part.parts)
    return _composed(node, (part,), "temperature", temperature=float(temperature))


def of_node(
    node: Node,
    *,
    source: str,
    notes: tuple[str, ...] = (),
    unenforced: tuple[Gap, ...] = (),
    **more: Any,
) -> Grammar:
    """A grammar of a tree. more : what else Grammar takes."""
    root, found = root_payload(RuleSet({"root": Rule("root", node)}, "root"))
    return Grammar(root, source=source, notes=(*notes, *found), unenforced=unenforced, parts=node, **more)


def _composed(node: Node, parts: Sequence[Grammar | str], kind: str, **about: Any) -> Grammar:
    grammars = [part for part in parts if isinstance(part, Grammar)]

    def bound(vocabulary: Vocabulary) -> Grammar:
        return _made(kind, [part.bound_to(vocabulary) if isinstance(part, Grammar) else part for part in parts], about)

    def recipe() -> dict[str, Any] | None:
        try:
            made_of = [part if isinstance(part, str) else part.recipe for part in parts]
            return {"kind": kind, "parts": made_of, **about}
        except SavedGrammarError:
            return None

    return of_node(
        node,
        source=f"{kind} of {len(parts)} parts" if len(parts) != 1 else f"{kind}",
        notes=tuple(dict.fromkeys(note for grammar in grammars for note in grammar.notes)),
        unenforced=tuple(dict.fromkeys(gap for grammar in grammars for gap in grammar.unenforced)),
        special_tokens=tuple(dict.fromkeys(token for grammar in grammars for token in grammar.special_tokens)),
        recipe=recipe,
        bind=bound if any(grammar.is_late for grammar in grammars) else None,
    )


def of_recipe(recipe: Mapping[str, Any], grammar_of: Callable[[Mapping[str, Any]], Grammar]) -> Grammar:
    """The grammar that a recipe of this module tells. grammar_of : makes the grammar of any recipe."""
    parts = [part if isinstance(part, str) else grammar_of(part) for part in recipe["parts"]]
    return _made(recipe["kind"], parts, recipe)


def _made(kind: str, parts: Sequence[Grammar | str], about: Mapping[str, Any]) -> Grammar:
    if kind in ("concat", "union"):
        return concatenated(parts) if kind == "concat" else united(parts)
    (part,) = parts
    assert isinstance(part, Grammar)
    if kind == "repeat":
        return repeated(part, about["least"], about["most"])
    return captured(part, about["name"]) if kind == "capture" else heated(part, about["temperature"])
