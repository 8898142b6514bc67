"""Grammars of grammars: sequences, alternatives, repetitions, and names and temperatures for parts.

A composed grammar is a tree of the rules' IR (rules.py) whose leaves are what the front ends made: automata, as
terminals, and states. All that is regular becomes one automaton as in any rule set, across the borders of the parts,
and the rest is called. The tree is kept beside the states, for captures and for further composition.

Texts that something else has written are read by the same tree with other leaves: those of JSON read its members in any
order and any white space, also around it (`read_freely`).

A part with a temperature stays a frame of its own with an end that can be seen on the stack (`Heat`); names cost
nothing, since captures are read off the tree and the text when somebody asks (captures.py).

Cost: a sequence and a choice are compiled when somebody asks for their first state, so that a grammar may grow part by
part in a loop; the others when they are made. About 100 us and what the regular pieces take.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, SavedGrammarError, nested_too_deeply
from ..automata.fragment import Fragment, Target, Warmth
from ..automata.greedy_dfa import GreedyDfa
from ..automata.sparse_dfa import SparseDfa
from ..automata.vocabulary import Vocabulary
from .arguments import expect_text
from .empty_texts import accepts_empty
from .grammar import Grammar, Later
from .regex import Regex
from .rule_states import Apart, root_payload
from .rules import MAX_DEPTH, Captured, Choice, Embedded, Node, Repeat, Rule, RuleSet, Terminal
from .rules import Sequence as InSequence
from .schema_scan import Gap
from .text_states import Padded

__all__ = [
    "Heat", "captured", "concatenated", "heated", "leaf_node", "node_of", "of_node", "of_recipe", "read_freely",
    "repeated", "root_of", "text_node", "united",
]  # fmt: skip

# A part that is nested deeper is compiled by itself: what is made of it is as deep as a leaf.
_DEPTH = MAX_DEPTH // 3
_SPACE = Terminal(regular.Repeat(regular.char_class([(c, c) for c in b"\t\n\r "]), 0, None))


# ------------------------------------------------------------------------------------------------ nodes


def node_of(part: Grammar | str) -> Node:
    """A grammar or a text as a part of others."""
    if isinstance(part, str):
        return text_node(part)
    if not isinstance(part, Grammar):
        raise TypeError(f"a part of a grammar is a Grammar, a Regex or a str, not {type(part).__name__}: {part!r}")
    if part.parts is None:
        return leaf_node(part.root, None, part.reading_root if part.is_json else None)
    if part.depth > _DEPTH:
        return leaf_node(part.root, part.parts)
    return part.parts


def text_node(text: str) -> Node:
    """The node of one text. Raises GrammarError for a lone surrogate, which UTF-8 has no spelling for."""
    try:
        return Terminal(regular.literal(text))
    except UnicodeEncodeError as error:
        raise GrammarError("a lone surrogate cannot be generated", text=text, offset=error.start) from None


def leaf_node(root: Target, parts: Node | None, reading: Callable[[], Target] | None = None) -> Node:
    """The node of a state. reading : of JSON, which is never the empty text: so nothing has to be expanded to know
    that."""
    if root is None:
        return Terminal(regular.EPSILON)
    if isinstance(root, ByteDfa) and parts is None:
        return Terminal(regular.Language(root))
    if isinstance(root, ByteDfa | GreedyDfa | SparseDfa):
        return Embedded(Apart(root), accepts_empty(root), parts)
    return Embedded(root, reading is None and accepts_empty(root), parts, reading)


def read_freely(node: Node) -> Node:
    """The tree that reads JSON in it in any order, with any white space; the same object where there is none."""
    match node:
        case InSequence(items) | Choice(items):
            read = tuple(map(read_freely, items))
            return node if all(map(operator.is_, items, read)) else type(node)(read)
        case Repeat(item) | Captured(item):
            read_item = read_freely(item)
            return node if read_item is item else replace(node, item=read_item)
        case Embedded(parts=parts) if parts is not None:
            inner = read_freely(parts)
            return node if inner is parts else leaf_node(root_of(inner), inner)
        case Embedded(reading=reading) if reading is not None:
            root = reading()
            if isinstance(root, Padded):  # white space without a count, so that it is one reading beside other such
                return InSequence((_SPACE, leaf_node(root.inner, None), _SPACE))
            return leaf_node(root, None)
    return node


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
    if not given:
        return _composed(Terminal(regular.EPSILON), (), "concat")
    return _joined(InSequence, _as_grammars(given), "concat")


def united(given: Sequence[Grammar | Regex | str]) -> Grammar:
    if not given:
        raise GrammarError("a union of no grammars has no text; give it at least one")
    return _joined(Choice, _as_grammars(given), "union")


def _joined(join: type[InSequence] | type[Choice], parts: list[Grammar | str], kind: str) -> Grammar:
    """Parts in a row, or any of them; parts of the same kind give their own parts, not another level."""
    nodes: list[Node] = []
    depth = 1
    for part in parts:
        node = node_of(part)
        below = part.depth if isinstance(part, Grammar) and node is part.parts else 1
        nodes += node.items if isinstance(node, join) else (node,)
        depth = max(depth, below + (not isinstance(node, join)))
    return _composed(join(tuple(nodes)), parts, kind, depth)


def repeated(part: Grammar, least: int, most: int | None) -> Grammar:
    return _above(Repeat(node_of(part), least, most), part, "repeat", least=least, most=most)


def _above(node: Repeat | Captured, part: Grammar, kind: str, **about: Any) -> Grammar:
    depth = 1 + (part.depth if node.item is part.parts else 1)
    grammar = _composed(node, (part,), kind, depth, **about)
    _ = grammar.root  # what would be unrolled too far is told here
    return grammar


def captured(part: Grammar, name: str) -> Grammar:
    if not expect_text(name, "the name of a capture"):
        raise ValueError("a capture is named by a text that is not empty")
    return _above(Captured(node_of(part), name), part, "capture", name=name)


def heated(part: Grammar, temperature: float) -> Grammar:
    if not isinstance(temperature, Real):
        raise TypeError(f"a temperature is a number, not {type(temperature).__name__}: {temperature!r:.80}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"a temperature is a finite number from 0 on, not {temperature!r}")
    if isinstance(part.root, ByteDfa) and not part.root.transitions[1].any():
        return part  # nothing is generated
    nullable = not part.is_json and accepts_empty(part.root)
    reading = part.reading_root if part.is_json else None
    node = Embedded(Heat(part.root, float(temperature)), nullable, part.parts, reading)
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
    return Grammar(root_of(node), source=source, notes=notes, unenforced=unenforced, parts=node, **more)


def root_of(node: Node) -> Target:
    """The first state of a tree."""
    root, _ = root_payload(RuleSet({"root": Rule("root", node)}, "root"))
    return root


class _Recipe:
    """What a composition was made of. Calling it gives that as JSON values; None where a part's is not known.

    Sequences of sequences are told as one, and so are choices of choices: what grew in a loop is as deep as it is long.
    """

    def __init__(self, kind: str, parts: Sequence[Grammar | str], about: dict[str, Any]) -> None:
        self.kind, self.parts, self.about = kind, parts, about

    def __call__(self) -> dict[str, Any] | None:
        try:
            made_of = [part if isinstance(part, str) else part.recipe for part in self.flat_parts()]
        except (SavedGrammarError, RecursionError):  # of what is nested without end, too
            return None
        return {"kind": self.kind, "parts": made_of, **self.about}

    def flat_parts(self) -> Iterator[Grammar | str]:
        """The parts, and instead of one that is itself such a sequence or choice, its own."""
        waiting = [*self.parts][::-1]
        while waiting:
            part = waiting.pop()
            inner = part._recipe if isinstance(part, Grammar) else None
            if isinstance(inner, _Recipe) and inner.kind == self.kind and self.kind in ("concat", "union"):
                waiting += inner.parts[::-1]
            else:
                yield part


def _composed(
    node: Node, parts: Sequence[Grammar | str], kind: str, depth: int = 1, **about: Any
) -> Grammar:
    grammars = [part for part in parts if isinstance(part, Grammar)]

    recipe = _Recipe(kind, parts, about)

    def bound(vocabulary: Vocabulary) -> Grammar:
        flat = recipe.flat_parts()
        try:
            bound_parts = [part.bound_to(vocabulary) if isinstance(part, Grammar) else part for part in flat]
            return _made(kind, bound_parts, about)
        except RecursionError:
            raise nested_too_deeply("a composed grammar") from None

    return Grammar(
        Later(lambda: root_of(node)),
        source=f"{kind} of {len(parts)} parts" if len(parts) != 1 else f"{kind}",
        notes=tuple(dict.fromkeys(note for grammar in grammars for note in grammar.notes)),
        unenforced=tuple(dict.fromkeys(gap for grammar in grammars for gap in grammar.unenforced)),
        special_tokens=tuple(dict.fromkeys(token for grammar in grammars for token in grammar.special_tokens)),
        recipe=recipe,
        parts=node,
        depth=depth,
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
