"""Speculative decoding on text that behaves like a real model's: tokens per forward, and time against plain decoding.

    python bench/speculation.py --data maskbench.jsonl.gz --tokens llama3.tiktoken
    python bench/speculation.py --text tools --width 512 --layers 8 --only plain,all,lookup     # wall clock

A replay model is a Llama with random weights that does its whole work and whose logits are then made to follow a
recorded text: behind position p comes the text's token p + 1, whatever stands before it. Drafts off the text's path are
so refused, and those on it accepted, as by a model that writes this text. Texts:

    json        instances of schemas (MaskBench's rows, or the committed corpus), under their schema
    tools       three tool calls of a turn, under the format of Qwen 3; the user's request names the arguments
    retrieval   answers that quote documents of the prompt, one to three sentences each time, without a grammar
    quote       the same with one sentence each time, of which a third is lead-ins that nothing predicts
    random      words that nothing predicts, without a grammar
    strings     such words as strings of a JSON array, under its schema
    box         what the model in the box itself writes, greedily, under a schema; fresh for each text, or kept

The prompt holds neither the text nor its schema, but where the text says so; every text is decoded by a Speculation of
its own, so no trie holds another text, unless `--keep` is given. Rows are ways to draft:

    plain       `model.generate` with the grammar's processor; what times are ratios to
    none        the loop of speculative decoding without drafts
    forced, trie, reference, draft model, forced+trie, all
    lookup      `prompt_lookup_num_tokens=10` of transformers

`draft model` is a second replay model, a quarter as wide and deep, that errs at one place in five.
Time is wall-clock of whole generations, plain and drafted in turn.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parent))
import bridle
from bridle.integrations import hf
from bridle.integrations.hf import GrammarLogitsProcessor, Speculation
from bridle.speculative.draft_model import DraftModelSource
from bridle.speculative.grammar_source import GrammarSource
from bridle.speculative.history import ReferenceSource, SuffixSource, TrieSource
from corpus import corpus, read_rows, text_of
from engines import Tokens, llama3, tekken

LONGEST = 512  # tokens of a text
SURE = 1e4  # above all logits
ERRORS = 5  # the draft model errs at one place in so many


class Replay(LlamaForCausalLM):
    """A Llama whose logits follow a recorded text. errors : it errs at one place in so many (0: never)."""

    errors = 0

    def follow(self, prompt: int, text: Sequence[int]) -> None:
        """prompt : tokens before the text."""
        self._text = torch.tensor([0] * (prompt - 1) + list(text) + [text[-1]] * 64)

    def forward(self, input_ids: Any = None, position_ids: Any = None, **inputs: Any) -> Any:
        if position_ids is None:
            cache = inputs.get("past_key_values")
            before = 0 if cache is None else cache.get_seq_length()
            position_ids = before + torch.arange(input_ids.shape[1])[None]
        out = super().forward(input_ids=input_ids, position_ids=position_ids, **inputs)
        places = position_ids[:, -out.logits.shape[1] :].clamp(max=len(self._text) - 1)
        wanted = self._text[places].expand(len(out.logits), -1)
        if self.errors:
            wrong = places * 2654435761 % 2**32 % self.errors == 0
            wanted = torch.where(wrong, (wanted + 1) % self.config.vocab_size, wanted)
        out.logits.scatter_(2, wanted[..., None], SURE)
        return out


def replay(vocabulary: int, width: int, layers: int, stop: int) -> Replay:
    torch.manual_seed(0)
    heads = max(1, width // 64)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=8192, tie_word_embeddings=True,
        eos_token_id=stop, pad_token_id=stop, bos_token_id=stop,
    )  # fmt: skip
    model = Replay(config).eval()
    model.follow(1, [0])
    return model


# ------------------------------------------------------------------------------------------------ texts


@dataclass
class Case:
    """A prompt, the text that follows, the grammar that it is under, and documents that it may quote."""

    prompt: str
    text: str
    grammar: Any = None
    documents: list[str] = field(default_factory=list)


def json_cases(rows: list[dict[str, Any]], seed: int) -> Iterator[Case]:
    for row in random.Random(seed).sample(rows, len(rows)):
        for test in row["tests"]:
            if test["valid"]:
                try:
                    grammar = bridle.Grammar.from_json_schema(row["schema"])
                except bridle.BridleError:
                    break
                yield Case("Answer in JSON:\n", text_of(test), grammar)
                break


WORDS = """
account address agenda airport answer archive balance basket bicycle border bottle branch bridge budget
camera carpet castle ceiling channel chapter circle climate coffee column comment corner council cousin credit culture
damage danger debate degree desert device dinner doctor dragon drawing driver editor effort engine estate fabric factor
family farmer figure finger flower forest friend future garden guitar harbor health height history hunter island jacket
journey kitchen ladder leader lesson letter library machine manner market matter meadow member memory method mirror
moment morning motion museum nation needle number object office orange palace parent partner pencil people period person
pepper planet player pocket poetry prince profit reader reason record region report result ribbon river sample school
season shadow signal silver singer sister soldier spirit spring square station statue stone street student summer sunset
system talent temple theory ticket tongue travel tunnel turtle valley vessel village violin vision visitor volume wagon
walnut wealth weather weekend window winter wisdom wonder worker writer
"""


def tool_cases(seed: int) -> Iterator[Case]:
    rng = random.Random(seed)
    kinds: dict[str, Callable[[], Any]] = {
        "string": lambda: " ".join(rng.choices(WORDS.split(), k=rng.randint(1, 4))),
        "integer": lambda: rng.randint(1, 5000),
        "boolean": lambda: rng.random() < 0.5,
        "number": lambda: round(rng.random() * 100, 2),
    }
    while True:
        tools = []
        for _ in range(4):
            names = rng.sample(WORDS.split(), rng.randint(2, 6))
            properties = {name: {"type": rng.choice(list(kinds))} for name in names}
            parameters = {"type": "object", "properties": properties, "required": names[:2]}
            tools.append({"name": "_".join(rng.sample(WORDS.split(), 2)), "parameters": parameters})
        calls = []
        for tool in rng.choices(tools, k=3):
            declared, required = tool["parameters"]["properties"], tool["parameters"]["required"]
            chosen = [name for name in declared if name in required or rng.random() < 0.6]
            calls.append({"name": tool["name"], "arguments": {n: kinds[declared[n]["type"]]() for n in chosen}})
        asked = "; ".join(", ".join(str(value) for value in call["arguments"].values()) for call in calls)
        text = "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
        yield Case(f"Please look these up: {asked}.\n", text, bridle.tool_calls("qwen3", tools, parallel=True))


def sentence(rng: random.Random) -> str:
    words = rng.choices(WORDS.split(), k=rng.randint(8, 16))
    return f"The {words[0]} " + " ".join(words[1:]) + "."


def span(rng: random.Random, document: str, most: int) -> str:
    """One sentence of a document, or up to so many."""
    sentences = document.split(". ")
    first = rng.randrange(len(sentences) - 3)
    return ". ".join(sentences[first : first + rng.randint(1, most)])


def retrieval_cases(seed: int, sentences: int) -> Iterator[Case]:
    """sentences : of a quote, at the most."""
    rng = random.Random(seed)
    while True:
        documents = [" ".join(sentence(rng) for _ in range(12)) for _ in range(4)]
        quoted = [span(rng, document, sentences) for document in rng.sample(documents, 3)]
        leads = rng.sample(["According to the report,", "It also says that", "Elsewhere we read:", "In short,"], 3)
        text = " ".join(f'{lead} "{quote}".' for lead, quote in zip(leads, quoted))
        yield Case("\n\n".join(documents) + "\n\nWhat do the documents say?\n", text, None, documents)


def random_cases(seed: int, *, as_json: bool = False) -> Iterator[Case]:
    rng = random.Random(seed)
    grammar = bridle.Grammar.from_json_schema({"type": "array", "items": {"type": "string"}}) if as_json else None
    while True:
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(60)]
        lines = [" ".join(words[i : i + 20]) for i in range(0, 60, 20)]
        yield Case("Words:", json.dumps(lines) if as_json else " " + " ".join(lines), grammar)


# ------------------------------------------------------------------------------------------------ ways to draft


def sources_of(way: str, case: Case, small: Replay) -> list[Any] | None:
    """The sources of a way; None: no speculation."""
    known: dict[str, Callable[[], list[Any]]] = {
        "none": list,
        "forced": lambda: [GrammarSource()],
        "trie": lambda: [TrieSource(), SuffixSource()],
        "reference": lambda: [ReferenceSource(case.documents)],
        "draft model": lambda: [DraftModelSource(small)],
        "forced+trie": lambda: [GrammarSource(), TrieSource(), SuffixSource()],
        "all": lambda: [
            GrammarSource(),
            TrieSource(),
            SuffixSource(),
            ReferenceSource(case.documents),
            DraftModelSource(small),
        ],
    }
    return known[way]() if way in known else None


class Cutter:
    """What a Speculation asks of a tokenizer."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return self._tokens.cut(text)


def decode(
    model: Replay, case: Case, way: str, vocabulary: Any, tokens: Tokens, small: Replay, slope: float | None,
    kept: dict[str, Speculation] | None,
) -> tuple[int, int, float, Any]:  # fmt: skip
    """(tokens, forwards, seconds, statistics) of one text; checks that it is the recorded one."""
    prompt, text = tokens.cut(case.prompt), [*tokens.cut(case.text), tokens.stop]
    processors = [] if case.grammar is None else [GrammarLogitsProcessor(bridle.compile(case.grammar, vocabulary))]
    for one in (model, small):
        one.follow(len(prompt), text)
    sources = sources_of(way, case, small)
    options: dict[str, Any] = {"max_new_tokens": len(text), "do_sample": False, "logits_processor": processors}
    speculation = None
    if sources is not None:
        known = {"tokenizer": Cutter(tokens), "vocabulary": vocabulary}
        speculation = Speculation(sources=sources, cost_slope=slope, fallback=False, **known)
        if kept is not None:
            speculation = kept.setdefault(way, speculation)
        options["custom_generate"] = speculation
    elif way == "lookup":
        options["prompt_lookup_num_tokens"] = 10
    forwards = [0]
    hook = model.register_forward_pre_hook(lambda *_: forwards.__setitem__(0, forwards[0] + 1))
    started = time.perf_counter()
    out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), **options)
    seconds = time.perf_counter() - started
    hook.remove()
    assert out[0, len(prompt) :].tolist() == text, f"{way} wrote another text"
    return len(text), forwards[0], seconds, speculation and speculation.stats


def fits(case: Case, vocabulary: Any, tokens: Tokens) -> bool:
    """Whether the recorded text is in its grammar and not too long."""
    ids = tokens.cut(case.text)
    if not 4 <= len(ids) <= LONGEST:
        return False
    if case.grammar is None:
        return True
    try:
        matcher = bridle.Matcher(bridle.compile(case.grammar, vocabulary))
        return matcher.validate_tokens([*ids, tokens.stop]) == len(ids) + 1
    except bridle.BridleError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="MaskBench's rows; default: the committed corpus")
    parser.add_argument("--tokens", help="Llama-3's tiktoken file; default: Mistral's Tekken")
    parser.add_argument("--text", default="json,tools,retrieval,quote,random,strings")
    parser.add_argument("--only", default="plain,none,forced,trie,reference,draft model,forced+trie,all,lookup")
    parser.add_argument("--number", type=int, default=200, help="texts of each kind")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--slope", type=float, help="what a token more in a forward costs; default: measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="one Speculation for all texts of a row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokens = llama3(options.tokens) if options.tokens else tekken()
    vocabulary = bridle.Vocabulary(tokens.tokens, stop_token_ids=[tokens.stop])
    model = replay(len(tokens.tokens), options.width, options.layers, tokens.stop)
    small = replay(len(tokens.tokens), max(64, options.width // 4), max(1, options.layers // 4), tokens.stop)
    small.errors = ERRORS
    rows = read_rows(options.data) if options.data else list(corpus())
    texts = {"json": json_cases(rows, options.seed), "tools": tool_cases(options.seed),
             "retrieval": retrieval_cases(options.seed, 3), "quote": retrieval_cases(options.seed, 1),
             "random": random_cases(options.seed), "strings": random_cases(options.seed, as_json=True)}  # fmt: skip
    ways = options.only.split(",")
    print("| text | drafts | texts | tokens | tokens a forward | time | drafting, us a step | right / drafted | by |")
    print("|---|---|--:|--:|--:|--:|--:|--:|---|")
    for name in options.text.split(","):
        if name == "box":
            compare_box(options.slope)
            continue
        cases = list(chosen(texts[name], options.number, vocabulary, tokens))
        compare(name, cases, ways, model, vocabulary, tokens, small, options)


THINGS = ("person", "customer", "dog", "book", "city", "product", "recipe", "song", "team", "movie")
RECORD = {
    "type": "object",
    "properties": {
        "name": {"type": "string"}, "id": {"type": "integer"}, "active": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
        "address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                    "required": ["street", "city"], "additionalProperties": False},
        "email": {"type": "string"},
    },
    "required": ["name", "id", "active", "address", "email"],
    "additionalProperties": False,
}  # fmt: skip


def compare_box(slope: float | None) -> None:
    """The model in the box, whose texts are its own."""
    model, tokenizer = hf.load()
    compiled = bridle.compile(bridle.Grammar.from_json_schema(RECORD), hf.vocabulary_of(model, tokenizer))
    kept = Speculation(tokenizer=tokenizer, cost_slope=slope)
    total = {way: [0, 0, 0.0] for way in ("plain", "fresh", "kept")}
    for round_ in range(2):  # the first is for what is made once
        for thing in THINGS:
            speculations: dict[str, Any] = {
                "plain": False, "fresh": Speculation(tokenizer=tokenizer, cost_slope=slope), "kept": kept,
            }  # fmt: skip
            texts = set()
            for way, speculation in speculations.items():
                if way == "kept" and not round_:
                    continue
                prompt, started = f"Describe a {thing} as JSON:\n", time.perf_counter()
                result = hf.generate(model, tokenizer, prompt, compiled, max_new_tokens=200, speculate=speculation)[0]
                if round_:
                    total[way][2] += time.perf_counter() - started
                    total[way][0] += result.stats.tokens
                    total[way][1] += result.stats.forwards
                texts.add(result.text)
            assert len(texts) == 1, "speculation has changed a text"
    for way, (n, forwards, seconds) in total.items():
        ratio = seconds / total["plain"][2]
        print(f"| box | {way} | {len(THINGS)} | {n} | {n / forwards:.2f} | {ratio:.2f} | | | |", flush=True)


def chosen(cases: Iterator[Case], n: int, vocabulary: Any, tokens: Tokens) -> Iterator[Case]:
    for case in cases:
        if n == 0:
            return
        if fits(case, vocabulary, tokens):
            n -= 1
            yield case


def compare(
    name: str, cases: list[Case], ways: list[str], model: Replay, vocabulary: Any, tokens: Tokens, small: Replay,
    options: argparse.Namespace,
) -> None:  # fmt: skip
    total = {way: [0, 0, 0.0] for way in ways}
    drafts: dict[str, Counter[str]] = {way: Counter() for way in ways}
    kept: dict[str, Speculation] | None = {} if options.keep else None
    for way in ways:  # what is made once
        decode(model, cases[0], way, vocabulary, tokens, small, options.slope, None)
    gc.collect()
    for case in cases:
        for way in ways:  # in turn, so that what else runs on the machine meets all alike
            *counts, stats = decode(model, case, way, vocabulary, tokens, small, options.slope, kept)
            for i, count in enumerate(counts):
                total[way][i] += count
            if stats is not None and kept is None:
                drafts[way].update(steps=stats.steps, drafted=stats.drafted, accepted=stats.accepted, us=stats.draft_us)
                drafts[way].update({f"by {source}": n for source, n in stats.by_source.items()})
    for way in ways:
        n, forwards, seconds = total[way]
        ratio = f"{seconds / total['plain'][2]:.2f}" if "plain" in total else f"{seconds:.1f} s"
        seen = drafts[way]
        by = ", ".join(f"{key[3:]} {n}" for key, n in sorted(seen.items()) if key.startswith("by "))
        print(
            f"| {name} | {way} | {len(cases)} | {n} | {n / forwards:.2f} | {ratio} | "
            f"{seen['us'] / max(1, seen['steps']):.0f} | {seen['accepted']} / {seen['drafted']} | {by} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
