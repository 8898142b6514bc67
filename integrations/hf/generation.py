"""Text inside a grammar in one call: `generate(model, tokenizer, prompts, grammar)`.

Idea. `model.generate` does the work, with a GrammarLogitsProcessor behind the caller's own; this file prepares what
goes in and says what came out. Prompts are padded on the left, stop tokens are the same for the grammar and for
`generate`, and the text is put together from the vocabulary's bytes, which no detokenizer has cleaned up.

INVARIANT: every result has been replayed through the grammar, so `complete` is what the grammar says, not a guess; a
token outside the grammar is a ConflictError (with beams, where probability zero can come out on top: not complete).
Cost beside `model.generate`: a replay, 1 us a token; the vocabulary once per tokenizer, some 10 ms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from ...automata.compiled import Compiled, compile_grammar
from ...automata.matcher import Matcher, allocate_token_bitmask
from ...automata.vocabulary import Vocabulary
from .processor import ConflictError, GrammarLogitsProcessor

__all__ = ["Result", "Stats", "generate", "vocabulary_of"]


@dataclass(slots=True)
class Stats:
    """Counts of one `generate` call, all rows together; every result of the call has the same object.

    forwards : calls of the model (of the large one, where a small one drafts)
    tokens : generated tokens, stop tokens included
    masks, mask_us : masks filled, and the microseconds that it took
    """

    forwards: int = 0
    tokens: int = 0
    masks: int = 0
    mask_us: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One generated text.

    text : without the stop token; bytes that are no UTF-8, at a text's cut-off end, become U+FFFD
    token_ids : what was generated, with the stop token where there is one
    complete : the text is a sentence of the grammar and was ended, by a stop token or because only that could follow
    """

    text: str
    token_ids: list[int]
    complete: bool
    stats: Stats


def generate(
    model: Any,
    tokenizer: Any,
    prompts: str | Sequence[str],
    grammar: Any,
    *,
    max_new_tokens: int = 256,
    seed: int | None = None,
    do_sample: bool | None = None,
    temperature: float | None = None,
    budget: bool = True,
    streamer: Any = None,
    **options: Any,
) -> list[Result]:
    """Generate a text inside the grammar for each prompt.

    grammar : a Grammar, or what `bridle.compile` made of one (which keeps what it has learned from call to call), or a
        list of either with one per prompt
    seed : draws are the same for the same seed, and the caller's random state is left alone
    do_sample : None: sample where a seed or a temperature above 0 is given, else as the model's generation config says
    budget : whether the grammar closes each text within `max_new_tokens`, so that none is cut short; raises LimitError
        where no text is so few tokens
    streamer, options : go to `model.generate`; `logits_processor` may hold more processors, which then run first
    Results are in the order of the prompts, `num_return_sequences` of them for each.
    """
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    vocabulary = vocabulary_of(model, tokenizer)
    compiled = _compiled(grammar, vocabulary, len(texts))
    if not texts:
        return []
    processor = GrammarLogitsProcessor(compiled, max_tokens=max_new_tokens if budget else None)
    options["logits_processor"] = [*(options.get("logits_processor") or []), processor]
    options |= _sampling(seed, do_sample, temperature)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else vocabulary.stop_token_ids[0]
    inputs = _padded(model, tokenizer, texts, pad)
    stats = Stats()
    with torch.inference_mode(), _seeded(seed, model), _counted(model, stats):
        output = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(vocabulary.stop_token_ids),
            pad_token_id=pad,
            streamer=streamer,
            **options,
        )
    rows = output if isinstance(output, torch.Tensor) else output.sequences
    start = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    per_grammar = len(rows) // len(compiled)
    stats.masks, stats.mask_us = processor.stats.masks, processor.stats.mask_us
    beams = options.get("num_beams") or model.generation_config.num_beams or 1
    return [
        _result(row, compiled[r // per_grammar], pad, stats, r, may_be_refused=beams > 1)
        for r, row in enumerate(rows[:, start:].tolist())
    ]


# ---------------------------------------------------------------------------------------------- what goes in

_vocabularies: WeakKeyDictionary[Any, dict[tuple[int, tuple[int, ...]], Vocabulary]] = WeakKeyDictionary()


def vocabulary_of(model: Any, tokenizer: Any) -> Vocabulary:
    """The tokenizer's vocabulary, as wide as the model's logits and with all stop tokens of both; made once."""
    width = int(model.config.get_text_config(decoder=True).vocab_size)
    head = model.get_output_embeddings()
    if head is not None:
        width = max(width, int(head.weight.shape[0]))
    stops = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    stops.update(configured if isinstance(configured, (list, tuple)) else [configured])
    key = (width, tuple(sorted(int(token) for token in stops if token is not None)))
    made = _vocabularies.setdefault(tokenizer, {})
    if key not in made:
        made[key] = Vocabulary.from_hf(tokenizer, size=width, stop_token_ids=key[1] or None)
    return made[key]


def _compiled(grammar: Any, vocabulary: Vocabulary, n: int) -> list[Compiled]:
    """One compiled grammar for all prompts, or one for each."""
    given = list(grammar) if isinstance(grammar, (list, tuple)) else [grammar]
    if isinstance(grammar, (list, tuple)) and len(given) != n:
        raise ValueError(f"{len(given)} grammars for {n} prompts; pass one for each, or a single one for all")
    return [g if isinstance(g, Compiled) else compile_grammar(g, vocabulary) for g in given]


def _sampling(seed: int | None, do_sample: bool | None, temperature: float | None) -> dict[str, Any]:
    if temperature is not None and temperature < 0:
        raise ValueError(f"temperature must not be negative, but is {temperature}")
    if temperature == 0:
        if do_sample:
            raise ValueError("do_sample=True contradicts temperature=0")
        return {"do_sample": False}
    if do_sample is None and (temperature is not None or seed is not None):
        do_sample = True
    chosen: dict[str, Any] = {} if do_sample is None else {"do_sample": do_sample}
    return chosen if temperature is None else chosen | {"temperature": temperature}


def _padded(model: Any, tokenizer: Any, texts: Sequence[str], pad: int) -> dict[str, torch.Tensor]:
    """input_ids and attention_mask, int64[prompts, longest]; a decoder's prompts end where its text begins."""
    rows = [list(ids) for ids in tokenizer(list(texts))["input_ids"]]
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    rows = [row or [pad if first is None else first] for row in rows]  # a model has to be asked something
    width, left = max(map(len, rows)), not model.config.is_encoder_decoder
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    seen = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, place], seen[i, place] = torch.tensor(row), 1
    return {"input_ids": ids.to(model.device), "attention_mask": seen.to(model.device)}


@contextlib.contextmanager
def _seeded(seed: int | None, model: Any) -> Iterator[None]:
    if seed is None:
        yield
        return
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _counted(model: Any, stats: Stats) -> Iterator[None]:
    def count(*_: Any) -> None:
        stats.forwards += 1

    hook = model.register_forward_pre_hook(count)
    try:
        yield
    finally:
        hook.remove()


# ---------------------------------------------------------------------------------------------- what came out


def _result(
    row: Sequence[int], compiled: Compiled, pad: int, stats: Stats, index: int, *, may_be_refused: bool
) -> Result:
    """Replay a row of generated ids, which ends in padding where others went on."""
    vocabulary, matcher, ids = compiled.vocabulary, Matcher(compiled), []
    sound = True
    for token in row:
        if matcher.is_terminated():
            break
        if not matcher.accept_token(token):
            sound = token == pad or token in vocabulary.stop_token_ids  # the row was ended from outside
            break
        ids.append(token)
    if not (sound or may_be_refused):
        raise ConflictError(
            f"token {row[len(ids)]} was chosen where the grammar forbids it, by another processor", index
        )
    stats.tokens += len(ids)
    complete = matcher.is_terminated() or (sound and matcher.is_accepting() and _only_stops_follow(matcher, vocabulary))
    return Result(_text(ids, vocabulary), ids, complete, stats)


def _only_stops_follow(matcher: Matcher, vocabulary: Vocabulary) -> bool:
    bitmask = allocate_token_bitmask(1, vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask, 0)
    allowed = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little"))
    return set(allowed.tolist()) <= set(vocabulary.stop_token_ids)


def _text(ids: Sequence[int], vocabulary: Vocabulary) -> str:
    """The ids' bytes; special tokens that a grammar has named, by their names, but for a stop token at the end."""
    names = {token: name.encode() for name, token in vocabulary.special_tokens.items()}
    if ids and ids[-1] in vocabulary.stop_token_ids:
        ids = ids[:-1]
    parts = [names.get(t) or vocabulary.tokens[t] for t in ids]
    return b"".join(parts).decode("utf-8", errors="replace")
