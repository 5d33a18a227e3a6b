"""Curation of 200,000 pairs with near-duplicates and personal data: rows a second by stage, and peak memory.

The pairs are made here, the same in every run; they are curated in a process of their own, so that its peak is theirs.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from grpo_pipeline.weeks import Week

ROWS = 200_000
EARLIER = 20_000
SENTENCES = 60_000
SENTENCES_PER_ANSWER = 8
TARGET_ROWS_PER_SECOND = 5_000
WEEK = Week("2026-11-02")

CURATE = """
import json, logging, sys, time
import polars as pl
from grpo_pipeline.curation.curate import curate
from grpo_pipeline.curation.settings import CurationSettings

stages = []
class Stages(logging.Handler):
    def emit(self, record):
        table, stage, seconds, kept = record.args
        if table == "preference_pairs":
            stages.append((stage, seconds, kept))
logger = logging.getLogger("grpo_pipeline.curation.sieve")
logger.addHandler(Stages())

folder = sys.argv[1]
pairs, feedback = pl.read_parquet(folder + "/pairs.parquet"), pl.read_parquet(folder + "/feedback.parquet")
earlier_pairs = pl.read_parquet(folder + "/earlier.parquet")
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
known = curate(earlier_pairs, feedback, pl.DataFrame(), CurationSettings()).signatures
before = peak()
logger.setLevel(logging.DEBUG)
start, busy = time.perf_counter(), time.process_time()
result = curate(pairs, feedback, known, CurationSettings())
print(json.dumps({
    "seconds": time.perf_counter() - start, "processor": time.process_time() - busy, "loaded": before, "peak": peak(),
    "stages": stages, "counts": result.counts,
}))
"""


def _sentences(rng: random.Random) -> list[str]:
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 10))) for _ in range(5_000)]
    figures = ["$1,234,567", "35.5%", "3.4x", "2024-01-15", "10:30", "Q3", "FY2025", "1,200", "@Ramp", "—", "café"]
    vocabulary = words + figures * 60
    return [" ".join(rng.choices(vocabulary, k=19)).capitalize() + "." for _ in range(SENTENCES)]


def _personal(rng: random.Random) -> str:
    number = rng.randint(1_000, 9_999)
    return rng.choice(
        [
            f"Write to jane.{number}@example.com.",
            f"Call +1 415 555 {number}.",
            f"Call (212) 555-{number}.",
            "Card 4111 1111 1111 1111.",
            "Account DE89 3704 0044 0532 0130 00.",
            f"Seen from 81.2.69.{number % 250}.",
        ]
    )


def make_pairs(rows: int, seed: int) -> pl.DataFrame:
    """Rows like a busy week's, about 2.2 KB of text each: 2 % personal data, 8 % near and 2 % exact duplicates."""
    rng = random.Random(seed)
    sentences = _sentences(rng)
    columns: dict[str, list[str | None]] = {"prompt": [], "chosen": [], "rejected": [], "tools": []}
    tools = [json.dumps([{"name": f"tool_{number}", "parameters": {"type": "object"}}]) for number in range(20)]

    def add(prompt: str, chosen: str, rejected: str) -> None:
        columns["prompt"].append(prompt)
        columns["chosen"].append(chosen)
        columns["rejected"].append(rejected)
        columns["tools"].append(rng.choice(tools) if rng.random() < 0.1 else None)

    def earlier(name: str, row: int) -> str:
        return columns[name][row] or ""

    for row in range(rows):
        kind = rng.random()
        other = rng.randrange(row) if row else 0
        if row and kind < 0.02:
            add(earlier("prompt", other), earlier("chosen", other), earlier("rejected", other))
        elif row and kind < 0.10:
            changed = earlier("chosen", other).replace(" a", " the a", 2)
            add(earlier("prompt", other), changed, earlier("rejected", other))
        elif row and kind < 0.11:
            add(earlier("prompt", other), earlier("rejected", other), earlier("chosen", other))
        else:
            prompt = f"Analyze @{rng.randrange(40_000)}: {rng.choice(sentences)}"
            if kind > 0.9:
                messages = [
                    {"role": "system", "content": "You research companies."},
                    {"role": "user", "content": prompt},
                ]
                prompt = json.dumps(messages, ensure_ascii=False, separators=(",", ":"))
            chosen, rejected = (" ".join(rng.choices(sentences, k=SENTENCES_PER_ANSWER)) for _ in range(2))
            add(prompt, f"{chosen} {_personal(rng)}" if 0.5 < kind < 0.52 else chosen, rejected)
    return _with_other_columns(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), rng)


def _with_other_columns(texts: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    rows = len(texts)
    moments: list[datetime] = [WEEK.start + timedelta(seconds=rng.randrange(7 * 86_400)) for _ in range(rows)]
    made = texts.with_columns(
        id=pl.Series([f"{rng.getrandbits(128):032x}" for _ in range(rows)]),
        user_id=pl.Series([f"user-{min(rng.randrange(500), rng.randrange(500))}" for _ in range(rows)]),
        created_at=pl.Series(moments, dtype=pl.Datetime("us", "UTC")),
        source=pl.lit("edit"),
        review_status=pl.lit("pending"),
        score=pl.lit(2.0),
    )
    return made.with_columns(
        feedback_id="id",
        updated_at="created_at",
        model_version=pl.lit("base"),
        metadata=pl.lit(None, dtype=pl.String),
    )


def _no_feedback() -> pl.DataFrame:
    names = ("id", "user_id", "feedback_type", "prompt", "response", "tools", "model_version")
    moment = pl.Datetime("us", "UTC")
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), "score": pl.Float64, "created_at": moment})


def main() -> int:
    """Measure once, and say whether the target is met."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = make_pairs(ROWS, seed=7)
        size = sum(pairs[name].str.len_bytes().sum() or 0 for name in ("prompt", "chosen", "rejected")) / ROWS
        pairs.write_parquet(Path(folder, "pairs.parquet"))
        # A tenth of the earlier week comes back in this one.
        earlier = pl.concat([make_pairs(EARLIER // 10, seed=7), make_pairs(EARLIER * 9 // 10, seed=8)])
        earlier.write_parquet(Path(folder, "earlier.parquet"))
        _no_feedback().write_parquet(Path(folder, "feedback.parquet"))
        del pairs
        command = [sys.executable, "-c", CURATE, folder]
        measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    for stage, seconds, kept in measured["stages"]:
        print(f"  {stage:<24} {ROWS / max(seconds, 1e-9):>12,.0f} rows/s  {seconds:>7.2f} s  {kept:>8,} rows kept")
    print("  " + ", ".join(f"{name} {count:,}" for name, count in measured["counts"].items()))
    rate = ROWS / measured["seconds"]
    met = rate >= TARGET_ROWS_PER_SECOND
    processor = f"{measured['processor']:.1f} s of processor time"
    print(
        f"curation: {ROWS:,} pairs of {size:,.0f} bytes in {measured['seconds']:.1f} s ({processor}), "
        f"{rate:,.0f} rows/s (target {TARGET_ROWS_PER_SECOND:,}: {'met' if met else 'MISSED'}), "
        f"peak memory {measured['peak']:,.0f} MB, of which {measured['loaded']:,.0f} MB before it began"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
