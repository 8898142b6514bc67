"""Masks of whole batches: rows a millisecond for 1 to 512 texts, of one and of two threads, bridle beside its peers.

    python bench/batch_fill.py [--data maskbench.jsonl.gz --tokens llama3.tiktoken]

Each text of a batch is an instance of some schema, at a place of its own; every step fills the masks of all texts in
one call, which is timed, and then each text goes on by its next token, which is not. "First" is a batch whose grammars
nothing has been decoded with, "again" the same texts once more with the same compiled grammars. llguidance fills
through its LLExecutor, XGrammar through its BatchGrammarMatcher, each with as many threads.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from typing import Any

import numpy as np

from corpus import corpus, read_rows, text_of
from engines import Bridle, LLGuidance, Tokens, XGrammar, installed, llama3, tekken

SIZES = (1, 8, 32, 128, 512)
STEPS = 24


class BridleBatch(Bridle):
    def threads(self, threads: int) -> None:
        self.count = threads

    def start(self, grammar: Any) -> Any:
        return self.library.Matcher(grammar)

    def step(self, matcher: Any, token: int) -> bool:
        return matcher.accept_token(token)

    def fill_all(self, matchers: list[Any], bitmask: np.ndarray) -> None:
        self.library.fill_next_token_bitmasks(matchers, bitmask, threads=self.count)


class LLGuidanceBatch(LLGuidance):
    def threads(self, threads: int) -> None:
        self.executor = self.library.LLExecutor(num_threads=threads)

    def start(self, grammar: Any) -> Any:
        return grammar.deep_copy()

    def step(self, matcher: Any, token: int) -> bool:
        return matcher.consume_token(token)

    def fill_all(self, matchers: list[Any], bitmask: np.ndarray) -> None:
        write = self.library.numpy.fill_next_token_bitmask_par
        write(self.executor, list(zip(matchers, range(len(matchers)), strict=True)), bitmask)


class XGrammarBatch(XGrammar):
    def threads(self, threads: int) -> None:
        self.batch = self.library.BatchGrammarMatcher(max_threads=threads)

    def start(self, grammar: Any) -> Any:
        return self.library.GrammarMatcher(grammar)

    def step(self, matcher: Any, token: int) -> bool:
        return matcher.accept_token(token)

    def fill_all(self, matchers: list[Any], bitmask: np.ndarray) -> None:
        import torch

        self.batch.batch_fill_next_token_bitmask(matchers, torch.from_numpy(bitmask))


BATCHES = {"llguidance": LLGuidanceBatch, "bridle": BridleBatch, "xgrammar": XGrammarBatch}


def texts_of(rows: list[dict[str, Any]], tokens: Tokens) -> list[tuple[Any, list[int]]]:
    """(schema, tokens) of the valid instances that are long enough."""
    found = []
    for row in rows:
        for test in row["tests"]:
            cut = tokens.cut(text_of(test)) if test["valid"] else []
            if len(cut) > STEPS:
                found.append((row["schema"], cut))
    return found


def usable(engine: Any, texts: list[tuple[Any, list[int]]]) -> set[int]:
    """Which texts an engine compiles and accepts."""
    good = set()
    for i, (schema, cut) in enumerate(texts):
        try:
            matcher = engine.start(engine.compile(schema))
        except engine.refusals:
            continue
        if all(engine.step(matcher, token) for token in cut):
            good.add(i)
    return good


def rate(engine: Any, grammars: list[Any], texts: list[list[int]], size: int, words: int) -> float:
    """Rows a millisecond over the steps of one batch, whose texts begin at places of their own."""
    matchers, ways = [], []
    for i in range(size):
        cut = texts[i % len(texts)]
        begin = (7 * (i // len(texts))) % (len(cut) - STEPS)
        matcher = engine.start(grammars[i % len(texts)])
        for token in cut[:begin]:
            engine.step(matcher, token)
        matchers.append(matcher)
        ways.append(cut[begin:])
    bitmask = np.zeros((size, words), np.int32)
    spent = 0.0
    for step in range(STEPS):
        began = time.perf_counter()
        engine.fill_all(matchers, bitmask)
        spent += time.perf_counter() - began
        for matcher, way in zip(matchers, ways, strict=True):
            engine.step(matcher, way[step])
    return size * STEPS / spent / 1e3


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=sorted(BATCHES))
    parser.add_argument("--data")
    parser.add_argument("--tokens", help="a tiktoken file of Llama 3")
    parser.add_argument("--texts", type=int, default=64, help="how many different texts a batch is made of")
    options = parser.parse_args(arguments)
    tokens = llama3(options.tokens) if options.tokens else tekken()
    names = options.engine or [name for name in ("llguidance", "bridle", "xgrammar") if name in installed()]
    texts = texts_of(read_rows(options.data) if options.data else corpus(), tokens)
    engines = {name: BATCHES[name](tokens) for name in names}
    common = set.intersection(*(usable(engine, texts) for engine in engines.values()))
    chosen = [texts[i] for i in sorted(common)][: options.texts]
    print(f"{tokens.name}, {len(chosen)} texts, rows a millisecond ({os.cpu_count()} processors)\n", flush=True)
    head = ["engine", "threads", "", *map(str, SIZES)]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * 3 + " --: |" * len(SIZES))
    for (name, engine), threads in itertools.product(engines.items(), (1, 2)):
        engine.threads(threads)
        words = engine.mask.shape[1]
        lines: dict[str, list[str]] = {"first": [], "again": []}
        for size in SIZES:
            grammars = [engine.compile(json.loads(json.dumps(schema))) for schema, _ in chosen[:size]]
            for which in ("first", "again"):
                ways = [cut for _, cut in chosen[:size]]
                repeats = 1 if which == "first" else 5
                best = max(rate(engine, grammars, ways, size, words) for _ in range(repeats))
                lines[which].append(f"{best:,.0f}")
        for which, cells in lines.items():
            print("| " + " | ".join([name, str(threads), which, *cells]) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
