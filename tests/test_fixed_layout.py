"""Objects and arrays in one fixed layout: the texts that `json.dumps` writes, and their prefixes, and nothing else."""

from __future__ import annotations

import itertools
import json
import random

import pytest

import bridle
from bridle.automata.compiled import compile_grammar
from bridle.automata.fragment import Items, Layout, Members, Other, Strings
from bridle.grammar.json_text import string_content
from oracle import allowed_tokens, vocabulary_of
from test_members import Payload, Shape, spelled, words_language

TOKENS = [bytes((b,)) for b in b'{}[]",: \nabcx0123truefals'] + [
    b'":', b'"b', b'","', b",\n", b"  ", b"\n  ", b"\n\n", b"{\n", b'": ', b"{}", b"[]", b" ,", b", ", b"\n    ",
    b"]\n", b" :", b" , ", b"[1", b'["', b"\n      ", b"3,", b"3]", b"3\n", b": [", b"\n]", b"\n }",
]  # fmt: skip
SEPARATORS = [(",", ":"), (", ", ": "), (" ,", " : "), ("\n,\t ", ":")]


def layout_of(indent: int | None, separators: tuple[str, str], depth: int) -> Layout:
    """What `json.dumps` writes between the tokens of an object or array that lies `depth` deep."""
    inside, outside = ("\n" + " " * (indent * n) if indent is not None else "" for n in (depth + 1, depth))
    comma, colon = separators
    return Layout(inside.encode(), (comma + inside).encode(), colon.encode(), outside.encode())


def shape_of(indent: int | None, separators: tuple[str, str], ordered: bool) -> Members:
    """{"a": [1 | 2, 3...], "b": distinct strings, "x": true}, at most two of the three."""
    outer, inner = (layout_of(indent, separators, depth) for depth in (0, 1))
    items = Payload(Items((words_language(("1", "2")),), words_language(("3",)), 0, 3, 0, inner))
    strings = Payload(Strings((b"a",), (spelled("bc?"),), 0, 2, 0, string_content(), inner))
    others = (Other(spelled("x"), words_language(("true",))),)
    names, required = (b"a", b"b"), (False, False)
    return Members(names, (items, strings), required, (), others, ordered, 0, string_content(), 0, 2, outer)


def sentences(indent: int | None, separators: tuple[str, str], ordered: bool) -> set[bytes]:
    arrays = [[], *([first, *[3] * n] for first in (1, 2) for n in range(3))]
    strings = [list(s) for n in range(3) for s in itertools.permutations(["a", "b", "bc"], n)]
    members = [[("a", value) for value in arrays], [("b", value) for value in strings], [("x", True)]]
    orders = itertools.combinations if ordered else itertools.permutations
    return {
        json.dumps(dict(chosen), indent=indent, separators=separators).encode()
        for n in range(3)
        for some in orders(members, n)
        for chosen in itertools.product(*some)
    }


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("separators", SEPARATORS)
@pytest.mark.parametrize("indent", [None, 0, 1, 3])
def test_masks_are_those_of_the_texts_that_dumps_writes(indent, separators, ordered):
    texts = sentences(indent, separators, ordered)
    prefixes = {text[:i] for text in texts for i in range(len(text) + 1)}
    vocabulary = vocabulary_of(TOKENS)
    compiled = compile_grammar(Shape(Payload(shape_of(indent, separators, ordered))), vocabulary)
    for text in random.Random(0).sample(sorted(texts), 8):
        matcher = bridle.Matcher(compiled)
        for i in range(len(text) + 1):
            want = {k for k, token in enumerate(TOKENS) if text[:i] + token in prefixes}
            if text[:i] in texts:
                want.add(len(TOKENS))
            got = allowed_tokens(matcher)
            assert got == want, (text[:i], [TOKENS[k] for k in got ^ want if k < len(TOKENS)])
            assert i == len(text) or matcher.accept_bytes(text[i : i + 1])


@pytest.mark.parametrize("place", ["opened", "comma", "colon", "closing"])
def test_a_layout_is_white_space_around_the_marks(place):
    with pytest.raises(ValueError, match="white space"):
        Layout(**{place: b" x"})


WORDS = TOKENS + [bytes((b,)) for b in range(256) if bytes((b,)) not in TOKENS]

# A schema with every shape of array and object: counted, of distinct strings, of distinct values, with names by
# pattern, and one that contains itself.
SCHEMA = {
    "properties": {
        "counted": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
        "strings": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
        "values": {
            "type": "array",
            "items": {"enum": [True, [], {"x": True}]},
            "uniqueItems": True,
            "contains": {"const": True},
        },
        "names": {"type": "object", "patternProperties": {"^x[ab]?$": {"const": True}}, "additionalProperties": False},
        "again": {"$ref": "#"},
    },
    "additionalProperties": False,
    "type": "object",
}
INSTANCES: list[object] = [
    {},
    {"counted": [], "again": {"again": {}}},
    {"counted": [True, False], "values": [[], True, {"x": True}], "names": {}},
    {"values": [True], "names": {"x": True, "xa": True}, "again": {"counted": [True], "values": [{"x": True}, True]}},
    {"strings": [], "again": {"strings": ["b", "a"], "names": {"xb": True}}},
]
STYLES: list[dict] = [
    {"indent": 2},
    {"indent": 0},
    {"indent": "\t", "separators": (",", " : ")},
    {"separators": (", ", ": ")},
    {"separators": (",", ":")},
]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_a_schema_is_written_as_dumps_does_it(style):
    grammar = bridle.Grammar.from_json_schema(SCHEMA, **style)
    vocabulary = vocabulary_of(WORDS)
    compiled = bridle.compile(grammar, vocabulary)
    for instance in INSTANCES:
        text = json.dumps(instance, **style).encode()
        matcher = bridle.Matcher(compiled)
        for i in range(len(text)):
            allowed = allowed_tokens(matcher)
            want = {k for k, token in enumerate(WORDS) if bridle.Matcher(compiled).accept_bytes(text[:i] + token)}
            assert allowed - {len(WORDS)} == want, text[:i]
            assert matcher.accept_bytes(text[i : i + 1]), text[: i + 1]
        assert matcher.is_accepting()
        assert bridle.validate(grammar, json.dumps(instance, indent=7)).ok
    for other in STYLES:
        written = json.dumps(INSTANCES[2], **other).encode()
        fits = written == json.dumps(INSTANCES[2], **style).encode()
        matcher = bridle.Matcher(compiled)
        assert (matcher.accept_bytes(written) and matcher.is_accepting()) == fits


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_whatever_is_walked_is_what_dumps_writes(style):
    compiled = bridle.compile(bridle.Grammar.from_json_schema(SCHEMA, **style), vocabulary_of(WORDS))
    finished = 0
    for seed in range(20):
        rng = random.Random(seed)
        matcher = bridle.Matcher(compiled)
        text = b""
        while len(text) < 4000:
            # Without escapes, which are free in every style.
            tokens = sorted(allowed_tokens(matcher) - {WORDS.index(b"\\")})
            token = rng.choice(tokens)
            if len(text) > 200:
                token = min(tokens, key=lambda k: (k < len(WORDS) and WORDS[k] not in (b"}", b"]"), rng.random()))
            if token == len(WORDS):
                break
            assert matcher.accept_token(token)
            text += WORDS[token]
        else:
            continue
        assert json.dumps(json.loads(text), **style).encode() == text
        finished += 1
    assert finished > 15


@pytest.mark.parametrize(
    "options",
    [
        {"indent": -1},
        {"indent": True},
        {"indent": "x"},
        {"indent": 1.5},
        {"indent": 17},
        {"separators": ",:"},
        {"separators": (",",)},
        {"separators": (";", ":")},
        {"indent": 2, "whitespace": "compact"},
    ],
    ids=str,
)
def test_a_style_that_makes_no_json_is_refused(options):
    with pytest.raises(ValueError, match=r"indent|separators"):
        bridle.Grammar.from_json_schema(True, **options)
