"""Where the project's SQL lies: in the checkout, or packaged with the installed project."""

from __future__ import annotations

from pathlib import Path

from grpo_pipeline.errors import PipelineError

_PACKAGE = Path(__file__).resolve().parents[1]


def sql_folder() -> Path:
    """The folder with `migrations/`, `local/` and `queries/`.

    Raises:
        PipelineError: the installation lacks the SQL files.
    """
    for folder in (_PACKAGE / "_sql", _PACKAGE.parent / "sql"):
        if (folder / "migrations").is_dir():
            return folder
    raise PipelineError(f"The SQL files are missing beside {_PACKAGE}: install grpo_pipeline again.")
