"""Broker addresses as a coordinator hands them to nodes and as people write them: `mqtt://` and `mqtts://`.

    parse_broker_url("mqtt://127.0.0.1:1883")
    parse_broker_url("mqtts://site:secret@broker.example:8883").safe_url   -> mqtts://site@broker.example:8883

Nothing leaves the machine in the clear by accident: `mqtt://` is refused off the loopback interface, unless the caller
was told that plaintext is wanted. Reading password files is the caller's business.
"""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from protos.errors import ContractError

PORTS = {"mqtt": 1883, "mqtts": 8883}
EXPECTED = "expected mqtt://HOST:PORT or mqtts://HOST:PORT"


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how to log in: with a user name, or with a certificate and its key, or both.

    The files are PEM; `ca_file` None: the system's authorities. `server_name` is the name that the broker's certificate
    must have, where it is not the host that is dialled (protos/principal.py BROKER_NAME).
    """

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    @property
    def safe_url(self) -> str:
        """The URL without the password: for messages and logs."""
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}"


def parse_broker_url(
    text: str,
    *,
    username: str | None = None,
    password: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
    plaintext: bool = False,
) -> Broker:
    """The broker that a URL names; user name and password may stand in it, or come beside it and then win. `plaintext`
    lets `mqtt://` leave the loopback interface.

    Raises:
        ContractError: not such a URL, plaintext off the loopback interface, or a certificate without its key or
            without TLS.
    """
    parts = _split(text)
    broker = Broker(
        host=parts.hostname or "",
        port=_port(parts),
        tls=parts.scheme == "mqtts",
        username=username or (unquote(parts.username) if parts.username else None),
        password=password if password is not None else (unquote(parts.password) if parts.password else None),
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )
    if (cert_file is None) != (key_file is None):
        raise ContractError(f"broker {broker.safe_url}: a certificate and its key go together: give both files")
    if cert_file is not None and not broker.tls:
        raise ContractError(f"broker {broker.safe_url}: a certificate needs TLS: write mqtts://")
    if not (broker.tls or plaintext or is_loopback(broker.host)):
        raise ContractError(f"broker {broker.safe_url} is not on the loopback interface: write mqtts://")
    return broker


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface: `localhost`, 127.0.0.0/8 or ::1."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ContractError(f"{text!r} is not a broker URL: {EXPECTED}") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in PORTS or not parts.hostname or extra:
        raise ContractError(f"{_without_password(text)!r} is not a broker URL: {EXPECTED}")
    return parts


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError:
        raise ContractError(f"the broker URL's port is not between 1 and 65535: {EXPECTED}") from None
    return port


def _without_password(text: str) -> str:
    """The text with what stands before its last @ cut out."""
    head, at, tail = text.rpartition("@")
    return f"…@{tail}" if at and head else text
