"""Feedback as an app posts it, checked so that the database has nothing left to refuse."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from grpo_pipeline.conversation import format_prompt
from grpo_pipeline.server.schema import TEXT_BYTES, Answer, Body, Name, Text, storable

METADATA_BYTES = 65_536
FeedbackType = Literal["thumbs_up", "thumbs_down", "rating", "edit", "comment"]
Outcome = Literal["recorded", "replaced", "repeated"]

EXAMPLE: JsonDict = {
    "prompt": "Analyze @Ramp",
    "response": "Simple analysis",
    "corrections": "Deep analysis with metrics...",
    "feedbackType": "edit",
    "score": 5,
}


def _json(value: Any, most: int) -> Any:  # noqa: ANN401
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError("holds a number that is infinite or none") from error
    # Without the backslashes that stand for themselves, which a text about NUL has.
    if "\\u0000" in written.replace("\\\\", ""):
        raise ValueError("holds a NUL character, which cannot be stored")
    storable(written, most)
    return value


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    _json(value, METADATA_BYTES)
    return value


def _tools(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    _json(value, TEXT_BYTES)
    return value


class ChatMessage(Body):
    """One message of a conversation."""

    role: Name = Field(description="Who speaks: `system`, `user`, `assistant` or `tool`.")
    content: Text = Field(description="What is said.")


class FeedbackPost(Body):
    """What a user thinks of one response."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    prompt: Annotated[Text, Field(min_length=1)] | Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="What the model was asked: a text, or the messages of a conversation."
    )
    response: Text = Field(description="What it answered, word for word.")
    feedback_type: FeedbackType = Field(description="`edit` needs `corrections`, `rating` needs `score`.")
    corrections: Text | None = Field(None, description="What it should have answered; becomes a preference pair.")
    score: float | None = Field(None, ge=1, le=5, strict=True, allow_inf_nan=False, description="From 1 to 5, best.")
    model_version: Name | None = Field(None, description="Which model answered, as /api/assign named it.")
    session_id: Name | None = Field(None, description="Which conversation; stands for the user where none is known.")
    user_id: UUID | None = Field(None, description="Whose feedback it is; only with an app key.")
    tools: Annotated[list[dict[str, Any]], AfterValidator(_tools)] | None = Field(
        None, description="The schemas of the tools that the model was offered."
    )
    metadata: Annotated[dict[str, Any], AfterValidator(_metadata)] = Field(
        default_factory=dict, description="Anything of the app's own."
    )
    idempotency_key: Name | None = Field(
        None, description="A request sent again with the same key changes nothing; also as header `Idempotency-Key`."
    )
    dry_run: bool = Field(False, strict=True, description="Say what would happen, and change nothing.")

    @model_validator(mode="after")
    def _complete(self) -> FeedbackPost:
        if self.feedback_type == "edit" and not (self.corrections or "").strip():
            raise ValueError("an edit needs corrections: what the response should have been")
        if self.feedback_type == "rating" and self.score is None:
            raise ValueError("a rating needs a score from 1 to 5")
        storable(self.prompt_text, TEXT_BYTES)
        return self

    @property
    def prompt_text(self) -> str:
        """The prompt as the database keeps it."""
        if isinstance(self.prompt, str):
            return self.prompt
        return format_prompt([{"role": message.role, "content": message.content} for message in self.prompt])


class FeedbackReceipt(Answer):
    """What became of posted feedback."""

    id: UUID = Field(description="The feedback's id; the same for every vote of one user on one response.")
    outcome: Outcome = Field(
        description="`recorded`: it is new. `replaced`: it replaces what this user said of this response before. "
        "`repeated`: it was known already, and nothing changed."
    )
    pair_id: UUID | None = Field(description="The preference pair that an edit became.")
    dry_run: bool = Field(description="Whether this only says what would have happened.")
