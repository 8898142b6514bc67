"""Texts cut into tokens as the model would write them.

The tokenizer decides where one is known and what it says spells the text (one that adds a space in front, or leaves out
what it cannot read, does not); else each token is the longest that the vocabulary has, which is nearly what byte-pair
encoding does. It is for drafts, so a wrong cut costs time and nothing else.

A word is another token behind a space than behind a quotation mark; `unspaced` tells which are the same word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..automata.vocabulary import Vocabulary

__all__ = ["cutter_of", "unspaced", "unspaced_of"]

_KEPT = 4096  # texts remembered

_longest_first: WeakKeyDictionary[Vocabulary, tuple[dict[bytes, int], int]] = WeakKeyDictionary()
_unspaced: WeakKeyDictionary[Vocabulary, npt.NDArray[np.int32]] = WeakKeyDictionary()


def cutter_of(vocabulary: Vocabulary, encode: Callable[[str], list[int]] | None) -> Callable[[bytes], list[int]]:
    """bytes -> ids whose texts are those bytes: the tokenizer's where it says so, else the longest that there are."""
    known: dict[bytes, list[int]] = {}

    def cut(text: bytes) -> list[int]:
        ids = known.get(text)
        if ids is None:
            ids = _encoded(vocabulary, encode, text)
            if len(known) >= _KEPT:
                known.clear()
            known[text] = ids
        return ids

    return cut


def _encoded(vocabulary: Vocabulary, encode: Callable[[str], list[int]] | None, text: bytes) -> list[int]:
    if encode is not None:
        tokens = vocabulary.tokens
        try:
            given = encode(text.decode())
        except UnicodeDecodeError:
            given = []
        ids = [i for i in given if 0 <= i < len(tokens) and tokens[i]]  # what frames or pads a text spells nothing
        if b"".join(tokens[i] for i in ids) == text:
            return ids
    if vocabulary not in _longest_first:
        by_text = {data: i for i, data in reversed(list(enumerate(vocabulary.tokens))) if data}
        _longest_first[vocabulary] = by_text, max(map(len, by_text), default=0)
    by_text, longest = _longest_first[vocabulary]
    found, at = [], 0
    while at < len(text):
        length = next((n for n in range(min(longest, len(text) - at), 0, -1) if text[at : at + n] in by_text), 0)
        if not length:
            break
        found.append(by_text[text[at : at + length]])
        at += length
    return found


def unspaced(texts: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """int32[tokens]: for each token the one that spells the same without a space in front; itself where there is none.

    texts : the bytes of each token. 50 ms for 128,256 of them.
    """
    by_text = {data: i for i, data in reversed(list(enumerate(texts))) if data}
    words = ((data[1:] if data[:1] == b" " else data, i) for i, data in enumerate(texts))
    return np.array([by_text.get(word, i) for word, i in words], np.int32)


def unspaced_of(vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    """The same of a vocabulary's tokens; made once."""
    if vocabulary not in _unspaced:
        _unspaced[vocabulary] = unspaced(vocabulary.tokens)
    return _unspaced[vocabulary]
