"""The logits processor in vLLM's own engine, on the CPU, with the model in the box; rows by themselves:
test_logits_rows.py.

The engine has a process of its own, as its workers cannot start beside numba, and its runner is V1: V2 needs Triton.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("vllm.v1", reason="vLLM is not installed: make test-vllm")

import jsonschema
from vllm import LLM, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import StructuredOutputsParams

from engines import engine

NAME = "bridle.integrations.vllm.logits_processor:BridleLogitsProcessor"
PROMPT = "Describe a person as JSON:\n"
SEQUENCES = 6  # that the engine decodes at a time
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMAS: list[dict[str, Any]] = [
    PERSON,
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 6},
    {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]},
    {"oneOf": [{"type": "string", "pattern": "^[a-z]{3,6}$"}, {"type": "boolean"}]},
    {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": 0},
        "minProperties": 1,
        "maxProperties": 3,
    },
    {"type": "array", "items": PERSON, "minItems": 1, "maxItems": 2},
]


@pytest.fixture(scope="module")
def llm(box: str) -> Iterator[LLM]:
    """An engine that has the backend, too."""
    with engine(box, max_num_seqs=SEQUENCES, logits_processors=[NAME]) as made:
        yield made


@pytest.fixture(scope="module")
def plain(box: str) -> Iterator[LLM]:
    with engine(box, max_num_seqs=SEQUENCES) as made:
        yield made


def params(asked: dict[str, Any] | None = None, **more: Any) -> SamplingParams:
    extra = None if asked is None else {"bridle": {"logits": asked}}
    return SamplingParams(extra_args=extra, **{"max_tokens": 60, "seed": 1, **more})


def generated(llm: LLM, requests: list[SamplingParams]) -> list[Any]:
    return [result.outputs[0] for result in llm.generate([PROMPT] * len(requests), requests, use_tqdm=False)]


def is_valid(text: str, schema: Any) -> bool:
    jsonschema.validate(json.loads(text), schema)
    return True


# ---------------------------------------------------------------------------------------------- outputs


def test_texts_are_of_their_grammars_and_rows_without_one_are_as_without_the_processor(llm: LLM, plain: LLM) -> None:
    """Many more requests than rows, of lengths of their own, so that they finish and others take their places."""
    requests, schemas = [], []
    for i in range(36):
        schema = None if i % 3 == 0 else SCHEMAS[i % len(SCHEMAS)]
        schemas.append(schema)
        more = {"seed": i, "temperature": [0.0, 0.8, 1.2][i // 3 % 3], "max_tokens": 24 + 7 * (i % 5)}
        requests.append(params(None if schema is None else {"json": schema}, **more))
    found = generated(llm, requests)
    for output, schema in zip(found, schemas, strict=True):
        assert schema is None or is_valid(output.text, schema)
    free = [i for i, schema in enumerate(schemas) if schema is None]
    expected = generated(plain, [requests[i] for i in free])
    assert [found[i].token_ids for i in free] == [output.token_ids for output in expected]
    assert len({output.finish_reason for output in found}) == 2


def test_every_kind_of_grammar_is_taken(llm: LLM) -> None:
    tool = {"begin": "<f=a>", "content": {"type": "json_schema", "json_schema": PERSON}, "end": "</f>"}
    tag = {"type": "triggered_tags", "triggers": ["<f"], "tags": [tool], "at_least_one": True, "stop_after_first": True}
    agent = {"agent": "react", "tools": {"search": {"type": "object"}}, "trace": "Question: Where is Ann?"}
    asked = [
        ({"regex": r"[a-z]{3,8}@[a-z]{3}\.com"}, r"[a-z]{3,8}@[a-z]{3}\.com"),
        ({"choice": ["red", "green"]}, "red|green"),
        ({"grammar": 'root ::= "x" [0-9]+ "y"'}, "x[0-9]+y"),
        ({"grammar": 'start: "x" /[0-9]+/ "z"'}, "x[0-9]+z"),
        ({"json_object": True}, r"(?s)\{.*\}"),
        ({"structural_tag": json.dumps({"type": "structural_tag", "format": tag})}, "(?s).*<f=a>{.*}</f>"),
        ({"grammar": f"%agent {json.dumps(agent)}"}, r"(?s)\s*Thought:.*"),
    ]
    outputs = generated(llm, [params(member, temperature=0.0, max_tokens=80) for member, _ in asked])
    for output, (member, pattern) in zip(outputs, asked, strict=True):
        assert re.fullmatch(pattern, output.text), (member, output.text)


def test_the_processor_writes_what_the_backend_writes(llm: LLM) -> None:
    """Each request twice, once in each way, in one batch."""
    requests = []
    for seed, schema in enumerate(SCHEMAS):
        more = {"seed": seed, "temperature": 0.9 * (seed % 3), "max_tokens": 40}
        requests += [params({"json": schema}, **more)]
        requests += [params(structured_outputs=StructuredOutputsParams(json=schema), **more)]
    outputs = generated(llm, requests)
    for i in range(0, len(outputs), 2):
        assert outputs[i].token_ids == outputs[i + 1].token_ids, SCHEMAS[i // 2]


def test_objects_are_closed_within_the_tokens_of_the_request(llm: LLM) -> None:
    requests = [params({"json": PERSON}, max_tokens=n, temperature=1.5, seed=n) for n in range(16, 28)]
    assert all(is_valid(output.text, PERSON) for output in generated(llm, requests))


def test_stop_tokens_of_a_request_end_its_text_alone(llm: LLM) -> None:
    tokenizer = llm.get_tokenizer()
    pad = tokenizer.convert_tokens_to_ids("<|pad|>")
    requests = [params({"regex": "[a-z]{4}"}, stop_token_ids=stops) for stops in ([pad], [], [pad])]
    outputs = generated(llm, requests)
    assert all(re.fullmatch("[a-z]{4}", output.text) and output.finish_reason == "stop" for output in outputs)


# ---------------------------------------------------------------------------------------------- temperatures

PARTS = 'root ::= cold " " free\ncold{} ::= [a-z]{{16}}\nfree ::= [a-z]{{16}}'


def test_a_cold_part_is_the_same_in_all_texts_and_what_is_beside_it_is_not(llm: LLM) -> None:
    cold = {"grammar": PARTS.format("[temperature=0.001]")}
    texts = [output.text for output in generated(llm, [params(cold, seed=seed) for seed in range(12)])]
    parts = [text.split(" ") for text in texts]
    assert len({part for part, _ in parts}) == 1 and len({part for _, part in parts}) > 6
    best = generated(llm, [params({"grammar": PARTS.format("")}, temperature=0.0)])[0].text
    assert parts[0][0] == best.split(" ")[0]
    without = generated(llm, [params({"grammar": PARTS.format("")}, seed=seed) for seed in range(12)])
    assert len({output.text.split(" ")[0] for output in without}) > 6


def test_a_temperature_of_0_is_greedy(llm: LLM) -> None:
    requests = [params({"grammar": PARTS.format("[temperature=0]")}, seed=seed) for seed in range(4)]
    requests.append(params({"grammar": PARTS.format("")}, temperature=0.0))
    assert len({output.text.split(" ")[0] for output in generated(llm, requests)}) == 1


def test_greedy_requests_have_no_temperatures(llm: LLM) -> None:
    requests = [params({"grammar": PARTS.format(hot)}, temperature=0.0) for hot in ("[temperature=50]", "")]
    hot, plain = generated(llm, requests)
    assert hot.token_ids == plain.token_ids


def test_the_temperature_of_a_rule_is_that_of_the_request_where_they_are_equal(llm: LLM) -> None:
    requests = [
        params({"grammar": "root[temperature=0.7] ::= [a-z]{30}"}, temperature=1.3, seed=5),
        params({"grammar": "root ::= [a-z]{30}"}, temperature=0.7, seed=5),
        params({"grammar": "root ::= [a-z]{30}"}, temperature=1.3, seed=5),
    ]
    ruled, asked, other = generated(llm, requests)
    assert ruled.token_ids == asked.token_ids != other.token_ids


# ---------------------------------------------------------------------------------------------- admission

BAD: list[tuple[dict[str, Any], str]] = [
    ({"json": {"type": "objet"}}, "/type"),
    ({"grammar": "root ::= x"}, "rule 'x' is not defined"),
    ({"regex": "(a"}, "unterminated group"),
    ({"json": {"enum": [1], "type": "string"}}, "no value"),
]


def test_a_bad_grammar_is_refused_and_the_others_go_on(llm: LLM) -> None:
    requests = [params({"json": SCHEMAS[i]}, seed=i) for i in range(4)]
    expected = [output.token_ids for output in generated(llm, requests)]
    engine = llm.llm_engine
    for i, request in enumerate(requests):
        engine.add_request(f"good {i}", PROMPT, request)
    found: dict[str, Any] = {}
    bad = iter(BAD)
    while engine.has_unfinished_requests():
        found.update({result.request_id: result.outputs[0].token_ids for result in engine.step() if result.finished})
        refused = next(bad, None)
        if refused is not None:
            with pytest.raises(VLLMValidationError, match=refused[1]):
                engine.add_request("bad", PROMPT, params(refused[0]))
    assert [found[f"good {i}"] for i in range(4)] == expected


def test_a_special_token_that_the_vocabulary_has_not_ends_its_text_alone(llm: LLM) -> None:
    bad, good = generated(llm, [params({"grammar": 'root ::= <|nope|> "a"'}), params({"json": PERSON})])
    assert bad.text == "" and bad.finish_reason == "stop"
    assert is_valid(good.text, PERSON)


def test_a_grammar_beside_structured_outputs_is_refused(llm: LLM) -> None:
    request = params({"regex": "a"}, structured_outputs=StructuredOutputsParams(regex="a"))
    with pytest.raises(VLLMValidationError, match="has one of"):
        llm.generate([PROMPT], [request], use_tqdm=False)
