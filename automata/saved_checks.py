"""What is looked at before a kernel follows the numbers of a file.

Each check is a comparison of whole arrays: a reference is that of an element which is there, a span lies within its
table, a leaf's state is one of the leaves. An element refers to earlier ones alone where the tables are written in
that order, so there is no circle, either. Only the inside of descriptors (DATA) is taken as it is; it is compared,
number by number, with what the grammar makes of itself as soon as that is made.

Cost: 3 ms for 10 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import SavedGrammarError
from .place_kernels import ROOT_PARTS
from .record_table_kernels import (
    JOINED,
    P_DENSE,
    P_EXIT,
    P_EXITS,
    P_LIST,
    P_MOST,
    P_NEEDS,
    P_PLACE,
    P_ROWS,
    P_STATE,
    P_STOP,
    P_TOKENS,
    P_WITH_EXITS,
)
from .table_kernels import (
    BLOCKED,
    CELL_SET,
    CELL_STRING,
    CELL_TYPING,
    COUNTED,
    DEAD,
    GREEDY,
    ITEMS,
    L_CLASS,
    L_FLAGS,
    L_HOLD,
    L_LIKE,
    L_NEAR,
    L_ROW,
    L_START,
    LEAF,
    LEAF_WIDTH,
    MASK_WIDTH,
    MEMBERS,
    NAMES,
    R_BODY,
    R_CALL,
    R_CALLS,
    R_CLOSE,
    R_CLOSE_TO,
    R_DESC,
    R_EDGE,
    R_EDGES,
    R_FIRST,
    R_FLAGS,
    R_NEAR,
    R_NEXT,
    R_NEXT_TO,
    RECORD_WIDTH,
    ROW_WIDTH,
)
from .vocabulary import Vocabulary

__all__ = ["check_saved", "is_sound_store", "set_starts"]

if TYPE_CHECKING:
    Arrays = dict[str, np.ndarray]

_TYPES = {"about": "u1", "leaf_digests": "u1", "body_digests": "u1", "start": "i8"}
_STORE_NAMES = (
    "leaves", "leaf_classes", "leaf_info", "records", "record_ints", "dense", "leaf_digests", "leaf_rows",
    "body_digests", "body_rows",
)  # fmt: skip
_NAMES = (
    "about", "rows", "edges", "calls", "data", "nodes", "sets", "cells", "steps", "contexts", "masks", "mask_ints",
    "node_mask", "set_mask", "context_mask", "log", "start", *_STORE_NAMES,
)  # fmt: skip
_DIGEST = 16
_DEEPER = -1
# More iterations than any state of a body needs.
_MOST_NEEDED = 1 << 20


def check_saved(path: Path, arrays: Arrays, vocabulary: Vocabulary) -> None:
    """Raises SavedGrammarError for arrays that no machine can have written."""
    faults = _Faults()
    if sorted(arrays) != sorted(_NAMES):
        raise SavedGrammarError(f"{path} is malformed: it holds {', '.join(sorted(arrays))}")
    _check_lengths(faults, arrays, vocabulary, _NAMES)
    _check_machine_lengths(faults, arrays)
    faults.raise_any(path)  # the rest reads the arrays as tables
    _check_store(faults, arrays, vocabulary)
    _check_masks(faults, arrays, vocabulary)
    faults.raise_any(path)
    _check_rows(faults, arrays)
    faults.raise_any(path)
    _check_stack(faults, arrays, vocabulary)
    faults.raise_any(path)


def is_sound_store(arrays: Arrays, vocabulary: Vocabulary) -> bool:
    """Whether arrays may be the tables of a vocabulary's store."""
    faults = _Faults()
    if sorted(arrays) != sorted(_STORE_NAMES):
        return False
    _check_lengths(faults, arrays, vocabulary, _STORE_NAMES)
    if not faults.found:
        _check_store(faults, arrays, vocabulary)
    return not faults.found


def set_starts(sets: np.ndarray) -> list[int]:
    """Where the sets of a table begin: [n, id...] one after another; [] for a table that is not made of sets."""
    starts, at, size = [], 0, len(sets)
    while at < size:
        n = int(sets[at])
        if n < 2 or at + n >= size:
            return []
        starts.append(at)
        at += n + 1
    return starts


class _Faults:
    """What was found to be wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __call__(self, name: str, right: bool | np.ndarray | np.bool_) -> None:
        if not np.all(right):
            self.found.append(name)

    def raise_any(self, path: Path) -> None:
        if self.found:
            raise SavedGrammarError(f"{path} is malformed: impossible {', '.join(self.found)}")


def _within(values: np.ndarray, most: int | np.ndarray, *, least: int = 0) -> np.ndarray:
    return (values >= least) & (values < most)


def _spans(first: np.ndarray, length: np.ndarray, size: int) -> np.ndarray:
    return (first >= 0) & (length >= 0) & (first.astype(np.int64) + length <= size)


def _places(first: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The places within spans, one span after another."""
    ends = np.cumsum(length, dtype=np.int64)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - (ends - length), length)


def _check_lengths(faults: _Faults, arrays: Arrays, vocabulary: Vocabulary, names: tuple[str, ...]) -> None:
    words = (vocabulary.size + 31) // 32
    widths = {
        "rows": ROW_WIDTH, "edges": 2, "calls": 2, "nodes": 4, "cells": 4, "steps": 4, "contexts": 4,
        "masks": MASK_WIDTH, "leaf_classes": 256, "leaf_info": LEAF_WIDTH, "records": RECORD_WIDTH, "dense": words,
        "leaf_digests": _DIGEST, "body_digests": 2 * _DIGEST,
    }  # fmt: skip
    for name in names:
        faults(f"type of {name}", arrays[name].dtype == np.dtype(_TYPES.get(name, "i4")))
        faults(f"length of {name}", len(arrays[name]) % widths.get(name, 1) == 0)
    sizes = {name: len(array) for name, array in arrays.items()}
    faults("length of leaf_rows", sizes["leaf_rows"] == sizes["leaf_digests"] // _DIGEST)
    faults("length of body_rows", sizes["body_rows"] == sizes["body_digests"] // _DIGEST)
    least = {"leaves": 1, "leaf_classes": 256, "leaf_info": LEAF_WIDTH}
    faults("tables that are empty", all(sizes[name] >= n for name, n in least.items()))
    faults("leaf numbers", sizes["leaf_info"] // LEAF_WIDTH < LEAF)


def _check_machine_lengths(faults: _Faults, arrays: Arrays) -> None:
    sizes = {name: len(array) for name, array in arrays.items()}
    for name, of, each in (("node_mask", "nodes", 4), ("set_mask", "sets", 1), ("context_mask", "contexts", 4)):
        faults(f"length of {name}", sizes[name] == sizes[of] // each)
    least = {"rows": ROW_WIDTH, "nodes": 4, "cells": 8}
    faults("tables that are empty", all(sizes[name] >= n for name, n in least.items()))
    faults("length of start", sizes["start"] == 1)
    faults("row numbers", sizes["rows"] // ROW_WIDTH < LEAF)


def _check_store(faults: _Faults, arrays: Arrays, vocabulary: Vocabulary) -> None:
    states, dense = len(arrays["leaf_info"]) // LEAF_WIDTH, len(arrays["dense"]) // ((vocabulary.size + 31) // 32)
    places, tokens = vocabulary.trie.n_nodes, len(vocabulary.tokens)
    ints, n = arrays["record_ints"], len(arrays["record_ints"])
    faults("leaves", _within(arrays["leaves"], states, least=BLOCKED))
    info = arrays["leaf_info"].reshape(-1, LEAF_WIDTH)
    faults("leaf_info", _within(info[:, [L_START, L_LIKE, L_HOLD]], states))
    classes = arrays["leaf_classes"].reshape(-1, 256)
    faults("classes of leaves", _within(classes, 256))
    faults("classes of leaves", _within(info[:, L_CLASS], len(arrays["leaf_classes"])) & (info[:, L_CLASS] % 256 == 0))
    if faults.found:
        return
    wide = classes.max(axis=1)[info[:, L_CLASS] // 256] + 1
    faults("rows of leaves", _spans(info[:, L_ROW], wide, len(arrays["leaves"])))
    greedy = info[:, L_FLAGS] & GREEDY != 0
    if not faults.found and (arrays["leaves"] < 0).any():
        faults("leaves", arrays["leaves"][_places(info[~greedy, L_ROW], wide[~greedy])] >= 0)
    faults("leaf_rows", _within(arrays["leaf_rows"], LEAF + states, least=LEAF))
    faults("body_rows", _within(arrays["body_rows"][::2], LEAF + states, least=LEAF))
    faults("body_rows", _within(arrays["body_rows"][1::2], _MOST_NEEDED))
    faults("leaf_info", _within(info[:, L_NEAR], _MOST_NEEDED))
    records = arrays["records"].reshape(-1, RECORD_WIDTH)
    joined = records[:, P_STOP] == JOINED  # of two dense rows
    place, state = records[:, P_PLACE], records[:, P_STATE]
    of_tree = _within(place, places, least=-places) | _within(ROOT_PARTS - place, states)
    faults("places of records", np.where(joined, _within(-1 - place, dense), of_tree))
    faults("states of records", _within(state, np.where(joined, dense, states)))
    faults("rows of records", _within(records[:, P_DENSE], dense, least=-1))
    faults("rows of records", _within(records[:, P_WITH_EXITS], dense + 1))
    exits = records[:, P_EXITS].astype(np.int64)
    faults("exits of records", _spans(records[:, P_EXIT], 2 * exits, n))
    needed = records[:, P_MOST] > 0
    faults("needs of records", records[:, P_MOST] >= 0)
    for field in (P_NEEDS, P_ROWS):
        faults("needs of records", _spans(records[needed, field], records[needed, P_MOST].astype(np.int64) + 1, n))
    listed = (records[:, P_DENSE] < 0) | (records[:, P_MOST] > 1)
    faults("tokens of records", _spans(records[listed, P_LIST], records[listed, P_TOKENS], n))
    if faults.found:
        return
    faults("listed tokens", _within(ints[_places(records[listed, P_LIST], records[listed, P_TOKENS])], tokens))
    faults("exit places", _within(ints[_places(records[:, P_EXIT], 2 * exits)[::2]], places, least=-places))
    most = records[needed, P_MOST].astype(np.int64) + 1
    allowed = np.repeat(records[needed, P_TOKENS].astype(np.int64) + 1, most)
    faults("lengths by need", _within(ints[_places(records[needed, P_NEEDS], most)], allowed))
    faults("rows by need", _within(ints[_places(records[needed, P_ROWS], most)], dense, least=-1))


def _check_masks(faults: _Faults, arrays: Arrays, vocabulary: Vocabulary) -> None:
    dense, tokens = len(arrays["dense"]) // ((vocabulary.size + 31) // 32), len(vocabulary.tokens)
    masks = arrays["masks"].reshape(-1, MASK_WIDTH)
    faults("rows of masks", _within(masks[:, 0], dense, least=-1))
    faults("tokens of masks", _spans(masks[:, 1], masks[:, 2], len(arrays["mask_ints"])))
    faults("tokens in masks", _within(arrays["mask_ints"], tokens))


def _check_rows(faults: _Faults, arrays: Arrays) -> None:
    rows = arrays["rows"].reshape(-1, ROW_WIDTH)
    n, states, size = len(rows), len(arrays["leaf_info"]) // LEAF_WIDTH, len(arrays["data"])

    def targets(values: np.ndarray) -> np.ndarray:
        return _within(values, n) | _within(values, LEAF + states, least=LEAF)

    flags = rows[:, R_FLAGS]
    faults("edges of rows", _spans(rows[:, R_EDGE], 2 * rows[:, R_EDGES].astype(np.int64), len(arrays["edges"])))
    faults("calls of rows", _spans(rows[:, R_CALL], 2 * rows[:, R_CALLS].astype(np.int64), len(arrays["calls"])))
    faults("targets of edges", targets(arrays["edges"][1::2]))
    faults("targets of calls", targets(arrays["calls"]))
    faults("closes", targets(rows[:, R_CLOSE_TO]) & _within(rows[:, R_CLOSE], 256, least=-1))
    faults("separators", targets(rows[:, R_NEXT_TO]) & _within(rows[:, R_NEXT], 256, least=-1))
    counted = flags & COUNTED != 0
    faults("bodies", _within(rows[counted, R_BODY], states) & _within(rows[counted, R_NEAR], _MOST_NEEDED))
    items = flags & ITEMS != 0  # a separator leads to as many rows as there are places
    faults(
        "places of items",
        (rows[items, R_BODY] >= 0) & (rows[items, R_NEXT_TO].astype(np.int64) + rows[items, R_BODY] < n),
    )
    told = flags & (MEMBERS | ITEMS | NAMES) != 0
    faults("descriptors", _within(rows[told, R_DESC], size))
    faults("first bytes", _within(rows[:, R_FIRST], max(size - 6, 1)))
    faults("log", _within(arrays["log"], n))


def _check_stack(faults: _Faults, arrays: Arrays, vocabulary: Vocabulary) -> None:
    rows = arrays["rows"].reshape(-1, ROW_WIDTH)
    nodes, sets = arrays["nodes"].reshape(-1, 4), arrays["sets"]
    n, states, cells = len(nodes), len(arrays["leaf_info"]) // LEAF_WIDTH, len(arrays["cells"]) // 4
    starts = set_starts(sets)
    faults("sets", len(sets) == 0 or bool(starts))
    ids = np.delete(sets, starts) if starts else sets[:0]
    faults("nodes of sets", _within(ids, n))
    begun = np.zeros(len(sets) + 1, bool)
    begun[starts] = True

    def references(values: np.ndarray) -> np.ndarray:
        named = np.clip(~values.astype(np.int64), 0, len(sets))
        return _within(values, n) | ((values < 0) & (values > DEAD) & begun[named])

    is_leaf = nodes[:, 0] >= LEAF
    faults("states of nodes", np.where(is_leaf, nodes[:, 0] < LEAF + states, _within(nodes[:, 0], len(rows))))
    faults("stacks", references(nodes[:, 3]) & (nodes[:, 3] <= np.arange(n)))
    _check_acyclic(faults, nodes, sets, starts)
    if faults.found:
        return
    flags = rows[np.where(is_leaf, 0, nodes[:, 0]), R_FLAGS]
    x, y = nodes[:, 1], nodes[:, 2]
    named, counted = flags & NAMES != 0, flags & COUNTED != 0
    faults("registers of names", _within(x[named], len(arrays["data"]), least=-cells) & _within(y[named], cells))
    faults("registers of members", _within(y[flags & MEMBERS != 0], cells))
    faults("registers of bodies", _within(x[counted], states))
    faults("registers", (x[~named] >= 0) & (y[~named] >= 0))
    _check_cells(faults, arrays["cells"].reshape(-1, 4), states)
    steps = arrays["steps"].reshape(-1, 4)
    tokens = len(vocabulary.tokens)
    faults("steps", references(steps[:, 0]) & (references(steps[:, 2]) | (steps[:, 2] == DEAD)))
    faults("tokens of steps", _within(steps[:, 1], tokens))
    masks = len(arrays["masks"]) // MASK_WIDTH
    for name in ("node_mask", "set_mask"):
        faults(name, _within(arrays[name], masks + 1))
    faults("context_mask", _within(arrays["context_mask"], masks + 1, least=_DEEPER))
    above = arrays["contexts"].reshape(-1, 4)[:, 3]
    faults("contexts", (above >= -1) & (above < np.arange(len(above))))
    faults("start", references(arrays["start"]))
    if not faults.found:
        _check_no_greedy_bodies(faults, arrays, x[counted])


def _check_no_greedy_bodies(faults: _Faults, arrays: Arrays, counted: np.ndarray) -> None:
    """A body and a name are followed by automata that know no BLOCKED. counted : states that bodies are in."""
    rows, cells = arrays["rows"].reshape(-1, ROW_WIDTH), arrays["cells"].reshape(-1, 4)
    bodies = rows[rows[:, R_FLAGS] & COUNTED != 0, R_BODY]
    followed = (bodies, counted, cells[cells[:, 3] == CELL_TYPING, 1], arrays["body_rows"][::2] - LEAF)
    flags = arrays["leaf_info"].reshape(-1, LEAF_WIDTH)[np.concatenate(followed), L_FLAGS]
    faults("bodies", flags & GREEDY == 0)


def _check_acyclic(faults: _Faults, nodes: np.ndarray, sets: np.ndarray, starts: Iterable[int]) -> None:
    """A set that is the stack of a node holds earlier nodes alone."""
    latest = {~start: int(sets[start + 1 : start + 1 + int(sets[start])].max()) for start in starts}
    below = nodes[:, 3]
    for k in np.flatnonzero(below < 0).tolist():
        if latest.get(int(below[k]), 0) >= k:
            faults("stacks", False)
            return


def _check_cells(faults: _Faults, cells: np.ndarray, states: int) -> None:
    a, b, tag, own = cells[:, 0], cells[:, 1], cells[:, 3], np.arange(len(cells))
    faults("kinds of cells", _within(tag, CELL_TYPING + 1))
    is_set, is_string, typing = tag == CELL_SET, tag == CELL_STRING, tag == CELL_TYPING
    faults("progress", _within(b[tag == 0], len(cells)))
    faults("sets of names", _within(a[is_set], len(cells)) & (a[is_set] < own[is_set]) & (b[is_set] < own[is_set]))
    is_letter = is_string & (own > 1)
    before = a[is_letter]
    faults("strings", _within(before, len(cells)) & (before < own[is_letter]) & _within(b[is_letter], 256))
    if faults.found:
        return
    faults("strings", tag[np.where(is_letter, a, 1)] == CELL_STRING)
    faults("typed names", (a[typing] >= -len(cells)) & _within(b[typing], states))
