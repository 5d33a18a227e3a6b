"""Answers of the champion to rank."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from grpo_pipeline.conversation import parse_prompt
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.server.problems import ApiError
from grpo_pipeline.server.ranking.processes import run_module
from grpo_pipeline.server.ranking.schema import RankingBody
from grpo_pipeline.server.services import Services

MODULE = "grpo_pipeline.evaluation.sample_group"


@dataclass(frozen=True)
class Sampled:
    """The answers, which of them were cut, and whose they are."""

    texts: list[str]
    cut: list[bool]
    model_version: str


async def sample_from_champion(body: RankingBody, services: Services) -> Sampled:
    """Ask the champion the prompt as often as asked, at the temperature that training samples at.

    Raises:
        ApiError: there is no champion, it cannot be loaded, or it takes too long.
    """
    champion = await run_in_threadpool(ModelRegistry(services.url).champion)
    if champion is None:
        raise ApiError(409, "There is no champion to sample from: send responses instead.")
    asked = {
        "home": str(services.settings.home),
        "base_model": champion.base_model,
        "adapter": champion.adapter_location,
        "prompt": parse_prompt(body.prompt_text),
        "tools": json.dumps(body.tools) if body.tools else None,
        "answers": body.sample,
        "temperature": services.settings.training.temperature,
        "seed": secrets.randbits(32),
        "settings": services.settings.evaluation.model_dump(mode="json"),
    }
    seconds = services.server.sample_seconds
    async with services.sampling:
        answer = await run_module(MODULE, json.dumps(asked).encode(), seconds, "ask for fewer or send responses")
    found = json.loads(answer)
    return Sampled(found["texts"], found["cut"], champion.version)
