"""Masks made in the background: the same as on the spot, whatever comes in between, in every loop of transformers."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

import bridle
from bridle.automata.batch_fill import fill_known_bitmasks
from bridle.integrations.hf import GrammarLogitsProcessor, generate
from bridle.integrations.hf.row_states import RowStates
from bridle.sampler import begin_masks
from tiny_models import DIGITS, EOS, PAIR, WORDS, compiled, llama, prompt, t5, tokenizer, vocabulary_of

LONG = r"(red|green|blue)( (fox|dog|owl)){12}\."
BIG_OBJECT = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}, "required": ["p0"]}


def fresh(pattern: str) -> Any:
    """A grammar of which no mask is made yet."""
    return bridle.compile(bridle.Grammar.from_regex(pattern), vocabulary_of(llama(), tokenizer()))


def limited() -> Any:
    """A grammar that meets its budget behind a few words."""
    grammar = bridle.Grammar.from_regex("the object that was asked for: ") + bridle.Grammar.from_json_schema(BIG_OBJECT)
    return bridle.compile(grammar, vocabulary_of(llama(), tokenizer()), limits=bridle.Limits(states=50))


def bitmask_of(matchers: list[bridle.Matcher]) -> np.ndarray:
    bitmask = bridle.allocate_token_bitmask(len(matchers), matchers[0].compiled.vocabulary.size)
    bridle.fill_next_token_bitmasks(matchers, bitmask)
    return bitmask


# ---------------------------------------------------------------------------------------------- without transformers


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("n", [1, 2, 40])
def test_masks_made_in_the_background_are_those_made_on_the_spot(n: int, background: bool) -> None:
    patterns = [WORDS, DIGITS, PAIR, r"[a-z]{3}x*"]
    matchers = [bridle.Matcher(fresh(patterns[i % 4])) for i in range(n)]
    bitmask = np.full((n + 2, -(-len(tokenizer()) // 32)), 7, np.int32)
    pending = begin_masks(matchers, bitmask, list(range(1, n + 1)), background=background)
    assert pending.left == n
    assert pending.wait() == pending.wait() == {}
    assert pending.is_ready
    assert np.array_equal(bitmask[1:-1], bitmask_of([bridle.Matcher(fresh(patterns[i % 4])) for i in range(n)]))
    assert (bitmask[[0, -1]] == 7).all()
    assert begin_masks(matchers, bitmask, list(range(n))).left == 0


def test_matchers_go_on_while_their_masks_are_made() -> None:
    matchers = [bridle.Matcher(fresh(PAIR)) for _ in range(20)]
    bitmask = bridle.allocate_token_bitmask(20, len(tokenizer()))
    pending = begin_masks(matchers, bitmask)
    assert all(matcher.accept_bytes('{"a": ') for matcher in matchers)
    pending.wait()
    assert np.array_equal(bitmask, bitmask_of([bridle.Matcher(compiled(PAIR))] * 20))


def test_waiting_makes_what_the_worker_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is stuck with something else delays nobody."""
    gate = threading.Event()
    from bridle.sampler import overlap

    overlap._worker().submit(gate.wait)
    try:
        matchers = [bridle.Matcher(fresh(WORDS)), bridle.Matcher(fresh(DIGITS))]
        bitmask = bridle.allocate_token_bitmask(2, len(tokenizer()))
        pending = begin_masks(matchers, bitmask)
        assert not pending.is_ready
        pending.wait()
        assert np.array_equal(bitmask, bitmask_of(matchers))
    finally:
        gate.set()


def test_what_was_dropped_is_made_by_nobody() -> None:
    from bridle.sampler import overlap

    gate = threading.Event()
    overlap._worker().submit(gate.wait)
    bitmask = np.full((1, -(-len(tokenizer()) // 32)), 7, np.int32)
    pending = begin_masks([bridle.Matcher(fresh(WORDS))], bitmask)
    pending.drop()
    gate.set()
    overlap._worker().submit(lambda: None).result()
    assert (bitmask == 7).all()


@pytest.mark.parametrize("background", [True, False])
def test_a_budget_that_one_text_meets_leaves_the_others_their_masks(background: bool) -> None:
    matchers = [bridle.Matcher(fresh(WORDS)), bridle.Matcher(limited()), bridle.Matcher(fresh(DIGITS))]
    matchers[1].accept_bytes("the object that was asked for: ")
    bitmask = bridle.allocate_token_bitmask(3, len(tokenizer()))
    errors = begin_masks(matchers, bitmask, background=background).wait()
    assert set(errors) == {1} and errors[1].limit == "states"
    assert not bitmask[1].any()
    assert np.array_equal(bitmask[[0, 2]], bitmask_of([matchers[0], matchers[2]]))


def test_an_error_of_the_worker_is_raised_by_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> bool:
        raise RuntimeError("no mask today")

    monkeypatch.setattr(bridle.Matcher, "fill_next_token_bitmask", fails)
    with pytest.raises(RuntimeError, match="no mask today"):
        begin_masks([bridle.Matcher(fresh(WORDS))], bridle.allocate_token_bitmask(1, len(tokenizer()))).wait()


def test_texts_that_have_ended_need_no_worker() -> None:
    matchers = [bridle.Matcher(compiled("ab")), bridle.Matcher(compiled("cd"))]
    for matcher, text in zip(matchers, ("ab", "cd"), strict=True):
        assert matcher.accept_bytes(text) and matcher.accept_token(EOS)
    bitmask = np.full((2, -(-len(tokenizer()) // 32)), 7, np.int32)
    assert fill_known_bitmasks(matchers, bitmask) == []
    assert np.array_equal(bitmask, bitmask_of(matchers))


# ---------------------------------------------------------------------------------------------- in transformers


def both_ways(options: dict[str, Any], patterns: list[str], prompts: dict[str, torch.Tensor], model: Any) -> list[Any]:
    """(sequences without overlap, with it), and the processor of the latter; grammars are new each time."""
    outputs = []
    for overlapping in (False, True):
        processor = GrammarLogitsProcessor([fresh(pattern) for pattern in patterns])
        criteria = processor.stopping_criteria if overlapping else None
        torch.manual_seed(0)
        out = model.generate(
            **prompts, logits_processor=[processor], stopping_criteria=criteria,
            **{"max_new_tokens": 60, "do_sample": False, **options},
        )  # fmt: skip
        outputs.append(out)
    assert torch.equal(outputs[0], outputs[1])
    return [*outputs, processor]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True},
        {"do_sample": True, "num_return_sequences": 3},
        {"num_beams": 4, "num_return_sequences": 4},
        {"num_beams": 3, "do_sample": True},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"prefill_chunk_size": 2},
        {"guidance_scale": 1.5},
        {"repetition_penalty": 1.3},
        {"max_new_tokens": 3},
    ],
    ids=str,
)
def test_batches_come_out_the_same(options: dict[str, Any]) -> None:
    processor = both_ways(options, [LONG, "ab", PAIR], prompt("a", "a much longer prompt", "b c"), llama())[2]
    if "num_beams" not in options:
        assert processor.stats.begun > 0


@pytest.mark.parametrize("options", [{"prompt_lookup_num_tokens": 6}, {"assistant_model": 0}, {"assistant_model": 1}])
@pytest.mark.parametrize("do_sample", [False, True])
def test_drafts_come_out_the_same(options: dict[str, Any], do_sample: bool) -> None:
    if "assistant_model" in options:
        options = {"assistant_model": llama(options["assistant_model"])}
    text = prompt('{"a": true, "b": 1} {"a": true, "b": 12} {"a": false')
    both_ways(options | {"do_sample": do_sample}, [PAIR], text, llama())


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 3}])
def test_an_encoder_decoder_comes_out_the_same(options: dict[str, Any]) -> None:
    ids = tokenizer()(["a", "b c d e"], return_tensors="pt", padding=True)
    prompts = {"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"]}
    both_ways(options, [WORDS, PAIR], prompts, t5())


@pytest.mark.parametrize("overlap", [True, False])
def test_one_call_for_all_says_what_it_cost(overlap: bool) -> None:
    result = generate(llama(), tokenizer(), "a", fresh(PAIR), overlap=overlap)[0]
    assert result.text == generate(llama(), tokenizer(), "a", compiled(PAIR), overlap=False)[0].text
    assert result.stats.masks >= result.stats.forwards


def test_masks_are_made_during_the_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forward pass that does not go on before the masks for its logits are there: the worker has made them."""
    make, makers = bridle.Matcher._prepare, []

    def noted(self: bridle.Matcher) -> None:
        makers.append(threading.current_thread().name)
        make(self)

    monkeypatch.setattr(bridle.Matcher, "_prepare", noted)
    processor = GrammarLogitsProcessor(fresh(DIGITS))

    def wait_for_masks(*_: Any) -> None:
        foreseen = processor._foreseen
        until = time.monotonic() + 60
        while foreseen is not None and not foreseen.masks._pending.is_ready:
            assert time.monotonic() < until
            time.sleep(0.001)

    hook = llama().register_forward_pre_hook(wait_for_masks)
    try:
        llama().generate(
            **prompt("a"), logits_processor=[processor], stopping_criteria=processor.stopping_criteria,
            do_sample=False, max_new_tokens=60,
        )  # fmt: skip
    finally:
        hook.remove()
    assert processor.stats.begun >= 3
    here = threading.current_thread().name
    assert makers.count(here) == 1  # nobody sees the prompt before its forward pass
    assert len(makers) == processor.stats.begun + 1


# ---------------------------------------------------------------------------------------------- never a wrong mask


def scores_for(rows: int) -> torch.Tensor:
    return torch.zeros(rows, len(tokenizer()))


def mask_after(pattern: str, generated: list[int]) -> torch.Tensor:
    matcher = bridle.Matcher(compiled(pattern))
    assert all(matcher.accept_token(token) for token in generated)
    scores = scores_for(1)
    bridle.sampler.apply_token_bitmask_inplace(scores, bitmask_of([matcher]))
    return scores[0]


def ids_of(text: str) -> list[int]:
    return tokenizer()(text, add_special_tokens=False).input_ids


def test_rows_that_are_written_to_after_the_forecast_get_their_own_masks() -> None:
    pattern = r"[a-z]*1|[A-Z]*2"
    processor = GrammarLogitsProcessor(fresh(pattern), prompt_length=1)
    low, high = ids_of("q")[0], ids_of("Q")[0]
    processor(torch.tensor([[0]]), scores_for(1))
    ids = torch.tensor([[0, low]])
    processor.foresee(ids)
    ids[0, 1] = high
    assert torch.equal(processor(ids, scores_for(1))[0], mask_after(pattern, [high]))


def test_rows_that_change_places_or_number_get_their_own_masks() -> None:
    processor = GrammarLogitsProcessor(fresh(r"[a-z]*1|[A-Z]*2"), prompt_length=1)
    low, high = ids_of("q")[0], ids_of("Q")[0]
    processor(torch.tensor([[0], [0]]), scores_for(2))
    processor.foresee(torch.tensor([[0, low], [0, high]]))
    out = processor(torch.tensor([[0, high], [0, low]]), scores_for(2))
    lower, upper = mask_after(r"[a-z]*1|[A-Z]*2", [low]), mask_after(r"[a-z]*1|[A-Z]*2", [high])
    assert torch.equal(out, torch.stack([upper, lower]))
    processor.foresee(torch.tensor([[0, high, high], [0, low, low]]))
    assert torch.equal(processor(torch.tensor([[0, low]]), scores_for(1)), lower[None])


def test_a_forecast_that_nobody_asks_for_is_not_part_of_the_text() -> None:
    """The last token of a generation is foreseen, too; a prompt that goes on from it begins a new one."""
    processor, ids = GrammarLogitsProcessor(compiled(DIGITS)), prompt("Say it:")["input_ids"]
    for _ in range(2):
        out = llama().generate(
            ids, attention_mask=torch.ones_like(ids), logits_processor=[processor], do_sample=False,
            stopping_criteria=processor.stopping_criteria, max_new_tokens=4,
        )  # fmt: skip
        new = tokenizer().decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        assert new.isdigit()
        ids = torch.cat([out, torch.tensor([ids_of("!")[:1]])], dim=1)


def test_states_of_rows_are_those_of_a_replay_whatever_rows_come() -> None:
    rng = np.random.default_rng(3)
    c, other = compiled(r"[a-z ]*"), compiled(r"[a-z]*")
    letters = np.array([ids_of(x)[0] for x in "abc"], np.int64)
    rows = RowStates([c, other], 2)
    ids = np.zeros((4, 2), np.int64)
    for _ in range(300):
        kind = rng.integers(10)
        if kind < 6:
            ids = np.concatenate([ids, rng.choice(letters, (len(ids), 1))], axis=1)
        elif kind < 8:
            ids = ids[:, : rng.integers(2, ids.shape[1] + 1)]
        elif kind < 9:
            ids = np.concatenate([ids[:2][rng.permutation(2)], ids[2:][rng.permutation(2)]])
        else:  # as beams do: another past, and a token more
            ids = ids[[1, 1, 3, 2]]
            ids = np.concatenate([ids, rng.choice(letters, (len(ids), 1))], axis=1)
        assert not rows.begins(ids)
        if rng.random() < 0.5:
            rows.continued(ids)
        for row, state in enumerate(rows.at(ids)):
            matcher = bridle.Matcher((c, other)[row // 2])
            assert all(matcher.accept_token(int(token)) for token in ids[row, 2:])
            assert state.is_live and state.matcher.text() == matcher.text()
            assert state.matcher.compiled is matcher.compiled


def test_a_prefix_that_rows_have_grown_through_counts_as_seen() -> None:
    """Drafts grow by a token each and are then taken back half-way: still the same generation."""
    rows = RowStates([compiled(r"[a-z]*")], None)
    letter = ids_of("a")[0]
    ids = np.array([[5, 6]])
    assert rows.begins(ids)
    rows.at(ids)
    for _ in range(6):
        ids = np.concatenate([ids, [[letter]]], axis=1)
        assert not rows.begins(ids)
        rows.at(ids)
    back = np.concatenate([ids[:, :5], [[ids_of("b")[0]]]], axis=1)
    assert not rows.begins(back)
    assert rows.at(back)[0].matcher.text() == b"aaab"
    assert rows.begins(np.concatenate([ids[:, :5], [ids_of("xyz")[:1] * 3]], axis=1))
    assert rows.begins(np.array([[5, 7]]))
