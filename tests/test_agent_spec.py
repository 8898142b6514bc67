"""Specifications of agents: what is read from YAML, s-expressions and Python, faults with their places, ready ones."""

from __future__ import annotations

import json
import random
import re
import time
from itertools import pairwise, product
from pathlib import Path

import pytest

import bridle
from bridle.grammar.agent_contents import FreeText, Quote, References, ToolArguments, ToolName
from bridle.grammar.agent_spec import AgentSpec, AgentState
from bridle.grammar.agent_tools import schemas_of
from bridle.grammar.agent_yaml import read_ready
from bridle.grammar.ltlf_automaton import TraceAutomaton
from bridle.grammar.trace_syntax import parse_expression
from bridle.grammar.value_counts import value_count

TRACES = json.loads((Path(__file__).parent / "cases" / "agents" / "traces.json").read_text())
ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
PAPER = """
(define react-agent ; as in the paper
  (:states (question (:text "[Question]")) (thought (:text "[Thought]"))
           (action (:text "[Action]") (:output-constrs "Search" "Finish"))
           (action-input (:text "[Action Input]"))
           (observation (:text "[Observation]") (:flags :env-input))
           (final-thought (:text "[Final Thought]")) (answer (:text "[Answer]")))
  (:behavior (next question (until_5 (next thought action action-input observation) final-thought) answer)))
"""
YAML = """
agent: all
description: everything
separator: "\\n\\n"
space: ""
states:
  ask: {text: "A:", env: true}
  think: {text: "T{n}:"}
  pick: {text: "P:", content: {choices: [x, y]}}
  match: {text: "M:", content: {regex: "[0-9]+"}}
  value: {text: "V:", content: {json_schema: {type: array, items: {type: integer}}}}
  rule: {text: "R:", content: {ebnf: 'root ::= "(" root? ")"'}}
  tool: {text: "L:", content: {tool: name}}
  inputs: {text: "I:", content: {tool: arguments, of: tool, once: true}}
  cite: {text: "C:", content: {quote: ask, by: char}}
  refer: {text: "F:", content: {references: "@{n}", to: think}, final: true}
behavior:
  expression: ask (think | pick | match | value | rule | tool | inputs | cite)* refer
  formulas:
    tools are called: response(tool, inputs)
tools:
  add: {type: object, properties: {a: {type: integer}}}
"""


# ------------------------------------------------------------------------------------------------ readers


def test_yaml_says_what_python_says():
    spec = AgentSpec.from_yaml(YAML)
    kinds = {state.name: state.content for state in spec.states}
    assert (spec.name, spec.description, spec.separator, spec.space) == ("all", "everything", "\n\n", "")
    assert kinds["ask"] == FreeText() and spec.state("ask").env and spec.state("refer").final
    assert kinds["tool"] == ToolName() and kinds["inputs"] == ToolArguments("tool", once=True)
    assert kinds["cite"] == Quote(("ask",), "char") and kinds["refer"] == References("@{n}", "think")
    text = 'A:why\n\nT1:hm\n\nP:x\n\nM:12\n\nV:[1, 2]\n\nR:(())\n\nL:add\n\nI:{"a": 1}\n\nC:hy\n\nT2:x\n\nF:@1'
    assert spec.validate(text).ok
    for wrong in ("M:12", "V:[1, 2]", "R:(())", "P:x", "C:hy", "T2:"):
        assert not spec.validate(text.replace(wrong, wrong[:2] + "q")).ok


def test_yaml_is_read_from_files(tmp_path):
    (tmp_path / "all.yaml").write_text(YAML)
    assert AgentSpec.from_yaml(tmp_path / "all.yaml").name == "all"
    assert AgentSpec.from_yaml(str(tmp_path / "all.yaml"), tools={"sub": ADD}).tools == {"sub": ADD}
    with pytest.raises(FileNotFoundError):
        AgentSpec.from_yaml("nowhere.yaml")


SMALL = 'agent: x\nstates:\n  a: {text: "A:"}\n  b: {text: "B:"}\n'
MALFORMED = [
    ("", "", "the document is empty", 1, 1),
    ('{text: "B:"}', '{text: "B:", contnt: 3}', "states.b.contnt is nothing that stands here", 4, 19),
    ('{text: "B:"}', "{}", "states.b needs 'text'", 4, 6),
    ('{text: "B:"}', '{text: "B:", content: {regex: "(a"}}', "missing \\)", 4, 37),
    ('{text: "B:"}', '{text: "B:", content: {rgex: a}}', "a mapping with one of regex, choices", 4, 28),
    ('{text: "B:"}', '{text: "B:", content: {choices: [a, 3]}}', "should be a valid string", 4, 42),
    ('{text: "B:"}', '{text: "B:", content: {tool: arguments}}', 'need "of"', 4, 28),
    ('{text: "B:"}', '{text: "B:", content: {tool: name, once: true}}', "belong to the arguments", 4, 28),
    ('{text: "B:"}', '{text: "B:", content: {json_schema: {type: strin}}}', "not a type", 4, 28),
    ('{text: "B:"}', '{text: "B:", env: maybe}', "should be a valid boolean", 4, 24),
    ("  b:", "  a:", "the key 'a' stands twice", 4, 3),
    ("agent: x", "agent: [", "not YAML", 3, 4),
    ("agent: x", "agent: 3", "should be a valid string", 1, 8),
    ("$", "behavior:\n  formulas:\n    one: F(c)\n", "there is no state 'c'", 7, 12),
    ("$", "behavior:\n  formulas:\n    one: F(a) & (b\n", "ends too early", 7, 19),
    ("$", "behavior:\n  expression: a b)\n", "closes or counts nothing", 6, 18),
    ("$", "behavior:\n  formulas: {one: G(a), two: F(b), three: F(a)}\n", "no trace satisfies one and two", 6, 3),
    ('{text: "B:"}', '{text: "B:", content: {quote: c}}', "a state 'c', which is not there", 1, 1),
    ('{text: "B:"}', '{text: "B:", content: {quote: a}}', "a must have env", 1, 1),
    ('{text: "B:"}', '{text: "B{n}{n}:"}', "more than one number", 4, 6),
]


@pytest.mark.parametrize(("old", "new", "message", "line", "column"), MALFORMED)
def test_a_fault_in_yaml_has_its_place(old, new, message, line, column):
    text = SMALL + new if old == "$" else SMALL.replace(old, new, 1) if old else "\n"
    with pytest.raises(bridle.GrammarError, match=message) as error:
        AgentSpec.from_yaml(text)
    assert (error.value.line, error.value.column) == (line, column), str(error.value)


def test_the_papers_specification_is_read():
    spec = AgentSpec.from_lisp(PAPER)
    assert spec.name == "react-agent" and spec.state("observation").env
    assert str(spec.expression) == ("question ((thought action action-input observation){0,5} final-thought) answer")
    turn = "[Thought] t\n[Action] Search\n[Action Input] i\n[Observation] o\n"
    for n in range(7):
        text = f"[Question] q\n{n * turn}[Final Thought] t\n[Answer] a"
        assert spec.validate(text).ok == (n <= 5)
    assert not spec.validate(f"[Question] q\n{turn}[Final Thought] t\n[Answer] a".replace("Search", "Find")).ok
    assert spec.validate("[Question] q\n[Final Thought] t").broken == ("the trace expression",)


@pytest.mark.parametrize(
    ("operators", "traces"),
    [
        ("(or a b)", "a|b"), ("(next a b c)", "abc"), ("(until a b)", "a*b"), ("(until_2_3 a b)", "a{2,3}b"),
        ("(always_2 a)", "a{0,2}"), ("(next (always_1_2 (or a b)) c)", "[ab]{1,2}c"), ("(always (next a b))", "(ab)*"),
        ("(next a (until_1 (always_2 b) c))", "a(b{0,2}){0,1}c"),
    ],
)  # fmt: skip
def test_the_papers_operators_are_regular_expressions(operators, traces):
    states = "".join(f'({name} (:text "{name.upper()}"))' for name in "abc")
    automaton = AgentSpec.from_lisp(f"(define x (:states {states}) (:behavior {operators}))").automaton
    for word in ("".join(word) for n in range(1, 6) for word in product("abc", repeat=n)):
        assert (automaton.blame(list(word)) is None) == bool(re.fullmatch(traces, word)), word


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("until_5", "untl", "the operators are next, or, until and always"),
        ("until_5", "until_5_2", "5 to 2 times is never"),
        ("final-thought) answer", "(or answer)) answer", "what ends until is a state"),
        ("(next question", "(next questoin", "did you mean 'question'"),
        (":env-input", ":env", "the flag that there is is :env-input"),
        ("answer)))", "answer))", "never closed"),
        ("answer)))", "answer))))", "nothing may stand behind"),
        ("(define react-agent", "(defin react-agent", "begins with define"),
        (":behavior", ":behaviour", "no \\(:behavior"),
        ('(question (:text "[Question]"))', '(question (:txt "[Question]"))', "a state has"),
        ('"[Question]"', '"[Question', "something is missing|no text|a state has|never closed"),
        ('"Search" "Finish"', "", "a state has"),
    ],
)
def test_a_fault_in_an_s_expression_has_its_place(old, new, message):
    assert old in PAPER
    with pytest.raises(bridle.GrammarError, match=message) as error:
        AgentSpec.from_lisp(PAPER.replace(old, new, 1))
    assert error.value.line is not None


@pytest.mark.parametrize("seed", range(40))
def test_trace_expressions_are_pythons_regular_expressions_over_names(seed):
    rng = random.Random(seed)

    def expression(depth):
        if not depth or rng.random() < 0.3:
            return rng.choice("abc")
        kind = rng.randrange(3)
        if kind == 0:
            return " ".join(expression(depth - 1) for _ in range(rng.randrange(1, 3)))
        if kind == 1:
            return f"({expression(depth - 1)} | {expression(depth - 1)})"
        return f"({expression(depth - 1)}){rng.choice(['?', '*', '+', '{2}', '{1,2}', '{,2}', '{1,}'])}"

    text = expression(3)
    pattern = re.compile(text.replace(" ", "").replace("{,", "{0,"))
    automaton = TraceAutomaton("abc", {}, parse_expression(text, "abc"))
    for word in ("".join(word) for n in range(1, 5) for word in product("abc", repeat=n)):
        assert (automaton.blame(list(word)) is None) == bool(pattern.fullmatch(word)), (text, word)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [("a (b", "never closed", 3), ("a & b", "no part of", 3), ("d", "no state 'd'", 1), ("a{2,1}", "is never", 2),
     ("{2}", "closes or counts nothing", 1), ("a{,}", "a count without a number", 2), ('a "b', "no part of", 3)],
)  # fmt: skip
def test_a_fault_in_a_trace_expression_has_its_place(text, message, column):
    with pytest.raises(bridle.GrammarError, match=message) as error:
        parse_expression(text, "abc")
    assert error.value.column == column


def test_deep_nesting_is_a_limit():
    with pytest.raises(bridle.LimitError):
        parse_expression("(" * 100_000 + "a", "a")
    with pytest.raises(bridle.LimitError):
        AgentSpec.from_lisp("(" * 100_000)


# ------------------------------------------------------------------------------------------------ whole specifications


@pytest.mark.parametrize(
    ("texts", "separator", "message"),
    [
        (("A:", "A:b"), "\n", "begins with"),
        (("A", "A"), "\n", "begins with"),
        (("S{n}:", "S1"), "\n", "begins with"),
        (("S{n}", "B"), "", "begin separators|in a text that another follows|needs something"),
        (("ab", "ba"), "", "can begin in a text that another follows"),
        (("A\nB", "B"), "\n", "can begin in a text that another follows"),
    ],
)
def test_delimiters_that_cannot_be_told_apart_are_refused(texts, separator, message):
    states = tuple(AgentState(f"s{i}", text) for i, text in enumerate(texts))
    with pytest.raises(bridle.GrammarError, match=message):
        _ = AgentSpec("x", states, separator=separator).grammar


def test_what_contradicts_itself_is_refused():
    one = AgentState("a", "A:")
    for make, message in [
        (lambda: AgentSpec("x", ()), "has no states"),
        (lambda: AgentSpec("x", (one, one)), "two states are named 'a'"),
        (lambda: AgentSpec("x", (AgentState("a", "A:", ToolName()),)).grammar, "there are none"),
        (lambda: AgentSpec("x", (AgentState("a", "A:", ["A: b"]),)).grammar, "has a delimiter in it"),
        (lambda: AgentSpec("x", (AgentState("a", "A:", ToolArguments("a")),)), "is no tool's name"),
        (lambda: AgentSpec("x", (one,), {"never": "false"}).grammar, "never"),
        (lambda: AgentSpec("x", (AgentState("a", "A:", Quote(("b",))), AgentState("b", "B:", env=True)), {},
                           "a b").grammar, "lacking"),
    ]:  # fmt: skip
        with pytest.raises(bridle.GrammarError, match=message):
            make()


def test_texts_with_delimiters_are_left_out_of_patterns_and_noted():
    spec = AgentSpec("x", (AgentState("a", "A:", re.compile("(x|A:)+")),))
    assert spec.grammar.notes == ("a: texts with a delimiter in them are left out",)
    assert bridle.validate(spec.grammar, "A: xx").ok and not bridle.validate(spec.grammar, "A: xA:").ok


def test_tools_are_callables_schemas_or_descriptions():
    def add(a: int, b: int = 1) -> int:
        return a + b

    read = schemas_of({"add": add, "sub": ADD})
    assert list(read["add"]["properties"]) == ["a", "b"] and read["add"]["required"] == ["a"] and read["sub"] == ADD
    assert schemas_of([add, {"name": "sub", "parameters": ADD}])["sub"] == ADD
    with pytest.raises(bridle.GrammarError, match="callable or a schema"):
        schemas_of({"x": 3})
    with pytest.raises(bridle.GrammarError, match=r"signature of the tool|have no names"):
        schemas_of({"x": lambda a, /: a})


@pytest.mark.parametrize(
    ("schema", "count"),
    [
        ({"const": 1}, 1), ({"enum": [1, 1.0, "a"]}, 2), ({"type": "boolean"}, 2), ({"type": "null"}, 1), (True, None),
        (False, 0), ({"type": "integer", "minimum": 2, "maximum": 4}, 3), ({"type": "string"}, None), ({}, None),
        ({"type": "object", "properties": {"a": {"enum": [1, 2]}, "b": {"type": "boolean"}}, "required": ["a"],
          "additionalProperties": False}, 6),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}}, None), ({"enum": [1, 2], "minimum": 2}, None),
        ({"type": "string", "enum": ["a", "b"]}, 2), ({"type": "string", "enum": ["a", 1]}, None),
        ({"type": "object", "additionalProperties": False, "title": "x"}, 1),
    ],
)  # fmt: skip
def test_values_are_counted_where_that_is_plain(schema, count):
    assert value_count(schema) == count


# ------------------------------------------------------------------------------------------------ ready ones


def test_there_are_samples_for_every_ready_agent():
    assert set(TRACES) == set(bridle.agents.ready())


@pytest.mark.parametrize("name", sorted(TRACES))
def test_a_ready_agent_judges_samples(name):
    spec = AgentSpec.ready(name, tools={"add": ADD})
    for text in TRACES[name]["accepted"]:
        verdict = spec.validate(text)
        assert verdict.ok and verdict.offset == len(text.encode()), verdict
    for text, step, reason in TRACES[name]["rejected"]:
        verdict = spec.validate(text)
        assert not verdict.ok and reason in verdict.reason
        assert verdict.place == f"step {step}" or verdict.place.startswith(f"step {step},")


@pytest.mark.parametrize("name", sorted(TRACES))
def test_a_ready_agent_generates_what_it_accepts(name):
    spec = AgentSpec.ready(name, tools={"add": ADD})
    compiled = bridle.compile(
        spec.grammar, bridle.Vocabulary([bytes((b,)) for b in range(256)] + [b""], stop_token_ids=256)
    )
    for text in TRACES[name]["accepted"]:
        matcher, rest = bridle.Matcher(compiled), text
        while rest:
            if (awaited := matcher.pending_state()) is None:
                taken = matcher.accept_prefix(rest[:1])
                assert taken, (matcher.text(), rest)
                rest = rest.encode()[taken:].decode()
                continue
            mark = re.match(rf"\n?{re.escape(spec.state(awaited).text)}", rest)
            said = (rest[mark.end() :] if mark else rest).removeprefix(" ")
            said = re.split(r"\n(?=[A-Z#][\w ]*( =|:))", said)[0]
            rest = (rest[mark.end() :] if mark else rest).removeprefix(" ")[len(said) :]
            matcher.feed(said)
        assert matcher.text().decode() == text and matcher.is_accepting() and matcher.pending_state() is None


@pytest.mark.parametrize("name", sorted(TRACES))
def test_the_automaton_of_a_ready_agent_is_there_in_five_milliseconds(name):
    read_ready(name)
    best = 9.0
    for _ in range(5):
        spec = AgentSpec.ready(name, tools={"add": ADD})
        began = time.thread_time()
        _ = spec.automaton
        best = min(best, time.thread_time() - began)
    print(f"{name}: {1e3 * best:.2f} ms")
    assert best < 0.005


def test_an_unknown_ready_agent_is_an_error_that_names_what_is_near():
    with pytest.raises(bridle.GrammarError, match="did you mean 'react'"):
        AgentSpec.ready("reakt")
    with pytest.raises(bridle.GrammarError, match="there are chat"):
        AgentSpec.ready("../x")


PAGE = (Path(__file__).parent.parent / "docs" / "agents.md").read_text()


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_pages_examples_print_what_they_say(example, capsys):
    exec(example, {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", example, re.MULTILINE)


def test_a_number_that_could_go_on_with_a_delimiter_is_refused():
    for separator, text in (("", "1:"), ("e", "B:")):
        states = (AgentState("a", "A:", {"type": "integer"}), AgentState("b", text))
        with pytest.raises(bridle.GrammarError, match="a number in a could go on"):
            _ = AgentSpec("x", states, separator=separator).grammar


TINY = """agent: tiny
states:
  a: {text: "A:"}
  b: {text: "B:", content: CONTENT}
behavior: {expression: a b COUNT}
"""


@pytest.mark.parametrize("words", ["[yes, no]", "[on, 2024-01-01]"])
def test_words_of_yaml_are_words(words):
    spec = AgentSpec.from_yaml(TINY.replace("CONTENT", f"{{choices: {words}}}").replace("COUNT", ""))
    for word in words.strip("[]").split(", "):
        assert spec.validate(f"A: x\nB: {word}").ok


def test_numbers_in_yaml_are_those_of_its_core_schema():
    schema = "{json_schema: {enum: [1, -2, 2.5, 1e3, true, null, 010]}}"
    spec = AgentSpec.from_yaml(TINY.replace("CONTENT", schema).replace("COUNT", ""))
    for value in ("1", "-2", "2.5", "1000", "true", "null", "10"):
        assert spec.validate(f"A: x\nB: {value}").ok, value
    assert not spec.validate("A: x\nB: 8").ok


@pytest.mark.parametrize(
    "text",
    [
        "agent: x\nstates:\n  ? [a, b]\n  : {text: x}\n",
        "? {a: b}\n: 3\n",
        TINY.replace("COUNT", "{0,%s}" % ("9" * 5000)),
    ],
)
def test_hostile_yaml_is_an_error_with_its_place(text):
    with pytest.raises(bridle.GrammarError) as error:
        AgentSpec.from_yaml(text.replace("CONTENT", "text"))
    assert error.value.line is not None


def test_aliases_that_multiply_are_a_limit():
    rows = [f" {b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghijkl")]
    began = time.perf_counter()
    with pytest.raises(bridle.LimitError, match="aliases"):
        AgentSpec.from_yaml("agent: x\nstates:\n a: &a [1]\n" + "".join(rows))
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(define x (:states (a (:text "A"))) (:states (b (:text "B"))) (:behavior b))', ":states stands here twice"),
        ('(define x (:states (a (:text "A") (:text "B"))) (:behavior a))', ":text stands here twice"),
        ('(define x (:states (a (:text "A"))) (:behavior (always_%s a)))' % ("9" * 5000), "at most 18 digits"),
    ],
)
def test_nothing_in_an_s_expression_is_overridden(text, message):
    with pytest.raises(bridle.GrammarError, match=message):
        AgentSpec.from_lisp(text)


def test_a_formula_may_not_have_the_name_of_another_part():
    with pytest.raises(bridle.GrammarError, match="the trace expression"):
        _ = AgentSpec("x", (AgentState("a", "A"),), {"the trace expression": "F a"}, "a").automaton


def test_a_delimiter_that_a_separator_makes_is_refused():
    states = (AgentState("a", "A:"), AgentState("b", "\nA"))
    with pytest.raises(bridle.GrammarError, match="together with the separator"):
        _ = AgentSpec("x", states).plan


@pytest.mark.parametrize("draft", ["draft-07/schema#", "draft/2020-12/schema"])
def test_calls_are_not_repeated_where_the_schema_is_a_reference(draft):
    inner = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = {"$schema": f"https://json-schema.org/{draft}", "$ref": "#/definitions/X", "definitions": {"X": inner}}
    states = (
        AgentState("call", "Call:", ToolName()), AgentState("input", "Input:", ToolArguments("call", once=True)),
        AgentState("said", "Said:", env=True, final=True),
    )  # fmt: skip
    spec = AgentSpec("x", states, expression="(call input said)+", tools={"t": schema})
    step = 'Call: t\nInput: {"n": %s}\nSaid: x'
    assert spec.validate(f"{step % 1}\n{step % 2}").ok
    assert "before" in spec.validate(f"{step % 1}\n{step % '1.0'}").reason
    matcher = bridle.Matcher(bridle.compile(spec.grammar, bridle.Vocabulary([b"x", b""], stop_token_ids=1)))
    assert matcher.accept_bytes('Call: t\nInput: {"n": 1}')
    matcher.feed("x")
    assert matcher.fork().accept_bytes('\nCall: t\nInput: {"n": 12}')
    assert not matcher.fork().accept_bytes('\nCall: t\nInput: {"n": 1}')


def test_what_comes_from_outside_is_not_about_other_steps():
    call, arguments = AgentState("a", "A:", ToolName()), ToolArguments("a")
    for content in (ToolName(), arguments, Quote(("b",)), References("#{n}", "b")):
        with pytest.raises(bridle.GrammarError, match="comes from outside"):
            AgentSpec("x", (call, AgentState("b", "B:", content, env=True)))


def test_a_separator_may_begin_with_a_letter():
    states = (AgentState("a", "A:", {"type": ["boolean", "null"]}), AgentState("b", "B:", final=True))
    spec = AgentSpec("x", states, separator="x")
    for value in ("true", "false", "null"):
        assert spec.validate(f"A: {value}xB: y").ok
