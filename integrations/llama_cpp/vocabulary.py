"""The vocabulary of a `llama_cpp.Llama`, read from the model itself: no tokenizer beside the gguf file is needed.

Idea. `Llama` puts a completion together token by token (`detokenize`: llama.cpp's `llama_token_to_piece`, special
tokens left out), so what a token appends to a text is what that says of it alone, whatever kind of tokenizer the file
holds. Control and unknown tokens have names instead, and what llama.cpp takes for the end of a generation is a stop
token, be it <eos>, the end of a turn or of a message.

A token that `detokenize` drops has no bytes here, so it is never chosen: up to now (0.3.35) those are all of more than
32 bytes, long runs of spaces and the like, which llama-cpp-python's buffer does not hold. The text is written with
shorter ones.

Cost: 3 us a token, once for each `Llama`.
Source: llama.cpp, `llama_vocab::impl::token_to_piece` and `llama_vocab_is_eog`. Tested with every token of byte-level
BPE and SentencePiece vocabularies against what bridle reads from their own files.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import llama_cpp

from ...automata.errors import VocabularyError
from ...automata.vocabulary import Vocabulary

__all__ = ["check_vocabulary", "vocabulary_of"]

_NAMED = llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN | llama_cpp.LLAMA_TOKEN_ATTR_CONTROL

_made: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()


def vocabulary_of(llama: llama_cpp.Llama) -> Vocabulary:
    """The vocabulary of a model, as wide as its logits; made once."""
    if llama not in _made:
        vocab = llama_cpp.llama_model_get_vocab(llama.model)
        detokenize, ids = llama.tokenizer().detokenize, range(llama.n_vocab())
        stops = [id_ for id_ in ids if llama_cpp.llama_vocab_is_eog(vocab, id_)]
        special: dict[str, int] = {}
        for id_ in ids:
            if llama_cpp.llama_vocab_get_attr(vocab, id_) & _NAMED:
                name = llama_cpp.llama_vocab_get_text(vocab, id_).decode("utf-8", "backslashreplace")
                special.setdefault(name, id_)
        _made[llama] = Vocabulary([detokenize([id_]) for id_ in ids], stop_token_ids=stops, special_tokens=special)
    return _made[llama]


def check_vocabulary(vocabulary: Vocabulary, llama: llama_cpp.Llama) -> None:
    """Raises VocabularyError for a vocabulary by which the model's texts would not be what the grammar allows.

    Tokens that it knows no text of are no fault: they are never chosen.
    """
    own = vocabulary_of(llama)
    if vocabulary == own:
        return
    reason = _difference(vocabulary, own)
    if reason is not None:
        raise VocabularyError(
            f"the grammar was compiled for another vocabulary than that of {llama.model_path}: {reason}. "
            "Compile it for bridle.integrations.llama_cpp.vocabulary_of(llama)"
        )


def _difference(vocabulary: Vocabulary, own: Vocabulary) -> str | None:
    if vocabulary.size != own.size:
        return f"it has {vocabulary.size} tokens, and the model {own.size}"
    for id_, (given, text) in enumerate(zip(vocabulary.tokens, own.tokens)):
        if given and given != text:
            return f"token {id_} is {given!r} in it, and the model writes {text!r}"
    unending = sorted({*vocabulary.stop_token_ids} - {*own.stop_token_ids})
    if unending:
        return (
            f"its stop token {unending[0]} does not end a text of the model ({', '.join(map(str, own.stop_token_ids))})"
        )
    return None
