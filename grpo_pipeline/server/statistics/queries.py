"""Counts over the whole database: none of them reads the texts of feedback but where it has tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline.gates.reward_fidelity import wilson_interval
from grpo_pipeline.server.models.schema import Judgement
from grpo_pipeline.server.statistics.schema import (
    Stats,
    SuccessRate,
    ToolCallingStats,
    ToolCallingTraining,
    WeekCounts,
)
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, UNDATED

WEEKS_SHOWN = 26
MODELS_SHOWN = 50
Z95 = 1.959964
BY_TYPE = "select feedback_type as name, count(*) as rows from public.agent_feedback group by 1"
BY_STATUS = "select review_status as name, count(*) as rows from public.preference_pairs group by 1"
BY_WEEK = """
select week, sum(feedback)::bigint as feedback, sum(pairs)::bigint as pairs from (
  select date_bin('7 days', created_at, '1970-01-05 00:00+00') as week, count(*) as feedback, 0 as pairs
  from public.agent_feedback group by 1
  union all
  select date_bin('7 days', created_at, '1970-01-05 00:00+00'), 0, count(*) from public.preference_pairs group by 1
) found group by 1 order by 1 desc limit %(weeks)s
"""
BY_MODEL = """
select model_version,
  count(*) filter (where feedback_type = 'thumbs_up' or (feedback_type = 'rating' and score >= %(up)s)) as up,
  count(*) filter (where feedback_type = 'thumbs_down' or (feedback_type = 'rating' and score <= %(down)s)) as down,
  avg(score) filter (where feedback_type <> 'edit') as mean_score,
  count(*) filter (where feedback_type = 'edit') as edits
from public.agent_feedback group by 1 order by count(*) desc, 1 limit %(models)s
"""
WITH_TOOLS = """
select count(*) as feedback,
  count(*) filter (where feedback_type = 'thumbs_up') as up,
  count(*) filter (where feedback_type = 'thumbs_down') as down
from public.agent_feedback where tools is not null
"""
PAIRS_WITH_TOOLS = """
select count(*) as pairs, count(*) filter (where strpos(chosen, '<tool_call>') > 0) as calling
from public.preference_pairs where tools is not null
"""
CHAMPION = "select version, metrics from public.model_versions where status = 'champion'"

Cursor = psycopg.AsyncCursor[dict[str, Any]]


async def read_stats(connection: psycopg.AsyncConnection, curation: CurationSettings) -> Stats:
    """Everything at a glance; ratings count as thumbs as they do in curation."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        limits = {"weeks": WEEKS_SHOWN, "models": MODELS_SHOWN, "up": curation.up_score, "down": curation.down_score}
        types, statuses = await _rows(cursor, BY_TYPE), await _rows(cursor, BY_STATUS)
        weeks, models = await _rows(cursor, BY_WEEK, limits), await _rows(cursor, BY_MODEL, limits)
    return Stats(
        feedback={row["name"]: row["rows"] for row in types},
        pairs={row["name"]: row["rows"] for row in statuses},
        weeks=[WeekCounts(**{**row, "week": row["week"].date()}) for row in weeks],
        models=sorted((_success(row) for row in models), key=lambda rate: -rate.votes),
    )


async def read_tool_calling(connection: psycopg.AsyncConnection, artifacts: ArtifactStore) -> ToolCallingStats:
    """What feedback says about tool calls, and what the last training on synthetic ones came to."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        (feedback,), (pairs,) = await _rows(cursor, WITH_TOOLS), await _rows(cursor, PAIRS_WITH_TOOLS)
        champion = await _rows(cursor, CHAMPION)
    votes = feedback["up"] + feedback["down"]
    return ToolCallingStats(
        feedback_with_tools=feedback["feedback"],
        votes_with_tools=votes,
        success_rate_with_tools=feedback["up"] / votes if votes else None,
        pairs_with_tools=pairs["pairs"],
        pairs_that_call=pairs["calling"],
        champion=champion[0]["version"] if champion else None,
        training=_training(artifacts),
        champion_metrics=dict(_tool_metrics(champion[0]["metrics"])) if champion else {},
    )


def _training(artifacts: ArtifactStore) -> ToolCallingTraining | None:
    evaluation = artifacts.latest(EVALUATION_ASSET, UNDATED)
    if evaluation is None:
        return None
    counts = dict(evaluation.manifest["counts"])
    return ToolCallingTraining(
        held_out=counts.pop("held_out"),
        right={name.removeprefix("right_"): count for name, count in counts.items()},
        failures=evaluation.manifest["failures"],
        verdict=Judgement.model_validate(evaluation.manifest["verdict"]),
    )


def _success(row: Mapping[str, Any]) -> SuccessRate:
    votes = row["up"] + row["down"]
    interval = wilson_interval(row["up"] / votes, votes, Z95) if votes else None
    return SuccessRate(
        model_version=row["model_version"],
        votes=votes,
        success_rate=row["up"] / votes if votes else None,
        low=max(0.0, interval[0]) if interval else None,
        high=min(1.0, interval[1]) if interval else None,
        mean_score=row["mean_score"],
        edits=row["edits"],
    )


def _tool_metrics(metrics: Any, path: str = "") -> list[tuple[str, float]]:  # noqa: ANN401
    """The numbers of a version's metrics whose name says that they are about tools."""
    if isinstance(metrics, Mapping):
        return [found for name, value in metrics.items() for found in _tool_metrics(value, f"{path}.{name}".strip("."))]
    is_number = isinstance(metrics, int | float) and not isinstance(metrics, bool)
    return [(path, float(metrics))] if is_number and "tool" in path else []


async def _rows(cursor: Cursor, query: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    return await (await cursor.execute(query, values)).fetchall()
