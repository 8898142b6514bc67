"""Logits of the allowed tokens alone: where a mask allows few, a few rows of the LM head are all that is computed.

Idea. The masks of a step are begun before its forward pass (processor.py), and the head comes last in it. While
`generate` runs, the model's linear head is one that waits for them and, if all rows together allow at most so many
tokens, multiplies by the weights of these; all other logits are 0, and the mask makes -inf of them. What the model does
behind its head, such as soft-capping or scaling, it does as ever: to each logit for itself, and before the mask.

The allowed logits are equal up to the rounding of a smaller product. There is no normaliser over the vocabulary, so
whatever asks for true probabilities is refused: beams, guidance, drafts, returned scores and logits.

INVARIANT: logits that were computed for a shortlist meet the masks that it was made of; the processor raises otherwise.
INVARIANT: a forward pass of another thread, or of other rows, gets the whole head.

Cost: one `union` of masks, 10 us a row of 128,256 tokens, and the gathering of the weights.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

from .processor import GrammarLogitsProcessor

__all__ = ["refusal", "shortlisted"]

_ASKS_FOR_PROBABILITIES = (
    "guidance_scale", "assistant_model", "prompt_lookup_num_tokens", "dola_layers", "penalty_alpha", "output_scores",
    "output_logits", "return_dict_in_generate", "watermarking_config", "custom_generate",
)  # fmt: skip


def refusal(model: Any, config: Any, options: dict[str, Any]) -> str | None:
    """Why a call of `generate` with this generation config and these options can have no shortlist; None if it can."""
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        return f"the model's head is a {type(head).__name__}, not a plain linear layer"
    if head._forward_hooks or head._forward_pre_hooks or "forward" in vars(head):
        return "the model's head is wrapped (hooks, or a forward of its own)"
    if model.config.is_encoder_decoder:
        return "the model is an encoder-decoder, whose head is not always applied to what its decoder returns"
    if (config.num_beams or 1) > 1:
        return "beams are compared by true probabilities, which need the whole head"
    for name in _ASKS_FOR_PROBABILITIES:
        if options.get(name) or getattr(config, name, None):
            return f"{name} needs the logits of all tokens"
    if options.get("logits_processor"):
        return "other logits processors may need the logits of all tokens"
    return None


@contextlib.contextmanager
def shortlisted(model: Any, processor: GrammarLogitsProcessor, most: int) -> Iterator[None]:
    """Within it, this thread's forward passes compute the logits of at most `most` tokens where no more are allowed."""
    head, owner = model.get_output_embeddings(), threading.get_ident()
    whole = type(head).forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        tokens = None
        if threading.get_ident() == owner and hidden.ndim == 3 and hidden.shape[1] == 1:
            tokens = processor.shortlist(hidden.shape[0], most)
        if tokens is None:
            return whole(head, hidden)
        ids = torch.from_numpy(tokens).to(hidden.device)
        bias = None if head.bias is None else head.bias[ids]
        logits = hidden.new_zeros((*hidden.shape[:-1], head.out_features))
        logits[..., ids] = torch.nn.functional.linear(hidden, head.weight[ids], bias)
        return logits

    head.forward = forward
    try:
        yield
    finally:
        del head.forward
