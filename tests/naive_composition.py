"""Composed grammars, naively: a tree of parts is asked of all places of a text, by plain recursion and without a memo.

A tree is ("text", t), ("regex", pattern), ("ebnf", text), ("json", schema), ("concat" | "union", *trees),
("repeat", tree, least, most), ("capture", tree, name) or ("temperature", tree, t). `spans` reads a part from one
place to another and gives its captures, or None: each part of a sequence takes as much as it can, the first of several
alternatives is meant, a repetition goes on rather than stop. `None` as the place where a part ends stands for a part
that has read all of the text and could go on.

Cost: exponential; for texts of a few letters. Part of the oracle: imports nothing from bridle.
"""

from functools import cache

import naive


class Composed:
    """The language of a tree, over an alphabet that all further texts of its leaves begin with a letter of."""

    def __init__(self, tree: tuple, alphabet: str) -> None:
        self.tree, self.alphabet = tree, alphabet

    def accepts(self, text: str) -> bool:
        return spans(self.tree, text, 0, len(text), self.alphabet) is not None

    def is_prefix(self, text: str) -> bool:
        return self.accepts(text) or spans(self.tree, text, 0, None, self.alphabet) is not None

    def captures(self, text: str) -> list[tuple[str, str]] | None:
        found = spans(self.tree, text, 0, len(text), self.alphabet)
        return spans(self.tree, text, 0, None, self.alphabet) if found is None else found


def spans(tree: tuple, text: str, begin: int, end: int | None, alphabet: str) -> list[tuple[str, str]] | None:
    """(name, text) of the captures in the order in which they begin; None if the part cannot be read so."""
    kind = tree[0]
    if kind == "concat":
        return _sequence(tree[1:], text, begin, end, alphabet)
    if kind == "union":
        return next(
            (found for item in tree[1:] if (found := spans(item, text, begin, end, alphabet)) is not None), None
        )
    if kind == "repeat":
        return _repetition(tree[1], tree[2], tree[3], text, begin, end, alphabet)
    if kind == "capture":
        found = spans(tree[1], text, begin, end, alphabet)
        return found if found is None or end is None else [(tree[2], text[begin:end]), *found]
    if kind == "temperature":
        return spans(tree[1], text, begin, end, alphabet)
    piece = text[begin:end].encode()
    if end is not None:
        return [] if leaf(kind, tree[1]).accepts(piece) else None
    language = leaf(kind, tree[1])
    return [] if any(language.is_prefix(piece + letter.encode()) for letter in alphabet) else None


def _sequence(items: tuple, text: str, begin: int, end: int | None, alphabet: str) -> list[tuple[str, str]] | None:
    if not items:
        return [] if begin == end else None
    for to in _longest_first(text, begin, end):
        first = spans(items[0], text, begin, to, alphabet)
        if first is not None:
            rest = [] if to is None else _sequence(items[1:], text, to, end, alphabet)
            if rest is not None:
                return first + rest
    return None


def _repetition(
    item: tuple, least: int, most: int | None, text: str, begin: int, end: int | None, alphabet: str
) -> list[tuple[str, str]] | None:
    if most != 0:
        for to in _longest_first(text, begin, end):
            if to == begin and least == 0:
                continue
            first = spans(item, text, begin, to, alphabet)
            if first is not None:
                left = None if most is None else most - 1
                rest = [] if to is None else _repetition(item, max(0, least - 1), left, text, to, end, alphabet)
                if rest is not None:
                    return first + rest
    return [] if least == 0 and begin == end else None


def _longest_first(text: str, begin: int, end: int | None) -> list[int | None]:
    """Where a part may end if what it is in ends there: in the open only if that does."""
    last = len(text) if end is None else end
    return ([None] if end is None else []) + list(range(last, begin - 1, -1))


@cache
def leaf(kind: str, source: object) -> naive.Naive:
    if kind == "regex":
        return naive.regex(source)
    if kind == "ebnf":
        return naive.ebnf(source)
    if kind == "json":
        return naive.json_schema(source, whitespace="compact")
    return _Text(source)


class _Text:
    def __init__(self, text: str) -> None:
        self.data = text.encode()

    def accepts(self, data: bytes) -> bool:
        return data == self.data

    def is_prefix(self, data: bytes) -> bool:
        return self.data.startswith(data)
