"""Engines side by side on JSON schemas with labelled instances: what a mask costs, and whose verdicts are right.

    make bench                                                  # the committed corpus, every engine that is installed
    python bench/maskbench.py --family formats --repeat 3
    python bench/maskbench.py --data maskbench.jsonl.gz --tokens llama3.tiktoken --engine llguidance --engine bridle

TTFM (time to first mask) is the time to compile a schema, begin a text and fill the first mask; TBM (time between
masks) that to fill a mask and accept a token. Both in us. TBM is measured along the first instance of each schema:
cold, which is the first text ever that the schema is used for, and warm, which is the same text again with the same
compiled grammar. Only schemas that all engines compile are timed. The other instances are judged, not timed: a schema
passes when every valid instance is accepted to its end, the stop token is allowed there, and every invalid one is
rejected.

Each engine runs in a process of its own, one after the other, one thread each, with Python's garbage collector on.
Before the clock starts an engine compiles and runs one small schema, for imports, kernels and the tokenizer. With
`--repeat N` all of this is done N times, engines in turn, and the median of each single time counts.

The data are rows of bench/corpus.py, or JSON lines with the same fields (MaskBench's). Tokens are Mistral's Tekken,
which mistral-common ships, or Llama-3's. Tables go to stdout as Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from corpus import corpus, family_of, read_rows, text_of
from engines import ENGINES, Engine, Tokens, allowed, installed, llama3, tekken

SECONDS = 30  # for one schema; beyond it the engine has timed out
QUANTILES = (50, 90, 99, 99.9)
METRICS = {"ttfm": "TTFM", "tbm": "TBM", "warm": "TBM warm"}
WARM_UP = {
    "id": "warm-up",
    "schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
    "tests": [{"valid": True, "data": {"a": "text", "b": 12}}],
}

Result = dict[str, Any]
Runs = dict[str, list[Result]]


# ------------------------------------------------------------------------------------------------ measuring


class TimeUpError(Exception):
    """A schema has taken longer than SECONDS."""


def along(engine: Engine, grammar: Any, tokens: list[int], stop: int, times: list[float]) -> tuple[bool, bool]:
    """Feeds one instance: (accepted to its end, every mask agreed with what was accepted). Appends the steps' times."""
    clock = time.perf_counter
    engine.begin(grammar)
    for token in tokens:
        start = clock()
        engine.fill()
        accepted = engine.accept(token)
        times.append((clock() - start) * 1e6)
        if accepted != allowed(engine.mask, token):
            return accepted, False
        if not accepted:
            return False, True
    engine.fill()
    return allowed(engine.mask, stop), True


def examine(engine: Engine, row: dict[str, Any], tokens: Tokens) -> Result:
    """One schema: `status` ok, refused, timeout or crash; `ttfm`; `tbm` and `warm` by step; `faults` by instance."""
    out: Result = {"id": row["id"], "family": family_of(row), "status": "ok", "tbm": [], "warm": [], "faults": []}
    texts = [(test["valid"], tokens.cut(text_of(test))) for test in row["tests"]]
    signal.alarm(SECONDS)
    try:
        start = time.perf_counter()
        grammar = engine.compile(row["schema"])
        engine.begin(grammar)
        engine.fill()
        out["ttfm"] = (time.perf_counter() - start) * 1e6
        for i, (valid, ids) in enumerate(texts):
            fault = fault_of(*along(engine, grammar, ids, tokens.stop, out["tbm"] if i == 0 else []), valid)
            if fault:
                out["faults"].append([i, fault])
        for _, ids in texts[:1]:
            along(engine, grammar, ids, tokens.stop, out["warm"])
    except TimeUpError:
        out["status"] = "timeout"
    except Exception as error:  # what is no refusal of the engine's own kind, before the first mask, is a crash
        out["status"] = "refused" if "ttfm" not in out and isinstance(error, engine.refusals) else "crash"
        out["error"] = f"{type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)
    return out


def fault_of(accepted: bool, agreed: bool, valid: bool) -> str:
    """What is wrong with a verdict; empty if nothing is."""
    if not agreed:
        return "mask disagrees"
    return "" if accepted == valid else "invalid accepted" if accepted else "valid rejected"


def time_up(*_: object) -> None:
    raise TimeUpError


def run_engine(name: str, rows: list[dict[str, Any]], tokens_file: str | None) -> list[Result]:
    """All rows with one engine. Runs in a process of its own."""
    signal.signal(signal.SIGALRM, time_up)
    tokens = tekken() if tokens_file is None else llama3(tokens_file)
    engine = ENGINES[name](tokens)
    examine(engine, WARM_UP, tokens)
    return [examine(engine, row, tokens) for row in rows]


def run(names: list[str], rows: list[dict[str, Any]], options: argparse.Namespace) -> Runs:
    """The results of all engines, one process after the other; of several repeats the medians."""
    repeats: dict[str, list[list[Result]]] = {name: [] for name in names}
    for n in range(options.repeat):
        for name in names:
            print(f"{name}, run {n + 1} of {options.repeat}", file=sys.stderr)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                try:
                    repeats[name].append(pool.submit(run_engine, name, rows, options.tokens).result())
                except BrokenProcessPool:
                    raise SystemExit(f"the process of {name} has crashed") from None
    return {name: [median(same) for same in zip(*results)] for name, results in repeats.items()}


def median(same: Iterable[Result]) -> Result:
    """The results of one schema as one: the median of each time; what is no time must not differ."""
    results = list(same)
    worst = next((result for result in results if result["status"] != "ok"), None)
    if worst is not None or len(results) == 1:
        return worst or results[0]
    medians = {key: np.median([result[key] for result in results], axis=0).tolist() for key in METRICS}
    return {**results[0], **medians}


# ------------------------------------------------------------------------------------------------ tables


def timed(runs: Runs) -> Runs:
    """The results of the schemas that every engine has brought to an end."""
    whole = [all(r["status"] == "ok" for r in same) for same in zip(*runs.values())]
    return {name: [result for result, keep in zip(results, whole) if keep] for name, results in runs.items()}


def times_of(results: list[Result], metric: str) -> np.ndarray:
    return np.array([x for result in results for x in np.atleast_1d(result[metric])], float)


def ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else "-"


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown: the first column to the left, numbers to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def outcomes(runs: Runs) -> str:
    """How many schemas pass, and why the others do not."""
    rows: list[list[Any]] = []
    counts = {name: [{fault for _, fault in r["faults"]} for r in results] for name, results in runs.items()}
    passing = [sum(r["status"] == "ok" and not r["faults"] for r in results) for results in runs.values()]
    rows.append([f"passing, of {len(next(iter(runs.values())))}", *passing])
    for status in ("refused", "timeout", "crash"):
        rows.append([status, *(sum(r["status"] == status for r in results) for results in runs.values())])
    for fault in ("valid rejected", "invalid accepted", "mask disagrees"):
        rows.append([f"{fault}, schemas", *(sum(fault in kinds for kinds in counts[name]) for name in runs)])
    return table(["outcome", *runs], rows)


def distributions(runs: Runs, base: str) -> str:
    """Mean and quantiles of all times, and how they stand to those of the base."""
    others = [name for name in runs if name != base]
    rows: list[list[Any]] = []
    for metric, title in METRICS.items():
        times = {name: times_of(results, metric) for name, results in runs.items()}
        if not len(times[base]):
            continue
        for q in ("mean", *QUANTILES):
            values = {n: float(np.mean(x) if q == "mean" else np.percentile(x, q)) for n, x in times.items()}
            label = f"{title} {q}" if q == "mean" else f"{title} p{q}"
            ratios = [ratio(values[name], values[base]) for name in others]
            rows.append([label, *(f"{values[name]:,.1f}" for name in (base, *others)), *ratios])
    return table(["us", base, *others, *(f"{name} / {base}" for name in others)], rows)


def by_family(runs: Runs, base: str) -> str:
    """Means by family: those of the base in us, those of the others as ratios to it."""
    others = [name for name in runs if name != base]
    head = ["family", "schemas", *(part for title in METRICS.values() for part in (f"{title} {base}, us", *others))]
    rows: list[list[Any]] = []
    for family in sorted({result["family"] for result in runs[base]}):
        cells: list[Any] = [family, sum(result["family"] == family for result in runs[base])]
        for metric in METRICS:
            means = family_means(runs, family, metric)
            cells += [f"{means[base]:,.1f}", *(ratio(means[name], means[base]) for name in others)]
        rows.append(cells)
    return table(head, rows)


def family_means(runs: Runs, family: str, metric: str) -> dict[str, float]:
    chosen = {name: [r for r in results if r["family"] == family] for name, results in runs.items()}
    times = {name: times_of(results, metric) for name, results in chosen.items()}
    return {name: float(np.mean(x)) if len(x) else 0.0 for name, x in times.items()}


def slower(runs: Runs, base: str, rows: list[dict[str, Any]], tokens: Tokens) -> str:
    """Where bridle is slower than the base: the family, and the step (or first mask) that takes the longest."""
    texts = {row["id"]: text_of(row["tests"][0]) for row in rows if row["tests"]}
    found: list[list[Any]] = []
    for family in sorted({result["family"] for result in runs[base]}):
        for metric, title in METRICS.items():
            means = family_means(runs, family, metric)
            if means["bridle"] > means[base]:
                us, name, step = max(
                    (us, r["id"], step)
                    for r in runs["bridle"] if r["family"] == family
                    for step, us in enumerate(np.atleast_1d(r[metric]))
                )  # fmt: skip
                before = tokens.encoding.decode(tokens.cut(texts[name])[:step])[-40:] if metric != "ttfm" else ""
                found.append([family, title, ratio(means["bridle"], means[base]), name, f"{us:,.0f}", repr(before)])
    return table(["bridle is slower", "metric", "ratio", "longest in", "us", "after"], found) if found else ""


# ------------------------------------------------------------------------------------------------ entry


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", choices=list(ENGINES), help="all installed ones unless named")
    parser.add_argument("--data", help="JSON lines, gzipped or not, instead of the committed corpus")
    parser.add_argument("--tokens", help="Llama-3's tiktoken file instead of Tekken")
    parser.add_argument("--family", action="append", help="this family alone; may be given again")
    parser.add_argument("--repeat", type=int, default=1, help="runs of which the median of each time counts")
    parser.add_argument("--json", help="where to write every time and outcome")
    parser.add_argument("--plot", help="where to draw the distributions (PNG)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = options_of(arguments)
    names = [name for name in options.engine or ENGINES if name in installed()]
    for name in options.engine or ENGINES:
        if name not in names:
            print(f"{name} is not installed: left out")
    if not names:
        raise SystemExit("no engine is installed")
    rows = corpus() if options.data is None else read_rows(options.data)
    rows = [row for row in rows if not options.family or family_of(row) in options.family]
    if not rows:
        raise SystemExit(f"no schema of family {', '.join(options.family or [])}")
    runs = run(names, rows, options)
    report(runs, rows, options)


def report(runs: Runs, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Prints the tables; writes what was asked for."""
    base = "llguidance" if "llguidance" in runs else next(iter(runs))
    tokens = tekken() if options.tokens is None else llama3(options.tokens)
    versions = {name: version(name) for name in runs}
    common = timed(runs)
    n = len(common[base])
    print(f"{tokens.name}, {len(tokens.tokens):,} tokens; {', '.join(f'{k} {v}' for k, v in versions.items())}\n")
    print(outcomes(runs))
    if n:
        print(f"Times over the {n} schemas that all compile, {len(times_of(common[base], 'tbm')):,} masks:\n")
        print(distributions(common, base))
        print(by_family(common, base))
        refused = sorted({r["family"] for r in runs[base]} - {r["family"] for r in common[base]})
        if refused:
            print(f"Not compared, because an engine refuses every schema: {', '.join(refused)}.\n")
        if "bridle" in runs and base != "bridle":
            print(slower(common, base, rows, tokens))
    if options.json:
        Path(options.json).write_text(json.dumps({"tokens": tokens.name, "versions": versions, "runs": runs}))
    if options.plot and n:
        from plot_distributions import plot

        plot({name: {m: times_of(results, m) for m in METRICS} for name, results in common.items()}, options.plot)


if __name__ == "__main__":
    main()
