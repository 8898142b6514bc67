"""Grammars of choices and of spans against lists of all their texts, and the automata with sparse rows beneath them."""

from __future__ import annotations

import gc
import itertools
import json
import random
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
import naive
import vocabularies
from bridle import Grammar
from bridle.automata import regular
from bridle.automata.acyclic import Strings, minimal_automaton, trie
from bridle.automata.errors import SavedGrammarError
from bridle.automata.regular import compile_regular
from bridle.automata.shared_stores import store_for
from bridle.grammar import choices as choices_module
from bridle.grammar.choices import Choices
from bridle.grammar.composition import node_of
from bridle.grammar.rule_states import root_payload
from bridle.grammar.rules import Choice, Repeat, Rule, RuleSet, Sequence, Terminal
from naive_choices import Listed, paths, spans
from oracle import allowed_tokens, compare, vocabulary_of

LETTERS = "ab\n'é日"
TOKENS = [bytes((b,)) for b in b"abcx, \n'\"\\.1"] + [
    "é".encode(), b"\xc3", b"\xa9a", "日本".encode(), b"\xe6\x97", b"\xa5", b"ab", b"aba", b"bb", b"a,", b",a", b"a\n",
    b"'a", b", ", b"b b", b"n",
]  # fmt: skip
TEXTS = st.text(LETTERS, max_size=6)
SLOWLY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["table", "sparse rows"])
def rows(request, monkeypatch):
    """Runs a test with automata as tables, and once more with sparse rows however small they are."""
    if request.param == "sparse rows":
        monkeypatch.setattr(choices_module, "_TABLE", 0)
    return request.param


def compare_all(grammar, texts, most=40):
    """Compares masks, acceptance and the masks' slow twins at every place of some texts and behind them."""
    compiled = bridle.compile(grammar, vocabulary_of(TOKENS))
    oracle = Listed(texts)
    shown = sorted(oracle.texts)
    for text in shown[:most] + [text + b"a" for text in shown[:4]]:
        compare(compiled, oracle, text)
    matcher = bridle.Matcher(compiled)
    bitmask = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    for byte in shown[len(shown) // 2]:
        matcher.fill_reference_bitmask(bitmask)
        assert allowed_tokens(matcher) == allowed_tokens_of(bitmask)
        assert matcher.accept_bytes(bytes((byte,)))


def allowed_tokens_of(bitmask):
    return set(np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")).tolist())


# ------------------------------------------------------------------------------------------------ the automata


def language_of(automaton):
    """All texts of an acyclic automaton."""
    found, waiting = set(), [(automaton.start, b"")]
    while waiting:
        state, text = waiting.pop()
        if automaton.accepting[state]:
            found.add(text)
        for edge in range(int(automaton.first[state]), int(automaton.first[state + 1])):
            waiting.append((int(automaton.target[edge]), text + bytes((int(automaton.label[edge]),))))
    return found


BYTES = st.lists(st.binary(max_size=20) | st.text("ab", max_size=24).map(str.encode), min_size=1, max_size=40)


@given(BYTES)
@SLOWLY
def test_the_minimal_automaton_accepts_just_the_strings_with_no_state_too_many_small(strings):
    automaton = minimal_automaton(Strings.of(strings))
    automaton.verify()
    assert language_of(automaton) == set(strings)
    prefixes = {text[:i] for text in strings for i in range(len(text) + 1)}
    rests = {frozenset(text[len(p) :] for text in strings if text.startswith(p)) for p in prefixes}
    assert automaton.n_states == len(rests)
    assert all(automaton.accepts(text) for text in strings)
    assert automaton.accepts(b"aab") == (b"aab" in strings)


@given(BYTES)
@SLOWLY
def test_the_trie_has_a_state_for_each_prefix_and_tells_which_string_ends_there_small(strings):
    made = trie(Strings.of(strings))
    made.automaton.verify()
    assert made.automaton.n_states == len({text[:i] for text in strings for i in range(len(text) + 1)})
    for text in strings:
        state = made.automaton.state_after(text)
        assert made.automaton.accepting[state]
        assert strings[made.string_at(state)] == text and made.string_at(state) == strings.index(text)


@given(st.lists(st.binary(max_size=5) | st.binary(min_size=1, max_size=3).map(lambda b: b * 9), max_size=300))
@SLOWLY
def test_strings_are_sorted_by_their_bytes_and_equal_ones_as_they_stand_small(strings):
    from bridle.automata.acyclic_kernels import sort_strings

    order = np.empty(len(strings), np.int32)
    sort_strings(*Strings.of(strings), order)
    assert order.tolist() == sorted(range(len(strings)), key=lambda i: (strings[i], i))


def test_many_random_strings_are_sorted():
    rng = random.Random(4)
    strings = [bytes(rng.choices(b"\x00\x01ab\xff", k=rng.randrange(24))) for _ in range(30_000)]
    from bridle.automata.acyclic_kernels import sort_strings

    order = np.empty(len(strings), np.int32)
    sort_strings(*Strings.of(strings), order)
    assert [strings[i] for i in order.tolist()] == sorted(strings)


def test_a_sparse_automaton_becomes_the_table_of_its_language():
    texts = ["", "a", "ab", "日本", "b\x00", "zz"]
    table = minimal_automaton(Strings.of(texts)).dense()
    table.verify()
    assert table == compile_regular(regular.alternation(*map(regular.literal, texts)))
    every_byte = minimal_automaton(Strings.of([bytes((b, b)) for b in range(256)])).dense()
    every_byte.verify()
    assert all(every_byte.accepts(bytes((b, b))) for b in range(256)) and not every_byte.accepts(b"ab")


# ------------------------------------------------------------------------------------------------ one set


@given(st.lists(TEXTS, min_size=1, max_size=12))
@SLOWLY
def test_masks_of_choices_equal_the_lists(rows, texts):
    compare_all(Grammar.from_choices(texts), texts)


def test_masks_of_choices_equal_the_lists_small(rows):
    texts = ["a", "ab", "aba", "", "bbx", "日本", "é", "a", "a,a"]
    grammar = Grammar.from_choices(texts)
    assert isinstance(grammar.root, Choices) == (rows == "sparse rows")
    compare_all(grammar, texts)


def test_choices_may_be_bytes_and_are_taken_as_they_are(rows):
    texts = [b"\x80\x00", b"\xc3", "é", b"a"]
    compare_all(Grammar.from_choices(texts), texts)
    assert bridle.validate(Grammar.from_choices(texts), b"\x80\x00") and not bridle.validate(
        Grammar.from_choices(texts), b"\x80"
    )


def test_choices_as_json_strings_are_written_as_json_dumps_writes_them(rows):
    texts = ['a"b', "a\\", "\n", "é日", "", "\x7f"]
    compare_all(Grammar.from_choices(texts, json=True), [json.dumps(text, ensure_ascii=False) for text in texts])


def test_any_iterable_of_texts_is_taken():
    assert bridle.validate(Grammar.from_choices(str(i) for i in range(20)), "17")
    assert bridle.validate(Grammar.from_choices({"a": 1, "b": 2}), "b")
    assert bridle.validate(Grammar.from_choices(frozenset(("x",))), "x")


@pytest.mark.parametrize(
    ("choices", "options", "error", "message"),
    [
        ([], {}, bridle.UnsatisfiableError, "there are no choices"),
        ("abc", {}, bridle.GrammarError, "one text"),
        (["a", 3, "b"], {}, bridle.GrammarError, r"choice 1 is 3 \(int\)"),
        (["a", "b\ud800"], {}, bridle.GrammarError, "choice 1 has a lone surrogate"),
        ([b"a", "b\udfff"], {}, bridle.GrammarError, "choice 1 has a lone surrogate"),
        (["a", b"b"], {"json": True}, bridle.GrammarError, "choice 1 is bytes"),
        (["a\ud800"], {"json": True}, bridle.GrammarError, "choice 0 has a lone surrogate"),
        (["a"], {"separator": " "}, ValueError, "then"),
        (["a"], {"depth": 2}, ValueError, "then"),
        (["a"], {"then": list, "depth": 0}, ValueError, "at least one choice"),
    ],
)
def test_what_is_no_choice_is_refused_with_its_index(choices, options, error, message):
    with pytest.raises(error, match=message):
        Grammar.from_choices(choices, **options)


def test_a_surrogate_is_shown_in_its_text():
    with pytest.raises(bridle.GrammarError) as caught:
        Grammar.from_choices(["fine", "ab\ud800"])
    assert (caught.value.text, caught.value.offset) == ("ab\ud800", 2)


def test_what_is_forced_and_expected_is_told(rows):
    matcher = bridle.Matcher(
        bridle.compile(Grammar.from_choices(["London", "Lisbon", "Paris"]), vocabularies.byte_level())
    )
    assert matcher.forced_bytes() == b"" and matcher.explain("x").expected == ("'L'", "'P'")
    assert matcher.accept_bytes("Li")
    assert matcher.forced_bytes() == b"sbon"
    assert matcher.explain("Lisbon").offset == 0


# ------------------------------------------------------------------------------------------------ within other grammars


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        (lambda names: Sequence((names, Repeat(Sequence((Terminal(regular.literal(",")), names)), 0, None))), "N(,N)*"),
        (lambda names: Repeat(names, 0, None), "N*"),
        (lambda names: Sequence((Terminal(regular.literal("'")), names, Terminal(regular.literal("'a")))), "'N'a"),
        (
            lambda names: Choice((Sequence((names, Terminal(regular.literal("x")))), Terminal(regular.literal("abx")))),
            "Nx|abx",
        ),
        (lambda names: Sequence((names, names)), "NN"),
    ],
)
@pytest.mark.parametrize("texts", [["a", "ab", "bb", "a,a"], ["", "ab", "b"]])
def test_masks_of_choices_within_rules_equal_the_oracles(rows, shape, pattern, texts):
    node = node_of(Grammar.from_choices(texts))
    root, _ = root_payload(RuleSet({"root": Rule("root", shape(node))}, "root"))
    compiled = bridle.compile(Grammar(root, source="rules"), vocabulary_of(TOKENS))
    oracle = naive.regex(pattern.replace("N", f"({'|'.join(texts)})"))
    for text in itertools.product(["a", "b", ",", "ab", "'", "x"], repeat=3):
        compare(compiled, oracle, "".join(text).encode())


# ------------------------------------------------------------------------------------------------ choices after choices


@given(st.integers(0, 10_000), st.sampled_from(["", ",", ", "]), st.booleans())
@SLOWLY
def test_masks_of_dependent_choices_equal_the_lists_of_their_paths(seed, separator, quoted):
    rng = random.Random(seed)
    answers = {}

    def texts():
        return [rng.choice(["a", "ab", "b", "bb", "é", "日本", "a,"]) for _ in range(rng.randrange(4))]

    def then(path):
        if path not in answers:
            ended = len(path) == 3 or rng.random() < 0.3
            answers[path] = None if ended and rng.random() < 0.8 else [] if ended else texts()
        return answers[path]

    first = [*texts(), "a"]
    quote = (lambda text: json.dumps(text, ensure_ascii=False)) if quoted else str
    want = paths(first, then, separator, quote)
    if not want:
        with pytest.raises(bridle.UnsatisfiableError):
            Grammar.from_choices(first, then=then, separator=separator, json=quoted)
        return
    compare_all(Grammar.from_choices(first, then=then, separator=separator, json=quoted), want)


def facts_of_people():
    return {
        "Ada": {"knows": ["Babbage", "Byron"], "born in": ["London"]},
        "Adam": {"ate": ["an apple"], "lost": []},
        "Eve": {"lost": []},
    }


def test_a_choice_with_nothing_behind_it_is_not_offered_small():
    facts = facts_of_people()
    asked = []

    def then(path):
        asked.append(path)
        return (list(facts[path[0]]), facts[path[0]].get(path[-1]), None)[len(path) - 1]

    grammar = Grammar.from_choices(facts, then=then, separator=" > ")
    matcher = bridle.Matcher(bridle.compile(grammar, vocabularies.byte_level()))
    assert matcher.explain("E").expected == ("'A'",)
    assert not any(len(path) == 3 and path[0] == "Adam" and path[1] == "lost" for path in asked)
    asked.clear()
    assert matcher.accept_bytes("Adam")
    assert matcher.forced_bytes() == b" > ate > an apple"
    assert not any(path[0] == "Ada" for path in asked), "a set is made when a text comes to it"
    matcher.reset()
    assert matcher.accept_bytes("Ada > k")
    assert matcher.forced_bytes() == b"nows > B"
    assert matcher.accept_bytes("nows > Byron") and matcher.is_accepting()
    matcher.rollback(2)
    assert not matcher.accept_bytes("Ada > ate")
    assert bridle.validate(grammar, "Ada > born in > London") and not bridle.validate(grammar, "Eve > lost > x")


def test_with_a_depth_only_what_was_chosen_is_asked_for():
    asked = []

    def then(path):
        asked.append(path)
        return [f"{path[-1]}{i}" for i in range(3)] if path != ("b", "b1") else []

    grammar = Grammar.from_choices(["a", "b", "c"], then=then, depth=3, separator="/")
    matcher = bridle.Matcher(bridle.compile(grammar, vocabularies.byte_level()))
    assert allowed_tokens(matcher) and matcher.accept_bytes("a/a") and not matcher.is_accepting()
    assert asked == [("a",)]
    assert matcher.accept_bytes("2/a21") and matcher.is_accepting()
    assert asked == [("a",), ("a", "a2")]
    matcher.reset()
    with pytest.raises(bridle.GrammarError, match=r"nothing after \('b', 'b1'\): with depth=3"):
        matcher.accept_bytes("b/b1/b")
    want = paths("ac", lambda path: then(path) if len(path) < 3 else None, "/")
    compare_all(Grammar.from_choices(["a", "c"], then=then, depth=3, separator="/"), want)


def test_dependent_choices_come_to_an_end_or_are_refused():
    with pytest.raises(bridle.UnsatisfiableError, match="no path is complete"):
        Grammar.from_choices(["a"], then=lambda path: [])
    with pytest.raises(bridle.LimitError, match="choices of one path"):
        Grammar.from_choices(["a"], then=lambda path: ["a"])
    with pytest.raises(bridle.LimitError, match="without a complete path"):
        Grammar.from_choices(["a"], then=lambda path: map(str, range(1 << 20)) if len(path) == 1 else [])
    # A path may be as long as it likes, if each of its sets has a way out.
    endless = Grammar.from_choices(["a"], then=lambda path: None if path[-1] == "x" else ["x", "a"], separator=",")
    assert bridle.validate(endless, ",".join("a" * 300) + ",x")


def test_what_then_says_is_looked_at():
    for answer, message in (
        (["b", 3], r"choice 1 after \('a',\) is 3"),
        ("bc", "are one text"),
        (["\ud800"], "surrogate"),
    ):
        with pytest.raises(bridle.GrammarError, match=message):
            grammar = Grammar.from_choices(["a"], then=lambda path, a=answer: (a, None)[len(path) - 1], separator=" ")
            bridle.validate(grammar, "a b")
    grammar = Grammar.from_choices(["", "a"], then=lambda path: ["b"] if len(path) == 1 else None)
    with pytest.raises(bridle.GrammarError, match="without a separator"):
        bridle.validate(grammar, "ab")
    spoken = iter([["b"], None, ["b"], None])
    grammar = Grammar.from_choices(["a"], then=lambda path: next(spoken, []), separator=" ")
    with pytest.raises(bridle.GrammarError, match="had said otherwise"):
        bridle.validate(grammar, "a b")


def test_an_error_of_then_comes_out_and_the_matcher_goes_on():
    broken = True

    def then(path):
        if broken and path == ("b",):
            raise KeyError("no such entity")
        return ["c"] if len(path) == 1 else None

    matcher = bridle.Matcher(
        bridle.compile(Grammar.from_choices(["a", "b"], then=then, separator=" "), vocabularies.byte_level())
    )
    with pytest.raises(KeyError, match="no such entity"):
        allowed_tokens(matcher)
    broken = False
    assert ord("b") in allowed_tokens(matcher) and matcher.accept_bytes("b c")


# ------------------------------------------------------------------------------------------------ spans


@given(
    st.lists(st.text(LETTERS + ".,_1 \r\u0301", max_size=12), min_size=1, max_size=2),
    st.sampled_from(["char", "word", "line"]),
)
@SLOWLY
def test_masks_of_spans_equal_the_lists(rows, documents, by):
    want = spans(documents, by)
    if not want:
        with pytest.raises(bridle.UnsatisfiableError):
            Grammar.from_substring(documents, by=by)
        want = {""}
        compare_all(Grammar.from_substring(documents, by=by, allow_empty=True), want)
        return
    compare_all(Grammar.from_substring(documents, by=by), want, most=12)


@given(st.lists(st.text("ab'é.1 \n", max_size=24), min_size=1, max_size=3), st.sampled_from(["char", "word", "line"]))
@settings(deadline=None, max_examples=300)
def test_the_automaton_of_a_text_accepts_just_its_spans_small(documents, by):
    from bridle.grammar.substring import span_automaton

    want = spans(documents, by)
    automaton = span_automaton(documents, by, accepts_empty=True)
    automaton.verify()
    assert {text.decode() for text in language_of(automaton)} == want | {""}


def test_spans_are_cut_where_they_should_be():
    text = "\ufeffIt's 12,5 m (or 3.);  naïve_x “don’t”\r\n\r\nEnd. 'a'"
    words = ["It's", "12,5 m", "3", ".", "naïve_x “don’t”\r\n\r\nEnd", "don’t”", "'", "a"]
    by_word = Grammar.from_substring(text, by="word")
    assert all(bridle.validate(by_word, word) for word in words)
    assert not any(bridle.validate(by_word, word) for word in ["It", "12", "'s", " m", "3 ", "naïve", "t", "\r\n", ""])
    by_line = Grammar.from_substring(text, by="line", allow_empty=True)
    assert bridle.validate(by_line, "End. 'a'") and bridle.validate(by_line, "") and bridle.validate(by_line, text)
    assert not any(bridle.validate(by_line, line) for line in ["End.", "\r\n", text[:-1], text[1:]])
    by_char = Grammar.from_substring(text)
    assert bridle.validate(by_char, "ve_x “d") and not bridle.validate(by_char, "vex")
    assert not bridle.validate(by_char, "naïve"[2:3].encode()[1:]), "no span begins within a character"


def test_no_span_has_parts_of_two_documents(rows):
    documents = ["a b\n", "\nb c", "", " ", "c"]
    for by in ("char", "word", "line"):
        grammar = Grammar.from_substring(documents, by=by)
        compare_all(grammar, spans(documents, by))
        assert not bridle.validate(grammar, "b\n\nb")


def test_a_document_with_a_surrogate_is_refused_with_its_place():
    with pytest.raises(bridle.GrammarError, match="the document has a surrogate") as caught:
        Grammar.from_substring("ab\ncd\ud800")
    assert (caught.value.line, caught.value.column) == (2, 3)
    with pytest.raises(bridle.GrammarError, match="document 1 has a surrogate"):
        Grammar.from_substring(["ab", "\udfff"])
    with pytest.raises(bridle.GrammarError, match="document 0 is not str"):
        Grammar.from_substring([b"ab"])
    with pytest.raises(ValueError, match="not by 'page'"):
        Grammar.from_substring("ab", by="page")


# ------------------------------------------------------------------------------------------------ stores, files, memory


def test_an_automaton_is_freed_with_the_last_grammar_that_has_it(monkeypatch):
    monkeypatch.setattr(choices_module, "_TABLE", 0)
    vocabulary = vocabulary_of(TOKENS)
    texts = ["aba", "abb", "b"]

    def masks():
        grammar = Grammar.from_choices(texts)
        matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
        found = allowed_tokens(matcher)
        assert matcher.accept_bytes("ab")
        return grammar, matcher, [found, allowed_tokens(matcher)]

    one, first, found = masks()
    other, second, again = masks()
    freed = weakref.ref(one.root.automaton)
    del one, first
    gc.collect()
    # The second machine holds what the store refers to, whichever of the equal objects that is.
    assert again == found and second.accept_bytes("a")
    del other, second
    gc.collect()
    assert freed() is None
    _, _, later = masks()
    assert later == found
    assert len(store_for(vocabulary)._sparse) == 1, "an equal automaton has the old one's numbers"


def test_choices_in_a_table_are_saved_and_those_with_sparse_rows_refused(tmp_path, monkeypatch):
    vocabulary = vocabularies.byte_level()
    grammars = [
        Grammar.from_choices(["a", "ab", "name"]),
        Grammar.from_choices([b"\xfd", "é"]),
        Grammar.from_choices(['"'], json=True),
        Grammar.from_substring(["the name", "12"], by="word", allow_empty=True),
    ]
    for grammar in grammars:
        compiled = bridle.compile(grammar, vocabulary)
        compiled.save(tmp_path / "kept")
        loaded = bridle.load(tmp_path / "kept", vocabulary)
        assert allowed_tokens(bridle.Matcher(loaded)) == allowed_tokens(bridle.Matcher(compiled))
        assert loaded.grammar.root == grammar.root and loaded.grammar.source == grammar.source
    monkeypatch.setattr(choices_module, "_TABLE", 0)
    dependent = Grammar.from_choices(["a"], then=lambda path: None)
    for grammar in (Grammar.from_choices(["a"]), Grammar.from_substring("a"), dependent):
        with pytest.raises(SavedGrammarError, match="cannot be saved"):
            bridle.compile(grammar, vocabulary).save(tmp_path / "refused")
    node = node_of(Grammar.from_choices(["a", "b"]))
    root, _ = root_payload(RuleSet({"root": Rule("root", node)}, "root"))
    composed = Grammar(root, source="rules", recipe=lambda: {"kind": "regex", "pattern": "a", "dialect": "python"})
    composed_again = bridle.compile(composed, vocabulary)
    monkeypatch.setattr(Grammar, "again", lambda self: self)
    with pytest.raises(SavedGrammarError, match="an automaton of 2 states"):
        composed_again.save(tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_files_of_other_grammars_hold_nothing_of_sparse_automata(tmp_path, monkeypatch):
    vocabulary = vocabulary_of(TOKENS)
    plain = bridle.compile(Grammar.from_regex("(a|b)*x"), vocabulary)
    monkeypatch.setattr(choices_module, "_TABLE", 0)
    sparse = bridle.Matcher(bridle.compile(Grammar.from_choices(["ab", "aba"]), vocabulary))
    want = allowed_tokens(sparse)
    plain.precompute()
    plain.save(tmp_path / "plain")
    loaded = bridle.load(tmp_path / "plain", vocabulary)
    assert allowed_tokens(bridle.Matcher(loaded)) == allowed_tokens(bridle.Matcher(plain))
    assert allowed_tokens(sparse) == want


def test_records_of_tables_and_of_sparse_rows_live_in_one_store_small(monkeypatch):
    monkeypatch.setattr(choices_module, "_TABLE", 0)
    vocabulary = vocabulary_of(TOKENS)
    for round in range(2):
        compare(bridle.compile(Grammar.from_choices(["ab", "aba"]), vocabulary), Listed(["ab", "aba"]), b"aba")
        pattern = "(a|b)*x" if round else "[ab]*bx?"
        compare(bridle.compile(Grammar.from_regex(pattern), vocabulary), naive.regex(pattern), b"abab")


def test_precomputing_choices_comes_to_every_place(rows):
    grammar = Grammar.from_choices(["ab", "aba", "bb"])
    compiled = bridle.compile(grammar, vocabulary_of(TOKENS))
    report = compiled.precompute()
    assert report.complete and report.reached >= 5
    compare(compiled, Listed(["ab", "aba", "bb"]), b"aba")


def test_sets_that_texts_came_to_count_as_memory_and_are_let_go():
    names = [f"{i:04d}" * 8 for i in range(3000)]
    grammar = Grammar.from_choices(
        map(str, range(100)), then=lambda path: [path[0] + n for n in names] if len(path) == 1 else None, separator=":"
    )
    compiled = bridle.compile(grammar, vocabularies.byte_level(), limits=bridle.Limits(memory=4 << 20))
    machines = set()
    for i in range(40):
        matcher = bridle.Matcher(compiled)
        assert matcher.accept_bytes(f"{i}:{i}0007")
        assert matcher.forced_bytes() == b"0007" * 7
        machines.add(id(matcher._machine))
        assert len(matcher._machine.sparse) < 30
    assert len(machines) > 1


# ------------------------------------------------------------------------------------------------ sizes


def many_names(n, seed=1):
    rng = random.Random(seed)
    parts = ["ka", "lo", "mi", "ren", "sto", "vel", "dor", "an", "ber", "tis", "gra", "no", "qui", "sel", "tor", "é"]
    names = set()
    while len(names) < n:
        words = [
            "".join(rng.choices(parts, k=rng.randrange(2, 6))).capitalize() for _ in range(rng.choice((1, 2, 2, 3)))
        ]
        names.add(" ".join(words))
    return sorted(names, key=hash)


@pytest.mark.slow
def test_a_million_names_are_all_there_and_no_others():
    names = many_names(1_000_000)
    grammar = Grammar.from_choices(names)
    automaton = grammar.root.automaton
    automaton.verify()
    assert automaton.nbytes < 100e6
    rng = random.Random(2)
    known = set(names)
    for name in rng.sample(names, 2000):
        assert automaton.accepts(name.encode())
        other = name[:-1] + rng.choice("aeé x")
        assert automaton.accepts(other.encode()) == (other in known)
    check_masks(grammar, rng.sample(names, 12), vocabularies.tekken())


@pytest.mark.slow
@pytest.mark.parametrize("by", ["char", "word", "line"])
def test_the_spans_of_a_megabyte_are_there(by):
    rng = random.Random(3)
    names = many_names(20_000)
    text = "".join(rng.choice(names) + rng.choice([" ", " ", ". ", ",\n", " 日本"]) for _ in range(60_000))[: 1 << 20]
    grammar = Grammar.from_substring(text, by=by)
    grammar.root.automaton.verify()
    units = text.split("\n") if by == "line" else text.split(" ") if by == "word" else list(text)
    glue = {"line": "\n", "word": " ", "char": ""}[by]
    picked = []
    for _ in range(12):
        at = rng.randrange(1, len(units) - 60)
        picked.append(glue.join(units[at : at + rng.randrange(1, 12)]))
    picked = [span for span in picked if span.strip() == span and span]
    assert picked
    check_masks(grammar, picked, vocabularies.tekken())


def check_masks(grammar, texts, vocabulary):
    """Compares masks with their slow twins along some texts of a large grammar."""
    compiled = bridle.compile(grammar, vocabulary)
    bitmasks = bridle.allocate_token_bitmask(2, vocabulary.size)
    for text in texts:
        matcher = bridle.Matcher(compiled)
        for i in range(0, min(len(text), 30), 3):
            matcher.fill_next_token_bitmask(bitmasks, 0)
            matcher.fill_reference_bitmask(bitmasks, 1)
            assert (bitmasks[0] == bitmasks[1]).all(), text[:i]
            assert matcher.accept_bytes(text[i : i + 3])
        matcher.reset()
        assert matcher.accept_bytes(text) and matcher.is_accepting()


@pytest.mark.parametrize("data", [b"a\xff", b"\xfe", b"\xff<s>\xfe1\xff"])
def test_bytes_that_special_tokens_are_spelled_with_are_no_choice(data):
    with pytest.raises(bridle.GrammarError, match=r"choice 1, .*has a byte FE or FF"):
        Grammar.from_choices(["a", data])
    with pytest.raises(bridle.GrammarError, match=r"the separator .*has a byte FE or FF"):
        Grammar.from_choices(["a"], then=lambda path: ["b"] if len(path) == 1 else None, separator=data)
