"""Why a token or a piece of text is not allowed, and what could come in its place, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .machine import Machine
from .special_tokens import LEAST_MARK
from .vocabulary import Vocabulary

__all__ = ["Rejection", "describe_bytes", "expected_at", "special_tokens_at", "token_rejection"]


class Rejection(NamedTuple):
    """Why a token or a piece of text is not allowed: `offset` is that of the first byte of it that is not.

    expected : what could come there instead (byte ranges spelled as text, and `end of text`).
    """

    offset: int
    reason: str
    expected: tuple[str, ...]


def token_rejection(machine: Machine, ref: int, vocabulary: Vocabulary, token: int) -> Rejection | None:
    """Why the grammar does not allow a token in a configuration; None if it does."""
    data = vocabulary.reading(token)
    to, length = machine.step_bytes(ref, data)
    if data and length == len(data):
        return None
    if token in vocabulary.stop_token_ids:
        if machine.may_end(ref):
            return None
        return Rejection(0, "the text may not end here", expected_at(machine, ref, vocabulary))
    if data and data[0] >= LEAST_MARK:
        name = vocabulary.special_names[token]
        return Rejection(0, f"the special token {name} may not come here", expected_at(machine, ref, vocabulary))
    if data:
        reason = f"{data[length : length + 1]!r} may not come here"
        return Rejection(length, reason, expected_at(machine, to, vocabulary))
    if not 0 <= token < vocabulary.size:
        return Rejection(0, f"token {token} is not in the vocabulary (0 to {vocabulary.size - 1})", ())
    if token < len(vocabulary.tokens) and vocabulary.tokens[token]:
        return Rejection(0, f"token {token}, {vocabulary.tokens[token]!r}, is in no UTF-8 text", ())
    return Rejection(0, f"token {token} stands for no text, and the grammar cannot name it", ())


def special_tokens_at(machine: Machine, ref: int, vocabulary: Vocabulary) -> list[int]:
    """The special tokens that may come next in a configuration, by id."""
    readings = ((id_, vocabulary.reading(id_)) for id_ in vocabulary.special_names)
    return [id_ for id_, data in readings if machine.step_bytes(ref, data)[1] == len(data)]


def expected_at(machine: Machine, ref: int, vocabulary: Vocabulary) -> tuple[str, ...]:
    """What may come next in a configuration."""
    allowed = machine.next_bytes(ref)
    specials = special_tokens_at(machine, ref, vocabulary) if allowed[LEAST_MARK:256].any() else []
    return describe_bytes(allowed, [vocabulary.special_names[id_] for id_ in specials])


def describe_bytes(allowed: np.ndarray, specials: Iterable[str] = ()) -> tuple[str, ...]:
    """What may come next, for people: printable characters and their ranges, and the rest in words.

    specials : the special tokens that may come, as they are shown.
    """
    parts: list[str] = list(specials)
    if allowed[0x80:LEAST_MARK].any():
        parts.append("any other character" if allowed[0x80:0xF5].sum() > 32 else "a character beyond ASCII")
    b = 0
    while b < 0x80:
        if not allowed[b]:
            b += 1
            continue
        end = b
        while end + 1 < 0x80 and allowed[end + 1]:
            end += 1
        if end - b > 1 and b > 0x20:
            parts.append(f"{chr(b)!r} to {chr(end)!r}")
        elif end - b > 1:
            parts.append(f"{bytes((b,))!r}"[1:] + " to " + f"{chr(end)!r}")
        else:
            parts += [repr(chr(c)) for c in range(b, end + 1)]
        b = end + 1
    if allowed[256]:
        parts.append("the end of the text")
    return tuple(parts)
