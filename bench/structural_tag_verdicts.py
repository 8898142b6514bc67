"""What XGrammar says of the texts in tests/cases/structural_tags/cases.json, written down beside what they are.

    python bench/structural_tag_verdicts.py            # prints where it differs from the file's verdicts
    python bench/structural_tag_verdicts.py --write    # keeps that in the file, under "xgrammar"

A verdict is "sentence", "beginning" (of one), or the byte offset at which a text is refused. The tests hold bridle to
"texts" and need no peer; a case that XGrammar judges differently says why it should be as it is ("because").
The verdicts in the file are those of XGrammar 0.2.8.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent.parent / "tests" / "cases" / "structural_tags" / "cases.json"
STOP = 256


def verdicts(compiler: Any, case: dict[str, Any]) -> dict[str, Any] | str:
    """By text, or why XGrammar refuses the structural tag."""
    import xgrammar

    try:
        grammar = compiler.compile_structural_tag(json.dumps({"type": "structural_tag", "format": case["format"]}))
    except Exception as error:  # its errors have no base of their own
        return "refused: " + str(error).partition("error: ")[2].strip()
    found = {}
    for text in case["texts"]:
        matcher, data = xgrammar.GrammarMatcher(grammar), text.encode()
        at = next((i for i, byte in enumerate(data) if not matcher.accept_token(byte)), len(data))
        whole = at == len(data)
        found[text] = ("sentence" if matcher.accept_token(STOP) else "beginning") if whole else at
    return found


def main() -> None:
    import xgrammar

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    info = xgrammar.TokenizerInfo(
        [bytes((byte,)) for byte in range(256)] + [b"</s>"],
        vocab_type=xgrammar.VocabType.RAW,
        stop_token_ids=[STOP],
    )
    compiler = xgrammar.GrammarCompiler(info)
    cases = json.loads(CASES.read_text())
    for case in cases:
        theirs = verdicts(compiler, case)
        case.pop("xgrammar", None)
        if isinstance(theirs, dict):
            theirs = {text: verdict for text, verdict in theirs.items() if verdict != case["texts"][text]}
        if theirs:
            case["xgrammar"] = theirs
            print(f"{case['rule']}: {theirs} ({case.get('because', 'WHY?')})")
    if write:
        CASES.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
