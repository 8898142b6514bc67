"""Specifications of agents as the paper and its code write them: s-expressions.

    (define react-agent
      (:states (question (:text "[Question]")) (thought (:text "[Thought]"))
               (observation (:text "[Observation]") (:flags :env-input)) …)
      (:behavior (next question (until_5 (next thought action action-input observation) final-thought) answer)))

A state has its delimiter (`:text`), and it may have `:flags` (`:env-input`) and `:output-constrs`, the texts that it is
one of. The behaviour is a regular expression over states:

    (next a b …)      one after another              (or a b …)        one of them
    (until_m_n a s)   m to n times a, then s         (until_n a s)     at most n times; (until a s): at most 1,000
    (always_n a)      at most n times a              (always_m_n a), (always a): as for until

So `until` and `always` are bounded repetitions, and not what temporal logic means by these words: that is how the
paper's code reads them. A comment begins with a semicolon.

Source: github.com/IBM/llm-agent-framework, its specifications and its parser of March 2024, as described in the paper's
appendix (arXiv 2310.08535).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ..automata.errors import GrammarError, nested_too_deeply
from .agent_contents import content_of
from .agent_spec import AgentSpec, AgentState
from .ltlf_syntax import unknown_state
from .trace_expression import TraceExpression

__all__ = ["read_lisp"]

_TOKEN = re.compile(r'(?:\s|;[^\n]*)*(?:(?P<mark>[()])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<name>[^\s()";]+))', re.DOTALL)
_BLANK = re.compile(r"(?:\s|;[^\n]*)*")
_COUNTED = re.compile(r"(until|always)(?:_(\d+))?(?:_(\d+))?")
_DIGITS = 18  # of a count
_MOST = 1000  # what the paper's code takes where no number is given


@dataclass(frozen=True, slots=True)
class _Word:
    """A name (or a text, if `is_text`), and where it stands."""

    value: str
    at: int
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple[_Form, ...]
    at: int


_Form: TypeAlias = "_Word | _List"


def read_lisp(text: str) -> AgentSpec:
    """As AgentSpec.from_lisp says."""
    try:
        return _Reader(text).spec()
    except RecursionError:
        raise nested_too_deeply("an s-expression") from None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fault(self, message: str, at: int) -> GrammarError:
        return GrammarError(message, text=self.text, offset=at)

    # -------------------------------------------------------------------------------------------- forms

    def form(self) -> _Form:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            blank = _BLANK.match(self.text, self.at)
            raise self.fault("something is missing here", blank.end() if blank else self.at)
        kind, at = found.lastgroup or "", found.start(found.lastgroup or 0)
        self.at = found.end()
        if kind == "name":
            return _Word(found["name"], at)
        if kind == "text":
            return _Word(self._unquoted(found["text"], at), at, is_text=True)
        if found["mark"] == ")":
            raise self.fault("this parenthesis closes nothing", at)
        return _List(self._items(at), at)

    def _items(self, opened: int) -> tuple[_Form, ...]:
        items: list[_Form] = []
        while True:
            found = _TOKEN.match(self.text, self.at)
            if found is None:
                raise self.fault("this parenthesis is never closed", opened)
            if found["mark"] == ")":
                self.at = found.end()
                return tuple(items)
            items.append(self.form())

    def _unquoted(self, token: str, at: int) -> str:
        try:
            return str(json.loads(token, strict=False))
        except ValueError as error:
            raise self.fault(f"this is no text as JSON writes it: {error}", at) from None

    # -------------------------------------------------------------------------------------------- the specification

    def spec(self) -> AgentSpec:
        whole = self._list(self.form(), "a specification is (define name (:states …) (:behavior …))")
        end = _BLANK.match(self.text, self.at)
        if end is not None and end.end() < len(self.text):
            raise self.fault("nothing may stand behind the specification", end.end())
        if len(whole.items) < 2 or self._name(whole.items[0]) != "define":
            raise self.fault("a specification begins with define and a name", whole.at)
        sections = self._sections(whole.items[2:])
        for wanted in (":states", ":behavior"):
            if wanted not in sections:
                raise self.fault(f"the specification has no ({wanted} …)", whole.at)
        for name, section in sections.items():
            if name not in (":states", ":behavior"):
                raise self.fault(f"a specification has :states and :behavior, not {name}", section.at)
        states = tuple(self._state(item) for item in sections[":states"].items[1:])
        behavior = sections[":behavior"]
        if len(behavior.items) != 2:
            raise self.fault("a :behavior is one expression", behavior.at)
        letters = tuple(state.name for state in states)
        expression = self._expression(behavior.items[1], letters)
        try:
            spec = AgentSpec(self._name(whole.items[1]), states, expression=expression)
            _ = spec.automaton
        except GrammarError as error:
            raise error.moved(self.text, whole.at) from None
        return spec

    def _state(self, form: _Form) -> AgentState:
        whole = self._list(form, 'a state is (name (:text "delimiter") …)')
        if not whole.items:
            raise self.fault("a state has a name", whole.at)
        text, is_env, constraints = "", False, None
        for name, section in self._sections(whole.items[1:]).items():
            values = section.items[1:]
            if name == ":text" and len(values) == 1:
                text = self._name(values[0])
            elif name == ":flags":
                for value in values:
                    if self._name(value) != ":env-input":
                        raise self.fault(f"the flag that there is is :env-input, not {self._name(value)}", value.at)
                    is_env = True
            elif name == ":output-constrs" and values:
                constraints = [self._name(value) for value in values]
            else:
                raise self.fault('a state has (:text "…"), (:flags :env-input) and (:output-constrs "…" …)', section.at)
        if is_env and constraints:
            raise self.fault("what comes from outside has no :output-constrs", whole.at)
        try:
            return AgentState(self._name(whole.items[0]), text, content_of(constraints), env=is_env)
        except GrammarError as error:
            raise error.moved(self.text, whole.at) from None

    def _expression(self, form: _Form, letters: tuple[str, ...]) -> TraceExpression:
        if isinstance(form, _Word):
            if form.value not in letters:
                raise self.fault(unknown_state(form.value, letters), form.at)
            return TraceExpression.state(form.value)
        if len(form.items) < 2:
            raise self.fault("an operator and what it is about stand in parentheses", form.at)
        operator, *parts = form.items
        name, inner = self._name(operator), [self._expression(part, letters) for part in parts]
        if name == "next":
            return TraceExpression.sequence(*inner)
        if name == "or":
            return TraceExpression.alternatives(*inner)
        counted = _COUNTED.fullmatch(name)
        if counted is None:
            raise self.fault(f"the operators are next, or, until and always, not {name}", operator.at)
        least, most = self._counts(counted, operator.at)
        wanted = 2 if counted[1] == "until" else 1
        if len(inner) != wanted:
            raise self.fault(f"{counted[1]} is about {wanted} {'expressions' if wanted > 1 else 'expression'}", form.at)
        if wanted == 2 and not isinstance(parts[1], _Word):
            raise self.fault("what ends until is a state", parts[1].at)
        return TraceExpression.sequence(inner[0].repeat(least, most), *inner[1:])

    def _counts(self, counted: re.Match[str], at: int) -> tuple[int, int]:
        """One number is the most; two are the fewest and the most."""
        if any(len(number or "") > _DIGITS for number in counted.groups()[1:]):
            raise self.fault(f"a number has at most {_DIGITS} digits", at)
        least, most = (0, counted[2]) if counted[3] is None else (int(counted[2]), counted[3])
        high = _MOST if most is None else int(most)
        if high < least:
            raise self.fault(f"{least} to {high} times is never", at)
        return least, high

    # -------------------------------------------------------------------------------------------- parts

    def _list(self, form: _Form, what: str) -> _List:
        if isinstance(form, _Word):
            raise self.fault(what, form.at)
        return form

    def _name(self, form: _Form) -> str:
        if isinstance(form, _List):
            raise self.fault("a name or a text stands here", form.at)
        return form.value

    def _sections(self, forms: Iterable[_Form]) -> dict[str, _List]:
        """By name, of which none may come twice."""
        found: dict[str, _List] = {}
        for name, section in map(self._section, forms):
            if name in found:
                raise self.fault(f"{name} stands here twice", section.at)
            found[name] = section
        return found

    def _section(self, form: _Form) -> tuple[str, _List]:
        """(its name, which begins with a colon; the whole)."""
        whole = self._list(form, "this is a list that begins with a name such as :text")
        if not whole.items or not self._name(whole.items[0]).startswith(":"):
            raise self.fault("this is a list that begins with a name such as :text", whole.at)
        return self._name(whole.items[0]), whole
