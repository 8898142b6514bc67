"""Sources that copy: from earlier answers, from the text itself, from documents.

    TrieSource        what is frequent: Lookahead's trie over the prompt and the output, and one over all outputs
    SuffixSource      the longest repetition: where the end of the text has stood before, what followed it
    ReferenceSource   the same in documents that the caller gives (LLMA, Yang et al. 2023)

Matches of several lengths are weighed as prediction by partial matching does (Cleary and Witten 1984): the longest is
trusted most, what it leaves is shared by shorter ones; and the longer a match, the further it is followed, as in
SuffixDecoding (Oliaro et al. 2024). Where a token stands in several tries or texts, the best of its scores counts.

What is quoted begins with a word that the document has behind a space, and the quote behind a quotation mark: other
tokens, ` The` and `The`. So matches are sought as if words had no space in front, where it is known how tokens are
spelled; what is drafted is what stands there.

Cost: a suffix is sought by a scan of the whole text, 1 ns a token (no index to keep, exact for any length); a document
of 100,000 tokens takes 50 us a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..automata.kernel import compile_all
from .draft_kernels import BETWEEN, follow_matches, longest_matches, without_spaces
from .draft_tree import NO_DRAFT, DraftTree
from .frequency_trie import FrequencyTrie, drafted
from .sources import DraftContext, Request

__all__ = ["ReferenceSource", "SuffixSource", "TrieSource"]

_PLACES = 64  # where a text is followed at once

Ints = npt.NDArray[np.int32]


class TrieSource:
    """Drafts from n-grams of this text, prompt included, and of all outputs before it.

    depth : tokens of the longest n-gram. capacity : nodes of the trie of outputs, which evicts.
    outputs : the trie of outputs to begin with, or to share; it learns from texts while they are generated.
    """

    name = "trie"

    def __init__(self, depth: int = 12, capacity: int = 1 << 20, outputs: FrequencyTrie | None = None) -> None:
        self.outputs = FrequencyTrie(depth, capacity) if outputs is None else outputs

    def begin(self, request: Request) -> _TrieStream:
        return _TrieStream(self.outputs, request.prompt)

    def learn(self, tokens: Sequence[int]) -> None:
        """Counts a text as if it had been generated, to warm the trie up."""
        self.outputs.add(np.array(tokens, np.int32))


class _TrieStream:
    def __init__(self, outputs: FrequencyTrie, prompt: Ints) -> None:
        self._outputs, self._at = outputs, outputs.begin()
        self._own = FrequencyTrie(outputs.depth, 1 << 30)
        self._own_at = self._own.begin()
        self._own.extend(self._own_at, prompt)

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        half = budget // 2
        return drafted([(self._own, budget - half), (self._outputs, half)], context.tokens)

    def observe(self, tokens: Sequence[int]) -> None:
        array = np.array(tokens, np.int32)
        self._own.extend(self._own_at, array)
        self._outputs.extend(self._at, array)

    def end(self) -> None:
        """Nothing: the outputs' trie has counted the text as it came, and the text's own goes with the stream."""


class SuffixSource:
    """Drafts what followed where the end of the text has stood before, in prompt or output.

    longest : tokens that a match is compared for; shortest : what is no match below it. branches : matches that are
    followed, beyond their next token. most : tokens that one is followed for.
    """

    name = "suffix"

    def __init__(self, longest: int = 64, shortest: int = 1, branches: int = 2, most: int = 32) -> None:
        self._copying = _Copying(longest, shortest, branches, most)

    def begin(self, request: Request) -> _SuffixStream:
        return _SuffixStream(self._copying, request.unspaced)


class _SuffixStream:
    def __init__(self, copying: _Copying, unspaced: Ints | None) -> None:
        self._copying, self._words = copying, _Words(unspaced)

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        words = self._words.of(context.tokens)
        return self._copying.draft(words, words, len(words) - 1, context.tokens, budget)

    def observe(self, tokens: Sequence[int]) -> None:
        """Nothing: the context has the whole text."""

    def end(self) -> None:
        """Nothing is kept."""


class ReferenceSource:
    """Drafts spans of documents: what follows there on the end of the text.

    documents : token ids of each, or texts if the request has an `encode`. Other arguments as of SuffixSource.
    """

    name = "reference"

    def __init__(
        self,
        documents: Sequence[str | Sequence[int]],
        longest: int = 64,
        shortest: int = 1,
        branches: int = 2,
        most: int = 32,
    ) -> None:
        self._documents = list(documents)
        self._cut: tuple[Any, Ints] | None = None  # the documents one after the other, as an `encode` cuts them
        self._copying = _Copying(longest, shortest, branches, most)

    def begin(self, request: Request) -> _ReferenceStream:
        if self._cut is None or self._cut[0] != request.encode:
            self._cut = request.encode, self._tokens(request)
        return _ReferenceStream(self._copying, self._cut[1], request.unspaced)

    def _tokens(self, request: Request) -> Ints:
        parts: list[int] = []
        for document in self._documents:
            if isinstance(document, str):
                if request.encode is None:
                    raise ValueError("a reference that is text needs a tokenizer; give its token ids, or the tokenizer")
                document = request.encode(document)
            parts += [*document, BETWEEN]
        return np.array(parts, np.int32)


class _ReferenceStream:
    def __init__(self, copying: _Copying, text: Ints, unspaced: Ints | None) -> None:
        self._copying, self._text = copying, text
        self._text_words, self._words = _Words(unspaced).of(text), _Words(unspaced)

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        tail = self._words.of(context.tokens)
        return self._copying.draft(tail, self._text_words, len(self._text), self._text, budget)

    def observe(self, tokens: Sequence[int]) -> None:
        """Nothing: the context has the whole text."""

    def end(self) -> None:
        """The documents stay with the source."""


class _Words:
    """A text that grows, as matches see it: each word without the space in front of it.

    unspaced : as Request has it; None: as it is.
    """

    def __init__(self, unspaced: Ints | None) -> None:
        self._unspaced, self._seen, self._n = unspaced, np.empty(0, np.int32), 0

    def of(self, text: Ints) -> Ints:
        """int32[n] for int32[n] whose beginning is what was asked for last."""
        if self._unspaced is None:
            return text
        n = len(text)
        if n > len(self._seen):
            self._seen = np.concatenate([self._seen[: self._n], np.empty(2 * n - self._n, np.int32)])
        compile_all()
        without_spaces(text, self._unspaced, self._n, self._seen)
        self._n = n
        return self._seen[:n]


class _Copying:
    """How matches become drafts; see SuffixSource for the arguments."""

    def __init__(self, longest: int, shortest: int, branches: int, most: int) -> None:
        if min(longest, shortest, branches, most) < 1 or shortest > longest:
            raise ValueError(
                "longest, shortest, branches and most are at least 1, and shortest is at most longest; "
                f"not {longest}, {shortest}, {branches}, {most}"
            )
        self._longest, self._shortest, self._branches, self._most = longest, shortest, branches, most
        self._places, self._lengths = np.empty(_PLACES, np.int64), np.empty(_PLACES, np.int64)

    def draft(self, tail: Ints, words: Ints, end: int, text: Ints, budget: int) -> DraftTree:
        """What follows in a text where the end of `tail` stands in words[:end], which is the same text as words."""
        compile_all()
        places, lengths = self._places, self._lengths
        found = int(longest_matches(tail[-self._longest :], words, end, self._longest, places, lengths))
        while found and lengths[found - 1] < self._shortest:
            found -= 1
        if not found:
            return NO_DRAFT
        tokens, parent = np.empty(budget, np.int32), np.empty(budget, np.int32)
        score = np.empty(budget, np.float32)
        followed = places[:found], lengths[:found], self._branches, self._most
        n = int(follow_matches(text, *followed, tokens, parent, score))
        return DraftTree(tokens[:n], parent[:n], score[:n], np.zeros(n, np.int8))
