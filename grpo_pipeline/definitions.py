"""Everything that Dagster loads, in explicit lists; the only place that puts it together."""

from __future__ import annotations

import dagster as dg

from grpo_pipeline.alerting import training_alert_sensor, training_failure_alert_sensor, watch_alert_sensor
from grpo_pipeline.assets.backtest import backtest
from grpo_pipeline.assets.curation import curated_pairs
from grpo_pipeline.assets.dataset import preference_dataset
from grpo_pipeline.assets.evaluation import policy_evaluation
from grpo_pipeline.assets.feedback import agent_feedback, preference_pairs
from grpo_pipeline.assets.monitoring import ab_test, success_rates
from grpo_pipeline.assets.promotion import champion
from grpo_pipeline.assets.reward_model import reward_model
from grpo_pipeline.assets.tool_calling import tool_call_scenarios, tool_calling_evaluation, tool_calling_policy
from grpo_pipeline.assets.training import grpo_policy
from grpo_pipeline.automation import (
    data_job,
    enough_pairs_sensor,
    late_feedback_sensor,
    tool_calling_job,
    weekly_training_job,
    weekly_training_schedule,
)
from grpo_pipeline.checks import CHECKS
from grpo_pipeline.monitors import ab_test_sensor, monitoring_job, monitoring_schedule
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.resources.feedback_store import FeedbackStoreResource
from grpo_pipeline.resources.model_registry import ModelRegistryResource
from grpo_pipeline.resources.trainer import LaunchSettings, Trainer

defs = dg.Definitions(
    assets=[
        agent_feedback,
        preference_pairs,
        curated_pairs,
        preference_dataset,
        reward_model,
        grpo_policy,
        policy_evaluation,
        champion,
        backtest,
        success_rates,
        ab_test,
        tool_call_scenarios,
        tool_calling_policy,
        tool_calling_evaluation,
    ],
    asset_checks=CHECKS,
    jobs=[weekly_training_job, data_job, tool_calling_job, monitoring_job],
    schedules=[weekly_training_schedule, monitoring_schedule],
    sensors=[
        enough_pairs_sensor,
        late_feedback_sensor,
        ab_test_sensor,
        training_alert_sensor,
        training_failure_alert_sensor,
        watch_alert_sensor,
    ],
    resources={
        "feedback_store": FeedbackStoreResource(),
        "artifact_store": ArtifactStoreResource(),
        "model_registry": ModelRegistryResource(),
        "trainer": Trainer(**LaunchSettings().model_dump()),
    },
    # The heavy steps run in processes of their own; a process for each of the others would only cost its start.
    executor=dg.in_process_executor,
)
