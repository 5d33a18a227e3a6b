"""What the tool-calling track does on which hardware: what is left unset gets its value here, or from training's own.

The README says what was measured with the values for a CPU.
"""

from __future__ import annotations

from typing import Any

from grpo_pipeline.tool_calling.names import PHASES
from grpo_pipeline.tool_calling.settings import ScenarioSettings, ToolCallingSettings
from grpo_pipeline.training.profiles import Hardware, ResolvedTraining, resolve
from grpo_pipeline.training.settings import ProfileName, TrainingSettings

# The calls are right or wrong by themselves: nearness of the text says nothing, and values are copied on purpose.
REWARD_WEIGHTS = {"similarity": 0.0, "closeness": 0.0, "prompt_copy": 0.0, "length_ratio": 0.0}
TRAINING: dict[ProfileName, dict[str, Any]] = {
    "gpu": {
        "warm_start_epochs": 1.0,
        "epochs": 1.0,
        "prompts_per_step": 64,
        "max_prompt_tokens": 1024,
        "max_completion_tokens": 256,
    },
    "cpu": {
        "warm_start_epochs": 1.0,
        # The composed tools alone took 240 steps of 8; the written ones take more reading.
        "warm_start_steps": 800,
        "warm_start_batch": 4,
        "warm_start_learning_rate": 1e-3,
        "rehearsal_share": 0.0,
        "steps": 30,
        "prompts_per_step": 16,
        "num_generations": 8,
        "micro_batch": 32,
        # 60 steps at twice this rate cost 5.8 points of BFCL's simple questions.
        "learning_rate": 3e-4,
        # Without the right calls in their groups, 64 of 100 groups with parallel calls and 22 with one hold nothing
        # right, and 30 steps cost 1.5 to 1.8 points of BFCL's questions; with them no loss is shown (+0.5).
        "guided": True,
        "practise_unread": True,
        # Of scenarios with several tools two in five are longer than 256 tokens, of the benchmark's questions more.
        "max_prompt_tokens": 384,
        "max_completion_tokens": 192,
        "save_every": 12,
    },
    "tiny": {"max_completion_tokens": 128, "max_prompt_tokens": 4096},
}
SCENARIOS: dict[ProfileName, dict[str, int]] = {
    "gpu": {"train": 20_000, "held_out": 1_000},
    "cpu": {"train": 6_000, "held_out": 300},
    "tiny": {"train": 24, "held_out": 12},
}


def track_training(settings: ToolCallingSettings, project: TrainingSettings) -> TrainingSettings:
    """The training settings of the track: its own, its profile's where those are unset.

    Base model and hardware profile are the project's unless the track states others.
    """
    own = settings.training
    profile = project.profile if own.profile == "auto" else own.profile
    base_model = own.base_model or project.base_model
    return own.model_copy(
        update={
            "profile": profile,
            "base_model": base_model,
            "reward_weights": {**REWARD_WEIGHTS, **own.reward_weights},
        }
    )


def resolve_track(settings: TrainingSettings, hardware: Hardware) -> TrainingSettings:
    """Track settings with the values of the track's profile in place of the unset ones."""
    profile = resolve(settings, hardware).profile
    usual = {"methods": tuple(PHASES), **TRAINING[profile]}
    unset = {name: value for name, value in usual.items() if getattr(settings, name) is None}
    return settings.model_copy(update=unset)


def scenario_counts(settings: ScenarioSettings, training: ResolvedTraining) -> tuple[int, int]:
    """How many scenarios to train on, and how many to measure on."""
    usual = SCENARIOS[training.profile]
    return settings.train or usual["train"], settings.held_out or usual["held_out"]
