"""Pictures for the UI: numbers in, a small PNG out, and None where there is nothing finite to draw.

White background and dark text, so that they read the same in a light and in a dark UI; meant to be shown about 600
pixels wide. Matplotlib is imported where it draws, as loading the Dagster code location should not pay for it.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Point = tuple[float, float]

INK, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, AMBER, GREEN, RED = "#2563eb", "#d97706", "#059669", "#dc2626"
MODEL_COLORS = {"base": FAINT, "incumbent": AMBER, "candidate": BLUE}
COMPONENT_COLORS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#b45309", "#4b5563")
WIDTH_INCHES = 6.4
REWARD_INCHES = 2.4
PANEL_INCHES = 1.55
DPI = 120
COLORS = 64
# Reasons beyond these share one bar.
MOST_BARS = 12

BETTER = {1: " (higher is better)", -1: " (lower is better)", 0: ""}
PANELS = (
    ("loss", "Loss", BLUE),
    ("kl", "KL to the starting policy", BLUE),
    ("entropy", "Entropy", BLUE),
    ("completions/mean_length", "Answer length (tokens)", BLUE),
    ("frac_reward_zero_std", "Groups without spread (share)", RED),
    ("completions/clipped_ratio", "Cut-off answers (share)", RED),
)
SHARES = ("frac_reward_zero_std", "completions/clipped_ratio")


def as_markdown(png: bytes, title: str) -> str:
    """A picture as Markdown that holds it whole, for Dagster metadata."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def training_curves(metrics: Sequence[Record]) -> bytes | None:
    """Reward with its parts, losses, KL, entropy, answer length and dead groups over the steps of a training run.

    Args:
        metrics: the lines of `metrics.jsonl`: phase, step, and what that step logged.
    """
    grpo = [row for row in metrics if "reward" in row]
    warm = [row for row in metrics if "reward" not in row]
    panels = [(title, color, name, grpo) for name, title, color in PANELS if _points(grpo, name)]
    if _points(warm, "loss"):
        panels.insert(0, (f"{warm[0]['phase']}: loss", AMBER, "loss", warm))
    if not panels and not _points(grpo, "reward"):
        return None
    rewards, rows = _points(grpo, "reward"), math.ceil(len(panels) / 2)
    heights = [REWARD_INCHES] * bool(rewards) + [PANEL_INCHES * rows] * bool(panels)
    figure = _figure(sum(heights))
    # Apart from each other, so that the legend beside the rewards does not narrow the panels.
    parts_of_figure = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    if rewards:
        _draw_rewards(parts_of_figure.pop(0).subplots(), rewards, _reward_parts(grpo))
    for index, (title, color, name, records) in enumerate(panels):
        axis = parts_of_figure[0].add_subplot(rows, 2, index + 1)
        _draw_curve(axis, _points(records, name), color)
        _style(axis, title)
        if name in SHARES:
            axis.set_ylim(-0.05, 1.05)
    return _png(figure)


def evaluation_intervals(levels: Sequence[Record]) -> bytes | None:
    """Every metric's mean and interval for the base model, the incumbent and the candidate.

    Args:
        levels: the `levels` of an `evaluation.json`: metric, label, better (1, -1, 0), model, mean, low, high.
    """
    finite = [row for row in levels if _finite(row["mean"]) and row["metric"] != "non_finite"]
    metrics = list(dict.fromkeys(row["metric"] for row in finite))
    if not metrics:
        return None
    groups = [[row for row in finite if row["metric"] == metric] for metric in metrics]
    models = [model for model in MODEL_COLORS if any(row["model"] == model for row in finite)]
    figure = _figure(0.45 + len(metrics) * (0.42 + 0.2 * len(models)))
    for axis, rows in zip(figure.subplots(len(metrics), 1, squeeze=False)[:, 0], groups, strict=True):
        _draw_intervals(axis, rows, models)
    return _png(figure)


def quarantine_counts(counts: Mapping[str, int]) -> bytes | None:
    """How many rows each rule kept out, the most frequent first."""
    ordered = sorted(
        ((name, count) for name, count in counts.items() if count > 0), key=lambda item: (-item[1], item[0])
    )
    if not ordered:
        return None
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    if rest:
        shown.append((f"{len(rest)} other rules", sum(count for _, count in rest)))
    figure = _figure(0.55 + 0.27 * len(shown))
    axis = figure.subplots()
    bars = axis.barh(
        [name.replace("_", " ") for name, _ in shown], [count for _, count in shown], color=AMBER, height=0.7
    )
    axis.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=9, color=INK)
    axis.invert_yaxis()
    _style(axis, "Rows kept out, by rule")
    axis.margins(x=0.12)
    axis.grid(False)
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
    return _png(figure)


def backtest_weeks(rows: Sequence[Record]) -> bytes | None:
    """What each past week's policy would have gained in the week after over what was in use then.

    Args:
        rows: of a backtest's outcome table; the last week is all of them together.
    """
    shown = [row for row in rows if row["against"] == "in use then" and _finite(row["difference"])]
    labels = list(dict.fromkeys(row["label"] for row in shown))
    if not labels:
        return None
    weeks = list(dict.fromkeys(row["week"] for row in shown))
    groups = list(dict.fromkeys(row["pairs_of"] for row in shown))
    figure = _figure(0.6 + 2.1 * len(labels))
    axes = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, label in zip(axes, labels, strict=True):
        for row in shown:
            if row["label"] == label:
                group = groups.index(row["pairs_of"])
                _draw_gain(axis, weeks.index(row["week"]) + 0.24 * group - 0.12, row, (BLUE, AMBER)[group])
        axis.axhline(0, color=INK, linewidth=1)
        _style(axis, f"Gain in {label} in the week after")
        axis.grid(False, axis="x")
    for name, color in zip(groups, (BLUE, AMBER), strict=False):
        axes[0].plot([], [], "o", color=color, label=name)
    axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, frameon=False, labelcolor=INK)
    axes[-1].set_xticks(range(len(weeks)), weeks, rotation=40, ha="right")
    axes[-1].set_xlim(-0.6, len(weeks) - 0.4)
    return _png(figure)


def success_over_time(rates: Sequence[Record]) -> bytes | None:
    """Success and edit rates of each model version by week, with their intervals.

    Args:
        rates: by week, earliest first: week, model_version, votes, success_rate, low, high, edit_rate, edit_low,
            edit_high.
    """
    rates = [row for row in rates if row["model_version"]]
    weeks = sorted({row["week"] for row in rates})
    names = {row["model_version"] for row in rates}
    votes = {version: sum(row["votes"] for row in rates if row["model_version"] == version) for version in names}
    # The versions with the most votes; the others are in the table.
    shown = sorted(votes, key=lambda version: -votes[version])[: len(COMPONENT_COLORS)]
    panels = [("success_rate", "low", "high", "Success rate"), ("edit_rate", "edit_low", "edit_high", "Edit rate")]
    panels = [panel for panel in panels if any(_finite(row[panel[0]]) for row in rates)]
    if not panels:
        return None
    figure = _figure(0.7 + 2.1 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (value, low, high, title) in zip(axes, panels, strict=True):
        for number, version in enumerate(sorted(shown)):
            rows = [row for row in rates if row["model_version"] == version and _finite(row[value])]
            shift = (number - (len(shown) - 1) / 2) * 0.5 / len(shown)
            places, color = [weeks.index(row["week"]) + shift for row in rows], COMPONENT_COLORS[number]
            axis.plot(places, [row[value] for row in rows], "o-", color=color, markersize=5, label=version)
            for place, row in zip(places, rows, strict=True):
                if _finite(row[low]) and _finite(row[high]):
                    axis.plot([place, place], [row[low], row[high]], color=color, linewidth=4, alpha=0.3)
        _style(axis, f"{title} by week and model version")
        axis.set_ylim(-0.04, 1.04)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, fontsize=8, frameon=False, labelcolor=INK)
    axes[-1].set_xticks(range(len(weeks)), weeks, rotation=40, ha="right")
    axes[-1].set_xlim(-0.6, len(weeks) - 0.4)
    return _png(figure)


def feedback_volume(weeks: Sequence[Record]) -> bytes | None:
    """Votes, edits and other feedback of each week, one on top of the other.

    Args:
        weeks: the earliest first: week, feedback, votes, edits.
    """
    if not any(row["feedback"] for row in weeks):
        return None
    figure = _figure(2.4)
    axis = figure.subplots()
    below = [0] * len(weeks)
    others = [row["feedback"] - row["votes"] - row["edits"] for row in weeks]
    parts = (("votes", [row["votes"] for row in weeks], BLUE), ("edits", [row["edits"] for row in weeks], AMBER))
    for name, counts, color in (*parts, ("other", others, FAINT)):
        axis.bar(range(len(weeks)), counts, bottom=below, color=color, width=0.6, label=name)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    _style(axis, "Feedback by week")
    axis.set_xticks(range(len(weeks)), [row["week"] for row in weeks], rotation=40, ha="right")
    axis.grid(False, axis="x")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, frameon=False, labelcolor=INK)
    return _png(figure)


def ab_differences(rows: Sequence[Record]) -> bytes | None:
    """The difference of each challenger to the champion, among all users and in each segment, with its sequence.

    Args:
        rows: challenger, segment, difference, low, high.
    """
    shown = [row for row in rows if _finite(row["difference"])]
    if not shown:
        return None
    figure = _figure(0.7 + 0.3 * len(shown))
    axis = figure.subplots()
    for place, row in enumerate(shown):
        color = RED if row["high"] < 0 else GREEN if row["low"] > 0 else BLUE
        axis.plot([row["low"], row["high"]], [place, place], color=color, linewidth=4, alpha=0.3)
        axis.plot([row["difference"]], [place], "o", color=color, markersize=6)
    axis.axvline(0, color=INK, linewidth=1)
    _style(axis, "Success less the champion's")
    axis.set_ylim(len(shown) - 0.5, -0.5)
    axis.set_yticks(range(len(shown)), [f"{row['challenger']}: {row['segment']}" for row in shown])
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=INK)
    return _png(figure)


def _draw_gain(axis: Axes, place: float, row: Record, color: str) -> None:
    if _finite(row["low"]) and _finite(row["high"]):
        axis.plot([place, place], [row["low"], row["high"]], color=color, linewidth=4, alpha=0.35)
    axis.plot([place], [row["difference"]], "o", color=color, markersize=6)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _points(records: Sequence[Record], name: str) -> list[Point]:
    return [(row["step"], row[name]) for row in records if _finite(row.get(name))]


def _reward_parts(records: Sequence[Record]) -> dict[str, list[Point]]:
    names = dict.fromkeys(key for row in records for key in row if key.startswith("rewards/") and key.endswith("/mean"))
    points = {name.removeprefix("rewards/").removesuffix("/mean"): _points(records, name) for name in names}
    # A guard that never struck is a line at zero that hides the others.
    return {name: found for name, found in points.items() if any(value != 0 for _, value in found)}


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, layout="constrained", facecolor="white")


def _png(figure: Figure) -> bytes:
    from PIL import Image

    drawn, stored = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    # A palette makes the file about a quarter as large: it is stored in the event log.
    picture.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        stored, format="PNG", optimize=True
    )
    return stored.getvalue()


def _style(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, color=INK, fontweight="bold")
    axis.grid(True, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8.5, labelcolor=FAINT, color=GRID)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)


def _draw_curve(axis: Axes, points: Sequence[Point], color: str, **style: Any) -> None:  # noqa: ANN401
    from matplotlib.ticker import MaxNLocator

    steps, values = zip(*points, strict=True)
    marker = "o" if len(points) <= 20 else None
    axis.plot(steps, values, **{"color": color, "linewidth": 1.8, "marker": marker, "markersize": 3, **style})
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _draw_rewards(axis: Axes, total: Sequence[Point], parts: Mapping[str, Sequence[Point]]) -> None:
    for (name, points), color in zip(parts.items(), COMPONENT_COLORS, strict=False):
        _draw_curve(axis, points, color, label=name.replace("_", " "), linewidth=1.3)
    _draw_curve(axis, total, INK, label="reward", linewidth=2.6)
    _style(axis, "Reward and its parts, mean of each step")
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, frameon=False, labelcolor=INK, reverse=True)


def _draw_intervals(axis: Axes, rows: Sequence[Record], models: Sequence[str]) -> None:
    present = {row["model"]: row for row in rows}
    for place, model in enumerate(models):
        row = present.get(model)
        if row is None:
            continue
        color = MODEL_COLORS[model]
        if _finite(row["low"]) and _finite(row["high"]):
            axis.plot(
                [row["low"], row["high"]], [place, place], color=color, linewidth=4, alpha=0.35, solid_capstyle="round"
            )
        axis.plot([row["mean"]], [place], "o", color=color, markersize=6.5)
        axis.annotate(
            f"{row['mean']:#.3g}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color=color,
        )
    _style(axis, rows[0]["label"] + BETTER[rows[0]["better"]])
    axis.set_ylim(len(models) - 0.5, -0.5)
    axis.set_yticks(range(len(models)), models)
    axis.grid(False, axis="y")
    axis.margins(x=0.08)
    axis.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
