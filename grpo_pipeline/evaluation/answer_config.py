"""What models are asked to answer, and where their answers go."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grpo_pipeline.errors import PipelineError


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


def answers_file(output_dir: Path, respondent: str) -> Path:
    """Where a respondent's answers are: id, answer, cut."""
    return output_dir / f"answers_{respondent}.parquet"


def read_answer_run(path: Path) -> AnswerRun:
    """The run that a config file describes.

    Raises:
        PipelineError: the file cannot be read or names something that is not there.
    """
    try:
        run = AnswerRun.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineError(f"The config file {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PipelineError(f"The config file {path} cannot be used: {'; '.join(faults)}.") from error
    for respondent in run.respondents:
        if respondent.adapter and not (respondent.adapter / "adapter_config.json").exists():
            raise PipelineError(f"The folder {respondent.adapter} holds no adapter: adapter_config.json is missing.")
    return run
