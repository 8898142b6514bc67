"""Linear temporal logic over finite traces.

    formula = bridle.ltlf.parse("G(action -> X observation) & end(answer)")
    formula.holds(["action", "observation", "answer"])          # True
    formula.satisfiable(["action", "observation"])              # an error: there is no state 'answer'
"""

from __future__ import annotations

from .grammar.ltlf import Formula, parse

__all__ = ["Formula", "parse"]
