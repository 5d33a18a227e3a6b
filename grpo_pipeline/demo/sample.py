"""The sample as a file: one JSON payload a line, with where it falls in the twelve weeks.

A line holds the public names of feedback (`prompt`, `response`, `corrections`, `feedbackType`, `score`, `tools`,
`userId`, `sessionId`, `modelVersion`, `metadata`); beside them `weekOffset` (0 is the oldest week), `secondOfWeek`, and
`planted`: the fault that the line was put there for, or null.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from grpo_pipeline.demo.plan import SAMPLED, WEEKS, Row
from grpo_pipeline.demo.tools import TOOLS

# Chosen so that the default split holds out about a fifth of the contributors and of their pairs: with 44 contributors
# a hash alone may hold out five or fifteen.
NAMESPACE = uuid.UUID("2298bdb1-c85f-4d46-9037-15c8fcaf4a5a")
SAMPLE_FILE = Path(__file__).with_name("feedback.jsonl.gz")


def asked(prompt: str) -> str:
    """What a prompt asks, whatever mark ends it: a reworded question got the same answer."""
    return prompt.rstrip("?.!")


def sampled_prompts(rows: Iterable[Row]) -> list[str]:
    """One prompt for each question that needs an answer of the model, sorted."""
    open_rows = [row for row in rows if SAMPLED in (row.response + (row.corrections or ""))]
    return sorted({asked(row.prompt): row.prompt for row in reversed(open_rows)}.values())


def contributor_id(name: str) -> str:
    """The user id of a contributor of the sample."""
    return str(uuid.uuid5(NAMESPACE, name))


def payloads(rows: Iterable[Row], answers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The lines of the sample file.

    Args:
        answers: what the model answered, by what was `asked`.
    """
    for row in rows:
        answer = answers.get(asked(row.prompt), "")
        yield {
            "weekOffset": row.week,
            "secondOfWeek": row.second,
            "userId": contributor_id(row.contributor) if row.contributor else None,
            "sessionId": str(uuid.uuid5(NAMESPACE, f"session-{row.week}-{row.second // 3600}-{row.contributor}")),
            "feedbackType": row.feedback_type,
            "prompt": row.prompt,
            "response": row.response.replace(SAMPLED, answer),
            "corrections": row.corrections.replace(SAMPLED, answer) if row.corrections is not None else None,
            "score": row.score,
            "modelVersion": f"agent-{1 + row.week // (WEEKS // 3)}",
            "tools": [TOOLS[name] for name in row.tools] or None,
            "metadata": {"comment": row.comment} if row.comment else {},
            "planted": row.planted,
        }


def write_sample(lines: Iterable[Mapping[str, Any]], target: Path) -> None:
    """Write lines so that the same lines give the same bytes."""
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    target.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))


def read_sample(source: Path = SAMPLE_FILE) -> list[dict[str, Any]]:
    """All lines of the sample, oldest first."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
