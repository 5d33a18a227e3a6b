"""`POST /api/grpo/test`: what training would make of a group of answers."""

from __future__ import annotations

import asyncio
import json
import sys

from fastapi import APIRouter

from grpo_pipeline.rewards.weights import resolve_weights
from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, only
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.ranking.schema import Ranking, RankingBody
from grpo_pipeline.server.services import ServicesOf

RANK_SECONDS = 20.0
RANKING = [sys.executable, "-m", "grpo_pipeline.server.ranking"]

ranking_routes = APIRouter(prefix="/api/grpo", tags=["training"])


@ranking_routes.post(
    "/test", dependencies=[only("admin")], responses={**ACCESS_PROBLEMS, **documented(400, 413, 415, 422)}
)
async def rank_group(body: RankingBody, services: ServicesOf) -> Ranking:
    """Rank a group of answers as training would: each reward by name, the total, the advantage and the rank, and why.

    The rewards, their weights and the scaling are those of training, by the same code. Without a reference only the
    rewards that need none apply.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/test -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" \\
      -d '{"prompt": "Analyze @Ramp", "responses": ["Simple analysis", "Deep analysis with metrics"],
           "reference": "Deep analysis with metrics...", "rejected": "Simple analysis"}'
    ```
    """
    training = services.settings.training
    asked = {
        "body": body.model_dump(by_alias=True),
        "weights": resolve_weights(training.reward_weights),
        "scale": training.scale_rewards,
    }
    async with services.ranking:
        return Ranking.model_validate_json(await _ranked(json.dumps(asked).encode()))


async def _ranked(asked: bytes) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*RANKING, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(RANK_SECONDS):
            answer, _ = await process.communicate(asked)
    except TimeoutError as error:
        raise ApiError(422, f"Comparing these answers takes longer than {RANK_SECONDS:.0f} s: shorten them.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"ranking ended with {process.returncode}")
    return answer
