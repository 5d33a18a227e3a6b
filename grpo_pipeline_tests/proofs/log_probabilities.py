"""The log-probabilities that a policy gives to fixed answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.training.loading import render_prompt


@torch.inference_mode()
def token_log_probabilities(
    model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]
) -> torch.Tensor:
    """Log-probability in float32 of every answer token of (question, answer) pairs, all in one row.

    Computed as in training: in bfloat16 where any of the model's weights are. The model is left in the mode it was in;
    nothing is sampled, padded or cached.
    """
    was_training = model.training
    model.eval()
    found = []
    mixed = torch.autocast("cpu", torch.bfloat16, any(weight.dtype == torch.bfloat16 for weight in model.parameters()))
    for question, answer in pairs:
        prompt = tokenizer(render_prompt(tokenizer, [{"role": "user", "content": question}]))["input_ids"]
        tokens = tokenizer(answer, add_special_tokens=False)["input_ids"]
        with mixed:
            logits = model(input_ids=torch.tensor([prompt + tokens]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        scores = logits.float().log_softmax(-1)
        found.append(scores.gather(-1, torch.tensor(tokens).unsqueeze(-1)).squeeze(-1))
    model.train(was_training)
    return torch.cat(found)
