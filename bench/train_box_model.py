"""Train the model in the box: a small Llama and its byte-level BPE tokenizer, from text that `box_corpus.py` makes up.

    python bench/train_box_model.py --steps 7000 --out integrations/box     # what the box holds; see its README.md
    python bench/train_box_model.py --minutes 10 --out /tmp/box              # as many steps as fit

Idea: two and a half million parameters learn form, not facts, and form is cheap: the documents are short, so some
millions of tokens do, in rows of 256 and, for the last quarter, of 512. Every batch is new text, nothing is seen twice.
A third of the documents is tokenized in pieces, because prompts end anywhere and a grammar may allow no token
that reaches further. AdamW (Muon was no better over
minutes). Products run in bfloat16 under autocast; weights and optimizer states stay float32.

Invariants: with `--steps`, the seed fixes tokenizer, text and order (sums differ in the last bits between machines);
the folder loads offline with `AutoModelForCausalLM` and `AutoTokenizer`; all 256 bytes are tokens, so every text can be
written.

PERF: one thread of an EPYC with avx512_bf16, tokens/s at 512: float32 3,900; bfloat16 with fused attention and heads of
32 6,600; the same by plain matrix products with heads of 64, 8,900 (11,700 at 256).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from box_corpus import documents

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
HEAD = 64
SHORT, LONG = 256, 512  # tokens in a row; LONG from three quarters of the training on
POSITIONS = 2048  # what the config admits; positions past LONG were never trained


def train_tokenizer(vocab_size: int, seed: int, count: int = 25_000) -> Tokenizer:
    """Byte-level BPE with GPT-2's pre-tokenizer, the one that every converter knows."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(documents(seed), count), trainer)
    special = [(BOS, id_of(tokenizer, BOS))]
    template = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=special)
    tokenizer.post_processor = template
    return tokenizer


def id_of(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    assert number is not None, token
    return number


class Packed:
    """Documents laid end to end, each `bos … eos`, cut into rows."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.tokenizer, self.stream = tokenizer, documents(seed)
        self.bos, self.eos = id_of(tokenizer, BOS), id_of(tokenizer, EOS)
        self.held, self.random = np.zeros(0, np.int64), random.Random(seed)

    def encode(self, texts: list[str]) -> Iterator[list[int]]:
        """Ids of each document; a third are cut into pieces where tokens do not reach across, as at a prompt's end."""
        pieces = [self.cut(text) if self.random.random() < 0.35 else [text] for text in texts]
        encoded = iter(self.tokenizer.encode_batch([p for ps in pieces for p in ps], add_special_tokens=False))
        for ps in pieces:
            yield [self.bos, *(i for e in islice(encoded, len(ps)) for i in e.ids), self.eos]

    def cut(self, text: str) -> list[str]:
        """Pieces of a text, cut mostly beside quotes and brackets: a grammar rarely likes the token that spans them."""
        ends = [
            i
            for i in range(1, len(text))
            if self.random.random() < (0.01 if text[i - 1].isalnum() and text[i].isalnum() else 0.12)
        ]
        return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]

    def take(self, rows: int, length: int) -> torch.Tensor:
        """int64[rows, length + 1]: a row's last id is only ever a target."""
        need = rows * (length + 1)
        while len(self.held) < need:
            parts = [np.asarray(ids, np.int64) for ids in self.encode(list(islice(self.stream, 1000)))]
            self.held = np.concatenate([self.held, *parts])
        taken, self.held = self.held[:need], self.held[need:]
        return torch.from_numpy(taken.reshape(rows, length + 1))


def build(args: argparse.Namespace, tokenizer: Tokenizer) -> LlamaForCausalLM:
    ids = {name: id_of(tokenizer, token) for name, token in (("bos", BOS), ("eos", EOS), ("pad", PAD))}
    config = LlamaConfig(
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        intermediate_size=args.intermediate,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // HEAD,
        num_key_value_heads=args.hidden // HEAD,
        head_dim=HEAD,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=ids["bos"],
        eos_token_id=ids["eos"],
        pad_token_id=ids["pad"],
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    model.generation_config = GenerationConfig(
        bos_token_id=ids["bos"], eos_token_id=ids["eos"], pad_token_id=ids["pad"], do_sample=False
    )
    return model


def loss_of(model: LlamaForCausalLM, batch: torch.Tensor, backward: bool = False) -> float:
    """Mean cross-entropy in nats; the logits are made 512 at a time, so that they stay in the cache."""
    targets, total = batch[:, 1:].flatten(), 0.0
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(backward):
        hidden = model.model(input_ids=batch[:, :-1], use_cache=False).last_hidden_state.flatten(0, 1)
        cut = hidden.detach().requires_grad_(backward)
        for h, y in zip(cut.split(512), targets.split(512), strict=True):
            loss = torch.nn.functional.cross_entropy(model.lm_head(h).float(), y, reduction="sum") / len(targets)
            if backward:
                loss.backward()
            total += loss.item()
    if backward:
        hidden.backward(cut.grad)
    return total


def held_out_loss(model: LlamaForCausalLM, tokenizer: Tokenizer, seed: int, batches: int = 8) -> float:
    source = Packed(tokenizer, seed)
    return sum(loss_of(model, source.take(8, LONG)) for _ in range(batches)) / batches


@dataclass
class Schedule:
    """Progress by steps or by the clock; the learning rate warms up, then falls along a cosine to a fiftieth."""

    steps: int | None
    minutes: float | None
    started: float

    def progress(self, step: int) -> float:
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None
        return (time.monotonic() - self.started) / (60 * self.minutes)

    def factor(self, step: int) -> float:
        fall = 0.5 * (1 + math.cos(math.pi * min(self.progress(step), 1.0)))
        return min(1.0, (step + 1) / 50) * (0.02 + 0.98 * fall)


def train(model: LlamaForCausalLM, tokenizer: Tokenizer, args: argparse.Namespace) -> dict[str, float]:
    started = time.monotonic()
    schedule = Schedule(args.steps, args.minutes, started)
    stepper = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    source, step, tokens, mean = Packed(tokenizer, args.seed + 1), 0, 0, 0.0
    while schedule.progress(step) < 1:
        length = SHORT if schedule.progress(step) < 0.75 else LONG
        batch = source.take(args.batch * SHORT // length, length)
        for group in stepper.param_groups:
            group["lr"] = args.lr * schedule.factor(step)
        loss = loss_of(model, batch, backward=True)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        stepper.step()
        stepper.zero_grad(set_to_none=True)
        mean = loss if step == 0 else 0.95 * mean + 0.05 * loss
        step, tokens = step + 1, tokens + args.batch * SHORT
        if step % args.report == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"step {step} loss {mean:.3f} {tokens / 1e6:.2f}M tokens {minutes:.1f} min", flush=True)
        if args.save_every and step % args.save_every == 0:
            save(model, tokenizer, args.out)
    minutes = (time.monotonic() - started) / 60
    return {"steps": step, "tokens": tokens, "minutes": round(minutes, 1), "train_loss": round(mean, 3)}


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Write the folder that `from_pretrained` reads; weights as bfloat16."""
    out.mkdir(parents=True, exist_ok=True)
    half: Any = copy.deepcopy(model)
    half.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.save(str(out / "tokenizer.json"))
    # `PreTrainedTokenizerFast` is the class name that both transformers 4 and 5 resolve to "read tokenizer.json".
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "model_max_length": POSITIONS,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": True,
        "padding_side": "left",
    }
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


@torch.no_grad()
def show_samples(out: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    model: Any = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    torch.manual_seed(0)
    for prompt in ("Describe a person as JSON:\n", '{"flux_zorble": "', '{"name": ', "Question: ", "", '["'):
        ids = tokenizer(prompt, return_tensors="pt")
        text = model.generate(**ids, max_new_tokens=120, do_sample=True, temperature=0.8)
        print("-----", tokenizer.decode(text[0], skip_special_tokens=True), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the model in the box.")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8, help=f"rows of {SHORT} tokens a step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--report", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = train_tokenizer(args.vocab, args.seed)
    model = build(args, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    facts = train(model, tokenizer, args)
    save(model, tokenizer, args.out)
    print(json.dumps(facts | {"held_out_loss": round(held_out_loss(model, tokenizer, args.seed + 1_000_003), 3)}))
    show_samples(args.out)


if __name__ == "__main__":
    main()
