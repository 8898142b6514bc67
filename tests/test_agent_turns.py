"""Turns of agents: masks with free text, JSON and references, what is fed, and going back and forth across it."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import bridle
from bridle.grammar.agent_contents import Quote, References, ToolArguments, ToolName
from bridle.grammar.agent_spec import AgentSpec, AgentState
from oracle import allowed_tokens, vocabulary_of

SEARCH = {
    "type": "object",
    "properties": {"query": {"type": "string", "maxLength": 6}, "n": {"type": "integer"}},
    "required": ["query"],
    "additionalProperties": False,
}
TOKENS = [
    *(bytes((b,)) for b in range(256)), b"\nThought", b"\nT: x", b"T:", b": ", b"\nA: se", b'\nI: {"query": "', b'"}\n',
    b"arch\nI:", b"#E", b"#E1", b"#E2 and", b"E3", b"\nF: ", b"x\n", b"\n\n", "é".encode(), b"\xc3",
]  # fmt: skip
VOCABULARY = vocabulary_of(TOKENS)


def react(**more):
    states = (
        AgentState("question", "Q:", env=True), AgentState("thought", "T:"), AgentState("action", "A:", ToolName()),
        AgentState("inputs", "I:", ToolArguments("action", once=True)), AgentState("seen", "O:", env=True),
        AgentState("quote", "C:", Quote(("seen",))), AgentState("answer", "F:", final=True),
    )  # fmt: skip
    expression = "question (thought action inputs seen){0,4} thought quote? answer"
    return AgentSpec("react", states, {}, expression, {"search": SEARCH, "se": {"type": "object"}}, **more)


def compiled(spec):
    return bridle.compile(bridle.Grammar.from_agent(spec), VOCABULARY)


def check_mask(matcher):
    """Compares a mask with the slow one."""
    allowed = allowed_tokens(matcher)
    mask = bridle.allocate_token_bitmask(1, VOCABULARY.size)
    matcher.fill_reference_bitmask(mask)
    assert allowed == set(np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist())
    assert allowed, "a dead end"
    return sorted(allowed)


# The beginnings of texts: random tokens would hardly ever begin a step.
PIECES = ["\nT: ab", "\nA: search", "\nA: se", '\nI: {"query": "', '"', "}", "\nF: z", "\nC: ", "two words", "é"]


@pytest.mark.parametrize("seed", range(6))
def test_masks_are_exact_along_random_walks_and_every_trace_is_one(seed):
    rng, spec = random.Random(seed), react()
    grammar = compiled(spec)
    said = ["", "x", "two words here", '{"a": 1}', "é\n\nlines", "A : no step"]
    matcher, bare = bridle.Matcher(grammar), 0
    for _ in range(140):
        if matcher.pending_state() is not None:
            matcher.feed(rng.choice(said))
            continue
        allowed = check_mask(matcher)
        piece = rng.choice(PIECES)
        if rng.random() < 0.5 and matcher.accept_bytes(piece):
            continue
        if rng.random() < 0.1 and matcher.n_steps > 2:
            matcher.rollback(rng.randrange(1, 3))
            continue
        token = rng.choice([t for t in allowed if t != VOCABULARY.stop_token_ids[0]] or allowed)
        assert matcher.accept_token(token)
        if matcher.is_terminated() and matcher.pending_state() is None:
            verdict = spec.validate(matcher.text().decode())
            assert verdict.ok, (verdict, matcher.text())
            matcher.reset()
            bare += 1


def test_free_text_holds_no_delimiter_wherever_it_stands():
    matcher = bridle.Matcher(compiled(react()))
    matcher.feed("why?")
    assert matcher.accept_bytes("\nT: an A")
    assert not matcher.accept_bytes(": search") and matcher.accept_bytes(" b\n")
    assert matcher.accept_bytes("A: se")
    assert not matcher.accept_bytes("\nT: ") and matcher.accept_bytes("\nI: {")


def test_a_delimiter_in_what_is_fed_is_refused_with_its_place():
    matcher = bridle.Matcher(compiled(react()))
    with pytest.raises(bridle.GrammarError, match="the delimiter 'F:' may not stand in a content") as error:
        matcher.feed("why?\nF: forged")
    assert (error.value.line, error.value.column) == (2, 1)
    assert matcher.pending_state() == "question" and matcher.text() == b""
    matcher.feed("why?")
    with pytest.raises(ValueError, match="no text from outside is awaited"):
        matcher.feed("again")


def test_a_stop_token_ends_the_turn_and_feeding_goes_on_behind_it():
    matcher = bridle.Matcher(compiled(react()))
    stop = VOCABULARY.stop_token_ids[0]
    assert matcher.accept_token(stop) and matcher.is_terminated() and matcher.pending_state() == "question"
    matcher.feed("why?")
    assert not matcher.is_terminated() and not matcher.accept_token(stop)
    assert matcher.text() == b"Q: why?"
    matcher.rollback(1)
    assert matcher.is_terminated() and matcher.text() == b"" and matcher.pending_state() == "question"
    matcher.rollback(1)
    assert not matcher.is_terminated() and matcher.pending_state() == "question"


def test_forks_go_their_own_ways_and_rollback_crosses_what_was_fed():
    matcher = bridle.Matcher(compiled(react()))
    matcher.feed("why?")
    matcher.accept_bytes('\nT: t\nA: search\nI: {"query": "a"}')
    twin = matcher.fork()
    matcher.feed("one")
    twin.feed("two")
    for other, word in ((matcher, "one"), (twin, "two")):
        assert other.text().endswith(b"\nO: " + word.encode())
        assert other.accept_bytes(f"\nT: t\nC: {word}") and not other.accept_bytes("x")
        other.rollback(1)
        assert other.accept_bytes('\nT: t\nA: search\nI: {"query": "') and not other.accept_bytes('a"}')
        assert not other.accept_bytes('\\u0061"}') and other.accept_bytes('b"}')
    matcher.rollback(3)
    assert matcher.pending_state() == "seen"
    matcher.rollback(1)
    assert matcher.accept_bytes('\nT: t\nA: search\nI: {"query": "a"}')
    matcher.reset()
    assert matcher.pending_state() == "question" and matcher.n_steps == 0


def test_a_delimiter_is_implied_where_nothing_else_may_come_and_written_where_a_text_could_go_on():
    states = (
        AgentState("ask", "A:", re.compile("x+")), AgentState("hear", "H:", env=True),
        AgentState("call", "C:", {"type": "object"}), AgentState("end", "E:", final=True),
    )  # fmt: skip
    spec = AgentSpec("both", states, {}, "ask hear call hear end")
    matcher = bridle.Matcher(compiled(spec))
    assert matcher.accept_bytes("A: xx") and matcher.pending_state() is None
    assert matcher.accept_bytes("\nH:") and matcher.pending_state() == "hear"
    matcher.feed("yes")
    assert matcher.accept_bytes("\nC: {}") and matcher.pending_state() == "hear"
    matcher.feed("no")
    assert matcher.text() == b"A: xx\nH: yes\nC: {}\nH: no"


def test_references_name_steps_before():
    states = (
        AgentState("tool", "#E{n} =", ["f", "g"]), AgentState("inputs", "I:", References("#E{n}", "tool")),
        AgentState("answer", "F:", References("#E{n}", "tool", current=True), final=True),
    )  # fmt: skip
    spec = AgentSpec("plan", states, {}, "(tool inputs){1,12} answer")
    grammar = compiled(spec)
    matcher = bridle.Matcher(grammar)
    assert matcher.accept_bytes("#E1 = f\nI: ")
    assert not matcher.accept_bytes("#E1\n") and not matcher.accept_bytes("#E0 ") and matcher.accept_bytes("#E or #")
    check_mask(matcher)
    for n in range(2, 12):
        assert not matcher.fork().accept_bytes(f"\n#E{n + 1} = f")
        assert matcher.accept_bytes(f"\n#E{n} = g\nI: #E{n - 1}")
        check_mask(matcher)
        assert not matcher.fork().accept_bytes(f" #E{n}\nF: ") and not matcher.fork().accept_bytes(" #E01.")
    assert matcher.fork().accept_bytes(" #E1 and #E10,") and not matcher.fork().accept_bytes(" #E12,")
    assert matcher.accept_bytes("\nF: #E11") and matcher.is_accepting()
    text = matcher.text().decode()
    assert spec.validate(text).ok
    for wrong in (text.replace("#E2 =", "#E3 ="), text.replace("I: #E1\n", "I: #E2\n"), text + "2"):
        assert not spec.validate(wrong).ok


def test_texts_of_one_request_are_not_kept_for_others():
    grammar = compiled(react())
    states = []
    for word in ("zebra", "okapi"):
        matcher = bridle.Matcher(grammar)
        matcher.feed("q")
        matcher.accept_bytes('\nT: t\nA: search\nI: {"query": "a"}')
        states.append(grammar.n_states)
        matcher.feed(word)
        matcher.accept_bytes("\nT: t\nC: ")
        assert allowed_tokens(matcher) == {word.encode()[0]}
    assert grammar.n_states == states[0] == states[1]


def test_turns_without_text_in_their_states_share_what_was_learned():
    states = (AgentState("user", "U:", env=True), AgentState("bot", "B:", final=True))
    grammar = compiled(AgentSpec("chat", states, {}, "(user bot)+"))
    seen = []
    for _ in range(3):
        matcher = bridle.Matcher(grammar)
        for _ in range(3):
            matcher.feed("hi")
            check_mask(matcher)
            matcher.accept_bytes("\nB: hello\nU:")
        seen.append((grammar.n_states, matcher.configuration))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("once", [False, True])
def test_a_matcher_follows_its_machine_when_that_is_replaced(once):
    spec = react()
    if not once:
        states = [s for s in spec.states if s.name != "quote"]
        states[3] = AgentState("inputs", "I:", ToolArguments("action"))
        expression = "question (thought action inputs seen){0,4} thought answer"
        spec = AgentSpec("react", tuple(states), {}, expression, spec.tools)
    grammar = bridle.compile(bridle.Grammar.from_agent(spec), VOCABULARY, limits=bridle.Limits(memory=1 << 17))
    matcher, before = bridle.Matcher(grammar), set()
    matcher.feed("why?")
    twin = None
    for n in range(4):
        assert matcher.accept_bytes(f'\nT: thought {n}\nA: search\nI: {{"query": "{n}"}}')
        matcher.feed(f"seen {n}")
        for word in ("\nT: abc", " def", "é", "\n\nx"):
            before.add(matcher.configuration[0])
            check_mask(matcher)
            matcher.accept_bytes(word)
        matcher.rollback(4)
        twin = twin or matcher.fork()
    for _ in range(60):
        other = bridle.Matcher(grammar)
        other.feed("x" * 50)
        other.accept_bytes("\nT: " + "abc" * 20)
        check_mask(other)
    assert matcher.accept_bytes("\nT: t\nF: done") and matcher.is_accepting()
    check_mask(matcher)
    check_mask(twin)
    assert spec.validate(matcher.text().decode()).ok


def test_captures_are_the_contents_by_state():
    matcher = bridle.Matcher(compiled(react()))
    matcher.feed("why?")
    matcher.accept_bytes("\nT: one\nF: two")
    assert matcher.captures() == {"question": "why?", "thought": "one", "answer": "two"}


def test_a_text_behind_which_nothing_is_possible_is_refused():
    states = (
        AgentState("ask", "A:"), AgentState("hear", "H:", env=True), AgentState("cite", "C:", Quote(("hear",))),
        AgentState("end", "E:", final=True),
    )  # fmt: skip
    spec = AgentSpec("cites", states, {"cited": "F(cite)"}, "ask hear (cite | end)*")
    matcher = bridle.Matcher(compiled(spec))
    matcher.accept_bytes("A: x\nH:")
    with pytest.raises(bridle.UnsatisfiableError, match="no step is left"):
        matcher.feed(" \n")
    matcher.feed("some text")
    assert matcher.accept_bytes("\nC: text\nE: ")


def test_only_one_turn_is_a_sentence_of_the_grammar_and_it_cannot_be_saved(tmp_path):
    grammar = compiled(react())
    assert bridle.validate(grammar.grammar, "").ok
    with pytest.raises(bridle.SavedGrammarError, match="the grammar of an agent cannot be saved"):
        grammar.save(tmp_path / "agent")
    assert grammar.precompute(states=50).reached > 0


def test_numbers_keep_their_decimals_in_what_is_not_repeated():
    number = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    states = (
        AgentState("a", "A:", ToolName()), AgentState("i", "I:", ToolArguments("a", once=True)),
        AgentState("o", "O:", env=True),
    )  # fmt: skip
    spec = AgentSpec("numbers", states, {}, "(a i o){1,3}", {"f": number})
    matcher = bridle.Matcher(compiled(spec))
    big = "0.1234567890123456789012345"
    assert matcher.accept_bytes(f'A: f\nI: {{"x":{big}}}')
    matcher.feed("y")
    assert matcher.accept_bytes(f'\nA: f\nI: {{"x":{big}')
    assert not matcher.accept_bytes("}") and matcher.accept_bytes("1}")


def test_a_batch_is_filled_for_matchers_in_shared_and_private_turns():
    grammar = compiled(react())
    matchers = [bridle.Matcher(grammar) for _ in range(3)]
    for matcher in matchers[1:]:
        matcher.feed("why?")
    matchers[2].accept_bytes('\nT: t\nA: search\nI: {"query": "a"}')
    matchers[2].feed("seen")
    mask = bridle.allocate_token_bitmask(3, VOCABULARY.size)
    bridle.fill_next_token_bitmasks(matchers, mask)
    for row, matcher in enumerate(matchers):
        own = bridle.allocate_token_bitmask(1, VOCABULARY.size)
        matcher.fill_reference_bitmask(own)
        assert (mask[row] == own[0]).all()
        assert matcher.explain("zzz") is not None and matcher.validate_tokens([0]) == 0


def test_an_agent_in_python_is_made_of_public_names():
    state = bridle.agents.AgentState
    states = (
        state("ask", "Q:", env=True),
        state("tool", "T:", bridle.agents.ToolName()),
        state("a", "A:", {"const": 1}),
    )
    spec = bridle.AgentSpec("x", states, {"once": "count(tool) = 1"}, "ask tool a", {"f": {"type": "object"}})
    assert spec.validate("Q: x\nT: f\nA: 1").ok


def test_contents_may_be_whole_grammars():
    nested = bridle.Grammar.from_ebnf('root ::= "(" root? ")" | "(\\nO: x)"')
    states = (AgentState("a", "A:", nested), AgentState("o", "O:", env=True), AgentState("e", "E:", final=True))
    spec = AgentSpec("nested", states, {}, "(a o)+ e")
    assert spec.grammar.notes == ("a: its contents end at the first delimiter behind a sentence",)
    matcher = bridle.Matcher(compiled(spec))
    for text in ("A: (())\nO:", "\nA: ()\nO:"):
        check_mask(matcher)
        assert matcher.accept_bytes(text) and matcher.pending_state() == "o"
        matcher.feed("x")
    assert matcher.accept_bytes("\nE: y") and spec.validate(matcher.text().decode()).ok
    matcher.reset()
    assert matcher.accept_bytes("A: (\nO: x)\nO:") and matcher.pending_state() == "o"
