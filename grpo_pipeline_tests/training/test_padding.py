"""Rows of tokens side by side."""

from __future__ import annotations

from typing import Literal

import pytest

from grpo_pipeline.training.padding import padded

ROWS = [(5, 6, 7), (8,), ()]


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("left", [[5, 6, 7], [9, 9, 8], [9, 9, 9]], [[1, 1, 1], [0, 0, 1], [0, 0, 0]]),
        ("right", [[5, 6, 7], [8, 9, 9], [9, 9, 9]], [[1, 1, 1], [1, 0, 0], [0, 0, 0]]),
    ],
)
def test_shorter_rows_are_filled_up_and_masked(
    side: Literal["left", "right"], ids: list[list[int]], mask: list[list[int]]
) -> None:
    found = padded(ROWS, side=side, filler=9)
    assert [part.tolist() for part in found] == [ids, mask]
