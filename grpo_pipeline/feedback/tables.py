"""The two tables that are extracted, and the columns of their Parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

TableName = Literal["agent_feedback", "preference_pairs"]

_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Table:
    """One table: its name (also that of its asset and its query), its file in the artifact, its columns."""

    name: TableName
    file: str
    schema: pa.Schema


def _schema(texts: str) -> pa.Schema:
    return pa.schema(
        [(name, pa.string()) for name in texts.split()]
        + [("score", pa.float64()), ("created_at", _MOMENT), ("updated_at", _MOMENT)]
    )


TABLES: dict[TableName, Table] = {
    "agent_feedback": Table(
        "agent_feedback",
        "feedback.parquet",
        _schema(
            "id user_id session_id feedback_type prompt response corrections model_version tools metadata",
        ),
    ),
    "preference_pairs": Table(
        "preference_pairs",
        "pairs.parquet",
        _schema(
            "id feedback_id user_id source prompt chosen rejected tools model_version review_status metadata",
        ),
    ),
}
