"""The places where people decode: Hugging Face transformers (`hf`), vLLM (`vllm`), SGLang (`sglang`), llama-cpp-python
(`llama_cpp`); each is imported when it is first asked for.

What several of them share, without torch: what requests ask for (requested_grammars.py), made once (request_cache.py),
and where their texts begin (request_beginnings.py); temperatures of parts of a grammar (part_temperature.py); what is
said where something else shapes the scores against the grammar (conflict.py). `box` is the model in the box.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["hf", "llama_cpp", "sglang", "vllm"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
