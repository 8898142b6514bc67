"""Engines of vLLM for tests: the model in the box on a CPU, with a process of its own."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

from vllm import LLM, SamplingParams

SETTINGS: dict[str, Any] = {
    "dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "disable_log_stats": True, "seed": 0,
}  # fmt: skip


@contextlib.contextmanager
def engine(box: str, **settings: Any):
    """An LLM whose backend is bridle, unless the settings say otherwise."""
    from vllm.plugins import load_general_plugins

    load_general_plugins()  # or the dict form of the backend's name is refused, as vLLM reads it before
    chosen = {"structured_outputs_config": {"backend": "bridle"}, "max_num_seqs": 32, **settings}
    llm = LLM(box, **SETTINGS, **chosen)
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()


def run(llm: LLM, prompts: list[str], params: list[SamplingParams], steps: list[int] | None = None) -> list[Any]:
    """The output of each request, or the error with which it was refused; all are in the engine together.

    steps : is filled with how many requests had new tokens in each step.
    """
    inner = llm.llm_engine
    results: dict[str, Any] = {}
    for i, (prompt, asked) in enumerate(zip(prompts, params, strict=True)):
        try:
            inner.add_request(str(i), prompt, asked)
        except Exception as error:
            results[str(i)] = error
    while inner.has_unfinished_requests():
        came = inner.step()
        if came and steps is not None:
            steps.append(len(came))
        for output in came:
            if output.finished:
                results[output.request_id] = output.outputs[0]
    return [results[str(i)] for i in range(len(prompts))]
