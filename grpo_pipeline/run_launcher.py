"""Launches runs as Dagster does by default, and tells the daemon which of them have lost their process."""

from __future__ import annotations

import json

from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import GRPC_INFO_TAG

from grpo_pipeline.lost_runs import LOST, host_tag, is_lost

THIS_MACHINE = {"localhost", "127.0.0.1"}


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with a health check: after a crash the daemon fails the run and starts it again."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run and note on it which machine its process is on."""
        super().launch_run(context)
        run = self._instance.get_run_by_id(context.dagster_run.run_id)
        if run and json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host") in THIS_MACHINE:
            self._instance.add_run_tags(run.run_id, host_tag())

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a started run still has its process; one on another machine is taken to have it."""
        if is_lost(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, LOST)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
