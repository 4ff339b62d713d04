"""Names of the time partitions, and when one goes. No clock: the day comes in.

One table holds the results that arrived on one UTC day. The day of arrival, not of capture: a node's clock may be
wrong, and an old partition must never be written again. So a whole table is dropped, in no time, and nothing else.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta

_NAME = re.compile(r"results_(\d{8})")


def partition_of(day: date) -> str:
    """The table of a UTC day: `results_20261122`."""
    return f"results_{day:%Y%m%d}"


def day_of(table: str) -> date | None:
    """The day that a table is the partition of; None for any other table."""
    match = _NAME.fullmatch(table)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d").date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return None


def partitions(tables: Iterable[str]) -> list[str]:
    """The partitions among the tables, oldest first."""
    return sorted(table for table in tables if day_of(table) is not None)


def expired(tables: Iterable[str], today: date, keep_days: int) -> list[str]:
    """The partitions that hold nothing of the last `keep_days` full days and today; none where `keep_days` is 0."""
    if keep_days <= 0:
        return []
    first_kept = partition_of(today - timedelta(days=keep_days))
    return [table for table in partitions(tables) if table < first_kept]
