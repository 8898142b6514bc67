"""Objects with classes of names, counts and witnesses, and arrays of distinct strings, against a twin that searches."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

import pytest

import bridle
import naive
from bridle.automata.compiled import Compiled, compile_grammar
from bridle.automata.fragment import Members, Other, Strings
from bridle.automata.regular import alternation, compile_regular, literal
from bridle.grammar.json_text import string_content
from bridle.grammar.name_classes import name_classes
from bridle.grammar.regex_syntax import fullmatch_language
from bridle.grammar.schema_leaves import spelled_names
from naive_members import Names, NamesOf
from oracle import allowed_tokens, vocabulary_of

# Every byte that the texts of these tests are made of, and tokens that cross the boundaries of names.
TOKENS = [bytes((b,)) for b in b'{}[]",:\\ \nuabcdefxyqz0123456789ABCDEFntrls\xc3\xa9\xf0\x9f\x98\x80'] + [
    b'{"', b'["', b'":', b'","', b'", "', b'"}', b'"]', b'":true', b'":true,"', b"true,", b"null", b"false", b"true}",
    b'a"', b'ab"', b'ab":', b'a","b', b'a":true,"a"', b'a":true,"b":true', b"xx", b'xy"', b'y":true,"x', b'y","xy"',
    b"\\u", b"\\u00", b"\\u0061", b"\\u006", b'\\u0078y"', b'\\"', b"\\n", b"\\ud83d", b"\\ude00", b"\xc3\xa9",
    b'\xa9"', b"\xf0\x9f\x98\x80", b'":null,"', b'","x', b'"a"', b'":true,"a', b"\\u00e9", b'x","', b'\\',
]  # fmt: skip
# Languages that are disjoint if they are of different groups: finite, infinite, and finite from some prefix on.
GROUPS = [
    ["a", "[ab]", "a|ab", "a*b", "[ab]+", "[ab]{2}", "ab?|ba"],
    ["x*y", "x", "xy?", "(xy)+", "[xy]{1,2}", "x+y?"],
    ['é|"', '["\n]{1,2}', "😀?", "\n+", "[é😀]"],
]


@dataclass(frozen=True)
class Payload:
    shape: Members | Strings

    def expand(self) -> Members | Strings:
        return self.shape


@dataclass(frozen=True)
class Shape:
    """A grammar of one payload."""

    root: Payload
    notes: tuple[str, ...] = ()


@cache
def spelled(pattern: str | None):
    if pattern is None:
        return None
    return spelled_names(compile_regular(fullmatch_language(pattern, "python")))


@cache
def words_language(words: tuple[str, ...]):
    return compile_regular(alternation(*map(literal, words)))


def others_of(names: Names, joint: bool) -> tuple[Other, ...]:
    """The classes; if `joint`, those that are no witnesses, and whose patterns no witness has, by one automaton."""
    witnesses = {c.pattern for c in names.classes if c.witness}
    apart = [c for c in names.classes if c.pattern is not None and c.pattern not in witnesses]
    if not joint or len(apart) < 2:
        apart = []
    others: list[Other] = []
    if apart:
        parts = name_classes([fullmatch_language(c.pattern, "python") for c in apart], [], [])
        numbers = [parts.inside.index(tuple(c is other for other in apart)) for c in apart]
        spellings = parts.spelled(tuple((number,) for number in numbers))
        others = [Other(spellings, words_language(c.words), mark=i) for i, c in enumerate(apart)]
    rest = [c for c in names.classes if c not in apart]
    return (*others, *(Other(spelled(c.pattern), words_language(c.words), int(c.witness)) for c in rest))


def shape_of(names: Names, joint: bool = False) -> Members | Strings:
    texts = tuple(name.encode() for name, _, _ in names.declared)
    if names.bare:
        others = tuple(spelled(c.pattern) for c in names.classes)
        return Strings(texts, others, names.least, names.most, names.max_whitespace, string_content())
    return Members(
        names=texts,
        values=tuple(words_language(words) for _, words, _ in names.declared),
        required=tuple(required for _, _, required in names.declared),
        absent=tuple(name.encode() for name in names.absent),
        others=others_of(names, joint),
        ordered=names.ordered,
        whitespace=names.max_whitespace,
        spelling=string_content(),
        least=names.least,
        most=names.most,
    )


@cache
def vocabulary():
    return vocabulary_of(TOKENS)


def compiled_of(names: Names, vocab=None, joint: bool = False) -> Compiled:
    return compile_grammar(Shape(Payload(shape_of(names, joint))), vocab or vocabulary())


# ------------------------------------------------------------------------------------------------ against the twin


def check(matcher: bridle.Matcher, names: Names, text: bytes, *, accept: bool = False) -> set[int]:
    """Compares mask, acceptance and, if asked, every token's acceptance with the twin's; returns the allowed ids."""
    vocab = matcher.compiled.vocabulary
    got = allowed_tokens(matcher)
    want = naive.mask(names, text, list(vocab.tokens), list(vocab.stop_token_ids))
    assert got == want, (
        f"after {text!r}: the mask allows {[vocab.tokens[k] for k in sorted(got - want)]} too many"
        f" and {[vocab.tokens[k] for k in sorted(want - got)]} too few"
    )
    if accept:
        assert got == {k for k in range(vocab.size) if matcher.fork().accept_token(k)}
    return got


def walk(compiled: Compiled, names: Names, rng: random.Random, most: int = 40) -> None:
    """A random text by allowed tokens, compared at every place; now and then rolled back."""
    matcher = bridle.Matcher(compiled)
    tokens, history = compiled.vocabulary.tokens, [b""]
    for _ in range(most):
        allowed = check(matcher, names, history[-1], accept=rng.random() < 0.2)
        assert allowed, f"dead end after {history[-1]!r}"
        going = sorted(k for k in allowed if tokens[k])
        if not going or (rng.random() < 0.2 and len(history) > 6):
            back = rng.randrange(1, len(history)) if len(history) > 1 else 0
            if not back:
                return
            matcher.rollback(back)
            del history[len(history) - back :]
            continue
        # White space is everywhere, and bytes of escapes are many: let the others be as likely.
        weights = [0.1 if not tokens[k].strip() else 3 if len(tokens[k]) > 1 else 1 for k in going]
        token = rng.choices(going, weights)[0]
        assert matcher.accept_token(token)
        history.append(history[-1] + tokens[token])


def drawn_names(rng: random.Random, joint: bool = False) -> Names:
    """A shape that has a sentence; if `joint`, an object with several classes."""
    while True:
        bare, ordered = rng.random() < 0.3 and not joint, rng.random() < 0.4
        groups = rng.sample(GROUPS, rng.choice([2, 3] if joint else [0, 1, 1, 2, 2, 3]))
        patterns: list[str | None] = [rng.choice(group) for group in groups] or [None][: rng.randrange(2)]
        classes = []
        for pattern in patterns:
            classes.append(NamesOf(pattern, rng.choice([("true",), ("true", "null")])))
            if not bare and rng.random() < 0.3:
                classes.append(NamesOf(pattern, ("true",), witness=True))
                if rng.random() < 0.2:
                    classes.pop(-2)
        rng.shuffle(classes)
        pool = ["", "a", "ab", "abb", "b", "x", "xx", "é", "q", "qq", 'a"']
        free = [n for n in pool if not any(p and re.fullmatch(p, n, re.DOTALL) for p in patterns)]
        chosen = rng.sample(free, min(len(free), rng.choice([0, 1, 2, 3])))
        declared = tuple((n, rng.choice([("true",), ("null",)]), not bare and rng.random() < 0.4) for n in chosen)
        absent = tuple(n for n in free if n not in chosen)[:1] if not bare and rng.random() < 0.3 else ()
        least = rng.choice([0, 0, 1, 2, 3])
        most = rng.choice([None, None, least, least + 1, 3])
        names = Names(declared, absent, tuple(classes), ordered and not bare, least, most, bare, rng.randrange(2))
        if names.is_prefix(b""):
            return names


@pytest.mark.parametrize("seed", range(24))
def test_masks_and_steps_of_drawn_shapes_equal_the_twins(seed):
    rng = random.Random(seed)
    names = drawn_names(rng)
    compiled = compiled_of(names)
    for _ in range(4):
        walk(compiled, names, rng)


@pytest.mark.parametrize("seed", range(24))
def test_classes_by_one_automaton_equal_the_twins(seed):
    rng = random.Random(1000 + seed)
    names = drawn_names(rng, joint=True)
    compiled = compiled_of(names, joint=True)
    for _ in range(4):
        walk(compiled, names, rng)


def test_more_than_eight_classes_by_one_automaton_equal_the_twins():
    patterns = ("a", "ab+", "b", "bb", "x", "xx", "y+", "yx", "xy", "ba*", "é|aé")
    disjoint = tuple(p for p in patterns if p not in ("b",))
    words = [("true",), ("null",), ("true", "null")]
    names = Names(classes=tuple(NamesOf(p, words[i % 3]) for i, p in enumerate(disjoint)), least=1)
    assert len(others_of(names, joint=True)) == 10 and {o.mark for o in others_of(names, joint=True)} == set(range(10))
    rng = random.Random(7)
    compiled = compiled_of(names, joint=True)
    for _ in range(8):
        walk(compiled, names, rng, most=24)
