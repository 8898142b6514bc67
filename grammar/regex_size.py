"""How large the automaton of a pattern is at the most, where the pattern tells.

A pattern is *deterministic* if, wherever a match has come to, the next character can be that of one place of the
pattern alone. Then each place, with repetitions written out, is a state, and there are no others: nothing multiplies.
Whoever wants to know that an automaton stays within its budget need not make it.

A place weighs as much as its character takes states, of values in UTF-8 and of their spellings in JSON: 24 for one
within ASCII (its escapes), more for each range beyond.

Source: A. Brüggemann-Klein and D. Wood, "One-unambiguous regular languages" (1998), whose test on the sets of first and
of following places is taken here with counts, on the safe side.
"""

from __future__ import annotations

from typing import NamedTuple

from ..automata.utf8_classes import Ranges
from .regex_ast import Anchor, AnchorKind, Char, Choice, Group, Node, RegexAst, Repetition, Sequence

__all__ = ["most_states"]

_ASCII_STATES, _STATES_OF_A_RANGE = 24, 96
_AROUND = 24  # the dead state, the end, and the escapes that lead to it


class _Part(NamedTuple):
    """Of a part of a deterministic pattern: whether it may be empty, what it begins with, what may go on where it might
    end, and how many states it takes at the most.
    """

    empty: bool
    first: Ranges
    after: Ranges
    states: int


_NOTHING = _Part(True, (), (), 0)


def most_states(ast: RegexAst) -> int | None:
    """Not less than the states of the automaton of a pattern for all of a text, or of its JSON spellings; None where
    that is not plain.
    """
    items = ast.root.items if isinstance(ast.root, Sequence) else ()
    ends = [item.kind if isinstance(item, Anchor) else None for item in (*items[:1], *items[-1:])]
    if ast.lookaround or ends != [AnchorKind.START, AnchorKind.END]:
        return None
    part = _sequence(items[1:-1])
    return None if part is None else part.states + _AROUND


def _part(node: Node) -> _Part | None:
    """What determinism depends on; None where a node is not deterministic, or holds an anchor."""
    match node:
        case Char(ranges):
            beyond = sum(last >= 0x80 for _, last in ranges)
            return _Part(False, ranges, (), _ASCII_STATES + beyond * _STATES_OF_A_RANGE)
        case Group(item):
            return _part(item)
        case Sequence(items):
            return _sequence(items)
        case Choice(items):
            return _choice(items)
        case Repetition(item, least, most):
            return _repetition(item, least, most)
    return None


def _sequence(items: tuple[Node, ...]) -> _Part | None:
    done = _NOTHING
    for item in items:
        part = _part(item)
        if part is None or _meet(done.after, part.first) or (done.empty and _meet(done.first, part.first)):
            return None
        first = done.first + part.first if done.empty else done.first
        after = part.after + part.first + done.after if part.empty else part.after
        done = _Part(done.empty and part.empty, first, after, done.states + part.states)
    return done


def _choice(items: tuple[Node, ...]) -> _Part | None:
    done = _Part(False, (), (), 0)
    for item in items:
        part = _part(item)
        if part is None or _meet(done.first, part.first):
            return None
        done = _Part(done.empty or part.empty, done.first + part.first, done.after + part.after,
                     done.states + part.states)  # fmt: skip
    return done


def _repetition(item: Node, least: int, most: int | None) -> _Part | None:
    part = _part(item)
    if part is None:
        return None
    if most == 0:
        return _NOTHING
    if most == 1:
        return part._replace(empty=part.empty or least == 0)
    # What is empty could be left out at several places of a row.
    if part.empty or _meet(part.after, part.first):
        return None
    after = part.after if least == most else part.after + part.first
    return _Part(least == 0, part.first, after, part.states * (max(least, 1) if most is None else most))


def _meet(left: Ranges, right: Ranges) -> bool:
    """Whether two lists of ranges, in any order, have a code point in common."""
    return any(low <= last and first <= high for low, high in left for first, last in right)
