"""Real schemas with labelled instances: what passes, what is refused and why, what is wrong, what it costs.

    python bench/schema_coverage.py --data ../shared/data/maskbench-dev.jsonl.gz --json failing.json
    python bench/schema_coverage.py --sample 500 --masks --vocab ../shared/data/llama3.tiktoken --walks 5

The data are JSON lines {"id", "schema", "tests": [{"valid", "data"}]}. An instance is serialised by json.dumps and fed
to a Matcher with members in any order; a valid one must be accepted to its end, an invalid one must not. With members
in the order of the schema, an invalid one must not be accepted either, and `validate` must say the same as the Matcher
in any order. Every other answer is listed beside the opinion of the judge (tests/judge.py), with formats asserted and
without, so that instances with a wrong label can be told from mistakes.

`--masks` fills the mask before every token and compares its bit with what accept_token says. `--walks N` writes N texts
at random for every schema without instances (all schemas: `--walk-all`), which the judge must accept.

A schema that takes longer than `--seconds` twice is a hang: its process is killed and the schema listed. Errors that
are not bridle's own are crashes. Tables go to stdout as Markdown; `--json` names a file for what failed, by id.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import multiprocessing
import multiprocessing.connection
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "maskbench-dev.jsonl.gz"
# The pre-tokeniser of Llama-3, to cut texts into tokens as its users do.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LONGEST_WALK = 4000
SHOWN = 40


# ------------------------------------------------------------------------------------------------ one schema


class Tools(NamedTuple):
    """What a worker has: a vocabulary, a way to cut texts into its ids, and the options."""

    vocabulary: Any
    tokenize: Any
    options: argparse.Namespace


def tools_of(options: argparse.Namespace) -> Tools:
    """Bytes as tokens, or Llama-3's from its tiktoken file."""
    import bridle

    if options.vocab is None:
        vocabulary = bridle.Vocabulary([bytes((b,)) for b in range(256)] + [b""], stop_token_ids=256)
        return Tools(vocabulary, lambda text: list(text.encode()), options)
    import tiktoken

    lines = (line.split() for line in Path(options.vocab).read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding("llama3", pat_str=PIECES, mergeable_ranks=ranks, special_tokens={})
    tokens = [b""] * (len(ranks) + 1)
    for token, rank in ranks.items():
        tokens[rank] = token
    vocabulary = bridle.Vocabulary(tokens, stop_token_ids=len(ranks))
    return Tools(vocabulary, encoding.encode_ordinary, options)


def examine(row: dict[str, Any], tools: Tools) -> dict[str, Any]:
    """All that is asked of one schema; see the module's docstring. What is wrong is in lists, by instance."""
    out: dict[str, Any] = {"id": row["id"], "tests": len(row["tests"]), "status": "ok", "wrong": [], "walks": []}
    start = time.perf_counter()
    try:
        _examine(row, tools, out)
    except Exception as error:
        out["status"], out["error"] = "crash", f"{type(error).__name__}: {error}"[:500]
        out["trace"] = traceback.format_exc()[-2000:]
    out["seconds"] = time.perf_counter() - start
    return out


def _examine(row: dict[str, Any], tools: Tools, out: dict[str, Any]) -> None:
    import bridle

    schema, options = row["schema"], tools.options
    mask = bridle.allocate_token_bitmask(1, tools.vocabulary.size)
    compiled = {}
    try:
        for order in ("any", "schema"):
            start = time.perf_counter()
            grammar = bridle.Grammar.from_json_schema(schema, property_order=order, formats=options.formats)
            compiled[order] = bridle.compile(grammar, tools.vocabulary)
            bridle.Matcher(compiled[order]).fill_next_token_bitmask(mask)
            out[f"first {order}"] = (time.perf_counter() - start) * 1e6
    except bridle.UnsatisfiableError as error:
        out["status"], out["error"] = "unsatisfiable", str(error)[:300]
    except bridle.UnsupportedError as error:
        out["status"], out["error"] = "refused", str(error)[:2000]
        out["reasons"] = gaps(schema, options.formats) or [str(error.keyword)]
        return
    except bridle.LimitError as error:
        out["status"], out["error"], out["reasons"] = "refused", str(error)[:300], [f"limit: {error.limit}"]
        return
    except bridle.GrammarError as error:
        out["status"], out["error"] = "malformed", str(error)[:300]
        out["reasons"] = [f"malformed: {error.keyword}"]
        return
    answers = [answer(test, grammar, compiled, tools, mask, out) if compiled else False for test in row["tests"]]
    for i, (test, found) in enumerate(zip(row["tests"], answers, strict=True)):
        if found is not None and (found != test["valid"]):
            out["wrong"].append(opinions(schema, i, test, options.formats))
    if compiled and options.walks and (options.walk_all or not row["tests"]):
        walks(row, compiled, out, options)


def gaps(schema: Any, formats: str) -> list[str]:
    """All reasons for which a schema is refused; [] where the rest of it is refused, too."""
    import bridle

    try:
        reported = bridle.Grammar.from_json_schema(schema, formats=formats, on_unsupported="report").unenforced
    except bridle.BridleError:
        return []
    return sorted({reason_of(gap) for gap in reported})


def reason_of(gap: Any) -> str:
    """The keyword of a gap, with the format's name where that is what is missing."""
    if gap.keyword == "format" and '"' in gap.reason:
        return f"format {gap.reason.split(chr(34))[1]}"
    return gap.keyword


def answer(
    test: dict[str, Any],
    grammar: Any,
    compiled: dict[str, Any],
    tools: Tools,
    mask: np.ndarray,
    out: dict[str, Any],
) -> bool | None:
    """Whether an instance is accepted in any order; None where a budget ended it. Adds what contradicts itself."""
    import bridle

    text = json.dumps(test["data"], ensure_ascii=False)
    try:
        matcher = bridle.Matcher(compiled["any"])
        accepted = fed(matcher, tools.tokenize(text), mask, tools.options.masks, out)
        in_order = bridle.Matcher(compiled["schema"])
        ordered = in_order.accept_bytes(text.encode()) and in_order.is_accepting()
    except bridle.LimitError as error:
        out.setdefault("limits", []).append(str(error)[:200])
        return None
    out["in order"] = out.get("in order", 0) + (ordered and test["valid"])
    if ordered and not accepted:
        out.setdefault("contradictions", []).append(f"only in the schema's order: {text[:200]}")
    if bridle.validate(grammar, text).ok != accepted:
        out.setdefault("contradictions", []).append(f"validate says otherwise: {text[:200]}")
    return accepted


def fed(matcher: Any, tokens: list[int], mask: np.ndarray, masks: bool, out: dict[str, Any]) -> bool:
    """Whether all tokens are accepted and the text may end there; with masks, each is compared with its bit."""
    if not masks:
        return all(map(matcher.accept_token, tokens)) and matcher.is_accepting()
    times = out.setdefault("mask us", [])
    for token in tokens:
        start = time.perf_counter()
        matcher.fill_next_token_bitmask(mask)
        allowed = bool(mask[0, token >> 5] >> (token & 31) & 1)
        accepted = matcher.accept_token(token)
        times.append((time.perf_counter() - start) * 1e6)
        if accepted != allowed:
            out.setdefault("contradictions", []).append(f"mask {allowed}, accept {accepted}: token {token}")
        if not accepted:
            return False
    return matcher.is_accepting()


def opinions(schema: Any, i: int, test: dict[str, Any], formats: str) -> dict[str, Any]:
    """A disagreement, with the judge's opinion under the formats that were asked for and under the other reading."""
    found = {"instance": i, "label": test["valid"], "bridle": not test["valid"]}
    for name, asserted in (("judge", formats == "assert"), ("judge, formats otherwise", formats != "assert")):
        found[name] = opinion(schema, json.dumps(test["data"]), asserted)
    return found


def opinion(schema: Any, text: str, formats: bool) -> str:
    """ "valid", or what the judge has to say."""
    from judge import Judge, Undecided

    try:
        return Judge(schema, formats=formats).complaint(text) or "valid"
    except Undecided as error:
        return f"undecided: {error}"[:200]


def walks(row: dict[str, Any], compiled: dict[str, Any], out: dict[str, Any], options: argparse.Namespace) -> None:
    """Random texts, in both orders in turn, over a small vocabulary; the judge must accept them."""
    import bridle
    from random_walks import MIXED, walk, words_of

    out["walked"] = Counter()
    for n in range(options.walks):
        order = ("any", "schema")[n % 2]
        grammar = bridle.Grammar.from_json_schema(
            row["schema"], property_order=order, formats=options.formats, max_whitespace=2
        )
        try:
            walked = walk(
                bridle.compile(grammar, MIXED),
                random.Random(n),
                longest=LONGEST_WALK,
                words=words_of(row["schema"]),
                checked=0.002,
            )
        except bridle.LimitError as error:
            out.setdefault("limits", []).append(str(error)[:200])
            out["walked"]["unfinished"] += 1
            continue
        out["walked"]["finished" if walked.finished else "unfinished"] += 1
        said = opinion(row["schema"], walked.text.decode(), options.formats == "assert") if walked.finished else "valid"
        if walked.fault or said != "valid":
            shown = walked.text.decode("utf-8", "replace")[:500]
            kind = "undecided" if said.startswith("undecided") else "wrong"
            out["walked"][kind] += 1
            if kind == "wrong":
                out["walks"].append({"order": order, "seed": n, "fault": walked.fault, "judge": said, "text": shown})


# ------------------------------------------------------------------------------------------------ processes


def work(pipe: multiprocessing.connection.Connection, options: argparse.Namespace) -> None:
    """A worker: rows in, results out, until None."""
    sys.path.insert(0, str(ROOT / "tests"))
    from bridle.automata.kernel import load_kernels

    load_kernels()
    tools = tools_of(options)
    while (row := pipe.recv()) is not None:
        pipe.send(examine(row, tools))


class Worker:
    """A process, its pipe, and the row that it is at."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=work, args=(theirs, options), daemon=True)
        self.process.start()
        self.row: dict[str, Any] | None = None
        self.deadline = 0.0

    def give(self, row: dict[str, Any], seconds: float) -> None:
        self.row, self.deadline = row, time.monotonic() + seconds
        self.pipe.send(row)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def lost(row: dict[str, Any], status: str) -> dict[str, Any]:
    """The result of a row whose process gave none."""
    return {"id": row["id"], "tests": len(row["tests"]), "status": status, "error": "the process was lost or killed",
            "wrong": [], "walks": []}  # fmt: skip


def run(rows: list[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """The results of all rows, in any order."""
    waiting, results = list(reversed(rows)), []
    overran: set[str] = set()  # once; the machine may have been busy
    workers = [Worker(options) for _ in range(options.processes)]
    started = {id(worker): 60.0 for worker in workers}  # the first answer waits for imports and kernels, too
    while waiting or any(worker.row is not None for worker in workers):
        for i, worker in enumerate(workers):
            if worker.row is None and waiting:
                worker.give(waiting.pop(), options.seconds + started.pop(id(worker), 0.0))
            elif worker.row is not None and time.monotonic() > worker.deadline and not worker.pipe.poll():
                row, fresh = worker.row, Worker(options)
                if row["id"] in overran:
                    results.append(lost(row, "hang"))
                else:
                    overran.add(row["id"])
                    waiting.append(row)
                worker.end()
                workers[i], started[id(fresh)] = fresh, 60.0
        pipes = {worker.pipe: worker for worker in workers if worker.row is not None}
        for pipe in multiprocessing.connection.wait(pipes, timeout=0.5):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                results.append(worker.pipe.recv())
            except EOFError:
                results.append(lost(worker.row or {}, "crash"))
                fresh = Worker(options)
                workers[workers.index(worker)], started[id(fresh)] = fresh, 60.0
                worker.end()
                continue
            worker.row = None
        if sys.stderr.isatty():
            print(f"\r{len(results)}/{len(rows)}", end="", file=sys.stderr)
    for worker in workers:
        worker.end()
    return results


# ------------------------------------------------------------------------------------------------ report


def doubtful(wrong: dict[str, Any]) -> bool:
    """Whether the judge is of bridle's opinion, so that the label is what is wrong."""
    return (wrong["judge"] == "valid") == wrong["bridle"] and not wrong["judge"].startswith("undecided")


def summary(results: list[dict[str, Any]]) -> dict[str, int]:
    """The counts of the first table."""
    ok = [r for r in results if r["status"] in ("ok", "unsatisfiable")]
    wrong = [w for r in ok for w in r["wrong"]]
    tested = [r for r in ok if r["tests"]]
    counts = Counter(r["status"] for r in results)
    walked: Counter[str] = sum((Counter(r.get("walked", {})) for r in results), Counter())
    return {
        "schemas": len(results),
        "with instances": sum(bool(r["tests"]) for r in results),
        "compiled": counts["ok"],
        "compiled, with instances": len(tested),
        "passing, with instances": sum(not r["wrong"] and "limits" not in r for r in tested),
        "passing, but for doubtful labels": sum(all(map(doubtful, r["wrong"])) and "limits" not in r for r in tested),
        "unsatisfiable": counts["unsatisfiable"],
        "refused": counts["refused"],
        "malformed": counts["malformed"],
        "crash": counts["crash"],
        "hang": counts["hang"],
        "instances judged": sum(r["tests"] for r in ok),
        "valid rejected": sum(w["label"] for w in wrong),
        "invalid accepted": sum(not w["label"] for w in wrong),
        "of these, labels that the judge doubts": sum(map(doubtful, wrong)),
        "valid, and in the schema's order": sum(r.get("in order", 0) for r in ok),
        "instances ended by a budget": sum(len(r.get("limits", ())) for r in ok),
        "contradictions (orders, masks)": sum(len(r.get("contradictions", ())) for r in ok),
        "walks finished": walked["finished"],
        "walks unfinished": walked["unfinished"],
        "walks that the judge cannot decide": walked["undecided"],
        "walks wrong": walked["wrong"],
    }


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def refusals(results: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """(reason, schemas that have it, schemas that have it alone), the most frequent first."""
    every, alone = Counter[str](), Counter[str]()
    for result in results:
        reasons = result.get("reasons", [])
        every.update(reasons)
        alone.update(reasons if len(reasons) == 1 else [])
    return [(reason, count, alone[reason]) for reason, count in every.most_common()]


def costs(results: list[dict[str, Any]]) -> list[tuple[str, int, int, int, int]]:
    rows = []
    for key in ("first any", "first schema", "mask us"):
        values = [x for r in results if key in r for x in np.atleast_1d(r[key])]
        if values:
            rows.append((key, *(round(float(q)) for q in np.percentile(values, (50, 90, 99, 100)))))
    return rows


def report(results: list[dict[str, Any]]) -> None:
    print(table(("what", "count"), list(summary(results).items())))
    print(table(("refused for", "schemas", "alone"), refusals(results)))
    print(table(("us", "p50", "p90", "p99", "most"), costs(results)))
    slowest = sorted(results, key=lambda r: -r.get("seconds", 0))[:8]
    print(table(("slowest", "s", "status"), [(r["id"], round(r.get("seconds", 0), 2), r["status"]) for r in slowest]))
    named = [(r["id"], r["status"], r.get("error", "")[:160]) for r in results if r["status"] in ("crash", "hang")]
    named += [(r["id"], "malformed", r["error"][:160]) for r in results if r["status"] == "malformed"]
    named += [(r["id"], "contradiction", c[:160]) for r in results for c in r.get("contradictions", ())]
    named += [(r["id"], "budget", text[:160]) for r in results for text in r.get("limits", ())]
    named += [(r["id"], "walk", f"{w['fault']} {w['judge']}"[:200]) for r in results for w in r["walks"]]
    if named:
        print(table(("id", "what", "why"), named[: 4 * SHOWN]))
    wrong = [(r["id"], w) for r in results for w in r["wrong"]]
    for title, chosen in (
        ("Wrong, the judge agrees with the label or is undecided", [x for x in wrong if not doubtful(x[1])]),
        ("Labels that the judge doubts", [x for x in wrong if doubtful(x[1])]),
    ):
        rows = [
            (f"{name}#{w['instance']}", "valid" if w["label"] else "invalid", w["judge"][:120],
             w["judge, formats otherwise"][:60])
            for name, w in chosen[:SHOWN]
        ]  # fmt: skip
        if rows:
            print(f"{title} ({len(chosen)}):\n")
            print(table(("instance", "label", "judge", "judge, formats otherwise"), rows))


def rows_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    with gzip.open(options.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if options.id:
        return [row for row in rows if row["id"] in options.id]
    if options.sample is not None and options.sample < len(rows):
        rows = random.Random(options.seed).sample(rows, options.sample)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA), help="gzipped JSON lines")
    parser.add_argument("--sample", type=int, help="this many schemas, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--id", action="append", help="this schema alone; may be given again")
    parser.add_argument("--vocab", help="a tiktoken file; without it, tokens are bytes")
    parser.add_argument("--formats", choices=("assert", "annotate"), default="assert")
    parser.add_argument("--masks", action="store_true", help="fill the mask before each token and compare")
    parser.add_argument("--walks", type=int, default=0, help="random texts for each schema without instances")
    parser.add_argument("--walk-all", action="store_true", help="walk schemas with instances, too")
    parser.add_argument("--seconds", type=float, default=10.0, help="for one schema with all its instances")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", help="where to write what failed")
    options = parser.parse_args()
    start = time.perf_counter()
    results = sorted(run(rows_of(options), options), key=lambda r: r["id"])
    report(results)
    print(f"{time.perf_counter() - start:.0f} s")
    if options.json:
        failing = [
            {key: value for key, value in r.items() if key != "mask us"}
            for r in results
            if r["status"] != "ok" or r["wrong"] or r["walks"] or "contradictions" in r or "limits" in r
        ]
        Path(options.json).write_text(json.dumps({"summary": summary(results), "failing": failing}, indent=1))


if __name__ == "__main__":
    main()
