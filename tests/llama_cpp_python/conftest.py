"""The model in the box as a gguf file, and as `llama_cpp.Llama`s: one plain, one that can verify drafts.

All of these tests skip where llama-cpp-python (`make test-llama-cpp` builds it) or gguf is absent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gguf")
    pytest.importorskip("torch")  # which reads bfloat16 weights
    import gguf_files

    return gguf_files.write_box(tmp_path_factory.mktemp("gguf") / "box.gguf")


@pytest.fixture(scope="session")
def llama(box: Path) -> Any:
    pytest.importorskip("llama_cpp")
    from box_llama import load

    return load(box)


@pytest.fixture
def drafting(box: Path) -> Any:
    """A Llama whose drafts are as if a forward cost the same however wide it is, so that there are many."""
    pytest.importorskip("llama_cpp")
    from box_llama import load

    from bridle.integrations.llama_cpp import DraftModel

    llama = load(box)
    llama.draft_model = DraftModel(llama, cost_slope=0.0)
    return llama
