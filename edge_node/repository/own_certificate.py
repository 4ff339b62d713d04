"""A certificate that the node makes for itself, once: for networks without an authority. Clients trust the file itself.

Made in a folder of the node's state: `serving.key` (0600) and `serving.pem`, P-256, ten years, for the names and
addresses that the device has then. Deleting both has new ones made.
"""

import datetime as dt
import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_node.errors import BadInput
from edge_node.serving.settings import Tls
from edge_node.store.files import read_if_there, write_durably

KEY, CERTIFICATE = "serving.key", "serving.pem"
_LASTS = dt.timedelta(days=3650)
_MARGIN = dt.timedelta(days=1)


def own_certificate(folder: Path, addresses: Iterable[str], clients: str | None) -> Tls:
    """The files, made where there are none.

    Args:
        folder: of the node's state.
        addresses: HOST:PORT of the ports; their hosts are named in it.
        clients: the authorities of clients, see `Tls`.

    Raises:
        BadInput: the folder cannot be read or written.
    """
    key, certificate = folder / KEY, folder / CERTIFICATE
    try:
        if read_if_there(key) is None or read_if_there(certificate) is None:
            _make(key, certificate, [address.rpartition(":")[0].strip("[]") for address in addresses])
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}: serving keeps its own certificate there") from None
    return Tls(str(key), str(certificate), clients)


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a PEM certificate as `openssl x509 -fingerprint -sha256` prints it. Raises BadInput."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        raise BadInput(f"{certificate} is no certificate: delete it and {KEY} to have new ones made") from None
    return read.fingerprint(hashes.SHA256()).hex(":").upper()


def _make(key_file: Path, certificate_file: Path, hosts: Iterable[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = _signed(key, hosts, dt.datetime.now(dt.UTC))
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(key_file, pem, mode=0o600)
    write_durably(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _signed(key: ec.EllipticCurvePrivateKey, hosts: Iterable[str], now: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64])])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number())
    built = built.not_valid_before(now - _MARGIN).not_valid_after(now + _LASTS)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return built.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False).sign(key, hashes.SHA256())


def _names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    """This device's name, loopback, its addresses, and those of the ports."""
    host = socket.gethostname()
    found = {"localhost", host, f"{host}.local", "127.0.0.1", "::1", *hosts, *_addresses(host)}
    return [_name(one) for one in sorted(found) if one not in ("0.0.0.0", "::")]  # noqa: S104 - names no address


def _addresses(host: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
