"""Weights laid out for products of few rows: the same numbers, followed when they change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from grpo_pipeline.training import packed as packed_module
from grpo_pipeline.training.packed import FEW_ROWS, PackedLinear, PackedWeight


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("rows", [(1,), (3, 1), (2, FEW_ROWS // 2), (2, FEW_ROWS)])
@pytest.mark.parametrize("has_bias", [True, False])
# In bfloat16 one rounding of a sum that is kept in float32.
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(torch.bfloat16, 2**-7, 1e-2), (torch.float32, 1e-5, 1e-5)])
@torch.no_grad()
def test_a_product_is_that_of_a_linear_layer(
    rows: tuple[int, ...], has_bias: bool, dtype: torch.dtype, rtol: float, atol: float
) -> None:
    x, weight = drawn(*rows, 96, dtype=dtype), drawn(200, 96, seed=1, dtype=dtype)
    bias = drawn(200, seed=2, dtype=dtype) if has_bias else None
    found = PackedWeight().product(x, weight, bias)
    exact = nn.functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    assert found.shape == (*rows, 200)
    torch.testing.assert_close(found.double(), exact, rtol=rtol, atol=atol)


@torch.no_grad()
def test_a_weight_that_changed_is_laid_out_anew_once_it_is_said() -> None:
    packed, x = PackedWeight(), drawn(2, 96)
    weight = drawn(200, 96, seed=1)
    before = packed.product(x, weight, None)
    weight.mul_(2)
    packed.outdate()
    torch.testing.assert_close(packed.product(x, weight, None), before * 2)


@torch.no_grad()
def test_types_without_such_products_take_the_plain_one() -> None:
    x, weight = drawn(2, 96, dtype=torch.float64), drawn(200, 96, seed=1, dtype=torch.float64)
    assert torch.equal(PackedWeight().product(x, weight, None), nn.functional.linear(x, weight))


@torch.no_grad()
def test_a_processor_without_such_products_takes_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_module, "can_pack", lambda dtype: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", None)
    x, weight = drawn(2, 96), drawn(200, 96, seed=1)
    assert torch.equal(PackedWeight().product(x, weight, None), nn.functional.linear(x, weight))


def test_gradients_pass_a_packed_layer_as_they_pass_a_linear_one() -> None:
    source = nn.Linear(96, 200, dtype=torch.bfloat16).requires_grad_(False)
    grads = []
    for layer in (source, PackedLinear(source)):
        x = drawn(2, 96).requires_grad_()
        layer(x).sum().backward()
        grads.append(x.grad)
    assert grads[0] is not None
    assert torch.equal(grads[0], grads[1])


def test_a_packed_layer_shares_its_weight_with_its_source() -> None:
    source = nn.Linear(96, 200, dtype=torch.bfloat16)
    assert PackedLinear(source).weight is source.weight
