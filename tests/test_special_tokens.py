"""Special tokens in grammars: allowed where they are named and nowhere else, never mistaken for text.

The oracle (naive_ebnf.py) knows them as code points beyond Unicode's last.
"""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
import naive
import strategies
from oracle import allowed_tokens

EXAMPLES = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
TOKENS = [bytes((b,)) for b in range(256)] + [b"ab", b"ba", b"<", b"<s>", b"s>b", "é".encode(), b"a\xff", b"\xfe"]
S, T, TWICE, END, STOP, FAR = 264, 265, 266, 267, 268, 275
SPECIAL = {"<s>": S, "<|t|>": T, "<one>": TWICE, "<other>": TWICE, "<end>": END, "[FAR]": FAR}


VOCABULARY = bridle.Vocabulary(
    [*TOKENS, *[b"<a special token's bytes do not matter>"] * 4, b""],
    stop_token_ids=[END, STOP],
    special_tokens=SPECIAL,
    size=288,
)


def compiled(text: str, **more) -> bridle.Compiled:
    """A grammar, or the body of one, compiled."""
    text = text if text.startswith("root") else "root ::= " + text
    return bridle.compile(bridle.Grammar.from_ebnf(text), VOCABULARY, **more)


def allowed(matcher: bridle.Matcher) -> set[int]:
    found = allowed_tokens(matcher)
    reference = bridle.allocate_token_bitmask(1, VOCABULARY.size)
    matcher.fill_reference_bitmask(reference)
    assert found == set(np.flatnonzero(np.unpackbits(reference.view(np.uint8), bitorder="little")).tolist())
    return found


def after(text: str, *steps: int | str) -> bridle.Matcher:
    matcher = bridle.Matcher(compiled(text))
    for step in steps:
        assert matcher.accept_token(step) if isinstance(step, int) else matcher.accept_bytes(step), step
    return matcher


# Against the oracle.


@EXAMPLES
@given(strategies.ebnf_grammars(left_recursion=True), st.data())
def test_masks_of_drawn_grammars_with_special_tokens_are_those_of_the_oracle(grammar, data):
    names = st.sampled_from([None, None, "<s>", "<|t|>", "<one>"])
    grammar = re.sub(r'"(?:a|b|ab|é)"', lambda found: data.draw(names) or found[0], grammar)
    oracle = naive.ebnf(grammar)
    try:
        matcher = bridle.Matcher(compiled(grammar))
    except bridle.UnsatisfiableError:
        assert not oracle.is_prefix(b"")
        return
    shown = {S: "<s>", T: "<|t|>", TWICE: "<one>"}
    text: list[bytes | str] = []
    for _ in range(6):
        found = allowed(matcher)
        sentence = oracle.accepts(text)
        assert matcher.is_accepting() == sentence
        assert ({END, STOP} <= found) == sentence and bool({END, STOP} & found) == sentence
        tried = [*range(0x58, 0x64), 10, 0xC3, 0xE2, 0xF0, 0x80, *range(254, 264)]
        assert {i for i in tried if i in found} == {i for i in tried if oracle.is_prefix([*text, TOKENS[i]])}
        assert {i for i in shown if i in found} == {i for i in shown if oracle.is_prefix([*text, shown[i]])}
        going_on = sorted(found & {*tried, *shown})
        if not going_on:
            return
        token = data.draw(st.sampled_from(going_on))
        assert matcher.accept_token(token)
        text.append(shown.get(token) or TOKENS[token])


# What is text, and what is not.


def test_no_special_token_comes_where_none_is_named():
    assert not allowed(after(".*")) & set(SPECIAL.values()) - {END}
    matcher = after("!<s>*", "<s>")
    assert not matcher.accept_token(S) and S not in allowed(matcher)


def test_a_text_that_spells_a_special_token_is_not_the_token_nor_the_other_way_round():
    assert allowed(after("<s>")) == {S}
    for matcher in (after("<s>"), after('<s> "x" | <|t|>')):
        assert not matcher.accept_bytes("<s>") and not matcher.accept_token(TOKENS.index(b"<s>"))
        assert matcher.accept_token(S)
    matcher = after('"<s>"')
    assert not matcher.accept_token(S) and allowed(matcher) == {ord("<"), TOKENS.index(b"<", 256), TOKENS.index(b"<s>")}


@pytest.mark.parametrize("data", [b"\xff<s>\xfe264\xff", b"\xff", b"\xfe264\xff", b"\xff<s>"])
def test_bytes_that_are_in_no_text_are_never_taken(data):
    for text in ("<s>", '"a" | <[264]>', "<s> | .*"):
        matcher = after(text)
        assert not matcher.accept_bytes(data) and matcher.accept_prefix(data) == 0
        assert matcher.accept_prefix(b"a" + data) == (0 if text == "<s>" else 1)
    for token in (254, 255, TOKENS.index(b"a\xff"), TOKENS.index(b"\xfe", 256)):
        matcher = after('"a"* <s> | "a"*')
        assert token not in allowed(matcher) and not matcher.accept_token(token)
        assert "in no UTF-8 text" in matcher.explain(token).reason


def test_special_tokens_have_no_text():
    matcher = after('<s> "é" <|t|> "b"', S, "é", T)
    assert matcher.text() == "é".encode() and matcher.n_steps == 3
    matcher.rollback(1)
    assert allowed(matcher) == {T} and matcher.fork().accept_token(T)


# Names and ids.


def test_a_name_and_an_id_of_one_token_meet():
    matcher = after(f'<s> "x" | <[{S}]> "y" | Token({S}, {T}) "z"')
    assert allowed(matcher) == {S, T} and matcher.accept_token(S)
    assert allowed(matcher) == {ord(c) for c in "xyz"}


def test_a_token_of_several_names_is_named_by_the_first():
    for name in ("<one>", f"<[{TWICE}]>"):
        assert allowed(after(name)) == {TWICE}
    with pytest.raises(bridle.GrammarError, match=rf"has several names, .*: write <one> or <\[{TWICE}\]>") as caught:
        compiled("<other>")
    assert caught.value.column == 10
    names = {"<one>": 1, "<other>": 1}
    one, two = (
        bridle.Vocabulary([b"a"], stop_token_ids=2, size=3, special_tokens=dict(items))
        for items in (names.items(), reversed(names.items()))
    )
    assert one.special_tokens == two.special_tokens and one != two
    assert [v.special_names[1] for v in (one, two)] == ["<one>", "<other>"]
    assert pickle.loads(pickle.dumps(two)) == two


def test_alternatives_that_begin_with_different_special_tokens_stay_small():
    names = {f"<tool-{i}>": 300 + i for i in range(40)}
    many = bridle.Vocabulary(TOKENS, stop_token_ids=299, size=400, special_tokens=names)
    text = " | ".join(f'{name} "{i}"* <[{300 + (i + 1) % 40}]>' for i, name in enumerate(names))
    grammar = bridle.Grammar.from_ebnf(f"root ::= {text}")
    assert grammar.root.n_states < 2000
    matcher = bridle.Matcher(bridle.compile(grammar, many))
    assert allowed_tokens(matcher) == set(names.values())
    assert matcher.accept_token(307) and matcher.accept_bytes("77") and allowed_tokens(matcher) == {ord("7"), 308}


def test_a_token_beyond_the_tokens_that_were_given_may_be_named():
    assert len(VOCABULARY.tokens) == FAR + 1 and VOCABULARY.tokens[FAR] == b""
    for text in ("<[FAR]>", f"<[{FAR}]>"):
        assert allowed(after(text)) == {FAR}


@pytest.mark.parametrize(
    ("text", "says", "column"),
    [
        ('root ::= "a" <|u|>', "no special token '<|u|>'; did you mean '<|t|>'", 14),
        ("root ::= <nothing-like-it>", "pass special_tokens={name: id} to Vocabulary, or write it as a text", 10),
        ("root ::= <[97]>", "token 97 is the text b'a', no special token: write it as a text", 10),
        ("root ::= <[288]>", "no token 288: its ids are 0 to 287", 10),
        (f"root ::= <[{STOP}]>", f"token {STOP} is no special token of the vocabulary; pass special_tokens=", 10),
        ('root ::= "a" b\nb ::= !<u>*', "no special token '<u>'", 8),
    ],
)
def test_a_token_that_the_vocabulary_lacks_is_an_error_with_its_place_when_compiling(text, says, column):
    grammar = bridle.Grammar.from_ebnf(text)
    with pytest.raises(bridle.GrammarError, match=re.escape(says)) as caught:
        bridle.compile(grammar, VOCABULARY)
    assert caught.value.column == column and str(caught.value).endswith("^")


def test_a_token_that_is_ordinary_text_in_the_vocabulary_is_to_be_written_as_text():
    plain = bridle.Vocabulary([b"<think>", b"x", b""], stop_token_ids=2)
    with pytest.raises(bridle.GrammarError, match="'<think>' is ordinary text in the vocabulary"):
        bridle.compile(bridle.Grammar.from_ebnf("root ::= <think>"), plain)


def test_a_rule_that_is_never_used_needs_no_token():
    assert compiled('root ::= "a"\nb ::= <nothing>').grammar.special_tokens == ()


# Stop tokens.


def test_a_stop_token_that_is_named_in_the_middle_ends_nothing_there():
    matcher = after('root ::= "a" <end> "b"', "a")
    assert allowed(matcher) == {END} and matcher.accept_token(END) and not matcher.is_terminated()
    assert allowed(matcher) == {ord("b")} and not matcher.accept_token(END) and matcher.accept_bytes("b")
    assert allowed(matcher) == {END, STOP} and matcher.accept_token(END) and matcher.is_terminated()
    matcher.rollback(3)
    assert not matcher.is_terminated() and allowed(matcher) == {END}


def test_a_stop_token_that_is_named_last_ends_the_text():
    matcher = after('root ::= "a" <end>', "a", END)
    assert matcher.is_terminated() and matcher.is_accepting() and allowed_tokens(matcher) == {END, STOP}
    matcher.rollback()
    assert not matcher.is_terminated() and allowed(matcher) == {END}


def test_a_stop_token_ends_the_text_wherever_it_is_a_sentence():
    matcher = after('root ::= "a" (<end> "a")*', "a", END)
    assert matcher.is_terminated()
    matcher.rollback()
    assert allowed(matcher) == {END, STOP} and not matcher.is_terminated()


@pytest.mark.parametrize("text", ['"a" <end> "b"', '"a" <end>', '"a" (<end> "a")*', '<s> "a"* <end>'])
def test_precomputing_and_saving_change_nothing(text, tmp_path):
    once = compiled(text)
    report = once.precompute()
    assert report.complete
    once.save(tmp_path / "saved")
    for other in (once, bridle.load(tmp_path / "saved", VOCABULARY)):
        one, two = bridle.Matcher(other), bridle.Matcher(compiled(text))
        for _ in range(5):
            assert allowed_tokens(one) == allowed_tokens(two)
            if one.is_terminated():
                break
            token = min(allowed_tokens(one) - {STOP})
            assert one.accept_token(token) and two.accept_token(token)
            assert one.is_terminated() == two.is_terminated() and one.text() == two.text()
        assert one.n_steps == two.n_steps


def test_a_matcher_that_moves_to_a_new_machine_takes_its_special_tokens_along():
    text = 'root ::= <s> item <|t|>\nitem ::= "(" <end> [a-z]{3} item? ")"'
    tight, wide = compiled(text, limits=bridle.Limits(memory=100_000)), compiled(text)
    first = tight.machine
    one, two = bridle.Matcher(tight), bridle.Matcher(wide)
    steps = [S, *[ord("("), END, 98, 99, 100] * 800, *[ord(")")] * 800, T]
    for i, step in enumerate(steps):
        assert one.accept_token(step) and two.accept_token(step)
        if i % 100 == 0:
            assert allowed(one) == allowed(two)
    assert tight.machine is not first and one.is_accepting() and one.text() == two.text()
    one.rollback(3000)
    two.rollback(3000)
    assert allowed(one) == allowed(two)


# What is said about them.


def test_explanations_show_names():
    matcher = after('"a" (<s> | <[265]> | "b")', "a")
    rejection = matcher.explain("c")
    assert rejection.expected == ("<s>", "<|t|>", "'b'")
    assert matcher.explain(S) is None and matcher.explain(ord("b")) is None
    assert matcher.explain(TWICE).reason == "the special token <one> may not come here"
    assert matcher.explain(b"\xff").offset == 0
    assert "the grammar cannot name it" in matcher.explain(270).reason


class Letters:
    """A tokenizer of bytes that joins "ab"."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [TOKENS.index(part.encode()) for part in re.findall("ab|.", text)]


def test_forced_text_ends_at_a_special_token_and_forced_tokens_go_on():
    matcher = after('"xa" <s> "bab" <[265]> ("b" | <s>)')
    assert matcher.forced_bytes() == b"xa"
    assert matcher.forced_tokens(Letters()) == [ord("x"), ord("a"), S, ord("b"), TOKENS.index(b"ab"), T]
    matcher = after('<s> "xy"')
    assert matcher.forced_bytes() == b"" and matcher.forced_tokens(Letters()) == [S, ord("x")]
    matcher = after('(<s> | <|t|>) "xy"')
    assert matcher.forced_bytes() == b"" and matcher.forced_tokens(Letters()) == []
    matcher = after("<s>{10000}")
    assert set(matcher.forced_tokens(Letters())) == {S}


# With the rest of the engine.


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("(<s> [a-z]){70,100}", [S, "a"] * 70),
        ('root ::= root <|t|> x | x\nx ::= "(" root ")" | <s>', [S, T, "(", S, T, S, ")"]),
        ('<s> %json {"type": "object", "additionalProperties": {"type": "integer"}} <|t|>', [S, '{"<s>": 1}', T]),
        ('x{2} ( "," x )*\nx ::= <s> | "é" <[266]>', [S, "é", TWICE, ",", S]),
        ("([a-z] | <s>)*", ["a", S, S, "b"]),
        (".* <s> .*", ["a<s>b", S, "c"]),
    ],
)
def test_special_tokens_stand_wherever_text_may(text, steps):
    matcher = after(text)
    assert not matcher.is_accepting() or text in ("([a-z] | <s>)*",)
    for step in steps:
        if isinstance(step, int):
            assert step in allowed(matcher)
        assert matcher.accept_token(step) if isinstance(step, int) else matcher.accept_bytes(step)
    assert matcher.is_accepting() and {END, STOP} <= allowed(matcher)


def test_tags_and_lark_rules_name_special_tokens_as_ebnf_does():
    tag = {"type": "tag", "begin": "xa<s>", "content": {"type": "const_string", "value": "bab"}, "end": "<|t|>!"}
    grammars = [
        bridle.Grammar.from_structural_tag(tag),
        bridle.Grammar.from_lark('start: "xa" <s> "bab" <[265]> "!"'),
        bridle.Grammar.from_ebnf('root ::= "xa" <s> "bab" <|t|> "!"'),
    ]
    for grammar in grammars:
        matcher = bridle.Matcher(bridle.compile(grammar, VOCABULARY))
        forced = [ord("x"), ord("a"), S, ord("b"), TOKENS.index(b"ab"), T, ord("!")]
        assert matcher.forced_tokens(Letters()) == forced[:-1] and matcher.accept_bytes("xa")
        assert matcher.explain("c").expected == ("<s>",) and allowed(matcher) == {S}
        assert matcher.explain(T).reason == "the special token <|t|> may not come here"
        assert matcher.validate_tokens(forced[2:]) == len(forced) - 2
        assert bridle.validate(grammar, "xa<s>bab<|t|>!", as_generated=True).ok == (grammar is not grammars[1])
    assert bridle.validate(grammars[1], "xa<s>bab<[265]>!", as_generated=True)


def test_vocabularies_with_special_tokens_can_be_pickled_and_compared():
    again = pickle.loads(pickle.dumps(VOCABULARY))
    assert again == VOCABULARY and [again.reading(i) for i in range(280)] == [VOCABULARY.reading(i) for i in range(280)]
    named = bridle.Vocabulary([b"a", b""], stop_token_ids=1, special_tokens={"<x>": 1})
    assert named != bridle.Vocabulary([b"a", b""], stop_token_ids=1, special_tokens={"<y>": 1})


def test_names_of_any_characters_can_be_named():
    names = ["<｜end▁of▁sentence｜>", "<\ud800>", "</s>", "[INST]"]
    special = {name: 1 + i for i, name in enumerate(names)}
    strange = bridle.Vocabulary([b"a"], stop_token_ids=9, special_tokens=special, size=10)
    for name, id_ in special.items():
        text = f"<{name}>" if name.startswith("[") else name
        grammar = bridle.Grammar.from_ebnf(f'root ::= {text} "a"')
        matcher = bridle.Matcher(bridle.compile(grammar, strange))
        assert allowed_tokens(matcher) == {id_} and matcher.accept_token(id_) and allowed_tokens(matcher) == {0}


# Judging texts.

THINKING = bridle.Grammar.from_ebnf('root ::= <think> !</think>* </think> "x"+ <[5]>?')


@pytest.mark.parametrize(
    ("text", "ok", "offset"),
    [
        ("<think>a</think>xx", True, 18),
        ("<think>a</think>xx<[5]>", True, 23),
        ("<think></think>a</think>x", True, 25),  # the first one is text
        ("<think><think></think>x", True, 23),
        ("<think>a</think>", False, 16),
        ("<think>a</thi", False, 13),
        ("<thin", False, 0),
        ("think", False, 0),
        ("", False, 0),
        (b"<think>\xff</think>x", False, 7),
        (b"\xff<think>\xfe0\xff</think>x", False, 0),
    ],
)
def test_texts_as_generated_show_special_tokens_by_name(text, ok, offset):
    verdict = bridle.validate(THINKING, text, as_generated=True)
    assert (verdict.ok, verdict.offset) == (ok, offset)


def test_names_in_a_plain_text_are_text():
    by_id = bridle.Grammar.from_ebnf("root ::= <[0]> | <a> <[7]>")
    assert not bridle.validate(by_id, "<a>", as_generated=True).ok
    assert all(bridle.validate(by_id, text, as_generated=True).ok for text in ("<[0]>", "<a><[7]>"))
    verdict = bridle.validate(THINKING, "<think>a</think>x")
    assert (verdict.ok, verdict.offset, verdict.expected) == (False, 0, ("<think>",))
    assert bridle.validate(bridle.Grammar.from_ebnf('root ::= "<s>" | <s> "b"'), "<s>").ok
    assert not bridle.validate(bridle.Grammar.from_ebnf('root ::= "<s>" | <s> "b"'), "<s>b").ok
    assert bridle.validate(bridle.Grammar.from_ebnf('root ::= "<s>" | <s> "b"'), "<s>b", as_generated=True).ok


def test_readings_of_a_text_with_many_names_do_not_multiply():
    grammar = bridle.Grammar.from_ebnf("root ::= (<s> | .)* <s>")
    assert bridle.validate(grammar, "<s>" * 2000, as_generated=True).ok
    assert not bridle.validate(grammar, "<s>" * 2000 + "a", as_generated=True).ok
