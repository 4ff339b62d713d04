"""Decides when a lost connection to the broker is tried again. No clock, no socket.

Delays double per failed attempt and are drawn at random, so that coordinators and nodes that lost the same broker do
not come back in step. (paho's own schedule doubles without randomness.)
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds between attempts. A refusal is not cured by trying often: it has a delay of its own."""

    shortest_s: float = 0.5
    longest_s: float = 15.0
    refused_s: float = 15.0


DEFAULT_BACKOFF = Backoff()


def reconnect_delay(backoff: Backoff, attempt: int, refused: bool, random: float) -> float:
    """Seconds before the next attempt, after `attempt` failed ones in a row (from 0); `random` is uniform in 0..1."""
    if refused:
        return backoff.refused_s * (1 + random)
    ceiling = min(backoff.longest_s, backoff.shortest_s * 2.0 ** min(attempt + 1, 16))
    return backoff.shortest_s + random * (ceiling - backoff.shortest_s)
