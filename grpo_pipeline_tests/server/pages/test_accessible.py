"""Every page in a real browser: nothing that shuts people out (axe), nothing that fails, nothing wider than a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.conftest import DESKTOP, PHONE, Open, served
from grpo_pipeline_tests.server.pages.reviewing import MONDAY, add_pair
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = Week.containing(MONDAY)
TOOL = {"name": "get_price", "description": "Asks.", "parameters": {"properties": {"city": {"type": "string"}}}}
CALL = '<tool_call>\n{"name": "get_price", "arguments": {"city": "Ulm"}}\n</tool_call>'
UNBROKEN = "https://example.com/" + "a-very-long-address" * 20


def assert_sound(page: Page) -> None:
    """Axe finds nothing, and nothing is wider than the window."""
    violations = Axe().run(page).response["violations"]
    assert [(found["id"], [node["html"][:200] for node in found["nodes"]]) for found in violations] == []
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


@pytest.fixture
def reviewed(project: Project, server: Server) -> Project:
    """A week with flags, tools, long words and a dataset, and a key to sign in with."""
    add_edits(project.url, WEEK, 30)
    later = MONDAY + timedelta(days=6)
    add_pair(project.url, created_at=later, chosen=CALL, rejected=UNBROKEN, tools=[TOOL], model_version="v-1")
    add_pair(project.url, created_at=later, prompt="Write to ada@example.com", chosen="Dear Ada, this is longer.")
    add_pair(project.url, created_at=later, chosen="x", rejected="long " * 9_000, review_status="approved")
    assert project.run("data_job", WEEK.key).success
    return project


@pytest.mark.slow
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_is_shut_out_of_any_page(
    reviewed: Project, server: Server, open_page: Open, viewport: ViewportSize
) -> None:
    key = create_key(server.url, "admin", "Ada")
    with served(server.app()) as address:
        page = open_page(f"{address}/week/{WEEK.key}", viewport)
        assert_sound(page)
        page.get_by_label("Admin key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="What would train")).to_be_visible()
        assert_sound(page)
        page.get_by_role("button", name="Sign off dataset").click()
        expect(page.get_by_text("Signed off:")).to_be_visible()
        assert_sound(page)
        for path in (f"/week/{WEEK.shift(-1).key}", "/inbox?status=all", "/inbox?q=nothing+is+like+this"):
            page.goto(address + path)
            assert_sound(page)
        page.goto(f"{address}/inbox")
        page.keyboard.press("j")
        page.keyboard.press("e")
        expect(page.get_by_role("textbox", name="Chosen answer")).to_be_focused()
        assert_sound(page)
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert_sound(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Admin key")).to_be_visible()
