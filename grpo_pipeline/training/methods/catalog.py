"""The ways of training that compete each week, from the simplest on, and where each leaves its policy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

MethodName = Literal["sft", "dpo", "grpo", "grpo_after_warm_start", "from_champion"]
# Of two that do equally well the simpler one is taken, so the order matters.
BY_SIMPLICITY: tuple[MethodName, ...] = get_args(MethodName)
# The policy of the first of these that is trained lies where a policy trained alone would.
LEADS: tuple[MethodName, ...] = ("grpo_after_warm_start", "grpo", "from_champion", "dpo", "sft")
LABELS: dict[MethodName, str] = {
    "sft": "SFT",
    "dpo": "DPO",
    "grpo": "GRPO from base",
    "grpo_after_warm_start": "GRPO after warm start",
    "from_champion": "GRPO from champion",
}
USE_WARM_START: tuple[MethodName, ...] = ("sft", "grpo_after_warm_start")
SAMPLING: tuple[MethodName, ...] = ("grpo", "grpo_after_warm_start", "from_champion")
CHALLENGERS = "challengers"


@dataclass(frozen=True)
class Candidate:
    """One policy in training: its method, its folder, and whether it is the one that lies at the top."""

    method: MethodName
    folder: Path
    leads: bool

    @property
    def phase(self) -> str:
        """What its last phase is called in metrics and progress."""
        if self.method == "sft":
            return "Warm start"
        if self.method == "dpo":
            return "DPO"
        return "GRPO" if self.leads else LABELS[self.method]


def candidates(methods: Sequence[MethodName], output: Path) -> list[Candidate]:
    """Every method's candidate, from the simplest on; all but the leading one lie in `challengers/<method>`."""
    leader = leading(methods)
    return [
        Candidate(method, output if method == leader else output / CHALLENGERS / method, method == leader)
        for method in BY_SIMPLICITY
        if method in methods
    ]


def leading(methods: Sequence[MethodName]) -> MethodName:
    """The method whose policy lies at the top."""
    return next(method for method in LEADS if method in methods)


def led(field: Sequence[Candidate], output: Path) -> list[Candidate]:
    """The candidates that came to a policy; where the one at the top did not, the next one's folder is moved there."""
    leader = leading([candidate.method for candidate in field])
    found = []
    for candidate in field:
        if candidate.method == leader and not candidate.leads:
            shutil.rmtree(output / "completions", ignore_errors=True)
            for path in candidate.folder.iterdir():
                path.replace(output / path.name)
            found.append(replace(candidate, folder=output, leads=True))
        else:
            found.append(candidate)
    return found
