"""One forward over a tree of tokens: tree attention, and a cache cut back to the path that was right.

Idea (SpecInfer, Medusa). The tokens of a draft stand one after the other in one forward; a mask of four dimensions lets
each see the text and its own path, and its position is its depth, so its logits are those of its path alone.
Afterwards the keys and values of the path that was chosen move to the front and the rest is cut off.

Rows of a batch have trees and lengths of their own. Trees are padded to the widest; a row whose path was shorter than
another's is left with columns of the cache that nobody sees, and once these are a quarter of all, every row's columns
are moved together.

Sliding windows. The cache here keeps all tokens, whatever the model's configuration says, and the mask has the window:
exact, at the memory of a full cache.

What is refused, with its name: encoder-decoders, layers that are neither full nor sliding attention (linear, chunked,
recurrent), attention implementations other than eager and sdpa (flash attention and flex attention take no mask of
four dimensions; some ignore it), and every model whose logits over a small tree are not those of its paths: a probe of
two forwards, once per model, finds out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from transformers import DynamicCache

from ..automata.errors import BridleError
from ..automata.kernel import compile_all
from .draft_kernels import tree_attention
from .draft_tree import DraftTree

__all__ = ["TreeCache", "UnfitModelError", "check_model", "rope_change"]

_IMPLEMENTATIONS = ("sdpa", "eager")
_LAYERS = frozenset(("full_attention", "sliding_attention"))
_HOLES = 4  # one column in so many that some row does not see: then they are moved together


class UnfitModelError(BridleError):
    """The model, or how it is run, cannot verify trees: which part of it, and what to do."""


class TreeCache:
    """The keys and values of a batch of texts, and the forwards that add to them.

    lengths : how many tokens of each row are in the cache, padding left out. forwards : so far.
    hidden : after a forward with `wants_hidden`, the last hidden states, [rows, width, model width].
    """

    def __init__(self, model: Any, *, wants_hidden: bool = False) -> None:
        self._model = model
        self._attention = _attention_of(model.config)
        self._cache = DynamicCache()
        self._seen = np.zeros((0, 0), np.bool_)  # [rows, columns]: whether the row sees the column
        self._positions = np.zeros((0, 0), np.int64)  # of the token in each column
        self._width = 0  # of the last forward
        self._sees_self: npt.NDArray[np.bool_] = np.zeros((0, 0, 0), np.bool_)
        self._wants_hidden = wants_hidden
        self.hidden: torch.Tensor | None = None
        self.lengths = np.zeros(0, np.int64)
        self.forwards = 0
        self.seconds = 0.0  # of the last forward

    # ------------------------------------------------------------------------------------------ forwards

    def read(self, ids: torch.Tensor, mask: torch.Tensor | None, **options: Any) -> torch.Tensor:
        """The prompts: ids int64[rows, columns], mask the same with 0 for padding on the left (None: there is none).

        Returns the logits behind each, [rows, vocabulary].
        """
        rows, columns = ids.shape
        seen = np.ones((rows, columns), np.bool_) if mask is None else mask.cpu().numpy().astype(np.bool_)
        positions = np.maximum(np.cumsum(seen, axis=1) - 1, 0)
        out = self._call(
            input_ids=ids,
            attention_mask=None if seen.all() else mask,
            position_ids=torch.from_numpy(positions).to(ids.device),
            **options,
        )
        self._seen, self._positions, self.lengths = seen, positions, seen.sum(1)
        kinds = {type(layer).__name__ for layer in self._cache.layers}
        if kinds != {"DynamicLayer"}:
            shown = ", ".join(sorted(kinds))
            raise UnfitModelError(f"the model keeps its past in {shown}, which cannot be cut back to a path")
        return out[:, -1]

    def verify(self, tokens: Sequence[int], drafts: Sequence[DraftTree]) -> torch.Tensor:
        """Logits behind each row's last token and behind every node of its draft: [rows, width, vocabulary].

        tokens : the last token of each text, which is not in the cache yet: node 0; a draft's node i is node i + 1.
        `keep` must follow.
        """
        compile_all()
        rows, width = len(tokens), 1 + max(map(len, drafts))
        if not len(self.lengths):  # nothing was read before
            self._seen, self.lengths = np.zeros((rows, 0), np.bool_), np.zeros(rows, np.int64)
            self._positions = np.zeros((rows, 0), np.int64)
        ids, depth = np.zeros((rows, width), np.int64), np.zeros((rows, width), np.int32)
        sees = np.zeros((rows, width, width), np.bool_)
        if width == 1:
            ids[:, 0], sees[:] = tokens, True
        for row, draft in enumerate(drafts if width > 1 else ()):
            n = len(draft)
            ids[row, 0], ids[row, 1 : n + 1] = tokens[row], draft.tokens
            block = np.zeros((n + 1, n + 1), np.bool_)
            tree_attention(draft.parent, block, depth[row, : n + 1])
            sees[row, : n + 1, : n + 1] = block
            sees[row, np.arange(n + 1, width), np.arange(n + 1, width)] = True
        positions = self.lengths[:, None] + depth
        self._width, self._sees_self = width, sees
        device = self._model.device
        out = self._call(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=self._masks(sees, positions),
            position_ids=torch.from_numpy(positions).to(device),
        )
        self._positions = np.concatenate([self._positions, positions], axis=1)
        return out

    def _call(self, **inputs: Any) -> torch.Tensor:
        started = time.perf_counter()
        out = self._model(
            past_key_values=self._cache,
            use_cache=True,
            output_hidden_states=self._wants_hidden or None,
            return_dict=True,
            **inputs,
        )
        self.forwards += 1
        self.hidden = out.hidden_states[-1] if self._wants_hidden else None
        if out.logits.device.type == "cuda":
            torch.cuda.synchronize(out.logits.device)  # or the time were that of the launch
        self.seconds = time.perf_counter() - started
        return out.logits

    # ------------------------------------------------------------------------------------------ masks

    def _masks(self, sees: npt.NDArray[np.bool_], positions: npt.NDArray[np.int64]) -> Any:
        """What the model takes as attention_mask: None, a mask [rows, 1, width, columns + width], or one per kind of
        layer."""
        full, sliding, window = self._attention
        if sees.shape[1] == 1 and self._seen.all() and not sliding:
            return None
        past = np.broadcast_to(self._seen[:, None, :], (*sees.shape[:2], self._seen.shape[1]))
        everything = np.concatenate([past, sees], axis=2)
        if not sliding:
            return self._as_mask(everything)
        columns = np.concatenate([self._positions, positions], axis=1)
        near = positions[:, :, None] - columns[:, None, :] < window
        windowed = self._as_mask(everything & near)
        if not getattr(self._model.config.get_text_config(decoder=True), "layer_types", None):
            return windowed
        masks = {"sliding_attention": windowed}
        return masks | {"full_attention": self._as_mask(everything)} if full else masks

    def _as_mask(self, sees: npt.NDArray[np.bool_]) -> torch.Tensor:
        mask = torch.from_numpy(np.ascontiguousarray(sees))[:, None].to(self._model.device)
        if self._model.config._attn_implementation == "sdpa":
            return mask
        # Eager attention adds the mask: of truth values it would add ones.
        dtype = self._model.dtype
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)

    # ------------------------------------------------------------------------------------------ keeping

    def keep(self, paths: Sequence[Sequence[int]]) -> None:
        """Cuts the last forward back to each row's path: its nodes, 0 first, as `verify` numbers them."""
        rows, most = len(paths), max(map(len, paths))
        if self._width == 1:  # nothing is cut, and nothing moves
            self._seen = np.concatenate([self._seen, np.ones((rows, 1), np.bool_)], axis=1)
            self.lengths = self.lengths + 1
            return
        before = self._positions.shape[1] - self._width
        places = np.zeros((rows, most), np.int64)
        seen = np.zeros((rows, most), np.bool_)
        for row, path in enumerate(paths):
            places[row, : len(path)], seen[row, : len(path)] = path, True
        moved = not all(list(path) == list(range(len(path))) for path in paths)
        index = torch.from_numpy(places).to(self._model.device)
        for layer in self._layers():
            layer.keys = _cut(layer.keys, before, most, index if moved else None)
            layer.values = _cut(layer.values, before, most, index if moved else None)
        self._seen = np.concatenate([self._seen, seen], axis=1)
        kept = np.take_along_axis(self._positions[:, before:], places, axis=1)
        self._positions = np.concatenate([self._positions[:, :before], kept], axis=1)
        self.lengths = self.lengths + seen.sum(1)
        if rows > 1 and _HOLES * (self._seen.shape[1] - int(self.lengths.max())) > self._seen.shape[1]:
            self._close_holes()

    def cut(self, length: int) -> None:
        """Forgets all but the first `length` tokens of a single row."""
        for layer in self._layers():
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]
        self._seen, self._positions = self._seen[:, :length], self._positions[:, :length]
        self.lengths = np.minimum(self.lengths, length)

    def select(self, rows: Sequence[int]) -> None:
        """Goes on with these rows alone."""
        index = torch.tensor(list(rows), device=self._model.device)
        for layer in self._layers():
            at = index.to(layer.keys.device)  # layers may lie on several devices
            layer.keys, layer.values = layer.keys.index_select(0, at), layer.values.index_select(0, at)
        chosen = np.array(list(rows))
        self._seen, self._positions, self.lengths = self._seen[chosen], self._positions[chosen], self.lengths[chosen]

    def _close_holes(self) -> None:
        most = int(self.lengths.max())
        # Stable: seen columns first, in their order.
        order = np.argsort(~self._seen, axis=1, kind="stable")[:, :most]
        index = torch.from_numpy(order).to(self._model.device)
        for layer in self._layers():
            layer.keys, layer.values = _gathered(layer.keys, index), _gathered(layer.values, index)
        self._seen = np.take_along_axis(self._seen, order, axis=1)
        self._positions = np.take_along_axis(self._positions, order, axis=1)

    def _layers(self) -> list[Any]:
        layers: list[Any] = self._cache.layers
        return [layer for layer in layers if layer.is_initialized]


def _gathered(states: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """states [rows, heads, columns, size] at index [rows, n] -> [rows, heads, n, size]."""
    rows, heads, _, size = states.shape
    index = index.to(states.device)
    return states.gather(2, index[:, None, :, None].expand(rows, heads, index.shape[1], size))


def _cut(states: torch.Tensor, before: int, most: int, index: torch.Tensor | None) -> torch.Tensor:
    """The first columns, and `most` of those behind them: those of the index, or the first.

    In place: the buffer was made by the forward for these columns alone.
    """
    if index is not None:
        states[:, :, before : before + most] = _gathered(states[:, :, before:], index)
    return states[:, :, : before + most]


# ------------------------------------------------------------------------------------------------ which models


def _attention_of(config: Any) -> tuple[bool, bool, int]:
    """(some layers are full attention, some slide, the window)."""
    text = config.get_text_config(decoder=True)
    kinds = set(getattr(text, "layer_types", None) or ())
    window = getattr(text, "sliding_window", None)
    if kinds:
        return "full_attention" in kinds, "sliding_attention" in kinds, int(window or 0)
    # Configurations that keep a window they do not use have a flag for that.
    slides = bool(window) and getattr(text, "use_sliding_window", True)
    return not slides, slides, int(window or 0)


def rope_change(config: Any, shortest: int, longest: int | None) -> tuple[str, int] | None:
    """(kind, length) of rotary positions that are others for a whole forward once its longest text exceeds a length.

    None, too, if no text comes there: the shortest has that many tokens already, and each may come to `longest`.
    """
    text = config.get_text_config(decoder=True)
    given = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    found = []
    for rope in (given, *given.values()):  # for all layers, or by their kinds
        kind = str(rope.get("rope_type", rope.get("type"))) if isinstance(rope, dict) else ""
        if "dynamic" in kind or kind == "longrope":
            names = "original_max_position_embeddings", "max_position_embeddings"
            lengths = [rope.get(names[0]), *(getattr(text, name, None) for name in names)]
            found.append((kind, int(next(n for n in lengths if n))))
    kind, length = min(found, key=lambda one: one[1], default=("", 0))
    alike = not kind or (longest is not None and longest <= length) or (kind == "longrope" and shortest > length)
    return None if alike else (kind, length)


_fit: WeakKeyDictionary[Any, set[tuple[str, torch.dtype]]] = WeakKeyDictionary()


def check_model(model: Any) -> None:
    """Raises UnfitModelError for a model that cannot verify trees. Probes it with two small forwards, once."""
    config = model.config
    if config.is_encoder_decoder:
        raise UnfitModelError("an encoder-decoder's cache cannot be cut back to a path; decode without speculation")
    implementation = str(getattr(config, "_attn_implementation", "eager"))
    if implementation not in _IMPLEMENTATIONS:
        raise UnfitModelError(
            f"attention {implementation!r} takes no mask of four dimensions, which trees need; load the model with "
            "attn_implementation='sdpa' (or 'eager')"
        )
    kinds = set(getattr(config.get_text_config(decoder=True), "layer_types", None) or ()) - _LAYERS
    if kinds:
        raise UnfitModelError(f"layers of {', '.join(sorted(kinds))} keep a state that cannot be cut back to a path")
    key = (implementation, model.dtype)
    if key not in _fit.setdefault(model, set()):
        _probe(model)
        _fit[model].add(key)


@torch.inference_mode()
def _probe(model: Any) -> None:
    """Compares a tree's logits with those of its two paths, read from the beginning."""
    size = int(model.config.get_text_config(decoder=True).vocab_size)
    ids = [(7 * i + 3) % size for i in range(10)]
    prompt, last, tree = ids[:5], ids[5], DraftTree.of([ids[6], ids[7], ids[8], ids[9]], [-1, -1, 0, 1], [1.0] * 4)
    device = model.device
    try:
        cache = TreeCache(model)
        cache.read(torch.tensor([prompt], device=device), None)
        found = cache.verify([last], [tree])[0]
        paths = torch.tensor([[*prompt, last, ids[6], ids[8]], [*prompt, last, ids[7], ids[9]]], device=device)
        wanted = model(input_ids=paths, use_cache=False, return_dict=True).logits[:, 5:]
    except UnfitModelError:
        raise
    except Exception as error:
        raise UnfitModelError(f"{type(model).__name__} cannot read a tree: {type(error).__name__}: {error}") from error
    pairs = ((0, wanted[0, 0]), (1, wanted[0, 1]), (3, wanted[0, 2]), (2, wanted[1, 1]), (4, wanted[1, 2]))
    off = max(float((found[node].float() - logits.float()).abs().max()) for node, logits in pairs)
    tolerance = 1e-3 if model.dtype in (torch.float32, torch.float64) else 0.1
    if not off <= tolerance * max(float(wanted.float().std()), 1e-6):
        raise UnfitModelError(
            f"{type(model).__name__} reads a tree otherwise than its paths (logits differ by {off:.2g}): its "
            "attention does not heed masks of four dimensions, or its positions"
        )
