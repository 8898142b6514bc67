"""The real engine of vLLM, on the model in the box: many schemas, all kinds of grammars, bad ones among good ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

pytest.importorskip("vllm.v1.structured_output", reason="vLLM is not installed: make test-vllm")
from vllm import SamplingParams
from vllm.config import StructuredOutputsConfig
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import StructuredOutputsParams

import bridle
from engines import engine, run

PROMPT = "Describe a person as JSON:\n"
KINDS = [
    {"type": "string", "maxLength": 12}, {"type": "integer", "minimum": 0, "maximum": 99}, {"type": "boolean"},
    {"enum": ["red", "green", None, 7]}, {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
    {"type": "string", "pattern": "^[a-z]{2,5}$"}, {"type": "number", "multipleOf": 0.5, "minimum": 0},
    {"type": "string", "format": "date"}, {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True},
    {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "integer"}}, "maxProperties": 1}]},
]  # fmt: skip


def schemas():
    """Forty, no two of them equal."""
    for i in range(40):
        names = ["a", "b", "c"][: 1 + i % 3]
        properties = {f"{name}{i}": KINDS[(i + 3 * j) % len(KINDS)] for j, name in enumerate(names)}
        required = [*properties][: 1 + i % 2]
        yield {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def constrained(seed=0, *, most=120, extra=None, temperature=1.0, **outputs):
    return SamplingParams(
        max_tokens=most, temperature=temperature, seed=seed, extra_args=extra,
        structured_outputs=StructuredOutputsParams(**outputs) if outputs else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def llm(box):
    with engine(box) as llm:
        yield llm


def test_a_hundred_requests_of_forty_schemas_beside_free_ones(llm, box, tmp_path):
    asked = [*schemas()]
    prompts, params = [], []
    for i in range(100):
        is_free = i % 4 == 3
        prompts.append(f"Item {i}: " if is_free else PROMPT)
        params.append(
            SamplingParams(max_tokens=60, temperature=0) if is_free else constrained(i, json=asked[i % len(asked)])
        )
    outputs = run(llm, prompts, params)
    for i, output in enumerate(outputs):
        if i % 4 != 3:
            assert output.finish_reason == "stop", (i, output)
            jsonschema.validate(json.loads(output.text), asked[i % len(asked)])
    free = tmp_path / "free.json"
    free.write_text(json.dumps(prompts[3::4]))
    script = Path(__file__).with_name("plain_engine.py")
    subprocess.run([sys.executable, str(script), box, str(free)], check=True, timeout=400, capture_output=True)
    assert [output.text for output in outputs[3::4]] == json.loads(free.read_text())


SCHEMA = next(schemas())
TAG = {
    "type": "structural_tag",
    "format": {
        "type": "triggered_tags", "triggers": ["<call"], "at_least_one": True, "stop_after_first": True,
        "tags": [{"begin": "<call>", "content": {"type": "json_schema", "json_schema": SCHEMA}, "end": "</call>"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_kind_of_grammar(llm, temperature):
    asked = [
        {"regex": "[a-z]{3,8}@[a-z]{3}\\.com"}, {"choice": ["red", "green", "blue"]},
        {"grammar": 'root ::= "x" [0-9]{1,5} "y"'}, {"grammar": 'start: "x" /[0-9]{1,5}/ "z"'}, {"json_object": True},
        {"structural_tag": json.dumps(TAG)}, {"json": SCHEMA, "disable_any_whitespace": True},
        {"json": json.dumps(SCHEMA)},
    ]  # fmt: skip
    params = [constrained(5, temperature=temperature, **outputs) for outputs in asked]
    texts = [output.text for output in run(llm, [PROMPT] * len(asked), params)]
    assert re.fullmatch(asked[0]["regex"], texts[0])
    assert texts[1] in asked[1]["choice"]
    assert re.fullmatch("x[0-9]{1,5}y", texts[2]) and re.fullmatch("x[0-9]{1,5}z", texts[3])
    assert isinstance(json.loads(texts[4]), dict)
    assert texts[5].startswith("<call>") and texts[5].endswith("</call>")
    for text in (texts[5][6:-7], texts[6], texts[7]):
        jsonschema.validate(json.loads(text), SCHEMA)
    assert not re.search(r"\s", re.sub(r'"[^"]*"', "", texts[6]))


def test_bad_requests_fail_alone(llm):
    deep = '{"allOf": [' * 3000 + "{}" + "]}" * 3000
    bad = {
        "malformed": ({"json": {"properties": {"a": {"type": "objet"}}}}, "'objet' is not a type.*/properties/a/type"),
        "unsatisfiable": ({"json": {"type": "integer", "minimum": 3, "maximum": 2}}, "no value satisfies"),
        "deep": ({"json": deep}, "nesting of the text of the schema exceeded"),
        "wide": ({"regex": "(a|b)*a(a|b){24}"}, None),
        "many": ({"json": {"type": "string", "maxLength": 10**9}}, None),
        "grammar": ({"grammar": "root ::= missing"}, "rule 'missing' is not defined"),
        "token": ({"grammar": "root ::= <|nope|>"}, "no special token"),
    }
    prompts, params = [], []
    for outputs, _ in bad.values():
        prompts += [PROMPT, PROMPT]
        params += [constrained(1, most=40, **outputs), constrained(2, json=SCHEMA)]
    outputs = run(llm, prompts, params)
    for (name, (_, says)), output, good in zip(bad.items(), outputs[::2], outputs[1::2], strict=True):
        jsonschema.validate(json.loads(good.text), SCHEMA)
        if says is not None:
            assert isinstance(output, VLLMValidationError) and re.search(says, str(output)), (name, output)
    jsonschema.validate(json.loads(run(llm, [PROMPT], [constrained(json=SCHEMA)])[0].text), SCHEMA)


def test_texts_are_closed_in_time_and_too_short_ones_are_cut(llm):
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    params = [constrained(i, most=20, json=schema) for i in range(8)] + [constrained(0, most=2, json=schema)]
    *outputs, cut = run(llm, [PROMPT] * 9, params)
    for output in outputs:
        assert output.finish_reason == "stop"
        jsonschema.validate(json.loads(output.text), schema)
    assert cut.finish_reason == "length"


def test_more_requests_than_threads_fill_one_by_one(box):
    """Beyond 128 constrained requests, vLLM fills rows in threads."""
    asked = [*schemas()]
    with engine(box, max_num_seqs=256, structured_outputs_config=StructuredOutputsConfig(backend="bridle")) as llm:
        params = [constrained(i, most=80, json=asked[i % len(asked)]) for i in range(200)]
        for i, output in enumerate(run(llm, [PROMPT] * 200, params)):
            jsonschema.validate(json.loads(output.text), asked[i % len(asked)])


def test_several_texts_for_one_prompt_and_stop_tokens_of_a_request(llm):
    params = constrained(json=SCHEMA)
    params.n = 3
    outputs = llm.generate([PROMPT], params, use_tqdm=False)[0].outputs
    assert len(outputs) == 3
    for output in outputs:
        jsonschema.validate(json.loads(output.text), SCHEMA)
    tokenizer = llm.get_tokenizer()
    comma = tokenizer.encode(",", add_special_tokens=False)[0]
    own = constrained(3, json={"type": "array", "items": {"type": "integer"}, "maxItems": 2})
    own.stop_token_ids = [comma]
    output = run(llm, [PROMPT], [own])[0]
    assert isinstance(json.loads(output.text), list) and output.finish_reason == "stop"


TOOLS = {
    "find": {"type": "object", "properties": {"q": {"type": "string", "maxLength": 9}}, "additionalProperties": False}
}


def test_an_agent_writes_turn_by_turn(llm):
    spec = bridle.AgentSpec.ready("react", tools=TOOLS)
    trace = "Question: how warm is it?"
    for turn in range(12):
        arguments = {"agent": "react", "tools": TOOLS, "trace": trace}
        # Every other time as a server would get it: JSON text, or the text of a grammar.
        extra = {"bridle": [arguments, json.dumps(arguments)][turn % 2]}
        params = constrained(turn, most=150, extra=extra)
        if turn % 3 == 2:
            params = constrained(turn, most=150, grammar=f"%agent {json.dumps(arguments)}")
        output = run(llm, [trace], [params])[0]
        assert output.finish_reason == "stop"
        trace += output.text
        if spec.validate(trace).ok:
            break
        assert bridle.agents.awaited(spec, trace) == "observation"
        trace += "\nObservation: 21 degrees"
    assert spec.validate(trace).ok or turn == 11


@pytest.mark.parametrize("method", ["ngram", "grammar"])
def test_drafts_change_nothing(box, llm, method):
    """Greedy texts with drafts and without; with drafts from grammars, in fewer steps."""
    asked = [*schemas()][:12]
    prompts = [f'{PROMPT}{{"a{i}": "red", "b{i}": 7}} {{"a{i}": "red"}}\n' for i in range(12)]
    prompts += ["One two. One two. One"] * 2

    def params():
        return [
            *(constrained(temperature=0.0, json=schema) for schema in asked),
            *(constrained(temperature=0.0, most=40) for _ in range(2)),
        ]

    plain = [output.text for output in run(llm, prompts, params())]
    drafts = {
        "ngram": {"method": "ngram", "prompt_lookup_max": 3, "prompt_lookup_min": 1},
        "grammar": {"method": "custom_class", "model": "bridle.integrations.vllm.grammar_drafts.GrammarDrafts"},
    }
    with engine(box, speculative_config={**drafts[method], "num_speculative_tokens": 6}) as drafting:
        outputs = run(drafting, prompts, params())
        steps: list[int] = []
        alone = run(drafting, prompts[1:2], params()[1:2], steps)
    assert [output.text for output in outputs] == plain
    for schema, output in zip(asked, outputs, strict=False):
        jsonschema.validate(json.loads(output.text), schema)
    assert alone[0].text == plain[1]
    if method == "grammar":
        assert len(steps) < 0.7 * len(alone[0].token_ids)
