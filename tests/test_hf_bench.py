"""The benchmarks of masks in `generate`, with a model and a vocabulary that are small: every way runs, every cell is
filled, and texts do not end early."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import decoding
import gpu
import hf_overhead

SIZE = 3000


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    torch.set_num_threads(1)
    model = decoding.random_llama(decoding.SMALL, SIZE, "cpu", torch.float32)
    return model, decoding.vocabulary_and_tokens(SIZE, None)[0]


def test_made_up_tokens_are_different_and_as_many_as_asked_for() -> None:
    tokens, stop = decoding.made_up_tokens(SIZE)
    assert len(tokens) == SIZE == len(set(tokens)) and tokens[stop] == b""
    assert {bytes((b,)) for b in range(256)} < set(tokens)


@pytest.mark.parametrize("way", ["UNCONSTRAINED", "SERIAL", "OVERLAPPED", "RESIDENT"])
def test_every_way_takes_as_many_steps(way: str, small: tuple[Any, Any]) -> None:
    compiled = hf_overhead.compiled_anew(small[1])
    steps = decoding.timed_steps(small[0], getattr(decoding, way), compiled, batch=3, tokens=12)
    assert len(steps.whole) == 11 and min(steps.whole) > 0
    assert len(steps.masking) == (0 if way == "UNCONSTRAINED" else 11)


@pytest.mark.parametrize("clock", [False, True])
def test_the_table_for_cpus_has_a_row_for_a_batch(clock: bool, small: tuple[Any, Any], capsys: Any) -> None:
    hf_overhead.show("tiny", 8, hf_overhead.steps(*small, batch=8, rounds=1), clock=clock)
    name, batch, *cells = capsys.readouterr().out.split()
    assert (name, batch) == ("tiny", "8") and len(cells) == 1 + 3 * len(hf_overhead.WAYS)


def test_the_table_for_gpus_has_a_cell_for_each_way_and_stops_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(gpu, "SIZE", SIZE)
    gpu.table([gpu.SMALL], [1, 2], "cpu", 4, None, time.monotonic() + 60)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["tiny", "1"], ["tiny", "2"]]
    assert all(line.count("%") >= 4 for line in lines[1:])
    gpu.table([gpu.SMALL], [1], "cpu", 4, None, time.monotonic() - 1)
    assert capsys.readouterr().out.splitlines()[1].split() == ["tiny", "1", *"-----"]
