"""Greedy search and sampling in which tokens that are forced cost no forward pass of their own.

Idea. Where a mask allows one token, the model is not asked: the token is appended, and so is the next that is forced,
until there is a choice again; one forward pass then reads the whole run. It is `generate`'s own loop otherwise, with
the same processors, stopping criteria and streamer. A batch goes on by as many tokens as are forced in all its rows.

INVARIANT: the tokens are those of plain decoding, drawn from the same random numbers: a forced token uses up those that
drawing it would have used. (In half precision a pass over several tokens can round otherwise than one over each.)

Runs are left alone where something else could have its say on a forced token: a processor that is not known to keep the
only allowed token (`_KEEP_THE_ONLY_TOKEN`), a cache that does not grow, or rotary positions that may change within one
pass (`rope_change`). A mask that is not made yet is made ahead of
the forward pass only where one byte alone may come next; other new masks are left to the worker.

What this needs of transformers is not public (`_prefill`, the keyword arguments of a step); `is_supported` looks for
it, and without it `generate`'s loop is used as it is.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache, GenerationMixin, LogitsProcessorList, StoppingCriteriaList

from ...speculative.tree_attention import rope_change
from .processor import GrammarLogitsProcessor

__all__ = ["is_supported", "sampling_with_runs"]

_KEEP_THE_ONLY_TOKEN = frozenset(
    (
        "GrammarLogitsProcessor", "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper",
        "TopHLogitsWarper", "MinPLogitsWarper", "TypicalLogitsWarper", "EpsilonLogitsWarper", "EtaLogitsWarper",
        "RepetitionPenaltyLogitsProcessor", "EncoderRepetitionPenaltyLogitsProcessor", "LogitNormalization",
        "InfNanRemoveLogitsProcessor",
    )
)  # fmt: skip


def is_supported(model: Any) -> bool:
    """Whether this version of transformers, and this model, can read several tokens in a step."""

    def takes(name: str, argument: str) -> bool:
        method = getattr(GenerationMixin, name, None)
        return method is not None and argument in inspect.signature(method).parameters

    return (
        takes("_prefill", "generation_config")
        and takes("_update_model_kwargs_for_generation", "num_new_tokens")
        and takes("prepare_inputs_for_generation", "next_sequence_length")
        and not model.config.is_encoder_decoder
        and not getattr(model, "_is_stateful", False)
        and not (torch.distributed.is_available() and torch.distributed.is_initialized())
    )


def sampling_with_runs(processor: GrammarLogitsProcessor, *, overlap: bool, streamer: Any) -> Callable[..., Any]:
    """For `model.generate(custom_generate=…)`, of greedy search and sampling alone.

    processor : the grammar's, one of the call's logits processors. overlap : begin masks before a forward pass.
    streamer : what `generate` does not hand on to a loop that is not its own.
    """

    def decode(
        model: Any,
        input_ids: torch.LongTensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> torch.Tensor:
        loop = _Loop(model, input_ids, logits_processor, stopping_criteria, generation_config, streamer)
        may_run = loop.may_run and type(model_kwargs.get("past_key_values")) is DynamicCache
        may_run = may_run and rope_change(model.config, 0, generation_config.max_length) is None
        outputs = model._prefill(input_ids, generation_config, model_kwargs, is_first_iteration=True)
        with getattr(model, "_optimize_model_for_decode", contextlib.nullcontext)():
            while True:
                seen = loop.input_ids.shape[1]
                loop.choose(outputs)
                if may_run and not loop.is_done:
                    loop.run(processor)
                if loop.is_done:
                    break
                if overlap:
                    processor.foresee(loop.input_ids)
                outputs = loop.forward(outputs, model_kwargs, loop.input_ids.shape[1] - seen)
        processor.check_emptied()
        if streamer is not None:
            streamer.end()
        return loop.input_ids

    return decode


class _Loop:
    """The rows of one call, and what is done to them: `input_ids` int64[rows, length]."""

    def __init__(
        self, model: Any, input_ids: torch.Tensor, processors: Any, criteria: Any, config: Any, streamer: Any
    ) -> None:
        self.model, self.input_ids, self.processors, self.criteria = model, input_ids, processors, criteria
        self.config, self.streamer = config, streamer
        self.may_run = all(type(each).__name__ in _KEEP_THE_ONLY_TOKEN for each in processors)
        self.is_done = False
        self._going = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
        self._pads = any(hasattr(each, "eos_token_id") for each in criteria)
        self._width = 0

    def choose(self, outputs: Any) -> None:
        """One token for each row, from the logits behind the last."""
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32, device=self.input_ids.device)
        scores = self.processors(self.input_ids, logits)
        self._width = scores.shape[-1]
        if self.config.do_sample:
            tokens = torch.multinomial(scores.softmax(dim=-1), num_samples=1).squeeze(1)
        else:
            tokens = scores.argmax(dim=-1)
        self._append(tokens)

    def run(self, processor: GrammarLogitsProcessor) -> None:
        """The tokens that are forced in all rows that go on."""
        ended = (~self._going).tolist()
        for column in processor.forced_run(self.input_ids, ended, self.config.max_length - self.input_ids.shape[1]):
            processor.follow(self.input_ids)
            tokens = torch.tensor(column, device=self.input_ids.device)
            if self.config.do_sample:
                self._use_up(tokens)
            self._append(tokens)
            if self.is_done:
                return

    def forward(self, outputs: Any, model_kwargs: dict[str, Any], n: int) -> Any:
        """The logits behind the last n tokens, which the model has not seen."""
        model_kwargs.update(self.model._update_model_kwargs_for_generation(outputs, model_kwargs, num_new_tokens=n))
        inputs = self.model.prepare_inputs_for_generation(
            self.input_ids, next_sequence_length=n if model_kwargs["use_cache"] else None, **model_kwargs
        )
        return self.model(**inputs, return_dict=True)

    def _append(self, tokens: torch.Tensor) -> None:
        if self._pads:
            tokens = torch.where(self._going, tokens, self.config._pad_token_tensor.to(tokens.device))
        self.input_ids = torch.cat([self.input_ids, tokens[:, None]], dim=-1)
        self._going &= ~self.criteria(self.input_ids, None)
        if self.streamer is not None:
            self.streamer.put(tokens.cpu())
        self.is_done = not bool(self._going.any())

    def _use_up(self, tokens: torch.Tensor) -> None:
        """Draws tokens that are certain, for the random numbers that it takes."""
        certain = torch.zeros((len(tokens), self._width), device=tokens.device)
        certain.scatter_(1, tokens[:, None], 1.0)
        torch.multinomial(certain, num_samples=1)
