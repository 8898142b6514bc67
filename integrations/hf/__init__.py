"""bridle in Hugging Face transformers: a logits processor for `model.generate`, and a `generate` of one line.

    model, tokenizer = bridle.integrations.hf.load()            # the model in the box, or any name
    generate(model, tokenizer, "Describe a person as JSON:\\n", grammar)[0].text

`prefix_states.py` knows which matcher state belongs to which generated prefix, `processor.py` turns that into scores,
`generation.py` runs a whole generation and says what came of it, `loading.py` reads models from folders,
`speculation.py` decodes several tokens at a time.
"""

from .generation import Result, Stats, generate, vocabulary_of
from .loading import load
from .processor import ConflictError, GrammarLogitsProcessor
from .speculation import Speculation

__all__ = [
    "ConflictError",
    "GrammarLogitsProcessor",
    "Result",
    "Speculation",
    "Stats",
    "generate",
    "load",
    "vocabulary_of",
]
