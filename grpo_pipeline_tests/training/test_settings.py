import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from grpo_pipeline.config import load_settings
from grpo_pipeline.errors import PipelineError
from grpo_pipeline.training.batches import schedule, split_batch
from grpo_pipeline.training.profiles import PROFILES, Hardware, ResolvedTraining, fast_in_bf16, resolve
from grpo_pipeline.training.run_config import load_run_config
from grpo_pipeline.training.settings import TrainingSettings

LAPTOP = Hardware(gpus=0, cpu_bf16=False)
SERVER = Hardware(gpus=0, cpu_bf16=True)
GPU = Hardware(gpus=2, cpu_bf16=True)


@pytest.mark.parametrize(
    ("hardware", "profile", "base_model", "dtype"),
    [
        (LAPTOP, "cpu", "SmolLM2-135M-Instruct", "float32"),
        (SERVER, "cpu", "SmolLM2-135M-Instruct", "bfloat16"),
        (GPU, "gpu", "Qwen/Qwen3-4B", "bfloat16"),
    ],
)
def test_the_hardware_chooses_the_profile(hardware: Hardware, profile: str, base_model: str, dtype: str) -> None:
    found = resolve(TrainingSettings(), hardware)
    assert (found.profile, found.base_model, found.dtype) == (profile, base_model, dtype)


@pytest.mark.parametrize(
    ("vendor", "flags", "fast"),
    [
        ("GenuineIntel", "fpu avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("GenuineIntel", "fpu avx512f avx512_bf16 avx512_fp16", False),
        ("AuthenticAMD", "fpu avx512f avx512_bf16", True),
        ("AuthenticAMD", "fpu avx2", False),
    ],
)
def test_a_processor_computes_in_what_is_fast_on_it(vendor: str, flags: str, fast: bool) -> None:
    assert fast_in_bf16(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\nbugs\t\t: none\n") is fast


def test_a_machine_that_does_not_describe_its_processor_is_taken_for_a_plain_one() -> None:
    assert not fast_in_bf16("Processor\t: ARMv8\nFeatures\t: fp asimd\n")


def test_a_setting_goes_before_the_profile() -> None:
    settings = TrainingSettings(profile="cpu", base_model="some/model", steps=3, reward_weights={"empty": 0})
    found = resolve(settings, GPU)
    assert (found.base_model, found.steps, found.profile) == ("some/model", 3, "cpu")
    assert "empty" not in found.reward_weights


def test_the_device_chooses_how_answers_are_sampled_and_what_is_kept_in_memory() -> None:
    large = Hardware(gpus=1, cpu_bf16=True, gpu_gib=139.0, vllm=True)
    small = Hardware(gpus=1, cpu_bf16=True, gpu_gib=23.0, vllm=False)
    found = [resolve(TrainingSettings(), hardware) for hardware in (large, small, SERVER)]
    assert [item.vllm for item in found] == ["colocate", "off", "off"]
    assert [item.gradient_checkpointing for item in found] == [False, True, False]
    assert resolve(TrainingSettings(gradient_checkpointing=False, vllm="off"), small).gradient_checkpointing is False
    assert resolve(TrainingSettings(profile="cpu"), large).vllm == "off"
    assert resolve(TrainingSettings(guided=True), large).vllm == "off"
    with pytest.raises(PipelineError, match="GRPO_TRAINING__GUIDED=false"):
        resolve(TrainingSettings(guided=True, vllm="colocate"), large)
    with pytest.raises(PipelineError, match="VLLM_SERVER_URL"):
        resolve(TrainingSettings(vllm="server"), large)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_decides_everything(profile: str) -> None:
    found = resolve(TrainingSettings(profile=profile), SERVER)  # type: ignore[arg-type]
    assert isinstance(found, ResolvedTraining)
    assert found.prompts_per_step * found.num_generations % found.micro_batch == 0


@pytest.mark.parametrize(
    ("stated", "methods"),
    [
        ({"profile": "tiny"}, ("grpo_after_warm_start",)),
        ({"profile": "gpu"}, ("sft", "dpo", "grpo_after_warm_start", "from_champion")),
        ({"methods": ("grpo", "sft")}, ("sft", "grpo")),
        ({"warm_start": False}, ("grpo",)),
        ({"warm_start": False, "methods": ("sft", "dpo")}, ("dpo",)),
        ({"warm_start": False, "methods": ("grpo", "grpo_after_warm_start")}, ("grpo",)),
    ],
)
def test_the_methods_are_the_stated_ones_from_the_simplest_on(stated: dict[str, Any], methods: tuple[str, ...]) -> None:
    assert resolve(TrainingSettings(**{"profile": "tiny", **stated}), LAPTOP).methods == methods


def test_the_methods_are_read_from_the_environment_as_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_TRAINING__METHODS", '["dpo", "sft"]')
    assert load_settings().training.methods == ("dpo", "sft")
    monkeypatch.setenv("GRPO_TRAINING__METHODS", '["dpo", "dpo"]')
    with pytest.raises(PipelineError, match="each method at most once"):
        load_settings()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"num_generations": 1},
        {"reward_weights": {"no": 1}},
        {"nn": 1},
        {"methods": []},
        {"methods": ["ppo"]},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingSettings.model_validate(wrong)


def test_a_config_file_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        load_run_config(tmp_path / "none.json")
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"dataset_dir": "d", "output_dir": "o", "settings": {"steps": "many"}}))
    with pytest.raises(PipelineError, match=r"home: Field required; settings\.steps"):
        load_run_config(path)
    result = subprocess.run(
        [sys.executable, "-m", "grpo_pipeline.training", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: The run config ")


def test_a_schedule_is_complete_repeatable_and_keeps_like_lengths_together() -> None:
    lengths = [10, 300] * 32
    items = list(enumerate(lengths))
    found = schedule(items, batch=4, steps=32, seed=1, length=lambda item: item[1])
    assert found == schedule(items, batch=4, steps=32, seed=1, length=lambda item: item[1])
    assert found != schedule(items, batch=4, steps=32, seed=2, length=lambda item: item[1])
    assert set(Counter(found).values()) == {2}
    batches = [{length for _, length in found[start : start + 4]} for start in range(0, 128, 4)]
    assert sum(len(batch) > 1 for batch in batches) <= 4


def test_a_batch_is_shared_evenly_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_batch(32, 8, "batch") == (8, 4)
    assert split_batch(12, 8, "batch") == (6, 2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert split_batch(12, 8, "batch") == (4, 1)
    with pytest.raises(PipelineError, match="choose a multiple of 3"):
        split_batch(16, 8, "batch")
