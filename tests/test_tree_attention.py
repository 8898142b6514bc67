"""Trees read in one forward, and caches cut back to a path, against models that read each path from its beginning."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, T5Config, T5ForConditionalGeneration

from bridle.speculative.draft_tree import NO_DRAFT, DraftTree
from bridle.speculative.tree_attention import TreeCache, UnfitModelError, check_model

torch.set_num_threads(1)

SIZE = 61
SMALL = {
    "vocab_size": SIZE, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "initializer_range": 0.3,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "sliding_window": 6,
              "use_sliding_window": True},
    "mistral": {"sliding_window": 6},
    "gemma": {},
    "gemma2": {"sliding_window": 6},
    "gemma3_text": {"sliding_window": 6},
    "phi3": {},
}  # fmt: skip
PROMPT = [(7 * i + 3) % SIZE for i in range(12)]
TREE = DraftTree.of([5, 6, 7, 8, 9, 10], [-1, 0, -1, 1, 2, 2], [1.0] * 6)


@functools.cache
def model_of(kind: str, implementation: str, dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **SMALL | KINDS[kind])
    return AutoModelForCausalLM.from_config(config, attn_implementation=implementation, dtype=dtype).eval()


@torch.inference_mode()
def logits_behind(model: Any, ids: list[int]) -> torch.Tensor:
    """By a forward without a cache: [vocabulary]."""
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def path_to(tree: DraftTree, node: int) -> list[int]:
    return [] if node < 0 else [*path_to(tree, int(tree.parent[node])), int(tree.tokens[node])]


def assert_reads(model: Any, logits: torch.Tensor, text: list[int], tree: DraftTree) -> None:
    """That each node's logits are those of the text and the node's path."""
    for node in range(-1, len(tree)):
        wanted = logits_behind(model, text + path_to(tree, node))
        assert torch.allclose(logits[node + 1], wanted, atol=2e-4, rtol=1e-4), (
            node,
            (logits[node + 1] - wanted).abs().max(),
        )


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_tree_is_read_as_its_paths_are_also_behind_what_was_kept(kind: str, implementation: str) -> None:
    if (kind, implementation) == ("gemma2", "sdpa"):
        pytest.skip("transformers has no sdpa for Gemma 2")
    model = model_of(kind, implementation)
    check_model(model)
    cache, text = TreeCache(model), list(PROMPT)
    logits = cache.read(torch.tensor([text]), None)
    assert torch.allclose(logits[0], logits_behind(model, text), atol=2e-4)
    for path in ([0, 3, 5], [0, 1, 2, 4], [0], [0, 3]):  # in order and not, to the end and at once
        text.append(11)
        assert_reads(model, cache.verify([11], [TREE])[0], text, TREE)
        cache.keep([path])
        text += [int(TREE.tokens[node - 1]) for node in path[1:]]
    assert cache.lengths.tolist() == [len(text)]
    text.append(4)
    assert_reads(model, cache.verify([4], [NO_DRAFT])[0], text, NO_DRAFT)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma3_text"])
@torch.inference_mode()
def test_rows_with_trees_and_paths_of_their_own_do_not_see_each_other(kind: str, implementation: str) -> None:
    model = model_of(kind, implementation)
    texts = [PROMPT[:5], PROMPT, PROMPT[3:10]]
    width = max(map(len, texts))
    ids = torch.tensor([[0] * (width - len(text)) + text for text in texts])
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
    cache, trees = TreeCache(model), [TREE, NO_DRAFT, DraftTree.of([8, 9], [-1, 0], [1, 1])]
    logits = cache.read(ids, mask)
    for row, text in enumerate(texts):
        assert torch.allclose(logits[row], logits_behind(model, text), atol=2e-4)
    for step in range(12):  # long enough for columns that nobody sees to be taken out
        last = [20 + step, 21 + step, 22 + step]
        logits = cache.verify(last, trees)
        for row, (text, tree) in enumerate(zip(texts, trees, strict=True)):
            texts[row] = [*text, last[row]]
            assert_reads(model, logits[row], texts[row], tree)
        paths = [[0, 1, 2, 4] if step % 2 else [0, 3, 6], [0], [0, 1] if step % 3 else [0]]
        cache.keep(paths)
        for row, path in enumerate(paths):
            texts[row] = texts[row] + [int(trees[row].tokens[node - 1]) for node in path[1:]]
    cache.select([2, 0])
    logits = cache.verify([1, 2], [TREE, TREE])
    assert_reads(model, logits[0], [*texts[2], 1], TREE)
    assert_reads(model, logits[1], [*texts[0], 2], TREE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_passes_the_probe(dtype: torch.dtype) -> None:
    check_model(model_of("llama", "sdpa", dtype))
    check_model(model_of("gemma2", "eager", dtype))


# ---------------------------------------------------------------------------------------------- refusals


def test_an_encoder_decoder_is_refused() -> None:
    config = T5Config(vocab_size=SIZE, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    with pytest.raises(UnfitModelError, match="encoder-decoder"):
        check_model(T5ForConditionalGeneration(config))


@pytest.mark.parametrize("implementation", ["flash_attention_2", "flex_attention", "paged|sdpa", "of my own"])
def test_attention_without_masks_of_four_dimensions_is_refused_by_name(implementation: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model("llama", **SMALL)).eval()
    model.config._attn_implementation_internal = implementation
    with pytest.raises(UnfitModelError, match=implementation.replace("|", r"\|")):
        check_model(model)


def test_layers_that_keep_a_state_are_refused_by_name() -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model("qwen2", **SMALL)).eval()
    model.config.layer_types = ["linear_attention", "full_attention", "full_attention"]
    with pytest.raises(UnfitModelError, match="linear_attention"):
        check_model(model)


def test_a_model_that_ignores_the_mask_is_found_out_by_the_probe() -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model("llama", **SMALL)).eval()
    inner = model.model.forward

    def deaf(*args: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        return inner(*args, attention_mask=None, **kwargs)

    model.model.forward = deaf
    with pytest.raises(UnfitModelError, match="otherwise than its paths"):
        check_model(model)


def test_a_model_with_absolute_positions_that_cannot_be_given_is_found_out() -> None:
    config = transformers.AutoConfig.for_model("bloom", vocab_size=SIZE, hidden_size=16, n_layer=1, n_head=2)
    with pytest.raises(UnfitModelError):
        check_model(AutoModelForCausalLM.from_config(config).eval())
