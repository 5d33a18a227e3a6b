"""A group of answers to rank, and what training would make of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from grpo_pipeline.conversation import format_prompt
from grpo_pipeline.rewards.advantages import ScaleRewards
from grpo_pipeline.server.feedback.schema import ChatMessage
from grpo_pipeline.server.schema import TEXT_BYTES, Answer, Body, Text, storable

MOST_RESPONSES = 32


class RankingBody(Body):
    """Answers to one prompt."""

    prompt: Annotated[Text, Field(min_length=1)] | Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="What was asked: a text, or the messages of a conversation."
    )
    responses: list[Text] | None = Field(
        None, min_length=2, max_length=MOST_RESPONSES, description="The group: 2 to 32 answers."
    )
    sample: int | None = Field(
        None, ge=2, le=MOST_RESPONSES, strict=True, description="Ask the champion for so many answers instead."
    )
    reference: Text | None = Field(None, description="The right answer, as a user's correction would say it.")
    rejected: Text | None = Field(None, description="The answer that the reference corrects.")
    tools: list[dict[str, Any]] | None = Field(
        None, description="The tools that were offered; the rewards judge the calls by the reference alone."
    )

    @model_validator(mode="after")
    def _fits(self) -> RankingBody:
        if (self.responses is None) == (self.sample is None):
            raise ValueError("send either responses or sample")
        storable(self.prompt_text, TEXT_BYTES)
        return self

    @property
    def prompt_text(self) -> str:
        """The prompt as the database would keep it."""
        if isinstance(self.prompt, str):
            return self.prompt
        return format_prompt([{"role": message.role, "content": message.content} for message in self.prompt])


class RewardScore(Answer):
    """What one reward says of one answer."""

    name: str = Field(description="The reward.")
    weight: float = Field(description="How much it counts.")
    score: float | None = Field(description="What it gives; null where it does not apply.")
    note: str | None = Field(description="Why it does not apply.")


class Ranked(Answer):
    """What training would make of one answer."""

    index: int = Field(description="Its place among the responses, from 0.")
    text: str | None = Field(None, description="The answer, where it was sampled.")
    rank: int | None = Field(description="1 is best; equal ones share a rank; null where no reward applies.")
    total: float | None = Field(description="The weighted sum of the rewards that apply.")
    advantage: float = Field(description="What GRPO would weigh its tokens by: above 0 is made likelier.")
    rewards: list[RewardScore] = Field(description="Each reward by name.")
    why: str = Field(description="What sets it apart from the group's mean, the largest first.")


class RewardMeaning(Answer):
    """What a reward looks at."""

    name: str = Field(description="The reward.")
    meaning: str = Field(description="What it gives, in a sentence.")


class Ranking(Answer):
    """A ranked group."""

    responses: list[Ranked] = Field(description="In the order in which they were sent or sampled.")
    model_version: str | None = Field(None, description="Whose answers they are, where they were sampled.")
    best: int | None = Field(description="The index of the best one; null where no reward applies to any.")
    scale_rewards: ScaleRewards = Field(description="What the differences are divided by, as training is set.")
    meanings: list[RewardMeaning] = Field(description="What each reward looks at.")
