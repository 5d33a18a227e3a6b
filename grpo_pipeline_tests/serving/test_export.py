"""What `grpo-pipeline models export` writes is the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from grpo_pipeline.cli.models import models_app
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.loading import load_policy, load_tokenizer
from grpo_pipeline.training.policy import adapter_digest
from grpo_pipeline_tests.proofs.log_probabilities import token_log_probabilities
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.serving.adapters import random_adapter

BASE, WEEK = "tiny-qwen3", "2026-10-05"
QUESTIONS = [("512 red?", "warm day."), ("Where is Ramp based?", "In New York.")]
# Sums of float32 in another order.
ROUNDING = 1e-4


@pytest.fixture
def version(tmp_path: Path, home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered version with an adapter on the tiny model."""
    monkeypatch.setenv("GRPO_HOME", str(home))
    monkeypatch.setenv("GRPO_DATABASE_URL", database_url)
    adapter = random_adapter(BASE, home, tmp_path / "adapter", seed=1, strength=0.02)
    made = replace(model(WEEK), base_model=BASE, adapter_location=str(adapter))
    return ModelRegistry(database_url).register(made).version


def export(version: str, form: str, place: Path) -> None:
    result = CliRunner().invoke(models_app, ["export", version, "--as", form, "--to", str(place)])
    if result.exception:
        raise result.exception


def log_probabilities(policy: torch.nn.Module, home: Path) -> torch.Tensor:
    return token_log_probabilities(policy, load_tokenizer(locate_base_model(BASE, home)), QUESTIONS)


def test_merged_weights_give_the_policys_log_probabilities(version: str, home: Path, tmp_path: Path) -> None:
    place = tmp_path / "export" / "merged"
    export(version, "merged", place)
    base = locate_base_model(BASE, home)
    policy = log_probabilities(load_policy(base, tmp_path / "adapter"), home)
    merged = log_probabilities(AutoModelForCausalLM.from_pretrained(place), home)
    assert float((policy - merged).abs().max()) < ROUNDING
    assert float((policy - log_probabilities(load_policy(base), home)).abs().mean()) > 100 * ROUNDING
    assert [path.name for path in place.parent.iterdir()] == ["merged"]

    known, read = load_tokenizer(base), AutoTokenizer.from_pretrained(place)
    asked = [{"role": "user", "content": "Where is Ramp based?"}]
    assert read.apply_chat_template(asked, tokenize=False) == known.apply_chat_template(asked, tokenize=False)
    assert read("Where is Ramp based?").input_ids == known("Where is Ramp based?").input_ids


def test_an_adapter_alone_is_the_one_that_was_trained(version: str, home: Path, tmp_path: Path) -> None:
    place = tmp_path / "adapter-only"
    export(version, "adapter", place)
    assert adapter_digest(place) == adapter_digest(tmp_path / "adapter")
    base = locate_base_model(BASE, home)
    there, here = (log_probabilities(load_policy(base, folder), home) for folder in (place, tmp_path / "adapter"))
    assert torch.equal(there, here)


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_nothing_is_overwritten(version: str, form: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("keep")
    with pytest.raises(PipelineError, match="exists already"):
        export(version, form, taken)
    assert [path.name for path in taken.iterdir()] == ["mine"]


def test_a_merge_that_fails_says_why_and_leaves_nothing(version: str, tmp_path: Path) -> None:
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(PipelineError, match=version):
        export(version, "merged", tmp_path / "export" / "merged")
    assert not list((tmp_path / "export").iterdir())


def test_an_adapter_that_is_elsewhere_is_explained(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_DATABASE_URL", database_url)
    gone = ModelRegistry(database_url).register(model(WEEK))
    with pytest.raises(PipelineError, match="is not on this machine"):
        export(gone.version, "adapter", Path("/nowhere"))
