"""Runs whose process is gone: found by its id on this machine, and ended, so that they hold nothing back.

A killed process, or a machine that lost its power, cannot say so itself: Dagster's default launcher leaves such a run
started for ever, and with it the pool's only slot (dagster#28456).
"""

from __future__ import annotations

import math
import socket

import dagster as dg
import psutil  # type: ignore[import-untyped]

HOST_TAG = "grpo/host"
LOST = "Its process ended without a word: it was killed, or the machine stopped. Training goes on from its checkpoint."
# The clocks of the process table and of the event log differ by rounding.
CLOCK_SLACK_SECONDS = 2.0


def host_tag() -> dict[str, str]:
    """The tag of a run whose process is on this machine."""
    return {HOST_TAG: socket.gethostname()}


def is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a started run's process was on this machine and is gone; a run of another machine is never lost."""
    if run.tags.get(HOST_TAG) != socket.gethostname():
        return False
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        metadata = entry.get_dagster_event().engine_event_data.metadata
        if "pid" in metadata:
            # The first process that a run names is the one that carries it to its end.
            return not _is_alive(int(str(metadata["pid"].value)), entry.timestamp)
    return False


def _is_alive(pid: int, seen: float) -> bool:
    """Whether this process still is the one that was seen at this time, and not a later one with the same id."""
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and float(process.create_time()) <= seen + CLOCK_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return False


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs whose process is gone, and free the pool slots that they hold; their ids."""
    under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(statuses=under_way, tags=host_tag()))
    lost = [run for run in runs if is_lost(instance, run)]
    for run in lost:
        instance.report_run_failed(run, LOST)
        _free(instance, run.run_id)
    return [run.run_id for run in lost]


def pool_users(instance: dg.DagsterInstance, pools: set[str]) -> list[dg.DagsterRun]:
    """The runs that keep any of these pools full; a slot that was left behind by a run that is over is freed."""
    users = []
    for pool in sorted(pools):
        known = instance.event_log_storage.get_concurrency_info(pool)
        if len(known.claimed_slots) < (known.limit or math.inf):
            continue
        holders = {slot.run_id: instance.get_run_by_id(slot.run_id) for slot in known.claimed_slots}
        for run_id, run in holders.items():
            if run is None or run.is_finished:
                _free(instance, run_id)
            else:
                users.append(run)
    return users


def _free(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
