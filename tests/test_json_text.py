"""JSON spellings of string values: against json.loads, against spellings enumerated by hand, and as a homomorphism."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.automata.errors import LimitError
from bridle.automata.regular import (
    ANY_CHAR,
    ANY_TEXT,
    EMPTY,
    EPSILON,
    Alternation,
    Bytes,
    Complement,
    Concat,
    Intersection,
    Language,
    Regular,
    RegularLimits,
    Repeat,
    alternation,
    char_class,
    compile_regular,
    concat,
    concatenation,
    intersection,
    literal,
    star,
    union,
)  # fmt: skip
from bridle.grammar import json_text
from bridle.grammar.json_text import json_spelled, string_content
from bridle.grammar.regex_syntax import search_language

SHORT = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
# Both sides of every boundary of UTF-8, of the planes, of surrogates and of what may stand raw.
CODE_POINTS = [
    0,
    8,
    9,
    0x1F,
    0x20,
    0x22,
    0x2F,
    0x41,
    0x5C,
    0x75,
    0x7E,
    0x7F,
    0x80,
    0xAB,
    0xFF,
    0x7FF,
    0x800,
    0xFFF,
    0x1000,
]
CODE_POINTS += [
    0xABCD,
    0xCFFF,
    0xD000,
    0xD7FF,
    0xE000,
    0xFEFF,
    0xFFFD,
    0xFFFF,
    0x10000,
    0x1ABCD,
    0x1F600,
    0x3FFFF,
    0x40000,
]
CODE_POINTS += [0xFFFFF, 0x100000, 0x10FC00, 0x10FFFF]


def hexadecimal(unit: int) -> list[str]:
    """All ways to write a UTF-16 unit as an escape."""
    return ["\\u" + "".join(d) for d in itertools.product(*({d, d.upper()} for d in f"{unit:04x}"))]


def spellings(code: int) -> list[str]:
    """All JSON spellings of a code point, from RFC 8259 and nothing else."""
    character, out = chr(code), []
    if code >= 0x20 and character not in '"\\':
        out.append(character)
    if character in SHORT:
        out.append("\\" + SHORT[character])
    if code < 0x10000:
        return out + hexadecimal(code)
    high, low = divmod(code - 0x10000, 0x400)
    return out + [a + b for a in hexadecimal(0xD800 + high) for b in hexadecimal(0xDC00 + low)]


def naive_spelled(text: str) -> Regular:
    return concatenation(*[Alternation(tuple(literal(one) for one in spellings(ord(c)))) for c in text])


@pytest.mark.parametrize("code", CODE_POINTS)
def test_a_character_is_spelled_in_exactly_the_ways_of_the_standard(code: int) -> None:
    spelled = json_spelled(compile_regular(literal(chr(code))))
    spelled.verify()
    assert spelled == compile_regular(naive_spelled(chr(code)))
    for one in spellings(code):
        assert json.loads(f'"{one}"', strict=False) == chr(code)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from([chr(c) for c in CODE_POINTS]), max_size=3), max_size=4))
def test_a_set_of_texts_is_spelled_as_the_union_of_its_texts_spellings(texts: list[str]) -> None:
    values = compile_regular(alternation(*map(literal, texts)))
    spelled = json_spelled(values)
    spelled.verify()
    assert spelled == compile_regular(alternation(*map(naive_spelled, texts)))


PATTERNS = [
    r"^\d{4}-\d{2}$", r"foo|[b-f]ar", r"^[^\s@]+@[^\s@]+$", r"^.{1,3}$", r"^\p{Lu}+$", "[\\u0000-\\u001f]",
    r"[\"\\/]", "^[😀-😂é]*$", r"^[^\x00-\x7f]?$", r"^(?:\ud800|a)\uffff$",
]  # fmt: skip
NODES: list[Regular] = [
    EMPTY, EPSILON, ANY_TEXT, ANY_CHAR, literal("a"), literal("é"), literal("😀"), literal("\n\\"),
    Repeat(literal("u"), 0, None), Complement(literal("ab")), char_class([(0x7FE, 0x801)]),
    char_class([(0xD7FF, 0xE000)]), char_class([(0xFFFF, 0x10000)]), char_class([(0x10000, 0x10FFFF)]),
    char_class([(0, 0x1F)]), Repeat(char_class([(0, 0x22), (0x1F600, 0x1F610)]), 0, 2),
    *(search_language(pattern, "ecma") for pattern in PATTERNS),
]  # fmt: skip


@pytest.mark.parametrize("node", NODES)
def test_spelled_automata_are_minimal_and_accept_what_json_dumps_writes(node: Regular) -> None:
    values = compile_regular(node)
    spelled = json_spelled(values)
    spelled.verify()
    assert (spelled.is_empty, spelled.accepts_empty) == (values.is_empty, values.accepts_empty)
    for text in [chr(c) for c in CODE_POINTS] + ["", "ab", "far", "2024-12", "a@b", "Éa", "É", "😀é", "\n\\", "uuu"]:
        for ascii_only in (False, True):
            written = json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()
            assert spelled.accepts(written) == values.accepts(text.encode()), (text, written)


PIECES = [
    "a", "é", "😀", '"', "\\", "/", "u", "b", "\n", "\x7f", "\\u", "00e9", "00E9", "\\u00e9", "0", "D", "d83d",
    "DE00", "\\n", "\\ud83d", "\\uDE00", "\\ud83d\\ude00", "\\uD7FF", "\\/", "\\x", "\\U", "\x00", "\ufffd",
    "\\u000A", "c", "9",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=5).map("".join), st.sampled_from(NODES))
def test_a_spelling_is_accepted_iff_json_reads_a_text_of_the_language(text: str, node: Regular) -> None:
    try:
        value = json.loads(f'"{text}"')
        value.encode()  # json.loads lets lone surrogates pass
        valid = isinstance(value, str)
    except (ValueError, UnicodeEncodeError):
        value, valid = "", False
    assert string_content().accepts(text.encode()) == valid
    values = compile_regular(node)
    assert json_spelled(values).accepts(text.encode()) == (valid and values.accepts(value.encode()))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NODES), st.sampled_from(NODES))
def test_spelling_commutes_with_the_algebra(left: Regular, right: Regular) -> None:
    a, b = compile_regular(left), compile_regular(right)
    assert json_spelled(union(a, b)) == union(json_spelled(a), json_spelled(b))
    assert json_spelled(intersection(a, b)) == intersection(json_spelled(a), json_spelled(b))
    assert json_spelled(concat(a, b)) == concat(json_spelled(a), json_spelled(b))
    assert json_spelled(star(a)) == star(json_spelled(a))
    not_a = compile_regular(Intersection((Language(string_content()), Complement(Language(json_spelled(a))))))
    assert json_spelled(compile_regular(Complement(left))) == not_a


def test_every_spelling_of_every_basic_code_point_is_read_back() -> None:
    content = string_content()
    for code in range(0, 0x10000, 3):
        escaped = f"\\u{code:04X}".encode()
        assert content.accepts(escaped) == (not 0xD800 <= code < 0xE000)
        if not 0xD800 <= code < 0xE000:
            assert content.accepts(chr(code).encode()) == (code >= 0x20 and code not in (0x22, 0x5C))


def test_the_content_of_strings_is_made_once_and_small() -> None:
    spelled = json_spelled(compile_regular(ANY_TEXT))
    assert string_content() == json_text.STRING_CONTENT
    assert string_content() == spelled
    assert string_content().n_states == 21


def test_what_is_not_utf8_has_no_spelling() -> None:
    for data in (
        b"\xff",
        b"\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"a\xe9",
    ):
        with pytest.raises(ValueError, match="UTF-8"):
            json_spelled(compile_regular(Bytes(data)))
    with pytest.raises(ValueError, match="UTF-8"):
        json_spelled(compile_regular(Concat((Repeat(literal("é"), 0, None), Bytes(b"\xc3")))))


def test_the_budget_of_states_is_counted() -> None:
    values = compile_regular(Repeat(ANY_CHAR, 30, 30))
    with pytest.raises(LimitError) as caught:
        json_spelled(values, RegularLimits(dfa_states=500))
    assert (caught.value.limit, caught.value.given, caught.value.allowed) == ("dfa_states", 501, 500)
    needed = json_spelled(values).n_states
    assert json_spelled(values, RegularLimits(dfa_states=needed)).n_states == needed


def test_spelling_is_the_same_without_jit() -> None:
    code = (
        "from bridle.grammar.json_text import *; from bridle.grammar.regex_syntax import *\n"
        "from bridle.automata.regular import compile_regular\n"
        "dfas = [compile_regular(search_language(p, 'ecma')) for p in (r'^[é-😀]\\\\d?$', 'a|b')]\n"
        "print([json_spelled(dfa).digest.hex() for dfa in dfas], string_content().digest.hex())"
    )
    outputs = set()
    for disabled in "01":
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1
