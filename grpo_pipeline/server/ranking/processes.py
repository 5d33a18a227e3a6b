"""Work that may take long, in processes that are stopped when it does."""

from __future__ import annotations

import asyncio
import sys

from grpo_pipeline.server.problems import ApiError

ERROR = b"Error: "


async def run_module(module: str, asked: bytes, seconds: float, too_long: str) -> bytes:
    """What a module answers on standard output to what it is asked on standard input.

    Raises:
        ApiError: it took too long (422, `too_long` says what to do), or says that it cannot (503, with its sentence).
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(seconds):
            answer, said = await process.communicate(asked)
    except TimeoutError as error:
        raise ApiError(422, f"This takes longer than {seconds:.0f} s: {too_long}.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return answer
    sentence = next((line for line in reversed(said.splitlines()) if line.startswith(ERROR)), None)
    if sentence is None:
        # Whatever else it printed may quote what it was asked.
        raise RuntimeError(f"{module} ended with {process.returncode}")
    raise ApiError(503, sentence.removeprefix(ERROR).decode(errors="replace"))
