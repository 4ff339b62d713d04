"""Private keys of certificates: ECDSA on the curve P-256, as PEM (PKCS#8), and requests made with them.

gRPC's TLS takes no Ed25519, and P-256 is what every broker and every language takes.
"""

from typing import TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from coordinator.errors import BadInput
from protos.digest import digest_of

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def new_key() -> PrivateKey:
    """A fresh key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """The key, unencrypted: its file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(pem: bytes, what: str) -> PrivateKey:
    """The key in a PEM text; `what` names it for the message.

    Raises:
        BadInput: not a key, or not one on P-256.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):  # TypeError: it has a password
        raise BadInput(f"{what} is not a private key in PEM without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_p256(key.public_key()):
        raise BadInput(f"{what} is not an ECDSA key on P-256")
    return key


def is_p256(key: object) -> TypeGuard[PublicKey]:
    """Whether a public key is one on P-256."""
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def key_digest(key: PublicKey) -> str:
    """What tells keys apart: the digest of the key's SubjectPublicKeyInfo."""
    return digest_of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def certificate_request(key: PrivateKey) -> bytes:
    """A request (PKCS#10, PEM) that names nobody: identity is the coordinator's to give."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
