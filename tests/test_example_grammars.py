"""The two spellings of a language in examples/grammars, in Lark's notation and in GBNF: what they read and do not."""

import json
from pathlib import Path

import pytest

import bridle

ROOT = Path(__file__).parent.parent
GRAMMARS = ROOT / "examples" / "grammars"
WRONG = {
    "json": ["", "{", "[1,]", "01", '{"a" 1}', '"\\x"', "{'a': 1}", "nul"],
    "xml": ["", "text", "<a>", "<a b></a>", "<a>&;</a>", "<a></a><b/>", '<a b="<"/>', "<a><!-- -- --></a>"],
    "sql": ["SELECT", "SELECT , t", "INSERT t VALUES (1)", "SELECT 1 LIMIT 2 3", "SELECT (1", "SELECT 'a"],
    "c": ["int", "int x = ;", "f() {}", "int x y;", "int f() { return 1 }", "int a[;", "int x = 'ab';"],
}


@pytest.mark.parametrize("language", WRONG)
@pytest.mark.parametrize("notation", ["lark", "gbnf"])
def test_both_spellings_of_a_language_read_the_same_texts(language: str, notation: str) -> None:
    read = bridle.Grammar.from_lark if notation == "lark" else bridle.Grammar.from_ebnf
    grammar = read((GRAMMARS / f"{language}.{notation}").read_text("utf-8"))
    texts = json.loads((ROOT / "bench" / "grammar_texts" / f"{language}.json").read_text("utf-8"))
    assert len(texts) >= 20
    assert {text: bridle.validate(grammar, text).ok for text in [*texts, *WRONG[language]]} == {
        **dict.fromkeys(texts, True), **dict.fromkeys(WRONG[language], False)
    }  # fmt: skip
