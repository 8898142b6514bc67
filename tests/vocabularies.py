"""Vocabularies for the tests: small ones picked by hand, and real ones where their data lie on this machine.

`tiny` and `byte_level` are for exhaustive comparisons. `tekken` (131,072 ids) and `sentencepiece` (32,768) are read
from the files that mistral-common ships, `llama3` (128,256) from ../shared/data beside the repository; where these are
absent the asking test is skipped and says so. All are made once per process.
"""

import base64
import importlib.util
from functools import cache
from pathlib import Path

import pytest

from bridle.automata.vocabulary import Vocabulary

LLAMA3_FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "llama3.tiktoken"


@cache
def tiny() -> Vocabulary:
    """Some dozens of tokens: JSON's marks, letters, digits, a few joined ones; special and unused ids and padding."""
    tokens = [b"", b"", b""]  # <s>, </s>, <tool>
    tokens += [bytes([byte]) for byte in b'{}[]",:\\ \n-+.eE0123456789abcxyz/']
    tokens += [b'"a', b'":', b'",', b'"}', b'{"', b"[[", b"]]", b"]}", b", ", b'": "', b"  ", b"ab", b"abc", b"ba"]
    tokens += [b"10", b"0.", b"true", b"tr", b"ue", b"false", b"null", b"\\u", b'\\"', b"", b"ab", b"\xc3", b"\xa9"]
    tokens += ["é".encode(), "é€".encode(), b"\xe2\x82", b"\xac", "😀".encode(), b"\xff"]
    return Vocabulary(tokens, stop_token_ids=1, special_tokens={"<s>": 0, "</s>": 1, "<tool>": 2}, size=96)


@cache
def byte_level() -> Vocabulary:
    """All 256 single bytes as ids 0 to 255, tokens of several bytes, two stop tokens: every text is reachable."""
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [b" the", b" a", b"the", b"ing", b"name", b'"name"', b'": ', b'", "', b'"}', b'{"', b"}}", b"\r\n"]
    tokens += [b"\n\n", b"    ", b"123", b"12", b"0" * 9, b"a" * 17, b"null", b"true", b"false", b"-1", b"e+"]
    tokens += ["ü".encode(), "日本".encode(), "日".encode()[:2], "日".encode()[1:], "👍🏽".encode(), b"\xf0\x9f"]
    tokens += [b"\\u00", b"\\n", b'\xa9"', b"", b""]
    return Vocabulary(tokens, stop_token_ids=[len(tokens) - 2, len(tokens) - 1], size=320)


@cache
def tekken() -> Vocabulary:
    """Mistral's Tekken: byte-level BPE, the first 1,000 of 131,072 ids are special."""
    return Vocabulary.from_tekken(tekken_file())


@cache
def sentencepiece() -> Vocabulary:
    """Mistral's SentencePiece model v7: BPE with byte pieces, 32,768 ids."""
    return Vocabulary.from_sentencepiece(sentencepiece_file())


@cache
def llama3() -> Vocabulary:
    """Llama-3's byte-level BPE: 128,000 ranks, then 256 special ids."""
    tokens = [base64.b64decode(line.split()[0]) for line in llama3_file().read_bytes().splitlines()]
    special = {f"<|special_{i}|>": len(tokens) + i for i in range(256)}
    tokens += [b""] * 256
    return Vocabulary(tokens, stop_token_ids=[128_001, 128_008, 128_009], special_tokens=special)


def tekken_file() -> Path:
    return _shipped("tekken_240911.json")


def sentencepiece_file() -> Path:
    return _shipped("mistral_instruct_tokenizer_241114.model.v7")


def llama3_file() -> Path:
    if not LLAMA3_FILE.is_file():
        pytest.skip(f"Llama-3's tokens are not at {LLAMA3_FILE}")
    return LLAMA3_FILE


def _shipped(name: str) -> Path:
    spec = importlib.util.find_spec("mistral_common")
    path = Path(spec.origin or "").parent / "data" / name if spec else Path(name)
    if not path.is_file():
        pytest.skip(f"mistral-common with its file {name} is not installed")
    return path
