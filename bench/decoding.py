"""Decoding with masks and without: models, texts and the ways of masking that hf_overhead.py and gpu.py compare.

Every run generates the same number of tokens: an array of records that needs more members than there is room for, so no
text ends early; and the model is told of no stop token, so an unconstrained text does not either. Models have random
weights, so their texts are as varied as the grammar allows. A run's time is that of its steps behind the first token,
which came with the prompt; and, for each of them, the time within masks' code.
"""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, StoppingCriteria, StoppingCriteriaList

import bridle
from bridle.integrations.hf import GrammarLogitsProcessor

RECORD = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 0, "maximum": 99_999},
        "name": {"type": "string", "maxLength": 24},
        "kind": {"enum": ["person", "place", "organisation", "event"]},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{2,12}$"}, "maxItems": 5},
        "seen": {"type": "boolean"},
        "note": {"type": "string"},
    },
    "required": ["id", "name", "kind", "tags", "seen"],
    "additionalProperties": False,
}
SCHEMA = {"type": "array", "items": RECORD, "minItems": 10_000}
PROMPT = 16  # tokens
_SYLLABLES = [a + b + c for a in ("", *"bcdfghklmnprstvw") for b in "aeiou" for c in ("", *"lmnrst")]


class Shape(NamedTuple):
    """A Llama: its name, hidden size, layers, heads, heads of keys, inner size, and whether its head is tied."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    tied: bool


SMALL = Shape("tiny", 64, 2, 2, 1, 128, True)
HUNDRED_MILLION = Shape("100M", 512, 8, 8, 8, 2048, True)
ONE_BILLION = Shape("1B", 2048, 16, 32, 8, 8192, True)
EIGHT_BILLION = Shape("8B", 4096, 32, 32, 8, 14_336, False)


def random_llama(shape: Shape, size: int, device: str, dtype: torch.dtype) -> Any:
    """A Llama of that shape, with a vocabulary of `size` and random weights."""
    config = LlamaConfig(
        vocab_size=size, hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, intermediate_size=shape.inner, tie_word_embeddings=shape.tied,
        bos_token_id=0, eos_token_id=None, pad_token_id=0, max_position_embeddings=4096,
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    try:
        torch.set_default_dtype(dtype)
        with torch.device(device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def made_up_tokens(size: int) -> tuple[list[bytes], int]:
    """(bytes of every id, the stop token), from no file: bytes, numbers, JSON's joints and words of syllables."""
    found = dict.fromkeys(bytes((b,)) for b in range(256))
    found.update(dict.fromkeys(b"%d" % n for n in range(1000)))
    joints = '": "|", "|":|",|"}|{"|[{|}]|},| {| "|]}|["|"]|\n\n'
    found.update(dict.fromkeys(joint.encode() for joint in joints.split("|")))
    for n in (1, 2, 3):
        for parts in itertools.product(_SYLLABLES, repeat=n):
            if len(found) >= size - 1:
                break
            word = "".join(parts).encode()
            found.update(dict.fromkeys((word, b" " + word)))
    tokens = list(found)[: size - 1]
    return [*tokens, b""], size - 1


class Clock(StoppingCriteria):
    """Ends nothing; notes when each token was known."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **_: Any) -> torch.Tensor:
        if input_ids.is_cuda:
            torch.cuda.synchronize()  # in all ways of masking alike: `generate` itself reads a flag here
        self.times.append(time.perf_counter())
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class Way(NamedTuple):
    """How masks come to the logits: makes the logits processors and stopping criteria of one run."""

    name: str
    make: Callable[[Any], tuple[list[Any], list[Any]]]


def _unconstrained(_: Any) -> tuple[list[Any], list[Any]]:
    return [], []


def _serial(compiled: Any) -> tuple[list[Any], list[Any]]:
    return [GrammarLogitsProcessor(compiled, resident=False)], []


def _overlapped(compiled: Any) -> tuple[list[Any], list[Any]]:
    processor = GrammarLogitsProcessor(compiled, resident=False)
    return [processor], list(processor.stopping_criteria)


def _resident(compiled: Any) -> tuple[list[Any], list[Any]]:
    processor = GrammarLogitsProcessor(compiled, resident=True)
    return [processor], list(processor.stopping_criteria)


UNCONSTRAINED = Way("unconstrained", _unconstrained)
SERIAL = Way("serial", _serial)
OVERLAPPED = Way("overlapped", _overlapped)
RESIDENT = Way("device table", _resident)


def xgrammar_way(tokens: list[bytes], stop: int, size: int) -> Way | None:
    """XGrammar's own processor, as its documentation uses it; None where it is not installed."""
    if importlib.util.find_spec("xgrammar") is None:
        return None
    import json

    import xgrammar
    from xgrammar.contrib.hf import LogitsProcessor

    told = xgrammar.TokenizerInfo(
        tokens, vocab_type=xgrammar.VocabType.RAW, vocab_size=size, stop_token_ids=[stop]
    )  # fmt: skip
    grammar = xgrammar.GrammarCompiler(told).compile_json_schema(json.dumps(SCHEMA))
    return Way("XGrammar", lambda _: ([LogitsProcessor(grammar)], []))


def vocabulary_and_tokens(size: int, file: Path | None) -> tuple[Any, list[bytes], int]:
    """(vocabulary, bytes of its tokens, its stop token), as wide as the model. file : Llama-3's tiktoken ranks."""
    if file is None:
        tokens, stop = made_up_tokens(size)
    else:
        from engines import llama3

        read = llama3(file)
        tokens, stop = read.tokens, read.stop
    return bridle.Vocabulary(tokens, stop_token_ids=[stop], size=size), tokens, stop


class Steps(NamedTuple):
    """Seconds of each step behind the first: `whole`, by the clock, and `masking`, what the generating thread's
    processor has spent on masks in it."""

    whole: list[float]
    masking: list[float]


def timed_steps(model: Any, way: Way, compiled: Any, batch: int, tokens: int, seed: int = 0) -> Steps:
    """A run that generates `tokens` tokens in `batch` rows."""
    torch.manual_seed(seed)
    # None of the first ids, which may be special.
    ids = torch.randint(300, 1000, (batch, PROMPT), device=model.device)
    processors, criteria = way.make(compiled)
    clock, spent = Clock(), Spent()
    model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, temperature=1.0, max_new_tokens=tokens,
        logits_processor=[TimedProcessor(each, spent) for each in processors], pad_token_id=0,
        stopping_criteria=StoppingCriteriaList([clock, *(TimedCriterion(each, spent) for each in criteria)]),
    )  # fmt: skip
    return Steps([after - before for before, after in itertools.pairwise(clock.times)], spent.steps[1:])


class Spent:
    """Seconds of this thread's processor that each step has spent on masks: a step ends when its scores are masked."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.ahead = 0.0


class TimedProcessor(LogitsProcessor):
    def __init__(self, inner: Any, spent: Spent) -> None:
        self.inner, self.spent = inner, spent

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        before = time.thread_time()
        masked = self.inner(input_ids, scores)
        self.spent.steps.append(self.spent.ahead + time.thread_time() - before)
        self.spent.ahead = 0.0
        return masked


class TimedCriterion(StoppingCriteria):
    def __init__(self, inner: Any, spent: Spent) -> None:
        self.inner, self.spent = inner, spent

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **more: Any) -> torch.Tensor:
        before = time.thread_time()
        done = self.inner(input_ids, scores, **more)
        self.spent.ahead += time.thread_time() - before
        return done
