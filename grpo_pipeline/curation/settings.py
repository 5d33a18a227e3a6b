"""Settings of the curation stage, each also an environment variable `GRPO_CURATION__<NAME>`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class CurationSettings(BaseModel):
    """Which pairs are good enough to learn from; the defaults suit a first run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review: Literal["auto", "required"] = Field(
        "auto", description="auto: pairs pass unless a person rejected them; required: only pairs a person approved."
    )
    min_chars: int = Field(3, ge=1, description="Fewest characters in a prompt and in a kept answer.")
    context_tokens: int = Field(
        8192, ge=16, description="Most tokens the model takes for prompt, tools and one answer together."
    )
    characters_per_token: float = Field(
        3.0, gt=0, description="Characters a token stands for, by which tokens are estimated from text."
    )
    max_broken_characters: int = Field(
        0, ge=0, description="Replacement, control and wrongly decoded characters a text may hold."
    )
    min_score: float = Field(
        3, description="Least score (1 to 5) of a pair's kept answer; an edit's score rates the rejected one instead."
    )
    redact: bool = Field(
        True, description="Replace personal data by placeholders such as <EMAIL_1>, the same throughout a pair."
    )
    phone_regions: tuple[Region, ...] = Field(
        ("US",), description="Countries (two letters) whose phone numbers are known without a country code."
    )
    copied_prompt_share: float = Field(
        0.9, gt=0, le=1, description="Share of a kept answer that may be a copy of the prompt it begins with."
    )
    near_duplicate_similarity: float = Field(
        0.8, ge=0.5, le=1, description="Similarity of prompt and of kept answer from which two pairs count as one."
    )
    max_contributor_share: float = Field(
        0.25, gt=0, le=1, description="Most of a week's pairs one person may give; at least twice an equal share."
    )
    contributor_floor: int = Field(20, ge=1, description="Pairs of one person that are kept whatever their share.")
    repeated_answer_similarity: float = Field(
        0.6, ge=0.5, le=1, description="Similarity from which kept answers to unlike prompts count as one answer."
    )
    repeated_answer_pairs: int = Field(
        3,
        ge=2,
        description="Unlike prompts with one kept answer from which it is set aside, unless a person approved it.",
    )
    outvoted_margin: int = Field(
        2, ge=1, description="How many more people's votes and pairs speak against a pair than for it to set it aside."
    )
    mislabeled_margin: float = Field(
        0.5,
        gt=0,
        description="Share of the usual pair's margin by which the others' preferences must turn a pair round.",
    )
    mislabeled_accuracy: float = Field(
        0.85,
        gt=0.5,
        le=1,
        description="Share of pairs the others' preferences must foretell before they may judge any.",
    )
    mislabeled_min_pairs: int = Field(
        40, ge=10, description="Pairs of a week below which no pair is judged by what the others prefer."
    )
    distrusted_share: float = Field(
        0.5, gt=0, le=1, description="Share of a person's pairs found suspect from which all of them are set aside."
    )
    distrusted_pairs: int = Field(4, ge=2, description="Suspect pairs below which nobody is distrusted as a whole.")
    up_score: float = Field(4, description="Least rating (1 to 5) that counts as a thumbs-up.")
    down_score: float = Field(2, description="Highest rating (1 to 5) that counts as a thumbs-down.")

    @model_validator(mode="after")
    def _up_lies_above_down(self) -> Self:
        if self.up_score <= self.down_score:
            raise ValueError("up_score has to be greater than down_score")
        return self
