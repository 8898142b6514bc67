"""Logits of the allowed tokens alone: the same texts from a few rows of the head, and no text where that would lie."""

from __future__ import annotations

import functools
import threading
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from bridle.integrations.hf import GrammarLogitsProcessor, generate
from bridle.integrations.hf.shortlist import shortlisted
from test_forced_runs import Counts
from test_overlap import fresh, limited
from tiny_models import DIGITS, EOS, PAIR, WORDS, compiled, llama, prompt, t5, tokenizer


@functools.cache
def capped() -> Any:
    """A model whose logits are soft-capped at 0.5 behind the head."""
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(tokenizer()), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, bos_token_id=0, eos_token_id=EOS, pad_token_id=2, initializer_range=0.1,
        final_logit_softcapping=0.5, attn_implementation="eager",
    )  # fmt: skip
    return Gemma2ForCausalLM(config).eval()


@functools.cache
def biased() -> Any:
    """A model whose head has a bias."""
    torch.manual_seed(7)
    model = type(llama())(llama().config).eval()
    model.lm_head = torch.nn.Linear(32, len(tokenizer()))
    return model


class Spy:
    """Notes how many tokens each forward pass had a shortlist of, and compares their logits with those of all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
        self.sizes: list[int] = []
        self.tokens: Any = None  # of the product that comes next
        ask = GrammarLogitsProcessor.shortlist
        head = model.get_output_embeddings()

        def noted(processor: GrammarLogitsProcessor, rows: int, most: int) -> Any:
            tokens = ask(processor, rows, most)
            if tokens is not None:
                self.sizes.append(len(tokens))
                self.tokens = tokens
            return tokens

        linear = torch.nn.functional.linear

        def compared(hidden: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
            out = linear(hidden, weight, bias)
            tokens, self.tokens = self.tokens, None
            if tokens is not None:
                assert len(weight) == len(tokens)
                assert torch.allclose(out, linear(hidden, head.weight, head.bias)[..., tokens], atol=1e-5)
            return out

        monkeypatch.setattr(GrammarLogitsProcessor, "shortlist", noted)
        monkeypatch.setattr(torch.nn.functional, "linear", compared)


@pytest.mark.parametrize("make", [llama, capped, biased])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 1},
        {"seed": 2, "temperature": 2.0, "top_k": 4, "num_return_sequences": 2, "repetition_penalty": 1.5},
        {"runs": False},
        {"min_new_tokens": 3, "no_repeat_ngram_size": 9, "exponential_decay_length_penalty": (1, 1.5)},
        {"max_new_tokens": 3, "budget": False},
    ],
    ids=str,
)
def test_texts_are_those_of_the_whole_head(make: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    grammars, prompts = [compiled(DIGITS), compiled(WORDS), compiled(PAIR)], ["a", "b c", "d"]
    want = generate(make(), tokenizer(), prompts, grammars, **options)
    spy = Spy(monkeypatch, make())
    got = generate(make(), tokenizer(), prompts, grammars, shortlist=300, **options)
    assert [result.token_ids for result in got] == [result.token_ids for result in want]
    assert spy.sizes and max(spy.sizes) <= 300
    assert "forward" not in vars(make().get_output_embeddings())


def test_masks_that_allow_more_than_the_shortlist_holds_get_the_whole_head(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch, llama())
    generate(llama(), tokenizer(), "a", compiled("[a-z]{5}"), shortlist=2, runs=False)
    assert all(size <= 2 for size in spy.sizes)
    long = generate(llama(), tokenizer(), "a", compiled("[a-z]{5}"), shortlist=100_000, runs=False)
    assert long[0].text == generate(llama(), tokenizer(), "a", compiled("[a-z]{5}"))[0].text


def test_masks_on_the_device_make_the_same_shortlists() -> None:
    ids = prompt("a", "b c")
    for resident in (False, True):
        processor = GrammarLogitsProcessor([fresh(DIGITS), limited()], resident=resident, on_limit="end")
        with shortlisted(llama(), processor, 300):
            out = llama().generate(
                **ids, logits_processor=[processor], stopping_criteria=processor.stopping_criteria, do_sample=False,
                max_new_tokens=40,
            )  # fmt: skip
        assert tokenizer().decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).isdigit()
        assert len(processor.errors) == 1
        want = out if not resident else want  # noqa: F821
        assert torch.equal(out, want)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"num_beams": 2}, "beams are compared by true probabilities"),
        ({"guidance_scale": 1.5}, "guidance_scale needs the logits of all tokens"),
        ({"return_dict_in_generate": True, "output_scores": True}, "output_scores needs"),
        ({"return_dict_in_generate": True, "output_logits": True}, "output_logits needs"),
        ({"prompt_lookup_num_tokens": 3}, "prompt_lookup_num_tokens needs"),
        ({"logits_processor": [Counts()]}, "other logits processors"),
        ({"overlap": False}, "needs overlap=True"),
    ],
)
def test_what_asks_for_true_probabilities_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        generate(llama(), tokenizer(), "a", compiled(DIGITS), shortlist=50, **options)


def test_heads_that_are_not_plain_are_refused() -> None:
    with pytest.raises(ValueError, match="encoder-decoder"):
        generate(t5(), tokenizer(), "a", compiled(DIGITS), shortlist=50)
    head = llama().lm_head
    hook = head.register_forward_hook(lambda *_: None)
    try:
        with pytest.raises(ValueError, match="wrapped"):
            generate(llama(), tokenizer(), "a", compiled(DIGITS), shortlist=50)
    finally:
        hook.remove()


def test_passes_of_other_threads_and_other_rows_get_the_whole_head() -> None:
    processor, ids = GrammarLogitsProcessor(compiled(DIGITS), prompt_length=1), torch.tensor([[0]])
    digit = tokenizer()("7", add_special_tokens=False).input_ids[0]
    processor(ids, torch.zeros(1, len(tokenizer())))
    head, hidden = llama().lm_head, torch.randn(1, 1, 32)
    whole = head(hidden)
    with shortlisted(llama(), processor, 300):
        processor.foresee(torch.tensor([[0, digit]]))
        others: list[torch.Tensor] = []
        thread = threading.Thread(target=lambda: others.append(head(hidden)))
        thread.start()
        thread.join()
        assert torch.equal(others[0], whole)
        assert torch.allclose(head(hidden.expand(3, 1, 32)), whole.expand(3, 1, -1), atol=1e-6)
        assert torch.allclose(head(hidden.expand(1, 2, 32)), whole.expand(1, 2, -1), atol=1e-6)
        assert not torch.equal(head(hidden), whole)
    with pytest.raises(RuntimeError, match="shortlist for other rows"):
        processor(torch.tensor([[0, digit, digit]]), whole[:, 0])
    assert torch.equal(head(hidden), whole)
