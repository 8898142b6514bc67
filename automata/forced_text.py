"""What must come next whatever a model says, as text and as tokens."""

from __future__ import annotations

from typing import Any

from .machine import Machine
from .rejections import special_tokens_at
from .special_tokens import LEAST_MARK
from .vocabulary import Vocabulary

__all__ = ["forced_text", "forced_tokens"]

# How far forced text is followed; a grammar may force any amount.
_LONGEST_FORCED = 4096


def forced_text(machine: Machine, ref: int) -> tuple[bytes, int]:
    """(the text that must come next in a configuration, the configuration after it)."""
    forced = bytearray()
    while len(forced) < _LONGEST_FORCED:
        allowed = machine.next_bytes(ref)
        byte = int(allowed.argmax())
        if allowed[256] or allowed.sum() != 1 or byte >= LEAST_MARK:
            break
        forced.append(byte)
        ref, _ = machine.step_bytes(ref, bytes((byte,)))
    return bytes(forced), ref


def forced_tokens(machine: Machine, ref: int, vocabulary: Vocabulary, tokenizer: Any) -> list[int]:
    """The forced text as a tokenizer writes it, and the special tokens that are forced between, before and after.

    The last token of a text is left out where free text may follow, which could change that token.
    """
    ids: list[int] = []
    while len(ids) < _LONGEST_FORCED:
        forced, after = forced_text(machine, ref)
        text = _tokens_of(tokenizer, forced.decode("utf-8", "ignore"))
        special = _only_special(machine, after, vocabulary)
        if special is None:
            return ids + text[:-1]
        ids += [*text, special]
        ref, _ = machine.step_bytes(after, vocabulary.reading(special))
    return ids


def _only_special(machine: Machine, ref: int, vocabulary: Vocabulary) -> int | None:
    """The special token that must come next."""
    allowed = machine.next_bytes(ref)
    if allowed[:LEAST_MARK].any() or allowed[256]:
        return None
    found = special_tokens_at(machine, ref, vocabulary)
    return found[0] if len(found) == 1 else None


def _tokens_of(tokenizer: Any, text: str) -> list[int]:
    if not text:
        return []
    try:
        ids = tokenizer.encode(text, add_special_tokens=False)
    except TypeError:
        ids = tokenizer.encode(text)
    return list(getattr(ids, "ids", ids))
