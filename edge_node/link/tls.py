"""The node's TLS towards its coordinator: one context for gRPC and for MQTT.

The authority is pinned, and whatever address is dialled a name is expected: `SERVER_NAME` of who answers calls (by
`tunnel.py`), `BROKER_NAME` of who is spoken to over MQTT. The node shows its own certificate, and the times of the
other side's certificate are judged by what the node knows of the time (`validity.py`), not by the clock of the system.
The authority's own times are not judged: it is pinned, and exchanged by the signed root. A broker that the node's own
configuration names with a `ca_file` is not met with this context.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge_node.errors import BadInput
from edge_node.link.validity import UNKNOWN, KnownTime, out_of_time
from protos.principal import BROKER_NAME

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of <openssl/x509_vfy.h>: Python's ssl does not name it."""

Now = Callable[[], KnownTime]
"""What is known of the time when a handshake ends."""


class Credentials(msgspec.Struct, frozen=True):
    """The files of a node's identity, PEM: its certificate, its key, and the authorities that it trusts."""

    certificate: str
    key: str
    authorities: str


class PinnedContext(ssl.SSLContext):
    """A client's context that judges times itself, and of a socket (paho's) expects `BROKER_NAME`."""

    now: Now = staticmethod(lambda: UNKNOWN)
    alert: str = ""
    """what the other side said of our certificate when it ended the connection"""

    def wrap_socket(self, sock: Any, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        """As the base class; the name that the caller dialled does not matter (fewer parameters: ours are keywords)."""
        return super().wrap_socket(sock, **{**options, "server_hostname": BROKER_NAME})

    def judge(self, certificate: Any) -> None:
        """Nothing where the certificate, as `getpeercert` gives it, is valid now.

        Raises:
            ssl.SSLCertVerificationError: it is not.
        """
        if not certificate:  # nothing was verified: the one question that needs no trust
            return
        times = [float(ssl.cert_time_to_seconds(certificate[key])) for key in ("notBefore", "notAfter")]
        if trouble := out_of_time(times[0], times[1], self.now()):
            raise ssl.SSLCertVerificationError(1, f"the server's certificate is not valid: {trouble}")


class _Socket(ssl.SSLSocket):
    """What paho speaks through."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
            _judged(self.context, self.getpeercert())
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:  # paho leaves a socket open whose handshake failed
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As the base class. In TLS 1.3 a server refuses a certificate after the handshake: it is heard here."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            if isinstance(self.context, PinnedContext):
                self.context.alert = alert_in(error)
            raise


class _Object(ssl.SSLObject):
    """What asyncio speaks through."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _judged(self.context, self.getpeercert())


def _judged(context: ssl.SSLContext, certificate: Any) -> None:
    if isinstance(context, PinnedContext):
        context.judge(certificate)


def alert_in(error: ssl.SSLError) -> str:
    """What a TLS alert of the other side says, for people; empty where the error is none."""
    _, alert, what = str(error.reason or "").partition("ALERT_")
    return what.replace("_", " ").lower() if alert else ""


def alert_of(context: ssl.SSLContext | None) -> str:
    """What the other side said of our certificate, or nothing."""
    return context.alert if isinstance(context, PinnedContext) else ""


def node_context(credentials: Credentials, now: Now) -> PinnedContext:
    """The context of an enrolled node; reads its files, so that a renewed certificate is used at the next connect.

    Raises:
        BadInput: a file is missing or damaged, or the certificate does not belong to the key.
    """
    context = _context(now)
    try:
        context.load_verify_locations(credentials.authorities)
        context.load_cert_chain(credentials.certificate, credentials.key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        folder = Path(credentials.certificate).parent
        raise BadInput(
            f"the certificate, key or authorities in {folder} cannot be used ({getattr(error, 'reason', error)}): "
            "restore them, or enroll again with edge-node enroll TOKEN --again"
        ) from None
    return context


def server_context(authorities: str, now: Now = lambda: UNKNOWN) -> PinnedContext:
    """The context for calls that prove themselves otherwise: the authorities (PEM text) are pinned, nothing is shown.

    Raises:
        BadInput: no certificates.
    """
    context = _context(now)
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise BadInput(f"not the certificate of an authority: {error}") from None
    return context


def unverified_context() -> PinnedContext:
    """The context of the one question that needs no trust: what is your authority? The token judges the answer."""
    context = _context(lambda: UNKNOWN)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(now: Now) -> PinnedContext:
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    context.sslsocket_class, context.sslobject_class = _Socket, _Object
    context.now = now
    return context
