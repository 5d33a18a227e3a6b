from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Page

from grpo_pipeline.server.serving import listening
from grpo_pipeline_tests.chromium import chromium
from grpo_pipeline_tests.e2e.deployment import wait_until

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
Open = Callable[..., Page]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an application that a thread serves over HTTP."""
    with listening("127.0.0.1", 0) as listener:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until("the server answers", lambda: running.started, 30)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        thread.join()


def _trouble(message: ConsoleMessage) -> list[str]:
    # A refusal that the page itself puts into words is logged by the browser as well.
    expected = message.type != "error" or "status of 409" in message.text
    return [] if expected else [message.text]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens pages in which nothing may fail: no error in the console, none in a script."""
    troubles: list[str] = []
    with ExitStack() as stack:

        def opened(address: str, viewport: Any = DESKTOP) -> Page:  # noqa: ANN401
            context = stack.enter_context(browser.new_context(viewport=viewport))
            page = context.new_page()
            page.on("console", lambda message: troubles.extend(_trouble(message)))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.goto(address)
            return page

        yield opened
    assert troubles == []
