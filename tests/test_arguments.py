"""What callers give that is of no use, by its type, by its value, by what it says: each has an error that says so."""

from __future__ import annotations

import re

import pytest

import bridle
from bridle import Grammar, Regex
from oracle import vocabulary_of

A = Grammar.from_regex("a")
ANY = {"type": "any_text"}
EMPTY = vocabulary_of([b"a"])
TEXTS = {
    "from_regex": Grammar.from_regex, "from_ebnf": Grammar.from_ebnf, "from_lark": Grammar.from_lark,
    "from_template": Grammar.from_template, "free_text": Grammar.free_text, "Regex": Regex, "capture": A.capture,
    "from_ebnf, start": lambda start: Grammar.from_ebnf('root ::= "a"', start=start),
    "from_lark, start": lambda start: Grammar.from_lark('start: "a"', start=start),
}  # fmt: skip
READ = {
    "validate": lambda text: bridle.validate(A, text), "Grammar.parse": A.parse, "parse": lambda x: bridle.parse(A, x),
    "parse a type": lambda x: bridle.parse(int, x), "captures": A.capture("x").captures, "matches": Regex("a").matches,
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_another_type_is_a_type_error_that_says_which(name: str) -> None:
    for given in (None, 7, ["a"], -1.5):
        with pytest.raises(TypeError, match=f"is a str, not {type(given).__name__}: "):
            TEXTS[name](given)
    for given in (b"a", bytearray(b"a")):
        with pytest.raises(TypeError, match=f"is a str, not {type(given).__name__}: decode it: "):
            TEXTS[name](given)


@pytest.mark.parametrize("name", READ)
def test_texts_that_are_judged_may_be_bytes_and_nothing_else(name: str) -> None:
    for given in (None, 7, ["a"], -1.5):
        with pytest.raises(TypeError, match=f"a text is str or bytes, not {type(given).__name__}: "):
            READ[name](given)
    text = "1" if name == "parse a type" else "a"
    for given in (text, text.encode(), bytearray(text.encode())):
        READ[name](given)


@pytest.mark.parametrize(("make", "error", "says"), [
    (lambda: Grammar.from_choices(7), TypeError, "the choices are several of str or bytes, not int: 7"),
    (lambda: Grammar.from_substring(None), TypeError, "a document is a str, or several are in a list, not NoneType"),
    (lambda: Grammar.from_substring(b"a"), TypeError, "a document is a str, not bytes: decode it: b'a'"),
    (lambda: Grammar.from_substring([]), bridle.UnsatisfiableError, "there are no documents"),
    (lambda: Grammar.from_structural_tag(ANY, special_tokens=7), TypeError, "a list of names, not int: 7"),
    (lambda: Grammar.from_structural_tag(ANY, special_tokens=[7]), TypeError, "the name of a special token is a str"),
    (lambda: Grammar.from_structural_tag(ANY, white=1), TypeError, "'white' is no option of from_json_schema"),
    (lambda: bridle.tool_calls(7, []), TypeError, "a format of tool calls is a str, not int: 7"),
    (lambda: Grammar.from_lark('start: "a"', import_paths="x"), TypeError, "several folders: put 'x' in a list"),
    (lambda: Grammar.from_lark('start: "a"', import_paths=7), TypeError, "import_paths are folders, not int"),
    (lambda: Grammar.from_regex("a", flags="i"), TypeError, "flags are those of re, or an int, not str"),
    (lambda: A.repeat("2"), TypeError, "how often is told by an int, not str: '2'"),
    (lambda: Regex("a").repeat(1, 2.5), TypeError, "how often is told by an int, not float: 2.5"),
    (lambda: A.repeat(3, 2), ValueError, "not from 3 to 2"),
    (lambda: Regex("a").repeat(-1), ValueError, "not from -1 to None"),
    (lambda: A.with_temperature("hot"), TypeError, "a temperature is a number, not str: 'hot'"),
    (lambda: A.with_temperature(-1), ValueError, "a finite number from 0 on, not -1"),
    (lambda: A.capture(""), ValueError, "a text that is not empty"),
    (lambda: bridle.compile("a", EMPTY), TypeError, "what is compiled is a Grammar or a Regex, not str: 'a'"),
    (lambda: bridle.compile(A, None), TypeError, "it is compiled for a Vocabulary, not NoneType"),
    (lambda: bridle.validate("a", "a"), TypeError, "a text is judged by a Grammar or a Regex, not by str: 'a'"),
])  # fmt: skip
def test_other_arguments_are_told_by_type_and_by_value(make, error, says) -> None:
    with pytest.raises(error, match=re.escape(says)) as caught:
        make()
    assert caught.type is error


def test_a_byte_order_mark_before_a_grammar_is_no_part_of_it() -> None:
    assert bridle.validate(Grammar.from_ebnf('\ufeffroot ::= "a"'), "a")
    assert bridle.validate(Grammar.from_lark('\ufeffstart: "a"'), "a")
    for text in ('\ufeff{"type": "integer"}', '\ufeff{"type": "integer"}'.encode()):
        assert bridle.validate(Grammar.from_json_schema(text), "1")
        assert not bridle.validate(Grammar.from_json_schema(text), '"a"')
    tag = '\ufeff{"type": "const_string", "value": "a"}'
    assert bridle.validate(Grammar.from_structural_tag(tag), "a")
    assert bridle.validate(Grammar.from_structural_tag(tag.encode()), "a")
    with pytest.raises(bridle.GrammarError) as caught:
        Grammar.from_ebnf('\ufeffroot ::= "a" b')
    assert (caught.value.line, caught.value.column) == (1, 14)  # as editors count, which do not show the mark
    assert not bridle.validate(Grammar.from_regex("\ufeffa"), "a")  # in a pattern it is a character


def test_a_regex_is_compiled_and_judges_texts_as_its_grammar_does() -> None:
    compiled = bridle.compile(Regex("a+"), EMPTY)
    matcher = bridle.Matcher(compiled)
    assert matcher.accept_bytes(b"aa") and matcher.is_accepting() and isinstance(compiled.grammar, Grammar)
    assert bridle.validate(Regex("a+"), "aa") and not bridle.validate(Regex("a+"), "ab")
    with pytest.raises(bridle.UnsatisfiableError):
        bridle.compile(Regex("a") & Regex("b"), EMPTY)


def test_patterns_may_be_verbose_and_the_flag_for_lines_is_refused_where_it_matters() -> None:
    verbose = Regex("""a+   # some
                       [ ]b # a space and b""", flags=re.VERBOSE)  # fmt: skip
    assert verbose.matches("aa b") and not verbose.matches("aab")
    assert verbose == Regex("a+[ ]b")
    assert Regex("ab", flags=re.M).matches("ab")
    with pytest.raises(bridle.UnsupportedError, match=re.escape("$ under the flag m")) as caught:
        Regex("a$", flags=re.M)
    assert caught.value.column == 2
    assert bridle.validate(Grammar.from_regex("a b", flags=re.X | re.I), "AB")
