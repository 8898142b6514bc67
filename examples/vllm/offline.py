"""bridle inside vLLM without a server: `python examples/vllm/offline.py [config]`.

vLLM loads its plugins while an engine is made. A configuration that is a dict is read before that, when `bridle` is not
known yet as the name of a backend. So either the plugins are loaded first, which is one line, or the configuration is
an object, whose members are not checked when they are set.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_PLUGINS", "bridle")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from vllm import LLM, SamplingParams
from vllm.config import StructuredOutputsConfig
from vllm.plugins import load_general_plugins
from vllm.sampling_params import StructuredOutputsParams

from bridle.integrations import box

BOX = Path(next(iter(box.__path__)))
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def as_dict() -> dict[str, Any]:
    load_general_plugins()  # the one line
    return {"backend": "bridle"}


def as_object() -> StructuredOutputsConfig:
    config = StructuredOutputsConfig()
    config.backend = "bridle"  # type: ignore[assignment]
    return config


def main(form: str = "dict") -> None:
    config: Any = as_object() if form == "config" else as_dict()
    llm = LLM(str(BOX), dtype="float32", enforce_eager=True, max_model_len=1024, structured_outputs_config=config)
    schema = StructuredOutputsParams(json=PERSON)
    agent = {"agent": "react", "tools": {"search": {"type": "object"}}, "trace": "Question: Who is she?"}
    asked = [
        ("Describe a person as JSON:\n", SamplingParams(max_tokens=60, seed=1, structured_outputs=schema)),
        ("Question: Who is she?", SamplingParams(max_tokens=100, seed=1, extra_args={"bridle": agent})),
    ]
    answers = llm.generate([prompt for prompt, _ in asked], [params for _, params in asked], use_tqdm=False)
    texts = [answer.outputs[0].text for answer in answers]
    print(json.loads(texts[0]), texts[1], sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
