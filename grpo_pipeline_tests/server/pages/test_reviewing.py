"""A week reviewed by keyboard and signed off, in a real browser."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import psycopg
import pytest
from playwright.sync_api import Page, expect

from grpo_pipeline.assets.trained_pairs import PAIR_IDS
from grpo_pipeline.registry.sign_offs import SignOffs
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.conftest import Open, served
from grpo_pipeline_tests.server.pages.reviewing import audit
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = Week("2026-10-05")
IMPROVED = "Grew by a tenth, said the reviewer."


def current(page: Page) -> str:
    """The id of the pair that the keys are about."""
    return str(page.locator(".pair.current").get_attribute("data-id"))


def decide(page: Page, key: str) -> str:
    """Decide on the current pair, and see the next one become current; the pair's id."""
    identity = current(page)
    page.keyboard.press(key)
    expect(page.locator(f"#pair-{identity}")).not_to_have_class("card pair current")
    return identity


def statuses(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return {str(row[0]): row[1] for row in connection.execute("select id, review_status from preference_pairs")}


@pytest.mark.slow
def test_a_week_is_reviewed_by_keyboard_signed_off_and_trains_on_exactly_what_was_approved(
    project: Project, server: Server, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_CURATION__REVIEW", "required")
    monkeypatch.setenv("GRPO_DATASET__MIN_NEW_PAIRS", "10")
    add_edits(project.url, WEEK, 30)
    with served(server.app()) as address:
        page = open_page(f"{address}/inbox?week={WEEK.key}")
        approved, edited = review_twenty(page)
        found = statuses(project.url)
        assert {pair for pair, status in found.items() if status == "approved"} == {*approved, edited}
        assert sum(status == "rejected" for status in found.values()) == 3
        actions = [entry["action"] for entry in audit(project.url)]
        assert [actions.count(action) for action in ("approve", "reject", "edit", "undo")] == [17, 3, 1, 1]
        assert run_beside_the_browser(project, "data_job")
        dataset = project.artifacts.require("preference_dataset", WEEK.key)
        page.goto(f"{address}/week/{WEEK.key}")
        expect(page.get_by_text("A person has to sign off")).to_be_visible()
        page.get_by_role("button", name="Sign off dataset").click()
        expect(page.get_by_text("Signed off:")).to_be_visible()
        assert run_beside_the_browser(project, "weekly_training_job")
        page.reload()
        expect(page.get_by_text(f"Trained as {WEEK.key}")).to_be_visible()
    parts = [pl.read_parquet(dataset.path / f"{part}.parquet") for part in ("train", "held_out")]
    assert sorted(identity for part in parts for identity in part["id"]) == sorted([*approved, edited])
    texts = {row["id"]: row["chosen"][0]["content"] for part in parts for row in part.iter_rows(named=True)}
    assert texts[edited] == IMPROVED
    signed = SignOffs(project.url).last(WEEK)
    assert signed is not None
    assert signed.covers(dataset.manifest["dataset_hash"])
    policy = project.registry.last_trained(WEEK.shift(1))
    assert policy is not None
    assert policy.adapter_location is not None
    trained = pl.read_parquet(Path(policy.adapter_location).parent / PAIR_IDS)["pair_id"]
    assert sorted(trained) == sorted(parts[0]["id"])


def run_beside_the_browser(project: Project, job: str) -> bool:
    """Run a job in a thread of its own, as the browser's event loop runs in this one; whether it succeeded."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(project.run, job, WEEK.key).result().success


def review_twenty(page: Page) -> tuple[list[str], str]:
    """Approve, reject, skip, edit and undo; the approved pairs and the edited one."""
    page.keyboard.press("j")
    approved = [decide(page, "a") for _ in range(10)]
    for _ in range(2):
        decide(page, "r")
    decide(page, "s")
    edited = current(page)
    page.keyboard.press("e")
    area = page.get_by_role("textbox", name="Chosen answer")
    expect(area).to_be_focused()
    area.fill(IMPROVED)
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"#pair-{edited} .chosen .text")).to_have_text(IMPROVED)
    expect(page.locator(f"#pair-{edited}")).not_to_have_class("card pair current")
    wrong = decide(page, "a")
    page.keyboard.press("u")
    expect(page.locator(f"#pair-{wrong}.current .status")).to_have_text("pending")
    decide(page, "r")
    approved += [decide(page, "a") for _ in range(6)]
    return approved, edited


def test_many_are_decided_at_once_and_the_keys_are_explained(server: Server, open_page: Open) -> None:
    add_edits(server.url, WEEK, 30)
    with served(server.app()) as address:
        page = open_page(f"{address}/inbox?week={WEEK.key}")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_label("Select all on this page").check()
        page.keyboard.press("Shift+A")
        expect(page.get_by_role("status")).to_have_text("25 pairs approved.")
        page.keyboard.press("u")
        expect(page.locator(".status.pending")).to_have_count(25)
        page.get_by_role("link", name="Older pairs").click()
        expect(page.locator(".pair")).to_have_count(5)
    assert set(statuses(server.url).values()) == {"pending"}


def test_what_happens_while_somebody_else_decides_is_said(server: Server, open_page: Open) -> None:
    add_edits(server.url, WEEK, 2)
    with served(server.app()) as address:
        page = open_page(f"{address}/inbox")
        with psycopg.connect(server.url) as connection:
            connection.execute("update preference_pairs set review_status = 'rejected', reviewed_by = 'Bea'")
        page.keyboard.press("j")
        page.keyboard.press("s")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("alert")).to_have_text("There is nothing of yours to undo.")
