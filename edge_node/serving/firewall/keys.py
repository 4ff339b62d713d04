"""API keys: how they look, what is kept of them, and whose a key is. Pure.

A key is `nfk_` and 32 random bytes in base64url. What is kept is its SHA-256: a key is as random as a digest, so
nothing slower would make it harder to guess.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

import msgspec

Scope = Literal["infer", "admin"]
SCOPES: tuple[Scope, ...] = ("infer", "admin")
PREFIX = "nfk_"
RANDOM_BYTES = 32
LONGEST = 128
"""characters of a header that are looked at"""
_BEARER = "bearer "


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a key: `digest` is SHA-256 in hexadecimal digits, `created` is RFC 3339."""

    name: str
    scopes: tuple[Scope, ...]
    digest: str
    created: str = ""


def text_of(random: bytes) -> str:
    """The key that some random bytes make."""
    return PREFIX + base64.urlsafe_b64encode(random).decode().rstrip("=")


def digest_of_key(text: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def bearer(authorization: str) -> str | None:
    """The key of an `authorization` header, None where it has another form (RFC 6750)."""
    if len(authorization) > LONGEST or authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return authorization[len(_BEARER) :].strip() or None


def whose(keys: Iterable[Key], text: str) -> Key | None:
    """The key that this is, None for a stranger's. Every key is compared, each in constant time."""
    digest, found = digest_of_key(text), None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found
