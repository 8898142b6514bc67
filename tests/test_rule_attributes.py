"""Attributes of EBNF rules: early ends by their definition, captures and temperatures as composition has them."""

from __future__ import annotations

import json
import re
from itertools import product

import pytest

import bridle
import naive
from bridle.automata.matcher import Matcher
from bridle.grammar.grammar import Grammar
from bridle.grammar.saved_grammars import grammar_of

SPECIAL = bridle.Vocabulary(
    [bytes((b,)) for b in range(256)], stop_token_ids=256, special_tokens={"<t>": 257}, size=258
)


def texts(alphabet: str, length: int) -> list[str]:
    return ["".join(letters) for n in range(length + 1) for letters in product(alphabet, repeat=n)]


@pytest.mark.parametrize(
    "body", ["[ab;]*", '"a"* ";"', '("a" | "ab") b*\nb ::= "b" | ";"', '"" | "a;" "a;"?', '"ab"+ | ";;"']
)
@pytest.mark.parametrize("end", ["", ";", ";;", "ab"])
@pytest.mark.parametrize("kind", ["lazy", "suffix", "stop"])
def test_a_rule_ends_as_early_as_its_definition_says(body: str, end: str, kind: str) -> None:
    attribute = kind if kind == "lazy" else f'{kind}="{end}"'
    oracle = naive.ebnf(f"root ::= {body}")
    whole = "" if kind == "lazy" else end

    def ends(text: str) -> bool:
        return text.endswith(whole) and oracle.accepts([text[: len(text) - len(whole)].encode()])

    def is_sentence(text: str) -> bool:
        text += end if kind == "stop" else ""
        shortened = kind == "lazy" or end
        return ends(text) and not (shortened and any(ends(text[:i]) for i in range(len(text))))

    wanted = {text for text in texts("ab;", 5) if is_sentence(text)}
    try:
        grammar = Grammar.from_ebnf(f"root ::= x\nx[{attribute}] ::= {body}")
    except bridle.UnsatisfiableError:
        assert not wanted
        return
    assert {text for text in texts("ab;", 5) if bridle.validate(grammar, text)} == wanted


def test_a_rule_that_ends_early_may_name_one_that_does() -> None:
    grammar = Grammar.from_ebnf('root ::= x "."\nx[suffix="!"] ::= "<" y ">" [a>]*\ny[lazy] ::= "a"+')
    assert bridle.validate(grammar, "<a>aa!.") and not bridle.validate(grammar, "<aa>!.")
    assert not bridle.validate(grammar, "<a>!!.")


word, number = Grammar.from_regex("[a-z]+"), Grammar.from_regex("[0-9]*")
nested = Grammar.from_ebnf('root ::= "(" root ")" | "x"')


@pytest.mark.parametrize(
    ("text", "composed"),
    [
        ('root ::= w "," n\nw[capture] ::= [a-z]+\nn[capture="m"] ::= [0-9]*',
         word.capture("w") + "," + number.capture("m")),
        ('root ::= (w n)*\nw[capture] ::= [a-z]+\nn[capture] ::= [0-9]*',
         (word.capture("w") + number.capture("n")).repeat()),
        ('root ::= a | b\na ::= w "."\nb ::= w+ n\nw[capture] ::= [a-z]+\nn ::= [0-9]*',
         (word.capture("w") + ".") | (word.capture("w").repeat(1) + number)),
        ('root[capture] ::= w n\nw[capture] ::= [a-z]+\nn ::= [0-9]*', (word.capture("w") + number).capture("root")),
        ('root ::= p{0,2} p?\np[capture] ::= "(" p1 ")" | "x"\np1 ::= "(" p1 ")" | "x"',
         nested.capture("p").repeat(0, 2) + nested.capture("p").repeat(0, 1)),
        ('root ::= w? never | n\nw[capture] ::= [a-z]+\nnever ::= "a" never\nn ::= w',  word.capture("w")),
    ],
)  # fmt: skip
def test_captured_rules_are_captured_parts(text: str, composed: Grammar) -> None:
    grammar = Grammar.from_ebnf(text)
    again = grammar_of(json.loads(json.dumps(grammar.recipe)))
    found = 0
    for sample in [*texts("ax1.,(", 4), "(x)x((x))", "xxx", "ab,12"]:
        verdict = bridle.validate(grammar, sample)
        assert verdict == bridle.validate(composed, sample), sample
        if verdict.ok:
            captures = grammar.captures(sample)
            assert captures == composed.captures(sample) == again.captures(sample), sample
            found += bool(captures)
    assert found > 3
    whole = "<" + grammar + ">"
    sample = "<ax,1>" if '","' in text else "<x.>" if '"."' in text else "<x>"
    assert whole.captures(sample) == ("<" + composed + ">").captures(sample) != {}


def test_captured_rules_may_have_special_tokens() -> None:
    grammar = Grammar.from_ebnf('root ::= call+\ncall ::= <t> name "."\nname[capture] ::= [a-z<>]+ | <t> "!"')
    matcher = Matcher(bridle.compile(grammar, SPECIAL))
    steps = [257, *b"ab.", 257, 257, *b"!.", 257, *b"<t>."]
    assert all(map(matcher.accept_token, steps)) and matcher.is_accepting()
    assert matcher.captures() == {"name": ["ab", "<t>!", "<t>"]}


@pytest.mark.parametrize(
    ("text", "composed"),
    [
        ("root ::= w n\nw[temperature=0.5] ::= [a-z]+\nn ::= [0-9]*", word.with_temperature(0.5) + number),
        ("root ::= w? n\nw[temperature=0] ::= [a-z]+\nn[temperature=2.5] ::= [0-9]*",
         word.with_temperature(0).repeat(0, 1) + number.with_temperature(2.5)),
        ('root[temperature=0.1] ::= w "." w\nw[temperature=1] ::= [a-z]+',
         (word.with_temperature(1) + "." + word.with_temperature(1)).with_temperature(0.1)),
        ('root ::= "x" p\np[temperature=0.2] ::= q\nq ::= "(" q ")" | "x"', "x" + nested.with_temperature(0.2)),
        ('root ::= root "." w | w\nw[temperature=0.2] ::= [a-z]+',
         word.with_temperature(0.2) + ("." + word.with_temperature(0.2)).repeat()),
    ],
)  # fmt: skip
def test_rules_with_a_temperature_are_parts_with_one(text: str, composed: Grammar, tmp_path) -> None:
    grammar = Grammar.from_ebnf(text)
    compiled, other = bridle.compile(grammar, SPECIAL), bridle.compile(composed, SPECIAL)
    compiled.precompute(states=100)
    compiled.save(tmp_path / "saved")
    loaded = bridle.load(tmp_path / "saved", SPECIAL)
    plain = Grammar.from_ebnf(re.sub(r"\[temperature=[0-9.]+\]", "", text))
    for sample in texts("x1.(", 4):
        matchers = [Matcher(one) for one in (compiled, loaded, other)]
        taken = [matcher.accept_bytes(sample) for matcher in matchers]
        assert len({*taken}) == 1, sample
        assert bridle.validate(grammar, sample) == bridle.validate(plain, sample), sample
        if taken[0]:
            assert len({matcher.temperature() for matcher in matchers}) == 1, sample


def test_a_class_before_the_next_rule_is_no_attribute() -> None:
    grammar = Grammar.from_ebnf('root ::= b[lazy]\nb ::= "x"[ay] [=]\nc::="c"')
    assert bridle.validate(grammar, "xa=l") and bridle.validate(grammar, "xy=z")


@pytest.mark.parametrize(
    ("text", "says", "line", "column"),
    [
        ('root[lazi] ::= "a"', "unknown attribute 'lazi'; there are lazy, suffix", 1, 6),
        ('root[max_tokens=3] ::= "a"', "counts those of all of it", 1, 6),
        ('root[temperature=hot] ::= "a"', "number from 0 on", 1, 6),
        (f'root[temperature={"9" * 400}] ::= "a"', "a finite number from 0 on", 1, 6),
        ('root[stop=a] ::= "a"', "stop that is no string", 1, 6),
        ('root[stop="\\q"] ::= "a"', "malformed string", 1, 12),
        ('root[stop="\\ud800"] ::= "a"', "lone surrogate", 1, 11),
        ('root[stop="a", suffix="b"] ::= "a"', "not both", 1, 5),
        ('root[lazy capture] ::= "a"', "expected ',' or ']'", 1, 11),
        ('root[] ::= "a"', "expected an attribute", 1, 6),
        ('root ::= x\nx[lazy] ::= "(" x ")" | "a"', "its body is recursive", 2, 2),
        ('root ::= x\nx[stop="a"] ::= %json {"type": "object"}', "has a schema, and is not regular", 2, 2),
        ('root ::= x\nx[suffix="a"] ::= x "a"', "no text", 2, 1),
        ('root ::= x\nx[capture] ::= "(" x ")" | "a"', "a capture in rule 'x', which comes back to itself", 2, 2),
        ('root ::= "(" root ")" | x\nx[capture] ::= "a"', "a capture in rule 'root'", 2, 2),
        ('root ::= x\nx[temperature=1] ::= "(" y ")" | "a"\ny ::= x', "a temperature for rule 'x'", 2, 1),
    ],
)
def test_what_is_wrong_with_attributes_is_told_with_its_place(text: str, says: str, line: int, column: int) -> None:
    with pytest.raises(bridle.GrammarError, match=re.escape(says)) as caught:
        Grammar.from_ebnf(text)
    assert (caught.value.line, caught.value.column) == (line, column)
