"""Locks on folders between processes; the system releases them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo_pipeline.errors import PipelineError

RETRY_SECONDS = 0.2


@contextmanager
def exclusive(path: Path, *, wait_seconds: float, busy: str) -> Iterator[None]:
    """Hold a lock file, waiting for its present holder.

    Raises:
        PipelineError: `busy` says it, when the holder keeps it for longer than `wait_seconds`.
    """
    with path.open("a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    handle.seek(0)
                    raise PipelineError(busy.replace("{holder}", handle.read().strip() or "unknown")) from None
                time.sleep(RETRY_SECONDS)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
