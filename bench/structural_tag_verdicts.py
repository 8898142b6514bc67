"""What XGrammar says of the texts in tests/cases/structural_tags and tool_calls, written down beside what they are.

    python bench/structural_tag_verdicts.py            # prints where it differs from the files' verdicts
    python bench/structural_tag_verdicts.py --write    # keeps that in the files, under "xgrammar"

A verdict is "sentence", "beginning" (of one), or the byte offset at which a text is refused; in tokens.json, where a
text shows special tokens as «<t>», each of these counts as one. The tests hold bridle to
"texts" and need no peer; a case that XGrammar judges differently says why it should be as it is ("because").
The verdicts in the files are those of XGrammar 0.2.8, whose own formats of tool calls are asked where it has the same.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "tests" / "cases"
# The names of XGrammar's formats by ours, and its modes of reasoning; it has none for a block that must come.
MODELS = {
    "llama3": "llama",
    "qwen3": "qwen_3",
    "qwen3_coder": "qwen_3_coder",
    "deepseek_r1": "deepseek_r1",
    "deepseek_v3_1": "deepseek_v3_1",
    "harmony": "harmony",
}
REASONING = {False: "disabled", "opened": "enabled", "optional": "auto"}
TOOLS = json.loads((FOLDER / "tool_calls" / "tools.json").read_text())
STOP = 256
SPECIAL = {"<t>": 258, "</t>": 259, "<u>": 260, "<|x|>": 261, "<|x|>>": 262}


def structural_tag(case: dict[str, Any]) -> dict[str, Any] | None:
    """What XGrammar is to compile; None where it has nothing like it."""
    from xgrammar.builtin_structural_tag import get_model_structural_tag

    if isinstance(case["format"], dict):
        return {"type": "structural_tag", "format": case["format"]}
    options = case["options"]
    reasoning = REASONING.get(options.get("reasoning", False))
    if case["format"] not in MODELS or reasoning is None:
        return None
    choice = options.get("choice", "auto")
    if choice not in ("auto", "required"):
        choice = {"type": "function", "function": {"name": choice}}
    tools = [{"type": "function", "function": tool} for tool in TOOLS]
    made = get_model_structural_tag(
        MODELS[case["format"]], tools, choice, reasoning, parallel_tool_calls=options.get("parallel", True)
    )
    return made.model_dump()


def verdicts(compiler: Any, case: dict[str, Any]) -> dict[str, Any] | str:
    """By text, or why XGrammar refuses the structural tag; {} where it has nothing like it."""
    import xgrammar

    tag = structural_tag(case)
    if tag is None:
        return {}
    try:
        grammar = compiler.compile_structural_tag(json.dumps(tag))
    except Exception as error:  # its errors have no base of their own
        return "refused: " + str(error).partition("error: ")[2].strip()
    found = {}
    for text in case["texts"]:
        matcher, steps = xgrammar.GrammarMatcher(grammar), steps_of(text)
        at = next((i for i, step in enumerate(steps) if not matcher.accept_token(step)), len(steps))
        whole = at == len(steps)
        found[text] = ("sentence" if matcher.accept_token(STOP) else "beginning") if whole else at
    return found


def steps_of(text: str) -> list[int]:
    """The tokens of a case's text: its bytes, and special tokens where it shows them."""
    pieces = re.split("«(.*?)»", text)
    return [step for i, piece in enumerate(pieces) for step in ([SPECIAL[piece]] if i % 2 else piece.encode())]


def main() -> None:
    import xgrammar

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    info = xgrammar.TokenizerInfo(
        [bytes((byte,)) for byte in range(256)] + [b"</s>", b"hello"],
        vocab_type=xgrammar.VocabType.RAW,
        stop_token_ids=[STOP],
    )
    plain = xgrammar.GrammarCompiler(info)
    vocabulary = [*info.decoded_vocab, *[name.encode() for name in SPECIAL]]
    info = xgrammar.TokenizerInfo(vocabulary, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[STOP])
    with_tokens = xgrammar.GrammarCompiler(info)
    tags = FOLDER / "structural_tags"
    for path in (tags / "cases.json", tags / "tokens.json", FOLDER / "tool_calls" / "cases.json"):
        cases = json.loads(path.read_text())
        for case in cases:
            compare(with_tokens if path.name == "tokens.json" else plain, case)
        if write:
            path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


def compare(compiler: Any, case: dict[str, Any]) -> None:
    """Notes in a case what XGrammar says otherwise, and prints it."""
    theirs = verdicts(compiler, case)
    case.pop("xgrammar", None)
    if isinstance(theirs, dict):
        theirs = {text: verdict for text, verdict in theirs.items() if verdict != case["texts"][text]}
    if theirs:
        case["xgrammar"] = theirs
        what = case.get("rule", f"{case['format']} {case.get('options')}")
        print(f"{what}: {theirs} ({case.get('because', 'WHY?')})")


if __name__ == "__main__":
    main()
