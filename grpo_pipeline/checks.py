"""Asset checks: what the UI shows of every verdict, read from the manifests of the weeks that a run made.

A red check (ERROR) says that something is broken, and stops the week in this run. A yellow one (WARN) shows a verdict
that said no: the week goes on, as whoever reads the verdict refuses by itself and carries the incumbent forward.
Asset inputs are not used: Dagster would load every week for one check.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from grpo_pipeline.artifacts import Artifact
from grpo_pipeline.assets.candidates import candidates_of
from grpo_pipeline.assets.curation import curated_pairs
from grpo_pipeline.assets.dataset import leaked, preference_dataset
from grpo_pipeline.assets.evaluation import policy_evaluation
from grpo_pipeline.assets.feedback import agent_feedback, preference_pairs
from grpo_pipeline.assets.monitoring import ab_test
from grpo_pipeline.assets.promotion import champion
from grpo_pipeline.assets.reward_model import reward_model
from grpo_pipeline.assets.tool_calling import tool_calling_evaluation, tool_calling_policy
from grpo_pipeline.assets.training import grpo_policy
from grpo_pipeline.assets.training_views import read_metrics
from grpo_pipeline.curation.curate import POISONING_RULES
from grpo_pipeline.feedback.tables import TABLES
from grpo_pipeline.gates.training_health import training_health
from grpo_pipeline.partitions import WEEKLY
from grpo_pipeline.resources.artifact_store import ArtifactStoreResource
from grpo_pipeline.tool_calling.names import UNDATED
from grpo_pipeline.weeks import Week

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dataclass(frozen=True)
class Finding:
    """What a check found in one week: nothing wrong, a verdict that said no, or something broken."""

    text: str
    severity: dg.AssetCheckSeverity | None = None


Judge = Callable[[Artifact], Finding]


def summed_up(findings: dict[str, Finding]) -> dg.AssetCheckResult:
    """One result for the weeks of a run: as bad as the worst of them, with the words of every week that is not good."""
    bad = {week: finding for week, finding in findings.items() if finding.severity}
    broken = any(finding.severity == ERROR for finding in bad.values())
    if len(findings) == 1:
        description = next(iter(findings.values())).text
    elif bad:
        said = "\n".join(f"- {week}: {finding.text}" for week, finding in bad.items())
        description = f"{len(bad)} of {len(findings)} weeks:\n{said}"
    else:
        description = f"All {len(findings)} weeks are good."
    return dg.AssetCheckResult(
        passed=not bad,
        severity=ERROR if broken else WARN,
        description=description,
        metadata={"weeks": len(findings), "weeks not good": len(bad)} if len(findings) > 1 else {},
    )


def weekly_check(asset: dg.AssetsDefinition, judge: Judge) -> dg.AssetChecksDefinition:
    """A blocking check of every week a run made; its name and its description are the judge's."""

    def check(context: dg.AssetCheckExecutionContext, artifact_store: ArtifactStoreResource) -> dg.AssetCheckResult:
        artifacts = artifact_store.open()
        return summed_up({week: judge(artifacts.require(asset.key.path[-1], week)) for week in context.partition_keys})

    with warnings.catch_warnings():
        # Said once a check on every start; the version is pinned and what is used of it is tested.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.asset_check(
            asset=asset, name=judge.__name__, description=judge.__doc__, blocking=True, partitions_def=WEEKLY
        )(check)


def undated_check(asset: dg.AssetsDefinition, judge: Judge) -> dg.AssetChecksDefinition:
    """A blocking check of an asset without weeks; its name and its description are the judge's."""

    def check(artifact_store: ArtifactStoreResource) -> dg.AssetCheckResult:
        artifact = artifact_store.open().require(asset.key.path[-1], UNDATED)
        return summed_up({UNDATED: judge(artifact)})

    return dg.asset_check(asset=asset, name=judge.__name__, description=judge.__doc__, blocking=True)(check)


def rows_lie_in_their_week(artifact: Artifact) -> Finding:
    """Every extracted row was created between the week's Monday and the next one, in UTC."""
    week = Week(artifact.week)
    file = artifact.path / next(table.file for table in TABLES.values() if table.name == artifact.asset)
    outside = (pl.col("created_at") < week.start) | (pl.col("created_at") >= week.end)
    found = pl.scan_parquet(file).select(pl.len().alias("rows"), outside.sum().alias("outside")).collect().row(0)
    if found[1]:
        return Finding(f"{found[1]} of {found[0]} rows lie outside the week: extract it again.", ERROR)
    return Finding(f"All {found[0]} rows lie in the week.")


def every_row_is_accounted_for(artifact: Artifact) -> Finding:
    """Every row read is kept or in the quarantine with a reason, and none is in both."""
    counts: dict[str, int] = artifact.manifest["counts"]
    for table in ("preference_pairs", "agent_feedback"):
        parts = [count for name, count in counts.items() if name.startswith(f"{table}.")]
        read = counts[f"{table}.read"]
        if sum(parts) != 2 * read:
            return Finding(f"{table}: {sum(parts) - read} of {read} rows are accounted for.", ERROR)
    return Finding(f"{counts['pairs']} pairs and {counts['votes']} votes kept, {counts['quarantined']} in quarantine.")


def nothing_looks_like_poisoning(artifact: Artifact) -> Finding:
    """No pair of the week looks like an attempt to teach something bad; those that do are in the quarantine."""
    counts: dict[str, int] = artifact.manifest["counts"]
    found = {rule: counts.get(f"preference_pairs.{rule}", 0) for rule in POISONING_RULES}
    if not any(found.values()):
        return Finding(f"None of {counts['preference_pairs.read']} pairs looks like poisoning.")
    named = ", ".join(f"{count} {rule}" for rule, count in found.items() if count)
    return Finding(
        f"{sum(found.values())} of {counts['preference_pairs.read']} pairs were set aside as possible poisoning "
        f"({named}): look at them, and approve those that are honest (review_status) before curating the week again.",
        WARN,
    )


def nothing_leaks(artifact: Artifact) -> Finding:
    """No pair, no prompt and, unless the split is by prompt, no person is in both training and held-out pairs."""
    train, held_out = (pl.read_parquet(artifact.path / f"{side}.parquet") for side in ("train", "held_out"))
    leak = leaked(train, held_out, artifact.manifest["settings"]["hold_out_by"])
    if leak:
        return Finding(leak, ERROR)
    return Finding(f"{len(train)} training and {len(held_out)} held-out pairs share nothing.")


def no_week_is_missing(artifact: Artifact) -> Finding:
    """Every week of the look-back that has pairs in the database was curated when the dataset was made."""
    missing = artifact.manifest["missing_weeks"]
    if missing:
        span = missing[0] if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
        return Finding(
            f"{len(missing)} weeks of the look-back were not there ({span}): "
            f"`grpo-pipeline backfill --from {missing[0]} --to {artifact.week} --data-only`.",
            WARN,
        )
    return Finding("All weeks of the look-back that have pairs are in.")


def enough_new_pairs(artifact: Artifact) -> Finding:
    """There is enough that the last trained week did not have; else the week trains nothing."""
    return _said_by(artifact)


def reward_model_is_usable(artifact: Artifact) -> Finding:
    """Whether the week's reward model counts in training; a week without a usable one is no problem."""
    return Finding(artifact.manifest["verdict"]["reason"])


def will_it_learn(artifact: Artifact) -> Finding:
    """Sampled before GRPO, the answers differ enough in reward to learn from, and the caps allow what it would take."""
    reports: dict[str, dict[str, Any]] = artifact.manifest.get("preflight") or {}
    if not artifact.manifest["trained"]:
        return Finding(artifact.manifest["verdict"]["reason"], WARN if reports else None)
    if not reports:
        return Finding("No pre-flight was made.")
    said = [report["reason"] for report in reports.values()]
    if len(said) > 1:
        said = [f"- {method}: {reason}" for method, reason in zip(reports, said, strict=True)]
    return Finding("\n".join(said), None if all(report["go"] for report in reports.values()) else WARN)


def training_is_healthy(artifact: Artifact) -> Finding:
    """The numbers of training are finite, most groups taught something, most answers were not cut off."""
    if not artifact.manifest["trained"]:
        return Finding(f"Nothing was trained: {artifact.manifest['verdict']['reason']}")
    health = {
        candidate.method: training_health(read_metrics(candidate), sampled=candidate.sampled)
        for candidate in candidates_of(artifact)
    }
    statuses = {verdict.status for verdict in health.values()}
    # One method that broke takes no other with it: its policy is refused by its evaluation.
    severity = ERROR if statuses == {"fail"} else None if statuses == {"pass"} else WARN
    if len(health) == 1:
        return Finding(next(iter(health.values())).reason, severity)
    return Finding("\n".join(f"- {method}: {verdict.reason}" for method, verdict in health.items()), severity)


def candidate_is_better(artifact: Artifact) -> Finding:
    """The best candidate is credibly better than the incumbent, and worse in nothing; else the incumbent stays."""
    return _said_by(artifact)


def no_challenger_is_worse(artifact: Artifact) -> Finding:
    """No challenger was credibly worse than the champion as the week ended."""
    verdict = artifact.manifest["verdict"]
    # A test that is still open is no reason to worry.
    return Finding(verdict["reason"], WARN if verdict["status"] == "fail" else None)


def grpo_adds_to_its_warm_start(artifact: Artifact) -> Finding:
    """GRPO answers credibly more held-out scenarios rightly than the warm start that it went on from."""
    return _said_by(artifact)


def champion_can_be_used(artifact: Artifact) -> Finding:
    """The policy that is in use after the week is where the manifest says, all of it."""
    name = artifact.manifest["champion"]
    if name is None:
        return Finding(artifact.manifest["verdict"]["reason"])
    adapter = Path(artifact.manifest["adapter_location"])
    if not (adapter / "adapter_config.json").exists():
        return Finding(f"{name} is in use, but its adapter is not at {adapter}: restore the artifact store.", ERROR)
    return Finding(artifact.manifest["verdict"]["reason"])


def _said_by(artifact: Artifact) -> Finding:
    verdict = artifact.manifest["verdict"]
    return Finding(verdict["reason"], None if verdict["status"] == "pass" else WARN)


CHECKS = [
    weekly_check(agent_feedback, rows_lie_in_their_week),
    weekly_check(preference_pairs, rows_lie_in_their_week),
    weekly_check(curated_pairs, every_row_is_accounted_for),
    weekly_check(curated_pairs, nothing_looks_like_poisoning),
    weekly_check(preference_dataset, nothing_leaks),
    weekly_check(preference_dataset, no_week_is_missing),
    weekly_check(preference_dataset, enough_new_pairs),
    weekly_check(reward_model, reward_model_is_usable),
    weekly_check(grpo_policy, will_it_learn),
    weekly_check(grpo_policy, training_is_healthy),
    weekly_check(policy_evaluation, candidate_is_better),
    weekly_check(champion, champion_can_be_used),
    weekly_check(ab_test, no_challenger_is_worse),
    undated_check(tool_calling_policy, training_is_healthy),
    undated_check(tool_calling_evaluation, grpo_adds_to_its_warm_start),
]
