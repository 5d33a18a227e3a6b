"""What models are asked to answer, and where their answers go."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from grpo_pipeline.training.config_file import read_config, require_adapter


class Respondent(BaseModel):
    """One model that answers: a base model, with an adapter or as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base_model: str
    adapter: Path | None = None


class AnswerRun(BaseModel):
    """The content of the config file of one run of answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: Path
    """Parquet with id, prompt (chat messages), tools (JSON or null) and max_new_tokens."""
    output_dir: Path
    home: Path
    respondents: tuple[Respondent, ...]
    batch_size: int = Field(32, ge=1)
    temperature: float = Field(0.0, ge=0)
    """Of sampling; 0 for the likeliest answer."""


def answers_file(output_dir: Path, respondent: str) -> Path:
    """Where a respondent's answers are: id, answer, cut."""
    return output_dir / f"answers_{respondent}.parquet"


def read_answer_run(path: Path) -> AnswerRun:
    """The run that a config file describes.

    Raises:
        PipelineError: the file cannot be read or names something that is not there.
    """
    run = read_config(path, AnswerRun)
    for respondent in run.respondents:
        require_adapter(respondent.adapter)
    return run
