"""What servers are asked for: kinds, options, agents; and the cache of what was made of it."""

from __future__ import annotations

import json
import threading
import time

import pytest

import bridle
from bridle.integrations.request_cache import RequestCache
from bridle.integrations.requested_grammars import GrammarRequest, RequestKind, agent_request

AGENT_YAML = """
agent: pair
states:
  ask: {text: "Q:", env: true}
  say: {text: "A:", final: true}
behavior: {expression: ask say}
"""
REQUESTS = [
    (RequestKind.JSON_SCHEMA, '{"type": "integer", "maximum": 3}', "3", "4"),
    (RequestKind.JSON_OBJECT, "", '{"a": [1]}', "[1]"),
    (RequestKind.REGEX, "[ab]+", "abba", "abc"),
    (RequestKind.CHOICE, '["red", "gr\\u00fcn"]', "grün", "blue"),
    (RequestKind.GRAMMAR, 'root ::= "x" [0-9]', "x3", "y3"),
    (RequestKind.GRAMMAR, 'start: "::=" /[0-9]/ // ::=', "::=3", "3"),
    (RequestKind.GRAMMAR, "start: 'a' # ::=\n", None, None),
    (RequestKind.GRAMMAR, "%agent react", None, None),
    (
        RequestKind.STRUCTURAL_TAG,
        '{"triggers": ["<f"], "structures": [{"begin": "<f>", "schema": {"type": "null"}, "end": "</f>"}]}',
        "so <f>null</f>", "so <f>1</f>",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "good", "bad"), REQUESTS)
def test_a_request_is_read_as_its_kind(kind, text, good, bad):
    request = GrammarRequest.of(kind, text)
    if good is None:
        with pytest.raises(bridle.GrammarError):  # Lark knows no single quotes, and this agent has no tools
            request.grammar()
        return
    grammar = request.grammar()
    assert bridle.validate(grammar, good).ok
    assert not bridle.validate(grammar, bad).ok


def test_equal_requests_are_equal_and_options_count():
    options = {"separators": [",", ":"], "property_order": "any"}
    one = GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}", options)
    same = GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}", dict(reversed(options.items())))
    assert one == same and hash(one) == hash(same)
    assert one != GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}")
    assert not bridle.validate(one.grammar(), "[1, 2]", as_generated=True).ok


@pytest.mark.parametrize(
    ("kind", "text", "options", "says"),
    [
        (RequestKind.JSON_SCHEMA, "{", {}, "not JSON"),
        (RequestKind.JSON_SCHEMA, '{"type": "objet"}', {}, "'objet' is not a type"),
        (RequestKind.JSON_SCHEMA, "{}", {"whitespace": 3}, "whitespace is one of"),
        (RequestKind.JSON_SCHEMA, "{}", {"whitespace": {}}, "whitespace is one of"),
        (RequestKind.JSON_SCHEMA, "{}", {"max_whitespace": "x"}, "max_whitespace"),
        (RequestKind.CHOICE, '["a", 1]', {}, "a JSON list of texts"),
        (RequestKind.CHOICE, "[[[", {}, "a JSON list of texts"),
        (RequestKind.CHOICE, "[" * 100_000, {}, "a JSON list of texts"),
        (RequestKind.CHOICE, "[]", {}, "no choices"),
        (RequestKind.REGEX, "(a", {}, "missing \\)"),
        (RequestKind.GRAMMAR, "root ::= x", {}, "rule 'x' is not defined"),
        (RequestKind.GRAMMAR, "", {}, "."),
        (RequestKind.GRAMMAR, "%agent nobody", {}, "no agent named 'nobody'"),
        (RequestKind.GRAMMAR, "%agent /etc/passwd", {}, "no agent named"),
        (RequestKind.JSON_SCHEMA, "{}", {"indent": {}}, "indent is 0 to 16"),
        (RequestKind.JSON_SCHEMA, "{}", {"separators": [[","], ":"]}, "separators are a comma and a colon"),
        (RequestKind.REGEX, "a", {"formats": []}, "formats is one of"),
        (RequestKind.GRAMMAR, "%agent " + "x" * 5000, {}, "no agent named"),
        (RequestKind.GRAMMAR, '"' + '\\"' * 200_000, {}, "."),  # looking for quotes takes no square of its length
        (RequestKind.GRAMMAR, 'start: "' + "\\" * 100_000, {}, "this string has no end"),
        (RequestKind.GRAMMAR, "start: /" + "\\" * 100_000, {}, "this pattern has no end"),
        (RequestKind.GRAMMAR, '%agent {"agent": 3}', {}, 'has an "agent"'),
        (RequestKind.GRAMMAR, '%agent {"agent": "react", "tool": {}}', {}, "'tool' is no member"),
        (RequestKind.GRAMMAR, '%agent {"agent": "react", "tools": 3}', {}, "."),
        (RequestKind.GRAMMAR, '%agent {"agent": ', {}, "is not JSON"),
        (RequestKind.STRUCTURAL_TAG, "[]", {}, "."),
        (RequestKind.STRUCTURAL_TAG, "{", {}, "."),
    ],
)
def test_what_is_no_grammar_is_a_grammar_error(kind, text, options, says):
    with pytest.raises(bridle.GrammarError, match=says):
        GrammarRequest.of(kind, text, options).grammar()


@pytest.mark.parametrize(
    "options",
    [{"indent": {}}, {"indent": True}, {"separators": [[","], ":"]}, {"max_whitespace": 1.0}, {"max_whitespace": True}],
    ids=str,
)
def test_a_value_that_an_option_cannot_have_never_comes_to_a_cache(options):
    """It may have no hash, or be equal to one that it can have."""
    with pytest.raises(bridle.GrammarError, match=next(iter(options))):
        GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}", options)


def test_an_option_that_there_is_not_is_refused_by_name():
    with pytest.raises(bridle.GrammarError, match="'white_space' is no option: there are formats, indent"):
        GrammarRequest.of(RequestKind.JSON_SCHEMA, "{}", {"white_space": 1})


def test_an_agent_is_named_written_or_described():
    tools = {"find": {"type": "object", "properties": {}, "additionalProperties": False}}
    by_name = agent_request("%agent " + json.dumps({"agent": "react", "tools": tools, "trace": "Question: a"}))
    assert by_name.trace == "Question: a"
    assert [*by_name.spec().tools] == ["find"]
    assert agent_request(f"  %agent\n{AGENT_YAML}").spec().name == "pair"
    lisp = '(define two (:states (ask (:text "Q:") (:flags :env-input)) (say (:text "A:"))) (:behavior (next ask say)))'
    assert agent_request(f"%agent {lisp}").spec().states[0].name == "ask"
    assert agent_request('root ::= "%agent"') is None
    assert agent_request("%agents x") is None


def test_all_turns_of_an_agent_ask_for_one_grammar():
    def parted(**members):
        return GrammarRequest.of(RequestKind.GRAMMAR, "%agent " + json.dumps({"agent": "react", **members})).parted()

    tools = {"find": {"type": "object"}}
    first, second = parted(tools=tools), parted(tools=tools, trace="Question: a")
    assert first[0] == second[0] and first[0].agent().tools is not None
    assert (first[1], second[1], second[0].agent().trace) == ("", "Question: a", "")
    assert parted()[0] != first[0] and parted()[0].agent().spec().name == "react"
    for kind, text in ((RequestKind.GRAMMAR, 'root ::= "a"'), (RequestKind.CHOICE, '["%agent react"]')):
        request = GrammarRequest.of(kind, text)
        assert request.parted() == (request, "")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("agent: x\nstates:\n" + "".join(f"  s{i}: {{text: 'S{i}:'}}\n" for i in range(1000)), "states of an agent"),
        ("agent: x\nstates: {}\nz: {" + ",".join(f"s{i}: 1" for i in range(30_000)) + "}\n", "characters of a spec"),
    ],
)
def test_a_large_specification_meets_a_limit_before_it_takes_long(text, limit):
    with pytest.raises(bridle.LimitError, match=limit):
        _ = GrammarRequest.of(RequestKind.GRAMMAR, f"%agent {text}").grammar().root


# ------------------------------------------------------------------------------------------------ the cache


def test_what_threads_ask_for_together_is_made_once():
    made = []

    def make(key):
        made.append(key)
        time.sleep(0.05)
        return object()

    cache = RequestCache(make, 4)
    got = []
    threads = [threading.Thread(target=lambda: got.append(cache.get("k"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["k"]
    assert len(set(map(id, got))) == 1 and len(got) == 8


def test_the_last_used_are_kept_within_number_and_weight():
    made = []
    cache = RequestCache(lambda key: made.append(key) or key, 3, len, 6)
    for key in ("a", "b", "c", "a", "d"):  # b goes: a was used again
        cache.get(key)
    made.clear()
    cache.get("a"), cache.get("c"), cache.get("d")
    assert not made
    cache.get("b")
    assert made == ["b"]
    cache.get("long")  # with "b" and "d" it weighs 6
    made.clear()
    cache.get("b"), cache.get("d")
    assert not made
    cache.get("longest")  # alone
    made.clear()
    cache.get("longest")
    assert not made
    cache.get("d")
    assert made == ["d"]
    cache.clear()
    cache.get("d")
    assert made == ["d", "d"]


def test_an_error_is_kept_and_does_not_grow():
    made = []

    def make(key):
        made.append(key)
        raise bridle.GrammarError("no")

    cache = RequestCache(make, 2)
    for _ in range(3):
        with pytest.raises(bridle.GrammarError) as caught:
            cache.get("k")
    assert made == ["k"]
    depth, frame = 0, caught.value.__traceback__
    while frame is not None:
        depth, frame = depth + 1, frame.tb_next
    assert depth <= 4


def test_an_interrupt_is_not_kept():
    made = []

    def make(key):
        made.append(key)
        if len(made) == 1:
            raise KeyboardInterrupt
        return key

    cache = RequestCache(make, 2)
    with pytest.raises(KeyboardInterrupt):
        cache.get("k")
    assert cache.get("k") == "k"
