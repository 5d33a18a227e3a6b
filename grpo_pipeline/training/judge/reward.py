"""A judge as a reward: another model compares each sampled answer with the user's correction, in both orders."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2

from grpo_pipeline.artifacts import write_atomically
from grpo_pipeline.training.batches import process_count, process_rank
from grpo_pipeline.training.judge.comparison import Preference, comparison, read_preference, reward_of
from grpo_pipeline.training.judge.settings import JudgeSettings

COUNTED = ("asked", "answered", "unreadable", "timed_out", "failed", "given_up", "over_budget")
# A judge that is down would otherwise cost a timeout for every comparison of every step.
GIVE_UP = 8


class Budget:
    """How many comparisons a run may still make; kept in a file, so that a run taken up again does not start anew."""

    def __init__(self, most: int, folder: Path) -> None:
        # Each process asks for itself, so each has its share.
        self.most = most // process_count()
        self.path = folder / f"judge_{process_rank()}.json"
        self.used = json.loads(self.path.read_text(encoding="utf-8"))["comparisons"] if self.path.exists() else 0

    def take(self, wanted: int) -> bool:
        """Whether so many more comparisons may be made, all of them or none; they then count as made."""
        if self.used + wanted > self.most:
            return False
        self.used += wanted
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps({"comparisons": self.used}))
        return True


class JudgeReward:
    """Compares answers with corrections by an OpenAI-compatible API: 1 better, 0 tie or disagreement, -1 worse.

    None where the judge did not answer in time, did not answer readably, or may not be asked any more. An answer
    that equals the correction is a tie, which needs no judge.
    """

    def __init__(self, settings: JudgeSettings, folder: Path) -> None:
        self.settings = settings
        self.budget = Budget(settings.budget, folder)

    def __call__(
        self,
        completions: Sequence[str],
        chosen: Sequence[str],
        question: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward per completion; `log_metric` is told how many comparisons were made and what became of them."""
        counts: Counter[str] = Counter()
        open_rows = [row for row, text in enumerate(completions) if text.strip() and text != chosen[row]]
        asked = open_rows if self.budget.take(2 * len(open_rows)) else []
        counts["over_budget"] = 2 * (len(open_rows) - len(asked))
        found = [_without_judge(text, kept) for text, kept in zip(completions, chosen, strict=True)]
        triples = [(question[row], completions[row], chosen[row]) for row in asked]
        for row, reward in zip(asked, asyncio.run(self._judge_all(triples, counts)), strict=True):
            found[row] = reward
        if log_metric:
            for name in COUNTED:
                log_metric(f"judge/{name}", float(counts[name]))
        return found

    async def _judge_all(self, triples: Sequence[tuple[str, str, str]], counts: Counter[str]) -> Sequence[float | None]:
        key = self.settings.api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        limit = asyncio.Semaphore(self.settings.concurrency)
        async with httpx2.AsyncClient(headers=headers, timeout=self.settings.timeout) as client:

            async def ask(question: str, first: str, second: str) -> Preference | None:
                body = comparison(str(self.settings.model), question, first, second)
                async with limit:
                    return await self._ask(client, body, counts)

            async def judge(question: str, answer: str, correction: str) -> float | None:
                both = ask(question, answer, correction), ask(question, correction, answer)
                return reward_of(*await asyncio.gather(*both))

            return await asyncio.gather(*(judge(*triple) for triple in triples))

    async def _ask(self, client: httpx2.AsyncClient, body: object, counts: Counter[str]) -> Preference | None:
        if not counts["answered"] and counts["timed_out"] + counts["failed"] >= GIVE_UP:
            counts["given_up"] += 1
            return None
        counts["asked"] += 1
        try:
            # The client's own limit is on each read, which a server that trickles never reaches.
            async with asyncio.timeout(self.settings.timeout):
                response = await client.post(f"{self.settings.url}/chat/completions", json=body)
                response.raise_for_status()
                preference = read_preference(response.json())
        except (TimeoutError, httpx2.TimeoutException):
            counts["timed_out"] += 1
            return None
        except (httpx2.HTTPError, ValueError):
            counts["failed"] += 1
            return None
        counts["answered"] += 1
        counts["unreadable"] += preference is None
        return preference


def _without_judge(answer: str, correction: str) -> float | None:
    """The reward where it needs no judge: a tie for the correction itself, the lowest for an answer of nothing."""
    if answer == correction:
        return 0.0
    return None if answer.strip() else -1.0
