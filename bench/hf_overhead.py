"""What masks add to a token of `model.generate` on a CPU: serial and overlapped, beside unconstrained decoding.

    python bench/hf_overhead.py [--tokens-file llama3.tiktoken] [--rounds 5] [--threads 1]

For the model in the box and a random Llama of 100 million parameters with 128,256 tokens, batches of 1, 8 and 32.
"New" is with a grammar of which no mask was made before, "again" with one that has decoded the same texts. Cells are
the microseconds of a step that the generating thread's processor spends on masks (the median step, the mean step) and
the mean's share of an unconstrained step. That time is measured where it is spent, since what else a machine does moves
whole steps by more. `--clock` shows by how much whole steps are longer than unconstrained ones instead, which counts
waiting for the worker and for the interpreter, too: for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch

import bridle
from bridle.integrations import hf
from decoding import (
    HUNDRED_MILLION,
    OVERLAPPED,
    SCHEMA,
    SERIAL,
    UNCONSTRAINED,
    Steps,
    random_llama,
    timed_steps,
    vocabulary_and_tokens,
)

WAYS = [f"{way.name}, {state}" for state in ("new", "again") for way in (SERIAL, OVERLAPPED)]
BATCHES = {1: 64, 8: 32, 32: 16}  # rows: tokens of each


def box() -> tuple[Any, Any]:
    """The model in the box and its vocabulary; it ends no text of itself here."""
    model, tokenizer = hf.load()
    vocabulary = hf.vocabulary_of(model, tokenizer)
    model.generation_config.eos_token_id = None
    return model, vocabulary


def hundred_million(file: Path | None) -> tuple[Any, Any]:
    size = 128_256
    return random_llama(HUNDRED_MILLION, size, "cpu", torch.float32), vocabulary_and_tokens(size, file)[0]


def steps(model: Any, vocabulary: Any, batch: int, rounds: int) -> dict[str, Steps]:
    """The steps of each way, all rounds together."""
    found: dict[str, Steps] = {}

    def run(name: str, way: Any, compiled: Any, seed: int) -> None:
        known = found.setdefault(name, Steps([], []))
        new = timed_steps(model, way, compiled, batch, BATCHES[batch], seed)
        known.whole.extend(new.whole)
        known.masking.extend(new.masking)

    timed_steps(model, SERIAL, compiled_anew(vocabulary), batch, 4)
    for seed in range(rounds):
        run("unconstrained", UNCONSTRAINED, None, seed)
        for way in (SERIAL, OVERLAPPED) if seed % 2 else (OVERLAPPED, SERIAL):
            compiled = compiled_anew(vocabulary)
            run(f"{way.name}, new", way, compiled, seed)
            run(f"{way.name}, again", way, compiled, seed)
    return found


def compiled_anew(vocabulary: Any) -> Any:
    return bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)


def show(name: str, batch: int, found: dict[str, Steps], *, clock: bool) -> None:
    plain = found["unconstrained"].whole
    cells = []
    for way in WAYS:
        middle, mean = (
            summary(found[way].whole) - summary(plain) if clock else summary(found[way].masking)
            for summary in (statistics.median, statistics.fmean)
        )
        cells.append(f"{1e6 * middle:>7,.0f} {1e6 * mean:>7,.0f} {100 * mean / statistics.median(plain):>5.1f}%")
    print(f"{name:<6} {batch:>5} {1e3 * statistics.median(plain):>9.2f}   " + "   ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens-file", type=Path, help="Llama-3's tokens; without it, a made-up vocabulary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch; the worker wants a processor of its own")
    parser.add_argument("--clock", action="store_true", help="compare whole steps by the clock")
    parser.add_argument("--models", nargs="*", default=["box", "100M"], choices=["box", "100M"])
    parser.add_argument("--batches", nargs="*", type=int, default=list(BATCHES), choices=list(BATCHES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'model':<6} {'batch':>5} {'step, ms':>9}   " + "   ".join(f"{way:>22}" for way in WAYS))
    for name in options.models:
        model, vocabulary = box() if name == "box" else hundred_million(options.tokens_file)
        for batch in options.batches:
            show(name, batch, steps(model, vocabulary, batch, options.rounds), clock=options.clock)


if __name__ == "__main__":
    main()
