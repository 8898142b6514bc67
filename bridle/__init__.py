"""bridle: language models that cannot leave their grammar.

    vocab = bridle.Vocabulary.from_hf(tokenizer)
    grammar = bridle.Grammar.from_json_schema(schema)
    compiled = bridle.compile(grammar, vocab)
    matcher = bridle.Matcher(compiled)
    bitmask = bridle.allocate_token_bitmask(1, vocab.size)
    matcher.fill_next_token_bitmask(bitmask)        # which tokens may come next
    matcher.accept_token(token_id)                  # one of them did

Everything is loaded on first use: importing the package imports neither numba nor torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .automata.beginnings import begin_with

__version__ = "0.1.0"

# Public name -> (module, name there).
_PUBLIC = {
    "AgentSpec": ("bridle.grammar.agent_spec", "AgentSpec"),
    "BridleError": ("bridle.automata.errors", "BridleError"),
    "Compiled": ("bridle.automata.compiled", "Compiled"),
    "Grammar": ("bridle.grammar.grammar", "Grammar"),
    "GrammarError": ("bridle.automata.errors", "GrammarError"),
    "LimitError": ("bridle.automata.errors", "LimitError"),
    "Limits": ("bridle.automata.limits", "Limits"),
    "Matcher": ("bridle.automata.matcher", "Matcher"),
    "Precomputed": ("bridle.automata.precompute", "Precomputed"),
    "Regex": ("bridle.grammar.regex", "Regex"),
    "Rejection": ("bridle.automata.rejections", "Rejection"),
    "SavedGrammarError": ("bridle.automata.errors", "SavedGrammarError"),
    "UnsatisfiableError": ("bridle.automata.errors", "UnsatisfiableError"),
    "UnsupportedError": ("bridle.automata.errors", "UnsupportedError"),
    "Verdict": ("bridle.grammar.validation", "Verdict"),
    "Vocabulary": ("bridle.automata.vocabulary", "Vocabulary"),
    "VocabularyError": ("bridle.automata.errors", "VocabularyError"),
    "agents": ("bridle.agents", ""),
    "allocate_token_bitmask": ("bridle.automata.bitmask_rows", "allocate_token_bitmask"),
    "compile": ("bridle.automata.compiled", "compile_grammar"),
    "fill_next_token_bitmasks": ("bridle.automata.batch_fill", "fill_next_token_bitmasks"),
    "integrations": ("bridle.integrations", ""),
    "load": ("bridle.grammar.saved_grammars", "load"),
    "ltlf": ("bridle.ltlf", ""),
    "parse": ("bridle.grammar.python_types", "parse"),
    "sampler": ("bridle.sampler", ""),
    "tool_calls": ("bridle.grammar.tool_calls", "tool_calls"),
    "tool_formats": ("bridle.grammar.tool_calls", "tool_formats"),
    "validate": ("bridle.grammar.validation", "validate"),
}

__all__ = [
    "AgentSpec",
    "BridleError",
    "Compiled",
    "Grammar",
    "GrammarError",
    "LimitError",
    "Limits",
    "Matcher",
    "Precomputed",
    "Regex",
    "Rejection",
    "SavedGrammarError",
    "UnsatisfiableError",
    "UnsupportedError",
    "Verdict",
    "Vocabulary",
    "VocabularyError",
    "agents",
    "allocate_token_bitmask",
    "compile",
    "fill_next_token_bitmasks",
    "integrations",
    "load",
    "ltlf",
    "parse",
    "sampler",
    "tool_calls",
    "tool_formats",
    "validate",
]

if TYPE_CHECKING:
    from . import agents, integrations, ltlf, sampler
    from .automata.batch_fill import fill_next_token_bitmasks
    from .automata.bitmask_rows import allocate_token_bitmask
    from .automata.compiled import Compiled
    from .automata.compiled import compile_grammar as compile
    from .automata.errors import (
        BridleError,
        GrammarError,
        LimitError,
        SavedGrammarError,
        UnsatisfiableError,
        UnsupportedError,
        VocabularyError,
    )
    from .automata.limits import Limits
    from .automata.matcher import Matcher
    from .automata.precompute import Precomputed
    from .automata.rejections import Rejection
    from .automata.vocabulary import Vocabulary
    from .grammar.agent_spec import AgentSpec
    from .grammar.grammar import Grammar
    from .grammar.python_types import parse
    from .grammar.regex import Regex
    from .grammar.saved_grammars import load
    from .grammar.tool_calls import tool_calls, tool_formats
    from .grammar.validation import Verdict, validate


begin_with("bridle.grammar.common_leaves")


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    try:
        module, attribute = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'bridle' has no attribute {name!r}") from None
    found = importlib.import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
