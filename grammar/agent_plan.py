"""What the states of an agent's machine are made of: delimiters, contents, and which steps may follow.

The plan of a specification checks that its texts can be read in one way, makes the language of every content, and says
which steps may come at a place so that the trace can be finished (agent_liveness.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..automata import regular
from ..automata.byte_dfa import ByteDfa
from ..automata.errors import GrammarError, LimitError, UnsatisfiableError
from ..automata.fragment import Target
from .agent_contents import (
    NUMBER,
    FreeText,
    Pattern,
    Quote,
    References,
    ToolArguments,
    ToolName,
    Whole,
    arguments_grammar,
    references_language,
)
from .agent_liveness import Liveness
from .free_text import free_text
from .grammar import Grammar

if TYPE_CHECKING:
    from .agent_spec import AgentSpec, AgentState

__all__ = ["Known", "Place", "Plan"]

# What `str.strip` leaves nothing of where a text has no span (substring.py): no character, white space, line breaks.
_GAPS = {"char": "", "word": None, "line": "\r\n"}
_MOST_STATES = 256  # each delimiter is compared with each other
_IN_NUMBERS = frozenset("0123456789.eE+-")


class Steps(Protocol):
    """The automaton over traces, as a plan uses it: `ltlf_automaton.TraceAutomaton`."""

    initial: int

    def step(self, state: int, letter: str) -> int | None: ...

    def letters(self, state: int) -> tuple[str, ...]: ...

    def may_end(self, state: int) -> bool: ...


class Place(NamedTuple):
    """Where a trace is, as far as it matters for what follows.

    state : of the automaton. chosen : the tool that was named last, for each state that names tools; -1: none yet.
    called : tools called in this turn. counts : steps so far, for each state whose steps are numbered.
    """

    state: int
    chosen: tuple[int, ...]
    called: frozenset[int]
    counts: tuple[int, ...]


class Known:
    """What earlier turns have said, word by word. Compared by identity: it belongs to a matcher.

    calls : the arguments that each tool was called with, as they were written. heard : what was said from outside, by
    state.
    """

    __slots__ = ("calls", "contents", "heard", "tools")

    def __init__(self, calls: Mapping[int, tuple[str, ...]], heard: Mapping[int, tuple[str, ...]]) -> None:
        self.calls, self.heard = dict(calls), dict(heard)
        self.contents: dict[tuple[int, int], Target | bool] = {}
        self.tools: dict[frozenset[int], tuple[tuple[tuple[int, bool], int], ...]] = {}  # see agent_liveness.Need


@dataclass(frozen=True, slots=True)
class _Mark:
    """The delimiter of a state: text, and behind its number, if it has one (None: it has not)."""

    text: str
    behind: str | None

    @classmethod
    def of(cls, delimiter: str) -> _Mark:
        text, number, behind = delimiter.partition(NUMBER)
        return cls(text, behind if number else None)

    def written(self, number: int) -> str:
        return self.text if self.behind is None else f"{self.text}{number}{self.behind}"

    def pattern(self, i: int) -> str:
        """For Python's re; the number is the group n and i."""
        if self.behind is None:
            return re.escape(self.text)
        return f"{re.escape(self.text)}(?P<n{i}>[0-9]+){re.escape(self.behind)}"

    @property
    def language(self) -> regular.Regular:
        if self.behind is None:
            return regular.literal(self.text)
        digits = regular.Repeat(regular.char_class([(0x30, 0x39)]), 1, None)
        return regular.concatenation(regular.literal(self.text), digits, regular.literal(self.behind))


class Plan:
    """The states of an agent, by number, and what may follow where. Compared by identity.

    free : the texts without a delimiter. slots : states that name tools, with their place in `Place.chosen`.
    counted : states whose steps are numbered, with their place in `Place.counts`. remembers : whether what may come
    depends on texts of earlier turns. notes : how texts are narrowed.
    """

    def __init__(self, spec: AgentSpec, automaton: Steps) -> None:
        if len(spec.states) > _MOST_STATES:
            raise LimitError("states of an agent", len(spec.states), _MOST_STATES)
        self.spec, self.automaton = spec, automaton
        self.states: tuple[AgentState, ...] = spec.states
        self.number = {state.name: i for i, state in enumerate(self.states)}
        self.tools = tuple(spec.tools)
        self.marks = tuple(_Mark.of(state.text) for state in self.states)
        self.any_mark = re.compile("|".join(f"(?P<s{i}>{mark.pattern(i)})" for i, mark in enumerate(self.marks)))
        contents = [state.content for state in self.states]
        named = {content.of for content in contents if isinstance(content, ToolArguments)}
        self.slots = {self.number[name]: slot for slot, name in enumerate(sorted(named))}
        referred = {content.of for content in contents if isinstance(content, References)}
        numbered = [i for i, s in enumerate(self.states) if s.name in referred or self.marks[i].behind is not None]
        self.counted = {i: at for at, i in enumerate(numbered)}
        self.quoted = frozenset(self.number[of] for c in contents if isinstance(c, Quote) for of in c.of)
        self.once = any(isinstance(content, ToolArguments) and content.once for content in contents)
        self.remembers = self.once or bool(self.quoted)
        self._depends = bool(self.slots or self.quoted)
        self.liveness = self._liveness()
        self.notes: tuple[str, ...] = ()
        self.free = self._free_text()
        self._unmarked: regular.Regular = regular.Language(self.free)
        self._contents: dict[tuple[int, int], Target | bool] = {}
        self._closed: dict[int, bool] = {}
        self.start = Place(automaton.initial, (-1,) * len(named), frozenset(), (0,) * len(numbered))
        self._check()

    def _liveness(self) -> Liveness:
        once = {c.of for c in (s.content for s in self.states) if isinstance(c, ToolArguments) and c.once}
        if len(once) > 1:
            raise GrammarError(
                f"calls may not be repeated of tools that {' and '.join(sorted(once))} name: one state may"
            )
        slots = [self.number[name] for name in once]
        return Liveness(self, *((self.slots[slots[0]], self.offered(slots[0])) if slots else (None, [])))

    # ------------------------------------------------------------------------------------------------ delimiters

    def _free_text(self) -> ByteDfa:
        """The texts in which no delimiter begins. Raises GrammarError where delimiters cannot be told apart."""
        literals = frozenset(mark.text for mark in self.marks if mark.behind is None)
        numbered = [mark for mark in self.marks if mark.behind is not None]
        self._check_marks(literals, numbered)
        free = free_text(literals)
        if not numbered:
            return free
        anywhere = [
            regular.Complement(regular.Concat((regular.ANY_TEXT, mark.language, regular.ANY_TEXT))) for mark in numbered
        ]
        return regular.compile_regular(regular.Intersection((regular.Language(free), *anywhere)))

    def _check_marks(self, literals: frozenset[str], numbered: list[_Mark]) -> None:
        for i, one in enumerate(self.marks):
            if one.behind is not None and not (one.behind + self.spec.space)[:1].strip("0123456789"):
                raise self._fault(i, "needs something that is no digit behind its number")
            for k, other in enumerate(self.marks):
                if i != k and _begins(one, other):
                    raise self._fault(i, f"is, or begins with, {self.states[k].text!r} of {self.states[k].name}")
        separator = self.spec.separator
        for i, mark in enumerate(self.marks):
            found = self.any_mark.search(separator + mark.written(1))
            if found is not None and found.start() < len(separator):
                raise self._fault(i, f"makes {found.group()!r} together with the separator before it: a delimiter, too")
        if separator and not any(separator[0] in mark.text + (mark.behind or "") for mark in self.marks):
            return
        free = free_text(literals)
        for i, mark in enumerate(self.marks):
            if numbered or free_text(literals, separator + mark.text) != free:
                reason = (
                    "can begin in a text that another follows; begin separators with a character that no delimiter has"
                )
                raise self._fault(i, reason)

    def _fault(self, i: int, reason: str) -> GrammarError:
        return GrammarError(f"the delimiter {self.states[i].text!r} of {self.states[i].name} {reason}")

    def delimiter(self, i: int, entered: Place, *, is_first: bool) -> str:
        """The separator, where one is needed, and the delimiter of a step."""
        number = entered.counts[self.counted[i]] if i in self.counted else 0
        return ("" if is_first else self.spec.separator) + self.marks[i].written(number)

    # ------------------------------------------------------------------------------------------------ steps

    def options(self, known: Known | None, place: Place) -> list[tuple[int, Place]]:
        """The states that a step may be in, each with the place behind its delimiter."""
        found = []
        for letter in self.automaton.letters(place.state):
            i = self.number[letter]
            entered = self.entered(place, i)
            assert entered is not None
            if not self._depends or self._leads_on(known, entered, i):
                found.append((i, entered))
        return found

    def may_end(self, place: Place) -> bool:
        """Whether a trace of at least one step may end."""
        return self.automaton.may_end(place.state)

    def entered(self, place: Place, i: int) -> Place | None:
        """The place behind the delimiter of state i; None if the automaton has no such step."""
        state = self.automaton.step(place.state, self.states[i].name)
        if state is None:
            return None
        counts = place.counts
        if i in self.counted:
            at = self.counted[i]
            counts = (*counts[:at], counts[at] + 1, *counts[at + 1 :])
        return Place(state, place.chosen, place.called, counts)

    def chosen(self, entered: Place, i: int, tool: int) -> Place:
        """The place behind the name of a tool."""
        slot = self.slots[i]
        return entered._replace(chosen=(*entered.chosen[:slot], tool, *entered.chosen[slot + 1 :]))

    def left(self, entered: Place, i: int) -> Place:
        """The place behind the content of state i, which names no tool."""
        content = self.states[i].content
        if isinstance(content, ToolArguments) and content.once:
            return entered._replace(called=entered.called | {self.tool_at(entered, content)})
        return entered

    def tool_at(self, place: Place, content: ToolArguments) -> int:
        """The tool whose arguments are meant; -1 if none was named."""
        return place.chosen[self.slots[self.number[content.of]]]

    def names(self, known: Known | None, entered: Place, i: int) -> list[int]:
        """The tools that a step in state i may name, so that the trace can be finished."""
        return [t for t in self.offered(i) if self.can_finish(known, self.chosen(entered, i, t))]

    def names_are_closed(self, names: list[int]) -> bool:
        """Whether none of some tools' names is the beginning of another: neighbours in order would show it."""
        texts = sorted(self.tools[t] for t in names)
        return not any(longer.startswith(text) for text, longer in pairwise(texts))

    def offered(self, i: int) -> list[int]:
        content = self.states[i].content
        assert isinstance(content, ToolName)
        return [t for t, name in enumerate(self.tools) if content.of is None or name in content.of]

    def _leads_on(self, known: Known | None, entered: Place, i: int) -> bool:
        """Whether a step has a content, and the trace can be finished behind it."""
        content = self.states[i].content
        if i in self.slots:
            return any(self.can_finish(known, self.chosen(entered, i, t)) for t in self.offered(i))
        if isinstance(content, ToolArguments):
            tool = self.tool_at(entered, content)
            if tool < 0 or (content.once and tool in entered.called):
                return False
        if isinstance(content, ToolArguments | Quote) and self.content(known, entered, i) is False:
            return False
        need = self.liveness.need(known, entered)
        return any(self.liveness.finishes(entered.state, later) for later in self.liveness.after(need, i))

    def can_finish(self, known: Known | None, place: Place) -> bool:
        """Whether some trace goes on like this, its contents included."""
        return not self._depends or self.liveness.finishes(place.state, self.liveness.need(known, place))

    # ------------------------------------------------------------------------------------------------ contents

    def content(self, known: Known | None, entered: Place, i: int) -> Target | bool:
        """The language of a content; False if it has no text."""
        content = self.states[i].content
        key, memo = (i, 0), self._contents
        if isinstance(content, ToolArguments):
            tool = self.tool_at(entered, content)
            key = (i, tool)
            if content.once and known is not None and tool in known.calls:
                memo = known.contents
        elif isinstance(content, References):
            made = entered.counts[self.counted[self.number[content.of]]]
            key = (i, made if content.current else max(0, made - 1))
        elif isinstance(content, Quote):
            if known is None:
                return False
            memo = known.contents
        if key not in memo:
            memo[key] = self._made(known, i, key[1])
        return memo[key]

    def _made(self, known: Known | None, i: int, which: int) -> Target | bool:
        content = self.states[i].content
        if isinstance(content, FreeText):
            return self.free
        if isinstance(content, Whole):
            return content.grammar.root
        if isinstance(content, ToolName):
            texts = regular.alternation(*(regular.literal(self.tools[t]) for t in self.offered(i)))
            return self._without_marks(texts)
        if isinstance(content, ToolArguments):
            if content.once and known is not None and which in known.calls:
                return self._arguments_left(known, which)
            return self._arguments(which, ())
        if isinstance(content, Quote):
            assert known is not None
            return self._quotations(
                [text for of in content.of for text in known.heard.get(self.number[of], ())], content
            )
        if isinstance(content, Pattern):
            return self._without_marks(content.language)
        return self._without_marks(references_language(content.mark, which))

    def _without_marks(self, language: regular.Regular) -> Target | bool:
        found = regular.compile_regular(regular.Intersection((language, self._unmarked)))
        return False if found.is_empty else found

    def _quotations(self, texts: list[str], content: Quote) -> Target | bool:
        try:
            return Grammar.from_substring(texts, by=content.by).root if texts else False
        except UnsatisfiableError:
            return False

    def can_be_quoted(self, known: Known, i: int) -> bool:
        """Whether something that was heard from a state has a span, for some state that quotes it."""
        ways = {
            state.content.by
            for state in self.states
            if isinstance(state.content, Quote) and self.states[i].name in state.content.of
        }
        return any(text.strip(_GAPS[by]) for text in known.heard.get(i, ()) for by in ways)

    def is_callable(self, known: Known | None, tool: int) -> bool:
        """Whether a tool has arguments that it was not called with."""
        if known is None or not self.once or tool not in known.calls:
            return True
        return self._arguments_left(known, tool) is not False

    def _arguments_left(self, known: Known, tool: int) -> Target | bool:
        """The arguments that a tool was not called with, where it was called; False if there are none."""
        key = (-1, tool)
        if key not in known.contents:
            known.contents[key] = self._arguments(tool, known.calls[tool])
        return known.contents[key]

    def _arguments(self, tool: int, used: Sequence[str]) -> Target | bool:
        try:
            return arguments_grammar(self.spec.tools[self.tools[tool]], used).root
        except UnsatisfiableError:
            return False

    def is_regular(self, i: int) -> bool:
        """Whether the contents of a state are always an automaton's."""
        content = self.states[i].content
        return isinstance(content, FreeText | Pattern | References) or (
            isinstance(content, ToolName) and i not in self.slots
        )

    def is_closed(self, i: int, target: Target | bool) -> bool:
        """Whether no content of a state is the beginning of another, so that its end needs no mark."""
        content = self.states[i].content
        if isinstance(content, ToolArguments):
            return True  # an object
        if isinstance(target, ByteDfa):
            return not target.table[target.accepting.astype(bool)].any()
        if i not in self._closed:
            self._closed[i] = (
                isinstance(content, Whole) and content.grammar.is_json and not _has_numbers(content.grammar)
            )
        return self._closed[i]

    # ------------------------------------------------------------------------------------------------ checks

    def _check(self) -> None:
        """Raises GrammarError, UnsatisfiableError for what the whole specification contradicts."""
        begins = [self.spec.separator[0]] if self.spec.separator else [mark.text[0] for mark in self.marks]
        notes = []
        for i, state in enumerate(self.states):
            content = state.content
            if isinstance(content, ToolName) and not self.offered(i):
                raise GrammarError(f"{state.name} names a tool, and there are none; see with_tools, or --tools")
            if isinstance(content, Whole) and content.grammar.is_json and _IN_NUMBERS.intersection(begins):
                raise GrammarError(f"a number in {state.name} could go on with what separates it from the next step")
            if isinstance(content, Whole) and not content.grammar.is_json:
                notes.append(f"{state.name}: its contents end at the first delimiter behind a sentence")
            if isinstance(content, Pattern | ToolName):
                notes += self._check_pattern(i)
            if isinstance(content, ToolArguments) and content.once:
                notes.append(f"{state.name}: between two texts from outside, each tool is called at most once")
        for tool, schema in self.spec.tools.items():
            notes += [f"arguments of {tool}: {note}" for note in arguments_grammar(schema).notes]
        self.notes = tuple(dict.fromkeys(notes))
        if not self.options(None, self.start):
            raise UnsatisfiableError(
                f"no trace of {self.spec.name} can be finished: tools or texts to quote are lacking"
            )

    def _check_pattern(self, i: int) -> list[str]:
        """Notes about a regular content. Raises UnsatisfiableError if all its texts have a delimiter in them."""
        state, content = self.states[i], self.states[i].content
        if self._made(None, i, 0) is False:
            raise UnsatisfiableError(f"every text of {state.name} has a delimiter in it")
        language = content.language if isinstance(content, Pattern) else None
        if language is None:
            names = [self.tools[t] for t in self.offered(i)]
            language = regular.alternation(*map(regular.literal, names))
        if regular.compile_regular(regular.Difference(language, self._unmarked)).is_empty:
            return []
        if isinstance(content, ToolName):
            raise GrammarError(f"a tool that {state.name} may name has a delimiter in its name")
        return [f"{state.name}: texts with a delimiter in them are left out"]


def _begins(one: _Mark, other: _Mark) -> bool:
    """Whether a text of the one delimiter begins with one of the other."""
    if one.behind is None and other.behind is None:
        return one.text.startswith(other.text)
    shorter, longer = sorted((one, other), key=lambda mark: len(mark.text))
    rest = longer.text[len(shorter.text) :]
    if not longer.text.startswith(shorter.text) or (shorter.behind is not None and rest[:1].strip("0123456789")):
        return False  # PERF: where the shorter has its number, the longer goes on with what is no digit
    if one.behind is not None and other.behind is not None and not rest:
        return one.behind.startswith(other.behind)
    begun = regular.Concat((other.language, regular.ANY_TEXT))
    return not regular.compile_regular(regular.Intersection((one.language, begun))).is_empty


def _has_numbers(grammar: Grammar) -> bool:
    """Whether some JSON text of a grammar is a number."""
    from .validation import validate

    return any("-" in e or "0" in e or "9" in e for e in validate(grammar, "").expected)
