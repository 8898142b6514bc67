"""Which call of `Llama.generate` is at work: one text of it begins where the last has ended.

Idea. A logits processor and a draft model see token ids alone, and those do not tell a text's next step from a new
text whose prompt is the last text and more (the next turn of a chat), least of all behind a draft, where rows are
longer than the text is. But every call of `generate`, and so of all that is built on it, makes a sampler of its own.

`Llama.sample` without `generate` makes a sampler for each token: there, each token is a text of its own.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import llama_cpp

__all__ = ["Generations"]


class Generations:
    """The generations of one `Llama`, which is not kept alive. Raises TypeError for what is none (or not of 0.3)."""

    __slots__ = ("_llama", "_sampler")

    def __init__(self, llama: llama_cpp.Llama) -> None:
        if not hasattr(llama, "_sampler"):
            raise TypeError(
                f"a llama_cpp.Llama of llama-cpp-python 0.3.16 or later is needed, not {type(llama).__name__} of "
                f"{llama_cpp.__version__}"
            )
        self._llama = ref(llama)
        self._sampler: Any = None

    @property
    def llama(self) -> llama_cpp.Llama:
        llama = self._llama()
        assert llama is not None, "the Llama is gone, and something still generates with it"
        return llama

    def begins(self) -> bool:
        """Whether this is the first question since a new generation has begun."""
        if self.is_current():
            return False
        self._sampler = ref(self.llama._sampler)
        return True

    def is_current(self) -> bool:
        """Whether the generation of the last `begins` is still at work."""
        sampler = self._sampler and self._sampler()
        return sampler is not None and sampler is self.llama._sampler
