"""What `vocabulary_of` reads from a gguf file is what bridle reads from the tokenizer that the file was made from."""

# ruff: noqa: E402 — what follows importorskip needs what it asks for
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import bridle
import vocabularies
from bridle.automata.tokenizer_bytes import _gpt2_alphabet

pytest.importorskip("llama_cpp")
gguf_files = pytest.importorskip("gguf_files", reason="gguf is not installed")

from box_llama import complete, load, processor_of

from bridle.integrations.llama_cpp import DraftModel, GrammarLogitsProcessor, vocabulary_of

LONGEST = 32  # bytes of a token that llama-cpp-python writes


def vocabulary_in(path: Path) -> bridle.Vocabulary:
    import llama_cpp

    return vocabulary_of(llama_cpp.Llama(str(path), vocab_only=True, verbose=False))


def assert_same_texts(read: bridle.Vocabulary, expected: bridle.Vocabulary) -> None:
    writable = [text if len(text) <= LONGEST else b"" for text in expected.tokens]
    assert list(read.tokens) == writable
    assert read.size == expected.size


def test_the_box_models_vocabulary_is_its_tokenizers(llama: Any) -> None:
    hf = pytest.importorskip("bridle.integrations.hf")
    model, tokenizer = hf.load()
    assert vocabulary_of(llama) == hf.vocabulary_of(model, tokenizer)
    assert vocabulary_of(llama) is vocabulary_of(llama)


def test_every_token_of_a_large_byte_level_vocabulary_is_exact(tmp_path: Path) -> None:
    expected = vocabularies.tekken()
    letters = {byte: letter for letter, byte in _gpt2_alphabet().items()}
    pieces, kinds = [], []
    for id_, text in enumerate(expected.tokens):
        pieces.append("".join(letters[byte] for byte in text) or expected.special_names.get(id_, f"<unused {id_}>"))
        kinds.append(gguf_files.NORMAL if text else gguf_files.CONTROL)
    read = vocabulary_in(gguf_files.write_bpe(tmp_path / "bpe.gguf", pieces, kinds, eos=2))
    assert any(len(text) > LONGEST for text in expected.tokens)
    assert_same_texts(read, expected)
    assert dict(read.special_tokens) == dict(expected.special_tokens)
    assert 2 in read.stop_token_ids


def test_every_token_of_a_sentencepiece_vocabulary_is_exact(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    model = sentencepiece.SentencePieceProcessor(model_file=str(vocabularies.sentencepiece_file()))
    pieces = [model.id_to_piece(id_) for id_ in range(len(model))]
    kinds = [
        gguf_files.BYTE if model.is_byte(id_) else gguf_files.CONTROL if model.is_control(id_)
        else gguf_files.UNKNOWN if model.is_unknown(id_) else gguf_files.NORMAL for id_ in range(len(model))
    ]  # fmt: skip
    read = vocabulary_in(gguf_files.write_sentencepiece(tmp_path / "spm.gguf", pieces, kinds))
    expected = vocabularies.sentencepiece()
    assert_same_texts(read, expected)
    assert dict(read.special_tokens) == dict(expected.special_tokens)
    assert b" the" in read.tokens and b"\xff" in read.tokens and b"\n" in read.tokens


def test_texts_of_a_sentencepiece_model_are_to_the_byte_what_the_grammar_says(tmp_path: Path) -> None:
    """Random weights: spaces, bytes of characters and joined pieces come in whatever order the grammar leaves."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "a", "b", "▁a", "▁b", "ab", "▁ab", "▁▁", "é", "▁é", "b▁", "{", "}", "▁}"]
    kinds = [gguf_files.UNKNOWN, gguf_files.CONTROL, gguf_files.CONTROL, *[gguf_files.BYTE] * 256]
    kinds += [gguf_files.NORMAL] * (len(pieces) - len(kinds))
    llama = load(gguf_files.write_sentencepiece(tmp_path / "spm.gguf", pieces, kinds), n_ctx=256)
    pattern = r"\{ ?(a|b|é| a| é|😀){2,8} {1,3}\}"
    processor, texts = processor_of(llama, pattern, max_tokens=60), set()
    for drafts in (False, True):
        llama.draft_model = DraftModel(llama, cost_slope=0.0) if drafts else None
        for prompt in ("", "a", "{ a"):
            for seed in range(10):
                text = complete(llama, processor, prompt, temperature=1.5, top_k=0, seed=seed)
                assert re.fullmatch(pattern, text)
                texts.add((prompt, seed, text))
    assert len(texts) == 30 and any("é" in text for _, _, text in texts) and any("😀" in text for _, _, text in texts)


def test_tokens_of_every_kind_have_the_text_that_llama_cpp_writes(tmp_path: Path) -> None:
    kinds = {
        "a": gguf_files.NORMAL, "Ġb": gguf_files.NORMAL, "<|end|>": gguf_files.CONTROL, "<unk>": gguf_files.UNKNOWN,
        "<think>": gguf_files.USER_DEFINED, "Ġü": gguf_files.USER_DEFINED, "nothing": gguf_files.UNUSED,
        "<|im_end|>": gguf_files.CONTROL, "x" * 32: gguf_files.NORMAL, "x" * 33: gguf_files.NORMAL,
        "Ċ": gguf_files.NORMAL, "Ã": gguf_files.NORMAL,
    }  # fmt: skip
    path = gguf_files.write_bpe(tmp_path / "kinds.gguf", list(kinds), list(kinds.values()), eos=2)
    read = vocabulary_in(path)
    written = [b"a", b" b", b"", b"", b"<think>", "Ġü".encode(), b"", b"", b"x" * 32, b"", b"\n", b"\xc3"]
    assert list(read.tokens) == written
    assert read.stop_token_ids == (2, 7)  # the end of a turn, which llama.cpp knows by its name
    assert dict(read.special_tokens) == {"<|end|>": 2, "<unk>": 3, "<|im_end|>": 7}


def test_a_grammar_of_another_vocabulary_is_refused_with_the_reason(llama: Any) -> None:
    own, grammar = vocabulary_of(llama), bridle.Grammar.from_regex("a+")

    def refused(vocabulary: bridle.Vocabulary, reason: str) -> None:
        with pytest.raises(bridle.VocabularyError, match=reason):
            GrammarLogitsProcessor(bridle.compile(grammar, vocabulary), llama)

    refused(vocabularies.byte_level(), "it has 320 tokens, and the model 4096.*vocabulary_of")
    tokens = [*own.tokens[:100], b"zzz", *own.tokens[101:]]
    refused(bridle.Vocabulary(tokens, stop_token_ids=1), "token 100 is b'zzz' in it, and the model writes")
    refused(bridle.Vocabulary(own.tokens, stop_token_ids=[1, 7]), "its stop token 7 does not end a text")
    fewer = bridle.Vocabulary([*own.tokens[:-50]], stop_token_ids=1, size=own.size)
    GrammarLogitsProcessor(bridle.compile(grammar, fewer), llama)
    with pytest.raises(TypeError, match=r"Llama of llama-cpp-python 0.3.16 or later is needed, not str"):
        GrammarLogitsProcessor(bridle.compile(grammar, own), "model.gguf")
