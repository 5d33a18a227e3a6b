"""The artifact store: every output of the pipeline, published whole under a name made from its content.

`<root>/<asset>/<week>/<hash>/` holds one version with its `manifest.json`; `<root>/<asset>/<week>/current` names the
version in use. A version is written beside its place, flushed to disk and renamed, so a reader sees all of it or none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grpo_pipeline.errors import PipelineError

MANIFEST = "manifest.json"
CURRENT = "current"
# Decided or recorded after the content was made, so that the same content keeps the same hash.
OUTSIDE_HASH = ("hash", "verdict", "published_at")


@dataclass(frozen=True)
class Artifact:
    """One published version of one asset's week."""

    asset: str
    week: str
    hash: str
    path: Path
    manifest: dict[str, Any]


def file_digest(path: Path) -> str:
    """SHA-256 of one file, as hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """JSON that is equal where the values are equal: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def content_hash(directory: Path, manifest: Mapping[str, Any]) -> str:
    """16 hex digits over a directory's files (names and bytes) and its manifest, less what is decided later."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    listing = {path.relative_to(directory).as_posix(): file_digest(path) for path in files}
    stated = {key: value for key, value in manifest.items() if key not in OUTSIDE_HASH}
    return hashlib.sha256(canonical_json([listing, stated]).encode()).hexdigest()[:16]


def write_atomically(path: Path, text: str) -> None:
    """Replace a small text file so that a crash leaves the old or the new one, never half of either."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    Path(handle.name).replace(path)


def flush_tree(directory: Path) -> None:
    """Bring every file under a folder, and the folder itself, to disk."""
    for path in [*directory.rglob("*"), directory]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class ArtifactStore:
    """Publishes and finds the pipeline's outputs under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @contextmanager
    def draft(self, asset: str) -> Iterator[Path]:
        """An empty folder on the store's own disk; what is not published from it is removed.

        Raises:
            PipelineError: the root cannot be written.
        """
        parent = self.root / asset
        try:
            parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=parent))
        except OSError as error:
            raise PipelineError(
                f"The artifact store {self.root} cannot be written ({error.strerror}): give the user who runs the "
                "pipeline write access, or set GRPO_ARTIFACT_ROOT to another folder."
            ) from error
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(
        self,
        draft: Path,
        asset: str,
        week: str,
        manifest: Mapping[str, Any],
        *,
        hash: str | None = None,
        keep_older: bool = False,
    ) -> Artifact:
        """Make a draft the current version of an asset's week, and remove the versions it replaces.

        The same content published again keeps its folder and hash; only what its manifest decides later is renewed.
        """
        digest = hash or content_hash(draft, manifest)
        full = {
            "asset": asset,
            "week": week,
            **manifest,
            "hash": digest,
            "published_at": datetime.now(UTC).isoformat(),
        }
        home = self.root / asset / week
        place = home / digest
        home.mkdir(parents=True, exist_ok=True)
        text = json.dumps(full, indent=2, ensure_ascii=False, default=str)
        write_atomically((place if place.exists() else draft) / MANIFEST, text)
        if not place.exists():
            # The folder keeps mkdtemp's mode 0700: it holds what users wrote.
            flush_tree(draft)
            draft.rename(place)
        write_atomically(home / CURRENT, digest)
        if not keep_older:
            self._remove_others(home, digest)
        return Artifact(asset, week, digest, place, full)

    def latest(self, asset: str, week: str) -> Artifact | None:
        """The version in use of an asset's week, or None where nothing was published."""
        pointer = self.root / asset / week / CURRENT
        if not pointer.exists():
            return None
        return self.version(asset, week, pointer.read_text(encoding="utf-8").strip())

    def version(self, asset: str, week: str, digest: str) -> Artifact:
        """One published version by its hash."""
        place = self.root / asset / week / digest
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        return Artifact(asset, week, digest, place, manifest)

    def versions(self, asset: str) -> list[Artifact]:
        """Every version of an asset still on disk, by week."""
        places = sorted((self.root / asset).glob(f"*/*/{MANIFEST}"))
        return [self.version(asset, place.parts[-3], place.parts[-2]) for place in places]

    def require(self, asset: str, week: str) -> Artifact:
        """The version in use of an asset's week.

        Raises:
            PipelineError: nothing was published for that week yet.
        """
        found = self.latest(asset, week)
        if found is None:
            raise PipelineError(
                f"{asset} of week {week} does not exist yet: materialize it first, in the UI or with "
                f"`grpo-pipeline backfill --from {week} --to {week}`."
            )
        return found

    def weeks(self, asset: str) -> list[str]:
        """The weeks of which an asset has a version in use, earliest first."""
        return sorted(pointer.parent.name for pointer in (self.root / asset).glob(f"*/{CURRENT}"))

    def _remove_others(self, home: Path, digest: str) -> None:
        for place in home.iterdir():
            if place.is_dir() and place.name != digest:
                shutil.rmtree(place)
