"""Keeps every sampled answer with each of its rewards, for people to read and for deletions to reach."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from grpo_pipeline.rewards.catalog import REWARDS, Reward, total

COMPLETIONS_FOLDER = "completions"


class SampleRecorder:
    """Writes one file of samples for each step and process.

    Columns: pair_id, step, completion, cut, given (a correction in a guided group, sampled by nobody), reward, rewards.
    """

    def __init__(
        self,
        folder: Path,
        weights: dict[str, float],
        end_tokens: Collection[int],
        rank: int,
        own: Mapping[str, Reward] | None = None,
    ) -> None:
        """Take the weights by name; `own` are the rewards among them that are not in the catalog."""
        self.folder = folder
        self.weights = weights
        self.end_tokens = frozenset(end_tokens)
        self.rank = rank
        self.known: Mapping[str, Reward] = {**REWARDS, **(own or {})}
        self._scores: dict[str, list[float | None]] = {}

    def rewards(self) -> list[RecordedReward]:
        """The weighted rewards, in the order of their weights, as the trainer calls them."""
        return [RecordedReward(name, self.known[name], self) for name in self.weights]

    def keep(self, name: str, step: int, samples: dict[str, list[Any]], scores: list[float | None]) -> None:
        """Take one reward's scores of a step; with the last reward the step's file is written."""
        self._scores[name] = scores
        if len(self._scores) < len(self.weights):
            return
        rows = len(samples["pair_id"])
        frame = pl.DataFrame(
            {**samples, "step": [step] * rows, "reward": total(self._scores, self.weights), **self._scores},
            schema_overrides=dict.fromkeys(["reward", *self.weights], pl.Float64),
        )
        self._scores = {}
        self.folder.mkdir(exist_ok=True)
        frame.write_parquet(self.folder / f"step_{step:05d}_{self.rank}.parquet")


class RecordedReward:
    """One reward as the trainer calls it; the samples and its scores are kept on the way."""

    def __init__(self, name: str, reward: Reward, recorder: SampleRecorder) -> None:
        self.__name__ = name
        self.reward = reward
        self.recorder = recorder

    def __call__(
        self,
        completions: list[str],
        completion_ids: list[list[int]],
        pair_id: list[str],
        trainer_state: Any,  # noqa: ANN401
        given: Sequence[bool] = (),
        **columns: Any,  # noqa: ANN401
    ) -> list[float | None]:
        """Score one generation of answers."""
        cut = [not ids or ids[-1] not in self.recorder.end_tokens for ids in completion_ids]
        scores = self.reward(completions, cut=cut, **columns)
        samples: dict[str, list[Any]] = {
            "pair_id": list(pair_id),
            "completion": list(completions),
            "cut": cut,
            "given": list(given) or [False] * len(cut),
        }
        self.recorder.keep(self.__name__, trainer_state.global_step + 1, samples, scores)
        return scores
