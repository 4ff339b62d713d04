"""Times as people write them: `5m`, `2h`, `7d` ago, or RFC 3339. Pure: now comes in."""

import re
from datetime import UTC, datetime, timedelta

from coordinator.errors import WrongUsage

_AGO = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, option: str, now: datetime) -> str:
    """The moment as RFC 3339 UTC; a time without a zone is UTC.

    Raises:
        WrongUsage: neither a duration nor a time.
    """
    ago = _AGO.fullmatch(text)
    try:
        at = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise WrongUsage(
            f"{option} {text!r}: write a duration like 5m, 2h or 7d, or a time like 2026-05-01T10:00:00Z"
        ) from None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
