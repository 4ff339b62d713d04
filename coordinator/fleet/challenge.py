"""Challenges of renewals: a caller signs one to show that it holds its key now. Pure.

Nothing is kept of them: a challenge is its time, 16 random bytes, and the HMAC of both. One that was heard is of no
use to anybody else, because what is signed is the challenge and the request for a certificate.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from coordinator.errors import Refused

LIFETIME = timedelta(minutes=1)
RANDOM_BYTES = 16
_TIME_BYTES = 8
_PURPOSE = b"nearfield renewal challenge v1"


def challenge_secret(signing_key: bytes) -> bytes:
    """The HMAC's key, the same in every process of a coordinator."""
    return hmac.digest(signing_key, _PURPOSE, hashlib.sha256)


def new_challenge(secret: bytes, now: datetime, random: bytes) -> bytes:
    """A challenge made now."""
    body = int(now.timestamp() * 1000).to_bytes(_TIME_BYTES) + random
    return body + hmac.digest(secret, body, hashlib.sha256)


def check_challenge(challenge: bytes, secret: bytes, now: datetime) -> None:
    """The challenge was made here, within the last minute.

    Raises:
        Refused: it was not.
    """
    size = _TIME_BYTES + RANDOM_BYTES
    body, mac = challenge[:size], challenge[size:]
    if len(body) != size or not hmac.compare_digest(mac, hmac.digest(secret, body, hashlib.sha256)):
        raise Refused("the challenge was not made by this coordinator: ask for another one")
    made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int.from_bytes(body[:_TIME_BYTES]))
    if not made <= now <= made + LIFETIME:
        raise Refused("the challenge is too old: ask for another one")
