"""`POST /api/agent/feedback`: what users think of responses."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response

from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, Caller, only
from grpo_pipeline.server.feedback.identity import edit_pair_id, row_of
from grpo_pipeline.server.feedback.schema import FeedbackPost, FeedbackReceipt
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.schema import NAME_BYTES
from grpo_pipeline.server.services import ServicesOf

feedback_routes = APIRouter(prefix="/api/agent", tags=["feedback"])

Writer = Annotated[Caller, only("user", "app")]
KeyHeader = Annotated[str | None, Header(min_length=1, max_length=NAME_BYTES, pattern=r"^[\x21-\x7e]+$")]


@feedback_routes.post(
    "/feedback",
    status_code=201,
    responses={
        200: {"model": FeedbackReceipt, "description": "It replaced a vote, was known already, or was a dry run."},
        201: {"description": "It is new, and kept."},
        **ACCESS_PROBLEMS,
        **documented(400, 409, 413, 415, 422),
    },
)
async def post_feedback(
    post: FeedbackPost, response: Response, caller: Writer, services: ServicesOf, idempotency_key: KeyHeader = None
) -> FeedbackReceipt:
    """Take what a user thinks of a response; it is committed when the answer comes.

    One vote (a thumb or a rating), one edit and one comment per user and response: a changed one replaces the one
    before, which is kept as history. An edit becomes a preference pair in the same transaction. The user is the one
    whose token is sent; an app key may name one in `userId`, else the session stands for him.

    ```sh
    curl http://127.0.0.1:8000/api/agent/feedback -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
      -d '{"prompt": "Analyze @Ramp", "response": "Simple analysis", "feedbackType": "edit",
           "corrections": "Deep analysis with metrics...", "score": 5, "sessionId": "s-1"}'
    ```

    ```javascript
    await fetch("https://api.example/api/agent/feedback", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${session.access_token}` },
      body: JSON.stringify({ prompt, response, feedbackType: "thumbs_up", modelVersion }),
    });
    ```
    """
    row = row_of(post, _user_of(post, caller), caller.name, post.idempotency_key or idempotency_key)
    write = services.feedback.rehearse if post.dry_run else services.feedback.write
    written = await write(row)
    if row.single and written.id != row.id:
        raise ApiError(409, "This idempotency key was used for other feedback: give every feedback a key of its own.")
    if post.dry_run or written.outcome != "recorded":
        response.status_code = 200
    services.metrics.feedback.labels(post.feedback_type, "dry_run" if post.dry_run else written.outcome).inc()
    return FeedbackReceipt(
        id=written.id,
        outcome=written.outcome,
        pair_id=edit_pair_id(written.id) if post.feedback_type == "edit" else None,
        dry_run=post.dry_run,
    )


def _user_of(post: FeedbackPost, caller: Caller) -> UUID | None:
    if caller.kind == "user":
        if post.user_id not in (None, caller.user_id):
            raise ApiError(403, "The token says whose feedback it is: leave userId out.")
        return caller.user_id
    return post.user_id
