r"""Special tokens in grammars: tokens of no text, as byte strings that no text contains.

Idea. A grammar may name a token that stands for no text, by its name or by its id: `<|im_end|>`, `<[128009]>`. The
machine knows bytes only, so such a token is, inside it, a string with two bytes that UTF-8 never uses, its *spelling*:

    FF name FE id FF        the id in decimal digits

It lies in the vocabulary's tree at the end of its spelling, and a grammar that names it holds the regular language of
all spellings with that name, or that id. So masks, records, steps and files are those of any token. A name and an id of
the same token meet in one spelling, and nothing has to be resolved when a grammar meets a vocabulary. A token of
several names is spelled with the first; the others are refused where a grammar is compiled.

INVARIANT: the bytes FE and FF are in no text: not in a grammar's other languages, nor in the tree outside of spellings
(ordinary tokens that hold one are not in it), and what users hand over is cut at them. So a text that spells
`<|im_end|>` is never the special token, and a special token is never text.

Rejected: one spelling for each name and one for the id, as then two ways lead on from one token, and a step would have
to follow both; all names in one spelling, as then the automaton of k alternatives has to remember which of the k names
it has seen; names alone, as then ids could not be named before the vocabulary is known.

Source of the notation: llama.cpp grammars/README.md ("Tokens"); llguidance docs/syntax.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from .regular import ANY_TEXT, Bytes, Regular, Repeat, char_class, concatenation

__all__ = ["LEAST_MARK", "SpecialToken", "spelled", "text_part"]

# Bytes from this one on are in no text.
LEAST_MARK = 0xFE
_BEFORE_ID, _OPEN, _CLOSE = b"\xfe", b"\xff", b"\xff"
_MARK = re.compile(rb"[\xfe\xff]")


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A special token as a grammar names it: `key` is its name (str) or its id (int).

    text, offset : where that is, for errors.
    """

    key: str | int
    text: str | None = field(default=None, compare=False, repr=False)
    offset: int | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """How a text shows it."""
        return f"<[{self.key}]>" if isinstance(self.key, int) else self.key

    @property
    def language(self) -> Regular:
        """The spellings that a token of this name, or id, can have."""
        return _spellings(self.key)

    @property
    def spelling(self) -> bytes:
        """One that no token has, for reading texts where no vocabulary is known: the name has no id, the id no name."""
        name, id_ = ("", str(self.key)) if isinstance(self.key, int) else (self.key, "00")
        return _joined(name, id_)


def spelled(name: str, id_: int) -> bytes:
    """The spelling of a token with this name and id."""
    return _joined(name, str(id_))


def _joined(name: str, id_: str) -> bytes:
    return _OPEN + _encoded(name) + _BEFORE_ID + id_.encode() + _CLOSE


def text_part(data: bytes) -> int:
    """How many first bytes of what a user hands over can be text: up to a byte that marks spellings."""
    found = _MARK.search(data)
    return len(data) if found is None else found.start()


@lru_cache(maxsize=1024)
def _spellings(key: str | int) -> Regular:
    if isinstance(key, int):
        return concatenation(Bytes(_OPEN), ANY_TEXT, Bytes(_BEFORE_ID + str(key).encode() + _CLOSE))
    digits = Repeat(char_class([(0x30, 0x39)]), 1, None)
    return concatenation(Bytes(_OPEN + _encoded(key) + _BEFORE_ID), digits, Bytes(_CLOSE))


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")  # a lone surrogate has no UTF-8
