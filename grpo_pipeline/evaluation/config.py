"""What one evaluation is asked to do, and how much of it the hardware allows."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.gates.metrics import CANDIDATE
from grpo_pipeline.training.config_file import read_config, require_adapter
from grpo_pipeline.training.methods.catalog import BY_SIMPLICITY, MethodName
from grpo_pipeline.training.profiles import Hardware


class EvaluationRun(BaseModel):
    """The content of the config file of one evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out: Path
    """Parquet with id, contributor, prompt, chosen, rejected and tools, as the dataset holds them."""
    output_dir: Path
    home: Path
    base_model: str
    candidate_adapter: Path
    candidate_method: MethodName = "grpo_after_warm_start"
    challengers: dict[MethodName, Path] = {}
    """Adapters of the week's other candidates, by the method that trained them."""
    incumbent_adapter: Path | None = None
    incumbent_base_model: str | None = None
    """Where the incumbent was trained on another base model than the candidate."""
    look: int = Field(1, ge=1)
    """Which evaluation against this incumbent it is; the evidence that is needed grows with it."""
    settings: EvaluationSettings = EvaluationSettings()

    @property
    def candidates(self) -> dict[str, str]:
        """Each candidate's name among the scores by its method, from the simplest method on."""
        return {
            method: CANDIDATE if method == self.candidate_method else method
            for method in BY_SIMPLICITY
            if method == self.candidate_method or method in self.challengers
        }


class Sizes(BaseModel):
    """Settings with every size decided; fields as in EvaluationSettings."""

    model_config = ConfigDict(frozen=True)

    max_pairs: int
    answers_per_prompt: int
    kl_answers: int
    regression_items: int
    max_new_tokens: int
    max_prompt_tokens: int
    max_scored_tokens: int
    batch_size: int
    temperature: float
    seed: int
    dtype: str


ON_GPU = {
    "max_pairs": 1500,
    "answers_per_prompt": 4,
    "kl_answers": 1,
    "regression_items": 24,
    "max_new_tokens": 512,
    "max_prompt_tokens": 2048,
    "max_scored_tokens": 1024,
}
ON_CPU = {
    "max_pairs": 60,
    "answers_per_prompt": 2,
    "kl_answers": 1,
    "regression_items": 10,
    "max_new_tokens": 64,
    "max_prompt_tokens": 512,
    "max_scored_tokens": 256,
}


def resolve_sizes(settings: EvaluationSettings, hardware: Hardware) -> Sizes:
    """Every size that an evaluation uses: the settings, and the hardware's values where they are unset."""
    stated = {name: value for name, value in settings.model_dump().items() if value is not None}
    dtype = "bfloat16" if hardware.gpus or hardware.cpu_bf16 else "float32"
    return Sizes.model_validate({**(ON_GPU if hardware.gpus else ON_CPU), **stated, "dtype": dtype})


def read_run(path: Path) -> EvaluationRun:
    """The evaluation that a config file describes.

    Raises:
        PipelineError: the file cannot be read or names something that is not there.
    """
    run = read_config(path, EvaluationRun)
    if not run.held_out.is_file():
        raise PipelineError(f"The held-out pairs {run.held_out} do not exist: materialize preference_dataset first.")
    for adapter in (run.candidate_adapter, run.incumbent_adapter, *run.challengers.values()):
        require_adapter(adapter)
    return run
