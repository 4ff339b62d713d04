"""Decides when a lost connection is tried again, and what a refusal means. No clock, no socket.

A broker that comes back meets its whole fleet at once: delays double per failed attempt and are drawn at random
between the shortest one and the doubled one. (paho's own `reconnect_delay_set` doubles without randomness.)
"""

from dataclasses import dataclass

LASTING_S = 10.0
"""A connection that lasted this long was a good one: the next loss begins with short delays again."""

ADVICE = {
    "Bad user name or password": "check the user name and the password",
    "Not authorized": "check the user name, the password and the broker's access rules",
    "Client identifier not valid": "the broker does not accept node ids as client identifiers",
    "Unsupported protocol version": "the broker must speak MQTT 3.1.1",
}

SHORT_S = 60.0
"""A broker that ends connections sooner, time and again, has given them to somebody else."""
RIVAL_AFTER = 4
RIVAL = (
    "connections are taken over time and again: does another device use this node's identity (a copied disk)? "
    "Give one of them its own with edge-node enroll TOKEN --again"
)


@dataclass(frozen=True)
class Backoff:
    """Seconds between attempts. A refusal is not cured by trying often: it has a delay of its own."""

    shortest_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 30.0


DEFAULT_BACKOFF = Backoff()


def reconnect_delay(backoff: Backoff, attempt: int, refused: bool, random: float) -> float:
    """Seconds to wait before the next attempt.

    Args:
        backoff: the bounds.
        attempt: how many attempts failed in a row, from 0.
        refused: whether the broker answered and said no.
        random: uniform in 0..1.
    """
    if refused:
        return backoff.refused_s * (1 + random)
    ceiling = min(backoff.longest_s, backoff.shortest_s * 2.0 ** min(attempt + 1, 16))
    return backoff.shortest_s + random * (ceiling - backoff.shortest_s)


def next_attempt(attempt: int, connected_s: float) -> int:
    """The count of failed attempts after a connection that lasted so long (0: it never came to be)."""
    return 0 if connected_s >= LASTING_S else attempt + 1


def next_short(short: int, connected_s: float) -> int:
    """The count of short connections in a row after one that lasted so long (0: it never came to be)."""
    if connected_s >= SHORT_S:
        return 0
    return short + (connected_s > 0)


def rivalry(state: str, short: int) -> str:
    """The state of a link, with what many short connections in a row mean."""
    return f"{state}; {RIVAL}" if short >= RIVAL_AFTER else state


def refusal(url: str, reason: str) -> str:
    """One line for a CONNACK that says no; `reason` is the name of its code."""
    advice = ADVICE.get(reason, "see the broker's log")
    return f"the broker at {url} refuses the connection: {reason.lower()}: {advice}"


def powerless(url: str) -> str:
    """One line for people, where the broker grants none of a node's own topics."""
    return f"the broker at {url} grants this node nothing: it was revoked, or the broker has not heard of it yet"
