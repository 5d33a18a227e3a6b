"""The next token of many answers on a CPU, through the layers of a Llama or a Qwen3 in as few operations as will do.

What it buys: transformers runs 40 operations and 32 views a layer (Llama), and each costs the same few microseconds
however little it computes. Here they are 28 and 22, as products that read the same are one, and a product adds to what
came before by itself; in float32 on x86 they are 30, and 38 with an adapter, for products that take half as long
(`joined_weights`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import Cache, LlamaForCausalLM, PreTrainedModel, Qwen3ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention

from grpo_pipeline.training.joined_weights import can_halve, joined
from grpo_pipeline.training.packed import can_pack

# Their layers differ only in what Qwen3 does to the heads of queries and keys.
KNOWN = (LlamaForCausalLM, Qwen3ForCausalLM)
CHILD = "token_step"
FULL_ATTENTION = "full_attention"


class LayerStep:
    """One decoder layer, for one token of every answer."""

    def __init__(self, layer: Any) -> None:  # noqa: ANN401
        attention, mlp = layer.self_attn, layer.mlp
        self._size, self._scaling = attention.head_dim, attention.scaling
        self._queries = attention.q_proj.weight.shape[0] // self._size
        self._keys = attention.k_proj.weight.shape[0] // self._size
        self._norms = layer.input_layernorm, layer.post_attention_layernorm
        self._head_norms = (attention.q_norm, attention.k_norm) if isinstance(attention, Qwen3Attention) else None
        self._read = joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self._write = joined(attention.o_proj)
        self._gate_up = joined(mlp.gate_proj, mlp.up_proj)
        self._down = joined(mlp.down_proj)

    def outdate(self) -> None:
        """Say that a weight changed."""
        for weight in (self._read, self._write, self._gate_up, self._down):
            weight.outdate()

    def __call__(
        self,
        hidden: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        bias: torch.Tensor,
        cached: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """(answers, hidden) to the same.

        Args:
            turn: cosines and signed sines of the token's position, (answers, 1, head size).
            bias: added to the scores of what is read, (answers, 1, 1, tokens read).
            cached: the layer's keys and values, which the token's are added to.
        """
        rows, turned = len(hidden), self._queries + self._keys
        heads = self._read.product(_norm(hidden, self._norms[0])).view(rows, -1, self._size)
        queries, keys = self._turned(heads[:, :turned], turn).split([self._queries, self._keys], 1)
        keys, values = cached.update(keys.unsqueeze(2), heads[:, turned:].unsqueeze(2))
        # Query heads that share their keys stand in one product, as if they were tokens.
        scores = queries.reshape(rows, self._keys, -1, self._size) @ keys.transpose(-1, -2)
        weights = torch.add(bias, scores, alpha=self._scaling).softmax(-1).to(hidden.dtype)
        hidden = self._write.product_onto(hidden, (weights @ values).view(rows, -1))
        gate, up = self._gate_up.product(_norm(hidden, self._norms[1])).chunk(2, -1)
        return self._down.product_onto(hidden, nn.functional.silu(gate).mul_(up))

    def _turned(self, heads: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """The heads of queries and keys with their position in them (RoPE)."""
        if self._head_norms:
            queries, keys = heads.split([self._queries, self._keys], 1)
            heads = torch.cat([_norm(queries, self._head_norms[0]), _norm(keys, self._head_norms[1])], 1)
        cosines, sines = turn
        return torch.addcmul(heads * cosines, heads.roll(self._size // 2, -1), sines)


class TokenStep(nn.Module):
    """A model for one token of every answer, without gradients; it shares the model's weights."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        # In a list, so that nothing of the model is counted twice.
        self._model: list[Any] = [model]
        self._layers = [LayerStep(layer) for layer in model.get_submodule("model.layers")]
        head = model.get_submodule("lm_head")
        # Where it would only be laid out a second time, the model's own serves as well: its method, as the layer itself
        # would be counted as a part of this.
        self._head = joined(head).product if can_halve(model.dtype) else head.forward

    def outdate(self) -> None:
        """Say that weights changed."""
        for layer in self._layers:
            layer.outdate()

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits (answers, vocabulary) of what follows the tokens (answers, 1), which the cache then holds.

        Args:
            positions: those of the tokens, (answers, 1).
            mask: what may be read, the tokens included, (answers, tokens written).
        """
        [model] = self._model
        hidden = model.model.embed_tokens(tokens.squeeze(-1))
        cosines, sines = model.model.rotary_emb(hidden, positions)
        half = sines.shape[-1] // 2
        turn = cosines, torch.cat([-sines[..., :half], sines[..., half:]], -1)
        read, _ = cache.layers[0].get_mask_sizes(1)
        bias = torch.full((len(tokens), 1, 1, read), torch.finfo(torch.float32).min)
        bias[:, 0, 0, : mask.shape[-1]].masked_fill_(mask.bool(), 0.0)
        for layer, cached in zip(self._layers, cache.layers, strict=True):
            hidden = layer(hidden, turn, bias, cached)
        logits: torch.Tensor = self._head(model.model.norm(hidden))
        return logits


def _norm(x: torch.Tensor, norm: Any) -> torch.Tensor:  # noqa: ANN401
    return nn.functional.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def add_token_step(model: PreTrainedModel) -> None:
    """Give a model on a CPU a token step of its own, where its kind is known and its layers are plain."""
    if type(model) not in KNOWN or model.device.type != "cpu" or not (can_pack(model.dtype) or can_halve(model.dtype)):
        return
    has_bias = any(name.endswith(".bias") for name, _ in model.named_parameters())
    # Llama's layers are all of one type, which its configuration does not name.
    types = set(getattr(model.config, "layer_types", None) or [FULL_ATTENTION])
    if model.config.hidden_act == "silu" and not has_bias and types == {FULL_ATTENTION}:
        model.add_module(CHILD, TokenStep(model))


def token_step_of(model: nn.Module) -> TokenStep | None:
    """The token step that a model was given."""
    found = dict(model.named_children()).get(CHILD)
    return found if isinstance(found, TokenStep) else None
