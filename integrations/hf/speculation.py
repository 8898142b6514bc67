"""Speculative decoding in transformers: `generate(..., speculate=True)`, or `model.generate(custom_generate=...)`.

    generate(model, tokenizer, prompt, grammar, speculate=True)
    speculation = Speculation(tokenizer=tokenizer, references=[document])       # keeps what it learns from call to call
    generate(model, tokenizer, prompt, grammar, speculate=speculation)
    model.generate(**inputs, logits_processor=[GrammarLogitsProcessor(compiled)], custom_generate=speculation)

Idea. What the text will be is guessed (bridle.speculative), one forward reads all guesses, and then the text goes on as
it would have anyway: at each place the processors of `generate` see the true prefix and the model's logits behind it,
the next token is chosen from what they leave, and if it was guessed, the logits behind it are there already.

Lossless. Every token is chosen by the code of plain decoding from the same logits (up to the rounding of a wider
forward), in the same order: processors and stopping criteria are called for each token once, and each draw takes from
the random stream what a plain one takes. So greedy texts are equal, and sampled ones are for the same seed, one prompt
at a time. The rows of a batch advance at their own pace, so each has a stream of its own: its text then does not depend
on its neighbours or on what was drafted.

Refused with a reason, or decoded plainly with a warning (`fallback`): models and caches that cannot verify trees
(speculative/tree_attention.py). Beam search, and outputs other than sequences, are errors.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...automata.errors import BridleError
from ...automata.tokenizer_bytes import read_hf
from ...automata.vocabulary import Vocabulary
from ...speculative.acceptance import ForwardCost
from ...speculative.draft_model import DraftModelSource
from ...speculative.drafter import Drafter, DraftStats
from ...speculative.grammar_source import GrammarSource
from ...speculative.history import ReferenceSource, SuffixSource, TrieSource
from ...speculative.sources import DraftSource
from ...speculative.text_cutting import unspaced, unspaced_of
from ...speculative.tree_attention import UnfitModelError, check_model, rope_change
from .processor import GrammarLogitsProcessor
from .speculative_rows import decode_rows

__all__ = ["Speculation"]

# What `generate` passes to a decoding method, besides what goes to the model alone.
_KNOWN_INPUTS = frozenset(
    ("attention_mask", "cache_position", "logits_to_keep", "past_key_values", "position_ids", "use_cache")
)


@dataclass
class Speculation:
    """How texts are drafted. Belongs to one thread at a time; what it learns serves later calls.

    sources : what drafts; None: the grammar, a trie of outputs, repetitions in the text, and `references`
    references : documents that answers quote, as texts or token ids
    draft_model : a smaller model with the same tokenizer, or a DraftModelSource
    tokenizer : cuts what the grammar dictates as the model would; without it, into the longest tokens that there are
    vocabulary : what tokens spell, for texts without a grammar and a tokenizer that is not one of transformers
    most_nodes : of one draft; a draft is smaller where more would cost more than they bring
    cost_slope : what one more token in a forward costs, as a share of a forward of one; None: measured
    fallback : whether what cannot be verified is decoded plainly, with a warning; else UnfitModelError
    stats : DraftStats over all calls. fallback_reason : why the last call was decoded plainly, or None.
    """

    sources: Sequence[DraftSource] | None = None
    references: Sequence[str | Sequence[int]] = ()
    draft_model: Any = None
    tokenizer: Any = None
    vocabulary: Vocabulary | None = None
    most_nodes: int = 64
    cost_slope: float | None = None
    fallback: bool = True
    fallback_reason: str | None = field(default=None, init=False)
    _cutter: tuple[Any, Any] = field(default=(None, None), init=False, repr=False)
    _spelling: tuple[Any, Any] = field(default=(None, None), init=False, repr=False)

    def __post_init__(self) -> None:
        sources = self.sources
        if sources is None:
            sources = list[DraftSource]((GrammarSource(), TrieSource(), SuffixSource()))
            sources += [ReferenceSource(self.references)] if self.references else []
            if self.draft_model is not None:
                is_source = isinstance(self.draft_model, DraftModelSource)
                sources.append(self.draft_model if is_source else DraftModelSource(self.draft_model))
        elif self.references or self.draft_model is not None:
            raise ValueError(
                "`references` and `draft_model` are for the default sources; among `sources`, put a ReferenceSource "
                "or a DraftModelSource"
            )
        self._drafter = Drafter(sources, self.most_nodes, ForwardCost(self.cost_slope))

    @property
    def stats(self) -> DraftStats:
        return self._drafter.stats

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Any:
        """What `model.generate(custom_generate=...)` calls. No streamer comes this way: `streaming` has one."""
        return self._decode(
            None, model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs
        )

    def prepared(self, model: Any, tokenizer: Any, streamer: Any) -> Callable[..., Any]:
        """For `generate` of this package: probes the model before its forwards are counted."""
        if self.tokenizer is None:
            self.tokenizer = tokenizer
        with contextlib.suppress(UnfitModelError):
            check_model(model)
        return self.streaming(streamer)

    def streaming(self, streamer: Any) -> Callable[..., Any]:
        """The same for `custom_generate`, handing tokens on to a streamer as they are decided."""

        def decode(
            model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
            **model_kwargs: Any,
        ) -> Any:  # fmt: skip
            return self._decode(
                streamer, model, input_ids, logits_processor, stopping_criteria, generation_config, model_kwargs
            )

        return decode

    def _encoder(self) -> Callable[[str], list[int]] | None:
        """The same function as long as the tokenizer is the same: sources keep what they have cut by it."""
        if self._cutter[0] is not self.tokenizer:
            self._cutter = self.tokenizer, _encoder_of(self.tokenizer)
        return self._cutter[1]

    def _unspaced(self, processors: Sequence[Any]) -> npt.NDArray[np.int32] | None:
        """As Request has it: by the vocabulary of the grammar, or by what else is known."""
        known = next((p.vocabulary for p in processors if isinstance(p, GrammarLogitsProcessor)), self.vocabulary)
        if known is not None:
            return unspaced_of(known)
        if self._spelling[0] is not self.tokenizer:
            self._spelling = self.tokenizer, _unspaced_by(self.tokenizer)
        return self._spelling[1]

    def _decode(
        self,
        streamer: Any,
        model: Any,
        input_ids: torch.Tensor,
        processors: Any,
        criteria: Any,
        config: Any,
        model_kwargs: dict[str, Any],
    ) -> Any:
        _check_outputs(config)
        self.fallback_reason = None
        for source in self._drafter.sources:
            if isinstance(source, DraftModelSource):
                source.check_target(model)
        try:
            check_model(model)
            _check_inputs(config, model_kwargs)
            _check_positions(model, input_ids, config, model_kwargs)
        except UnfitModelError as error:
            if not self.fallback:
                raise
            self.fallback_reason = str(error)
            warnings.warn(f"decoding without speculation: {error}", stacklevel=2)
            return model._sample(input_ids, processors, criteria, config, streamer=streamer, **model_kwargs)
        sequences: Any = decode_rows(
            model,
            input_ids,
            model_kwargs.get("attention_mask"),
            processors=list(processors),
            criteria=criteria,
            config=config,
            drafter=self._drafter,
            encode=self._encoder(),
            unspaced=self._unspaced(processors),
            streamer=streamer,
        )
        if not config.return_dict_in_generate:
            return sequences
        from transformers.generation import GenerateDecoderOnlyOutput

        return GenerateDecoderOnlyOutput(sequences=sequences)


def _check_outputs(config: Any) -> None:
    if config.num_beams and config.num_beams > 1:
        raise ValueError(f"beam search (num_beams={config.num_beams}) is not speculated; pass speculate=False")
    wanted = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")
    asked = [name for name in wanted if config.return_dict_in_generate and getattr(config, name, None)]
    if asked:
        raise ValueError(f"speculative decoding returns sequences alone, without {', '.join(asked)}")


def _check_inputs(config: Any, model_kwargs: dict[str, Any]) -> None:
    strange = sorted(name for name, value in model_kwargs.items() if name not in _KNOWN_INPUTS and value is not None)
    if strange:
        raise UnfitModelError(f"the model is given {', '.join(strange)}, which trees of tokens have no part of")
    if model_kwargs.get("use_cache") is False or config.use_cache is False:
        raise UnfitModelError("without a cache (use_cache=False) every token of the text would be read again")
    cache = model_kwargs.get("past_key_values")
    if config.cache_implementation not in (None, "dynamic", "dynamic_full"):
        raise UnfitModelError(f"a {config.cache_implementation} cache cannot be cut back to a path; use a dynamic one")
    if cache is not None and type(cache).__name__ != "DynamicCache":
        raise UnfitModelError(f"a {type(cache).__name__} cannot be cut back to a path; use a DynamicCache")
    if cache is not None and cache.get_seq_length() > 0:
        raise UnfitModelError("a cache that holds part of the text already is not taken over; pass the whole prompt")


def _check_positions(model: Any, input_ids: torch.Tensor, config: Any, model_kwargs: dict[str, Any]) -> None:
    """A forward that reads ahead must not be where positions change for all that it reads."""
    mask = model_kwargs.get("attention_mask")
    shortest = input_ids.shape[1] if mask is None else int(mask.sum(1).min())
    change = rope_change(model.config, shortest, config.max_length)
    if change is None:
        return
    raise UnfitModelError(
        f"rotary positions of kind {change[0]!r} change behind {change[1]} tokens, for all that one forward reads, and "
        f"prompt and text may have {config.max_length}; pass fewer max_new_tokens"
    )


def _encoder_of(tokenizer: Any) -> Callable[[str], list[int]]:
    """text -> ids without special tokens. PERF: the wrapper around a fast tokenizer costs five times what it does."""
    fast = getattr(tokenizer, "backend_tokenizer", None)

    def encode(text: str) -> list[int]:
        # A fast tokenizer keeps the padding and truncation of its last call; the wrapper ends them.
        if fast is None or fast.truncation is not None or fast.padding is not None:
            return list(tokenizer.encode(text, add_special_tokens=False))
        return list(fast.encode(text, add_special_tokens=False).ids)

    return encode


def _unspaced_by(tokenizer: Any) -> npt.NDArray[np.int32] | None:
    """None for a tokenizer that does not say what its tokens spell."""
    try:
        return unspaced(read_hf(tokenizer).tokens)
    except BridleError:
        return None
