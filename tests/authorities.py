"""Certificates for tests: an authority of their own, and what it would never issue (expired, other purposes).

authority = Authority(tmp_path)
files = authority.issue("viewer:alice")            # a client's certificate and key
broker = authority.issue("broker", server=True)    # for 127.0.0.1, a coordinator and a broker
"""

import datetime as dt
import ipaddress
import itertools
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protos.principal import BROKER_NAME, SERVER_NAME

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Files:
    """PEM files: the authority, a certificate of it, its key."""

    ca: Path
    certificate: Path
    key: Path


class Authority:
    """A private CA in a folder; every `issue` makes a new key pair."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._numbers = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.pem"
        built = self._builder(self._name, self._key.public_key(), DAY, DAY)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = built.sign(self._key, hashes.SHA256())
        self.ca.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name: str, *, server: bool = False, expired: bool = False) -> Files:
        """A certificate for a client, or for a server on 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends = -DAY / 2 if expired else DAY
        built = self._builder(_name(common_name), key.public_key(), DAY, ends)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        built = built.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if server:
            dns = [x509.DNSName(SERVER_NAME), x509.DNSName(BROKER_NAME)]
            names = [*dns, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._written(built.sign(self._key, hashes.SHA256()), key)

    def sign(self, csr: bytes, common_name: str) -> bytes:
        """A client's certificate (PEM) for the key of a request (PEM)."""
        key = x509.load_pem_x509_csr(csr).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        built = self._builder(_name(common_name), key, DAY, DAY)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, since: dt.timedelta, until: dt.timedelta
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        built = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        built = built.serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - since).not_valid_after(now + until)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return built.add_extension(issuer, critical=False)

    def _written(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Files:
        number = next(self._numbers)
        files = Files(self.ca, self._folder / f"{number}.pem", self._folder / f"{number}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.key.touch(mode=0o600)
        files.key.write_bytes(secret)
        return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
