"""GRPO without the work that TRL's trainer does twice or in vain; loss and gradients are the same.

What each part buys (measured by `make bench-training`):
- sampling and scoring with merged weights, in the precision of the base model: `merged`;
- on a CPU weights laid out once for few rows (`packed`), in float32 half of them to read (`joined_weights`), and few
  operations for a sampled token (`token_step`);
- one read of a prompt for all its answers, in sampling (`rollouts`) and in the training pass (`token_scores`), and the
  LM head only where an answer token is predicted;
- passes without padding that no row of theirs needs, in as few passes as `micro_batch` allows, and on a CPU answers of
  like length together;
- nothing at all for answers that cannot change the policy: an advantage of zero without a KL penalty, or masked.
  dr_grpo divides by constants, so leaving them out changes nothing;
- no second pass for the log-probabilities that the answers were drawn with: each batch of answers is used for one
  optimizer step, so they are those of the training pass;
- no gradient checkpointing, unless it is asked for: then scoring is TRL's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers import PreTrainedModel
from trl import GRPOTrainer

from grpo_pipeline.training.gradients import average_gradients
from grpo_pipeline.training.merged import DEFAULT_ADAPTER, MergedPolicy
from grpo_pipeline.training.rollouts import sample_rollouts
from grpo_pipeline.training.token_scores import PromptedAnswers, score_answers


class FastGRPOTrainer(GRPOTrainer):
    """TRL's trainer with one batch of answers to one optimizer step, which it splits into passes by itself.

    It takes what this pipeline uses and no more: a LoRA policy, dr_grpo, text prompts, sampling by temperature alone.
    `per_device_train_batch_size` is all of a process's answers in a step; accumulation is left at 1.
    """

    def __init__(self, *args: Any, answers_per_pass: int, guided: bool = False, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.answers_per_pass = answers_per_pass
        self.guided = guided
        self._corrections: list[list[int]] = []
        self._merged: MergedPolicy | None = None
        if self.use_vllm:
            # TRL would merge the adapter into the base and take it out again, each time losing a little of the base.
            self.vllm_generation._iter_named_params = self._merged_weights

    def _merged_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        self.merged()
        assert self._merged is not None
        yield from self._merged.named_weights()

    def merged(self, adapter: str = DEFAULT_ADAPTER) -> PreTrainedModel:
        """The policy's merged twin, merged once for each adapter and optimizer step."""
        if self._merged is None:
            # Made at the first use, when the policy is on its device.
            self._merged = MergedPolicy(self.accelerator.unwrap_model(self.model))
        return self._merged.current(adapter)

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: Any,  # noqa: ANN401
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self.use_vllm:
            found: tuple[list[list[int]], list[list[float]] | None] = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
            return found
        answers = sample_rollouts(
            self.merged(),
            prompt_ids,
            end_tokens=self.eos_token_ids,
            max_new_tokens=self.max_completion_length,
            min_new_tokens=self.generation_kwargs.get("min_new_tokens", 0),
            temperature=self.temperature,
        )
        return self._with_corrections(answers) if self.guided else answers, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if self.guided:
            self._corrections = [row["chosen_tokens"] for row in inputs]
            inputs = [{**row, "given": self._is_given(number)} for number, row in enumerate(inputs)]
        found: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return found

    def _with_corrections(self, answers: list[list[int]]) -> list[list[int]]:
        """The answers with the correction in the last place of each group, after https://arxiv.org/abs/2504.14945.

        Without a right answer a group teaches only what is less wrong. Its answer is drawn nevertheless, so the others
        are the same as without guidance.
        """
        return [
            correction if self._is_given(number) else answer
            for number, (answer, correction) in enumerate(zip(answers, self._corrections, strict=True))
        ]

    def _is_given(self, number: int) -> bool:
        """Whether an answer of this process, by its number, is a correction; a group may begin on another process."""
        group = self.num_generations
        return (self.accelerator.process_index * len(self._corrections) + number) % group == group - 1

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:  # noqa: ANN401
        # Unlike TRL's, without shuffling: answers to one prompt stay together.
        found: dict[str, Any] = self._generate_and_score_completions(generation_batch)
        return found

    def _get_per_token_logps_and_entropies(
        self,
        model: nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        if self.args.gradient_checkpointing:
            scored: tuple[torch.Tensor, torch.Tensor, None] = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
            return scored
        scorer = self._scorer()
        parts = []
        for start in range(0, len(input_ids), self.answers_per_pass):
            rows = slice(start, start + self.answers_per_pass)
            given = PromptedAnswers(
                input_ids[rows, :-logits_to_keep],
                attention_mask[rows, :-logits_to_keep],
                input_ids[rows, -logits_to_keep:],
                attention_mask[rows, -logits_to_keep:],
            )
            parts.append(score_answers(scorer, given, self.temperature))
        return torch.cat([log_probs for log_probs, _ in parts]), torch.cat([entropy for _, entropy in parts]), None

    def _scorer(self) -> PreTrainedModel:
        """The merged twin with the adapter that is switched on; without one, the base model."""
        policy: PeftModel = self.accelerator.unwrap_model(self.model)
        if any(layer.disable_adapters for layer in policy.modules() if isinstance(layer, LoraLinear)):
            base: PreTrainedModel = policy.get_base_model()
            return base
        return self.merged(policy.active_adapter)

    def training_step(
        self,
        model: nn.Module,
        inputs: Any,  # noqa: ANN401
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Sample, score and take the gradient of one optimizer step; the loss is for the log."""
        began = time.perf_counter()
        model.train()
        batch = self._prepare_inputs(inputs)
        loss = self._accumulate(model, batch)
        average_gradients(self.accelerator, model)
        if self._merged is not None:
            # The optimizer takes its step now.
            self._merged.outdate()
        self._step += 1
        self._metrics["train"]["step_time"].append(time.perf_counter() - began)
        return loss

    def _accumulate(self, model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
        """Gradients of the batch's loss, pass by pass."""
        total = len(batch["advantages"])
        rows = self._counting(batch)
        loss = torch.zeros((), device=self.accelerator.device)
        for part in rows.split(self.answers_per_pass) if len(rows) else ():
            taken = {name: value[part] if _is_per_answer(value, total) else value for name, value in batch.items()}
            # The loss is a mean over the rows given to it.
            part_loss = self.compute_loss(model, taken) * (len(part) / total)
            self.accelerator.backward(part_loss)
            loss += part_loss.detach()
        return loss

    def _counting(self, batch: dict[str, Any]) -> torch.Tensor:
        """Row numbers of the answers that can change the policy, in order.

        Every process takes equally many, filled up with others, as what is logged is gathered from all of them.
        """
        counts = batch["completion_mask"].any(-1)
        if self.beta == 0.0:
            counts &= batch["advantages"] != 0
        most = int(self.accelerator.gather(counts.sum()).max())
        return (~counts).int().argsort(stable=True)[:most].sort().values


def _is_per_answer(value: Any, total: int) -> bool:  # noqa: ANN401
    return isinstance(value, torch.Tensor) and value.ndim > 0 and len(value) == total
