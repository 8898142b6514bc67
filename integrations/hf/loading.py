"""Models and tokenizers from folders, among them the one that comes with the package.

The model in the box is kept as bfloat16 to be small and runs in float32: on a CPU that is as fast at this size, and
greedy decoding is then the same on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

__all__ = ["BOX", "load"]

BOX = Path(__file__).parent.parent / "box"


def load(name_or_path: str | Path | None = None) -> tuple[Any, Any]:
    """(model, tokenizer), the model in eval mode.

    `name_or_path`: a folder, or a name on the hub; None: the model in the box, which needs no network.
    """
    source = BOX if name_or_path is None else name_or_path
    model = AutoModelForCausalLM.from_pretrained(source)
    if name_or_path is None:
        model = model.float()
    return model.eval(), AutoTokenizer.from_pretrained(source)
