"""Processes that end with this one, whatever ends it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from grpo_pipeline.resources.process_guard import STOP_SECONDS

GUARD = "grpo_pipeline.resources.process_guard"


async def start_guarded(
    command: Sequence[str], lock_file: Path, *, folder: Path, environment: Mapping[str, str]
) -> Process:
    """Start a command under the process guard; all of it is stopped when `stop_guarded` asks or this process is gone.

    Its output and errors come as one stream on the process's `stdout`.
    """
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", GUARD, str(lock_file), *command),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=folder,
        env=dict(environment),
        # The terminal's Ctrl-C is for this process, which then stops the command in its own order.
        start_new_session=True,
    )


async def stop_guarded(process: Process) -> None:
    """Stop a command with everything it started, and wait until it is gone."""
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(STOP_SECONDS + 5):
        await process.wait()
