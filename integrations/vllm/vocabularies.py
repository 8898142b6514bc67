"""The tokenizers of vLLM as vocabularies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...automata.errors import VocabularyError
from ...automata.tokenizer_bytes import TokenizerBytes, read_hf, read_sentencepiece, read_tekken
from ...automata.vocabulary import Vocabulary

__all__ = ["default_stops", "vocabulary_of"]


def vocabulary_of(tokenizer: Any, size: int, stop_token_ids: Iterable[int]) -> Vocabulary:
    """The vocabulary of a tokenizer, as wide as the model's logits.

    Tokens beyond them, which the model never writes, are left out, as are such stop tokens. Raises VocabularyError.
    """
    read = _read(tokenizer)
    special = {name: id_ for name, id_ in read.special_tokens.items() if id_ < size}
    stops = [id_ for id_ in stop_token_ids if 0 <= id_ < size]
    return Vocabulary(read.tokens[:size], stop_token_ids=stops, special_tokens=special, size=size)


def default_stops(vllm_config: Any, tokenizer: Any) -> frozenset[int]:
    """The ids that end the texts of requests which name no others, as vLLM puts them together."""
    found = vllm_config.model_config.try_get_generation_config().get("eos_token_id")
    ids = {found} if isinstance(found, int) else set(found or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    return frozenset(ids)


def _read(tokenizer: Any) -> TokenizerBytes:
    if not getattr(tokenizer, "IS_MISTRAL_TOKENIZER", False):
        return read_hf(tokenizer)
    inner = tokenizer.tokenizer  # of mistral-common
    path = getattr(inner, "file_path", None)
    if path is None:
        name = type(inner).__name__
        raise VocabularyError(f"{name} does not say which file it was read from; use tokenizer_mode='hf'")
    return read_tekken(path) if tokenizer.is_tekken else read_sentencepiece(path)
