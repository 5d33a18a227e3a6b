from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.evaluation.sample_group import Answered, Asked, answer
from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.training.profiles import TINY_QWEN3
from grpo_pipeline_tests.evaluation.conftest import WANTED
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.server.conftest import Server


def asked(home: Path, adapter: Path | None, **changed: object) -> dict[str, Any]:
    usual = {
        "home": str(home),
        "base_model": TINY_QWEN3,
        "adapter": str(adapter) if adapter else None,
        "prompt": [{"role": "user", "content": "Describe acegi."}],
        "tools": None,
        "answers": 3,
        "temperature": 1.0,
        "seed": 5,
        "settings": {"max_new_tokens": 12},
    }
    return {**usual, **changed}


def share_of_wanted(found: Answered) -> float:
    letters = [letter for text in found.texts for letter in text if letter.isalpha()]
    return sum(letter in WANTED for letter in letters) / max(1, len(letters))


@pytest.mark.usefixtures("base")
def test_the_model_with_its_adapter_answers_as_often_as_asked(home: Path, learned: Path) -> None:
    often = {"answers": 8, "temperature": 0.5}
    found, of_base = (answer(Asked.model_validate(asked(home, adapter, **often))) for adapter in (learned, None))
    assert len(found.texts) == len(found.cut) == 8
    assert len(set(found.texts)) > 1
    assert share_of_wanted(found) > 0.8 > share_of_wanted(of_base)
    assert found == answer(Asked.model_validate(asked(home, learned, **often)))


@pytest.mark.usefixtures("base")
def test_a_prompt_that_is_too_long_is_refused(home: Path) -> None:
    with pytest.raises(PipelineError, match=r"tokens, more than 4"):
        answer(Asked.model_validate(asked(home, None, settings={"max_prompt_tokens": 4})))


@pytest.mark.usefixtures("base")
def test_the_process_prints_nothing_but_its_answers(home: Path, learned: Path) -> None:
    command = [sys.executable, "-m", "grpo_pipeline.evaluation.sample_group"]
    text = json.dumps(asked(home, learned))
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=120)
    assert len(Answered.model_validate_json(done.stdout).texts) == 3
    missing = json.dumps(asked(home, home / "nothing"))
    failed = subprocess.run(command, input=missing, capture_output=True, text=True, check=False, timeout=120)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.splitlines()[-1].startswith("Error: The folder ")


@pytest.mark.usefixtures("base")
def test_the_api_ranks_answers_of_the_champion(home: Path, learned: Path, database_url: str) -> None:
    registry = ModelRegistry(database_url)
    registry.register(replace(model("2026-11-02"), base_model=TINY_QWEN3, adapter_location=str(learned)))
    registry.promote("2026-11-02-aaaa1111", "test", "better")
    with Server(home, database_url).client() as client:
        body = {"prompt": "Describe acegi.", "sample": 3, "reference": "acegi kmoqs", "rejected": "bdfhj lnprt"}
        answered = client.post("/api/grpo/test", json=body)
    assert answered.status_code == 200, answered.text
    found = answered.json()
    assert found["modelVersion"] == "2026-11-02-aaaa1111"
    assert sorted(item["rank"] for item in found["responses"])[0] == 1
    assert all(isinstance(item["text"], str) for item in found["responses"])
