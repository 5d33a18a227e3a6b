from __future__ import annotations

import logging
import re
from datetime import timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient

from grpo_pipeline.server.access.keys import create_key
from grpo_pipeline.weeks import Week
from grpo_pipeline_tests.project import Project
from grpo_pipeline_tests.server.conftest import Server
from grpo_pipeline_tests.server.pages.reviewing import MONDAY, add_pair, add_pairs, audit, post, seen, shown, stored

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'\""


def test_the_newest_pairs_come_first_and_the_older_ones_on_the_next_pages(server: Server, client: TestClient) -> None:
    ids = add_pairs(server.url, 60)
    assert shown(client) == ids[:25]
    page, found = "/inbox", []
    while page:
        text = client.get(page).text
        found += [part[:36] for part in text.split('id="pair-')[1:]]
        link = re.search(r'id="older" href="([^"]+)"', text)
        page = link[1].replace("&amp;", "&") if link else ""
    assert found == ids


def test_pairs_of_the_same_moment_are_each_shown_once(server: Server, client: TestClient) -> None:
    ids = add_pairs(server.url, 30, created_at=MONDAY)
    first = client.get("/inbox").text
    link = re.search(r'id="older" href="([^"]+)"', first)
    assert link
    both = first + client.get(link[1].replace("&amp;", "&")).text
    assert sorted(part[:36] for part in both.split('id="pair-')[1:]) == sorted(ids)


def test_pairs_are_found_by_status_week_model_text_and_id(server: Server, client: TestClient) -> None:
    url = server.url
    plain = add_pair(url)
    next_week = add_pair(url, created_at=MONDAY + timedelta(days=7))
    of_model = add_pair(url, model_version="v-2", created_at=MONDAY + timedelta(hours=1))
    worded = add_pair(url, chosen="It costs 100% of Äpfel_x", created_at=MONDAY + timedelta(hours=2))
    approved = add_pair(url, review_status="approved", created_at=MONDAY + timedelta(hours=3))
    assert shown(client) == [next_week, worded, of_model, plain]
    assert shown(client, status="all")[1] == approved
    assert shown(client, status="approved") == [approved]
    assert shown(client, week="2026-11-09") == [next_week]
    assert shown(client, model="v-2") == [of_model]
    for text in ("100% of", "ÄPFEL", "l_x"):
        assert shown(client, q=text) == [worded]
    assert shown(client, q="' or 1=1 --") == []
    assert shown(client, pair=approved) == [approved]
    assert "<option>v-2</option>" in client.get("/inbox").text


@pytest.mark.parametrize("query", ["status=odd", "week=2026-11-03", "older=x", "pair=1", "q=%00", "older=2026-11-02_x"])
def test_filters_that_cannot_be_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/inbox?{query}").status_code == 422


def test_what_differs_is_marked_word_by_word(server: Server, client: TestClient) -> None:
    add_pair(server.url, rejected="Revenue grew a lot.", chosen="Revenue grew by 12 percent.")
    page = client.get("/inbox").text
    assert re.search(r"Revenue grew <del>a lot\s*</del>", page)
    assert re.search(r"Revenue grew <ins>by 12 percent\s*</ins>", page)


def test_answers_that_share_little_are_not_marked(server: Server, client: TestClient) -> None:
    add_pair(server.url, rejected="It is a brand of the car maker.", chosen="Revenue: a tenth of that.")
    page = client.get("/inbox").text
    assert "It is a brand of the car maker." in page
    assert "<ins>" not in page


def test_tools_calls_and_conversations_are_readable(server: Server, client: TestClient) -> None:
    call = '<tool_call>\n{"name": "get_price", "arguments": {"city": "Köln", "days": 3}}\n</tool_call>'
    arguments = {"city": {"type": "string"}, "days": {"type": "integer"}}
    schema = {"type": "object", "properties": arguments, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_price", "description": "Asks a shop.", "parameters": schema}}
    prompt = '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}]'
    add_pair(server.url, prompt=prompt, chosen=f"I look.\n{call}", rejected="No idea", tools=[tool, {"odd": 1}, "x"])
    page = client.get("/inbox").text
    assert "call get_price\n    city: &#34;Köln&#34;\n    days: 3" in page
    assert "get_price(city: string, days: integer (optional))" in page
    assert "3 tools offered: get_price, unreadable tool, unreadable tool" in page
    assert '<p class="role">system</p>' in page
    assert "&lt;tool_call&gt;" not in page


def test_a_call_that_is_none_is_shown_as_it_is(server: Server, client: TestClient) -> None:
    add_pair(server.url, chosen='<tool_call>{"name": 1}</tool_call>')
    assert "tool_call&gt;" in client.get("/inbox").text


def test_long_texts_are_cut_in_the_list_and_whole_on_their_own_page(server: Server, client: TestClient) -> None:
    identity = add_pair(server.url, chosen="same words " * 20_000 + "the end", rejected="same words " * 20_000)
    listed, alone = client.get("/inbox").text, client.get(f"/inbox?pair={identity}").text
    assert "more characters" in listed
    assert "the end" not in listed
    assert "the end" in alone
    assert "too long to mark what differs" in alone


@pytest.mark.parametrize("field", ["prompt", "chosen", "rejected", "model_version"])
def test_what_users_wrote_is_shown_as_text(
    server: Server, client: TestClient, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        identity = add_pair(server.url, **{field: MARKUP})
        answers = [
            client.get("/inbox").text,
            client.get("/inbox", params={"q": MARKUP, "model": MARKUP}).text,
            client.get("/inbox", params={"flag": MARKUP[:60]}).text,
            decided_html(client, server.url, identity),
        ]
    for text in answers[:2] + answers[3:]:
        assert "alert(1)" in text
    for text in answers:
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "49" not in re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9T:.+-]{20,}", "", text)
    assert "alert(1)" not in caplog.text


def decided_html(client: TestClient, url: str, identity: str) -> str:
    answer = post(client, "decide", {"action": "approve", "pairs": seen(url, identity)})
    return str(answer.json()["pairs"][0]["html"])


def test_tools_that_hold_markup_are_text_too(server: Server, client: TestClient) -> None:
    schema = {"type": "object", "properties": {MARKUP: {"type": MARKUP}}}
    add_pair(server.url, tools=[{"name": MARKUP, "description": MARKUP, "parameters": schema}, {MARKUP: MARKUP}])
    text = client.get("/inbox").text
    assert text.count("&lt;script&gt;alert(1)") >= 6
    assert "<script>alert" not in text


def test_flags_of_the_weeks_last_curation_stand_at_the_pair_with_their_reasons(
    server: Server, client: TestClient, project: Project
) -> None:
    long = "The company grew its revenue by twelve percent in the last quarter"
    first = add_pair(server.url, chosen=f"{long}.")
    again = add_pair(server.url, chosen=long, rejected="It grew", created_at=MONDAY + timedelta(hours=1))
    mailed = add_pair(
        server.url, prompt="Write to ada@example.com", chosen="Dear Ada, hello", created_at=MONDAY + timedelta(hours=2)
    )
    week = Week.containing(MONDAY)
    assert project.run("data_job", week.key).success
    page = client.get("/inbox").text
    assert "<strong>near duplicate</strong> Nearly the same pair came in before." in page
    assert f'<a href="/inbox?pair={first}">same as {first}</a>' in page
    assert "<strong>redacted email</strong> Replaced by a placeholder for training." in page
    assert shown(client, flag="near_duplicate") == [again]
    assert shown(client, flag="redacted_email", week=week.key) == [mailed]
    assert shown(client, flag="redacted_email", week="2026-11-09") == []


def test_nothing_of_the_inbox_is_seen_or_done_without_signing_in(server: Server) -> None:
    identity = add_pair(server.url)
    create_key(server.url, "app", "shop")
    with server.client() as client:
        client.follow_redirects = False
        assert client.get("/inbox").status_code == 303
        assert client.get(f"/inbox/pairs/{identity}").status_code == 303
        body = {"action": "approve", "pairs": seen(server.url, identity)}
        assert post(client, "decide", body).status_code == 401
        assert client.post("/inbox/decide", json=body).status_code == 403
    assert stored(server.url, identity).status == "pending"
    assert audit(server.url) == []


def test_the_list_of_a_large_database_is_read_from_an_index(server: Server, client: TestClient) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute(
            "insert into preference_pairs (prompt, chosen, rejected, created_at, review_status)"
            " select 'p', 'c', 'r', now() - n * interval '1 minute',"
            " case when n % 50 = 0 then 'approved' else 'pending' end"
            " from generate_series(1, 20000) n"
        )
        connection.execute("analyze preference_pairs")
        where = "(created_at, id) < (now() - interval '9 days', gen_random_uuid())"
        plan = str(
            connection.execute(
                "explain select * from preference_pairs where review_status = 'approved'"
                f" and {where} order by created_at desc, id desc limit 26".encode()
            ).fetchall()
        )
    assert "preference_pairs_status" in plan
    assert "Sort" not in plan
    assert len(shown(client, status="approved")) == 25
