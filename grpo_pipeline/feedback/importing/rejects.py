"""The rejects file: which records were not imported and why, without a word of what they said."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType

from grpo_pipeline.errors import PipelineError


class RejectsFile:
    """Collects rejected records as JSON lines and puts the file in place at the end, where there were any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many records were rejected."""
        return self.reasons.total()

    def add(self, line: int, reason: str) -> None:
        """Note one rejected record by its line or position, from 1."""
        self.reasons[reason] += 1
        self._handle.write(json.dumps({"line": line, "reason": reason}, ensure_ascii=False) + "\n")

    def __enter__(self) -> RejectsFile:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=".rejects-", delete=False, encoding="utf-8"
            )
        except OSError as error:
            raise PipelineError(
                f"The rejects file {self.path} cannot be written ({error.strerror}): give another with --rejects."
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.close()
        written = Path(self._handle.name)
        if kind is None and self.count:
            written.replace(self.path)
            return
        written.unlink()
        if kind is None:
            # The rejects of an earlier, worse version of the same source are no longer true.
            self.path.unlink(missing_ok=True)
