"""Structural tags accept what the cases say, say where they are malformed, and free text is free of marks exactly."""

from __future__ import annotations

import json
import re
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
from bridle.grammar.free_text import free_text
from bridle.grammar.grammar import Grammar
from bridle.grammar.saved_grammars import grammar_of
from oracle import allowed_tokens, vocabulary_of

FOLDER = Path(__file__).parent / "cases" / "structural_tags"
CASES, WITH_TOKENS = (json.loads((FOLDER / f"{name}.json").read_text()) for name in ("cases", "tokens"))
EXAMPLES = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
TOKENS = [bytes((b,)) for b in range(256)] + [
    b"<f", b"<fa", b">1", b"</", b"</f>", b"x<", b"</f>x", b"a<fa>1</f>", b"<parameter=", b"</parameter>", b'{"',
    b"\n<",
]  # fmt: skip
VOCABULARY = vocabulary_of(TOKENS)
SPECIAL = {"<t>": 258, "</t>": 259, "<u>": 260, "<|x|>": 261, "<|x|>>": 262}
WITH_SPECIAL = bridle.Vocabulary(
    [*TOKENS[:256], b"", b"hello", *[b""] * 5, b"<t>1", b"a<t", b"</t>"], stop_token_ids=256, special_tokens=SPECIAL
)


def verdict_of(grammar: Grammar, text: str) -> str | int:
    verdict = bridle.validate(grammar, text, as_generated=True)
    if verdict.ok:
        return "sentence"
    return "beginning" if verdict.offset == len(text.encode()) else verdict.offset


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["rule"])
def test_a_structural_tag_judges_texts_as_its_case_says(case) -> None:
    grammar = Grammar.from_structural_tag({"type": "structural_tag", "format": case["format"]})
    assert {text: verdict_of(grammar, text) for text in case["texts"]} == case["texts"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["rule"])
def test_masks_along_the_texts_of_a_case_are_exact(case) -> None:
    compiled = bridle.compile(Grammar.from_structural_tag(case["format"]), VOCABULARY)
    mask = bridle.allocate_token_bitmask(1, VOCABULARY.size)
    for text in case["texts"]:
        matcher = bridle.Matcher(compiled)
        for byte in [None, *text.encode()]:
            if byte is not None and not matcher.accept_bytes(bytes((byte,))):
                break
            allowed = allowed_tokens(matcher)
            matcher.fill_reference_bitmask(mask)
            assert allowed == {i for i in range(VOCABULARY.size) if mask[0, i >> 5] >> (i & 31) & 1}


def steps_of(text: str) -> list[int]:
    """The bytes of a text, and ids of the special tokens that stand in it as «<t>»."""
    pieces = re.split("«(.*?)»", text)
    return [step for i, piece in enumerate(pieces) for step in ([SPECIAL[piece]] if i % 2 else piece.encode())]


@pytest.mark.parametrize("case", WITH_TOKENS, ids=lambda case: case["rule"])
def test_masks_and_steps_follow_special_tokens_as_the_case_says(case) -> None:
    compiled = bridle.compile(Grammar.from_structural_tag(case["format"]), WITH_SPECIAL)
    reference = bridle.allocate_token_bitmask(1, WITH_SPECIAL.size)
    found = {}
    for text in case["texts"]:
        matcher, steps, at = bridle.Matcher(compiled), steps_of(text), 0
        for at in range(len(steps) + 1):
            allowed = allowed_tokens(matcher)
            matcher.fill_reference_bitmask(reference)
            assert allowed == {i for i in range(WITH_SPECIAL.size) if reference[0, i >> 5] >> (i & 31) & 1}
            if at == len(steps) or not matcher.accept_token(steps[at]):
                break
            assert steps[at] in allowed
        found[text] = at if at < len(steps) else "sentence" if 256 in allowed else "beginning"
    assert found == case["texts"]


@pytest.mark.parametrize("case", WITH_TOKENS, ids=lambda case: case["rule"])
def test_what_is_shown_of_a_sentence_with_special_tokens_is_a_sentence(case) -> None:
    grammar = Grammar.from_structural_tag(case["format"])
    bound = grammar.bound_to(WITH_SPECIAL)
    assert bound is not grammar and bound.bound_to(WITH_SPECIAL) is bound
    for text, verdict in case["texts"].items():
        if verdict == "sentence":
            assert bridle.validate(bound, re.sub("[«»]", "", text), as_generated=True)


def test_where_xgrammar_judges_otherwise_the_case_says_why() -> None:
    assert [case["rule"] for case in [*CASES, *WITH_TOKENS] if ("xgrammar" in case) != ("because" in case)] == []


@EXAMPLES
@given(st.sets(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3), st.text("ab", max_size=3))
def test_free_text_is_what_no_mark_begins_in(marks, follow) -> None:
    dfa = free_text(frozenset(marks), follow)
    dfa.verify()
    for word in (word for n in range(6) for word in product("abé", repeat=n)):
        text = "".join(word)
        begins = any((text + follow).startswith(mark, i) for mark in marks for i in range(len(text)))
        assert dfa.accepts(text.encode()) == (not begins)


def test_free_text_is_well_formed() -> None:
    assert not free_text(frozenset(["é"])).accepts(b"\xc3")
    assert not free_text(frozenset(["é"])).accepts("aé".encode())
    assert free_text(frozenset(["é"])).accepts("aè".encode())
    assert free_text(frozenset()).accepts(b"") and not free_text(frozenset()).accepts(b"\xff")


def test_marks_have_a_limit_and_are_made_an_automaton_of_quickly() -> None:
    began = time.thread_time()
    assert free_text(frozenset(["a" * 4096, "b" * 4096]), "a" * 4096).accepts(b"a" * 4095 + b"b") is True
    assert time.thread_time() - began < 5
    with pytest.raises(bridle.LimitError, match=r"8193 given, 8192 allowed"):
        free_text(frozenset(["a" * 8193]))
    with pytest.raises(bridle.LimitError, match="at /content: 9000 given"):
        Grammar.from_structural_tag({"type": "star", "content": {"type": "any_text", "excludes": ["a" * 9000]}})


TEXT = {"type": "any_text"}
ONE = {"type": "const_string", "value": "1"}


def tag(begin="<a>", content=ONE, end="</a>", **more):
    return {"type": "tag", "begin": begin, "content": content, "end": end, **more}


def triggered(*tags, triggers=("<",), **more):
    return {"type": "triggered_tags", "triggers": list(triggers), "tags": list(tags), **more}


MALFORMED = [
    ([], "", "a format is an object with a type"),
    ({}, "", 'a format needs "type"'),
    ({"type": "any_tex"}, "/type", "did you mean 'any_text'"),
    ({"type": ["tag"]}, "/type", "unknown format"),
    ({"type": "tag", "begin": "<", "content": TEXT}, "", 'tag needs "end"'),
    (tag(ende=1), "/ende", "did you mean 'end'"),
    (tag(begin=3), "/begin", "must be a text, not 3"),
    (tag(end=[]), "/end", "a list that is not empty"),
    (tag(end=["x", 3]), "/end", "a text or a list of texts"),
    (tag(content={"type": "regex", "pattern": "("}), "/content/pattern", "unterminated"),
    (tag(content={"type": "regex", "pattern": "[]"}), "/content/pattern", "no text matches"),
    (tag(content={"type": "grammar", "grammar": "root ::= x"}), "/content/grammar", "'x' is not defined"),
    (
        tag(content={"type": "json_schema", "json_schema": {"properties": {"a": {"type": "strin"}}}}),
        "/content/json_schema/properties/a/type",
        "not a type",
    ),
    (tag(content={"type": "json_schema", "json_schema": False}), "/content/json_schema", "no value satisfies"),
    (tag(content={"type": "json_schema", "json_schema": True, "style": "glm_xml"}), "/content/style", "not supported"),
    (tag(content={"type": "json_schema", "json_schema": True, "any_order": 1}), "/content/any_order", "true or false"),
    (tag(begin={"type": "token", "token": 1.5}), "/begin/token", "by its id, not 1.5"),
    (tag(begin={"type": "token", "token": ""}), "/begin/token", "not empty"),
    (tag(begin={"type": "tokens", "token": "<t>"}), "/begin/type", 'must be "token"'),
    (triggered(tag({"type": "token", "token": "<t>"})), "/tags/0/begin", "'<t>' begins with none of the triggers"),
    ({**triggered(tag()), "type": "token_triggered_tags"}, "/triggers", "did you mean 'trigger_tokens'"),
    ({"type": "token_triggered_tags", "trigger_tokens": [], "tags": [tag()]}, "/trigger_tokens", "not empty"),
    (
        {"type": "token_triggered_tags", "trigger_tokens": ["<a>"], "tags": [tag()]},
        "/tags/0/begin",
        "begins with none of the triggers",
    ),
    ({"type": "token_triggered_tags", "trigger_tokens": [7], "tags": [tag("")]}, "/tags/0/begin", "none of the trig"),
    ({"type": "token_dispatch", "rules": [[True, ONE]]}, "/rules/0/0", "by its id, not True"),
    ({"type": "any_tokens", "max_tokens": 3}, "/max_tokens", "no property of the text"),
    ({"type": "exclude_token"}, "", "any_tokens is any number of them"),
    (tag("\ud800"), "/begin", "surrogate"),
    ({"type": "sequence", "elements": [ONE, {"type": "or", "elements": []}]}, "/elements/1/elements", "not empty"),
    (triggered(tag("[a]")), "/tags/0/begin", "none of the triggers"),
    (triggered(tag(), triggers=("<", "<a")), "/tags/0/begin", "several triggers"),
    (triggered(triggers=("<",)), "/tags", "not empty"),
    (triggered(tag(), triggers=("",)), "/triggers", "texts that are not empty"),
    (triggered(ONE), "/tags/0/value", "no member 'value'"),
    (triggered({**tag(), "type": "or"}), "/tags/0/type", 'must be "tag"'),
    ({"type": "any_text", "max_tokens": 3}, "/max_tokens", "no property of the text"),
    ({"type": "any_text", "max_chars": -1}, "/max_chars", "from 0 on"),
    ({"type": "any_text", "excludes": [""]}, "/excludes", "not empty"),
    ({"type": "optional", "content": {"type": "any_text", "excludes": ["a\udc00"]}}, "/content", "surrogate"),
    ({"type": "repeat", "min": 2, "max": 1, "content": ONE}, "/max", "at least 2"),
    ({"type": "repeat", "max": 1, "content": ONE}, "", '"min"'),
    ({"type": "dispatch", "rules": [["<"]]}, "/rules/0", "a text that is not empty and a format"),
    ({"type": "qwen_xml_parameter", "json_schema": {"type": "string"}}, "/json_schema", "no object"),
    ({"type": "qwen_xml_parameter", "json_schema": {"type": "object", "minProperties": 2}}, "/json_schema", "counts"),
]


@pytest.mark.parametrize(("found", "pointer", "says"), MALFORMED, ids=lambda value: str(value)[:40])
def test_a_malformed_tag_is_refused_with_the_place(found, pointer, says) -> None:
    with pytest.raises(bridle.GrammarError) as caught:
        Grammar.from_structural_tag({"type": "structural_tag", "format": found})
    assert caught.value.pointer == "/format" + pointer
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"type": "tag",}', "not JSON"),
        (b"\xff", "not UTF-8"),
        ('{"type": "structural_tag"}', '"format"'),
        ('{"type": "structural_tag", "format": {"type": "any_text"}, "x": 1}', "'x'"),
    ],
)
def test_a_text_that_is_no_structural_tag_is_refused(text, says) -> None:
    with pytest.raises(bridle.GrammarError, match=says):
        Grammar.from_structural_tag(text)


def test_a_tag_that_is_nested_without_end_is_refused() -> None:
    found = TEXT
    for _ in range(3000):
        found = {"type": "optional", "content": found}
    with pytest.raises(bridle.LimitError, match=r"nesting|depth"):
        Grammar.from_structural_tag(found)


def test_the_older_form_and_json_text_are_read() -> None:
    old = {
        "type": "structural_tag",
        "structures": [{"begin": "<f>", "schema": {"type": "integer"}, "end": "</f>"}],
        "triggers": ["<f"],
    }
    for grammar in (Grammar.from_structural_tag(old), Grammar.from_structural_tag(json.dumps(old).encode())):
        assert verdict_of(grammar, "a<f>12</f>b") == "sentence"
        assert verdict_of(grammar, "a<f>x") == 4


def test_the_options_of_schemas_are_passed_on() -> None:
    schema = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
    found = {"type": "json_schema", "json_schema": schema}
    text = '{"b":1,"a":1}'
    assert verdict_of(Grammar.from_structural_tag(found), text) == 2
    assert verdict_of(Grammar.from_structural_tag({**found, "any_order": True}), text) == "sentence"
    grammar = Grammar.from_structural_tag(found, property_order="any", whitespace="compact")
    assert verdict_of(grammar, text) == "sentence" and verdict_of(grammar, "{ ") == 1
    assert repr(grammar_of(grammar.recipe)) == repr(grammar)
    assert verdict_of(grammar_of(grammar.recipe), text) == "sentence"


def test_what_schemas_leave_out_is_told_with_the_place_in_the_tag() -> None:
    found = {"type": "sequence", "elements": [{"type": "json_schema", "json_schema": {"uniqueItems": True}}]}
    grammar = Grammar.from_structural_tag(found, on_unsupported="report")
    assert [(gap.pointer, gap.keyword) for gap in grammar.unenforced] == [("/elements/0/json_schema", "uniqueItems")]
    with pytest.raises(bridle.UnsupportedError) as caught:
        Grammar.from_structural_tag(found)
    assert caught.value.pointer == "/elements/0/json_schema"


def test_tags_that_begin_alike_are_one_place_until_they_part() -> None:
    tags = [tag(f"<tool_{i}>", {"type": "json_schema", "json_schema": {"type": "object"}}) for i in range(300)]
    grammar = Grammar.from_structural_tag(triggered(*tags, triggers=("<tool_",)))
    compiled = bridle.compile(grammar, VOCABULARY)
    matcher = bridle.Matcher(compiled)
    assert matcher.accept_bytes("well <tool_2") and matcher.accept_bytes("99>{}</a><tool_0>{}</a>.")
    assert compiled.n_states < 200


def test_a_grammar_may_stand_for_a_format() -> None:
    number = Grammar.from_ebnf('root ::= "(" root ")" | [0-9]+').capture("number")
    grammar = Grammar.from_structural_tag(triggered(tag(content=number)))
    assert grammar.captures("x<a>((12))</a><a>3</a>") == {"number": ["((12))", "3"]}
    with pytest.raises(bridle.SavedGrammarError):
        _ = grammar.recipe


def test_a_structural_tag_is_saved_with_what_was_made_of_it(tmp_path) -> None:
    content = {"type": "json_schema", "json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    compiled = bridle.compile(Grammar.from_structural_tag(triggered(tag(content=content))), VOCABULARY)
    compiled.precompute(states=300)
    compiled.save(tmp_path / "tag")
    matcher = bridle.Matcher(bridle.load(tmp_path / "tag", VOCABULARY))
    mask, slow = (bridle.allocate_token_bitmask(1, VOCABULARY.size) for _ in range(2))
    for text in ("x", "<", "a", ">", "{", '"a": 1', "}", "</a>", "."):
        assert matcher.accept_bytes(text)
        matcher.fill_next_token_bitmask(mask)
        matcher.fill_reference_bitmask(slow)
        assert (mask == slow).all(), text


def test_the_parts_of_a_structural_tag_may_be_composed_and_captured() -> None:
    answer = Grammar.from_structural_tag(triggered(tag())).capture("answer")
    grammar = "<think>" + Grammar.free_text("</think>").capture("thought") + "</think>" + answer
    assert grammar.captures("<think>a<b</think>x<a>1</a>") == {"thought": "a<b", "answer": "x<a>1</a>"}


# Special tokens.


def token(key):
    return {"type": "token", "token": key}


@pytest.mark.parametrize(
    ("found", "pointer", "says"),
    [
        (tag(token("<q>")), "/begin/token", "no special token '<q>'"),
        (tag(token("<|xx|>")), "/begin/token", "did you mean '<|x|>'"),
        (tag(end=token(999)), "/end/token", "no token 999"),
        (tag(end=[token("<t>"), token(200)]), "/end/token", "a part of a character"),
        ({"type": "token_triggered_tags", "trigger_tokens": ["<t>", "<q>"], "tags": [tag(token("<t>"))]},
         "/trigger_tokens/1", "no special token '<q>'"),
        ({"type": "token_triggered_tags", "trigger_tokens": [259], "tags": [tag(token("<t>"))]},
         "/tags/0/begin", "'<t>' begins with none of the triggers"),
        ({"type": "any_tokens", "exclude_tokens": ["<t>", "<q>"]}, "/exclude_tokens/1", "no special token '<q>'"),
        ({"type": "token_dispatch", "rules": [["<q>", ONE]]}, "/rules/0/0", "no special token '<q>'"),
    ],
)  # fmt: skip
def test_a_token_that_the_vocabulary_lacks_is_an_error_with_its_place(found, pointer, says) -> None:
    grammar = Grammar.from_structural_tag({"type": "sequence", "elements": [found]})
    with pytest.raises(bridle.GrammarError) as caught:
        bridle.compile(grammar, WITH_SPECIAL)
    assert caught.value.pointer == "/elements/0" + pointer and says in str(caught.value)


def test_it_may_be_said_which_special_tokens_marks_show() -> None:
    steps = {text: steps_of(text) for text in ("«<t>»1«</t>»", "«<t>»1</t>", "<t>1«</t>»", "<t>1</t>")}

    def read(found, **more) -> set[str]:
        compiled = bridle.compile(Grammar.from_structural_tag(found, **more), WITH_SPECIAL)
        return {text for text, ids in steps.items() if bridle.Matcher(compiled).validate_tokens(ids) == len(ids)}

    found = tag("<t>", ONE, "</t>")
    assert read(found) == {"«<t>»1«</t>»"}
    assert read(found, special_tokens=["<t>", "<q>"]) == {"«<t>»1</t>"}
    assert read(found, special_tokens=()) == {"<t>1</t>"}
    assert read(tag(token("<t>"), ONE, "</t>"), special_tokens=()) == {"«<t>»1</t>"}
    with pytest.raises(TypeError, match="list of names"):
        Grammar.from_structural_tag(found, special_tokens="<t>")


def test_a_mark_that_shows_a_token_of_several_names_is_that_token() -> None:
    names = bridle.Vocabulary([b"1"], stop_token_ids=1, special_tokens={"<one>": 2, "<two>": 2}, size=3)
    for found in (tag("<two>", ONE, ""), tag(token("<two>"), ONE, ""), tag(token(2), ONE, "")):
        matcher = bridle.Matcher(bridle.compile(Grammar.from_structural_tag(found), names))
        assert matcher.accept_token(2) and matcher.accept_token(0)


def test_what_changes_a_description_later_changes_no_grammar() -> None:
    for content in (ONE, Grammar.from_regex("1")):
        found = tag("<t>", content, "</t>")
        grammar = Grammar.from_structural_tag(found)
        found["begin"] = "<u>"
        matcher = bridle.Matcher(bridle.compile(grammar, WITH_SPECIAL))
        assert matcher.validate_tokens(steps_of("«<t>»1«</t>»")) == 3


def test_marks_of_parts_are_special_tokens_in_whatever_they_are_a_part_of(tmp_path) -> None:
    part = Grammar.from_structural_tag(tag("<t>", ONE, "</t>"))
    whole = {
        "«<t>»1«</t>»!": part + "!",
        "«<t>»1«</t>»": part | "!",
        "«<t>»1«</t>»«<t>»1«</t>»": part.repeat(2).with_temperature(0.5),
        "[«<t>»1«</t>»]": Grammar.from_template("[{x}]", x=part),
        "«<u>»«<t>»1«</t>»«<u>»": Grammar.from_structural_tag(tag("<u>", part, "<u>")),
        "(«<t>»1«</t>»)": Grammar.from_structural_tag(tag("(", part, ")")),
    }
    for text, grammar in whole.items():
        compiled = bridle.compile(grammar, WITH_SPECIAL)
        matcher = bridle.Matcher(compiled)
        assert matcher.validate_tokens(steps_of(text)) == len(steps_of(text)), text
        assert matcher.validate_tokens(steps_of(re.sub("[«»]", "", text))) < 3, text
        assert bridle.validate(grammar, re.sub("[«»]", "", text)), text
        assert grammar.is_late and compiled.grammar is not grammar
        assert bridle.compile(grammar, WITH_SPECIAL).grammar is compiled.grammar  # states are known the second time
    compiled = bridle.compile(whole["«<t>»1«</t>»!"], WITH_SPECIAL)
    compiled.save(tmp_path / "tag")
    loaded = bridle.load(tmp_path / "tag", WITH_SPECIAL)
    for one in (compiled, loaded):
        one.precompute()
        assert bridle.Matcher(one).validate_tokens(steps_of("«<t>»1«</t>»!")) == 4


@EXAMPLES
@given(st.data())
def test_what_is_shown_of_any_walk_is_a_text_of_the_same_grammar_without_special_tokens(data) -> None:
    begins = st.sampled_from(["<t>", "<t>x", "<u><t>", "a<|x|>", "<|x|>>", "<", "ab", "</t>"])
    content = st.sampled_from([TEXT, ONE, {"type": "regex", "pattern": "[<t>/]{0,3}"}])
    tags = [
        tag(data.draw(begins), data.draw(content), data.draw(st.sampled_from(["</t>", "<t>", ">", "x</t>", "<|x|>"])))
        for _ in range(2)
    ]
    triggers = sorted({found["begin"][: data.draw(st.integers(1, 5))] for found in tags})
    flags = {name: data.draw(st.booleans()) for name in ("at_least_one", "stop_after_first")}
    try:
        grammar = Grammar.from_structural_tag(triggered(*tags, triggers=triggers, **flags))
    except bridle.GrammarError as error:
        assert "several triggers" in str(error)
        return
    compiled = bridle.compile(grammar, WITH_SPECIAL)
    matcher, shown = bridle.Matcher(compiled), ""
    names = {id_: name for name, id_ in SPECIAL.items()}
    tokens = {**{ord(c): c for c in "<t>/x1ab|u"}, **names}
    for _ in range(12):
        allowed = sorted(allowed_tokens(matcher) & tokens.keys())
        assert matcher.is_accepting() == (256 in allowed_tokens(matcher))
        if not allowed:
            break
        step = data.draw(st.sampled_from(allowed))
        assert matcher.accept_token(step)
        shown += tokens[step]
        verdict = bridle.validate(grammar, shown)
        assert verdict.ok or verdict.offset == len(shown.encode()), shown
        assert verdict.ok or not matcher.is_accepting(), shown
