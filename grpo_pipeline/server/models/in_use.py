"""Which versions are in use, as the running server knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row, tuple_row

from grpo_pipeline.registry.traffic import SELECT as CHALLENGERS
from grpo_pipeline.registry.traffic import Challenger, assigned
from grpo_pipeline.server.pool import Pool
from grpo_pipeline.server.refreshed import Refreshed

# How long a promotion that another process made may stay unknown.
REFRESH_SECONDS = 2.0
CHAMPION = "select version from public.model_versions where status = 'champion'"


@dataclass(frozen=True)
class InUse:
    """The champion and who challenges it."""

    champion: str | None
    challengers: Sequence[Challenger]


class ModelsInUse:
    """Says which version a user gets, without asking the database each time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known = Refreshed(self._read, REFRESH_SECONDS)

    async def of_user(self, user: str) -> tuple[str | None, bool]:
        """The version that a user gets, and whether it is a challenger."""
        known = await self.all()
        version = assigned(user, known.champion, known.challengers)
        return version, version != known.champion

    async def all(self) -> InUse:
        """The champion and who challenges it."""
        return await self._known.get()

    def changed(self) -> None:
        """Read again before the next answer."""
        self._known.forget()

    async def _read(self) -> InUse:
        async with self._pool.connection() as connection, connection.transaction():
            async with connection.cursor(row_factory=tuple_row) as cursor:
                champion = await (await cursor.execute(CHAMPION)).fetchone()
            async with connection.cursor(row_factory=class_row(Challenger)) as cursor:
                found = await (await cursor.execute(CHALLENGERS)).fetchall()
        return InUse(champion[0] if champion else None, found)
