"""The partition of names by languages, against each name looked at by itself."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from bridle.automata.errors import LimitError
from bridle.automata.regular import compile_regular, union
from bridle.grammar.json_text import closed, json_spelled
from bridle.grammar.name_classes import NameClass, name_classes
from bridle.grammar.regex_syntax import fullmatch_language, search_language
from bridle.grammar.schema_leaves import spelled_names

LETTERS = 'ab1é"'
NAMES = ["".join(word) for n in range(5) for word in itertools.product(LETTERS, repeat=n)]
PATTERNS = [
    ("^a", "b$", "1"),
    ("a", "aa", "^a*$"),
    ("^(a|b)$", "^b", "^a1"),
    ("^$", "é", "[^a]"),
    ("(?!a)b", "a(?=b)", '"'),
    (".", "b", "zzz"),
]


def partition(patterns, within=(), names=(), rest=True):
    return name_classes(
        [search_language(p, "ecma") for p in patterns],
        [compile_regular(fullmatch_language(p, "python")) for p in within],
        list(names),
        rest=rest,
    )


def expected(patterns, within, names):
    """Which patterns match, of each name that is in the partition."""
    return {
        name: tuple(re.search(p, name) is not None for p in patterns)
        for name in NAMES
        if name not in names and all(re.fullmatch(p, name) for p in within)
    }


@pytest.mark.parametrize("patterns", PATTERNS)
@pytest.mark.parametrize("within", [(), ("[ab]*",), (".{1,3}", "[^b]*")])
@pytest.mark.parametrize("names", [(), ("a", "", "b1")])
@pytest.mark.parametrize("rest", [True, False])
def test_every_name_is_in_the_class_of_the_patterns_that_match_it(patterns, within, names, rest):
    classes, want = partition(patterns, within, names, rest), expected(patterns, within, names)
    want = {name: inside for name, inside in want.items() if rest or any(inside)}
    assert len(set(classes.inside)) == len(classes.inside)
    assert set(want.values()) <= set(classes.inside)
    languages = [classes.language((k,)) for k in range(len(classes.inside))]
    for name in NAMES:
        found = [classes.inside[k] for k, language in enumerate(languages) if language.accepts(name.encode())]
        assert found == ([want[name]] if name in want else []), name
    for language in languages:
        language.verify()
        assert not language.is_empty


def spellings(name):
    """A name raw, by short escapes, and by hexadecimal ones."""
    return {json.dumps(name, ensure_ascii=False)[1:], json.dumps(name)[1:],
            "".join(f"\\u{ord(c):04x}" for c in name) + '"'}  # fmt: skip


@pytest.mark.parametrize("patterns", PATTERNS)
@pytest.mark.parametrize("names", [(), ("a", "b1")])
@pytest.mark.parametrize("single", [True, False])
def test_the_joint_spellings_end_with_the_number_of_the_group(patterns, names, single):
    classes, want = partition(patterns, (), names), expected(patterns, (), names)
    n = len(classes.inside)
    groups = tuple((k,) for k in range(n)) if single or n < 4 else ((0, 2), (1,), tuple(range(3, n - 1)))
    joint = classes.spelled(groups)
    joint.verify()
    for name in NAMES[:200]:
        number = classes.inside.index(want[name]) if name in want else -1
        group = next((i for i, group in enumerate(groups) if number in group), None)
        for text in spellings(name):
            ends = joint.state_after(text.encode())
            assert (ends != 0) == (group is not None)
            marks = [i for i in range(64) if joint.state_after(bytes((i >> 3, i & 7)), ends)] if ends else []
            assert marks == ([] if group is None else [group])
            assert joint.accepts(text.encode()) == (group is not None)


def test_one_group_has_no_marks():
    classes = partition(("^a", "b$"))
    every = tuple(range(len(classes.inside)))
    assert NameClass(classes, every).spelled == spelled_names(classes.language(every))
    assert classes.language((0, 1)) == union(classes.language((0,)), classes.language((1,)))
    assert closed(json_spelled(classes.language(every))).accepts(b'ab"')


def test_sixty_prefixes_are_sixty_one_classes():
    classes = partition([f"^w{i:02}_" for i in range(60)])
    assert len(classes.inside) == 61
    assert sorted(map(sum, classes.inside)) == [0, *[1] * 60]
    joint = classes.spelled(tuple((k,) for k, inside in enumerate(classes.inside) if any(inside)))
    assert joint.state_after(b'w17_"') and not joint.state_after(b'w1"')
    without_rest = partition([f"^w{i:02}_" for i in range(60)], rest=False)
    assert without_rest.spelled(tuple((k,) for k in range(60))) == joint


def test_names_within_languages_alone_are_one_class():
    classes = partition((), within=(".{1,3}", "[^b]*"), names=("a",))
    assert classes.inside == [()]
    want = expected((), (".{1,3}", "[^b]*"), ("a",))
    assert [name for name in NAMES if classes.language((0,)).accepts(name.encode())] == [n for n in NAMES if n in want]
    assert partition((), within=("a",), names=("a",)).inside == []
    assert partition((), within=("a",), rest=False).inside == []


def test_more_classes_than_an_object_may_have_are_refused():
    with pytest.raises(LimitError, match="classes of member names"):
        partition([f"^w{i:02}_" for i in range(65)])
    with pytest.raises(LimitError, match="classes of member names"):
        partition(["a", "b", "c", "d", "e", "f", "g"])


def test_a_language_without_a_name_is_in_no_class():
    assert partition(("a",), within=("b",)).inside == [(False,)]
    assert partition(("a",), within=("b",), names=("b",)).inside == []
