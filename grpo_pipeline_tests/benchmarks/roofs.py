"""What this machine can do at most, and the least a GRPO step can take on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedConfig

from grpo_pipeline_tests.benchmarks.trainer_timing import Shape, best_precision, now


@dataclass(frozen=True)
class Roofs:
    """What this machine reaches: matrix products in its best precision, and reading and writing memory."""

    flops: float
    bytes_per_second: float


def measure_roofs(config: PreTrainedConfig, shape: Shape) -> Roofs:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, precision = shape.answers * shape.answer_tokens, best_precision()
    x = torch.randn(rows, config.hidden_size, device=device, dtype=precision)
    w = torch.randn(config.intermediate_size, config.hidden_size, device=device, dtype=precision)
    block = torch.randn(64 << 20, device=device)
    other = torch.empty_like(block)
    product = min(_seconds(lambda: x @ w.t()) for _ in range(10))
    copy = min(_seconds(lambda: other.copy_(block)) for _ in range(5))
    return Roofs(2 * rows * config.hidden_size * config.intermediate_size / product, 2 * block.nbytes / copy)


def _seconds(work: Callable[[], object]) -> float:
    began = now()
    work()
    return now() - began


def floor_seconds(model: PeftModel, shape: Shape, roofs: Roofs, *, shared: bool) -> dict[str, float]:
    """The least a step can take: weights and caches read once a token, 4 operations a weight and trained token.

    Args:
        shared: a prompt's tokens count once for all its answers, not once for each.
    """
    config = model.config
    head = config.vocab_size * config.hidden_size
    body = sum(
        layer.get_base_layer().weight.numel() for name, layer in model.named_modules() if hasattr(layer, "lora_A")
    )
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = best_precision().itemsize
    cached = 2 * width * config.num_hidden_layers * config.num_key_value_heads * size
    prompts = (shape.prompts if shared else shape.answers) * shape.prompt_tokens
    written = shape.answers * shape.answer_tokens
    decode = sum(
        max(
            (width * (body + head) + shape.answers * cached * (shape.prompt_tokens + step)) / roofs.bytes_per_second,
            2 * (body + head) * shape.answers / roofs.flops,
        )
        for step in range(shape.answer_tokens)
    )
    prefill = 2 * body * shape.prompts * shape.prompt_tokens / roofs.flops
    train = (4 * body * (prompts + written) + 4 * head * written) / roofs.flops
    return {"generate": decode + prefill, "train": train, "step": decode + prefill + train}
