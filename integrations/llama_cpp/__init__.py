"""bridle in llama-cpp-python: a logits processor for every method of `Llama` that writes text, and a draft model.

    llama = llama_cpp.Llama("model.gguf")
    compiled = bridle.compile(grammar, vocabulary_of(llama))
    processor = GrammarLogitsProcessor(compiled, llama)
    llama.create_chat_completion(messages, logits_processor=processor.logits_processor)
    processor.check()                                            # raises what llama.cpp has swallowed

`vocabulary.py` reads what the model's tokens append to a text, `generations.py` tells one text from the next,
`processor.py` masks, `draft_model.py` drafts several tokens for one forward. docs/llama_cpp.md has the whole of it.
"""

from ..conflict import ConflictError
from .draft_model import DraftModel
from .processor import GrammarLogitsProcessor
from .vocabulary import vocabulary_of

__all__ = ["ConflictError", "DraftModel", "GrammarLogitsProcessor", "vocabulary_of"]
