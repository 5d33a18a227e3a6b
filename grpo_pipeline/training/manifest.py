"""What a finished run says about itself: the manifest for programs, the model card for people."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grpo_pipeline.artifacts import canonical_json
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.gates.preflight import Preflight
from grpo_pipeline.training.base_model import BaseModel
from grpo_pipeline.training.batches import process_count
from grpo_pipeline.training.data import TrainingData
from grpo_pipeline.training.methods.budget import pair_reads
from grpo_pipeline.training.methods.catalog import LABELS, SAMPLING, Candidate, MethodName
from grpo_pipeline.training.model_rewards import ModelReward, all_weights
from grpo_pipeline.training.policy import adapter_digest
from grpo_pipeline.training.profiles import ResolvedTraining
from grpo_pipeline.training.warm_start import PHASE as WARM_START

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers")
# Shares of the steps whose mean rewards are compared: the first and the last quarter.
QUARTER = 4
CARD = """---
base_model: {base_model}
library_name: peft
pipeline_tag: text-generation
tags: [grpo, lora, user-feedback]
---

# Policy trained on user feedback

A LoRA adapter for {base_model}, trained with {method} on {pairs} corrections that users made to an agent's answers:
{phases}.
{rehearsal}{rewards}

## How it was made

| setting | value |
|---|---|
{settings}

## Limits

It has learned what this agent's users corrected, and nothing else was checked here. Personal data was redacted before
training by rules, which cannot be complete. The base model's license and limits apply.

Adapter SHA-256 `{adapter_sha256}`; made with {versions}.
"""
REHEARSAL = """
So that its general use stays what it was, the warm start also repeated the base model's own answers to {requests}
general requests, {reads} times in all.
"""
REWARDS = """
| | start | end |
|---|---|---|
{rows}

Rewards are means over the first and the last quarter of GRPO's steps, on sampled answers to the training prompts. They
say that training moved, not that the policy is better: that is what its evaluation on held-out pairs is for.
"""


@dataclass(frozen=True)
class Run:
    """What a run is made of."""

    base: BaseModel
    resolved: ResolvedTraining
    data: TrainingData
    champion: Path | None = None
    """Adapter of the policy in use, on the same base model."""
    model_rewards: Sequence[ModelReward] = ()

    @property
    def methods(self) -> tuple[MethodName, ...]:
        """The methods that can be run: one that goes on from the champion needs one.

        Raises:
            PipelineError: none is left.
        """
        found = tuple(method for method in self.resolved.methods if method != "from_champion" or self.champion)
        if not found:
            raise PipelineError(
                "There is no champion on this base model to go on from: add another method to GRPO_TRAINING__METHODS, "
                "such as grpo_after_warm_start."
            )
        return found

    @property
    def config_hash(self) -> str:
        """Equal where a run would train the same policy: on the same pairs, model, settings, libraries, processes."""
        parts = {
            "dataset": self.data.digest,
            "base_model": [self.base.name, self.base.revision],
            "settings": self.resolved.model_dump(),
            "champion": adapter_digest(self.champion) if self.champion and "from_champion" in self.methods else None,
            "versions": library_versions(),
            "processes": process_count(),
            "model_rewards": {reward.name: dict(reward.identity) for reward in self.model_rewards},
        }
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """The versions that decide what is computed."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def reward_summary(metrics: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Mean of the total and of every reward over the first and the last quarter of GRPO's steps."""
    rows = [row for row in metrics if "reward" in row]
    size = max(1, len(rows) // QUARTER)
    names = {"reward": "reward", **{name: f"rewards/{name}/mean" for name in weights}}
    return {name: {"first": _mean(rows[:size], key), "last": _mean(rows[-size:], key)} for name, key in names.items()}


def health(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Signs of a sick GRPO run, as shares: answers cut off in the last quarter, steps that taught nothing."""
    rows = [row for row in metrics if "reward" in row]
    silent = [row for row in rows if row["grad_norm"] == 0]
    return {
        "cut_answers": _mean(rows[-max(1, len(rows) // QUARTER) :], "completions/clipped_ratio"),
        "steps_without_signal": round(len(silent) / len(rows), 4) if rows else None,
    }


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return round(sum(values) / len(values), 4) if values else None


def build_manifest(
    run: Run,
    candidate: Candidate,
    adapter_sha256: str,
    metrics: Sequence[Mapping[str, Any]],
    preflight: Preflight | None,
    rehearsed: int,
) -> dict[str, Any]:
    """The manifest of a finished policy: plain JSON values, no user text, no path.

    Args:
        rehearsed: general requests that the base model answered for the warm start.
    """
    seconds: dict[str, float] = {}
    steps: dict[str, int] = {}
    extra = run.model_rewards if candidate.method in SAMPLING else ()
    for row in metrics:
        seconds[row["phase"]] = round(seconds.get(row["phase"], 0.0) + row["seconds"], 1)
        steps[row["phase"]] = row["step"]
    return {
        "method": candidate.method,
        "adapter_sha256": adapter_sha256,
        "config_hash": run.config_hash,
        "base_model": {"name": run.base.name, "revision": run.base.revision},
        "settings": run.resolved.model_dump(),
        "dataset": {"train_sha256": run.data.digest},
        "counts": {
            "pairs": run.data.pairs,
            "trained_pairs": len(run.data.examples),
            "sampled_prompts": len(run.data.sampled),
            "left_out": run.data.pairs - len(run.data.examples),
        },
        "pair_reads": pair_reads(candidate.method, run.data, run.resolved),
        "rehearsal": {
            "requests": rehearsed if WARM_START in steps else 0,
            "reads": steps.get(WARM_START, 0) * run.resolved.rehearsed_per_step,
        },
        "steps": steps,
        "seconds": seconds,
        "grpo": _grpo_entry(candidate, preflight),
        "rewards": reward_summary(metrics, all_weights(run.resolved, extra)),
        "model_rewards": {reward.name: dict(reward.identity) for reward in extra},
        "health": health(metrics),
        "versions": library_versions(),
        "processes": process_count(),
    }


def _grpo_entry(candidate: Candidate, preflight: Preflight | None) -> dict[str, Any]:
    if candidate.method not in SAMPLING:
        return {"ran": False, "reason": f"{LABELS[candidate.method]} is a method without GRPO."}
    if preflight is None:
        return {"ran": True, "reason": "It was asked for without a pre-flight."}
    return {"ran": preflight.go, "reason": preflight.reason}


def _left_out(manifest: Mapping[str, Any]) -> str:
    if manifest["grpo"]["ran"] or manifest["method"] not in SAMPLING:
        return ""
    return f"\nGRPO was left out, so this is the policy after the warm start. {manifest['grpo']['reason']}\n"


def _rehearsal(manifest: Mapping[str, Any]) -> str:
    rehearsal = manifest["rehearsal"]
    return REHEARSAL.format(**rehearsal) if rehearsal["reads"] else ""


def _reward_table(rewards: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        f"| {name} | {values['first']} | {values['last']} |"
        for name, values in rewards.items()
        if values["first"] is not None and values["last"] is not None
    ]
    return REWARDS.format(rows="\n".join(rows)) if rows else ""


def model_card(manifest: Mapping[str, Any]) -> str:
    """The model card of a finished run, as Markdown with the Hub's front matter."""
    settings = [
        f"| {name} | {json.dumps(value) if isinstance(value, dict) else value} |"
        for name, value in manifest["settings"].items()
    ]
    return CARD.format(
        base_model=manifest["base_model"]["name"],
        pairs=manifest["counts"]["trained_pairs"],
        phases=" then ".join(f"{phase} ({steps} steps)" for phase, steps in manifest["steps"].items()),
        rehearsal=_rehearsal(manifest),
        rewards=_reward_table(manifest["rewards"]) + _left_out(manifest),
        method=LABELS[manifest["method"]],
        settings="\n".join(settings),
        adapter_sha256=manifest["adapter_sha256"],
        versions=", ".join(f"{name} {number}" for name, number in manifest["versions"].items()),
    )
