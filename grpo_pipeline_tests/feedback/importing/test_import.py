from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.importer import ImportReport, import_feedback
from grpo_pipeline.weeks import Week, weeks_between
from grpo_pipeline_tests.feedback.rows import TRICKY, run
from grpo_pipeline_tests.postgres_fixtures import Server

WEEKS = weeks_between(Week("2026-08-31"), Week("2026-11-16"))
KNOWN_USER = str(uuid.uuid5(uuid.NAMESPACE_OID, "a user"))
PAYLOAD = {"prompt": "p", "response": "r", "feedbackType": "thumbs_up"}
ALL_ROWS = "select * from agent_feedback order by id"
ALL_PAIRS = "select * from preference_pairs order by id"


def write_lines(path: Path, records: list[Any]) -> str:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return str(path)


def load(url: str, source: str, **options: Any) -> ImportReport:  # noqa: ANN401
    return import_feedback(url, source, WEEKS, Path(source + ".rejects.jsonl"), **options)


@pytest.mark.parametrize("kind", ["database_url", "pgbouncer_url"])
def test_every_format_becomes_feedback_and_every_edit_a_pair(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(kind)
    records = [{"prompt": text, "chosen": text + "+", "rejected": text + "-"} for text in TRICKY]
    records += [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "label": True},
        {"prompt": "q", "completion": "a", "label": False},
        {"conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "g"}], "tools": '[{"name": "t"}]'},
        {**PAYLOAD, "feedbackType": "edit", "corrections": "better", "score": 5, "metadata": {"page": 1}},
    ]
    report = load(url, write_lines(tmp_path / "mixed.jsonl", records))
    assert (report.read, report.imported, report.rejected, report.rejects_file) == (len(records), len(records), 0, None)
    assert report.by_type == {"edit": len(TRICKY) + 1, "thumbs_up": 2, "thumbs_down": 1}
    texts = run(url, "select prompt, response, corrections from agent_feedback where feedback_type = 'edit'")
    assert set(texts) == {(text, text + "-", text + "+") for text in TRICKY} | {("p", "r", "better")}
    pairs = run(
        url,
        "select count(*) filter (where p.created_at = f.created_at and p.chosen = f.corrections "
        "and p.rejected = f.response and p.prompt = f.prompt), count(*) "
        "from agent_feedback f left join preference_pairs p on p.feedback_id = f.id where f.feedback_type = 'edit'",
    )
    assert pairs == [(len(TRICKY) + 1, len(TRICKY) + 1)]
    weeks = run(url, "select min(created_at) >= '2026-08-31+00', max(created_at) < '2026-11-23+00' from agent_feedback")
    assert weeks == [(True, True)]
    tools = run(url, "select tools from agent_feedback where tools is not null")
    assert tools == [([{"type": "function", "function": {"name": "t"}}],)]


def test_importing_again_changes_nothing(database_url: str, tmp_path: Path) -> None:
    records = [{"prompt": f"p{number}", "chosen": "good", "rejected": "bad"} for number in range(20)] + [PAYLOAD] * 3
    source = write_lines(tmp_path / "data.jsonl", records)
    assert load(database_url, source).imported == 23
    before = run(database_url, ALL_ROWS), run(database_url, ALL_PAIRS)
    again = load(database_url, source)
    assert (again.read, again.imported, again.present) == (23, 0, 23)
    reordered = load(database_url, write_lines(tmp_path / "reordered.jsonl", [PAYLOAD, *records[::-1]]))
    assert (reordered.imported, reordered.present) == (1, 23)
    kept = [row for row in run(database_url, ALL_ROWS) if row in before[0]]
    assert kept == before[0]
    assert run(database_url, ALL_PAIRS) == before[1]


def test_the_same_file_gives_the_same_rows_in_another_database(
    database_url: str,
    postgres_server: Server,
    tmp_path: Path,
) -> None:
    records = [{"prompt": f"p{number}", "chosen": "good", "rejected": "bad"} for number in range(20)]
    source = write_lines(tmp_path / "data.jsonl", records)
    load(database_url, source)
    with postgres_server.fresh_database("migrated") as other:
        load(other, source)
        assert run(other, ALL_ROWS) == run(database_url, ALL_ROWS)
        assert run(other, ALL_PAIRS) == run(database_url, ALL_PAIRS)


def test_each_bad_record_is_rejected_with_its_line_and_reason_and_the_good_ones_load(
    database_url: str, tmp_path: Path
) -> None:
    source = tmp_path / "data.jsonl"
    # Its text is small as JSON, and too large as the database writes numbers: only the database can tell.
    wide = {**PAYLOAD, "metadata": {"numbers": [1e300] * 250}}
    good = [{**PAYLOAD, "prompt": f"good {number}"} for number in range(5)]
    write_lines(source, [*good, {**PAYLOAD, "prompt": " "}, wide, {**PAYLOAD, "score": 9}, {"secret": "text"}])
    with source.open("a") as lines:
        lines.write('{"prompt": "secret\n')
    report = load(database_url, str(source))
    assert (report.read, report.imported, report.rejected) == (10, 5, 5)
    assert report.rejects_file is not None
    rejects = [json.loads(line) for line in report.rejects_file.read_text().splitlines()]
    assert sorted((item["line"], item["reason"]) for item in rejects) == [
        (6, "prompt is blank"),
        (7, "refused by the database: agent_feedback_metadata_shape"),
        (8, "score is not between 1 and 5"),
        (9, "no known format has these fields"),
        (10, "not JSON"),
    ]
    assert "secret" not in report.rejects_file.read_text()

    write_lines(source, good)
    assert load(database_url, str(source)).rejects_file is None
    assert not report.rejects_file.exists()


def test_nothing_importable_is_an_error_that_points_to_the_reasons(database_url: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "data.jsonl", [{"question": 1}] * 3)
    with pytest.raises(PipelineError, match=r"None of the 3 records .* no known format .*data\.jsonl\.rejects\.jsonl"):
        load(database_url, source)
    assert len(Path(source + ".rejects.jsonl").read_text().splitlines()) == 3
    with pytest.raises(PipelineError, match="holds no records"):
        load(database_url, write_lines(tmp_path / "empty.jsonl", []))


def test_unknown_users_are_rejected_or_added_as_asked(database_url: str, tmp_path: Path) -> None:
    run(database_url, f"insert into auth.users (id) values ('{KNOWN_USER}')")
    stranger = str(uuid.uuid5(uuid.NAMESPACE_OID, "a stranger"))
    records = [{**PAYLOAD, "userId": user} for user in (KNOWN_USER, stranger, stranger)]
    source = write_lines(tmp_path / "data.jsonl", records)
    report = load(database_url, source)
    assert (report.imported, report.reasons) == (1, {"userId is no user of the database": 2})
    report = load(database_url, source, create_users=True)
    assert (report.imported, report.present, report.rejected) == (2, 1, 0)
    assert run(database_url, "select count(*) from auth.users") == [(2,)]


def test_a_row_that_was_erased_does_not_come_back(database_url: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "data.jsonl", [{**PAYLOAD, "prompt": name} for name in "abc"])
    load(database_url, source)
    run(database_url, "delete from agent_feedback where prompt = 'b'")
    report = load(database_url, source)
    assert (report.imported, report.present, report.erased) == (0, 2, 1)
    assert run(database_url, "select prompt from agent_feedback order by prompt") == [("a",), ("c",)]


def test_a_record_with_its_own_time_keeps_it(database_url: str, tmp_path: Path) -> None:
    load(database_url, write_lines(tmp_path / "data.jsonl", [{**PAYLOAD, "createdAt": "2026-03-04T05:06:07Z"}]))
    assert run(
        database_url, "select created_at = '2026-03-04 05:06:07+00', updated_at = created_at from agent_feedback"
    ) == [(True, True)]


def test_a_database_that_dies_in_the_middle_keeps_nothing(database_url: str, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "data.jsonl", [{**PAYLOAD, "prompt": f"p{number}"} for number in range(6_000)])

    def stop_server_process(read: int, share: float | None) -> None:
        if read == 5_500:
            run(
                database_url,
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()",
            )

    with pytest.raises(PipelineError, match="broke off"):
        load(database_url, source, on_progress=stop_server_process)
    assert run(database_url, "select count(*) from agent_feedback") == [(0,)]
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]
    assert load(database_url, source).imported == 6_000


def test_an_unmigrated_database_is_named_with_what_to_do(empty_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="grpo-pipeline db migrate"):
        load(empty_database_url, write_lines(tmp_path / "data.jsonl", [PAYLOAD]))


@pytest.mark.skipif(
    "GRPO_TEST_DATA" not in os.environ, reason="needs GRPO_TEST_DATA: a folder of preference data files"
)
def test_every_record_of_foreign_files_is_accounted_for(database_url: str, tmp_path: Path) -> None:
    for source in sorted(Path(os.environ["GRPO_TEST_DATA"]).glob("*.json")):
        report = import_feedback(database_url, str(source), WEEKS, tmp_path / "rejects.jsonl")
        assert report.imported + report.rejected == report.read == len(json.loads(source.read_text()))
