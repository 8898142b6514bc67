"""Going on with the text of an agent: a matcher behind a trace that was written before, by whomever.

What the model wrote is accepted, and what came from outside is fed, as if both had come just now; so a server that
knows nothing of a trace but its text goes on with it as the process that began it would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..automata.compiled import compile_grammar
from ..automata.errors import GrammarError
from ..automata.matcher import Matcher
from .agent_grammar import AgentGrammar
from .agent_traces import Step, read_steps
from .validation import byte_vocabulary

if TYPE_CHECKING:
    from .agent_spec import AgentSpec

__all__ = ["awaited", "fed", "resume"]


def resume(matcher: Matcher, trace: str) -> None:
    """Brings the matcher of an agent from the empty text behind a trace, which may end anywhere.

    What stands behind a delimiter of a step from outside, up to the next delimiter, is that step's text: a delimiter of
    which only a part was written is still part of it.
    Raises GrammarError, with the place, for a text that the agent cannot have.
    """
    grammar = matcher.compiled.grammar
    if not isinstance(grammar, AgentGrammar):
        raise TypeError(f"only texts of agents can be resumed, and {grammar!r} is no grammar of one")
    plan, end, at = grammar.turns.plan, 0, 0
    for step in read_steps(plan, trace)[0]:  # where that ends early, what follows is accepted, or refused, as it stands
        if plan.states[step.state].env and step.is_bare:
            at = _accept(matcher, trace, at, end)
            if matcher.pending_state() == grammar.spec.states[step.state].name:
                return  # the text ends with a delimiter that is implied: what is fed brings it along
        elif plan.states[step.state].env:
            at = _feed(matcher, trace, at, end, step, grammar.spec)
        end = step.end
    _accept(matcher, trace, at, len(trace))


def _feed(matcher: Matcher, trace: str, at: int, end: int, step: Step, spec: AgentSpec) -> int:
    """Takes a step from outside and all before it, which ends at `end`. Returns where the text is then."""
    state = spec.states[step.state].name
    at = _accept(matcher, trace, at, end)
    if matcher.pending_state() != state:  # as its delimiter is not implied
        at = _accept(matcher, trace, at, step.begin - len(spec.space))
    if matcher.pending_state() != state:
        raise GrammarError(f"no text of {state} may come here", text=trace, offset=step.offset)
    try:
        matcher.feed(trace[step.begin : step.end])
    except GrammarError as error:
        raise error.moved(trace, step.begin + (error.offset or 0)) from None
    added = bytes(matcher.last_step or b"").decode()
    if added != trace[at : step.end]:  # as numbers of steps are told by counting
        raise GrammarError(f"the text of {state} begins with another delimiter here", text=trace, offset=step.offset)
    return step.end


def _accept(matcher: Matcher, trace: str, begin: int, end: int) -> int:
    """Takes what the model has written from `begin`, where the text is, up to `end`. Returns where the text is then."""
    written = trace[begin:end]
    if not written or matcher.accept_bytes(written):
        return max(begin, end)
    rejection = matcher.explain(written)
    assert rejection is not None
    read = written.encode("utf-8", "surrogatepass")[: rejection.offset].decode("utf-8", "ignore")
    message = f"the agent cannot have written this, where {' or '.join(rejection.expected[:4])} may come"
    raise GrammarError(message, text=trace, offset=begin + len(read))


def awaited(spec: AgentSpec, trace: str) -> str | None:
    """The state whose text is awaited behind a trace; None where the model is to go on, or all has ended.

    Raises GrammarError, with the place, for a text that the agent cannot have.
    """
    return _resumed(spec, trace).pending_state()


def fed(spec: AgentSpec, trace: str, text: str) -> str:
    """A trace and the text from outside that it awaits, with the delimiter between them unless the trace ends with it.

    Raises GrammarError, with the place, for a trace that the agent cannot have and a text that may not stand there;
    ValueError where none is awaited.
    """
    matcher = _resumed(spec, trace)
    matcher.feed(text)
    return matcher.text().decode()


def _resumed(spec: AgentSpec, trace: str) -> Matcher:
    matcher = Matcher(compile_grammar(spec.grammar, byte_vocabulary()))
    resume(matcher, trace)
    return matcher
