"""Temporal specifications over the steps of an agent: formulas of LTLf, expressions, and the automaton of both.

    ltlf_syntax         text becomes a formula, with caret errors
    ltlf_formula        the nodes; ltlf_semantics says what they mean, ltlf_declare names the templates of Declare
    ltlf_progression    what a formula asks of the rest of a trace, as a node of decision_diagrams
    trace_expression    regular expressions over states, with counts
    trace_components    each formula and expression as a small automaton
    trace_liveness      whether all of them can still be satisfied
    ltlf_automaton      the product, without dead ends
"""

from __future__ import annotations

from .ltlf_automaton import Blame, ConflictingFormulasError, TraceAutomaton, TraceLimits
from .ltlf_formula import Formula
from .ltlf_syntax import parse
from .trace_expression import TraceExpression

__all__ = ["Blame", "ConflictingFormulasError", "Formula", "TraceAutomaton", "TraceExpression", "TraceLimits", "parse"]
