"""Signed documents: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with Ed25519.

What is signed is `PAE(type, payload)`, so a signature over one type of document is worth nothing on another.
The key id is the digest of the raw public key. Freshness (epoch, revision, expiry) is the reader's decision; this
module only answers who signed which bytes.

    envelope = seal(DESIRED, payload, key)
    payload = open_sealed(envelope, DESIRED, {public_key})
"""

import base64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protos.digest import digest_of
from protos.errors import ContractError

DESIRED = "application/vnd.nearfield.desired.v1+json"
ACKED = "application/vnd.nearfield.acked.v1+json"


class Signature(msgspec.Struct, frozen=True):
    """One signature: the signer's key id and the base64 of 64 bytes."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A DSSE envelope as it stands in JSON: `payloadType`, base64 `payload`, `signatures`."""

    payload_type: str
    payload: str
    signatures: tuple[Signature, ...]


def key_id(public_key: bytes) -> str:
    """The id of a raw 32-byte Ed25519 public key."""
    return digest_of(public_key)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The raw 32-byte public key that belongs to a private key."""
    return key.public_key().public_bytes_raw()


def seal(payload_type: str, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The JSON of an envelope around `payload`, signed with `key`."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    sealed = Envelope(
        payload_type=payload_type,
        payload=base64.b64encode(payload).decode(),
        signatures=(Signature(keyid=key_id(public_bytes(key)), sig=base64.b64encode(signature).decode()),),
    )
    return msgspec.json.encode(sealed)


def open_sealed(envelope: bytes, payload_type: str, trusted: frozenset[bytes]) -> bytes:
    """The payload of an envelope that one of the trusted raw public keys signed.

    Raises:
        ContractError: not an envelope, another type of document, or no valid signature by a trusted key.
    """
    try:
        sealed = msgspec.json.decode(envelope, type=Envelope)
        payload = base64.b64decode(sealed.payload, validate=True)
        signatures = [(s.keyid, base64.b64decode(s.sig, validate=True)) for s in sealed.signatures]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # not JSON, not the form, not base64
        raise ContractError(f"not a signed document: {error}") from None
    if sealed.payload_type != payload_type:
        raise ContractError(f"a signed {sealed.payload_type!r} where a {payload_type!r} belongs")
    keys = {key_id(raw): raw for raw in trusted}
    message = pre_authentication_encoding(payload_type, payload)
    if not any(keyid in keys and _verifies(keys[keyid], signature, message) for keyid, signature in signatures):
        raise ContractError("not signed by a key that is trusted here")
    return payload


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """`DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload` of the DSSE protocol."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
