"""Decides whether a certificate's times are in order, by what a node knows of the time. Pure.

A device without a clock of its own boots in 1970, another one in 2046. So OpenSSL is told not to look at times; what
is certain is said here: a time that was signed by the coordinator is over (`earliest`), and a fresh one bounds the
present from both sides.
"""

from datetime import UTC, datetime

import msgspec

TOLERANCE_S = 300.0
"""How far a coordinator's clock and the node's knowledge of it may be apart."""


class KnownTime(msgspec.Struct, frozen=True):
    """What is known of the present, in seconds since 1970: it is not before `earliest`, and not after `latest`."""

    earliest: float = 0.0
    latest: float | None = None


UNKNOWN = KnownTime()
"""Nothing is known of the time: no certificate is too old or too young."""


def out_of_time(not_before: float, not_after: float, known: KnownTime) -> str:
    """Why a certificate with these times is not valid now; empty where it is, or where nobody can tell."""
    if known.earliest > not_after + TOLERANCE_S:
        return f"it expired on {_day(not_after)}"
    if known.latest is not None and known.latest < not_before - TOLERANCE_S:
        return f"it is not valid before {_day(not_before)}"
    return ""


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
