from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_pipeline.training.determinism import quiet_libraries, use_deterministic_kernels
from grpo_pipeline.training.run_config import RunConfig
from grpo_pipeline_tests.proofs.tasks import colour_pairs, run_config
from grpo_pipeline_tests.training.runs import run_here


@pytest.fixture(autouse=True, scope="session")
def _one_thread_that_repeats_itself() -> Iterator[None]:
    import torch

    quiet_libraries()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    use_deterministic_kernels()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def undisturbed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A finished run on clean pairs of the colour task."""
    config = run_config(tmp_path_factory.mktemp("undisturbed"), home, colour_pairs(60, seed=1))
    run_here(config)
    return config
