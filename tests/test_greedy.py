"""Greedy leaves, steps and masks against the naive twin, and what may come after them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import bridle
from bridle.automata import table_kernels
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.cache_dir import sealed, unsealed
from bridle.automata.compiled import compile_grammar
from bridle.automata.fragment import Fragment
from bridle.automata.greedy_dfa import BLOCKED, GreedyDfa
from bridle.automata.place_kernels import END
from bridle.automata.record_kernels import P_PLACE, P_STOP
from bridle.automata.regular import EMPTY, RegularLimits, compile_regular, literal
from bridle.automata.saved_tables import _KIND
from bridle.grammar import saved_grammars
from bridle.grammar.regex_syntax import fullmatch_language
from competing_leaves import greedy_leaves
from naive_greedy import ALPHABET, Grammar, Greedy, Lexer, Ordinary, texts
from oracle import allowed_tokens, vocabulary_of

LONGEST = 6
PATTERNS = [
    "a", "ab", "aba", "b", "bb|a", "a+", "b+", "[ab]+", "(ab)+", "a*b", r"\.", r"\.\.", r"a\.", r"a\.a", r"a?\.b",
    "[ab]*", "a?", r"a\.+b?", r"(a|b\.)+", r"[ab]\.?", "[.]+", "[ab.]", r"\.a+\.", r"(a\.b)+", "[b.]+", "a[b.]*a",
]  # fmt: skip


def language(pattern):
    return fullmatch_language(pattern, "python")


# ------------------------------------------------------------------------------------------------ grammars as states


class Spec:
    """Rules and their leaves; compared by identity."""

    def __init__(self, rules, leaves):
        self.rules, self.leaves, self.notes = rules, leaves, ()

    @property
    def root(self):
        return Rest(self, ("S",))


@dataclass(frozen=True)
class Rest:
    """The symbols that come next."""

    spec: Spec
    symbols: tuple

    def expand(self):
        if not self.symbols:
            return Fragment(ends=True)
        first, *after = self.symbols
        then = Rest(self.spec, tuple(after)) if after else None
        if isinstance(first, str):
            return Fragment(calls=tuple((Rest(self.spec, way), then) for way in self.spec.rules[first]))
        if isinstance(first, Greedy):
            return Fragment(calls=((self.spec.leaves[first.rank], then),))
        return Fragment(calls=((compile_regular(literal(first.text)), then),))


def engine_of(rules, patterns, tokens):
    leaves = greedy_leaves([language(pattern) for pattern in patterns])
    return compile_grammar(Spec(rules, leaves), vocabulary_of(tokens))


@st.composite
def grammars(draw):
    """(rules, patterns): a rule comes back to itself, or to an earlier one, only behind what reads a letter."""
    patterns = draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4, unique=True))
    lexer = Lexer(patterns, LONGEST)
    live = [Greedy(k) for k in range(len(patterns)) if lexer.wins[k]]
    solid = [Ordinary(text) for text in ("a", ".", "ab")]
    solid += [terminal for terminal in live if "" not in lexer.wins[terminal.rank]] * 4
    names = ("S", "A", "B")[: draw(st.integers(1, 3))]
    rules = {}
    for i, name in enumerate(names):
        ways = []
        for _ in range(draw(st.integers(1, 3))):
            way, read = [], False
            for _ in range(draw(st.integers(0, 3))):
                symbol = draw(st.sampled_from([*solid, *live, *(names if read else names[i + 1 :])]))
                way.append(symbol)
                read |= symbol in solid
            ways.append(tuple(way))
        # So that every rule has a text.
        ways.append((draw(st.sampled_from(solid)),))
        rules[name] = ways
    return rules, patterns


TOKENS = [text.encode() for text in texts(3) if text]
TOKENS += [text.encode() for text in ("abab", "a.a.a", "..ab", "aaaa", "a.b.", "bab.a", ".....", "ba.ab", "bbbb.")]


def naive_mask(grammar, frames, tokens, stop):
    """The ids of `tokens` (a dict) that are allowed, and `stop` where the text may end."""
    after = {b"": frames}

    def reached(token):
        if token not in after:
            before = reached(token[:-1])
            after[token] = grammar.step(before, chr(token[-1])) if before else before
        return after[token]

    return {i for i, token in tokens.items() if reached(token)} | ({stop} if grammar.may_end(frames) else set())


def reference(matcher):
    bitmask = bridle.allocate_token_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_reference_bitmask(bitmask)
    return set(np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little")).tolist())


def compare(rules, patterns, tokens, walks):
    """Compares all that a matcher tells along texts until the first letter that is refused."""
    grammar = Grammar(rules, Lexer(patterns, LONGEST))
    compiled = engine_of(rules, patterns, tokens)
    for walk in walks:
        matcher = bridle.Matcher(compiled)
        frames = grammar.start()
        compare_here(grammar, frames, matcher)
        for letter in walk:
            frames = grammar.step(frames, letter)
            assert matcher.accept_bytes(letter.encode()) == bool(frames)
            if not frames:
                break
            compare_here(grammar, frames, matcher)


def compare_here(grammar, frames, matcher):
    """What a matcher tells at one place; tokens with which the text would be too long for the twin are left out."""
    tokens = list(matcher.compiled.vocabulary.tokens)
    read = len(matcher.text())
    fitting = [i for i, token in enumerate(tokens) if len(token) <= LONGEST - read]
    want = naive_mask(grammar, frames, {i: tokens[i] for i in fitting if tokens[i]}, len(tokens) - 1)
    got = allowed_tokens(matcher)
    assert got == reference(matcher)
    assert got & set(fitting) == want, (
        f"after {matcher.text()!r}: {[tokens[i] for i in (got & set(fitting)) - want]} too many,"
        f" {[tokens[i] for i in want - got]} too few"
    )
    assert matcher.is_accepting() == grammar.may_end(frames)
    may_come = [letter for letter in sorted(ALPHABET) if grammar.step(frames, letter)]
    assert [chr(b) for b in np.flatnonzero(matcher.next_bytes()[:256])] == may_come
    forced = matcher.forced_bytes().decode()
    assert forced[:1] == (may_come[0] if len(may_come) == 1 and not grammar.may_end(frames) else "")
    for i in fitting:
        assert matcher.fork().accept_token(i) == (i in want)
        assert matcher.validate_tokens([i]) == (i in want)
        assert (matcher.explain(i) is None) == (i in want)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(grammars(), st.lists(st.text(ALPHABET, min_size=3, max_size=3), min_size=1, max_size=4))
def test_masks_and_steps_of_drawn_grammars_are_the_naive_ones(drawn, walks):
    try:
        compare(*drawn, TOKENS, walks)
    except bridle.LimitError as error:  # greedy leaves that one letter may end, each in two ways, do not merge
        assert error.limit.startswith("ambiguity")
        reject()


def test_a_grammar_of_too_many_readings_says_so():
    rules = {"S": [(Greedy(2), "S", Ordinary("a")), (Greedy(2), "S", Ordinary(".")), (Ordinary("a"),)]}
    with pytest.raises(bridle.LimitError, match=r"ambiguity.*at byte 3 of the text"):
        compare(rules, ["ab", "aba", "a"], TOKENS, ["aaa"])


NAME, IF, SPACE = "[ab]+", "ab", "[.]+"
STATEMENT = {"S": [(Greedy(0), Greedy(2), "A"), (Greedy(1), "A")], "A": [(), (Greedy(2), "S"), (Ordinary("."),)]}


def test_a_keyword_is_no_beginning_of_a_name():
    compare(STATEMENT, [IF, NAME, SPACE], TOKENS, ["abb..", "ab..ab", "aba.b", "..", "b.ab.a"])


def test_several_readings_of_one_text_are_followed():
    """One frame ends where another, of an ordinary literal, goes on; both come to the same state."""
    rules = {
        "S": [(Greedy(0), "A"), (Ordinary("ab"), "A"), (Ordinary("a"), Greedy(1))],
        "A": [(), (Ordinary("."), "S")],
    }
    compare(rules, ["[ab]+", "b"], TOKENS, ["ab.ab", "a.b", "bab.ab"])


def test_nested_rules_end_together():
    rules = {
        "S": [("A", Ordinary(".")), ("A",)],
        "A": [("B", Greedy(1)), ("B",)],
        "B": [(Greedy(0), "B"), (Greedy(0),)],
    }
    compare(rules, ["a", r"b|\.a"], TOKENS, ["aaab", "aa.ab.", "a..", "aa."])


def test_leaves_that_may_be_empty_hold_together():
    """Two greedy leaves end at one place, and what follows begins with no byte that either holds."""
    rules = {
        "S": [(Greedy(0), Greedy(1), Greedy(0), "A")],
        "A": [(Ordinary("."),), (Ordinary("ab"),), (Greedy(2), "A")],
    }
    compare(rules, ["a?", "b?", "[.]+"], TOKENS, ["", "ab.", "aab", ".ab", "ba..", "ab"])


def test_a_greedy_leaf_may_be_the_whole_grammar():
    compare({"S": [(Greedy(0),)]}, ["a+b"], TOKENS, ["aab", "ab"])


# ------------------------------------------------------------------------------------------------ other shapes after


SHAPES = [
    bridle.Grammar.from_json_schema({"type": "string", "maxLength": 3}),
    bridle.Grammar.from_json_schema({"type": "string", "pattern": "^[ab]{2,5}$"}),
    bridle.Grammar.from_json_schema({"type": "array", "items": {"type": "integer"}, "maxItems": 2}),
    bridle.Grammar.from_json_schema({"properties": {"a": {"type": "null"}, "ab": {}}, "minProperties": 1}),
    bridle.Grammar.from_json_schema({"patternProperties": {"^a": {"type": "null"}}, "additionalProperties": False}),
    bridle.Grammar.from_json_schema({"properties": {"a": {}}, "required": ["a"], "additionalProperties": False}),
    bridle.Grammar.from_json_schema({"enum": ["a", "ab", 1, [1, None]]}),
    bridle.Grammar.from_json_schema({"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
    bridle.Grammar.from_ebnf('root ::= [ab]{40,80} | "1" root "1" | [b-z]'),
]


@dataclass(frozen=True)
class Between:
    """A name, a value of some shape, a name, a value: `ab`, greedy, and quotes, which it holds if told so."""

    shape: int
    left: int
    holding: bool

    def expand(self):
        competing = ['[a-z1"{]*[a-z1{]' if self.holding else "[a-z]+", r"\[1", " +"]
        leaves = greedy_leaves([language(pattern) for pattern in competing])
        if self.left % 2:
            then = Between(self.shape, self.left - 1, self.holding)
            return Fragment(calls=((leaves[0], then), (leaves[1], then), (leaves[2], self)), ends=True)
        then = Between(self.shape, self.left - 1, self.holding) if self.left else None
        return Fragment(calls=((SHAPES[self.shape].root, then),), whitespace=3)


JSON_TOKENS = [bytes((b,)) for b in b'{}[]",:\\ \n-0123456789abcdefnrtulx']
JSON_TOKENS += [
    b'a"', b'b "', b'ab"a', b'ab"ab"', b'ab"a"b', b'x"a"x"ab"', b'x{"a', b'x{"a":', b'x[1', b'x[1]', b'x[1]x', b'[1[',
    b'x ["', b'a1', b'a 1', b'1a', b'1a1', b'1 a 1', b'x"\\u0061', b'x"\\u0061"', b'"a":null}x', b'{"a":null}x"',
    b'aab', b'[1,2]a[1', b'x"ab","b"', b'x["a","b"]', b'["a","a"', b'x["b","ab"]x', b'", "', b'"x"', b'"a"a"b"',
    b'x{"a":1}x{', b'null', b'x[1,null', b'  ', b'x  ', b'x \n"', b'"\n', b'ab' * 5, b'ababx', b'abab"', b'bbbbx"a',
]  # fmt: skip


@pytest.mark.parametrize("holding", [False, True])
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_masks_of_every_shape_after_a_greedy_leaf_are_references(shape, holding):
    """The reference steps by single bytes, which the naive twin has judged."""
    grammar = bridle.Grammar(Between(shape, 3, holding), source="a test")
    compiled = bridle.compile(grammar, vocabulary_of(JSON_TOKENS))
    random = np.random.default_rng(shape)
    bits = 0
    for _ in range(40):
        matcher = bridle.Matcher(compiled)
        for _ in range(12):
            got = allowed_tokens(matcher)
            assert got == reference(matcher), matcher.text()
            bits += len(got)
            allowed = sorted(got - {len(JSON_TOKENS)})
            if not allowed:
                break
            long = [i for i in allowed if len(JSON_TOKENS[i]) > 1]
            assert matcher.accept_token(int(random.choice(long if long and random.random() < 0.6 else allowed)))
    assert bits > 1000


def test_what_two_lexers_hold_is_left_out_together():
    """The second leaf may be empty, and what follows the first must still not begin with what that holds."""
    (first,), (second,) = greedy_leaves([language("a+")]), greedy_leaves([language("b?")])
    then = Rest(Spec({}, []), (Ordinary("acb"),))
    chain = Then(first, Then(second, then))
    tokens = [b"a", b"aa", b"ac", b"aac", b"b", b"bac", b"abac", b"bacb", b"c", b"abb", b"aba", b"bc", b"ab"]
    matcher = bridle.Matcher(bridle.compile(bridle.Grammar(chain, source="a test"), vocabulary_of(tokens)))
    for text, want in (
        (b"", {b"a", b"aa", b"aba", b"abac", b"ab"}),
        (b"a", {b"a", b"aa", b"aba", b"abac", b"ab", b"b", b"bac", b"bacb"}),
        (b"b", {b"a", b"ac"}),
    ):
        assert not text or matcher.accept_bytes(text)
        assert {tokens[i] for i in allowed_tokens(matcher)} == want
        assert allowed_tokens(matcher) == reference(matcher)


@dataclass(frozen=True)
class Then:
    """A leaf, and what comes after it."""

    leaf: GreedyDfa
    rest: object

    def expand(self):
        return Fragment(calls=((self.leaf, self.rest),))


def test_a_keyword_is_never_followed_at_once_by_a_letter():
    rules = {"S": [(Greedy(0), Greedy(1)), (Greedy(0), Ordinary("b")), (Greedy(0), Ordinary("."))]}
    compare(rules, [IF, NAME], TOKENS, ["ab.", "aba"])


def test_a_mask_may_lead_where_nothing_follows_and_the_leaf_says_so():
    """What the front end has to look at: `a*` never ends before an `a`."""
    (leaf,) = greedy_leaves([language("a*")])
    compiled = bridle.compile(
        bridle.Grammar(Then(leaf, Rest(Spec({}, []), (Ordinary("a"),))), source="a test"), vocabulary_of([b"a"])
    )
    assert allowed_tokens(bridle.Matcher(compiled)) == {0}
    assert not leaf.always_followable(b"a")
    assert leaf.always_followable(b"ab")
    assert leaf.always_followable(b"a", may_end=True)


def test_followable_from_some_states_is_not_always():
    """After `b.` nothing but letters that go on may come, though after `a` a point may."""
    (leaf,) = greedy_leaves([language(r"a|b\.[.b]*")])
    assert not leaf.always_followable(b".")
    assert leaf.always_followable(b"a")


# ------------------------------------------------------------------------------------------------ the automata


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=5, unique=True))
def test_leaves_of_competing_languages_are_the_naive_ones(patterns):
    lexer = Lexer(patterns, LONGEST)
    for rank, leaf in enumerate(greedy_leaves([language(pattern) for pattern in patterns])):
        assert (leaf is None) == (not lexer.wins[rank])
        if leaf is None:
            continue
        leaf.verify()
        for text in texts(5):
            state = leaf.state_after(text.encode())
            assert (state > 0) == (text in lexer.alive[rank])
            assert leaf.accepts(text.encode()) == (text in lexer.wins[rank])
            if leaf.accepts(text.encode()):
                held = {letter for letter in ALPHABET if text + letter in lexer.begun}
                assert leaf.held(state) == {ord(letter) for letter in held}


def test_the_order_says_who_wins_a_text_of_several():
    keyword, name = language(IF), language(NAME)
    assert greedy_leaves([name, keyword], [1, 0]) == greedy_leaves([keyword, name])[::-1]
    assert greedy_leaves([name, keyword])[1] is None
    assert greedy_leaves([]) == []
    with pytest.raises(ValueError, match="does not name each of 2 languages once"):
        greedy_leaves([name, keyword], [0, 0])


def test_an_automaton_and_its_language_give_one_leaf():
    name, keyword = language(NAME), language(IF)
    assert greedy_leaves([compile_regular(name), keyword]) == greedy_leaves([name, keyword])
    assert greedy_leaves([compile_regular(EMPTY), language("a")])[0] is None


def test_a_product_that_is_too_large_is_refused():
    with pytest.raises(bridle.LimitError, match="dfa_states"):
        greedy_leaves([language(f"{'.' * n}a.*b") for n in range(6)], limits=RegularLimits(dfa_states=40))


def test_a_greedy_leaf_is_no_ordinary_one():
    """Of the same table and the same language: another digest, so other states and other records."""
    dfa = compile_regular(language(NAME))
    (leaf,) = greedy_leaves([dfa])
    assert np.array_equal(leaf.table, dfa.table) and np.array_equal(leaf.accepting, dfa.accepting)
    assert leaf.digest != dfa.digest and leaf != dfa
    vocabulary = vocabulary_of([b"a", b"ab", b"a.", b"b"])
    after = {}
    for target in (dfa, leaf):
        grammar = bridle.Grammar(Then(target, Rest(Spec({}, []), (Ordinary("b."),))), source="a test")
        matcher = bridle.Matcher(bridle.compile(grammar, vocabulary))
        assert matcher.accept_bytes(b"a")
        after[type(target)] = matcher.accept_bytes(b"b.")
    assert after == {ByteDfa: True, GreedyDfa: False}


def test_the_kernels_know_the_same_entry():
    assert BLOCKED == table_kernels.BLOCKED


def test_copies_are_equal_and_read_only():
    (leaf,) = greedy_leaves([language(NAME)])
    copy = pickle.loads(pickle.dumps(leaf))
    assert copy == leaf and hash(copy) == hash(leaf)
    with pytest.raises(ValueError, match="read-only"):
        copy.table[0, 0] = 1


# ------------------------------------------------------------------------------------------------ ahead, kept, judged


def statements():
    """A grammar whose recipe is its name."""
    leaves = greedy_leaves([language(pattern) for pattern in (IF, NAME, SPACE)])
    recipe = {"kind": "statements"}
    return bridle.Grammar(Spec(STATEMENT, leaves).root, source="statements", recipe=lambda: recipe)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setitem(saved_grammars._MAKERS, "statements", lambda recipe: statements())
    compiled = bridle.compile(statements(), vocabulary_of(TOKENS))
    compiled.precompute(states=20)
    compiled.save(tmp_path / "grammar")
    return tmp_path / "grammar"


def test_masks_made_ahead_of_time_are_those_made_when_asked_for(saved):
    vocabulary = vocabulary_of(TOKENS)
    loaded = bridle.load(saved, vocabulary)
    ahead, fresh = (bridle.compile(statements(), vocabulary) for _ in range(2))
    assert ahead.precompute().complete
    random = np.random.default_rng(1)
    for _ in range(20):
        matchers = [bridle.Matcher(compiled) for compiled in (ahead, loaded, fresh)]
        for _ in range(15):
            masks = [allowed_tokens(matcher) for matcher in matchers]
            assert masks[0] == masks[1] == masks[2] == reference(matchers[0])
            token = int(random.choice(sorted(masks[0])))
            assert all(matcher.accept_token(token) for matcher in matchers)
            if matchers[0].is_terminated():
                break


def test_a_file_holds_what_greedy_leaves_have_left(saved):
    """Records below parts of the tree, whose numbers are negative."""
    records = unsealed(saved.read_bytes(), _KIND)["records"].reshape(-1, table_kernels.RECORD_WIDTH)
    assert ((records[:, P_PLACE] < END) & (records[:, P_STOP] == -1)).any()


@pytest.mark.parametrize("change", ["entry", "flags"])
def test_a_file_with_a_blocked_entry_in_an_ordinary_leaf_is_refused(saved, change):
    """Automata of all other leaves are followed without a look at what an entry is."""
    arrays = {name: array.copy() for name, array in unsealed(saved.read_bytes(), _KIND).items()}
    info = arrays["leaf_info"].reshape(-1, table_kernels.LEAF_WIDTH)
    ordinary = info[info[:, table_kernels.L_FLAGS] & table_kernels.GREEDY == 0]
    assert len(ordinary) > 1 and (arrays["leaves"] == BLOCKED).any()
    if change == "entry":
        arrays["leaves"][ordinary[-1, table_kernels.L_ROW]] = BLOCKED
    else:
        info[:, table_kernels.L_FLAGS] &= ~table_kernels.GREEDY
    saved.write_bytes(sealed(_KIND, arrays))
    with pytest.raises(bridle.SavedGrammarError, match="impossible leaves"):
        bridle.load(saved, vocabulary_of(TOKENS))


def test_texts_are_judged_without_a_tokenizer():
    grammar, twin = statements(), Grammar(STATEMENT, Lexer([IF, NAME, SPACE], LONGEST))
    verdicts = set()
    for text in texts(5):
        frames = twin.run(twin.start(), text)
        verdict = bridle.validate(grammar, text)
        assert verdict.ok == twin.may_end(frames), text
        reached = max(n for n in range(len(text) + 1) if twin.run(twin.start(), text[:n]))
        assert verdict.offset == reached
        verdicts.add(verdict.ok)
    assert verdicts == {True, False}
    # A keyword goes on as a name, so what may come is what either says: a letter, or the space that a keyword needs.
    assert bridle.validate(grammar, "ab").expected == ("'.'", "'a'", "'b'")
