"""A week materialized by hand, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from grpo_pipeline_tests.chromium import chromium
from grpo_pipeline_tests.e2e.conftest import Live

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WEEK = "2026-10-12"
PATIENT = 120_000


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(PATIENT)
        page.set_default_navigation_timeout(PATIENT)
        yield page


def materialized(page: Page) -> int:
    """How many weeks the page counts as materialized."""
    label = page.get_by_text(re.compile(r"^Materialized \(\d+\)$"))
    return int(re.sub(r"\D", "", label.inner_text()))


def test_a_week_is_materialized_in_the_ui_and_turns_green(live: Live, page: Page) -> None:
    page.goto(f"{live.dagster.url}/assets/agent_feedback?view=partitions&partition={WEEK}")
    expect(page.get_by_text(WEEK).first).to_be_visible(timeout=PATIENT)
    before = materialized(page)

    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_role("textbox").first
    field.fill(WEEK)
    field.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible(timeout=PATIENT)
    dialog.get_by_role("button", name=re.compile("^Launch")).click()

    expect(page.get_by_text(f"Materialized ({before + 1})", exact=True)).to_be_visible(timeout=PATIENT)
    page.goto(f"{live.dagster.url}/assets/agent_feedback?view=partitions&partition={WEEK}")
    expect(page.get_by_text("dagster/partition_row_count").first).to_be_visible(timeout=PATIENT)
    assert live.artifacts.require("agent_feedback", WEEK).manifest["counts"]["rows"] == 0


def test_the_asset_graph_the_schedule_and_both_sensors_are_there(live: Live, page: Page) -> None:
    page.goto(f"{live.dagster.url}/automation")
    for name in ("weekly_training_schedule", "enough_pairs_sensor", "late_feedback_sensor"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible(timeout=PATIENT)
    page.goto(f"{live.dagster.url}/asset-groups")
    for group in ("feedback", "dataset", "training", "evaluation", "promotion"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=PATIENT)
