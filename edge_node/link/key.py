"""The node's key: made on the device, never leaves it. Here it signs requests for certificates, and proofs.

ECDSA P-256, PKCS#8 in PEM. Used by the child process; what an enrollment begins with is in `membership/enrolling.py`.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge_node.errors import BadInput


def new_key() -> bytes:
    """A fresh key, PEM."""
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(path: Path) -> EllipticCurvePrivateKey:
    """The key in a file.

    Raises:
        BadInput: there is none, or not such a key. What the file holds is not repeated.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise BadInput(f"{path} holds no ECDSA key: enroll again with edge-node enroll TOKEN --again")
    return key


def request_for(key: EllipticCurvePrivateKey) -> bytes:
    """A certificate request (PKCS#10, PEM). It names nobody: who this node is, the coordinator decides."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def proof(key: EllipticCurvePrivateKey, challenge: bytes, csr: bytes) -> bytes:
    """The signature that proves the key in a renewal: ECDSA with SHA-256 over challenge + csr."""
    return key.sign(challenge + csr, ECDSA(hashes.SHA256()))
