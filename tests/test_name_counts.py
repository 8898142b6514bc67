"""How many names a class leads to from each state, against counting state by state and against listing."""

from __future__ import annotations

import pytest

import naive_counts
from bridle.automata.name_counts import MOST, name_counts
from bridle.grammar.schema_leaves import spelled_names
from bridle.grammar.schema_names import cardinality
from bridle.grammar.schema_strings import StringSet, string_values

PATTERNS = [
    "^a$", "^[ab]{2}$", "^(a|b|ab)?$", "^.$", "^x.?$", "^x[\\n\\t]y$", '^[\\u0000-\\u001f"]{1,2}$', "^[0-9a-f]{3}$",
    "^\\ud83d[\\ude00-\\ude0f]$", "^[\\u{1f600}-\\u{1f60f}]x?$", "^(a*|b)$", "^a{2,9}b*c?$", "^(a{3}|b+c{2})$",
    "^[0-9a-zA-Z_-]{1,40}$", "^é{1,3}$", "^[\\ud7ff-\\ue001]{2}$", "a", "^d[0-9]|D[8-9a-f]$", "^\\\\{0,3}$", "",
]  # fmt: skip


def spelled(pattern: str):
    return spelled_names(string_values(StringSet(patterns=(pattern,))))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_counts_are_those_of_the_twin(pattern):
    names = spelled(pattern)
    assert name_counts(names).tolist() == naive_counts.name_counts(names).tolist()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_language_has_as_many_names_as_values(pattern):
    size = cardinality(string_values(StringSet(patterns=(pattern,))))
    assert name_counts(spelled(pattern))[1] in ((-1, MOST) if size is None else (min(size, MOST),))
