"""Drafts from the grammar: what it dictates, and what it makes likely.

Idea. Under a schema the skeleton of a text is known before the text is: after a value comes a comma and the next name,
quotes, a colon. Little of that is forced byte for byte, since white space and escapes are free and members optional; so
the walk asks for the usual: at each place it proposes what JSON would have there, laid out as the text was so far
(json_style.py), with the names and constants that the schema declares (json_names.py), and the machine says which of
it is allowed. Where several things may come, branches are made. Inside free text the walk proposes that it ends here.
Grammars that are no JSON have what `Matcher.forced_bytes` says.

Whether a name is declared by the object at hand, and not merely one more name that no schema mentions, is told by the
state after it: an undeclared name leads to the same state as a made-up one.

The text is cut into tokens as the tokenizer cuts it (where one is known; else into the longest that the vocabulary
has), and a token's score is the product of those of the guesses that begin in it.

Cost: 0.1 to 0.5 ms where a place is new, 3 us where it was met before (configurations are compared by number).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..automata.compiled import Compiled
from ..automata.errors import BridleError, LimitError
from ..automata.machine import Machine
from ..automata.matcher import Matcher
from ..automata.vocabulary import Vocabulary
from .draft_tree import NO_DRAFT, DraftTree
from .json_names import JsonNames
from .json_style import JsonStyle
from .sources import DraftContext, Request
from .text_cutting import cutter_of

__all__ = ["GrammarSource"]

# How sure guesses are before anything was measured: each its own band of scores, so that each is measured by itself.
_SURE, _NEARLY = 0.97, 0.92
_ENDS_HERE, _MEMBERS, _NAMES = 0.33, 0.82, (0.62, 0.22, 0.12, 0.07)
_NEXT, _CLOSE, _ONE_OF_TWO, _STRING, _NESTED = 0.57, 0.42, 0.51, 0.47, 0.27
_STOP, _SHARE = 0.87, 0.77

_LEAST = 0.04  # paths below it are not followed
_LONGEST, _MOST_TEXTS = 160, 8
_NAMES_TRIED, _CONSTANTS = 48, 6
_KEPT, _STEPS_KEPT = 4096, 1 << 16  # places, and answers of the machine, remembered for a grammar
_MADE_UP = b"zqjxkv"  # no schema declares it, or nothing is lost
_UNKNOWN = b'"'  # no text inside a string: there it is escaped
_OPEN_OBJECT, _OPEN_ARRAY = 123, 91


class GrammarSource:
    """See the module. name : for statistics."""

    name = "forced"

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Compiled, _Knowledge] = WeakKeyDictionary()

    def begin(self, request: Request) -> _GrammarStream:
        compiled = request.compiled
        if compiled is None:
            return _GrammarStream(None)
        knowledge = self._known.get(compiled)
        if knowledge is None or knowledge.encode_given != request.encode:
            knowledge = self._known[compiled] = _Knowledge.of(compiled.vocabulary, compiled.grammar, request.encode)
        return _GrammarStream(knowledge)


@dataclass
class _Knowledge:
    """What is known of a grammar.

    drafts : by place, what was proposed there. steps : what the machine of number `machine` has answered. By number, as
    another machine may come to lie at the same address, in which configurations of the first one are nothing.
    """

    encode: Callable[[bytes], list[int]]
    encode_given: Any
    names: JsonNames
    vocabulary: Vocabulary
    drafts: dict[Any, DraftTree] = field(default_factory=dict)
    steps: dict[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)
    machine: int = 0

    @classmethod
    def of(cls, vocabulary: Vocabulary, grammar: Any, encode: Callable[[str], list[int]] | None) -> _Knowledge:
        try:
            recipe = getattr(grammar, "recipe", None)
        except BridleError:  # what it was made from is not all JSON
            recipe = None
        return cls(cutter_of(vocabulary, encode), encode, JsonNames.of(recipe), vocabulary)


class _GrammarStream:
    def __init__(self, knowledge: _Knowledge | None) -> None:
        self._knowledge = knowledge
        self._style = JsonStyle()

    def propose(self, context: DraftContext, budget: int) -> DraftTree:
        knowledge, matcher, style = self._knowledge, context.matcher, self._style
        if knowledge is None or matcher is None or matcher.is_terminated():
            return NO_DRAFT
        try:
            matcher.is_accepting()  # moves it to the grammar's present machine, whose numbers `place` has
        except LimitError:  # which the mask is going to report
            return NO_DRAFT
        partial = bytes(style.partial) if style.in_string else None
        if partial and not knowledge.names.begin_with(partial):
            partial = _UNKNOWN  # free text, of which no more matters than that it is none of the schema's
        place = (
            matcher.machine_number, matcher._ref, partial, bytes(style.run), style.last, style.kinds, style.layout,
            style.keys[-1] if style.keys else b"",
        )  # fmt: skip
        draft = knowledge.drafts.get(place)
        if draft is None:
            draft = _Walk(knowledge, matcher, style).draft(budget)
            if len(knowledge.drafts) >= _KEPT:
                knowledge.drafts.clear()
            knowledge.drafts[place] = draft
        return draft

    def observe(self, tokens: Sequence[int]) -> None:
        if self._knowledge is not None:
            texts = self._knowledge.vocabulary.tokens
            self._style.feed(b"".join(texts[token] for token in tokens if token < len(texts)))

    def end(self) -> None:
        """Nothing is kept of a text."""


class _Guess(NamedTuple):
    """A text that may come: bytes with the score of each part; whether the end of the text follows."""

    parts: tuple[tuple[bytes, float], ...]
    ends: bool = False


class _Place(NamedTuple):
    """Where the walk is: the machine's configuration, what was guessed on the way, and the JSON around it.

    last : the last byte that is no white space. kinds : opening brackets of open containers. key : the last name.
    """

    ref: int
    parts: tuple[tuple[bytes, float], ...]
    path: float
    last: int
    kinds: bytes
    key: bytes
    length: int = 0


class _Walk:
    """One proposal: a search from the present configuration, likeliest first."""

    def __init__(self, knowledge: _Knowledge, matcher: Matcher, style: JsonStyle) -> None:
        self._knowledge, self._matcher, self._style = knowledge, matcher, style
        self._machine: Machine = matcher._machine
        self._guesses: list[_Guess] = []
        if knowledge.machine != self._machine.number or len(knowledge.steps) > _STEPS_KEPT:
            knowledge.steps.clear()
            knowledge.machine = self._machine.number

    def draft(self, budget: int) -> DraftTree:
        style = self._style
        key = style.keys[-1] if style.keys else b""
        start = _Place(self._matcher._ref, (), 1.0, style.last, style.kinds, key)
        try:
            for place in self._finish_string(start) if style.in_string else self._finish_space(start):
                self._go_on(place)
            if not self._guesses and not style.in_string:
                forced = self._matcher.forced_bytes()
                if forced:
                    self._guesses.append(_Guess(((forced, _SURE),)))
        except BridleError:  # a budget met on a guessed way is none of the text's
            pass
        return self._tokens(budget)

    # ------------------------------------------------------------------------------------------ the beginning

    def _finish_space(self, start: _Place) -> list[_Place]:
        """White space after the last mark, as far as it is not there yet."""
        return [self._spaced(start, bytes(self._style.run))]

    def _finish_string(self, start: _Place) -> list[_Place]:
        """What the string that the text is in may end as."""
        partial = bytes(self._style.partial)
        places = self._completed(start, partial)
        if not places:
            closed = self._step(start, b'"', _ENDS_HERE if self._allows(start.ref, _MADE_UP) else _SURE)
            places = [closed] if closed else []
        return places

    # ------------------------------------------------------------------------------------------ the walk

    def _go_on(self, place: _Place) -> None:
        """Follows what is usual from a place on; notes the text where it stops."""
        if place.path < _LEAST or place.length > _LONGEST or len(self._guesses) >= _MOST_TEXTS:
            return self._note(place)
        following = self._after_value(place) if place.last not in b",:{[" or not place.kinds else []
        if not following:
            following = self._value(place)
        for further in following:
            self._go_on(further)
        if not following:
            self._note(place)
        return None

    def _note(self, place: _Place, ends: bool = False) -> None:
        if place.parts or ends:
            self._guesses.append(_Guess(place.parts, ends))

    def _after_value(self, place: _Place) -> list[_Place]:
        """After a name or a value: colon, comma, closing bracket, the end."""
        colon = self._step(place, b":", _SURE)
        if colon:
            return [self._spaced(colon._replace(last=58))]
        found = []
        if not place.kinds and self._machine.may_end(place.ref):
            self._note(place, ends=True)
            return []
        comma, closed = self._step(place, b",", _NEXT), self._closed(place, _CLOSE)
        if comma and not closed:
            comma = self._step(place, b",", _NEARLY)
        if closed and not comma:
            closed = self._closed(place, _NEARLY)
        if comma:
            found.append(self._spaced(comma._replace(last=44)))
        if closed:
            found.append(closed)
        return found

    def _closed(self, place: _Place, score: float) -> _Place | None:
        """The container closed, with the white space before its bracket."""
        if not place.kinds:
            return None
        kind = place.kinds[-1]
        bracket = b"}" if kind == _OPEN_OBJECT else b"]"
        space = b"" if place.last == kind else self._style.space(bracket[0], kind, len(place.kinds) - 1)
        closed = self._step(place, space + bracket, score) or self._step(place, bracket, score)
        return closed and closed._replace(last=bracket[0], kinds=place.kinds[:-1], key=b"")

    def _value(self, place: _Place) -> list[_Place]:
        """Before a value or a name."""
        quote = self._step(place, b'"', 1.0)
        named = self._named(quote, place) if quote else []
        if named:
            empty = self._closed(place, 1 - _MEMBERS) if place.last == _OPEN_OBJECT else None
            return [*named, *([empty] if empty else [])]
        opened = [self._opened(place, bracket) for bracket in (b"{", b"[")]
        words = [self._step(place, word, 1.0) for word in (b"true", b"false", b"null")]
        found = [one for one in (*opened, *words) if one]
        is_number = self._allows(place.ref, b"1") or self._allows(place.ref, b"-")
        several = len(found) + bool(quote) + is_number > 1
        if quote:
            score = _STRING if several else _NEARLY
            self._note(quote._replace(parts=(*place.parts, (b'"', score))))
        ends = self._closed(place, 1 - _MEMBERS) if place.last == _OPEN_ARRAY else None
        if is_number and found:
            return [ends] if ends else []
        score = _SURE if not several else _ONE_OF_TWO if len(found) == 2 and not quote else _NESTED
        rated = [_rated(one, place, score) for one in found]
        return [*rated, *([ends] if ends else [])]

    def _opened(self, place: _Place, bracket: bytes) -> _Place | None:
        opened = self._step(place, bracket, 1.0)
        if opened is None:
            return None
        return self._spaced(opened._replace(last=bracket[0], kinds=place.kinds + bracket, key=b""))

    def _named(self, quote: _Place, place: _Place) -> list[_Place]:
        """After an opening quote: names that the object declares, or constants."""
        return [
            further._replace(parts=(*place.parts, (b'"', _NEARLY), *further.parts[len(quote.parts) :]))
            for further in self._completed(quote, b"")
        ]

    def _completed(self, place: _Place, partial: bytes) -> list[_Place]:
        """The names or constants that a string which has begun can still become."""
        names = self._names(place, partial)
        if names:
            sure = len(names) == 1 and not self._allows(place.ref, _MADE_UP)
            scores = (_SURE,) if sure else _NAMES
            return [self._word(place, name[len(partial) :] + b'"', score, name) for name, score in zip(names, scores)]
        if self._allows(place.ref, _MADE_UP):
            return []
        words = [
            word for word in self._knowledge.names.constants[:_NAMES_TRIED]
            if word.startswith(partial) and self._allows(place.ref, word[len(partial) :] + b'"')
        ][:_CONSTANTS]  # fmt: skip
        score = _SURE if len(words) == 1 else _SHARE / max(1, len(words))
        return [self._word(place, word[len(partial) :] + b'"', score, place.key) for word in words]

    def _word(self, place: _Place, word: bytes, score: float, key: bytes) -> _Place:
        found = self._step(place, word, score)
        assert found is not None, "a word that was allowed is not"
        return found._replace(last=34, key=key)

    def _names(self, place: _Place, partial: bytes) -> list[bytes]:
        """Declared names that may come, in the order of the schema."""
        if not place.kinds or place.kinds[-1] != _OPEN_OBJECT:
            return []
        made_up, length = self._answer(place.ref, _MADE_UP + b'":')
        other = made_up if length == len(_MADE_UP) + 2 else -1
        found: list[bytes] = []
        for name in self._knowledge.names.candidates(place.key, _NAMES_TRIED):
            if not name.startswith(partial):
                continue
            rest = name[len(partial) :] + b'":'
            to, length = self._answer(place.ref, rest)
            if length == len(rest) and to != other:
                found.append(name)
                if len(found) == len(_NAMES):
                    break
        return found

    # ------------------------------------------------------------------------------------------ steps

    def _answer(self, ref: int, data: bytes) -> tuple[int, int]:
        """As Machine.step_bytes. PERF: the walk of one step asks much of what that of the last one did."""
        steps = self._knowledge.steps
        answer = steps.get((ref, data))
        if answer is None:
            answer = steps[ref, data] = self._machine.step_bytes(ref, data)
        return answer

    def _allows(self, ref: int, data: bytes) -> bool:
        return self._answer(ref, data)[1] == len(data)

    def _step(self, place: _Place, data: bytes, score: float) -> _Place | None:
        to, length = self._answer(place.ref, data)
        if length < len(data):
            return None
        parts = (*place.parts, (data, score))
        return place._replace(
            ref=to, parts=parts, path=place.path * score, last=data[-1], length=place.length + len(data)
        )

    def _spaced(self, place: _Place, run: bytes = b"") -> _Place:
        """With the white space that usually follows the last mark, less what is there already."""
        if place.last not in b",:{[" or not place.last or not place.kinds:
            return place
        space = self._style.space(place.last, place.kinds[-1], len(place.kinds))
        if len(space) <= len(run) or not space.startswith(run):
            return place
        spaced = self._step(place, space[len(run) :], _NEARLY)
        return place if spaced is None else spaced._replace(last=place.last)

    # ------------------------------------------------------------------------------------------ tokens

    def _tokens(self, budget: int) -> DraftTree:
        tokens: list[int] = []
        parents: list[int] = []
        scores: list[float] = []
        found: dict[tuple[int, int], int] = {}
        for guess in sorted(self._guesses, key=_likelihood, reverse=True):
            at = -1
            for token, score in self._cut(guess):
                node = found.get((at, token))
                if node is None:
                    if len(tokens) == budget:
                        break
                    node = found[at, token] = len(tokens)
                    tokens.append(token)
                    parents.append(at)
                    scores.append(score)
                at = node
        return DraftTree.of(tokens, parents, scores) if tokens else NO_DRAFT

    def _cut(self, guess: _Guess) -> list[tuple[int, float]]:
        """The tokens of a guess with their scores."""
        text = b"".join(data for data, _ in guess.parts)
        begins: list[tuple[int, float]] = []
        at = 0
        for data, score in guess.parts:
            begins.append((at, score))
            at += len(data)
        cut: list[tuple[int, float]] = []
        at, k, texts = 0, 0, self._knowledge.vocabulary.tokens
        for token in self._knowledge.encode(text) if text else ():
            at += len(texts[token])
            score = 1.0 if k < len(begins) and begins[k][0] < at else _SURE
            while k < len(begins) and begins[k][0] < at:
                score *= begins[k][1]
                k += 1
            cut.append((token, score))
        if guess.ends:
            cut.append((self._knowledge.vocabulary.stop_token_ids[0], _STOP))
        return cut


def _rated(further: _Place, place: _Place, score: float) -> _Place:
    """A place with another score for the first part after `place`."""
    n = len(place.parts)
    data, _ = further.parts[n]
    parts = (*further.parts[:n], (data, score), *further.parts[n + 1 :])
    return further._replace(parts=parts, path=further.path * score)


def _likelihood(guess: _Guess) -> float:
    likely = 1.0
    for _, score in guess.parts:
        likely *= score
    return likely
