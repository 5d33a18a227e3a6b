"""What all pages share: the frame with its navigation, and the headers under which nothing of a user's can run.

To add a page: put its template (`{% extends "layout.html" %}`) in `templates/`, answer with `page(...)` from a router
made with `page_routes()` whose endpoints take `Reviewer` (GET) or `ActingReviewer` (POST, JSON), include that router in
`app.py`, and add its path and title to `NAVIGATION`; a `<form data-post="/path">` sends its fields as JSON by itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from grpo_pipeline.server.access.callers import Caller

NAVIGATION = (("/inbox", "Inbox"), ("/week", "Week"), ("/models", "Models"), ("/pulse", "Pulse"))
HOME = "/inbox"
# Scripts, styles and requests of this server alone, and none that stand in the page; pictures may stand in it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def page_routes() -> APIRouter:
    """Routes of pages, which the description of the API leaves out."""
    return APIRouter(include_in_schema=False)


def page(
    template: str,
    reviewer: Caller | None,
    *,
    section: str = "",
    status: int = 200,
    **values: Any,  # noqa: ANN401
) -> HTMLResponse:
    """A page as a response.

    Args:
        template: its file in `templates/`.
        reviewer: who looks at it; None before the sign-in.
        section: the title in `NAVIGATION` that it belongs to.
        status: the HTTP status.
        values: what the template shows; all of it is escaped.
    """
    shown = {"reviewer": reviewer, "navigation": NAVIGATION if reviewer else (), "section": section, **values}
    html = environment().get_template(template).render(shown)
    return HTMLResponse(html, status, headers={"Content-Security-Policy": PAGE_POLICY})


@cache
def environment() -> Environment:
    """The templates: everything is escaped, and a name that is not there is an error instead of an empty text."""
    return Environment(
        loader=PackageLoader("grpo_pipeline.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
