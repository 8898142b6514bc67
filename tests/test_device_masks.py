"""Masks on the device: the table's rows, who makes room, and the kernel; against the plain path, bit by bit.

Without a GPU the table lies on the CPU, where it is the same but for streams, and the kernel runs in Triton's
interpreter; what needs a GPU is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bridle
import vocabularies
from bridle.automata.token_budget import Plans
from bridle.integrations.hf import GrammarLogitsProcessor, generate
from bridle.sampler import MaskTable, apply_token_bitmask_inplace
from bridle.sampler.device_masks import mask_table
from oracle import allowed_tokens
from test_bitmask_apply import expected, random_mask
from test_overlap import fresh, limited
from tiny_models import DIGITS, PAIR, WORDS, llama, prompt, tokenizer

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.cpu().view(torch.int32 if tensor.dtype is torch.float32 else torch.int16)


# ---------------------------------------------------------------------------------------------- matchers


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 3, 8, 500])
def test_logits_are_those_of_the_plain_path_whatever_it_holds(dtype: torch.dtype, rows: int, device: str) -> None:
    vocabulary, rng = vocabularies.byte_level(), random.Random(rows)
    patterns = [r"[a-z]{3,9}( [0-9]+)*", r"(the|a)+ name", "xyz", r'"[^"]{2,40}"']
    grammars = [bridle.compile(bridle.Grammar.from_regex(pattern), vocabulary) for pattern in patterns]
    matchers = [bridle.Matcher(c) for c in grammars for _ in range(3)]
    table, plain = MaskTable(vocabulary.size, device, rows), bridle.allocate_token_bitmask(12, vocabulary.size)
    for _ in range(30):
        logits = torch.randn(14, vocabulary.size + 5, device=device).to(dtype)
        logits[:, ::7] = torch.inf
        places = rng.sample(range(14), 12)
        masked = logits.clone()
        table.apply(masked, matchers, places)
        bridle.fill_next_token_bitmasks(matchers, plain)
        apply_token_bitmask_inplace(logits, plain, places)
        assert torch.equal(bits(masked), bits(logits))
        for matcher in matchers:
            if not matcher.is_terminated():
                assert matcher.accept_token(rng.choice(sorted(allowed_tokens(matcher))))


def test_two_vocabularies_of_one_size_share_a_table() -> None:
    """What is left to a text that has ended are its own vocabulary's stop tokens."""
    tokens = [b"a", b"", b""]
    table = MaskTable(3, "cpu", 4)
    for stop in (1, 2):
        vocabulary = bridle.Vocabulary(tokens, stop_token_ids=stop)
        matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_regex("a"), vocabulary))
        for token in (0, stop, stop):
            logits = torch.zeros(1, 3)
            table.apply(logits, [matcher])
            assert torch.nonzero(logits[0] == 0).flatten().tolist() == [token]
            matcher.accept_token(token)


def test_a_budget_that_is_met_writes_nothing() -> None:
    good, bad = bridle.Matcher(fresh(WORDS)), bridle.Matcher(limited())
    bad.accept_bytes("the object that was asked for: ")
    logits = torch.zeros(2, len(tokenizer()))
    with pytest.raises(bridle.LimitError, match="states"):
        MaskTable(len(tokenizer()), "cpu").apply(logits, [good, bad])
    assert not logits.isinf().any()


# ---------------------------------------------------------------------------------------------- the table


class Naive:
    """Which masks a table of so many rows has sent: an ordered dictionary, and nothing else."""

    def __init__(self, rows: int) -> None:
        self.rows, self.sent = rows, 0
        self.held: OrderedDict[int, None] = OrderedDict()

    def step(self, keys: list[int | None]) -> None:
        for key in keys:
            if key in self.held:
                self.held.move_to_end(key)
        for key in dict.fromkeys(keys):
            if key is not None and key not in self.held:
                self.sent += 1
                if len(self.held) == self.rows:
                    self.held.popitem(last=False)
                self.held[key] = None


@pytest.mark.parametrize("seed", range(6))
def test_rows_are_sent_once_and_the_least_recently_used_make_room(seed: int) -> None:
    rng, rows = random.Random(seed), 8
    masks = random_mask(np.random.default_rng(seed), 30, 3)
    table, naive = MaskTable(96, "cpu", rows), Naive(rows)
    for _ in range(200):
        keys = [min(29, int(rng.expovariate(0.15))) for _ in range(rng.randint(0, rows))]
        logits = torch.randn(rows, 90)
        want = logits.clone()
        apply_token_bitmask_inplace(want, masks[keys], range(len(keys)))

        def fill(wanted: list[int], bitmask: np.ndarray, keys: list[int] = keys) -> None:
            assert len(set(wanted)) == len(wanted) and not {keys[i] for i in wanted} & set(naive.held)
            bitmask[:] = masks[[keys[i] for i in wanted]]

        table.apply_keyed(logits, keys, fill)
        naive.step(keys)
        assert torch.equal(logits, want)
        assert table.sent == naive.sent
        assert list(table._slots) == list(naive.held)
    assert naive.sent > 100


def test_masks_that_do_not_recur_make_room_first() -> None:
    masks = random_mask(np.random.default_rng(0), 9, 1)
    table, sent = MaskTable(32, "cpu", 4), []

    def step(keys: list[int | None], which: list[int]) -> None:
        logits = torch.zeros(len(keys), 32)
        want = logits.clone()
        apply_token_bitmask_inplace(want, masks[which])

        def fill(wanted: list[int], bitmask: np.ndarray) -> None:
            sent.append([which[i] for i in wanted])
            bitmask[:] = masks[[which[i] for i in wanted]]

        table.apply_keyed(logits, keys, fill)
        assert torch.equal(logits, want)

    step([1, 2], [1, 2])
    step([None, None, 1], [3, 4, 1])
    step([None, 5], [6, 5])
    step([1, 2, 5], [1, 2, 5])
    assert sent == [[1, 2], [3, 4], [6, 5]]


def test_a_fill_that_fails_leaves_the_table_as_it_was() -> None:
    table = MaskTable(32, "cpu", 2)

    def fails(*_: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        table.apply_keyed(torch.zeros(1, 32), [7], fails)
    logits = torch.zeros(1, 32)
    table.apply_keyed(logits, [7], lambda _, bitmask: bitmask.fill(2))
    assert torch.nonzero(logits[0] == 0).flatten().tolist() == [1]


def test_rows_that_could_not_be_sent_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridle.sampler import device_masks

    table, masks = MaskTable(32, "cpu", 3), random_mask(np.random.default_rng(0), 6, 1)

    def step(keys: list[int]) -> None:
        logits = torch.zeros(len(keys), 32)
        want = logits.clone()
        apply_token_bitmask_inplace(want, masks[keys])
        table.apply_keyed(logits, keys, lambda wanted, out: np.copyto(out, masks[[keys[i] for i in wanted]]))
        assert torch.equal(logits, want)

    def no_memory(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    step([0, 1])
    with monkeypatch.context() as patch, pytest.raises(torch.OutOfMemoryError):
        patch.setattr(device_masks, "on_device", no_memory)
        step([1, 2, 3])
    for keys in ([2, 3], [1, 2, 3], [4, 0], [5, 1, 2], [3]):
        step(keys)
    assert sorted([*table._slots.values(), *table._free]) == [0, 1, 2]


@pytest.mark.parametrize(("shape", "rows"), [((32,), None), ((1, 32), [1]), ((1, 32), [-1]), ((1, 32), [0, 0])])
def test_wrong_shapes_and_rows_are_named(shape: tuple[int, ...], rows: list[int] | None) -> None:
    logits = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"not \(32,\)|1 masks for the rows"):
        MaskTable(32, "cpu").apply_keyed(logits, [1], lambda _, bitmask: bitmask.fill(-1), rows)
    with pytest.raises(ValueError, match="holds none"):
        MaskTable(32, "cpu", 0)


# ---------------------------------------------------------------------------------------------- in transformers


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "num_return_sequences": 2}, {"num_beams": 3}], ids=str)
@pytest.mark.parametrize("overlap", [True, False])
def test_texts_come_out_the_same_with_masks_on_the_device(options: dict[str, Any], overlap: bool) -> None:
    outputs = []
    for resident in (False, True):
        processor = GrammarLogitsProcessor([fresh(WORDS), fresh("ab"), fresh(PAIR)], resident=resident)
        torch.manual_seed(0)
        out = llama().generate(
            **prompt("a", "a longer one", "b c"), logits_processor=[processor], max_new_tokens=60,
            stopping_criteria=processor.stopping_criteria if overlap else None, **{"do_sample": False, **options},
        )  # fmt: skip
        outputs.append(out)
        assert processor.stats.masks > 0
    assert torch.equal(*outputs)


def test_masks_of_a_second_generation_are_on_the_device() -> None:
    grammar, table = fresh(DIGITS), mask_table(len(tokenizer()), torch.device("cpu"))
    for once_more in (False, True):
        sent, processor = table.sent, GrammarLogitsProcessor(grammar, resident=True)
        llama().generate(**prompt("a"), logits_processor=[processor], max_new_tokens=60, do_sample=False)
        assert (table.sent == sent) == once_more


def test_a_table_that_was_made_in_inference_mode_is_written_outside_it() -> None:
    with torch.inference_mode():
        table = MaskTable(64, "cpu", 2)
        table.apply_keyed(torch.zeros(1, 64), ["one"], lambda _, bitmask: bitmask.fill(-1))
    logits = torch.zeros(1, 64)
    table.apply_keyed(logits, ["other"], lambda _, bitmask: bitmask.fill(0))
    assert bool(logits.isneginf().all())


@pytest.mark.parametrize("overlap", [True, False])
def test_masks_that_are_narrowed_are_made_once_and_make_room_first(
    monkeypatch: pytest.MonkeyPatch, overlap: bool
) -> None:
    asked, narrow = [], Plans.allowed
    monkeypatch.setattr(Plans, "allowed", lambda *arguments: asked.append(1) or narrow(*arguments))
    texts, counts = [], []
    for resident in (False, True):
        asked.clear()
        processor = GrammarLogitsProcessor(fresh("[a-z ]*!"), resident=resident, max_tokens=12)
        out = llama().generate(
            **prompt("a"), logits_processor=[processor], max_new_tokens=12, do_sample=False,
            stopping_criteria=processor.stopping_criteria if overlap else None,
        )  # fmt: skip
        texts.append(tokenizer().decode(out[0]))
        counts.append(len(asked))
    assert texts[0] == texts[1]
    assert counts[0] == counts[1] > 0
    table = mask_table(len(tokenizer()), torch.device("cpu"))
    recurring = [type(key) is not object for key in table._slots]
    assert recurring == sorted(recurring)


@pytest.mark.parametrize("overlap", [True, False])
def test_a_budget_that_is_met_ends_its_row_with_masks_on_the_device(overlap: bool) -> None:
    processor = GrammarLogitsProcessor([fresh(WORDS), limited()], resident=True, on_limit="end")
    out = llama().generate(
        **prompt("a", "b"), logits_processor=[processor], max_new_tokens=60, do_sample=False,
        stopping_criteria=processor.stopping_criteria if overlap else None,
    )  # fmt: skip
    assert len(processor.errors) == 1
    texts = tokenizer().batch_decode(out[:, prompt("a", "b")["input_ids"].shape[1] :], skip_special_tokens=True)
    assert texts[0] == generate(llama(), tokenizer(), "a", fresh(WORDS))[0].text


# ---------------------------------------------------------------------------------------------- the kernel

KERNEL = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np, torch
from bridle.sampler import bitmask_triton
from test_bitmask_apply import DTYPES, expected, random_mask
bitmask_triton._BLOCK = 64
rng, cases = np.random.default_rng(0), 0
PAIRS = ((None, None), ([3, 0], None), ([1, 1, 2], [4, 0, 4]), (None, [2, 2, 1, 0]), ([], []))
for dtype in DTYPES:
    for vocab in (1, 31, 32, 33, 63, 64, 65, 200):
        for words in sorted({{1, max(1, vocab // 32), -(-vocab // 32), -(-vocab // 32) + 2}}):
            for targets, sources in PAIRS:
                whole = torch.randn(4, vocab + 9).to(dtype)
                logits, masks = whole[:, 4 : 4 + vocab], random_mask(rng, 5, words)
                logits[0, 0], logits[-1, -1] = torch.inf, torch.nan
                n = len(targets) if targets is not None else len(sources) if sources is not None else 4
                pairs = [targets if targets is not None else range(n), sources if sources is not None else range(n)]
                before, want = whole.clone(), expected(logits, masks[list(pairs[1])], list(pairs[0]))
                index = [None if p is None else torch.tensor(p, dtype=torch.int32) for p in (targets, sources)]
                bitmask_triton.forbid(logits, torch.from_numpy(masks), *index, n)
                assert torch.equal(logits.nan_to_num(7.0), want.nan_to_num(7.0)), (dtype, vocab)
                assert torch.equal(whole[:, :4], before[:, :4])
                assert torch.equal(whole[:, 4 + vocab :], before[:, 4 + vocab :])
                cases += 1
print("cases", cases)
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_the_kernel_does_in_tritons_interpreter_what_the_definition_says() -> None:
    code = KERNEL.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout.split()[1]) > 300


@CUDA
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab", [1, 33, 4096, 128_256, 128_250])
@pytest.mark.parametrize("rows", [None, [2, 0], [1, 1]])
def test_the_kernel_does_on_a_gpu_what_the_definition_says(
    dtype: torch.dtype, vocab: int, rows: list[int] | None
) -> None:
    rng = np.random.default_rng(vocab)
    logits, mask = torch.randn(3, vocab).to(dtype), random_mask(rng, len(rows or range(3)), -(-vocab // 32))
    for masks in (mask, torch.from_numpy(mask).cuda()):
        on_gpu, plain = logits.cuda(), logits.clone()
        apply_token_bitmask_inplace(on_gpu, masks, rows)
        apply_token_bitmask_inplace(plain, mask, rows)
        assert torch.equal(bits(on_gpu), bits(plain))
    if vocab < 100:
        assert torch.equal(plain, expected(logits, mask, rows or [0, 1, 2]))
