"""A specification of an agent: the states that its text goes through, and how they may follow one another.

A text of an agent is a row of *steps*. Each is in one state, and is written as that state's delimiter, a space, and its
content; a separator stands between two steps:

    Question: How warm is it in Rome?        question      from outside (env)
    Thought: I should look that up.          thought       free text up to the next delimiter
    Action: weather                          action        the name of a tool
    Action Input: {"city": "Rome"}           action_input  its arguments, by its schema
    Observation: 21 degrees                  observation   from outside
    Final Answer: It is 21 degrees.          answer        after which a text may end (final)

What may follow what is said by named formulas of linear temporal logic over finite traces (ltlf_syntax.py), all of
which must hold of the finished trace, by a regular expression over states (trace_expression.py), or both.

A delimiter with {n} in it has the number of the step among those of its state, from 1.

Source: Crouse et al. 2023, "Formally Specifying the High-Level Behavior of LLM-Based Agents", arXiv 2310.08535.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..automata.errors import GrammarError
from .agent_contents import NUMBER, Content, Quote, References, ToolArguments, ToolName, content_of

if TYPE_CHECKING:
    from .agent_judge import AgentVerdict
    from .agent_plan import Plan
    from .grammar import Grammar
    from .ltlf_automaton import TraceAutomaton
    from .ltlf_formula import Formula
    from .trace_expression import TraceExpression

__all__ = ["AgentSpec", "AgentState"]


@dataclass(frozen=True, slots=True)
class AgentState:
    """A state that steps of an agent may be in.

    text : the delimiter. content : what comes behind it: None (free text), a Grammar, a compiled pattern, a list of
    texts, a JSON schema, or a content of agent_contents.py. env : the content comes from outside. final : a trace may
    end with such a step; where no state is final, with any.
    """

    name: str
    text: str
    content: Content = None  # type: ignore[assignment]
    env: bool = False
    final: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", content_of(self.content))
        if not self.name or not self.text:
            raise GrammarError(f"a state has a name and a delimiter that are not empty, unlike {self.name!r}")
        if self.text.count(NUMBER) > 1:
            raise GrammarError(f"the delimiter {self.text!r} of {self.name} has more than one number")


@dataclass(frozen=True)
class AgentSpec:
    """What an agent may write. Made by `from_yaml`, `from_lisp`, `ready`, or in Python with these members.

    states : in any order. formulas : named, as text or parsed. expression : a regular expression over states.
    tools : the schema of the arguments of each tool, by its name. separator : between two steps. space : behind a
    delimiter. Raises GrammarError for what contradicts itself, UnsatisfiableError where no trace is possible.
    """

    name: str
    states: tuple[AgentState, ...]
    formulas: Mapping[str, str | Formula] = field(default_factory=dict)
    expression: str | TraceExpression | None = None
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    separator: str = "\n"
    space: str = " "
    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", tuple(self.states))
        names = [state.name for state in self.states]
        if not names:
            raise GrammarError(f"the agent {self.name} has no states")
        for name in names:
            if names.count(name) > 1:
                raise GrammarError(f"two states are named {name!r}")
        for state in self.states:
            self._check_references(state, set(names))

    def _check_references(self, state: AgentState, names: set[str]) -> None:
        content = state.content
        if state.env and isinstance(content, ToolName | ToolArguments | Quote | References):
            raise GrammarError(f"{state.name} comes from outside: its content is not about tools or other steps")
        if isinstance(content, ToolArguments | References):
            named: tuple[str, ...] = (content.of,)
        else:
            named = content.of if isinstance(content, Quote) else ()
        for name in named:
            if name not in names:
                raise GrammarError(f"the content of {state.name} is about a state {name!r}, which is not there")
        if isinstance(content, ToolArguments):
            if not isinstance(self.state(content.of).content, ToolName):
                raise GrammarError(
                    f"the content of {state.name} is about {content.of}, whose content is no tool's name"
                )
        if isinstance(content, Quote) and any(not self.state(name).env for name in named):
            raise GrammarError(f"what {state.name} quotes comes from outside: {', '.join(named)} must have env")
        if isinstance(content, References) and content.mark.count(NUMBER) != 1:
            raise GrammarError(f"the reference {content.mark!r} of {state.name} needs one {NUMBER}")
        if isinstance(content, ToolName) and content.of is not None:
            for tool in set(content.of).difference(self.tools) if self.tools else ():
                raise GrammarError(f"{state.name} may name the tool {tool!r}, which is not there")

    def state(self, name: str) -> AgentState:
        """The state of that name. KeyError if there is none."""
        for state in self.states:
            if state.name == name:
                return state
        raise KeyError(name)

    # ------------------------------------------------------------------------------------------------ making

    @classmethod
    def from_yaml(cls, source: str | os.PathLike[str], *, tools: Any = None) -> AgentSpec:
        """A specification in YAML: a path, or the text itself (of more than one line). docs/agents.md has the format.

        tools : as for `with_tools`. Raises GrammarError with the line and a caret; OSError.
        """
        from .agent_yaml import read_yaml

        spec = read_yaml(source)
        return spec if tools is None else spec.with_tools(tools)

    @classmethod
    def from_lisp(cls, text: str) -> AgentSpec:
        """A specification as the paper writes it, `(define react-agent (:states …) (:behavior …))`.

        Raises GrammarError with the line and a caret.
        """
        from .agent_lisp import read_lisp

        return read_lisp(text)

    @classmethod
    def ready(cls, name: str, *, tools: Any = None) -> AgentSpec:
        """One of those that come with the package: `ready_agents()` has their names.

        tools : as for `with_tools`; some agents have none. Raises GrammarError for a name that is not there.
        """
        from .agent_yaml import read_ready

        spec = read_ready(name)
        return spec if tools is None else spec.with_tools(tools)

    def with_tools(self, tools: Mapping[str, Any] | Sequence[Any]) -> AgentSpec:
        """The same with these tools.

        tools : {name: callable or schema of its arguments}, or a list of descriptions as `tool_calls` takes them. The
        schema of a callable's arguments is that of its signature, as pydantic reads it.
        """
        from .agent_tools import schemas_of

        return replace(self, tools=schemas_of(tools))

    # ------------------------------------------------------------------------------------------------ what it says

    @cached_property
    def automaton(self) -> TraceAutomaton:
        """The traces that it admits. Raises UnsatisfiableError, with a minimal set of formulas that contradict."""
        from .agent_behavior import automaton_of

        return automaton_of(self)

    @cached_property
    def plan(self) -> Plan:
        """What the states of the machine are made of; checks the whole specification when first asked for."""
        from .agent_plan import Plan

        return Plan(self, self.automaton)

    @property
    def grammar(self) -> Grammar:
        """What the agent may write in its turns."""
        from .grammar import Grammar

        return Grammar.from_agent(self)

    def validate(self, text: str) -> AgentVerdict:
        """Whether a text is a finished trace; if not, which formula broke, where, and what would have been allowed."""
        from .agent_judge import judge

        return judge(self, text)
