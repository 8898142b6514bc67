"""bridle in vLLM: a structured-output backend, agents, and a logits processor. docs/vllm.md is the guide.

    VLLM_PLUGINS=bridle vllm serve MODEL --structured-outputs-config.backend bridle

| file | what it does |
|---|---|
| `plugin.py` | what vLLM calls when it starts: makes the backend known to it |
| `admission.py` | the API process: reads what a request asks for, and refuses what is no grammar |
| `backend.py` | the engine's process: grammars of requests, their masks and tokens |
| `logits_processor.py` | the worker's process: the same before sampling, with temperatures of parts of a grammar |
| `logits_rows.py` | which row of the logits is whose, in both of vLLM's model runners |
| `row_masks.py` | masks and temperatures of such rows |
| `request_texts.py` | one request's text there: it follows the tokens, and never raises |
| `request_matchers.py` | grammars of requests, compiled, and matchers where their texts begin |
| `budgeted_text.py` | a text within the tokens that its request may write |
| `request_reading.py` | what vLLM's parameters of a request say, as bridle's |
| `vocabularies.py` | the tokenizers of vLLM as vocabularies |
| `grammar_drafts.py`, `request_drafts.py` | experimental: drafts from grammars in vLLM's speculative decoding |

INVARIANT: `plugin.py` alone is imported where vLLM starts without the backend, and nothing in it raises.
Source: vLLM 0.32.0, v1/structured_output, v1/core/sched/scheduler.py, sampling_params.py.
"""
