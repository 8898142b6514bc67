"""Models that think first: what they think is free, the answer behind it is kept to, and its budget is what is left.

The model in the box does not think. Under a tokenizer that calls two of its unused tokens <think> and </think>, and
with a bias for the latter, it writes as a model does that thinks for a while: its server cannot tell.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

pytest.importorskip("vllm.entrypoints", reason="vLLM is not installed: make test-vllm")

from servers import EXAMPLES, Server, serving

sys.path.insert(0, str(EXAMPLES))
from client import ADD, PERSON, TOOLS, schema_format

END = 2  # the id of </think>
# Thinking ends after a while, and the text not before: its end is allowed where nothing else is, or not at all.
BIAS = {str(END): 12.0, "1": -100.0}
PROMPT = "Tell a story."


@pytest.fixture(scope="module")
def server(box: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("thinking")
    shutil.copytree(box, folder, dirs_exist_ok=True)
    _name_marks(folder)
    # Another parser of tools than in test_server.py, for which vLLM asks in JSON, and the other form of the option.
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={folder}", "--served-model-name=box",
        "--structured-outputs-config", '{"backend": "bridle"}', "--reasoning-parser=deepseek_r1",
        "--enable-auto-tool-choice", "--tool-call-parser=pythonic", f"--chat-template={EXAMPLES / 'plain.jinja'}",
        "--dtype=float32", "--max-model-len=1024", "--enforce-eager", "--max-num-seqs=16",
    ]  # fmt: skip
    with serving(command, folder / "log") as up:
        yield up


def _name_marks(folder: Path) -> None:
    """Calls the tokens that begin texts and fill them up <think> and </think>, which are text, as in real models."""
    text = (folder / "tokenizer.json").read_text()
    tokenizer = json.loads(text.replace("<|bos|>", "<think>").replace("<|pad|>", "</think>"))
    for added in tokenizer["added_tokens"]:
        added["special"] = "think" not in added["content"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    kept = {name: value for name, value in settings.items() if name not in ("bos_token", "pad_token", "add_bos_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(kept))


def thinking(server: Server, **options: Any) -> Any:
    options = {"logit_bias": BIAS, "max_tokens": 400, "temperature": 1.0} | options
    return server.chat(PROMPT, extra_body={"return_token_ids": True}, **options)


@pytest.mark.parametrize("seed", range(4))
def test_the_answer_behind_a_thought_is_kept_to(server: Server, seed: int) -> None:
    options = {"response_format": schema_format(PERSON), "temperature": 1.0, "seed": seed, "max_tokens": 400}
    whole = thinking(server, **options)
    assert whole.message.reasoning
    jsonschema.validate(json.loads(whole.message.content), PERSON)
    pieces = server.streamed(PROMPT, logit_bias=BIAS, **options)
    assert pieces.reasoning
    jsonschema.validate(json.loads(pieces.content), PERSON)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_thought_counts_in_the_budget(server: Server, seed: int) -> None:
    schema = {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 3}
    options = {"response_format": schema_format(schema), "seed": seed}
    free = thinking(server, **options)
    thought = free.token_ids.index(END) + 1
    assert thought > 1
    for room in (16, 20, 24):
        answer = thinking(server, max_tokens=thought + room, **options)
        assert answer.finish_reason == "stop" and answer.token_ids[:thought] == free.token_ids[:thought]
        jsonschema.validate(json.loads(answer.message.content), schema)
    assert thinking(server, max_tokens=thought + 4, **options).finish_reason == "length"


def test_a_text_that_never_ends_thinking_is_not_kept_to_anything(server: Server) -> None:
    answer = thinking(
        server, logit_bias={str(END): -100.0, "1": -100.0}, response_format=schema_format(PERSON), max_tokens=40
    )
    assert answer.message.reasoning and not answer.message.content


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
def test_tools_are_called_behind_a_thought(server: Server, choice: object) -> None:
    answer = thinking(server, tools=TOOLS, tool_choice=choice)
    assert answer.message.reasoning and answer.message.tool_calls
    for call in answer.message.tool_calls:
        jsonschema.validate(json.loads(call.function.arguments), ADD)
