from __future__ import annotations

import resource
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback import extraction
from grpo_pipeline.feedback.extraction import extract_week
from grpo_pipeline.feedback.snapshot import Snapshot, open_snapshot
from grpo_pipeline.feedback.store import FeedbackStore
from grpo_pipeline.feedback.tables import TABLES
from grpo_pipeline_tests.feedback.rows import MONDAY, TRICKY, WEEK, add_feedback, run
from grpo_pipeline_tests.postgres_fixtures import Server

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def postgres_15_url(postgres_15_server: Server) -> Iterator[str]:
    with postgres_15_server.fresh_database("migrated") as url:
        yield url


@pytest.mark.parametrize("kind", ["database_url", "pgbouncer_url", "postgres_15_url"])
def test_a_week_comes_out_exactly_as_it_is_in_the_database(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(kind)
    for number, text in enumerate(TRICKY):
        columns = {"feedback_type": "edit", "corrections": text + "!", "session_id": text, "model_version": ""}
        moment = MONDAY + timedelta(minutes=number, microseconds=number)
        add_feedback(url, moment, prompt=text, response=text * 2, score=1.1 + number / 2, **columns)
    add_feedback(
        url,
        MONDAY + timedelta(days=3),
        corrections="",
        tools='[{"b": 1, "a": "ü"}]',
        metadata='{"n": 1.50, "deep": {"x": null}}',
    )
    store = FeedbackStore(url)
    for table in TABLES.values():
        result = store.extract(table.name, WEEK, tmp_path / table.file)
        frame = pl.read_parquet(tmp_path / table.file)
        columns = [
            f"t.{name}" if name in ("created_at", "updated_at") else f"t.{name}::text" for name in table.schema.names
        ]
        source = "agent_feedback t"
        if table.name == "preference_pairs":
            columns[table.schema.names.index("score")] = "f.score"
            source = "preference_pairs t left join agent_feedback f on f.id = t.feedback_id"
        else:
            columns[table.schema.names.index("score")] = "t.score"
        expected = run(url, f"select {', '.join(columns)} from {source} order by t.created_at, t.id")
        got = [tuple(row) for row in frame.iter_rows()]
        assert got == [
            tuple(value.astimezone(UTC) if hasattr(value, "astimezone") else value for value in row) for row in expected
        ]
        assert result.rows == len(expected) == frame.height
    assert pl.read_parquet(tmp_path / "feedback.parquet")["corrections"].to_list()[-1] == ""
    assert pl.read_parquet(tmp_path / "pairs.parquet")["rejected"].to_list() == [text * 2 for text in TRICKY]


def test_an_empty_week_has_the_same_columns(database_url: str, tmp_path: Path) -> None:
    for table in TABLES.values():
        result = FeedbackStore(database_url).extract(table.name, WEEK, tmp_path / table.file)
        assert (result.rows, result.fingerprint) == (0, "0:0000000000000000")
        assert pq.read_schema(tmp_path / table.file).equals(table.schema)


def test_a_week_begins_on_monday_and_ends_before_the_next(database_url: str, tmp_path: Path) -> None:
    inside = add_feedback(database_url, MONDAY) + add_feedback(database_url, WEEK.end - MICROSECOND)
    add_feedback(database_url, MONDAY - MICROSECOND)
    add_feedback(database_url, WEEK.end)
    FeedbackStore(database_url).extract("agent_feedback", WEEK, tmp_path / "week.parquet")
    assert pl.read_parquet(tmp_path / "week.parquet")["id"].to_list() == inside


def test_the_same_rows_give_the_same_bytes(database_url: str, tmp_path: Path) -> None:
    add_feedback(database_url, count=50)
    store = FeedbackStore(database_url)
    store.extract("agent_feedback", WEEK, tmp_path / "first.parquet")
    # Written again elsewhere in the table, so that its own order changes.
    run(database_url, "alter table agent_feedback disable trigger agent_feedback_touch")
    run(database_url, "update agent_feedback set session_id = null where extract(second from created_at) < 20")
    store.extract("agent_feedback", WEEK, tmp_path / "second.parquet")
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()


def test_large_weeks_are_written_in_row_groups_by_bytes(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "ROW_GROUP_BYTES", 1)
    _fill(database_url, 8_000)
    result = FeedbackStore(database_url).extract("agent_feedback", WEEK, tmp_path / "week.parquet")
    file = pq.ParquetFile(tmp_path / "week.parquet")
    assert file.metadata.num_rows == result.rows == 8_000
    assert file.metadata.num_row_groups > 1
    assert pl.read_parquet(tmp_path / "week.parquet")["created_at"].is_sorted()


def test_the_extraction_runs_with_the_extractors_rights_in_one_read_only_snapshot(database_url: str) -> None:
    query = (
        "select current_user::text as a, current_setting('transaction_isolation') as b, "
        "current_setting('transaction_read_only') as c, current_setting('TimeZone') as d"
    )
    with open_snapshot(database_url) as snapshot:
        assert snapshot.rows(query) == [("feedback_extractor", "repeatable read", "on", "UTC")]
        add_feedback(database_url)
        assert snapshot.rows("select count(*) as n from public.agent_feedback") == [(0,)]
        with pytest.raises(PipelineError):
            snapshot.rows("delete from public.agent_feedback returning 1 as one")


def test_a_user_who_may_only_become_the_extractor_can_extract(
    database_url: str, postgres_server: Server, tmp_path: Path
) -> None:
    add_feedback(database_url)
    run(database_url, "create role only_reader login noinherit password 'secret' in role feedback_extractor")
    try:
        login = urlsplit(database_url)
        url = database_url.replace(f"{login.username}:{login.password}@", "only_reader:secret@")
        assert FeedbackStore(url).extract("agent_feedback", WEEK, tmp_path / "week.parquet").rows == 1
    finally:
        run(database_url, "drop role only_reader")


def test_a_pooled_connection_keeps_nothing_of_an_extraction(pgbouncer_url: str, tmp_path: Path) -> None:
    add_feedback(pgbouncer_url, count=3)
    for number in range(6):
        FeedbackStore(pgbouncer_url).extract("agent_feedback", WEEK, tmp_path / f"{number}.parquet")
    for _ in range(4):
        with psycopg.connect(pgbouncer_url, prepare_threshold=None) as connection:
            row = connection.execute("select current_user = session_user, current_setting('statement_timeout')")
            assert row.fetchone() == (True, "0")


def test_a_database_that_dies_in_the_middle_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    _fill(database_url, 12_000)
    target = tmp_path / "week.parquet"
    target.write_text("as before")
    with open_snapshot(database_url) as snapshot, pytest.raises(PipelineError, match="broke off"):
        extract_week(Dying(snapshot, database_url), TABLES["agent_feedback"], WEEK, target)
    assert target.read_text() == "as before"
    assert list(tmp_path.iterdir()) == [target]


class Dying(Snapshot):
    """A snapshot whose server process is stopped after the first batch."""

    def __init__(self, snapshot: Snapshot, url: str) -> None:
        super().__init__(snapshot._cursor, url)

    def stream(self, query: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        (backend,) = self.rows("select pg_backend_pid() as pid")[0]
        schema, batches = super().stream(query)

        def cut() -> Iterator[pa.RecordBatch]:
            yield next(batches)
            run(self._url, f"select pg_terminate_backend({backend})")
            yield from batches

        return schema, cut()


def test_a_missing_table_or_column_is_named_with_what_to_do(
    empty_database_url: str, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError, match=r"agent_feedback.*grpo-pipeline db migrate"):
        FeedbackStore(empty_database_url).extract("agent_feedback", WEEK, tmp_path / "week.parquet")
    run(database_url, "alter table preference_pairs drop column review_status")
    with pytest.raises(PipelineError, match=r"review_status.*grpo-pipeline db migrate"):
        FeedbackStore(database_url).extract("preference_pairs", WEEK, tmp_path / "week.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_another_type_is_named(database_url: str, tmp_path: Path) -> None:
    run(database_url, "alter table agent_feedback alter column session_id type bytea using session_id::bytea")
    with pytest.raises(PipelineError, match=r"agent_feedback\.session_id is of type binary instead of string"):
        FeedbackStore(database_url).extract("agent_feedback", WEEK, tmp_path / "week.parquet")


def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="No database answers"):
        FeedbackStore("postgresql://nobody@127.0.0.1:9/none").extract("agent_feedback", WEEK, tmp_path / "w.parquet")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    _fill(database_url, 3_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(PipelineError, match=r"week\.parquet cannot be written \(File too large\)"):
            FeedbackStore(database_url).extract("agent_feedback", WEEK, tmp_path / "week.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def _fill(url: str, rows: int) -> None:
    """Rows of about 3 KB."""
    run(
        url,
        "insert into agent_feedback (created_at, updated_at, feedback_type, prompt, response) "
        "select moment, moment, 'comment', repeat(md5(i::text), 50), repeat(md5((-i)::text), 45) "
        f"from generate_series(1, {rows}) i, lateral (select '{MONDAY}'::timestamptz + i * interval '1 s') m (moment)",
    )
