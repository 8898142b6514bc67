"""Tool calls are written as each model's format has them, and what is no tool or no format is refused."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

import bridle
import vocabularies
from bridle.grammar.saved_grammars import grammar_of
from oracle import allowed_tokens

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
        assert set(about) <= {"title", "source", "special_tokens", "reasoning", "format", "required", "one"}
        shown = json.dumps([about.get(key) for key in ("reasoning", "format", "required", "one")], ensure_ascii=False)
        assert [token for token in about["special_tokens"] if token not in shown] == []


def special_in(name: str) -> list[str]:
    return json.loads(files("bridle.grammar").joinpath(f"tool_formats/{name}.json").read_text())["special_tokens"]


def with_special(names: list[str]) -> bridle.Vocabulary:
    """Bytes, an ordinary token that spells a mark, one that ends in a part of one, and special tokens."""
    tokens = [*[bytes((b,)) for b in range(256)], b"", b"<tool_call>", b"x<tool"]
    return bridle.Vocabulary(
        [*tokens, *[b""] * len(names)],
        stop_token_ids=256,
        special_tokens={name: len(tokens) + i for i, name in enumerate(names)},
    )


def steps_of(text: str, vocabulary: bridle.Vocabulary) -> list[int]:
    """A text as a tokenizer has it that reads names of special tokens as these tokens, and the rest byte by byte."""
    names = sorted(vocabulary.special_tokens, key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    return [
        step
        for i, piece in enumerate(pieces)
        for step in ([vocabulary.special_tokens[piece]] if i % 2 else piece.encode())
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['format']} {case['options']}")
def test_tool_calls_are_written_with_the_special_tokens_that_the_vocabulary_has(case) -> None:
    vocabulary = with_special(special_in(case["format"]))
    compiled = bridle.compile(bridle.tool_calls(case["format"], TOOLS, **case["options"]), vocabulary)
    names = {id_: name for name, id_ in vocabulary.special_tokens.items()}
    for text, wanted in case["texts"].items():
        matcher, steps, at = bridle.Matcher(compiled), steps_of(text, vocabulary), 0
        for step in steps:
            length = len(names[step].encode()) if step in names else 1
            if not matcher.accept_token(step):
                in_thoughts = wanted == "beginning" and case["options"]["reasoning"] == "opened"
                assert in_thoughts or at <= wanted < at + length, text
                break
            at += length
        else:
            assert ("sentence" if matcher.is_accepting() else "beginning") == wanted, text


@pytest.mark.parametrize("name", FORMATS)
def test_where_the_vocabulary_has_special_tokens_the_texts_that_spell_them_are_no_calls(name) -> None:
    vocabulary = with_special(special_in(name))
    case = next(case for case in CASES if case["format"] == name and not case["options"])
    grammars = [bridle.tool_calls(name, TOOLS), bridle.tool_calls(name, TOOLS, special_tokens=())]
    tokens, texts = (bridle.compile(grammar, vocabulary) for grammar in grammars)
    for text in (text for text, wanted in case["texts"].items() if wanted == "sentence"):
        shows = any(mark in text for mark in special_in(name))
        assert bridle.Matcher(tokens).accept_bytes(text) != shows
        assert bridle.Matcher(texts).accept_bytes(text)
    assert texts.grammar is grammars[1] and (tokens.grammar is grammars[0]) == (not special_in(name))


def test_special_tokens_that_the_vocabulary_lacks_are_text_and_that_is_told() -> None:
    for vocabulary in (with_special([]), with_special(["<think>"])):
        grammar = bridle.compile(bridle.tool_calls("qwen3", TOOLS), vocabulary).grammar
        assert bridle.validate(grammar, '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>')
        told = [note for note in grammar.notes if "text here" in note]
        assert told == ["the vocabulary has no special tokens <tool_call>, </tool_call>: they are text here"]


def test_no_special_token_comes_in_free_text_arguments_or_the_name_of_a_tool() -> None:
    names = [*special_in("qwen3"), "sop", "<|im_start|>"]
    vocabulary = with_special(names)
    tools = [{"name": "sop", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}]
    matcher = bridle.Matcher(bridle.compile(bridle.tool_calls("qwen3", tools), vocabulary))
    special = {id_: name for name, id_ in vocabulary.special_tokens.items()}

    def may_come() -> set[str]:
        return {special[i] for i in allowed_tokens(matcher) if i in special}

    assert may_come() == {"<tool_call>"}
    assert matcher.accept_bytes("sop, <tool") and may_come() == {"<tool_call>"}
    assert not matcher.accept_bytes("_call>")
    assert matcher.accept_token(vocabulary.special_tokens["<tool_call>"]) and may_come() == set()
    for text in ('\n{"name": "', "sop", '", "arguments": ', '{"x": "<tool_call>', '"}', "}\n"):
        assert may_come() == set() and matcher.accept_bytes(text)
    assert may_come() == {"</tool_call>"} and matcher.forced_bytes() == b""
    assert matcher.accept_token(vocabulary.special_tokens["</tool_call>"]) and may_come() == {"<tool_call>"}


def test_reasoning_ends_at_its_special_token() -> None:
    vocabulary = with_special(special_in("qwen3"))
    grammar = bridle.tool_calls("qwen3", TOOLS, reasoning=True, choice="required")
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    begin, end, call = (vocabulary.special_tokens[name] for name in ("<think>", "</think>", "<tool_call>"))
    assert allowed_tokens(matcher) == {begin} and matcher.accept_token(begin)
    assert matcher.accept_bytes("I need <tool_call>, or </thin") and not matcher.accept_bytes("k>")
    assert not {begin, call} & allowed_tokens(matcher) and matcher.accept_token(end)
    assert matcher.forced_bytes() == b"\n\n" and matcher.accept_bytes("\n\n") and allowed_tokens(matcher) == {call}


def test_an_answer_in_harmony_ends_at_the_stop_token_that_a_message_ends_with() -> None:
    names = {name: 257 + i for i, name in enumerate(special_in("harmony"))}
    ends = [names["<|return|>"], names["<|call|>"]]
    tokens = [bytes((b,)) for b in range(256)] + [b""] * 8
    vocabulary = bridle.Vocabulary(tokens, stop_token_ids=ends, special_tokens=names)
    matcher = bridle.Matcher(bridle.compile(bridle.tool_calls("harmony", TOOLS, reasoning=True), vocabulary))
    texts = ["<|channel|>analysis<|message|>So<|end|>", "<|start|>assistant", "<|channel|>final<|message|>Hi"]
    for step in steps_of("".join(texts), vocabulary):
        assert matcher.accept_token(step) and not matcher.is_terminated()
    assert {names["<|return|>"], names["<|end|>"]} == allowed_tokens(matcher) & set(names.values())
    assert matcher.accept_token(names["<|return|>"]) and matcher.is_accepting()
    assert {*ends, names["<|start|>"]} == allowed_tokens(matcher)  # another message may come, and any stop token end it
    matcher.reset()
    call = "<|channel|>commentary to=functions.stop <|constrain|>json<|message|>{}"
    assert all(map(matcher.accept_token, steps_of(call, vocabulary)))
    assert matcher.accept_token(names["<|call|>"]) and matcher.is_accepting()
    assert matcher.accept_token(names["<|return|>"]) and matcher.is_terminated()


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
    call = vocabulary.special_tokens["[TOOL_CALLS]"]  # [ARGS] is text to this one
    for step in ("Well, [", call, "tool_4", "2[ARGS]", '{"ci', 'ty": "R"', "}", " and [TOOL_CALLS", call, "tool_7["):
        assert matcher.accept_bytes(step) if isinstance(step, str) else matcher.accept_token(step)
        matcher.fill_next_token_bitmask(mask)
        matcher.fill_reference_bitmask(slow)
        assert (mask == slow).all(), step


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


BAD = {"type": "object", "properties": {"a": {"type": "strin"}}}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("tool", "pointer"),
    [
        ({"name": "f", "parameters": BAD}, "/tools/2/parameters/properties/a/type"),
        ({"name": "f", "input_schema": BAD}, "/tools/2/input_schema/properties/a/type"),
        ({"type": "function", "function": {"name": "f", "parameters": BAD}},
         "/tools/2/function/parameters/properties/a/type"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_schema_is_told_of_the_tool(name, tool, pointer):
    for choice in ("auto", "required", "f"):
        with pytest.raises(bridle.GrammarError, match=r"^tool 'f': ") as caught:
            bridle.tool_calls(name, [*TOOLS, tool], choice=choice)
        assert caught.value.pointer == pointer and pointer in str(caught.value)


def test_what_is_not_enforced_or_too_large_is_told_of_the_tool():
    loose = {"type": "object", "properties": {"a": {"uniqueItems": True}}}
    tools = [*TOOLS, {"type": "function", "function": {"name": "f", "parameters": loose}}]
    with pytest.raises(bridle.UnsupportedError, match="tool 'f': ") as caught:
        bridle.tool_calls("harmony", tools)
    place = "/tools/2/function/parameters/properties/a"
    assert caught.value.pointer == place
    grammar = bridle.tool_calls("harmony", tools, on_unsupported="report")
    assert [(gap.pointer, gap.keyword) for gap in grammar.unenforced] == [(place, "uniqueItems")]
    bound = bridle.compile(grammar, with_special(special_in("harmony"))).grammar
    assert bound is not grammar and bound.unenforced == grammar.unenforced
    large: dict = {}
    for _ in range(900):
        large = {"type": "object", "properties": {"a": large}, "required": ["a"]}
    with pytest.raises(bridle.LimitError, match=r"/tools/0/parameters \(tool 'g'\)"):
        bridle.tool_calls("qwen3", [{"name": "g", "parameters": large}])
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.tool_calls("qwen3", [{"type": "function", "function": {"name": "a b"}}])
    assert caught.value.pointer == "/tools/0/function/name"


def test_tool_calls_with_special_tokens_are_saved_and_composed(tmp_path):
    vocabulary = with_special(special_in("qwen3"))
    call = steps_of('<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>', vocabulary)
    grammar = bridle.tool_calls("qwen3", TOOLS)
    compiled = bridle.compile(grammar, vocabulary)
    compiled.precompute(states=200)
    compiled.save(tmp_path / "calls")
    loaded = bridle.load(tmp_path / "calls", vocabulary)
    composed = bridle.compile(
        "> " + grammar.capture("answer").repeat(0, 1) | bridle.Grammar.from_regex("x"), vocabulary
    )
    for one, before in ((compiled, ""), (loaded, ""), (composed, "> ")):
        matcher = bridle.Matcher(one)
        assert matcher.accept_bytes(before + "ok ") and all(map(matcher.accept_token, call)) and matcher.is_accepting()
        assert not matcher.accept_bytes("<tool_call>") and matcher.accept_bytes("<tool_call")
    bound = bridle.load(tmp_path / "calls", vocabulary).grammar
    assert isinstance(bound, bridle.Grammar) and bound.bound_to(vocabulary) is bound
