from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.alerts.settings import AlertSettings
from grpo_pipeline.alerts.webhook import send
from grpo_pipeline.config import load_settings
from grpo_pipeline_tests.alerts.receiver import Receiver, receiving
from grpo_pipeline_tests.postgres_fixtures import free_port

ALERT = Alert("rollback", "2026-11-02-aaaa1111 was taken out of use.", {"version": "2026-11-02-aaaa1111"})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def settings(url: str, seconds: float = 5) -> AlertSettings:
    return AlertSettings(url=url, timeout_seconds=seconds)  # type: ignore[arg-type]


def test_an_alert_is_a_sentence_for_people_and_facts_for_programs(receiver: Receiver) -> None:
    assert send(settings(receiver.url), ALERT) is None
    assert receiver.alerts == [
        {
            "text": "grpo_pipeline: 2026-11-02-aaaa1111 was taken out of use.",
            "event": "rollback",
            "version": "2026-11-02-aaaa1111",
        }
    ]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_webhook_that_refuses_is_said_without_its_address(receiver: Receiver, status: int) -> None:
    receiver.status = status
    assert send(settings(receiver.url), ALERT) == f"The webhook answered {status} to the alert rollback."


def test_an_alert_is_not_sent_on_to_another_place(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.location = 307, elsewhere.url
        assert send(settings(receiver.url), ALERT) == "The webhook answered 307 to the alert rollback."
        assert elsewhere.alerts == []


def test_a_webhook_that_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    receiver.seconds = 5
    start = time.monotonic()
    problem = send(settings(receiver.url, 0.2), ALERT)
    assert time.monotonic() - start < 2
    assert problem == "The webhook could not be reached with the alert rollback (TimeoutError)."


def test_a_webhook_that_is_not_there_is_said_without_its_address() -> None:
    problem = send(settings(f"http://127.0.0.1:{free_port()}/services/a-secret-token"), ALERT)
    assert problem == "The webhook could not be reached with the alert rollback (URLError)."


def test_nothing_logs_or_shows_the_secret(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send(settings(receiver.url), ALERT)
        receiver.status = 500
        send(settings(receiver.url), ALERT)
    assert len(receiver.alerts) == 2
    assert "a-secret-token" not in caplog.text + repr(settings(receiver.url)) + str(settings(receiver.url))


def test_without_an_address_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_ALERTS__URL", "")
    assert load_settings().alerts.url is None
    assert send(load_settings().alerts, ALERT) is None


@pytest.mark.parametrize("url", ["hooks.example/services", "file:///etc/passwd", "https://"])
def test_what_is_no_web_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="starts with https://"):
        settings(url)
