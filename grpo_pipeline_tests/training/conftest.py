import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_pipeline_tests.training.datasets import tiny_pairs, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"), tiny_pairs())


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _other_tests_log_as_usual() -> Iterator[None]:
    """A training process sets how much the project logs; one that runs within a test does so for every test after."""
    yield
    logging.getLogger("grpo_pipeline").setLevel(logging.NOTSET)
