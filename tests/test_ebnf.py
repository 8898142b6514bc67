"""EBNF texts: the notation, its errors, and whole grammars driven by the engine, token by token.

Grammars and malformed texts are data under cases/ebnf: `name.gbnf` with texts to accept and reject in `name.json`.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import naive
import strategies
from bridle.automata.bitmask_rows import allocate_token_bitmask
from bridle.automata.compiled import compile_grammar
from bridle.automata.errors import GrammarError, LimitError, UnsatisfiableError, UnsupportedError
from bridle.automata.matcher import Matcher
from bridle.automata.regular import ANY_CHAR, ANY_TEXT, EPSILON, Bytes, alternation, char_class
from bridle.automata.regular import Repeat as RegularRepeat
from bridle.automata.special_tokens import SpecialToken
from bridle.automata.vocabulary import Vocabulary
from bridle.grammar.ebnf import parse_ebnf
from bridle.grammar.grammar import Grammar
from bridle.grammar.rules import Choice, Repeat, RuleRef, Sequence, Terminal
from bridle.grammar.validation import validate

CASES = Path(__file__).parent / "cases" / "ebnf"
GRAMMARS = sorted(path.stem for path in CASES.glob("*.gbnf"))
EXAMPLES = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
BYTES = Vocabulary([*(bytes([b]) for b in range(256)), b"<end>"], stop_token_ids=[256])


def body(text: str):
    return parse_ebnf(f"root ::= {text}").rules["root"].body


def language(text: str):
    found = body(text)
    assert isinstance(found, Terminal)
    return found.language


def case(name: str) -> tuple[str, dict]:
    return (CASES / f"{name}.gbnf").read_text(), json.loads((CASES / f"{name}.json").read_text())


# The notation.


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('"abc"', b"abc"),
        ("'abc'", b"abc"),
        ("'a\"b' ", b'a"b'),
        ('"a\'b"', b"a'b"),
        (r'"\n\r\t\\\"\'\[\]"', b"\n\r\t\\\"'[]"),
        (r'"\x41\u00e9\U0001F600é"', "Aéé".encode()[:3] + "😀é".encode()),
        (r'"\xE9"', "é".encode()),
        (r'"\a\b\f\v\0\e\/"', b"\a\b\f\v\0\x1b/"),
        ('"#x20 # /* no comment */"', b"#x20 # /* no comment */"),
        ("#x41", b"A"),
        ("#x1F600", "😀".encode()),
    ],
)
def test_literals_and_escapes_stand_for_their_characters(text, data):
    assert language(text) == Bytes(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a-c]", char_class([(97, 99)])),
        ("[^a-c]", char_class([(97, 99)], negate=True)),
        ("[-a]", char_class([(45, 45), (97, 97)])),
        ("[a-]", char_class([(45, 45), (97, 97)])),
        (r"[\]\[\-\^\\]", char_class([(ord(c), ord(c)) for c in "][-^\\"])),
        (r"[\x41-\u00e9]", char_class([(0x41, 0xE9)])),
        ("[a^]", char_class([(94, 94), (97, 97)])),
        ("['\"]", char_class([(34, 34), (39, 39)])),
        ("[#]", char_class([(35, 35)])),
        ("[a#]", char_class([(35, 35), (97, 97)])),
        ("[]", char_class([])),
        ("[^]", char_class([], negate=True)),
        ("[#x20]", char_class([(32, 32)])),
        ("[#x20-#x7F#xA0]", char_class([(0x20, 0x7F), (0xA0, 0xA0)])),
        ("[^#x0-#x1F]", char_class([(0, 0x1F)], negate=True)),
        (".", ANY_CHAR),
    ],
)
def test_classes_stand_for_their_characters(text, expected):
    assert language(text) == expected


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("<|im_end|>", ["<|im_end|>"]),
        ("</think>", ["</think>"]),
        ("<｜end▁of▁sentence｜>", ["<｜end▁of▁sentence｜>"]),
        ("<[128009]>", [128009]),
        ("<[007]>", [7]),
        ("<[INST]>", ["[INST]"]),
        ("Token(7)", [7]),
        ("Token( 7 , 8,\n9 )", [7, 8, 9]),
    ],
)
def test_special_tokens_are_named_by_name_or_id(text, keys):
    rule = parse_ebnf(f'root ::= "a" {text} "b"').rules["root"]
    assert [token.key for token in rule.special_tokens] == keys
    assert rule.special_tokens[0].offset == 13
    a, named, b = rule.body.items
    assert named == Terminal(alternation(*[SpecialToken(key).language for key in keys]))
    assert (a, b) == (Terminal(Bytes(b"a")), Terminal(Bytes(b"b")))


@pytest.mark.parametrize("text", ["!<think>*", "(!<think>)*", "ExcludeToken(7, 8)*", "((!<[7]>))*"])
def test_any_tokens_but_some_are_any_text(text):
    assert language(text) == ANY_TEXT
    assert language(text.replace("*", "+")) == language(text.replace("*", "{1,}")) == RegularRepeat(ANY_CHAR, 1, None)
    grammar = Grammar.from_ebnf("root ::= " + text)
    assert any("any token but one is any text here" in note for note in grammar.notes)


def test_rules_may_be_called_like_macros():
    assert body('Token("a")\nToken ::= "b"') == Sequence((RuleRef("Token"), Terminal(Bytes(b"a"))))


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ('"<" %json {"type": "integer", "minimum": 8} ">"', ["<8>", "<12>"], ["<7>", "< 8>", "8", "<>"]),
        ('(%json {"const": "}"} ",")* "."', [".", '"}",.', '"}","}",.'], ['"}".', ","]),
        ("%json true | '!'", ["!", "[1, {}]", "null"], ["", "nul"]),
        (r'"a" %regex /[0-9]{2}\/\w/ "b"', ["a12/xb"], ["a1/xb", "a12xb"]),
        ("%regex /(?i:ab)|#/", ["AB", "#"], ["b"]),
        (r'Regex("\\d+|é") Regex( "a*" )', ["12aa", "é"], ["a", "d"]),
    ],
)
def test_schemas_and_patterns_are_embedded_in_rules(text, accepted, refused):
    grammar = Grammar.from_ebnf(f"root ::= {text}")
    assert all(validate(grammar, sentence).ok for sentence in accepted)
    assert not any(validate(grammar, sentence).ok for sentence in refused)


def test_a_schema_in_recursive_rules_keeps_its_notes_and_its_errors_their_places():
    grammar = Grammar.from_ebnf(
        'root ::= "(" root ")" | value\nvalue ::= %json {"type": "object", "properties": {"a": {"enum": [1.50]}}}'
    )
    assert validate(grammar, '(({"a":1.5}))').ok and not validate(grammar, '(({"a":2}))').ok
    assert any(note.startswith("%json on line 2, column 11: at most 64 white-space") for note in grammar.notes)
    with pytest.raises(UnsatisfiableError) as caught:
        Grammar.from_ebnf('root ::= "a"\n  %json {"type": "string", "minLength": 2, "maxLength": 1}')
    assert (caught.value.line, caught.value.column) == (2, 3)


def test_numbers_before_rules_are_those_of_w3c():
    rules = parse_ebnf('[1] root ::= b [2] "x"\n  [2a] b ::= [1]\n[3]\nc ::= [4] d ::= "y"').rules
    assert list(rules) == ["root", "b", "c", "d"]
    assert rules["b"].body == Sequence((Terminal(char_class([(49, 49)])), Terminal(char_class([(51, 51)]))))
    assert rules["c"].body == Terminal(char_class([(52, 52)]))


def test_more_than_two_hexadecimal_digits_are_noted():
    assert Grammar.from_ebnf(r'root ::= "\x412"').notes == (
        r"line 1, column 11: \x412 is \x41 and then 2, as in GBNF; XGrammar reads all hexadecimal digits: write \u or "
        r"\U for what is beyond \xFF",
    )


def test_empty_bodies_literals_and_alternatives_are_the_empty_text():
    empty = Terminal(EPSILON)
    assert body("") == body('""') == body("()") == body("( ( ) )") == empty
    assert body('"a" | | ""') == Choice((Terminal(Bytes(b"a")), empty, empty))


@pytest.mark.parametrize(
    ("suffix", "counts"),
    [
        ("?", (0, 1)),
        ("*", (0, None)),
        ("+", (1, None)),
        ("{2}", (2, 2)),
        ("{ 2 , }", (2, None)),
        ("{2,3}", (2, 3)),
        ("{,3}", (0, 3)),
        ("{0}", (0, 0)),
    ],
)
def test_repetitions_have_their_counts(suffix, counts):
    item = Terminal(Bytes(b"ab"))
    assert body(f'"ab"{suffix}') == Repeat(item, *counts)
    assert body(f'("ab" ){suffix}*') == Repeat(Repeat(item, *counts), 0, None)


def test_a_body_ends_where_the_next_rule_begins():
    rules = parse_ebnf('root\n::=\n"a"\n  b-1 # b-1 ::= "x"\n | _c /* c ::= */\n\nb-1::="b"_c\n_c ::= \'c\'').rules
    assert list(rules) == ["root", "b-1", "_c"]
    assert rules["root"].body == Choice((Sequence((Terminal(Bytes(b"a")), RuleRef("b-1"))), RuleRef("_c")))


def test_a_name_with_dots_is_one_if_it_is_defined():
    rules = parse_ebnf('root ::= a.b a.c\na.b ::= "x"\na ::= "a"\nc ::= "c"').rules
    assert rules["root"].body == Sequence((RuleRef("a.b"), RuleRef("a"), Terminal(ANY_CHAR), RuleRef("c")))


def test_places_of_rules_and_of_their_names_are_kept():
    rules = parse_ebnf('root ::= "a"\n  x\nx ::= "b"').rules
    assert rules["root"].body.items[1].offset == 15
    assert rules["x"].offset == 17


def test_another_rule_may_be_the_start():
    grammar = Grammar.from_ebnf('a ::= "x" b\nb ::= "y"', start="a")
    assert Matcher(compile_grammar(grammar, BYTES)).accept_bytes(b"xy")


# Errors.


@pytest.mark.parametrize("bad", json.loads((CASES / "malformed.json").read_text()), ids=lambda bad: bad["what"])
def test_a_malformed_grammar_is_refused_at_its_place(bad):
    with pytest.raises(GrammarError) as caught:
        Grammar.from_ebnf(bad["text"])
    error = caught.value
    assert not isinstance(error, UnsupportedError | UnsatisfiableError)
    assert (error.line, error.column) == (bad["line"], bad["column"]), str(error)
    assert bad["says"] in error.message
    assert str(error).endswith("^")


@pytest.mark.parametrize("bad", json.loads((CASES / "unsupported.json").read_text()), ids=lambda bad: bad["what"])
def test_what_is_not_supported_is_refused_by_name(bad):
    with pytest.raises(UnsupportedError) as caught:
        Grammar.from_ebnf(bad["text"])
    assert (caught.value.line, caught.value.column) == (bad["line"], bad["column"])
    assert bad["says"] in caught.value.message


def test_the_caret_stands_under_the_place():
    with pytest.raises(GrammarError) as caught:
        parse_ebnf('root ::= "a"\nx ::= [é-a]')
    assert str(caught.value).splitlines()[-2:] == ["    x ::= [é-a]", "           ^"]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ('root ::= "a"{1000001}', "repetition"),
        ('root ::= "a"{0,' + "9" * 5000 + "}", "repetition"),
        ("root ::= " + "(" * 100_000, "nesting of groups"),
        ('root ::= "a"' + "*" * 100_000, "depth"),
    ],
)
def test_budgets_are_met_with_their_number(text, limit):
    with pytest.raises(LimitError) as caught:
        parse_ebnf(text)
    assert caught.value.limit == limit and caught.value.given > caught.value.allowed


def test_long_grammars_take_linear_time():
    chain = "\n".join(f'r{i} ::= "a" r{i + 1} "b" | r{i} "c" | "d"' for i in range(2000))
    grammar = Grammar.from_ebnf(f'root ::= r0\n{chain}\nr2000 ::= "x" | {" | ".join(map(repr, map(str, range(5000))))}')
    matcher = Matcher(compile_grammar(grammar, BYTES))
    assert matcher.accept_bytes(b"a" * 100 + b"dcc" + b"b" * 100) and matcher.is_accepting()


# Whole grammars.


@pytest.mark.parametrize(
    "entry", json.loads((CASES / "peers.json").read_text("utf-8")), ids=lambda entry: entry["what"]
)
def test_verdicts_are_those_of_a_peer_but_where_it_is_said_why(entry):
    expected = entry.get("bridle", entry["xgrammar"])
    assert ("bridle" in entry) == ("differs" in entry) and entry.get("bridle") != entry["xgrammar"]
    try:
        grammar = Grammar.from_ebnf(entry["grammar"], start=entry.get("start", "root"))
    except GrammarError:
        assert expected == "error"
        return
    assert [validate(grammar, text).ok for text in entry["texts"]] == expected


def test_left_recursion_of_all_kinds_changes_no_language():
    """Every text of up to four letters, for every grammar of a family with direct, indirect and hidden recursion."""
    parts = ["root", "x", '"a"', "n", '"b"?']
    for one, two, three in itertools.product(parts, repeat=3):
        text = f'root ::= {one} {two} | "a"\nx ::= {three} root | "b" | x\nn ::= "" | n n'
        oracle = naive.ebnf(text)
        grammar = Grammar.from_ebnf(text)
        for word in ("".join(letters) for n in range(5) for letters in itertools.product("ab", repeat=n)):
            assert validate(grammar, word).ok == oracle.accepts(word.encode()), (text, word)


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_grammar_accepts_and_rejects_its_texts(name):
    text, expected = case(name)
    compiled = compile_grammar(Grammar.from_ebnf(text, start=expected.get("start", "root")), BYTES)
    for sentence in expected["accept"]:
        matcher = Matcher(compiled)
        for i, byte in enumerate(sentence.encode()):
            assert matcher.accept_token(byte), f"{sentence!r} ends at byte {i}"
        assert matcher.is_accepting(), sentence
    for sentence in expected["reject"]:
        matcher = Matcher(compiled)
        assert not (matcher.accept_bytes(sentence.encode()) and matcher.is_accepting()), sentence


@pytest.mark.parametrize("name", [name for name in GRAMMARS if name != "w3c"])
def test_masks_along_a_text_are_those_of_the_oracle(name):
    text, expected = case(name)
    compiled, oracle = compile_grammar(Grammar.from_ebnf(text), BYTES), naive.ebnf(text)
    tried = np.unique(np.array([*b"\n !\"#&'()+-/0129:;<=>?@ABO[\\]abcexz{|}~\x7f", 0xC2, 0xC3, 0xE3, 0xF0, 0xFF]))
    for sentence in expected["accept"]:
        data = sentence.encode()[:40]
        matcher = Matcher(compiled)
        for i in range(0, len(data) + 1):
            check_mask(matcher, oracle, data[:i], [*tried.tolist(), *data[i : i + 1]])
            assert i == len(data) or matcher.accept_token(data[i])


def check_mask(matcher: Matcher, oracle, text: bytes, tried: list[int]) -> None:
    bitmask = allocate_token_bitmask(1, BYTES.size)
    matcher.fill_next_token_bitmask(bitmask)
    allowed = [bool(bitmask[0, i >> 5] >> (i & 31) & 1) for i in range(BYTES.size)]
    assert allowed[256] == oracle.accepts(text), text
    for byte in tried:
        assert allowed[byte] == oracle.is_prefix(text + bytes([byte])), (text, bytes([byte]))


@EXAMPLES
@given(strategies.ebnf_grammars(left_recursion=True), strategies.ebnf_texts())
def test_masks_of_drawn_grammars_are_those_of_the_oracle(grammar, text):
    oracle = naive.ebnf(grammar)
    try:
        matcher = Matcher(compile_grammar(Grammar.from_ebnf(grammar), BYTES))
    except UnsatisfiableError:
        assert not oracle.is_prefix(b"")
        return
    data = text.encode()
    for i in range(len(data) + 1):
        check_mask(matcher, oracle, data[:i], [*b"abA\n", 0xC3, 0xA9, 0xE2, 0xF0, 0x80, 0xFF])
        if i < len(data) and not matcher.accept_token(data[i]):
            assert not oracle.is_prefix(data[: i + 1])
            return


def test_the_notes_of_the_rules_are_the_grammars():
    assert Grammar.from_ebnf('root ::= "a"\nb ::= "b"').notes == (
        "never used from 'root': rule 'b' (line 2, column 1)",
    )
