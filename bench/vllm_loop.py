"""One engine of vLLM with one structured-output backend, in a process of its own, for vllm_backends.py.

    python bench/vllm_loop.py judge BACKEND MODEL ROWS OUT       whether the backend takes each row and its texts
    python bench/vllm_loop.py measure BACKEND MODEL PHASES OUT   what the engine's steps spend on grammars

MODEL is a folder; the others are files of JSON. The engine runs in this process (ENVIRONMENT of vllm_backends.py says
so), and its own functions are timed where it calls them: StructuredOutputManager's `grammar_bitmask`, `accept_tokens`
and `_create_grammar` (in the thread that compiles), SamplingParams' check of a request, and the core's step.

Every backend does exactly the same tokens: a logits processor raises the next token of a recorded text above all
others, behind the mask, so a token that the mask forbids is taken all the same, and fails when it is accepted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from vllm import LLM, EngineArgs, SamplingParams
from vllm.config import StructuredOutputsConfig
from vllm.plugins import load_general_plugins
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.sample.logits_processor import LogitsProcessor, process_dict_updates
from vllm.v1.structured_output import StructuredOutputManager
from vllm.v1.structured_output.backend_types import StructuredOutputOptions

MOST_TOKENS = 256  # max_tokens of each request; the texts are shorter
PROMPT = list(range(300, 316))
LONGEST = 512  # tokens of a request, with its prompt
SECONDS_OF_REST = 0.001  # behind a step that ran no model, as vLLM's own loop does, for the threads that compile
_RAISED = 1e9

Times = list[tuple[float, float, int]]  # seconds by the clock, seconds of the thread's processor, what was done


def options_of(backend: str, model: str) -> dict[str, Any]:
    load_general_plugins()  # or vLLM knows no backend of that name
    outputs = StructuredOutputsConfig(backend=backend)
    return {
        "model": model, "dtype": "float32", "enforce_eager": True, "max_num_seqs": 64, "max_model_len": LONGEST,
        "disable_log_stats": True, "enable_prefix_caching": False, "structured_outputs_config": outputs,
    }  # fmt: skip


class Replay(LogitsProcessor):
    """Makes greedy decoding write `extra_args["replay"]`, a list of ids, whatever the logits and masks say."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.texts: dict[int, tuple[list[int], list[int]]] = {}  # by row: the ids, and those that were written

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        process_dict_updates(self.texts, batch_update, lambda params, _, ids: (params.extra_args["replay"], ids))

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        next_ones = [ids[min(len(written), len(ids) - 1)] for ids, written in self.texts.values()]
        logits[list(self.texts), next_ones] = _RAISED
        return logits


def timed(function: Callable[..., Any], times: Times, count: Callable[[Any], int] = lambda result: 1) -> Any:
    """The function, which then notes what each call took; `count` says of its result what was done."""

    def call(*given: Any, **named: Any) -> Any:
        result = None
        cpu = time.thread_time()
        clock = time.perf_counter()
        try:
            result = function(*given, **named)
            return result
        finally:
            clock = time.perf_counter() - clock
            times.append((clock, time.thread_time() - cpu, count(result)))

    return call


def rows_of(bitmask: Any) -> int:
    """Of what `grammar_bitmask` returns: None where no request has a grammar."""
    return 0 if bitmask is None else len(bitmask)


class Probe:
    """Times what an engine does with grammars. steps : of each step that ran the model, see `_step`."""

    def __init__(self, core: Any) -> None:
        self.fills: Times = []
        self.accepts: Times = []
        self.compiles: Times = []
        self.admissions: Times = []
        self.steps: list[dict[str, float]] = []
        manager = core.structured_output_manager
        manager.grammar_bitmask = timed(manager.grammar_bitmask, self.fills, rows_of)
        manager.accept_tokens = timed(manager.accept_tokens, self.accepts)
        manager._create_grammar = timed(manager._create_grammar, self.compiles)
        check = SamplingParams._validate_structured_outputs
        SamplingParams._validate_structured_outputs = timed(check, self.admissions)
        self._inner, core.step_fn = core.step_fn, self._step

    def _step(self) -> Any:
        self.fills.clear()
        self.accepts.clear()
        start = time.perf_counter()
        outputs, has_run = self._inner()
        if has_run:
            self.steps.append(
                {
                    "step": time.perf_counter() - start,
                    "fill": sum(clock for clock, _, _ in self.fills),
                    "fill_cpu": sum(cpu for _, cpu, _ in self.fills),
                    "rows": sum(rows for _, _, rows in self.fills),
                    "accept": sum(clock for clock, _, _ in self.accepts),
                    "accept_cpu": sum(cpu for _, cpu, _ in self.accepts),
                }
            )
        else:
            time.sleep(SECONDS_OF_REST)
        return outputs, has_run

    def take(self) -> dict[str, Any]:
        """What was noted since the last time."""
        found = {"steps": [*self.steps], "compiles": [*self.compiles], "admissions": [*self.admissions]}
        for noted in (self.steps, self.compiles, self.admissions):
            noted.clear()
        return found


class Loop:
    """An engine that is stepped here."""

    def __init__(self, backend: str, model: str) -> None:
        self.engine = LLM(**options_of(backend, model), logits_processors=[Replay]).llm_engine
        self.probe = Probe(self.engine.engine_core.engine_core)
        self._number = 0

    def phase(self, phase: dict[str, Any]) -> dict[str, Any]:
        """Runs the requests in waves of `batch`. Adds to what the probe has noted: `first`, pairs of whether a request
        was constrained and the seconds to its first token, and `failed`, what became of those that failed."""
        first: list[tuple[bool, float]] = []
        failed: list[str] = []
        requests, batch = phase["requests"], phase["batch"]
        for at in range(0, len(requests), batch):
            self._wave(requests[at : at + batch], first, failed)
        return {"batch": batch, "state": phase["state"], "first": first, "failed": failed, **self.probe.take()}

    def _wave(self, wave: list[dict[str, Any]], first: list[tuple[bool, float]], failed: list[str]) -> None:
        began: dict[str, tuple[dict[str, Any], float]] = {}
        for request in wave:
            self._number += 1
            start = time.perf_counter()
            try:
                self.engine.add_request(str(self._number), {"prompt_token_ids": PROMPT}, sampling(request))
            except Exception as error:
                failed.append(f"{request['id']}: {error}"[:200])
                continue
            began[str(self._number)] = request, start
        written: dict[str, list[int]] = {}
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                request, start = began[output.request_id]
                if output.request_id not in written:
                    first.append((request["schema"] is not None, time.perf_counter() - start))
                ids = written.setdefault(output.request_id, [])
                ids.extend(output.outputs[0].token_ids)
                if output.finished and ids != request["tokens"]:
                    failed.append(f"{request['id']}: {output.outputs[0].finish_reason} behind {len(ids)} tokens")


def sampling(request: dict[str, Any]) -> SamplingParams:
    """Parameters of a request: `schema` is text, or None where it is unconstrained; `tokens` ends with a stop token."""
    schema = request["schema"]
    return SamplingParams(
        max_tokens=MOST_TOKENS, temperature=0, output_kind=RequestOutputKind.DELTA,
        extra_args={"replay": request["tokens"]},
        structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
    )  # fmt: skip


def measure(backend: str, model: str, phases: list[dict[str, Any]]) -> dict[str, Any]:
    """What each phase took, and what a probe itself takes, in us; the first phase warms the engine up."""
    loop = Loop(backend, model)
    found = [loop.phase(phase) for phase in phases][1:]
    nothing: Times = []
    probe = timed(lambda: None, nothing)
    for _ in range(1000):
        probe()
    return {"phases": found, "probe_us": [1e6 * sum(column) / len(nothing) for column in list(zip(*nothing))[:2]]}


def judge(backend: str, model: str, rows: list[dict[str, Any]]) -> list[str]:
    """What the backend has against each row, "" where it takes the schema and accepts all of its texts."""
    config = EngineArgs(**options_of(backend, model)).create_engine_config()
    manager = StructuredOutputManager(config)
    return [_fault(backend, manager, config, row) for row in rows]


def _fault(backend: str, manager: Any, config: Any, row: dict[str, Any]) -> str:
    params = SamplingParams(structured_outputs=StructuredOutputsParams(json=row["schema"]))
    outputs = config.structured_outputs_config
    try:
        params._validate_structured_outputs(config.model_config, outputs, manager.tokenizer)
        if manager.backend is None:
            manager.backend = _backend_of(backend, manager, config)
        for ids in row["texts"]:
            grammar = manager.backend.compile_grammar(StructuredOutputOptions.JSON, row["schema"], {ids[-1]})
            if not grammar.accept_tokens("", ids) or not grammar.is_terminated():
                return "a valid text is not accepted"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def _backend_of(backend: str, manager: Any, config: Any) -> Any:
    from vllm.v1.structured_output import GuidanceBackend, XgrammarBackend

    made = {"xgrammar": XgrammarBackend, "guidance": GuidanceBackend}[backend]
    return made(config, tokenizer=manager.tokenizer, vocab_size=config.model_config.get_vocab_size())


def main() -> None:
    task, backend, model, given, out = sys.argv[1:]
    work: Callable[..., Any] = {"judge": judge, "measure": measure}[task]
    Path(out).write_text(json.dumps(work(backend, model, json.loads(Path(given).read_text()))))


if __name__ == "__main__":
    main()
