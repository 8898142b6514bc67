"""Text inside a grammar in one call: `generate(model, tokenizer, prompts, grammar)`.

Idea. `model.generate` does the work, with a GrammarLogitsProcessor behind the caller's own; this file prepares what
goes in and says what came out. Prompts are padded on the left, stop tokens are the same for the grammar and for
`generate`, and the text is put together from the vocabulary's bytes, which no detokenizer has cleaned up.

INVARIANT: every result has been replayed through the grammar, so `complete` is what the grammar says, not a guess; a
token outside the grammar is a ConflictError (with beams, where probability zero can come out on top: not complete).
INVARIANT: a text that meets a budget of its grammar ends its own row alone, with the error in its result.
Cost beside `model.generate`: a replay, 1 us a token; the vocabulary once per tokenizer, some 10 ms.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers.generation.configuration_utils import GenerationMode

from ...automata.bitmask_rows import allocate_token_bitmask, tokens_in
from ...automata.compiled import Compiled, compile_grammar
from ...automata.errors import LimitError
from ...automata.matcher import Matcher
from ...automata.token_budget import TOO_FEW_TOKENS
from ...automata.vocabulary import Vocabulary
from ...speculative.drafter import DraftStats
from .forced_runs import is_supported, sampling_with_runs
from .processor import ConflictError, GrammarLogitsProcessor
from .shortlist import refusal, shortlisted
from .speculation import Speculation

__all__ = ["Result", "Stats", "generate", "vocabulary_of"]


@dataclass(slots=True)
class Stats:
    """Counts of one `generate` call, all rows together; every result of the call has the same object.

    forwards : calls of the model (of the large one, where a small one drafts)
    tokens : generated tokens, stop tokens included
    masks, mask_us : masks filled, and the microseconds that the generating thread has spent on it
    drafts : where texts were speculated, counts of the Speculation, over all of its calls
    """

    forwards: int = 0
    tokens: int = 0
    masks: int = 0
    mask_us: float = 0.0
    drafts: DraftStats | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One generated text.

    text : without the stop token; bytes that are no UTF-8, at a text's cut-off end, become U+FFFD
    token_ids : what was generated, with the stop token where there is one
    complete : the text is a sentence of the grammar and was ended, by a stop token or because only that could follow
    error : the budget of the grammar (`Limits`) that the text has met, which is why it ends there; else None
    """

    text: str
    token_ids: list[int]
    complete: bool
    stats: Stats
    error: LimitError | None = None


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
    overlap: bool | None = None,
    runs: bool = True,
    shortlist: int = 0,
    budget: bool | None = None,
    streamer: Any = None,
    speculate: bool | Speculation = False,
    **options: Any,
) -> list[Result]:
    """Generate a text inside the grammar for each prompt.

    grammar : a Grammar, or what `bridle.compile` made of one (which keeps what it has learned from call to call), or a
        list of either with one per prompt
    seed : draws are the same for the same seed, and the caller's random state is left alone
    do_sample : None: sample where a seed or a temperature above 0 is given, else as the model's generation config says
    temperature : where a part of the grammar has a temperature of its own, that holds instead, if texts are sampled
    overlap : masks are made while the model computes; the texts are the same either way. None: on a GPU, or for
        `shortlist`. On a CPU the model wants the processors itself, and steps are 0.1 to 0.6 ms longer
    runs : tokens that are forced cost no forward pass of their own, in greedy search and sampling (forced_runs.py says
        where); the texts are the same either way
    shortlist : where a step's masks allow no more tokens than this, all rows together, only their logits are computed;
        scores are equal up to rounding. 0: never. ValueError where something needs the logits of all tokens
        (shortlist.py says what)
    budget : whether the grammar closes each text within `max_new_tokens`, so that none is cut short; raises LimitError
        where no text is so few tokens. None: unless that would take long (`Matcher.closes_slowly`), or finding out
        meets a budget of the grammar (`Limits`)
    streamer, options : go to `model.generate`; `logits_processor` may hold more processors, which then run first
    speculate : True, or a Speculation, which keeps what it learns: tokens are drafted and verified several at a time;
        the texts are the same (speculation.py). `stats.drafts` then says what came of it
    Results are in the order of the prompts, `num_return_sequences` of them for each.
    """
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    vocabulary = vocabulary_of(model, tokenizer)
    compiled = _compiled(grammar, vocabulary, len(texts))
    if not texts:
        return []
    options |= _sampling(seed, do_sample, temperature)
    if overlap is None:
        overlap = shortlist > 0 or model.device.type == "cuda"
    if shortlist and speculate:
        raise ValueError("shortlist cannot be used with speculate: drafts are verified by the logits of all tokens")
    if shortlist:
        _check_shortlist(model, options, overlap=overlap)
    most = None if budget is False or (budget is None and _closes_slowly(compiled, max_new_tokens)) else max_new_tokens
    processor = GrammarLogitsProcessor(compiled, temperature=_drawn_at(model, options), on_limit="end", max_tokens=most)
    options["logits_processor"] = [*(options.get("logits_processor") or []), processor]
    stats = Stats()
    if speculate:
        speculation = speculate if isinstance(speculate, Speculation) else Speculation(tokenizer=tokenizer)
        options["custom_generate"] = speculation.prepared(model, tokenizer, streamer)
        stats.drafts = speculation.stats
    elif runs and "custom_generate" not in options and _is_plain_search(model, options) and is_supported(model):
        options["custom_generate"] = sampling_with_runs(processor, overlap=overlap, streamer=streamer)
    elif overlap:
        options["stopping_criteria"] = [*(options.get("stopping_criteria") or []), *processor.stopping_criteria]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else vocabulary.stop_token_ids[0]
    inputs = _padded(model, tokenizer, texts, pad)
    shortened = shortlisted(model, processor, shortlist) if shortlist else contextlib.nullcontext()
    with torch.inference_mode(), _seeded(seed, model), _counted(model, stats), shortened:
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
    results = []
    for r, row in enumerate(rows[:, start:].tolist()):
        result = _result(row, compiled[r // per_grammar], pad, stats, r, may_be_refused=beams > 1)
        error = result.error or processor.error_of(r // per_grammar, result.token_ids)
        results.append(replace(result, error=error))
    return results


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


def _drawn_at(model: Any, options: dict[str, Any]) -> float | None:
    """The temperature at which `model.generate` will draw tokens; None where it draws none."""
    config = _config(model, options)
    if not config.do_sample:
        return None
    return 1.0 if config.temperature is None else float(config.temperature)


def _is_plain_search(model: Any, options: dict[str, Any]) -> bool:
    """Whether `model.generate` would do greedy search or sampling, and is asked for the tokens alone."""
    config = _config(model, options)
    mode = config.get_generation_mode(options.get("assistant_model"))
    return (
        mode in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
        and config.use_cache is not False
        and config.cache_implementation is None
        and options.get("past_key_values") is None
        and not config.return_dict_in_generate
    )


def _config(model: Any, options: dict[str, Any]) -> Any:
    """The generation config that `model.generate` will go by."""
    config = copy.deepcopy(model.generation_config)
    given = options.get("generation_config")
    if given is not None:
        config.update(**{name: value for name, value in given.to_dict().items() if value is not None})
    config.update(**{name: value for name, value in options.items() if hasattr(config, name)})
    return config


def _closes_slowly(compiled: Sequence[Compiled], max_tokens: int) -> bool:
    """Whether closing a text of any of them within its tokens takes long, or is more than its `Limits` allow."""
    for c in dict.fromkeys(compiled):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they come with the texts' own matchers
                if Matcher(c, max_tokens=max_tokens).closes_slowly:
                    return True
        except LimitError as error:
            if error.limit == TOO_FEW_TOKENS:
                raise
            return True  # its row ends where the text meets the budget, if it does
    return False


def _check_shortlist(model: Any, options: dict[str, Any], *, overlap: bool) -> None:
    if not overlap:
        raise ValueError("shortlist needs overlap=True: masks have to be there before the logits are")
    reason = refusal(model, _config(model, options), options)
    if reason is not None:
        raise ValueError(f"shortlist cannot be used: {reason}")


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
    vocabulary, matcher = compiled.vocabulary, Matcher(compiled)
    ids, error = _accepted(row, matcher)
    refused = None if matcher.is_terminated() or error else next(iter(row[len(ids) :]), None)
    # Padding and stop tokens: the row was ended from outside.
    sound = refused is None or refused == pad or refused in vocabulary.stop_token_ids
    if not (sound or may_be_refused):
        raise ConflictError(f"token {refused} was chosen where the grammar forbids it, by another processor", index)
    stats.tokens += len(ids)
    complete = matcher.is_terminated() or (sound and error is None and _can_only_end(matcher, vocabulary))
    return Result(_text(ids, vocabulary), ids, complete, stats, error)


def _accepted(row: Sequence[int], matcher: Matcher) -> tuple[list[int], LimitError | None]:
    """(the tokens of a row up to the first that is refused or comes after the end, the budget met in accepting one)."""
    ids: list[int] = []
    try:
        for token in row:
            if matcher.is_terminated() or not matcher.accept_token(token):
                break
            ids.append(token)
    except LimitError as error:
        return ids, error
    return ids, None


def _can_only_end(matcher: Matcher, vocabulary: Vocabulary) -> bool:
    """Whether the text is a sentence that nothing but a stop token can follow."""
    try:
        return matcher.is_accepting() and _only_stops_follow(matcher, vocabulary)
    except LimitError:
        return False


def _only_stops_follow(matcher: Matcher, vocabulary: Vocabulary) -> bool:
    bitmask = allocate_token_bitmask(1, vocabulary.size)
    matcher.fill_next_token_bitmask(bitmask, 0)
    return set(tokens_in(bitmask[0]).tolist()) <= set(vocabulary.stop_token_ids)


def _text(ids: Sequence[int], vocabulary: Vocabulary) -> str:
    """The ids' bytes; special tokens that a grammar has named, by their names, but for a stop token at the end."""
    names = {token: name.encode() for name, token in vocabulary.special_tokens.items()}
    if ids and ids[-1] in vocabulary.stop_token_ids:
        ids = ids[:-1]
    parts = [names.get(t) or vocabulary.tokens[t] for t in ids]
    return b"".join(parts).decode("utf-8", errors="replace")
