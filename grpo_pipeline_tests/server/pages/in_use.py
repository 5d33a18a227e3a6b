"""A server whose database has versions in use, votes on them, and a stored evaluation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.gates.report import verdict_json
from grpo_pipeline.gates.settings import GateSettings
from grpo_pipeline.gates.verdict import promotion_verdict
from grpo_pipeline_tests.gates.simulated import simulated_scores
from grpo_pipeline_tests.monitoring.database import CHALLENGER, CHAMPION, add_votes, in_use
from grpo_pipeline_tests.server.conftest import Server

WEEK = CHALLENGER[:10]
MARKUP = "<script>alert(1)</script>"
PROMPTS = 12


def fill(server: Server, success: float = 0.55) -> None:
    """Four weeks of votes, and a challenger since twelve days whose users succeed at a given rate."""
    now = datetime.now(UTC)
    in_use(server.url, now - timedelta(days=40), share=1 / 3, since=now - timedelta(days=12))
    add_votes(server.url, now - timedelta(days=30), 17, {CHAMPION: 90}, {CHAMPION: 0.8}, seed=1)
    users = {CHAMPION: 120, CHALLENGER: 60}
    add_votes(server.url, now - timedelta(days=12), 10, users, {CHAMPION: 0.8, CHALLENGER: success})
    publish_evaluation(ArtifactStore(server.home / "artifacts"))


def publish_evaluation(artifacts: ArtifactStore) -> None:
    """The challenger's evaluation, with answers of base model, incumbent and candidate to some prompts."""
    ids = [f"pair-{number:02}" for number in range(PROMPTS)]
    held_out = pl.DataFrame(
        {
            "id": ids,
            "prompt": [[{"role": "user", "content": f"Question {number} {MARKUP}"}] for number in range(PROMPTS)],
            "chosen": [[{"role": "assistant", "content": f"Correction {number}"}] for number in range(PROMPTS)],
            "rejected": [[{"role": "assistant", "content": f"Rejected {number}"}] for number in range(PROMPTS)],
        }
    )
    with artifacts.draft("preference_dataset") as draft:
        held_out.write_parquet(draft / "held_out.parquet")
        artifacts.publish(draft, "preference_dataset", WEEK, {})
    scores = simulated_scores(1, shifts={"candidate": {"contrastive_similarity": 0.3}})
    probes = scores.filter(pl.col("metric") == "preference_accuracy").with_columns(
        metric=pl.lit("probe_format"), contributor=pl.lit(None, pl.String)
    )
    dated = pl.concat([scores, probes]).with_columns(week=pl.lit(WEEK))
    verdict = promotion_verdict(dated, GateSettings(resamples=500), look=1)
    models = ("base", "incumbent", "candidate")
    content = {**verdict_json(verdict), "models": dict.fromkeys(models, "m")}
    answers = pl.DataFrame(
        [(pair, model, 0, f"The {model} answers {pair} {MARKUP}") for pair in ids for model in models],
        schema=["pair_id", "model", "sample", "answer"],
        orient="row",
    )
    with artifacts.draft("policy_evaluation") as draft:
        (draft / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
        answers.write_parquet(draft / "answers.parquet")
        judged = {"method": "grpo_after_warm_start", "verdict": content["verdict"]}
        manifest = {"candidate": CHALLENGER, "candidates": {CHALLENGER: judged}}
        artifacts.publish(draft, "policy_evaluation", WEEK, manifest)
