"""Fixtures of the whole test suite."""

from pathlib import Path

import pytest

pytest_plugins = ["grpo_pipeline_tests.postgres_fixtures", "grpo_pipeline_tests.project"]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are built or converted once for all tests."""
    return tmp_path_factory.mktemp("home")
