"""Numbers and pictures as pages show them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

NOTHING = "–"


def percent(value: float | None) -> str:
    """A share, such as 61.2 %."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def percents(low: float | None, high: float | None) -> str:
    """An interval of shares."""
    return NOTHING if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    return NOTHING if value is None else f"{value:+.3f}"


def span(low: float | None, high: float | None) -> str:
    """An interval of differences."""
    return NOTHING if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def number(value: float | None) -> str:
    """Any number, to three digits."""
    return NOTHING if value is None else f"{value:.3g}"


def moment(value: datetime | None) -> str:
    """A moment, in UTC."""
    return NOTHING if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def picture(png: bytes | None) -> str | None:
    """A PNG as an address that holds it whole, None where there is none."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else None
