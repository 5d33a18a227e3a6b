from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from grpo_pipeline.artifacts import Artifact, ArtifactStore
from grpo_pipeline.feedback.erasure import RECEIPTS, erase_rows


def publish(store: ArtifactStore, asset: str, week: str, files: dict[str, pl.DataFrame]) -> Artifact:
    with store.draft(asset) as draft:
        for name, frame in files.items():
            path = draft / name
            path.parent.mkdir(exist_ok=True)
            frame.write_parquet(path)
        return store.publish(draft, asset, week, {}, keep_older=True)


def samples(*ids: str | None) -> pl.DataFrame:
    return pl.DataFrame({"pair_id": ids, "completion": [f"text of {name}" for name in ids]})


def test_deleted_rows_leave_every_version_of_every_kept_sample(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = publish(store, "grpo_policy", "2026-11-02", {"completions/1.parquet": samples("a", "b", "a", None)})
    new = publish(
        store,
        "grpo_policy",
        "2026-11-02",
        {
            "completions/1.parquet": samples("a"),
            "completions/2.parquet": samples("b"),
            "pair_ids.parquet": pl.DataFrame({"pair_id": ["a", "b"]}),
            "curves.parquet": pl.DataFrame({"step": [1]}),
        },
    )
    scores = publish(store, "policy_evaluation", "2026-11-09", {"answers.parquet": samples("a", "c")})

    receipts = erase_rows(store, {"a", "unknown"})

    assert pl.read_parquet(old.path / "completions/1.parquet").equals(samples("b", None))
    assert pl.read_parquet(new.path / "completions/1.parquet").is_empty()
    assert pl.read_parquet(new.path / "completions/1.parquet").schema == samples("a").schema
    assert pl.read_parquet(new.path / "completions/2.parquet").height == 1
    assert pl.read_parquet(new.path / "pair_ids.parquet").height == 2
    assert pl.read_parquet(scores.path / "answers.parquet")["pair_id"].to_list() == ["c"]
    assert {(item.asset, item.hash, item.file, item.rows) for item in receipts} == {
        ("grpo_policy", old.hash, "completions/1.parquet", 2),
        ("grpo_policy", new.hash, "completions/1.parquet", 1),
        ("policy_evaluation", scores.hash, "answers.parquet", 1),
    }
    kept = json.loads((old.path / RECEIPTS).read_text())
    assert [(item["file"], item["ids"]) for item in kept] == [("completions/1.parquet", ["a"])]
    assert b"text of a" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.parquet"))


def test_erasing_again_removes_nothing_and_adds_no_receipt(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    policy = publish(store, "grpo_policy", "2026-11-02", {"completions/1.parquet": samples("a", "b")})
    assert len(erase_rows(store, ["a"])) == 1
    before = (policy.path / RECEIPTS).read_text()
    assert erase_rows(store, ["a"]) == []
    assert erase_rows(store, []) == []
    assert (policy.path / RECEIPTS).read_text() == before
    assert len(erase_rows(store, ["b"])) == 1
    assert len(json.loads((policy.path / RECEIPTS).read_text())) == 2
