from collections.abc import Iterator

import dagster as dg
import polars as pl

from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.resources.failures import fails_clearly


def test_bad_data_fails_the_step_once_with_its_own_sentence() -> None:
    attempts = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=3))
    @fails_clearly
    def agent_feedback() -> Iterator[dg.MaterializeResult[None]]:
        """Rows of one week."""
        attempts.append(1)
        raise PipelineError("The table public.agent_feedback does not exist: run `grpo-pipeline db migrate`.")
        yield dg.MaterializeResult()

    assert agent_feedback.get_asset_spec().description == "Rows of one week."
    result = dg.materialize([agent_feedback], raise_on_error=False)
    failed = result.all_events[-2] if not result.success else None
    data = next(event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failed
    assert len(attempts) == 1
    assert data.user_failure_data is not None
    assert data.user_failure_data.description == (
        "The table public.agent_feedback does not exist: run `grpo-pipeline db migrate`."
    )


def test_a_full_disk_is_one_sentence_that_names_the_place() -> None:
    @dg.asset
    @fails_clearly
    def curated_pairs() -> Iterator[dg.MaterializeResult[None]]:
        pl.DataFrame({"id": range(100_000)}).write_parquet("/dev/full")
        yield dg.MaterializeResult()

    result = dg.materialize([curated_pairs], raise_on_error=False)
    data = next(event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert data.user_failure_data is not None
    assert str(data.user_failure_data.description).startswith(f"The disk of {load_settings().artifacts} is full")


def test_what_polars_says_about_values_stays_out_of_the_event_log() -> None:
    @dg.asset
    @fails_clearly
    def curated_pairs() -> Iterator[dg.MaterializeResult[None]]:
        pl.DataFrame({"score": ["what a user wrote"]}).with_columns(pl.col("score").cast(pl.Float64, strict=True))
        yield dg.MaterializeResult()

    instance = dg.DagsterInstance.ephemeral()
    result = dg.materialize([curated_pairs], raise_on_error=False, instance=instance)
    logged = "".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert "InvalidOperationError in curated_pairs (test_failures.py, line" in logged
    assert "what a user wrote" not in logged
