"""A model and a grammar so small that the target distribution is known: every sentence and its probability.

Six tokens of text, a stop token and an id that nothing has; the logits behind a prefix are a row of a random table,
chosen by a hash of the whole prefix, so what the model says depends on all that was written. The grammar is that of
nested pairs, and a text can be cut into tokens in several ways ("ab" is one token or two). The sentences are found
without the engine: from the grammar's definition, and all ways to cut each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

import bridle

TOKENS = (b"a", b"b", b"ab", b"(", b")", b",")
STOP, SIZE = 6, 8
GRAMMAR = """
root ::= "(" item ")" | "(" item "," item ")"
item ::= root | word
word ::= "a" | "b" | "ab" | "aba"
"""
WORDS = ("a", "b", "ab", "aba")
BUDGET = 10  # tokens, the stop token included
PROMPT = (3, 1)
_ROWS = 65_521
_LEANING = np.array([0.0, 0.0, 0.0, 1.0, 1.5, 1.5, 1.0, 0.0])  # towards what holds long sentences together


class TableModel:
    """logits(prefixes) -> float64[n, 8]; `forwards` counts prefixes."""

    def __init__(self, seed: int = 4, spread: float = 1.0) -> None:
        self.table = np.random.default_rng(seed).normal(scale=spread, size=(_ROWS, SIZE)) + _LEANING
        self.forwards = 0

    def __call__(self, prefixes: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        self.forwards += len(prefixes)
        rows = np.zeros(len(prefixes), np.int64)
        for column in np.asarray(prefixes, np.int64).reshape(len(prefixes), -1).T:
            rows = (rows * 31 + column + 1) % _ROWS
        return self.table[rows]

    def log_prob(self, ids: Sequence[int], temperature: float = 1.0) -> float:
        """Of a whole generated sequence, by its definition."""
        total = 0.0
        for length, token in enumerate(ids):
            logits = self([[*PROMPT, *ids[:length]]])[0] / temperature
            total += logits[token] - np.logaddexp.reduce(logits)
        return float(total)


def compiled() -> bridle.Compiled:
    vocabulary = bridle.Vocabulary(list(TOKENS), stop_token_ids=[STOP], size=SIZE)
    return bridle.compile(bridle.Grammar.from_ebnf(GRAMMAR), vocabulary)


@cache
def texts(longest: int) -> frozenset[str]:
    """The sentences of at most `longest` characters."""
    if longest < 3:
        return frozenset()
    items = [*texts(longest - 2), *(word for word in WORDS if len(word) <= longest - 2)]
    pairs = {f"({one},{other})" for one in items for other in items if len(one) + len(other) + 3 <= longest}
    return frozenset({f"({item})" for item in items} | pairs)


@cache
def sentences(budget: int = BUDGET) -> tuple[tuple[int, ...], ...]:
    """Every token sequence that counts, the stop token included."""
    found = []
    for text in sorted(texts(2 * (budget - 1))):
        found += [(*cut, STOP) for cut in _cuts(text.encode()) if len(cut) < budget]
    return tuple(sorted(found))


def _cuts(text: bytes) -> list[tuple[int, ...]]:
    if not text:
        return [()]
    return [
        (token, *rest)
        for token, data in enumerate(TOKENS)
        if text.startswith(data)
        for rest in _cuts(text[len(data) :])
    ]


def target(
    model: TableModel, budget: int = BUDGET, temperature: float = 1.0
) -> tuple[dict[tuple[int, ...], float], float]:
    """(the probability of each sentence given that one is written, the logarithm of Z)."""
    logs = {ids: model.log_prob(ids, temperature) for ids in sentences(budget)}
    log_z = float(np.logaddexp.reduce(list(logs.values())))
    return {ids: float(np.exp(log - log_z)) for ids, log in logs.items()}, log_z


def total_variation(one: dict[tuple[int, ...], float], other: dict[tuple[int, ...], float]) -> float:
    return 0.5 * sum(abs(one.get(ids, 0.0) - other.get(ids, 0.0)) for ids in {*one, *other})


def frequencies(samples: Sequence[bridle.sampler.Sample]) -> dict[tuple[int, ...], float]:
    """How often each sequence was drawn, as a share."""
    counts: dict[tuple[int, ...], int] = {}
    for sample in samples:
        counts[tuple(sample.token_ids)] = counts.get(tuple(sample.token_ids), 0) + 1
    return {ids: count / len(samples) for ids, count in counts.items()}


def noise_floor(expected: dict[tuple[int, ...], float], n: int, repetitions: int = 200) -> float:
    """The mean total variation between the target and the frequencies of n samples that follow it exactly."""
    p = np.array(list(expected.values()))
    counts = np.random.default_rng(0).multinomial(n, p / p.sum(), size=repetitions)
    return float(0.5 * np.abs(counts / n - p).sum(axis=1).mean())


def asap_distribution(adaptive: bridle.sampler.Adaptive, *, normalised: bool = True) -> dict[tuple[int, ...], float]:
    """What ASAp's next attempt comes to, read off its trie: a sentence's probability, given that it comes to one."""
    found: dict[tuple[int, ...], float] = {}
    level = [(adaptive.tree.root, 1.0)]
    while level:
        weights = adaptive.tree.evaluate([prefix for prefix, _ in level])
        following = []
        for (prefix, reached), row in zip(level, weights, strict=True):
            for token, child in prefix.children.items():
                row[token] += child.log_theta
            for token, share in enumerate(row.softmax(0).nan_to_num(0.0).tolist()):
                if share > 0:
                    child = prefix.children.get(token) or prefix.child(token)
                    following.append((child, reached * share))
        found |= {prefix.ids: reached for prefix, reached in following if prefix.ended}
        level = [(prefix, reached) for prefix, reached in following if not prefix.ended]
    total = sum(found.values()) if normalised else 1.0
    return {ids: p / total for ids, p in found.items()}


def chi_square_p(samples: Sequence[bridle.sampler.Sample], expected: dict[tuple[int, ...], float]) -> float:
    """p of Pearson's test; sentences that are expected less than five times are one cell, the last."""
    n, counts = len(samples), frequencies(samples)
    assert set(counts) <= set(expected), "a sequence that does not count was drawn"
    cells = [(n * counts.get(ids, 0.0), n * p) for ids, p in expected.items() if n * p >= 5]
    cells.append((n - sum(seen for seen, _ in cells), n - sum(due for _, due in cells)))
    statistic = sum((seen - due) ** 2 / due for seen, due in cells if due > 1e-9)
    freedom = torch.tensor((len(cells) - 1) / 2, dtype=torch.double)
    return float(torch.special.gammaincc(freedom, torch.tensor(statistic / 2, dtype=torch.double)))
