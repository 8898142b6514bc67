"""The behaviour of a specification as an automaton over its traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..automata.errors import GrammarError
from .ltlf_automaton import TraceAutomaton
from .ltlf_syntax import parse
from .trace_syntax import parse_expression

if TYPE_CHECKING:
    from .agent_spec import AgentSpec
    from .ltlf_formula import Formula

__all__ = ["automaton_of"]


def automaton_of(spec: AgentSpec) -> TraceAutomaton:
    """The automaton of all formulas and the expression of a specification.

    Raises GrammarError with the place, UnsatisfiableError that names formulas which contradict each other, LimitError.
    """
    letters = tuple(state.name for state in spec.states)
    formulas = {name: _formula(name, formula, letters) for name, formula in spec.formulas.items()}
    expression = spec.expression
    if isinstance(expression, str):
        expression = parse_expression(expression, letters)
    final = frozenset(state.name for state in spec.states if state.final)
    return TraceAutomaton(letters, formulas, expression, final)


def _formula(name: str, formula: str | Formula, letters: tuple[str, ...]) -> Formula:
    if not isinstance(formula, str):
        return formula
    try:
        return parse(formula, letters)
    except GrammarError as error:
        error.message = f"the formula {name!r}: {error.message}"
        raise
