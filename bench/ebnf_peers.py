"""What XGrammar says of the grammars and texts in tests/cases/ebnf/peers.json.

    pip install xgrammar && python bench/ebnf_peers.py

Each entry has a grammar and texts, and under "xgrammar" the verdicts on them, or "error" where XGrammar refuses the
grammar; this script writes those anew and tells what has changed. Where bridle means to judge differently, "bridle" has
its verdicts and "differs" says why. The tests compare bridle with the file and need no XGrammar.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parents[1] / "tests" / "cases" / "ebnf" / "peers.json"


def verdicts(entry: dict[str, Any]) -> list[bool] | str:
    """XGrammar's word on each text of an entry."""
    import xgrammar
    from xgrammar.testing import _is_grammar_accept_string

    try:
        grammar = xgrammar.Grammar.from_ebnf(entry["grammar"], root_rule_name=entry.get("start", "root"))
        return [_is_grammar_accept_string(grammar, text) for text in entry["texts"]]
    except RuntimeError:
        return "error"


def main() -> None:
    entries = json.loads(CASES.read_text("utf-8"))
    for entry in entries:
        found = verdicts(entry)
        if found != entry.get("xgrammar"):
            print(f"{entry['what']}: {entry.get('xgrammar', 'nothing')} → {found}")
        entry["xgrammar"] = found
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in entries)
    CASES.write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
