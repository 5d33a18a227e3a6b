"""Which models there are, which one is in use, and which one a user gets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from grpo_pipeline.registry.registry import ModelRegistry, NothingToRollBackError, UnknownVersionError
from grpo_pipeline.server.access.callers import ACCESS_PROBLEMS, AdminOnly, Caller, only
from grpo_pipeline.server.models.schema import (
    Assignment,
    Model,
    Models,
    PromotionAnswer,
    PromotionBody,
    RollbackBody,
)
from grpo_pipeline.server.problems import ApiError, documented
from grpo_pipeline.server.schema import NAME_BYTES
from grpo_pipeline.server.services import ServicesOf

BODY_PROBLEMS = documented(400, 409, 413, 415, 422)
Version = Annotated[str, Path(min_length=1, max_length=NAME_BYTES, pattern=r"^[A-Za-z0-9._-]+$")]
AsksForModels = Annotated[Caller, only("user", "app")]

model_routes = APIRouter(prefix="/api", tags=["models"])


@model_routes.get("/models", responses=ACCESS_PROBLEMS)
def list_models(_: AdminOnly, services: ServicesOf) -> Models:
    """Every trained policy, with what was measured of it and what was decided.

    ```sh
    curl http://127.0.0.1:8000/api/models -H "Authorization: Bearer $ADMIN_KEY"
    ```
    """
    return Models(models=[Model.of(model) for model in ModelRegistry(services.url).list()])


@model_routes.get(
    "/models/champion", dependencies=[only("admin", "model")], responses={**ACCESS_PROBLEMS, **documented(404)}
)
def champion(services: ServicesOf) -> Model:
    """The policy in use; 404 before the first promotion.

    ```sh
    curl http://127.0.0.1:8000/api/models/champion -H "Authorization: Bearer $ADMIN_KEY"
    ```
    """
    model = ModelRegistry(services.url).champion()
    if model is None:
        raise ApiError(404, "There is no champion yet: the first one comes with the first promotion.")
    return Model.of(model)


@model_routes.post("/models/{version}/promote", responses={**ACCESS_PROBLEMS, **BODY_PROBLEMS, **documented(404)})
def promote(version: Version, body: PromotionBody, caller: AdminOnly, services: ServicesOf) -> PromotionAnswer:
    """Put a policy in use in place of the champion; 409 says why it is refused.

    ```sh
    curl http://127.0.0.1:8000/api/models/2026-11-02-1f0c9a7e/promote -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" -d '{"reason": "reviewed by hand"}'
    ```
    """
    try:
        promotion = ModelRegistry(services.url).promote(version, caller.title, body.reason, force=body.force)
    except UnknownVersionError as error:
        raise ApiError(404, "There is no such model version: /api/models lists those there are.") from error
    if promotion.outcome == "refused":
        raise ApiError(409, f"{promotion.reason} Send force with a reason to promote it all the same.")
    services.models_changed()
    return PromotionAnswer.of(promotion)


@model_routes.post("/models/rollback", responses={**ACCESS_PROBLEMS, **BODY_PROBLEMS})
def rollback(body: RollbackBody, caller: AdminOnly, services: ServicesOf) -> PromotionAnswer:
    """Put the champion before this one back in use; the one rolled back will not be promoted again by itself.

    ```sh
    curl http://127.0.0.1:8000/api/models/rollback -H "Authorization: Bearer $ADMIN_KEY" \\
      -H "Content-Type: application/json" -d '{"reason": "answers got longer"}'
    ```
    """
    try:
        promotion = ModelRegistry(services.url).rollback(caller.title, body.reason)
    except NothingToRollBackError as error:
        raise ApiError(409, str(error)) from error
    services.models_changed()
    return PromotionAnswer.of(promotion)


@model_routes.get("/assign", responses={**ACCESS_PROBLEMS, **documented(422)})
async def assign(
    caller: AsksForModels,
    services: ServicesOf,
    user_id: Annotated[
        str | None,
        Query(alias="userId", min_length=1, max_length=NAME_BYTES, description="Who asks; only with an app key."),
    ] = None,
) -> Assignment:
    """Which model version answers a user: always the same one, as long as the shares of the traffic stand.

    ```javascript
    const { modelVersion } = await (
      await fetch("https://api.example/api/assign", { headers: { Authorization: `Bearer ${session.access_token}` } })
    ).json();
    ```
    """
    if caller.kind == "user" and user_id not in (None, str(caller.user_id)):
        raise ApiError(403, "The token says who asks: leave userId out.")
    user = str(caller.user_id) if caller.user_id else user_id
    if user is None:
        raise ApiError(422, "Say who asks, in userId.")
    version, challenges = await services.models.of_user(user)
    return Assignment(model_version=version, role="challenger" if challenges else "champion" if version else "base")
