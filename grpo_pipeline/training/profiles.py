"""What training does on which hardware: every setting that is left unset gets its value here."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.rewards.weights import resolve_model_weights, resolve_weights
from grpo_pipeline.training.budget_settings import BudgetSettings
from grpo_pipeline.training.methods.catalog import BY_SIMPLICITY, USE_WARM_START, MethodName
from grpo_pipeline.training.settings import ProfileName, TrainingSettings

PACKAGED_SMOLLM2 = "SmolLM2-135M-Instruct"
TINY_QWEN3 = "tiny-qwen3"
# Without its tiles (AMX), Intel's bfloat16 matrix products are slower than its float32 ones: 125 to 164 GFLOP/s on two
# cores of an Emerald Rapids whose AMX was hidden, against 204 to 306. AMD's are faster (450 a core).
ALWAYS_FAST, FAST_ON_AMD = "amx_bf16", "avx512_bf16"
# A pass of the gpu profile reads up to 6,000 tokens, which leave about 30 GB of activations in a model of 4B (by
# arithmetic: 8 to 10 tensors of the layers' sizes for each token), beside 16 GB of weights, with the merged ones.
ROOM_FOR_ACTIVATIONS_GIB = 60.0


@dataclass(frozen=True)
class Hardware:
    """What a process may compute on."""

    gpus: int
    cpu_bf16: bool
    gpu_gib: float = 0.0
    """Memory of the smallest GPU."""
    vllm: bool = False
    """Whether vLLM is installed."""


class ResolvedTraining(BaseModel):
    """Training settings with every value decided; fields as in TrainingSettings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: ProfileName
    base_model: str
    seed: int
    methods: tuple[MethodName, ...]
    warm_start: bool
    warm_start_epochs: float
    warm_start_steps: int | None
    warm_start_batch: int
    warm_start_learning_rate: float
    rehearsal_share: float
    dpo_learning_rate: float
    dpo_beta: float
    epochs: float
    steps: int | None
    prompts_per_step: int
    num_generations: int
    micro_batch: int
    learning_rate: float
    beta: float
    guided: bool
    practise_unread: bool
    scale_rewards: Literal["batch", "group", "none"]
    temperature: float
    max_prompt_tokens: int
    max_completion_tokens: int
    preflight: bool
    preflight_prompts: int
    preflight_min_useful: float
    preflight_min_spread: float
    lora_rank: int
    save_every: int
    reward_weights: dict[str, float]
    model_reward_weights: dict[str, float]
    dtype: Literal["bfloat16", "float32"]
    gradient_checkpointing: bool
    vllm: Literal["off", "colocate", "server"]
    vllm_server_url: str | None = None

    @property
    def rehearsed_per_step(self) -> int:
        """How many of a warm-start step's examples are general requests; one is a pair at least."""
        if not self.rehearsal_share:
            return 0
        return min(max(1, round(self.warm_start_batch * self.rehearsal_share)), self.warm_start_batch - 1)

    @property
    def pairs_per_step(self) -> int:
        """How many of a warm-start step's examples are pairs."""
        return self.warm_start_batch - self.rehearsed_per_step


PROFILES: dict[ProfileName, dict[str, Any]] = {
    "gpu": {
        "base_model": "Qwen/Qwen3-4B",
        "methods": ("sft", "dpo", "grpo_after_warm_start", "from_champion"),
        "warm_start_epochs": 2.0,
        "warm_start_steps": None,
        "warm_start_batch": 16,
        "warm_start_learning_rate": 1e-4,
        "rehearsal_share": 0.1,
        "dpo_learning_rate": 2e-5,
        "epochs": 2.0,
        "steps": None,
        "prompts_per_step": 32,
        "num_generations": 8,
        "micro_batch": 8,
        "learning_rate": 1e-5,
        "beta": 0.02,
        "guided": False,
        "practise_unread": False,
        "max_prompt_tokens": 2048,
        "max_completion_tokens": 512,
        "preflight_prompts": 32,
        "lora_rank": 16,
        "save_every": 10,
    },
    "cpu": {
        "base_model": PACKAGED_SMOLLM2,
        "methods": ("grpo_after_warm_start",),
        "warm_start_epochs": 2.0,
        "warm_start_steps": 24,
        "warm_start_batch": 8,
        "warm_start_learning_rate": 1e-3,
        "rehearsal_share": 0.25,
        "dpo_learning_rate": 1e-4,
        "epochs": 1.0,
        # With warm start and pre-flight that is less than four minutes on two cores.
        "steps": 7,
        "prompts_per_step": 4,
        "num_generations": 8,
        "micro_batch": 16,
        "learning_rate": 5e-5,
        "beta": 0.0,
        "guided": False,
        "practise_unread": False,
        "max_prompt_tokens": 512,
        "max_completion_tokens": 72,
        "preflight_prompts": 8,
        "lora_rank": 16,
        "save_every": 5,
    },
    "tiny": {
        "base_model": TINY_QWEN3,
        "methods": ("grpo_after_warm_start",),
        "warm_start_epochs": 10.0,
        "warm_start_steps": 10,
        "warm_start_batch": 4,
        "warm_start_learning_rate": 1e-2,
        "rehearsal_share": 0.0,
        "dpo_learning_rate": 1e-3,
        "epochs": 10.0,
        "steps": 6,
        "prompts_per_step": 2,
        "num_generations": 4,
        "micro_batch": 8,
        "learning_rate": 3e-3,
        "beta": 0.02,
        "guided": False,
        "practise_unread": False,
        "max_prompt_tokens": 2048,
        "max_completion_tokens": 24,
        "preflight_prompts": 8,
        "lora_rank": 8,
        "save_every": 2,
    },
}


def _visible_gpus() -> int:
    present = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return len(present)
    return min(len(present), len([name for name in chosen.split(",") if name.strip() not in ("", "-1")]))


def _gpu_gib() -> float:
    """Memory of the smallest NVIDIA GPU in GiB; 0 where the driver's own tool is missing or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0.0
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    sizes = [int(line) for line in result.stdout.split() if line.isdigit()] if result.returncode == 0 else []
    return min(sizes, default=0) / 1024


def fast_in_bf16(cpuinfo: str) -> bool:
    """Whether a processor, as /proc/cpuinfo describes it, is faster in bfloat16 products than in float32 ones."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    return ALWAYS_FAST in known or (FAST_ON_AMD in known and "AuthenticAMD" in cpuinfo)


def detect_hardware() -> Hardware:
    """The NVIDIA GPUs that are visible and whether the CPU is fast in bfloat16, found without loading torch."""
    cpu = Path("/proc/cpuinfo")
    gpus = _visible_gpus()
    return Hardware(
        gpus=gpus,
        cpu_bf16=cpu.exists() and fast_in_bf16(cpu.read_text()),
        gpu_gib=_gpu_gib() if gpus else 0.0,
        vllm=importlib.util.find_spec("vllm") is not None,
    )


def _possible(methods: Sequence[MethodName], warm_start: bool) -> tuple[MethodName, ...]:
    """The methods from the simplest on; without a warm start there is no SFT, and GRPO starts from the base model."""
    wanted = set(methods)
    if not warm_start:
        wanted = {"grpo" if method in USE_WARM_START else method for method in wanted if method != "sft"} or {"grpo"}
    return tuple(method for method in BY_SIMPLICITY if method in wanted)


def _sampler(settings: TrainingSettings, profile: ProfileName, hardware: Hardware) -> str:
    if settings.vllm == "auto":
        return "colocate" if profile == "gpu" and hardware.gpus and hardware.vllm and not settings.guided else "off"
    if settings.guided and settings.vllm != "off":
        # vLLM tells what chance it drew each token with, and a correction was not drawn.
        raise PipelineError(
            "Guided groups are sampled by the trainer itself: set GRPO_TRAINING__VLLM=off or "
            "GRPO_TRAINING__GUIDED=false."
        )
    if settings.vllm == "server" and settings.vllm_server_url is None:
        raise PipelineError("Sampling on a vLLM server needs its address: set GRPO_TRAINING__VLLM_SERVER_URL.")
    return settings.vllm


def resolve(settings: TrainingSettings, hardware: Hardware) -> ResolvedTraining:
    """Every value that a training run uses: the settings, and the profile's values where they are unset."""
    profile: ProfileName = settings.profile if settings.profile != "auto" else "gpu" if hardware.gpus else "cpu"
    # What training may cost does not change what it makes: a raised cap goes on with the same run.
    stated = settings.model_dump(exclude=set(BudgetSettings.model_fields), exclude_none=True)
    fast_bf16 = profile == "gpu" or (profile == "cpu" and hardware.cpu_bf16)
    decided = {
        "profile": profile,
        "methods": _possible(settings.methods or PROFILES[profile]["methods"], settings.warm_start),
        "reward_weights": resolve_weights(settings.reward_weights),
        "model_reward_weights": resolve_model_weights(settings.reward_weights),
        "dtype": "bfloat16" if fast_bf16 else "float32",
        "gradient_checkpointing": profile == "gpu" and hardware.gpu_gib < ROOM_FOR_ACTIVATIONS_GIB
        if settings.gradient_checkpointing is None
        else settings.gradient_checkpointing,
        "vllm": _sampler(settings, profile, hardware),
    }
    return ResolvedTraining.model_validate({**PROFILES[profile], **stated, **decided})
