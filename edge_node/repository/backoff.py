"""When a process that has died is started again. Pure: at once the first time, then ever later."""

FIRST_S = 0.1
LONGEST_S = 30.0
FORGIVEN_S = 30.0
"""A life of so long makes up for earlier deaths."""


def deaths_after(deaths: int, lived_s: float) -> int:
    """How many deaths count after one more."""
    return 1 if lived_s > FORGIVEN_S else deaths + 1


def wait_s(deaths: int) -> float:
    """Seconds until the next life."""
    return min(LONGEST_S, FIRST_S * 3.0 ** min(deaths - 1, 10))
