"""Random walks over a matcher's masks: what a model that knows nothing would write.

A walk takes any token that the mask allows, and, once it is half as long as it may be, mostly one that closes
something, so that it ends. Now and then the mask is compared with what accept_token says of every token.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import bridle
from oracle import allowed_tokens, vocabulary_of

__all__ = ["MIXED", "Walk", "walk", "words_of"]

TOKENS = [bytes((b,)) for b in range(32, 127)] + [bytes((b,)) for b in b"\n\t\xc3\xa9\xf0\x9f\x98\x80\xff\xed\xa0"] + [
    b'{"', b'":', b'": ', b'",', b'", "', b'","', b'"}', b'"]', b"},", b"}}", b"]}", b"[[", b"[{", b'[{"', b": [",
    b': "', b'":"', b'":1,"', b'":1}', b"1,", b"12", b"1.0", b".5", b"-1", b"0.", b"e1", b"null", b"true", b"fal",
    b"alse,", b"  ", b"\n  ", b"\\u", b"\\u00", b"\\u0061", b'\\"', b"\\\\", b"\\ud83d", b"\\ude00", b'a"', b"ab",
    b'ab":', b'{"a', b'{"a":', b'"a": ', b'b":', "é".encode(), b'\xa9"', b"\xf0\x9f\x98", b'\x80"', "😀".encode(),
    b'x","x', b'a":1,"a', b"aa", b'b"', b"[1,1", b",1]", b"T00:00:00", b"-01-", b"://", b"::", b"P1", b"000",
]  # fmt: skip
# Some bytes and tokens that cross boundaries; the last id stops.
MIXED = vocabulary_of(TOKENS)
_ENDS_STRING = frozenset((b'"', b'"}', b'"]'))
_ENDS_VALUE = frozenset((b"", b"}", b"]", b"}}", b"]}"))


class Walk(NamedTuple):
    """What came of a walk: its text so far, whether it was finished, and what went wrong, if anything did."""

    text: bytes
    finished: bool
    fault: str = ""


def words_of(schema: Any) -> list[bytes]:
    """The JSON strings of all names that a schema declares or requires: random letters seldom spell one."""
    found: dict[str, None] = {}

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            for keyword, inner in part.items():
                if keyword in ("properties", "required") and isinstance(inner, (dict, list)):
                    found.update(dict.fromkeys(name for name in inner if isinstance(name, str)))
                visit(inner)
        elif isinstance(part, list):
            for inner in part:
                visit(inner)

    visit(schema)
    return [json.dumps(name).encode() for name in found]


def walk(
    compiled: bridle.Compiled,
    rng: random.Random,
    *,
    longest: int,
    words: Sequence[bytes] = (),
    checked: float = 0.05,
) -> Walk:
    """One walk of at most `longest` bytes.

    words : texts that are tried as a whole where a string may begin. checked : the share of masks that are compared
    with accept_token. Raises what the matcher raises.
    """
    tokens = compiled.vocabulary.tokens
    bitmask = bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    matcher, text, strings = bridle.Matcher(compiled), b"", _Strings()
    while len(text) < longest:
        allowed = sorted(allowed_tokens(matcher, bitmask))
        if not allowed:
            return Walk(text, False, "a dead end")
        if rng.random() < checked:
            accepted = [k for k in range(compiled.vocabulary.size) if matcher.fork().accept_token(k)]
            if accepted != allowed:
                wrong = [tokens[k] for k in set(allowed) ^ set(accepted)]
                return Walk(text, False, f"the mask and accept_token differ on {wrong}")
        haste = 0.9 if len(text) > longest // 2 else 0.15
        if words and not strings.quoted and rng.random() < 0.5:
            word = next((w for w in rng.sample(words, min(8, len(words))) if matcher.accept_bytes(w)), b"")
            if word:
                text += word
                continue
        token = rng.choice(_closing(allowed, tokens, strings.quoted) if rng.random() < haste else allowed)
        if not matcher.accept_token(token):
            return Walk(text, False, f"{tokens[token]!r} is allowed and not accepted")
        if matcher.is_terminated():
            return Walk(text, True)
        text += tokens[token]
        strings.read(tokens[token])
    return Walk(text, False)


def _closing(allowed: list[int], tokens: Sequence[bytes], quoted: bool) -> list[int]:
    """The tokens that close something; or those that open nothing; or all."""
    ends = _ENDS_STRING if quoted else _ENDS_VALUE
    closing = [k for k in allowed if tokens[k] in ends]
    return closing or [k for k in allowed if quoted or (b"{" not in tokens[k] and b"[" not in tokens[k])] or allowed


class _Strings:
    """Whether a text, byte by byte, is within a JSON string."""

    def __init__(self) -> None:
        self.quoted = self.escaped = False

    def read(self, token: bytes) -> None:
        for byte in token:
            if self.escaped:
                self.escaped = False
            elif byte == 0x5C:
                self.escaped = self.quoted
            elif byte == 0x22:
                self.quoted = not self.quoted
