"""Fixtures of the whole test suite."""

import os
from pathlib import Path

import pytest

# Tables are as wide here as anywhere: readline, which pytest loads, states a size to the processes that it starts.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

pytest_plugins = ["grpo_pipeline_tests.postgres_fixtures", "grpo_pipeline_tests.project"]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are built or converted once for all tests."""
    return tmp_path_factory.mktemp("home")
