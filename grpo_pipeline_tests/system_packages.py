"""Programs from the system's packages that some tests need."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require_program(name: str, package: str, *places: str) -> str:
    """The path of a program; without it the test skips and names the package, and on CI it fails."""
    found = shutil.which(name) or next((place for place in places if Path(place).exists()), None)
    if found:
        return found
    reason = f"needs {name}: install the system package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
