"""How often speculation changes a greedy text in half precision, and how often two tokens are all but equal there.

    python bench/half_precision.py                          # the model in the box, 60 texts, bfloat16 and float16
    python bench/half_precision.py --model path --device cuda --number 200

A forward of several tokens rounds otherwise than one of a single token, and so do the keys and values that it leaves.
Where the two best logits that the grammar allows lie closer together than that, either may win, so a text that is
speculated can part from the plain one there and nowhere else. Each text is decoded plainly and with drafts, and the
logits that each of its tokens was chosen from are kept: so what is compared are the very forwards that chose, whatever
their widths were. How rare near ties are says the plain text, read twice more: token by token and 16 tokens at a time.
Columns:

    parted      texts that differ; in brackets, those of them whose first difference is at a near tie: the two tokens
                are no farther apart than either moves from the one forward to the other, twice the larger of these
                differences (both may move), and that is no more than such readings differ by elsewhere
    apart       the two tokens at such a place, in the plain forward: median, and the largest
    near ties   places where the two best allowed logits differ by no more than that, from the one reading to the other
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
from transformers import LogitsProcessor

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


class Watch(LogitsProcessor):
    """Keeps the logits that tokens are chosen from, before anything is done to them."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.seen.append(scores[0].to("cpu", torch.float32, copy=True))
        return scores


def parting(texts: list[list[int]], logits: list[list[torch.Tensor]]) -> tuple[float, float] | None:
    """Of two texts, chosen from the given logits: how far apart the two tokens are where they differ first, in the
    first one's, and how far either moves to the other's. None: they do not differ."""
    place = next((i for i, (one, other) in enumerate(zip(*texts)) if one != other), None)
    if place is None:
        return None
    at = [ids[place] for ids in texts]
    one, other = (seen[place][at] for seen in logits)
    return float(one[0] - one[1]), float((one - other).abs().max())


def compare(model: Any, tokenizer: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(what `parting` says of each text that parts, float64[texts, 2]; what `near_ties` says of all texts)."""
    vocabulary, partings, ties = hf.vocabulary_of(model, tokenizer), [], []
    speculation = hf.Speculation(tokenizer=tokenizer, fallback=False)
    for prompt, grammar in texts(number):
        compiled = bridle.compile(grammar, vocabulary)
        decoded, watches = [], [Watch(), Watch()]
        for speculate, watch in zip((False, speculation), watches, strict=True):
            options = GREEDY | {"speculate": speculate, "logits_processor": [watch]}
            decoded.append(hf.generate(model, tokenizer, prompt, compiled, **options)[0].token_ids)
        ids = torch.tensor([tokenizer(prompt)["input_ids"]], device=model.device)
        ties.append(near_ties(model, compiled, ids, decoded[0]))
        parted = parting(decoded, [watch.seen for watch in watches])
        assert parted is not None or decoded[0] == decoded[1], "a text ends before the other, but for no token"
        partings += [] if parted is None else [parted]
    return np.array(partings).reshape(-1, 2), np.concatenate(ties)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", help="a folder; default: the model in the box")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--number", type=int, default=60, help="texts")
    parser.add_argument("--dtypes", default="bfloat16,float16,float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| dtype | texts | parted | apart | places | near ties | flips | difference |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for dtype in options.dtypes.split(","):
        model, tokenizer = hf.load(options.model)
        model = model.to(options.device, getattr(torch, dtype))
        partings, ties = compare(model, tokenizer, options.number)
        _, gap, moved, flips = ties.T
        apart, moved_there = partings.T
        tied = int(((apart <= 2 * moved_there) & (moved_there <= moved.max())).sum())
        near, flipped = int((gap <= 2 * moved).sum()), int(flips.sum())
        print(
            f"| {dtype} | {options.number} | {len(partings)} ({tied}) | {spread(apart)} | {len(ties)} | {near} | "
            f"{flipped} | {spread(moved)} |",
            flush=True,
        )


def spread(numbers: np.ndarray) -> str:
    return f"{np.median(numbers):.2g} ({numbers.max():.2g})" if len(numbers) else "–"


if __name__ == "__main__":
    main()
