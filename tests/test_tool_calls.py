"""Tool calls are written as each model's format has them, and what is no tool or no format is refused."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

import bridle
import vocabularies
from bridle.grammar.saved_grammars import grammar_of

FOLDER = Path(__file__).parent / "cases" / "tool_calls"
CASES = json.loads((FOLDER / "cases.json").read_text())
TOOLS = json.loads((FOLDER / "tools.json").read_text())
FORMATS = [
    "deepseek_r1", "deepseek_v3_1", "harmony", "llama3", "mistral_v11", "mistral_v3", "qwen3", "qwen3_coder",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['format']} {case['options']}")
def test_tool_calls_judge_texts_as_the_case_says(case) -> None:
    grammar = bridle.tool_calls(case["format"], TOOLS, **case["options"])
    for text, wanted in case["texts"].items():
        verdict = bridle.validate(grammar, text, as_generated=True)
        whole = verdict.offset == len(text.encode())
        assert ("sentence" if verdict.ok else "beginning" if whole else verdict.offset) == wanted, text


def test_where_xgrammar_judges_otherwise_the_case_says_why() -> None:
    assert [case["format"] for case in CASES if "xgrammar" in case and "because" not in case] == []


def test_every_format_has_cases_and_says_what_it_is_and_where_it_is_from() -> None:
    assert list(bridle.tool_formats()) == FORMATS == sorted({case["format"] for case in CASES})
    for name in FORMATS:
        about = json.loads(files("bridle.grammar").joinpath(f"tool_formats/{name}.json").read_text())
        assert about["title"] == bridle.tool_formats()[name] and about["source"]
        assert set(about) <= {"title", "source", "reasoning", "format", "required", "one"}


@pytest.mark.parametrize("name", FORMATS)
def test_tools_may_be_given_as_openai_has_them(name) -> None:
    wrapped = [{"type": "function", "function": {**tool, "description": "…"}} for tool in TOOLS]
    case = next(case for case in CASES if case["format"] == name and not case["options"])
    grammar = bridle.tool_calls(name, wrapped)
    for text, wanted in case["texts"].items():
        assert bridle.validate(grammar, text, as_generated=True).ok == (wanted == "sentence")


def test_options_reach_the_schemas_of_the_parameters() -> None:
    text = '{"name": "get_weather", "parameters": {"days": 3, "city": "Rome"}}'
    assert not bridle.validate(bridle.tool_calls("llama3", TOOLS), text, as_generated=True).ok
    assert bridle.validate(bridle.tool_calls("llama3", TOOLS, property_order="any"), text, as_generated=True).ok


def test_what_something_else_has_written_may_have_its_arguments_in_any_order() -> None:
    text = '{"name": "get_weather", "parameters": {\n"days": 3, "city":  "Rome" }}'
    assert bridle.validate(bridle.tool_calls("llama3", TOOLS), text).ok


@pytest.mark.parametrize("name", FORMATS)
def test_tool_calls_can_be_saved(name, tmp_path) -> None:
    grammar = bridle.tool_calls(name, TOOLS, choice="required", parallel=False)
    again = grammar_of(grammar.recipe)
    case = next(case for case in CASES if case["format"] == name and case["options"] == {"choice": "stop"})
    for text in case["texts"]:
        assert bridle.validate(again, text).offset == bridle.validate(grammar, text).offset
    assert repr(again) == repr(grammar)


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (("qwen4", TOOLS), {}, "did you mean 'qwen3'"),
        (("xyz", TOOLS), {}, "there are deepseek_r1"),
        (("qwen3", []), {}, "no tools"),
        (("qwen3", [3]), {}, '"name"'),
        (("qwen3", [{"parameters": {}}]), {}, '"name"'),
        (("qwen3", [{"name": 'a"b'}]), {}, "letters, digits"),
        (("qwen3", [{"name": "a"}, {"name": "a"}]), {}, "two tools"),
        (("qwen3", TOOLS), {"choice": "go"}, "get_weather, stop, not 'go'"),
        (("llama3", TOOLS), {"reasoning": True}, "no marks for reasoning"),
        (("qwen3", TOOLS), {"reasoning": "always"}, '"optional" or "opened"'),
        (("qwen3", [{"name": "a", "parameters": {"type": "strin"}}]), {}, "/0/parameters/type"),
        (("qwen3_coder", [{"name": "a", "parameters": {"type": "string"}}]), {}, "are an object"),
    ],
)
def test_what_is_no_tool_or_no_format_is_refused(arguments, options, says) -> None:
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.tool_calls(*arguments, **options)
    assert says in str(caught.value)


def test_a_hundred_tools_are_masked_with_a_real_vocabulary() -> None:
    vocabulary = vocabularies.tekken()
    tools = [{**TOOLS[0], "name": f"tool_{i}"} for i in range(100)]
    compiled = bridle.compile(bridle.tool_calls("mistral_v11", tools), vocabulary)
    matcher = bridle.Matcher(compiled)
    mask, slow = (bridle.allocate_token_bitmask(1, vocabulary.size) for _ in range(2))
    for text in (
        "Well, [",
        "TOOL_CALLS]",
        "tool_4",
        "2[ARGS]",
        '{"ci',
        'ty": "R"',
        "}",
        " and [TOOL",
        "_CALLS]tool_7[",
    ):
        assert matcher.accept_bytes(text)
        matcher.fill_next_token_bitmask(mask)
        matcher.fill_reference_bitmask(slow)
        assert (mask == slow).all(), text


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema"])
def test_the_schema_of_the_arguments_has_the_names_that_others_give_it(key):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    grammar = bridle.tool_calls("llama3", [{"name": "f", key: schema}], choice="required")
    assert bridle.validate(grammar, '{"name": "f", "parameters": {"n": 1}}')
    assert not bridle.validate(grammar, '{"name": "f", "parameters": {"m": 1}}')


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"name": "f", "parametrs": {}}, "did you mean"),
        ({"name": "f", "parameter": {}}, "did you mean"),
        ({"name": "f", "parameters": {"type": "string"}}, "arguments of a tool are an object"),
    ],
)
def test_a_tool_that_would_lose_its_schema_is_refused(tool, message):
    with pytest.raises(bridle.GrammarError, match=message):
        bridle.tool_calls("qwen3", [tool])
