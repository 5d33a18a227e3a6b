from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from grpo_pipeline.artifacts import ArtifactStore
from grpo_pipeline.errors import PipelineError

WEEK = "2026-11-02"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def publish(store: ArtifactStore, text: str, **manifest: object) -> str:
    with store.draft("curated_pairs") as draft:
        (draft / "pairs.txt").write_text(text)
        return store.publish(draft, "curated_pairs", WEEK, manifest).hash


def test_the_same_content_gets_the_same_hash_whatever_is_decided_about_it(store: ArtifactStore) -> None:
    first = publish(store, "a", counts={"pairs": 1}, verdict={"status": "fail"})
    second = publish(store, "a", counts={"pairs": 1}, verdict={"status": "pass"})
    assert first == second
    assert store.require("curated_pairs", WEEK).manifest["verdict"] == {"status": "pass"}


def test_other_content_or_other_statements_get_another_hash(store: ArtifactStore) -> None:
    hashes = {publish(store, "a"), publish(store, "b"), publish(store, "a", counts={"pairs": 2})}
    assert len(hashes) == 3


def test_a_new_version_replaces_the_old_one_on_disk(store: ArtifactStore) -> None:
    publish(store, "old words")
    publish(store, "new words")
    kept = [path.read_text() for path in store.root.rglob("pairs.txt")]
    assert kept == ["new words"]


def test_older_versions_stay_where_asked(store: ArtifactStore) -> None:
    for text in ("a", "b"):
        with store.draft("grpo_policy") as draft:
            (draft / "adapter.txt").write_text(text)
            store.publish(draft, "grpo_policy", WEEK, {}, keep_older=True)
    assert len(store.versions("grpo_policy")) == 2


def test_a_failure_while_drafting_publishes_and_leaves_nothing(store: ArtifactStore) -> None:
    with pytest.raises(RuntimeError), store.draft("curated_pairs") as draft:
        (draft / "pairs.txt").write_text("half")
        raise RuntimeError
    assert store.latest("curated_pairs", WEEK) is None
    assert list((store.root / "curated_pairs").iterdir()) == []


def test_a_missing_week_is_named_with_the_command_that_makes_it(store: ArtifactStore) -> None:
    with pytest.raises(PipelineError, match=f"curated_pairs of week {WEEK}.*backfill --from {WEEK}"):
        store.require("curated_pairs", WEEK)


def test_weeks_are_those_with_a_version_in_use(store: ArtifactStore) -> None:
    assert store.weeks("curated_pairs") == []
    publish(store, "a")
    assert store.weeks("curated_pairs") == [WEEK]


def test_the_manifest_says_what_and_when(store: ArtifactStore) -> None:
    publish(store, "a", counts={"pairs": 3})
    artifact = store.require("curated_pairs", WEEK)
    written = json.loads((artifact.path / "manifest.json").read_text())
    assert written == artifact.manifest
    assert {"asset", "week", "hash", "published_at", "counts"} <= set(written)


def test_published_folders_are_for_their_owner_alone(store: ArtifactStore) -> None:
    publish(store, "a")
    assert stat.S_IMODE(store.require("curated_pairs", WEEK).path.stat().st_mode) == 0o700


def test_an_unwritable_root_is_one_clear_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with (
        pytest.raises(PipelineError, match="cannot be written.*GRPO_ARTIFACT_ROOT"),
        ArtifactStore(blocked / "artifacts").draft("curated_pairs"),
    ):
        pass
    assert blocked.is_file()
