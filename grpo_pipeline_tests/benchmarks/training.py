"""GRPO steps against two plain TRL scripts, in turns: useful tokens a second, phase by phase, and the machine's roofs.

"defaults" is the script a user writes first (TRL computes in bfloat16 by itself; off on a CPU that is slower in it);
"best" has the options that are known to help: no gradient checkpointing, weights in bfloat16 (in float32 on such a
CPU), and on a GPU all answers in one pass (on a CPU of 2 cores that took TRL 34 s where passes of 8 took 28 s). All
three sample as many answers of the same length to the same prompts, with the same reward, by which no group is without
spread, so leaving out dead groups gains nothing here.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import warnings
from pathlib import Path

# As in the trainer's process; both are good for all three.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch
from transformers import AutoConfig, AutoTokenizer

from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.determinism import quiet_libraries
from grpo_pipeline.training.profiles import PACKAGED_SMOLLM2
from grpo_pipeline_tests.benchmarks.roofs import Roofs, floor_seconds, measure_roofs
from grpo_pipeline_tests.benchmarks.trainer_timing import (
    PHASES,
    Clock,
    Shape,
    assert_equal_gradients,
    best_precision,
    make_trainer,
)

REPEATS = 3
BARS = {"defaults": 3.5, "best": 2.0}
# Qwen3's shapes (https://huggingface.co/Qwen), which random weights fill: speed does not depend on what they say.
QWEN3 = {
    "Qwen3-0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
    "Qwen3-4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
}

ON_CPU = Shape(prompts=2, group=8, prompt_tokens=128, answer_tokens=64)
ON_GPU = Shape(prompts=16, group=8, prompt_tokens=512, answer_tokens=256)


def report(clocks: dict[str, Clock], shape: Shape) -> dict[str, float]:
    """Print the table and return each trainer's median step."""
    tokens = shape.answers * shape.answer_tokens
    print(f"  {'':<10}{'useful tokens/s':>16}{'step':>9}" + "".join(f"{phase:>11}" for phase in PHASES))
    medians = {}
    for kind, clock in clocks.items():
        # The first step pays for what is only done once.
        middle = {name: statistics.median(values[1:]) for name, values in clock.seconds.items()}
        medians[kind] = middle["step"]
        phases = "".join(f"{middle[phase]:>9.2f} s" for phase in PHASES)
        print(f"  {kind:<10}{tokens / middle['step']:>16.1f}{middle['step']:>7.2f} s{phases}")
    return medians


def compare(folder: Path, shape: Shape) -> bool:
    """Measure one model; whether every bar is reached."""
    config = AutoConfig.from_pretrained(folder)
    assert_equal_gradients(folder, shape)
    clocks = {kind: Clock() for kind in ("defaults", "best", "ours")}
    trainers = {kind: make_trainer(kind, folder, shape, clock) for kind, clock in clocks.items()}
    roofs = []
    for turn in range(1 + REPEATS):
        roofs.append(measure_roofs(config, shape))
        for trainer in trainers.values():
            trainer.train()
        seconds = ", ".join(f"{kind} {clock.seconds['step'][-1]:.1f} s" for kind, clock in clocks.items())
        print(f"  {f'turn {turn}' if turn else 'to warm up'}: {seconds}", flush=True)
    medians = report(clocks, shape)
    roof = Roofs(statistics.median(r.flops for r in roofs), statistics.median(r.bytes_per_second for r in roofs))
    precision = str(best_precision()).removeprefix("torch.")
    print(f"  roofs: {roof.flops / 1e9:,.0f} GFLOP/s in {precision}, {roof.bytes_per_second / 1e9:.0f} GB/s of memory")
    for shared, what in ((True, "a prompt read once"), (False, "a prompt read for each answer")):
        floor = floor_seconds(trainers["ours"].model, shape, roof, shared=shared)
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in floor.items())
        print(f"  floor, {what}: {parts}; our step runs at {floor['step'] / medians['ours']:.0%} of it")
    if torch.cuda.is_available():
        print(f"  peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    met = True
    for kind, bar in BARS.items():
        ratio = medians[kind] / medians["ours"]
        met &= ratio >= bar
        print(f"  {ratio:.2f} times TRL's {kind} (bar {bar}: {'reached' if ratio >= bar else 'MISSED'})")
    return met


def random_qwen3(name: str, folder: Path, tokenizer: Path) -> Path:
    """A Qwen3 of the given size with random weights, beside a tokenizer whose ids it knows."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=151_936, num_key_value_heads=8, head_dim=128, tie_word_embeddings=True, **QWEN3[name]
    )
    with torch.device("cuda"):
        model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder / name)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder / name)
    return folder / name


def main() -> int:
    """Measure, and say whether the bars are reached; they are for a CPU, on a GPU the table is for information."""
    quiet_libraries()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        smollm2 = locate_base_model(PACKAGED_SMOLLM2, Path(os.environ.get("GRPO_HOME", folder))).folder
        on_gpu = torch.cuda.is_available()
        shape = ON_GPU if on_gpu else ON_CPU
        print(
            f"  {shape.prompts} prompts of {shape.prompt_tokens} tokens, {shape.group} answers of "
            f"{shape.answer_tokens} tokens to each; medians of {REPEATS} steps in turns"
        )
        if not on_gpu:
            return 0 if compare(smollm2, shape) else 1
        for name in QWEN3:
            print(f"  {name} (random weights)")
            compare(random_qwen3(name, folder, smollm2), shape)
    return 0


if __name__ == "__main__":
    sys.exit(main())
