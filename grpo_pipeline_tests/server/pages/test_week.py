from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.registry.sign_offs import SignOffs
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.reviewing import MONDAY, OWN, add_pair
from grpo_pipeline_tests.server.pages.test_inbox import MARKUP
from grpo_pipeline_tests.weekly_feedback import add_edits

WEEK = Week.containing(MONDAY)
PAGE = f"/week/{WEEK.key}"


def act(client: TestClient, action: str, body: dict[str, Any] | None = None) -> httpx2.Response | Any:  # noqa: ANN401
    return client.post(f"{PAGE}/{action}", json=body or {}, headers=OWN)


@pytest.fixture
def made(project: Project) -> str:
    """The hash of a week's dataset of 30 edits and two pairs that curation keeps out."""
    add_edits(project.url, WEEK, 30)
    add_pair(project.url, chosen="x", created_at=MONDAY + timedelta(days=1))
    add_pair(project.url, chosen="Same", rejected="Same", created_at=MONDAY + timedelta(days=2))
    assert project.run("data_job", WEEK.key).success
    return str(project.manifest("preference_dataset", WEEK.key)["dataset_hash"])


def test_a_week_says_what_would_train_and_what_was_kept_out(made: str, project: Project, client: TestClient) -> None:
    page = client.get(PAGE).text
    counts = project.manifest("preference_dataset", WEEK.key)["counts"]
    for title, name in (("training pairs", "train"), ("held out to judge by", "held_out")):
        assert f"<dt>{title}</dt><dd>{counts[name]}</dd>" in page
    assert counts["train"] + counts["held_out"] == 30
    assert made in page
    assert f'<a href="/inbox?status=all&amp;week={WEEK.key}&amp;flag=too_short">too short</a>' in page
    assert f'<a href="/inbox?status=all&amp;week={WEEK.key}&amp;flag=unchanged">unchanged</a>' in page
    assert page.count('<article class="card"') == 6
    assert "No sign-off is needed" in page


def test_a_sign_off_names_the_dataset_the_person_and_the_time(made: str, server: Server, client: TestClient) -> None:
    answer = act(client, "sign-off", {"datasetHash": made})
    assert answer.json() == {"datasetHash": made, "signedBy": "local"}
    signed = SignOffs(server.url).last(WEEK)
    assert signed is not None
    assert (signed.dataset_hash, signed.signed_by) == (made, "local")
    page = client.get(PAGE).text
    assert "Signed off:" in page
    assert "Sign off dataset" not in page


def test_another_dataset_than_the_one_seen_is_not_signed_off(made: str, server: Server, client: TestClient) -> None:
    answer = act(client, "sign-off", {"datasetHash": "0" * 16})
    assert (answer.status_code, "made again since" in answer.json()["detail"]) == (409, True)
    assert act(client, "sign-off", {"datasetHash": "x"}).status_code == 422
    assert SignOffs(server.url).last(WEEK) is None


def test_a_dataset_whose_pairs_changed_is_not_signed_off_and_the_page_says_why(
    made: str, server: Server, client: TestClient
) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("update preference_pairs set review_status = 'rejected' where chosen = 'x'")
    answer = act(client, "sign-off", {"datasetHash": made})
    assert (answer.status_code, "make it again first" in answer.json()["detail"]) == (409, True)
    page = client.get(PAGE).text
    assert "1 row of preference_pairs changed" in page
    assert "Make the dataset again" in page
    assert "Sign off dataset" not in page


def test_a_week_without_a_dataset_says_how_to_make_one(server: Server, client: TestClient) -> None:
    add_edits(server.url, WEEK, 3)
    page = client.get(PAGE).text
    assert f"grpo-pipeline backfill --from {WEEK.key} --to {WEEK.key} --data-only" in page
    assert "3 rows of preference_pairs never extracted" in page
    assert act(client, "sign-off", {"datasetHash": "0" * 16}).status_code == 409


def test_runs_are_launched_through_dagster_which_may_be_down(made: str, server: Server) -> None:
    with server.client(dagster_url="http://127.0.0.1:1") as client:
        for action in ("dataset", "train"):
            assert act(client, action).status_code in (409, 503)
        assert act(client, "dataset").status_code == 503


@pytest.mark.parametrize("key", ["2026-11-03", "2999-01-04", "2001-01-01", "x", "2026-13-01"])
def test_a_week_that_is_none_is_refused(client: TestClient, key: str) -> None:
    assert client.get(f"/week/{key}").status_code == 422


def test_the_page_without_a_week_is_that_of_the_last_complete_one(server: Server) -> None:
    with server.client() as client:
        led = client.get("/week", follow_redirects=False)
        assert client.get(led.headers["location"]).status_code == 200


def test_what_users_wrote_is_text_on_this_page_too(project: Project, client: TestClient) -> None:
    add_pair(project.url, prompt=MARKUP, chosen=f"Chosen {MARKUP}", rejected=f"Rejected {MARKUP}")
    assert project.run("data_job", WEEK.key).success
    page = client.get(PAGE).text
    assert page.count("alert(1)") == 3
    assert "<script>alert" not in page
    assert "<img" not in page


@pytest.mark.parametrize("action", ["sign-off", "dataset", "train"])
def test_no_other_site_signs_off_or_launches(server: Server, client: TestClient, action: str) -> None:
    answer = client.post(f"{PAGE}/{action}", json={"datasetHash": "0" * 16}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
