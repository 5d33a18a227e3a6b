"""Weights of several layers as one: the layers' own products, with what an adapter adds, however they are kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from grpo_pipeline.training.joined_weights import HalfWeight, JoinedWeight, LaidOutWeight, can_halve, joined
from grpo_pipeline.training.packed import PackedLinear, can_pack

KINDS = [
    pytest.param(
        HalfWeight, marks=pytest.mark.skipif(not can_halve(torch.float32), reason="torch has it on x86 alone")
    ),
    pytest.param(LaidOutWeight, marks=pytest.mark.skipif(not can_pack(torch.float32), reason="needs oneDNN")),
]
IN = 96


class Changed(PackedLinear):
    """A layer with a change of rank 4 beside it."""

    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source)
        self._frozen = source.weight.detach().clone()
        self.set(torch.zeros(len(self._frozen), 4), torch.zeros(4, IN))

    def set(self, out: torch.Tensor, into: torch.Tensor) -> None:
        self._change = out, into
        self.weight.data.copy_(self._frozen + out @ into)

    def frozen(self) -> torch.Tensor:
        return self._frozen

    def change(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._change


def layer(rows: int, seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    made = nn.Linear(IN, rows, bias=False).requires_grad_(False)
    made.weight.copy_(made.weight.bfloat16())
    return made


def assert_same(weight: JoinedWeight, layers: list[PackedLinear]) -> None:
    x, before = torch.randn(5, IN), torch.randn(5, sum(len(part.weight) for part in layers))
    exact = torch.cat([x.double() @ part.weight.double().t() for part in layers], -1)
    for found, expected in ((weight.product(x), exact), (weight.product_onto(before, x), exact + before)):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_products_are_those_of_the_layers(kind: type[JoinedWeight]) -> None:
    layers = [PackedLinear(layer(rows, seed)) for seed, rows in enumerate((64, 8, 24))]
    assert_same(kind(layers), layers)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_what_an_adapter_adds_is_followed_once_it_is_said_and_reaches_its_own_layer_alone(
    kind: type[JoinedWeight],
) -> None:
    first, plain, last = Changed(layer(64, 0)), PackedLinear(layer(8, 1)), Changed(layer(24, 2))
    layers = [first, plain, last]
    weight = kind(layers)
    assert_same(weight, layers)
    for _ in range(2):
        for part in (first, last):
            part.set(torch.randn(len(part.weight), 4), torch.randn(4, IN))
        weight.outdate()
        assert_same(weight, layers)


@pytest.mark.skipif(not can_halve(torch.float32), reason="torch has it on x86 alone")
@torch.no_grad()
def test_weights_in_float32_are_rounded_to_float16() -> None:
    source = nn.Linear(IN, 64, bias=False)
    x = torch.randn(5, IN)
    found = HalfWeight([PackedLinear(source)]).product(x)
    torch.testing.assert_close(found, x @ source.weight.half().float().t(), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found, source(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bfloat16_is_laid_out_as_it_is() -> None:
    assert isinstance(joined(PackedLinear(layer(8, 0).bfloat16())), LaidOutWeight)
