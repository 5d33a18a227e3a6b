"""The pulse and models pages in a real browser, at desktop and phone width."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.registry.traffic import challengers
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, FIRST
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.conftest import served
from grpo_pipeline_tests.server.pages.in_use import fill

WIDTHS = {"desktop": 1280, "phone": 390}
# Where screenshots go, for who wants to look at them.
SHOTS = os.environ.get("GRPO_TEST_SCREENSHOTS")


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    """A server with versions in use, on a port of its own."""
    fill(server, success=0.3)
    with served(server.app()) as address:
        yield address


def opened(browser: Browser, width: int, said: list[str]) -> Page:
    """A page that notes what the browser complains of."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60_000)
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return page


@pytest.mark.parametrize("device", WIDTHS)
def test_the_pages_can_be_used_by_everybody_and_fit_the_screen(address: str, browser: Browser, device: str) -> None:
    said: list[str] = []
    page = opened(browser, WIDTHS[device], said)
    for path in ("/pulse", "/models", f"/models/{CHALLENGER}"):
        page.goto(address + path)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), path
        if SHOTS:
            name = path.strip("/").replace("/", "-").replace(CHALLENGER, "one")
            page.screenshot(path=Path(SHOTS) / f"{name}-{device}.png", full_page=True)
    assert said == []


def test_a_person_sets_a_share_rolls_back_and_promotes_in_the_browser(
    address: str, browser: Browser, server: Server
) -> None:
    said: list[str] = []
    page = opened(browser, WIDTHS["desktop"], said)
    page.goto(f"{address}/models")
    page.get_by_label("Version", exact=True).select_option(CHALLENGER)
    page.get_by_label("Percent of the users").fill("20")
    page.locator("#share-reason").fill("more evidence")
    page.get_by_role("button", name="Set the share").click()
    page.get_by_text("gets 20.0 % of the traffic").wait_for()
    assert [item.share for item in challengers(server.url)] == [0.2]

    page.locator("#rollback-reason").fill("answers got longer")
    page.get_by_role("button", name=f"Roll {CHAMPION} back").click()
    page.get_by_role("button", name=f"Roll {FIRST} back").wait_for()

    page.goto(f"{address}/models/{CHAMPION}")
    page.get_by_label("Reason").fill("it was fine")
    page.get_by_role("button", name=f"Put {CHAMPION} in use").click()
    page.get_by_role("alert").get_by_text("was rejected").wait_for()
    # The browser itself notes that the server said no.
    assert [text for text in said if "409" not in text] == []
    page.get_by_label("Also where it did not pass").check()
    page.get_by_role("button", name=f"Put {CHAMPION} in use").click()
    page.get_by_role("button", name=f"Roll {CHAMPION} back").wait_for()
    champion = ModelRegistry(server.url).champion()
    assert champion is not None
    assert champion.version == CHAMPION
