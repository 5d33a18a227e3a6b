"""Puts the sample into the feedback database, over the twelve weeks before a moment."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from grpo_pipeline.demo.plan import WEEKS
from grpo_pipeline.demo.sample import read_sample
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.importer import import_feedback
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.weeks import Week

# Every row says which week of the sample it is, so that a sample that was loaded earlier is found with its dates.
WEEK_KEY = "sampleWeek"
FIND_SAMPLE = f"""
select min(created_at - ((metadata ->> '{WEEK_KEY}')::int * interval '7 days'))
from public.agent_feedback where metadata ? '{WEEK_KEY}'
"""
FIND_OTHER = f"select exists (select from public.agent_feedback where not metadata ? '{WEEK_KEY}')"


@dataclass(frozen=True)
class LoadedSample:
    """The weeks that the sample lies in, earliest first, and how many of its rows are new in the database."""

    weeks: list[Week]
    new: int
    present: int


def load_sample(url: str, last_week: Week) -> LoadedSample:
    """Load the sample so that it ends with `last_week`; a sample that is there already stays where it is.

    Raises:
        PipelineError: the database holds feedback of somebody else's and no sample.
    """
    weeks = _loaded_weeks(url) or _weeks_until(last_week)
    records = [dated(line, weeks) for line in read_sample()]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "sample.jsonl"
        source.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        report = import_feedback(url, str(source), weeks, Path(folder) / "rejects.jsonl", create_users=True)
    return LoadedSample(weeks, report.imported, report.present)


def dated(line: dict[str, Any], weeks: Sequence[Week]) -> dict[str, Any]:
    """A line of the sample as the payload that somebody sent in one of the weeks."""
    payload = {key: value for key, value in line.items() if key not in ("weekOffset", "secondOfWeek", "planted")}
    moment = weeks[line["weekOffset"]].start + timedelta(seconds=line["secondOfWeek"])
    metadata = {**line["metadata"], WEEK_KEY: line["weekOffset"]}
    return {**payload, "createdAt": moment.isoformat(), "metadata": metadata}


def _weeks_until(last: Week) -> list[Week]:
    return [last.shift(offset) for offset in range(1 - WEEKS, 1)]


def _loaded_weeks(url: str) -> list[Week] | None:
    with transaction(url) as connection:
        found = connection.execute(FIND_SAMPLE).fetchone()
        other = connection.execute(FIND_OTHER).fetchone()
    first = found[0] if found else None
    if first is not None:
        return _weeks_until(Week.containing(first).shift(WEEKS - 1))
    if other and other[0]:
        raise PipelineError(
            "The database of this GRPO_HOME already holds feedback, which the demo's made-up rows must not mix with: "
            "set GRPO_HOME to a new folder for the demo, such as `GRPO_HOME=.demo make demo`."
        )
    return None
