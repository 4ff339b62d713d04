"""Signed documents: DSSE envelopes (https://github.com/secure-systems-lab/dsse) with Ed25519.

What is signed is `PAE(type, payload)`, so a signature over one type of document is worth nothing on another.
The key id is the digest of the raw public key. An envelope may carry several signatures; who reads it says how many
different trusted keys it needs. Freshness (epoch, revision, expiry) is the reader's decision; this module only answers
who signed which bytes.

    envelope = seal(RELEASE, payload, alice)
    envelope = cosigned(envelope, RELEASE, bob)
    payload = open_sealed(envelope, RELEASE, {alices_public_key, bobs_public_key}, threshold=2)
"""

import base64

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protos.digest import digest_of
from protos.errors import ContractError

DESIRED = "application/vnd.nearfield.desired.v1+json"
ACKED = "application/vnd.nearfield.acked.v1+json"
COMMAND = "application/vnd.nearfield.command.v1+json"
TIME = "application/vnd.nearfield.time.v1+json"
RELEASE = "application/vnd.nearfield.release.v1+json"
DOWNGRADE = "application/vnd.nearfield.downgrade.v1+json"
TRUST_ROOT = "application/vnd.nearfield.trust-root.v1+json"

MAX_SIGNATURES = 64
"""More are not looked at: an envelope must not cost its reader a thousand verifications."""


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


def seal(payload_type: str, payload: bytes, *keys: Ed25519PrivateKey) -> bytes:
    """The JSON of an envelope around `payload`, signed with each key."""
    signatures = tuple(_signature(payload_type, payload, key) for key in keys)
    return msgspec.json.encode(Envelope(payload_type, base64.b64encode(payload).decode(), signatures))


def cosigned(envelope: bytes, payload_type: str, key: Ed25519PrivateKey) -> bytes:
    """The envelope with one more signature, in place of an older one by the same key.

    Raises:
        ContractError: not an envelope, or around another type of document.
    """
    sealed, payload = _read(envelope, payload_type)
    signature = _signature(payload_type, payload, key)
    others = (one for one in sealed.signatures if one.keyid != signature.keyid)
    return msgspec.json.encode(msgspec.structs.replace(sealed, signatures=(*others, signature)))


def open_sealed(envelope: bytes, payload_type: str, trusted: frozenset[bytes], threshold: int = 1) -> bytes:
    """The payload of an envelope that at least `threshold` of the trusted raw public keys signed.

    Raises:
        ContractError: not an envelope, another type of document, or too few valid signatures by trusted keys.
    """
    payload = unverified(envelope, payload_type)
    found = len(signers(envelope, payload_type, trusted))
    if threshold < 1 or found < threshold:
        raise ContractError(
            f"signed by {found} of the {threshold} keys that it needs"
            if found
            else "not signed by a key that is trusted here"
        )
    return payload


def signers(envelope: bytes, payload_type: str, trusted: frozenset[bytes]) -> frozenset[bytes]:
    """Those of the trusted raw public keys that signed the envelope; each counts once.

    Raises:
        ContractError: not an envelope, or another type of document.
    """
    sealed, payload = _read(envelope, payload_type)
    keys = {key_id(raw): raw for raw in trusted}
    message = pre_authentication_encoding(payload_type, payload)
    known = ((keys[one.keyid], base64.b64decode(one.sig)) for one in sealed.signatures if one.keyid in keys)
    return frozenset(key for key, signature in known if _verifies(key, signature, message))


def unverified(envelope: bytes, payload_type: str) -> bytes:
    """The payload, whoever signed it: to show it to a person, or to compare it with what they have.

    Raises:
        ContractError: not an envelope, or another type of document.
    """
    return _read(envelope, payload_type)[1]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """`DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload` of the DSSE protocol."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _read(envelope: bytes, payload_type: str) -> tuple[Envelope, bytes]:
    """The envelope and its payload, once everything in it has been decoded."""
    try:
        sealed = msgspec.json.decode(envelope, type=Envelope)
        payload = base64.b64decode(sealed.payload, validate=True)
        for signature in sealed.signatures:
            base64.b64decode(signature.sig, validate=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # not JSON, not the form, not base64
        raise ContractError(f"not a signed document: {error}") from None
    if sealed.payload_type != payload_type:
        raise ContractError(f"a signed {sealed.payload_type!r} where a {payload_type!r} belongs")
    if len(sealed.signatures) > MAX_SIGNATURES:
        raise ContractError(f"not a signed document: {len(sealed.signatures)} signatures are more than are looked at")
    return sealed, payload


def _signature(payload_type: str, payload: bytes, key: Ed25519PrivateKey) -> Signature:
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return Signature(keyid=key_id(public_bytes(key)), sig=base64.b64encode(signature).decode())


def _verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
