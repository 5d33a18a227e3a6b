"""The pulse page: are users happier, and how do the versions that are tried stand?"""

from __future__ import annotations

from typing import Any

import polars as pl
from fastapi.responses import HTMLResponse

from grpo_pipeline.monitoring.ab_test import Standing
from grpo_pipeline.monitoring.sequential import Comparison
from grpo_pipeline.monitoring.tables import ALL
from grpo_pipeline.server.pages.numbers import moment, number, percent, percents, picture, signed, span
from grpo_pipeline.server.pages.pulse.reading import Pulse
from grpo_pipeline.server.pages.rendering import page, page_routes
from grpo_pipeline.server.pages.reviewers import Reviewer
from grpo_pipeline.server.services import ServicesOf

pulse_routes = page_routes()
TITLE = "Pulse"


@pulse_routes.get("/pulse")
async def pulse_page(reviewer: Reviewer, services: ServicesOf) -> HTMLResponse:
    """Success by version over the weeks, the tests that run, and what waits for the next training."""
    return page("pulse.html", reviewer, section=TITLE, **shown(await services.pulse.get()))


def shown(pulse: Pulse) -> dict[str, Any]:
    """The values of the page's template."""
    champion, fresh = pulse.look.champion, pulse.look.fresh
    voted = pulse.rates.filter(pl.col("votes") > 0)
    latest = voted.filter(pl.col("model_version") == pl.lit(champion, pl.String)).tail(1).to_dicts()
    return {
        "as_of": moment(pulse.look.moment),
        "champion": champion,
        "latest": rate_row(latest[0]) if latest else None,
        "waiting": pulse.waiting,
        "not_counted": pulse.not_counted,
        "coming": pulse.coming,
        "this_week": pulse.volume[-1],
        "success_plot": picture(pulse.success_plot),
        "volume_plot": picture(pulse.volume_plot),
        "rates": [rate_row(row) for row in reversed(pulse.rates.to_dicts())],
        "volume": list(reversed(pulse.volume)),
        "tests": [test(standing, pulse.test_plots[standing.challenger]) for standing in pulse.look.standings],
        "fresh": fresh and {"champion": fresh.champion, "previous": fresh.previous, "verdict": fresh.verdict},
    }


def rate_row(row: dict[str, Any]) -> dict[str, Any]:
    """One version's week in words."""
    return {
        "week": row["week"],
        "version": row["model_version"] or "not named",
        "votes": row["votes"],
        "people": row["people"],
        "success": percent(row["success_rate"]),
        "interval": percents(row["low"], row["high"]),
        "edits": percent(row["edit_rate"]),
        "edit_interval": percents(row["edit_low"], row["edit_high"]),
        "score": number(row["mean_score"]),
    }


def test(standing: Standing, plot: bytes | None) -> dict[str, Any]:
    """One challenger's test in words."""
    parts = [(ALL, standing.comparison), *((part.name, part.comparison) for part in standing.segments)]
    ratio = standing.ratio
    return {
        "challenger": standing.challenger,
        "champion": standing.champion,
        "share": percent(standing.share),
        "since": moment(standing.since),
        "verdict": standing.verdict,
        "plot": picture(plot),
        "ratio": ratio
        and f"{percent(ratio.observed)} of {ratio.users} users judged the challenger, {percent(ratio.expected)} were "
        f"expected (chi-square, p = {ratio.p_value:.2g}).",
        "parts": [part_row(name, comparison) for name, comparison in parts],
    }


def part_row(name: str, comparison: Comparison) -> dict[str, Any]:
    """One line of a test's table."""
    return {
        "name": name,
        "users": f"{comparison.users[1]} / {comparison.users[0]}",
        "success": f"{percent(comparison.success[1])} / {percent(comparison.success[0])}",
        "difference": signed(comparison.difference),
        "sequence": span(comparison.low, comparison.high),
        "worse": f"{number(comparison.worse)} of {number(comparison.needed)}",
        "better": f"{number(comparison.better)} of {number(comparison.needed)}",
    }
