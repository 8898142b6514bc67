"""Marks of structural tags: what begins, ends, separates and triggers tags, as texts and as special tokens.

A mark is written as the text that shows it, `<tool_call>` and a line break, in which a tokenizer reads `<tool_call>` as
one special token, if it has one of this name. Which tokens there are is known when a grammar meets a vocabulary, not
when it is made. So a grammar with marks is made twice: at first marks are texts, and `Grammar.bound_to(vocabulary)`,
which compiling calls, makes it again with the names of special tokens in marks as these tokens. A vocabulary without
them leaves the texts. Where the vocabulary has the token, the text that spells it is no mark; it does not occur in free
text either, so that what is shown of a sentence can be cut at the marks, and is a sentence of the grammar with texts.

A token that is named as such, by name or by id, is that token alone; the one that the vocabulary has as ordinary text
is its text, and one that it lacks is an error.

Rejected: text and token as alternatives, which needs no second making: a parser that reads tokens misses calls that are
spelled, and nothing is forced any more where the next mark is; names to be given when the grammar is made: forgotten,
they leave a model that cannot say what it was trained to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from ..automata.errors import GrammarError
from ..automata.special_tokens import SpecialToken
from ..automata.vocabulary import Vocabulary
from .arguments import expect_iterable, expect_text

__all__ = ["Mark", "Marks", "Unit"]

Unit: TypeAlias = "str | SpecialToken"  # a character or a token


class Mark(NamedTuple):
    """units : characters and special tokens in a row. text : what free text is without because of it; "": nothing."""

    units: tuple[Unit, ...]
    text: str

    def __str__(self) -> str:
        return "".join(map(str, self.units))


class Marks:
    """Reads marks, for no vocabulary (special tokens in texts are texts) or for one.

    names : the special tokens that texts may show; None: all. vocabulary : None where it is not known yet.
    named : the tokens that marks came to, each once. texts : of all marks. exact : tokens were named as such.
    """

    def __init__(self, names: Iterable[str] | None, vocabulary: Vocabulary | None = None) -> None:
        if isinstance(names, str):
            raise TypeError(f"special_tokens is a list of names, not the text {names!r}")
        self.names = None if names is None else _names(names)
        self.vocabulary = vocabulary
        self.named: dict[SpecialToken, None] = {}
        self.texts: dict[str, None] = {}
        self.exact = False
        self._shown: re.Pattern[str] | None = None

    def shown_in(self, vocabulary: Vocabulary) -> list[str]:
        """The special tokens of a vocabulary that the marks read so far show, longer names first."""
        known = vocabulary.special_tokens
        candidates = known if self.names is None else [name for name in self.names if name in known]
        return sorted(self.shown_of(candidates), key=len, reverse=True)

    def missing_in(self, vocabulary: Vocabulary) -> list[str]:
        """The names given that marks show and a vocabulary has no special token of."""
        return self.shown_of(name for name in self.names or () if name not in vocabulary.special_tokens)

    def shown_of(self, names: Iterable[str]) -> list[str]:
        """Those of some names that stand in the marks read so far."""
        texts = "\0".join(self.texts)  # PERF: a vocabulary has a thousand names, and there may be hundreds of marks
        return [name for name in names if name and name in texts]

    def of(self, vocabulary: Vocabulary) -> Marks:
        """Reads the same marks for a vocabulary."""
        bound = Marks(self.names, vocabulary)
        if shown := self.shown_in(vocabulary):
            bound._shown = re.compile("|".join(map(re.escape, shown)))
        return bound

    def text(self, text: str) -> Mark:
        """A mark that is written as a text. Raises GrammarError for a lone surrogate."""
        if (found := re.search("[\ud800-\udfff]", text)) is not None:
            raise GrammarError("a lone surrogate cannot be generated", text=text, offset=found.start())
        self.texts[text] = None
        units: list[Unit] = []
        at = 0
        for found in self._shown.finditer(text) if self._shown is not None else ():
            units += [*text[at : found.start()], self.special(found[0])]
            at = found.end()
        return Mark((*units, *text[at:]), text)

    def special(self, name: str) -> SpecialToken:
        """The token of a name that the vocabulary has, under the first of its names, by which grammars name it."""
        assert self.vocabulary is not None
        token = SpecialToken(self.vocabulary.special_names[self.vocabulary.special_tokens[name]])
        self.named[token] = None
        return token

    def token_triggers(self, begin: Mark, triggers: list[Mark]) -> list[Mark]:
        """Those of some tokens that a mark is. Of a name and an id, only the vocabulary tells whether they are one."""
        same = [trigger for trigger in triggers if trigger.units == begin.units]
        if not same and self.vocabulary is None:
            same = [trigger for trigger in triggers if {_by_id(trigger), _by_id(begin)} == {True, False}]
        return same[:1]

    def token(self, key: str | int) -> Mark:
        """A mark that is one token, by its name or its id. Raises GrammarError for one that the vocabulary lacks."""
        self.exact = True
        vocabulary = self.vocabulary
        if vocabulary is not None:
            name = vocabulary.special_names.get(key) if isinstance(key, int) else key
            if name is not None and name in vocabulary.special_tokens:
                return Mark((self.special(name),), "")
            if (text := _ordinary_text(key, vocabulary)) is not None:
                return Mark((*text,), text)
            vocabulary.check_named([SpecialToken(key)])
        token = SpecialToken(key)
        self.named[token] = None
        return Mark((token,), "")


def _names(given: Iterable[str]) -> tuple[str, ...]:
    """Names of special tokens, each once."""
    names = expect_iterable(given, "special_tokens is a list of names")
    return tuple(dict.fromkeys(expect_text(name, "the name of a special token") for name in names))


def _by_id(mark: Mark) -> bool | None:
    """Whether a mark is a token that is named by its id, not by its name; None if it is none."""
    token = mark.units[0] if len(mark.units) == 1 else ""
    return isinstance(token.key, int) if isinstance(token, SpecialToken) else None


def _ordinary_text(key: str | int, vocabulary: Vocabulary) -> str | None:
    """The text of a token that is ordinary text; None for any other, and for one that is no whole characters."""
    if isinstance(key, str):
        return key if key.encode("utf-8", "backslashreplace") in vocabulary.tokens else None
    if not 0 <= key < len(vocabulary.tokens) or not vocabulary.tokens[key]:
        return None
    try:
        return vocabulary.tokens[key].decode()
    except UnicodeDecodeError:
        message = f"token {key} is {vocabulary.tokens[key]!r}, a part of a character: it cannot be a mark"
        raise GrammarError(message) from None
