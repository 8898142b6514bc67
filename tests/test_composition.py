"""Composed grammars say what their parts say, captures are what the rule tells, and temperatures are those of parts."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bridle
from bridle.automata import regular
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.fragment import Fragment, Text, Warmth
from bridle.grammar import composition
from bridle.grammar.captures import names_in
from bridle.grammar.choices import choice_automaton
from bridle.grammar.composition import Apart, Heat
from bridle.grammar.empty_texts import Solid, accepts_empty
from bridle.grammar.grammar import Grammar
from bridle.grammar.rule_states import root_payload
from bridle.grammar.saved_grammars import grammar_of
from bridle.grammar.text_states import Padded
from naive_composition import Composed
from oracle import vocabulary_of

EXAMPLES = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
BYTES = vocabulary_of([bytes((b,)) for b in range(256)])
LETTERS = "ab1"
TOKENS = vocabulary_of(["".join(word).encode() for n in (1, 2, 3) for word in product(LETTERS, repeat=n)])

leaves = st.one_of(
    st.tuples(st.just("text"), st.text(LETTERS, max_size=2)),
    st.tuples(st.just("regex"), st.sampled_from(["a*", "[ab]", "a|ab", "(ab)*", "b?", "a+b*", ".", ""])),
    st.tuples(
        st.just("ebnf"),
        st.sampled_from(['root ::= "a" root "b" | ""', 'root ::= root "a" | "b"', 'root ::= "a" root? "a"']),
    ),
    st.tuples(st.just("json"), st.sampled_from(['{"const": 1}', '{"const": 11}'])),
)


def composed(trees):
    return st.one_of(
        st.lists(trees, max_size=3).map(lambda items: ("concat", *items)),
        st.lists(trees, min_size=1, max_size=3).map(lambda items: ("union", *items)),
        st.tuples(st.just("repeat"), trees, st.integers(0, 2), st.one_of(st.none(), st.integers(2, 3))),
        st.tuples(st.just("capture"), trees, st.sampled_from("xyz")),
        st.tuples(st.just("temperature"), trees, st.sampled_from([0.0, 0.5])),
    )


trees = st.recursive(leaves, composed, max_leaves=6)


def grammar_of_tree(tree) -> Grammar | str:
    kind, *rest = tree
    match kind:
        case "text":
            return rest[0]
        case "regex":
            return Grammar.from_regex(rest[0])
        case "ebnf":
            return Grammar.from_ebnf(rest[0])
        case "json":
            return Grammar.from_json_schema(rest[0], whitespace="compact")
        case "concat":
            return Grammar.concat(*map(grammar_of_tree, rest))
        case "union":
            return Grammar.union(*map(grammar_of_tree, rest))
    part = Grammar.concat(grammar_of_tree(rest[0]))
    if kind == "repeat":
        return part.repeat(rest[1], rest[2])
    return part.capture(rest[1]) if kind == "capture" else part.with_temperature(rest[1])


def short_texts(most):
    return ("".join(word) for n in range(most + 1) for word in product(LETTERS, repeat=n))


@EXAMPLES
@given(trees)
def test_composed_grammars_judge_all_short_texts_as_the_oracle_does(tree) -> None:
    grammar = Grammar.concat(grammar_of_tree(tree))
    n = Composed(tree, LETTERS + ".")
    for text in short_texts(4):
        verdict = bridle.validate(grammar, text)
        assert verdict.ok == n.accepts(text), text
        assert (verdict.offset == len(text)) == n.is_prefix(text), text


@EXAMPLES
@given(trees)
def test_captures_are_those_that_the_oracle_finds(tree) -> None:
    grammar = Grammar.concat(grammar_of_tree(tree))
    n = Composed(tree, LETTERS + ".")
    for text in short_texts(4):
        if not n.is_prefix(text):
            with pytest.raises(bridle.GrammarError, match="no sentence") if names_in(grammar.parts) else _nothing():
                grammar.captures(text)
            continue
        wanted: dict = {}
        for name, value in n.captures(text):
            wanted.setdefault(name, []).append(value)
        found = grammar.captures(text)
        assert {name: v if isinstance(v, list) else [v] for name, v in found.items()} == wanted, text


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


@EXAMPLES
@given(trees, st.text(LETTERS, max_size=3))
def test_masks_over_the_borders_of_parts_are_exact(tree, text) -> None:
    compiled = bridle.compile(Grammar.concat(grammar_of_tree(tree)), TOKENS)
    matcher = bridle.Matcher(compiled)
    while text and not matcher.accept_bytes(text):
        text = text[:-1]
    mask, slow = (bridle.allocate_token_bitmask(1, TOKENS.size) for _ in range(2))
    matcher.fill_next_token_bitmask(mask)
    matcher.fill_reference_bitmask(slow)
    assert (mask == slow).all()


@EXAMPLES
@given(trees)
def test_the_recipe_of_a_composed_grammar_makes_it_again(tree) -> None:
    grammar = Grammar.concat(grammar_of_tree(tree))
    again = grammar_of(grammar.recipe)
    assert repr(again) == repr(grammar) and again.notes == grammar.notes
    for text in short_texts(2):
        assert bridle.validate(again, text) == bridle.validate(grammar, text)
        if bridle.validate(grammar, text).offset == len(text):
            assert again.captures(text) == grammar.captures(text)


# What is nullable, and the rest of it.


class Spaced:
    """White space, or nothing: a fragment of which the empty text is one."""

    def expand(self) -> Fragment:
        return Fragment(ends=True, whitespace=2)

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spaced)


class Letters(Spaced):
    def __init__(self, least: int) -> None:
        self.least = least

    def expand(self) -> Text:
        return Text(regular.compile_regular(regular.Repeat(regular.literal("ab"), 0, None)), self.least, 3, None)

    def __hash__(self) -> int:
        return self.least

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Letters) and other.least == self.least


class Chain(Spaced):
    """One call after another."""

    def __init__(self, *targets) -> None:
        self.targets = targets

    def expand(self) -> Fragment:
        return Fragment(calls=((self.targets[0], self.targets[1]),))

    def __hash__(self) -> int:
        return 9

    def __eq__(self, other: object) -> bool:
        return self is other


STAR = regular.compile_regular(regular.Repeat(regular.literal("x"), 0, None))
ONE = regular.compile_regular(regular.literal("y"))
INVALID = regular.compile_regular(regular.Alternation((regular.EPSILON, regular.Bytes(b"\xfd"))))


@pytest.mark.parametrize(
    ("payload", "texts"),
    [
        (Spaced(), ["", " ", "\n\t"]),
        (Letters(0), ["", "ab", "abab", "ababab"]),
        (Chain(STAR, Spaced()), ["", "x", "xx", "x ", " ", "xx\t\n"]),
        (Chain(Spaced(), Letters(0)), ["", " ", "ab", " ab", "  abab"]),
        (Chain(Letters(0), None), ["", "ab"]),
        (Chain(Chain(STAR, None), Chain(Letters(0), Spaced())), ["", "x", "ab", "xab", "ab ", " "]),
        (Heat(STAR, 0.5), ["", "x", "xx"]),
        (Chain(INVALID, None), ["", b"\xfd"]),
    ],
)  # fmt: skip
def test_what_is_solid_is_all_but_the_empty_text(payload, texts) -> None:
    assert accepts_empty(payload)
    alone, solid = Grammar(payload, source="test"), Grammar(Solid(payload), source="test")
    for text in texts:
        assert bridle.validate(alone, text).ok
        assert bridle.validate(solid, text).ok == bool(text)
    for text in ("   ", "y", "abababab", "x   ", " x"):
        assert bridle.validate(alone, text).ok == bridle.validate(solid, text).ok
        assert bridle.validate(alone, text).offset == bridle.validate(solid, text).offset


@pytest.mark.parametrize(
    ("target", "empty"),
    [(None, True), (STAR, True), (ONE, False), (Letters(1), False), (Chain(STAR, ONE), False), (Padded(STAR), True)],
)
def test_a_target_is_nullable_if_no_byte_has_to_come(target, empty) -> None:
    assert accepts_empty(target) is empty


def test_parts_that_may_be_empty_can_be_repeated_without_end() -> None:
    nested = Grammar.from_ebnf('root ::= "(" root ")" | ""')
    grammar = (nested.repeat() + "." + nested).repeat().repeat(1, None)
    for text, ok in (("", True), ("()().", True), (".(())..()", True), ("()", False), (").", False)):
        assert bridle.validate(grammar, text).ok == ok, text


def test_regular_parts_become_one_automaton_across_their_borders() -> None:
    grammar = ("a" | Grammar.from_regex("b+").capture("b")) + Grammar.from_regex("c*")
    assert grammar.root == Grammar.from_regex("(a|b+)c*").root and isinstance(grammar.root, ByteDfa)


def test_any_number_of_compositions_can_be_nested() -> None:
    grammar = Grammar.from_regex("x").capture("x")
    for _ in range(150):
        grammar = (grammar + "a") | "b"
    assert bridle.validate(grammar, "x" + "a" * 150).ok
    assert bridle.validate(grammar, "b" + "a" * 20).ok
    assert not bridle.validate(grammar, "x" + "a" * 151).ok
    with pytest.raises(bridle.LimitError, match="nesting of a composed grammar"):
        grammar.captures("x" + "a" * 150)


def test_captures_are_found_below_many_compositions() -> None:
    grammar = Grammar.from_regex("x").capture("x")
    for _ in range(60):
        grammar = (grammar + "a") | "b"
    assert grammar.captures("x" + "a" * 60) == {"x": "x"} and grammar.captures("baa") == {}


def test_what_cannot_be_composed_is_refused() -> None:
    grammar = Grammar.from_regex("a")
    with pytest.raises(bridle.GrammarError, match="at least one"):
        Grammar.union()
    with pytest.raises(TypeError, match="not int: 3"):
        Grammar.concat("a", 3)
    with pytest.raises(TypeError):
        grammar + 3
    with pytest.raises(ValueError, match="from 3 to 2"):
        grammar.repeat(3, 2)
    with pytest.raises(ValueError, match="not empty"):
        grammar.capture("")
    with pytest.raises(bridle.GrammarError, match="surrogate"):
        grammar + "\ud800"
    for temperature in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="from 0 on"):
            grammar.with_temperature(temperature)
    with pytest.raises(bridle.LimitError):
        (Grammar.from_ebnf('root ::= "(" root? ")"') + "a").repeat(2, 200_000)


def test_choices_and_substrings_are_parts() -> None:
    choices = Grammar.from_choices(["", *(f"word {i}" for i in range(3000))])
    part = Grammar.from_substring("the quick brown fox " * 3)
    grammar = (choices.capture("c") + ";" + part.capture("s")).repeat(1, 2) + "." + choices.repeat()
    for text in ("word 7;t.", ";quick.", "word 2999;quick.word 1word 2", ";x;fox."):
        assert bridle.validate(grammar, text).ok, text
    for text in ("word 3000;x.", "word 7;.", ";x.word "):
        assert not bridle.validate(grammar, text).ok, text
    assert grammar.captures("word 7;q;fox.") == {"c": ["word 7", ""], "s": ["q", "fox"]}
    without = Grammar(Solid(Apart(choices.root)), source="test")
    assert not bridle.validate(without, "").ok and bridle.validate(without, "word 12").ok


def test_notes_and_gaps_are_those_of_the_parts() -> None:
    schema = Grammar.from_json_schema({"type": "array", "uniqueItems": True}, on_unsupported="report")
    grammar = "x" + schema + schema
    assert grammar.notes == schema.notes and grammar.unenforced == schema.unenforced != ()


def test_special_tokens_of_the_parts_are_named_by_the_whole() -> None:
    part = Grammar.from_ebnf('root ::= "a" <|end|>')
    tag = Grammar.from_structural_tag({"type": "grammar", "grammar": 'root ::= "a" <|end|>'})
    vocabulary = bridle.Vocabulary([b"x", b"a", b"", b""], stop_token_ids=3, special_tokens={"<|end|>": 2})
    for grammar in (
        "x" + part.capture("p"),
        ("x" + part).repeat(1, 2),
        "x" + tag.with_temperature(1),
        "x" + part | "y",
    ):
        assert [str(token) for token in grammar.special_tokens] == ["<|end|>"]
        matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
        assert all(map(matcher.accept_token, (0, 1, 2, 3)))
        with pytest.raises(bridle.GrammarError, match="end"):
            bridle.compile(grammar, BYTES)


# Captures.


def test_a_name_that_can_come_once_is_a_text_and_one_that_can_come_again_a_list() -> None:
    word = Grammar.from_regex("[a-z]+")
    one = word.capture("w") + "," + word.capture("v")
    assert one.captures("ab,c") == {"w": "ab", "v": "c"}
    assert (one + ";").repeat().captures("ab,c;") == {"w": ["ab"], "v": ["c"]}
    assert (word.capture("w") + "," + word.capture("w")).captures("ab,c") == {"w": ["ab", "c"]}
    assert ((word.capture("w") + "!") | (word.capture("w") + "?")).captures("ab?") == {"w": "ab"}
    assert (one | "-").captures("-") == {}


def test_captures_of_an_unfinished_text_are_those_that_have_ended() -> None:
    person = Grammar.from_json_schema({"type": "object", "properties": {"a": {"type": "integer"}}})
    grammar = "<" + Grammar.from_regex("[a-z]+").capture("tag") + ">" + person.capture("value") + "."
    texts = {"<ab": {}, "<ab>": {"tag": "ab"}, '<ab>{"a": 1': {"tag": "ab"}}
    texts['<ab>{"a": 12}'] = texts['<ab>{"a": 12}.'] = {"tag": "ab", "value": '{"a": 12}'}
    for text, wanted in texts.items():
        assert grammar.captures(text) == wanted
        matcher = bridle.Matcher(bridle.compile(grammar, BYTES))
        assert matcher.accept_bytes(text) and matcher.captures() == wanted
    with pytest.raises(bridle.GrammarError) as caught:
        grammar.captures("<ab>7")
    assert (caught.value.line, caught.value.column) == (1, 5)


def test_captures_cost_the_tables_nothing() -> None:
    part = Grammar.from_ebnf('root ::= "(" root ")" | [0-9]+')
    plain, named = "x" + part + ";", "x" + part.capture("a").capture("b") + ";"
    matchers = [bridle.Matcher(bridle.compile(grammar, BYTES)) for grammar in (plain, named)]
    for matcher in matchers:
        assert matcher.accept_bytes("x((12));")
    assert matchers[0].compiled.n_states == matchers[1].compiled.n_states
    assert matchers[1].captures() == {"a": "((12))", "b": "((12))"}


def test_captures_of_long_texts_take_time_linear_in_them() -> None:
    words = (Grammar.from_regex("[a-z]*").capture("w") + ",").repeat()
    assert len(words.captures("hello," * 20_000)["w"]) == 20_000


# Temperatures.


def temperatures(grammar: Grammar, text: str) -> list[float | None]:
    matcher = bridle.Matcher(bridle.compile(grammar, BYTES))
    found = [matcher.temperature()]
    for letter in text:
        assert matcher.accept_bytes(letter)
        found.append(matcher.temperature())
    return found


def test_the_innermost_part_in_progress_gives_the_temperature() -> None:
    word = Grammar.from_regex("[a-z]{2}")
    number = Grammar.from_json_schema({"enum": ["a", "b"]}, whitespace="compact")
    grammar = "(" + (word.with_temperature(0.9) + "=" + number.with_temperature(0)).with_temperature(0.3) + ")"
    assert temperatures(grammar, '(ab="a")') == [None, 0.9, 0.9, 0.3, 0, 0, 0, None, None]


def test_of_parts_that_could_all_go_on_the_warmest_gives_the_temperature() -> None:
    grammar = Grammar.from_regex("[ab]+").with_temperature(0.2) | Grammar.from_regex("a[a-z]c").with_temperature(0.7)
    assert temperatures(grammar, "aac") == [0.7, 0.7, 0.7, None]
    assert temperatures(grammar | "aad", "aab") == [0.7, 0.7, 0.7, 0.2]


def test_a_part_that_may_be_left_counts_while_it_may_go_on() -> None:
    grammar = Grammar.from_regex("a*").with_temperature(0.5) + Grammar.from_regex("b{2,3}").with_temperature(0.1)
    assert temperatures(grammar, "aabbb") == [0.5, 0.5, 0.5, 0.1, 0.1, None]
    counted = (
        Grammar.from_regex("[a-c]{0,100}").with_temperature(0.5) + "[" + Grammar.from_ebnf('root ::= "(" root? ")"')
    )
    assert temperatures(counted, "a" * 100 + "[(")[-4:] == [0.5, None, None, None]


def test_temperatures_survive_recursion_saving_and_a_new_machine(tmp_path) -> None:
    inner = Grammar.from_ebnf('root ::= "[" (root ("," root)*)? "]" | [0-9]')
    grammar = "x" + inner.with_temperature(0.25) + "y"
    assert temperatures(grammar, "x[[1],[2]]y") == [None] + [0.25] * 9 + [None, None]
    compiled = bridle.compile(grammar, BYTES)
    compiled.precompute()
    compiled.save(tmp_path / "grammar")
    matcher = bridle.Matcher(bridle.load(tmp_path / "grammar", BYTES))
    assert matcher.accept_bytes("x[[")
    assert matcher.temperature() == 0.25 and matcher.captures() == {}
    assert bridle.Matcher(bridle.compile(Grammar.from_regex("a"), BYTES)).temperature() is None


def test_the_end_of_a_warm_part_is_a_state_that_takes_no_byte() -> None:
    (edge,) = Warmth(1.0).expand().edges
    assert edge[0] > edge[1]
    grammar = Grammar.from_regex("a").with_temperature(1)
    assert bridle.validate(grammar, "a").ok
    for byte in (0, 255):
        assert bridle.validate(grammar, b"a" + bytes((byte,))).offset == 1


def test_temperatures_are_told_within_and_behind_choices_with_sparse_rows(monkeypatch):
    monkeypatch.setattr("bridle.grammar.choices._TABLE", 0)
    vocabulary = vocabulary_of([b"x", b"y", b"q", b"1", b" "])
    names = Grammar.from_choices(["x", "xy", "y"]).with_temperature(0.5) + " "
    matcher = bridle.Matcher(bridle.compile(names, vocabulary))
    assert matcher.temperature() == 0.5
    assert matcher.accept_bytes(b"x") and matcher.temperature() == 0.5
    assert matcher.accept_bytes(b"y") and matcher.temperature() is None
    paths = Grammar.from_choices(["x", "y"], then=lambda path: None if len(path) == 2 else ["", "q"])
    grammar = paths.with_temperature(0.1) + Grammar.from_regex("1+").with_temperature(0.9)
    matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
    assert matcher.temperature() == 0.1
    assert matcher.accept_bytes(b"x") and matcher.temperature() == 0.9  # a 1 may come, behind the empty choice
    assert matcher.accept_bytes(b"q") and matcher.temperature() == 0.9


MARK = "§"  # stands for a special token in the oracle's texts
WITH_TOKEN = bridle.Vocabulary(
    [bytes((b,)) for b in range(256)], stop_token_ids=256, special_tokens={"<a>": 257}, size=258
)


def with_marks(tree):
    """The tree with a special token for each of its leaves that is an `a`."""
    if tree == ("text", "a"):
        return ("ebnf", "root ::= <a>")
    return (tree[0], *[with_marks(item) if isinstance(item, tuple) else item for item in tree[1:]])


def marked(tree):
    if tree == ("text", "a"):
        return ("text", MARK)
    if tree[0] == "regex":  # no class of text holds the token
        return ("regex", tree[1].replace(".", f"[^\\n{MARK}]"))
    return (tree[0], *[marked(item) if isinstance(item, tuple) else item for item in tree[1:]])


@EXAMPLES
@given(trees)
def test_captures_beside_special_tokens_are_those_that_the_oracle_finds(tree) -> None:
    grammar = Grammar.concat(grammar_of_tree(with_marks(tree)))
    compiled = bridle.compile(grammar, WITH_TOKEN)
    n = Composed(marked(tree), LETTERS + "." + MARK)
    for text in ("".join(word) for k in range(4) for word in product(LETTERS + MARK, repeat=k)):
        matcher = bridle.Matcher(compiled)
        taken = all(matcher.accept_token(257) if c == MARK else matcher.accept_bytes(c) for c in text)
        assert taken == n.is_prefix(text), text
        if not taken:
            continue
        wanted: dict = {}
        for name, value in n.captures(text):
            wanted.setdefault(name, []).append(value.replace(MARK, "<a>"))
        found = matcher.captures()
        assert {name: v if isinstance(v, list) else [v] for name, v in found.items()} == wanted, text


def test_a_name_in_a_text_is_a_special_token_or_text_whatever_makes_a_sentence():
    part = Grammar.from_regex("[<ab>]*").capture("text") + Grammar.from_ebnf("root ::= <a>").capture("token")
    assert part.captures("b<a>") == {"text": "b", "token": "<a>"}
    assert part.captures("<a><a>") == {"text": "<a>", "token": "<a>"}
    assert part.captures("<a>") == {"text": "", "token": "<a>"}
    assert part.captures("<a>b") == {}  # a token has yet to come
    matcher = bridle.Matcher(bridle.compile(part, WITH_TOKEN))
    assert matcher.accept_bytes("<a>") and matcher.captures() == {}
    assert matcher.accept_token(257) and matcher.captures() == {"text": "<a>", "token": "<a>"}
    by_id = Grammar.from_ebnf("root ::= <[257]>").capture("id") + "!"
    assert by_id.captures("<[257]>!") == {"id": "<[257]>"}
    matcher = bridle.Matcher(bridle.compile(by_id, WITH_TOKEN))
    assert matcher.accept_token(257) and matcher.captures() == {"id": "<a>"}
    rules = Grammar.from_ebnf('root ::= "(" root ")" | <a> | "<a>"').capture("x") + "."
    assert rules.captures("((<a>)).") == {"x": "((<a>))"}
    with pytest.raises(bridle.GrammarError, match="no sentence"):
        rules.captures("((<b>)).")


def test_a_special_token_is_a_part_and_text_where_the_vocabulary_has_it_as_text(tmp_path):
    def part(name):
        return Grammar.special_token(name)

    grammar = part("<a>") + Grammar.free_text("</a>").capture("x") + part("</a>") + "!"
    assert grammar.captures("<a>b<a></a>!") == {"x": "b<a>"}
    bytes_ = [bytes((b,)) for b in range(256)]
    special = bridle.Vocabulary(bytes_, stop_token_ids=259, special_tokens={"<a>": 257, "</a>": 258}, size=260)
    half = bridle.Vocabulary([*bytes_, b"", b"", b"</a>"], stop_token_ids=256, special_tokens={"<a>": 257})
    bridle.compile(grammar, special).save(tmp_path / "parts")
    for compiled in (bridle.compile(grammar, special), bridle.load(tmp_path / "parts", special)):
        matcher = bridle.Matcher(compiled)
        assert not matcher.accept_bytes("<a>") and matcher.accept_token(257) and matcher.accept_bytes("b<a>")
        assert not matcher.accept_bytes("</a>") and matcher.accept_token(258) and matcher.accept_bytes("!")
        assert matcher.is_accepting() and matcher.captures() == {"x": "b<a>"}
    matcher = bridle.Matcher(bridle.compile(grammar, half))
    assert matcher.accept_token(257) and matcher.accept_bytes("b</") and matcher.accept_bytes("a>!")
    assert matcher.is_accepting() and matcher.captures() == {"x": "b"}
    with pytest.raises(bridle.GrammarError, match="no special token '</a>'"):
        bridle.compile(grammar, WITH_TOKEN)


def test_stop_tokens_are_captured_where_they_are_a_part_of_the_sentence():
    ends = bridle.Vocabulary([b"a", b"b"], stop_token_ids=2, special_tokens={"<end>": 2}, size=3)
    for text, steps, wanted in (
        ('"a" <end>', [0, 2], "a<end>"),
        ('"a" <end> "b"', [0, 2, 1, 2], "a<end>b"),
        ('"a"', [0, 2], "a"),
        ("<end>* <end>", [2], "<end>"),
    ):
        grammar = Grammar.from_ebnf(f"root ::= {text}").capture("x") + ""
        matcher = bridle.Matcher(bridle.compile(grammar, ends))
        assert all(map(matcher.accept_token, steps))
        assert matcher.captures() == {"x": wanted}


def test_templates_with_special_tokens_have_values():
    calls = Grammar.from_structural_tag({"type": "tag", "begin": "<a>", "content": {"type": "any_text"}, "end": "b"})
    grammar = Grammar.from_template("{call}: {n}", call=calls, n=int)
    wanted = {"call": "<a>xb", "n": 3}
    assert grammar.parse("<a>xb: 3") == wanted and grammar.bound_to(WITH_TOKEN).parse("<a>xb: 3") == wanted
    matcher = bridle.Matcher(bridle.compile(grammar, WITH_TOKEN))
    assert matcher.accept_token(257) and matcher.accept_bytes("xb: 3")
    assert matcher.captures() == {"call": "<a>xb", "n": "3"} and matcher.text() == b"xb: 3"


def test_automata_without_the_empty_text_count_as_their_originals_do():
    automaton = choice_automaton(["", "a", "ab"], json=False)
    automaton.is_kept = False
    assert not automaton.without_empty().is_kept


def test_a_regex_is_a_part_like_a_grammar():
    digits = bridle.Regex("[0-9]+")
    number = Grammar.from_regex("[0-9]+")
    for grammar in (
        "n=" + number + digits,
        Grammar.concat("n=", digits),
        digits | Grammar.from_regex("n=[0-9]+"),
        Grammar.from_template("n={n}", n=digits),
    ):
        assert bridle.validate(grammar, "n=12") and not bridle.validate(grammar, "n=x")
    assert bridle.validate((digits + number).again(), "12")
    with pytest.raises(ValueError, match="has its dialect and flags already"):
        Grammar.from_regex(digits, dialect="ecma")


@pytest.mark.parametrize("text", [3, [97, 98], None])
def test_what_is_no_text_is_no_text(text):
    for ask in (bridle.validate, Grammar.captures):
        with pytest.raises(TypeError, match="a text is str or bytes, not"):
            ask(Grammar.from_regex("a*").capture("a"), text)


def test_a_separator_is_a_text():
    with pytest.raises(TypeError, match="a separator is str or bytes, not int"):
        Grammar.from_choices(["a"], then=lambda path: None, separator=3)
    with pytest.raises(bridle.GrammarError, match="lone surrogate"):
        Grammar.from_choices(["a"], then=lambda path: None, separator="\ud800")


MEMBERS = Grammar.from_json_schema({
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"],
    "additionalProperties": False,
})  # fmt: skip


@pytest.mark.parametrize(("grammar", "text"), [
    (MEMBERS + ";", '{"b": [ ] ,"a":2};'),
    ("<" + MEMBERS.capture("it") + ">", '<\n{"b":\t1, "a":2}\n>'),
    ((MEMBERS | "none").repeat(1, 3), '{"b":1,"a":2}none {"a" : 1}'),
    (MEMBERS.with_temperature(0.5), '{"b":1,"a":2}'),
    (MEMBERS.with_temperature(0.5).capture("it") + MEMBERS.repeat(1), '{"b":1,"a":2}' + " " * 300 + '{"a":1}'),
])  # fmt: skip
def test_json_in_a_composition_is_read_in_any_order_with_any_white_space(grammar: Grammar, text: str) -> None:
    assert bridle.validate(grammar, text)
    assert not bridle.validate(grammar, text, as_generated=True)
    assert not bridle.validate(grammar, text.replace('"a"', '"c"'))


def test_json_far_down_in_a_composition_is_read_in_any_order() -> None:
    grammar = MEMBERS
    for _ in range(60):
        grammar = ("(" + grammar + ")").repeat(1, 2).capture("deep")
    assert bridle.validate(grammar, "(" * 60 + '{"b":1,"a":2}' + ")" * 60)


def test_captures_of_json_that_something_else_has_written_are_told() -> None:
    grammar = MEMBERS.capture("it") + ";" + Grammar.from_regex("[a-z ]*").capture("rest")
    assert grammar.captures('{"a": 1}; x') == {"it": '{"a": 1}', "rest": " x"}
    assert grammar.captures('{"b":1,"a":2}; x') == {"it": '{"b":1,"a":2}', "rest": " x"}


def test_a_grammar_that_grows_in_a_loop_is_compiled_once(monkeypatch) -> None:
    compiled = []
    monkeypatch.setattr(composition, "root_payload", lambda rules: (compiled.append(rules), root_payload(rules))[1])
    for grow in (Grammar.__add__, Grammar.__or__):
        grammar = Grammar.from_regex("[a-z]")
        for i in range(1500):
            grammar = grow(grammar, f"{i};")
        assert not compiled
        text = "a" + "".join(f"{i};" for i in range(1500)) if grow is Grammar.__add__ else "1499;"
        assert bridle.validate(grammar, text) and len(compiled) == 1
        again = grammar.again()  # its recipe is as long, not as deep
        assert bridle.validate(again, text) and len(again.recipe["parts"]) == 1501
        compiled.clear()


@pytest.mark.parametrize("name", ["concat", "template", "tag"])
def test_what_is_composed_of_a_grammar_that_is_bound_can_be_precomputed_saved_and_bound_again(name, tmp_path):
    tag = Grammar.from_structural_tag({"type": "tag", "begin": "<a>", "content": {"type": "any_text"}, "end": "b"})
    part = bridle.compile(tag, WITH_TOKEN).grammar
    assert isinstance(part, Grammar) and part.special_tokens
    grammar = {
        "concat": lambda: "x" + part,
        "template": lambda: Grammar.from_template("x{call}", call=part),
        "tag": lambda: Grammar.from_structural_tag(
            {"type": "sequence", "elements": [{"type": "const_string", "value": "x"}, part]}
        ),
    }[name]()
    compiled = bridle.compile(grammar, WITH_TOKEN)
    compiled.precompute()
    found = [compiled]
    if name != "tag":
        compiled.save(tmp_path / "bound")
        found.append(bridle.load(tmp_path / "bound", WITH_TOKEN))
    for each in found:
        matcher = bridle.Matcher(each)
        assert matcher.accept_bytes("x") and not matcher.fork().accept_bytes("<a>") and matcher.accept_token(257)
        assert matcher.accept_bytes("cb") and matcher.is_accepting()
    texts = bridle.Matcher(bridle.compile(grammar, vocabulary_of([bytes((b,)) for b in range(256)])))
    assert texts.accept_bytes("x<a>cb") and texts.is_accepting()


def test_a_grammar_with_special_tokens_may_grow_in_a_loop():
    grammar = Grammar.special_token("<a>")
    for _ in range(2000):
        grammar = grammar + "b"
    matcher = bridle.Matcher(bridle.compile(grammar, WITH_TOKEN))
    assert matcher.accept_token(257) and matcher.accept_bytes("b" * 2000) and matcher.is_accepting()
    for _ in range(2000):
        grammar = (grammar | "c").capture("x")
    with pytest.raises(bridle.LimitError, match="nesting of a composed grammar"):
        bridle.compile(grammar, WITH_TOKEN)


def test_what_is_nested_too_deeply_to_be_saved_can_be_precomputed(tmp_path):
    grammar = Grammar.from_regex("a")
    for _ in range(2000):
        grammar = (grammar | "c").capture("x")
    compiled = bridle.compile(grammar, WITH_TOKEN)
    assert compiled.precompute(states=5).reached
    with pytest.raises(bridle.SavedGrammarError, match="too deep"):
        compiled.save(tmp_path / "deep")
