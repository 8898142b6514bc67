"""The logits processor and `generate` inside all the loops of transformers, on tiny models with random weights.

A model that knows nothing is the hardest rider: without the grammar none of these texts would come out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LogitsProcessor, PreTrainedTokenizerFast, StoppingCriteria

import bridle
from bridle.integrations.hf import ConflictError, GrammarLogitsProcessor, generate, load, vocabulary_of
from tiny_models import (
    DIGITS,
    EOS,
    PAD,
    PAIR,
    START,
    WORDS,
    assert_sentences,
    compiled,
    llama,
    prompt,
    t5,
    texts_of,
    tokenizer,
)  # fmt: skip


def run(
    grammars: str | Sequence[str], prompts: dict[str, torch.Tensor] | None = None, model: Any = None, **options: Any
) -> list[str]:
    """Texts from `model.generate` with the processor for the patterns."""
    model, prompts = model or llama(), prompts or prompt("Say it:")
    c = compiled(grammars) if isinstance(grammars, str) else [compiled(g) for g in grammars]
    torch.manual_seed(0)
    options = {"max_new_tokens": 60, "do_sample": False} | options
    out = model.generate(**prompts, logits_processor=[GrammarLogitsProcessor(c)], **options)
    return texts_of(out, 1 if model.config.is_encoder_decoder else prompts["input_ids"].shape[1])


# ---------------------------------------------------------------------------------------------- loops


@pytest.mark.parametrize("pattern", [WORDS, DIGITS, PAIR])
def test_greedy_search_writes_a_sentence(pattern: str) -> None:
    assert_sentences(run(pattern), pattern)


@pytest.mark.parametrize("options", [{}, {"temperature": 3.0}, {"top_k": 3}, {"top_p": 0.3}, {"min_p": 0.5}])
def test_sampling_writes_sentences_whatever_the_warper(options: dict[str, Any]) -> None:
    texts = run(WORDS, do_sample=True, num_return_sequences=4, **options)
    assert_sentences(texts, WORDS)
    if not options:
        assert len(set(texts)) > 1


def test_every_row_of_a_batch_keeps_its_own_grammar_behind_padded_prompts() -> None:
    patterns = [WORDS, DIGITS, PAIR]
    assert_sentences(run(patterns, prompt("a", "a much longer prompt than the first", "")), patterns)


def test_return_sequences_multiply_the_rows_of_each_grammar() -> None:
    texts = run([WORDS, DIGITS], prompt("a", "b b b"), do_sample=True, num_return_sequences=3)
    assert_sentences(texts, [WORDS] * 3 + [DIGITS] * 3)


def test_padding_does_not_change_what_a_row_says() -> None:
    together = run([WORDS, PAIR], prompt("a", "a much longer prompt than the first"))
    assert together[1] == run(PAIR, prompt("a much longer prompt than the first"))[0]


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"length_penalty": 2.0}, {"early_stopping": True}])
def test_all_beams_write_sentences(options: dict[str, Any]) -> None:
    texts = run([WORDS, PAIR], prompt("a", "b b b"), num_beams=4, num_return_sequences=4, **options)
    assert_sentences(texts, [WORDS] * 4 + [PAIR] * 4)


def test_beam_search_finds_the_most_likely_sentence() -> None:
    sentences = ["red fox.", "red dog.", "blue owl.", "green fox."]
    pattern = "|".join(map(re.escape, sentences))
    processor, ids = GrammarLogitsProcessor(compiled(pattern)), prompt("Say it:")
    out = llama().generate(**ids, logits_processor=[processor], num_beams=16, max_new_tokens=30, length_penalty=0.0)
    best = texts_of(out, ids["input_ids"].shape[1])[0]
    assert best == max(sentences, key=lambda s: _best_spelling_score(pattern, s))


def _best_spelling_score(pattern: str, sentence: str) -> float:
    """The log-probability, by the model itself, of the sentence's most likely spelling in tokens."""
    vocabulary, start = vocabulary_of(llama(), tokenizer()), prompt("Say it:")["input_ids"][0].tolist()

    @functools.cache
    def best(done: int, ids: tuple[int, ...]) -> float:
        with torch.inference_mode():
            scores = llama()(torch.tensor([[*start, *ids]])).logits[0, -1].log_softmax(-1)
        rest = sentence.encode()[done:]
        if not rest:
            return float(scores[EOS])
        steps = [(i, t) for i, t in enumerate(vocabulary.tokens) if t and rest.startswith(t)]
        return max(float(scores[i]) + best(done + len(t), (*ids, i)) for i, t in steps)

    return best(0, ())


def test_beams_beyond_the_number_of_sentences_do_no_harm() -> None:
    texts = run("ab|cd", num_beams=6, num_return_sequences=2)
    assert set(texts) <= {"ab", "cd"}


def test_prompt_lookup_writes_what_greedy_search_writes() -> None:
    long = prompt("red fox dog owl. blue owl owl. green dog fox. red owl fox")
    assert run(WORDS, long, prompt_lookup_num_tokens=6) == run(WORDS, long)
    repeated = prompt('{"a": true, "b": 1} {"a": true, "b": 12} {"a": false')
    assert run(PAIR, repeated, prompt_lookup_num_tokens=8) == run(PAIR, repeated)


def test_assisted_decoding_writes_what_greedy_search_writes() -> None:
    for seed in (0, 1):  # a perfect assistant, and one that is mostly rejected
        assert run(PAIR, assistant_model=llama(seed)) == run(PAIR)
    assert_sentences(run(WORDS, assistant_model=llama(1), do_sample=True), WORDS)


@pytest.mark.parametrize("do_sample", [False, True])
def test_an_assistant_with_another_tokenizer_drafts_without_the_grammar_and_is_verified_inside_it(
    do_sample: bool,
) -> None:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        ['{"a": true, "b": '] * 9, trainers.BpeTrainer(special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    )
    other = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    options = {"assistant_model": llama(1, len(other)), "tokenizer": tokenizer(), "assistant_tokenizer": other}
    texts = run(PAIR, do_sample=do_sample, **options)
    assert_sentences(texts, PAIR)
    if not do_sample:
        assert texts == run(PAIR)


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 3}])
def test_an_encoder_decoders_prompt_is_its_start_token(options: dict[str, Any]) -> None:
    ids = tokenizer()(["a", "b c d e"], return_tensors="pt", padding=True)
    prompts = {"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"]}
    assert_sentences(run([WORDS, PAIR], prompts, t5(), **options), [WORDS, PAIR])


def test_a_cache_is_not_needed() -> None:
    assert run(PAIR, use_cache=False) == run(PAIR)


# ---------------------------------------------------------------------------------------------- rows that end


class StopsRow(StoppingCriteria):
    """Ends row 0 after some tokens, the way stop strings and time limits do."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        done = torch.zeros(len(input_ids), dtype=torch.bool)
        done[0] = input_ids.shape[1] >= self.length
        return done


def test_finished_rows_are_padded_while_others_go_on() -> None:
    long = r"(red|green|blue)( (fox|dog|owl)){12}\."
    texts = run(["ab", long, "cd"], prompt("x", "y", "z"))
    assert_sentences(texts, ["ab", long, "cd"])


@pytest.mark.parametrize("pad", [PAD, EOS])
def test_a_row_that_generate_ends_for_its_own_reasons_is_padded_too(pad: int) -> None:
    ids = prompt("x", "y")
    criteria = [StopsRow(ids["input_ids"].shape[1] + 2)]
    texts = run([r"[a-z]{40}", DIGITS], ids, stopping_criteria=criteria, pad_token_id=pad)
    assert re.fullmatch("[a-z]+", texts[0])
    assert_sentences(texts[1:], DIGITS)


def test_an_ended_row_never_raises_even_where_stop_tokens_are_suppressed() -> None:
    ended = [START, *tokenizer()("ab", add_special_tokens=False).input_ids, EOS]
    rows = [ended + [PAD] * n for n in (2, 2)]
    scores = torch.zeros(2, len(tokenizer()))
    scores[:, EOS] = -torch.inf
    processor = GrammarLogitsProcessor(compiled("ab"), prompt_length=1)
    assert torch.isfinite(processor(torch.tensor(rows), scores).amax(dim=-1)).all()


# ---------------------------------------------------------------------------------------------- conflicts


class Forbids(LogitsProcessor):
    """Forbids all tokens but one, or all of them."""

    def __init__(self, keep: int | None = None) -> None:
        self.keep = keep

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        out = torch.full_like(scores, -torch.inf)
        if self.keep is not None:
            out[:, self.keep] = 0.0
        return out


def test_min_new_tokens_beyond_the_longest_sentence_is_an_error_that_says_so() -> None:
    with pytest.raises(ConflictError, match=r"only a stop token can follow.*min_new_tokens"):
        run("ab", min_new_tokens=10)


def test_min_new_tokens_lengthens_a_sentence_that_can_grow() -> None:
    pattern = r"([0-9]{3})*"
    assert run(pattern, max_new_tokens=60, min_new_tokens=20)[0] != ""
    result = generate(llama(), tokenizer(), "a", compiled(pattern), min_new_tokens=20, seed=0, max_new_tokens=60)[0]
    assert len(result.token_ids) >= 20


def test_a_forced_token_outside_the_grammar_is_an_error() -> None:
    with pytest.raises(ConflictError, match="forced tokens"):
        run(DIGITS, forced_eos_token_id=EOS, max_new_tokens=1)


def test_a_processor_before_the_grammars_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(ConflictError, match="row 0: the grammar allows only"):
        llama().generate(
            **prompt("x"), logits_processor=[Forbids(), GrammarLogitsProcessor(compiled(WORDS))], max_new_tokens=3
        )


@pytest.mark.parametrize("keep", [None, 300])
def test_a_processor_behind_the_grammars_that_has_its_way_is_an_error_at_the_next_step(keep: int | None) -> None:
    processors = [GrammarLogitsProcessor(compiled(DIGITS)), Forbids(keep)]
    with pytest.raises(ConflictError, match="Put the grammar's processor last"):
        llama().generate(**prompt("x"), logits_processor=processors, do_sample=False, max_new_tokens=5)


def test_the_models_own_scores_are_left_alone() -> None:
    out = llama().generate(
        **prompt("x"),
        logits_processor=[GrammarLogitsProcessor(compiled(PAIR))],
        max_new_tokens=4,
        output_logits=True,
        output_scores=True,
        return_dict_in_generate=True,
    )
    assert all(torch.isfinite(step).all() for step in out.logits)
    assert all(torch.isinf(step).any() for step in out.scores)


def test_continuous_batching_which_hides_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="continuous batching"):
        GrammarLogitsProcessor(compiled(WORDS))(torch.zeros(3, dtype=torch.long), torch.zeros(3, len(tokenizer())))


def test_rows_that_the_grammars_do_not_divide_are_an_error() -> None:
    with pytest.raises(ValueError, match="3 rows are no multiple of the 2 grammars"):
        run([WORDS, DIGITS], prompt("x", "y", "z"))


def test_grammars_for_different_vocabularies_are_an_error() -> None:
    other = bridle.compile(bridle.Grammar.from_regex("a"), bridle.Vocabulary([b"a", b""], stop_token_ids=1))
    with pytest.raises(ValueError, match="one vocabulary"):
        GrammarLogitsProcessor([compiled(WORDS), other])


def test_ids_that_pad_the_models_vocabulary_are_never_chosen() -> None:
    wide = llama(3, vocab_size=len(tokenizer()) + 77)
    # Compiled for the narrow vocabulary: columns past the mask are forbidden all the same.
    assert_sentences(run(WORDS, model=wide, do_sample=True, temperature=50.0, num_return_sequences=4), WORDS)


# ---------------------------------------------------------------------------------------------- one instance, many uses


def once_more(processor: GrammarLogitsProcessor, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    return llama().generate(
        ids, attention_mask=torch.ones_like(ids), logits_processor=[processor], do_sample=False, **options
    )


@pytest.mark.parametrize("second", ["Say it!", "Say", "Say it: once more, and then once again, please", "Say it:"])
def test_an_instance_serves_a_second_generation(second: str) -> None:
    processor = GrammarLogitsProcessor(compiled(PAIR))
    for text in ("Say it:", second):
        ids = prompt(text)["input_ids"]
        out = once_more(processor, ids, max_new_tokens=40)
        assert_sentences(texts_of(out, ids.shape[1]), PAIR)


@pytest.mark.parametrize("more", [" once", " once more, and again", "!!!!!!!!!!!!"])
def test_an_instance_serves_a_prompt_that_goes_on_from_the_last_one(more: str) -> None:
    processor, pattern = GrammarLogitsProcessor(compiled(r"[0-9]{30}")), r"[0-9]{30}"
    for text in ("Say it:", "Say it:" + more):
        ids = prompt(text)["input_ids"]
        assert_sentences(texts_of(once_more(processor, ids, max_new_tokens=40), ids.shape[1]), pattern)


def test_an_instance_serves_a_conversation_whose_prompt_holds_the_last_answer() -> None:
    processor = GrammarLogitsProcessor(compiled(PAIR))
    first = once_more(processor, prompt("Say it:")["input_ids"], max_new_tokens=40)
    ids = torch.cat([first, tokenizer()("\nAnd again:", return_tensors="pt").input_ids], dim=1)
    assert_sentences(texts_of(once_more(processor, ids, max_new_tokens=40), ids.shape[1]), PAIR)


def test_an_instance_serves_another_number_of_rows() -> None:
    processor = GrammarLogitsProcessor(compiled(PAIR))
    for texts in (("a", "b c d"), ("a",), ("a", "b", "c")):
        ids = prompt(*texts)
        out = llama().generate(**ids, logits_processor=[processor], do_sample=False, max_new_tokens=40)
        assert_sentences(texts_of(out, ids["input_ids"].shape[1]), PAIR)


def test_a_prompt_that_is_the_last_output_is_continued_and_reset_begins_anew() -> None:
    processor, ids = GrammarLogitsProcessor(compiled(PAIR)), prompt("Say it:")["input_ids"]
    cut = once_more(processor, ids, max_new_tokens=3)
    whole = once_more(processor, cut, max_new_tokens=40)
    assert_sentences(texts_of(whole, ids.shape[1]), PAIR)
    cut = once_more(processor, ids, max_new_tokens=3)
    processor.reset()
    assert_sentences(texts_of(once_more(processor, cut, max_new_tokens=40), cut.shape[1]), PAIR)


def test_a_prompt_length_makes_the_rest_of_the_prompt_part_of_the_text() -> None:
    ids, begun = prompt("Say it:")["input_ids"], tokenizer()('{"a": tr', add_special_tokens=False).input_ids
    processor = GrammarLogitsProcessor(compiled(PAIR), prompt_length=ids.shape[1])
    out = once_more(processor, torch.cat([ids, torch.tensor([begun])], dim=1), max_new_tokens=40)
    text = texts_of(out, ids.shape[1])[0]
    assert text.startswith('{"a": true, "b": ')
    assert_sentences([text], PAIR)
    with pytest.raises(ValueError, match="fewer than the prompt_length"):
        processor(ids[:, 1:], torch.zeros(1, len(tokenizer())))


def test_states_are_kept_within_bounds_and_dropping_them_changes_nothing() -> None:
    from bridle.integrations.hf.prefix_states import PrefixStates

    states = PrefixStates([compiled(r"[a-z]*")])
    ids = np.full(300, tokenizer().convert_tokens_to_ids("a"), np.int64)
    for n in [*range(300), 5, 299, 0, 150]:
        state = states.at(0, ids[:n], capacity=7)
        assert state.refused is None
        assert len(states._known) <= 7
    assert states.at(0, np.array([EOS]), 7).ended
    assert states.at(0, np.array([EOS, PAD, PAD]), 7).ended
    assert states.at(0, np.array([5000]), 7).refused == 5000


def test_equal_prefixes_cost_one_mask() -> None:
    processor = GrammarLogitsProcessor(compiled(WORDS))
    processor(torch.zeros(8, 3, dtype=torch.long), torch.zeros(8, len(tokenizer())))
    assert processor.stats.masks == 1
    assert processor.stats.mask_us > 0


# ---------------------------------------------------------------------------------------------- generate


def test_generate_returns_a_complete_text_for_each_prompt() -> None:
    results = generate(llama(), tokenizer(), ["a", "b b b b b", ""], compiled(PAIR), max_new_tokens=60, runs=False)
    assert_sentences([r.text for r in results], PAIR)
    assert all(r.complete and r.token_ids[-1] == EOS for r in results)
    stats = results[0].stats
    assert stats.tokens == sum(len(r.token_ids) for r in results)
    assert stats.forwards == max(len(r.token_ids) for r in results)
    assert stats.masks >= stats.forwards
    assert stats.mask_us > 0


def test_generate_takes_grammars_that_are_not_compiled_and_one_per_prompt() -> None:
    grammars = [bridle.Grammar.from_regex(WORDS), compiled(DIGITS)]
    results = generate(llama(), tokenizer(), ["a", "b"], grammars, num_return_sequences=2, seed=1)
    assert_sentences([r.text for r in results], [WORDS] * 2 + [DIGITS] * 2)
    with pytest.raises(ValueError, match="2 grammars for 1 prompts"):
        generate(llama(), tokenizer(), "a", grammars)
    assert generate(llama(), tokenizer(), [], compiled(DIGITS)) == []


def test_special_tokens_that_a_grammar_names_are_generated_and_shown_by_name() -> None:
    grammar = bridle.Grammar.from_ebnf('root ::= <|bos|> "ab" <[2]> [c-d] <|bos|>')
    result = generate(llama(), tokenizer(), "", grammar, max_new_tokens=20)[0]
    assert result.complete and re.fullmatch(r"<\|bos\|>ab<\|pad\|>[cd]<\|bos\|>", result.text)
    assert bridle.validate(
        bridle.Grammar.from_ebnf('root ::= <|bos|> "ab" <|pad|> . <|bos|>'), result.text, as_generated=True
    )


def test_a_stop_token_that_a_grammar_names_last_ends_the_text() -> None:
    result = generate(llama(), tokenizer(), "", bridle.Grammar.from_ebnf('root ::= "ab" <|eos|>'), max_new_tokens=20)[0]
    assert result.complete and result.text == "ab" and result.token_ids.count(EOS) == 1


def test_a_text_that_is_cut_off_is_not_complete() -> None:
    result = generate(llama(), tokenizer(), "a", compiled(r"[a-z]{50}"), max_new_tokens=3, budget=False)[0]
    assert not result.complete
    assert len(result.token_ids) == 3


@pytest.mark.parametrize("options", [{}, {"seed": 1}, {"num_beams": 3}, {"prompt_lookup_num_tokens": 4}])
@pytest.mark.parametrize("n", [14, 15, 25])
def test_a_text_is_complete_when_its_budget_is_spent(n, options) -> None:
    # 13 characters and the stop token, if no token is several of them.
    grammar = compiled(r"\([a-z ]{11,400}\)|\[[0-9]{12,}\]")
    for result in generate(llama(), tokenizer(), "(b c", grammar, max_new_tokens=n, **options):
        assert result.complete and len(result.token_ids) <= n


def test_a_budget_that_no_text_fits_in_is_an_error_before_anything_is_generated() -> None:
    with pytest.raises(bridle.LimitError, match=r"max_tokens .* given, 2 allowed"):
        generate(llama(), tokenizer(), "a", compiled("[a-z]{200}"), max_new_tokens=2)


def test_a_text_that_nothing_but_its_end_can_follow_is_complete() -> None:
    result = generate(llama(), tokenizer(), "a", compiled("[ab]"), max_new_tokens=1, budget=False)[0]
    assert result.complete
    assert result.text in ("a", "b")


def test_the_same_seed_gives_the_same_text_and_leaves_the_random_state_alone() -> None:
    def sample(seed: int) -> str:
        return generate(llama(), tokenizer(), "a", compiled(r"[a-z]{8}"), seed=seed)[0].text

    state = torch.random.get_rng_state()
    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(4)}) > 1
    assert torch.equal(torch.random.get_rng_state(), state)


def test_temperature_zero_is_greedy_and_contradictions_are_errors() -> None:
    greedy = generate(llama(), tokenizer(), "a", compiled(WORDS))[0].text
    assert generate(llama(), tokenizer(), "a", compiled(WORDS), temperature=0.0, seed=3)[0].text == greedy
    with pytest.raises(ValueError, match="contradicts"):
        generate(llama(), tokenizer(), "a", compiled(WORDS), temperature=0, do_sample=True)
    with pytest.raises(ValueError, match="negative"):
        generate(llama(), tokenizer(), "a", compiled(WORDS), temperature=-1)


def test_other_processors_run_before_the_grammars() -> None:
    with pytest.raises(ConflictError):
        generate(llama(), tokenizer(), "a", compiled(WORDS), logits_processor=[Forbids(5)])


def test_generate_streams() -> None:
    class Streamer:
        def __init__(self) -> None:
            self.pieces: list[int] = []

        def put(self, value: torch.Tensor) -> None:
            self.pieces += value.flatten().tolist()

        def end(self) -> None:
            self.pieces.append(-1)

    streamer = Streamer()
    result = generate(llama(), tokenizer(), "a", compiled(WORDS), streamer=streamer)[0]
    assert streamer.pieces[-1 - len(result.token_ids) :] == [*result.token_ids, -1]


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"prompt_lookup_num_tokens": 4}, {"assistant_model": 1}])
def test_generate_passes_options_on(options: dict[str, Any]) -> None:
    if "assistant_model" in options:
        options = {"assistant_model": llama(1)}
    result = generate(llama(), tokenizer(), "a", compiled(PAIR), **options)[0]
    assert result.complete
    assert_sentences([result.text], PAIR)


def test_beams_that_find_no_sentence_are_not_complete() -> None:
    results = generate(llama(), tokenizer(), "a", compiled("ab"), num_beams=8, num_return_sequences=8)
    assert results[0].text == "ab"
    assert all(r.complete == (r.text == "ab" and r.token_ids[-1] == EOS) for r in results)


def test_generate_drives_an_encoder_decoder() -> None:
    results = generate(t5(), tokenizer(), ["a", "b c d e"], compiled(WORDS), max_new_tokens=40)
    assert_sentences([r.text for r in results], WORDS)
    assert all(r.complete for r in results)


def test_a_tokenizers_vocabulary_is_made_once() -> None:
    assert vocabulary_of(llama(), tokenizer()) is vocabulary_of(llama(1), tokenizer())
    assert vocabulary_of(llama(3, vocab_size=len(tokenizer()) + 77), tokenizer()).size == len(tokenizer()) + 77


def test_the_model_in_the_box_writes_a_record() -> None:
    model, tok = load()
    pattern = r'\{"name": "[A-Za-z ]{1,30}", "age": [0-9]{1,3}, "married": (true|false)\}'
    result = generate(model, tok, "Describe a person as JSON:\n", bridle.Grammar.from_regex(pattern))[0]
    assert result.complete
    assert_sentences([result.text], pattern)
