"""The dataset card: what a reader of the folder needs to know, and how `datasets` finds the splits. No user text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from grpo_pipeline.dataset.build import PreferenceDataset
from grpo_pipeline.dataset.manifest import week_counts

TOTALS = ("curated", "mined", "train", "held_out", "excluded")

CARD = """\
---
pretty_name: Preference pairs up to the week of {week}
license: other
license_name: private-user-feedback
task_categories:
- text-generation
tags:
- preference
- trl
- dpo
{splits}---

# Preference pairs up to the week of {week}

{train} pairs to train on and {held_out} held out, from {lookback} weeks of user feedback ({first} to {week}).
Content hash: `{hash}`.

```python
from datasets import load_dataset

pairs = load_dataset("path/to/this/folder")  # splits: train, and test for the held-out pairs
```

## Columns

| column | what |
|---|---|
| `prompt`, `chosen`, `rejected` | chat messages, TRL's conversational preference format |
| `tools` | the tool schemas that were offered, as a JSON list; null where none |
| `id`, `week`, `source` | the pair, the week it was given in, how it came about (`mined`: from thumbs) |
| `source_ids` | ids of the feedback behind the pair |
| `contributor`, `co_contributor` | salted hashes of who gave it; pairs without a name are named by their prompt |
| `cluster` | id of the earliest pair whose prompt is the same or nearly the same |

## How it was made

Curated pairs of the look-back, and pairs mined from a thumbs-up and a thumbs-down on the same prompt. The split is by
{hold_out_by}: a salted hash decides the side, so that a held-out pair stays held out in every later week, and a pair
whose prompt is nearly the same as one on the other side (similarity {similarity} or more) is left out.

{totals}

{weeks}

{excluded}

## Licence and privacy

These are answers and corrections by the users of one product, given for improving it: keep the folder private and do
not publish it. Personal data was replaced by placeholders before this step as far as it was recognized. Contributors
can be told apart, but not named without the salt. When feedback is deleted, make the dataset again.
"""


def dataset_card(dataset: PreferenceDataset) -> str:
    """The card as Markdown, with the YAML header that `datasets.load_dataset` reads; the same for the same dataset."""
    settings, counts = dataset.settings, dataset.counts
    excluded = dataset.excluded.group_by("reason").len().sort("reason")
    return CARD.format(
        splits=_splits(dataset),
        week=dataset.week.key,
        first=dataset.week.shift(1 - settings.lookback_weeks).key,
        lookback=settings.lookback_weeks,
        train=counts["train"],
        held_out=counts["held_out"],
        hash=dataset.hash,
        hold_out_by=settings.hold_out_by,
        similarity=settings.leak_similarity,
        totals=_table(("curated", "mined", "train", "held out", "excluded"), [[counts[name] for name in TOTALS]]),
        weeks=_table(
            ("week", "train", "held out", "excluded"),
            ((week, *parts.values()) for week, parts in week_counts(dataset).items()),
        ),
        excluded=_excluded(excluded),
    )


def _splits(dataset: PreferenceDataset) -> str:
    """The header's list of splits; `datasets` refuses a file without rows, so an empty side is not listed."""
    listed = [
        f"  - split: {split}\n    path: {name}\n"
        for split, name, rows in (
            ("train", "train.parquet", dataset.train),
            ("test", "held_out.parquet", dataset.held_out),
        )
        if len(rows)
    ]
    return "configs:\n- config_name: default\n  data_files:\n" + "".join(listed) if listed else ""


def _excluded(reasons: pl.DataFrame) -> str:
    if reasons.is_empty():
        return "No pair was excluded."
    return _table(("excluded because", "pairs"), ((f"`{reason}`", count) for reason, count in reasons.iter_rows()))


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
