"""vLLM's server with bridle behind it, asked over HTTP as its users do; examples/vllm starts it, and asks, too."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import pytest

pytest.importorskip("vllm.entrypoints", reason="vLLM is not installed: make test-vllm")
import openai
from servers import EXAMPLES, Server, serving

import bridle

sys.path.insert(0, str(EXAMPLES))
from client import ADD, EBNF, EMAIL, KINDS, LARK, PERSON, TAGS, TOOLS, bridle_says, schema_format, structured

NAMED = {"type": "function", "function": {"name": "add"}}
# One byte leads to 300 states behind the sign of equality, which is more than a text may have.
AMBIGUOUS = 'root ::= [a-z]{12} "=" (' + " | ".join(f"a{i}" for i in range(300)) + ")\n"
AMBIGUOUS += "\n".join(f'a{i} ::= "q" a{i} "{i};" | "e"' for i in range(300))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    log = tmp_path_factory.mktemp("server") / "log"
    with serving([sys.executable, str(EXAMPLES / "serve.py")], log) as up:
        yield up


def is_person(text: str) -> bool:
    return jsonschema.Draft202012Validator(PERSON).is_valid(json.loads(text))


# ------------------------------------------------------------------------------------------------ what OpenAI has


def test_the_example_asks_everything_and_gets_it(server: Server) -> None:
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "client.py"), "--base-url", server.url],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for kind in KINDS:
        assert re.search(rf"^{kind.__name__}\n    \S", run.stdout, re.MULTILINE), run.stdout


@pytest.mark.parametrize("seed", range(4))
def test_a_response_format_is_kept_to_streaming_and_not(server: Server, seed: int) -> None:
    options = {"response_format": schema_format(PERSON), "temperature": 1.0, "seed": seed}
    whole, pieces = server.chat(**options), server.streamed(**options)
    assert is_person(whole.message.content) and whole.finish_reason == "stop"
    assert is_person(pieces.content) and pieces.finish_reason == "stop" and pieces.pieces > 5


def test_an_object_is_one_streaming_and_not(server: Server) -> None:
    options = {"response_format": {"type": "json_object"}, "temperature": 1.0, "max_tokens": 60}
    assert isinstance(json.loads(server.chat(**options).message.content), dict)
    assert isinstance(json.loads(server.streamed(**options).content), dict)


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_tools_are_called_with_arguments_of_their_schema(server: Server, choice: object) -> None:
    options = {"tools": TOOLS, "tool_choice": choice, "temperature": 1.0}
    prompt = "What is 3 plus 4?"
    calls = server.chat(prompt, **options).message.tool_calls
    whole = [[call.function.name, call.function.arguments] for call in calls]
    for name, arguments in [*whole, *server.streamed(prompt, **options).calls]:
        assert name == "add"
        jsonschema.validate(json.loads(arguments), ADD)
    assert whole


def test_the_responses_interface_is_kept_to(server: Server) -> None:
    form = {"format": {"type": "json_schema", "name": "person", "schema": PERSON}}
    answer = server.client.responses.create(
        model="box", input="Describe a person as JSON:", max_output_tokens=80, text=form
    )
    assert is_person(answer.output_text)


# ------------------------------------------------------------------------------------------------ what vLLM adds


@pytest.mark.parametrize(
    ("asked", "grammar"),
    [
        ({"regex": EMAIL}, bridle.Grammar.from_regex(EMAIL)),
        ({"choice": ["red", "green"]}, bridle.Grammar.from_choices(["red", "green"])),
        ({"grammar": EBNF}, bridle.Grammar.from_ebnf(EBNF)),
        ({"grammar": LARK}, bridle.Grammar.from_lark(LARK)),
        ({"structural_tag": json.dumps(TAGS)}, bridle.Grammar.from_structural_tag(TAGS)),
        ({"json": json.dumps(PERSON)}, bridle.Grammar.from_json_schema(PERSON)),
        (
            {"json": PERSON, "disable_any_whitespace": True},
            bridle.Grammar.from_json_schema(PERSON, whitespace="compact"),
        ),
    ],
    ids=["regex", "choice", "ebnf", "lark", "structural_tag", "json", "compact"],
)
def test_structured_outputs_are_kept_to_streaming_and_not(server: Server, asked: dict, grammar: bridle.Grammar) -> None:
    options = {"extra_body": structured(**asked), "temperature": 1.0}
    for text in (server.chat("Say:", **options).message.content, server.streamed("Say:", **options).content):
        assert bridle.validate(grammar, text).ok, text


def test_several_answers_to_one_request_are_kept_to(server: Server) -> None:
    answers = server.client.completions.create(
        model="box", prompt="A person:\n", n=5, temperature=1.0, max_tokens=100, extra_body=structured(json=PERSON)
    )
    assert len(answers.choices) == 5 and all(is_person(choice.text) for choice in answers.choices)


# ------------------------------------------------------------------------------------------------ what bridle adds


def test_a_text_is_closed_within_max_tokens_and_cut_only_where_none_is_so_short(server: Server) -> None:
    options = {"extra_body": structured(json=PERSON), "temperature": 1.0}
    for tokens in (12, 16, 20):
        answer = server.chat(max_tokens=tokens, **options)
        assert answer.finish_reason == "stop" and is_person(answer.message.content)
    assert server.chat(max_tokens=4, **options).finish_reason == "length"


def test_a_request_may_go_without_a_budget(server: Server) -> None:
    options = {"response_format": schema_format({"type": "array", "minItems": 3, "items": {"type": "string"}})}
    bounded = server.chat(max_tokens=20, **options)
    free = server.chat(max_tokens=20, **options, extra_body=bridle_says(budget=False))
    assert (bounded.finish_reason, free.finish_reason) == ("stop", "length")


def test_options_of_schemas_are_taken(server: Server) -> None:
    options = bridle_says(options={"whitespace": "compact", "property_order": "any"})
    for seed in range(3):
        answer = server.chat(response_format=schema_format(PERSON), extra_body=options, temperature=1.0, seed=seed)
        text = answer.message.content
        assert is_person(text) and json.dumps(json.loads(text), separators=(",", ":")) == text


@pytest.mark.parametrize("way", ["arguments", "grammar"])
def test_an_agent_goes_on_over_several_requests(server: Server, way: str) -> None:
    tools = {"add": ADD}
    spec = bridle.AgentSpec.ready("react", tools=tools)
    for seed in range(3):
        trace, turns = bridle.agents.feed(spec, "", "What is 3 plus 4?"), 0
        while turns < 9:
            asked = {"agent": "react", "tools": tools, "trace": trace}
            extra = bridle_says(**asked) if way == "arguments" else structured(grammar=f"%agent {json.dumps(asked)}")
            answer = server.client.completions.create(
                model="box", prompt=trace, max_tokens=150, temperature=1.0, seed=seed, extra_body=extra
            ).choices[0]
            trace, turns = trace + answer.text, turns + 1
            assert answer.finish_reason == "stop"
            if bridle.agents.awaited(spec, trace) is None:
                break
            trace = bridle.agents.feed(spec, trace, "7")
        assert spec.validate(trace).ok, trace


def test_an_agent_goes_on_in_a_chat_whose_last_message_is_its_trace(server: Server) -> None:
    trace = "Question: What is 3 plus 4?"
    extra = {"add_generation_prompt": False, "continue_final_message": True}
    answer = server.client.chat.completions.create(
        model="box", messages=[{"role": "assistant", "content": trace}], max_tokens=150,
        extra_body=extra | bridle_says(agent="react", tools={"add": ADD}, trace=trace),
    ).choices[0]  # fmt: skip
    spec = bridle.AgentSpec.ready("react", tools={"add": ADD})
    assert bridle.agents.awaited(spec, trace + answer.message.content) in ("observation", None)


# ------------------------------------------------------------------------------------------------ others of vLLM's


def test_the_end_is_held_off_by_min_tokens_where_the_text_can_go_on(server: Server) -> None:
    def asked(grammar: dict) -> dict:
        return {"extra_body": structured(**grammar) | {"min_tokens": 30, "return_token_ids": True}, "max_tokens": 40}

    assert len(server.chat(**asked({"regex": "[a-z]+"})).token_ids) >= 30
    assert server.chat(**asked({"choice": ["red", "green"]})).message.content in ("red", "green")


def test_biases_and_bad_words_allow_nothing(server: Server) -> None:
    for options in ({"logit_bias": {"80": 100}}, {"extra_body": {"bad_words": ["red", "green"]}}):
        body = options.pop("extra_body", {}) | structured(choice=["red", "green"])
        assert server.chat(extra_body=body, **options).message.content in ("red", "green")


def test_a_request_that_allows_itself_nothing_ends_alone_as_an_error(server: Server) -> None:
    with pytest.raises(openai.InternalServerError):
        server.chat(extra_body=structured(choice=["red"]) | {"allowed_token_ids": [70]})
    assert is_person(server.chat(extra_body=structured(json=PERSON)).message.content)


def test_behind_its_end_a_text_that_ignores_it_is_free(server: Server) -> None:
    answer = server.chat(extra_body=structured(choice=["red", "green"]) | {"ignore_eos": True}, max_tokens=30)
    assert answer.finish_reason == "length" and answer.message.content.startswith(("red", "green"))


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"response_format": schema_format({"type": "objet"})}, r"'objet' is not a type.* at /type"),
        ({"response_format": schema_format({"enum": [1], "type": "string"})}, "no value satisfies this schema"),
        ({"extra_body": structured(json="{")}, "the schema is not JSON"),
        ({"extra_body": structured(regex="(a")}, r"unterminated group, line 1, column 1"),
        ({"extra_body": structured(grammar="root ::= x")}, r"rule 'x' is not defined, line 1, column 10"),
        ({"extra_body": structured(grammar="root ::= <|nope|>")}, r"no special token '<\|nope\|>'"),
        ({"extra_body": structured(choice=[])}, "there are no choices"),
        ({"extra_body": structured(json=PERSON, whitespace_pattern=" ")}, "whitespace_pattern is not supported"),
        ({"extra_body": bridle_says(budge=1)}, "has no 'budge'"),
        ({"extra_body": bridle_says(agent="reakt")}, "reakt"),
        ({"extra_body": bridle_says(agent="react", tools=["a"])}, "tool"),
        ({"extra_body": bridle_says(agent="react", tools={"a": ADD}, trace="Question: b\nAction: a")}, "line 2, col"),
        ({"extra_body": structured(json=PERSON) | bridle_says(agent="react")}, "not both"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "objet"}}}],
          "tool_choice": "required"}, "'objet' is not a type"),
    ],
)  # fmt: skip
def test_what_is_no_grammar_is_a_bad_request_with_the_reason(server: Server, asked: dict, message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        server.chat(**asked)
    with pytest.raises(openai.APIError, match=message) as streamed:
        server.streamed(**asked)
    assert streamed.value.body["code"] == 400  # type: ignore[index]
    assert server.is_up()


def test_many_requests_at_once_are_kept_to_and_bad_ones_among_them_spoil_nothing(server: Server) -> None:
    def schema(i: int) -> dict:
        return {"type": "object", "properties": {f"p{i}": {"type": "integer"}}, "required": [f"p{i}"]}

    def ask(i: int) -> str:
        if i % 8 == 7:
            with pytest.raises(openai.BadRequestError, match="is not a type"):
                server.chat(response_format=schema_format({"type": f"t{i}"}))
            return ""
        if i % 8 == 6:
            return server.chat(seed=7).message.content
        options = {"response_format": schema_format(schema(i % 8)), "seed": i, "temperature": 1.0, "max_tokens": 60}
        text = server.chat(**options).message.content if i % 2 else server.streamed(**options).content
        jsonschema.validate(json.loads(text), schema(i % 8))
        return text

    alone = server.chat(seed=7).message.content
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    assert {answers[i] for i in range(6, 64, 8)} == {alone}  # without a grammar, nothing is changed


def test_a_limit_met_in_the_middle_of_a_text_ends_that_request_alone(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(server.chat, extra_body=structured(json=PERSON), seed=i) for i in range(6)]
        with pytest.raises(openai.InternalServerError):
            server.chat(extra_body=structured(grammar=AMBIGUOUS))
        with pytest.raises(openai.APIError, match="Internal server error"):
            server.streamed(extra_body=structured(grammar=AMBIGUOUS))
        assert all(is_person(other.result().message.content) for other in others)
    said = server.log.read_text(errors="replace")
    assert "limit ambiguity (states that one byte leads to) exceeded at byte 13" in said
    assert is_person(server.chat(extra_body=structured(json=PERSON)).message.content)


def test_the_example_without_a_server_runs(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        run = subprocess.run(
            [sys.executable, str(EXAMPLES / "offline.py"), "config"],
            stdout=subprocess.PIPE, stderr=log, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert run.returncode == 0, (tmp_path / "log").read_text()[-4000:]
    assert "{'name': " in run.stdout and "Thought:" in run.stdout
