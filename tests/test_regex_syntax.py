"""Patterns of both dialects: exhaustively against Python's `re`, ECMA-262's own rules as data, refusals with places."""

from __future__ import annotations

import itertools
import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.automata.errors import GrammarError, LimitError, UnsupportedError
from bridle.automata.regular import compile_regular
from bridle.grammar import regex_classes
from bridle.grammar.regex_ast import Group, Look, Repetition
from bridle.grammar.regex_syntax import fullmatch_language, parse, search_language

TEXTS = ["".join(letters) for n in range(5) for letters in itertools.product("ab", repeat=n)]
LINES = ["".join(letters) for n in range(4) for letters in itertools.product("ab\n", repeat=n)]


def disagreements(pattern: str, dialect: str, texts: list[str]) -> list[tuple[str, str, bool]]:
    """Where search or full match differ from Python's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = re.compile(pattern)
    search = compile_regular(search_language(pattern, dialect))
    full = compile_regular(fullmatch_language(pattern, dialect))
    out = []
    for text in texts:
        found = bool(oracle.search(text)), bool(oracle.fullmatch(text))
        if search.accepts(text.encode()) != found[0]:
            out.append(("search", text, found[0]))
        if full.accepts(text.encode()) != found[1]:
            out.append(("full", text, found[1]))
    return out


def small_patterns() -> list[str]:
    """Every pattern of a small grammar: atoms, one or two operators, anchors anywhere."""
    atoms = ["a", "b", ".", "[ab]", "[^a]", "", "^", "$", "(a|b)", "^a", "b$"]
    out = list(atoms)
    out += [x + y for x, y in itertools.product(atoms, repeat=2)]
    out += [f"{x}|{y}" for x, y in itertools.product(atoms, repeat=2)]
    quantifiers = ["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "{0}"]
    groups = ["a", "ab", "a|b", "a*", "a?b?", "^a", "b$", "^|b", "a|$", "^a|b$", "$a", "a^", "(?:a|ab)+", "^$", "a$|b"]
    repeated = [f"(?:{x}){q}" for x in groups for q in quantifiers]
    out += repeated
    out += [f"{x}{y}" for x in repeated for y in ("a", "b$", "(?:b|$)")]
    out += [f"{y}{x}" for x in repeated for y in ("a", "^b", "(?:b|^)")]
    out += [f"(?:{x}){q}" for x in ("(?:^a)?b", "a(?:b|$)", "(?:a$)*b?", "(?:^|b)(?:a|$)") for q in ("*", "+", "{2,3}")]
    return out


def test_every_small_pattern_matches_what_python_matches() -> None:
    for pattern in small_patterns():
        # Without newlines in the text the two dialects mean the same.
        assert not disagreements(pattern, "ecma", TEXTS), pattern
        assert not disagreements(pattern, "python", LINES), pattern


def patterns() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^b]", "^", "$", "ab", r"\n", "\\Z", "\\A"])

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        quantifier = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "+?"])
        return st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: f"(?:{'|'.join(items)})"),
            st.tuples(inner, quantifier).map(lambda t: f"({t[0]}){t[1]}"),
        )

    return st.recursive(atoms, extend, max_leaves=7)


@settings(max_examples=400, deadline=None)
@given(patterns())
def test_any_pattern_matches_what_python_matches(pattern: str) -> None:
    assert not disagreements(pattern, "python", LINES)


AGREED = [  # both dialects mean what Python's re means, on these texts
    (r"^[a-z0-9_-]{3,16}$", ["ab", "abc", "A_b", "a_b-9", "a" * 17]),
    (r"^\d{4}-\d{2}-\d{2}$", ["2024-01-31", "2024-1-31", "x2024-01-31"]),
    (r"(foo|bar)+baz", ["foobaz", "xxbarbazyy", "baz", "foobarbar"]),
    (r"^(\([0-9]{3}\))?[0-9]{3}-[0-9]{4}$", ["555-1212", "(888)555-1212", "(888)555-1212 ext. 532", "(800)FLOWERS"]),
    (r"\x41\u0042[\x43-\u0045]\.\*\\\/\-\@\'\_", ["ABD.*\\/-@'_", "ABF.*\\/-@'_"]),
    (r"[\]a]", ["]", "a", "b"]),
    (r"[a\-z]+", ["a-z", "b"]),
    (r"^[^\s@]+@[^\s@]+\.[^\s@]+$", ["a@b.c", "a b@c.d", "é@ü.ö"]),
    (r"a{,b}|{|x{|}", ["a{,b}", "{", "x{", "}", "a"]),
    (r"(?:a|ab)(?:c|bcd)(?:d*)", ["abcd", "acd", "abbcd", "ab"]),
    (r"((a*)*b|(a|b|ab)*)c", ["aabc", "c", "abab"]),
    (r"[\t\n\v\f\r]", ["\t", "\n", "\x0b", "\f", "\r", " "]),
    (r"\0[\0\b]", ["\0\0", "\0\b", "0b"]),
    (r"é|[à-ü]+|\u20ac", ["é", "àü", "€", "e"]),
    (r"(?:)|x", ["", "x"]),
    (r"[.^$*+?(){}|]", [".", "^", "$", "*", "(", "a"]),
]


@pytest.mark.parametrize(("pattern", "texts"), AGREED)
def test_patterns_that_both_dialects_read_alike(pattern: str, texts: list[str]) -> None:
    for dialect in ("ecma", "python"):
        assert not disagreements(pattern, dialect, texts)


ECMA = [  # pattern, texts in which it is found, texts in which it is not
    (r"^\d$", ["0", "9"], ["٣", "a", "0\n"]),
    (r"^\w$", ["a", "Z", "_", "0"], ["é", "ſ", "-"]),
    (r"^\s$", [*"\t\n\v\f\r \xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"], ["\u200b", "\x85", "\x1c"]),
    (r"^\S$", ["a", "\u0085"], ["\ufeff", " "]),
    (r"^.$", ["a", "\u0085", "😀", "\x0b"], ["\n", "\r", "\u2028", "\u2029", ""]),
    (r"^[^]$", ["\n", "a", "😀"], ["", "ab"]),
    (r"[]", [], ["", "a", "]"]),
    (r"^\u{1F600}$", ["😀"], ["u"]),
    (r"^\uD83D\uDE00$", ["😀"], []),
    (r"^[\uD83D\uDE00-\u{1F64F}]$", ["😀", "🙏"], ["a"]),
    (r"^[😀-😂]$", ["😀", "😁"], ["😃"]),
    (r"[\uD800-\uDFFF]", [], ["a", "😀", "\ufffd"]),
    (r"^\cJ\ca$", ["\n\x01"], ["Ja"]),
    (r"^[\w-]+$", ["a-b"], ["a.b"]),
    (r"^[\w-z]$", ["-", "z", "_"], ["~"]),
    (r"^[\w-\-\.]$", ["-", ".", "_"], ["~"]),
    (r"^[+--]$", ["+", ",", "-"], ["*", "."]),
    (r"^\p{Lu}\p{L}+$", ["Éa", "Ab"], ["ab", "A1"]),
    (r"^\p{Script=Greek}+\P{Script=Greek}$", ["αβγ1"], ["abc", "α"]),
    (r"^\p{sc=Cyrillic}$", ["ж"], ["z"]),
    (r"^\p{gc=Nd}\p{General_Category=Decimal_Number}$", ["٣1"], ["a1"]),
    (r"^[\p{L}\p{Nd}_]+$", ["é٣_"], ["-"]),
    (r"^\p{Alphabetic}\p{ASCII}$", ["éa"], ["1a", "aé"]),
    (r"^\p{Emoji_Presentation}$", ["😀"], ["a"]),
    (r"^\p{scx=Deva}\p{Script_Extensions=Greek}$", ["\u0964α"], ["aα"]),
    (r"^\p{IDC}\P{IDC}\p{IDS}$", ["1-a"], ["--a", "1-1"]),
    (r"^\p{VS}\p{Any}\p{Assigned}$", ["\ufe0f!a"], ["aaa", "\ufe0f!\U000e0fff"]),
    (r"^(?:^)*(?:$){1,2}a?$", ["", "a"][:1], ["a"]),
    (r"^\pL$", ["é"], ["1"]),
    (r"^(?<year>\d{4})$", ["2024"], ["24"]),
    (r"^]{2}$|^}$|^{$", ["]]", "}", "{"], ["]"]),
    (r"a$", ["a", "ba"], ["a\n"]),
    (r"^(?:[a-z]+(?:,|$))+$", ["a", "ab,c", "a,b,c", "a,"], [",", "a,,b"]),
    (r"(^|,)b(,|$)", ["b", "a,b", "a,b,c", "b,"], ["ab", "bc", "a,bc"]),
    (r"^\#\%\&\ \!\"\,\:\;\<\=\>\`\~$", ["#%& !\",:;<=>`~"], []),
    (r"^\/\é$", ["/é"], []),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "found", "absent"), ECMA)
def test_ecma_rules(pattern: str, found: list[str], absent: list[str]) -> None:
    dfa = compile_regular(search_language(pattern, "ecma"))
    dfa.verify()
    assert [text for text in found if not dfa.accepts(text.encode())] == []
    assert [text for text in absent if dfa.accepts(text.encode())] == []


PYTHON = [
    r"(?i)straße|ſ|K|[à-ý]", r"(?s)a.b", r"(?is)A.b", r"a(?i:b)c", r"(?i:a(?-i:b))", r"(?a)\w\d", r"(?ai)é|k",
    r"^a$\n?", r"a$\n", r"\Aa\Z", r"\Aa$", r"[]a-]+", r"[^]a]", r"\101\07[\101\0]", r"\a\f\v[\a]",
    r"\N{DIGIT ONE}+", r"\U0001F600", r"(?P<name>a)(?#comment)*b", r"a(?#x){2}", r"\w+\s\d", r"[\w\s]+",
    r"[^\W\d]+", r"\s\S", r"x{,2}y", r"x{,}y", r"a{}", r"a{1", r"a{1,x}", r"(?:)", r"[a-z&&x]", r"(a|b)*?c",
    r"[\d-]", "[+--]", r"(?i)[^k]", r"(?i)\u0130|\u0131", r"(?i)[α-ω]", r"\.", r"\-\ \!", r"é", "a|", "|a",
    "()", "(?u)\\w", r"(?:a$|b\n)+", r"(a$\n?)*b?", r"(?:a|$\n)*", r"(?:\n$)*a?", r"(?:^a?)*$",
]  # fmt: skip
PYTHON_TEXTS = [
    *LINES, "STRASSE", "straße", "s", "S", "ſ", "k", "K", "\u212a", "à", "É", "é", "A\nb", "aBc", "aBC", "Ab",
    "AB", "a-", "]", "b", "A\x07A", "A\x07\0", "\x07\f\v\x07", "1", "11", "😀", "aab", "ab", "é ٣", "_ 1", "xxy",
    "xxxy", "y", "a{}", "a{1", "a{1,x}", "x", "&", "abac", "-", "+", ",", "İ", "i", "I", "ı", "Σ", "σ", "ς",
    ".", "- !", "\x1c", "\x85", "\u200b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PYTHON)
def test_python_rules(pattern: str) -> None:
    assert not disagreements(pattern, "python", PYTHON_TEXTS)


@pytest.mark.parametrize("letter", ["d", "w", "s"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_python_shorthands_are_those_of_re_on_all_code_points(letter: str, ascii_only: bool) -> None:
    found = {c for lo, hi in regex_classes.python_shorthand(letter, ascii_only) for c in range(lo, hi + 1)}
    oracle = re.compile(f"\\{letter}", re.ASCII if ascii_only else 0)
    assert found == {c for c in range(0x110000) if oracle.match(chr(c))}


def test_case_folding_is_that_of_re_on_all_cased_code_points() -> None:
    variants = regex_classes._case_variants()
    cased = [c for c in range(0x20000) if chr(c).lower() != chr(c) or chr(c).upper() != chr(c)]
    texts = "".join(map(chr, cased))
    for code in cased:
        if code % 3 == 0 or code < 0x250:
            oracle = {ord(m[0]) for m in re.finditer(re.escape(chr(code)), texts, re.IGNORECASE)}
            assert oracle == set(variants.get(code, (code,))), hex(code)


MALFORMED = [  # dialect, pattern, offset of the caret
    ("ecma", "(a", 0), ("ecma", "a)", 1), ("ecma", "*a", 0), ("ecma", "a**", 2), ("ecma", "a+{2}", 2),
    ("ecma", "[a", 0), ("ecma", "[b-a]", 1), ("ecma", "a{2,1}", 1), ("ecma", "ab\\", 2), ("ecma", r"\xg1", 0),
    ("ecma", r"a\u12", 1), ("ecma", r"\u{110000}", 0), ("ecma", r"\p{Nope}", 0), ("ecma", r"\A", 0),
    ("ecma", r"\Z", 0), ("ecma", r"\01", 0), ("ecma", r"\c1", 0), ("ecma", "(?<a>x)(?<a>y)", 7),
    ("ecma", "(?<1>x)", 3), ("ecma", "(?P<a>x)", 0), ("ecma", "^*", 0), ("ecma", "a{,3}", 1),
    ("ecma", r"\e", 0), ("ecma", "a|*", 2), ("ecma", "(?=a)*", 0), ("ecma", "(?", 0),
    ("ecma", r"[\p{L}--a]", 1), ("ecma", "[\\", 1), ("python", "(?<a>x)", 0), ("python", r"[\w-z]", 1),
    ("python", r"\q", 0), ("python", "a(?i)b", 1), ("python", "(?#x", 0), ("python", "$*", 0),
    ("ecma", r"\b*", 0), ("python", r"\b*", 0), ("ecma", "(?<!a)+", 0), ("python", "(?<=a+)b", 0),
    ("python", "x(?<!a|bc)", 1), ("python", "(?<=(?:ab){1,2}|a{3})", 0),
    ("python", r"\u{41}", 0), ("python", r"\N{NO SUCH}", 0), ("python", "[]", 0), ("python", "(?-i)", 0),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "pattern", "offset"), MALFORMED)
def test_malformed_patterns_are_refused_with_a_caret(dialect: str, pattern: str, offset: int) -> None:
    with pytest.raises(GrammarError) as caught:
        parse(pattern, dialect)
    assert type(caught.value) is GrammarError
    assert caught.value.offset == offset, str(caught.value)
    assert str(caught.value).endswith(f"    {pattern}\n    {' ' * offset}^")


REFUSED = [
    ("ecma", r"(a)\1", 3), ("ecma", r"(?<n>a)\k<n>", 7), ("ecma", "(?>a)", 0), ("ecma", "a*+", 2),
    ("ecma", "(?i:a)", 0), ("ecma", r"a\p{CWKCF}", 1), ("python", r"(a)\1", 3), ("python", "(?P<n>a)(?P=n)", 8),
    ("python", "(a)?(?(1)b|c)", 4), ("python", "(?m)^a", 4), ("python", "(?>a)", 0),
    ("python", "a++", 2), ("python", r"(?=(a)\1)", 6),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "pattern", "offset"), REFUSED)
def test_what_is_not_supported_is_refused_with_its_place_and_reason(dialect: str, pattern: str, offset: int) -> None:
    for language in (search_language, fullmatch_language):
        with pytest.raises(UnsupportedError) as caught:
            language(pattern, dialect)
        assert caught.value.offset == offset and caught.value.what and caught.value.reason


def test_limits_end_what_would_explode() -> None:
    assert parse("a{1000000}", "ecma")
    with pytest.raises(LimitError, match="repetition"):
        parse("a{99999999999}", "ecma")
    with pytest.raises(LimitError, match="repetition"):
        parse("a{" + "9" * 10_000 + "}", "ecma")
    with pytest.raises(LimitError, match="nesting"):
        parse("(" * 5000 + ")" * 5000, "ecma")
    with pytest.raises(LimitError, match="nfa_size"):
        compile_regular(search_language("((a{9999}){9999}){9999}", "ecma"))
    with pytest.raises(LimitError, match="anchored"):
        search_language("(?:a|^){5000}", "ecma")
    compile_regular(search_language("(" * 100 + "a" + ")*" * 100, "ecma")).verify()
    assert compile_regular(search_language("(?:^|,)a(?:,|$)" * 40, "ecma")).accepts(b"a," + b",a," * 39)


def test_the_tree_keeps_groups_names_greediness_and_lookaround() -> None:
    ast = parse("(?<a>x)(?:y)(z)*?", "ecma")
    assert ast.groups == ("a", None)
    first, _, third = ast.root.items
    assert isinstance(first, Group) and (first.number, first.name) == (1, "a")
    assert isinstance(third, Repetition) and not third.greedy and third.item.number == 2
    assert not ast.lookaround and parse(r"(?:a|\b)*", "ecma").lookaround
    look = parse("(?<!a)", "python").root
    assert isinstance(look, Look) and not look.ahead and look.negative


def test_an_unknown_dialect_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="dialect"):
        parse("a", "perl")  # type: ignore[arg-type]
