"""What went wrong with a database, as one sentence with what to do; never a password, never a value from a row."""

from __future__ import annotations

import psycopg
from psycopg import errors

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.postgres.urls import host_of, redact_url

_UNREACHABLE = ("timeout expired", "timed out", "network is unreachable", "no route to host", "cannot assign requested")
_UNKNOWN_HOST = ("could not translate host name", "failed to resolve host", "name or service not known", "getaddrinfo")
_WRONG_LOGIN = (
    "password authentication failed", "tenant or user not found", "sasl authentication failed", "no password supplied",
    "fe_sendauth", "no such user", "wrong password", "authentication failed",
)  # fmt: skip
_NO_TLS = ("server does not support ssl", "ssl was required", "ssl negotiation", "requires ssl")
_LOST = (
    "server closed the connection",
    "terminating connection",
    "connection is lost",
    "connection reset",
    "eof detected",
)


def connection_problem(detail: str, url: str) -> PipelineError:
    """The error for a connection that could not be made or broke, from what the driver said about it."""
    said = detail.lower()
    host, shown = host_of(url), redact_url(url)
    if any(sign in said for sign in _WRONG_LOGIN):
        return PipelineError(f"The database refused the user or the password of {shown}: check GRPO_DATABASE_URL.")
    if any(sign in said for sign in _UNKNOWN_HOST):
        hint = _direct_hint(host)
        return PipelineError(f"The database host {host} is unknown: check GRPO_DATABASE_URL and the network.{hint}")
    if "does not exist" in said and "database" in said:
        return PipelineError(f"The server has no such database: check the name at the end of {shown}.")
    if any(sign in said for sign in _NO_TLS):
        return PipelineError(
            f"The database server at {host} offers no TLS, which is required off this machine: switch it on there."
        )
    if "certificate verify failed" in said or "root certificate" in said:
        return PipelineError(
            f"The certificate of {host} cannot be verified: set sslrootcert in GRPO_DATABASE_URL to the file with "
            "the server's root certificate."
        )
    if "connection refused" in said:
        return PipelineError(f"No database answers at {shown}: start it, or correct GRPO_DATABASE_URL.")
    if any(sign in said for sign in _UNREACHABLE):
        hint = _direct_hint(host)
        return PipelineError(f"The database host {host} cannot be reached: check the network and the port.{hint}")
    if any(sign in said for sign in _LOST):
        return PipelineError(f"The connection to {shown} broke off: see that the database runs, then run this again.")
    return PipelineError(f"The database {shown} cannot be used: {_first_line(detail)}")


def database_problem(error: psycopg.Error, url: str) -> PipelineError:
    """The error for a statement that failed, from its class alone where the message could quote a row."""
    shown = redact_url(url)
    message = error.diag.message_primary or _first_line(str(error))
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        return PipelineError(
            f"The database {shown} lacks what this version needs ({message}): run `grpo-pipeline db migrate`."
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return PipelineError(f"The user of {shown} may not do this ({message}): use the owner of the tables.")
    if isinstance(error, errors.QueryCanceled):
        return PipelineError(f"The database {shown} stopped a statement that took too long: raise its time limit.")
    if isinstance(error, errors.LockNotAvailable):
        return PipelineError(f"A table in {shown} is locked by someone else: try again when they are done.")
    if isinstance(error, errors.DiskFull):
        return PipelineError(f"The disk of the database {shown} is full: free some space, then run this again.")
    if isinstance(error, psycopg.OperationalError):
        return connection_problem(str(error), url)
    if isinstance(error, psycopg.IntegrityError | psycopg.DataError):
        constraint = error.diag.constraint_name
        rule = f" (rule {constraint})" if constraint else ""
        return PipelineError(f"The database {shown} refused a value{rule}: {type(error).__name__}.")
    return PipelineError(f"The database {shown} reports: {message}")


def _direct_hint(host: str) -> str:
    """Supabase's direct host has only an IPv6 address, which many networks cannot reach."""
    if host.startswith("db.") and host.endswith(".supabase.co"):
        return " This is Supabase's direct address, which needs IPv6: use the session pooler's URL instead."
    return ""


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "no reason given."
