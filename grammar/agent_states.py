"""The steps of an agent as states of the machine, made on first visit.

    After       behind a content, or at the beginning: the next delimiter, or the end of the turn
    Content     behind a delimiter: what may stand there

A state carries the state of the automaton over traces and what later contents depend on (`Place`): the tool that was
named, how many numbered steps there were, the tools called in this turn. All of these are few values that say nothing
of the texts themselves. What does, arguments that were used and observations that may be quoted, is `Known`: it only
changes between two turns of the model, when the text so far is known, and belongs to one matcher.

INVARIANT: no dead ends. The automaton never enters a state from which no trace can be finished; where contents can be
used up, or are not there yet, `Plan.can_finish` searches the automaton and an abstraction of what contents depend on.
INVARIANT: the language of a turn can be read in one way: no content contains a delimiter, and no delimiter can begin in
a content and end behind it, which the plan checks. Contents of whole grammars that are not JSON are an exception, which
the grammar's notes tell: they are taken to end at the first delimiter behind a sentence.

Rejected: to carry every call's arguments in the states, so that none is repeated within a turn either: what a token
adds would have to be known before it is chosen. Instead each tool is called at most once in a turn where calls may not
be repeated, which allows less, and is told in the grammar's notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..automata.byte_dfa import ByteDfa
from ..automata.fragment import Expansion, Fragment, Payload, Target
from ..automata.regular import Language, Regular, compile_regular, concatenation, literal
from .agent_plan import Known, Place, Plan
from .empty_texts import accepts_empty, without_empty

__all__ = ["After", "Content"]

Spelled: TypeAlias = "tuple[tuple[bytes, Payload], ...]"


@dataclass(frozen=True, slots=True)
class After:
    """Behind a step, or at the beginning (`is_first`).

    is_closed : no text could go on where the content ended, so that a delimiter which is the only one need not be
    generated if what follows it comes from outside.
    """

    plan: Plan
    known: Known | None
    place: Place
    is_closed: bool
    is_first: bool = False

    def expand(self) -> Fragment:
        if self.implied() is not None:
            return Fragment(ends=True)
        return _spelled(self.delimiters(is_first=self.is_first), ends=self.plan.may_end(self.place))

    def delimiters(self, *, is_first: bool) -> Spelled:
        """What may be written next, with what follows. is_first : no separator before it."""
        plan, known = self.plan, self.known
        found = []
        for i, entered in plan.options(known, self.place):
            text = plan.delimiter(i, entered, is_first=is_first)
            # What comes from outside begins right behind its delimiter; a regular content has the space in it.
            space = "" if plan.states[i].env or plan.is_regular(i) else plan.spec.space
            found.append(((text + space).encode(), Content(plan, known, entered, i)))
        return tuple(found)

    def implied(self) -> int | None:
        """The state from outside that comes next, if nothing else may come here."""
        plan = self.plan
        if not self.is_closed or plan.may_end(self.place):
            return None
        options = plan.options(self.known, self.place)
        return options[0][0] if len(options) == 1 and plan.states[options[0][0]].env else None


@dataclass(frozen=True, slots=True)
class Content:
    """Behind the delimiter of state number `state`."""

    plan: Plan
    known: Known | None
    place: Place
    state: int

    def expand(self) -> Expansion:
        plan, i = self.plan, self.state
        if plan.states[i].env:
            # The edge is over no byte: a state that can do nothing but end is never kept on a stack.
            return Fragment(edges=((255, 0, None),), ends=True)
        if i in plan.slots:
            names = plan.names(self.known, self.place, i)
            closed = plan.names_are_closed(names)
            return _spelled(
                tuple(
                    (plan.tools[t].encode(), After(plan, self.known, plan.chosen(self.place, i, t), closed))
                    for t in names
                )
            )
        target = plan.content(self.known, self.place, i)
        assert not isinstance(target, bool), "a content that has no text is offered"
        after = After(plan, self.known, plan.left(self.place, i), plan.is_closed(i, target))
        if not plan.is_regular(i):
            return _followed(target, after)
        assert isinstance(target, ByteDfa)
        return _regular(_joined(literal(plan.spec.space), Language(target)), after)


@dataclass(frozen=True, slots=True)
class _Separated:
    """Behind a step and the separator."""

    after: After

    def expand(self) -> Fragment:
        return _spelled(self.after.delimiters(is_first=True))


@dataclass(frozen=True, slots=True)
class _Spelling:
    """One of some texts, each with what follows it."""

    options: Spelled

    def expand(self) -> Fragment:
        return _spelled(self.options)


def _spelled(options: Spelled, *, ends: bool = False) -> Fragment:
    """One of some texts, as a trie whose branches are called; what follows an empty one comes at once."""
    groups: dict[int, list[tuple[bytes, Payload]]] = {}
    shape = Fragment(ends=ends)
    for text, then in options:
        if text:
            groups.setdefault(text[0], []).append((text, then))
        else:
            shape = _either(shape, then)
    calls: list[tuple[Target, Target]] = []
    for group in groups.values():
        common = _common([text for text, _ in group])
        rest = tuple((text[len(common) :], then) for text, then in group)
        calls.append((_literal(common), rest[0][1] if len(rest) == 1 else _Spelling(rest)))
    return replace(shape, calls=(*shape.calls, *calls))


def _common(texts: list[bytes]) -> bytes:
    """The longest beginning that texts have in common: that of the first and the last in order."""
    first, last = min(texts), max(texts)
    n = next((n for n, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))
    return first[:n]


def _literal(text: bytes) -> ByteDfa:
    return compile_regular(literal(text))


def _either(shape: Fragment, other: Payload) -> Fragment:
    """A fragment, or what a payload begins with; all that are asked for are fragments."""
    more = other.expand()
    assert isinstance(more, Fragment)
    return Fragment((*shape.edges, *more.edges), (*shape.calls, *more.calls), shape.ends or more.ends)


def _regular(target: ByteDfa, after: After) -> Fragment:
    """A regular content, and what comes behind it.

    PERF: the separator is made a part of the content's automaton, which then ends where that was written; free text by
    itself would end at every byte, and a walk over the token tree would look at what follows each.
    """
    separator = after.plan.spec.separator
    if not separator:
        return _followed(target, after)
    if after.implied() is not None:
        return _followed(target, None)
    shape = Fragment()
    if after.plan.options(after.known, after.place):
        shape = Fragment(calls=((_joined(Language(target), literal(separator)), _Separated(after)),))
    if not after.plan.may_end(after.place):
        return shape
    alone = _followed(target, None)
    return Fragment(calls=(*shape.calls, *alone.calls), ends=alone.ends)


def _joined(*parts: Regular) -> ByteDfa:
    return compile_regular(concatenation(*parts))


def _followed(target: Target, after: After | None) -> Fragment:
    """A content, which may be empty, and what comes behind it; None: the end of the turn."""
    if target is not None and not accepts_empty(target):
        return Fragment(calls=((target, after),))
    shape = Fragment(ends=True) if after is None else after.expand()
    if target is None or (isinstance(target, ByteDfa) and not target.table[1].any()):
        return shape
    return replace(shape, calls=(*shape.calls, (without_empty(target), after)))
