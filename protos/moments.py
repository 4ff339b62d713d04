"""Moments in documents: aware datetimes, RFC 3339 in JSON."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says its zone. msgspec reads and writes it as RFC 3339."""


def rfc3339(moment: datetime) -> str:
    """The time in UTC as RFC 3339, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
