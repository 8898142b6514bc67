"""Reading a text of an agent as its steps.

A delimiter is one wherever it stands, since no text contains one; the separator before it is part of no content. Only
contents that are whole grammars are looked at by themselves: JSON ends where its value does, and of another grammar the
shortest sentence counts behind which a delimiter or nothing comes.

What a text means to the automaton is not asked here: cutting needs the states' delimiters alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .agent_contents import ToolArguments, Whole
from .grammar import Grammar

if TYPE_CHECKING:
    from .agent_plan import Plan

__all__ = ["Cut", "Step", "read_steps"]

_NUMBER = re.compile(r"-?[0-9.eE+-]*")
_WORD = re.compile(r"true|false|null|[a-z]*")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a text, by character offsets.

    number : what its delimiter says, 0 if that has no number. offset : of the delimiter. begin, end : of the content.
    is_bare : the text ends right behind the delimiter, where no space was written any more.
    """

    state: int
    number: int
    offset: int
    begin: int
    end: int
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a text cannot be read as steps: the offset, why, and what should stand there."""

    offset: int
    reason: str
    expected: tuple[str, ...]


def read_steps(plan: Plan, text: str, *, is_first: bool = True) -> tuple[list[Step], Cut | None]:
    """The steps of a text, and where it is none, if it is not.

    is_first : whether the text begins with a step; else what comes first is the separator before one.
    """
    return _Reader(plan, text).steps(is_first=is_first)


class _Reader:
    def __init__(self, plan: Plan, text: str) -> None:
        self.plan, self.text = plan, text
        self.separator, self.space = plan.spec.separator, plan.spec.space

    def steps(self, *, is_first: bool) -> tuple[list[Step], Cut | None]:
        found: list[Step] = []
        at = 0
        while at < len(self.text):
            if (found or not is_first) and not self.text.startswith(self.separator, at):
                return found, Cut(at, "a step must begin on its own here", (repr(self.separator),))
            offset = at + (len(self.separator) if found or not is_first else 0)
            step = self._step(offset)
            if isinstance(step, Cut):
                return found, step
            found.append(step)
            at = step.end
            if not self._ends(at):
                reason = f"this may not stand within {self.plan.states[step.state].name}"
                return found, Cut(at, reason, (f"{self.separator!r} and the next step",))
        return found, None

    def _step(self, offset: int) -> Step | Cut:
        known = tuple(state.text for state in self.plan.states)
        mark = self.plan.any_mark.match(self.text, offset)
        if mark is None:
            return Cut(offset, "no step begins here", known)
        i = int((mark.lastgroup or "s0")[1:])
        # Beyond so many digits none is right, and Python reads no number.
        number = int(mark.group(f"n{i}")[:19]) if self.plan.marks[i].behind is not None else 0
        begin = mark.end()
        if begin == len(self.text):
            return Step(i, number, offset, begin, begin, is_bare=True)
        if not self.text.startswith(self.space, begin):
            return Cut(begin, f"{self.space!r} must stand behind a delimiter", (repr(self.space),))
        begin += len(self.space)
        return Step(i, number, offset, begin, self._end(i, begin))

    def _ends(self, at: int) -> bool:
        """Whether a content may end at a place, going by what is behind it."""
        if at == len(self.text):
            return True
        return self.text.startswith(self.separator, at) and bool(
            self.plan.any_mark.match(self.text, at + len(self.separator))
        )

    def _end(self, i: int, begin: int) -> int:
        """Where the content of a step ends."""
        content = self.plan.states[i].content
        if isinstance(content, ToolArguments) or (isinstance(content, Whole) and content.grammar.is_json):
            return _json_end(self.text, begin)
        if isinstance(content, Whole):
            return self._whole_end(content.grammar, begin)
        mark = self.plan.any_mark.search(self.text, begin)
        if mark is None:
            return len(self.text)
        end = mark.start() - len(self.separator)
        # A delimiter without a separator before it: the fault is at the delimiter.
        return end if end >= begin and self.text.startswith(self.separator, end) else mark.start()

    def _whole_end(self, grammar: Grammar, begin: int) -> int:
        """Where the shortest sentence ends behind which a step or nothing comes; if none does, where reading fails."""
        from ..automata.matcher import Matcher
        from .validation import reading_of

        matcher = Matcher(reading_of(grammar))
        for at in range(begin, len(self.text) + 1):
            if matcher.is_accepting() and self._ends(at):
                return at
            if at == len(self.text) or not matcher.accept_bytes(self.text[at].encode("utf-8", "surrogatepass")):
                return at
        raise AssertionError("the end of the text is a place like any other")


def _json_end(text: str, begin: int) -> int:
    """Where a JSON value ends, going by its brackets and quotes alone; the length of the text if it does not."""
    depth, at = 0, begin
    while at < len(text):
        character = text[at]
        if character == '"':
            at = _string_end(text, at + 1)
        elif character in "{[":
            depth, at = depth + 1, at + 1
        elif character in "}]":
            depth, at = depth - 1, at + 1
        elif depth or character in " \t":
            at += 1
            continue
        else:
            found = (_WORD if character.isalpha() else _NUMBER).match(text, at)
            assert found is not None
            return max(found.end(), at)
        if depth <= 0:
            return at
    return len(text)


def _string_end(text: str, at: int) -> int:
    """Behind the closing quote of a string."""
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            return at + 1
        at += 1
    return len(text)
