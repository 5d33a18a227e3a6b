"""Database URLs: one spelling that every driver takes, TLS off loopback, and no password in any message."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode

from grpo_pipeline.errors import PipelineError

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"}
# A password may hold any character, unescaped too: it ends at the last "@" that a host can follow.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+]*)://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@/?#:\[\]]*)(?::(?P<port>[0-9]+))?"
    r"(?:/(?P<database>[^?#/@]*))?"
    r"(?:\?(?P<options>[^#]*))?",
    re.IGNORECASE,
)
# What libpq understands and a pooler lets through. Tools write their own options into these URLs (`pgbouncer=true`,
# `prepareThreshold`, `connection_limit`, `schema`), and libpq refuses a URL with an option it does not know.
_KEPT_OPTIONS = {
    "host", "hostaddr", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "gssencmode",
    "application_name", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", "target_session_attrs", "options",
}  # fmt: skip
_WEAK_TLS = {"", "disable", "allow", "prefer"}
_CONNECT_TIMEOUT_SECONDS = "15"


@dataclass(frozen=True)
class _Url:
    user: str | None
    password: str | None
    host: str
    port: str | None
    database: str
    options: dict[str, str]

    @property
    def is_local(self) -> bool:
        host = self.options.get("hostaddr") or self.options.get("host") or self.host
        if host == "" or host.startswith(("/", "@")) or host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return False

    def render(self, scheme: str, password: str | None) -> str:
        login = "" if self.user is None else quote(self.user, safe="")
        if password is not None:
            login += ":" + password
        where = (login + "@" if login else "") + self.host + (f":{self.port}" if self.port else "")
        options = "?" + urlencode(self.options, quote_via=quote) if self.options else ""
        return f"{scheme}://{where}/{quote(self.database, safe='')}{options}"


def normalize_database_url(url: str) -> str:
    """The URL as `postgresql://...` with only options that libpq knows, and with TLS unless it stays on this machine.

    Direct, session-pooler and transaction-pooler URLs come out the same way; doing it twice changes nothing.

    Raises:
        PipelineError: the text is no Postgres URL.
    """
    parts = _parse(url)
    options = {name: value for name, value in parts.options.items() if name in _KEPT_OPTIONS}
    if not parts.is_local and options.get("sslmode", "") in _WEAK_TLS:
        options["sslmode"] = "require"
    options.setdefault("connect_timeout", _CONNECT_TIMEOUT_SECONDS)
    clean = _Url(parts.user, parts.password, parts.host, parts.port, parts.database or "postgres", options)
    return clean.render("postgresql", None if parts.password is None else quote(parts.password, safe=""))


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    """The same database for SQLAlchemy, with the driver named so that its default never decides."""
    return normalize_database_url(url).replace("postgresql://", f"postgresql+{driver}://", 1)


def redact_url(url: str) -> str:
    """The URL for messages: the password is replaced, and a text that is no URL is not shown at all."""
    try:
        parts = _parse(url)
    except PipelineError:
        return "(not a Postgres URL)"
    shown = {name: value for name, value in parts.options.items() if name in _KEPT_OPTIONS}
    without_secrets = _Url(parts.user, parts.password, parts.host, parts.port, parts.database, shown)
    return without_secrets.render("postgresql", None if parts.password is None else "***")


def split_password(url: str) -> tuple[str, str | None]:
    """The normal URL without its password, and the password."""
    parts = _parse(normalize_database_url(url))
    return parts.render("postgresql", None), parts.password


def host_of(url: str) -> str:
    """The host name in the URL, for messages."""
    parts = _parse(url)
    return parts.options.get("host") or parts.host or "localhost"


def _parse(url: str) -> _Url:
    match = _URL.fullmatch(url.strip().strip("\"'"))
    if match is None or match["scheme"].lower() not in _SCHEMES:
        raise PipelineError(
            "The database URL is not a Postgres URL: set GRPO_DATABASE_URL to "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or leave it unset for the embedded server."
        )
    password = None if match["password"] is None else unquote(match["password"])
    if password is not None and re.fullmatch(r"\[.*PASSWORD.*\]", password, re.IGNORECASE):
        raise PipelineError(
            "The database URL still holds the password placeholder: put the database password in GRPO_DATABASE_URL."
        )
    options = dict(parse_qsl(match["options"] or "", keep_blank_values=True))
    user = None if match["user"] is None else unquote(match["user"])
    return _Url(user, password, match["host"], match["port"], unquote(match["database"] or ""), options)
