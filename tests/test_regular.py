"""Regular languages: against a naive matcher on enumerated texts, laws of the algebra, canonical form, budgets."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.automata import budget, regular
from bridle.automata.byte_dfa import ByteDfa
from bridle.automata.dfa_memo import DfaMemo, memoised
from bridle.automata.errors import GrammarError, LimitError, UnsupportedError, caret
from bridle.automata.regular import (
    ANY_CHAR,
    ANY_TEXT,
    EMPTY,
    EPSILON,
    Alternation,
    Bytes,
    CharClass,
    Complement,
    Concat,
    Difference,
    Intersection,
    Interspersed,
    Language,
    Regular,
    RegularLimits,
    Repeat,
    Rewritten,
    alternation,
    char_class,
    compile_regular,
    complement,
    concat,
    concatenation,
    difference,
    intersection,
    literal,
    nonempty_part,
    nullable,
    star,
    union,
    utf8_texts,
)  # fmt: skip
from bridle.automata.utf8_classes import negated, normalized

TEXTS = ["".join(letters) for n in range(4) for letters in itertools.product("abé", repeat=n)]


def naive_ends(node: Regular, text: str, at: int) -> set[int]:
    """Where matches of `node` in `text` that begin at `at` may end. Shares no code with the compiler."""
    match node:
        case regular.Empty():
            return set()
        case regular.Epsilon():
            return {at}
        case CharClass(ranges):
            return {at + 1} if at < len(text) and any(lo <= ord(text[at]) <= hi for lo, hi in ranges) else set()
        case Bytes(data):
            return {at + len(data.decode())} if text.startswith(data.decode(), at) else set()
        case Concat(items):
            ends = {at}
            for item in items:
                ends = {end for begin in ends for end in naive_ends(item, text, begin)}
            return ends
        case Alternation(items):
            return set().union(*(naive_ends(item, text, at) for item in items))
        case Repeat(item, least, most):
            ends, out, count = {at}, {at} if least == 0 else set(), 0
            while ends and (most is None or count < most) and count < len(text) + least + 2:
                ends = {end for begin in ends for end in naive_ends(item, text, begin)}
                count += 1
                out |= ends if count >= least else set()
            return out
        case Intersection(items):
            return set.intersection(*(naive_ends(item, text, at) for item in items))
        case Complement(item):
            return set(range(at, len(text) + 1)) - naive_ends(item, text, at)
        case Difference(left, right):
            return naive_ends(left, text, at) - naive_ends(right, text, at)
    raise AssertionError(node)


def naive_accepts(node: Regular, text: str) -> bool:
    return len(text) in naive_ends(node, text, 0)


SMALL = [EPSILON, EMPTY, Bytes(b"a"), Bytes(b"ab"), char_class([(97, 98)]), char_class([(97, 97)], negate=True)]


def expressions() -> st.SearchStrategy[Regular]:
    def extend(inner: st.SearchStrategy[Regular]) -> st.SearchStrategy[Regular]:
        many = st.lists(inner, min_size=1, max_size=3).map(tuple)
        bounds = st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2)))
        return st.one_of(
            many.map(Concat),
            many.map(Alternation),
            many.map(Intersection),
            inner.map(Complement),
            st.tuples(inner, inner).map(lambda t: Difference(*t)),
            st.tuples(inner, bounds).map(lambda t: Repeat(t[0], t[1][0], None if t[1][1] is None else sum(t[1]))),
        )

    return st.recursive(
        st.sampled_from([*SMALL, ANY_CHAR, literal("é"), Concat(()), Alternation(())]), extend, max_leaves=7
    )


def test_every_small_expression_accepts_what_a_naive_matcher_accepts() -> None:
    pairs = [(a, b) for a in SMALL for b in SMALL]
    nodes: list[Regular] = [*SMALL]
    nodes += [Concat(pair) for pair in pairs] + [Alternation(pair) for pair in pairs] + [Intersection(p) for p in pairs]
    bounds = [(0, None), (1, None), (0, 1), (0, 0), (2, 3), (1, 1), (3, None)]
    nodes += [Repeat(node, *bound) for node in list(nodes) for bound in bounds]
    nodes += [Concat((Repeat(Concat((Repeat(a, 1, None), b)), 0, 2), Bytes(b"a"))) for a, b in pairs]
    for node in nodes:
        dfa = compile_regular(node)
        for text in TEXTS:
            assert dfa.accepts(text.encode()) == naive_accepts(node, text), (node, text)
    for node in nodes[::37]:
        compile_regular(node).verify()


def naive_moves(dfa: ByteDfa, text: bytes, reads: dict[int, bytes], free: bytes, stays: bytes) -> bool:
    """Whether some walk accepts: byte b is read as any of reads.get(b, b), `free` ones cost nothing, so may `stays`."""

    def closed(states: set[int]) -> set[int]:
        while True:
            more = states | {int(dfa.transitions[s, b]) for s in states for b in free}
            if more == states:
                return states
            states = more

    states = closed({1})
    for byte in text:
        after = {int(dfa.transitions[s, b]) for s in states for b in reads.get(byte, bytes([byte]))}
        states = closed(after | (states if byte in stays else set()))
    return any(dfa.accepting[s] for s in states - {0})


@settings(max_examples=150, deadline=None)
@given(expressions(), st.sampled_from([b"a", b"b", b"ab"]), st.sampled_from([b"a", b"b"]))
def test_texts_with_bytes_put_in_left_out_or_replaced(node: Regular, old: bytes, new: bytes) -> None:
    dfa = compile_regular(node)
    put_in, left_out = Interspersed(node, old), Rewritten(node, old, None)
    replaced = Rewritten(node, old, new[0])
    kept = {byte: b"" for byte in old}
    for text in map(str.encode, TEXTS):
        assert compile_regular(put_in).accepts(text) == naive_moves(dfa, text, {}, b"", old)
        assert compile_regular(left_out).accepts(text) == naive_moves(dfa, text, kept, old, b"")
        read_as = {**kept, new[0]: old if new in old else old + new}
        assert compile_regular(replaced).accepts(text) == naive_moves(dfa, text, read_as, b"", b"")
    for made in (put_in, left_out, replaced):
        compile_regular(made).verify()
        assert nullable(made) == compile_regular(made).accepts_empty


@settings(max_examples=300, deadline=None)
@given(expressions())
def test_any_expression_accepts_what_a_naive_matcher_accepts(node: Regular) -> None:
    dfa = compile_regular(node)
    dfa.verify()
    assert {text for text in TEXTS if dfa.accepts(text.encode())} == {
        text for text in TEXTS if naive_accepts(node, text)
    }
    assert dfa.accepts_empty == nullable(node)
    least = dfa.shortest()
    assert (least is None) == dfa.is_empty
    if least is not None:
        assert dfa.accepts(least)
        shorter = [text for text in TEXTS if len(text.encode()) < len(least)]
        assert not any(dfa.accepts(text.encode()) for text in shorter)
    assert compile_regular(nonempty_part(node)) == difference(dfa, compile_regular(EPSILON))


@settings(max_examples=120, deadline=None)
@given(expressions(), expressions(), expressions())
def test_the_laws_of_the_algebra_hold_as_equality_of_arrays(a: Regular, b: Regular, c: Regular) -> None:
    x, y, z = map(compile_regular, (a, b, c))
    same = [
        (complement(union(x, y)), intersection(complement(x), complement(y))),
        (complement(intersection(x, y)), union(complement(x), complement(y))),
        (difference(x, y), intersection(x, complement(y))),
        (complement(complement(x)), x),
        (concat(x, union(y, z)), union(concat(x, y), concat(x, z))),
        (star(x), star(star(x))),
        (star(x), union(compile_regular(EPSILON), concat(x, star(x)))),
        (compile_regular(alternation(a, b)), union(y, x)),
        (compile_regular(concatenation(a, b, c)), concat(concat(x, y), z)),
        (compile_regular(Repeat(a, 2, 3)), union(concat(x, x), concat(x, x, x))),
    ]
    for left, right in same:
        left.verify()
        assert left == right and hash(left) == hash(right)
        assert np.array_equal(left.transitions, right.transitions) and np.array_equal(left.accepting, right.accepting)
    assert (x == y) == (difference(x, y).is_empty and difference(y, x).is_empty)


def test_equal_languages_from_different_expressions_are_equal_arrays() -> None:
    a, b = Bytes(b"a"), Bytes(b"b")
    either = Repeat(Alternation((a, b)), 0, None)
    spelled = Repeat(Concat((Repeat(a, 0, None), Repeat(b, 0, None))), 0, None)
    assert compile_regular(either) == compile_regular(spelled) != compile_regular(Repeat(a, 0, None))
    dfa = compile_regular(either)
    assert dfa.n_states == 2 and dfa.transitions[1, 97] == 1


def test_the_empty_language_is_a_start_without_transitions() -> None:
    for node in (EMPTY, Concat((Bytes(b"a"), EMPTY)), Intersection((Bytes(b"a"), Bytes(b"b"))), CharClass(())):
        dfa = compile_regular(node)
        dfa.verify()
        assert dfa.is_empty and dfa.n_states == 2 and dfa.shortest() is None and not dfa.accepts(b"")
    surrogates = compile_regular(CharClass(((0xD800, 0xDFFF),)))
    assert surrogates.is_empty


def naive_minimal_size(dfa: ByteDfa) -> int:
    """Live states of the minimal automaton by Brzozowski's double reversal, on sets."""
    edges = {(s, b, int(dfa.transitions[s, b])) for s in range(1, dfa.n_states) for b in range(256)}
    edges = {edge for edge in edges if edge[2]}
    start, final = frozenset([1]), frozenset(np.flatnonzero(dfa.accepting).tolist())
    for _ in range(2):
        backwards: dict[tuple[int, int], set[int]] = {}
        for s, b, t in edges:
            backwards.setdefault((t, b), set()).add(s)
        names, todo, new_edges = {final: 0}, [final], set()
        while todo:
            here = todo.pop()
            for byte in {b for t, b in backwards if t in here}:
                there = frozenset().union(*(backwards.get((t, byte), ()) for t in here))
                if there not in names:
                    names[there] = len(names)
                    todo.append(there)
                new_edges.add((names[here], byte, names[there]))
        finals = frozenset(name for states, name in names.items() if states & start)
        edges, start, final = new_edges, frozenset([0]), finals
    return len({s for s, _, _ in edges} | {t for _, _, t in edges} | {0})


@settings(max_examples=60, deadline=None)
@given(expressions())
def test_automata_have_as_many_states_as_double_reversal_gives(node: Regular) -> None:
    dfa = compile_regular(Intersection((node, Repeat(char_class([(97, 99)]), 0, 6))))
    if not dfa.is_empty:
        assert dfa.n_states - 1 == naive_minimal_size(dfa)


BOUNDARIES = [0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF]
BOUNDARIES += [0x40000, 0xFFFFF, 0x100000, 0x10FFFF]


def test_the_utf8_texts_are_what_the_decoder_accepts() -> None:
    dfa = utf8_texts()
    for lead in range(256):
        for second in (None, 0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0):
            for tail in (b"", b"\x80", b"\x80\x80", b"\xbf\xbf", b"\xbf\x41"):
                data = bytes([lead]) + (b"" if second is None else bytes([second])) + tail
                try:
                    data.decode()
                    valid = True
                except UnicodeDecodeError:
                    valid = False
                assert dfa.accepts(data) == valid, data


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES)), max_size=4), st.integers(-2, 2))
def test_a_class_holds_exactly_its_code_points(pairs: list[tuple[int, int]], shift: int) -> None:
    ranges = [(max(0, min(0x10FFFF, lo + shift)), hi) for lo, hi in pairs]
    positive, negative = compile_regular(char_class(ranges)), compile_regular(char_class(ranges, negate=True))
    positive.verify()
    for code in {max(0, min(0x10FFFF, b + d)) for b in BOUNDARIES for d in (-3, -2, -1, 0, 1, 2, 3, 64)}:
        if not 0xD800 <= code <= 0xDFFF:
            inside = any(lo <= code <= hi for lo, hi in ranges)
            assert positive.accepts(chr(code).encode()) == inside != negative.accepts(chr(code).encode())
    assert negated(negated(normalized(ranges))) == normalized(ranges)


def test_large_classes_hold_exactly_their_code_points() -> None:
    letters = normalized((c, c) for c in range(0x110000) if chr(c).isalpha())
    dfa = compile_regular(CharClass(letters))
    dfa.verify()
    for code in range(0, 0x110000, 7):
        if not 0xD800 <= code <= 0xDFFF:
            assert dfa.accepts(chr(code).encode()) == chr(code).isalpha()


def test_a_class_that_is_not_normalized_is_refused() -> None:
    for ranges in [((98, 97),), ((97, 98), (99, 100)), ((99, 100), (97, 97)), ((0, 0x110000),)]:
        with pytest.raises(ValueError, match="normalized"):
            CharClass(ranges)


def test_budgets_are_counted_the_same_with_and_without_a_memo() -> None:
    node = Concat((ANY_TEXT, Bytes(b"a"), Repeat(ANY_CHAR, 9, 9)))  # exponential: about 2**10 states
    limits = RegularLimits(dfa_states=1000)
    for _ in range(2):
        with pytest.raises(LimitError) as caught:
            compile_regular(node, limits)
        assert (caught.value.limit, caught.value.given, caught.value.allowed) == ("dfa_states", 1001, 1000)
        compile_regular(node)
    with pytest.raises(LimitError, match="nfa_size"):
        compile_regular(Repeat(Repeat(Repeat(ANY_CHAR, 9999, 9999), 9999, 9999), 9999, 9999))
    with pytest.raises(LimitError, match="nfa_size"):
        compile_regular(Repeat(Bytes(b"a"), 2**31 - 1, None))
    with pytest.raises(LimitError, match="steps"):
        compile_regular(node, RegularLimits(steps=1000))
    deep: Regular = Bytes(b"a")
    for _ in range(5000):
        deep = Repeat(deep, 0, 1)
    with pytest.raises(LimitError, match="depth"):
        compile_regular(deep)


def test_budgets_add_up_over_the_parts_of_an_expression() -> None:
    part = Repeat(Bytes(b"a"), 400, 400)
    node = Intersection(tuple(Alternation((part, Bytes(bytes([c])))) for c in range(97, 100)))
    with pytest.raises(LimitError, match="dfa_states"):
        compile_regular(node, RegularLimits(dfa_states=900))
    compile_regular(node, RegularLimits(dfa_states=4000))


def test_the_memo_forgets_beyond_its_states() -> None:
    memo: DfaMemo[ByteDfa] = DfaMemo(max_states=10)
    dfas = [compile_regular(Repeat(Bytes(b"a"), n, n)) for n in range(1, 8)]
    for n, dfa in enumerate(dfas):
        memo.put(n, dfa, dfa.n_states)
    kept = [n for n in range(7) if memo.get(n) is not None]
    assert kept == [6]


def test_a_memoised_function_makes_an_automaton_once_for_its_arguments() -> None:
    made = []

    @memoised
    def texts(least: int, most: int = 3) -> ByteDfa:
        made.append((least, most))
        return compile_regular(Repeat(ANY_CHAR, least, most))

    assert texts(1) is texts(1) and texts(1, most=2) is texts(1, most=2) and made == [(1, 3), (1, 2)]
    texts.cache_clear()  # type: ignore[attr-defined]
    assert texts(1) and len(made) == 3


def test_automata_are_read_only_and_survive_pickling() -> None:
    dfa = compile_regular(Repeat(ANY_CHAR, 1, 3))
    with pytest.raises(ValueError, match="read-only"):
        dfa.transitions[1, 1] = 1
    copy = pickle.loads(pickle.dumps(dfa))
    copy.verify()
    assert copy == dfa and compile_regular(Language(copy)) is copy


def test_the_opcodes_of_the_walk_are_those_of_the_kernels() -> None:
    from bridle.automata import nfa_kernels as kernels
    from bridle.automata import utf8_classes

    names = ("FRAGMENT", "BYTES", "CONCATENATE", "ALTERNATE", "REPEAT")
    assert [getattr(kernels, name) for name in names] == [getattr(regular, f"_{name}") for name in names]
    assert utf8_classes._FRAGMENT == kernels.FRAGMENT


def test_kernels_give_the_same_without_jit() -> None:
    code = """
from bridle.automata.regular import *
a, b = Bytes(b"zb"), char_class([(97, 121), (123, 0x3b1)])
c = Complement(Repeat(Alternation((a, b)), 1, None))
nodes = [Concat((ANY_TEXT, a, Repeat(b, 2, 70))), c, Language(utf8_texts())]
nodes = [*nodes, Intersection((b, a)), Concat((nodes[0], nodes[1]))]
print([compile_regular(node).digest.hex() for node in nodes])
"""
    outputs = set()
    for disabled in "01":
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_importing_the_algebra_does_not_import_numba() -> None:
    code = "import sys, bridle.automata.regular, bridle.automata.byte_dfa; print('numba' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"


def test_errors_give_line_column_and_caret_and_survive_pickling() -> None:
    error = GrammarError("nothing to repeat", text="ab\ncd*e", offset=5, pointer="/a", keyword="pattern")
    assert (error.line, error.column) == (2, 3)
    assert str(error).endswith("nothing to repeat at /a (pattern), line 2, column 3:\n    cd*e\n      ^")
    assert caret("x" * 500, 250).splitlines()[1].index("^") == caret("x" * 250 + "y" + "x" * 249, 250).index("y")
    refused = UnsupportedError("a back-reference", "not regular", text="x", offset=0)
    limit = LimitError("steps", 5, 4, "/b")
    for original in (error, refused, limit):
        copy = pickle.loads(pickle.dumps(original))
        assert type(copy) is type(original) and str(copy) == str(original) and vars(copy) == vars(original)
    assert str(limit) == "limit steps exceeded at /b: 5 given, 4 allowed"
    assert refused.what == "a back-reference" and refused.reason == "not regular"


def test_budget_limits_name_themselves() -> None:
    spent = budget.Budget(RegularLimits(steps=3))
    spent.spend("steps", 3)
    with pytest.raises(LimitError, match="limit steps exceeded: 4 given, 3 allowed"):
        spent.spend("steps", 1)
