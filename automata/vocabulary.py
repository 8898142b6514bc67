"""A model's vocabulary as bytes: what each token appends to a text, which tokens end it, which have no text.

Idea. Everything below the tokenizer works on bytes, so a vocabulary is a list of byte strings by id, with three kinds
of ids that no text can reach: special tokens (allowed only where a grammar names them), stop tokens (allowed only where
the text is a sentence) and unused ids, among them those that pad the model's logits to a round number.

INVARIANT: `tokens[i] == b""` exactly for the ids that match no text; a special or stop token's bytes are dropped.
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
from types import MappingProxyType
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from .errors import VocabularyError
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
    special_tokens : read-only mapping from name to id
    fingerprint : 64 hex digits, SHA-256 over all of the above
    token_bytes : uint8[total], the tokens one after another; read-only
    token_offsets : int32[len(tokens) + 1], token i is token_bytes[token_offsets[i]:token_offsets[i + 1]]; read-only
    max_token_bytes : length of the longest token in bytes
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
        `special_tokens`: name to id; their entries in `tokens` are taken for b"", whatever they hold.
        `size`: the model's padded vocabulary (`logits.shape[-1]`); by default `len(tokens)`.
        Raises VocabularyError with the value and what to do.
        """
        texts = _checked_tokens(tokens)
        self.size = _checked_size(size, len(texts))
        self.stop_token_ids = _checked_stop_ids(stop_token_ids, self.size)
        self.special_tokens = MappingProxyType(_checked_special(special_tokens or {}, self.size))
        for id_ in {*self.stop_token_ids, *self.special_tokens.values()}:
            if id_ < len(texts):
                texts[id_] = b""
        self.tokens = tuple(texts)

        flat = b"".join(texts)
        if len(flat) > _MAX_SIZE:
            raise VocabularyError(f"the tokens have {len(flat)} bytes together, more than the limit of {_MAX_SIZE}")
        self.token_bytes = np.frombuffer(flat, np.uint8)
        self.token_offsets = np.zeros(len(texts) + 1, np.int32)
        np.cumsum(np.fromiter(map(len, texts), np.int32, len(texts)), out=self.token_offsets[1:])
        self.token_offsets.setflags(write=False)
        self.max_token_bytes = max(map(len, texts), default=0)
        self.fingerprint = self._digest(flat)
        self._trie: TokenTrie | None = None
        self._lock = threading.Lock()
        self.memory = MemoryBudget()
        self._load()

    def _load(self) -> None:
        """Loads the kernels, the tree and the store that grammars begin with.

        A vocabulary is made when a program starts, a grammar in the middle of a request.
        """
        # They need numba, which importing this file must not.
        from .kernel import load_kernels
        from .shared_stores import store_for

        load_kernels()
        store_for(self)

    def _digest(self, flat: bytes) -> str:
        rest = ["bridle vocabulary 1", self.size, self.stop_token_ids, sorted(self.special_tokens.items())]
        digest = hashlib.sha256(json.dumps(rest).encode() + b"\x00")
        digest.update(self.token_offsets.astype("<i4", copy=False).tobytes())  # as long as the number of tokens says
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
