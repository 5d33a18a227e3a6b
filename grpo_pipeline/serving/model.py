"""A model as it is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.model_version import ModelVersion


@dataclass(frozen=True)
class Model:
    """A base model, with an adapter or as it is, under the name that clients ask for."""

    name: str
    base_model: str
    adapter: Path | None = None

    @classmethod
    def of(cls, version: ModelVersion) -> Model:
        """A trained version.

        Raises:
            PipelineError: its adapter is not on this machine.
        """
        adapter = Path(version.adapter_location) if version.adapter_location else None
        if adapter is None or not (adapter / "adapter_config.json").exists():
            raise PipelineError(
                f"The adapter of {version.version} is not on this machine ({adapter or 'no place is known'}): mount "
                "the artifact store where it was trained, or train its week again."
            )
        return cls(version.version, version.base_model, adapter)
