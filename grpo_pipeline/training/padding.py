"""Rows of token ids side by side in one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn.utils.rnn import pad_sequence


def padded(
    rows: Sequence[Sequence[int]],
    device: torch.device | str = "cpu",
    side: Literal["left", "right"] = "right",
    filler: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, longest row), and a mask of the same shape: 1 where a row has a token."""
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    ones = [torch.ones_like(row) for row in ids]
    tokens = pad_sequence(ids, batch_first=True, padding_value=filler, padding_side=side)
    mask = pad_sequence(ones, batch_first=True, padding_side=side)
    return tokens.to(device), mask.to(device)
