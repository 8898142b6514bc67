"""Where the texts of requests begin, for serving engines: matchers, and first masks made before anybody waits for them.

An agent's request goes on with a trace. Its grammar is compiled without it, once for all of the agent's turns
(`GrammarRequest.parted`), and what one turn has taught its masks serves the next.
"""

from __future__ import annotations

from ..automata.bitmask_rows import allocate_token_bitmask
from ..automata.compiled import Compiled
from ..automata.matcher import Matcher
from ..grammar.agent_resumption import resume

__all__ = ["make_mask", "matcher_behind"]


def matcher_behind(compiled: Compiled, trace: str) -> Matcher:
    """A matcher of an agent's grammar behind a trace. Raises GrammarError, with the place, for one that cannot be."""
    matcher = Matcher(compiled)
    resume(matcher, trace)
    return matcher


def make_mask(matcher: Matcher) -> None:
    """Makes the mask of the present state, which is a lookup from then on. Raises LimitError."""
    matcher.fill_next_token_bitmask(allocate_token_bitmask(1, matcher.compiled.vocabulary.size))
