"""Whether a join token lets a device in. Pure.

A token works once: it belongs to the key of the first request that used it. The same key may ask again and gets the
same certificate, so that an answer that was lost on its way costs nothing.
"""

from datetime import datetime
from enum import Enum

from coordinator.errors import Refused
from coordinator.fleet.records import IssuedCertificate, JoinTokenRecord

NEW_TOKEN = "ask for a new one: edgectl node token create"  # noqa: S105 - advice


class Use(Enum):
    """What a request with a token is."""

    FIRST = "first"
    AGAIN = "again"
    """by the key that used it, for the certificate that was issued"""


def judge(token: JoinTokenRecord | None, issued: IssuedCertificate | None, key_digest: str, now: datetime) -> Use:
    """What the request is; `issued` is the newest certificate of the node that used the token.

    Raises:
        Refused: the token is unknown, used up, or too old.
    """
    if token is None:
        raise Refused(f"this join token is not known here, or it was deleted: {NEW_TOKEN}")
    if token.used_at is not None:
        if issued is not None and issued.key_digest == key_digest:
            return Use.AGAIN
        raise Refused(f"this join token was used already, by node {token.node}: {NEW_TOKEN}")
    if now >= token.expires_at:
        raise Refused(f"this join token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC: {NEW_TOKEN}")
    return Use.FIRST
