"""Agents: ready specifications, running them, and what specifications in Python are made of.

`bridle.AgentSpec` has the specifications themselves; docs/agents.md says what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .grammar.agent_contents import FreeText, Quote, References, ToolArguments, ToolName
from .grammar.agent_spec import AgentState

if TYPE_CHECKING:
    from .grammar.agent_spec import AgentSpec
    from .integrations.hf.agent_loop import AgentTrace

__all__ = [
    "AgentState", "FreeText", "Quote", "References", "ToolArguments", "ToolName", "awaited", "feed", "ready", "run",
]  # fmt: skip


def awaited(spec: AgentSpec, trace: str) -> str | None:
    """The state whose text is awaited behind a trace; None where the model is to go on, or all has ended.

    For those who let a server write an agent's turns, and add what comes from outside themselves. Raises GrammarError,
    with the place, for a text that the agent cannot have.
    """
    from .grammar.agent_resumption import awaited

    return awaited(spec, trace)


def feed(spec: AgentSpec, trace: str, text: str) -> str:
    """A trace and the text from outside that it awaits, with the delimiter between them unless the trace ends with it.

    Raises GrammarError, with the place, for a trace that the agent cannot have and a text that may not stand there;
    ValueError where none is awaited.
    """
    from .grammar.agent_resumption import fed

    return fed(spec, trace, text)


def ready() -> dict[str, str]:
    """The names of the specifications that come with the package, for `AgentSpec.ready`, each with what it is."""
    from .grammar.agent_yaml import ready_agents

    return ready_agents()


def run(model: Any, tokenizer: Any, spec: AgentSpec, tools: Any = None, **options: Any) -> AgentTrace:
    """Lets a Hugging Face model write a trace of an agent, calling tools between its turns.

    See `bridle.integrations.hf.agent_loop.run`, which has all options: question, prompt, handlers, max_steps,
    max_new_tokens, tool_timeout, seed, temperature.
    """
    from .integrations.hf.agent_loop import run as run_agent

    return run_agent(model, tokenizer, spec, tools, **options)
