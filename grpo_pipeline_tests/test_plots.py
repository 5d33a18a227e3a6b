from __future__ import annotations

import base64
import io
import math
import random
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from grpo_pipeline.plots import (
    ab_differences,
    as_markdown,
    evaluation_intervals,
    feedback_volume,
    quarantine_counts,
    success_over_time,
    training_curves,
)
from grpo_pipeline.weeks import Week

LARGEST = 50_000
METRICS = ("preference_accuracy", "preference_margin", "contrastive_similarity", "tool_call_accuracy", "truncated")


def opened(png: bytes | None) -> Image.Image:
    assert png is not None
    assert len(png) < LARGEST
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    corner = picture.convert("RGB").getpixel((0, 0))
    assert corner == (255, 255, 255)
    return picture


def training_run(warm: int, steps: int) -> list[dict[str, Any]]:
    source = random.Random(0)
    rows: list[dict[str, Any]] = [
        {"phase": "Warm start", "step": step, "loss": 4 / step + source.random()} for step in range(1, warm + 1)
    ]
    for step in range(1, steps + 1):
        parts = {f"rewards/{name}/mean": source.gauss(0, 1) for name in ("similarity", "tool_call", "truncated")}
        rows.append(
            {
                "phase": "GRPO",
                "step": step,
                "reward": source.gauss(0, 1),
                "loss": source.gauss(0, 0.1),
                "kl": 0.01 * step,
                "entropy": source.random(),
                "completions/mean_length": 60 + source.random(),
                "frac_reward_zero_std": source.random(),
                **parts,
            }
        )
    return rows


def levels(models: tuple[str, ...], **changes: float | None) -> list[dict[str, Any]]:
    return [
        {
            "metric": name,
            "label": name.replace("_", " "),
            "better": 1,
            "model": model,
            "mean": 0.5,
            "low": 0.4,
            "high": 0.7,
            **changes,
        }
        for name in METRICS
        for model in models
    ]


@pytest.mark.parametrize(("warm", "steps"), [(0, 1), (10, 6), (50, 300), (24, 0)])
def test_training_curves_are_small_whatever_the_length_of_the_run(warm: int, steps: int) -> None:
    assert opened(training_curves(training_run(warm, steps))).width == 768


def test_values_that_are_not_finite_or_missing_are_left_out_of_the_curves() -> None:
    rows = training_run(5, 10)
    rows[7] |= {"reward": math.nan, "kl": math.inf, "entropy": None}
    rows[8].pop("rewards/tool_call/mean")
    rows[9]["rewards/similarity/mean"] = None
    opened(training_curves(rows))


def test_a_run_without_numbers_has_no_picture() -> None:
    assert training_curves([]) is None
    assert training_curves([{"phase": "GRPO", "step": 1, "reward": None, "loss": math.nan}]) is None
    assert evaluation_intervals([]) is None
    assert evaluation_intervals(levels(("base",), mean=math.nan)) is None
    assert quarantine_counts({"too_short": 0}) is None


def test_intervals_are_drawn_with_and_without_an_incumbent_and_without_bounds() -> None:
    two = opened(evaluation_intervals(levels(("base", "candidate"))))
    three = opened(evaluation_intervals(levels(("base", "incumbent", "candidate"))))
    assert three.height > two.height
    opened(evaluation_intervals(levels(("base", "candidate"), low=None, high=None)))


def test_many_quarantine_rules_share_a_last_bar() -> None:
    few = opened(quarantine_counts({f"rule_{index}": index + 1 for index in range(12)}))
    many = opened(quarantine_counts({f"rule_{index}": index + 1 for index in range(40)}))
    assert many.height < few.height * 1.2


def rates(versions: tuple[str | None, ...], weeks: int, **changes: float | None) -> list[dict[str, Any]]:
    numbers = {"votes": 40, "success_rate": 0.6, "low": 0.5, "high": 0.7}
    edits = {"edit_rate": 0.1, "edit_low": None, "edit_high": None}
    first = Week("2026-01-05")
    return [
        {"week": first.shift(week).key, "model_version": version, **numbers, **edits, **changes}
        for week in range(weeks)
        for version in versions
    ]


def test_success_is_drawn_for_versions_that_have_a_name_and_for_many_of_them() -> None:
    opened(success_over_time(rates(("a", None), 3)))
    opened(success_over_time(rates(tuple(f"2026-11-{number:02}-abcdef01" for number in range(1, 14)), 12)))
    assert success_over_time(rates((None,), 3)) is None
    assert success_over_time(rates(("a",), 3, success_rate=None, edit_rate=None)) is None


def test_differences_and_volume_are_drawn_where_there_are_any() -> None:
    row = {"challenger": "b", "segment": "all users", "difference": -0.1, "low": -0.2, "high": 0.05}
    one, two = opened(ab_differences([row])), opened(ab_differences([row, {**row, "low": -0.2, "high": -0.01}]))
    assert two.height > one.height
    assert ab_differences([{**row, "difference": None}]) is None
    week = {"week": "2026-01-05", "feedback": 9, "votes": 4, "edits": 2}
    opened(feedback_volume([week, {**week, "week": "2026-01-12"}]))
    assert feedback_volume([{**week, "feedback": 0}]) is None


def test_the_same_numbers_give_the_same_picture() -> None:
    rows = training_run(5, 10)
    assert training_curves(rows) == training_curves(rows)


def test_markdown_holds_the_whole_picture() -> None:
    png = quarantine_counts({"too_short": 3})
    assert png is not None
    text = as_markdown(png, "Kept out")
    assert text.startswith("![Kept out](data:image/png;base64,")
    assert base64.b64decode(text.split("base64,")[1].removesuffix(")")) == png


def test_importing_the_plots_does_not_load_matplotlib() -> None:
    code = "import sys, grpo_pipeline.plots; print('matplotlib' in sys.modules, 'scipy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"
