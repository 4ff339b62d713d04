"""The certificate authority: the one door to X.509 (RFC 5280).

    authority = open_authority(key, authority_certificate(key, now), "keys/ca.pem")
    authority.issue(key, "admin:alice", CLIENT, timedelta(days=365), now)   -> Certificate
    authority.issue(key, "coordinator", SERVER, timedelta(days=90), now, names=("10.0.0.4",))

Subject and usages are decided here; of a request only the public key is taken. Which requests are taken: `csr`.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coordinator.authority.keys import PrivateKey, PublicKey, is_p256, key_digest
from coordinator.errors import BadInput

AUTHORITY_DAYS = 3650
BACKDATED = timedelta(minutes=5)
"""Clocks differ: a certificate is valid a little before it was issued."""
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
BOTH = (*SERVER, *CLIENT)
"""For the coordinator itself: it serves, and it is a client of its broker."""

HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
"""Of RFC 1123, with the underscore that containers have in theirs."""

Usages = Sequence[x509.ObjectIdentifier]


@dataclass(frozen=True)
class Certificate:
    """A certificate in PEM, and what is remembered of it."""

    pem: bytes
    common_name: str
    serial: str
    """hexadecimal"""
    key_digest: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Authority:
    """The key that signs, its certificate, and every certificate whose signatures are taken (its own first)."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    trusted: tuple[x509.Certificate, ...]

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """All certificates to trust, PEM, the authority's own first."""
        return tuple(one.public_bytes(Encoding.PEM) for one in self.trusted)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the authority's certificate in DER, as join tokens hold it."""
        return self.certificate.fingerprint(hashes.SHA256())

    def issue(
        self,
        key: PublicKey,
        common_name: str,
        usages: Usages,
        lifetime: timedelta,
        now: datetime,
        names: Iterable[str] = (),
    ) -> Certificate:
        """A certificate for a public key; `names` are the host names and addresses of a server, all of them.

        Raises:
            BadInput: a name is neither a host name nor an address.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        ends = min(now + lifetime, self.certificate.not_valid_after_utc)
        builder = (
            _begun(subject, self.certificate.subject, key, now - BACKDATED, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if ExtendedKeyUsageOID.SERVER_AUTH in usages:
            builder = builder.add_extension(_alternatives(names), critical=False)
        return described(builder.sign(self.key, hashes.SHA256()))

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this authority itself signed a certificate, none of the former ones."""
        return _signed(certificate, self.certificate)

    def is_issuer_of(self, certificate: x509.Certificate) -> bool:
        """Whether one of the trusted authorities signed a certificate. Its times are the caller's business."""
        return any(_signed(certificate, authority) for authority in self.trusted)


def authority_certificate(key: PrivateKey, now: datetime) -> bytes:
    """The certificate (PEM) that makes a key an authority: for ten years, with no authorities below it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Nearfield authority {now:%Y-%m-%d %H:%M:%S}")])
    builder = (
        _begun(name, name, key.public_key(), now - BACKDATED, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def open_authority(key: PrivateKey, pem: bytes, what: str) -> Authority:
    """The authority of a key, and of a PEM text with its certificate and those of former authorities.

    Raises:
        BadInput: no certificates, or none of them belongs to the key.
    """
    try:
        known = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise BadInput(f"{what} holds no certificates in PEM: restore it from your backup") from None
    own = next((one for one in known if one.public_key() == key.public_key()), None)
    if own is None:
        raise BadInput(f"{what} has no certificate for the authority's key: restore both from your backup")
    return Authority(key, own, (own, *(one for one in known if one != own)))


def read_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate in a PEM text; strangers send some, too.

    Raises:
        BadInput: there is none, or one of another version, or whose names or key cannot be read.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        _ = certificate.subject, certificate.issuer, certificate.public_key()  # read when they are asked for
        return certificate  # noqa: TRY300
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise BadInput("not a certificate in PEM") from None


def described(certificate: x509.Certificate) -> Certificate:
    """A certificate with what is remembered of it.

    Raises:
        BadInput: its key is not one on P-256, or it does not name exactly one subject.
    """
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    key = certificate.public_key()
    if len(names) != 1 or not is_p256(key):
        raise BadInput("not a certificate of this authority")
    return Certificate(
        pem=certificate.public_bytes(Encoding.PEM),
        common_name=str(names[0].value),
        serial=f"{certificate.serial_number:x}",
        key_digest=key_digest(key),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def proves(certificate: x509.Certificate, signature: bytes, message: bytes) -> bool:
    """Whether a signature (ECDSA with SHA-256) over a message was made with the certificate's key."""
    key = certificate.public_key()
    if not is_p256(key):
        return False
    try:
        key.verify(signature, message, ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def alternative_names(certificate: x509.Certificate) -> frozenset[str]:
    """The host names and addresses that a server's certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset(found.get_values_for_type(x509.DNSName)) | {str(address) for address in addresses}


def _begun(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins.astimezone(UTC))
        .not_valid_after(ends.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _alternatives(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(name) for name in dict.fromkeys(names)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not HOST_NAME.fullmatch(name):
            raise BadInput(f"{name!r} is neither a host name nor an address") from None
        return x509.DNSName(name)


def _usage(**wanted: bool) -> x509.KeyUsage:
    known = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{usage: wanted.get(usage, False) for usage in known.split()})


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):  # another name, kind of key, key
        return False
    return True
