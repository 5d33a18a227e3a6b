"""Gradients of a step that was computed beside the model that the processes share."""

from __future__ import annotations

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn


def average_gradients(accelerator: Accelerator, model: nn.Module) -> None:
    """Make every gradient the mean over all processes, and zero where nothing counted.

    Not left to DistributedDataParallel, which sees only passes through itself and expects equally many of them in every
    process. One exchange a step, of the adapter's size.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            # None would make the optimizer leave the parameter out of the step, momentum and all.
            parameter.grad = torch.zeros_like(parameter)
    if accelerator.num_processes == 1:
        return
    flat = torch.cat([parameter.grad.flatten() for parameter in trained if parameter.grad is not None])
    flat = accelerator.reduce(flat, reduction="mean")
    for parameter, grad in zip(trained, flat.split([parameter.numel() for parameter in trained]), strict=True):
        parameter.grad = grad.view_as(parameter)
