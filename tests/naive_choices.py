"""Choices and spans by listing them all: what from_choices and from_substring are compared with."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable


class Listed:
    """A language of a few texts."""

    def __init__(self, texts: Iterable[str | bytes]) -> None:
        self.texts = {text.encode() if isinstance(text, str) else text for text in texts}

    def accepts(self, data: bytes) -> bool:
        return data in self.texts

    def is_prefix(self, data: bytes) -> bool:
        return any(text.startswith(data) for text in self.texts)


def paths(first: Iterable[str], then: Callable, separator: str = "", quoted: Callable = str) -> set[str]:
    """The texts of all complete paths."""

    def behind(path: tuple[str, ...], choices: Iterable[str] | None) -> set[tuple[str, ...]]:
        if choices is None:
            return {path}
        return {longer for choice in choices for longer in behind((*path, choice), then((*path, choice)))}

    return {separator.join(map(quoted, path)) for path in behind((), first)}


def spans(documents: Iterable[str], by: str) -> set[str]:
    """The spans of some documents, the empty one left out."""
    return {
        document[begin:end]
        for document in documents
        for i, (begin, _) in enumerate(units(document, by))
        for _, end in units(document, by)[i:]
    }


def units(document: str, by: str) -> list[tuple[int, int]]:
    """Where the units of a document begin and end, gaps left out: character by character."""
    if by == "char":
        return [(i, i + 1) for i in range(len(document))]
    if by == "line":
        return runs(document, lambda i: document[i] not in "\r\n")
    words = runs(document, lambda i: in_word(document, i))
    signs = [(i, i + 1) for i, c in enumerate(document) if not in_word(document, i) and not c.isspace()]
    return sorted(words + signs)


def runs(document: str, belongs: Callable[[int], bool]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for i in range(len(document)):
        if belongs(i):
            if found and found[-1][1] == i:
                found[-1] = found[-1][0], i + 1
            else:
                found.append((i, i + 1))
    return found


def in_word(document: str, i: int) -> bool:
    """Whether the character at a place is part of a word."""
    kind = kind_at(document, i)
    if kind:
        return True
    around = {kind_at(document, i - 1), kind_at(document, i + 1)}
    if document[i] in "'\u2019":
        return around == {"letter"}
    return document[i] in ".," and around == {"digit"}


def kind_at(document: str, i: int) -> str:
    if not 0 <= i < len(document):
        return ""
    category = unicodedata.category(document[i])[0]
    if category in "LM":
        return "letter"
    return "digit" if category == "N" else "underscore" if document[i] == "_" else ""
