"""Errors as the API answers them: problem details (RFC 9457) that say what to do and never repeat what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from grpo_pipeline.errors import PipelineError

MEDIA_TYPE = "application/problem+json"
DESCRIPTIONS = {
    400: "The body is no JSON that can be read.",
    401: "No key or token, or one that does not hold.",
    403: "This key or token may not do this.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand; the detail says why.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    422: "A value is missing or not what it should be; `errors` says which.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    500: "A fault of the server, which its log places.",
    503: "The server, or what it stands on, cannot do it now; try again.",
}

# Where pydantic's own words would quote what was sent.
OWN_WORDS = {"extra_forbidden": "holds a field that there is not", "uuid_parsing": "is no UUID"}


class Fault(BaseModel):
    """One value that cannot be taken."""

    field: str = Field(description="Where it is, such as `body.score`.")
    message: str = Field(description="What it should be.")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", description="Kind of problem; the status says enough.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do, in one or two sentences.")
    errors: list[Fault] | None = Field(None, description="The values that cannot be taken.")


class ApiError(Exception):
    """An answer other than success, raised wherever it is known."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[Fault] | None = None
) -> JSONResponse:
    """A problem as a response."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    content = problem.model_dump(exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint may answer with, for its description."""
    schema = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": DESCRIPTIONS[status], "content": schema} for status in sorted(statuses)}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error that an endpoint raises as a problem."""

    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> JSONResponse:
        return problem_response(error.status, error.detail, error.headers)

    @app.exception_handler(PipelineError)
    async def pipeline_error(_: Request, error: PipelineError) -> JSONResponse:
        return problem_response(503, str(error))

    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(PoolTimeout)
    @app.exception_handler(TimeoutError)
    async def database_error(_: Request, error: Exception) -> JSONResponse:
        return problem_response(503, "The database does not answer; try again.", {"Retry-After": "5"})

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        detail = DESCRIPTIONS.get(error.status_code, HTTPStatus(error.status_code).phrase)
        return problem_response(error.status_code, detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [Fault(field=_place(fault), message=_message(fault)) for fault in error.errors()]
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            return problem_response(400, DESCRIPTIONS[400])
        return problem_response(422, DESCRIPTIONS[422], errors=faults)


def _place(fault: Mapping[str, Any]) -> str:
    location = list(fault["loc"])
    if fault["type"] == "extra_forbidden":
        # The name of an unknown field is what somebody wrote.
        location = location[:-1]
    return ".".join(str(part) for part in location)


def _message(fault: Mapping[str, Any]) -> str:
    return OWN_WORDS.get(fault["type"], str(fault["msg"]))
