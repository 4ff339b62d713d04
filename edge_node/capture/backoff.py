"""Decides how long to wait before a source is tried again: doubling, capped, with jitter. Chance is an argument."""

FIRST_S = 0.5
MOST_S = 30.0


def retry_delay_s(attempt: int, chance: float) -> float:
    """Seconds before attempt number `attempt` (the first is 1).

    The delay doubles from `FIRST_S` to `MOST_S`; `chance` in 0..1 takes up to half of it away, so that many cameras
    behind one switch don't come back at once.
    """
    full = min(MOST_S, FIRST_S * 2.0 ** min(attempt - 1, 16))
    return full * (1 - chance / 2)
