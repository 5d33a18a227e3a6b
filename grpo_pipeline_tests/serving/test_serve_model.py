"""`grpo-pipeline serve-model` with a real model, real adapters and the real client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from grpo_pipeline.registry.registry import ModelRegistry
from grpo_pipeline.training.profiles import PACKAGED_SMOLLM2
from grpo_pipeline_tests.e2e.deployment import wait_until
from grpo_pipeline_tests.postgres_fixtures import Server, free_port
from grpo_pipeline_tests.registry.models import model
from grpo_pipeline_tests.serving.adapters import random_adapter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
TOKENS = 8


@dataclass
class ServedModel:
    """A running `serve-model` and the registry that it follows."""

    process: subprocess.Popen[bytes]
    port: int
    registry: ModelRegistry
    said: Path

    def __post_init__(self) -> None:
        url = f"http://127.0.0.1:{self.port}/v1"
        self.client = openai.OpenAI(base_url=url, api_key="none is needed", max_retries=0, timeout=120)

    def ask(self, name: str = "champion") -> tuple[str, str]:
        """The version that answered, and the answer."""
        found = self.client.chat.completions.create(model=name, messages=QUESTION, max_tokens=TOKENS, temperature=0)
        return found.model, str(found.choices[0].message.content)

    def stream(self) -> tuple[set[str], str]:
        """The same in parts."""
        parts = list(
            self.client.chat.completions.create(
                model="champion", messages=QUESTION, max_tokens=TOKENS, temperature=0, stream=True
            )
        )
        return {part.model for part in parts}, "".join(part.choices[0].delta.content or "" for part in parts)

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except OSError:
            return {"champion": None}

    def wait_for(self, version: str) -> None:
        wait_until(f"{version} is served", lambda: self.health()["champion"] == version, 120)

    def engines(self) -> list[psutil.Process]:
        """The engine's processes."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in family if "process_guard" not in " ".join(process.cmdline())]


@pytest.fixture(scope="module")
def versions(postgres_server: Server, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The database's URL, and two versions in it that were trained on SmolLM2."""
    folder = tmp_path_factory.mktemp("adapters")
    with postgres_server.fresh_database("migrated") as url:
        names = []
        for number, week in enumerate(("2026-10-05", "2026-10-12"), start=1):
            # With half of it the first one still answers as the base model does, where a CPU computes in float32.
            adapter = random_adapter(PACKAGED_SMOLLM2, home, folder / week, seed=number, strength=0.08)
            made = replace(model(week), base_model=PACKAGED_SMOLLM2, adapter_location=str(adapter))
            names.append(ModelRegistry(url).register(made).version)
        yield [url, *names]


@pytest.fixture(scope="module")
def served(versions: list[str], home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    """`serve-model` on a database whose registry has no champion yet."""
    port, said = free_port(), tmp_path_factory.mktemp("said") / "said.txt"
    environment = {
        **os.environ,
        "GRPO_HOME": str(home),
        "GRPO_DATABASE_URL": versions[0],
        "GRPO_TRAINING__PROFILE": "cpu",
        "GRPO_SERVING__POLL_SECONDS": "0.5",
    }
    command = [sys.executable, "-m", "grpo_pipeline", "serve-model", "--port", str(port)]
    with said.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    found = ServedModel(process, port, ModelRegistry(versions[0]), said)
    try:
        wait_until("the base model is served", lambda: found.health()["champion"] == "base", 240)
        yield found
    finally:
        process.kill()
        process.wait()


def test_a_promotion_changes_the_answers_and_a_rollback_changes_them_back(
    served: ServedModel, versions: list[str]
) -> None:
    _, first, second = versions
    engines = [process.pid for process in served.engines()]
    base = served.ask()
    assert base[0] == "base"

    served.registry.promote(first, "test", "first")
    served.wait_for(first)
    of_first = served.ask()
    served.registry.promote(second, "test", "second")
    served.wait_for(second)
    of_second = served.ask()
    assert [of_first[0], of_second[0]] == [first, second]
    assert len({base[1], of_first[1], of_second[1]}) == 3
    assert served.stream() == ({second}, of_second[1])
    assert [item.id for item in served.client.models.list()] == ["champion", second]

    served.registry.rollback("test", "worse")
    served.wait_for(first)
    assert served.ask() == of_first == served.ask(first)
    assert [process.pid for process in served.engines()] == engines


def test_nobody_is_turned_away_while_it_switches(served: ServedModel, versions: list[str]) -> None:
    _, first, second = versions
    if served.health()["champion"] != first:
        served.registry.promote(first, "test", "first", force=True)
        served.wait_for(first)
    over, answered, failed = threading.Event(), [], []

    def keep_asking() -> None:
        while not over.is_set():
            try:
                answered.append(served.ask()[0])
            except openai.OpenAIError as error:
                failed.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    served.registry.promote(second, "test", "once more", force=True)
    served.wait_for(second)
    over.set()
    asking.join()
    assert not failed
    assert set(answered) <= {first, second}
    assert first in answered
    assert served.ask()[0] == second


def test_only_what_is_in_use_can_be_asked(served: ServedModel) -> None:
    for name in ("HuggingFaceTB/SmolLM2-360M-Instruct", "../..", "2020-01-06-00000000"):
        with pytest.raises(openai.NotFoundError):
            served.ask(name)
    with pytest.raises(openai.NotFoundError):
        served.client.post("/load_model", body={"model": "x"}, cast_to=object)


def test_it_says_which_version_it_serves_and_nothing_that_was_asked(served: ServedModel, home: Path) -> None:
    served.ask()
    said = served.said.read_text() + (home / "serving" / "engine.log").read_text()
    assert f"answers at http://127.0.0.1:{served.port}/v1 as 'champion'" in said
    assert "France" not in said
    assert "Traceback" not in said


def test_a_killed_server_leaves_no_engine(served: ServedModel) -> None:
    engines = served.engines()
    assert engines
    served.process.send_signal(signal.SIGKILL)
    served.process.wait()
    _, alive = psutil.wait_procs(engines, timeout=30)
    assert not alive
