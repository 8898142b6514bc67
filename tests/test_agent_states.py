"""What an agent may write is exactly what listing all its traces says, turn by turn; no step leads to a dead end."""

from __future__ import annotations

import random
import re
from itertools import product

import numpy as np
import pytest

import bridle
from bridle.grammar.agent_contents import Quote, ToolArguments, ToolName
from bridle.grammar.agent_spec import AgentSpec, AgentState
from bridle.grammar.agent_traces import read_steps
from bridle.grammar.ltlf_syntax import parse
from naive_agent import NaiveAgent, NaiveState
from oracle import allowed_tokens, vocabulary_of

BYTES = [bytes((b,)) for b in b'ABCDEFabcxyz12{}":,#fgq']
TOKENS = [
    *BYTES,
    b"Aa",
    b",B",
    b",Bx",
    b"x,C",
    b"xy,",
    b'":',
    b'{"',
    b"1}",
    b"},",
    b",A",
    b"A,",
    b"y,D",
    b"f,B{",
    b"ab",
]
VOCABULARY = vocabulary_of(TOKENS)
STOP = len(TOKENS)


def state(name, content, **flags):
    return AgentState(name, name.upper(), content, **flags)


def check_turn(matcher, turns):
    """Compares masks, ends and what is awaited at every beginning of every text of a turn."""
    beginnings = {text[:n] for text in turns for n in range(len(text) + 1)}
    for text in sorted(beginnings):
        probe = matcher.fork()
        assert probe.accept_bytes(text)
        want = {i for i, token in enumerate(TOKENS) if text + token.decode() in beginnings}
        want |= {STOP} if text in turns else set()
        got = allowed_tokens(probe)
        assert got == want, (text, [TOKENS[i] for i in (got ^ want) - {STOP}], STOP in got, STOP in want)
        reference = bridle.allocate_token_bitmask(1, VOCABULARY.size)
        probe.fill_reference_bitmask(reference)
        bits = np.flatnonzero(np.unpackbits(reference.view(np.uint8), bitorder="little"))
        assert got == set(bits.tolist())
        assert probe.is_accepting() == (text in turns)
        awaited = turns[text][0] if want == {STOP} else None
        assert probe.pending_state() == awaited
        if text in turns:
            assert probe.accept_token(STOP)
            assert probe.is_terminated() and probe.pending_state() == turns[text][0]


def check(spec, naive, rng, most=12, outside=("", "x", "ab")):
    """Walks through conversations: each turn is compared, one of its texts is written, something comes from outside."""
    compiled = bridle.compile(bridle.Grammar.from_agent(spec), VOCABULARY)
    for _ in range(most):
        matcher, steps, saved = bridle.Matcher(compiled), (), []
        while True:
            turns = naive.turns(steps)
            check_turn(matcher, turns)
            going_on = [text for text, (awaited, _) in turns.items() if awaited is not None]
            if not going_on:
                break
            text = rng.choice(sorted(going_on))
            awaited, steps = turns[text]
            saved.append((matcher.fork(), matcher.n_steps))
            assert matcher.accept_bytes(text) or not text
            if rng.random() < 0.5:
                assert matcher.accept_token(STOP)
            heard = rng.choice(outside)
            steps = (*steps, (awaited, heard))
            if steps not in naive.beginnings:
                before = matcher.text()
                with pytest.raises(bridle.UnsatisfiableError):
                    matcher.feed(heard)
                assert matcher.text() == before
                break
            matcher.feed(heard)
        for earlier, n in reversed(saved):
            matcher.rollback(matcher.n_steps - n)
            assert matcher.text() == earlier.text() and matcher.configuration == earlier.configuration
            assert allowed_tokens(matcher) == allowed_tokens(earlier)


def check_judgement(spec, naive, rng):
    """Compares verdicts on traces, and on texts that differ from one in a character."""
    written = {naive.written(trace) for trace in naive.traces}
    sample = rng.sample(sorted(written), min(40, len(written)))
    for text in sample:
        assert spec.validate(text).ok
        at, letter = rng.randrange(len(text)), rng.choice("ABCDEabxy,#")
        for other in (text[:at], text[:at] + text[at + 1 :], text[:at] + letter + text[at:]):
            # Texts from outside are not all listed: any without a delimiter may stand there.
            steps = read_steps(spec.plan, other)[0]
            if not any(spec.states[step.state].env for step in steps):
                assert spec.validate(other).ok == (other in written), other


def listed(*texts):
    return lambda steps: list(texts)


def heard_texts(steps):
    return ["", "x", "ab"]


FORMULAS = [
    "F(c)", "G(a -> X b)", "!b U a", "G(b -> F(d))", "count(a) <= 1", "G(c -> WX a)", "a", "F(last & c)",
    "count(d) >= 1", "G(d -> !F(b))", "!a W c", "existence(b, 2)", "response(c, d)", "F(b & X c)",
]  # fmt: skip
EXPRESSIONS = [None, "(a | b | c | d){1,4}", "a (b c){0,1} d?", "(a | b)* c d{0,2}"]


@pytest.mark.parametrize("seed", range(24))
def test_an_agent_writes_what_listing_its_traces_says(seed):
    rng = random.Random(seed)
    contents = [("x", "xy"), ("", "y"), ("z",), ("ab", "b", "a")]
    rng.shuffle(contents)
    env, final = rng.choice("abcd"), rng.choice(["", "a", "cd"])
    formulas = {f"f{i}": text for i, text in enumerate(rng.sample(FORMULAS, rng.choice((1, 1, 2))))}
    expression = rng.choice(EXPRESSIONS)
    formulas["short"] = "F[<=3] last"
    states, naive = [], {}
    for name, texts in zip("abcd", contents):
        flags = {"env": name == env, "final": name in final}
        states.append(state(name, None if name == env else list(texts), **flags))
        naive[name] = NaiveState(name.upper(), heard_texts if name == env else listed(*texts), **flags)
    parsed = [parse(text) for text in formulas.values()]
    matches = None
    if expression is not None:
        matches = re.compile(expression.replace(" ", ""))

    def holds(trace):
        return all(f.holds(trace) for f in parsed) and (matches is None or bool(matches.fullmatch("".join(trace))))

    marks = {"separator": rng.choice([",", "", ",#"]), "space": rng.choice(["", "#"])}
    twin = NaiveAgent(naive, holds, longest=4, **marks)
    spec = AgentSpec("random", tuple(states), formulas, expression, **marks)
    if not twin.traces:
        with pytest.raises(bridle.UnsatisfiableError):
            _ = spec.grammar
        return
    check(spec, twin, rng, most=3)
    check_judgement(spec, twin, rng)


CALLS = {"f": ['{"q":1}', '{"q":2}'], "fg": ["{}"]}
TOOLS = {
    "f": {"type": "object", "properties": {"q": {"enum": [1, 2]}}, "required": ["q"], "additionalProperties": False},
    "fg": {"type": "object", "properties": {}, "additionalProperties": False},
}


def last_tool(steps):
    return next((content for name, content in reversed(steps) if name == "a"), None)


def arguments(once):
    def contents(steps):
        tool = last_tool(steps)
        calls, turn = [], []
        for at, (name, content) in enumerate(steps):
            if name == "b":
                calls.append((last_tool(steps[:at]), content))
                turn.append(calls[-1][0])
            elif name == "c":
                turn = []
        if tool is None or (once and tool in turn):
            return []
        return [call for call in CALLS[tool] if not once or (tool, call) not in calls]

    return contents


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize(
    ("expression", "formulas"),
    [
        ("(a b c){0,3} d", {}),
        ("(a b c){3} d", {}),
        ("(a | b | c | d){1,4}", {}),
        ("(a | b | c){0,4} d", {"calls": "count(b) >= 2"}),
        ("(a b){1,2} c (a b c){0,1} d", {}),
        ("a (b c){0,3} d", {"calls": "count(b) >= 2"}),
    ],
)
def test_arguments_follow_the_tool_that_was_named_and_none_are_used_twice(expression, formulas, once):
    longest = 5 if "|" in expression else 10
    states = (
        state("a", ToolName()),
        state("b", ToolArguments("a", once)),
        state("c", None, env=True),
        state("d", ["z"]),
    )
    spec = AgentSpec("calls", states, formulas, expression, TOOLS, separator=",", space="")
    pattern = re.compile(expression.replace(" ", ""))
    parsed = [parse(text) for text in formulas.values()]
    short = listed("x")
    naive = {
        "a": NaiveState("A", listed("f", "fg")), "b": NaiveState("B", arguments(once)),
        "c": NaiveState("C", short, env=True), "d": NaiveState("D", listed("z")),
    }  # fmt: skip

    def holds(trace):
        return bool(pattern.fullmatch("".join(trace))) and all(f.holds(trace) for f in parsed)

    twin = NaiveAgent(pruned(naive, pattern), holds, longest)
    if not twin.traces:
        with pytest.raises(bridle.UnsatisfiableError):
            _ = spec.grammar
        return
    check(spec, twin, random.Random(1), most=4, outside=("x",))


def pruned(states, pattern):
    """States whose contents are only listed where the names so far begin a wanted trace: else there were too many."""
    words = {"".join(word) for n in range(1, 6) for word in product("abcd", repeat=n)}
    words |= {"abcabcabcd", "abcabcd", "ababcd", "ababcabcd", "abcbcd", "abcbcbcd"}
    wanted = {word[:n] for word in words if pattern.fullmatch(word) for n in range(len(word) + 1)}

    def only(name, contents):
        return lambda steps: contents(steps) if "".join(s for s, _ in steps) + name in wanted else []

    return {name: NaiveState(s.text, only(name, s.contents), env=s.env, final=s.final) for name, s in states.items()}


def spans(steps):
    texts = [content for name, content in steps if name == "a"]
    return sorted({text[i:j] for text in texts for i in range(len(text)) for j in range(i + 1, len(text) + 1)})


@pytest.mark.parametrize("formula", ["true", "F(b)", "count(b) >= 2", "G(c -> F(b))"])
def test_a_quotation_is_a_span_of_what_was_heard(formula):
    states = (state("a", None, env=True), state("b", Quote(("a",), "char")), state("c", ["z"]))
    spec = AgentSpec("quotes", states, {"f": formula, "short": "F[<=3] last"}, separator=",", space="")
    naive = {
        "a": NaiveState("A", heard_texts, env=True),
        "b": NaiveState("B", spans),
        "c": NaiveState("C", listed("z")),
    }
    twin = NaiveAgent(naive, parse(formula).holds, longest=4)
    check(spec, twin, random.Random(2), most=6)


STEP = re.compile("(AB|BB|C)")
SUFFIXES = ["", "B", "AB", ",AB", ",BB", ",C", ",,C", "B,C", ",AB,C", ",BB,C", "B,BB,C", ",BB,AB,C", "B,AB,C", "x,C"]


@pytest.mark.parametrize("order", ["(ab)*c", "a+b?", "b(a|c)*", "[abc]{1,3}"])
def test_free_text_goes_up_to_the_first_delimiter(order):
    states = (AgentState("a", "AB"), AgentState("b", "BB"), AgentState("c", "C"))
    expression = order.replace("[abc]", "(a | b | c)").replace("ab", "a b").replace("a+b", "a+ b")
    spec = AgentSpec("free", states, {}, expression, separator=",", space="")
    pattern = re.compile(order)

    def is_trace(text):
        before, *parts = STEP.split(text)
        names = "".join({"AB": "a", "BB": "b", "C": "c"}[mark] for mark in parts[::2])
        return not before and bool(pattern.fullmatch(names)) and all(c.endswith(",") for c in parts[1:-2:2])

    compiled = bridle.compile(spec.grammar, VOCABULARY)
    seen, waiting = 0, [bridle.Matcher(compiled)]
    while waiting:
        matcher = waiting.pop()
        text = matcher.text().decode()
        seen += 1
        assert matcher.is_accepting() == is_trace(text) == spec.validate(text).ok, text
        for letter in "ABC,x":
            after = matcher.fork()
            begins = any(is_trace(text + letter + suffix) for suffix in SUFFIXES)
            assert after.accept_bytes(letter) == begins, text + letter
            if begins and len(text) < 6:
                waiting.append(after)
    assert seen > 100
