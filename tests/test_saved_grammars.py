"""Saved grammars: the same masks after loading, texts that go beyond the file, and files that are refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bridle
import vocabularies
from bridle.automata import saved_tables
from bridle.automata.cache_dir import sealed, unsealed
from bridle.automata.saved_tables import _KIND
from bridle.automata.table_kernels import MASKS
from bridle.grammar.saved_grammars import grammar_of
from oracle import allowed_tokens, vocabulary_of
from random_walks import MIXED, walk
from test_precompute import CLOSED, PERSON, TREE

OPEN = {
    **PERSON,
    "additionalProperties": {"type": ["string", "null"]},
    "patternProperties": {"^x": {"type": "integer"}},
}
UNIQUE = {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "maxItems": 5}
EBNF = 'root ::= "a" root "b" | "a" root "c" | [0-9]+ | ""'
GRAMMARS: dict[str, Any] = {
    "closed": lambda: bridle.Grammar.from_json_schema(CLOSED, whitespace="compact"),
    "tree": lambda: bridle.Grammar.from_json_schema(TREE),
    "open": lambda: bridle.Grammar.from_json_schema(OPEN, property_order="any", separators=(", ", ": ")),
    "unique": lambda: bridle.Grammar.from_json_schema(json.dumps(UNIQUE).encode(), indent=2),
    "resource": lambda: bridle.Grammar.from_json_schema({"$ref": "urn:t"}, resources={"urn:t": TREE}),
    "regex": lambda: bridle.Grammar.from_regex(r"(?:ab|a*b){2,5}[0-9]{1,300}"),
    "ebnf": lambda: bridle.Grammar.from_ebnf(EBNF),
}


def saved(tmp_path: Path, name: str, *, states: int = 400) -> tuple[bridle.Compiled, Path]:
    compiled = bridle.compile(GRAMMARS[name](), MIXED)
    compiled.precompute(states=states)
    compiled.save(tmp_path / "grammar")
    return compiled, tmp_path / "grammar"


def compare(one: bridle.Compiled, other: bridle.Compiled, seed: int, *, walks: int = 8, steps: int = 50) -> None:
    rng = random.Random(seed)
    size = one.vocabulary.size
    bitmasks = [bridle.allocate_token_bitmask(1, size) for _ in range(2)]
    for _ in range(walks):
        a, b = bridle.Matcher(one), bridle.Matcher(other)
        for _ in range(steps):
            allowed = allowed_tokens(a, bitmasks[0])
            assert allowed == allowed_tokens(b, bitmasks[1]), a.text()
            assert a.is_accepting() == b.is_accepting()
            token = rng.choice([*allowed, *allowed, rng.randrange(size)])
            assert a.accept_token(token) == b.accept_token(token), (a.text(), token)
            if a.is_terminated():
                break


@pytest.mark.parametrize("name", list(GRAMMARS))
def test_a_loaded_grammar_has_the_masks_and_steps_of_a_fresh_one(tmp_path: Path, name: str) -> None:
    """Few states are in the file, so texts go beyond it, too."""
    for states in (1, 400):
        _, path = saved(tmp_path, name, states=states)
        compare(bridle.load(path, MIXED), bridle.compile(GRAMMARS[name](), MIXED), seed=states)


def test_walks_of_a_loaded_grammar_end_and_masks_agree_with_steps(tmp_path: Path) -> None:
    _, path = saved(tmp_path, "open", states=50)
    loaded, rng = bridle.load(path, MIXED), random.Random(3)
    assert not [found for _ in range(10) if (found := walk(loaded, rng, longest=60)).fault]


def test_what_is_in_the_file_is_not_made_again(tmp_path: Path) -> None:
    compiled, path = saved(tmp_path, "closed", states=100_000)
    loaded = bridle.load(path, MIXED)
    made = loaded.machine.tables.count(MASKS)
    assert made == compiled.machine.tables.count(MASKS)
    compare(loaded, compiled, seed=2, walks=20)
    assert loaded.machine.tables.count(MASKS) == made


def test_the_grammar_is_there_with_all_it_says(tmp_path: Path) -> None:
    grammar = bridle.Grammar.from_json_schema(
        {"type": "array", "items": {"type": "object"}, "uniqueItems": True}, on_unsupported="report"
    )
    bridle.compile(grammar, MIXED).save(tmp_path / "grammar")
    loaded = bridle.load(tmp_path / "grammar", MIXED)
    assert loaded.grammar.unenforced == grammar.unenforced != ()
    assert loaded.grammar.notes == grammar.notes and repr(loaded.grammar) == repr(grammar)
    assert loaded.limits == bridle.Limits()


def test_pydantic_models_are_saved_as_their_schemas(tmp_path: Path) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Point", x=(int, ...), y=(float, 1.5))
    grammar = bridle.Grammar.from_pydantic(model)
    bridle.compile(grammar, MIXED).save(tmp_path / "grammar")
    loaded = bridle.load(tmp_path / "grammar", MIXED)
    compare(loaded, bridle.compile(grammar, MIXED), seed=4)
    assert loaded.grammar.source == grammar.source


def test_a_schema_that_changes_afterwards_is_saved_as_it_was(tmp_path: Path) -> None:
    schema = {"type": "array", "items": {"enum": [1, 2]}}
    grammar = bridle.Grammar.from_json_schema(schema)
    schema["items"] = {"enum": ["x"]}
    bridle.compile(grammar, MIXED).save(tmp_path / "grammar")
    assert grammar_of(bridle.load(tmp_path / "grammar", MIXED).grammar.recipe).recipe == grammar.recipe
    assert bridle.Matcher(bridle.load(tmp_path / "grammar", MIXED)).accept_bytes("[1,2")


def test_what_is_not_json_cannot_be_saved(tmp_path: Path) -> None:
    grammar = bridle.Grammar.from_json_schema({"type": "integer", "x": {1, 2}})  # an annotation that nobody reads
    with pytest.raises(bridle.SavedGrammarError, match="not all JSON"):
        bridle.compile(grammar, MIXED).save(tmp_path / "grammar")
    assert not list(tmp_path.iterdir())


def test_texts_of_matchers_are_not_in_the_file(tmp_path: Path) -> None:
    compiled, path = saved(tmp_path, "open")
    before = path.read_bytes()
    for seed in range(3):
        compare(compiled, bridle.compile(GRAMMARS["open"](), MIXED), seed=seed)
    compiled.save(path)
    assert path.read_bytes() == before
    loaded = bridle.load(path, MIXED)
    compare(loaded, compiled, seed=9)
    loaded.save(path)  # what was loaded can be saved in turn, and is the same
    assert path.read_bytes() == before


def test_another_process_with_other_hashes_loads_it_and_goes_beyond(tmp_path: Path) -> None:
    vocabulary = vocabularies.byte_level()
    text = b'{"kind": "two", "x1": 12, "name": "abc", "zz": null, "at": {"x": 1.5}, "tags": ["ab", "c"]}'
    compiled = bridle.compile(GRAMMARS["open"](), vocabulary)
    compiled.precompute(states=30)
    compiled.save(tmp_path / "grammar")
    code = (
        "import sys, hashlib, bridle, vocabularies\n"
        "from oracle import allowed_tokens\n"
        "matcher = bridle.Matcher(bridle.load(sys.argv[1], vocabularies.byte_level()))\n"
        "digest = hashlib.sha256()\n"
        f"for byte in {text!r}:\n"
        "    digest.update(repr(sorted(allowed_tokens(matcher))).encode())\n"
        "    assert matcher.accept_bytes(bytes([byte]))\n"
        "assert matcher.is_accepting()\n"
        "print(digest.hexdigest())\n"
    )
    matcher, digest = bridle.Matcher(bridle.compile(GRAMMARS["open"](), vocabulary)), hashlib.sha256()
    for byte in text:
        digest.update(repr(sorted(allowed_tokens(matcher))).encode())
        assert matcher.accept_bytes(bytes([byte]))
    for seed in ("1", "2"):
        answer = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "grammar")],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert answer.stdout.strip() == digest.hexdigest(), answer.stderr


def test_loading_is_much_quicker_than_precomputing(tmp_path: Path) -> None:
    vocabulary = vocabularies.tekken()
    compiled = bridle.compile(bridle.Grammar.from_json_schema(CLOSED), vocabulary)
    report = compiled.precompute()
    compiled.save(tmp_path / "grammar")
    bridle.load(tmp_path / "grammar", vocabulary)  # bridle's own digest is made once
    before = time.perf_counter()
    loaded = bridle.load(tmp_path / "grammar", vocabulary)
    took = time.perf_counter() - before
    size = (tmp_path / "grammar").stat().st_size
    print(f"precomputed in {report.seconds * 1e3:.0f} ms, {size / 1e6:.1f} MB, loaded in {took * 1e3:.1f} ms")
    assert took < report.seconds / 3
    compare(loaded, compiled, seed=5, walks=2, steps=30)


# ------------------------------------------------------------------------------------------------ refusals


def test_another_vocabulary_is_refused_with_both_named(tmp_path: Path) -> None:
    _, path = saved(tmp_path, "regex")
    other = vocabulary_of([b"a", b"b"])
    with pytest.raises(bridle.VocabularyError) as caught:
        bridle.load(path, other)
    assert MIXED.fingerprint[:12] in str(caught.value) and other.fingerprint[:12] in str(caught.value)
    again = bridle.Vocabulary(MIXED.tokens, stop_token_ids=MIXED.stop_token_ids, size=MIXED.size)
    assert bridle.load(path, again).vocabulary == MIXED


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = saved(tmp_path, "regex")
    monkeypatch.setattr(saved_tables, "bridle_digest", lambda: "of another one")
    with pytest.raises(bridle.SavedGrammarError, match=r"another version of bridle .*of another one"):
        bridle.load(path, MIXED)


def test_a_file_that_is_cut_short_or_changed_is_refused_wherever_that_is(tmp_path: Path) -> None:
    _, path = saved(tmp_path, "regex", states=40)
    content = path.read_bytes()
    for k in range(50):
        at = len(content) * k // 50
        path.write_bytes(content[:at])
        with pytest.raises(bridle.SavedGrammarError):
            bridle.load(path, MIXED)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << k % 8]) + content[at + 1 :])
        with pytest.raises(bridle.SavedGrammarError):
            bridle.load(path, MIXED)
    path.write_bytes(content + b"\0")
    with pytest.raises(bridle.SavedGrammarError):
        bridle.load(path, MIXED)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"bridle\x00\x01", os.urandom(4096), b"\x80\x04\x95" + bytes(60)],
    ids=["empty", "json", "magic", "noise", "pickle"],  # noise is another one in each of pytest's workers
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(bridle.SavedGrammarError, match=r"is no saved grammar|is damaged"):
        bridle.load(tmp_path / "file", MIXED)


def test_a_sealed_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(sealed("token trie 1", {"a": np.arange(3)}))
    with pytest.raises(bridle.SavedGrammarError):
        bridle.load(tmp_path / "file", MIXED)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bridle.load(tmp_path / "none", MIXED)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    compiled = bridle.compile(GRAMMARS["regex"](), MIXED)
    with pytest.raises(FileNotFoundError):
        compiled.save(tmp_path / "no such folder" / "grammar")
    assert not list(tmp_path.iterdir())


def _resealed(path: Path, change: Any) -> None:
    arrays = unsealed(path.read_bytes(), _KIND)
    assert arrays is not None
    path.write_bytes(sealed(_KIND, change({name: array.copy() for name, array in arrays.items()})))


@pytest.mark.parametrize("value", [-7, 1 << 26, 2**31 - 1])
@pytest.mark.parametrize(
    "name",
    ["rows", "edges", "calls", "nodes", "cells", "steps", "masks", "mask_ints", "leaves", "leaf_classes", "leaf_info",
     "records", "dense", "node_mask", "context_mask", "log", "leaf_rows", "start"],
)  # fmt: skip
def test_numbers_that_lead_out_of_the_tables_are_refused_or_harmless(tmp_path: Path, name: str, value: int) -> None:
    """A checksum is no signature: with a right one, too, no kernel follows a number out of its table."""
    _, path = saved(tmp_path, "closed", states=60)
    whole, rng, refused = path.read_bytes(), random.Random(name), 0
    for _ in range(12):
        path.write_bytes(whole)

        def change(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            if len(arrays[name]):
                arrays[name][rng.randrange(len(arrays[name]))] = value
            return arrays

        _resealed(path, change)
        try:
            matcher = bridle.Matcher(bridle.load(path, MIXED))
            for byte in b'{"name":"a\\u0041","kind":"two","tags":["x"],"at":{"x":1.5}}':
                allowed_tokens(matcher)
                matcher.accept_bytes(bytes([byte]))
        except bridle.BridleError:
            refused += 1
    assert refused > 0 or name in ("dense", "records", "rows")


def test_missing_and_shorter_arrays_are_refused(tmp_path: Path) -> None:
    _, path = saved(tmp_path, "closed", states=60)
    whole = path.read_bytes()
    arrays = unsealed(whole, _KIND)
    assert arrays is not None
    for name in arrays:
        for short in (None, arrays[name][:-1], arrays[name][:0]):
            if short is not None and len(short) == len(arrays[name]):
                continue
            changed = {**arrays, name: short}
            path.write_bytes(sealed(_KIND, {k: v for k, v in changed.items() if v is not None}))
            if name in ("data", "log", "leaf_digests", "mask_ints", "record_ints") and short is not None:
                continue  # their inside is compared when the grammar is made
            try:
                bridle.load(path, MIXED)
            except bridle.SavedGrammarError:
                continue
            assert name in ("edges", "calls", "steps", "contexts", "dense", "sets", "records") and short is not None, (
                name
            )


def test_another_grammar_than_the_file_says_is_noticed(tmp_path: Path) -> None:
    compiled = bridle.compile(bridle.Grammar.from_json_schema(TREE), MIXED)
    compiled.precompute(states=1)
    compiled.save(tmp_path / "grammar")

    def change(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        about = json.loads(arrays["about"].tobytes())
        about["recipe"]["schema"] = json.dumps({"type": "array", "items": {"type": "string"}})
        return {**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}

    _resealed(tmp_path / "grammar", change)
    matcher = bridle.Matcher(bridle.load(tmp_path / "grammar", MIXED))
    with pytest.raises(bridle.SavedGrammarError, match="makes another grammar"):
        matcher.accept_bytes('{"v": 1, "kids": [{"v": 2')


def test_names_of_a_descriptor_are_compared_by_their_text(tmp_path: Path) -> None:
    """Descriptors name strings by cells, whose numbers depend on what was typed in between."""
    schema = {
        "type": "object",
        "properties": {"abc": {"$ref": "#/$defs/inner"}, "abd": {"$ref": "#/$defs/inner"}},
        "additionalProperties": {"type": "object", "properties": {"late": {"type": "integer"}, "last": {}}},
        "$defs": {"inner": {"properties": {"deep": {"properties": {"deeper": {"type": "null"}}}}}},
    }
    grammar = bridle.Grammar.from_json_schema(schema, property_order="any")
    for states in (3, 30, 300):
        compiled = bridle.compile(grammar, MIXED)
        compiled.precompute(states=states)
        compiled.save(tmp_path / "grammar")
        loaded = bridle.load(tmp_path / "grammar", MIXED)
        assert bridle.Matcher(loaded).accept_bytes(
            '{"z": {"late": 1, "last": [{}]}, "abc": {"deep": {"deeper": null}}}'
        )
        compare(loaded, compiled, seed=states, walks=3)
