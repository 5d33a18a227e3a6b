"""Makes a week's reward model: fitted on the training pairs, judged on the held-out ones, with what that decides."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from grpo_pipeline.gates.reward_fidelity import Fidelity, Judged, measure_fidelity, right
from grpo_pipeline.gates.reward_model import not_used, reward_model_verdict
from grpo_pipeline.reward_modelling.folds import Fold, grouped_folds
from grpo_pipeline.reward_modelling.heads import PairFeatures, choose_strength, fit_heads, left_out_values
from grpo_pipeline.reward_modelling.scale import RewardScale, fit_scale
from grpo_pipeline.training.base_model import BaseModel, locate_base_model
from grpo_pipeline.training.data import LONGEST_CORRECTION, TRAIN_FILE
from grpo_pipeline.training.loading import load_tokenizer
from grpo_pipeline.training.profiles import ResolvedTraining, detect_hardware, resolve
from grpo_pipeline.training.reward_model.config import RewardModelRun, Sizes, resolve_sizes
from grpo_pipeline.training.reward_model.features import FeatureExtractor, load_lower_half
from grpo_pipeline.training.reward_model.files import (
    ADAPTER,
    DESCRIPTION,
    HELD_OUT,
    Description,
    Kind,
    write_description,
    write_heads,
)
from grpo_pipeline.training.reward_model.lora import LoraScorer, LoraTraining
from grpo_pipeline.training.reward_model.pairs import Limits, RewardPairs, read_pairs
from grpo_pipeline.training.reward_model.scoring import HeadScorer, Scorer, device
from grpo_pipeline.training.watching import Watcher
from grpo_pipeline.verdict import Verdict

PHASE = "Reward model"
HELD_OUT_FILE = "held_out.parquet"


@dataclass(frozen=True)
class Candidate:
    """A way to score, with the values that models of its kind gave to answers they had not seen (pairs, 2)."""

    kind: Kind
    left_out: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """Share of the pairs that cross-validation ranks right."""
        return float(right(self.left_out[:, 0] - self.left_out[:, 1]).mean())


def better_of(candidates: list[Candidate]) -> Candidate:
    """The one that ranks more of the left-out pairs right; the first of equals, which is the cheapest."""
    return max(candidates, key=lambda candidate: candidate.accuracy)


class RewardModelMaker:
    """Everything that one run works with."""

    def __init__(self, run: RewardModelRun, watcher: Watcher) -> None:
        self.run = run
        self.watcher = watcher
        self.resolved: ResolvedTraining = resolve(run.training, detect_hardware())
        self.sizes: Sizes = resolve_sizes(run.settings, detect_hardware())
        self.base: BaseModel = locate_base_model(self.resolved.base_model, run.home)
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(self.base)
        self.seconds: dict[str, float] = {}

    def make(self) -> Verdict:
        """Write the output folder and return whether the reward model is to be used."""
        train, held_out = (
            self._read(TRAIN_FILE, self.sizes.max_pairs),
            self._read(HELD_OUT_FILE, self.sizes.max_held_out_pairs),
        )
        settings = self.run.settings
        if len(train) < settings.min_pairs or not len(held_out):
            return self._unmade(
                f"{len(train)} training and {len(held_out)} held-out pairs can be read, and at least "
                f"{settings.min_pairs} and 1 are needed."
            )
        folds = grouped_folds(train.groups, settings.folds, settings.seed)
        if not all(len(fold.train) for fold in folds):
            return self._unmade("the training pairs share too few questions and people for cross-validation.")
        self.watcher.note(f"Reward model on {len(train)} pairs, judged on {len(held_out)} held-out ones.")
        scorer, candidates = self._fit(train, folds)
        best = better_of(candidates)
        if best.kind == "lora":
            scorer = self._lora(train)
        scale = fit_scale(best.left_out[:, 0], best.left_out[:, 1], train.chosen, train.rejected)
        rewards, fidelity = self._judge(scorer, scale, held_out)
        verdict = reward_model_verdict(fidelity, settings)
        self._write(best, candidates, scale, fidelity, verdict, rewards, len(train), held_out)
        return verdict

    def _read(self, file: str, most: int) -> RewardPairs:
        limits = Limits(self.resolved.max_prompt_tokens, LONGEST_CORRECTION * self.resolved.max_completion_tokens)
        return read_pairs(self.run.dataset_dir / file, self.tokenizer, limits, most)

    def _fit(self, train: RewardPairs, folds: list[Fold]) -> tuple[Scorer, list[Candidate]]:
        """The heads, fitted and written, and what cross-validation says of them and of their alternative."""
        settings = self.run.settings
        model = load_lower_half(self.base, self.resolved.dtype, device())
        self.extractor = FeatureExtractor(model, self.sizes.batch_tokens)
        features = self._features(train)
        pairs = PairFeatures(features[0::2], features[1::2])
        units = train.groups.units(2 * settings.folds)
        began = time.monotonic()
        self.strength = choose_strength(pairs, folds)
        values = left_out_values(pairs, folds, units, self.strength, settings.heads, settings.seed)
        heads = fit_heads(pairs, units, self.strength, settings.heads, settings.seed)
        self.run.output_dir.mkdir(parents=True, exist_ok=True)
        write_heads(heads, self.run.output_dir)
        self.seconds["heads"] = time.monotonic() - began
        candidates = [Candidate("heads", np.stack(values, axis=1))]
        if len(train) >= settings.lora_from_pairs:
            began = time.monotonic()
            left_out = self._lora_training.left_out_values(train.answered, folds, self.watcher.note)
            candidates.append(Candidate("lora", left_out))
            self.seconds["lora"] = time.monotonic() - began
        return HeadScorer(self.extractor, heads), candidates

    @property
    def _lora_training(self) -> LoraTraining:
        return LoraTraining(self.base, self.tokenizer, self.resolved, self.run.settings, self.sizes.batch_tokens)

    def _lora(self, train: RewardPairs) -> Scorer:
        adapter = self._lora_training.train(train.answered, self.run.output_dir / ADAPTER)
        return LoraScorer(self.base, adapter, self.tokenizer, self.resolved.dtype, self.sizes.batch_tokens)

    def _features(self, pairs: RewardPairs) -> NDArray[np.float64]:
        total, done = sum(item.size for item in pairs.answered), 0
        began = time.monotonic()

        def advance(tokens: int) -> None:
            nonlocal done
            done += tokens
            self.watcher.step(f"{PHASE} token", done, total)

        found = self.extractor.features(pairs.answered, advance).astype(np.float64)
        self.seconds["features"] = self.seconds.get("features", 0.0) + time.monotonic() - began
        return found

    def _judge(self, scorer: Scorer, scale: RewardScale, held_out: RewardPairs) -> tuple[NDArray[np.float64], Fidelity]:
        began = time.monotonic()
        values = scorer.values(held_out.answered)
        self.seconds["held_out"] = time.monotonic() - began
        chosen, rejected = scale.rewards(values[0::2], held_out.chosen), scale.rewards(values[1::2], held_out.rejected)
        judged = Judged(
            held_out.question,
            held_out.chosen,
            held_out.rejected,
            held_out.groups.contributor,
            chosen,
            rejected,
            scale.probability(chosen - rejected),
        )
        settings = self.run.settings
        return np.stack([chosen, rejected], axis=1), measure_fidelity(judged, settings.confidence, settings.seed)

    def _unmade(self, reason: str) -> Verdict:
        """Say that there is no reward model, and why."""
        verdict = Verdict("inconclusive", not_used(reason))
        self.run.output_dir.mkdir(parents=True, exist_ok=True)
        content = {"verdict": verdict.as_manifest(), "model_sha256": None}
        (self.run.output_dir / DESCRIPTION).write_text(json.dumps(content, indent=2), encoding="utf-8")
        return verdict

    def _write(
        self,
        best: Candidate,
        candidates: list[Candidate],
        scale: RewardScale,
        fidelity: Fidelity,
        verdict: Verdict,
        rewards: NDArray[np.float64],
        trained: int,
        held_out: RewardPairs,
    ) -> None:
        table = {"pair_id": held_out.ids, "chosen_reward": rewards[:, 0], "rejected_reward": rewards[:, 1]}
        pl.DataFrame(table).sort("pair_id").write_parquet(self.run.output_dir / HELD_OUT)
        description = Description(
            kind=best.kind,
            base_model=self.base.name,
            base_revision=self.base.revision,
            dtype=self.resolved.dtype,
            longest_answer=LONGEST_CORRECTION * self.resolved.max_completion_tokens,
            batch_tokens=self.sizes.batch_tokens,
            scale=scale,
        )
        facts = {
            "verdict": verdict.as_manifest(),
            "fidelity": asdict(fidelity),
            "cross_validation": {candidate.kind: round(candidate.accuracy, 4) for candidate in candidates},
            "penalty": self.strength,
            "counts": {"trained_pairs": trained, "held_out_pairs": len(held_out)},
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }
        write_description(self.run.output_dir, description, facts)


def make_reward_model(run: RewardModelRun, watcher: Watcher) -> Verdict:
    """Make the reward model that a config asks for and return whether it is to be used.

    Raises:
        PipelineError: model or dataset cannot be used.
    """
    return RewardModelMaker(run, watcher).make()
