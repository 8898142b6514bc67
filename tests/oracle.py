"""Comparing the engine with the naive oracle: the same masks, the same accepted bytes, at every place of a text."""

from __future__ import annotations

import numpy as np

import bridle
import naive


def vocabulary_of(tokens: list[bytes]) -> bridle.Vocabulary:
    """A vocabulary of these tokens and, as the last id, a stop token."""
    return bridle.Vocabulary([*tokens, b""], stop_token_ids=len(tokens))


def allowed_tokens(matcher: bridle.Matcher, bitmask: np.ndarray | None = None) -> set[int]:
    """The ids that the engine's mask allows."""
    if bitmask is None:
        bitmask = bridle.allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask)
    return set(np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")).tolist())


def compare(compiled: bridle.Compiled, oracle: naive.Naive, text: bytes, most: int = 48) -> int:
    """Feeds a text byte by byte, comparing masks and verdicts until the first byte that is refused; masks compared."""
    vocabulary = compiled.vocabulary
    tokens = list(vocabulary.tokens)
    matcher = bridle.Matcher(compiled)
    bitmask = bridle.allocate_token_bitmask(1, vocabulary.size)
    for i in range(min(len(text), most) + 1):
        got = allowed_tokens(matcher, bitmask)
        want = naive.mask(oracle, text[:i], tokens, list(vocabulary.stop_token_ids))
        assert got == want, (
            f"after {text[:i]!r}: the mask allows {[tokens[k] for k in sorted(got - want)]} too many"
            f" and {[tokens[k] for k in sorted(want - got)]} too few"
        )
        assert matcher.is_accepting() == oracle.accepts(text[:i])
        if i == len(text) or i == most:
            return i + 1
        accepted = matcher.accept_bytes(text[i : i + 1])
        assert accepted == oracle.is_prefix(text[: i + 1]), text[: i + 1]
        if not accepted:
            return i + 1
    return 0
