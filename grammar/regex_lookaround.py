r"""Patterns with lookaround as regular languages, whatever stands where.

Idea. A place in a text is written as a byte that no UTF-8 text has, and an assertion about a place as a *claim*: a
pattern is translated with a byte of its own, the assertion's marker, where the assertion stands, so that its language
holds texts with claims in them. Each assertion then gets a *check*, the texts in which every one of its claims is
true. The pattern's language is that of its claims and all checks together, with the markers left out:

    (?:(?!ab).)*    claims: (M.)*    check of M: no M is followed by ab, other markers aside

What an assertion says of a place is itself a regular language, of texts with PLACE in them once: any text, PLACE, the
item, any text for a lookahead; any text, the item, PLACE, any text for a lookbehind; and `^`, `$` and `\b` are such
languages too. Assertions inside the item are claims of that language, checked and left out the same way, so nesting of
any kind and any depth is exact: a lookbehind within a lookahead reaches back beyond where that began, because the
text before PLACE is there to be looked at.

A claim that can stand in a text only once (its assertion is not in a repetition) is checked by the assertion's own
automaton. One that can be repeated is checked by the complement of *some claim is false*, whose subset construction
follows all claims that are still open; it is exponential in the worst case, which a budget ends.

Cost: 0.5 to 3 ms a pattern. Rejected: an alternating automaton made deterministic here, which needs a language of its
own per assertion and history where lookaheads and lookbehinds nest, and takes Python through each of its transitions.

Source: the closure properties of regular languages; that assertions about a place are finite unions of products of
those is Schützenberger's, "On finite monoids having only trivial subgroups" (1965).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..automata.errors import LimitError
from ..automata.regular import (
    ANY_CHAR,
    ANY_TEXT,
    EPSILON,
    Bytes,
    Difference,
    Intersection,
    Interspersed,
    Regular,
    Repeat,
    Rewritten,
    alternation,
    char_class,
    concatenation,
)
from .regex_ast import Anchor, AnchorKind, Boundary, Char, Choice, Group, Look, Node, RegexAst, Repetition, Sequence

__all__ = ["fullmatch_with_lookaround", "search_with_lookaround"]

MAX_NESTED_LOOKAROUND = 12
_PLACE = b"\xff"
_MARKERS = bytes((0xC0, 0xC1, *range(0xF5, 0xFF)))  # these and PLACE are the bytes that no UTF-8 text has
_AT = Bytes(_PLACE)
_ANY_PLACE = concatenation(ANY_TEXT, _AT, ANY_TEXT)
_ANCHORS = {
    AnchorKind.START: concatenation(_AT, ANY_TEXT),
    AnchorKind.END: concatenation(ANY_TEXT, _AT),
    AnchorKind.END_OR_FINAL_NEWLINE: concatenation(ANY_TEXT, _AT, Repeat(Bytes(b"\n"), 0, 1)),
}


def fullmatch_with_lookaround(ast: RegexAst) -> Regular:
    """The texts that the whole of the pattern matches from end to end."""
    claims = _Claims()
    return claims.settled(claims.language(ast.root, repeated=False))


def search_with_lookaround(ast: RegexAst) -> Regular:
    """The texts in which the pattern matches somewhere."""
    claims = _Claims()
    return claims.settled(concatenation(ANY_TEXT, claims.language(ast.root, repeated=False), ANY_TEXT))


@dataclass(frozen=True, slots=True)
class _Assertion:
    """What a pattern says of a place: that the text with PLACE in it is, or is not, of the language."""

    language: Regular
    negative: bool


class _Claims:
    """The assertions of a pattern, or of the item of a lookaround, and their markers."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._repeated: dict[_Assertion, bool] = {}  # whether there may be several claims; in the order of the markers

    # ------------------------------------------------------------------------------------------ claims

    def language(self, node: Node, repeated: bool) -> Regular:
        """The texts with claims that a node matches; `repeated`: it may match several times."""
        match node:
            case Char(ranges):
                return char_class(ranges)
            case Sequence(items):
                return concatenation(*[self.language(item, repeated) for item in items])
            case Choice(items):
                return alternation(*[self.language(item, repeated) for item in items])
            case Repetition(item, least, most):
                return Repeat(self.language(item, repeated or most is None or most > 1), least, most)
            case Group(item):
                return self.language(item, repeated)
            case Anchor(kind):
                return self._claim(_Assertion(_ANCHORS[kind], False), repeated)
            case Boundary():
                return self._claim(_Assertion(_boundaries(node), node.negative), repeated)
            case Look():
                return self._claim(_Assertion(_looked_at(node, self._depth + 1), node.negative), repeated)
        raise AssertionError(node)

    def _claim(self, assertion: _Assertion, repeated: bool) -> Regular:
        self._repeated[assertion] = repeated or assertion in self._repeated
        if len(self._repeated) > len(_MARKERS):
            raise LimitError("different assertions side by side", len(self._repeated), len(_MARKERS))
        number = list(self._repeated).index(assertion)
        return Bytes(_MARKERS[number : number + 1])

    # ------------------------------------------------------------------------------------------ checks

    def settled(self, language: Regular) -> Regular:
        """The texts of a language whose claims are true, without the claims."""
        if not self._repeated:
            return language
        markers = _MARKERS[: len(self._repeated)]
        checks = []
        for i, (assertion, repeated) in enumerate(self._repeated.items()):
            others = markers[:i] + markers[i + 1 :] + (_PLACE if self._depth else b"")
            check = _check_of_all if repeated else _check_of_one
            checks.append(check(assertion, markers[i : i + 1], others))
        return Rewritten(Intersection((language, *checks)), markers, None)


def _looked_at(look: Look, depth: int) -> Regular:
    """The texts with PLACE from which, or up to which, the item matches."""
    if depth > MAX_NESTED_LOOKAROUND:
        raise LimitError("lookaround within lookaround", depth, MAX_NESTED_LOOKAROUND)
    claims = _Claims(depth)
    item = claims.language(look.item, repeated=False)
    return claims.settled(concatenation(ANY_TEXT, *((_AT, item) if look.ahead else (item, _AT)), ANY_TEXT))


def _boundaries(node: Boundary) -> Regular:
    """The texts with PLACE at a word's edge, and the empty text's place where that is to count as one."""
    inside, outside = char_class(node.word), char_class(node.word, negate=True)
    begins = concatenation(alternation(EPSILON, concatenation(ANY_TEXT, outside)), _AT, inside, ANY_TEXT)
    ends = concatenation(ANY_TEXT, inside, _AT, alternation(EPSILON, concatenation(outside, ANY_TEXT)))
    return alternation(begins, ends, *([] if node.negative == node.in_nothing else [_AT]))


def _check_of_one(assertion: _Assertion, marker: bytes, others: bytes) -> Regular:
    """The texts with at most one claim, which is true; other markers do not count."""
    places = assertion.language
    if assertion.negative:
        places = Difference(_ANY_PLACE, places)
    return Interspersed(alternation(ANY_TEXT, Rewritten(places, _PLACE, marker[0])), others)


def _check_of_all(assertion: _Assertion, marker: bytes, others: bytes) -> Regular:
    """The texts whose claims are all true: not those of which some claim is false, whatever the others."""
    places = assertion.language
    if not assertion.negative:
        places = Difference(_ANY_PLACE, places)
    some_false = Rewritten(Interspersed(places, marker), _PLACE, marker[0])
    anything = Repeat(alternation(ANY_CHAR, Bytes(marker)), 0, None)
    return Interspersed(Difference(anything, some_false), others)
