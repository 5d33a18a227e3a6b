"""The models that are compared, played one after the other on one loaded base."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from grpo_pipeline.artifacts import file_digest
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.config import EvaluationRun
from grpo_pipeline.gates.metrics import BASE, CANDIDATE, INCUMBENT
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.loading import load_policy

Policy: TypeAlias = PreTrainedModel | PeftModel


@dataclass(frozen=True)
class Contender:
    """One model in the comparison: its role, its base and its adapter (None for the base model itself)."""

    name: str
    base: BaseModel
    adapter: Path | None

    def identity(self) -> dict[str, str | None]:
        """What the scores of this model depend on, whatever folder it lies in."""
        return {"base_model": self.base.name, "revision": self.base.revision, "adapter": _digest(self.adapter)}


def _digest(adapter: Path | None) -> str | None:
    if adapter is None:
        return None
    files = sorted(path for path in adapter.glob("adapter_*") if path.is_file())
    return hashlib.sha256("".join(f"{path.name}:{file_digest(path)};" for path in files).encode()).hexdigest()[:16]


def contenders(run: EvaluationRun) -> list[Contender]:
    """The base model, the incumbent where there is one, the candidate and its challengers."""
    base = locate_base_model(run.base_model, run.home)
    found = [Contender(BASE, base, None)]
    if run.incumbent_adapter:
        other = run.incumbent_base_model
        incumbent_base = locate_base_model(other, run.home) if other and other != run.base_model else base
        found.append(Contender(INCUMBENT, incumbent_base, run.incumbent_adapter))
    found.append(Contender(CANDIDATE, base, run.candidate_adapter))
    return [*found, *(Contender(method, base, adapter) for method, adapter in run.challengers.items())]


def load_contenders(base: BaseModel, players: Sequence[Contender], dtype: str) -> Policy:
    """A base model with the adapters of all that stand on it.

    Raises:
        PipelineError: the model or an adapter cannot be loaded.
    """
    model: Policy = load_policy(base, dtype=dtype)
    for player in players:
        if player.adapter is None:
            continue
        try:
            if isinstance(model, PeftModel):
                model.load_adapter(player.adapter, adapter_name=player.name)
            else:
                model = PeftModel.from_pretrained(model, player.adapter, adapter_name=player.name)
        except (RuntimeError, ValueError, OSError) as error:
            raise PipelineError(
                f"The adapter of the {player.name} does not fit the base model {base.name}: it was trained on another "
                "one or is damaged. Evaluate it on its own base model, or train the week again."
            ) from error
    # Adapters come in float32; beside a bfloat16 base every layer would convert back and forth.
    return model.to(getattr(torch, dtype)).eval()


@contextmanager
def playing(model: Policy, player: Contender) -> Iterator[Policy]:
    """The loaded model as one contender: with its adapter, or with none."""
    if isinstance(model, PeftModel) and player.adapter is None:
        with model.disable_adapter():
            yield model
        return
    if player.adapter is not None:
        model.set_adapter(player.name)
    yield model
