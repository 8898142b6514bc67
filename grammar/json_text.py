r"""The JSON spellings of string values: from a language of texts to the language of what stands between the quotes.

RFC 8259 lets a writer spell a code point raw (from U+0020 on, but for `"` and `\`), as one of eight short escapes, as
\uXXXX with digits of either case, and beyond U+FFFF as two of those, a surrogate pair; lone surrogates are no texts and
are never spelled. A constraint on a string's value (`pattern`, `enum`, a format) is therefore an automaton over values,
and this file maps it to the automaton over spellings, states of the one being states of the other
(json_text_kernels.py).

Cost: 35 to 150 us for a usual pattern, 1 KiB per state; spellings of one value language are made once.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..automata.budget import RegularLimits
from ..automata.byte_dfa import ByteDfa
from ..automata.dfa_memo import memoised
from ..automata.errors import LimitError
from ..automata.regular import utf8_texts

__all__ = [
    "SPELLING_LIMITS", "STRING_CONTENT", "closed", "json_spelled",  # noqa: F822  (made on first use, below)
    "numbered_classes", "quoted", "spelled_apart", "string_content",
]  # fmt: skip


# A table of spellings is kept, by this process and by each vocabulary that reads it: 1 KiB a state, so 20 MiB at most.
SPELLING_LIMITS = RegularLimits(dfa_states=20_000)


@memoised
def json_spelled(values: ByteDfa, limits: RegularLimits = SPELLING_LIMITS) -> ByteDfa:
    """All spellings, without the quotes, of the texts in `values`.

    Raises LimitError where more than `limits.dfa_states` are needed, and ValueError where `values` holds what is not
    well-formed UTF-8.
    """
    from ..automata.minimize import numbered

    return numbered(*_spelled_table(values.transitions, values.accepting, values.byte_class, limits))


def _spelled_table(
    transitions: np.ndarray, accepting: np.ndarray, byte_class: np.ndarray, limits: RegularLimits
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The spellings as a table, accepting states and byte classes; the states of the values are its first ones."""
    from ..automata.kernel import compile_all
    from .json_text_kernels import NOT_UTF8, TOO_MANY_STATES, spell

    compile_all()
    status, table, ends, class_of = spell(transitions, accepting, byte_class, limits.dfa_states)
    if status[0] == NOT_UTF8:
        raise ValueError("only texts in well-formed UTF-8 have JSON spellings")
    if status[0] == TOO_MANY_STATES:
        raise LimitError("dfa_states", int(status[1]), limits.dfa_states)
    return table, ends, class_of


def spelled_apart(transitions: np.ndarray, byte_class: np.ndarray, group: np.ndarray) -> ByteDfa:
    """The spellings of texts in groups, with the closing quote and then, or not, the number of the text's group.

    That is two bytes, its digits of base 8: a byte for each group would widen the whole table by so many classes.
    transitions : int32[n, 256], byte_class : uint8[256], the automaton of the texts; group : int[n], 0 where no text
    ends, else 1 more than the number (less than 64); minimal as an automaton that tells the groups apart.
    Raises LimitError where more than SPELLING_LIMITS.dfa_states are needed.
    """
    from ..automata.minimize import numbered

    table, _, class_of = _spelled_table(transitions, (group > 0).astype(np.uint8), byte_class, SPELLING_LIMITS)
    n, k, every = table.shape[0], int(group.max()), np.arange(256)
    alone = np.where((every < 8) | (every == 0x22), every + 1, 0)
    refined, first_bytes = numbered_classes(512 * class_of.astype(np.int64) + alone)
    # Behind the old states: one for each group, one for each last digit, and the end.
    digits = min(k, 8)
    wide = np.zeros((n + k + digits + 1, first_bytes.size), np.int32)
    wide[:n] = table[:, class_of[first_bytes]]
    (texts,) = np.nonzero(group)
    wide[texts, refined[0x22]] = n - 1 + group[texts]
    numbers = np.arange(k)
    wide[n + numbers, refined[numbers >> 3]] = n + k + (numbers & 7)
    wide[n + k + np.arange(digits), refined[:digits]] = n + k + digits
    accepting = np.zeros(wide.shape[0], np.uint8)
    accepting[n : n + k] = 1
    accepting[-1] = 1
    return numbered(wide, accepting, refined)


def quoted(spelled: ByteDfa) -> ByteDfa:
    """A language of spellings between quotes: a new start before the automaton's, a new end behind it.

    It stays minimal, since no spelling has a quote between characters: no old state has the language of another one,
    of the start or of the end.
    """
    return _with_quotes(spelled, 1)


def closed(spelled: ByteDfa) -> ByteDfa:
    """A language of spellings, each with the closing quote behind it: minimal as `quoted` is."""
    return _with_quotes(spelled, 0)


def _with_quotes(spelled: ByteDfa, before: int) -> ByteDfa:
    """As `quoted` (before = 1) and `closed` (before = 0)."""
    from ..automata.minimize import numbered

    if spelled.is_empty:
        return spelled
    end = spelled.n_states + before
    class_of, first_bytes = numbered_classes(2 * spelled.byte_class.astype(np.int32) + (np.arange(256) == 0x22))
    table = np.zeros((end + 1, first_bytes.size), np.int32)
    table[1 + before : end] = spelled.transitions[1:, first_bytes]
    table[table > 0] += before
    quote = class_of[0x22]
    if before:
        table[1, quote] = 2
    table[1 + before : end, quote] = np.where(spelled.accepting[1:], end, table[1 + before : end, quote])
    accepting = np.zeros(end + 1, np.uint8)
    accepting[end] = 1
    return numbered(table, accepting, class_of)


def numbered_classes(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes of bytes with one key, numbered by their least byte; uint8[256], and the least byte of each."""
    _, first_bytes, found = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first_bytes)
    return np.argsort(order).astype(np.uint8)[found.reshape(256)], first_bytes[order]


@cache
def string_content() -> ByteDfa:
    """What may stand between the quotes of a JSON string: the spellings of all texts."""
    return json_spelled(utf8_texts())


def __getattr__(name: str) -> ByteDfa:
    """STRING_CONTENT is made when it is first asked for: importing this file compiles nothing."""
    if name == "STRING_CONTENT":
        return string_content()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
