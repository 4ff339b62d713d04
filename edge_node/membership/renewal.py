"""Decides when a node's certificate is renewed, and when a renewal that failed is tried again. Pure.

At half of its life, with a share of jitter that belongs to the certificate: a fleet that was enrolled in one morning
does not come back in one morning. An expired certificate is renewed in the same way, until the coordinator says no.
"""

import hashlib

JITTER = 0.1
"""The share of the life over which renewals are spread, beginning with the half."""
FIRST_S = 5.0
SHORTEST_CEILING_S, LONGEST_S = 30.0, 3600.0
EXPIRED_LONGEST_S = 600.0


def jitter_of(node: str, not_before: float) -> float:
    """A number in 0..1 that belongs to one certificate of one node, the same after every restart."""
    digest = hashlib.sha256(f"{node} {not_before:.0f}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def renewal_at(not_before: float, not_after: float, jitter: float) -> float:
    """When a certificate with these times is renewed, in seconds since 1970."""
    return not_before + (not_after - not_before) * (0.5 + JITTER * jitter)


def next_try_s(attempt: int, remaining_s: float, jitter: float) -> float:
    """Seconds until a failed renewal is tried again.

    Args:
        attempt: how many have failed in a row, from 1.
        remaining_s: how long the certificate is still valid; negative: it has expired.
        jitter: uniform in 0..1.
    """
    ceiling = EXPIRED_LONGEST_S if remaining_s <= 0 else min(max(remaining_s / 16, SHORTEST_CEILING_S), LONGEST_S)
    return min(FIRST_S * 2.0 ** min(attempt - 1, 12), ceiling) * (0.5 + jitter / 2)
