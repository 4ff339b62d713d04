"""A token bucket: so many requests a second, and some more at once. Pure: the time is an argument."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """`per_s` tokens come each second, `burst` fit."""

    per_s: float
    burst: int


@dataclass(slots=True)
class Bucket:
    """The tokens of one client, as of a time."""

    tokens: float
    at: float


def full(rate: Rate, now: float) -> Bucket:
    """The bucket of a client who has not asked for long."""
    return Bucket(float(rate.burst), now)


def take(bucket: Bucket, rate: Rate, now: float) -> float:
    """Take a token: 0 where there was one, else the seconds until there is one (nothing is taken then).

    A clock that goes back brings no tokens and takes none away.
    """
    come = max(0.0, now - bucket.at) * rate.per_s
    bucket.tokens = min(float(rate.burst), bucket.tokens + come)
    bucket.at = max(bucket.at, now)
    if bucket.tokens >= 1.0:
        bucket.tokens -= 1.0
        return 0.0
    return (1.0 - bucket.tokens) / rate.per_s


def is_full(bucket: Bucket, rate: Rate, now: float) -> bool:
    """Whether a new bucket would be the same, so that this one can be forgotten."""
    return bucket.tokens + max(0.0, now - bucket.at) * rate.per_s >= rate.burst
