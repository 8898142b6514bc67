"""The benchmark's corpus: its size, its labels, and the order of members that it promises."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

import bridle

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from corpus import corpus, family_of, read_rows, text_of, words

ROWS = corpus()
Judge = jsonschema.Draft202012Validator


def test_there_are_sixty_schemas_of_twenty_families():
    assert len(ROWS) >= 60
    assert len({family_of(row) for row in ROWS}) >= 20
    assert len({row["id"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_labels_are_what_jsonschema_says(row):
    judge = Judge(row["schema"], format_checker=Judge.FORMAT_CHECKER)
    judge.check_schema(row["schema"])
    assert sum(test["valid"] for test in row["tests"]) >= 2
    for test in row["tests"]:
        if not test["valid"] and row["id"].startswith("formats/"):
            continue  # whether it knows a format depends on what is installed
        assert judge.is_valid(test["data"]) == test["valid"], test["data"]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_bridle_accepts_the_valid_ones_in_this_order_and_no_other(row):
    grammar = bridle.Grammar.from_json_schema(row["schema"])
    for test in row["tests"]:
        assert bridle.validate(grammar, text_of(test), as_generated=True).ok == test["valid"], test["data"]


def test_words_differ():
    assert len(set(words(2000))) == 2000


def test_rows_are_read_from_json_lines(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"id": "Group---a", "schema": true, "tests": []}\n')
    (row,) = read_rows(tmp_path / "rows.jsonl")
    assert family_of(row) == "Group"
    assert json.loads(text_of({"data": [1, "é"], "indent": 2})) == [1, "é"]
