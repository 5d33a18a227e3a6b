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
from grpo_pipeline.training.fast_writing import make_fast
from grpo_pipeline.training.loading import load_policy
from grpo_pipeline.training.merged import MergedPolicy, base_alone, can_merge

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


@dataclass(frozen=True)
class Played:
    """One model as it is measured."""

    model: Policy
    base: PreTrainedModel | None = None
    """What an adapter was merged into; None where it stands beside its base, and for a base model itself."""

    @property
    def moved(self) -> bool:
        """Whether it is more than a base model."""
        return self.base is not None or (isinstance(self.model, PeftModel) and self.model.has_active_enabled_adapter)

    @contextmanager
    def as_base(self) -> Iterator[Policy]:
        """The same without its adapter."""
        if self.base is not None:
            yield self.base
        elif isinstance(self.model, PeftModel):
            with self.model.disable_adapter():
                yield self.model
        else:
            yield self.model


class Loaded:
    """A base model with the adapters of all that stand on it, of which one plays at a time.

    On a CPU in float32 each plays merged, in a quarter less time and with the same answers. In bfloat16 merging would
    round what an adapter changes, and a GPU's memory may not hold the weights twice.

    Raises:
        PipelineError: the model or an adapter cannot be loaded.
    """

    def __init__(self, base: BaseModel, players: Sequence[Contender], dtype: str) -> None:
        self._model = _with_adapters(base, players, dtype)
        self._merged: MergedPolicy | None = None
        self._base: PreTrainedModel | None = None
        if self._model.device.type != "cpu" or dtype != "float32":
            return
        if not isinstance(self._model, PeftModel):
            make_fast(self._model)
        elif can_merge(self._model):
            self._merged, self._base = MergedPolicy(self._model), base_alone(self._model)

    @contextmanager
    def play(self, player: Contender) -> Iterator[Played]:
        """One contender: with its adapter, or with none."""
        if player.adapter is None:
            with Played(self._model, self._base).as_base() as base:
                yield Played(base)
        elif self._merged is not None:
            yield Played(self._merged.current(player.name), self._base)
        else:
            assert isinstance(self._model, PeftModel)
            self._model.set_adapter(player.name)
            yield Played(self._model)


def _with_adapters(base: BaseModel, players: Sequence[Contender], dtype: str) -> Policy:
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
