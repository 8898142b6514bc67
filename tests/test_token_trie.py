"""The vocabulary's prefix tree against a tree of dicts, and its file on disk against all that can happen to a file."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import vocabularies
from bridle.automata import cache_dir
from bridle.automata.cache_dir import cache_folders, read_sealed, write_sealed
from bridle.automata.token_trie import TokenTrie
from bridle.automata.vocabulary import Vocabulary

ARRAYS = {"byte", "parent", "depth", "subtree_end", "token_first", "token_ids"}
ARRAYS |= {"child_first", "child_byte", "child_node"}
SLACK = 3  # of the promised times, for machines that do other things meanwhile


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the test's own, and a temporary folder that cannot stand in for it."""
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "no folder").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no folder"))
    return tmp_path / "cache" / "vocabularies"


def flat(tokens):
    offsets = np.cumsum([0, *map(len, tokens)]).astype(np.int32)
    return np.frombuffer(b"".join(tokens), np.uint8), offsets


def naive_arrays(tokens):
    """The contract, written down once more: dicts in dicts, walked recursively in order of bytes."""
    root = ({}, [])
    for id_, token in enumerate(tokens):
        node = root
        for byte in token:
            node = node[0].setdefault(byte, ({}, []))
        if token:
            node[1].append(id_)
    out = {name: [] for name in ARRAYS} | {"children": []}

    def visit(node, byte, parent, depth):
        me = len(out["byte"])
        out["byte"].append(byte)
        out["parent"].append(parent)
        out["depth"].append(depth)
        out["subtree_end"].append(None)
        out["token_first"].append(len(out["token_ids"]))
        out["token_ids"] += node[1]
        out["children"].append([])
        for edge, child in sorted(node[0].items()):
            out["children"][me].append((edge, visit(child, edge, me, depth + 1)))
        out["subtree_end"][me] = len(out["byte"])
        return me

    visit(root, 0, -1, 0)
    out["token_first"].append(len(out["token_ids"]))
    out["child_first"] = [sum(map(len, out["children"][:i])) for i in range(len(out["children"]) + 1)]
    out["child_byte"] = [byte for row in out["children"] for byte, _ in row]
    out["child_node"] = [node for row in out["children"] for _, node in row]
    del out["children"]
    return out


def readings(vocabulary):
    return [vocabulary.reading(i) for i in range(len(vocabulary.tokens))]


def assert_same(trie, expected):
    assert set(trie.__slots__) == ARRAYS
    for name in ARRAYS:
        assert getattr(trie, name).tolist() == expected[name], name


def same_tree(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


# A few letters that tie often, zeros that look like padding, and lengths on both sides of the sort's words of eight.
short = st.lists(st.binary(max_size=4), max_size=30)
letters = st.sampled_from([b"", b"a", b"b", b"\x00", b"\xff", b"a" * 7, b"\x00" * 8, b"ab" * 8])
long = st.lists(st.lists(letters, max_size=5).map(b"".join), max_size=30)


@settings(max_examples=400, deadline=None)
@given(st.one_of(short, long))
@example([])
@example([b""])
@example([b"", b"a", b"", b"a", b"ab"])
@example([b"a\x00", b"a", b"a" + b"\x00" * 7, b"a" + b"\x00" * 8, b"a", b"a\x00"])
@example([b"\x00" * 24, b"\x00" * 8, b"\x00" * 16, b"\x00", b"\x00" * 23])
def test_build_equals_a_tree_of_dicts(tokens):
    trie = TokenTrie.build(*flat(tokens))
    trie.verify(*flat(tokens))
    assert_same(trie, naive_arrays(tokens))


@pytest.mark.parametrize("name", ["tiny", "byte_level", "sentencepiece"])
def test_build_equals_a_tree_of_dicts_on_vocabularies(name):
    vocabulary = getattr(vocabularies, name)()
    vocabulary.trie.verify(vocabulary.token_bytes, vocabulary.token_offsets)
    tokens = readings(vocabulary)
    naive_children = naive_arrays(tokens) if len(tokens) < 1000 else None
    if naive_children:
        assert_same(vocabulary.trie, naive_children)
    else:  # the twin's child_first is quadratic
        assert vocabulary.trie.n_nodes == len({t[:k] for t in tokens for k in range(1, len(t) + 1)}) + 1


@pytest.mark.parametrize("name", ["tekken", "llama3"])
def test_tree_of_a_real_vocabulary_spells_every_token(name):
    vocabulary = getattr(vocabularies, name)()
    vocabulary.trie.verify(vocabulary.token_bytes, vocabulary.token_offsets)
    assert vocabulary.trie.token_ids.tolist() == [
        i for _, i in sorted((token, i) for i, token in enumerate(readings(vocabulary)) if token)
    ]


def test_find_and_tokens_below_agree_with_the_tokens():
    tokens = readings(vocabularies.tiny())
    trie = vocabularies.tiny().trie
    for data in {token[:k] for token in tokens for k in range(len(token) + 1)} | {b"abca", b"q", b"\x00"}:
        node = trie.find(data)
        begins = [i for i, token in enumerate(tokens) if token and token.startswith(data)]
        assert (node >= 0) == (bool(begins) or data == b"")
        if node >= 0:
            assert sorted(trie.tokens_below(node)) == begins
            assert list(trie.tokens_at(node)) == [i for i, token in enumerate(tokens) if token and token == data]


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_verify_notices_any_array_that_is_wrong(name):
    vocabulary = vocabularies.tiny()
    wrong = getattr(vocabulary.trie, name).copy()
    wrong[[3, 4]] = wrong[[4, 3]] if wrong[3] != wrong[4] else wrong[[3, 4]] + 1
    with pytest.raises(AssertionError):
        replace(vocabulary.trie, **{name: wrong}).verify(vocabulary.token_bytes, vocabulary.token_offsets)


def test_arrays_are_read_only_whether_built_or_read():
    for _ in range(2):
        trie = TokenTrie.load_or_build("ab", *flat([b"a", b"bc"]))
        for name in ARRAYS:
            with pytest.raises(ValueError):
                getattr(trie, name)[0] = 1


# ---------------------------------------------------------------------------------------------- the file on disk


def fresh():
    """A vocabulary with a tree still to be made or read."""
    return Vocabulary([b"a", b"ab", b"", b"b", b"ab"], stop_token_ids=2)


def forbid_building(monkeypatch):
    def build(*_):
        raise AssertionError("built again")

    monkeypatch.setattr(TokenTrie, "build", build)


def count_building(monkeypatch):
    built, build = [], TokenTrie.build

    def counted(*args):
        built.append(1)
        return build(*args)

    monkeypatch.setattr(TokenTrie, "build", counted)
    return built


def test_a_second_vocabulary_reads_what_the_first_built(folder, monkeypatch):
    first = fresh().trie
    assert [path.name for path in folder.iterdir()] == [f"{fresh().fingerprint}.1.trie"]
    forbid_building(monkeypatch)
    assert same_tree(fresh().trie, first)


def test_every_damaged_byte_is_noticed(folder, monkeypatch):
    expected = fresh().trie
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    built = count_building(monkeypatch)
    for k, at in enumerate(range(0, len(whole), 7), start=1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert same_tree(fresh().trie, expected)
        assert len(built) == k
        assert path.read_bytes() == whole, "rebuilt and kept again"


@pytest.mark.parametrize("keep", [0, 7, 8, 39, 40, 43, 44, 100, -1])
def test_a_truncated_file_is_rebuilt(folder, monkeypatch, keep):
    expected = fresh().trie
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:keep])
    built = count_building(monkeypatch)
    assert same_tree(fresh().trie, expected) and built


def test_a_longer_file_is_rebuilt(folder, monkeypatch):
    expected = fresh().trie
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes() + b"\x00")
    built = count_building(monkeypatch)
    assert same_tree(fresh().trie, expected) and built


@pytest.mark.parametrize("kind", ["token trie 0 {}", "token trie 2 {}", "token trie 1 other", "something else"])
def test_a_file_of_another_version_or_vocabulary_is_ignored(folder, monkeypatch, kind):
    expected = fresh().trie
    other = TokenTrie.build(*flat([b"x", b"y", b"z", b"xy"]))
    name = f"vocabularies/{fresh().fingerprint}.1.trie"
    write_sealed(name, kind.format(fresh().fingerprint), {name: getattr(other, name) for name in ARRAYS})
    built = count_building(monkeypatch)
    assert same_tree(fresh().trie, expected) and built


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("byte", np.zeros(1, np.uint8)),
        ("parent", np.array([-1, 1, 1, 0], np.int32)),
        ("parent", np.array([-1, -7, 1, 0], np.int32)),
        ("parent", np.array([-1, 0, 1, 0], np.int64)),
        ("subtree_end", np.array([4, 5, 3, 4], np.int32)),
        ("subtree_end", np.array([4, 0, 3, 4], np.int32)),
        ("token_first", np.array([0, 0, 9, 3, 4], np.int32)),
        ("token_ids", np.array([0, 1, 4, 5], np.int32)),
        ("token_ids", np.array([0, 1, 3], np.int32)),
        ("child_first", np.array([0, 2, 3, 3, 2], np.int32)),
        ("child_node", np.array([1, 4, 2], np.int32)),
        ("child_node", np.array([1, 0, 2], np.int32)),
        ("extra", np.zeros(1, np.uint8)),
    ],
)
def test_a_sealed_file_with_impossible_arrays_is_rebuilt(monkeypatch, name, wrong):
    expected = fresh().trie
    arrays = {array: getattr(expected, array) for array in ARRAYS} | {name: wrong}
    digest = fresh().fingerprint
    write_sealed(f"vocabularies/{digest}.1.trie", f"token trie 1 {digest}", arrays)
    built = count_building(monkeypatch)
    assert same_tree(fresh().trie, expected) and built


def test_without_any_folder_trees_are_built_and_not_kept(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for where in (tmp_path / "file" / "below", Path("/proc/none")):
        monkeypatch.setenv("BRIDLE_CACHE_DIR", str(where))
        assert fresh().trie.n_nodes == 4
        assert write_sealed("a", "b", {}) is None and read_sealed("a", "b") is None


def test_a_read_only_folder_is_read_from(folder, monkeypatch):
    expected = fresh().trie
    before = sorted(folder.iterdir())

    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(cache_dir.tempfile, "mkstemp", refuse)
    assert Vocabulary([b"other"], stop_token_ids=0, size=2).trie.n_nodes == 1
    forbid_building(monkeypatch)
    assert same_tree(fresh().trie, expected)
    assert sorted(folder.iterdir()) == before


def test_a_write_that_fails_half_way_leaves_nothing(folder, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(cache_dir.os, "replace", full)
    assert fresh().trie.n_nodes == 4
    assert list(folder.iterdir()) == []


def test_the_temporary_folder_stands_in_only_if_it_is_this_users_alone(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BRIDLE_CACHE_DIR", str(tmp_path / "file" / "below"))
    shared = tmp_path / "tmp"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    path = write_sealed("vocabularies/x", "kind", {"a": np.arange(3, dtype=np.int32)})
    assert path is not None and path.parents[2] == shared
    assert read_sealed("vocabularies/x", "kind")["a"].tolist() == [0, 1, 2]
    path.parents[1].chmod(0o777)
    assert read_sealed("vocabularies/x", "kind") is None


def test_cache_folders_follow_the_environment(tmp_path, monkeypatch):
    assert cache_folders() == [tmp_path / "cache"]
    monkeypatch.delenv("BRIDLE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folders() == [tmp_path / "xdg" / "bridle"]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folders() == [tmp_path / ".cache" / "bridle"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folders() == [tmp_path / ".cache" / "bridle"]


RACE = """
import sys, time
from bridle.automata.vocabulary import Vocabulary
Vocabulary._load = lambda self: None  # kernels would go into the same new cache, a minute's work
tokens = [b"%d" % k for k in range(20_000)]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    trie = Vocabulary(tokens, stop_token_ids=20_000, size=20_001).trie
    trie.verify()
print(trie.n_nodes)
"""


def test_two_processes_may_build_and_keep_the_same_tree_at_once(folder):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", RACE], **pipes) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert answers[0] == answers[1] != ""
    assert [path.suffix for path in folder.iterdir()] == [".trie"]


def test_threads_share_one_tree(monkeypatch):
    built = count_building(monkeypatch)
    vocabulary, seen = fresh(), []
    threads = [threading.Thread(target=lambda: seen.append(vocabulary.trie)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and all(trie is seen[0] for trie in seen) and len(built) == 1


@pytest.mark.parametrize("name", ["tekken", "llama3"])
def test_the_first_tree_takes_less_than_a_second_and_the_next_less_than_a_tenth(name):
    known = getattr(vocabularies, name)()

    def seconds():
        start = time.perf_counter()
        again = Vocabulary(
            known.tokens, stop_token_ids=known.stop_token_ids, special_tokens=known.special_tokens, size=known.size
        )
        assert again.trie.n_nodes > 200_000
        return time.perf_counter() - start

    assert seconds() < 1.0 * SLACK
    assert seconds() < 0.1 * SLACK


def test_verification_of_every_tree_is_switched_on_by_the_environment(monkeypatch):
    verified = []
    monkeypatch.setattr(TokenTrie, "verify", lambda *args: verified.append(args))
    monkeypatch.setenv("BRIDLE_VERIFY", "")
    assert fresh().trie and not verified
    monkeypatch.setenv("BRIDLE_VERIFY", "1")
    assert fresh().trie and len(verified) == 1
    assert Vocabulary([b"q"], stop_token_ids=1, size=2).trie and len(verified) == 2
    assert os.environ["BRIDLE_VERIFY"] == "1"
