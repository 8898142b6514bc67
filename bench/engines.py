"""The engines under comparison, each behind the same four calls, and the vocabularies that they share.

    engine.compile(schema)      what the engine makes of a schema; raises one of engine.refusals if it says no
    engine.begin(grammar)       a new text
    engine.fill()               the mask of the next token, written to engine.mask (int32[1, words])
    engine.accept(token)        one step; False if it is not allowed

Every engine is used as its documentation says, with no settings but the vocabulary, one thread, and JSON's free white
space. Engines are imported by their constructors: what is not installed is not needed.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

# The pre-tokeniser of Llama-3, to cut texts into tokens as its users do.
LLAMA3_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPECIAL = 256
LLAMA3_STOP = 128_009
TEKKEN = "tekken_240911.json"
TEKKEN_STOP = 2


class Tokens(NamedTuple):
    """A vocabulary: how to cut texts (a tiktoken encoding), the bytes of every id (b"" for special ones), its end."""

    name: str
    encoding: Any
    tokens: list[bytes]
    stop: int

    def cut(self, text: str) -> list[int]:
        return self.encoding.encode(text, disallowed_special=())


def tekken_file() -> Path | None:
    """Mistral's Tekken as mistral-common ships it, if that is installed."""
    spec = importlib.util.find_spec("mistral_common")
    path = Path(spec.origin or "").parent / "data" / TEKKEN if spec else None
    return path if path is not None and path.is_file() else None


def tekken() -> Tokens:
    """Mistral's Tekken: 131,072 ids, of which the first 1,000 are special."""
    path = tekken_file()
    if path is None:
        raise SystemExit(f"mistral-common with its file {TEKKEN} is not installed: pip install 'bridle[bench]'")
    data = json.loads(path.read_bytes())
    special, size = data["config"]["default_num_special_tokens"], data["config"]["default_vocab_size"]
    pieces = [base64.b64decode(entry["token_bytes"]) for entry in data["vocab"][: size - special]]
    ranks = {piece: special + i for i, piece in enumerate(pieces)}
    names = {f"<SPECIAL_{i}>": i for i in range(special)}
    return Tokens("Tekken", _encoding("tekken", data["config"]["pattern"], ranks, names), [b""] * special + pieces,
                  TEKKEN_STOP)  # fmt: skip


def llama3(path: str | Path) -> Tokens:
    """Llama-3's tokens from its tiktoken file: 128,000 ranks, then 256 special ids."""
    lines = (line.split() for line in Path(path).read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    special = {f"<|special_{i}|>": len(ranks) + i for i in range(LLAMA3_SPECIAL)}
    tokens = sorted(ranks, key=ranks.__getitem__) + [b""] * LLAMA3_SPECIAL
    return Tokens("Llama 3", _encoding("llama3", LLAMA3_PIECES, ranks, special), tokens, LLAMA3_STOP)


def _encoding(name: str, pieces: str, ranks: dict[bytes, int], special: dict[str, int]) -> Any:
    import tiktoken

    return tiktoken.Encoding(name, pat_str=pieces, mergeable_ranks=ranks, special_tokens=special)


# ------------------------------------------------------------------------------------------------ engines


class Engine(Protocol):
    """What the benchmark asks of an engine."""

    mask: np.ndarray
    refusals: tuple[type[BaseException], ...]

    def compile(self, schema: Any) -> Any: ...
    def begin(self, grammar: Any) -> None: ...
    def fill(self) -> None: ...
    def accept(self, token: int) -> bool: ...


def allowed(mask: np.ndarray, token: int) -> bool:
    return bool(int(mask[0, token >> 5]) >> (token & 31) & 1)


class Bridle:
    """This repository."""

    def __init__(self, tokens: Tokens) -> None:
        import bridle

        self.library = bridle
        self.refusals = (bridle.GrammarError, bridle.LimitError)
        self.vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
        self.mask = bridle.allocate_token_bitmask(1, self.vocabulary.size)

    def compile(self, schema: Any) -> Any:
        return self.library.compile(self.library.Grammar.from_json_schema(schema), self.vocabulary)

    def begin(self, grammar: Any) -> None:
        self.matcher = self.library.Matcher(grammar)

    def fill(self) -> None:
        self.matcher.fill_next_token_bitmask(self.mask, 0)

    def accept(self, token: int) -> bool:
        return self.matcher.accept_token(token)


class LLGuidance:
    """https://github.com/guidance-ai/llguidance"""

    refusals: tuple[type[BaseException], ...] = (ValueError,)

    def __init__(self, tokens: Tokens) -> None:
        import llguidance
        import llguidance.numpy
        import llguidance.tiktoken

        self.library = llguidance
        self.write = llguidance.numpy.fill_next_token_bitmask
        self.tokenizer = llguidance.tiktoken.lltokenizer_from_encoding(tokens.encoding, eos_token=tokens.stop)
        self.mask = llguidance.numpy.allocate_token_bitmask(1, self.tokenizer.vocab_size)

    def compile(self, schema: Any) -> Any:
        grammar = self.library.LLMatcher.grammar_from_json_schema(schema)
        matcher = self.library.LLMatcher(self.tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def begin(self, grammar: Any) -> None:
        self.matcher = grammar.deep_copy()

    def fill(self) -> None:
        self.write(self.matcher, self.mask, 0)

    def accept(self, token: int) -> bool:
        # A token that is not allowed would end the matcher with an error.
        return allowed(self.mask, token) and self.matcher.consume_token(token)


class XGrammar:
    """https://github.com/mlc-ai/xgrammar"""

    refusals: tuple[type[BaseException], ...] = (RuntimeError, ValueError)

    def __init__(self, tokens: Tokens) -> None:
        import xgrammar

        self.library = xgrammar
        raw = xgrammar.VocabType.RAW
        told = xgrammar.TokenizerInfo(
            tokens.tokens, vocab_type=raw, vocab_size=len(tokens.tokens), stop_token_ids=[tokens.stop]
        )
        self.bits = xgrammar.allocate_token_bitmask(1, told.vocab_size)
        self.mask = self.bits.numpy()
        self.compiler = xgrammar.GrammarCompiler(told, max_threads=1, cache_enabled=False)

    def compile(self, schema: Any) -> Any:
        return self.compiler.compile_json_schema(json.dumps(schema), any_whitespace=True, strict_mode=False)

    def begin(self, grammar: Any) -> None:
        self.matcher = self.library.GrammarMatcher(grammar)

    def fill(self) -> None:
        self.matcher.fill_next_token_bitmask(self.bits)

    def accept(self, token: int) -> bool:
        return self.matcher.accept_token(token)


ENGINES: dict[str, Any] = {"llguidance": LLGuidance, "bridle": Bridle, "xgrammar": XGrammar}


def installed() -> list[str]:
    """The engines that can be imported here."""
    return [name for name in ENGINES if importlib.util.find_spec(name) is not None]
