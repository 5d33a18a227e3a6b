"""Which feedback is the same: one vote, one edit and one comment for each user and response."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID, uuid4

from grpo_pipeline.artifacts import canonical_json
from grpo_pipeline.server.feedback.schema import FeedbackPost

# Thumbs and ratings say the same thing in several ways, so that one replaces the other.
SLOTS = {"thumbs_up": "vote", "thumbs_down": "vote", "rating": "vote", "edit": "edit", "comment": "comment"}


@dataclass(frozen=True)
class Row:
    """One post ready for the database.

    Attributes:
        id: follows from who says it about what; random where nobody knows who.
        scope: whose idempotency keys these are.
        single: whether the id follows from the content.
    """

    id: UUID
    user_id: UUID | None
    scope: str
    single: bool
    key: str | None
    post: FeedbackPost

    def as_json(self) -> dict[str, object]:
        """The row as JSON, by column."""
        post = self.post
        return {
            "id": str(self.id),
            "user_id": str(self.user_id) if self.user_id else None,
            "scope": self.scope,
            "key": self.key,
            "session_id": post.session_id,
            "feedback_type": post.feedback_type,
            "prompt": post.prompt_text,
            "response": post.response,
            "corrections": post.corrections,
            "score": post.score,
            "model_version": post.model_version,
            "tools": post.tools,
            "metadata": post.metadata,
        }


def row_of(post: FeedbackPost, user_id: UUID | None, caller: str, key: str | None) -> Row:
    """The row of a post.

    Args:
        post: what was posted.
        user_id: whose feedback it is, where that is known.
        caller: who sent it, which counts where neither a user nor a session is known.
        key: its idempotency key.
    """
    voter = f"user:{user_id}" if user_id else f"session:{post.session_id}" if post.session_id else None
    if voter is None:
        return Row(uuid4(), None, caller, False, key, post)
    about = [voter, SLOTS[post.feedback_type], post.model_version, post.prompt_text, post.response]
    digest = hashlib.sha256(f"feedback:{canonical_json(about)}".encode()).digest()
    return Row(UUID(bytes=digest[:16]), user_id, voter, True, key, post)


def edit_pair_id(feedback_id: UUID) -> UUID:
    """The id that the database gives the pair of an edit (`private.edit_pair_id`)."""
    return UUID(bytes=hashlib.sha256(f"edit:{feedback_id}".encode()).digest()[:16])
