"""bridle in SGLang: the grammar backend `bridle`, registered by SGLang's plugin loader.

    python -m sglang.launch_server --model-path … --grammar-backend bridle

SGLang finds `register` under the entry point group `sglang.srt.plugins` and calls it in each of its processes.
`registration.py` makes the backend known, `backend.py` reads requests and compiles them, `constrained_text.py` keeps
one text inside its grammar, `vocab_masks.py` has the masks that go to the model's logits.

Written against SGLang's published sources. It has never run inside a SGLang server: it is tested with stand-ins of the
classes and loops of two times and, where SGLang's distribution is installed, with its own base classes, plugin loader,
reasoning wrapper and batches (done with 0.5.23, without a model or a GPU). What was read besides, by commit:
base_grammar_backend.py (99e1c516, whose invalid grammars are one object; 18cc7bf2, with shared futures),
grammar_manager.py (a343daaf, 18cc7bf2), reasoner_grammar_backend.py (034bebc3), xgrammar_backend.py (65cf1ed0),
plugins/__init__.py (0298b5b4), arg_groups/choices.py (0099dee6).
"""

from __future__ import annotations

__all__ = ["register"]


def register() -> None:
    """Makes `--grammar-backend bridle` known to SGLang in this process. May be called any number of times.

    Never raises: what is not as expected is logged, as a warning.
    """
    from .registration import register as register_here

    register_here()
