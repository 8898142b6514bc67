"""The engine's side of the benchmark of vLLM's backends: replayed texts, and probes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("vllm.v1.sample.logits_processor", reason="vLLM is not installed: make test-vllm")
import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from vllm_loop import Probe, Replay


def test_a_replayed_text_is_written_whatever_the_logits_say():
    """Rows come, move and go as vLLM's runner tells it."""
    replay, written = Replay(None, torch.device("cpu"), False), ([], [3])
    params = [SimpleNamespace(extra_args={"replay": text}) for text in ([5, 6], [3, 4])]
    added = [(row, params[row], None, written[row]) for row in (0, 1)]
    replay.update_state(BatchUpdate(batch_size=2, removed=[], added=added, moved=[]))
    masked = torch.full((2, 8), -torch.inf)
    assert replay.apply(masked).argmax(-1).tolist() == [5, 4]
    written[0].append(5)
    replay.update_state(None)
    assert replay.apply(torch.rand(2, 8)).argmax(-1).tolist() == [6, 4]
    swap = [(0, 1, MoveDirectionality.SWAP)]
    replay.update_state(BatchUpdate(batch_size=2, removed=[], added=[], moved=swap))
    assert replay.apply(torch.rand(2, 8)).argmax(-1).tolist() == [4, 6]
    replay.update_state(BatchUpdate(batch_size=1, removed=[1], added=[], moved=[]))
    assert replay.apply(torch.rand(1, 8)).argmax(-1).tolist() == [4]
    replay.update_state(BatchUpdate(batch_size=0, removed=[0], added=[], moved=[]))
    assert replay.apply(torch.zeros(0, 8)).shape == (0, 8)


def test_a_probe_notes_steps_that_ran_the_model_and_what_they_did():
    checked = SamplingParams._validate_structured_outputs
    manager = SimpleNamespace(
        grammar_bitmask=lambda: np.zeros((3, 2)), accept_tokens=lambda: True, _create_grammar=lambda: 1 / 0
    )

    def step():
        manager.grammar_bitmask()
        manager.accept_tokens()
        return "outputs", has_run

    try:
        core = SimpleNamespace(structured_output_manager=manager, step_fn=step)
        probe = Probe(core)
        for has_run in (True, False, True):
            assert core.step_fn() == ("outputs", has_run)
        with pytest.raises(ZeroDivisionError):
            manager._create_grammar()
        noted = probe.take()
    finally:
        SamplingParams._validate_structured_outputs = checked
    assert [step["rows"] for step in noted["steps"]] == [3, 3]
    assert all(0 < step["fill"] + step["accept"] < step["step"] for step in noted["steps"])
    assert len(noted["compiles"]) == 1 and noted["admissions"] == []
    assert probe.take() == {"steps": [], "compiles": [], "admissions": []}
