"""From a pattern's syntax tree to a regular language, anchors resolved.

An anchor is a condition on the rest of the text, so a node is translated together with its continuation: the languages
of what may follow it up to the text's end, one for when the place is the text's start and one for when it is not.
Then `^` drops the second, `$` cuts both down to the empty text, and a repetition of something anchored takes apart what
an iteration matches in the middle of the text and at its end. What has no anchor inside is translated as it stands, so
a usual pattern costs no more than its walk. The result is exact wherever anchors stand (`(^a|b$)+`, `a^b`).

Only the last iteration of a loop can see the end, and only the first the start, so no continuation is copied more than
twice and the result is linear in the pattern. (Intersecting with the texts marked at both ends was rejected: it puts an
automaton of twice the size through a product for each pattern that has a `$`.)

Search is `any text, match, any text`; a pattern that is anchored at the start gets no first part. A pattern with
lookaround is none of this file's: see regex_lookaround.py, to which anchors are assertions like others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..automata.errors import LimitError
from ..automata.regular import (
    ANY_CHAR,
    ANY_TEXT,
    EMPTY,
    EPSILON,
    Bytes,
    CharClass,
    Intersection,
    Regular,
    Repeat,
    alternation,
    compile_regular,
    concatenation,
    nonempty_part,
    nullable,
)
from .regex_ast import Anchor, AnchorKind, Char, Choice, Group, Node, RegexAst, Repetition, Sequence, width

__all__ = ["counted_form", "fullmatch_of", "search_of"]

MAX_ANCHORED_COPIES = 100
_NEWLINE = Bytes(b"\n")
_NONEMPTY_TEXT = Repeat(ANY_CHAR, 1, None)
_TWO_OR_MORE = Repeat(ANY_CHAR, 2, None)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The language of the rest of the text, from a place that is the text's start, and from one that is not.

    `open_ended`: more text follows what these describe, neither nothing nor a final newline alone.
    """

    at_start: Regular
    later: Regular
    open_ended: bool = False


def fullmatch_of(ast: RegexAst) -> Regular:
    return _Translator(ast).translate(ast.root, _Rest(EPSILON, EPSILON)).at_start


def search_of(ast: RegexAst) -> Regular:
    rest = _Translator(ast).translate(ast.root, _Rest(ANY_TEXT, ANY_TEXT))
    if rest.at_start is rest.later:
        return concatenation(ANY_TEXT, rest.later)
    return alternation(rest.at_start, concatenation(_NONEMPTY_TEXT, rest.later))


def counted_form(ast: RegexAst) -> tuple[RegexAst, int, int | None] | None:
    """A pattern for all of a text with one repetition of bounded number, as one without and the lengths that it allows.

    `^[a-z]{1,5000}$` is `^[a-z]*$` with 1 to 5000 code points. None where length does not tell the number: all else
    that the pattern matches must be of one length, as must what is repeated. Lookaround has none.
    """
    items = ast.root.items if isinstance(ast.root, Sequence) else ()
    ends = [item.kind if isinstance(item, Anchor) else None for item in (*items[:1], *items[-1:])]
    if ends != [AnchorKind.START, AnchorKind.END]:
        return None
    widths = [width(item) for item in items]
    varying = [i for i, (least, most) in enumerate(widths) if least != most]
    at = varying[0] if varying else max(range(len(items)), key=lambda i: widths[i][0])
    repetition = items[at]
    if len(varying) > 1 or not isinstance(repetition, Repetition):
        return None
    each, at_most = width(repetition.item)
    if each != at_most or each == 0:
        return None
    others = sum(least for i, (least, _) in enumerate(widths) if i != at)
    unbounded = replace(repetition, least=0, most=None)
    most = None if repetition.most is None else others + each * repetition.most
    root = Sequence((*items[:at], unbounded, *items[at + 1 :]))
    return replace(ast, root=root), others + each * repetition.least, most


class _Translator:
    def __init__(self, ast: RegexAst) -> None:
        self.ast = ast
        self._anchored: dict[int, bool] = {}  # by identity: the tree outlives the translator

    # ------------------------------------------------------------------------------------------ without anchors

    def anchored(self, node: Node) -> bool:
        """Whether an anchor is inside."""
        known = self._anchored.get(id(node))
        if known is None:
            match node:
                case Sequence(items) | Choice(items):
                    known = any([self.anchored(item) for item in items])
                case Repetition(item=item) | Group(item=item):
                    known = self.anchored(item)
                case _:
                    known = isinstance(node, Anchor)
            self._anchored[id(node)] = known
        return known

    def plain(self, node: Node) -> Regular:
        """The language of a node without anchors."""
        match node:
            case Char(ranges):
                return _char(ranges)
            case Sequence(items):
                return self.plain_run(items)
            case Choice(items):
                return alternation(*[self.plain(item) for item in items])
            case Repetition(item, least, most):
                return Repeat(self.plain(item), least, most)
            case Group(item):
                return self.plain(item)
        raise AssertionError(node)

    def plain_run(self, items: tuple[Node, ...]) -> Regular:
        """The language of nodes without anchors in a row; neighbouring characters become one text."""
        out: list[Regular] = []
        for item in items:
            language = self.plain(item)
            if isinstance(language, Bytes) and out and isinstance(out[-1], Bytes):
                out[-1] = Bytes(out[-1].data + language.data)
            else:
                out.append(language)
        return concatenation(*out)

    # ------------------------------------------------------------------------------------------ with anchors

    def translate(self, node: Node, rest: _Rest) -> _Rest:
        """The rest of the text from before the node on, given the rest from behind it."""
        if not self.anchored(node):
            return _before(self.plain(node), rest)
        match node:
            case Sequence(items):
                return self._sequence(items, rest)
            case Choice(items):
                return self._choice(items, rest)
            case Repetition():
                return self._repetition(node, rest)
            case Group(item):
                return self.translate(item, rest)
            case Anchor(kind):
                return self._anchor(kind, rest)
        raise AssertionError(node)

    def _sequence(self, items: tuple[Node, ...], rest: _Rest) -> _Rest:
        end = len(items)
        while end:
            begin = end
            while begin and not self.anchored(items[begin - 1]):
                begin -= 1
            if begin < end:
                rest = _before(self.plain_run(items[begin:end]), rest)
            else:
                begin -= 1
                rest = self.translate(items[begin], rest)
            end = begin
        return rest

    def _choice(self, items: tuple[Node, ...], rest: _Rest) -> _Rest:
        plain = [self.plain(item) for item in items if not self.anchored(item)]
        parts = [_before(alternation(*plain), rest)] if plain else []
        return _either(*parts, *[self.translate(item, rest) for item in items if self.anchored(item)])

    def _anchor(self, kind: AnchorKind, rest: _Rest) -> _Rest:
        if kind is AnchorKind.START:
            return _Rest(rest.at_start, EMPTY, rest.open_ended)
        if rest.open_ended:
            return _Rest(EMPTY, EMPTY, True)
        newline = kind is AnchorKind.END_OR_FINAL_NEWLINE
        return _Rest(_cut(rest.at_start, newline), _cut(rest.later, newline))

    def _repetition(self, node: Repetition, rest: _Rest) -> _Rest:
        copies = node.least if node.most is None else node.most
        if copies > MAX_ANCHORED_COPIES:
            raise LimitError("repetition of something anchored", copies, MAX_ANCHORED_COPIES)
        tail = self._star(node.item, rest) if node.most is None else rest
        for _ in range(0 if node.most is None else node.most - node.least):
            tail = _either(rest, self.translate(node.item, tail))
        for _ in range(node.least):
            tail = self.translate(node.item, tail)
        return tail

    def _star(self, item: Node, rest: _Rest) -> _Rest:
        """Any number of iterations. Empty ones change nothing, so only a first non-empty one can be at the start."""
        middle = self.translate(item, _Rest(EPSILON, EPSILON, open_ended=True))
        last: list[_Rest] = []  # what the last iteration and the text behind it can be, if an anchor is to see the end
        if not rest.open_ended and nullable(rest.later):
            at_end = self.translate(item, _Rest(EPSILON, EPSILON))
            last.append(_Rest(nonempty_part(at_end.at_start), at_end.later))
        python = self.ast.dialect == "python" and not rest.open_ended  # its `$` sees a final newline too
        if python and (_has_newline(rest.later) or (last and _has_newline(last[0].later))):
            # The last iteration before a final newline, which the rest or one more iteration then matches.
            before_newline = self.translate(item, _Rest(_NEWLINE, _NEWLINE))
            from_start = Intersection((before_newline.at_start, _TWO_OR_MORE))
            last.append(_Rest(from_start, before_newline.later))
        loop = EPSILON if middle.later == EMPTY else Repeat(middle.later, 0, None)
        later = concatenation(loop, alternation(rest.later, *[one.later for one in last]))
        first = concatenation(nonempty_part(middle.at_start), later)
        return _Rest(alternation(rest.at_start, first, *[one.at_start for one in last]), later, rest.open_ended)


def _char(ranges: tuple[tuple[int, int], ...]) -> Regular:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not 0xD800 <= ranges[0][0] <= 0xDFFF:
        return Bytes(chr(ranges[0][0]).encode())
    return CharClass(ranges)


def _before(language: Regular, rest: _Rest) -> _Rest:
    """The rest from before a language without anchors."""
    later = concatenation(language, rest.later)
    if rest.at_start is rest.later:
        return _Rest(later, later, rest.open_ended)
    if not nullable(language):
        return _Rest(later, later, rest.open_ended)
    at_start = alternation(rest.at_start, concatenation(nonempty_part(language), rest.later))
    return _Rest(at_start, later, rest.open_ended)


def _either(*rests: _Rest) -> _Rest:
    at_start = alternation(*[rest.at_start for rest in rests])
    later = alternation(*[rest.later for rest in rests])
    return _Rest(at_start, later, rests[0].open_ended)


def _cut(language: Regular, newline: bool) -> Regular:
    """What a language has of the empty text and, for Python's `$`, of a newline alone."""
    empty = EPSILON if nullable(language) else EMPTY
    return alternation(empty, _NEWLINE) if newline and _has_newline(language) else empty


def _has_newline(language: Regular) -> bool:
    """Whether a newline alone is in the language."""
    if language is ANY_TEXT:
        return True
    if language is EPSILON or language is EMPTY:
        return False
    return compile_regular(language).accepts(b"\n")
