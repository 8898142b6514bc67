"""Texts out of a given set, up to millions, and sets that depend on what was chosen before.

One set is the minimal automaton of its strings (automata/acyclic.py): a table where that is small, else a leaf with
sparse rows. A text is one of the strings, as it stands in UTF-8 (bytes: as they are) or as a JSON string: in quotes, as
json.dumps writes it with ensure_ascii=False. Strings may be given more than once; one may be the beginning of another,
or empty.

Where the next set depends on the path so far, each set is a leaf of its own, made when a text has come to it. What was
chosen is told by the leaf's last state: the automaton of a set from which it goes on is the trie of its strings, each
with the separator behind it. So a mask at the start of a million names costs as much as where nothing depends on them,
and only the sets that a text has come to are ever made.

INVARIANT: no path leads into a dead end. When a text comes to a set, every string of it is looked at: `then` is asked
what follows, and, if something does, goes down the first answers until it says of a path that it is complete. A string
that has nothing to go on with is left out. So a set costs a call for each of its strings and a few more, once for a
text that comes to it, and the set behind one of them is asked for twice. Where all paths are of a known depth and none
of them ends before, as its author promises, only what was chosen is asked for, once.
Cost: 0.2 us of a Python call beside `then`'s own for a string of a set; 0.1 ms a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, NamedTuple, TypeAlias, cast

from ..automata.acyclic import Strings, Trie, minimal_automaton, trie
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, LimitError, SavedGrammarError, UnsatisfiableError
from ..automata.fragment import Fragment, Payload, Selection
from ..automata.sparse_dfa import SparseDfa
from ..automata.special_tokens import text_part
from .arguments import expect_iterable

__all__ = [
    "Choices", "Recipe", "Text", "Then", "choice_automaton", "choices_recipe", "dependent_choices",
    "leaf_of", "listed", "refused_function", "too_large",
]  # fmt: skip

Text: TypeAlias = "str | bytes"
Path: TypeAlias = "tuple[Any, ...]"
Then: TypeAlias = "Callable[[Path], Iterable[Text] | None]"
Recipe: TypeAlias = "Callable[[], dict[str, Any] | None]"

# Elements of a table that is used instead of sparse rows: it is merged with what is beside it, and saved.
_TABLE = 1 << 18
# Choices in a row, and answers looked at to find one complete path.
_DEEPEST = 200
_MOST_ASKED = 1 << 16


# ------------------------------------------------------------------------------------------------ one set


@dataclass(frozen=True, slots=True)
class Choices:
    """The texts of an automaton with sparse rows, as a state."""

    automaton: SparseDfa

    def expand(self) -> Fragment:
        return Fragment(calls=((self.automaton.without_empty(), None),), ends=self.automaton.accepts_empty)


def leaf_of(automaton: SparseDfa) -> ByteDfa | Choices:
    """The state at the start of an automaton: a table if it is small."""
    return automaton.dense() if automaton.table_size() <= _TABLE else Choices(automaton)


def choice_automaton(choices: Iterable[Text], *, json: bool) -> SparseDfa:
    """The minimal automaton of some texts.

    Raises GrammarError for what is no text, with its index, UnsatisfiableError for none, LimitError for 2 GB.
    """
    return minimal_automaton(_written(listed(choices), json=json))


def listed(choices: Iterable[Text], whose: str = "") -> list[Text]:
    """The choices as a list. whose : of which path they are, for messages."""
    if isinstance(choices, str | bytes):
        raise GrammarError(f"the choices{whose} are one text, {choices[:40]!r}: put it in a list")
    texts = list(expect_iterable(choices, f"the choices{whose} are several of str or bytes"))
    if not texts:
        raise UnsatisfiableError(f"there are no choices{whose}")
    return texts


def _written(texts: Sequence[Text], *, json: bool, whose: str = "", behind: bytes = b"") -> Strings:
    """The texts as they stand in a sentence, with `behind` after each."""
    kinds = set(map(type, texts))
    if not kinds <= {str, bytes}:
        for i, text in enumerate(texts):
            if not isinstance(text, str | bytes):
                raise GrammarError(f"choice {i}{whose} is {text!r:.80} ({type(text).__name__}), and not str or bytes")
    if json and kinds != {str}:
        i = next(i for i, text in enumerate(texts) if not isinstance(text, str))
        raise GrammarError(f"choice {i}{whose} is bytes: JSON strings are made of str")
    if bytes in kinds:
        _check_bytes(texts, whose)
    try:
        if json:
            texts = [encode_basestring(text) for text in cast("Sequence[str]", texts)]
        if behind or len(kinds) > 1:
            texts = [(text.encode() if isinstance(text, str) else text) + behind for text in texts]
        return Strings.of(cast("Sequence[str]", texts))
    except UnicodeEncodeError:
        raise _surrogate(texts, whose) from None


def _check_bytes(texts: Sequence[Text], whose: str) -> None:
    """Raises GrammarError for the bytes that special tokens are spelled with, which no text has."""
    for i, text in enumerate(texts):
        if isinstance(text, bytes) and text_part(text) < len(text):
            raise GrammarError(f"choice {i}{whose}, {text!r:.80}, has a byte FE or FF, which no UTF-8 text has")


def _surrogate(texts: Sequence[Text], whose: str) -> GrammarError:
    """The error for the first text that UTF-8 cannot write."""
    for i, text in enumerate(texts):
        if isinstance(text, str):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                message = f"choice {i}{whose} has a lone surrogate, which UTF-8 has no spelling for"
                return GrammarError(message, text=text, offset=error.start)
    raise AssertionError("no text has a surrogate")


def choices_recipe(texts: Sequence[Text], leaf: ByteDfa | Choices, *, json: bool) -> Recipe:
    """What tells how to make the grammar of one set again."""
    if isinstance(leaf, Choices):
        return too_large(leaf)
    is_bytes = any(isinstance(text, bytes) for text in texts)
    if is_bytes:
        texts = [(text.encode() if isinstance(text, str) else text).decode("latin-1") for text in texts]
    recipe = {"kind": "choices", "choices": texts, "bytes": is_bytes, "json": json}
    return lambda: recipe


def too_large(leaf: Choices) -> Recipe:
    """The recipe of a grammar whose automaton has sparse rows: there is none."""
    n = leaf.automaton.n_states

    def refused() -> None:
        raise SavedGrammarError(
            f"a grammar whose automaton has {n} states cannot be saved: only tables are, of up to {_TABLE} elements;"
            " make it again, which takes a second or two for a million strings, or for a megabyte"
        )

    return refused


def refused_function() -> None:
    """The recipe of a grammar that a function has a part in."""
    raise SavedGrammarError("choices that depend on others cannot be saved: what follows is told by a function")


# ------------------------------------------------------------------------------------------------ dependent sets


def _separator(separator: Text) -> bytes:
    """What stands between two choices, as bytes."""
    if isinstance(separator, bytes):
        return separator
    if not isinstance(separator, str):
        raise TypeError(f"a separator is str or bytes, not {type(separator).__name__}: {separator!r:.80}")
    try:
        return separator.encode()
    except UnicodeEncodeError as error:
        raise GrammarError("a separator with a lone surrogate", text=separator, offset=error.start) from None


def dependent_choices(
    choices: Iterable[Text], then: Then, *, depth: int | None, separator: Text, json: bool
) -> Payload:
    """The start state of texts of one choice after another, with separators: see Grammar.from_choices.

    Raises as choice_automaton does, and UnsatisfiableError where no path is complete.
    """
    between = _separator(separator)
    if text_part(between) < len(between):
        raise GrammarError(f"the separator {separator!r:.80} has a byte FE or FF, which no UTF-8 text has")
    plan = _Plan(listed(choices), then, depth, between, json)
    if depth is None and not plan.leads_on((), iter(plan.first)):
        raise UnsatisfiableError("no path is complete: for each choice, `then` at last goes on with none")
    return _Choosing(plan, ())


class _Answers(NamedTuple):
    """What may be chosen after a path: texts that complete it, and texts that something follows."""

    last: list[Text]
    others: list[Text]


@dataclass(slots=True, eq=False)
class _Plan:
    """What tells the next set. Compared by identity."""

    first: list[Text]
    then: Then
    depth: int | None
    separator: bytes
    json: bool
    started: tuple[SparseDfa | None, _Going | None] | None = None

    def asked(self, path: Path) -> Iterator[Text] | None:
        """What follows a path: None if it is complete."""
        answer = self.then(path)
        if answer is None:
            return None
        if isinstance(answer, str | bytes):
            raise GrammarError(f"the choices after {path!r:.200} are one text, {answer[:40]!r}: put it in a list")
        return iter(answer)

    def leads_on(self, path: Path, answer: Iterator[Text]) -> bool:
        """Whether some choice of an answer begins a path that comes to its end."""
        # One iterator for each choice of the path that is being looked at.
        stack, asked = [answer], 0
        while stack:
            for text in stack[-1]:
                asked += 1
                if asked > _MOST_ASKED:
                    raise LimitError("answers without a complete path", asked, _MOST_ASKED, f"path {path!r:.200}")
                path = (*path, text)
                after = self.asked(path)
                if after is None:
                    return True
                if len(stack) == _DEEPEST:
                    raise LimitError("choices of one path", _DEEPEST + 1, _DEEPEST, f"path {path[:3]!r:.200}…")
                stack.append(after)
                break
            else:
                stack.pop()
                path = path[:-1]
        return False

    def answers(self, path: Path) -> _Answers:
        """What may be chosen after a path."""
        offered = self.asked(path) if path else iter(self.first)
        if self.depth is not None:
            texts = [] if offered is None else list(offered)
            if not texts:
                raise GrammarError(f"`then` has nothing after {path!r:.200}: with depth={self.depth} it always has")
            return _Answers(texts, []) if len(path) + 1 == self.depth else _Answers([], texts)
        last: list[Text] = []
        others: list[Text] = []
        for text in () if offered is None else offered:
            longer = (*path, text)
            after = self.asked(longer)
            if after is None:
                last.append(text)
            elif self.leads_on(longer, after):
                others.append(text)
        if not last and not others:
            raise GrammarError(f"`then` says that nothing follows {path!r:.200}, after it had said otherwise")
        return _Answers(last, others)

    def automata(self, path: Path) -> tuple[SparseDfa | None, _Going | None]:
        """The set after a path: the texts that complete it, and those that something follows."""
        if not path and self.started is not None:
            return self.started
        last, others = self.answers(path)
        whose = f" after {path!r:.200}" if path else ""
        ended, going = None, None
        if last:
            ended = minimal_automaton(_written(last, json=self.json, whose=whose))
        if others:
            strings = _written(others, json=self.json, whose=whose, behind=self.separator)
            if not self.separator and (strings.bounds[1:] == strings.bounds[:-1]).any():
                raise GrammarError(f"an empty choice{whose} without a separator: nothing tells that it was chosen")
            going = _Going(self, path, tuple(others), trie(strings))
        if path:
            for automaton in (ended, going.trie.automaton if going is not None else None):
                if automaton is not None:
                    automaton.is_kept = False
        else:
            self.started = ended, going
        return ended, going


class _Choosing(NamedTuple):
    """The place after a path where the next text is chosen."""

    plan: _Plan
    path: Path

    def expand(self) -> Fragment | Selection:
        ended, going = self.plan.automata(self.path)
        if ended is None:
            assert going is not None
            return going.expand()
        leaf = Choices(ended).expand()
        return leaf if going is None else Fragment(calls=(*leaf.calls, (going, None)), ends=leaf.ends)


@dataclass(frozen=True, slots=True)
class _Going:
    """The choice of a text that something follows."""

    plan: _Plan
    path: Path
    texts: tuple[Text, ...] = field(compare=False, repr=False)
    trie: Trie = field(compare=False, repr=False)

    def expand(self) -> Selection:
        return Selection(self.trie.automaton, self.after)

    def after(self, state: int) -> _Choosing:
        """What follows the text that ends in a state of the trie."""
        return _Choosing(self.plan, (*self.path, self.texts[self.trie.string_at(state)]))
