"""Does the time to the first mask grow with the part of a schema that no text has reached?

    python bench/first_mask_by_size.py --vocab ../shared/data/llama3.tiktoken --group Kubernetes --group JsonSchemaStore

The schemas of a group in quarters by size. Beside the linear scan (well formed? all enforced?), what remains until the
first mask - states, tables, the mask - should be the same in every quarter. Each schema is read from scratch, once to
warm what is shared between schemas (leaf automata and their masks), then `--repeat` times, of which the median counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "maskbench-dev.jsonl.gz"
QUARTERS = 4


def measured(schema: Any, vocabulary: Any, repeat: int) -> tuple[float, float] | None:
    """(scan, everything until the first mask) in us; None for a schema that is refused."""
    import bridle
    from bridle.grammar.schema_scan import SchemaScan

    mask = bridle.allocate_token_bitmask(1, vocabulary.size)
    scans, totals = [], []
    try:
        for _ in range(repeat + 1):
            start = time.perf_counter()
            SchemaScan(schema, formats="assert")
            scans.append(time.perf_counter() - start)
            start = time.perf_counter()
            compiled = bridle.compile(bridle.Grammar.from_json_schema(schema), vocabulary)
            bridle.Matcher(compiled).fill_next_token_bitmask(mask)
            totals.append(time.perf_counter() - start)
    except bridle.BridleError:
        return None
    return 1e6 * statistics.median(scans[1:]), 1e6 * statistics.median(totals[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA), help="gzipped JSON lines with an id and a schema")
    parser.add_argument("--vocab", help="a tiktoken file; without it, tokens are bytes")
    parser.add_argument("--group", action="append", help="how the ids begin; may be given again")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "bench"))
    from schema_coverage import tools_of

    vocabulary = tools_of(options).vocabulary
    with gzip.open(options.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    print("| schemas | quarter by size | KB (median) | scan, us | scan, us per KB | rest until the first mask, us |")
    print("| --- | --- | --- | --- | --- | --- |")
    for group in options.group or ["Kubernetes", "JsonSchemaStore"]:
        found = []
        for row in rows:
            if row["id"].startswith(group):
                times = measured(row["schema"], vocabulary, options.repeat)
                if times is not None:
                    found.append((len(json.dumps(row["schema"])) / 1024, *times))
        found.sort()
        for k in range(QUARTERS):
            part = found[k * len(found) // QUARTERS : (k + 1) * len(found) // QUARTERS]
            size, scan = (statistics.median(row[i] for row in part) for i in range(2))
            per_kb = sum(s for _, s, _ in part) / sum(kb for kb, _, _ in part)
            rest = statistics.median(t - s for _, s, t in part)
            print(f"| {group} ({len(part)}) | {k + 1} | {size:.1f} | {scan:.0f} | {per_kb:.1f} | {rest:.0f} |")


if __name__ == "__main__":
    main()
