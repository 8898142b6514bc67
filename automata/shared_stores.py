"""The one store that all grammars of a vocabulary share, and what it begins with.

Nearly every grammar asks for the same leaves: strings, numbers, a few formats. Their records for a vocabulary, a
millisecond each to make, are kept on disk, so that a process begins with them. Which leaves these are is the business
of those who know languages (beginnings.py).

A file is of one vocabulary and one version of the source (its name says both), sealed with a checksum, and its numbers
are looked at before a kernel follows one (saved_checks.py). What does not fit is as if it were absent, and made anew.

Cost: 5 ms to read where the file is there, else 0.2 s, once for each vocabulary of a machine.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from typing import NamedTuple

from .beginnings import modules
from .byte_dfa import ByteDfa
from .cache_dir import read_sealed, write_sealed
from .saved_checks import is_sound_store
from .saved_stores import SavedStore, StoreExtent
from .saved_tables import bridle_digest
from .store import Store
from .vocabulary import Vocabulary

__all__ = ["Beginning", "store_for"]

_KIND = "store 1"
# Tokens from which on it pays to keep records: below, a record takes less than a file.
_WORTHWHILE = 1 << 13


class Beginning(NamedTuple):
    """A leaf that a store begins with, and the records that are made of it.

    like : for quoted leaves, plain string content, as in Fragment. is_body : it is a counted body, its own unit.
    texts : the records are those of its states after these texts. stop : see record_kernels.
    """

    leaf: ByteDfa
    texts: tuple[bytes, ...] = (b"",)
    like: ByteDfa | None = None
    is_body: bool = False
    stop: int = -1


_stores: weakref.WeakKeyDictionary[Vocabulary, Store] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def store_for(vocabulary: Vocabulary) -> Store:
    """The store that new machines of a vocabulary use."""
    with _lock:
        store = _stores.get(vocabulary)
        if store is None or store.is_full:
            store = _stores[vocabulary] = _begun(vocabulary)
        return store


def _begun(vocabulary: Vocabulary) -> Store:
    if not modules() or len(vocabulary.tokens) < _WORTHWHILE:
        return Store(vocabulary)
    name = f"vocabularies/{vocabulary.fingerprint}-{bridle_digest()}.records"
    arrays = read_sealed(name, _KIND)
    if arrays is not None and is_sound_store(arrays, vocabulary):
        return SavedStore(vocabulary, arrays)
    store = Store(vocabulary)
    with store.lock:
        for module in modules():
            for beginning in importlib.import_module(module).common_leaves():
                _make(store, beginning)
        write_sealed(name, _KIND, StoreExtent.of(store).arrays(store))
    return store


def _make(store: Store, beginning: Beginning) -> None:
    """Registers a leaf and makes its records."""
    leaf = beginning.leaf
    if beginning.is_body:
        row, _ = store.body(leaf, leaf)
    elif beginning.like is not None:
        row = store.leaf_like(leaf, beginning.like)
    else:
        row = store.leaf(leaf)
    for text in beginning.texts:
        state = leaf.state_after(text)
        if state == 0:
            raise ValueError(f"a leaf that stores begin with has no text that begins with {text!r}")
        # Live states of an automaton are written one after the other.
        store.make_record(row + state - 1, beginning.stop)
