"""What is said when a training run is over, read from the manifests that it left."""

from __future__ import annotations

from grpo_pipeline.alerts.alert import Alert
from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.tool_calling.names import EVALUATION_ASSET, UNDATED

WORDS = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive", "skipped": "nothing to judge"}


def training_alerts(artifacts: ArtifactStore, week: str, minutes: float) -> list[Alert]:
    """That a week's training is over, and what was decided about its candidate, where there is one."""
    policy, champion = artifacts.latest("grpo_policy", week), artifacts.latest("champion", week)
    if policy is None or champion is None:
        return []
    trained = bool(policy.manifest["trained"])
    facts: dict[str, str | int | float | bool | None] = {"week": week, "minutes": round(minutes)}
    if not trained:
        reason = str(policy.manifest["verdict"]["reason"])
        return [Alert("training_finished", f"Week {week} trained nothing: {reason}", {**facts, "trained": False})]
    version, verdict = str(policy.manifest["version"]), champion.manifest["verdict"]
    finished = Alert(
        "training_finished",
        f"Week {week} trained {version} in {minutes:.0f} minutes.",
        {**facts, "trained": True, "version": version},
    )
    decided = Alert(
        "verdict",
        f"Week {week}, {WORDS[verdict['status']]}: {verdict['reason']}",
        {
            "week": week,
            "version": version,
            "verdict": verdict["status"],
            "promoted": bool(champion.manifest["promoted"]),
            "champion": champion.manifest["champion"],
        },
    )
    return [finished, decided]


def tool_calling_alerts(artifacts: ArtifactStore, minutes: float) -> list[Alert]:
    """That the training on synthetic tool calls is over, and what came of it."""
    evaluation = artifacts.latest(EVALUATION_ASSET, UNDATED)
    if evaluation is None:
        return []
    verdict = evaluation.manifest["verdict"]
    return [
        Alert("training_finished", f"Tool-calling training is over after {minutes:.0f} minutes."),
        Alert(
            "verdict",
            f"Tool calling, {WORDS[verdict['status']]}: {verdict['reason']}",
            {"verdict": verdict["status"]},
        ),
    ]
