"""What makes a model whose weights are settled write faster on a CPU, all of it together."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from grpo_pipeline.training.attention import use_fast_attention
from grpo_pipeline.training.packed import PackedLinear
from grpo_pipeline.training.token_step import add_token_step


def make_fast(model: PreTrainedModel) -> None:
    """Have a model whose plain linear layers never change again write faster on a CPU; on a GPU it stays as it is."""
    if model.device.type != "cpu":
        return
    use_fast_attention(model)
    for name, layer in list(model.named_modules()):
        if type(layer) is nn.Linear:
            model.set_submodule(name, PackedLinear(layer))
    add_token_step(model)
