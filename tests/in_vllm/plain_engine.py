"""What an engine without the plugin writes: `python plain_engine.py BOX FILE`, prompts in, texts out, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ["VLLM_PLUGINS"] = ""
    from vllm import LLM, SamplingParams

    from engines import SETTINGS

    box, path = sys.argv[1], Path(sys.argv[2])
    prompts = json.loads(path.read_text())
    llm = LLM(box, **SETTINGS, max_num_seqs=32)
    outputs = llm.generate(prompts, SamplingParams(max_tokens=60, temperature=0), use_tqdm=False)
    path.write_text(json.dumps([output.outputs[0].text for output in outputs]))
