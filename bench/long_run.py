"""Whether a process that compiles one schema after another slows down or grows: MaskBench's files, one process.

    python bench/long_run.py --data maskbench.jsonl.gz --tokens llama3.tiktoken

Every schema is compiled, all its instances are decoded with a mask before each token, and all of it is dropped again.
For each thousand schemas: first masks and masks (us), the bytes that the vocabulary's tables hold, and the most memory
that the process has had. The times of different schemas differ, so the first thousand are run once more at the end: as
fast as at the beginning, if nothing has been left behind.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np

import bridle
from bridle.automata.shared_stores import store_for
from corpus import read_rows, text_of
from engines import Bridle, Tokens, llama3, tekken

PART = 1000


def run_part(engine: Bridle, rows: list[dict[str, Any]], tokens: Tokens) -> tuple[list[float], list[float]]:
    """Times to first masks, and of masks, in us."""
    first, masks = [], []
    for row in rows:
        try:
            began = time.perf_counter()
            grammar = engine.compile(row["schema"])
            engine.begin(grammar)
            engine.fill()
            first.append((time.perf_counter() - began) * 1e6)
        except engine.refusals:
            continue
        for test in row["tests"]:
            along(engine, grammar, tokens.cut(text_of(test)), masks)
    return first, masks


def along(engine: Bridle, grammar: Any, cut: list[int], masks: list[float]) -> None:
    engine.begin(grammar)
    try:
        for token in cut:
            began = time.perf_counter()
            engine.fill()
            accepted = engine.accept(token)
            masks.append((time.perf_counter() - began) * 1e6)
            if not accepted:
                return
    except engine.refusals:  # a budget that is met in the middle of a text
        return


def tell(name: str, engine: Bridle, times: tuple[list[float], list[float]]) -> None:
    first, masks = map(np.array, times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tables = store_for(engine.vocabulary).nbytes / 2**20
    print(
        f"| {name} | {len(first):,} | {first.mean():,.0f} | {np.median(first):,.0f} | {len(masks):,} "
        f"| {masks.mean():.1f} | {np.percentile(masks, 99):.0f} | {tables:,.0f} | {peak:,.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--tokens", help="a tiktoken file of Llama 3")
    options = parser.parse_args()
    tokens = llama3(options.tokens) if options.tokens else tekken()
    rows = read_rows(options.data)
    engine = Bridle(tokens)
    print(f"{tokens.name}, {len(rows):,} schemas, bridle {bridle.__version__}\n")
    print("| schemas | compiled | TTFM mean | TTFM p50 | masks | TBM mean | TBM p99 | tables, MB | peak, MB |")
    print("| --- |" + " --: |" * 8)
    tell("0", engine, ([0.0], [0.0]))
    for begin in range(0, len(rows), PART):
        part = rows[begin : begin + PART]
        tell(f"{begin + 1:,} to {begin + len(part):,}", engine, run_part(engine, part, tokens))
    tell(f"1 to {PART:,} again", engine, run_part(engine, rows[:PART], tokens))


if __name__ == "__main__":
    main()
