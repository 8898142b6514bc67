"""Speculative decoding writes what plain decoding writes, whatever is drafted; and what it refuses it names.

Tiny models with random weights, which are hard to predict, and the model in the box, which is easy to; and drafts that
are right, wrong or mischievous.
"""

from __future__ import annotations

import copy
import functools
import itertools
import re
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, LogitsProcessor, StopStringCriteria, TextStreamer

import bridle
import naive_drafts
from bridle.integrations.hf import ConflictError, GrammarLogitsProcessor, Speculation, generate, load, vocabulary_of
from bridle.speculative.draft_model import DraftModelSource
from bridle.speculative.draft_tree import DraftTree
from bridle.speculative.heads import HeadsSource
from bridle.speculative.history import ReferenceSource, SuffixSource, TrieSource
from bridle.speculative.sources import DraftContext, Request
from bridle.speculative.text_cutting import unspaced
from bridle.speculative.tree_attention import UnfitModelError, rope_change

torch.set_num_threads(1)

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["cat", "dog"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 3},
        "at": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]},
    },
    "required": ["name", "kind", "at"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"},
                   "address": {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]}},
    "required": ["name", "age", "city", "address"],
}  # fmt: skip
WORDS = r"(red|green|blue)( (fox|dog|owl)){1,3}\."
PROMPT = "Describe a pet as JSON:\n"


@functools.cache
def box() -> Any:
    return load()


@functools.cache
def tiny(kind: str = "llama", implementation: str = "sdpa", **more: Any) -> Any:
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(box()[1]), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.2,
        "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    config = transformers.AutoConfig.for_model(kind, **sizes | more)
    return AutoModelForCausalLM.from_config(config, attn_implementation=implementation).eval()


@functools.cache
def compiled(which: str = "schema", model: Any = None) -> Any:
    grammar = bridle.Grammar.from_json_schema(SCHEMA) if which == "schema" else bridle.Grammar.from_regex(which)
    return bridle.compile(grammar, vocabulary_of(model or box()[0], box()[1]))


class Guesses:
    """A source that drafts trees of random tokens, of the alphabet and beyond, some of them right."""

    name = "guesses"

    def __init__(self, tokens: list[int] | None = None, seed: int = 0) -> None:
        self._tokens, self._rng = tokens, np.random.default_rng(seed)

    def begin(self, request: Any) -> Guesses:
        return self

    def propose(self, context: Any, budget: int) -> DraftTree:
        n = int(self._rng.integers(0, min(budget, 12)))
        drafted = self._rng.integers(0, len(box()[1]), n) if self._tokens is None else self._rng.choice(self._tokens, n)
        parent = [int(self._rng.integers(-1, i)) if i else -1 for i in range(n)]
        return DraftTree.of(drafted.tolist(), parent, [0.99] * n)

    def observe(self, tokens: Any) -> None: ...

    def end(self) -> None: ...


class Everything(Guesses):
    """Drafts each of some tokens, and each of them again behind each."""

    name = "everything"

    def propose(self, context: Any, budget: int) -> DraftTree:
        n = len(self._tokens)
        parents = [-1] * n + [i for i in range(n) for _ in range(n)]
        return DraftTree.of(self._tokens * (n + 1), parents, [0.5] * len(parents))


class Oracle(Guesses):
    """Drafts what a plain run has written, with wrong siblings at every place."""

    name = "oracle"

    def __init__(self, right: list[int], lead: int = 5) -> None:
        super().__init__()
        self._right, self._lead = right, lead

    def propose(self, context: Any, budget: int) -> DraftTree:
        at = len(context.tokens) - context.prompt_length
        tokens, parents, last = [], [], -1
        for token in self._right[at : at + self._lead]:
            tokens += [(token + 1) % 4000, token]
            parents += [last, last]
            last = len(tokens) - 1
        return DraftTree.of(tokens, parents, [0.9] * len(tokens))


def spoken(**options: Any) -> Speculation:
    return Speculation(**{"tokenizer": box()[1], "fallback": False, "cost_slope": 0.001} | options)


def both(model: Any, grammar: Any, speculation: Speculation, prompt: Any = PROMPT, **options: Any) -> tuple[Any, Any]:
    """The results of plain and of speculative decoding."""
    tokenizer = box()[1]
    plain = generate(model, tokenizer, prompt, grammar, **{"max_new_tokens": 60} | options)
    drafted = generate(model, tokenizer, prompt, grammar, speculate=speculation, **{"max_new_tokens": 60} | options)
    return plain, drafted


def ids_of(results: Any) -> list[list[int]]:
    return [result.token_ids for result in results]


# ---------------------------------------------------------------------------------------------- lossless


@pytest.mark.parametrize("grammar", ["schema", WORDS])
@pytest.mark.parametrize(
    ("kind", "implementation", "more"),
    [
        ("llama", "sdpa", {}),
        ("llama", "eager", {}),
        ("qwen2", "sdpa", {}),
        ("mistral", "sdpa", {"sliding_window": 8}),
        ("gemma", "eager", {}),
        ("gemma3_text", "sdpa", {"sliding_window": 8}),
    ],
)
def test_greedy_texts_are_those_without_drafts(kind: str, implementation: str, more: Any, grammar: str) -> None:
    model = tiny(kind, implementation, **more)
    speculation = spoken()
    for _ in range(2):  # the second time the trie knows the text
        plain, drafted = both(model, compiled(grammar), speculation)
        assert ids_of(drafted) == ids_of(plain)
    assert drafted[0].stats.forwards < plain[0].stats.forwards
    assert speculation.stats.accepted > 0


def test_greedy_texts_of_the_box_take_few_forwards() -> None:
    speculation, grammar = spoken(), bridle.Grammar.from_json_schema(PERSON)
    plain, drafted = both(box()[0], grammar, speculation, "Describe a person as JSON:\n", max_new_tokens=120)
    assert drafted[0].text == plain[0].text
    assert drafted[0].complete
    assert drafted[0].stats.tokens >= 2 * drafted[0].stats.forwards
    assert speculation.stats.by_source.get("forced", 0) > 0


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"top_p": 0.8, "temperature": 1.3}, {"top_k": 5}])
def test_sampled_texts_are_those_without_drafts_for_the_same_seed(options: dict[str, Any]) -> None:
    speculation = spoken()
    for seed in range(3):
        plain, drafted = both(box()[0], compiled(), speculation, seed=seed, **options)
        assert ids_of(drafted) == ids_of(plain)


@pytest.mark.parametrize("temperatures", [(0.0, 5.0), (9.0, 0.1)])
def test_parts_have_their_temperatures_with_drafts_too(temperatures: tuple[float, float]) -> None:
    first, second = (
        bridle.Grammar.from_regex(pattern).with_temperature(temperature)
        for pattern, temperature in zip(("[a-p]{4}", "[0-9]{4}"), temperatures, strict=True)
    )
    c = bridle.compile(first + second, compiled(WORDS).vocabulary)
    for seed in range(4):
        plain, drafted = both(tiny(), c, spoken(), seed=seed)
        assert ids_of(drafted) == ids_of(plain)


def test_a_budget_that_only_a_draft_meets_is_none_of_the_texts() -> None:
    grammar = bridle.Grammar.from_regex("the object that was asked for: ") + bridle.Grammar.from_json_schema(
        {"type": "object", "properties": {f"name {i}": {} for i in range(40)}}
    )
    c = bridle.compile(grammar, compiled(WORDS).vocabulary, limits=bridle.Limits(states=50))
    plain, drafted = both(tiny(), c, spoken(), max_new_tokens=3, budget=False)
    assert ids_of(drafted) == ids_of(plain)


@pytest.mark.parametrize("seed", range(4))
def test_drafts_of_nonsense_change_nothing(seed: int) -> None:
    letters = [i for i, text in enumerate(compiled(WORDS).vocabulary.tokens) if re.fullmatch(rb"[a-z ]{1,3}", text)]
    speculation = spoken(sources=[Guesses(letters, seed)])
    plain, drafted = both(tiny(), compiled(WORDS), speculation)
    assert ids_of(drafted) == ids_of(plain)
    assert speculation.stats.forbidden > 0


@pytest.mark.parametrize("lead", [1, 3, 9])
def test_an_oracle_is_followed_as_far_as_it_goes(lead: int) -> None:
    plain = generate(tiny(), box()[1], PROMPT, compiled(), max_new_tokens=48)[0]
    speculation = spoken(sources=[Oracle(plain.token_ids, lead)])
    _, drafted = both(tiny(), compiled(), speculation, max_new_tokens=48)
    assert drafted[0].token_ids == plain.token_ids
    steps = drafted[0].stats.forwards
    assert steps <= 1 + -(-len(plain.token_ids) // (lead + 1)) + 2
    assert speculation.stats.wasted == speculation.stats.drafted - speculation.stats.accepted > 0


@pytest.mark.parametrize("budget", [1, 2, 7, 20])
def test_the_token_budget_is_kept_to_the_token(budget: int) -> None:
    plain, drafted = both(box()[0], compiled(), spoken(), max_new_tokens=budget, budget=False)
    assert ids_of(drafted) == ids_of(plain)
    assert len(drafted[0].token_ids) <= budget


def test_every_processor_sees_every_prefix_once_in_order() -> None:
    class Watch(LogitsProcessor):
        def __init__(self) -> None:
            self.seen: list[list[int]] = []

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            self.seen.append(input_ids[0].tolist())
            return scores - 0.1 * len(self.seen) * torch.nn.functional.one_hot(input_ids[0, -1], scores.shape[1])

    seen = []
    for speculate in (False, spoken()):
        watch = Watch()
        options = {"logits_processor": [watch], "repetition_penalty": 1.2, "max_new_tokens": 40}
        text = generate(box()[0], box()[1], PROMPT, compiled(), speculate=speculate, seed=3, **options)[0].text
        seen.append((watch.seen, text))
    assert seen[0] == seen[1]


def test_stop_strings_end_the_text_where_plain_decoding_ends_it() -> None:
    model, inputs = box()[0], box()[1](PROMPT, return_tensors="pt")
    options = {"stopping_criteria": [StopStringCriteria(box()[1], ['kind"'])], "max_new_tokens": 60}
    outs = [
        model.generate(**inputs, logits_processor=[GrammarLogitsProcessor(compiled())], **options, **more).tolist()
        for more in ({}, {"custom_generate": spoken()})
    ]
    assert outs[0] == outs[1]
    assert len(outs[0][0]) < inputs["input_ids"].shape[1] + 60


def test_a_batch_without_a_seed_draws_anew_each_time() -> None:
    texts = [[r.text for r in generate(box()[0], box()[1], [PROMPT] * 3, compiled(), speculate=True, do_sample=True)]
             for _ in range(2)]  # fmt: skip
    assert len({text for row in texts for text in row}) > 3


def test_sampling_follows_the_models_own_distribution() -> None:
    """Chi-square over all texts of a grammar, with temperature and top-p, drafts right and wrong at every place."""
    model, pattern, temperature = tiny(), "[abc]{2}", 1.5
    c = compiled(pattern)
    wanted = exact_distribution(model, c, temperature)
    letters = [i for i, text in enumerate(c.vocabulary.tokens) if re.fullmatch(b"[abc]{1,2}", text)]
    speculation, counts, n = spoken(sources=[Everything(letters)]), Counter(), 1200
    ids, processor = box()[1]("Say:", return_tensors="pt"), GrammarLogitsProcessor(c)
    torch.manual_seed(11)
    options = {"do_sample": True, "temperature": temperature, "top_k": 0, "max_new_tokens": 8}
    for _ in range(n // 100):
        many = {name: tensor.expand(100, -1) for name, tensor in ids.items()}
        out = model.generate(
            **many, logits_processor=[processor], custom_generate=speculation, pad_token_id=2, **options
        )
        counts.update(tuple(t for t in row if t not in (1, 2)) for row in out[:, ids["input_ids"].shape[1] :].tolist())
    assert set(counts) <= set(wanted)
    large = [text for text in wanted if n * wanted[text] >= 5]
    terms = [(counts[text], n * wanted[text]) for text in large]
    rest = n - sum(count for count, _ in terms), n - sum(mean for _, mean in terms)
    statistic = sum((count - mean) ** 2 / mean for count, mean in [*terms, rest] if mean > 0)
    freedom = len(large)
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5, (statistic, freedom)
    assert speculation.stats.accepted > n // 4


@torch.inference_mode()
def exact_distribution(model: Any, c: Any, temperature: float) -> dict[tuple[int, ...], float]:
    """Probability of every token sequence of a finite grammar under masked decoding."""
    prompt, found = box()[1]("Say:")["input_ids"], {}

    def go_on(ids: tuple[int, ...], p: float, matcher: Any) -> None:
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, -1].float()
        bitmask = bridle.allocate_token_bitmask(1, c.vocabulary.size)
        matcher.fill_next_token_bitmask(bitmask)
        bridle.sampler.apply_token_bitmask_inplace(logits, bitmask[0])
        shares = (logits / temperature).softmax(-1)
        for token in torch.nonzero(shares).flatten().tolist():
            after = matcher.fork()
            assert after.accept_token(token)
            if after.is_terminated():
                found[ids] = p * float(shares[token])
            else:
                go_on((*ids, token), p * float(shares[token]), after)

    go_on((), 1.0, bridle.Matcher(c))
    assert sum(found.values()) == pytest.approx(1, abs=1e-4)
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_in_half_precision_texts_part_only_where_two_tokens_are_all_but_equal(dtype: torch.dtype) -> None:
    """A wider forward rounds otherwise; where the two best logits are farther apart than that, nothing changes."""
    model = copy.deepcopy(tiny()).to(dtype)
    prompt = box()[1](PROMPT)["input_ids"]
    for which in ("schema", WORDS):
        plain, drafted = both(model, compiled(which), spoken(sources=[Guesses()]), max_new_tokens=50)
        one, other = plain[0].token_ids, drafted[0].token_ids
        parted = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), None)
        if parted is None:
            assert one == other
            continue
        logits = model(torch.tensor([prompt + one[:parted]])).logits[0, -1].float()
        apart = abs(float(logits[one[parted]] - logits[other[parted]]))
        assert apart <= 8 * torch.finfo(dtype).eps * float(logits.abs().max()), (which, parted, apart)


# ---------------------------------------------------------------------------------------------- batches


def test_rows_of_a_batch_have_grammars_and_paces_of_their_own() -> None:
    grammars = [compiled(), compiled(WORDS), compiled("[0-9]{3,9}"), compiled()]
    prompts = [PROMPT, "Say a few words, any words:", "", "{"]
    for model in (box()[0], tiny("mistral", "eager", sliding_window=8)):
        speculation = spoken()
        plain, drafted = both(model, grammars, speculation, prompts, max_new_tokens=70)
        assert ids_of(drafted) == ids_of(plain)
        assert drafted[0].stats.forwards < plain[0].stats.forwards


def test_a_sampled_row_does_not_depend_on_what_is_drafted() -> None:
    prompts, options = [PROMPT, "{", "A dog:"], {"seed": 4, "max_new_tokens": 50}
    runs = [
        ids_of(generate(box()[0], box()[1], prompts, compiled(), speculate=speculation, **options))
        for speculation in (spoken(sources=()), spoken(), spoken(sources=[Guesses()]))
    ]
    assert runs[0] == runs[1] == runs[2]


def test_return_sequences_are_rows_like_others() -> None:
    results = generate(
        box()[0], box()[1], [PROMPT, "x"], [compiled(), compiled(WORDS)], seed=1, num_return_sequences=3,
        speculate=spoken(), max_new_tokens=80,
    )  # fmt: skip
    assert len(results) == 6
    assert len({result.text for result in results[:3]}) > 1
    assert all(re.fullmatch(WORDS, result.text) for result in results[3:])


# ---------------------------------------------------------------------------------------------- ways of use


def test_true_is_enough() -> None:
    result = generate(box()[0], box()[1], PROMPT, bridle.Grammar.from_json_schema(SCHEMA), speculate=True)[0]
    assert result.complete
    assert result.stats.drafts.accepted > 0
    assert result.stats.forwards < result.stats.tokens


def test_text_without_a_grammar_is_copied_from_what_was_seen() -> None:
    model, inputs = box()[0], box()[1](PROMPT, return_tensors="pt")
    speculation = spoken(sources=[TrieSource(), SuffixSource()])
    plain = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    for _ in range(2):
        before = speculation.stats.steps
        drafted = model.generate(**inputs, max_new_tokens=60, do_sample=False, custom_generate=speculation)
        assert drafted.tolist() == plain.tolist()
    assert speculation.stats.steps - before <= 12


def test_references_are_quoted() -> None:
    quotation = "red fox dog owl."
    plain, drafted = both(tiny(), compiled(re.escape(quotation)), spoken(sources=[ReferenceSource([quotation])]))
    assert ids_of(drafted) == ids_of(plain)
    assert Speculation(references=["a text"], tokenizer=box()[1])._drafter.names[-1] == "reference"
    with pytest.raises(ValueError, match="ReferenceSource"):
        Speculation(sources=[], references=["a text"])


def test_a_streamer_gets_each_token_when_it_is_decided(capsys: pytest.CaptureFixture[str]) -> None:
    streamer = TextStreamer(box()[1], skip_prompt=True)
    result = generate(box()[0], box()[1], PROMPT, compiled(), streamer=streamer, speculate=True)[0]
    assert capsys.readouterr().out.removesuffix("\n").removesuffix("<|eos|>") == result.text


def test_a_dictionary_of_outputs_has_sequences() -> None:
    inputs = box()[1](PROMPT, return_tensors="pt")
    options = {"max_new_tokens": 9, "return_dict_in_generate": True, "custom_generate": spoken()}
    assert box()[0].generate(**inputs, **options).sequences.shape[1] == inputs["input_ids"].shape[1] + 9
    with pytest.raises(ValueError, match="output_scores"):
        box()[0].generate(**inputs, output_scores=True, **options)


def test_statistics_add_up() -> None:
    speculation = spoken()
    result = generate(box()[0], box()[1], PROMPT, compiled(), speculate=speculation)[0]
    stats = speculation.stats
    assert stats.steps == result.stats.forwards - 1
    assert stats.accepted + stats.steps + 1 == result.stats.tokens
    assert sum(stats.by_source.values()) == stats.accepted
    assert sum(stats.proposed_by.values()) == stats.drafted
    assert stats.draft_us > 0


# ---------------------------------------------------------------------------------------------- refusals


def flexible() -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(tiny().config)).eval()
    model.config._attn_implementation_internal = "flex_attention"
    return model


def test_what_cannot_be_verified_is_decoded_plainly_and_says_why() -> None:
    model = box()[0]
    inputs = box()[1](PROMPT, return_tensors="pt")
    options = {"max_new_tokens": 20, "do_sample": False}
    plain = model.generate(**inputs, **options)
    for more, reason in (
        ({"cache_implementation": "static"}, "static cache"),
        ({"use_cache": False}, "without a cache"),
    ):
        speculation = Speculation(tokenizer=box()[1])
        with pytest.warns(UserWarning, match=reason):
            drafted = model.generate(**inputs, **options, **more, custom_generate=speculation)
        assert drafted.tolist() == plain.tolist()
        assert reason in str(speculation.fallback_reason)
        with pytest.raises(UnfitModelError, match=reason):
            model.generate(**inputs, **options, **more, custom_generate=spoken())


def test_positions_that_change_with_the_length_of_a_text_are_refused_where_it_may_come_there() -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "original_max_position_embeddings": 40}
    longrope = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    phi = tiny("phi3", original_max_position_embeddings=40, max_position_embeddings=160,
               rope_parameters=Frozen(longrope))  # fmt: skip
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    llama = tiny("llama", max_position_embeddings=40, rope_parameters=Frozen(dynamic))
    for model, kind in ((phi, "longrope"), (llama, "dynamic")):
        for length, most, fits in ((9, 31, True), (9, 32, False), (60, 30, kind == "longrope")):
            ids = torch.tensor([[(7 * i + 3) % 999 for i in range(length)]])
            options = {"max_new_tokens": most, "do_sample": False, "eos_token_id": None}
            plain = model.generate(ids, **options)
            options["custom_generate"] = spoken(sources=[Guesses(), Oracle(plain[0, length:].tolist())])
            if fits:
                assert model.generate(ids, **options).tolist() == plain.tolist()
                continue
            with pytest.raises(UnfitModelError, match=f"{kind}' change behind 40 tokens"):
                model.generate(ids, **options)
    assert rope_change(tiny().config, 0, None) is None
    c = compiled("(x|y)the quick brown fox(e|f)jumps over the lazy dog[a-z]{12}", llama)
    plain, runs = (generate(llama, box()[1], PROMPT, c, max_new_tokens=40, runs=runs) for runs in (False, True))
    assert ids_of(runs) == ids_of(plain)
    assert runs[0].stats.forwards == plain[0].stats.forwards
    plain, runs = (generate(llama, box()[1], "x", c, max_new_tokens=30, runs=runs) for runs in (False, True))
    assert ids_of(runs) == ids_of(plain)
    assert runs[0].stats.forwards < plain[0].stats.forwards


class Frozen(dict[str, Any]):
    """An option of `tiny`, which remembers the models of its options."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(str(self))


def test_attention_that_ignores_masks_is_refused_before_a_token_is_written() -> None:
    with pytest.raises(UnfitModelError, match="flex_attention"):
        generate(flexible(), box()[1], PROMPT, compiled(), speculate=spoken())


def test_a_tokenizer_that_has_padded_or_truncated_before_cuts_whole_texts() -> None:
    tokenizer, text = copy.deepcopy(box()[1]), "a text of more than three tokens, and of fewer than sixty-four"
    encode, whole = spoken(tokenizer=tokenizer)._encoder(), tokenizer.encode(text, add_special_tokens=False)
    for options in ({"max_length": 3, "truncation": True}, {"max_length": 64, "padding": "max_length"}):
        tokenizer(text, **options)
        assert encode(text) == whole


def test_what_tokens_spell_is_known_by_the_grammar_the_vocabulary_or_the_tokenizer() -> None:
    vocabulary = compiled().vocabulary
    wanted = unspaced(vocabulary.tokens).tolist()
    assert wanted[vocabulary.tokens.index(b" name")] == vocabulary.tokens.index(b"name")
    grammar = GrammarLogitsProcessor(compiled())
    for options, processors in (({}, []), ({"tokenizer": None, "vocabulary": vocabulary}, []), ({}, [grammar])):
        found = spoken(**options)._unspaced(processors)
        assert found is not None
        assert found.tolist() == wanted[: len(found)]
    for tokenizer in (None, object()):
        assert spoken(tokenizer=tokenizer)._unspaced([]) is None


def test_beams_are_refused() -> None:
    with pytest.raises(ValueError, match="beam search"):
        generate(tiny(), box()[1], PROMPT, compiled(WORDS), speculate=spoken(), num_beams=3)


def test_a_processor_that_overrules_the_grammar_is_a_conflict() -> None:
    class Only(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            forced = torch.full_like(scores, -torch.inf)
            forced[:, 77] = 0
            return forced

    inputs = box()[1](PROMPT, return_tensors="pt")
    before = [Only(), GrammarLogitsProcessor(compiled(WORDS))]
    for processors in (before, before[::-1]):
        with pytest.raises(ConflictError):
            box()[0].generate(**inputs, logits_processor=processors, custom_generate=spoken(), max_new_tokens=5)


def test_every_refusal_is_before_the_warning_filter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert generate(box()[0], box()[1], PROMPT, compiled(), speculate=True)[0].complete


def test_random_seeds_and_drafts_agree_with_plain_decoding() -> None:
    speculation = spoken()
    for seed, budget in itertools.product(range(5), (11, 33)):
        plain, drafted = both(tiny(), compiled(WORDS), speculation, seed=seed, max_new_tokens=budget)
        assert ids_of(drafted) == ids_of(plain)


# ---------------------------------------------------------------------------------------------- models that draft


@pytest.mark.parametrize("drafting", ["itself", "another"])
@pytest.mark.parametrize("which", ["schema", None])
def test_a_model_drafts_for_another(drafting: str, which: str | None) -> None:
    target = box()[0]
    source = DraftModelSource(target if drafting == "itself" else tiny("llama", "eager"), depth=4)
    speculation = spoken(sources=[source])
    inputs = box()[1](PROMPT, return_tensors="pt")
    processors = [] if which is None else [GrammarLogitsProcessor(compiled(which))]
    options = {"max_new_tokens": 60, "do_sample": False, "logits_processor": processors}
    plain = target.generate(**inputs, **options)
    drafted = target.generate(**inputs, **options, custom_generate=speculation)
    assert drafted.tolist() == plain.tolist()
    if drafting == "itself":
        assert speculation.stats.accepted >= 16  # then it is found to cost as much as it saves


def test_the_small_model_stops_sooner_after_it_was_wrong_and_goes_on_where_the_text_went() -> None:
    small = tiny("llama", "eager", num_hidden_layers=1, initializer_range=0.1)
    source = DraftModelSource(small, confidence=0.3)
    stream = source.begin(Request(np.array([5, 6, 7], np.int32)))
    text = [5, 6, 7]
    for step in range(6):
        draft = stream.propose(DraftContext(np.array(text, np.int32), 3), 32)
        draft.verify()
        with torch.inference_mode():
            best = int(small(torch.tensor([text])).logits[0, -1].argmax())
        assert int(draft.tokens[0]) == best
        is_right, before = bool(step % 2), source.threshold
        new = [*draft.tokens[draft.score >= 0][:1].tolist(), 9 + step] if is_right else [3 + step]
        assert (len(new) > 1) == is_right
        text += new
        stream.observe(new)
        assert (source.threshold < before) == is_right


def test_a_draft_model_with_another_vocabulary_is_refused() -> None:
    other = tiny(vocab_size=300)
    with pytest.raises(bridle.VocabularyError, match="300"):
        generate(tiny(), box()[1], PROMPT, compiled(), speculate=spoken(sources=[DraftModelSource(other)]))

    class Tokenizer:
        def __init__(self, words: dict[str, int]) -> None:
            self.get_vocab = lambda: words

    with pytest.raises(bridle.VocabularyError, match="another vocabulary"):
        DraftModelSource(other, tokenizer=Tokenizer({"a": 0}), target_tokenizer=Tokenizer({"b": 0}))
    same = Tokenizer({"a": 0})
    DraftModelSource(other, tokenizer=same, target_tokenizer=same).check_target(tiny())


def test_a_draft_model_is_an_option_of_the_default_sources() -> None:
    speculation = Speculation(draft_model=tiny(), tokenizer=box()[1])
    assert speculation._drafter.names == ["forced", "trie", "suffix", "draft model"]
    with pytest.raises(ValueError, match="DraftModelSource"):
        Speculation(sources=[], draft_model=tiny())


@pytest.mark.parametrize("as_modules", [False, True])
def test_heads_draft_from_the_state_that_the_last_token_was_chosen_from(as_modules: bool) -> None:
    model = tiny()
    plain = generate(model, box()[1], PROMPT, compiled(), max_new_tokens=40)[0]
    with torch.inference_mode():
        ids = torch.tensor([box()[1](PROMPT)["input_ids"] + plain.token_ids])
        states = model(ids, output_hidden_states=True).hidden_states[-1][0]
    start, asked = ids.shape[1] - len(plain.token_ids), []

    def heads(hidden: torch.Tensor) -> torch.Tensor:
        at = int((states - hidden).abs().amax(1).argmin())  # of the token before the last
        asked.append(float((states[at] - hidden).abs().max()))
        logits = torch.zeros(3, model.config.vocab_size)
        for k, token in enumerate(plain.token_ids[at - start + 2 : at - start + 5]):
            logits[k, token] = 20.0
        return logits

    given = torch.nn.ModuleList([Head(heads, k) for k in range(3)]) if as_modules else heads
    speculation = spoken(sources=[HeadsSource(given, top=2)])
    drafted = generate(model, box()[1], PROMPT, compiled(), max_new_tokens=40, speculate=speculation)[0]
    assert drafted.token_ids == plain.token_ids
    assert max(asked) < 1e-4
    assert speculation.stats.accepted >= 2 * speculation.stats.steps


class Head(torch.nn.Module):
    """One of several heads."""

    def __init__(self, all_heads: Any, number: int) -> None:
        super().__init__()
        self.all_heads, self.number = all_heads, number

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.all_heads(hidden)[self.number]


def test_heads_are_combined_likeliest_first() -> None:
    logits = torch.tensor([[0.7, 0.25, 0.05], [0.5, 0.4, 0.1]]).log()
    context = DraftContext(np.array([1], np.int32), 1, hidden=torch.zeros(2))
    draft = HeadsSource(lambda hidden: logits, top=3).propose(context, 5)
    draft.verify()
    found = naive_drafts.paths(draft.tokens.tolist(), draft.parent.tolist())
    assert found == [(0,), (0, 0), (0, 1), (1,), (1, 0)]
    with pytest.raises(ValueError, match=r"\[heads, vocabulary\]"):
        HeadsSource(lambda hidden: logits[0]).propose(context, 5)
