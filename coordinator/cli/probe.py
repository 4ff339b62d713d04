"""Why there is no connection: gRPC says the same of a port where nobody listens and of a refused certificate.

One handshake with Python's own TLS tells them apart.
"""

import socket
import ssl
from datetime import UTC, datetime

from coordinator.cli.credentials import LoadedCredential
from coordinator.errors import NearfieldError, Refused, Unreachable
from protos.principal import SERVER_NAME

PATIENCE_S = 3.0


def why_not_connected(target: str, credential: LoadedCredential) -> NearfieldError:
    """One line for a connection to host:port that gRPC could not make with a credential."""
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S) as connection:
            return _why_no_handshake(connection, target, credential)
    except OSError:
        return Unreachable(
            f"no coordinator answers at {target}: start one with edge-coordinator serve --dir DIR, or name it with "
            "--coordinator host:port"
        )


def _why_no_handshake(connection: socket.socket, target: str, credential: LoadedCredential) -> NearfieldError:
    ended = credential.not_after
    if ended <= datetime.now(UTC):
        return Refused(
            f"the credential of {credential.principal} in {credential.file} ended at {ended:%Y-%m-%d %H:%M} UTC: an "
            "administrator makes another with edgectl credential create (the first one: remove admin.pem, run "
            "edge-coordinator init again)"
        )
    try:
        with _context(credential).wrap_socket(connection, server_hostname=SERVER_NAME) as secured:
            # TLS 1.3: only now a server refuses the client's certificate, by an alert or without a word; others speak
            if not secured.recv(1):
                return _refuses(target, credential)
    except ssl.SSLCertVerificationError as error:
        return Refused(
            f"what answers at {target} is not the coordinator of {credential.file}: {error.verify_message}: take the "
            "credential that belongs to it, or another address"
        )
    except ssl.SSLError as error:
        return _refused(error, target, credential)
    except OSError:
        return Unreachable(f"the coordinator at {target} ends the connection: is it stopping, or overloaded?")
    return Unreachable(f"the coordinator at {target} does not answer: is it stopping, or overloaded?")


def _refused(error: ssl.SSLError, target: str, credential: LoadedCredential) -> NearfieldError:
    if "ALERT" in (error.reason or ""):
        return _refuses(target, credential)
    return Unreachable(f"what answers at {target} is not a coordinator: it speaks no TLS, give its gRPC port")


def _refuses(target: str, credential: LoadedCredential) -> NearfieldError:
    return Refused(
        f"the coordinator at {target} refuses the certificate of {credential.principal} in {credential.file}: was it "
        "made by this coordinator?"
    )


def _context(credential: LoadedCredential) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=credential.parts.authorities.decode("ascii"))
    context.load_cert_chain(credential.file)
    return context
