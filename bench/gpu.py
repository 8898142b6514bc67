"""All that needs a GPU, in one call of under eight minutes: the tests that are skipped elsewhere, then one table.

    python bench/gpu.py [--tokens-file llama3.tiktoken] [--seconds 420] [--no-tests]
    python bench/gpu.py --small                     # the same on a CPU, with a tiny model, in half a minute

Tokens a second of `model.generate` for random Llamas of 1B and 8B shapes (bfloat16, 128,256 tokens) and batches of 1,
16, 64 and 256: unconstrained; masks serial (made when logits are there, sent to the device, applied); overlapped
(made during the forward pass); the same with masks resident on the device; and XGrammar's own logits processor. In
parentheses, what is left of the unconstrained speed. Each way generates once to warm up, and masks are those of a
grammar that is in use; the median step of the second run counts. What there is no time left for is shown as "-".
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import bridle
from decoding import (
    EIGHT_BILLION,
    ONE_BILLION,
    OVERLAPPED,
    RESIDENT,
    SCHEMA,
    SERIAL,
    SMALL,
    UNCONSTRAINED,
    Shape,
    Way,
    random_llama,
    timed_steps,
    vocabulary_and_tokens,
    xgrammar_way,
)

SIZE = 128_256
TESTS = ["tests/test_device_masks.py", "tests/test_bitmask_apply.py", "tests/test_overlap.py"]


def run_tests(seconds: float) -> None:
    """The tests of masks on devices; their verdict is one line."""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    try:
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=seconds, check=False)
        print("tests:", run.stdout.strip().splitlines()[-1] if run.returncode == 0 else run.stdout[-4000:], flush=True)
    except subprocess.TimeoutExpired:
        print(f"tests: not done within {seconds:.0f} s", flush=True)


def speed(model: Any, way: Way, compiled: Any, batch: int, tokens: int) -> float:
    """Tokens a second, by the median step."""
    timed_steps(model, way, compiled, batch, tokens, seed=1)
    return batch / statistics.median(timed_steps(model, way, compiled, batch, tokens, seed=2).whole)


def row(model: Any, ways: list[Way | None], compiled: Any, batch: int, tokens: int, until: float) -> str:
    cells, plain = [], 0.0
    for way in ways:
        if way is None or time.monotonic() > until:
            cells.append(f"{'-':>18}")
            continue
        try:
            found = speed(model, way, compiled, batch, tokens)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            cells.append(f"{'no memory':>18}")
            continue
        plain = plain or found
        cells.append(f"{found:>9,.0f} ({100 * found / plain:>5.1f}%)")
    return "  ".join(cells)


def table(shapes: list[Shape], batches: list[int], device: str, tokens: int, file: Path | None, until: float) -> None:
    vocabulary, names, stop = vocabulary_and_tokens(SIZE, file)
    ways = [UNCONSTRAINED, SERIAL, OVERLAPPED, RESIDENT, xgrammar_way(names, stop, SIZE)]
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA), vocabulary)
    heads = [way.name if way is not None else "XGrammar" for way in ways]
    print(f"{'model':<6} {'batch':>5}  " + "  ".join(f"{head:>18}" for head in heads), flush=True)
    for shape in shapes:
        model = random_llama(shape, SIZE, device, torch.bfloat16 if device == "cuda" else torch.float32)
        for batch in batches:
            print(f"{shape.name:<6} {batch:>5}  {row(model, ways, compiled, batch, tokens, until)}", flush=True)
        del model
        if device == "cuda":
            torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens-file", type=Path, help="Llama-3's tokens; without it, a made-up vocabulary")
    parser.add_argument("--seconds", type=float, default=420, help="after which no further cell is begun")
    parser.add_argument("--small", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--no-tests", action="store_true")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    if not options.small and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here; --small runs the same on the CPU")
    print(torch.cuda.get_device_name() if not options.small else "CPU", "torch", torch.__version__, flush=True)
    if not options.no_tests:
        run_tests(min(180.0, options.seconds))
    if options.small:
        torch.set_num_threads(1)
        table([SMALL], [1, 4], "cpu", 12, options.tokens_file, until)
    else:
        table([ONE_BILLION, EIGHT_BILLION], [1, 16, 64, 256], "cuda", 48, options.tokens_file, until)


if __name__ == "__main__":
    main()
