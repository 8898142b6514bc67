"""A model's vocabulary as bytes: what each token appends to a text, which tokens end it, which have no text.

Idea. Everything below the tokenizer works on bytes, so a vocabulary is a list of byte strings by id, with three kinds
of ids that no text can reach: special tokens (allowed only where a grammar names them), stop tokens (allowed only where
the text is a sentence) and unused ids, among them those that pad the model's logits to a round number.

INVARIANT: `tokens[i] == b""` exactly for the ids that match no text; a special or stop token's bytes are dropped.
INVARIANT: what the machine reads for a token (`token_bytes`) is its text; for a special one its spelling, which no text
contains (special_tokens.py); for a token that is in no UTF-8 text, as it holds a byte of spellings, nothing.
INVARIANT: nothing here changes after the constructor but that the trie is made on first use, once, under a lock.
INVARIANT: equal fingerprints are equal vocabularies, so everything kept on disk for one is keyed by it.

Cost, 128,000 tokens: 10 ms for the constructor (1 of them the fingerprint), the trie 50 ms the first time on a machine
and 5 ms after that (token_trie.py). Reading a tokenizer: see tokenizer_bytes.py.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .errors import GrammarError, VocabularyError
from .special_tokens import LEAST_MARK, SpecialToken, spelled
from .token_trie import TokenTrie
from .tokenizer_bytes import TokenizerBytes, read_hf, read_sentencepiece, read_tekken, read_tiktoken

__all__ = ["MemoryBudget", "Vocabulary"]

StopIds = SupportsIndex | Iterable[SupportsIndex]
_MAX_SIZE = 2**31 - 64  # ids and offsets are int32


class MemoryBudget:
    """How many bytes the automata, records and dense mask rows may take that all grammars of a vocabulary share.

    When they have outgrown it, grammars begin anew, and what they had is freed as soon as no matcher is on it. A
    grammar's own states, stack and memos have a budget of their own, `Limits.memory`.
    """

    __slots__ = ("bytes",)

    def __init__(self, bytes: int = 256 << 20) -> None:
        self.bytes = bytes


class Vocabulary:
    """Token bytes by id; hashable, comparable by content, shared by threads.

    tokens : tuple[bytes, ...], `tokens[i]` = what id i appends to a text, b"" for ids that match no text
    size : ids of the model's output, padding included; `size >= len(tokens)`
    stop_token_ids : tuple[int, ...], ascending, at least one
    special_tokens : read-only mapping from name to id; a grammar may name them
    special_names : read-only mapping from id to name, to the first one if it has several; ascending
    fingerprint : 64 hex digits, SHA-256 over all of the above
    token_bytes : uint8[total], what the machine reads for the tokens, one after another; read-only
    token_offsets : int32[len(tokens) + 1], token i is token_bytes[token_offsets[i]:token_offsets[i + 1]]; read-only
    max_token_bytes : length of the longest of these in bytes
    trie : TokenTrie, made on first use
    memory : MemoryBudget of what all its grammars share; `vocabulary.memory.bytes = …` sets it at any time
    """

    __slots__ = (
        "__weakref__",
        "_lock",
        "_trie",
        "fingerprint",
        "max_token_bytes",
        "memory",
        "size",
        "special_names",
        "special_tokens",
        "stop_token_ids",
        "token_bytes",
        "token_offsets",
        "tokens",
    )

    tokens: tuple[bytes, ...]
    size: int
    stop_token_ids: tuple[int, ...]
    special_tokens: Mapping[str, int]
    special_names: Mapping[int, str]
    fingerprint: str
    token_bytes: npt.NDArray[np.uint8]
    token_offsets: npt.NDArray[np.int32]
    max_token_bytes: int

    def __init__(
        self,
        tokens: Sequence[bytes],
        *,
        stop_token_ids: StopIds,
        special_tokens: Mapping[str, int] | None = None,
        size: int | None = None,
    ) -> None:
        """From the bytes of each id.

        `stop_token_ids`: one id or several; padding ids may be among them, as may special ones.
        `special_tokens`: name to id; their entries in `tokens` are taken for b"", whatever they hold. They are allowed
        where a grammar names them (by the first name, if a token has several), and nowhere else. One that is a stop
        token, too, ends a text wherever it is a sentence, and is what the grammar names in the middle of one.
        `size`: the model's padded vocabulary (`logits.shape[-1]`); by default `len(tokens)`.
        Raises VocabularyError with the value and what to do.
        """
        texts = _checked_tokens(tokens)
        self.size = _checked_size(size, len(texts))
        self.stop_token_ids = _checked_stop_ids(stop_token_ids, self.size)
        self.special_tokens = MappingProxyType(_checked_special(special_tokens or {}, self.size))
        # The first of several names of a token is the one that grammars know it by.
        names = {id_: name for name, id_ in reversed([*self.special_tokens.items()])}
        self.special_names = MappingProxyType(dict(sorted(names.items())))
        texts += [b""] * (max(self.special_tokens.values(), default=-1) + 1 - len(texts))
        for id_ in {*self.stop_token_ids, *self.special_tokens.values()}:
            if id_ < len(texts):
                texts[id_] = b""
        self.tokens = tuple(texts)
        self._lay_out(texts)
        self._trie: TokenTrie | None = None
        self._lock = threading.Lock()
        self.memory = MemoryBudget()
        self._load()

    def _lay_out(self, texts: list[bytes]) -> None:
        """Sets the fingerprint, and what the machine reads for the tokens. `texts` are theirs, and are changed."""
        lengths = np.fromiter(map(len, texts), np.int32, len(texts))
        flat, offsets = _laid_flat(texts, lengths)
        self.fingerprint = self._digest(flat, offsets)
        in_no_text = np.flatnonzero(np.frombuffer(flat, np.uint8) >= LEAST_MARK)
        changed = dict.fromkeys((np.searchsorted(offsets, in_no_text, side="right") - 1).tolist(), b"")
        changed |= {id_: spelled(name, id_) for id_, name in self.special_names.items()}
        if changed:
            for id_, reading in changed.items():
                texts[id_], lengths[id_] = reading, len(reading)
            flat, offsets = _laid_flat(texts, lengths)
        self.token_bytes, self.token_offsets = np.frombuffer(flat, np.uint8), offsets
        self.max_token_bytes = int(lengths.max(initial=0))

    def _load(self) -> None:
        """Loads the kernels, the tree and the store that grammars begin with.

        A vocabulary is made when a program starts, a grammar in the middle of a request.
        """
        # They need numba, which importing this file must not.
        from .kernel import load_kernels
        from .shared_stores import store_for

        load_kernels()
        store_for(self)

    def _digest(self, flat: bytes, offsets: npt.NDArray[np.int32]) -> str:
        names = [sorted(self.special_tokens.items()), list(self.special_names.items())]
        rest = ["bridle vocabulary 2", self.size, self.stop_token_ids, names]
        digest = hashlib.sha256(json.dumps(rest).encode() + b"\x00")
        digest.update(offsets.astype("<i4", copy=False).tobytes())  # as long as the number of tokens says
        digest.update(flat)
        return digest.hexdigest()

    @property
    def trie(self) -> TokenTrie:
        """The tokens' prefix tree: from the disk cache, or built and kept there."""
        if self._trie is None:
            with self._lock:
                if self._trie is None:
                    self._trie = TokenTrie.load_or_build(self.fingerprint, self.token_bytes, self.token_offsets)
        return self._trie

    # ------------------------------------------------------------------------------------------ special tokens

    def reading(self, token: int) -> bytes:
        """What the machine reads for a token; b"" for what no grammar can allow."""
        if not 0 <= token < len(self.tokens):
            return b""
        return self.token_bytes[self.token_offsets[token] : self.token_offsets[token + 1]].tobytes()

    def check_named(self, named: Iterable[SpecialToken]) -> None:
        """Raises GrammarError, with the place, for a token that a grammar names and this vocabulary does not have."""
        for token in named:
            id_ = token.key if isinstance(token.key, int) else self.special_tokens.get(token.key, -1)
            if id_ not in self.special_names or (id_ != token.key and self.special_names[id_] != token.key):
                raise GrammarError(self._why_not_named(token), text=token.text, offset=token.offset)

    def _why_not_named(self, token: SpecialToken) -> str:
        key = token.key
        if isinstance(key, str):
            if (id_ := self.special_tokens.get(key)) is not None:
                first = self.special_names[id_]
                first = f"<{first}>" if first.startswith("[") else first
                return f"token {id_} has several names, of which {key!r} is not the first: write {first} or <[{id_}]>"
            near = get_close_matches(key, self.special_tokens, n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            if key.encode("utf-8", "backslashreplace") in self.tokens:
                return f"{key!r} is ordinary text in the vocabulary, no special token: write it as a text, in quotes"
            remedy = "" if near else "; pass special_tokens={name: id} to Vocabulary, or write it as a text, in quotes"
            return f"the vocabulary has no special token {key!r}{hint}{remedy}"
        if key >= self.size:
            return f"the vocabulary has no token {key}: its ids are 0 to {self.size - 1}"
        if key < len(self.tokens) and self.tokens[key]:
            return f"token {key} is the text {self.tokens[key]!r}, no special token: write it as a text, in quotes"
        return f"token {key} is no special token of the vocabulary; pass special_tokens={{name: {key}}} to Vocabulary"

    # ------------------------------------------------------------------------------------------ from tokenizers

    @classmethod
    def from_hf(cls, tokenizer: Any, size: int | None = None, stop_token_ids: StopIds | None = None) -> Vocabulary:
        """From a fast tokenizer of transformers (byte-level BPE, or SentencePiece's kind) or a `tokenizers.Tokenizer`.

        `size`: `model.config.vocab_size`, or the logits' width where that is larger; by default `len(tokenizer)`.
        `stop_token_ids`: by default `tokenizer.eos_token_id` and, where the tokenizer was loaded from a folder or the
        hub's cache, all of the `eos_token_id` of the generation_config.json beside it.
        Bytes are the decoder's; `clean_up_tokenization_spaces`, where transformers honours it, alters the text later.
        """
        return cls._from(read_hf(tokenizer), type(tokenizer).__name__, stop_token_ids, size)

    @classmethod
    def from_tiktoken(cls, enc: Any, *, stop_token_ids: StopIds | None = None, size: int | None = None) -> Vocabulary:
        """From a `tiktoken.Encoding`; it stops at <|endoftext|> where there is one and nothing else is said."""
        return cls._from(read_tiktoken(enc), f"the encoding {enc.name!r}", stop_token_ids, size)

    @classmethod
    def from_tekken(
        cls, path: str | os.PathLike[str], *, stop_token_ids: StopIds | None = None, size: int | None = None
    ) -> Vocabulary:
        """From Mistral's tekken.json; it stops at </s> where nothing else is said."""
        return cls._from(read_tekken(path), str(path), stop_token_ids, size)

    @classmethod
    def from_sentencepiece(
        cls, path: str | os.PathLike[str], *, stop_token_ids: StopIds | None = None, size: int | None = None
    ) -> Vocabulary:
        """From a SentencePiece .model file; it stops at the model's end of sentence where nothing else is said."""
        return cls._from(read_sentencepiece(path), str(path), stop_token_ids, size)

    @classmethod
    def _from(cls, read: TokenizerBytes, name: str, stop_token_ids: StopIds | None, size: int | None) -> Vocabulary:
        stop: StopIds = read.stop_token_ids if stop_token_ids is None else stop_token_ids
        if stop_token_ids is None and not read.stop_token_ids:
            raise VocabularyError(f"{name} names no token that ends a text; pass stop_token_ids=")
        if size is None:  # a generation config may name an end beyond the tokenizer's own ids
            size = max([len(read.tokens), *(id_ + 1 for id_ in read.stop_token_ids if stop_token_ids is None)])
        return cls(read.tokens, stop_token_ids=stop, special_tokens=read.special_tokens, size=size)

    # ------------------------------------------------------------------------------------------ as a value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.tokens, self.stop_token_ids, dict(self.special_tokens), self.size)

    def __repr__(self) -> str:
        return (
            f"<Vocabulary of {len(self.tokens)} tokens, size {self.size}, "
            f"stop {list(self.stop_token_ids)}, {self.fingerprint[:12]}>"
        )


def _restored(tokens: tuple[bytes, ...], stop: tuple[int, ...], special: dict[str, int], size: int) -> Vocabulary:
    return Vocabulary(tokens, stop_token_ids=stop, special_tokens=special, size=size)


def _laid_flat(texts: list[bytes], lengths: npt.NDArray[np.int32]) -> tuple[bytes, npt.NDArray[np.int32]]:
    """(texts of these lengths one after another, where each begins and the last ends)."""
    flat = b"".join(texts)
    if len(flat) > _MAX_SIZE:
        raise VocabularyError(f"the tokens have {len(flat)} bytes together, more than the limit of {_MAX_SIZE}")
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    offsets.setflags(write=False)
    return flat, offsets


def _checked_tokens(tokens: Sequence[bytes]) -> list[bytes]:
    if isinstance(tokens, (str, bytes, Mapping)):
        raise VocabularyError(f"tokens is a {type(tokens).__name__}; pass a list of bytes, one for each id")
    texts = list(tokens)
    if not set(map(type, texts)) <= {bytes}:
        id_, wrong = next((i, token) for i, token in enumerate(texts) if type(token) is not bytes)
        raise VocabularyError(
            f"token {id_} is {wrong!r}, a {type(wrong).__name__}, not bytes; pass what each id appends to a text, "
            "e.g. with Vocabulary.from_hf(tokenizer), and b'' for an unused id"
        )
    return texts


def _checked_size(size: int | None, n_tokens: int) -> int:
    if size is None:
        size = n_tokens
    value = _index(size, "size")
    if value < n_tokens:
        raise VocabularyError(
            f"size={value} is less than the {n_tokens} tokens given; pass the width of the model's logits "
            "(model.config.vocab_size), or leave out the tokens that the model does not have"
        )
    if not 1 <= value <= _MAX_SIZE:
        raise VocabularyError(f"size={value} is not from 1 to {_MAX_SIZE}; pass the width of the model's logits")
    return value


def _checked_stop_ids(given: StopIds, size: int) -> tuple[int, ...]:
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        ids = [_index(id_, "a stop token's id") for id_ in given]
    else:
        ids = [_index(given, "stop_token_ids")]
    if not ids:
        raise VocabularyError(
            "stop_token_ids is empty, so no text could ever end; pass the ids that end one, "
            "e.g. tokenizer.eos_token_id or the list in the model's generation_config.json"
        )
    for id_ in ids:
        if not 0 <= id_ < size:
            raise VocabularyError(f"stop token {id_} is not an id of a vocabulary of size {size} (0 to {size - 1})")
    return tuple(sorted(set(ids)))


def _checked_special(given: Mapping[str, int], size: int) -> dict[str, int]:
    if not isinstance(given, Mapping):
        raise VocabularyError(f"special_tokens is {given!r}; pass a dict from names to ids, e.g. {{'<|im_start|>': 1}}")
    special = {}
    for name, id_ in given.items():
        if not isinstance(name, str):
            raise VocabularyError(f"the special token {name!r} is not named by a str; special_tokens maps names to ids")
        special[name] = value = _index(id_, f"the id of the special token {name!r}")
        if not 0 <= value < size:
            raise VocabularyError(
                f"the special token {name!r} has the id {value}, which is not in a vocabulary of size {size}; "
                "pass size=, the width of the model's logits, or leave it out"
            )
    return special


def _index(value: Any, what: str) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise VocabularyError(f"{what} is {value!r}; pass an int")
    try:
        return operator.index(value)
    except TypeError:
        raise VocabularyError(f"{what} is {value!r}, a {type(value).__name__}; pass an int") from None
