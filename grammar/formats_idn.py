"""The formats of internationalized host names and e-mail addresses.

A label that is not ASCII must have an A-label of up to 63 octets. The length of Punycode is no regular property, so
code points are counted: 10 of the BMP never take more than 44 octets, nor 16 below U+0800 more than 52 (a test runs
the worst cases of the encoder). Such a label is charged as 64 octets, an ASCII one as 32 or 64. Each place where one
may start is 700 states, so there are three, and names end at 189 octets, which is what a mailbox has for its domain.

Letters are those of Latin, Greek, Cyrillic, Armenian, Devanagari, Thai, Japanese, Chinese and Korean, and in labels
from right to left of Hebrew and Arabic: in their blocks the code points that IDNA 2008 admits and that stay as they are
in NFC after any other of these. The contextual rules are conditions on neighbours. The middle dots of katakana stand
next to kana or Han characters; joiners between letters, after a virama or in Arabic.

The rule on directions concerns names with a label from right to left: there no label begins with a digit, and all
other labels are ASCII, of up to 20 octets. The first of such labels is a name's first or second one.

States are (where the label starts, its length, its kind, what its last character asks of the next one, directions).
Written as expressions the counters would be unrolled many times; here each state is made once, an epsilon edge leads to
what all states of one length and kind have in common, and a class of code points is spliced in once per target.

Source: RFC 5890 to 5893, RFC 5892 appendix A (contexts), RFC 3490, section 3.1 (the four dots),
RFC 6531, section 3.3 (mailboxes, whose labels have full stops between them).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from ..automata.budget import DEFAULT_LIMITS, Budget
from ..automata.byte_dfa import ByteDfa
from ..automata.regular import (
    ANY_CHAR,
    Complement,
    Intersection,
    Language,
    Regular,
    Repeat,
    alternation,
    concatenation,
    literal,
)
from ..automata.utf8_classes import Ranges, class_fragment, normalized
from .formats_host import MAX_DOMAIN, MAX_LABEL, MAX_LOCAL_PART, QUAD, address_literal, charged, local_part
from .regex_syntax import fullmatch_language

__all__ = ["IDN_EMAIL_NOTE", "IDN_HOSTNAME_NOTE", "idn_email", "idn_hostname"]

IDN_HOSTNAME_NOTE = (
    "names have up to 189 octets; labels that are not ASCII have up to 16 characters below U+0800, or 10, of the "
    "scripts Latin, Greek, Cyrillic, Armenian, Devanagari, Thai, Kana, Han, Hangul, Hebrew and Arabic, without marks "
    "that join or reorder; each is charged as 64 octets, ASCII labels as 32 or 64; A-labels (xn--) are left out, and "
    "beside labels from right to left, one of which is the first or second, those from left to right that are not "
    "ASCII or longer than 20 octets"
)
IDN_EMAIL_NOTE = (
    f"a local part that is not ASCII has up to {MAX_LOCAL_PART // 4} characters; domains: " + IDN_HOSTNAME_NOTE
)
_CHARGES = (32, 64)
_MAX_LABEL_BESIDE_RIGHT_TO_LEFT = 20


def _ranges(text: str) -> Ranges:
    """The code points of `text`, in which a hyphen stands between the ends of a range."""
    pairs = (part.split("-") for part in text.split())
    return normalized((int(pair[0], 16), int(pair[-1], 16)) for pair in pairs)


def _alternate(first: int, last: int) -> str:
    """Every second code point: the small letters where capitals and small ones take turns."""
    return " ".join(f"{code:x}" for code in range(first, last + 1, 2))


_DIGIT, _CAPITAL, _SMALL, _SMALL_L, _HYPHEN = (_ranges(t) for t in ("30-39", "41-5a", "61-6b 6d-7a", "6c", "2d"))
_FULL_STOP, _DOTS = _ranges("2e"), _ranges("2e 3002 ff0e ff61")
_GREEK = _ranges("390 3ac-3ce")
_TWO_BYTES = _ranges(
    f"df-f6 f8-ff {_alternate(0x101, 0x131)} 135 137-138 {_alternate(0x13A, 0x13E)} {_alternate(0x142, 0x148)} 14b"
    f" {_alternate(0x14D, 0x177)} 17a 17c 17e 430-45f 491 561-586 6f0-6f9"
)
_THREE_BYTES = _ranges("904-939 966-96f e01-e30 e32 e40-e46 e50-e59 f0b 3006 30fc ac00-d7a3")
_MARKS = _ranges("93e-94c e31 e34-e37 e47")  # no label begins with one
_JAPANESE = _ranges("3005 3007 3041-3096 309d-309e 30a1-30fa 30fd-30fe 3400-4dbf 4e00-9fef")  # by script
_VIRAMA, _JOINERS, _NON_JOINER = _ranges("94d"), _ranges("200c-200d"), _ranges("200c")
_MIDDLE_DOT, _KERAIA, _KATAKANA_DOT = _ranges("b7"), _ranges("375"), _ranges("30fb")
_HEBREW, _GERESH = _ranges("5d0-5ea"), _ranges("5f3-5f4")
_ARABIC = _ranges("621 671-674 679-6d3 6d5 6fa-6ff")
_ARABIC_JOINING_RIGHT = _ranges("622-625 627 629 62f-632 648")
_ARABIC_JOINING_BOTH = _ranges("626 628 62a-62e 633-63a 641-647 649-64a")
_ARABIC_DIGIT = _ranges("660-669")


class _Kind(IntEnum):
    ASCII = 0
    CAPITALS = 1  # ASCII that cannot become a Unicode label, for it has a capital, a wrong place or too many characters
    TWO_BYTES = 2  # nothing from U+0800 on
    UNICODE = 3
    RIGHT_TO_LEFT = 4
    WITH_DIGITS = 5  # right to left with ASCII digits
    WITH_ARABIC_DIGITS = 6


class _Last(IntEnum):
    """What the last character asks of the next one."""

    COMMON = 0  # no character: what all states of this length and kind have in common
    PLAIN = 1
    HYPHEN = 2
    SMALL_L = 3
    JAPANESE = 4
    VIRAMA = 5
    HEBREW = 6
    ARABIC = 7  # one that joins to both sides
    MIDDLE_DOT = 8  # needs an l
    KERAIA = 9  # needs a Greek letter
    KATAKANA_DOT = 10  # needs kana or Han
    JOINER = 11  # needs a letter of three bytes
    NON_JOINER = 12  # needs an Arabic letter


class _Direction(IntEnum):
    OPEN = 0  # no digit first and nothing but ASCII so far, so that right to left may come
    LEFT_TO_RIGHT = 1
    RIGHT_TO_LEFT = 2


_MAY_END = frozenset((_Last.PLAIN, _Last.SMALL_L, _Last.JAPANESE, _Last.VIRAMA, _Last.HEBREW, _Last.ARABIC))
_NEEDS = frozenset((_Last.MIDDLE_DOT, _Last.KERAIA, _Last.KATAKANA_DOT, _Last.JOINER, _Last.NON_JOINER))


class _State(NamedTuple):
    start: int  # octets taken when the label begins
    length: int  # of the label, in code points; 0: it has not begun
    kind: _Kind
    last: _Last
    direction: _Direction


# How many code points a label of a kind may have that is not ASCII; what is from right to left counts as one kind.
MOST_CODE_POINTS = {_Kind.TWO_BYTES: 16, _Kind.UNICODE: 10, _Kind.RIGHT_TO_LEFT: 10}
_LAST_START = {_Kind.TWO_BYTES: 128, _Kind.UNICODE: 128, _Kind.RIGHT_TO_LEFT: 64}
_Move = tuple[Ranges | None, _State]  # None: an epsilon


def _moves(state: _State, dots: Ranges) -> Iterator[_Move]:
    start, length, kind, last, direction = state
    if length == 0:
        yield from _first(state)
        return
    if last in _MAY_END:
        taken = charged(start, length, _CHARGES)[1] if direction != 2 and kind <= _Kind.CAPITALS else start + 64
        if taken < MAX_DOMAIN:
            stays = direction == _Direction.RIGHT_TO_LEFT or (direction == _Direction.OPEN and start == 0)
            yield dots, _State(taken, 0, _Kind.ASCII, _Last.COMMON, direction if stays else _Direction.LEFT_TO_RIGHT)
    if last == _Last.COMMON:
        yield from _common(state)
    elif last not in _NEEDS:
        yield None, state._replace(last=_Last.COMMON)
    yield from _special(state)


def _grown(state: _State, kind: _Kind, last: _Last) -> _State | None:
    """The state one character on; None where there is no place for it."""
    start, length, direction = state.start, state.length + 1, state.direction
    if kind <= _Kind.CAPITALS:
        beside_right_to_left = direction == _Direction.RIGHT_TO_LEFT
        if length > (_MAX_LABEL_BESIDE_RIGHT_TO_LEFT if beside_right_to_left else MAX_LABEL):
            return None
        if direction == _Direction.OPEN and length > _MAX_LABEL_BESIDE_RIGHT_TO_LEFT:
            direction = _Direction.LEFT_TO_RIGHT
        start = start if beside_right_to_left else charged(start, length, _CHARGES)[0]
        if length > MOST_CODE_POINTS[_Kind.TWO_BYTES] or start > _LAST_START[_Kind.UNICODE] or beside_right_to_left:
            kind = _Kind.CAPITALS
            last = _Last.PLAIN if last == _Last.SMALL_L else last
        return _State(start, length, kind, last, direction) if start + length <= MAX_DOMAIN else None
    start = -(-start // 64) * 64
    family = min(kind, _Kind.RIGHT_TO_LEFT)
    if length > MOST_CODE_POINTS[family] or start > _LAST_START[family]:
        return None
    if kind <= _Kind.UNICODE:
        direction = _Direction.LEFT_TO_RIGHT
    return _State(start, length, kind, last, direction)


def _first(state: _State) -> Iterator[_Move]:
    """The first character of a label."""
    if state.start and state.direction == _Direction.OPEN:
        yield from _right_to_left(state._replace(direction=_Direction.RIGHT_TO_LEFT))
        yield None, state._replace(direction=_Direction.LEFT_TO_RIGHT)
        return
    if state.direction != _Direction.LEFT_TO_RIGHT:
        yield from _right_to_left(state._replace(direction=_Direction.RIGHT_TO_LEFT))
    yield from _made(state, _letters(_Kind.ASCII))
    if state.direction != _Direction.RIGHT_TO_LEFT:
        left = state._replace(direction=_Direction.LEFT_TO_RIGHT)
        yield from _made(left, [(_DIGIT, _Kind.ASCII, _Last.PLAIN)])
        yield from _made(left, _unicode(_Kind.TWO_BYTES, first=True))


_Step = tuple[Ranges, _Kind, _Last]


def _made(state: _State, steps: list[_Step]) -> Iterator[_Move]:
    for ranges, kind, last in steps:
        target = _grown(state, kind, last)
        if target is not None:
            yield ranges, target


def _letters(kind: _Kind) -> list[_Step]:
    """ASCII letters in a label of this kind."""
    steps: list[_Step] = [(_SMALL, kind, _Last.PLAIN), (_SMALL_L, kind, _Last.SMALL_L)]
    return [*steps, (_CAPITAL, _Kind.CAPITALS, _Last.PLAIN)] if kind <= _Kind.CAPITALS else steps


def _unicode(kind: _Kind, *, first: bool) -> list[_Step]:
    """Letters and marks beyond ASCII in a label from left to right."""
    three = _THREE_BYTES if first else normalized((*_THREE_BYTES, *_MARKS))
    return [
        (_TWO_BYTES, kind, _Last.PLAIN),
        (_GREEK, kind, _Last.PLAIN),
        (_KERAIA, kind, _Last.KERAIA),
        (three, _Kind.UNICODE, _Last.PLAIN),
        (_JAPANESE, _Kind.UNICODE, _Last.JAPANESE),
        (_KATAKANA_DOT, _Kind.UNICODE, _Last.KATAKANA_DOT),
    ]


def _common(state: _State) -> Iterator[_Move]:
    """What may follow any character that asks for nothing."""
    kind = state.kind
    if kind >= _Kind.RIGHT_TO_LEFT:
        yield from _right_to_left(state)
        return
    yield from _made(state, [(_DIGIT, kind, _Last.PLAIN), *_letters(kind)])
    if kind == _Kind.ASCII:
        yield from _made(state, _unicode(_Kind.TWO_BYTES, first=False))
    elif kind != _Kind.CAPITALS:
        yield from _made(state, _unicode(kind, first=False))


def _right_to_left(state: _State) -> Iterator[_Move]:
    """Letters and digits of a label from right to left."""
    kind = state.kind if state.length else _Kind.RIGHT_TO_LEFT
    plain = normalized((*_ARABIC, *_ARABIC_JOINING_RIGHT))
    steps: list[_Step] = [
        (plain, kind, _Last.PLAIN),
        (_HEBREW, kind, _Last.HEBREW),
        (_ARABIC_JOINING_BOTH, kind, _Last.ARABIC),
    ]
    if state.length and kind != _Kind.WITH_ARABIC_DIGITS:
        steps.append((_DIGIT, _Kind.WITH_DIGITS, _Last.PLAIN))
    if state.length and kind != _Kind.WITH_DIGITS:
        steps.append((_ARABIC_DIGIT, _Kind.WITH_ARABIC_DIGITS, _Last.PLAIN))
    yield from _made(state, steps)


def _special(state: _State) -> Iterator[_Move]:
    """What the last character lets follow, or asks for, beyond what is common."""
    _, length, kind, last, _ = state
    unicode = _Kind.TWO_BYTES if kind == _Kind.ASCII else kind
    steps: list[_Step] = []
    match last:
        case _Last.SMALL_L if kind != _Kind.CAPITALS:
            steps = [(_MIDDLE_DOT, unicode, _Last.MIDDLE_DOT)]
        case _Last.MIDDLE_DOT:
            steps = [(_SMALL_L, kind, _Last.SMALL_L)]
        case _Last.KERAIA:
            steps = [(_GREEK, kind, _Last.PLAIN)]
        case _Last.JAPANESE:
            steps = [(_KATAKANA_DOT, kind, _Last.JAPANESE)]
        case _Last.KATAKANA_DOT:
            steps = [(_JAPANESE, kind, _Last.JAPANESE), (_KATAKANA_DOT, kind, _Last.KATAKANA_DOT)]
        case _Last.VIRAMA:
            steps = [(_JOINERS, kind, _Last.JOINER)]
        case _Last.JOINER:
            steps = [(_THREE_BYTES, kind, _Last.PLAIN)]
        case _Last.HEBREW:
            steps = [(_GERESH, kind, _Last.PLAIN)]
        case _Last.ARABIC:
            steps = [(_NON_JOINER, kind, _Last.NON_JOINER)]
        case _Last.NON_JOINER:
            steps = [(_ARABIC_JOINING_RIGHT, kind, _Last.PLAIN), (_ARABIC_JOINING_BOTH, kind, _Last.ARABIC)]
    if last == _Last.PLAIN and kind == _Kind.UNICODE:
        steps.append((_VIRAMA, kind, _Last.VIRAMA))
    if last != _Last.COMMON and last not in _NEEDS and not (last == _Last.HYPHEN and length == 3):
        steps.append((_HYPHEN, kind, _Last.HYPHEN))
    yield from _made(state, steps)


def _names(dots: Ranges) -> ByteDfa:
    """Internationalized names, `dots` between the labels; those in the form of an IPv4 address included."""
    from ..automata.determinize import determinized

    states = [_State(0, 0, _Kind.ASCII, _Last.COMMON, _Direction.OPEN)]
    local = {states[0]: 2}  # the fragment's entry is 0, its exit 1
    n_local = 3
    edges = array("i", (0, 1, 0, 2))  # low above high: an epsilon
    spliced: dict[_Move, array[int]] = {}
    for state in states:  # grows while it is walked
        source = local[state]
        if state.length and state.last in _MAY_END:
            edges.extend((source, 1, 0, 1))
        for ranges, target in _moves(state, dots):
            if target not in local:
                states.append(target)
                local[target] = n_local
                n_local += 1
            if ranges is None:
                edges.extend((source, 1, 0, local[target]))
                continue
            ways = spliced.get((ranges, target))
            if ways is None:
                ways, more = _splice(ranges, local[target], n_local, edges)
                spliced[ranges, target] = ways
                n_local += more
            for i in range(0, len(ways), 3):
                edges.extend((source, *ways[i : i + 3]))
    program = array("i", (0, n_local, len(edges) // 4))
    program.extend(edges)
    return determinized(program, Budget(DEFAULT_LIMITS))


def _splice(ranges: Ranges, target: int, first: int, edges: array[int]) -> tuple[array[int], int]:
    """Puts a class that leads to `target` among the edges, its inner states numbered from `first`.

    Returns what leads into it, three numbers each, and how many inner states it has.
    """
    fragment = class_fragment(ranges)
    ways = array("i")
    for i in range(3, len(fragment), 4):
        source, low, high, then = fragment[i : i + 4]
        then = target if then == 1 else first + then - 2
        if source == 0:
            ways.extend((low, high, then))
        else:
            edges.extend((first + source - 2, low, high, then))
    return ways, fragment[1] - 2


def idn_hostname() -> Regular:
    """Internationalized host names."""
    return Intersection((Language(_names(_DOTS)), Complement(fullmatch_language(QUAD, "ecma"))))


def idn_email() -> Regular:
    """Mailbox, as RFC 6531 extends it."""
    beyond_ascii = "\x80-\U0010ffff"
    ascii_local = Intersection((local_part(), Repeat(ANY_CHAR, 1, MAX_LOCAL_PART)))
    local = Intersection((local_part(beyond_ascii), Repeat(ANY_CHAR, 1, MAX_LOCAL_PART // 4)))
    domain = alternation(Language(_names(_FULL_STOP)), fullmatch_language(address_literal(), "ecma"))
    return concatenation(alternation(ascii_local, local), literal("@"), domain)
