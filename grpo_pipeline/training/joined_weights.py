"""Weights of linear layers that read the same, as one weight for products of few rows on a CPU, without gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch

from grpo_pipeline.training.packed import lay_out, packed_product, packed_product_onto

# torch's engines for x86 processors, which have the products of `HalfWeight`.
HALF_ENGINES = ("x86", "fbgemm")


class SettledLinear(Protocol):
    """A linear layer whose weight never changes but for a low-rank change beside it."""

    weight: torch.Tensor

    def frozen(self) -> torch.Tensor:
        """The weight (out, in) that never changes."""

    def change(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """What to add to it as it is now, (out, rank) and (rank, in) to be multiplied; none where nothing ever is."""


class JoinedWeight(ABC):
    """All rows of some layers' weights, one layer's after the other's."""

    def __init__(self, layers: Sequence[SettledLinear]) -> None:
        self._layers = layers

    @abstractmethod
    def outdate(self) -> None:
        """Say that the layers' weights changed."""

    @abstractmethod
    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, in) to (rows, out)."""

    @abstractmethod
    def product_onto(self, before: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What was there before, (rows, out), and the product of x (rows, in)."""


class LaidOutWeight(JoinedWeight):
    """Weights as they are now, laid out anew for oneDNN after each change."""

    def __init__(self, layers: Sequence[SettledLinear]) -> None:
        super().__init__(layers)
        self._packed: torch.Tensor | None = None

    def outdate(self) -> None:
        """Say that the layers' weights changed."""
        self._packed = None

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, in) to (rows, out)."""
        return packed_product(x, self._now())

    def product_onto(self, before: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What was there before, (rows, out), and the product of x (rows, in), as one operation."""
        return packed_product_onto(before, x, self._now())

    def _now(self) -> torch.Tensor:
        if self._packed is None:
            self._packed = lay_out(torch.cat([layer.weight for layer in self._layers]))
        return self._packed


class HalfWeight(JoinedWeight):
    """What never changes, kept in float16 by FBGEMM for float32 products, and beside it what is added.

    Products of few rows wait for memory, which it reads half of. A base model's weights are nearly always stored in
    bfloat16, whose numbers from 6e-5 to 65,504 float16 holds exactly (below, it is off by 3e-8 at most), and sums are
    in float32: so this is no approximation to speak of. Weights that are not in bfloat16 are rounded to 11 bits.

    FBGEMM takes over two seconds to lay out the 135 million weights of SmolLM2, so that is done only once.
    """

    def __init__(self, layers: Sequence[SettledLinear]) -> None:
        super().__init__(layers)
        self._packed: torch.ScriptObject | None = None
        self._added: tuple[torch.Tensor, torch.Tensor] | None = None

    def outdate(self) -> None:
        """Say that what is added changed."""
        self._added = None

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, in) to (rows, out)."""
        if self._packed is None:
            frozen = torch.cat([layer.frozen() for layer in self._layers])
            self._packed = torch.ops.quantized.linear_prepack_fp16(frozen, None)
        found: torch.Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        if self._added is None:
            self._added = self._additions(x)
        into, out = self._added
        return found.addmm_(x @ into, out) if into.shape[-1] else found

    def product_onto(self, before: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What was there before, (rows, out), and the product of x (rows, in)."""
        return self.product(x).add_(before)

    def _additions(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All layers' changes as (in, ranks) and (ranks, out): each layer's own ranks reach only its own rows."""
        changes = [layer.change() for layer in self._layers]
        nothing = x.new_zeros(0, x.shape[-1])
        into = torch.cat([nothing if change is None else change[1] for change in changes])
        out = torch.block_diag(
            *[
                layer.weight.new_zeros(len(layer.weight), 0) if change is None else change[0]
                for layer, change in zip(self._layers, changes, strict=True)
            ]
        )
        return into.t().contiguous(), out.t().contiguous()


def can_halve(dtype: torch.dtype) -> bool:
    """Whether torch has `HalfWeight`'s products here; they are of float32."""
    return dtype == torch.float32 and torch.backends.quantized.engine in HALF_ENGINES


def joined(*layers: SettledLinear) -> JoinedWeight:
    """The layers as one, in the way that is fastest here."""
    return HalfWeight(layers) if can_halve(layers[0].weight.dtype) else LaidOutWeight(layers)
