"""bridle as a logits processor of vLLM: grammars of requests where the engine's backend is another, or none, and what a
backend cannot carry: temperatures of parts of a grammar, and masks that stay on the GPU.

    vllm serve MODEL --logits-processors bridle.integrations.vllm.logits_processor:BridleLogitsProcessor
    LLM(MODEL, logits_processors=["bridle.integrations.vllm.logits_processor:BridleLogitsProcessor"])

    SamplingParams(extra_args={"bridle": {"logits": {"json": schema}}})

`logits` has the members of `structured_outputs`; `options` and `budget` stand beside it (request_reading.py). In the
text of a grammar a rule may have a temperature: `name[temperature=0.01] ::= …`. It takes the place of the request's,
but in greedy requests. V1's penalties come behind it, so they are divided by the request's alone.

Rules. A request without `logits` is not touched. One whose grammar is none is refused where it comes in, with the
reason, as are those with `structured_outputs`, or with parameters that may leave none of the tokens that the grammar
allows. The text begins with the first token, what a model thinks included. Where a text meets a budget of its grammar
(`Limits`), or the vocabulary lacks a special token that the grammar names, it ends with a stop token and the reason is
in the log. `max_tokens` is the text's budget, as with the backend. Grammars are compiled in the worker's loop, which is
bridle's usual millisecond; the backend does it aside.

Runners. vLLM has two model runners, with an interface each of the same name; which one runs is known when the engine
starts, and both take their processors by the same option. So this class is both, and its constructor's arguments say
which it is. V1 takes no processors beside speculative decoding, and says so; V2 does. V2 needs Triton and has not been
run: its half was tested with stand-ins of its classes (logits_rows.py).

It is no entry point of `vllm.logits_processors`. Every engine of the environment would load it, unasked; V1 would take
requests in beside speculative decoding and not apply it, and under async scheduling would hide their tokens from it;
and a vLLM in which either interface has changed would not start.

INVARIANT: importing this imports no numba, which vLLM's workers on CPUs cannot start beside (plugin.py).
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as BatchProcessor
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as SlotProcessor

__all__ = ["BridleLogitsProcessor"]

# Parameters by which vLLM forbids or forces tokens whatever a grammar says, and what they are where it does not.
_RIVALS: dict[str, Any] = {"min_tokens": 0, "allowed_token_ids": None, "bad_words": [], "thinking_token_budget": None}


class BridleLogitsProcessor(BatchProcessor, SlotProcessor):  # type: ignore[misc]
    """See the module. Raises VocabularyError for a tokenizer that cannot be read.

    given : of V1 a device and whether memory is pinned, of V2 a LogitsProcRequestState.
    """

    def __init__(self, vllm_config: Any, *given: Any) -> None:
        from vllm.tokenizers import cached_tokenizer_from_config

        from .logits_rows import BatchRows, SlotRows
        from .request_matchers import RequestMatchers

        model = vllm_config.model_config
        if model.skip_tokenizer_init:
            raise ValueError("bridle's logits processor needs a tokenizer, so it does not go with skip_tokenizer_init")
        matchers = RequestMatchers(vllm_config, cached_tokenizer_from_config(model), model.get_vocab_size())
        self._rows: Any = SlotRows(matchers, *given) if len(given) == 1 else BatchRows(matchers)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raises VLLMValidationError for a request whose grammar is none."""
        from vllm.exceptions import VLLMValidationError

        from ...automata.errors import BridleError
        from .admission import names_special_tokens
        from .request_reading import arguments_of, logits_request_of

        try:
            arguments = arguments_of(sampling_params.extra_args)
            request = logits_request_of(arguments)
            if request is None:
                return
            names_special_tokens(request)
        except BridleError as error:
            raise VLLMValidationError(str(error)) from error
        if sampling_params.structured_outputs is not None or arguments.agent is not None:
            raise VLLMValidationError(
                "a request has one of structured_outputs, an agent, and a grammar in extra_args['bridle']['logits']"
            )
        rivals = [name for name, none in _RIVALS.items() if getattr(sampling_params, name) not in (None, none)]
        if rivals:
            raise VLLMValidationError(
                f"{rivals[0]} may leave none of the tokens that the grammar in extra_args['bridle']['logits'] allows"
            )

    def apply(self, logits: torch.Tensor, ctx: LogitsContext | None = None) -> torch.Tensor:
        """Masks and heats rows of logits [rows, vocab], in place. ctx : of V2 alone."""
        if ctx is None:
            self._rows.apply(logits)
        else:
            self._rows.apply(logits, ctx)
        return logits

    # ------------------------------------------------------------------------------------------ V1

    def is_argmax_invariant(self) -> bool:
        """A mask may forbid the best token."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Takes in which requests have come, gone and moved."""
        self._rows.update(batch_update)

    # ------------------------------------------------------------------------------------------ V2

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """Takes a request into a slot; returns whether it has a grammar."""
        added: bool = self._rows.add(req_idx, sampling_params)
        return added

    def apply_staged_writes(self) -> None:
        """Begins a step, before the forward pass."""
        self._rows.stage()
