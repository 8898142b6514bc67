"""Models as the sampling methods ask them: the next token's logits behind a batch of generated prefixes.

A plain callable `logits(prefixes)` gets `list[list[int]]`, prompt included, all of one length and no two alike, and
returns [n, vocab] (a tensor or an array); it must be a function of each prefix alone.

A transformers model is asked by `CachedModel`, with keys and values kept. All prefixes of a call have one length, since
the methods go token by token, so a batch has no padding. A prefix is one of three things: a row of the last call and a
token more (the batch's cache is gathered, one token is computed); a row that branches off a text of earlier calls (what
they share is taken from there, the rest is computed in one forward); or new behind the prompt, which is computed once.

INVARIANT: caches of finished rows take `kept_bytes` at the most, the least recently used ones go first.
Models whose cache is no plain list of keys and values (state spaces, shared layers) are computed without one. Encoder-
decoders are refused: they can be given as a callable.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import torch

__all__ = ["CachedModel", "CallableModel", "PrefixModel", "as_prefix_model"]

Ids: TypeAlias = tuple[int, ...]
_PLAIN_LAYERS = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
_RECURRENT = frozenset({"jamba", "zamba", "zamba2", "bamba", "falcon_h1", "nemotron_h", "recurrent_gemma"})
KeysAndValues: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]  # per layer, [rows, heads, length, width] each


class PrefixModel(Protocol):
    """prompt : the prompt's ids. tokens : tokens computed so far, the prompt's once."""

    prompt: Ids
    tokens: int

    def __call__(self, prefixes: Sequence[Ids]) -> torch.Tensor:
        """[n, vocab]: the logits behind each generated prefix, all of one length and no two alike."""


def as_prefix_model(model: Any, prompt_ids: Any, kept_bytes: int = 0) -> PrefixModel:
    """A model of transformers, or a callable, behind a prompt.

    prompt_ids : a sequence of ids, or an integer tensor [length] or [1, length]
    """
    prompt = _checked_prompt(prompt_ids)
    if isinstance(model, torch.nn.Module) and hasattr(model, "config"):
        return CachedModel(model, prompt, kept_bytes)
    if not callable(model):
        raise TypeError(f"a model of transformers or a callable is needed, not {type(model).__name__}")
    return CallableModel(model, prompt)


def _checked_prompt(prompt_ids: Any) -> Ids:
    given = prompt_ids.tolist() if hasattr(prompt_ids, "tolist") else list(prompt_ids)
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        (given,) = given
    if not all(isinstance(token, int) for token in given):
        raise ValueError("prompt_ids must be the ids of one prompt: [length] or [1, length]")
    return tuple(given)


class CallableModel:
    """A callable behind a prompt."""

    def __init__(self, logits: Callable[[list[list[int]]], Any], prompt: Ids) -> None:
        self.prompt = prompt
        self.tokens = 0
        self._logits = logits

    def __call__(self, prefixes: Sequence[Ids]) -> torch.Tensor:
        logits = torch.as_tensor(self._logits([[*self.prompt, *prefix] for prefix in prefixes]))
        if logits.ndim != 2 or len(logits) != len(prefixes):
            raise ValueError(
                f"the model returned logits of shape {tuple(logits.shape)} for {len(prefixes)} prefixes; "
                "[prefixes, vocabulary] is needed"
            )
        self.tokens += sum(map(len, prefixes))
        return logits


class CachedModel:
    """A causal language model of transformers behind a prompt, with the keys and values of prefixes."""

    def __init__(self, model: Any, prompt: Ids, kept_bytes: int = 0) -> None:
        if model.config.is_encoder_decoder:
            raise ValueError("encoder-decoder models have no cache that prefixes share; pass a callable of prefixes")
        if model.training:
            raise ValueError("the model is in training mode, and dropout has no distribution: call model.eval()")
        if not prompt:
            raise ValueError("a model has to be asked something: the prompt is empty; pass its bos token at least")
        self.prompt = prompt
        self.tokens = 0
        self._model = model
        accepted = inspect.signature(model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._caches = "past_key_values" in accepted and _has_plain_cache(model.config)
        self._kept = KeptRows(kept_bytes)
        self._first: torch.Tensor | None = None
        self._prompt_cache: KeysAndValues | None = None
        self._rows: dict[Ids, int] = {}  # of the last call: the row of each prefix in `_batch`
        self._batch: KeysAndValues | None = None

    @torch.inference_mode()
    def __call__(self, prefixes: Sequence[Ids]) -> torch.Tensor:
        if not self._caches:
            return self._whole(prefixes)
        if self._first is None:
            self._first, self._prompt_cache = self._forward([self.prompt], None)
        if not prefixes[0]:
            return self._first
        going_on = [i for i, prefix in enumerate(prefixes) if prefix[:-1] in self._rows]
        others = [i for i, prefix in enumerate(prefixes) if prefix[:-1] not in self._rows]
        parts = []
        if going_on:
            parts.append(self._extended([prefixes[i] for i in going_on]))
        self._put_aside(prefixes)
        if others:
            parts.append(self._branched([prefixes[i] for i in others]))
        order = going_on + others
        self._rows = {prefixes[i]: row for row, i in enumerate(order)}
        self._batch = _joined([cache for _, cache in parts])
        place = torch.tensor(order).argsort()
        return torch.cat([logits for logits, _ in parts])[place.to(parts[0][0].device)]

    def _extended(self, prefixes: Sequence[Ids]) -> tuple[torch.Tensor, KeysAndValues]:
        """Rows of the last call, each with a token more."""
        rows = [self._rows[prefix[:-1]] for prefix in prefixes]
        assert self._batch is not None
        batch = self._batch
        if rows != list(range(len(self._rows))):
            index = torch.tensor(rows, device=batch[0][0].device)
            batch = [(keys[index], values[index]) for keys, values in batch]
        return self._forward([prefix[-1:] for prefix in prefixes], batch)

    def _branched(self, prefixes: Sequence[Ids]) -> tuple[torch.Tensor, KeysAndValues]:
        """Rows that are no continuation of the last call's: from what earlier ones share with them."""
        found = [self._kept.longest(prefix[:-1]) for prefix in prefixes]
        shared = min(length for length, _ in found)
        assert self._prompt_cache is not None
        caches = []
        for _, row in found:
            cache = self._prompt_cache
            if shared:
                assert row is not None
                cache = [
                    (torch.cat([k, rk[:, :, :shared]], 2), torch.cat([v, rv[:, :, :shared]], 2))
                    for (k, v), (rk, rv) in zip(cache, row, strict=True)
                ]
            caches.append(cache)
        return self._forward([prefix[shared:] for prefix in prefixes], _joined(caches))

    def _put_aside(self, following: Sequence[Ids]) -> None:
        """Keeps the rows of the last call that no row of this one contains."""
        continued = {prefix[:-1] for prefix in following}
        for prefix, row in self._rows.items():
            if prefix not in continued and self._batch is not None:
                self._kept.put(prefix, self._batch, row, len(self.prompt))

    def _forward(self, ids: Sequence[Sequence[int]], cache: KeysAndValues | None) -> tuple[torch.Tensor, KeysAndValues]:
        """(the logits behind the last token, the cache with these tokens)."""
        from transformers import DynamicCache

        past = DynamicCache()  # made without the config, so that layers with a window keep all: the model masks it
        for layer, (keys, values) in enumerate(cache or ()):
            past.update(keys, values, layer)
        tokens = torch.tensor(ids, device=self._model.device)
        self.tokens += tokens.numel()
        output = self._model(input_ids=tokens, past_key_values=past, use_cache=True, **self._options)
        return output.logits[:, -1], [(layer[0], layer[1]) for layer in output.past_key_values]

    def _whole(self, prefixes: Sequence[Ids]) -> torch.Tensor:
        """The logits behind prefixes that are computed from their first token on."""
        tokens = torch.tensor([self.prompt + prefix for prefix in prefixes], device=self._model.device)
        self.tokens += tokens.numel()
        return self._model(input_ids=tokens, use_cache=False, **self._options).logits[:, -1]


def _has_plain_cache(config: Any) -> bool:
    """Whether every layer has keys and values of its own for every token."""
    text = config.get_text_config(decoder=True)
    kinds = set(getattr(text, "layer_types", None) or ())
    recurrent = getattr(text, "model_type", "") in _RECURRENT or hasattr(text, "layers_block_type")
    return kinds <= _PLAIN_LAYERS and not recurrent and not getattr(text, "num_kv_shared_layers", 0)


def _joined(caches: Sequence[KeysAndValues]) -> KeysAndValues:
    """Caches of one length as one batch."""
    if len(caches) == 1:
        return caches[0]
    return [
        (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
        for layer in zip(*caches, strict=True)
    ]


class KeptRows:
    """The keys and values of generated prefixes, without the prompt's; `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: OrderedDict[Ids, KeysAndValues] = OrderedDict()
        self.bytes = 0

    def put(self, prefix: Ids, batch: KeysAndValues, row: int, start: int) -> None:
        """Copies a row of a batch, from position `start` on."""
        each = sum(part[row, :, start:].nbytes for layer in batch for part in layer)
        if each > self._limit or self.longest(prefix)[0] == len(prefix):
            return
        place = (slice(row, row + 1), slice(None), slice(start, None))
        self._rows[prefix] = [(keys[place].clone(), values[place].clone()) for keys, values in batch]
        self.bytes += each
        while self.bytes > self._limit:
            _, dropped = self._rows.popitem(last=False)
            self.bytes -= sum(part.nbytes for layer in dropped for part in layer)

    def longest(self, prefix: Ids) -> tuple[int, KeysAndValues | None]:
        """(how many tokens a kept row shares with the prefix, that row), the most there are."""
        best: Ids | None = None
        length = 0
        for ids in self._rows:
            while length < min(len(ids), len(prefix)) and ids[: length + 1] == prefix[: length + 1]:
                best, length = ids, length + 1
            if length == len(prefix):
                break
        if best is None:
            return 0, None
        self._rows.move_to_end(best)
        return length, self._rows[best]
