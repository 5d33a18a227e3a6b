"""One week of a backtest: its policy, found or trained, and its scores on the week after, each made only once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.artifacts import MANIFEST, Artifact, ArtifactStore, file_digest
from grpo_pipeline.assets.candidates import candidate_named, candidates_of, version_name
from grpo_pipeline.assets.curation import PAIRS
from grpo_pipeline.assets.reward_model import usable_reward_model
from grpo_pipeline.assets.working import OUTPUT, work_key
from grpo_pipeline.backtest.next_week import SEEN_PERSON, SEEN_PROMPT, pairs_to_score
from grpo_pipeline.backtest.outcome import BacktestWeek
from grpo_pipeline.config import Settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.model_version import ModelVersion
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.resources.trainer import (
    CONFIG_FILE,
    LOCK_FILE,
    LaunchSettings,
    build_command,
    failure,
    run_to_the_end,
)
from grpo_pipeline.training.methods.catalog import leading
from grpo_pipeline.training.profiles import detect_hardware, resolve
from grpo_pipeline.training.stopping import read_stopped
from grpo_pipeline.weeks import Week

FOLDER = "backtests"
SCORES, SEEN = "scores.parquet", "seen.parquet"
# Hold what users and models wrote, which deletions would not reach here; only numbers are kept.
TEXTS = ("pairs.parquet", "answers.parquet", "completions")


class NotPossible(Exception):  # noqa: N818
    """Why a week cannot be part of the backtest; the others can."""


@dataclass(frozen=True)
class PastPolicy:
    """A week's policy as it was made then, or as it would have been."""

    week: Week
    version: str
    method: str
    base_model: str
    adapter: Path
    trained_now: bool


@dataclass(frozen=True)
class Backtest:
    """Makes the weeks of a backtest from the artifacts of the pipeline, and changes none of them."""

    settings: Settings
    artifacts: ArtifactStore
    registry: ModelRegistry
    train: bool
    say: Callable[[str], None]

    def week(self, week: Week) -> BacktestWeek:
        """The scores of a week's policy on the pairs of the week after.

        Raises:
            NotPossible: there is no policy, or nothing to score it on.
            PipelineError: training or evaluation failed.
        """
        dataset = self.artifacts.latest("preference_dataset", week.key)
        after = self.artifacts.latest("curated_pairs", week.shift(1).key)
        if dataset is None or after is None:
            raise NotPossible("its dataset or the week after was not made")
        policy = self._made_then(week) or self._made_now(week, dataset)
        train = pl.read_parquet(dataset.path / "train.parquet")
        curated = pl.read_parquet(after.path / PAIRS)
        pairs = pairs_to_score(curated, train, week.shift(1), self.settings.dataset)
        if pairs.is_empty():
            raise NotPossible("the week after has no pairs")
        evaluation = self.artifacts.latest("policy_evaluation", week.key)
        output = self._scored(policy, pairs, self._in_use(week, evaluation))
        return BacktestWeek(
            week=week.key,
            scored_on=week.shift(1).key,
            version=policy.version,
            method=policy.method,
            trained_now=policy.trained_now,
            verdict_then=None if policy.trained_now or not evaluation else evaluation.manifest["verdict"]["status"],
            scores=pl.read_parquet(output / SCORES),
            pairs=pl.read_parquet(output / SEEN),
        )

    def _made_then(self, week: Week) -> PastPolicy | None:
        policy = self.artifacts.latest("grpo_policy", week.key)
        if policy is None or not policy.manifest["trained"]:
            return None
        evaluation = self.artifacts.latest("policy_evaluation", week.key)
        judged = candidate_named(policy, evaluation.manifest.get("candidate")) if evaluation else None
        found = judged or next(item for item in candidates_of(policy) if item.version == policy.manifest["version"])
        base = policy.manifest["base_model"]["name"]
        return PastPolicy(week, found.version, found.method, base, found.adapter, trained_now=False)

    def _made_now(self, week: Week, dataset: Artifact) -> PastPolicy:
        count, least = dataset.manifest["counts"]["train"], self.settings.dataset.min_new_pairs
        if count < least:
            raise NotPossible(f"{count} training pairs, fewer than {least} (GRPO_DATASET__MIN_NEW_PAIRS)")
        method = leading(resolve(self.settings.training, detect_hardware()).methods)
        settings = self.settings.training.model_copy(update={"methods": (method,)})
        resolved = resolve(settings, detect_hardware())
        weights = resolved.model_reward_weights
        made_then = self.artifacts.latest("reward_model", week.key)
        learned = usable_reward_model(self.artifacts, week.key, weights) if made_then else None
        key = work_key(dataset.manifest["dataset_hash"], resolved.model_dump(), learned.hash if learned else None)
        folder = self.settings.home / FOLDER / "policies" / f"{week.key}-{key}"
        output = folder / OUTPUT
        if not (output / MANIFEST).exists():
            if not self.train:
                raise NotPossible("nothing was trained; --train trains it now")
            run = {
                "dataset_dir": dataset.path,
                "output_dir": output,
                "home": self.settings.home,
                "reward_model_dir": learned.path if learned else None,
                "settings": settings.model_dump(mode="json"),
            }
            self._run("grpo_pipeline.training", run, folder)
            _remove_texts(output)
            stopped = read_stopped(output)
            if stopped:
                raise NotPossible(str(stopped["reason"]))
        made = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
        version = version_name(week.key, made["adapter_sha256"])
        return PastPolicy(week, version, method, made["base_model"]["name"], output / "adapter", trained_now=True)

    def _in_use(self, week: Week, evaluation: Artifact | None) -> ModelVersion | None:
        """The champion that the week's policy would have replaced, where its adapter is still there."""
        if evaluation is not None and "incumbent" in evaluation.manifest:
            name = evaluation.manifest["incumbent"]
        else:
            decided = [key for key in self.artifacts.weeks("champion") if key < week.key]
            name = self.artifacts.require("champion", decided[-1]).manifest["champion"] if decided else None
        known = {model.version: model for model in self.registry.list()}
        model = known.get(name) if name else None
        there = model and model.adapter_location and Path(model.adapter_location).exists()
        return model if there else None

    def _scored(self, policy: PastPolicy, pairs: pl.DataFrame, in_use: ModelVersion | None) -> Path:
        # Only the pairs of the week after are asked about; the gates' other questions would double the time.
        settings = {**self.settings.evaluation.model_dump(mode="json"), "kl_answers": 0, "regression_items": 0}
        key = work_key(
            file_digest(policy.adapter / "adapter_model.safetensors"),
            policy.base_model,
            pairs.write_ndjson(),
            in_use.version if in_use else None,
            settings,
        )
        folder = self.settings.home / FOLDER / "scores" / f"{policy.week.key}-{key}"
        output = folder / OUTPUT
        if (output / SEEN).exists():
            return output
        folder.mkdir(parents=True, exist_ok=True)
        held_out = folder / "pairs.parquet"
        pairs.write_parquet(held_out)
        run = {
            "held_out": held_out,
            "output_dir": output,
            "home": self.settings.home,
            "base_model": policy.base_model,
            "candidate_adapter": policy.adapter,
            "candidate_method": policy.method,
            "incumbent_adapter": in_use.adapter_location if in_use else None,
            "incumbent_base_model": in_use.base_model if in_use else None,
            "settings": settings,
        }
        try:
            self._run("grpo_pipeline.evaluation", run, folder)
        finally:
            _remove_texts(folder)
        _remove_texts(output)
        pairs.select("id", SEEN_PERSON, SEEN_PROMPT).write_parquet(output / SEEN)
        return output

    def _run(self, module: str, config: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config_file = folder / CONFIG_FILE
        config_file.write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
        self.say("  training its policy" if module.endswith("training") else "  scoring it on the week after")
        launch = LaunchSettings()
        command = build_command(module, config_file, launch.launcher, launch.processes)
        code, sentence = run_to_the_end(command, folder / LOCK_FILE, os.environ)
        if code:
            raise PipelineError(str(failure(module, code, sentence).description))


def _remove_texts(folder: Path) -> None:
    for name in TEXTS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
