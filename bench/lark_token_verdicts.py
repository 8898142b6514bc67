"""What llguidance says of the texts in tests/cases/lark/special_tokens.json, written down beside what they are.

    python bench/lark_token_verdicts.py            # prints where it differs from the file's verdicts
    python bench/lark_token_verdicts.py --write    # keeps that in the file, under "llguidance"

A text shows special tokens as «<|x|>». A verdict is "sentence", "beginning" (of one), or how many steps, bytes and
special tokens, are taken. A case that llguidance judges differently says why it should be as it is ("because"). The
verdicts in the file are those of llguidance 1.9.1.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent.parent / "tests" / "cases" / "lark" / "special_tokens.json"
SPECIAL = {"<|x|>": 257, "<tool>": 258, "[INST]": 259}
STOP = 256


class Tokenizer:
    """Bytes, the stop token and the special tokens, as llguidance takes a tokenizer."""

    eos_token_id, bos_token_id = STOP, None
    special_token_ids = (STOP, *SPECIAL.values())
    tokens = (*[bytes((byte,)) for byte in range(256)], b"</s>", *[name.encode() for name in SPECIAL])

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def steps_of(text: str) -> list[int]:
    pieces = re.split("«(.*?)»", text)
    return [step for i, piece in enumerate(pieces) for step in ([SPECIAL[piece]] if i % 2 else piece.encode())]


def verdicts(tokenizer: Any, case: dict[str, Any]) -> dict[str, Any] | str:
    """By text, or why llguidance refuses the grammar."""
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_lark(case["grammar"])
    if error := LLMatcher.validate_grammar(grammar, tokenizer):
        return "refused: " + error.strip().split("\n")[0]
    found: dict[str, Any] = {}
    for text in case["texts"]:
        matcher, steps = LLMatcher(tokenizer, grammar, log_level=0), steps_of(text)
        at = next((i for i, step in enumerate(steps) if not matcher.consume_token(step)), len(steps))
        found[text] = at if at < len(steps) else "sentence" if matcher.is_accepting() else "beginning"
    return found


def main() -> None:
    from llguidance import LLTokenizer, TokenizerWrapper

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    tokenizer = LLTokenizer(TokenizerWrapper(Tokenizer()))
    cases = json.loads(CASES.read_text())
    for case in cases:
        theirs = verdicts(tokenizer, case)
        case.pop("llguidance", None)
        if isinstance(theirs, dict):
            theirs = {text: verdict for text, verdict in theirs.items() if verdict != case["texts"][text]}
        if theirs:
            case["llguidance"] = theirs
            print(f"{case['rule']}: {theirs} ({case.get('because', 'WHY?')})")
    if write:
        CASES.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
