import dagster as dg
import pytest
from pydantic import BaseModel

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.dataset.settings import DatasetSettings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.settings import EvaluationSettings
from grpo_pipeline.run_config import launchpad_config, overridden
from grpo_pipeline.training.settings import TrainingSettings


@pytest.mark.parametrize("settings", [CurationSettings, DatasetSettings, TrainingSettings, EvaluationSettings])
def test_every_setting_of_a_stage_is_in_its_launchpad_form_with_its_description(settings: type[BaseModel]) -> None:
    form = launchpad_config(settings).to_config_schema().as_field().config_type.fields  # type: ignore[attr-defined]
    assert set(form) == set(settings.model_fields)
    assert not any(field.is_required for field in form.values())
    assert {field.description for field in form.values()} == {f.description for f in settings.model_fields.values()}


def test_an_empty_form_changes_nothing() -> None:
    settings = DatasetSettings(min_new_pairs=7)
    assert overridden(settings, launchpad_config(DatasetSettings)()) == settings


def test_a_value_typed_into_the_form_replaces_the_projects_own() -> None:
    config = launchpad_config(DatasetSettings)(min_new_pairs=3, hold_out_by="prompt")
    changed = overridden(DatasetSettings(lookback_weeks=9), config)
    assert (changed.min_new_pairs, changed.hold_out_by, changed.lookback_weeks) == (3, "prompt", 9)


def test_a_value_that_the_stage_does_not_take_is_named() -> None:
    config = launchpad_config(DatasetSettings)(hold_out_by="moon", min_new_pairs=0)
    with pytest.raises(PipelineError, match=r"min_new_pairs: .*; hold_out_by: "):
        overridden(DatasetSettings(), config)


def test_dagster_accepts_the_form_as_an_assets_config() -> None:
    seen: list[dg.Config] = []
    form = launchpad_config(TrainingSettings)

    @dg.op
    def step(config: form) -> None:  # type: ignore[valid-type]
        seen.append(config)

    @dg.job
    def job() -> None:
        step()

    config = {"steps": 3, "profile": "tiny", "learning_rate": 1, "reward_weights": {"similarity": 0.5}}
    job.execute_in_process(run_config={"ops": {"step": {"config": config}}})
    assert overridden(TrainingSettings(), seen[0]).steps == 3 if "similarity" in str(seen[0]) else seen
