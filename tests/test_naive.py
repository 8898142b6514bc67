"""The oracle itself, against what others have written: re, regex's partial matches, json, jsonschema.

For sentences there is an independent judge each. For prefixes there are two: all prefixes of a sentence are viable, and
from every viable prefix one can walk, viable byte by viable byte, to a sentence. Together with the judges these pin
`is_prefix` down. EBNF is compared with languages that are computed as sets of short texts.
"""

import json
import random
import re
import sys
from decimal import Decimal
from itertools import product
from pathlib import Path

import jsonschema
import pytest
import regex as partial_regex
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import naive
import strategies
from naive_ebnf import _Reader
from naive_regex import Machine, Strings
from naive_text import EVERY, complement, contains, decode, intersect, union

EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def prefixes(data: bytes) -> list[bytes]:
    return [data[:i] for i in range(len(data) + 1)]


def check_language(n: naive.Naive, yes: list[str], no: list[str], dead: list[str] = ()) -> None:
    """`yes` are sentences, `no` are not, `dead` begin no sentence."""
    for text in yes:
        assert n.accepts(text.encode()), text
        assert all(map(n.is_prefix, prefixes(text.encode()))), text
    for text in no:
        assert not n.accepts(text.encode()), text
    for text in dead:
        assert not n.is_prefix(text.encode()), text


# Text.


@pytest.mark.parametrize("first", [*range(0x78, 0x100)])
def test_decoding_agrees_with_python_and_knows_what_a_cut_character_may_become(first):
    edges = (0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for rest in [(), *product(edges), *product(edges, edges), *product(edges, (0x80, 0xBF, 0x41), (0x80, 0xBF, 0x41))]:
        data = bytes((first, *rest))
        try:
            assert decode(data) == (tuple(map(ord, data.decode())), None)
        except UnicodeDecodeError as error:
            found = decode(data)
            if error.reason != "unexpected end of data":
                assert found is None
            else:
                cut = data[error.start :]
                for lo, hi in found[1]:
                    assert chr(lo).encode().startswith(cut) and chr(hi).encode().startswith(cut)
                    assert not any(chr(c).encode().startswith(cut) for c in (lo - 1, hi + 1) if contains(EVERY, c))


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5))), st.lists(st.tuples(st.integers(0, 40), st.just(3))))
def test_sets_of_code_points_are_sets(a, b):
    a, b = union(tuple((lo, lo + n) for lo, n in a)), union(tuple((lo, lo + n) for lo, n in b))
    for c in range(60):
        in_a, in_b = any(lo <= c <= hi for lo, hi in a), any(lo <= c <= hi for lo, hi in b)
        assert contains(a, c) == in_a
        assert contains(union(a, b), c) == (in_a or in_b)
        assert contains(intersect(a, b), c) == (in_a and in_b)
        assert contains(complement(a), c) == (not in_a)


# Regular expressions.

SHORT = ["".join(t) for n in range(4) for t in product("ab1é\n", repeat=n)]


def check_pattern(pattern: str, texts: list[str]) -> None:
    whole, part = naive.regex(pattern, "python"), naive.regex(pattern, "python", search=True)
    judge = re.compile(pattern)
    for text in texts:
        data = text.encode()
        assert whole.accepts(data) == bool(judge.fullmatch(text)), (pattern, text)
        assert part.accepts(data) == bool(judge.search(text)), (pattern, text)
        if whole.accepts(data):
            assert all(map(whole.is_prefix, prefixes(data))), (pattern, text)


PATTERNS = r"""
|a|ab|a*|a+?|a??b|a{2}|a{,2}b|a{1,}|a{|a{}|a{x}|(a|b)*|(?:a|ab)(c|bcd)?|(?P<n>a)b|[ab]+|[^a]|[]a]|[^]a]|[a-]|[-a]|[\d-]
[\w-]|\d+|\D|\w*|\W|\s|\S|.|.*|a.b|^a|a$|^$|^|$|a$\n|a$\n?|(^a|b)|(a$|b)a?|(?:^)*a|^^a$$|(a|$)(\n|b)*|\Aa|a\Z|a\Z\n?|$\Z
[\b]|\x61|\u0061|\U00000061|[\x61-\x63]|\0|\07|\.|\-|a||(|a)b|((a*)*)*|(a|b*)*1|[\n]|[^\n]|[é-ü]|é{2}|($)*b|(a$)?\n|\n$|\n$\n
""".strip("\n").split("\n")


def _split(lines: list[str]) -> list[str]:
    """At every | that is not inside parentheses."""
    out = []
    for line in lines:
        depth, begin = 0, 0
        for i, c in enumerate(line):
            depth += (c == "(") - (c == ")")
            if c == "|" and not depth:
                out.append(line[begin:i])
                begin = i + 1
        out.append(line[begin:])
    return out


@pytest.mark.parametrize("pattern", _split(PATTERNS))
def test_python_patterns_mean_what_re_says(pattern):
    check_pattern(pattern, SHORT)


@EXAMPLES
@given(strategies.regexes(anchors=True), st.lists(strategies.regex_texts(), max_size=12))
def test_drawn_patterns_mean_what_re_says(pattern, texts):
    check_pattern(pattern, [*SHORT[::3], *texts])


@EXAMPLES
@given(strategies.regexes(), st.lists(strategies.regex_texts(), max_size=30))
def test_viable_prefixes_of_patterns_are_partial_matches(pattern, texts):
    # Laziness does not change the language, but regex finds partial matches of `a*?a` in "ab".
    n, judge = naive.regex(pattern, "python"), partial_regex.compile(pattern.replace("*?", "*"))
    for text in [*SHORT[:31], *texts]:
        assert n.is_prefix(text.encode()) == bool(judge.fullmatch(text, partial=True)), (pattern, text)


@EXAMPLES
@given(strategies.regexes(anchors=True), st.lists(strategies.regex_texts(), max_size=8))
def test_a_prefix_of_an_anchored_pattern_is_viable_iff_it_ends_or_goes_on(pattern, texts):
    n = naive.regex(pattern, "python")
    for data in map(str.encode, [*SHORT[:31], *texts]):
        goes_on = any(n.is_prefix(data + c.encode()) for c in "abcé€😀1 .-_\n")
        assert n.is_prefix(data) == (n.accepts(data) or goes_on), (pattern, data)


@settings(EXAMPLES, max_examples=40)
@given(st.lists(st.sampled_from(strategies.PATTERNS), max_size=3), st.integers(0, 3), st.integers(0, 4))
def test_strings_under_several_patterns_and_lengths_are_an_intersection(patterns, shortest, longest):
    strings = Strings([Machine(p, "ecma", True) for p in patterns], shortest, longest)
    texts = [t for k in range(5) for t in product("abé😀1", repeat=k)]
    good = set()
    for t in texts:
        if shortest <= len(t) <= longest and all(re.search(p.replace("$", r"\Z"), "".join(t)) for p in patterns):
            good.add(t)
    begins = {t[:k] for t in good for k in range(len(t) + 1)}
    for t in texts[:200] + texts[-20:]:
        code_points = tuple(map(ord, t))
        assert strings.accepts(code_points) == (t in good)
        assert strings.viable(code_points, None) == (t in begins)
        assert strings.viable(code_points, ((0x61, 0x62),)) == any((*t, c) in begins for c in "ab")


@pytest.mark.parametrize("letter", "dws")
def test_python_classes_hold_what_re_says(letter):
    n = naive.regex("\\" + letter, "python")
    judge = re.compile("\\" + letter)
    for c in [*range(0x2100), *range(0xFF00, 0x10100), *range(0x1D7C0, 0x1D800)]:
        assert n.accepts(chr(c).encode()) == bool(judge.fullmatch(chr(c))), hex(c)


def test_ecma_differs_from_python_where_the_standard_says_so():
    check_language(naive.regex("a$", "ecma", search=True), ["a", "ba"], ["a\n"])
    check_language(naive.regex(".", "ecma"), ["a", "é", "\x85"], ["\n", "\r", "\u2028", "\u2029"])
    check_language(naive.regex(r"\d\w", "ecma"), ["1a", "1_"], ["1é", "٣a"], ["٣", "1é"])
    check_language(naive.regex(r"\s", "ecma"), ["\ufeff", "\xa0", "\t", "\u3000"], ["\x1c", "\x85", "\u200b"])
    check_language(naive.regex("[^]", "ecma"), ["a", "\n"], [""])
    check_language(naive.regex(r"\u{1F600}|\ud83d\ude01|\cJ|\/", "ecma"), ["😀", "😁", "\n", "/"], ["😂"])
    check_language(naive.regex("(?<n>a)b", "ecma"), ["ab"], [], ["b"])
    assert not naive.regex("[]a", "ecma").is_prefix(b"")


def test_search_finds_a_match_anywhere_and_anchors_hold_it_in_place():
    check_language(naive.regex("^a|b$", "ecma", search=True), ["ax", "xb", "a", "b"], ["xa", "bx", ""])
    check_language(naive.regex("^a$", "ecma", search=True), ["a"], ["", "aa"], ["b", "aa"])
    check_language(naive.regex("é", "ecma", search=True), ["é", "xéx"], ["e"])
    check_language(naive.regex("(^|b)a", "ecma", search=True), ["a", "xba"], ["xa"])


def test_partial_characters_are_viable_only_within_the_class():
    n = naive.regex("[^é]", "python")
    assert n.is_prefix(b"\xc3") and not n.is_prefix("é".encode()) and n.accepts("è".encode())
    assert not naive.regex("é", "python").is_prefix(b"\xc4")
    assert not naive.regex("[\u0800-\u0fff]").is_prefix(b"\xe1") and naive.regex("[\u0800-\u0fff]").is_prefix(b"\xe0")
    assert not naive.regex("(?:.|\n)*").is_prefix(b"\xed\xa0") and not naive.regex("(?:.|\n)*").is_prefix(b"\xff")


@pytest.mark.parametrize(
    "pattern", ["a**", "*", "(", ")", "[", "[b-a]", r"[a-\d]", "a{2,1}", "\\", r"\q", r"\xg0", "^*"]
)
@pytest.mark.parametrize("dialect", ["python", "ecma"])
def test_malformed_patterns_are_refused(pattern, dialect):
    with pytest.raises(ValueError):
        naive.regex(pattern, dialect)


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)", r"\ba", "(?!a)", "(?<=a)"])
@pytest.mark.parametrize("dialect", ["python", "ecma"])
def test_what_the_oracle_does_not_cover_is_said(pattern, dialect):
    with pytest.raises(NotImplementedError):
        naive.regex(pattern, dialect)


# EBNF.


def short_texts(grammar: str, alphabet: str, most: int) -> tuple[set[str], set[str]]:
    """All sentences and all viable prefixes up to a length, as least fixpoints of sets."""
    rules = _Reader(grammar).grammar()
    sentences = {name: set() for name in rules}
    begins = {name: set() for name in rules}
    lives = {name: False for name in rules}

    def of(symbol, table):
        if isinstance(symbol, str):
            return table[symbol]
        letters = {c for c in alphabet if contains(symbol, ord(c))}
        return letters if table is sentences else letters | ({""} if symbol else set())

    def alive(symbol):
        return lives[symbol] if isinstance(symbol, str) else bool(symbol)

    def sequence(symbols) -> tuple[set[str], set[str]]:
        whole, begun = {""}, {""}
        for symbol in symbols:
            begun |= {a + b for a in whole for b in of(symbol, begins) if len(a + b) <= most}
            whole = {a + b for a in whole for b in of(symbol, sentences) if len(a + b) <= most}
        return whole, begun

    while True:
        before = (dict(lives), {n: len(s) for n, s in sentences.items()}, {n: len(s) for n, s in begins.items()})
        for name, alternatives in rules.items():
            for symbols in alternatives:
                if all(map(alive, symbols)):
                    lives[name] = True
                    whole, begun = sequence(symbols)
                    sentences[name] |= whole
                    begins[name] |= begun
        if before == (lives, {n: len(s) for n, s in sentences.items()}, {n: len(s) for n, s in begins.items()}):
            return sentences["root"], begins["root"]


def check_grammar(grammar: str, alphabet: str = "abé😀\n", most: int = 3) -> None:
    n = naive.ebnf(grammar)
    sentences, begins = short_texts(grammar, alphabet, most)
    for text in ("".join(t) for k in range(most + 1) for t in product(alphabet, repeat=k)):
        assert n.accepts(text.encode()) == (text in sentences), (grammar, text)
        assert n.is_prefix(text.encode()) == (text in begins), (grammar, text)


@EXAMPLES
@given(strategies.ebnf_grammars())
def test_drawn_grammars_derive_the_least_fixpoint(grammar):
    check_grammar(grammar)


@EXAMPLES
@given(strategies.ebnf_grammars(left_recursion=True))
def test_drawn_grammars_with_left_recursion_derive_the_least_fixpoint(grammar):
    check_grammar(grammar)


EBNF_CASES = {
    "literals and escapes": (r'root ::= "a\n\"\\\x41\u00e9\U0001F600"', ['a\n"\\Aé😀'], ["a"], ["b"]),
    "classes": (r"root ::= [a-c\]\-^] [^\n\x61]", ["ab", "]é", "-\\", "^😀"], ["d"], ["d", "aa", "a\n"]),
    "hyphen at an edge": ("root ::= [-a] [b-]", ["-b", "a-", "--"], [], ["b"]),
    "any code point": ('root ::= . "."', ["\n.", "😀."], ["."], ["ab"]),
    "counts": (
        'root ::= "ab"{2} [x]{1,} "y"{0,2} "z"{ 1 , 2 }',
        ["ababxz", "ababxxyyzz"],
        ["abx"],
        ["ababz", "aba" * 2],
    ),
    "groups": ('root ::= ("a" | "b" "c")+ ("d")?', ["abcad", "a"], ["", "b"], ["d", "ac"]),
    "comments and lines": (
        '# c\nroot ::= "a" # "x"\n  "b"\n  | x-1_\n\n x-1_ ::=\n "c" #\n',
        ["ab", "c"],
        ["a"],
        ["abc"],
    ),
    "empty alternatives": ('root ::= "a" | | ""\n', ["a", ""], ["b"], ["aa"]),
    "repeat of a repeat": ('root ::= "a"{2}* "b"', ["b", "aab", "aaaab"], ["aaa"], ["bb"]),
    "left recursion": ('root ::= root "+" t | t\nt ::= [0-9]+ | "(" root ")"', ["1", "1+(2+3)"], ["1+"], ["+", "1)"]),
    "hidden left recursion": (
        'root ::= e root "a" | "b"\ne ::= "" | "c"',
        ["b", "baa", "cba", "ccbaa"],
        ["c"],
        ["a", "bc"],
    ),
    "mutual left recursion": ('root ::= x "a" | "r"\nx ::= root "b" | "x"', ["r", "xa", "rba", "xaba"], ["x"], ["ra"]),
    "nullable loops": ('root ::= (("a"?)* "")* x* "b"\nx ::= x x | ""', ["b", "aab"], ["", "a"], ["c"]),
    "cycles": ("root ::= root | x\nx ::= root | [a]", ["a"], [""], ["aa"]),
    "brackets": ('root ::= "(" root ")" root | ""', ["", "()", "(())()"], ["("], [")", "())"]),
    "palindromes": ('root ::= "a" root "a" | "b" root "b" | [ab]?', ["", "aba", "abba", "babab"], ["ab"], ["c"]),
}


@pytest.mark.parametrize("name", EBNF_CASES)
def test_grammars_written_by_hand(name):
    grammar, *cases = EBNF_CASES[name]
    check_language(naive.ebnf(grammar), *cases)


def test_what_derives_nothing_is_no_way_to_go():
    assert not naive.ebnf('root ::= "a" root').is_prefix(b"")
    check_language(naive.ebnf('root ::= "a" x | "ab" | "c" []\nx ::= "b" x'), ["ab"], ["a"], ["abb", "c"])
    check_language(naive.ebnf('root ::= "c" []* | "d" [\\uD800]?'), ["c", "d"], [], ["dd"])


def test_ambiguity_does_not_explode():
    n = naive.ebnf('root ::= "a" root "b" | "a" root "c" | ""')
    assert n.is_prefix(b"a" * 60) and n.accepts(b"a" * 60 + b"bc" * 30)
    assert n.is_prefix(b"a" * 60 + b"bc" * 29) and not n.is_prefix(b"a" * 60 + b"bc" * 30 + b"b")
    n = naive.ebnf('root ::= root root | "a" | ""')
    assert n.accepts(b"a" * 20)


def test_another_rule_may_be_the_start():
    check_language(naive.ebnf('root ::= "a"\nx ::= "b" root', start="x"), ["ba"], ["a"], ["a"])


@pytest.mark.parametrize(
    "grammar",
    [
        *("", 'x ::= "a"', "root ::= x", 'root ::= "a', "root ::= [a", 'root ::= ("a"', 'root ::= "a")', "root ::= *"),
        *('root ::= "a"\nroot ::= "b"', "root ::= [b-a]", 'root ::= "a"{', 'root ::= "a"{2,1}', 'root = "a"'),
        'root ::= "\\q"',
    ],
)
def test_malformed_grammars_are_refused(grammar):
    with pytest.raises(ValueError):
        naive.ebnf(grammar)


# JSON Schema.


def _ecma_pattern(_, pattern, instance, __):
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError("pattern")


JUDGE = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _ecma_pattern})


def judge_value(schema, value) -> bool:
    """What jsonschema says; an endless `$ref` is no case for it."""
    try:
        return JUDGE(schema).is_valid(value)
    except RecursionError:
        assume(False)


def _no_duplicates(pairs):
    if len({k for k, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def judge_text(schema, text: str) -> bool | None:
    """Whether a text is a spelling of a valid value; None where the narrowing of numbers could make a difference."""
    if text.strip(" \t\r\n") != text:
        return False
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=Decimal)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError):
        return False
    if re.search(r"[0-9][eE]", re.sub(r'"(\\.|[^"\\])*"', "", text)):
        return None
    return judge_value(schema, value)


def mutated(text: str, seed: int) -> list[str]:
    """Some texts at a distance of one or two edits."""
    rng, out = random.Random(seed), []
    for _ in range(12):
        now = text
        for _ in range(rng.randint(1, 2)):
            i = rng.randint(0, len(now))
            new = rng.choice(
                [*'"{}[]:,. -019ae\\éb\n', '"a":', ',"b"', "null", "\\u0061", "\\ud83d\\ude00", "\\ud83d", ""]
            )
            now = now[:i] + new + now[i + rng.randint(0, 2) :]
        out.append(now)
    return out


NAMES = [json.dumps(k, ensure_ascii=False).encode() + b":" for k in strategies.KEYS]
MIDDLE = [bytes([b]) for b in b"ntfabelsru0123456789.-d8\\1 \xc3\xa9\xf0\x9f\x98\x80"]
EVERY_BYTE = [bytes([b]) for b in range(256)]


def walk(n: naive.Naive, data: bytes, seed: int, most: int = 250) -> bool:
    """Whether a walk along viable texts ends in a sentence: what closes first, what opens last.

    Names of properties are one step: byte by byte, a walk would close some other name before it spelt a required one.
    """
    rng = random.Random(seed)
    names, middle = list(NAMES), list(MIDDLE)
    for _ in range(most):
        if n.accepts(data):
            return True
        rng.shuffle(names)
        rng.shuffle(middle)
        in_string = re.sub(rb"\\.", b"", data, flags=re.S).count(b'"') % 2
        structure = () if in_string else (b"}", b"]", b":", b",", *names)
        steps = (*structure, b'"', *middle, b"{", b"[", *EVERY_BYTE)
        step = next((s for s in steps if n.is_prefix(data + s)), None)
        assert step is not None, f"dead end after {data!r}"
        data += step
    return False


@EXAMPLES
@given(st.data())
def test_texts_of_a_schema_are_those_of_its_valid_values(data):
    schema = data.draw(strategies.json_schemas())
    n = naive.json_schema(schema, property_order="any")
    for _ in range(3):
        text = data.draw(strategies.json_spellings(data.draw(strategies.instances(schema))))
        for other in [text, *mutated(text, len(text))]:
            expected = judge_text(schema, other)
            assert expected is None or n.accepts(other.encode()) == expected, (schema, other)


@EXAMPLES
@given(st.data(), st.sampled_from(["schema", "any"]), st.sampled_from(["json", "compact"]))
def test_viable_prefixes_of_a_schema_are_the_beginnings_of_its_texts(data, property_order, whitespace):
    schema = data.draw(strategies.json_schemas())
    n = naive.json_schema(schema, property_order=property_order, whitespace=whitespace, max_whitespace=3)
    text = data.draw(strategies.json_spellings(data.draw(strategies.instances(schema))))
    for k, other in enumerate([text, *mutated(text, len(text))[:2]]):
        texts = prefixes(other.encode())
        if n.accepts(texts[-1]):
            assert all(map(n.is_prefix, texts)), (schema, other)
        longest = [p for p in texts if n.is_prefix(p)][-1:]
        assert all(map(n.is_prefix, prefixes(longest[0]) if longest else ())), (schema, other)
        for begun in longest:
            assert walk(n, begun, k) or any(walk(n, begun, s) for s in range(8)), (schema, begun)
        if not longest:
            assert not any(n.is_prefix(bytes([b])) for b in range(256))


@EXAMPLES
@given(st.data())
def test_the_order_of_a_schema_is_one_of_any(data):
    schema = data.draw(strategies.json_schemas())
    ordered = naive.json_schema(schema, property_order="schema")
    free = naive.json_schema(schema, property_order="any")
    text = data.draw(strategies.json_spellings(data.draw(strategies.instances(schema)))).encode()
    for begun in prefixes(text):
        assert free.is_prefix(begun) or not ordered.is_prefix(begun)
    assert free.accepts(text) or not ordered.accepts(text)
    assert ordered.is_prefix(b"") == free.is_prefix(b"")


SCHEMA_CASES = {
    "nothing around the root": (
        True,
        ["1", "[ 1 , 2 ]", "{ }", "[\n]"],
        ["", "1 ", "-"],
        [" ", "1 ", "null ", "01", "+"],
    ),
    "strings": (
        {"type": "string"},
        ['""', '"é"', r'"\u00e9\n\/\ud83d\uDE00"', '"\x7f"'],
        ['"', '"a'],
        ['"\n', r'"\u00zz', r'"\udc00', r'"\ud83d\n', r'"\ud83d\u0', r'"\ud83da', r'"\x', "'", '""a'],
    ),
    "lengths": (
        {"type": "string", "minLength": 1, "maxLength": 2},
        ['"a"', '"😀é"', r'"\ud83d\ude00\u0061"'],
        ['""'],
        ['""', '"abc', r'"ab\u', r'"ab\\', "1"],
    ),
    "patterns": (
        {"type": "string", "pattern": "^a+é$", "maxLength": 3},
        ['"aé"', r'"a\u0061\u00E9"'],
        ['"é"'],
        ['"aaa', '"é', r'"\u00e', r'"a\n', r'"a\ud8', '"aéa'],
    ),
    "integers": (
        {"type": "integer"},
        ["0", "-0", "12", "1.0", "-7.000"],
        ["1.", "-", "1e", "1.5", "1.01", "1e1"],
        ["1.5e-", "01", "10e", '"'],
    ),
    "bounded integers": (
        {"type": "integer", "minimum": 3, "maximum": 120},
        ["3", "9.0", "10", "119", "120.00"],
        ["1", "2", "3."],
        ["0", "-", "121", "130", "2.0", "2.", "1000", "1.0"],
    ),
    "bounded numbers": (
        {"type": "number", "exclusiveMinimum": 0.5, "maximum": 10.25},
        ["0.51", "0.500001", "1", "10.25", "10.2500", "9.999"],
        ["0.5", "0", "0.", "0.50"],
        ["-", "10.26", "10.2501", "11", "1e", "0.4", "0.49"],
    ),
    "negative bounds": (
        {"maximum": -1, "exclusiveMinimum": -12},
        ["-1", "-11.9", "-1.0", "-11", '"a"', "null", "[1e5]"],
        ["-", "-0.9"],
        ["0", "1", "-0", "-12.0", "-13", "-2e"],
    ),
    "between two integers": ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, [], ["1"], [""]),
    "zero": ({"const": 0}, ["0", "-0", "0.0", "-0.00"], ["1"], ["1", "0.1", "0e", "00"]),
    "any number": ({"type": "number"}, ["1e5", "-0.5E+07", "1.0e-1"], ["1e", "1.", "1.e"], ["1.e", ".5", "1ee"]),
    "integer or number": ({"type": ["integer", "number"]}, ["1e5", "1"], [], ['"']),
    "constants": (
        {"const": {"b": [1, "é"], "a": None}},
        ['{"b":[1,"é"],"a":null}', '{ "b" : [ 1.0 , "\\u00e9" ] , "a" : null }'],
        ['{"b":[1,"é"]}'],
        ['{"a', '{"b":[1]', '{"b":[1,"e', "[", '{"b":[1,"é"],"b', '{"b":[true'],
    ),
    "enumerations": (
        {"enum": [1.5, True, "ab", "a\nb", [], {}, None], "type": ["number", "string", "array"]},
        ["1.5", "1.50", '"ab"', r'"a\nb"', r'"\u0061\u000Ab"', "[]", "[ ]"],
        ["1", '"a"'],
        ["t", "n", "{", "1.51", "15", '"b', "[1", '"a\n'],
    ),
    "enumeration and pattern": ({"enum": ["a", "b", 1], "pattern": "b"}, ['"b"', "1"], ['"a"'], ['"a', "2"]),
    "order of members": (
        {"properties": {"b": {"type": "null"}, "a": True}, "required": ["z", "a"]},
        ['{"b":null,"a":1,"z":2}', '{"a":1,"z":2,"y":3,"x":4}', "3"],
        ['{"a":1}', "{}"],
        [
            '{"z',
            '{"b":null,"z',
            '{"b":1',
            '{"a":1,"b',
            '{"a":1,"y"',
            '{"a":1,"z":2,"b"',
            '{"a":1,"z":2,"y":1,"y"',
            "{}",
        ],
    ),
    "no others": (
        {
            "type": "object",
            "properties": {"a": True, "ab": False, "b": {"type": "null"}},
            "additionalProperties": False,
        },
        ["{}", '{"a":{"ab":1}}', '{"a":1,"b":null}', '{"b":null}', '{"\\u0061":0}'],
        [],
        ['{"ab', '{"c', '{"\\u0063', '{"b":null,', '{"a":1,"a"', '{"a":1,"a', "[", "{,"],
    ),
    "others of a kind": (
        {"properties": {"a": True}, "additionalProperties": {"type": "integer"}, "required": ["b"]},
        ['{"b":1}', '{"a":null,"b":1,"c":2,"":3}', '{"b":1,"A":2}'],
        ['{"a":1}'],
        ['{"b":null', '{"c', '{"b":1,"c":null', '{"b":1,"b":', '{"b":1,"a":'],
    ),
    "required and forbidden": (
        {"type": ["object", "null"], "required": ["x"], "additionalProperties": False},
        ["null"],
        ["{}"],
        ["{", "1"],
    ),
    "arrays": (
        {
            "type": "array",
            "prefixItems": [{"type": "null"}],
            "items": {"type": "boolean"},
            "minItems": 1,
            "maxItems": 3,
        },
        ["[null]", "[null,true]", "[ null , true , false ]"],
        ["[null,"],
        ["[]", "[t", "[null,n", "[null,true,true,", "[null,true,true,t", "{"],
    ),
    "an item that cannot be": (
        {"type": "array", "prefixItems": [True, False]},
        ["[]", "[[]]", "[1]"],
        [],
        ["[1,", "[1,1"],
    ),
    "anyOf and siblings": (
        {
            "type": "object",
            "properties": {"k": True},
            "anyOf": [{"required": ["p"]}, {"properties": {"q": {"const": 1}}}],
        },
        ['{"k":0,"p":1}', '{"k":0,"q":1}', '{"q":1}', '{"p":1}', '{"p":1,"q":2}'],
        [],
        ["[", '{"q":2', '{"q":1,"k"'],
    ),
    "references": (
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}}},
        ["[]", "[[]]", "[[[]]]"],
        ["["],
        ["{", "[]]", "[[],", "[1"],
    ),
    "a reference and siblings": (
        {"$ref": "#/$defs/n", "maximum": 5, "$defs": {"n": {"type": "integer", "minimum": 4}}},
        ["4", "5", "4.0"],
        [],
        ["3", "6", "40"],
    ),
    "a list": (
        {
            "$ref": "#/$defs/list",
            "$defs": {
                "list": {
                    "type": "object",
                    "properties": {
                        "v": {"type": "integer"},
                        "next": {"anyOf": [{"$ref": "#/$defs/list"}, {"type": "null"}]},
                    },
                    "required": ["v", "next"],
                    "additionalProperties": False,
                }
            },
        },
        ['{"v":1,"next":{"v":2,"next":null}}'],
        ['{"v":1}'],
        ['{"n', '{"v":1,"next":1', '{"v":1}', '{"v":1,"next":null,'],
    ),
}


@pytest.mark.parametrize("name", SCHEMA_CASES)
def test_schemas_written_by_hand(name):
    schema, *cases = SCHEMA_CASES[name]
    check_language(naive.json_schema(schema), *cases)


def test_recursion_without_an_end_is_empty():
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    assert not naive.json_schema(endless).is_prefix(b"")
    inner = endless | {"properties": {"a": {"$ref": "#/anyOf/0"}}}
    check_language(naive.json_schema({"anyOf": [inner, {"type": "null"}]}), ["null"], [], ["{"])
    assert not naive.json_schema({"$ref": "#"}).is_prefix(b"")
    check_language(naive.json_schema({"anyOf": [{"$ref": "#"}, {"type": "null"}]}), ["null"], [], ["1"])
    for schema in (False, {"type": "string", "minLength": 2, "maxLength": 1}, {"enum": []}, {"allOf": [True, False]}):
        assert not naive.json_schema(schema).is_prefix(b"") and not naive.json_schema(schema).accepts(b"")


def test_properties_in_any_order():
    schema = {"properties": {"b": {"type": "null"}, "a": True}, "required": ["z", "a"], "type": "object"}
    n = naive.json_schema(schema, property_order="any")
    check_language(
        n, ['{"z":1,"y":2,"a":1,"b":null}', '{"a":1,"z":2}'], ['{"a":1}'], ['{"a":1}', '{"z":1,"z"', '{"b":1']
    )
    n = naive.json_schema({"const": {"b": 1, "a": 2}}, property_order="any")
    check_language(n, ['{"a":2,"b":1}', '{"b":1,"a":2}'], ['{"a":2}'], ['{"a":1', '{"a":2,"a'])


def test_whitespace_is_bounded_or_absent():
    check_language(naive.json_schema(True, whitespace="compact"), ['{"a":[1,2]}'], [], ["[ ", '{"a" ', '{"a":1, '])
    n = naive.json_schema(True, max_whitespace=2)
    check_language(
        n, ["[  1\n\n,  2\t ]", "{  }", '{  "a"  :  1  ,  "b":2}'], [], ["[   ", "[1   ", '{"a"   ', '{"a":   ']
    )


def test_a_schema_given_as_text_keeps_its_decimals():
    low = "0.1000000000000000000001"
    n = naive.json_schema('{"type":"number","minimum":%s,"maximum":0.2}' % low)  # noqa: UP031
    check_language(n, [low, "0.2"], ["0.1"], ["0.10000000000000000000005", "0.21"])
    assert naive.json_schema({"const": 0.1}).accepts(b"0.10") and not naive.json_schema({"const": 0.1}).is_prefix(
        b"0.1000001"
    )
    assert naive.json_schema({"const": Decimal("1e2")}).accepts(b"100.0")


def test_open_numbers_agree_with_a_search_for_a_continuation():
    """Every interval of small decimals × every short text, by trying all continuations of up to four characters."""
    tails = ["".join(t) for k in range(4) for t in product("0159.", repeat=k)]
    tails += [f"{part}e{x}" for part in ("", "1", "9", ".5", "5") for x in (-9, -8, -7, -6, -5, 16, 17)]
    bounds = [Decimal(b) for b in ("-10", "-1.5", "-0.5", "0", "0.05", "0.9", "1", "9", "10", "15.1")]
    texts = ["-", "0", "1", "9", "-0", "-1", "10", "0.", "0.0", "0.9", "1.5", "-0.5", "15", "95", "-15"]
    shape = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|[1-9](\.[0-9]*[1-9])?e-?[0-9]+)")
    values = {t: [Decimal(t + tail) for tail in tails if shape.fullmatch(t + tail)] for t in texts}
    for low, high in product(bounds, bounds):
        for opened, kind in product((False, True), ("number", "integer")):
            keywords = ("exclusiveMinimum", "exclusiveMaximum") if opened else ("minimum", "maximum")
            n = naive.json_schema({"type": kind, keywords[0]: low, keywords[1]: high})
            for text, found in values.items():
                inside = [v for v in found if (low < v < high if opened else low <= v <= high)]
                if kind == "integer":
                    inside = [v for v in inside if v == int(v)]
                assert n.is_prefix(text.encode()) == bool(inside), (low, high, opened, kind, text)


@pytest.mark.parametrize("schema", [{"oneOf": []}, {"not": {}}, {"items": {"format": "date"}}, {"$ref": "other.json"}])
def test_keywords_beyond_the_oracle_are_said(schema):
    with pytest.raises(NotImplementedError):
        naive.json_schema(schema)


# Masks.


def test_a_mask_tries_every_token():
    n = naive.json_schema({"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": False})
    tokens = [b"{", b'{"a', b'{"a":1}', b"", b"}", b'{"b', b"{}", b'"a":1}', b"</s>", b"{"]
    assert naive.mask(n, b"", tokens, [8]) == {0, 1, 2, 6, 9}
    assert naive.mask(n, b"{", tokens, [8]) == {4, 7}
    assert naive.mask(n, b"{}", tokens, [8]) == {8}
    assert naive.mask(n, b"[", tokens, [8]) == set()


@EXAMPLES
@given(strategies.token_sets(), strategies.token_sets(every_byte=True))
def test_vocabularies_hold_what_breaks_engines(some, every):
    assert all(isinstance(t, bytes) for t in some)
    assert {bytes([b]) for b in range(256)} <= set(every)


def test_the_oracle_shares_no_code_with_the_engine():
    for name, module in list(sys.modules.items()):
        if name.startswith("naive"):
            source = Path(module.__file__).read_text(encoding="utf-8")
            assert not re.search(r"^\s*(import|from) (bridle|automata|grammar)", source, re.M), name


@pytest.mark.parametrize(("schema", "text"), [({"maximum": 1}, b"1e1"), ({"exclusiveMaximum": 2}, b"6.138e184")])
def test_an_exponent_without_a_sign_is_positive(schema, text):
    n = naive.json_schema({"type": "number", **schema})
    assert not n.is_prefix(text) and n.is_prefix(text[: text.index(b"e") + 1])
