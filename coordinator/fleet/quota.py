"""How much of something each of many may have in an hour, so that none of them fills what is kept for all. Pure."""

from datetime import datetime, timedelta

ACTS_AN_HOUR = 100
"""of one node, in the audit log, beside what it calls"""
WINDOW = timedelta(hours=1)
MAX_KNOWN = 10_000
"""Keys in an hour; whoever comes after that many others gets nothing."""


class Quota:
    """At most so many for each key in every hour."""

    def __init__(self, most: int, most_keys: int = MAX_KNOWN) -> None:
        self._most, self._most_keys = most, most_keys
        self._since: datetime | None = None
        self._taken: dict[str, int] = {}

    def take(self, key: str, now: datetime) -> bool:
        """Whether there is one more."""
        if self._since is None or not timedelta(0) <= now - self._since < WINDOW:
            self._since, self._taken = now, {}
        taken = self._taken.get(key, 0)
        if taken >= self._most or (taken == 0 and len(self._taken) >= self._most_keys):
            return False
        self._taken[key] = taken + 1
        return True
