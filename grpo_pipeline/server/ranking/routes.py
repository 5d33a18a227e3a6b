"""`POST /api/grpo/test`: what training would make of a group of answers."""

from __future__ import annotations

import json
from dataclasses import asdict

from fastapi import APIRouter

from grpo_pipeline.rewards.weights import resolve_weights
from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, only
from grpo_pipeline.server.problems import documented
from grpo_pipeline.server.ranking.processes import run_module
from grpo_pipeline.server.ranking.sampling import sample_from_champion
from grpo_pipeline.server.ranking.schema import Ranking, RankingBody
from grpo_pipeline.server.services import ServicesOf

RANK_SECONDS = 20.0
MODULE = "grpo_pipeline.server.ranking"

ranking_routes = APIRouter(prefix="/api/grpo", tags=["training"])


@ranking_routes.post(
    "/test", dependencies=[only("admin")], responses={**ACCESS_PROBLEMS, **documented(400, 409, 413, 415, 422)}
)
async def rank_group(body: RankingBody, services: ServicesOf) -> Ranking:
    """Rank a group of answers as training would: each reward by name, the total, the advantage and the rank, and why.

    The rewards, their weights and the scaling are those of training, by the same code. Without a reference only the
    rewards that need none apply. Instead of `responses`, `sample` asks the champion for so many, which takes a while
    where there is no GPU.

    ```sh
    curl http://127.0.0.1:8000/api/grpo/test -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" \\
      -d '{"prompt": "Analyze @Ramp", "responses": ["Simple analysis", "Deep analysis with metrics"],
           "reference": "Deep analysis with metrics...", "rejected": "Simple analysis"}'
    ```
    """
    training = services.settings.training
    sampled = await sample_from_champion(body, services) if body.sample else None
    asked = {
        "body": body.model_dump(by_alias=True),
        "sampled": asdict(sampled) if sampled else None,
        "weights": resolve_weights(training.reward_weights),
        "scale": training.scale_rewards,
    }
    async with services.ranking:
        answer = await run_module(MODULE, json.dumps(asked).encode(), RANK_SECONDS, "shorten the answers")
    return Ranking.model_validate_json(answer)
