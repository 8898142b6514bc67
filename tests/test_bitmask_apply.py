"""`apply_token_bitmask_inplace` against the definition, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bridle.sampler import apply_token_bitmask_inplace

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def random_mask(rng: np.random.Generator, rows: int, words: int, density: float = 0.5) -> np.ndarray:
    bits = (rng.random((rows, words * 32)) < density).astype(np.uint8)
    return np.packbits(bits, axis=1, bitorder="little").view(np.int32)


def expected(logits: torch.Tensor, mask: np.ndarray, rows: list[int]) -> torch.Tensor:
    """The definition: token i stays if bit i % 32 of word i // 32 is set."""
    out = logits.clone()
    for mask_row, row in zip(mask, rows, strict=True):
        for token in range(logits.shape[1]):
            word = int(mask_row[token // 32]) if token // 32 < len(mask_row) else 0
            if not word >> (token % 32) & 1:
                out[row, token] = -torch.inf
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocab", [1, 31, 32, 33, 70, 128, 333])
def test_forbidden_tokens_become_minus_infinity_and_others_keep_their_bits(dtype: torch.dtype, vocab: int) -> None:
    rng = np.random.default_rng(vocab)
    logits = torch.from_numpy(rng.normal(size=(3, vocab)) * 100).to(dtype)
    mask = random_mask(rng, 3, -(-vocab // 32))
    want = expected(logits, mask, [0, 1, 2])
    apply_token_bitmask_inplace(logits, mask)
    assert torch.equal(logits, want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_columns_past_the_mask_are_forbidden(dtype: torch.dtype) -> None:
    logits = torch.zeros(1, 100, dtype=dtype)
    apply_token_bitmask_inplace(logits, torch.full((1, 2), -1, dtype=torch.int32))
    assert torch.equal(logits.isinf(), torch.arange(100)[None] >= 64)


def test_mask_bits_past_the_logits_are_ignored() -> None:
    logits = torch.zeros(1, 10)
    apply_token_bitmask_inplace(logits, np.full((1, 4), -1, np.int32))
    assert torch.equal(logits, torch.zeros(1, 10))


def test_rows_name_the_logits_row_of_each_mask_row_and_others_stay_untouched() -> None:
    rng = np.random.default_rng(5)
    logits, mask = torch.randn(5, 70), random_mask(rng, 3, 3)
    want = expected(logits, mask, [4, 0, 2])
    apply_token_bitmask_inplace(logits, mask, rows=[4, 0, 2])
    assert torch.equal(logits, want)


@pytest.mark.parametrize("block", [1, 24, 1 << 14])
def test_rows_that_are_masked_together_are_masked_as_one_by_one(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridle.sampler import bitmask as module

    monkeypatch.setattr(module, "_BLOCK", block)
    rng = np.random.default_rng(block)
    for rows in (list(range(9)), [3, 4, 5, 0, 1, 7], [2, 2, 3, 4], [8], [5, 4, 3]):
        logits, mask = torch.randn(9, 75), random_mask(rng, len(rows), 2)
        want = logits
        for one, row in zip(mask, rows, strict=True):
            want = expected(want, one[None], [row])
        apply_token_bitmask_inplace(logits, mask, rows=rows)
        assert torch.equal(logits, want)


def test_a_row_named_twice_gets_both_masks() -> None:
    logits = torch.zeros(1, 32)
    apply_token_bitmask_inplace(logits, np.array([[0b0110], [0b0011]], np.int32), rows=[0, 0])
    assert torch.nonzero(logits[0] == 0).flatten().tolist() == [1]


def test_no_rows_change_nothing() -> None:
    logits = torch.randn(2, 40)
    before = logits.clone()
    apply_token_bitmask_inplace(logits, np.zeros((0, 2), np.int32), rows=[])
    assert torch.equal(logits, before)


def test_one_dimension_is_one_row() -> None:
    logits = torch.zeros(40)
    apply_token_bitmask_inplace(logits, torch.tensor([1 << 3, 1 << 4], dtype=torch.int32))
    assert torch.nonzero(logits == 0).flatten().tolist() == [3, 36]


def test_views_with_strides_are_written_through() -> None:
    rng = np.random.default_rng(7)
    whole = torch.randn(2, 3, 64)
    before, wide = whole.clone(), random_mask(rng, 2, 4)
    apply_token_bitmask_inplace(whole[:, 1, :], wide[:, ::2])
    assert torch.equal(whole[:, 1, :], expected(before[:, 1, :], wide[:, ::2], [0, 1]))
    assert torch.equal(whole[:, 0], before[:, 0])
    assert torch.equal(whole[:, 2], before[:, 2])


def test_infinite_and_zero_logits_survive_where_allowed() -> None:
    logits = torch.tensor([[torch.inf, -torch.inf, 0.0, -0.0, torch.inf]])
    apply_token_bitmask_inplace(logits, np.array([[0b01111]], np.int32))
    assert logits.tolist() == [[torch.inf, -torch.inf, 0.0, -0.0, -torch.inf]]
    assert torch.signbit(logits[0, 3])


def test_logits_that_need_a_gradient_are_accepted() -> None:
    logits = (torch.zeros(1, 32, requires_grad=True) * 1.0).detach().requires_grad_()
    apply_token_bitmask_inplace(logits, np.array([[1]], np.int32))
    assert int(logits.isinf().sum()) == 31


@pytest.mark.parametrize("rows", [None, [1, 0], [2]])
def test_the_fallback_for_other_devices_agrees(rows: list[int] | None) -> None:
    from bridle.sampler import bitmask as module

    rng = np.random.default_rng(11)
    n = 3 if rows is None else len(rows)
    logits, mask = torch.randn(3, 75), random_mask(rng, n, 2)
    want = logits.clone()
    apply_token_bitmask_inplace(want, mask, rows)
    module._apply_on_device(logits, mask, list(range(3)) if rows is None else rows)
    assert torch.equal(logits, want)


@pytest.mark.parametrize(
    ("logits", "mask", "rows", "error", "says"),
    [
        (torch.zeros(1, 32, dtype=torch.float64), np.zeros((1, 1), np.int32), None, TypeError, "float64"),
        (torch.zeros(1, 32), np.zeros((1, 1), np.int64), None, TypeError, "int64"),
        (torch.zeros(1, 32), torch.zeros((1, 1), dtype=torch.bool), None, TypeError, "bool"),
        (torch.zeros(1, 1, 32), np.zeros((1, 1), np.int32), None, ValueError, r"\(1, 1, 32\)"),
        (torch.zeros(2, 32), np.zeros((1, 1), np.int32), None, ValueError, "1 mask rows for 2 logits rows"),
        (torch.zeros(3, 32), np.zeros((3, 1), np.int32), [0, 2], ValueError, r"bitmask\[rows\]"),
        (torch.zeros(2, 32), np.zeros((1, 1), np.int32), [2], ValueError, "row 2"),
        (torch.zeros(2, 32), np.zeros((1, 1), np.int32), [-1], ValueError, "row -1"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    logits: torch.Tensor, mask: np.ndarray, rows: list[int] | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        apply_token_bitmask_inplace(logits, mask, rows)
    assert not logits.isinf().any()
