"""What the libraries are told once a process, so that a run can be repeated and its log holds no user text."""

from __future__ import annotations

import logging
import warnings

import torch
import transformers


def quiet_libraries() -> None:
    """Keep the libraries' own chatter out of the log; some of it quotes prompts and answers."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("trl", "peft", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def use_deterministic_kernels() -> None:
    """Choose kernels that give the same bits each time, where a kernel has such a form."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Only hides reads of memory that was never written, at the cost of writing all of it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
