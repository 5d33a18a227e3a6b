"""The sample file: what it holds, and that it is what its generator makes."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from grpo_pipeline.conversation import parse_prompt, parse_tool_calls
from grpo_pipeline.demo.companies import WELL_KNOWN
from grpo_pipeline.demo.faults import PERSONAL_DATA
from grpo_pipeline.demo.load import dated
from grpo_pipeline.demo.plan import CONTRIBUTORS, SAMPLED, WEEKS, Row, plan
from grpo_pipeline.demo.sample import (
    SAMPLE_FILE,
    asked,
    contributor_id,
    payloads,
    read_sample,
    sampled_prompts,
    write_sample,
)
from grpo_pipeline.demo.tools import TOOLS
from grpo_pipeline.feedback.importing.drafts import check_draft
from grpo_pipeline.feedback.importing.formats import parse_record
from grpo_pipeline.weeks import Week

LINES = read_sample()


def test_the_file_is_small_enough_for_a_repository() -> None:
    assert SAMPLE_FILE.stat().st_size < 1_000_000


def test_every_line_is_a_payload_of_a_known_week() -> None:
    weeks = [Week("2026-01-05").shift(offset) for offset in range(WEEKS)]
    now = datetime(2026, 11, 2, tzinfo=UTC)
    for line in LINES:
        name, draft = parse_record(dated(line, weeks))
        assert name == "payload"
        checked = check_draft(draft, now)
        assert checked.created_at is not None
        assert Week.containing(checked.created_at) == weeks[line["weekOffset"]]


def test_every_planted_fault_is_there_as_often_as_meant() -> None:
    assert Counter(line["planted"] for line in LINES if line["planted"]) == {
        **dict.fromkeys((f"personal_data:{kind}" for kind in PERSONAL_DATA), 6),
        "votes_on_one_prompt": 48,
        "spam": 28,
        "exact_duplicate": 12,
        "near_duplicate": 12,
        "exact_duplicate_of_earlier_week": 11,
        "near_duplicate_of_earlier_week": 11,
        "contradiction": 12,
        "blank_correction": 12,
        "too_short": 12,
        "copied_prompt": 12,
        "broken_encoding": 6,
        "unchanged": 4,
    }


def test_a_week_holds_about_sixty_rows_of_which_most_are_ordinary_edits() -> None:
    rows = Counter(line["weekOffset"] for line in LINES)
    edits = Counter(
        line["weekOffset"] for line in LINES if line["feedbackType"] == "edit" and _ordinary(line["planted"])
    )
    assert set(rows) == set(range(WEEKS))
    assert all(55 <= count <= 90 for count in rows.values())
    assert all(36 <= count <= 39 for count in edits.values())


def _ordinary(planted: str | None) -> bool:
    return planted is None or planted.startswith("personal_data")


def test_contributors_differ_in_how_much_they_write_and_some_are_not_signed_in() -> None:
    counts = Counter(line["userId"] for line in LINES)
    assert counts.pop(None) > 5
    assert counts.pop(contributor_id("spammer")) == 28
    assert len(counts) == CONTRIBUTORS
    assert max(counts.values()) > 5 * min(counts.values())


def test_personal_data_is_where_it_says_and_nowhere_else() -> None:
    values = {value for kind in PERSONAL_DATA.values() for value in kind}
    for line in LINES:
        texts = (line["prompt"], line["response"], line["corrections"] or "")
        holds = any(value in text for value in values for text in texts)
        assert holds == (line["planted"] or "").startswith("personal_data")


def test_sampled_answers_hold_no_addresses_or_numbers_of_people() -> None:
    for line in LINES:
        assert not re.search(r"\S@\S+\.\w|https?://|\+?\d[\d -]{8,}\d", line["response"])


def test_no_figure_is_stated_about_a_well_known_company() -> None:
    names = re.compile(rf"\b({'|'.join(WELL_KNOWN)})\b")
    for line in LINES:
        if line["feedbackType"] == "edit" and names.search(line["corrections"]) and _ordinary(line["planted"]):
            assert parse_tool_calls(line["corrections"])


def test_corrections_with_tools_call_one_of_them_with_its_arguments() -> None:
    edits = [line for line in LINES if line["feedbackType"] == "edit" and _ordinary(line["planted"])]
    calling = [line for line in edits if line["tools"]]
    assert len(calling) > 80
    for line in calling:
        (call,) = parse_tool_calls(line["corrections"]) or []
        offered = {tool["function"]["name"]: tool["function"] for tool in line["tools"]}
        assert len(offered) > 1
        assert set(call.arguments) == set(offered[call.name]["parameters"]["required"])
        assert TOOLS[call.name]["function"] == offered[call.name]


def test_some_prompts_are_conversations() -> None:
    turns = Counter(len(parse_prompt(line["prompt"])) for line in LINES)
    assert turns[3] > 10


def test_the_file_is_what_the_plan_makes_of_the_sampled_answers(tmp_path: Path) -> None:
    rows = plan()
    corrections = {asked(row.prompt): line["corrections"] for row, line in both(rows) if row.corrections == SAMPLED}
    responses = {asked(row.prompt): line["response"] for row, line in both(rows) if row.response == SAMPLED}
    answers = corrections | responses
    assert sorted(answers) == sorted(asked(prompt) for prompt in sampled_prompts(rows))
    write_sample(payloads(rows, answers), tmp_path / "again.jsonl.gz")
    assert read_sample(tmp_path / "again.jsonl.gz") == LINES


def both(rows: list[Row]) -> list[tuple[Row, dict[str, Any]]]:
    return list(zip(rows, LINES, strict=True))


def test_another_seed_makes_another_sample_with_the_same_faults() -> None:
    planted = Counter(row.planted for row in plan(1))
    assert planted == pytest.approx(Counter(row.planted for row in plan()), abs=20)
    assert {row.prompt for row in plan(1)} != {row.prompt for row in plan()}
