"""What stores begin with: the same masks as without, and a file that is trusted no further than it can be checked."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import numpy as np
import pytest

import bridle
import vocabularies
from bridle.automata import beginnings, shared_stores
from bridle.automata.cache_dir import read_sealed, write_sealed
from bridle.automata.machine import Machine
from bridle.automata.saved_stores import SavedStore
from bridle.automata.store import Store
from bridle.automata.table_kernels import LEAVES, RECORD_WIDTH, RECORDS
from oracle import allowed_tokens

SCHEMA = {
    "type": "object",
    "properties": {
        "mail": {"type": "string", "format": "email"},
        "seen": {"type": "string", "format": "date-time"},
        "site": {"type": "string", "format": "uri", "maxLength": 60},
        "id": {"type": "string", "format": "uuid"},
        "n": {"type": "integer"},
        "x": {"type": "number", "minimum": -1},
        "name": {"type": "string", "maxLength": 20},
        "more": {},
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    vocabularies.tiny(), vocabularies.byte_level()  # each has a store already
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(shared_stores, "_WORTHWHILE", 0)
    return tmp_path


def file_in(folder: Path) -> Path:
    (found,) = folder.glob("vocabularies/*.records")
    return found


def test_the_second_store_of_a_vocabulary_begins_with_what_the_first_has_made(folder):
    vocabulary = vocabularies.byte_level()
    first = shared_stores._begun(vocabulary)
    second = shared_stores._begun(vocabulary)
    assert type(first) is Store and type(second) is SavedStore
    assert first.leaf_rows == second.leaf_rows and first.body_rows == second.body_rows
    for slot in (LEAVES, RECORDS):
        n = first.tables.count(slot)
        assert n == second.tables.count(slot)
        assert np.array_equal(first.tables.view(slot)[:n], second.tables.view(slot)[:n])
    assert first.tables.count(RECORDS) // RECORD_WIDTH > 100


def test_masks_are_the_same_with_and_without(folder):
    vocabulary = vocabularies.byte_level()
    shared_stores._begun(vocabulary)
    grammar = bridle.Grammar.from_json_schema(SCHEMA)
    plain, begun = bridle.compile(grammar, vocabulary), bridle.compile(grammar, vocabulary)
    plain._machine = Machine(grammar.root, Store(vocabulary), plain.limits)
    begun._machine = Machine(grammar.root, shared_stores._begun(vocabulary), begun.limits)
    rng = random.Random(3)
    texts = ['{"mail": "ann.b@', '{"seen": "2024-01-15T1', '{"site": "https://x', '{"id": "550e', '{"n": 1', '{"x": -0']
    for text in (*texts, "{") * 3:
        one, other = bridle.Matcher(plain), bridle.Matcher(begun)
        assert one.accept_bytes(text) and other.accept_bytes(text)
        for _ in range(40):
            allowed = allowed_tokens(one)
            assert allowed == allowed_tokens(other)
            choices = sorted(allowed - {*vocabulary.stop_token_ids})
            if not choices:
                break
            token = rng.choice(choices)
            assert one.accept_token(token) and other.accept_token(token)


def test_a_file_that_is_damaged_or_cut_short_is_made_again(folder):
    vocabulary = vocabularies.tiny()
    shared_stores._begun(vocabulary)
    path = file_in(folder)
    whole = path.read_bytes()
    for k in range(50):
        at = k * len(whole) // 50
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert type(shared_stores._begun(vocabulary)) is Store
        assert path.read_bytes() == whole
    path.write_bytes(whole[: len(whole) // 2])
    assert type(shared_stores._begun(vocabulary)) is Store
    assert type(shared_stores._begun(vocabulary)) is SavedStore


@pytest.mark.parametrize("name", ["leaves", "leaf_info", "records", "record_ints", "leaf_rows", "body_rows"])
def test_a_file_with_a_number_that_leads_nowhere_is_made_again_though_its_checksum_is_right(folder, name):
    vocabulary = vocabularies.tiny()
    shared_stores._begun(vocabulary)
    path = f"vocabularies/{file_in(folder).name}"
    arrays = read_sealed(path, shared_stores._KIND)
    wrong = {key: array.copy() for key, array in arrays.items()}
    wrong[name][len(wrong[name]) // 2 :] = 1 << 30
    write_sealed(path, shared_stores._KIND, wrong)
    assert type(shared_stores._begun(vocabulary)) is Store
    write_sealed(path, shared_stores._KIND, {key: wrong[key] for key in wrong if key != name})
    assert type(shared_stores._begun(vocabulary)) is Store
    assert type(shared_stores._begun(vocabulary)) is SavedStore


def test_a_file_of_another_vocabulary_or_version_is_another_file(folder, monkeypatch):
    shared_stores._begun(vocabularies.tiny())
    shared_stores._begun(vocabularies.byte_level())
    monkeypatch.setattr(shared_stores, "bridle_digest", lambda: "another")
    assert type(shared_stores._begun(vocabularies.tiny())) is Store
    assert len(list(folder.glob("vocabularies/*.records"))) == 3


def test_small_vocabularies_keep_no_records(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path))
    assert type(shared_stores._begun(vocabularies.tiny())) is Store
    assert not list(tmp_path.glob("vocabularies/*.records"))


def test_every_module_that_is_named_knows_leaves():
    assert beginnings.modules() == ("bridle.grammar.common_leaves",)
    for module in beginnings.modules():
        for beginning in importlib.import_module(module).common_leaves():
            assert all(beginning.leaf.state_after(text) for text in beginning.texts)
