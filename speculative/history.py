"""Sources that copy: from earlier answers, from the text itself, from documents.

    TrieSource        what is frequent: Lookahead's trie over the prompt and the output, and one over all outputs
    SuffixSource      the longest repetition: where the end of the text has stood before, what followed it
    ReferenceSource   the same in documents that the caller gives (LLMA, Yang et al. 2023)

A match of many tokens is trusted further: as SuffixDecoding (Oliaro et al. 2024) does, it is followed for as many
tokens as it is long, and some more. Where a token stands in several tries or texts, the best of its scores counts.

Cost: a suffix is sought by a scan of the whole text, 1 ns a token (no index to keep, exact for any length); a document
of 100,000 tokens takes 50 us a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..automata.kernel import compile_all
from .draft_kernels import longest_matches
from .draft_tree import NO_DRAFT, DraftTree, joined
from .frequency_trie import FrequencyTrie
from .sources import DraftContext, Request

__all__ = ["ReferenceSource", "SuffixSource", "TrieSource"]

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
        trees = [trie.draft(context.tokens, budget) for trie in (self._own, self._outputs)]
        trees = [tree for tree in trees if len(tree)]
        return joined(trees) if len(trees) > 1 else trees[0] if trees else NO_DRAFT

    def observe(self, tokens: Sequence[int]) -> None:
        array = np.array(tokens, np.int32)
        self._own.extend(self._own_at, array)
        self._outputs.extend(self._at, array)

    def end(self) -> None:
        """Nothing: the outputs' trie has counted the text as it came, and the text's own goes with the stream."""


class SuffixSource:
    """Drafts what followed where the end of the text has stood before, in prompt or output.

    longest : tokens that a match is compared for; shortest : what is no match below it. branches : matches that are
    followed. most : tokens that one is followed for.
    """

    name = "suffix"

    def __init__(self, longest: int = 64, shortest: int = 1, branches: int = 4, most: int = 32) -> None:
        self._copying = _Copying(longest, shortest, branches, most)

    def begin(self, request: Request) -> _SuffixStream:
        return _SuffixStream(self._copying)


class _SuffixStream:
    def __init__(self, copying: _Copying) -> None:
        self._copying = copying

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        text = context.tokens
        return self._copying.draft(text, text, len(text) - 1, budget)

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
        branches: int = 4,
        most: int = 32,
    ) -> None:
        self._documents = list(documents)
        self._copying = _Copying(longest, shortest, branches, most)

    def begin(self, request: Request) -> _ReferenceStream:
        parts: list[int] = []
        for document in self._documents:
            if isinstance(document, str):
                if request.encode is None:
                    raise ValueError("a reference that is text needs a tokenizer; give its token ids, or the tokenizer")
                document = request.encode(document)
            parts += [*document, _BETWEEN]
        return _ReferenceStream(self._copying, np.array(parts, np.int32))


_BETWEEN = -1  # between documents: no token


class _ReferenceStream:
    def __init__(self, copying: _Copying, text: Ints) -> None:
        self._copying, self._text = copying, text

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        return self._copying.draft(context.tokens, self._text, len(self._text), budget)

    def observe(self, tokens: Sequence[int]) -> None:
        """Nothing: the context has the whole text."""

    def end(self) -> None:
        """The documents stay with the source."""


class _Copying:
    """How matches become drafts; see SuffixSource for the arguments."""

    def __init__(self, longest: int, shortest: int, branches: int, most: int) -> None:
        if min(longest, shortest, branches, most) < 1 or shortest > longest:
            raise ValueError(
                "longest, shortest, branches and most are at least 1, and shortest is at most longest; "
                f"not {longest}, {shortest}, {branches}, {most}"
            )
        self._longest, self._shortest, self._branches, self._most = longest, shortest, branches, most

    def draft(self, tail: Ints, text: Ints, end: int, budget: int) -> DraftTree:
        compile_all()
        places, lengths = np.empty(self._branches, np.int64), np.empty(self._branches, np.int64)
        start = max(0, len(tail) - self._longest)
        found = int(longest_matches(tail[start:], text, end, self._longest, places, lengths))
        tokens: list[int] = []
        parent: list[int] = []
        score: list[float] = []
        share = 1.0
        for at, length in zip(places[:found].tolist(), lengths[:found].tolist(), strict=True):
            if length < self._shortest:
                break
            run = text[at : at + min(self._most, 2 * length + 8, budget - len(tokens))].tolist()
            for depth, token in enumerate(run):
                if token == _BETWEEN:
                    break
                parent.append(len(tokens) - 1 if depth else -1)
                tokens.append(token)
                sure = 1 - 1.3 * 0.5 ** (length + depth)
                score.append(sure if depth else sure * share)
            share *= 0.5
        return DraftTree.of(tokens, parent, score) if tokens else NO_DRAFT
