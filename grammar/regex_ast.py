"""The syntax tree of a regular expression: what the two dialects have in common once shorthands are resolved.

Characters are sets of code points already (case folding, `.`, `\\d` and properties included), so the tree holds only
what shapes the language. Greediness, groups and names do not; they are kept for captures. Offsets are kept where
something may have to be refused later.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from ..automata.utf8_classes import Ranges

__all__ = [
    "Anchor", "AnchorKind", "Boundary", "Char", "Choice", "Group", "Look", "Node", "RegexAst", "Repetition", "Sequence",
    "width",
]  # fmt: skip


class AnchorKind(enum.Enum):
    START = "the start of the text"
    END = "the end of the text"
    END_OR_FINAL_NEWLINE = "the end of the text, or before a newline that ends it"  # Python's `$`


@dataclass(frozen=True, slots=True)
class Char:
    """One code point of normalized ranges; surrogates never match."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    item: Node
    least: int
    most: int | None
    greedy: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """A capturing group: its number from 1, and its name if it has one."""

    item: Node
    number: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    kind: AnchorKind
    offset: int


@dataclass(frozen=True, slots=True)
class Boundary:
    r"""`\b`: a character of `word` on one side and none on the other; or `\B` (`negative`): no such place.

    `in_nothing`: whether the only place of the empty text is one; it is no word's edge, but no `\B` in Python < 3.14.
    """

    word: Ranges
    negative: bool
    in_nothing: bool


@dataclass(frozen=True, slots=True)
class Look:
    """A lookahead or lookbehind."""

    item: Node
    ahead: bool
    negative: bool
    offset: int


Node: TypeAlias = Char | Sequence | Choice | Repetition | Group | Anchor | Boundary | Look


@dataclass(frozen=True, slots=True)
class RegexAst:
    """A parsed pattern: `groups[i]` is the name, or None, of group i + 1; `lookaround`: a Look or Boundary is in it."""

    root: Node
    pattern: str
    dialect: str
    groups: tuple[str | None, ...]
    lookaround: bool = False


def width(node: Node) -> tuple[int, int | None]:
    """The least and the greatest number of characters that a node matches; None: any number."""
    match node:
        case Char():
            return 1, 1
        case Group(item):
            return width(item)
        case Repetition(item, least, most):
            low, high = width(item)
            endless = most != 0 and high != 0 and (most is None or high is None)
            return low * least, None if endless else (high or 0) * (most or 0)
        case Sequence(items) | Choice(items):
            lows, highs = zip(*map(width, items), strict=True) if items else ((0,), (0,))
            combine = (min, max) if isinstance(node, Choice) else (sum, sum)
            return combine[0](lows), None if None in highs else combine[1](highs)
    return 0, 0
