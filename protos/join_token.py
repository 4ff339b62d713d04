"""Join tokens: the one line that an administrator gives to a device.

    token = JoinToken(secret, ca_fingerprint, ("192.168.1.4:7071",))
    text = token.text                    -> nearfield-join-1.…
    parse_join_token(text)

It holds a secret that works once, the fingerprint of the authority to trust, and where the coordinator enrolls nodes.
The body is base64url of secret (16 bytes), fingerprint (32 bytes), checksum (4 bytes: a paste that lost a letter is
noticed on the device), then the addresses in UTF-8, separated by commas. The secret is worth an identity: it is kept
nowhere, only its SHA-256 is.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from protos.errors import ContractError

PREFIX = "nearfield-join-1."
SECRET_BYTES = 16
FINGERPRINT_BYTES = 32
CHECK_BYTES = 4
MAX_TEXT = 2000
MAX_ADDRESSES = 8


@dataclass(frozen=True)
class JoinToken:
    """A token; `ca` is the SHA-256 of the authority's certificate (DER), `addresses` are host:port of enrollment."""

    secret: bytes = field(repr=False)
    ca: bytes
    addresses: tuple[str, ...]

    @property
    def text(self) -> str:
        """The line to paste."""
        rest = ",".join(self.addresses).encode()
        head = self.secret + self.ca
        body = base64.urlsafe_b64encode(head + _check(head + rest) + rest).rstrip(b"=")
        return PREFIX + body.decode()

    @property
    def digest(self) -> str:
        """What the coordinator keeps of the secret."""
        return secret_digest(self.secret)


def secret_digest(secret: bytes) -> str:
    """The hexadecimal SHA-256 of a token's secret. 128 random bits need no slow hash."""
    return hashlib.sha256(secret).hexdigest()


def parse_join_token(text: str) -> JoinToken:
    """The token that the text is.

    Raises:
        ContractError: it is none, or it was damaged on its way. The text is not repeated: it may be a secret.
    """
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
        raise ContractError(f"not a join token: it begins with {PREFIX} and is made by edgectl node token create")
    body = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _damaged() from None
    head, check, rest = raw[:48], raw[48 : 48 + CHECK_BYTES], raw[48 + CHECK_BYTES :]
    if len(check) != CHECK_BYTES or check != _check(head + rest):
        raise _damaged()
    return JoinToken(head[:SECRET_BYTES], head[SECRET_BYTES:], _addresses(rest))


def _addresses(raw: bytes) -> tuple[str, ...]:
    try:
        found = tuple(raw.decode().split(",")) if raw else ()
    except UnicodeDecodeError:
        raise _damaged() from None
    if len(found) > MAX_ADDRESSES or not all(found):
        raise _damaged()
    return found


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:CHECK_BYTES]


def _damaged() -> ContractError:
    return ContractError("the join token is damaged: copy the whole line again")
