"""The three floors: Dagster objects on plain logic, and torch only in the processes that are started on their own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import grpo_pipeline

PACKAGE = Path(grpo_pipeline.__file__).parent
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "matplotlib"}
# From the ground up: a module imports its own floor or lower ones, never a higher one.
FLOORS = [
    {"errors", "weeks", "conversation", "verdict", "artifacts", "near_duplicates", "plots"},
    {
        "postgres",
        "feedback",
        "curation",
        "dataset",
        "registry",
        "rewards",
        "reward_modelling",
        "training",
        "evaluation",
        "gates",
        "config",
        "backtest",
        "tool_calling",
        "benchmark",
        "monitoring",
        "alerts",
    },
    {"resources", "partitions", "run_config"},
    {"assets", "checks", "automation", "monitors", "alerting"},
    {"definitions", "instance", "lost_runs", "run_launcher"},
    {"server", "serving"},
    {"cli", "demo", "__main__"},
]
PLAIN_FLOORS = FLOORS[:2]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(part: str) -> int:
    floors = [number for number, parts in enumerate(FLOORS) if part in parts]
    assert floors, f"{part} stands on no floor yet: give it one"
    return floors[0]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_downwards_only(path: Path) -> None:
    own = floor_of(part_of(path))
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("grpo_pipeline.")}
    assert not {part for part in parts if floor_of(part) > own}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_plain_logic_knows_no_dagster_and_only_the_own_processes_know_torch(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path)}
    part = part_of(path)
    if any(part in floor for floor in PLAIN_FLOORS):
        assert "dagster" not in names
    if part not in {"training", "evaluation"}:
        assert not names & HEAVY - ({"matplotlib"} if part == "plots" else set()) - (
            {"datasets"} if part == "feedback" else set()
        )


def test_loading_the_code_location_loads_no_torch() -> None:
    program = (
        "import sys, grpo_pipeline.definitions as d; d.defs.get_repository_def(); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_loading_the_code_location_loads_no_server() -> None:
    program = "import sys, grpo_pipeline.definitions; print('fastapi' in sys.modules, 'jwt' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_packages_have_empty_init_files() -> None:
    assert [path for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8").strip()] == []
