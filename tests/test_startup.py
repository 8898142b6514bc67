"""How soon a fresh process has its first mask, once kernels and the vocabulary tree are made on this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import vocabularies

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import vocabularies, bridle
vocabulary = vocabularies.{name}()
matcher = bridle.Matcher(bridle.compile(bridle.Grammar.from_json_schema({{"type": "object"}}), vocabulary))
matcher.fill_next_token_bitmask(bridle.allocate_token_bitmask(1, vocabulary.size))
print("first mask")
"""


@pytest.mark.parametrize("name", ["byte_level", "tekken"])
def test_a_second_process_reaches_its_first_mask_within_two_seconds(name):
    getattr(vocabularies, name)()  # skips where its file is absent; fills the caches
    program = PROGRAM.format(tests=str(Path(__file__).parent), name=name)
    best = 60.0
    for _ in range(3):
        start = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
        best = min(best, time.perf_counter() - start)
        assert run.stdout.strip() == "first mask", run.stderr
        assert "compiling" not in run.stderr
    print(f"{name}: {best:.2f} s from start to first mask")
    # The promise is 2 s; a machine that runs other tests beside this one gets as long again.
    assert best < 4.0
