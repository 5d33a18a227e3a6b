"""A model that forgets what it read: it attends to a few tokens back only."""

from __future__ import annotations

import torch
from transformers import MistralConfig, MistralForCausalLM


def windowed_model(window: int) -> MistralForCausalLM:
    config = MistralConfig(
        vocab_size=128,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=window,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    return MistralForCausalLM(config).eval()
