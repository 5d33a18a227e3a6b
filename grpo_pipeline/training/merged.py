"""A policy as one set of weights, base and adapter merged, beside the policy itself, which is never written to.

What it buys: sampling, scoring and training each run one matrix product per layer where an adapter beside its base runs
three, and the training pass needs no product with the base at all to find the adapter's gradients. Merging into the
base in place and taking it out again would change the base a little each time in bfloat16 (a mean of 0.24 % of a
weight after 400 rounds, https://github.com/huggingface/trl/issues/6688); here it cannot.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.fast_writing import make_fast
from grpo_pipeline.training.packed import PackedWeight
from grpo_pipeline.training.token_step import token_step_of

DEFAULT_ADAPTER = "default"


def can_merge(policy: PeftModel) -> bool:
    """Whether every adapted layer is a linear one with a plain LoRA: no bias of its own, no dropout, no variant."""
    layers = [module for module in policy.modules() if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper))]
    return all(
        type(layer) is LoraLinear
        and not layer.fan_in_fan_out
        and not layer.lora_variant
        and not any(layer.lora_bias.values())
        and all(isinstance(dropout, nn.Identity) for dropout in layer.lora_dropout.values())
        for layer in layers
    )


class _MergedProduct(torch.autograd.Function):
    """y = x W', where W' = W + s B A was computed before; gradients reach x, A and B.

    As dy/dA and dy/dB need only dy, x and the adapter, W and x A never enter: two products of the layer's size, the
    least there is for a frozen matrix, and four of the adapter's rank.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        lora_a: torch.Tensor,
        lora_b: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, lora_a, lora_b)
        ctx.scaling = scaling
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:  # noqa: ANN401
        x, weight, lora_a, lora_b = ctx.saved_tensors
        grad = grads[0]
        grad_x = grad @ weight if ctx.needs_input_grad[0] else None
        rows, grad_rows = x.flatten(0, -2), grad.flatten(0, -2)
        small_a, small_b = lora_a.to(grad.dtype), lora_b.to(grad.dtype)
        grad_a = (grad_rows @ small_b).t() @ rows
        grad_b = grad_rows.t() @ (rows @ small_a.t())
        scaled = [(part.to(lora_a.dtype) * ctx.scaling) for part in (grad_a, grad_b)]
        return grad_x, None, None, scaled[0], scaled[1], None


class MergedLinear(nn.Module):
    """An adapted linear layer with its adapter merged into a copy of its weight."""

    def __init__(self, source: LoraLinear) -> None:
        super().__init__()
        base = source.get_base_layer()
        self.weight = nn.Parameter(torch.empty_like(base.weight), requires_grad=False)
        self.bias = base.bias
        # In a list, so that the adapter's parameters are not counted among this layer's.
        self._source = [source]
        self._packed = PackedWeight()
        self.adapter = DEFAULT_ADAPTER

    @torch.no_grad()
    def refresh(self, adapter: str) -> None:
        """Merge the adapter as it is now; the sum is rounded once, from float32."""
        source = self._source[0]
        lora_a, lora_b = source.lora_A[adapter].weight, source.lora_B[adapter].weight
        base = source.get_base_layer().weight
        self.weight.copy_(torch.addmm(base.float(), lora_b.float(), lora_a.float(), alpha=source.scaling[adapter]))
        self._packed.outdate()
        self.adapter = adapter

    def frozen(self) -> torch.Tensor:
        """The base's weight (out, in)."""
        weight: torch.Tensor = self._source[0].get_base_layer().weight
        return weight

    def change(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What is merged into it, (out, rank) and (rank, in)."""
        source = self._source[0]
        return source.lora_B[self.adapter].weight * source.scaling[self.adapter], source.lora_A[self.adapter].weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) to (..., out)."""
        source = self._source[0]
        if not torch.is_grad_enabled():
            return self._packed.product(x, self.weight, self.bias)
        lora_a, lora_b = source.lora_A[self.adapter].weight, source.lora_B[self.adapter].weight
        found: torch.Tensor = _MergedProduct.apply(
            x, self.weight, self.bias, lora_a, lora_b, source.scaling[self.adapter]
        )
        return found


def _twin(policy: PeftModel, made_of: Callable[[LoraLinear], nn.Module]) -> PreTrainedModel:
    """The policy's base model again, sharing all tensors, with its adapted layers made anew."""
    base = policy.get_base_model()
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
    twin: PreTrainedModel = copy.deepcopy(base, shared)
    for name, layer in base.named_modules():
        if isinstance(layer, LoraLinear):
            twin.set_submodule(name, made_of(layer))
    # TRL replaces the forward method of the base by one that calls the base's own; copied, it would still do so,
    # and sample through base and adapter side by side, which took twice as long.
    for module in twin.modules():
        module.__dict__.pop("forward", None)
    # Adapted models have no dropout here, so this changes no number; it keeps checkpointing hooks quiet.
    twin.eval()
    make_fast(twin)
    return twin


def base_alone(policy: PeftModel) -> PreTrainedModel:
    """The base model under a policy that can be merged, without any adapter; it shares all weights."""
    return _twin(policy, LoraLinear.get_base_layer)


class MergedPolicy:
    """A policy's merged twin: a model of the same kind that shares all tensors but those that an adapter changes.

    It costs one more copy of the adapted weights in memory. Gradients of what it computes land in the policy's own
    adapter.
    """

    def __init__(self, policy: PeftModel) -> None:
        if not can_merge(policy):
            raise PipelineError("Only plain LoRA on linear layers, without bias or dropout, can be merged to sample.")
        self._layers: list[MergedLinear] = []
        self._holds: str | None = None
        self.model = _twin(policy, self._merged)

    def _merged(self, source: LoraLinear) -> MergedLinear:
        self._layers.append(MergedLinear(source))
        return self._layers[-1]

    def refresh(self, adapter: str = DEFAULT_ADAPTER) -> PreTrainedModel:
        """The twin, with an adapter merged as it is now."""
        for layer in self._layers:
            layer.refresh(adapter)
        step = token_step_of(self.model)
        if step:
            step.outdate()
        self._holds = adapter
        return self.model

    def current(self, adapter: str = DEFAULT_ADAPTER) -> PreTrainedModel:
        """The twin with an adapter, merged anew only where it held another or was outdated."""
        if self._holds != adapter:
            self.refresh(adapter)
        return self.model

    def outdate(self) -> None:
        """Say that the adapter changes now."""
        self._holds = None

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every weight under the name it has in the base model, as an inference server takes them."""
        for name, parameter in self.model.named_parameters():
            yield name, parameter.data
