"""The strings of a schema: sets against a naive matcher, counted states against tables, enumerations as tries."""

from __future__ import annotations

import itertools
import json
import random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bridle
import naive_regex
from bridle.automata.budget import RegularLimits
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.errors import LimitError, UnsupportedError
from bridle.automata.fragment import Target
from bridle.automata.name_counts import text_lengths
from bridle.automata.regular import ANY_CHAR, Intersection, Repeat, alternation, compile_regular, literal
from bridle.grammar.counted_strings import AcceptedLengths, CountedString, CountedStrings
from bridle.grammar.json_text import json_spelled, quoted
from bridle.grammar.regex_syntax import counted_search
from bridle.grammar.schema_strings import (
    CountedText,
    ListedString,
    Opened,
    StringSet,
    pattern_values,
    spelled_strings,
    string_admits,
    string_is_empty,
    string_target,
    string_values,
    strings_language,
)
from oracle import allowed_tokens, vocabulary_of

TEXTS = ["".join(letters) for n in range(6) for letters in itertools.product("ab", repeat=n)]
PATTERNS = [
    "a",
    "^a",
    "b$",
    "^(ab)*$",
    "^(?:aa)*b?$",
    "ab|ba",
    "^[^a]*$",
    "^.{2,3}$",
    "(?!^a)b",
    "^(?:...){1,}$",
    "aaa",
    "^$",
]


def sets() -> st.SearchStrategy[StringSet]:
    some = st.lists(st.sampled_from(PATTERNS), max_size=2, unique=True).map(lambda found: tuple(sorted(found)))
    texts = st.lists(st.sampled_from(TEXTS[:12]), max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
    most = st.one_of(st.none(), st.integers(0, 5))
    no = st.just(())
    return st.builds(
        StringSet,
        patterns=some,
        not_patterns=some,
        formats=no,
        not_formats=no,
        least=st.integers(0, 4),
        most=most,
        excluded=texts,
    )


def naive_admits(strings: StringSet, text: str) -> bool:
    return (
        strings.least <= len(text)
        and (strings.most is None or len(text) <= strings.most)
        and text not in strings.excluded
        and all(naive_regex.found(pattern, "ecma", text) for pattern in strings.patterns)
        and not any(naive_regex.found(pattern, "ecma", text) for pattern in strings.not_patterns)
    )


@settings(max_examples=300, deadline=None)
@given(sets())
def test_a_set_has_the_strings_that_satisfy_all_of_it(strings: StringSet) -> None:
    values = string_values(strings)
    expected = [naive_admits(strings, text) for text in TEXTS]
    assert [values.accepts(text.encode()) for text in TEXTS] == expected
    assert [string_admits(strings, text) for text in TEXTS] == expected
    assert string_is_empty(strings) == values.is_empty
    language = spelled_strings(strings)
    language.verify()
    assert [language.accepts(json.dumps(text).encode()) for text in TEXTS] == expected


@pytest.mark.parametrize(
    ("pattern", "empty"),
    [("a^b", True), ("^$a", True), (r"[^\s\S]", True), (r"a|[^\s\S]", False), (r"[^\s\S]*", False), ("(?=a)b", True),
     ("[\\ud800-\\udfff]", True), ("a{0}", False), (r"[^\s\S]{2}", True), (r"\b\B", True), ("", False)],
)  # fmt: skip
def test_a_pattern_alone_is_empty_where_its_automaton_is(pattern: str, empty: bool) -> None:
    strings = StringSet(patterns=(pattern,))
    assert string_is_empty(strings) is empty
    assert string_values(strings).is_empty is empty


def test_only_a_length_is_left_to_a_counter_whatever_says_so() -> None:
    assert isinstance(string_target(StringSet()), ByteDfa)
    assert string_target(StringSet(least=2, most=10**6)) == Opened(CountedText(2, 10**6))
    assert string_target(StringSet(patterns=("", "x?"), most=5000)) == Opened(CountedText(0, 5000))
    assert string_target(StringSet(patterns=("^[^]{3,2000000}$",))) == Opened(CountedText(3, 2000000))
    assert not string_is_empty(StringSet(least=5)) and string_is_empty(StringSet(least=5, most=4))


def test_bounds_that_a_pattern_implies_cost_nothing() -> None:
    alone = string_values(StringSet(("^[a-z]{2,8}$",)))
    assert string_values(StringSet(("^[a-z]{2,8}$",), least=1, most=10**6)) is alone
    assert string_values(StringSet(("^(?:...)*$",), least=1, most=5)) == pattern_values("^...$")
    assert string_is_empty(StringSet(("^(?:...)*$",), least=10**6, most=10**6))
    assert not string_is_empty(StringSet(("^(?:...)*$",), least=10**6, most=10**6 + 2))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PATTERNS), st.integers(0, 30), st.one_of(st.none(), st.integers(0, 30)))
def test_lengths_of_a_language_are_those_of_its_texts(pattern: str, least: int, most: int | None) -> None:
    lengths = AcceptedLengths(pattern_values(pattern))
    of_length = [not string_values(StringSet((pattern,), least=n, most=n)).is_empty for n in range(46)]
    assert lengths.some(least, most) == any(of_length[least : 45 if most is None else most + 1])


COUNTED = [
    ("^a+$", 2, 5), ("a", 0, 3), ("a", 2, None), ("^(?:..)*$", 3, 5), ("^(?:..)*$", 3, None), ("^(?:...)*b$", 5, 9),
    (r"^\S+@\S+$", 3, 4), ("😀|é", 2, 3), ("^[^a-z]*$", 1, 2), (r"[\n\u0001\"\\]", 2, 2), ("^(?:aa|bbb)*$", 7, 7),
    ("^[\\ud000-\\ud7ff𝒶-𝒹]+x?$", 1, 2), ("^(?!.*aa)", 0, 4), ("^(?:a{3}|b{5})$", 4, 6), ("^$|^a{4}", 0, 4),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "least", "most"), COUNTED)
def test_counted_states_are_those_of_the_product(pattern: str, least: int, most: int | None) -> None:
    table = spelled_strings(StringSet((pattern,), least=least, most=most))
    counted = CountedStrings(pattern_values(pattern), least, most)
    assert not counted.is_empty
    # A state of the counted string is one of the machine: payloads, and automata with what follows them.
    waiting: list = [(frozenset([Opened(CountedString(counted, 1, 0))]), 1)]
    met = set(waiting)
    while waiting:
        tops, in_table = waiting.pop()
        assert bool(table.accepting[in_table]) == (None in tops)
        moved: list[set] = [set() for _ in range(256)]
        for top in tops - {None}:
            if isinstance(top, tuple) and isinstance(top[0], ByteDfa):
                move_within(moved, *top)
                continue
            fragment = top.expand()
            for low, high, target in fragment.edges:
                for byte in range(low, high + 1):
                    moved[byte].add(target)
            for callee, then in fragment.calls:
                move_within(moved, callee, 1, then)
        assert [bool(found) for found in moved] == (table.transitions[in_table] != 0).tolist()
        for byte in range(256):
            pair = frozenset(moved[byte]), int(table.transitions[in_table, byte])
            if moved[byte] and pair not in met:
                met.add(pair)
                waiting.append(pair)


def move_within(moved: list[set], callee: ByteDfa, state: int, then: object) -> None:
    """Adds what each byte leads to in an automaton, and behind it where it ends, into `moved`."""
    for byte, target in enumerate(callee.transitions[state].tolist()):
        if target and callee.transitions[target].any():
            moved[byte].add((callee, target, then))
        if callee.accepting[target]:
            moved[byte].add(then)


class Source(NamedTuple):
    """A grammar of one state."""

    root: Target
    notes: tuple[str, ...] = ()


# Patterns that grow by one code point at a time, or have no least number of them: their automaton and a number do.
NUMBERED = [
    ("^a+$", 2, 5), ("a", 0, 3), ("a", 2, None), ("^(?:..)*$", 0, 5), ("^(?:...)*b$", 0, 9), (r"^\S+@\S+$", 3, 4),
    (r"^\S+@\S+$", 5, None), ("😀|é", 2, 3), ("^[^a-z]*$", 1, 2), (r"[\n\u0001\"\\]", 2, 2), ("^(?:aa|bbb)*$", 0, 7),
    ("^[\\ud000-\\ud7ff𝒶-𝒹]+x?$", 1, 2), ("^(?!.*aa)", 0, 4), ("^(?:a{3}|b{5})$", 0, 4), ("^$|^a{4}", 0, 3),
    ("b$", 4, 4),
]  # fmt: skip
PIECES = [
    b"a", b"b", b"aa", b"aab", b"bbb", b'a"', b'"', b"@", b"a@b", b'@a"', b"\\", b"u", b"\\u00", b"61", b"6", b"1",
    b"x", b"\\n", b'\\"', b"\xc3\xa9", b"\xc3", b"\xa9", "😀".encode(), b"\xf0\x9f", b"\x98\x80", b"1a1",
    b"a1a1a1a1a", b" ", b"\\ud83d", b"\\ude00", "𝒶".encode(), b"aaaaaaa", b"aaaaaa",
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "least", "most"), NUMBERED)
def test_an_automaton_and_a_number_are_the_product(pattern: str, least: int, most: int | None) -> None:
    table = spelled_strings(StringSet((pattern,), least=least, most=most))
    body = json_spelled(pattern_values(pattern))
    vocabulary = vocabulary_of([*PIECES, b'"a', b'"@'])
    compiled = bridle.compile(Source(Opened(CountedText(least, most, body))), vocabulary)
    check_against_table(compiled, table)


def check_against_table(compiled: bridle.Compiled, table: ByteDfa) -> None:
    """Asserts that bytes, masks and ends are those of an automaton, wherever tokens lead."""
    vocabulary = compiled.vocabulary
    waiting, met = [b""], {1}
    while waiting and len(met) < 400:
        text = waiting.pop(0)
        state = table.state_after(text)
        matcher = bridle.Matcher(compiled)
        assert matcher.accept_bytes(text)
        assert matcher.next_bytes()[:256].tolist() == (table.transitions[state] != 0).astype(int).tolist(), text
        assert matcher.is_accepting() == bool(table.accepting[state])
        after = {i: table.state_after(token, state) for i, token in enumerate(vocabulary.tokens) if token}
        assert allowed_tokens(matcher) - {*vocabulary.stop_token_ids} == {i for i, to in after.items() if to}, text
        for i, to in after.items():
            if to and to not in met:
                met.add(to)
                waiting.append(text + vocabulary.tokens[i])


@pytest.mark.parametrize(
    "pattern", ["", "a", "^a{3}$", "^a{2,5}$", "^(?:..)*$", "^(?:..)*b", "^a*b?$", "^$|^é{4}", "^[^]+😀$"]
)
def test_the_least_and_the_most_code_points_of_a_language(pattern: str) -> None:
    values = pattern_values(pattern)
    of_length = [not string_values(StringSet((pattern,), least=n, most=n)).is_empty for n in range(30)]
    lengths = text_lengths(values)
    assert lengths.least == of_length.index(True)
    assert lengths.most == (None if any(of_length[20:]) else max(n for n in range(30) if of_length[n]))
    if lengths.growing:
        assert all(of_length[lengths.least :])
    assert lengths.growing == (pattern in ("", "a", "^(?:..)*b", "^[^]+😀$"))


def test_no_counted_string_of_lengths_that_a_pattern_does_not_have() -> None:
    even = pattern_values("^(?:..)*$")
    assert CountedStrings(even, 5, 5).is_empty and CountedStrings(even, 10**6 + 1, 10**6 + 1).is_empty
    assert not CountedStrings(even, 10**6, 10**6).is_empty and not CountedStrings(even, 10**6 + 1, None).is_empty
    assert CountedStrings(pattern_values("^a{3}$"), 4, None).is_empty


def test_what_is_too_large_for_a_table_is_counted_to_the_last_code_point() -> None:
    schema = {"type": "string", "pattern": r"^https?://\S+$", "minLength": 10, "maxLength": 3000}
    with pytest.raises(LimitError):
        spelled_strings(StringSet((r"^https?://\S+$",), least=10, most=3000))
    grammar = bridle.Grammar.from_json_schema(schema)
    assert bridle.validate(grammar, json.dumps("http://" + "é" * 2993)).ok
    assert not bridle.validate(grammar, json.dumps("http://" + "é" * 2994)).ok
    assert not bridle.validate(grammar, json.dumps("http://ab")).ok
    vocabulary = vocabulary_of([b"h", b'"http://', b"a" * 9, b"\\u0061", b'"', b" ", b"\xc3", b"\xa9", b"\xa9aa"])
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    assert allowed_tokens(matcher) == {1, 4}
    assert matcher.accept_bytes(b'"http://' + b"a" * 2990)
    assert allowed_tokens(matcher) == {0, 3, 4, 6}
    assert matcher.accept_bytes(b"\xc3") and allowed_tokens(matcher) == {7, 8}
    assert matcher.accept_bytes(b"\xa9a") and allowed_tokens(matcher) == {0, 3, 4, 6}
    assert matcher.accept_bytes(b"\xc3") and allowed_tokens(matcher) == {7}
    assert matcher.accept_bytes(b"\xa9") and allowed_tokens(matcher) == {4}


@pytest.mark.parametrize("pattern", [r"^[\p{L}]{1,200}$", r"^\p{L}{200}$", "^x(?:[^]{2}){3000,}$", "^[a-z]{1,30000}!$"])
def test_a_large_repetition_that_the_length_tells_is_a_length(pattern: str) -> None:
    strings = StringSet((pattern,))
    with pytest.raises(LimitError):
        spelled_strings(strings)
    assert not string_is_empty(strings)
    assert not isinstance(string_target(strings), type(pattern_values("a")))
    text = {"^[": "x", "^\\": "é" * 200, "^x": "x" * 6001}[pattern[:2]] + ("!" if pattern.endswith("!$") else "")
    assert string_admits(strings, text) and not string_admits(strings, text[:-1] or "-")
    assert string_is_empty(StringSet((pattern,), most=0))


PASSWORD = r"^(?=.*[A-Z])(?=.*[a-z])(?=.*\d)(?=.*[^\w\s]).{8,64}$"


@pytest.mark.parametrize(
    "pattern", [PASSWORD, r"^(?:(?!ab)[a-c]){2,3}(?<!c)$", r"^a(?=b|c).{0,2}(?!a).$", r"^\ba{0,3}\b$"]
)
def test_lookaround_and_a_bounded_length_are_one_language_however_they_are_made(pattern: str) -> None:
    language, least, most = counted_search(pattern, "ecma")
    lengths = Repeat(ANY_CHAR, least, most)
    assert (
        compile_regular(Intersection((language, lengths)))
        == pattern_values(pattern)
        == string_values(StringSet((pattern,)))
    )


def test_passwords_are_described_in_little_time_and_space() -> None:
    strings = StringSet((PASSWORD,))
    assert string_admits(strings, "Passw0rd!") and not string_admits(strings, "Passw0rd")
    assert not string_is_empty(strings) and string_is_empty(strings._replace(most=7))


def test_patterns_whose_lengths_do_not_tell_stay_as_they_are() -> None:
    for pattern in ["^a{1,3}b{1,3}$", "a{1,3}$", "^(?:a|bb){1,3}$", "^a{1,3}", "^(?:a?){3}$"]:
        assert counted_search(pattern, "ecma") is None
    with pytest.raises(LimitError):
        string_target(StringSet((r"^(?:(?!a.{40}b).)*$",)))


def test_a_format_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="no-such-format"):
        string_values(StringSet(formats=("no-such-format",)))


def test_quoting_an_automaton_keeps_it_minimal() -> None:
    for pattern in ["", "^$", "a", "^[]$", '"', r"^\"$", "^é$", '^[^"]*$']:
        spelled = json_spelled(pattern_values(pattern))
        made = quoted(spelled)
        made.verify()
        for text in ["", "a", '"', "é", 'a"']:
            assert made.accepts(json.dumps(text).encode()) == spelled.accepts(json.dumps(text)[1:-1].encode())
            assert not made.accepts(text.encode())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abé😀\n", max_size=6), unique=True, max_size=12))
def test_an_enumeration_is_the_union_of_its_strings(strings: list[str]) -> None:
    made = strings_language(tuple(strings))
    made.verify()
    assert made == compile_regular(alternation(*map(literal, strings)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text('abé€😀\U0010ffff\n/\\"\x01', max_size=3), min_size=1, max_size=8, unique=True))
def test_a_listed_string_has_all_spellings_of_its_strings(strings: list[str]) -> None:
    table = quoted(json_spelled(strings_language(tuple(strings))))
    vocabulary = vocabulary_of([*PIECES, b'"a', b'"\\u00', "€".encode()[:2], b"\\u20Ac", b"\\/", b"\\uDBff\\uDFFF"])
    compiled = bridle.compile(Source(ListedString(tuple(value.encode() for value in strings))), vocabulary)
    check_against_table(compiled, table)


def test_a_large_enumeration_is_a_trie_beside_its_other_constants() -> None:
    rng = random.Random(7)
    many = ["".join(rng.choices("abc\u00e9", k=30)) for _ in range(2000)]
    grammar = bridle.Grammar.from_json_schema({"enum": [*many, 12, None]})
    assert not grammar.unenforced
    for value in (many[0], many[-1], 12, None):
        assert bridle.validate(grammar, json.dumps(value)).ok
        assert bridle.validate(grammar, json.dumps(value, ensure_ascii=False)).ok
    for text in (json.dumps(many[0][:-1]), json.dumps(many[0] + "a"), "13", '"', "true"):
        assert not bridle.validate(grammar, text).ok


def test_strings_without_a_spelling_are_in_no_language() -> None:
    assert strings_language(("a", "a\ud800")) == strings_language(("a",))
    assert not string_values(StringSet(excluded=("\udfff", "a"))).accepts(b"a")
    assert not string_admits(StringSet(("^[^]$",)), "\ud800") and string_admits(StringSet(("^[^]$",)), "\U0001f600")


def test_an_enumeration_of_more_prefixes_than_the_budget_is_refused() -> None:
    assert strings_language(()).is_empty and strings_language(("",)).accepts_empty
    rng = random.Random(5)
    many = tuple("".join(rng.choices("abcdef", k=12)) for _ in range(900))
    made = strings_language(many)
    assert all(made.accepts(text.encode()) for text in many) and not made.accepts(b"a")
    with pytest.raises(LimitError, match="dfa_states"):
        strings_language(many, RegularLimits(dfa_states=2000))
    assert np.count_nonzero(made.accepting) >= 1
