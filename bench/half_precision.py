"""How often speculation changes a greedy text in half precision, and how often two tokens are all but equal there.

    python bench/half_precision.py                          # the model in the box, 60 texts, bfloat16 and float16
    python bench/half_precision.py --model path --device cuda --number 200

A forward of several tokens rounds otherwise than one of a single token. Where the two best logits that the grammar
allows lie closer together than that, either may win, so a text that is speculated can part from the plain one there and
nowhere else. Each text is decoded plainly and with drafts; then the plain one is read twice more, token by token and
16 tokens at a time. Columns:

    parted      texts that differ; in brackets, those of them whose first difference is at a near tie
    near ties   places where the two best allowed logits differ by no more than either of them, from the one reading to
                the other: twice the larger of these differences, since both may move
    flips       places where the two readings choose different tokens
    difference  between the readings, of the two best logits: median, and the largest
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import bridle
from bridle.integrations import hf
from bridle.speculative.draft_tree import NO_DRAFT, DraftTree
from bridle.speculative.tree_attention import TreeCache
from speculation import RECORD, THINGS

WIDE = 16
GREEDY: dict[str, Any] = {"max_new_tokens": 160, "do_sample": False, "runs": False}


def texts(number: int) -> Iterator[tuple[str, bridle.Grammar]]:
    """Prompts and schemas: each thing under several choices of the record's members."""
    names = list(RECORD["properties"])
    for i in range(number):
        thing, left = THINGS[i % len(THINGS)], i // len(THINGS) % len(names)
        chosen = [name for name in names if name != names[left]]
        properties = {name: RECORD["properties"][name] for name in chosen}
        schema = {"type": "object", "properties": properties, "required": chosen, "additionalProperties": False}
        times = i // len(THINGS) // len(names)
        yield f"Describe a {thing} as JSON{' again' * times}:\n", bridle.Grammar.from_json_schema(schema)


def readings(model: Any, prompt: torch.Tensor, ids: list[int], width: int) -> torch.Tensor:
    """Logits behind each of `ids` but the last, float32[n - 1, vocabulary], read `width` at a time."""
    cache = TreeCache(model)
    cache.read(prompt, None)
    parts = []
    for at in range(0, len(ids) - 1, width):
        piece = ids[at : at + width][: len(ids) - 1 - at]
        chain = DraftTree.of(piece[1:], list(range(-1, len(piece) - 2)), [1.0] * (len(piece) - 1))
        parts.append(cache.verify([piece[0]], [chain if len(piece) > 1 else NO_DRAFT])[0].float().cpu())
        cache.keep([list(range(len(piece)))])
    return torch.cat(parts)


@torch.inference_mode()
def near_ties(model: Any, compiled: Any, prompt: torch.Tensor, ids: list[int]) -> np.ndarray:
    """float64[places, 4]: of each place where several tokens are allowed, the number of the token that is chosen there,
    the gap of the two best allowed logits, how far they move between the readings, whether the choice flips."""
    single, wide = (readings(model, prompt, ids, width) for width in (1, WIDE))
    matcher, bitmask = bridle.Matcher(compiled), bridle.allocate_token_bitmask(1, compiled.vocabulary.size)
    found = []
    for place, token in enumerate(ids[:-1]):
        if not matcher.accept_token(token) or matcher.is_terminated():
            break
        matcher.fill_next_token_bitmask(bitmask)
        logits = torch.stack([single[place], wide[place]])
        bridle.sampler.apply_token_bitmask_inplace(logits, np.repeat(bitmask, 2, axis=0))
        best, at = logits[0].topk(2)
        if not torch.isfinite(best[1]):
            continue
        moved = float((logits[1, at] - best).abs().max())
        found.append((place + 1, float(best[0] - best[1]), moved, float(logits[1].argmax() != at[0])))
    return np.array(found).reshape(-1, 4)


def compare(model: Any, tokenizer: Any, number: int) -> tuple[list[bool], np.ndarray]:
    """(for each text that parts, whether it does at a near tie; what `near_ties` says of all texts)."""
    vocabulary, parted, ties = hf.vocabulary_of(model, tokenizer), [], []
    speculation = hf.Speculation(tokenizer=tokenizer, fallback=False)
    for prompt, grammar in texts(number):
        compiled = bridle.compile(grammar, vocabulary)
        plain, drafted = (
            hf.generate(model, tokenizer, prompt, compiled, **GREEDY, speculate=speculate)[0].token_ids
            for speculate in (False, speculation)
        )
        ids = torch.tensor([tokenizer(prompt)["input_ids"]], device=model.device)
        ties.append(near_ties(model, compiled, ids, plain))
        if plain != drafted:
            pairs = enumerate(zip(plain, drafted))
            place = next((i for i, (one, other) in pairs if one != other), min(len(plain), len(drafted)))
            parted.append(any(at == place and gap <= 2 * moved for at, gap, moved, _ in ties[-1]))
    return parted, np.concatenate(ties)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", help="a folder; default: the model in the box")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--number", type=int, default=60, help="texts")
    parser.add_argument("--dtypes", default="bfloat16,float16,float32")
    options = parser.parse_args()
    print("| dtype | texts | parted | places | near ties | flips | difference, median (largest) |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for dtype in options.dtypes.split(","):
        model, tokenizer = hf.load(options.model)
        model = model.to(options.device, getattr(torch, dtype))
        parted, ties = compare(model, tokenizer, options.number)
        _, gap, moved, flips = ties.T
        near, flipped = int((gap <= 2 * moved).sum()), int(flips.sum())
        print(
            f"| {dtype} | {options.number} | {len(parted)} ({sum(parted)}) | {len(ties)} | {near} | {flipped} | "
            f"{np.median(moved):.2g} ({moved.max():.2g}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
