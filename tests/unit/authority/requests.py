"""Certificate requests of every bad kind."""

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from coordinator.authority.keys import certificate_request, new_key

Builder = x509.CertificateSigningRequestBuilder


def _pem(builder: Builder, key: object = None, algorithm: hashes.HashAlgorithm | None = hashes.SHA256()) -> bytes:  # noqa: B008
    signed = builder.sign(key or new_key(), algorithm)  # type: ignore[arg-type]
    return signed.public_bytes(Encoding.PEM)


def _named(*pairs: tuple[x509.ObjectIdentifier, str]) -> Builder:
    return Builder().subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs]))


def _empty() -> Builder:
    return Builder().subject_name(x509.Name([]))


def _forged() -> bytes:
    """The signature of another request in a good one."""
    good, other = (x509.load_pem_x509_csr(certificate_request(new_key())) for _ in range(2))
    der = good.public_bytes(Encoding.DER)
    spoiled = der.replace(good.signature, other.signature) if len(good.signature) == len(other.signature) else der[:-3]
    return _armoured(spoiled + (b"" if len(good.signature) == len(other.signature) else b"\0\0\0"))


def _armoured(der: bytes) -> bytes:
    import base64

    lines = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + lines + b"-----END CERTIFICATE REQUEST-----\n"


BAD: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"please",
    "bytes": lambda: bytes(range(256)),
    "a megabyte": lambda: b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 1_000_000,
    "armour around garbage": lambda: _armoured(b"\x30\x82\xff\xff" + b"\0" * 40),
    "cut off": lambda: certificate_request(new_key())[:-60],
    "two requests": lambda: certificate_request(new_key()) * 2,
    "a name": lambda: _pem(_named((NameOID.COMMON_NAME, "cam-3"))),
    "the coordinator's name": lambda: _pem(_named((NameOID.COMMON_NAME, "coordinator"))),
    "an administrator's name": lambda: _pem(_named((NameOID.COMMON_NAME, "admin:root"))),
    "another node's id": lambda: _pem(_named((NameOID.COMMON_NAME, "a" * 32))),
    "an organization": lambda: _pem(_named((NameOID.ORGANIZATION_NAME, "Nearfield"))),
    "an authority": lambda: _pem(_empty().add_extension(x509.BasicConstraints(True, None), True)),
    "a server": lambda: _pem(_empty().add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)),
    "host names": lambda: _pem(
        _empty().add_extension(x509.SubjectAlternativeName([x509.DNSName("coordinator.nearfield")]), False)
    ),
    "a password": lambda: _pem(_empty().add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")),
    "a forged signature": _forged,
    "RSA": lambda: _pem(_empty(), rsa.generate_private_key(65537, 2048)),
    "weak RSA": lambda: _pem(_empty(), rsa.generate_private_key(65537, 1024)),
    "another curve": lambda: _pem(_empty(), ec.generate_private_key(ec.SECP384R1())),
    "a small curve": lambda: _pem(_empty(), ec.generate_private_key(ec.SECP192R1())),
    "a curve of coins": lambda: _pem(_empty(), ec.generate_private_key(ec.SECP256K1())),
    "Ed25519": lambda: _pem(_empty(), ed25519.Ed25519PrivateKey.generate(), None),
}
"""What it is, and how to make one."""
