"""What each token of a tokenizer appends to a text, in bytes: Hugging Face, tiktoken, Tekken, SentencePiece.

Idea. Tokenizers store pieces, not bytes, and every family writes them in its own way: "Ġthe" (a letter per byte,
GPT-2's alphabet), "▁the" and "<0x0A>" (SentencePiece's space and its byte pieces), base64 (Tekken). A tokenizer's
*decoder* is what turns pieces into text, so its configuration, and not the model's name or a guess from the pieces,
says how to read them; what is read is then held against the tokenizer's own decoding on a sample.

INVARIANT: the bytes of an id are what decoding appends for it to a text that is under way. So a space that a decoder
strips at the very start of a text is a space here.
INVARIANT: a decoder under which a token's text depends on its neighbours (WordPiece's "##", "</w>" suffixes), or one
that is not understood, is refused by name. Nothing is guessed.
Special tokens (control, unknown, unused ones) have no bytes; an added token that is not special has its text's bytes.

Cost, 131,000 tokens: Hugging Face 0.15 s, tiktoken 0.04 s, Tekken 0.13 s (19 MB of JSON), SentencePiece 0.05 s.
transformers, tokenizers, tiktoken and sentencepiece are used as handed in, or imported when a file is to be read.

Source: huggingface/tokenizers, `decoders/` and `pre_tokenizers/byte_level.rs`; google/sentencepiece,
`sentencepiece_processor.cc`; mistral-common, `tekken.py`. Tested by test_vocabulary.py, every id of each family.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .errors import VocabularyError

__all__ = ["TokenizerBytes", "read_hf", "read_sentencepiece", "read_tekken", "read_tiktoken"]

_SAMPLE = 2048  # ids held against the tokenizer's own decoding; evenly spaced, after the first as many
_SPACE = "\u2581"
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class TokenizerBytes:
    """A tokenizer as bridle needs it: `tokens[i]` = the bytes of id i, b"" for special and unused ids.

    `stop_token_ids` are the ends of a text that the tokenizer and its model's generation config name; may be empty.
    """

    tokens: list[bytes]
    special_tokens: dict[str, int]
    stop_token_ids: tuple[int, ...]


# ---------------------------------------------------------------------------------------------- Hugging Face


def read_hf(tokenizer: Any) -> TokenizerBytes:
    """From a fast tokenizer of transformers, or from a `tokenizers.Tokenizer` (which knows no stop token)."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not (hasattr(backend, "decoder") and hasattr(backend, "get_added_tokens_decoder")):
        raise VocabularyError(
            f"{type(tokenizer).__name__} is not a fast tokenizer: it has no decoder whose configuration could be read. "
            "Load it with use_fast=True, or use Vocabulary.from_sentencepiece(path of its .model file), "
            "Vocabulary.from_tekken(path of its tekken.json), or Vocabulary(tokens, stop_token_ids=...)"
        )
    added = backend.get_added_tokens_decoder()
    pieces = {id_: piece for piece, id_ in backend.get_vocab(with_added_tokens=True).items()}
    pieces |= {id_: token.content for id_, token in added.items()}
    special = {token.content: id_ for id_, token in added.items() if token.special}
    for id_ in getattr(tokenizer, "all_special_ids", ()):
        if id_ in pieces:
            special[pieces[id_]] = id_

    to_bytes = _piece_reader(backend.decoder)
    tokens = [b""] * (max(pieces, default=-1) + 1)
    blank = set(special.values())
    for id_, piece in pieces.items():
        if id_ not in blank:
            tokens[id_] = to_bytes(piece)
    sample = _sample(tokens, [id_ for id_ in added if id_ not in blank])
    before = _letter(tokens, {id_ for id_, piece in pieces.items() if _BYTE_PIECE.fullmatch(piece)})
    decode = partial(backend.decode, skip_special_tokens=False)
    _check(tokens, sample, before, decode, type(tokenizer).__name__)
    return TokenizerBytes(tokens, special, _hf_stop_ids(tokenizer))


def _hf_stop_ids(tokenizer: Any) -> tuple[int, ...]:
    ids = set(_as_ids(getattr(tokenizer, "eos_token_id", None)))
    path = _generation_config(getattr(tokenizer, "name_or_path", None))
    if path is not None:
        try:
            ids |= set(_as_ids(json.loads(path.read_text("utf-8")).get("eos_token_id")))
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise VocabularyError(
                f"{path} cannot be read for the ids that end a text ({error}); repair it or pass stop_token_ids="
            ) from error
    return tuple(sorted(ids))


def _generation_config(name: Any) -> Path | None:
    """The model's generation_config.json, in its folder or in the hub's cache on this disk; never over the network."""
    if not isinstance(name, str) or not name:
        return None
    if os.path.isdir(name):
        path = Path(name) / "generation_config.json"
        return path if path.is_file() else None
    try:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(name, "generation_config.json")
    except Exception:  # no hub package, or a name that is none of the hub's: there is no such file, then
        return None
    return Path(cached) if isinstance(cached, str) else None


def _as_ids(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(id_) for id_ in (value if isinstance(value, Iterable) else [value])]


def _piece_reader(decoder: Any) -> Callable[[str], bytes]:
    """How this decoder of `tokenizers` makes a piece into bytes; VocabularyError where it does not piece by piece."""
    if decoder is None:
        raise _refused("no decoder", "the pieces would be joined with spaces")
    steps = _flattened(json.loads(decoder.__getstate__()))
    if [step["type"] for step in steps if step["type"] != "Fuse"] == ["ByteLevel"]:
        return _byte_level_bytes
    return _PieceDecoder(steps).to_bytes


def _flattened(decoder: dict[str, Any]) -> list[dict[str, Any]]:
    if decoder["type"] != "Sequence":
        return [decoder]
    return [step for inner in decoder["decoders"] for step in _flattened(inner)]


def _refused(what: str, why: str) -> VocabularyError:
    return VocabularyError(
        f"a tokenizer with {what} is not supported: {why}. "
        "Supported are byte-level BPE (decoder ByteLevel) and SentencePiece's kind (decoders Replace, ByteFallback, "
        "Fuse, Strip at the start, Metaspace); others can be given by hand: Vocabulary(tokens, stop_token_ids=...)"
    )


class _PieceDecoder:
    """The decoders of SentencePiece's kind in sequence: replacements in the piece's text, then byte pieces."""

    __slots__ = ("byte_fallback", "replacements")

    def __init__(self, steps: Sequence[dict[str, Any]]) -> None:
        self.replacements: list[tuple[str, str]] = []
        self.byte_fallback = False
        fused = False
        for step in steps:
            kind = step["type"]
            if kind == "Fuse":
                fused = True
            elif kind == "ByteFallback" and not fused:
                self.byte_fallback = True
            elif kind == "Replace" and "String" in step["pattern"] and not (fused or self.byte_fallback):
                self.replacements.append((step["pattern"]["String"], step["content"]))
            elif kind == "Metaspace" and not fused:
                # Of byte pieces that spell "▁" it would make a space, too; no model writes a space in this way.
                self.replacements.append((step["replacement"], " "))
            elif kind == "Strip" and fused and step["stop"] == 0:
                pass  # at the very start of a text alone
            else:
                raise _refused(f"the decoder {json.dumps(step, ensure_ascii=False)}", _why_refused(kind))

    def to_bytes(self, piece: str) -> bytes:
        for old, new in self.replacements:
            piece = piece.replace(old, new)
        if self.byte_fallback and (match := _BYTE_PIECE.fullmatch(piece)):
            return bytes([int(match[1], 16)])
        return piece.encode()


def _why_refused(kind: str) -> str:
    if kind in ("WordPiece", "BPEDecoder", "CTC"):
        return "what a token appends to a text depends on its neighbours"
    return "it is not known to work on each token by itself, at this place among the decoders"


def _gpt2_alphabet() -> dict[str, int]:
    """GPT-2's letter for each byte: printable Latin-1 stands for itself, the others for U+0100 and up in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return letters | {chr(0x100 + k): byte for k, byte in enumerate(others)}


_BYTE_OF_LETTER = _gpt2_alphabet()


def _byte_level_bytes(piece: str) -> bytes:
    try:
        return bytes([_BYTE_OF_LETTER[letter] for letter in piece])
    except KeyError:  # an added token's plain text: the decoder passes on whole what is not all in its alphabet
        return piece.encode()


# ---------------------------------------------------------------------------------------------- the others


def read_tiktoken(encoding: Any) -> TokenizerBytes:
    """From a `tiktoken.Encoding`."""
    special = {name: encoding.encode_single_token(name) for name in sorted(encoding.special_tokens_set)}
    blank = set(special.values())
    tokens = [b""] * encoding.n_vocab
    for id_ in range(encoding.n_vocab):
        if id_ not in blank:
            try:
                tokens[id_] = encoding.decode_single_token_bytes(id_)
            except KeyError:
                continue  # a gap in the numbering
    stop = special.get("<|endoftext|>")
    return TokenizerBytes(tokens, special, () if stop is None else (stop,))


# Files up to version 7 rely on these being known (mistral-common, Tekkenizer.DEPRECATED_SPECIAL_TOKENS).
_TEKKEN_SPECIAL = [
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]"),
    *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
]


def read_tekken(path: str | os.PathLike[str]) -> TokenizerBytes:
    """From Mistral's tekken.json: the first ids are special, the others are base64 in the order of their rank."""
    try:
        data = json.loads(Path(path).read_bytes())
        n_special, size = data["config"]["default_num_special_tokens"], data["config"]["default_vocab_size"]
        names = {f"<SPECIAL_{id_}>": id_ for id_ in range(n_special)}
        listed = data.get("special_tokens")
        if listed is None:
            listed = [{"rank": id_, "token_str": name} for id_, name in enumerate(_TEKKEN_SPECIAL)]
        for entry in listed:
            names.pop(f"<SPECIAL_{entry['rank']}>", None)
            names[entry["token_str"]] = entry["rank"]
        tokens = [b""] * size
        for entry in data["vocab"]:
            if (id_ := n_special + entry["rank"]) < size:
                tokens[id_] = base64.b64decode(entry["token_bytes"], validate=True)
    except (OSError, ValueError, KeyError, TypeError, IndexError, binascii.Error) as error:
        raise VocabularyError(f"{path} is not a readable tekken.json: {type(error).__name__}: {error}") from error
    return TokenizerBytes(tokens, names, (names["</s>"],) if "</s>" in names else ())


def read_sentencepiece(path: str | os.PathLike[str]) -> TokenizerBytes:
    """From a SentencePiece .model file; needs the sentencepiece package."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise VocabularyError(f"reading {path} needs the sentencepiece package: pip install sentencepiece") from error
    try:
        model = SentencePieceProcessor(model_file=os.fspath(path))
    except (OSError, RuntimeError) as error:
        raise VocabularyError(f"{path} is not a readable SentencePiece model: {error}") from error
    tokens, special = [b""] * len(model), {}
    for id_ in range(len(model)):
        piece = model.id_to_piece(id_)
        if model.is_byte(id_):
            tokens[id_] = bytes([int(piece[3:5], 16)])
        elif model.is_control(id_) or model.is_unknown(id_):
            special[piece] = id_
        elif not model.is_unused(id_):
            tokens[id_] = piece.replace(_SPACE, " ").encode()
    before = _letter(tokens, {id_ for id_ in range(len(model)) if model.is_byte(id_)})
    _check(tokens, _sample(tokens), before, model.decode, f"the SentencePiece model {path}")
    return TokenizerBytes(tokens, special, (model.eos_id(),) if model.eos_id() >= 0 else ())


# ---------------------------------------------------------------------------------------------- held against decoding


def _sample(tokens: Sequence[bytes], always: Iterable[int] = ()) -> list[int]:
    """Ids that have bytes: `always`, the first `_SAMPLE`, where the odd ones lie, and as many evenly spaced."""
    ids = [id_ for id_, token in enumerate(tokens) if token]
    return sorted({*always, *ids[:_SAMPLE], *ids[:: max(1, len(ids) // _SAMPLE)]})


def _letter(tokens: Sequence[bytes], avoid: set[int]) -> int | None:
    """An id of a letter or a word of ASCII, for others to be decoded after it, as decoders strip a text's first spaces.

    `avoid`: the byte pieces. Decoders read a run of them as one, so one that is no UTF-8 spoils those beside it.
    """
    found = [id_ for id_, token in enumerate(tokens) if token.isalnum() and id_ not in avoid]
    return min(found, key=lambda id_: len(tokens[id_]), default=None)


def _check(
    tokens: Sequence[bytes], sample: Sequence[int], before: int | None, decode: Callable[[list[int]], str], name: str
) -> None:
    """VocabularyError where decoding after `before` appends something else than the bytes read; 5 us for an id."""
    if before is None:
        return
    for id_ in sample:
        expected = (tokens[before] + tokens[id_]).decode("utf-8", "replace")
        if (got := decode([before, id_])) != expected:
            raise VocabularyError(
                f"{name} is not understood: it decodes the ids {[before, id_]} to {got!r}, where its configuration "
                f"says {expected!r}. Give the bytes by hand: Vocabulary(tokens, stop_token_ids=...)"
            )
