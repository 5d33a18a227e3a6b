"""A process with a run that holds the slot of the pool, to be killed."""

from __future__ import annotations

import subprocess
import sys
import time

import dagster as dg

from grpo_pipeline.lost_runs import HOST_TAG, host_tag, pool_users

POOL = "gpu"
# A run whose only step takes the pool's slot and keeps it.
KEEPS_THE_SLOT = """
import sys, time
import dagster as dg

@dg.op(pool="gpu")
def training():
    time.sleep(300)

@dg.job
def training_job():
    training()

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    training_job.execute_in_process(instance=instance, tags={"grpo/host": sys.argv[2]})
"""


def begin(instance: dg.DagsterInstance, host: str | None = None) -> tuple[subprocess.Popen[bytes], dg.DagsterRun]:
    """A process with a run, by default one of this machine, that has taken the pool's slot."""
    host = host or host_tag()[HOST_TAG]
    process = subprocess.Popen([sys.executable, "-c", KEEPS_THE_SLOT, instance.root_directory, host])
    deadline = time.monotonic() + 60
    while not (users := pool_users(instance, {POOL})):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    return process, users[0]
