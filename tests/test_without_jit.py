"""The engine without numba's compiler: the kernels as plain Python, with bounds checked, against the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("file", "which"),
    [
        ("test_masks_json.py", "test_masks_equal_the_oracles and compact and any"),
        ("test_masks_grammars.py", "small_grammars or counted"),
        ("test_reference_masks.py", "small_regexes or small_grammars or budget or between"),
        ("test_choices.py", "small"),
        ("test_joined_places.py", "joined or members or more"),
        ("test_matcher.py", "rollback or stop_token or batch or ambiguity"),
        ("test_token_budget.py", "distances or covers or below_the_minimum or only_a_search"),
    ],
)
def test_the_kernels_do_the_same_as_plain_python(file, which):
    here = Path(__file__).parent
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", str(here / file),
        "-k", which],
        env=environment, capture_output=True, text=True, timeout=600, cwd=here.parent, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout or "[100%]" in run.stdout
