"""Texts that are spans of a document: what may be quoted of it, word by word and to the letter.

A document is cut into *units*, and a span is a row of neighbouring ones that begins and ends with one that is no gap:

    char    every code point is a unit; there are no gaps
    word    a word is a run of letters, marks, digits and underscores, with an apostrophe between two letters and a
            point or comma between two digits (as UAX #29 has it in WB6, WB7, WB11 and WB12); any other character that
            is no white space is a unit by itself; runs of white space (as str.isspace has it) are gaps
    line    a run of characters other than CR and LF; runs of these are gaps, so a span ends before its last line does,
            and what is between its lines, blank ones included, is as it is in the document

A script that is written without spaces has whole sentences for words: by="char" is better for it. Several documents
have no span in common. automata/factors.py makes the automaton.

Cost: cutting a document of 1 MB takes 30 to 100 ms.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..automata.acyclic import Strings, minimal_automaton
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, UnsatisfiableError
from ..automata.factors import factor_automaton
from ..automata.sparse_dfa import SparseDfa
from .choices import Choices, Recipe, too_large

__all__ = ["BOUNDARIES", "Boundary", "span_automaton", "spans_recipe"]

Boundary = Literal["char", "word", "line"]
BOUNDARIES: tuple[Boundary, ...] = ("char", "word", "line")
_SPACE, _WORD, _MARK, _BREAK = range(4)
_APOSTROPHES = "'\u2019"
_POINTS = ".,"


def span_automaton(documents: Sequence[str], by: Boundary, *, accepts_empty: bool) -> SparseDfa:
    """The automaton of the spans of some documents. Raises GrammarError for a surrogate, UnsatisfiableError if there is
    nothing to quote, ValueError for another `by`."""
    if by not in BOUNDARIES:
        raise ValueError(f"spans are by {', '.join(BOUNDARIES)}, not by {by!r}")
    for n, document in enumerate(documents):
        if not isinstance(document, str):
            raise GrammarError(f"document {n} is not str, but {type(document).__name__}: {document!r:.80}")
        try:
            document.encode()
        except UnicodeEncodeError as error:
            which = f"document {n}" if len(documents) > 1 else "the document"
            message = f"{which} has a surrogate (U+{ord(document[error.start]):04X}), which UTF-8 cannot write"
            raise GrammarError(message, text=document, offset=error.start) from None
    if not documents:
        if accepts_empty:
            return minimal_automaton(Strings.of([""]))
        raise UnsatisfiableError("there are no documents")
    # A character between two documents ends what is before it; it becomes a break.
    points = np.frombuffer("\n".join(documents).encode("utf-32-le"), np.uint32)
    lengths = np.cumsum([len(document) + 1 for document in documents])
    breaks = (lengths - 1)[:-1]
    units, kinds = _units(points, breaks, by)
    if not (kinds == 0).any():
        if accepts_empty:
            return minimal_automaton(Strings.of([""]))
        raise UnsatisfiableError(f"a span from {by} to {by} of this document does not exist: it has none")
    return factor_automaton(units, kinds, accepts_empty=accepts_empty)


def spans_recipe(documents: list[str], leaf: ByteDfa | Choices, by: Boundary, *, allow_empty: bool) -> Recipe:
    """What tells how to make the grammar of spans again."""
    if isinstance(leaf, Choices):
        return too_large(leaf)
    recipe = {"kind": "substring", "documents": documents, "by": by, "allow_empty": allow_empty}
    return lambda: recipe


def _units(points: np.ndarray, breaks: np.ndarray, by: Boundary) -> tuple[Strings, np.ndarray]:
    """The units of code points and their kinds, as factor_automaton takes them.

    breaks : the places of code points that are between documents.
    """
    classes = _classes(points, by)
    classes[breaks] = _BREAK
    begins = np.ones(len(points), bool)
    begins[1:] = (classes[1:] != classes[:-1]) | (classes[1:] >= _MARK)
    starts = np.flatnonzero(begins)
    kinds = np.array([1, 0, 0, 2], np.uint8)[classes[starts]]
    # Gaps at the beginning and at the end of a document are no part of any span.
    outer = np.concatenate(([2], kinds[:-1])) == 2
    outer |= np.concatenate((kinds[1:], [2])) == 2
    kept = ~(outer & (kinds == 1))
    # What is left out at a break is at its side: the units that are kept are not neighbours in the bytes.
    widths = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    places = np.concatenate(([0], np.cumsum(widths)))
    data = np.frombuffer(points.astype("<u4").tobytes().decode("utf-32-le").encode(), np.uint8)
    bounds = places[np.append(starts, len(points))]
    if kept.all():
        return Strings(data, bounds), kinds
    lengths = np.diff(bounds)[kept]
    closed = np.concatenate(([0], np.cumsum(lengths)))
    chosen = np.repeat(kept, np.diff(bounds))
    return Strings(data[chosen], closed), kinds[kept]


def _classes(points: np.ndarray, by: Boundary) -> np.ndarray:
    """uint8[n]: the class of each code point. Runs of one below _MARK are one unit, each other one is a unit."""
    if by == "char":
        return np.full(len(points), _MARK, np.uint8)
    if by == "line":
        return np.where((points == 10) | (points == 13), _SPACE, _WORD).astype(np.uint8)
    different, which = np.unique(points, return_inverse=True)
    characters = [chr(point) for point in different.tolist()]
    categories = [unicodedata.category(character) for character in characters]
    letter = np.array([category[0] in "LM" for category in categories], bool)[which]
    digit = np.array([category[0] == "N" for category in categories], bool)[which]
    space = np.array([character.isspace() for character in characters], bool)[which]
    word = letter | digit | (points == ord("_"))
    for joint, beside in ((_APOSTROPHES, letter), (_POINTS, digit)):
        inner = np.isin(points[1:-1], [ord(character) for character in joint])
        word[1:-1] |= inner & beside[:-2] & beside[2:]
    return np.select([space, word], [_SPACE, _WORD], _MARK).astype(np.uint8)
