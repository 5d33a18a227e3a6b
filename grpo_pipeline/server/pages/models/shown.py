"""What the models pages show, as the values of their templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.registry.changes import ModelChange
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.traffic import Challenger
from grpo_pipeline.server.pages.models.evaluations import (
    PROMPTS_A_PAGE,
    StoredEvaluation,
    side_by_side,
    stored_evaluation,
)
from grpo_pipeline.server.pages.numbers import moment, number, percent, picture, signed, span

CHANGES_SHOWN = 100


def shown_models(
    models: Sequence[ModelVersion], tried: Sequence[Challenger], changes: Sequence[ModelChange]
) -> dict[str, Any]:
    """The champion, the shares, every version and the history.

    Args:
        models: the latest week first.
        tried: the challengers, the oldest first.
        changes: the earliest first.
    """
    champion = next((model for model in models if model.status == "champion"), None)
    rest = 1 - sum(item.share for item in tried)
    return {
        "champion": champion,
        "champion_since": moment(_since(changes, champion)) if champion else None,
        "traffic": [
            {"version": champion.version if champion else "base model", "role": "champion", "share": percent(rest)},
            *({"version": item.version, "role": "challenger", "share": percent(item.share)} for item in tried),
        ],
        "can_try": [model.version for model in models if model.status in ("candidate", "retired")],
        "models": [_line(model) for model in models],
        "changes": [_change(item) for item in reversed(changes[-CHANGES_SHOWN:])],
    }


def shown_model(artifacts: ArtifactStore, model: ModelVersion, page: int) -> dict[str, Any]:
    """One version with its evaluation and a page of answers."""
    evaluation = stored_evaluation(artifacts, model)
    answers, prompts = side_by_side(artifacts, evaluation, page) if evaluation else ([], 0)
    pages = max(1, -(-prompts // PROMPTS_A_PAGE))
    return {
        "model": model,
        "facts": _facts(model),
        "evaluation": _evaluation(evaluation) if evaluation else None,
        "answers": answers,
        "prompts": prompts,
        "number": page * PROMPTS_A_PAGE,
        "earlier": page - 1 if page > 0 else None,
        "later": page + 1 if page + 1 < pages else None,
    }


def _since(changes: Sequence[ModelChange], champion: ModelVersion) -> Any:  # noqa: ANN401
    crowned = [item.changed_at for item in changes if item.version == champion.version and item.status == "champion"]
    return crowned[-1] if crowned else champion.promoted_at


def _line(model: ModelVersion) -> dict[str, Any]:
    return {
        "version": model.version,
        "week": model.week.key,
        "status": model.status,
        "verdict": model.verdict,
        "promoted": moment(model.promoted_at),
    }


def _change(item: ModelChange) -> dict[str, str]:
    if item.share is None:
        what = "is the champion" if item.status == "champion" else f"is {item.status}"
    else:
        what = f"gets {percent(item.share)} of the traffic" if item.share else "gets no traffic any more"
    return {
        "when": moment(item.changed_at),
        "version": item.version,
        "what": what,
        "by": item.changed_by,
        "reason": item.reason or "",
    }


def _facts(model: ModelVersion) -> list[tuple[str, str]]:
    found = [
        ("Week", model.week.key),
        ("Base model", model.base_model),
        ("Registered", moment(model.created_at)),
        ("Promoted", moment(model.promoted_at) + (f" by {model.promoted_by}" if model.promoted_by else "")),
        ("Why it has its status", model.status_reason or ""),
        ("Dataset", model.dataset_hash or ""),
        ("Settings", model.config_hash or ""),
    ]
    return [(name, value) for name, value in found if value]


def _evaluation(evaluation: StoredEvaluation) -> dict[str, Any]:
    content = evaluation.content
    return {
        "chosen": evaluation.chosen,
        "pairs": content["pairs"],
        "contributors": content["contributors"],
        "plots": {title: picture(png) for title, png in evaluation.plots.items()},
        "differences": [
            {
                "label": row["label"],
                "against": row["against"],
                "role": row["role"],
                "difference": signed(row["difference"]),
                "interval": span(row["low"], row["high"]),
                "margin": number(row["margin"]) if row["role"] == "guard" else "",
                "says": row["state"],
            }
            for row in content["comparisons"]
        ],
    }
