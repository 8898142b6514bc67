"""Free text and tags in turn, as nodes of the rules' IR: what a tag begins with decides what follows.

Free text before a tag is without all marks, up to where the tag's trigger begins (free_text.py). What several tags
begin with is read once. Beginnings are units, characters and special tokens, so that a token is never cut in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from .free_text import free_text
from .rule_states import Apart
from .rules import Choice, Embedded, Node, Repeat, Terminal
from .rules import Sequence as InARow
from .tag_marks import Mark, Unit

__all__ = ["Stops", "Tags", "by_beginning", "free", "mark_node", "texts_of", "with_free_text"]

Stops: TypeAlias = "frozenset[str]"
Beginning: TypeAlias = "tuple[tuple[Unit, ...], Node]"  # what a tag begins with, and what follows that
Tags: TypeAlias = "dict[Mark, list[Beginning]]"  # by trigger
# Beginnings that tags have in common are read once; so many times within each other.
_PREFIXES = 12


def texts_of(marks: Iterable[Mark]) -> Stops:
    """What free text is without because of some marks."""
    return frozenset(mark.text for mark in marks if mark.text)


def free(marks: Stops, then: str) -> Terminal:
    if not marks:
        return Terminal(regular.ANY_TEXT)
    return Terminal(regular.Language(free_text(marks, then)))


def with_free_text(tags: Tags, marks: Stops, then: str, *, at_once: bool, once: bool) -> Node:
    """Free text and tags in turn.

    tags : by trigger, each tag's begin and what follows it. marks : what free text does not contain. at_once : the
    first one is a tag. once : there is one at the most, and no free text behind it.
    """
    first = by_beginning([tag for group in tags.values() for tag in group])
    if at_once and once:
        return first
    last = free(marks, then)
    tagged = _tagged(tags, marks)
    if once:
        return Choice((last, tagged))
    more = (Repeat(tagged, 0, None), last)
    return InARow((first, *more) if at_once else more)


def _tagged(tags: Tags, marks: Stops) -> Node:
    """Free text and one tag.

    PERF: free text and the beginning of the mark behind it are one automaton, apart from the one of free text that
    no tag follows. Neither can be left but at a mark or at the end of the text; an automaton of free text alone
    could be left anywhere, and each token of the vocabulary would have to be tried on what comes after it (40 ms
    for a mask, instead of 0.1).
    """
    groups: dict[tuple[ByteDfa, Unit], list[Beginning]] = {}
    for trigger, group in tags.items():
        before = free_text(marks, trigger.text)
        for begin, rest in group:
            groups.setdefault((before, begin[0]), []).append((begin, rest))
    found: list[Node] = []
    for (before, _), together in groups.items():
        shared = _shared_beginning([begin for begin, _ in together])
        until = regular.compile_regular(regular.Concat((regular.Language(before), mark_node(shared).language)))
        rests = [(begin[len(shared) :], rest) for begin, rest in together]
        found.append(InARow((Embedded(Apart(until), False), by_beginning(rests))))
    return _choice(found)


def mark_node(units: Sequence[Unit]) -> Terminal:
    """The node of one mark, or of a part of it."""
    pieces: list[regular.Regular] = []
    text = ""
    for unit in units:
        if isinstance(unit, str):
            text += unit
        else:
            pieces += [regular.literal(text), unit.language]
            text = ""
    return Terminal(regular.concatenation(*pieces, regular.literal(text)))


def _choice(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Choice(tuple(nodes))


def by_beginning(tags: Sequence[Beginning], depth: int = 0) -> Node:
    """A choice between beginnings and what follows them, with what several begin with before the choice.

    PERF: a hundred tools whose calls begin alike are one place, not a hundred beside each other.
    """
    if depth == _PREFIXES or len(tags) == 1:
        return _choice([InARow((mark_node(begin), rest)) for begin, rest in tags])
    groups: dict[tuple[Unit, ...], list[Beginning]] = {}
    for begin, rest in tags:
        groups.setdefault(begin[:1], []).append((begin, rest))
    found: list[Node] = []
    for group in groups.values():
        shared = _shared_beginning([begin for begin, _ in group])
        if len(group) == 1 or not shared:
            found += [InARow((mark_node(begin), rest)) for begin, rest in group]
            continue
        inner = by_beginning([(begin[len(shared) :], rest) for begin, rest in group], depth + 1)
        found.append(InARow((mark_node(shared), inner)))
    return _choice(found)


def _shared_beginning(begins: Sequence[tuple[Unit, ...]]) -> tuple[Unit, ...]:
    """What all of them begin with."""
    columns = enumerate(zip(*begins, strict=False))
    shortest = min(map(len, begins))
    return begins[0][: next((i for i, column in columns if len({*column}) > 1), shortest)]
