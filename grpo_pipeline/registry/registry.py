"""The model registry: which policies were trained, and which one is in use.

Every change is one transaction that holds the table against other changes (readers are not held up), so that of any
number of promotions at once each sees the outcome of the one before, and there is one champion at every moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.connection import transaction
from grpo_pipeline.registry.changes import say_who
from grpo_pipeline.registry.model_version import COLUMNS, ModelVersion
from grpo_pipeline.weeks import Week

Cursor = psycopg.Cursor[dict[str, Any]]

SELECT = f"select {', '.join(COLUMNS)} from public.model_versions"
LOCK = "lock table public.model_versions in share row exclusive mode"
# A version that was once in use keeps the status that people gave it, however often its week is made again.
REGISTER = """
insert into public.model_versions (version, week, base_model, adapter_location, dataset_hash, config_hash, verdict,
  metrics, status, status_reason)
values (%(version)s, %(week)s, %(base_model)s, %(adapter_location)s, %(dataset_hash)s, %(config_hash)s, %(verdict)s,
  %(metrics)s, %(status)s, %(status_reason)s)
on conflict (version) do update set week = excluded.week, base_model = excluded.base_model,
  adapter_location = excluded.adapter_location, dataset_hash = excluded.dataset_hash,
  config_hash = excluded.config_hash, verdict = excluded.verdict, metrics = excluded.metrics,
  status = case when model_versions.promoted_at is null then excluded.status else model_versions.status end,
  status_reason = case when model_versions.promoted_at is null then excluded.status_reason
    else model_versions.status_reason end
"""
RETIRE = "update public.model_versions set status = %s, status_reason = %s where status = 'champion'"
CROWN = """
update public.model_versions set status = 'champion', status_reason = %s, promoted_at = clock_timestamp(),
  promoted_by = %s where version = %s
"""
PREVIOUS = f"{SELECT} where status = 'retired' and promoted_at < %s order by promoted_at desc limit 1"
RESTORE = "update public.model_versions set status = 'champion', status_reason = %s where version = %s"


class UnknownVersionError(PipelineError):
    """There is no version of that name."""


class NothingToRollBackError(PipelineError):
    """There is no champion, or none before it."""


@dataclass(frozen=True)
class Promotion:
    """What came of asking to promote a version: the champion afterwards, and why it is or is not the one asked for."""

    outcome: Literal["promoted", "already_champion", "refused"]
    reason: str
    champion: ModelVersion | None
    previous: ModelVersion | None


class ModelRegistry:
    """Reads and changes the table `model_versions` of one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def list(self) -> list[ModelVersion]:
        """Every version, the latest week first."""
        with self._cursor() as cursor:
            return _read(cursor, f"{SELECT} order by week desc, created_at desc, version")

    def get(self, version: str) -> ModelVersion:
        """One version by its name.

        Raises:
            PipelineError: there is no such version.
        """
        with self._cursor() as cursor:
            return _get(cursor, version)

    def champion(self) -> ModelVersion | None:
        """The version in use, or None before the first promotion."""
        with self._cursor() as cursor:
            return _champion(cursor)

    def champion_before(self, week: Week) -> ModelVersion | None:
        """The latest version of an earlier week that is in use, or was until another took its place."""
        with self._cursor() as cursor:
            query = f"{SELECT} where status in ('champion', 'retired') and week < %s order by promoted_at desc limit 1"
            return next(iter(_read(cursor, query, week.key)), None)

    def last_trained(self, before: Week) -> ModelVersion | None:
        """The latest version trained on an earlier week, whatever became of it."""
        with self._cursor() as cursor:
            query = f"{SELECT} where week < %s order by week desc, created_at desc, version limit 1"
            return next(iter(_read(cursor, query, before.key)), None)

    def register(self, model: ModelVersion) -> ModelVersion:
        """Add a version, or renew what is known about it, as it now stands in the registry.

        A new version is a `candidate` or `rejected`; only promotion makes a champion. Registering a version again
        renews its verdict and metrics, and its status too unless it was in use before.
        """
        if model.status not in ("candidate", "rejected"):
            raise ValueError(f"a version is registered as candidate or rejected, not as {model.status}")
        values = {
            **model.as_json(),
            "verdict": Jsonb(model.verdict.as_manifest() if model.verdict else {}),
            "metrics": Jsonb(_finite(model.metrics)),
        }
        with self._cursor() as cursor:
            cursor.execute(REGISTER, values)
            return _get(cursor, model.version)

    def promote(self, version: str, by: str, reason: str, *, force: bool = False) -> Promotion:
        """Put a version in use in place of the champion, or say why not; asking again changes nothing.

        Refused unless forced: a version whose verdict is not `pass`, one that was rejected or rolled back, and one of
        an older week than the champion's.

        Args:
            version: the version's name.
            by: who asks: a person, or the part of the pipeline.
            reason: why, for the registry.
            force: a person takes responsibility for it.

        Raises:
            PipelineError: there is no such version.
        """
        with self._cursor() as cursor:
            cursor.execute(LOCK)
            model, champion = _get(cursor, version), _champion(cursor)
            if model.status == "champion":
                return Promotion("already_champion", f"{version} is the champion already.", champion, None)
            refusal = None if force else _refusal(model, champion)
            if refusal:
                return Promotion("refused", refusal, champion, None)
            say_who(cursor.connection, by)
            cursor.execute(RETIRE, ("retired", f"replaced by {version}"))
            cursor.execute(CROWN, (reason, by, version))
            previous = _get(cursor, champion.version) if champion else None
            return Promotion("promoted", reason, _get(cursor, version), previous)

    def rollback(self, by: str, reason: str, *, of: str | None = None) -> Promotion:
        """Put the champion before this one back in use; the one rolled back is rejected, so no rerun brings it back.

        Args:
            by: who asks: a person, or the part of the pipeline.
            reason: why, for the registry.
            of: the champion that is meant, for who judged it some time ago; unset: whichever it is.

        Raises:
            PipelineError: there is no champion, another one than the one meant, or none before it.
        """
        with self._cursor() as cursor:
            cursor.execute(LOCK)
            champion = _champion(cursor)
            if champion is None:
                raise NothingToRollBackError(
                    "There is no champion to roll back: `grpo-pipeline models promote` names one."
                )
            if of not in (None, champion.version):
                raise NothingToRollBackError(f"{of} is not the champion any more, {champion.version} is.")
            earlier = _read(cursor, PREVIOUS, champion.promoted_at)
            if not earlier:
                raise NothingToRollBackError(
                    f"There is no champion before {champion.version} to go back to: "
                    "`grpo-pipeline models promote` puts another version in its place."
                )
            why = f"rolled back by {by}: {reason}"
            say_who(cursor.connection, by)
            cursor.execute(RETIRE, ("rejected", why))
            cursor.execute(RESTORE, (f"back in use, {champion.version} was {why}", earlier[0].version))
            back, rejected = _get(cursor, earlier[0].version), _get(cursor, champion.version)
            return Promotion("promoted", f"{champion.version} was {why}", back, rejected)

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with transaction(self._url) as connection, connection.cursor(row_factory=dict_row) as cursor:
            yield cursor


def _finite(value: Any) -> Any:  # noqa: ANN401
    """A metric as JSON can hold it: no number is null where it came out as NaN or infinite."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refusal(model: ModelVersion, champion: ModelVersion | None) -> str | None:
    if model.status == "rejected":
        return f"{model.version} was rejected ({model.status_reason or 'no reason given'})."
    if model.verdict is None:
        return f"{model.version} was not evaluated."
    if not model.verdict.passed:
        return f"{model.version} did not pass its evaluation ({model.verdict.status}: {model.verdict.reason})."
    if champion and model.week < champion.week:
        return (
            f"{model.version} is of week {model.week.key}, older than the champion {champion.version} "
            f"of week {champion.week.key}."
        )
    return None


def _champion(cursor: Cursor) -> ModelVersion | None:
    return next(iter(_read(cursor, f"{SELECT} where status = 'champion'")), None)


def _get(cursor: Cursor, version: str) -> ModelVersion:
    found = _read(cursor, f"{SELECT} where version = %s", version)
    if not found:
        raise UnknownVersionError(
            f"There is no model version '{version}': `grpo-pipeline models list` shows those there are."
        )
    return found[0]


def _read(cursor: Cursor, query: str, *values: object) -> list[ModelVersion]:
    return [ModelVersion.from_row(row) for row in cursor.execute(query, values)]
