"""JSON from a model in a gguf file, by llama-cpp-python: every answer fits the schema, and drafts save forwards.

    pip install 'bridle[llama-cpp]'
    python examples/json_by_llama_cpp.py model.gguf "Describe a person as JSON:"
    python examples/json_by_llama_cpp.py model.gguf "Describe a person." --chat

(It is not called llama_cpp.py: run as a script it would be what `import llama_cpp` finds.)
"""

from __future__ import annotations

import argparse
import json

import llama_cpp

import bridle
from bridle.integrations.llama_cpp import DraftModel, GrammarLogitsProcessor, vocabulary_of

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "hobbies"],
    "additionalProperties": False,
}
MAX_TOKENS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description="JSON from a model in a gguf file")
    parser.add_argument("path", help="a gguf file")
    parser.add_argument("prompt", nargs="?", default="Describe a person as JSON:\n")
    parser.add_argument("--chat", action="store_true", help="by the model's chat template")
    parser.add_argument("--answers", type=int, default=3)
    parser.add_argument("--threads", type=int, help="as many as there are cores, if nothing is said")
    options = parser.parse_args()

    threads = {"n_threads": options.threads, "n_threads_batch": options.threads}
    llama = llama_cpp.Llama(options.path, n_ctx=2048, logits_all=True, verbose=False, **threads)
    llama.draft_model = DraftModel(llama)
    grammar = bridle.Grammar.from_json_schema(SCHEMA)
    compiled = bridle.compile(grammar, vocabulary_of(llama))
    processor = GrammarLogitsProcessor(compiled, llama, max_tokens=MAX_TOKENS)
    for seed in range(options.answers):
        sampling = {"max_tokens": MAX_TOKENS, "temperature": 0.8, "seed": seed}
        if options.chat:
            messages = [{"role": "user", "content": options.prompt}]
            answer = llama.create_chat_completion(messages, logits_processor=processor.logits_processor, **sampling)
            text = answer["choices"][0]["message"]["content"]
        else:
            answer = llama.create_completion(options.prompt, logits_processor=processor.logits_processor, **sampling)
            text = answer["choices"][0]["text"]
        processor.check()
        print(json.loads(text))
    stats = llama.draft_model.stats
    print(f"{stats.accepted} of {stats.drafted} drafted tokens were right, in {stats.steps} forwards")


if __name__ == "__main__":
    main()
