"""Temporal specifications over the steps of an agent: formulas of LTLf, expressions, and the automaton of both.

    ltlf_syntax         text becomes a formula, with caret errors
    ltlf_formula        the nodes; ltlf_semantics says what they mean, ltlf_declare names the templates of Declare
    ltlf_progression    what a formula asks of the rest of a trace, as a node of decision_diagrams
    trace_expression    regular expressions over states, with counts
    trace_components    each formula and expression as a small automaton
    trace_liveness      whether all of them can still be satisfied
    ltlf_automaton      the product, without dead ends
    automaton_drawing   the product as a picture or a table; ltlf_lint says what in it is idle
"""

from __future__ import annotations

from .automaton_drawing import draw, svg, table
from .ltlf_automaton import Blame, ConflictingFormulasError, TraceAutomaton, TraceLimits
from .ltlf_formula import Formula
from .ltlf_lint import notes
from .ltlf_syntax import parse
from .trace_expression import TraceExpression

__all__ = [
    "Blame", "ConflictingFormulasError", "Formula", "TraceAutomaton", "TraceExpression", "TraceLimits", "draw", "notes",
    "parse", "svg", "table",
]  # fmt: skip
