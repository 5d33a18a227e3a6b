"""Which share of the users tries which version, and who is in it: the same user always, as long as the share stands."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.registry.changes import say_who

# In the order in which they started, so that one more takes users from the champion first.
SELECT = """
select c.version, c.share, c.started_at, c.started_by
from public.challengers c
join public.model_versions m using (version)
where m.status in ('candidate', 'retired')
order by c.started_at, c.version
"""
LOCK = "lock table public.challengers in share row exclusive mode"
STATUS = "select status from public.model_versions where version = %s"
# A share that grows keeps its beginning, and with it its users.
SET = """
insert into public.challengers (version, share, started_by) values (%s, %s, %s)
on conflict (version) do update set share = excluded.share, started_by = excluded.started_by
"""
END = "delete from public.challengers where version = %s"


@dataclass(frozen=True)
class Challenger:
    """A version that a share of the users tries."""

    version: str
    share: float
    started_at: datetime
    started_by: str


def challengers(url: str) -> list[Challenger]:
    """The challengers that there are, the oldest first."""
    with transaction(url) as connection, connection.cursor(row_factory=class_row(Challenger)) as cursor:
        return cursor.execute(SELECT).fetchall()


def set_share(url: str, version: str, share: float, by: str, reason: str | None = None) -> list[Challenger]:
    """Give a version a share of the users, another one, or with 0 none any more; the challengers afterwards.

    The change is kept in `model_changes` with who made it and why.

    Raises:
        PipelineError: there is no such version, it is the champion or was rejected, or the shares are too large.
    """
    if not 0 <= share < 1:
        raise PipelineError(f"A share of the users is at least 0 and less than 1, not {share}.")
    with transaction(url) as connection, connection.cursor(row_factory=class_row(Challenger)) as cursor:
        connection.execute(LOCK)
        say_who(connection, by, reason)
        if share == 0:
            connection.execute(END, (version,))
            return cursor.execute(SELECT).fetchall()
        status = connection.execute(STATUS, (version,)).fetchone()
        if status is None:
            raise PipelineError(
                f"There is no model version '{version}': `grpo-pipeline models list` shows those there are."
            )
        if status[0] not in ("candidate", "retired"):
            raise PipelineError(f"{version} cannot be a challenger: it is {status[0]}.")
        connection.execute(SET, (version, share, by))
        found = cursor.execute(SELECT).fetchall()
        if sum(item.share for item in found) >= 1:
            raise PipelineError("The shares of all challengers leave nothing to the champion: make this one smaller.")
        return found


def assigned(user: str, champion: str | None, found: Sequence[Challenger]) -> str | None:
    """The version that a user gets.

    Each challenger draws by a hash of its own, so that it is not the same users who try every one of them; a share that
    grows keeps the users it has.

    Args:
        user: the user's id, or anything that stands for one.
        champion: the version in use, None before the first promotion.
        found: the challengers in their order.
    """
    left = 1.0
    for item in found:
        if _draw(item.version, user) * left < item.share:
            return item.version
        left -= item.share
    return champion


def _draw(version: str, user: str) -> float:
    """A number from 0 to 1 that is always the same for a user and a version, and even over many users."""
    digest = hashlib.sha256(f"{version}\n{user}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
