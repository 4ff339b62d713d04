"""TLS of the broker's two sides: a server that lets in nobody without a certificate, a client that knows its authority.

Who a peer is, is the common name of its certificate and nothing that it says (protos/principal.py). Files are PEM.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.errors import BadInput
from protos.broker_url import Broker


@dataclass(frozen=True)
class TlsFiles:
    """The authority, a certificate of it, and its key."""

    ca: Path
    certificate: Path
    key: Path


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A server's side: TLS 1.2 or newer, and a client's certificate of our authority or no connection.

    No session is resumed: a certificate is looked at on every connection.

    Raises:
        BadInput: a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise BadInput(f"the broker's certificate {files.certificate} cannot be used: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def client_context(broker: Broker) -> ssl.SSLContext:
    """A client's side: the broker's authorities, the name that its certificate must have, our certificate.

    Raises:
        BadInput: a file is missing or is not what it should be.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.expected = broker.server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if broker.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(broker.ca_file)
    except OSError as error:
        raise BadInput(f"broker_ca_file {broker.ca_file} cannot be used: {error}") from None
    if broker.cert_file is not None:
        try:
            context.load_cert_chain(broker.cert_file, broker.key_file)
        except OSError as error:
            raise BadInput(
                f"broker_cert_file {broker.cert_file} with its key {broker.key_file} cannot be used: {error}"
            ) from None
    return context


def reload(context: ssl.SSLContext, broker: Broker) -> None:
    """Read a client's files again: a certificate is renewed while the program runs. What cannot be read stays."""
    with contextlib.suppress(OSError):
        if broker.ca_file is not None:
            context.load_verify_locations(broker.ca_file)
        if broker.cert_file is not None:
            context.load_cert_chain(broker.cert_file, broker.key_file)


class ClosingSocket(ssl.SSLSocket):
    """Does not stay open after a handshake that failed (paho forgets it then)."""

    def do_handshake(self, block: bool = False) -> None:
        """As in the base class."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class NamedContext(ssl.SSLContext):
    """Expects one name in the server's certificate, whatever address is dialled (paho passes the address)."""

    expected: str | None = None
    sslsocket_class = ClosingSocket

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As in the base class, with the expected name for the server's."""
        if self.expected is not None:
            options["server_hostname"] = self.expected
        return super().wrap_socket(sock, *arguments, **options)


def ends_at(certificate: Any) -> float:
    """When what `getpeercert` returns ends, in seconds since 1970; long ago where it does not say."""
    until = (certificate or {}).get("notAfter")
    return ssl.cert_time_to_seconds(until) if until else 0.0


def common_name(certificate: Any) -> str:
    """The common name in what `getpeercert` returns; empty where there is not exactly one."""
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else ""
