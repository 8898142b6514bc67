"""The places where people decode: Hugging Face transformers (`hf`), vLLM (`vllm`), SGLang (`sglang`), llama-cpp-python
(`llama_cpp`); each is imported when it is first asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["hf", "llama_cpp", "sglang", "vllm"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
