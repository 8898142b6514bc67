"""Lookaround: against two matchers that go through texts, against Python's `re`, and against real schemas' patterns."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_regex
from bridle.automata.errors import GrammarError, LimitError
from bridle.automata.regular import compile_regular
from bridle.grammar.regex_syntax import fullmatch_language, search_language

SUITE = Path(__file__).parents[2] / "shared" / "data" / "json-schema-test-suite"
TEXTS = ["".join(letters) for n in range(6) for letters in itertools.product("a-", repeat=n)]
LINES = ["".join(letters) for n in range(5) for letters in itertools.product("a-\n", repeat=n)]


def languages(pattern: str, dialect: str) -> tuple:
    return tuple(compile_regular(make(pattern, dialect)) for make in (search_language, fullmatch_language))


def patterns(python: bool = False) -> st.SearchStrategy[str]:
    """Patterns over `a` and `-` with any nesting of lookaround; in Python's dialect lookbehinds look at one place."""
    atoms = st.sampled_from(["a", "-", ".", "[^a]", "^", "$", r"\b", r"\B", r"\w", "a-", r"\W"])
    item = st.sampled_from(["a", "-a", "^", "(?!a)", r"\b.", "$", ".a$"])
    behind = st.tuples(st.sampled_from(["(?<=", "(?<!"]), item)

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        quantifier = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "+?"])
        looks = ["(?=", "(?!"] if python else ["(?=", "(?!", "(?<=", "(?<!"]
        return st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=2).map(lambda items: f"(?:{'|'.join(items)})"),
            st.tuples(inner, quantifier).map(lambda t: f"(?:{t[0]}){t[1]}"),
            st.tuples(st.sampled_from(looks), inner).map(lambda t: f"{t[0]}{t[1]})"),
        )

    return st.recursive(st.one_of(atoms, behind.map(lambda t: f"{t[0]}{t[1]})")), extend, max_leaves=7)


@settings(max_examples=300, deadline=None)
@given(patterns())
def test_any_lookaround_holds_where_a_naive_matcher_says(pattern: str) -> None:
    search, full = languages(pattern, "ecma")
    for text in TEXTS:
        assert search.accepts(text.encode()) == naive_regex.found(pattern, "ecma", text), text
        assert full.accepts(text.encode()) == naive_regex.matched(pattern, "ecma", text), text


@settings(max_examples=80, deadline=None)
@given(patterns(python=True))
def test_any_lookaround_holds_where_python_says(pattern: str) -> None:
    oracle = re.compile(pattern)
    search, full = languages(pattern, "python")
    for text in LINES:
        assert search.accepts(text.encode()) == bool(oracle.search(text)), text
        assert full.accepts(text.encode()) == bool(oracle.fullmatch(text)), text
        assert naive_regex.found(pattern, "python", text) == bool(oracle.search(text)), text


_SCRIPT = """const [patterns, texts] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(patterns.map(p => texts.map(t => new RegExp(p, "u").test(t)))));"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript here")
@settings(max_examples=5, deadline=None)
@given(st.lists(patterns(), min_size=40, max_size=40))
def test_any_lookaround_holds_where_javascript_says(drawn: list[str]) -> None:
    # V8 also begins to match between the two halves of a surrogate pair, which ECMA-262 does not under the flag u.
    texts = [text for text in (*TEXTS, "\n", "a\n", "\r", "-\u2028a", "é", "éa") if all(c < "\U00010000" for c in text)]
    asked = json.dumps([drawn, texts])
    answer = subprocess.run(["node", "-e", _SCRIPT], input=asked, capture_output=True, text=True, check=True)
    for pattern, row in zip(drawn, json.loads(answer.stdout), strict=True):
        dfa = compile_regular(search_language(pattern, "ecma"))
        assert [dfa.accepts(text.encode()) for text in texts] == row, pattern


REAL = [  # pattern, texts in which it is found, texts in which it is not
    (r"^((?!mode)(?!Mode).)*$", ["", "mod", "mo\u00e9de", "Mod"], ["mode", "a mode", "xMode", "a\n"]),
    (r"^(?=[^=]+$)(?!\s+$)(.|\n)+$", ["a", " a\n"], ["", " \n", "a=b"]),
    (r"^(?!tag|category)$", [""], ["tag", "x"]),
    (r"^(?!aliases|audio)[a-z]+$", ["alias", "dio"], ["aliases", "audiox"]),
    (r"^((?!(c|C)(l|L)(y|Y)).)*$", ["cl", "cCll"], ["cLy", "acly"]),
    (r"^(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$", ["Passw0rd!", "0A-xxxxx"], ["password", "Passw0rd", "P0!"]),
    (r"^(?!.*--)(?!-)[a-z-]{1,63}(?<!-)$", ["a", "a-b", "a-b-c"], ["-a", "a-", "a--b", ""]),
    (r"^(?!.*\.\.)[^/]+$", ["a.b", "..."[:1]], ["a..b", "a/b"]),
    (r"(?<!\\)\$\{", ["${", "a${", "\\\\ ${"], ["\\${", "$"]),
    (r"(?<=^|,)x(?=,|$)", ["x", "a,x,b", "x,"], ["ax", "xa", "a,xb"]),
    (r"\bfoo\b", ["foo", "a foo.", "é foo"], ["afoo", "foo_", "fo"]),
    (r"^(?!.*\bno\b).*$", ["yes", "nono", "know"], ["no", "oh no!"]),
    (r"(?<!^)(?!$)\B", ["ab", "--"], ["a", "-", "a-"]),
    (r"^(?:(?!ab)[a-z]|ab(?=c))+$", ["abc", "ba", "b"], ["ab", "aab", "abab"]),
    (r"^(?=(?:..)*$)(?=(?:...)*$)a*$", ["", "a" * 6, "a" * 12], ["aa", "aaa", "a" * 8]),
    (r"(?<=a(?=b)..)$", ["abc"[:3], "xab-"], ["acb", "ab"]),
    (r"a(?!)|(?<![^])b", ["b", "bb"], ["a", "ab"]),
]


@pytest.mark.parametrize(("pattern", "found", "absent"), REAL)
def test_patterns_of_real_schemas_and_their_kin(pattern: str, found: list[str], absent: list[str]) -> None:
    dfa = compile_regular(search_language(pattern, "ecma"))
    dfa.verify()
    assert [text for text in found if not dfa.accepts(text.encode())] == []
    assert [text for text in absent if dfa.accepts(text.encode())] == []
    assert all(naive_regex.found(pattern, "ecma", text) for text in found)
    assert not any(naive_regex.found(pattern, "ecma", text) for text in absent)


EDGES = [r"\B", r"\b", r"a\B", r"(?:)\B(?:)", r"(?a)\bé|é\B", r"\Bé", r"(?!\B)", r"(?<=\B)"]


@pytest.mark.parametrize("pattern", EDGES)
def test_word_boundaries_of_python_are_those_of_re(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = re.compile(pattern)
    search, full = languages(pattern, "python")
    for text in ["", "a", "-", "aé", "é-", "é", "--", "a\n"]:
        assert search.accepts(text.encode()) == bool(oracle.search(text)), text
        assert full.accepts(text.encode()) == bool(oracle.fullmatch(text)), text


def test_assertions_side_by_side_are_limited_and_equal_ones_are_one() -> None:
    names = [chr(97 + i) for i in range(13)]
    pattern = "^" + "".join(f"(?!{name})" for name in names[:11]) + "."
    assert languages(pattern, "ecma")[0].accepts(b"l") and not languages(pattern, "ecma")[0].accepts(b"k")
    assert languages("^" + r"(?!a)(?:\b|x)" * 20 + "z", "ecma")[0].accepts(b"z")
    with pytest.raises(LimitError, match="assertions side by side exceeded: 13 given, 12 allowed"):
        search_language("".join(f"(?!{name})" for name in names), "ecma")


def test_lookaround_within_lookaround_has_a_limit_of_its_own() -> None:
    for kind in ("(?=", "(?<!"):
        assert not languages(kind * 12 + "a" + ")" * 12, "ecma")[0].is_empty
        with pytest.raises(LimitError, match="lookaround within lookaround exceeded: 13 given, 12 allowed"):
            search_language(kind * 90 + "a" + ")" * 90, "ecma")


def test_claims_that_stay_open_end_at_a_budget() -> None:
    with pytest.raises(LimitError):
        compile_regular(search_language("^(?:(?!a.{40}b).)*$", "ecma"))
    # Of an assertion outside any repetition only one claim is open, so the same one is small there.
    assert compile_regular(search_language("^(?!a.{40}b)", "ecma")).n_states < 500


@pytest.mark.parametrize("name", ["pattern.json", "optional/ecmascript-regex.json"])
@pytest.mark.parametrize("draft", ["draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"])
def test_the_official_suite_of_patterns(draft: str, name: str) -> None:
    found = [path for path in SUITE.glob(f"**/{draft}/{name}")]
    if not found:
        pytest.skip("the official suite is not here")
    for group in json.loads(found[0].read_text()):
        pattern = group["schema"].get("pattern")
        if pattern is None:
            continue
        try:
            dfa = compile_regular(search_language(pattern, "ecma"))
        except GrammarError:
            assert group["schema"].get("format") == "regex"
            continue
        for test in group["tests"]:
            if isinstance(test["data"], str):
                assert dfa.accepts(test["data"].encode()) == test["valid"], (pattern, test["data"])
