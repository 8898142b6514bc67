"""Experimental: what the grammar dictates, drafted in vLLM's speculative decoding. Off unless it is asked for by name:

    --speculative-config '{"method": "custom_class", "num_speculative_tokens": 8,
                           "model": "bridle.integrations.vllm.grammar_drafts.GrammarDrafts"}'

vLLM has no place for drafts of a grammar, but it lets the grammar cut what was drafted, and takes for the draft
whatever comes back (Scheduler.update_draft_token_ids). So the proposer, which knows no grammars, proposes one token
that nobody means, and BridleGrammar.validate_tokens answers with a draft (request_drafts.py). That is an accident of
vLLM 0.32 and holds without asynchronous scheduling alone, which a proposer of this kind turns off. Requests without a
grammar have that token verified, and refused, in each step.

On a CPU, drafts with a temperature above 0 meet an error of vLLM's own (issue 55005: temperatures are read that were
never written): texts stay inside the grammar, but are not drawn at that temperature.
"""

from __future__ import annotations

from typing import Any

__all__ = ["GrammarDrafts", "drafts_from_grammars"]

_NOT_MEANT = 0


class GrammarDrafts:
    """A proposer of vLLM's, in its worker: see the module. Imports nothing of the engine there (plugin.py)."""

    def __init__(self, vllm_config: Any) -> None:
        del vllm_config

    def propose(self, sampled_token_ids: list[list[int]], *args: Any, **kwargs: Any) -> list[list[int]]:
        """One token for each request that has got one; without any, the grammar would not be asked."""
        return [[_NOT_MEANT] if sampled else [] for sampled in sampled_token_ids]

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """There is no model."""


def drafts_from_grammars(speculative_config: Any) -> bool:
    """Whether an engine was told to draft so."""
    name = f"{GrammarDrafts.__module__}.{GrammarDrafts.__qualname__}"
    return (
        speculative_config is not None
        and getattr(speculative_config, "method", None) == "custom_class"
        and getattr(speculative_config, "model", None) == name
    )
