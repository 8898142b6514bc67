"""Templates: what stands in their holes becomes typed values, and the text around them is fixed."""

from __future__ import annotations

import dataclasses
import enum
import gc
import re
import weakref
from typing import Annotated, Literal

import pydantic
import pytest

import bridle
from bridle.grammar.grammar import Grammar
from bridle.grammar.python_types import ParseError
from bridle.grammar.saved_grammars import grammar_of


class Colour(enum.Enum):
    RED = "red"
    NONE = None
    SEVEN = 7


class Point(pydantic.BaseModel):
    x: int
    y: float = 0


@dataclasses.dataclass
class Name:
    first: str


WORD = Grammar.from_regex("[a-z]+")
HOLES = {
    "a text": ("{v}", str, "any\ntext {", "any\ntext {"),
    "a hole of which nothing is said": ("<{v}>", None, "<a<b>", "a<b"),
    "a text up to what follows": ("{v}\n- {w}", None, "a\n b\n- c\n- d", "a\n b"),
    "an integer": ("{v}!", int, "-120!", -120),
    "a number": ("{v}!", float, "-1.5e3!", -1500.0),
    "a boolean": ("{v}", bool, "true", True),
    "a literal that is a text": ("{v}", Literal["yes", "no", 1], "no", "no"),
    "a literal that is none": ("{v}", Literal["yes", "no", 1], "1", 1),
    "an enumeration": ("{v}", Colour, "red", Colour.RED),
    "an enumeration of other values": ("{v};", Colour, "null;", Colour.NONE),
    "a model": ("{v}", Point, '{"x": 3}', Point(x=3)),
    "a list of models": ("{v}.", list[Point], '[{"x": 3, "y": 0.5}].', [Point(x=3, y=0.5)]),
    "a dataclass": ("{v}", Name, '{"first":"A"}', Name("A")),
    "a bounded number": ("{v}", Annotated[int, pydantic.Field(ge=0, le=120)], "120", 120),
    "a pattern": ("{v}", re.compile(r"\d\d"), "12", "12"),
    "a pattern with flags": ("{v}", re.compile("a.b", re.I | re.S), "A\nb", "A\nb"),
    "choices": ("{v}b", ["a", "ab"], "abb", "ab"),
    "a schema": ("{v}", {"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
    "a grammar": ("{v}", WORD, "ab", "ab"),
    "a grammar of JSON": ("{v}", Grammar.from_json_schema({"enum": [None, 1]}), "null", None),
    "a template": ("<{v}>", Grammar.from_template("{n}-{m}", n=int, m=int), "<1-2>", {"n": 1, "m": 2}),
    "a typed grammar": ("{v}", Grammar.from_pydantic(Point), '{"x": 3}', Point(x=3)),
}


@pytest.mark.parametrize("case", HOLES.values(), ids=HOLES)
def test_what_stands_in_a_hole_becomes_a_value(case) -> None:
    template, hole, text, value = case
    grammar = Grammar.from_template(template, **({} if hole is None else {"v": hole}))
    assert bridle.validate(grammar, text).ok
    found = bridle.parse(grammar, text)
    assert found["v"] == value and type(found["v"]) is type(value)
    assert grammar.parse(text.encode()) == found


@pytest.mark.parametrize(
    ("hole", "text"),
    [
        (int, "01"), (int, "1.0"), (int, ""), (float, "1."), (float, "nan"), (bool, "True"), (Colour, "blue"),
        (Literal["yes"], "Yes"), (["a"], "b"), (re.compile("a"), "A"), (re.compile("a"), "aa"), (Point, "{}"),
        (Annotated[int, pydantic.Field(le=120)], "121"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_hole_is_refused(hole, text) -> None:
    grammar = Grammar.from_template("x{v}", v=hole)
    assert not bridle.validate(grammar, "x" + text).ok
    with pytest.raises(ParseError) as caught:
        grammar.parse("x" + text)
    assert caught.value.line == 1 and caught.value.column >= 2


def test_braces_that_are_doubled_are_braces() -> None:
    grammar = Grammar.from_template("{{{v}}}{{}}", v=int)
    assert grammar.parse("{3}{}") == {"v": 3}
    assert Grammar.from_template("a{{b").parse("a{b") == {}
    assert Grammar.from_template("").parse("") == {}


def test_a_text_ends_at_the_first_place_where_what_follows_stands() -> None:
    grammar = Grammar.from_template("{v}aa{w}", w=["", "a", "b"])
    assert grammar.parse("baab") == {"v": "b", "w": "b"}
    assert grammar.parse("aaa") == {"v": "", "w": "a"}
    assert not bridle.validate(Grammar.from_template("{v}aa"), "aaa").ok


def test_holes_in_a_row_take_as_much_as_they_can() -> None:
    grammar = Grammar.from_template("{a}{b}", a=re.compile("x*"), b=re.compile("x*y?"))
    assert grammar.parse("xxxy") == {"a": "xxx", "b": "y"}


def test_holes_are_captures_also_of_unfinished_texts() -> None:
    grammar = Grammar.from_template("Name: {name}\nAge: {age}.", age=int)
    assert grammar.captures("Name: Al\nAge: 1") == {"name": "Al"}
    assert grammar.captures("Name: Al\nAge: 12.") == {"name": "Al", "age": "12"}


MALFORMED = [
    ("a{b", {}, "a single '{'", 2),
    ("a}b", {}, "a single '}'", 2),
    ("{}", {}, "named as an argument", 1),
    ("{a.b}", {}, "named as an argument", 1),
    ("{a:3}", {}, "named as an argument", 1),
    ("{a}-{a}", {}, "comes twice", 5),
    ("{name}", {"nam": int}, "did you mean 'name'", None),
    ("x", {"a": int}, "its holes are none", None),
    ("{a}", {"a": 3}, "the hole 'a': it takes", None),
    ("{a}", {"a": None}, "it takes", None),
    ("{a}", {"a": []}, "at least one", None),
    ("{a}", {"a": ["x", 3]}, "holds texts", None),
    ("{a}", {"a": re.compile(b"x")}, "not of bytes", None),
    ("{a}", {"a": re.compile("(x)\\1")}, "the hole 'a'", None),
    ("{a}", {"a": {"type": "strin"}}, "not a type", None),
    ("{a}{b}", {"a": WORD.capture("b")}, "the name of a hole, 'b'", None),
]


@pytest.mark.parametrize(("template", "holes", "says", "column"), MALFORMED)
def test_a_malformed_template_is_refused(template, holes, says, column) -> None:
    with pytest.raises(bridle.GrammarError) as caught:
        Grammar.from_template(template, **holes)
    assert says in str(caught.value)
    assert column is None or caught.value.column == column


def test_a_template_is_freed_when_nobody_holds_it() -> None:
    gc.disable()
    try:
        grammar = Grammar.from_template("<{v}>{w}", v=Point)
        assert grammar.parse('<{"x": 3}>a') == {"v": Point(x=3), "w": "a"}
        seen = weakref.ref(grammar)
        del grammar
        assert seen() is None
    finally:
        gc.enable()


def test_a_template_may_be_composed_and_saved() -> None:
    line = Grammar.from_template("{key}={value}\n", key=WORD, value=int)
    grammar = line.repeat(1, None)
    assert grammar.captures("a=1\nb=2\n") == {"key": ["a", "b"], "value": ["1", "2"]}
    again = grammar_of(Grammar.from_template("{key}={rest}", key=WORD).recipe)
    assert again.captures("a=b=c") == {"key": "a", "rest": "b=c"}


def test_an_integer_of_thousands_of_digits_is_no_value() -> None:
    with pytest.raises(ParseError, match="the hole 'v'"):
        Grammar.from_template("{v}", v=int).parse("1" * 5000)


def test_a_text_of_any_grammar_can_be_parsed() -> None:
    assert WORD.parse("ab") == "ab"
    assert Grammar.from_json_schema({"type": "array"}).parse("[1, [] ]") == [1, []]
    assert Grammar.from_pydantic(Point).parse(b'{"y": 1, "x": 2}') == Point(x=2, y=1)
    with pytest.raises(ParseError) as caught:
        Grammar.from_json_schema({"items": {"type": "null"}}).parse("[null,\n 3]")
    assert (caught.value.line, caught.value.column, caught.value.pointer) == (2, 2, "/1")
    with pytest.raises(ParseError, match="ends too early"):
        WORD.parse("")
    with pytest.raises(ParseError, match="UTF-8"):
        WORD.parse(b"\xff")


def test_free_text_until_what_no_text_holds_is_refused() -> None:
    with pytest.raises(bridle.GrammarError, match="surrogate"):
        Grammar.free_text("\ud800")
    with pytest.raises(bridle.GrammarError, match="surrogate"):
        Grammar.from_template("{a}\ud800")


def test_free_text_ends_before_its_mark() -> None:
    grammar = Grammar.free_text("\n").capture("line") + "\n"
    assert grammar.captures("ab\n") == {"line": "ab"} and not bridle.validate(grammar, "a\nb\n").ok
    assert grammar_of(grammar.recipe).captures("ab\n") == {"line": "ab"}
    assert bridle.validate(Grammar.free_text(), "é\n").ok
