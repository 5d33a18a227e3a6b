"""What a reward model is on disk: how it scores, and the manifest that says so."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grpo_pipeline.artifacts import file_digest, write_atomically
from grpo_pipeline.reward_modelling.heads import Heads
from grpo_pipeline.reward_modelling.scale import RewardScale

DESCRIPTION = "reward_model.json"
HEADS = "heads.npz"
ADAPTER = "adapter"
HELD_OUT = "held_out.parquet"
Kind = Literal["heads", "lora"]


@dataclass(frozen=True)
class Description:
    """What is needed to score answers with it again."""

    kind: Kind
    base_model: str
    base_revision: str
    dtype: str
    longest_answer: int
    batch_tokens: int
    scale: RewardScale


def write_heads(heads: Heads, folder: Path) -> None:
    """Write an ensemble; the same numbers give the same bytes."""
    np.savez(folder / HEADS, center=heads.center, weights=heads.weights)


def read_heads(folder: Path) -> Heads:
    """Read an ensemble."""
    with np.load(folder / HEADS, allow_pickle=False) as stored:
        return Heads(stored["center"], stored["weights"])


def model_digest(folder: Path, description: Description) -> str:
    """SHA-256 of what decides the rewards: the weights' files and the description."""
    weights = [folder / HEADS] if description.kind == "heads" else sorted((folder / ADAPTER).glob("*.safetensors"))
    parts = [json.dumps(asdict(description), sort_keys=True), *(file_digest(path) for path in weights)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_description(folder: Path, description: Description, facts: dict[str, Any]) -> None:
    """Write the file that says all is there: how it scores, and what is known about it."""
    content = {"model": asdict(description), "model_sha256": model_digest(folder, description), **facts}
    write_atomically(folder / DESCRIPTION, json.dumps(content, indent=2, allow_nan=False))


def read_description(folder: Path) -> tuple[Description, dict[str, Any]]:
    """How a reward model scores, and everything that was written about it."""
    content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    stated = dict(content["model"])
    return Description(**{**stated, "scale": RewardScale(**stated["scale"])}), content
