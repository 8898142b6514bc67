"""Tests inside vLLM: `make test-vllm` makes the environment; elsewhere they are skipped.

An engine is a process of its own, as for users; numba, which bridle loads here, must not be in it before its worker
has started (plugin.py), so it is spawned, not forked.
"""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ["VLLM_PLUGINS"] = "bridle"


def pytest_ignore_collect(collection_path, config):
    return None


@pytest.fixture(scope="session")
def box():
    """The folder of the model in the box."""
    import bridle.integrations.box as package

    return str(next(iter(package.__path__)))
